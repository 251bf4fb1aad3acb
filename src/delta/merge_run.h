/* SPDX-License-Identifier: Apache-2.0 */
/** @file merge_run.h  What the steps of merge_decide() share. */
#ifndef WEIR_DELTA_MERGE_RUN_H
#define WEIR_DELTA_MERGE_RUN_H

#include "delta/merge_fit.h"
#include "delta/merge_search.h"

/** One row of diff->tensors that a merge would have to explain. */
typedef struct merge_work {
    size_t row;
    merge_gram gram;      /**< of the parents in question */
    merge_fit fit;        /**< of merge_run.chosen, and the base */
    merge_candidate best; /**< of its sample */
    merge_score whole;    /**< re-computed whole; count is 0 when it was not tried */
    bool is_still;        /**< no chosen parent differs from the base here */
    uint8_t held;         /**< bits: F16, BF16 holds all numbers of the sample */
} merge_work;

typedef struct merge_run {
    weir_diff *diff;
    const weir_diff_options *options;
    merge_finding *out;
    merge_work *works; /**< as many as rows that changed and that a parent has */
    size_t work_count;
    ptrdiff_t asked[WEIR_DIFF_PARENTS_MAX]; /**< usable parents, of diff->parents */
    size_t asked_count;
    ptrdiff_t chosen[MERGE_PARENTS_MAX]; /**< those in the merge; the base after them */
    size_t chosen_count;
    merge_gram pooled; /**< over all works */
    weir_dtype effective;
    weir_dtype inputs;
    double common[2][MERGE_PARENTS_MAX]; /**< weights of the fit over all rows, in steps of .05 and
                                            of .01: noise that hides a row's own averages out */
    merge_recipe form;                   /**< what the rows are re-computed by */
    size_t columns[MERGE_PARENTS_MAX];
} merge_run;

typedef weir_code (*merge_step)(merge_run *run, merge_work *work, weir_error *err);

/** Do a step for every work, on as many threads as the options allow. The failure is the first in
 * order. */
weir_code merge_for_each(merge_run *run, merge_step step, weir_error *err);

/** What the best fit of all parents leaves, and the best parent alone, of the squared change. */
typedef struct merge_contributions {
    merge_fit all;
    size_t nearest; /**< of merge_run.asked */
    double alone;
} merge_contributions;

bool merge_is_float(weir_dtype dtype);
weir_dtype merge_model_dtype(const merge_run *run, const merge_work *work);

/** Re-compute every row with weights of its own. @param run  form and chosen are set */
weir_code merge_fit_rows(merge_run *run, weir_error *err);

/**
 * Tell weights that change from layer to layer as mergekit's gradients: for attention, feed-forward
 * and the rest apart, a polygon with as few corners as fit, its corners on a grid.
 *
 * @param[out] weights  [work_count][MERGE_PARENTS_MAX]; NaN where no polygon was found
 */
weir_code merge_curves(double *weights, const merge_run *run, weir_error *err);

/** Whether every changed tensor is one source's own; proved whole. */
weir_code merge_try_copies(bool *is_found, merge_run *run, weir_error *err);

/** The same of models whose layers stand elsewhere, or more than once; proved whole. */
weir_code merge_try_layers(bool *is_found, merge_run *run, weir_error *err);

/** Whether every number is one source's, or the base and some of the changes. @param run  chosen is
 * set */
weir_code merge_try_random(bool *is_found, merge_run *run, weir_error *err);

/* What is said. */

/** Which of the finding's parents a source is; added when it is new. */
size_t merge_place_of(merge_finding *out, ptrdiff_t parent);
weir_code merge_tell(merge_run *run, const char *sentence, weir_error *err);
/** What re-computing all rows said. @param[out] is_merge  whether most of the change is explained;
 * else nothing is changed */
weir_code merge_conclude(bool *is_merge, merge_run *run, merge_method method, weir_error *err);
weir_code merge_tell_nearest(merge_run *run, const merge_contributions *found, weir_error *err);

#endif
