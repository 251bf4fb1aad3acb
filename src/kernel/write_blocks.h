/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file write_blocks.h  float32 to a stored form, the rounded types and ggml's blocks of 32.
 *
 * The layouts stand in read_blocks.h.
 *
 * The block types are ggml's quantize_row_*_ref: the scale d is kept in float32 while the codes are
 * made and rounded to binary16 only to be stored. With id = d ? 1 / d : 0:
 *
 *   Q4_0   d = x / -8   of the first x of largest |x|     q = min(15, trunc(x id + 8.5))
 *   Q5_0   d = x / -16  of the same                       q = min(31, trunc(x id + 16.5))
 *   Q4_1   d = (max - min) / 15                           q = min(15, trunc((x - min) id + 0.5))
 *   Q5_1   d = (max - min) / 31                           q = trunc((x - min) id + 0.5)
 *   Q8_0   d = max |x| / 127                              q = round(x id), halves away from zero
 *
 * Every operation rounds to float32: ggml built for x86-64 without FMA and gguf-py give these very
 * codes. A ggml built with contraction (arm64, -march=native) may differ by one code where x id
 * + 8.5 lies within rounding of a whole number. What C leaves undefined, a block with NaN or
 * infinity, is 0 here.
 *
 * Source: ggml-quants.c of ggml-org/llama.cpp; gguf-py quants.py.
 */
#ifndef WEIR_KERNEL_WRITE_BLOCKS_H
#define WEIR_KERNEL_WRITE_BLOCKS_H

#include <stddef.h>

#include "kernel/number.h"

static void write_f32(uint8_t *restrict out, const float *restrict values, size_t count) {
    for (size_t i = 0; i < count; i++) {
        store_u32(out + 4 * i, float_bits(values[i]));
    }
}

static void write_f16(uint8_t *restrict out, const float *restrict values, size_t count) {
    for (size_t i = 0; i < count; i++) {
        store_u16(out + 2 * i, half_from_float(values[i]));
    }
}

static void write_bf16(uint8_t *restrict out, const float *restrict values, size_t count) {
    for (size_t i = 0; i < count; i++) {
        store_u16(out + 2 * i, bf16_from_float(values[i]));
    }
}

/** The bits of |value|, whose order is that of integers; 0 for NaN. */
static inline uint32_t ordered_magnitude(float value) {
    const uint32_t bits = float_bits(value) & 0x7FFFFFFF;
    return bits & -(uint32_t)(bits <= 0x7F800000);
}

static uint32_t find_largest_bits(const float values[static BLOCK]) {
    uint32_t largest = 0;
    for (size_t i = 0; i < BLOCK; i++) {
        const uint32_t bits = ordered_magnitude(values[i]);
        largest = bits > largest ? bits : largest;
    }
    return largest;
}

/** The first value of largest magnitude; 0 when there is none but zeros and NaN. */
static float find_extreme(const float values[static BLOCK]) {
    const uint32_t largest = find_largest_bits(values);
    uint32_t first = BLOCK - 1;
    for (uint32_t i = 0; i < BLOCK; i++) {
        const uint32_t candidate = ordered_magnitude(values[i]) == largest ? i : BLOCK - 1;
        first = candidate < first ? candidate : first;
    }
    return largest ? values[first] : 0;
}

typedef struct value_range {
    float min;
    float max;
} value_range;

/** A whole number in the order of the floats, and back: the same exchange both ways. */
static inline int32_t exchange_order(int32_t bits) {
    return bits ^ (bits >> 31 & 0x7FFFFFFF);
}

static float first_zero(const float values[static BLOCK]) {
    size_t i = 0;
    while (i + 1 < BLOCK && values[i] != 0.0f) {
        i++;
    }
    return values[i];
}

/**
 * Smallest and largest; NaN aside. Among zeros of both signs the first one counts, as comparing one
 * after the other finds it: integers would order -0 below 0.
 */
static value_range find_range(const float values[static BLOCK]) {
    int32_t min = exchange_order(0x7F7FFFFF);
    int32_t max = exchange_order((int32_t)0xFF7FFFFF);
    for (size_t i = 0; i < BLOCK; i++) {
        const uint32_t bits = float_bits(values[i]);
        const int32_t order = exchange_order((int32_t)bits);
        const int32_t nan = -(int32_t)((bits & 0x7FFFFFFF) > 0x7F800000);
        const int32_t low = (order & ~nan) | (INT32_MAX & nan);
        const int32_t high = (order & ~nan) | (INT32_MIN & nan);
        min = low < min ? low : min;
        max = high > max ? high : max;
    }
    value_range found = {.min = float_from_bits((uint32_t)exchange_order(min)),
                         .max = float_from_bits((uint32_t)exchange_order(max))};
    found.min = found.min != 0.0f ? found.min : first_zero(values);
    return found;
}

