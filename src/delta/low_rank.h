/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file low_rank.h  Whether a matrix of low rank, and nothing but rounding, was added to a matrix:
 * what merging a LoRA, rsLoRA, PiSSA, OLoRA or DoRA adapter does.
 *
 * The model's number is W' = round(c_i W_ij + L_ij) with L of rank r, and c = 1 but for DoRA.
 * Rounding to steps of 2 h leaves L in the box |W' - c W - L| <= h, number by number. So a rank is
 * not read off a spectrum under noise; it is tried: the matrix of rank r is sought that lies in
 * every box, by projecting onto boxes and ranks in turn [1], over-relaxed. What is left of it
 * outside the boxes,
 *     excess = sum of (distance to the box)^2 / sum of h^2 / 3      over the numbers that changed,
 * falls to nothing when r is the edit's rank, also where most numbers are unchanged because the
 * edit is smaller than their steps; for a trained full-rank change it stays of order 1. Where a
 * dtype does not tell its steps (K and IQ types), the largest singular values are held against the
 * edge sigma (sqrt(rows) + sqrt(cols)) of the bulk instead [2].
 *
 * [1] von Neumann 1950, Gubin, Polyak and Raik 1967 (alternating projections);
 * [2] Geman 1980, Gavish and Donoho 2014.
 */
#ifndef WEIR_DELTA_LOW_RANK_H
#define WEIR_DELTA_LOW_RANK_H

#include <stdbool.h>
#include <stddef.h>

#include "delta/box_fit.h"
#include "delta/matrix_look.h"

enum {
    LOW_RANK_MOST = 144,  /**< ranks above are called full */
    LOW_RANK_VALUES = 32, /**< singular values that are kept */
};

typedef enum low_rank_verdict {
    LOW_RANK_UNSETTLED,   /**< what was at hand does not decide */
    LOW_RANK_NONE,        /**< nothing changed, or a row scale alone */
    LOW_RANK_CLEAR,       /**< a matrix of rank `rank`, and nothing but rounding */
    LOW_RANK_BELOW_FLOOR, /**< nothing stands out of what rounding alone would do */
    LOW_RANK_FULL,        /**< no rank well below the short side explains it */
} low_rank_verdict;

typedef struct low_rank_fit {
    low_rank_verdict verdict;
    size_t rank;         /**< CLEAR: of the change; UNSETTLED: singular values above the floor */
    bool is_lower_bound; /**< the edit may have more directions, weaker than the floor */
    bool whole_could_settle; /**< UNSETTLED or BELOW_FLOOR on a sample of the rows */
    bool has_row_scale;      /**< rows were multiplied too, as DoRA does */
    double row_scale_std;    /**< standard deviation of the rows' factors; 0 without */
    double edge;             /**< largest singular value that rounding alone would have */
    bool is_edge_modelled;   /**< from the dtype; false: from the bulk of the data */
    double excess;           /**< of the fit at `rank`; NaN where steps are not known */
    double
        reproduced; /**< share of the changed numbers inside their boxes at `rank`; NaN likewise */
    double unchanged; /**< share of numbers with no change */
    double energy;    /**< share of the change's square in its `rank` largest directions */
    size_t value_count;
    double values[LOW_RANK_VALUES]; /**< singular values of the change as it is stored, less the
                                       row scale; falling */
} low_rank_fit;

/** Memory that is used again from call to call. Zero-initialise; release when done. */
typedef struct low_rank_scratch {
    box_fit_scratch fits;
} low_rank_scratch;

/**
 * Decide the rank of a change.
 *
 * @param look     read by matrix_look_read(); sampled rows are enough for most
 * @param scratch  the caller's, one a thread
 * @return WEIR_OK, whatever the verdict; WEIR_ERR_NOMEM
 *
 * A change on a matrix whose short side is below 4 r is never called of rank r. Cost: a few dozen
 * passes over the look, each of 4 rows cols r flops; memory of one array of the look. Same numbers
 * in any thread.
 */
weir_code low_rank_find(low_rank_fit *out, const matrix_look *look, low_rank_scratch *scratch,
                        weir_error *err);

void low_rank_scratch_release(low_rank_scratch *scratch);
static inline void low_rank_scratch_release_cleanup(low_rank_scratch *scratch) {
    low_rank_scratch_release(scratch);
}

#endif
