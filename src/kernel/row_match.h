/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file row_match.h  Which row of one matrix is which row of another, when rows were moved, left
 * out, added or changed a little.
 *
 * First by bits: rows that are equal are partners, where several are equal in the order in which
 * they stand. Then by angle: the mean row of each matrix is taken away (of 32 rows or more), and
 * two rows are partners when each is the other's nearest by cosine, clearly nearer than the next,
 * and above what chance gives. For directions drawn at random in c dimensions P(cos > t) < exp(-c
 * t^2 / 2), so that among n m pairs none is expected above sqrt(2 ln(1000 n m) / c) but once in a
 * thousand matrices.
 */
#ifndef WEIR_KERNEL_ROW_MATCH_H
#define WEIR_KERNEL_ROW_MATCH_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "weir/error.h"

#define ROW_MATCH_NONE UINT32_MAX

/** Multiplications that a search by angle may take; beyond them only equal rows are found. */
#define ROW_MATCH_WORK_MAX ((uint64_t)1 << 38)

typedef struct row_match_options {
    bool any_sign;     /**< a row may be the negative of its partner */
    bool may_repeat;   /**< several rows may have one partner */
    bool keep_mean;    /**< the rows of one side are not a sample of the other's kind */
    double cosine_min; /**< of partners that are not equal; chance may ask for more */
    bool only_equal;   /**< no search by angle */
    double nearness; /**< most of (1 - cosine) of a partner, in those of the next nearest; 1: any */
} row_match_options;

typedef struct row_match_count {
    size_t equal;    /**< rows with a partner of the same bits */
    size_t telling;  /**< of them, those that equal one row only, and not a constant one */
    size_t near;     /**< rows with a partner by angle */
    double cosine;   /**< mean over those by angle; NaN without any */
    bool is_limited; /**< the search by angle would have taken too long */
} row_match_count;

/**
 * Find the partner of each row.
 *
 * @param[out] partners  [from_rows], index into `to` or ROW_MATCH_NONE
 * @param[out] signs     [from_rows], 1 or -1; NULL unless options->any_sign
 * @param from           [from_rows, cols], row-major; rows that are not finite have no partner
 * @param to             [to_rows, cols]
 * @return WEIR_OK; WEIR_ERR_NOMEM
 *
 * Cost: a hash of each row; for what is not equal the product of both matrices, and copies of them.
 */
weir_code row_match_find(uint32_t *partners, int8_t *signs, row_match_count *count,
                         const float *from, size_t from_rows, const float *to, size_t to_rows,
                         size_t cols, const row_match_options *options, weir_error *err);

/** Cosine of two rows; NaN when one is zero or not finite. */
double row_cosine(const float *a, const float *b, size_t cols);

#endif
