/* SPDX-License-Identifier: Apache-2.0 */
/** @file pair_plain.h  The float32 pass in plain C: the base level, and what the other levels must
 * equal. */
#ifndef WEIR_KERNEL_PAIR_PLAIN_H
#define WEIR_KERNEL_PAIR_PLAIN_H

#include <stdbool.h>

#include "kernel/pair_lanes.h"

/** One element for each of the first `lanes` lanes. The compiler turns each sum into vectors. */
static inline void add_lanes(lane_sums *restrict sums, const float *restrict a,
                             const float *restrict b, size_t lanes) {
    for (size_t i = 0; i < lanes; i++) {
        const float difference = b[i] - a[i];
        const float distance = float_from_bits(float_bits(difference) & 0x7FFFFFFF);
        const float step = float_from_bits(float_bits(a[i]) & 0x7F800000);
        sums->aa[i] += a[i] * a[i];
        sums->bb[i] += b[i] * b[i];
        sums->ab[i] += a[i] * b[i];
        sums->dd[i] += difference * difference;
        sums->ulp2[i] += step * step;
        sums->max[i] = distance > sums->max[i] ? distance : sums->max[i];
    }
}

static void count_pairs_f32(pair_stats *out, const float *a, const float *b, size_t n) {
    uint32_t equal = 0;
    uint32_t sign_of = 0;
    uint32_t sign_agree = 0;
    for (size_t i = 0; i < n; i++) {
        const uint32_t x = float_bits(a[i]);
        const uint32_t y = float_bits(b[i]);
        const bool zero = !(x << 1) | !(y << 1);
        equal += (x == y) | !((x | y) << 1);
        sign_of += !zero;
        sign_agree += !zero & !((x ^ y) >> 31);
    }
    out->equal = equal;
    out->sign_of = sign_of;
    out->sign_agree = sign_agree;
}

static void pair_f32(pair_stats *out, const float *a, const float *b, size_t n) {
    lane_sums sums = {0};
    const size_t rest = n % PAIR_LANES;
    *out = (pair_stats){.count = n};
    for (size_t i = 0; i < n - rest; i += PAIR_LANES) {
        add_lanes(&sums, a + i, b + i, PAIR_LANES);
    }
    add_lanes(&sums, a + n - rest, b + n - rest, rest);
    finish_lanes(out, &sums);
    count_pairs_f32(out, a, b, n);
}

static void pair_bf16(pair_stats *out, const uint16_t *a, const uint16_t *b, size_t n) {
    float values_a[PAIR_BLOCK];
    float values_b[PAIR_BLOCK];
    convert_bf16(values_a, a, n);
    convert_bf16(values_b, b, n);
    pair_f32(out, values_a, values_b, n);
}

#endif
