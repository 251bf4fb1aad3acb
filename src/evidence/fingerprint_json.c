/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A fingerprint as JSON: docs/formats/fingerprint.md, "As JSON". Codes and hashes are hexadecimal
 * texts of their words, 16 digits a word, the first word first: bit i of a code is bit i % 64 of
 * word i / 64. Sums are float32 in as many digits as bring back the same float.
 */
#include <inttypes.h>
#include <stdio.h>

#include "evidence/result_json.h"
#include "sketch/fingerprint.h"

enum {
    WORD_DIGITS = 16,
    WORDS_MAX = GRAM_WORDS > TOKENIZER_HASHES ? GRAM_WORDS : TOKENIZER_HASHES
};

static const char digits[] = "0123456789abcdef";

static void write_words(json_writer *json, const uint64_t *words, size_t count) {
    char text[WORDS_MAX * WORD_DIGITS + 1];
    for (size_t i = 0; i < count * WORD_DIGITS; i++) {
        const uint64_t word = words[i / WORD_DIGITS];
        text[i] = digits[word >> (60 - 4 * (i % WORD_DIGITS)) & 0xF];
    }
    text[count * WORD_DIGITS] = '\0';
    json_string(json, text);
}

static void member_words(json_writer *json, const char *key, const uint64_t *words, size_t count) {
    json_key(json, key);
    write_words(json, words, count);
}

/* 0 stands for a hash that there is not. */
static void write_hash(json_writer *json, uint64_t hash) {
    if (hash) {
        write_words(json, &hash, 1);
    } else {
        json_null(json);
    }
}

static void member_bytes(json_writer *json, const char *key, const uint8_t *bytes, size_t len) {
    char text[2 * TOKEN_PICKS + 1];
    for (size_t i = 0; i < 2 * len; i++) {
        text[i] = digits[bytes[i / 2] >> (i % 2 ? 0 : 4) & 0xF];
    }
    text[2 * len] = '\0';
    json_member_string(json, key, text);
}

static void member_floats(json_writer *json, const char *key, const float *values, size_t count) {
    json_key(json, key);
    json_array_begin(json);
    for (size_t i = 0; i < count; i++) {
        json_float(json, values[i]);
    }
    json_array_end(json);
}

/* One text a unit; null for a part that the model lacks. */
static void member_codes(json_writer *json, const char *key, const uint64_t *codes, size_t words,
                         bool is_there) {
    json_key(json, key);
    if (!is_there) {
        json_null(json);
        return;
    }
    json_array_begin(json);
    for (size_t u = 0; u < BLOCK_UNITS; u++) {
        write_words(json, codes + u * words, words);
    }
    json_array_end(json);
}

static void member_expert(json_writer *json, int32_t expert) {
    json_key(json, "expert");
    if (expert == EXPERT_NONE) {
        json_null(json);
    } else if (expert == EXPERT_SHARED) {
        json_string(json, "shared");
    } else {
        json_int(json, expert);
    }
}

static void write_block(json_writer *json, const sketch_block *block) {
    json_object_begin(json);
    json_key(json, "layer");
    json_int(json, block->layer);
    member_expert(json, block->expert);
    json_key(json, "valid");
    json_array_begin(json);
    for (uint64_t u = 0; u < BLOCK_UNITS; u++) {
        if (block->valid >> u & 1) {
            json_uint(json, u);
        }
    }
    json_array_end(json);
    json_key(json, "sorted");
    json_bool(json, block->is_sorted);
    member_floats(json, "profile", block->profile, PROFILE_COUNT);
    json_key(json, "values_hash");
    write_hash(json, block->values_hash);
    member_floats(json, "sums", block->projection, PROJECTION_COUNT);
    member_codes(json, "up", block->up[0], UNIT_CODE_WORDS, true);
    member_codes(json, "gate", block->gate[0], UNIT_CODE_WORDS, block->has_gate);
    member_codes(json, "token", block->token[0], TOKEN_CODE_WORDS, block->has_tokens);
    json_object_end(json);
}

static void write_short_hash(json_writer *json, const char *key, uint32_t hash) {
    char text[9];
    (void)snprintf(text, sizeof text, "%08" PRIx32, hash);
    json_member_string(json, key, hash ? text : NULL);
}

static void write_grid(json_writer *json, const sketch_grid *grid) {
    json_object_begin(json);
    json_member_uint(json, "block", grid->block);
    for (size_t role = 0; role < GRID_ROLES; role++) {
        json_key(json, weir_role_name(grid_roles[role]));
        json_object_begin(json);
        write_short_hash(json, "own", grid->own[role]);
        for (size_t i = 0; i < GRID_TYPES; i++) {
            write_short_hash(json, weir_dtype_name(grid_types[i]), grid->hashes[role][i]);
        }
        json_object_end(json);
    }
    json_object_end(json);
}

static void write_tokenizer(json_writer *json, const fingerprint *sketch) {
    json_key(json, "tokenizer");
    json_object_begin(json);
    json_member_uint(json, "strings", sketch->token_count);
    member_words(json, "minhash", sketch->tokenizer, TOKENIZER_HASHES);
    json_key(json, "merges_hash");
    write_hash(json, sketch->merges_hash);
    json_object_end(json);
    json_key(json, "tokens");
    if (!sketch->has_tokens) {
        json_null(json);
        return;
    }
    json_object_begin(json);
    member_bytes(json, "tags", sketch->token_tags, TOKEN_PICKS);
    member_words(json, "gram", sketch->gram, GRAM_WORDS);
    json_object_end(json);
}

void fingerprint_write_json(json_writer *json, const fingerprint *sketch) {
    json_object_begin(json);
    json_member_uint(json, "version", FINGERPRINT_VERSION);
    json_member_uint(json, "parameters", sketch->parameters);
    json_member_uint(json, "tensors", sketch->tensors);
    json_member_uint(json, "hidden", sketch->hidden);
    json_member_uint(json, "feed_forward", sketch->feed_forward);
    json_member_uint(json, "layers", sketch->layers);
    json_member_uint(json, "vocabulary", sketch->vocabulary);
    member_bytes(json, "shapes_sha256", sketch->shapes_hash, sizeof sketch->shapes_hash);
    write_tokenizer(json, sketch);
    json_key(json, "grids");
    json_array_begin(json);
    for (size_t i = 0; i < sketch->grid_count; i++) {
        write_grid(json, &sketch->grids[i]);
    }
    json_array_end(json);
    json_key(json, "blocks");
    json_array_begin(json);
    for (size_t i = 0; i < sketch->block_count; i++) {
        write_block(json, &sketch->blocks[i]);
    }
    json_array_end(json);
    json_object_end(json);
}
