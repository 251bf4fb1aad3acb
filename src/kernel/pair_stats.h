/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file pair_stats.h  Everything that a comparison of two arrays needs, in one pass.
 *
 * For base a and model b of n elements, over the elements where both are finite:
 *     sum_aa = sum a^2    sum_bb = sum b^2    sum_ab = sum a b    sum_dd = sum (b - a)^2
 *     max_abs_diff = max |b - a|              sum_ulp2 = sum 2^(2 floor(log2 |a|))
 * Counts run over all n elements. An element is `equal` when the two float32 have equal values, or
 * are both NaN. `sign_agree` counts elements whose signs are equal and neither is 0 or NaN;
 * `sign_of` counts those where neither is 0 or NaN. From these: relative change  sqrt(sum_dd /
 * sum_aa)      cosine  sum_ab / sqrt(sum_aa sum_bb) rounding floor of a float with m stored
 * mantissa bits, relative: sqrt(sum_ulp2 2^(-2m) / 12 / sum_aa)
 *
 * Arithmetic: float32 in PAIR_LANES fixed lanes inside a block of PAIR_BLOCK elements, the lanes
 * added in a fixed order, double across blocks in index order; a block whose sums are not finite,
 * or too small for float32, is redone in double. No contraction, but where the fused result is the
 * same. So the result is the same bytes at every SIMD level and, when blocks are merged in index
 * order, for every thread count.
 */
#ifndef WEIR_KERNEL_PAIR_STATS_H
#define WEIR_KERNEL_PAIR_STATS_H

#include <stddef.h>
#include <stdint.h>

enum { PAIR_BLOCK = 4096, PAIR_LANES = 16 };

typedef struct pair_stats {
    uint64_t count;
    uint64_t equal;
    uint64_t sign_agree;
    uint64_t sign_of;
    uint64_t nan_a, inf_a;
    uint64_t nan_b, inf_b;
    double sum_aa, sum_bb, sum_ab, sum_dd, sum_ulp2;
    double max_abs_diff;
} pair_stats;

/**
 * Statistics of one block of float32, n <= PAIR_BLOCK; *out is overwritten.
 * Alignment: none needed.
 */
void pair_stats_block_f32(pair_stats *out, const float *a, const float *b, size_t n);

/** The same over bfloat16 bits, without a float32 copy; same bytes as converting first. */
void pair_stats_block_bf16(pair_stats *out, const uint16_t *a, const uint16_t *b, size_t n);

/** Add `next`, which follows `into` in index order. */
void pair_stats_merge(pair_stats *into, const pair_stats *next);

#endif
