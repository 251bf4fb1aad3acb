/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file ablation_eigen.h  The direction that a model writes least to, against its base.
 *
 * With X the model's and W the base's matrices of the layers, the smallest generalised eigenvalues
 * of (sum X X'/|X|^2, sum W W'/|W|^2). Training changes all directions alike; a direction projected
 * out with strength l at every layer has (1 - l)^2 of the others, whatever was trained before or
 * after.
 */
#ifndef WEIR_DELTA_ABLATION_EIGEN_H
#define WEIR_DELTA_ABLATION_EIGEN_H

#include "delta/ablation_evidence.h"

/**
 * Find it. Fills pool->eigen_ratio and its companions; they stay NaN where the matrices have too
 * few inputs for the width, or the stream is wider than ABLATION_EIGEN_WIDTH_MAX.
 *
 * @param[out] direction  width numbers of norm 1; unset when nothing was measured
 * @return WEIR_OK; WEIR_ERR_IO; WEIR_ERR_NOMEM
 *
 * Cost: every write matrix of the layers is read once, 4 to 8 width vectors of them are used; 2
 * width^2 doubles of memory; width^3 (8 to 16 + 1/3) flops.
 */
weir_code ablation_eigen_find(ablation_pool *pool, float *direction, const weir_diff *diff,
                              size_t width, unsigned threads, weir_error *err);

#endif
