/* SPDX-License-Identifier: Apache-2.0 */
/** @file rotation_check.h  Whether every matrix holds the base's numbers in the turned basis. */
#ifndef WEIR_DELTA_ROTATION_CHECK_H
#define WEIR_DELTA_ROTATION_CHECK_H

#include "delta/diff.h"

/**
 * Hold sampled rows of what reads the residual stream, and sampled columns of what writes to it,
 * against the base through Q and the gains. Pairs that agree up to rounding get the class
 * WEIR_CHANGE_ROTATED; figures go to the rotation of diff->structure. After diff_compare(); does
 * nothing unless a rotation was found.
 *
 * Let e = ||W_model - W_base'||^2 / ||W_model||^2 over the sample, W_base' the base's numbers in
 * the model's basis. Norms follow when every matrix of the model agrees.
 *
 * Cost: what writes to the stream is read once more.
 */
weir_code rotation_check(weir_diff *diff, weir_error *err);

#endif
