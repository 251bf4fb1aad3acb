/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file read_blocks.h  ggml's blocks of 32 with one scale d, or a scale and a minimum m.
 *
 *   TYPE   BYTES                          VALUE
 *   Q4_0   d:2  low:16                    d * (q - 8)
 *   Q4_1   d:2  m:2  low:16               d * q + m
 *   Q5_0   d:2  high:4  low:16            d * (q - 16)
 *   Q5_1   d:2  m:2  high:4  low:16       d * q + m
 *   Q8_0   d:2  q:32                      d * q, signed
 *   Q8_1   d:2  s:2  q:32                 d * q, signed; s, the sum of all values, is not needed
 *
 * d, m, s are binary16. Byte j of `low` holds the low 4 bits of element j and, above them, those of
 * element 16 + j; bit j of `high` is the fifth bit of element j. Each product and sum is rounded to
 * float32 on its own, as in ggml's dequantize_row_* without contraction.
 *
 * Source: ggml-common.h (layouts) and ggml-quants.c (values) of ggml-org/llama.cpp.
 */
#ifndef WEIR_KERNEL_READ_BLOCKS_H
#define WEIR_KERNEL_READ_BLOCKS_H
#include "kernel/number.h"

static void read_q4_0(float *restrict out, const uint8_t *restrict stored, size_t count) {
    for (; count; count -= BLOCK, out += BLOCK, stored += 18) {
        const float d = float_from_half_at(stored);
        const uint8_t *low = stored + 2;
        for (size_t j = 0; j < HALF_BLOCK; j++) {
            out[j] = (float)((low[j] & 15) - 8) * d;
            out[j + HALF_BLOCK] = (float)((low[j] >> 4) - 8) * d;
        }
    }
}

static void read_q4_1(float *restrict out, const uint8_t *restrict stored, size_t count) {
    for (; count; count -= BLOCK, out += BLOCK, stored += 20) {
        const float d = float_from_half_at(stored);
        const float m = float_from_half_at(stored + 2);
        const uint8_t *low = stored + 4;
        for (size_t j = 0; j < HALF_BLOCK; j++) {
            out[j] = (float)(low[j] & 15) * d + m;
            out[j + HALF_BLOCK] = (float)(low[j] >> 4) * d + m;
        }
    }
}

static void read_q5_0(float *restrict out, const uint8_t *restrict stored, size_t count) {
    for (; count; count -= BLOCK, out += BLOCK, stored += 22) {
        const float d = float_from_half_at(stored);
        const uint32_t high = load_u32(stored + 2);
        const uint8_t *low = stored + 6;
        for (size_t j = 0; j < HALF_BLOCK; j++) {
            const int first = (int)((low[j] & 15u) | (high >> j & 1) << 4);
            const int second = (int)((low[j] >> 4) | (high >> (j + HALF_BLOCK) & 1) << 4);
            out[j] = (float)(first - 16) * d;
            out[j + HALF_BLOCK] = (float)(second - 16) * d;
        }
    }
}

static void read_q5_1(float *restrict out, const uint8_t *restrict stored, size_t count) {
    for (; count; count -= BLOCK, out += BLOCK, stored += 24) {
        const float d = float_from_half_at(stored);
        const float m = float_from_half_at(stored + 2);
        const uint32_t high = load_u32(stored + 4);
        const uint8_t *low = stored + 8;
        for (size_t j = 0; j < HALF_BLOCK; j++) {
            const uint32_t first = (low[j] & 15u) | (high >> j & 1) << 4;
            const uint32_t second = (low[j] >> 4) | (high >> (j + HALF_BLOCK) & 1) << 4;
            out[j] = (float)first * d + m;
            out[j + HALF_BLOCK] = (float)second * d + m;
        }
    }
}

static void read_q8_0(float *restrict out, const uint8_t *restrict stored, size_t count) {
    for (; count; count -= BLOCK, out += BLOCK, stored += 34) {
        const float d = float_from_half_at(stored);
        for (size_t j = 0; j < BLOCK; j++) {
            out[j] = (float)(int8_t)stored[2 + j] * d;
        }
    }
}

static void read_q8_1(float *restrict out, const uint8_t *restrict stored, size_t count) {
    for (; count; count -= BLOCK, out += BLOCK, stored += 36) {
        const float d = float_from_half_at(stored);
        for (size_t j = 0; j < BLOCK; j++) {
            out[j] = (float)(int8_t)stored[4 + j] * d;
        }
    }
}

#endif
