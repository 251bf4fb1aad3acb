/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file merge_rule.h  The arithmetic of merge methods, so exact that a merge is re-computed bit for
 * bit: every step is rounded to the dtype that the tool computes in.
 *
 * R() rounds to that dtype; B is the base, X_i a source, T_i = R(X_i - B), w_i a weight.
 *     linear            sum w_i X_i in float32, over sum w_i when normalised; or every product and
 *                       the sum in R, as before mergekit 0.1.5
 *     slerp             s_0 X_0 + s_1 X_1 in float32, s from the angle of the whole tensors
 *     nuslerp           the same in R; with a base, of T_i
 *     task arithmetic   R(B + lambda R(sum R(w_i T_i))), over R(sum w_i) when normalised
 *     ties              T_i without all but its largest share; of w_i T_i only those whose sign is
 *                       the sign of their sum; normalised by the w_i that took part
 *     breadcrumbs       T_i without its smallest and its very largest; with or without election
 *     model stock       t mean(X_i) + (1 - t) B,  t = n c / (1 + (n - 1) c), c the mean cosine of
 *                       the T_i
 *     sce               T_i where their variance is largest, elected as in ties, weighed by mean
 *                       square
 *     karcher, multislerp   sum c_i X_i (or B + sum c_i T_i), c_i from the inner products
 *     nearswap          w X_1 + (1 - w) X_0,  w = min(1, t / |X_0 - X_1|)
 *     ram, ram plus     T_i where it stands alone (times a factor near 1), the mean of T_i
 * elsewhere Some need sums, or the rank of numbers, over the whole tensor first: merge_totals, in
 * one or two passes. Of a sample these are estimates.
 *
 * Source: arcee-ai/mergekit 0.1.5, merge_methods and sparsify.py; docs/evidence.md "Merges".
 */
#ifndef WEIR_DELTA_MERGE_RULE_H
#define WEIR_DELTA_MERGE_RULE_H

#include "delta/merge.h"

/** One way to compute a tensor from the base and sources. */
typedef struct merge_recipe {
    merge_method method;
    size_t count; /**< sources; for slerp and nearswap 0 is the endpoint called base */
    double weights[MERGE_PARENTS_MAX];
    double densities[MERGE_PARENTS_MAX]; /**< ties, breadcrumbs; sce: [0] is select_topk */
    double gamma;                        /**< breadcrumbs: share of the largest left out */
    double lambda;                       /**< of the sum; nearswap: t; 1 else */
    bool is_normalised;
    bool is_on_base;     /**< nuslerp, multislerp: of task vectors */
    bool is_in_dtype;    /**< linear: products rounded one by one */
    weir_dtype computed; /**< F32, F16 or BF16 */
    weir_dtype stored;   /**< of the result, before the model's own dtype: F32, F16 or BF16 */
} merge_recipe;

/** Sums and ranks over a tensor. Zero-initialise; release with merge_totals_release(). */
typedef struct merge_totals {
    const merge_recipe *recipe;
    bool is_rough;  /**< set before the first begin: ranks to the 16th bit, enough for a sample */
    uint64_t count; /**< numbers of the tensor */
    double inner[9][9];                /**< of sources; model stock: of R'd products */
    double squares[9];                 /**< sce: of R'd squares; ram plus: shared and alone */
    struct rank_table *ranks;          /**< a table for every source; NULL where none is needed */
    uint64_t open[MERGE_PARENTS_MAX];  /**< numbers at a boundary whose choice shows */
    uint64_t taken[MERGE_PARENTS_MAX]; /**< of these, in */
    float scalars[MERGE_PARENTS_MAX];  /**< settled: coefficients, weights or factors */
    float scalar;                      /**< settled: of the base; the angle's branch */
} merge_totals;

/**
 * Begin a tensor of `count` numbers.
 * @return WEIR_OK; WEIR_ERR_NOMEM
 */
weir_code merge_totals_begin(merge_totals *out, const merge_recipe *recipe, uint64_t count,
                             weir_error *err);
/** Passes over the whole tensor before merge_rule_apply(): 0 to 3. */
int merge_totals_passes(const merge_totals *totals);
/** Take in some numbers of every side, in order. @param pass  from 0 */
void merge_totals_add(merge_totals *out, int pass, const float *base, const float *const *sources,
                      size_t count);
/** End a pass. */
void merge_totals_settle(merge_totals *out, int pass);
void merge_totals_release(merge_totals *totals);
static inline void merge_totals_release_cleanup(merge_totals *totals) {
    merge_totals_release(totals);
}

/**
 * Compute numbers, rounded to recipe->stored.
 *
 * @param[out] out  `count` floats
 * @param wanted    the model's: where a number stands at the boundary of a rank, and may be in or
 *                  out, the choice that comes nearest is taken
 */
void merge_rule_apply(float *out, merge_totals *totals, const float *base,
                      const float *const *sources, const float *wanted, size_t count);

/** The density that the numbers show, once all were computed: how many of those at the boundary are
 * in. The recipe's own where the boundary has none to show. */
double merge_totals_density(const merge_totals *totals, size_t source);

/** Round to F32, F16 or BF16, to nearest even. */
float merge_round(float value, weir_dtype dtype);

#endif
