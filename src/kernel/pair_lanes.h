/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file pair_lanes.h  What the passes of every SIMD level share: the lanes, and counts when there
 * are zeros.
 *
 * Element i of a block belongs to lane i mod 16. A lane adds in index order in float32; at the end
 * the lanes are added in lane order in double.
 */
#ifndef WEIR_KERNEL_PAIR_LANES_H
#define WEIR_KERNEL_PAIR_LANES_H

#include "kernel/level.h"
#include "kernel/number.h"

typedef struct lane_sums {
    float aa[PAIR_LANES], bb[PAIR_LANES], ab[PAIR_LANES], dd[PAIR_LANES], ulp2[PAIR_LANES];
    float max[PAIR_LANES];
} lane_sums;

static void finish_lanes(pair_stats *out, const lane_sums *sums) {
    for (size_t lane = 0; lane < PAIR_LANES; lane++) {
        out->sum_aa += (double)sums->aa[lane];
        out->sum_bb += (double)sums->bb[lane];
        out->sum_ab += (double)sums->ab[lane];
        out->sum_dd += (double)sums->dd[lane];
        out->sum_ulp2 += (double)sums->ulp2[lane];
        const double distance = (double)sums->max[lane];
        out->max_abs_diff = distance > out->max_abs_diff ? distance : out->max_abs_diff;
    }
}

static void convert_bf16(float *out, const uint16_t *values, size_t n) {
    for (size_t i = 0; i < n; i++) {
        out[i] = float_from_bf16(values[i]);
    }
}

#endif
