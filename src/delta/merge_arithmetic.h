/* SPDX-License-Identifier: Apache-2.0 */
/** @file merge_arithmetic.h  Single steps that the totals and the numbers of a merge share. */
#ifndef WEIR_DELTA_MERGE_ARITHMETIC_H
#define WEIR_DELTA_MERGE_ARITHMETIC_H

#include "delta/merge_rank.h"
#include "delta/merge_rule.h"

static const float ram_epsilon = 1e-5F; /* a change up to it counts as none */

static inline float rounded(const merge_recipe *recipe, float value) {
    return merge_round(value, recipe->computed);
}

/** T_i of one number; both sides are read in the dtype of the arithmetic. */
static inline float task_of(const merge_recipe *recipe, float source, float base) {
    return rounded(recipe, rounded(recipe, source) - rounded(recipe, base));
}

static inline bool is_sparse(merge_method method) {
    return method == MERGE_TIES || method == MERGE_BREADCRUMBS || method == MERGE_BREADCRUMBS_TIES;
}

/** Population variance over the sources of their task vectors; torch takes it in float32. */
static inline float variance(const merge_recipe *recipe, const float *tasks) {
    double mean = 0;
    double sum = 0;
    for (size_t i = 0; i < recipe->count; i++) {
        mean += (double)tasks[i] / (double)recipe->count;
    }
    for (size_t i = 0; i < recipe->count; i++) {
        sum += ((double)tasks[i] - mean) * ((double)tasks[i] - mean);
    }
    return rounded(recipe, (float)(sum / (double)recipe->count));
}

#endif
