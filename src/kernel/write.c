/* SPDX-License-Identifier: Apache-2.0 */
/*
 * float32 to a stored form. The layouts stand in read_blocks.h.
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
#include "kernel/number.h"
#include "kernel/writers.h"

void write_f32(uint8_t *out, const float *values, size_t count) {
    for (size_t i = 0; i < count; i++) {
        store_u32(out + 4 * i, float_bits(values[i]));
    }
}

void write_f16(uint8_t *out, const float *values, size_t count) {
    for (size_t i = 0; i < count; i++) {
        store_u16(out + 2 * i, half_from_float(values[i]));
    }
}

void write_bf16(uint8_t *out, const float *values, size_t count) {
    for (size_t i = 0; i < count; i++) {
        store_u16(out + 2 * i, bf16_from_float(values[i]));
    }
}

static float magnitude(float value) {
    return float_from_bits(float_bits(value) & 0x7FFFFFFF);
}

/** The first value of largest magnitude; 0 when there is none but NaN. */
static float find_extreme(const float *values, size_t count) {
    float extreme = 0;
    float largest = 0;
    for (size_t i = 0; i < count; i++) {
        if (largest < magnitude(values[i])) {
            largest = magnitude(values[i]);
            extreme = values[i];
        }
    }
    return extreme;
}

typedef struct range {
    float min;
    float max;
} range;

static range find_range(const float *values) {
    range found = {.min = float_from_bits(0x7F7FFFFF), .max = float_from_bits(0xFF7FFFFF)};
    for (size_t i = 0; i < BLOCK; i++) {
        found.min = values[i] < found.min ? values[i] : found.min;
        found.max = values[i] > found.max ? values[i] : found.max;
    }
    return found;
}

static float inverse(float scale) {
    return scale != 0.0f ? 1.0f / scale : 0.0f;
}

/** min(top, trunc(value)); NaN and infinity, which a scale below 2^-128 makes, give 0. */
static uint8_t truncate_code(float value, int top) {
    if (!(value >= 1.0f && value < 0x1p31f)) {
        return 0;
    }
    return (uint8_t)(value >= (float)top ? top : (int)value);
}

/** Round halves away from zero, exactly: adding 0.5 would round the float just below a half up. */
static int8_t round_code(float value) {
    if (!(magnitude(value) <= 127.5f)) {
        return 0;
    }
    const int whole = (int)value;
    const float rest = value - (float)whole;
    return (int8_t)(whole + (rest >= 0.5f) - (rest <= -0.5f));
}

/** Put 32 codes of 4 bits. */
static void pack_low(uint8_t out[static HALF_BLOCK], const uint8_t codes[static BLOCK]) {
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
static float encode_symmetric(uint8_t codes[static BLOCK], const float *values, int half) {
    const float d = find_extreme(values, BLOCK) / (float)-half;
    const float id = inverse(d);
    for (size_t j = 0; j < BLOCK; j++) {
        codes[j] = truncate_code(values[j] * id + ((float)half + 0.5f), 2 * half - 1);
    }
    return d;
}

/** Codes of a type with a minimum: `top` is 15 or 31. @return the scale. */
static float encode_range(uint8_t codes[static BLOCK], float *min, const float *values, int top) {
    const range found = find_range(values);
    const float d = (found.max - found.min) / (float)top;
    const float id = inverse(d);
    for (size_t j = 0; j < BLOCK; j++) {
        codes[j] = truncate_code((values[j] - found.min) * id + 0.5f, top);
    }
    *min = found.min;
    return d;
}

void write_q4_0(uint8_t *out, const float *values, size_t count) {
    uint8_t codes[BLOCK];
    for (; count; count -= BLOCK, values += BLOCK, out += 18) {
        store_u16(out, half_from_float(encode_symmetric(codes, values, 8)));
        pack_low(out + 2, codes);
    }
}

void write_q4_1(uint8_t *out, const float *values, size_t count) {
    uint8_t codes[BLOCK];
    float min;
    for (; count; count -= BLOCK, values += BLOCK, out += 20) {
        store_u16(out, half_from_float(encode_range(codes, &min, values, 15)));
        store_u16(out + 2, half_from_float(min));
        pack_low(out + 4, codes);
    }
}

void write_q5_0(uint8_t *out, const float *values, size_t count) {
    uint8_t codes[BLOCK];
    for (; count; count -= BLOCK, values += BLOCK, out += 22) {
        store_u16(out, half_from_float(encode_symmetric(codes, values, 16)));
        store_u32(out + 2, pack_high(codes));
        pack_low(out + 6, codes);
    }
}

void write_q5_1(uint8_t *out, const float *values, size_t count) {
    uint8_t codes[BLOCK];
    float min;
    for (; count; count -= BLOCK, values += BLOCK, out += 24) {
        store_u16(out, half_from_float(encode_range(codes, &min, values, 31)));
        store_u16(out + 2, half_from_float(min));
        store_u32(out + 4, pack_high(codes));
        pack_low(out + 8, codes);
    }
}

void write_q8_0(uint8_t *out, const float *values, size_t count) {
    for (; count; count -= BLOCK, values += BLOCK, out += 34) {
        const float d = magnitude(find_extreme(values, BLOCK)) / 127.0f;
        const float id = inverse(d);
        store_u16(out, half_from_float(d));
        for (size_t j = 0; j < BLOCK; j++) {
            out[2 + j] = (uint8_t)round_code(values[j] * id);
        }
    }
}
