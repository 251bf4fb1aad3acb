/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Statistics of a block: the float32 pass when it can be trusted, else one in double.
 *
 * The float32 pass (pair_lanes.h) knows nothing of NaN, infinity, overflow or underflow: it only
 * multiplies and adds, and what it was not made for shows in its sums. A NaN or an infinity
 * anywhere makes sum_aa or sum_bb not finite, and so does a square that overflows. A square that
 * underflows loses at most 2^-150, so 4096 of them lose at most 2^-138: nothing beside a sum of
 * 2^-80. Therefore a block is redone in double when a sum is not finite, or when one is below 2^-80
 * although its values are not all zero.
 */
#include "kernel/pair_stats.h"

#include <stdbool.h>

#include "kernel/level.h"
#include "kernel/number.h"

static const double trusted_sum_min = 0x1p-80;

static bool is_nan(uint32_t bits) {
    return (bits & 0x7FFFFFFF) > 0x7F800000;
}

static bool is_infinite(uint32_t bits) {
    return (bits & 0x7FFFFFFF) == 0x7F800000;
}

static bool is_zero(uint32_t bits) {
    return (bits & 0x7FFFFFFF) == 0;
}

static bool is_finite_sum(double sum) {
    return sum - sum == 0;
}

/** 2^(2 floor(log2 |a|)) of a finite value that is not zero. */
static double step_squared(uint32_t bits) {
    const uint32_t exponent = bits >> 23 & 0xFF;
    const uint32_t mantissa = bits & 0x7FFFFF;
    const int power = exponent ? (int)exponent - 127 : 31 - __builtin_clz(mantissa) - 149;
    const uint64_t squared = (uint64_t)(2 * power + 1023) << 52;
    double value;
    memcpy(&value, &squared, sizeof value);
    return value;
}

static void add_counts(pair_stats *out, uint32_t a, uint32_t b) {
    const bool nan = is_nan(a) || is_nan(b);
    const bool zero = is_zero(a) || is_zero(b);
    out->nan_a += is_nan(a);
    out->nan_b += is_nan(b);
    out->inf_a += is_infinite(a);
    out->inf_b += is_infinite(b);
    out->equal += nan ? is_nan(a) && is_nan(b) : a == b || (is_zero(a) && is_zero(b));
    out->sign_of += !nan && !zero;
    out->sign_agree += !nan && !zero && a >> 31 == b >> 31;
}

static void add_finite(pair_stats *out, float a, float b) {
    const double x = (double)a;
    const double y = (double)b;
    const double difference = y - x;
    const double distance = difference < 0 ? -difference : difference;
    out->sum_aa += x * x;
    out->sum_bb += y * y;
    out->sum_ab += x * y;
    out->sum_dd += difference * difference;
    out->max_abs_diff = distance > out->max_abs_diff ? distance : out->max_abs_diff;
    out->sum_ulp2 += a != 0.0f ? step_squared(float_bits(a)) : 0;
}

/** The whole contract, element by element. */
static void redo_in_double(pair_stats *out, const float *a, const float *b, size_t n) {
    *out = (pair_stats){.count = n};
    for (size_t i = 0; i < n; i++) {
        const uint32_t bits_a = float_bits(a[i]);
        const uint32_t bits_b = float_bits(b[i]);
        add_counts(out, bits_a, bits_b);
        if ((bits_a & 0x7F800000) != 0x7F800000 && (bits_b & 0x7F800000) != 0x7F800000) {
            add_finite(out, a[i], b[i]);
        }
    }
}

static bool is_all_zero(const float *values, size_t n) {
    uint32_t bits = 0;
    for (size_t i = 0; i < n; i++) {
        bits |= float_bits(values[i]);
    }
    return is_zero(bits);
}

static bool is_finite_and_told_apart(const pair_stats *stats) {
    return is_finite_sum(stats->sum_aa) && is_finite_sum(stats->sum_bb) &&
           is_finite_sum(stats->sum_ab) && is_finite_sum(stats->sum_dd) &&
           (stats->sum_dd >= trusted_sum_min || stats->max_abs_diff == 0);
}

/** Keep what the float32 pass left in *out, or do it again. A sum of 0 is right when all values are
 * 0. */
static void check_block(pair_stats *out, const float *a, const float *b, size_t n) {
    if (!is_finite_and_told_apart(out) || (out->sum_aa < trusted_sum_min && !is_all_zero(a, n)) ||
        (out->sum_bb < trusted_sum_min && !is_all_zero(b, n))) {
        redo_in_double(out, a, b, n);
    }
}

void pair_stats_block_f32(pair_stats *out, const float *a, const float *b, size_t n) {
    kernel_level_current()->pair_f32(out, a, b, n);
    check_block(out, a, b, n);
}

static void convert_bf16(float *out, const uint16_t *values, size_t n) {
    for (size_t i = 0; i < n; i++) {
        out[i] = float_from_bf16(values[i]);
    }
}

void pair_stats_block_bf16(pair_stats *out, const uint16_t *a, const uint16_t *b, size_t n) {
    kernel_level_current()->pair_bf16(out, a, b, n);
    if (is_finite_and_told_apart(out) && out->sum_aa >= trusted_sum_min &&
        out->sum_bb >= trusted_sum_min) {
        return;
    }
    float values_a[PAIR_BLOCK];
    float values_b[PAIR_BLOCK];
    convert_bf16(values_a, a, n);
    convert_bf16(values_b, b, n);
    check_block(out, values_a, values_b, n);
}

void pair_stats_merge(pair_stats *into, const pair_stats *next) {
    into->count += next->count;
    into->equal += next->equal;
    into->sign_agree += next->sign_agree;
    into->sign_of += next->sign_of;
    into->nan_a += next->nan_a;
    into->inf_a += next->inf_a;
    into->nan_b += next->nan_b;
    into->inf_b += next->inf_b;
    into->sum_aa += next->sum_aa;
    into->sum_bb += next->sum_bb;
    into->sum_ab += next->sum_ab;
    into->sum_dd += next->sum_dd;
    into->sum_ulp2 += next->sum_ulp2;
    if (next->max_abs_diff > into->max_abs_diff) {
        into->max_abs_diff = next->max_abs_diff;
    }
}
