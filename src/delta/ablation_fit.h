/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file ablation_fit.h  One write matrix as scaled and ablated: the least squares behind
 * ablation.h.
 *
 * With the vectors x (model) and w (base) of one input j, and directions U [k, width], rows
 * orthonormal:
 *     x_j = b_j a o (w_j - U' M' U w_j) + rest
 * a scales the dimensions of the stream, b the inputs, M [k, k] is the strength; each is fitted in
 * turn with the others held. With k = 0 only the scales are fitted: what they explain is no
 * ablation.
 */
#ifndef WEIR_DELTA_ABLATION_FIT_H
#define WEIR_DELTA_ABLATION_FIT_H

#include <stdbool.h>
#include <stddef.h>

#include "base/cleanup.h"
#include "weir/error.h"

enum { ABLATION_FIT_DIRECTIONS_MAX = 4 };

typedef struct ablation_fit {
    double base_square;   /**< sum over w */
    double scales_square; /**< of what is left when only the scales are fitted */
    double rest_square;   /**< of what is left of all: at most scales_square but for rounding */
    double
        left_square; /**< of what the ablation has to explain beside the scales of the whole fit */
    double along_square; /**< of what the scales leave, along the directions: |r|^2 */
    double along_fitted; /**< of it, what -M w explains: along_fitted / along_square is cos^2 */
    double strength;     /**< trace of M over k: lambda */
    double axis;         /**< energy of the directions that k + 2 coordinates hold */
    double mean;         /**< largest |u'1| / sqrt(width): 1 when the mean is projected out */
} ablation_fit;

/** Memory that is used again. Zero-initialise; release with ablation_workspace_release(). */
typedef struct ablation_workspace {
    float *dimension_scale; /**< a [width] */
    float *input_scale;     /**< b [count] */
    float *along;           /**< U w_j [count, k] */
    double *sums;
    size_t width_capacity;
    size_t count_capacity;
} ablation_workspace;

/**
 * Fit the scales of a pair, and the strength of an ablation along given directions.
 *
 * @param[out] out        ablation_fit; with k = 0, rest_square is scales_square
 * @param base, change    [count, width], finite
 * @param directions      [k, width], orthonormal rows; NULL when k is 0
 * @param[out] left       [count, width]: x less the scaled w, what the ablation has to explain,
 * with the scales that hold beside the ablation; may be NULL
 * @param work            the caller's; holds the scales of the last fit
 * @return WEIR_OK; WEIR_ERR_NOMEM
 */
weir_code ablation_fit_pair(ablation_fit *out, const float *base, const float *change, size_t count,
                            size_t width, const float *directions, size_t k, float *left,
                            ablation_workspace *work, weir_error *err);

/**
 * |cos(W W'u, u)|: 1 when u is a singular vector of W itself, which no outside direction is.
 *
 * @param base       [count, width]
 * @param direction  [width]
 * @return 1 for a zero matrix
 */
weir_code ablation_own_cosine(double *out, const float *base, size_t count, size_t width,
                              const float *direction, weir_error *err);

void ablation_workspace_release(ablation_workspace *work);
static inline void ablation_workspace_release_cleanup(ablation_workspace *work) {
    ablation_workspace_release(work);
}

#endif
