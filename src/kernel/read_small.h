/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file read_small.h  ggml's blocks whose codes stand for few values: tables, three levels, one
 * bit.
 *
 *   TYPE    ELEMENTS  BYTES              VALUE
 *   IQ4_NL  32        d:2 low:16         d * iq4_values[code]
 *   MXFP4   32        e:1 low:16         2^(e - 128) * e2m1_values[code]
 *   NVFP4   64        e:4 low:32         scale(e) * e2m1_values[code], a scale for each 16 elements
 *   TQ1_0   256       q:48 high:4 d:2    d * (trit - 1)
 *   TQ2_0   256       low:64 d:2         d * (code - 1), code 0 .. 3
 *   Q1_0    128       d:2 bit:16         bit ? d : -d
 *
 * E2M1 values are doubled to be whole numbers, so their scales are halved: E8M0 (2^(e - 127)) for
 * MXFP4 and unsigned E4M3 for NVFP4, where ggml reads 0x7F (NaN) as 0. The eighth bit of an NVFP4
 * scale is ignored. In TQ1_0 a byte holds 5 trits t as ceil(256 * 0.ttttt / 1) in base 3, first
 * trit first: multiply by 3^i modulo 256, then the next trit is the carry of a multiplication by 3.
 *
 * Source: ggml-common.h and ggml-quants.c of ggml-org/llama.cpp; OCP Microscaling Formats 1.0
 * (E2M1, E8M0).
 */
#ifndef WEIR_KERNEL_READ_SMALL_H
#define WEIR_KERNEL_READ_SMALL_H
#include "kernel/block_scales.h"
#include "kernel/e2m1.h"

static const uint8_t powers_of_three[5] = {1, 3, 9, 27, 81};

/** Two halves of `half` elements from the low and upper 4 bits of `half` bytes. */
static void put_table_values(float *restrict out, const int8_t values[static 16], float scale,
                             const uint8_t *restrict codes, size_t half) {
    for (size_t j = 0; j < half; j++) {
        out[j] = (float)values[codes[j] & 15] * scale;
        out[j + half] = (float)values[codes[j] >> 4] * scale;
    }
}

static void read_iq4_nl(float *restrict out, const uint8_t *restrict stored, size_t count) {
    for (; count; count -= 32, out += 32, stored += 18) {
        put_table_values(out, iq4_values, float_from_half_at(stored), stored + 2, 16);
    }
}

static void read_mxfp4(float *restrict out, const uint8_t *restrict stored, size_t count) {
    for (; count; count -= 32, out += 32, stored += 17) {
        put_table_values(out, e2m1_values, mxfp4_scale(stored[0]), stored + 1, 16);
    }
}

static void read_nvfp4(float *restrict out, const uint8_t *restrict stored, size_t count) {
    for (; count; count -= 64, stored += 36) {
        for (size_t group = 0; group < 4; group++, out += 16) {
            const uint8_t *codes = stored + 4 + 8 * group;
            put_table_values(out, e2m1_values, nvfp4_scale(stored[group]), codes, 8);
        }
    }
}

/** Trit i of each of `bytes` bytes, for i = 0 .. trits - 1. @return past the last element. */
static float *put_trits(float *out, const uint8_t *packed, size_t bytes, size_t trits, float d) {
    for (size_t i = 0; i < trits; i++) {
        for (size_t j = 0; j < bytes; j++) {
            const uint8_t rest = (uint8_t)(packed[j] * powers_of_three[i]);
            *out++ = (float)((rest * 3 >> 8) - 1) * d;
        }
    }
    return out;
}

static void read_tq1_0(float *restrict out, const uint8_t *restrict stored, size_t count) {
    for (; count; count -= SUPER, stored += 54) {
        const float d = float_from_half_at(stored + 52);
        out = put_trits(out, stored, 32, 5, d);
        out = put_trits(out, stored + 32, 16, 5, d);
        out = put_trits(out, stored + 48, 4, 4, d);
    }
}

/** Bits 2g of 32 bytes are elements 32 g + l; twice. */
static void read_tq2_0(float *restrict out, const uint8_t *restrict stored, size_t count) {
    for (; count; count -= SUPER, stored += 66) {
        const float d = float_from_half_at(stored + 64);
        for (size_t group = 0; group < 8; group++) {
            for (size_t l = 0; l < 32; l++) {
                const int code = stored[32 * (group / 4) + l] >> 2 * (group % 4) & 3;
                *out++ = (float)(code - 1) * d;
            }
        }
    }
}

static void read_q1_0(float *restrict out, const uint8_t *restrict stored, size_t count) {
    for (; count; count -= 128, stored += 18) {
        const float d = float_from_half_at(stored);
        for (size_t l = 0; l < 128; l++) {
            *out++ = stored[2 + l / 8] >> l % 8 & 1 ? d : -d;
        }
    }
}

#endif
