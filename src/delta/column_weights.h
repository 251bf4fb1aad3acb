/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file column_weights.h  Factors for the inputs of a pruned matrix that explain which numbers were
 * set to zero.
 *
 * Wanda keeps the numbers of largest |w| a[c] of each row, or of every m inputs; a is the norm of
 * the activation of input c, which the file does not have. Factors a' that put the zeros at the
 * bottom of every row are sought as a linear classifier's weights are: with s = log|w| + log a', a
 * zero above its row's border lowers its input's factor, a kept number below it raises it.
 *
 * Source: Sun et al. 2024 (Wanda), equation 1; Rosenblatt 1958 (the perceptron).
 */
#ifndef WEIR_DELTA_COLUMN_WEIGHTS_H
#define WEIR_DELTA_COLUMN_WEIGHTS_H

#include "delta/matrix_look.h"

/**
 * Fit factors on at most 2^20 numbers of a look.
 *
 * @param[out] out  [cols] factors of geometric mean 1; release with free(); untouched on failure
 * @param group     numbers that were compared with each other: cols, or m of n of m
 * @return WEIR_OK; WEIR_ERR_NOMEM
 */
weir_code column_weights_fit(float **out, const matrix_look *look, size_t group, weir_error *err);

#endif
