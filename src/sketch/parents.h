/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file parents.h  Which of several relatives a model was merged from, and with what shares.
 *
 * All arrays are aligned: the same units of the same layers in the same order. The child is taken
 * as an affine combination of relatives, times a free scale near 1 (slerp), plus a rest: child = (1
 * + k) sum a_i relative_i + rest,    sum a_i = 1 A merge is claimed only when the rest is nothing
 * but rounding; parents.c says how that is judged.
 */
#ifndef WEIR_SKETCH_PARENTS_H
#define WEIR_SKETCH_PARENTS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "weir/error.h"

enum { PARENTS_MAX = 8, PARENT_CANDIDATES_MAX = 64, PARENT_PIECES_MAX = 4096 };

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
    const parents_piece *pieces;    /**< at most PARENT_PIECES_MAX; they do not overlap */
    size_t piece_count;
    bool
        is_projected; /**< sums of numbers instead of numbers: nothing can be said of single ones */
    /** Half the spacing of the child's float type just above 1: 2^-8 for bf16, 2^-11 for F16, 0
     * for F32. Wrong only on the side of claiming less when too large. */
    double child_rounding;
    /** Of a child in a block type: rms error of a number over the rms of the numbers, about .005
     * for Q8_0, .07 for Q4_K; 0 for float types. */
    double child_noise;
    /** child_rounding of each candidate; NULL when each is exactly what a merge would have read. */
    const double *candidate_rounding;
} parents_input;

typedef enum parents_kind {
    PARENTS_NONE,          /**< no candidate is near: nothing is said */
    PARENTS_NEAREST,       /**< one relative explains it best; the rest is the child's own */
    PARENTS_MERGE,         /**< two or more relatives, and nothing but rounding is left */
    PARENTS_MERGE_SPARSE,  /**< so once each number may come from a subset (ties, dare) */
    PARENTS_MERGE_LAYERED, /**< so once the shares may differ from piece to piece */
    PARENTS_PASSTHROUGH,   /**< every piece is a copy of one relative's, and not always the same */
    PARENTS_MISSING, /**< several relatives contribute, but a large rest says that one is missing */
    PARENTS_UNSETTLED, /**< several seem to contribute; whether the rest is a missing parent, what
                            ties or dare left out, or the child's own, these numbers cannot say */
} parents_kind;

typedef struct parents_share {
    size_t candidate;
    /** Of the child; all shares sum to 1; below 0 where a merge went beyond (task arithmetic with
     * weights that sum to more than 1). NaN when withheld: the candidate contributes, unknown how
     * much. MERGE_SPARSE: the least-squares weight, that is the mean weight over the numbers, each
     * counted by its squared delta. LAYERED: the mean over the layers. PASSTHROUGH: of the layers.
     */
    double share;
    /** 95% interval. Rounding is in it; a parent with less than .015, which is not told, is not. */
    double low;
    double high;
} parents_share;

typedef struct parents_result {
    parents_kind kind;
    parents_share shares[PARENTS_MAX]; /**< largest first; withheld ones by index */
    size_t share_count;
    /** Unexplained norm, over the child's distance from the nearest, rounding included; NaN when
     * there is no distance. */
    double residual;
    bool missing_parent; /**< kind is PARENTS_MISSING */
    /** Near-duplicates (mirrors in another dtype) are one candidate: which candidate stands for
     * this one, itself for most. Its own index also when it was not readable or is a stranger. */
    size_t stands_for[PARENT_CANDIDATES_MAX];
    size_t numbers_used; /**< whose rounding is small against the change; 0 if it was not needed */
} parents_result;

/**
 * Solve for the parents.
 *
 * A candidate with a number that is not finite counts as not readable; numbers of the child that
 * are not finite are left out.
 *
 * @param[out] out  untouched on failure
 * @return WEIR_OK; WEIR_ERR_ARG for more candidates or pieces than the limits; WEIR_ERR_NOMEM
 *
 * Deterministic: one thread, fixed order of sums, no random numbers. Cost: O(numbers x candidates),
 * and O(candidates^2) for at most 2^17 numbers; memory 4 bytes x 2^17 x candidates at most.
 * Thread-safe for distinct out.
 */
weir_code parents_solve(parents_result *out, const parents_input *input, weir_error *err);

#endif
