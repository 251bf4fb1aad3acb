/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file packed_state.c  The JSON that bitsandbytes stores as the bytes of a tensor.
 *
 * One flat object; "shape" is its only array. Keys that weir does not need are passed over, as they
 * come and go with the library's versions; a key that is needed must be there once and be sane.
 */
#include <string.h>

#include "base/fail.h"
#include "base/limits.h"
#include "io/json_reader.h"
#include "tensor/packed.h"

enum {
    STATE_BYTES_MAX = 1 << 16,
    BLOCK_MAX = 1 << 24,
};

/* Which keys were there. */
enum {
    HAS_TYPE = 1,
    HAS_BLOCK = 2,
    HAS_SHAPE = 4,
    HAS_NESTED_BLOCK = 8,
    HAS_OFFSET = 16,
    HAS_NEEDED = HAS_TYPE | HAS_BLOCK | HAS_SHAPE,
};

static weir_code refuse(const packed_part *from, const char *expected, weir_error *err) {
    return weir_fail(err, WEIR_ERR_FORMAT, weir_source_name(from->source),
                     at_tensor(from->stored->name).text, expected, "something else");
}

/* Two whole numbers, the array's begin read already. */
static weir_code read_shape(quant_state *state, json_reader *reader, const packed_part *from,
                            weir_error *err) {
    uint64_t dims[2];
    json_token token;
    for (size_t i = 0; i < 2; i++) {
        WEIR_TRY(json_reader_next(reader, &token, err));
        if (token.kind != JSON_NUMBER || !json_token_u64(&token, &dims[i])) {
            return refuse(from, "a shape of two whole numbers", err);
        }
    }
    WEIR_TRY(json_reader_next(reader, &token, err));
    if (token.kind != JSON_ARRAY_END) {
        return refuse(from, "a shape of two whole numbers", err);
    }
    state->rows = dims[0];
    state->cols = dims[1];
    return WEIR_OK;
}

static bool read_block(uint64_t *out, const json_token *value) {
    return value->kind == JSON_NUMBER && json_token_u64(value, out) && *out > 0 &&
           *out <= BLOCK_MAX;
}

static bool read_type(bool *is_nf4, const json_token *value) {
    *is_nf4 = value->kind == JSON_STRING && json_token_is(value, "nf4");
    return *is_nf4 || (value->kind == JSON_STRING && json_token_is(value, "fp4"));
}

/* @return the bit of a key that is needed; 0 for any other */
static unsigned key_bit(const json_token *key) {
    static const struct {
        const char *name;
        unsigned bit;
    } keys[] = {{"quant_type", HAS_TYPE},
                {"blocksize", HAS_BLOCK},
                {"shape", HAS_SHAPE},
                {"nested_blocksize", HAS_NESTED_BLOCK},
                {"nested_offset", HAS_OFFSET}};
    for (size_t i = 0; i < sizeof keys / sizeof *keys; i++) {
        if (json_token_is(key, keys[i].name)) {
            return keys[i].bit;
        }
    }
    return 0;
}

static weir_code read_member(quant_state *state, unsigned bit, json_reader *reader,
                             const packed_part *from, weir_error *err) {
    json_token value;
    WEIR_TRY(json_reader_next(reader, &value, err));
    switch (bit) {
    case HAS_TYPE:
        return read_type(&state->is_nf4, &value) ? WEIR_OK : refuse(from, "nf4 or fp4", err);
    case HAS_BLOCK:
        return read_block(&state->block, &value) ? WEIR_OK : refuse(from, "a block size", err);
    case HAS_SHAPE:
        return value.kind == JSON_ARRAY_BEGIN ? read_shape(state, reader, from, err)
                                              : refuse(from, "a shape of two whole numbers", err);
    case HAS_NESTED_BLOCK:
        return read_block(&state->nested_block, &value)
                   ? WEIR_OK
                   : refuse(from, "a block size of the scales", err);
    case HAS_OFFSET:
        state->has_offset =
            value.kind == JSON_NUMBER && json_token_double(&value, &state->nested_offset);
        return state->has_offset ? WEIR_OK : refuse(from, "an offset of the scales", err);
    default:
        return json_reader_skip(reader, &value, err);
    }
}

static weir_code read_members(quant_state *state, json_reader *reader, const packed_part *from,
                              weir_error *err) {
    unsigned seen = 0;
    json_token token;
    WEIR_TRY(json_reader_next(reader, &token, err));
    if (token.kind != JSON_OBJECT_BEGIN) {
        return refuse(from, "a JSON object", err);
    }
    for (;;) {
        WEIR_TRY(json_reader_next(reader, &token, err));
        if (token.kind == JSON_OBJECT_END) {
            break;
        }
        const unsigned bit = key_bit(&token);
        if (seen & bit) {
            return refuse(from, "each key once", err);
        }
        seen |= bit;
        WEIR_TRY(read_member(state, bit, reader, from, err));
    }
    WEIR_TRY(json_reader_next(reader, &token, err)); /* nothing but white space may follow */
    return (seen & HAS_NEEDED) == HAS_NEEDED ? WEIR_OK
                                             : refuse(from, "quant_type, blocksize and shape", err);
}

weir_code quant_state_read(quant_state *out, const packed_part *from, weir_error *err) {
    const stored_tensor *const stored = from->stored;
    if (stored->bytes > STATE_BYTES_MAX) {
        return weir_fail(err, WEIR_ERR_LIMIT, weir_source_name(from->source),
                         at_tensor(stored->name).text, "at most 65,536 bytes of JSON", "more");
    }
    WEIR_CLEANUP(json_reader_free) json_reader *reader = NULL;
    const json_options options = {.leading_space = true};
    WEIR_TRY(json_reader_open(&reader, from->source, stored->offset, stored->offset + stored->bytes,
                              &options, err));
    quant_state state = {0};
    WEIR_TRY(read_members(&state, reader, from, err));
    *out = state;
    return WEIR_OK;
}
