/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file row_look.h  The second look at one tensor whose numbers no cast and no round-to-nearest
 * quantisation of the base gives: what the finer tests said of it, outermost first.
 */
#ifndef WEIR_DELTA_ROW_LOOK_H
#define WEIR_DELTA_ROW_LOOK_H

#include "delta/containment.h"
#include "delta/detour.h"
#include "delta/low_rank.h"
#include "delta/matrix_look.h"
#include "delta/noise_test.h"
#include "delta/pruning.h"
#include "delta/scale_fit.h"

/** Of one row of diff->tensors; malloc'ed, owned by the diff. */
typedef struct row_look {
    bool is_contained; /**< the model has codes, and the base's numbers were held against them */
    containment codes;
    detour way;       /**< .kind is DETOUR_NONE when there was none */
    pruning zeros;    /**< .is_pruned says whether numbers were set to zero */
    bool is_measured; /**< the change itself was looked at; the rest is zero otherwise */
    double rounding;  /**< mean square of the rounding of one number of the change, NaN unknown */
    double base_norm; /**< of the base's numbers that were looked at */
    scale_fit scale;
    low_rank_fit low_rank;
    noise_test noise;
    bool is_replayed; /**< a named adapter, merged into the base again, gives the model's numbers */
    const diff_parent *adapter; /**< which; the rest is zero without one */
    double adapter_equal;       /**< share of all numbers that come out bit for bit */
    double adapter_scale;       /**< alpha / rank times what the merge was weighted with */
    bool is_suspect;            /**< of ablation */
} row_look;

/** Memory of one thread, used again from row to row. Zero-initialise; release when done. */
typedef struct look_memory {
    matrix_look look;
    matrix_look thin;
    low_rank_scratch scratch;
} look_memory;

void look_memory_release(look_memory *memory);

/**
 * Look at one row in state TENSOR_COMPARED and class UNKNOWN.
 *
 * @param[out] out  overwritten
 * @return WEIR_OK; WEIR_ERR_IO; WEIR_ERR_NOMEM
 *
 * Thread-safe for distinct out and memory. Cost: a sample of rows of both sides; where the sample
 * suspects codes, a detour or zeros of the base, one pass over the whole pair.
 */
weir_code row_look_take(row_look *out, const weir_diff *diff, const tensor_delta *row,
                        look_memory *memory, weir_error *err);

/** What the look alone says of a row: QUANTISED, CAST, PRUNED, SCALED, LOW_RANK, FULL_RANK,
 * PERTURBED or UNKNOWN. */
weir_change_class row_look_class(const row_look *look);

/**
 * Whether the codes are the base's numbers coded anew, and say so: a base that lies on the codes'
 * own levels could have been read from them.
 */
bool row_look_proves_codes(const row_look *look);

/** Whether numbers were set to zero, and nothing else happened. */
bool row_look_proves_pruning(const row_look *look);

/** Share of the squared norm of the change that a class of it does not account for. */
double row_look_rest(const row_look *look, weir_change_class change);

#endif
