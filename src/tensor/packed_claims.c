/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file packed_claims.c  The quantisation that a configuration states, as claims.
 *
 * transformers keeps it in config.json under quantization_config, GPTQ's tools in
 * quantize_config.json too. Keys are those of each library; two spellings of one thing are both
 * tried.
 */
#include "tensor/packed_claims.h"

#include <string.h>

static const char *const places[] = {"config.quantization_config.",
                                     "config.text_config.quantization_config.", "quantize_config."};
enum { PLACE_COUNT = sizeof places / sizeof *places };

const char *packed_said(const claims *said, const char *key) {
    for (size_t i = 0; i < PLACE_COUNT; i++) {
        char name[96];
        const size_t place_len = strlen(places[i]);
        const size_t key_len = strlen(key);
        if (place_len + key_len < sizeof name) {
            memcpy(name, places[i], place_len);
            memcpy(name + place_len, key, key_len + 1);
            const char *const value = claims_find(said, name);
            if (value) {
                return value;
            }
        }
    }
    return NULL;
}

/* A whole number without sign, all of the text or up to `*end`. */
static bool read_number(uint64_t *out, const char *text, const char **end) {
    uint64_t number = 0;
    const char *at = text;
    for (; *at >= '0' && *at <= '9'; at++) {
        if (number > UINT32_MAX) {
            return false;
        }
        number = number * 10 + (uint64_t)(*at - '0');
    }
    *out = number;
    *end = at;
    return at != text;
}

bool packed_said_number(const claims *said, const char *key, uint64_t *out) {
    const char *const text = packed_said(said, key);
    const char *end;
    return text && read_number(out, text, &end) && *end == '\0';
}

/* "128, 128": how lists of claims are written. */
bool packed_said_blocks(const claims *said, uint64_t *rows, uint64_t *cols) {
    const char *text = packed_said(said, "weight_block_size");
    const char *end;
    uint64_t down;
    uint64_t across;
    text = text ? text : packed_said(said, "config_groups.group_0.weights.block_structure");
    if (!text || !read_number(&down, text, &end) || strncmp(end, ", ", 2) != 0 ||
        !read_number(&across, end + 2, &end) || *end != '\0' || down == 0 || across == 0) {
        return false;
    }
    *rows = down;
    *cols = across;
    return true;
}

/* Settings of single modules, by patterns of names: GPTQModel's "dynamic", auto-round's
 * "extra_config". */
static bool speaks_of_modules(const claims *said) {
    static const char *const keys[] = {"dynamic.", "extra_config."};
    for (size_t i = 0; i < said->count; i++) {
        for (size_t k = 0; k < PLACE_COUNT; k++) {
            const char *const name = said->items[i].name;
            const size_t len = strlen(places[k]);
            if (strncmp(name, places[k], len) == 0 &&
                (strncmp(name + len, keys[0], strlen(keys[0])) == 0 ||
                 strncmp(name + len, keys[1], strlen(keys[1])) == 0)) {
                return true;
            }
        }
    }
    return false;
}

bool packed_contradicts(const packed_tensor *packed, const claims *said) {
    uint64_t bits;
    uint64_t group;
    const bool has_words = packed->kind == PACKED_INPUTS || packed->kind == PACKED_OUTPUTS;
    if (!has_words) {
        return false;
    }
    const bool has_other_bits =
        (packed_said_number(said, "bits", &bits) || packed_said_number(said, "w_bit", &bits)) &&
        bits != packed->bits;
    const bool has_other_group =
        (packed_said_number(said, "group_size", &group) ||
         packed_said_number(said, "q_group_size", &group)) &&
        group > 0 && packed->cols / group + (packed->cols % group != 0) != packed->groups;
    return (has_other_bits || has_other_group) && !speaks_of_modules(said);
}
