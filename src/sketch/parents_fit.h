/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file parents_fit.h  Least squares of the child on some relatives, and which relatives to take.
 *
 * Members are relatives (columns of parents_rows). With m_0 the first member:
 *     child - m_0 = k reference + sum_{i>=1} w_i (m_i - m_0) + rest,     w_0 = 1 - sum w_i
 * so that any member can play the base, and shares do not depend on which one does.
 */
#ifndef WEIR_SKETCH_PARENTS_FIT_H
#define WEIR_SKETCH_PARENTS_FIT_H

#include "sketch/parents_rows.h"

/**
 * Sums of products of columns, by piece, and their total at the end.
 *
 * Even: every row counts alike, as it should when the rest is large. Else a row counts by how far
 * its rounding is below the change: rounding is not quite independent of the change (near a share
 * of 1/2 it leans to the larger one), which is all that is left to err in a fit without a rest.
 */
typedef struct parents_gram {
    bool is_even;
    size_t width;
    size_t piece_count;
    double *sums;    /**< [piece_count + 1][width][width] */
    double *squares; /**< [cluster_count][width] */
} parents_gram;

weir_code parents_gram_make(parents_gram *out, bool is_even, const parents_rows *rows,
                            weir_error *err);
void parents_gram_release(parents_gram *gram);
static inline void parents_gram_release_cleanup(parents_gram *gram) {
    parents_gram_release(gram);
}
static inline const double *parents_gram_of(const parents_gram *gram, size_t piece) {
    return gram->sums + piece * gram->width * gram->width;
}

typedef struct parents_fit {
    size_t count;
    size_t members[PARENTS_MAX];
    double weights[PARENTS_MAX]; /**< sum to 1 */
    double errors[PARENTS_MAX]; /**< standard errors, from clusters; filled by parents_fit_errors */
    double slack[PARENTS_MAX];  /**< what rounding that follows the change can add; as errors */
    double scale;               /**< k */
    double rest;                /**< squared norm */
} parents_fit;

/**
 * Fit the members that *fit names to one piece, or to all (piece = gram->piece_count).
 * @return false when they are not affinely independent; *fit keeps its members
 */
bool parents_fit_solve(parents_fit *fit, const parents_gram *gram, size_t piece);

/** Share i of the child, free of the scale. */
static inline double parents_fit_share(const parents_fit *fit, size_t i) {
    const double all = 1 + fit->scale;
    if (i > 0) {
        return fit->weights[i] / all;
    }
    double rest = 1;
    for (size_t k = 1; k < fit->count; k++) {
        rest -= fit->weights[k] / all;
    }
    return rest;
}

/** What the fit says of a row's column 0. */
double parents_fit_predict(const parents_fit *fit, const float *row);

/** Standard errors by clusters of rows, and what rounding that follows the change can add. */
weir_code parents_fit_errors(parents_fit *fit, const parents_gram *gram, const parents_rows *rows,
                             weir_error *err);

/**
 * Forward steps from the reference, then backward ones.
 *
 * Each step takes the relative that lowers the rest most among those whose weight differs from 0
 * at a two-sided level of `level` over the number of relatives (Student's t over clusters), so that
 * a step takes one that has no weight with a probability of at most `level`; below a weight of
 * PARENTS_SHARE_MIN nothing is taken.
 */
#define PARENTS_STEP_LEVEL 0.001
#define PARENTS_SHARE_MIN  0.015
weir_code parents_fit_select(parents_fit *out, double level, const parents_gram *gram,
                             const parents_rows *rows, weir_error *err);
/** Take away, one after the other, members without a weight, and fit the errors of the others. */
weir_code parents_fit_prune(parents_fit *fit, const parents_gram *gram, const parents_rows *rows,
                            weir_error *err);

/** The largest weight that some relative which is no member could have, at 95% for each alone. */
weir_code parents_fit_bound(double *out, const parents_fit *fit, const parents_gram *gram,
                            const parents_rows *rows, weir_error *err);

#endif
