/* SPDX-License-Identifier: Apache-2.0 */
/** @file pair_lanes.h  The float32 pass over one block; see pair_stats.c for when it is believed.
 */
#ifndef WEIR_KERNEL_PAIR_LANES_H
#define WEIR_KERNEL_PAIR_LANES_H

#include "kernel/pair_stats.h"

/** Sums and counts as if every value and every square were finite; nan_* and inf_* are 0. */
void pair_lanes_f32(pair_stats *out, const float *a, const float *b, size_t n);

#endif
