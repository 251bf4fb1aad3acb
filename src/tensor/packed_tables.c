/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file packed_tables.c  Orders, shapes and code books beside packed codes.
 *
 * The values of nf4 are those of Dettmers et al. 2023 (QLoRA), appendix E; fp4 has one sign, two
 * exponent bits and one mantissa bit, its largest value scaled to 1. A book with other values is
 * refused: the library's fastest kernels have the values built in and never look at the stored
 * ones, so that they would say something else than what runs.
 */
#include "tensor/packed_tables.h"

#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/checked.h"
#include "base/fail.h"
#include "io/source.h"
#include "kernel/convert.h"
#include "kernel/number.h"

static const float nf4_values[16] = {
    -1.0F,        -0.69619280F, -0.52507305F, -0.39491749F, -0.28444138F, -0.18477343F,
    -0.09105004F, 0.0F,         0.07958030F,  0.16093020F,  0.24611230F,  0.33791524F,
    0.44070983F,  0.56261700F,  0.72295684F,  1.0F,
};

static const float fp4_values[16] = {
    0.0F, 0.00520833F,  0.66666667F,  1.0F,  0.33333333F,  0.5F,  0.16666667F,  0.25F,
    0.0F, -0.00520833F, -0.66666667F, -1.0F, -0.33333333F, -0.5F, -0.16666667F, -0.25F,
};

weir_code packed_read_bytes(const packed_part *from, uint64_t begin, unsigned char *out,
                            uint64_t bytes, weir_error *err) {
    const stored_tensor *const stored = from->stored;
    if (begin > stored->bytes || bytes > stored->bytes - begin) {
        return weir_fail(err, WEIR_ERR_FORMAT, weir_source_name(from->source),
                         at_tensor(stored->name).text, "a part inside its tensor",
                         "bytes %" PRIu64 " to %" PRIu64, begin, begin + bytes);
    }
    return weir_source_read(from->source, stored->offset + begin, out, (size_t)bytes, err);
}

bool packed_read_values(float *out, size_t count, const packed_part *from, weir_error *failure) {
    unsigned char bytes[PACKED_CODES_MAX * sizeof(float)];
    if (from->stored->dtype != WEIR_DTYPE_F32 || !from->source || count > PACKED_CODES_MAX ||
        from->stored->bytes != count * sizeof(float) ||
        packed_read_bytes(from, 0, bytes, count * sizeof(float), failure) != WEIR_OK) {
        return false;
    }
    convert_to_f32(out, WEIR_DTYPE_F32, bytes, count);
    for (size_t i = 0; i < count; i++) {
        if (!isfinite(out[i])) {
            return false;
        }
    }
    return true;
}

bool packed_read_shape(uint64_t *rows, uint64_t *cols, const packed_part *from,
                       weir_error *failure) {
    unsigned char bytes[16];
    const bool is_wide = from->stored->dtype == WEIR_DTYPE_I64;
    const uint64_t size = is_wide ? 8 : 4;
    if ((!is_wide && from->stored->dtype != WEIR_DTYPE_I32) || !from->source ||
        from->stored->bytes != 2 * size ||
        packed_read_bytes(from, 0, bytes, 2 * size, failure) != WEIR_OK) {
        return false;
    }
    *rows = is_wide ? load_u64(bytes) : load_u32(bytes);
    *cols = is_wide ? load_u64(bytes + 8) : load_u32(bytes + 4);
    return true;
}

bool packed_is_zero_byte(const packed_part *from, weir_error *failure) {
    unsigned char byte;
    return from->stored->bytes == 1 && from->source &&
           packed_read_bytes(from, 0, &byte, 1, failure) == WEIR_OK && byte == 0;
}

bool packed_is_known_map(const float values[16], bool is_nf4) {
    static const float slack = 1e-5F;
    const float *const known = is_nf4 ? nf4_values : fp4_values;
    for (size_t i = 0; i < 16; i++) {
        if (!(fabsf(values[i] - known[i]) < slack)) {
            return false;
        }
    }
    return true;
}

/* As stored: the groups of all inputs, in *out. */
static weir_code read_order(uint32_t **out, const packed_tensor *packed, weir_error *err) {
    const size_t cols = (size_t)packed->cols;
    WEIR_CLEANUP(free) uint32_t *order = checked_alloc(cols, sizeof *order);
    WEIR_CLEANUP(free) unsigned char *bytes = checked_alloc(cols, sizeof *order);
    if (!order || !bytes) {
        return weir_fail_nomem(err);
    }
    WEIR_TRY(packed_read_bytes(&packed->order, 0, bytes, cols * sizeof *order, err));
    for (size_t i = 0; i < cols; i++) {
        order[i] = load_u32(bytes + i * sizeof *order);
    }
    *out = WEIR_TAKE(order);
    return WEIR_OK;
}

typedef struct order_facts {
    bool is_in_range;
    bool is_straight; /* input c is of group c / col_block */
    bool is_unset;
} order_facts;

static order_facts look_at(const uint32_t *order, const packed_tensor *packed) {
    order_facts found = {true, true, true};
    for (uint64_t i = 0; i < packed->cols; i++) {
        found.is_in_range = found.is_in_range && order[i] < packed->groups;
        found.is_straight = found.is_straight && order[i] == i / packed->col_block;
        found.is_unset = found.is_unset && order[i] == UINT32_MAX;
    }
    return found;
}

weir_code packed_check_order(packed_tensor *packed, const char **why, weir_error *err) {
    WEIR_CLEANUP(free) uint32_t *order = NULL;
    WEIR_TRY(read_order(&order, packed, err));
    const order_facts found = look_at(order, packed);
    if (found.is_straight || (found.is_unset && packed->kind != PACKED_INPUTS)) {
        packed->order = (packed_part){0};
    } else if (!found.is_in_range) {
        *why = "a group that does not exist";
    }
    return WEIR_OK;
}

weir_code packed_read_order(uint32_t **out, const packed_tensor *packed, weir_error *err) {
    WEIR_CLEANUP(free) uint32_t *order = NULL;
    WEIR_TRY(read_order(&order, packed, err));
    if (!look_at(order, packed).is_in_range) {
        return weir_fail(err, WEIR_ERR_FORMAT, weir_source_name(packed->order.source),
                         at_tensor(packed->order.stored->name).text, "groups that exist",
                         "another one");
    }
    *out = WEIR_TAKE(order);
    return WEIR_OK;
}
