/* SPDX-License-Identifier: Apache-2.0 */
/** @file looks.h  Small looks at changes that tests make up. */
#ifndef WEIR_TESTS_DELTA_LOOKS_H
#define WEIR_TESTS_DELTA_LOOKS_H

#include "../testing.h"

#include <math.h>
#include <stdlib.h>

#include "base/hash.h"
#include "delta/matrix_look.h"
#include "delta/rounding.h"
#include "kernel/convert.h"

/** Sum of four uniform numbers: near enough to a normal one, of variance 1. */
static inline float draw(uint64_t *seed) {
    double sum = 0;
    for (int i = 0; i < 4; i++) {
        sum += ldexp((double)(hash_next(seed) >> 11), -53) - 0.5;
    }
    return (float)(sum * sqrt(3));
}

static inline double square_of(const float *values, size_t count) {
    double sum = 0;
    for (size_t i = 0; i < count; i++) {
        sum += (double)values[i] * (double)values[i];
    }
    return sum;
}

/** Replace numbers by what a dtype stores of them. */
static inline void through(weir_dtype dtype, float *values, size_t count) {
    const weir_dtype_info *info = weir_dtype_get(dtype);
    void *const stored = malloc(count / info->block_elements * info->block_bytes);
    assert_non_null(stored);
    convert_from_f32(stored, dtype, values, count);
    convert_to_f32(values, dtype, stored, count);
    free(stored);
}

/** A base of random numbers, and no change; release with matrix_look_release(). */
static inline matrix_look make_look(size_t rows, size_t cols, weir_dtype dtype, uint64_t seed) {
    matrix_look look = {.rows = rows,
                        .cols = cols,
                        .rows_of = rows,
                        .row_step = 1,
                        .dtype = dtype,
                        .base = calloc(rows * cols, sizeof(float)),
                        .change = calloc(rows * cols, sizeof(float))};
    assert_true(look.base && look.change);
    for (size_t i = 0; i < rows * cols; i++) {
        look.base[i] = 0.03F * draw(&seed);
    }
    if (rounding_mantissa_bits(dtype) >= 0) {
        through(dtype, look.base, rows * cols);
    }
    return look;
}

/** Store base + added in the look's dtype; what became of `added` is the change. */
static inline void store_change(matrix_look *look, const float *added) {
    const size_t count = look->rows * look->cols;
    for (size_t i = 0; i < count; i++) {
        look->change[i] = look->base[i] + added[i];
    }
    through(look->dtype, look->change, count);
    for (size_t i = 0; i < count; i++) {
        look->change[i] -= look->base[i];
    }
    look->rounding = rounding_mean_square(look->dtype, look->base, count);
    look->base_square = square_of(look->base, count);
    look->change_square = square_of(look->change, count);
}

#endif
