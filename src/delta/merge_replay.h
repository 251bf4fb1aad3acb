/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file merge_replay.h  Re-compute a tensor of a merge, on a sample or whole, and count the numbers
 * that come out bit for bit.
 */
#ifndef WEIR_DELTA_MERGE_REPLAY_H
#define WEIR_DELTA_MERGE_REPLAY_H

#include "delta/merge_rule.h"
#include "delta/merge_sample.h"

/** What re-computing some numbers showed. */
typedef struct merge_score {
    uint64_t count;
    uint64_t equal; /**< bit for bit, as the model's dtype holds them */
    uint64_t moved; /**< numbers that the base, rounded alike, does not have already, by either */
    uint64_t hit;   /**< of these, equal */
    double near;    /**< sum over moved of 1 / (1 + (error / unit)^2): climbs towards a fit */
    double rest;    /**< sum of squared errors */
    double change;  /**< sum of squares of model - base */
    double densities[MERGE_PARENTS_MAX]; /**< that the numbers show, times count */
} merge_score;

/** @return share of equal numbers; of `moved` ones when there are any. */
double merge_score_share(const merge_score *score);
void merge_score_add(merge_score *into, const merge_score *from);

/**
 * Re-compute a sample; ranks and sums are taken of the sample.
 *
 * @param sources   indices into sample->parents, recipe->count of them
 * @param dtype     the model's, as stored
 * @param totals    scratch, zero-initialised, used again between calls
 * @param out       scratch, sample->count floats
 */
weir_code merge_replay_sample(merge_score *score, const merge_recipe *recipe,
                              const merge_sample *sample, const size_t *sources, weir_dtype dtype,
                              merge_totals *totals, float *out, weir_error *err);

/**
 * Re-compute a whole tensor by streaming its rows.
 *
 * @param row      of diff->tensors
 * @param parents  indices into diff->parents, recipe->count of them; VIEW_NONE stands for the base
 * @return WEIR_OK; WEIR_ERR_IO; WEIR_ERR_CANCELLED; WEIR_ERR_NOMEM
 *
 * Cost: the rows of all sides once, and once more for each of merge_totals_passes(). Thread-safe
 * for distinct score.
 */
weir_code merge_replay_whole(merge_score *score, const merge_recipe *recipe, const weir_diff *diff,
                             size_t row, const ptrdiff_t *parents, const weir_callbacks *callbacks,
                             weir_error *err);

#endif
