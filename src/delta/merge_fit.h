/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file merge_fit.h  Coefficients of a linear merge from sampled numbers, and which of many
 * candidates they need.
 *
 * With C the model, B the base and T_j = X_j - B, weighted least squares of
 *     C - B = k B + sum w_j T_j
 * over the numbers where some |T_j| is at least four units of C's rounding: below that, rounding
 * is correlated with the change, and a plain fit is off by many standard errors. Weights are one
 * over the unit, at most eight over its median, so that single numbers near zero do not rule.
 *
 * Null of the selection: a candidate that is not in the merge has a coefficient of 0 whose square
 * over its variance follows chi-square with one degree of freedom.
 */
#ifndef WEIR_DELTA_MERGE_FIT_H
#define WEIR_DELTA_MERGE_FIT_H

#include "delta/merge_sample.h"

enum { FIT_COLUMNS_MAX = WEIR_DIFF_PARENTS_MAX + 2 };

/** Weighted inner products of the columns T_0 .. T_(n-1), B, C - B. Zero-initialised. */
typedef struct merge_gram {
    double inner[FIT_COLUMNS_MAX][FIT_COLUMNS_MAX]; /**< upper triangle */
    size_t parents;
    double count; /**< numbers */
} merge_gram;

/**
 * Add the numbers of a sample.
 * @param unit_bits  mantissa bits of the model's numbers; negative: one unit for all, of a block
 * type
 * @return WEIR_OK; WEIR_ERR_NOMEM
 */
weir_code merge_gram_add(merge_gram *gram, const merge_sample *sample, int unit_bits,
                         weir_error *err);
void merge_gram_merge(merge_gram *into, const merge_gram *from);

/** Coefficients over a set of columns. */
typedef struct merge_fit {
    size_t members[FIT_COLUMNS_MAX]; /**< columns; gram.parents is the base */
    double weights[FIT_COLUMNS_MAX];
    double errors[FIT_COLUMNS_MAX]; /**< standard errors */
    size_t count;
    double rest;   /**< squares left, in squared units */
    double change; /**< squares of C - B */
} merge_fit;

/** Solve for fit->members. @return false when the columns are not independent */
bool merge_fit_solve(merge_fit *fit, const merge_gram *gram);

/**
 * Choose columns: all that are independent, then the least significant leaves until every one is
 * needed. @param out  members rise
 */
void merge_fit_select(merge_fit *out, const merge_gram *gram);

/** The weight of a column, 0 for one that is not a member. */
double merge_fit_weight(const merge_fit *fit, size_t column);

#endif
