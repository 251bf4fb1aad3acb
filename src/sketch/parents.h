/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file parents.h  Which of several relatives a model was merged from, and with what shares.
 *
 * All arrays are aligned: the same units of the same layers in the same order. The child's delta
 * from the nearest relative is explained by the deltas of the others; see parents.c for the model.
 */
#ifndef WEIR_SKETCH_PARENTS_H
#define WEIR_SKETCH_PARENTS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "weir/error.h"

enum { PARENTS_MAX = 8, PARENT_CANDIDATES_MAX = 64 };

/** A piece of the model, at most one layer, whose numbers all sides have. */
typedef struct parents_piece {
    size_t begin; /**< first number in every array */
    size_t count;
    int32_t layer;
} parents_piece;

typedef struct parents_input {
    const float *child;             /**< numbers, piece after piece */
    const float *const *candidates; /**< as many numbers each; NULL for one that was not readable */
    size_t candidate_count;         /**< at most PARENT_CANDIDATES_MAX */
    const parents_piece *pieces;
    size_t piece_count;
    bool
        is_projected; /**< sums of numbers instead of numbers: nothing can be said of single ones */
    double child_rounding; /**< relative rounding error of the child's dtype: 2^-9 for bf16, 0 for
                              F32 */
} parents_input;

typedef enum parents_kind {
    PARENTS_NEAREST,       /**< one relative explains it best; the rest is the child's own */
    PARENTS_MERGE,         /**< two or more relatives, and nothing but rounding is left */
    PARENTS_MERGE_SPARSE,  /**< so once each number may come from a subset (ties, dare) */
    PARENTS_MERGE_LAYERED, /**< the shares differ from layer to layer */
    PARENTS_PASSTHROUGH,   /**< whole layers of different relatives */
    PARENTS_MISSING, /**< several relatives contribute, but a large rest says that one is missing */
} parents_kind;

typedef struct parents_share {
    size_t candidate;
    double share; /**< of the child; all shares sum to 1; NaN when withheld */
    double low;   /**< 95% interval */
    double high;
} parents_share;

typedef struct parents_result {
    parents_kind kind;
    parents_share shares[PARENTS_MAX]; /**< largest first */
    size_t share_count;
    double residual; /**< unexplained norm, relative to the child's distance from the nearest */
    bool missing_parent;
} parents_result;

/**
 * Solve for the parents.
 *
 * @param[out] out  untouched on failure
 * @return WEIR_OK; WEIR_ERR_ARG for more candidates than the limit; WEIR_ERR_NOMEM
 *
 * Deterministic: fixed order of sums, seeds are constants. Cost: O(numbers x candidates).
 */
weir_code parents_solve(parents_result *out, const parents_input *input, weir_error *err);

#endif
