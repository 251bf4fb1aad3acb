/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file matrix_look.h  A changed matrix in memory, whole or by evenly spaced rows: what the finer
 * tests of a change work on.
 *
 * A sample of s rows of a matrix of rank r has rank r too, and keeps row and column patterns; only
 * the ratio of a weak signal to rounding falls, by sqrt(s / rows).
 */
#ifndef WEIR_DELTA_MATRIX_LOOK_H
#define WEIR_DELTA_MATRIX_LOOK_H

#include "base/cleanup.h"
#include "delta/diff.h"

enum {
    LOOK_SAMPLE_ELEMENTS = 1 << 22, /**< of one array of a sample: 16 MiB */
    LOOK_WHOLE_ELEMENTS = 1 << 26,  /**< of one array of a matrix read whole: 256 MiB */
};

/** Zero-initialise; release with matrix_look_release(). Arrays are [rows, cols], row-major. */
typedef struct matrix_look {
    float *base;   /**< as the model's dtype would hold the base's numbers, where that is a float
                      dtype; else the base's numbers */
    float *change; /**< the model's number less `base` */
    size_t rows;   /**< at hand */
    size_t cols;
    uint64_t rows_of;      /**< of the pair */
    uint64_t row_step;     /**< row i at hand is row i * row_step of the pair */
    double rounding;       /**< mean square of the rounding error of one number of `change`; NaN
                              when the dtypes do not tell */
    weir_dtype dtype;      /**< of the model's stored numbers; meaningless when `rounding` is NaN */
    bool is_twice_rounded; /**< the base's numbers went through the same block dtype */
    double coded_rounding; /**< the same, within a third, from the codes and scales of the model:
                              for K and IQ types and packed codes too; NaN for floats */
    double step;           /**< mean step between levels of coded numbers; 0 for floats */
    double change_square;  /**< sum over `change` */
    double base_square;
    size_t not_finite; /**< numbers of either side that are not finite; they count as 0 */
    size_t capacity;   /**< numbers that each array has room for */
} matrix_look;

/**
 * Read a pair of matrices.
 *
 * @param[out] out       zero-initialised, or one that was read before: its memory is used again
 * @param row            a row of diff->tensors in state TENSOR_COMPARED
 * @param elements_most  LOOK_SAMPLE_ELEMENTS or LOOK_WHOLE_ELEMENTS: as many whole rows as fit are
 *                       read, evenly spaced
 * @return WEIR_OK; WEIR_ERR_LIMIT when not one row fits; WEIR_ERR_IO; WEIR_ERR_NOMEM
 *
 * Thread-safe for distinct out. Cost: the rows of both sides are read once.
 */
weir_code matrix_look_read(matrix_look *out, const weir_diff *diff, const tensor_delta *row,
                           size_t elements_most, weir_error *err);

/**
 * A smaller look of the same pair: at most `rows_most` of the rows at hand and `cols_most` of the
 * columns, both evenly spaced, columns in runs of 32 so that blocks stay whole. A change of low
 * rank keeps its rank, one of full rank does too; only the ratio to rounding falls.
 *
 * @param[out] out  zero-initialised, or one that was read before: its memory is used again
 * @return WEIR_OK; WEIR_ERR_NOMEM
 */
weir_code matrix_look_thin(matrix_look *out, const matrix_look *look, size_t rows_most,
                           size_t cols_most, weir_error *err);

/** Whether every row of the pair is at hand. */
bool matrix_look_is_whole(const matrix_look *look);

void matrix_look_release(matrix_look *look);
static inline void matrix_look_release_cleanup(matrix_look *look) {
    matrix_look_release(look);
}

#endif
