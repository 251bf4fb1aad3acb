/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Element i of a block belongs to lane i mod 16. A lane adds in index order in float32; at the end
 * the lanes are added in lane order in double.
 */
#include "kernel/pair_lanes.h"

#include "kernel/number.h"

typedef struct lanes {
    float aa[PAIR_LANES], bb[PAIR_LANES], ab[PAIR_LANES], dd[PAIR_LANES], ulp2[PAIR_LANES];
    float max[PAIR_LANES];
} lanes;

static void add_element(lanes *sums, size_t lane, float a, float b) {
    const float difference = b - a;
    const float distance = float_from_bits(float_bits(difference) & 0x7FFFFFFF);
    const float step = float_from_bits(float_bits(a) & 0x7F800000);
    sums->aa[lane] += a * a;
    sums->bb[lane] += b * b;
    sums->ab[lane] += a * b;
    sums->dd[lane] += difference * difference;
    sums->ulp2[lane] += step * step;
    sums->max[lane] = distance > sums->max[lane] ? distance : sums->max[lane];
}

static void add_lanes(pair_stats *out, const lanes *sums) {
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

void pair_lanes_f32(pair_stats *out, const float *a, const float *b, size_t n) {
    lanes sums = {0};
    *out = (pair_stats){.count = n};
    for (size_t i = 0; i < n; i++) {
        add_element(&sums, i % PAIR_LANES, a[i], b[i]);
        const int both = a[i] != 0.0f && b[i] != 0.0f;
        out->equal += a[i] == b[i];
        out->sign_of += both ? 1 : 0;
        out->sign_agree += both && (a[i] < 0.0f) == (b[i] < 0.0f);
    }
    add_lanes(out, &sums);
}
