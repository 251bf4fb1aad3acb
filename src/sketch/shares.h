/* SPDX-License-Identifier: Apache-2.0 */
/** @file shares.h  What part of a model each of its candidates gave. */
#ifndef WEIR_SKETCH_SHARES_H
#define WEIR_SKETCH_SHARES_H

#include "sketch/block_rows.h"
#include "sketch/trace.h"

enum { SHARES_CANDIDATES_MAX = 16 };

/** The candidates that are solved for, and the blocks in which all of them and the model meet. */
typedef struct shares_frame {
    size_t candidates[SHARES_CANDIDATES_MAX]; /**< indexes into trace->candidates, nearest first */
    size_t candidate_count;
    uint32_t *blocks; /**< of the model; malloc'ed */
    size_t block_count;
} shares_frame;

/**
 * Choose the candidates that were matched in the stored basis and cover as much as the nearest one.
 * Release with shares_frame_release().
 */
weir_code shares_frame_make(shares_frame *out, const weir_trace *trace, weir_error *err);
void shares_frame_release(shares_frame *frame);
static inline void shares_frame_release_cleanup(shares_frame *frame) {
    shares_frame_release(frame);
}

/** The blocks of a candidate that meet the frame's, in its order. @param out  frame->block_count of
 * them */
void shares_frame_partners(uint32_t *out, const shares_frame *frame,
                           const trace_candidate *candidate);

/**
 * Fill parents, missing_parent, residual and the shares of the candidates.
 *
 * Layers first: where no candidate covers every block but several cover parts, the model was put
 * together from layers, and a share is the share of the blocks. Else parents_solve() decides, over
 * the numbers of the rows where they are at hand on all sides, else over the fingerprints' sums.
 *
 * @param mine    rows of the frame's blocks, or NULL
 * @param theirs  of each of the frame's candidates; read only when `mine` is given
 */
weir_code shares_solve(weir_trace *trace, const shares_frame *frame, const block_rows *mine,
                       const block_rows *theirs, weir_error *err);

#endif
