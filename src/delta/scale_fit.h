/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file scale_fit.h  Whether a matrix was only multiplied: by one factor, by one for each row, or
 * by one for each column.
 *
 * The model's number is W' = round(c W). Each factor is fitted to what its numbers were before they
 * were rounded, by the alternation of box_fit.h: least squares of numbers cut to their rounding
 * boxes, so that numbers too coarse to have moved do not pull it to 1.
 */
#ifndef WEIR_DELTA_SCALE_FIT_H
#define WEIR_DELTA_SCALE_FIT_H

#include <stdbool.h>

#include "delta/matrix_look.h"

typedef enum scale_axis {
    SCALE_NONE,   /**< no factors leave nothing but rounding */
    SCALE_ALL,    /**< one factor */
    SCALE_ROW,    /**< one for each row */
    SCALE_COLUMN, /**< one for each column */
} scale_axis;

typedef struct scale_fit {
    scale_axis axis; /**< the simplest that explains the change */
    double factor;   /**< mean factor, of the axis or of the best one */
    double spread;   /**< standard deviation of the factors */
    double left;     /**< share of the change's square that the best axis leaves */
    double excess;   /**< of the best axis, as in low_rank.h; NaN where steps are not known */
} scale_fit;

/**
 * Fit the three axes.
 *
 * @return WEIR_OK; WEIR_ERR_NOMEM
 *
 * Without known steps (K and IQ types) the axis is SCALE_NONE, and `left` says how much is left.
 * Cost: a few dozen passes over the look.
 */
weir_code scale_fit_find(scale_fit *out, const matrix_look *look, weir_error *err);

#endif
