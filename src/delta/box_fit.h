/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file box_fit.h  The matrix of a given rank that comes nearest to explaining a change number by
 * number, when each number was rounded in a known step.
 *
 * With D the change, h the half steps, w the base and f = L + diag(c) w the fit, each round takes
 *     p = f cut to [D - h, D + h]        x = f + relax (p - f)
 *     c_i = <x_i - L_i, w_i> / <w_i, w_i>   (only with a row scale)
 *     L = the largest `rank` singular triplets of x - diag(c) w
 * See low_rank.h for what it is for, and its sources.
 */
#ifndef WEIR_DELTA_BOX_FIT_H
#define WEIR_DELTA_BOX_FIT_H

#include <stdbool.h>
#include <stddef.h>

#include "delta/matrix_look.h"
#include "kernel/spectrum.h"

enum {
    BOX_FIT_RANK_MAX = 160,
    BOX_FIT_SPARE = 8, /**< singular values that are followed beyond the rank */
};

/** Memory that is used again from call to call. Zero-initialise; release when done. */
typedef struct box_fit_scratch {
    spectrum_scratch spectra;
    float *memory;
    size_t capacity; /**< in floats */
    float *start;    /**< [start_count, cols]: right vectors of the change, by box_fit_begin() */
    size_t start_count;
    size_t start_capacity;
} box_fit_scratch;

typedef struct box_fit {
    double excess; /**< sum of (distance to the box)^2 over sum of h^2 / 3, of changed numbers */
    double reproduced;                  /**< share of the changed numbers that lie in their boxes */
    double scale_std;                   /**< of the rows' factors c_i; 0 without */
    size_t count;                       /**< rank + BOX_FIT_SPARE values, or as many as there are */
    double values[SPECTRUM_VALUES_MAX]; /**< singular values of x - diag(c) w after the last round;
                                           NaN none */
} box_fit;

/**
 * Find the spectrum of the change itself, less the row scale that fits best when asked for, and
 * keep its right vectors for the fits to start from.
 *
 * @param count  singular values wanted, at most BOX_FIT_RANK_MAX + BOX_FIT_SPARE
 * @return WEIR_OK; WEIR_ERR_NOMEM
 */
weir_code box_fit_begin(spectrum *out, const matrix_look *look, bool with_row_scale, size_t count,
                        box_fit_scratch *scratch, weir_error *err);

/**
 * Fit at one rank, after box_fit_begin() on the same look. Stops early when the excess is at most
 * `enough`, or when it no longer falls.
 *
 * @param rank  0 (a row scale alone, or nothing) to BOX_FIT_RANK_MAX
 * @return WEIR_OK; WEIR_ERR_NOMEM. The look's dtype must have known steps.
 */
weir_code box_fit_run(box_fit *out, const matrix_look *look, bool with_row_scale, size_t rank,
                      double enough, box_fit_scratch *scratch, weir_error *err);

void box_fit_scratch_release(box_fit_scratch *scratch);
static inline void box_fit_scratch_release_cleanup(box_fit_scratch *scratch) {
    box_fit_scratch_release(scratch);
}

#endif
