/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file read_k.h  ggml's K blocks: 256 elements in groups of 16 or 32, each group with its own
 * small scale.
 *
 *   TYPE  BYTES                                        GROUP  VALUE
 *   Q2_K  scale:16 low:64 d:2 m:2                      16     (d s) q - (m t)      s, t: 4 bits
 *   Q3_K  high:32 low:64 scale:12 d:2                  16     (d (s - 32)) (q - 4) s: 6 bits
 *   Q4_K  d:2 m:2 scale:12 low:128                     32     (d s) q - (m t)      s, t: 6 bits
 *   Q5_K  d:2 m:2 scale:12 high:32 low:128             32     (d s) q - (m t)      s, t: 6 bits
 *   Q6_K  low:128 high:64 scale:16 d:2                 16     (d s) (q - 32)       s: signed byte
 *   Q8_K  d:4 (float32) q:256 sum:32                   256    d q, signed
 *
 * d and m are binary16. Each bracket is rounded to float32 on its own. Q8_K is an intermediate of
 * ggml's dot products; its sums repeat what the codes say.
 *
 * Source: ggml-common.h (layouts) and ggml-quants.c (values) of ggml-org/llama.cpp.
 */
#ifndef WEIR_KERNEL_READ_K_H
#define WEIR_KERNEL_READ_K_H
#include "kernel/block_scales.h"

/** Elements 32 g + l of one half (128 elements) lie in bits 2g of byte l of its 32 bytes. */
static void read_q2_k(float *restrict out, const uint8_t *restrict stored, size_t count) {
    for (; count; count -= SUPER, out += SUPER, stored += 84) {
        const uint8_t *low = stored + 16;
        const float d = float_from_half_at(stored + 80);
        const float m = float_from_half_at(stored + 82);
        for (size_t group = 0; group < 16; group++) {
            const float scale = d * (float)(stored[group] & 15);
            const float min = m * (float)(stored[group] >> 4);
            const uint8_t *bytes = low + 32 * (group / 8) + 16 * (group % 2);
            const unsigned shift = 2 * (unsigned)(group / 2 % 4);
            for (size_t l = 0; l < 16; l++) {
                out[16 * group + l] = scale * (float)(bytes[l] >> shift & 3) - min;
            }
        }
    }
}

/** As Q2_K; a clear bit of `high` takes 4 away: bit group / 2 of byte l or 16 + l. */
static void read_q3_k(float *restrict out, const uint8_t *restrict stored, size_t count) {
    for (; count; count -= SUPER, out += SUPER, stored += 110) {
        const float d = float_from_half_at(stored + 108);
        for (size_t group = 0; group < 16; group++) {
            const float scale = d * (float)q3_k_scale(stored + 96, group);
            const uint8_t *high = stored + 16 * (group % 2);
            const uint8_t *low = stored + 32 + 32 * (group / 8) + 16 * (group % 2);
            const unsigned shift = 2 * (unsigned)(group / 2 % 4);
            for (size_t l = 0; l < 16; l++) {
                const int code = (low[l] >> shift & 3) | (high[l] >> group / 2 & 1) << 2;
                out[16 * group + l] = scale * (float)(code - 4);
            }
        }
    }
}

/** Groups 2p and 2p + 1 share 32 bytes: low and upper 4 bits. */
static void read_q4_k(float *restrict out, const uint8_t *restrict stored, size_t count) {
    for (; count; count -= SUPER, stored += 144) {
        const k_scales of = get_k_scales(stored);
        for (size_t group = 0; group < 8; group += 2, out += 64) {
            const uint8_t *low = stored + 16 + 16 * group;
            for (size_t l = 0; l < 32; l++) {
                out[l] = of.scale[group] * (float)(low[l] & 15) - of.min[group];
                out[l + 32] = of.scale[group + 1] * (float)(low[l] >> 4) - of.min[group + 1];
            }
        }
    }
}

/** As Q4_K; bit `group` of byte l of `high` is the fifth bit. */
static void read_q5_k(float *restrict out, const uint8_t *restrict stored, size_t count) {
    for (; count; count -= SUPER, stored += 176) {
        const k_scales of = get_k_scales(stored);
        const uint8_t *high = stored + 16;
        for (size_t group = 0; group < 8; group += 2, out += 64) {
            const uint8_t *low = stored + 48 + 16 * group;
            for (size_t l = 0; l < 32; l++) {
                const int first = (low[l] & 15) | (high[l] >> group & 1) << 4;
                const int second = low[l] >> 4 | (high[l] >> (group + 1) & 1) << 4;
                out[l] = of.scale[group] * (float)first - of.min[group];
                out[l + 32] = of.scale[group + 1] * (float)second - of.min[group + 1];
            }
        }
    }
}

/**
 * A half of 128 elements has 64 bytes of `low` and 32 of `high`. Quarter g (32 elements) takes the
 * low 4 bits of low[32 (g mod 2) + l], or the upper ones for g >= 2, and bits 2g of high[l].
 */
static void unpack_q6_k_half(int8_t codes[restrict static 128], const uint8_t *restrict low,
                             const uint8_t *restrict high) {
    for (size_t l = 0; l < 32; l++) {
        codes[l] = (int8_t)((low[l] & 15) | (high[l] & 3) << 4);
        codes[l + 32] = (int8_t)((low[l + 32] & 15) | (high[l] >> 2 & 3) << 4);
        codes[l + 64] = (int8_t)(low[l] >> 4 | (high[l] >> 4 & 3) << 4);
        codes[l + 96] = (int8_t)(low[l + 32] >> 4 | (high[l] >> 6) << 4);
    }
}

static void read_q6_k(float *restrict out, const uint8_t *restrict stored, size_t count) {
    int8_t codes[SUPER];
    for (; count; count -= SUPER, out += SUPER, stored += 210) {
        const float d = float_from_half_at(stored + 208);
        unpack_q6_k_half(codes, stored, stored + 128);
        unpack_q6_k_half(codes + 128, stored + 64, stored + 160);
        for (size_t group = 0; group < 16; group++) {
            const float scale = d * (float)(int8_t)stored[192 + group];
            for (size_t l = 16 * group; l < 16 * group + 16; l++) {
                out[l] = scale * (float)(codes[l] - 32);
            }
        }
    }
}

static void read_q8_k(float *restrict out, const uint8_t *restrict stored, size_t count) {
    for (; count; count -= SUPER, out += SUPER, stored += 292) {
        const float d = float_from_bits(load_u32(stored));
        for (size_t l = 0; l < SUPER; l++) {
            out[l] = d * (float)(int8_t)stored[4 + l];
        }
    }
}

#endif
