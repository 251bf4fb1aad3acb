/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file block_scales.h  The scales inside ggml's blocks: what reading a block and asking for its
 * steps share. The layouts stand in read_k.h, read_small.h and read_iq.h.
 *
 * Source: ggml-common.h (layouts) and ggml-quants.c (values) of ggml-org/llama.cpp.
 */
#ifndef WEIR_KERNEL_BLOCK_SCALES_H
#define WEIR_KERNEL_BLOCK_SCALES_H

#include <stddef.h>

#include "kernel/number.h"

static const int8_t iq4_values[16] = {-127, -104, -83, -65, -49, -35, -22, -10,
                                      1,    13,   25,  38,  53,  69,  89,  113};

/**
 * Scale `group` of 16, 6 bits: the low 4 in bytes 0 .. 7 (groups 8 .. 15 in their upper halves),
 * the high 2 in bytes 8 .. 11, a pair for each of the groups g, g + 4, g + 8, g + 12.
 */
static inline int q3_k_scale(const uint8_t scales[static 12], size_t group) {
    const int low = group < 8 ? scales[group] & 15 : scales[group - 8] >> 4;
    const int high = scales[8 + group % 4] >> 2 * (group / 4) & 3;
    return (low | high << 4) - 32;
}

/** The scales d s and minima m t of the 8 groups of Q4_K and Q5_K. */
typedef struct k_scales {
    float scale[8];
    float min[8];
} k_scales;

/**
 * s and t have 6 bits each in 12 bytes: groups 0 .. 3 in the low 6 bits of bytes 0 .. 3 and 4 .. 7;
 * groups 4 .. 7 in the halves of bytes 8 .. 11, with their upper 2 bits in the upper bits of bytes
 * 0 .. 3 and 4 .. 7.
 */
static inline k_scales get_k_scales(const uint8_t *block) {
    const float d = float_from_half_at(block);
    const float m = float_from_half_at(block + 2);
    const uint8_t *packed = block + 4;
    k_scales out;
    for (size_t i = 0; i < 4; i++) {
        out.scale[i] = d * (float)(packed[i] & 63);
        out.min[i] = m * (float)(packed[i + 4] & 63);
        out.scale[i + 4] = d * (float)((packed[i + 8] & 15) | (packed[i] >> 6) << 4);
        out.min[i + 4] = m * (float)(packed[i + 8] >> 4 | (packed[i + 4] >> 6) << 4);
    }
    return out;
}

static inline float nvfp4_scale(uint8_t code) {
    const int exponent = code >> 3 & 15;
    const int mantissa = code & 7;
    if (code == 0x7F) {
        return 0;
    }
    return exponent ? (float)(8 + mantissa) * float_power_of_two(exponent - 11)
                    : (float)mantissa * float_power_of_two(-10);
}

static inline float iq2_scale(float d, unsigned s) {
    return d * (0.5f + (float)s) * 0.25f;
}

/** d of IQ1_M: the upper 4 bits of each of its 4 words of scales, the lowest first. */
static inline float iq1_m_scale(const uint8_t scales[static 8]) {
    unsigned half = 0;
    for (size_t i = 0; i < 4; i++) {
        half |= (load_u16(scales + 2 * i) >> 12 & 15u) << 4 * i;
    }
    return float_from_half((uint16_t)half);
}

/** s - 32 of a group of 32 in a block of IQ4_XS: 4 bits in one place, 2 in another. */
static inline int iq4_xs_scale(const uint8_t *block, size_t group) {
    const int low = block[4 + group / 2] >> 4 * (group % 2) & 15;
    const int high = (int)((unsigned)load_u16(block + 2) >> 2 * group & 3);
    return (low | high << 4) - 32;
}

#endif
