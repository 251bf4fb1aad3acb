/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file unit_code.h  Short codes of rows that keep their angles: the same bits on every machine.
 *
 * Only additions, multiplications and square roots of IEEE 754 in a fixed order; no contraction, no
 * libm.
 */
#ifndef WEIR_KERNEL_UNIT_CODE_H
#define WEIR_KERNEL_UNIT_CODE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { UNIT_PROJECTIONS = 128, UNIT_BATCH = 16, UNIT_COLS_MAX = 1 << 20, TOKEN_CODE_ROWS = 256 };

/**
 * Multiply by `gain` (NULL: 1) and scale each row to length 1; rows that are zero or not finite,
 * before or after, become 0.
 * @param rows    [row_count, cols], in place
 * @param gain    cols floats, or NULL
 * @param usable  per row: set to false when it became 0, else left as it was; may be NULL
 */
void unit_rows_normalise(float *rows, size_t row_count, size_t cols, const float *gain,
                         bool *usable);

/** Take the mean of the usable rows away from each of them; unusable rows stay 0. */
void unit_rows_center(float *rows, size_t row_count, size_t cols, const bool *usable);

/**
 * UNIT_PROJECTIONS coordinates of H D2 H D1 x for each row x, with D1 and D2 fixed random signs and
 * H the Walsh-Hadamard transform over x padded with zeros to a power of two (at least
 * UNIT_PROJECTIONS) [1]. Divided by that power of two, so that
 * a coordinate is about as large as a number of x.
 *
 * @param out        [row_count, UNIT_PROJECTIONS]
 * @param rows       [row_count, cols], at most UNIT_BATCH of them, cols at most UNIT_COLS_MAX
 * @param scratch    unit_scratch_floats(cols) floats, overwritten
 * [1] Ailon and Chazelle 2009; Andoni et al. 2015 (pseudo-random rotations).
 */
void unit_project(float (*out)[UNIT_PROJECTIONS], const float *rows, size_t row_count, size_t cols,
                  float *scratch);
size_t unit_scratch_floats(size_t cols);

/** Bit i is set when values[i] > 0. */
void unit_signs(uint64_t *out, const float *values, size_t count);

/**
 * Signs of the inner products of rows with TOKEN_CODE_ROWS token rows.
 * @param out     4 words a row
 * @param rows    [row_count, cols]
 * @param tokens  [TOKEN_CODE_ROWS, cols]
 */
void unit_token_codes(uint64_t (*out)[4], const float *rows, size_t row_count, size_t cols,
                      const float *tokens);

/**
 * Bits in which codes differ, where the mask has ones.
 * @param out        [UNIT_BATCH, UNIT_BATCH]: code i of a against code j of b
 * @param a, b       UNIT_BATCH codes of `words` words each
 * @param mask       `words` words
 */
void unit_code_distances(uint16_t out[UNIT_BATCH][UNIT_BATCH], const uint64_t *a, const uint64_t *b,
                         const uint64_t *mask, size_t words);

/** The same of code i against code i alone. */
void unit_code_distances_own(uint16_t out[UNIT_BATCH], const uint64_t *a, const uint64_t *b,
                             const uint64_t *mask, size_t words);

#endif
