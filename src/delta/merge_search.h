/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file merge_search.h  Which recipe re-computes some samples best.
 *
 * Methods without free numbers are tried as they are. Weights of the linear family come from a fit
 * and are snapped to what people write: steps of .05 and .01, and fractions k / n. Densities and
 * weights of sparse methods, which no linear fit gives, are found by descent: one at a time, on a
 * grid that gets finer, by a score that climbs towards equal numbers.
 */
#ifndef WEIR_DELTA_MERGE_SEARCH_H
#define WEIR_DELTA_MERGE_SEARCH_H

#include "delta/merge_replay.h"

/** A recipe, what it takes its sources from, and how well it does. */
typedef struct merge_candidate {
    merge_recipe recipe;
    size_t columns[MERGE_PARENTS_MAX]; /**< of the samples */
    merge_score score;
} merge_candidate;

typedef struct merge_search {
    const merge_sample *samples; /**< columns: the parents, then the base */
    const weir_dtype *dtypes;    /**< the model's, by sample */
    size_t sample_count;
    size_t parent_count;               /**< at most MERGE_PARENTS_MAX - 1 */
    double weights[MERGE_PARENTS_MAX]; /**< of a linear fit over all samples */
    double scale;                      /**< and of the base, beyond 1 - sum of weights */
    weir_dtype effective; /**< coarsest of F32, F16, BF16 that holds the model's numbers */
    weir_dtype inputs;    /**< and the parents' */
} merge_search;

enum { MERGE_FORMS_MAX = 36 };

/** The forms of the linear family: methods that take the same weights for every number, in each
 * arithmetic. @return how many, at most MERGE_FORMS_MAX */
size_t merge_search_forms(merge_recipe out[MERGE_FORMS_MAX], const merge_search *search);

/**
 * Find the weights of a form that re-compute the samples best.
 * @param best  a candidate to start from; score.count is 0 for none
 * @param form  one of merge_search_forms(); its weights are not used
 */
weir_code merge_search_weights(merge_candidate *best, const merge_search *search,
                               const merge_recipe *form, weir_error *err);

/** Score weights that came from elsewhere. They replace *best when they are as good. */
weir_code merge_search_try(merge_candidate *best, const merge_search *search,
                           const merge_recipe *form, const double *weights, weir_error *err);

/** Find the best of all other methods. out->score.count is 0 when none was tried. */
weir_code merge_search_others(merge_candidate *out, const merge_search *search, weir_error *err);

#endif
