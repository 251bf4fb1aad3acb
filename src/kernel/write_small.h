/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file write_small.h  float32 to ggml's types of few values; the layouts stand in read_small.h.
 *
 *   TQ1_0, TQ2_0   d = max |x|, trit = round(x / d) + 1, halves away from zero
 *   MXFP4          e = floor(log2(max |x|)) - 2 + 127, code = the first nearest of the 16 values
 *
 * ggml takes log2f, so a maximum just below a power of two counts as that power where the
 * logarithm, rounded to float32, is a whole number: mxfp4_exponent says the same without libm.
 *
 * Source: ggml-quants.c of ggml-org/llama.cpp; gguf-py quants.py.
 */
#ifndef WEIR_KERNEL_WRITE_SMALL_H
#define WEIR_KERNEL_WRITE_SMALL_H

#include <stddef.h>

#include "kernel/e2m1.h"
#include "kernel/number.h"

static float find_largest(const float *values, size_t count) {
    float largest = 0;
    for (size_t i = 0; i < count; i++) {
        largest = float_magnitude(values[i]) > largest ? float_magnitude(values[i]) : largest;
    }
    return largest;
}

/** 0, 1, 2 for about -d, 0, d. |value| is at most 1 and a rounding error; NaN gives 1. */
static uint8_t find_trit(float value) {
    return (uint8_t)(1 + (value >= 0.5f) - (value <= -0.5f));
}

/** Five trits (or four and a 0) of elements `stride` apart, as a fraction of 256 rounded up. */
static uint8_t pack_trits(const float *values, size_t stride, size_t trits, float id) {
    unsigned packed = 0;
    for (size_t i = 0; i < 5; i++) {
        packed = 3 * packed + (i < trits ? find_trit(values[i * stride] * id) : 0);
    }
    return (uint8_t)((packed * 256 + 242) / 243);
}

static void write_tq1_0(uint8_t *restrict out, const float *restrict values, size_t count) {
    for (; count; count -= SUPER, values += SUPER, out += 54) {
        const float d = find_largest(values, SUPER);
        const float id = d > 0.0f ? 1.0f / d : 0.0f;
        for (size_t j = 0; j < 32; j++) {
            out[j] = pack_trits(values + j, 32, 5, id);
        }
        for (size_t j = 0; j < 16; j++) {
            out[32 + j] = pack_trits(values + 160 + j, 16, 5, id);
        }
        for (size_t j = 0; j < 4; j++) {
            out[48 + j] = pack_trits(values + 240 + j, 4, 4, id);
        }
        store_u16(out + 52, half_from_float(d));
    }
}

static void write_tq2_0(uint8_t *restrict out, const float *restrict values, size_t count) {
    for (; count; count -= SUPER, values += SUPER, out += 66) {
        const float d = find_largest(values, SUPER);
        const float id = d > 0.0f ? 1.0f / d : 0.0f;
        memset(out, 0, 64);
        for (size_t l = 0; l < SUPER; l++) {
            const unsigned shift = 2 * (unsigned)(l / 32 % 4);
            uint8_t *byte = out + 32 * (l / 128) + l % 32;
            *byte = (uint8_t)(*byte | find_trit(values[l] * id) << shift);
        }
        store_u16(out + 64, half_from_float(d));
    }
}

/** floor of log2(value) rounded to float32; value is positive and finite. */
static int floor_log2(float value) {
    const uint32_t bits = float_bits(value);
    const uint32_t mantissa = bits & 0x7FFFFF;
    if (bits < 0x00800000) {
        return 31 - __builtin_clz(mantissa) - 149;
    }
    const int exponent = (int)(bits >> 23) - 127;
    /* value = 2^(exponent + 1) (1 - below), whose log2 is exponent + 1 - below log2(e) - ... */
    const double below = (double)(0x800000 - mantissa) * 0x1p-24;
    const float rounded = (float)((double)(exponent + 1) - below * 1.4426950408889634);
    return below < 0x1p-16 && rounded == (float)(exponent + 1) ? exponent + 1 : exponent;
}

static uint8_t mxfp4_exponent(float largest) {
    if (!(largest > 0.0f && largest <= 0x1.fffffep127f)) {
        return 0;
    }
    return (uint8_t)(floor_log2(largest) - 2 + 127);
}

static uint8_t nearest_e2m1(float value, float scale) {
    uint8_t best = 0;
    float best_error = float_magnitude((float)e2m1_values[0] * scale - value);
    for (uint8_t code = 1; code < 16; code++) {
        const float error = float_magnitude((float)e2m1_values[code] * scale - value);
        if (error < best_error) {
            best = code;
            best_error = error;
        }
    }
    return best;
}

static void write_mxfp4(uint8_t *restrict out, const float *restrict values, size_t count) {
    for (; count; count -= 32, values += 32, out += 17) {
        out[0] = mxfp4_exponent(find_largest(values, 32));
        const float scale = mxfp4_scale(out[0]);
        for (size_t j = 0; j < 16; j++) {
            out[1 + j] = (uint8_t)(nearest_e2m1(values[j], scale) |
                                   nearest_e2m1(values[j + 16], scale) << 4);
        }
    }
}

#endif