static float invert_scale(float scale) {
    return scale != 0.0f ? 1.0f / scale : 0.0f;
}

/** min(top, trunc(value)); NaN and infinity, which a scale below 2^-128 makes, give 0. */
static inline uint8_t truncate_code(float value, float top) {
    const float known = value >= 1.0f && value < 0x1p31f ? value : 0.0f;
    return (uint8_t)(int)(known < top ? known : top);
}

/** Round halves away from zero, exactly, past 127.5 and NaN to 0: adding 0.5 would round the float
 * just below a half up. */
static inline int8_t round_code(float value) {
    const uint32_t bits = float_bits(value);
    const uint32_t small = -(uint32_t)((bits & 0x7FFFFFFF) <= 0x42FF0000); /* 127.5 */
    const float known = float_from_bits(bits & small);
    const int whole = (int)known;
    const float rest = known - (float)whole;
    return (int8_t)(whole + (rest >= 0.5f) - (rest <= -0.5f));
}

/** Put 32 codes of 4 bits. */
static void pack_low(uint8_t out[restrict static HALF_BLOCK],
                     const uint8_t codes[restrict static BLOCK]) {
    for (size_t j = 0; j < HALF_BLOCK; j++) {
        out[j] = (uint8_t)((codes[j] & 15) | (codes[j + HALF_BLOCK] & 15) << 4);
    }
}

/** The fifth bits of 32 codes. */
static uint32_t pack_high(const uint8_t codes[static BLOCK]) {
    uint32_t high = 0;
    for (size_t j = 0; j < BLOCK; j++) {
        high |= (uint32_t)(codes[j] >> 4 & 1) << j;
    }
    return high;
}

/** Codes of a symmetric type: `half` is 8 or 16. @return the scale. */
static float encode_symmetric(uint8_t codes[restrict static BLOCK], const float *restrict values,
                              float half) {
    const float d = find_extreme(values) / -half;
    const float id = invert_scale(d);
    for (size_t j = 0; j < BLOCK; j++) {
        codes[j] = truncate_code(values[j] * id + (half + 0.5f), 2 * half - 1);
    }
    return d;
}

/** Codes of a type with a minimum: `top` is 15 or 31. @return the scale. */
static float encode_range(uint8_t codes[restrict static BLOCK], float *restrict min,
                          const float *restrict values, float top) {
    const value_range found = find_range(values);
    const float d = (found.max - found.min) / top;
    const float id = invert_scale(d);
    for (size_t j = 0; j < BLOCK; j++) {
        codes[j] = truncate_code((values[j] - found.min) * id + 0.5f, top);
    }
    *min = found.min;
    return d;
}

static void write_q4_0(uint8_t *restrict out, const float *restrict values, size_t count) {
    uint8_t codes[BLOCK];
    for (; count; count -= BLOCK, values += BLOCK, out += 18) {
        store_u16(out, half_from_float(encode_symmetric(codes, values, 8)));
        pack_low(out + 2, codes);
    }
}

static void write_q4_1(uint8_t *restrict out, const float *restrict values, size_t count) {
    uint8_t codes[BLOCK];
    float min;
    for (; count; count -= BLOCK, values += BLOCK, out += 20) {
        store_u16(out, half_from_float(encode_range(codes, &min, values, 15)));
        store_u16(out + 2, half_from_float(min));
        pack_low(out + 4, codes);
    }
}

static void write_q5_0(uint8_t *restrict out, const float *restrict values, size_t count) {
    uint8_t codes[BLOCK];
    for (; count; count -= BLOCK, values += BLOCK, out += 22) {
        store_u16(out, half_from_float(encode_symmetric(codes, values, 16)));
        store_u32(out + 2, pack_high(codes));
        pack_low(out + 6, codes);
    }
}

static void write_q5_1(uint8_t *restrict out, const float *restrict values, size_t count) {
    uint8_t codes[BLOCK];
    float min;
    for (; count; count -= BLOCK, values += BLOCK, out += 24) {
        store_u16(out, half_from_float(encode_range(codes, &min, values, 31)));
        store_u16(out + 2, half_from_float(min));
        store_u32(out + 4, pack_high(codes));
        pack_low(out + 8, codes);
    }
}

static void write_q8_0(uint8_t *restrict out, const float *restrict values, size_t count) {
    for (; count; count -= BLOCK, values += BLOCK, out += 34) {
        const float d = float_from_bits(find_largest_bits(values)) / 127.0f;
        const float id = invert_scale(d);
        store_u16(out, half_from_float(d));
        for (size_t j = 0; j < BLOCK; j++) {
            out[2 + j] = (uint8_t)round_code(values[j] * id);
        }
    }
}

#endif
