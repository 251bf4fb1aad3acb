/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file read_iq.h  ggml's IQ blocks of 256: codes point into a grid of rows; signs and scales stand
 * beside them.
 *
 *   TYPE     BYTES                                   ROW  INDEX               SCALE OF A ROW
 *   IQ1_S    d:2 low:32 high:16                      8    8 + 3 bits          d (2 s + 1), 32
 * elements IQ1_M    low:32 high:16 scale:8                  8    8 + 3 bits          d (2 s + 1),
 * 16 elements IQ2_XXS  d:2, then 8 of {index:4 sign+scale:4}   8    8 bits              d (0.5 + s)
 * 0.25, 32 IQ2_XS   d:2 index+sign:64 scale:8               8    9 bits of 16        d (0.5 + s)
 * 0.25, 16 IQ2_S    d:2 low:32 sign:32 high:8 scale:8       8    8 + 2 bits          d (0.5 + s)
 * 0.25, 16 IQ3_XXS  d:2 index:64 sign+scale:32              4    8 bits              d (0.5 + s)
 * 0.5, 32 IQ3_S    d:2 low:64 high:8 sign:32 scale:4       4    8 + 1 bits          d (1 + 2 s), 32
 *   IQ4_XS   d:2 scale_high:2 scale_low:4 low:128    -    4 bits into kvalues d (s - 32), 32
 *
 * d is binary16; that of IQ1_M is spread over the upper 4 bits of the 4 words of its scales. A sign
 * is a bit of a byte, or, where only 7 bits are kept for 8 elements, the eighth makes the number of
 * minus signs even. IQ1 has no signs: its grid holds -1, 0, 1 and each row is shifted by +-1/8.
 *
 * Source: ggml-common.h (layouts) and ggml-quants.c (values) of ggml-org/llama.cpp.
 */
#ifndef WEIR_KERNEL_READ_IQ_H
#define WEIR_KERNEL_READ_IQ_H
#include "kernel/block_scales.h"
#include "kernel/iq_tables.h"

static const float iq2_values[4] = {8, 25, 43, 0};
static const float iq3_xxs_values[8] = {4, 12, 20, 28, 36, 44, 52, 62};
static const float iq3_s_values[8] = {1, 3, 5, 7, 9, 11, 13, 15};

/** Eight sign bits from the seven that are stored. */
static unsigned complete_signs(unsigned seven) {
    return seven | (unsigned)__builtin_parity(seven) << 7;
}

static float with_sign(float value, unsigned minus) {
    return minus ? -value : value;
}

static void put_iq2_row(float *out, unsigned row, float scale, unsigned signs) {
    for (size_t j = 0; j < 8; j++) {
        out[j] = with_sign(scale * iq2_values[row >> 2 * j & 3], signs >> j & 1);
    }
}

static void read_iq2_xxs(float *restrict out, const uint8_t *restrict stored, size_t count) {
    for (; count; count -= SUPER, stored += 66) {
        const float d = float_from_half_at(stored);
        for (size_t group = 0; group < 8; group++) {
            const uint8_t *index = stored + 2 + 8 * group;
            const uint32_t signs = load_u32(index + 4);
            const float scale = iq2_scale(d, signs >> 28);
            for (size_t l = 0; l < 4; l++, out += 8) {
                put_iq2_row(out, iq2_xxs_grid[index[l]], scale,
                            complete_signs(signs >> 7 * l & 127));
            }
        }
    }
}

static void read_iq2_xs(float *restrict out, const uint8_t *restrict stored, size_t count) {
    for (; count; count -= SUPER, stored += 74) {
        const float d = float_from_half_at(stored);
        for (size_t row = 0; row < 32; row++, out += 8) {
            const unsigned word = load_u16(stored + 2 + 2 * row);
            const unsigned s = stored[66 + row / 4] >> 4 * (row / 2 % 2) & 15;
            put_iq2_row(out, iq2_xs_grid[word & 511], iq2_scale(d, s), complete_signs(word >> 9));
        }
    }
}

static void read_iq2_s(float *restrict out, const uint8_t *restrict stored, size_t count) {
    for (; count; count -= SUPER, stored += 82) {
        const float d = float_from_half_at(stored);
        const uint8_t *signs = stored + 34;
        const uint8_t *high = stored + 66;
        for (size_t row = 0; row < 32; row++, out += 8) {
            const unsigned upper = (unsigned)high[row / 4] >> 2 * (row % 4) & 3;
            const unsigned index = stored[2 + row] | upper << 8;
            const unsigned s = stored[74 + row / 4] >> 4 * (row / 2 % 2) & 15;
            put_iq2_row(out, iq2_s_grid[index], iq2_scale(d, s), signs[row]);
        }
    }
}

static void read_iq3_xxs(float *restrict out, const uint8_t *restrict stored, size_t count) {
    for (; count; count -= SUPER, stored += 98) {
        const float d = float_from_half_at(stored);
        for (size_t row = 0; row < 64; row++, out += 4) {
            const uint32_t packed = load_u32(stored + 66 + 4 * (row / 8));
            const float scale = d * (0.5f + (float)(packed >> 28)) * 0.5f;
            const unsigned signs = complete_signs(packed >> 7 * (row / 2 % 4) & 127);
            const unsigned values = iq3_xxs_grid[stored[2 + row]];
            for (size_t j = 0; j < 4; j++) {
                out[j] = with_sign(scale * iq3_xxs_values[values >> 4 * j & 7],
                                   signs >> (4 * (row % 2) + j) & 1);
            }
        }
    }
}

static void read_iq3_s(float *restrict out, const uint8_t *restrict stored, size_t count) {
    for (; count; count -= SUPER, stored += 110) {
        const float d = float_from_half_at(stored);
        const uint8_t *high = stored + 66;
        const uint8_t *signs = stored + 74;
        for (size_t row = 0; row < 64; row++, out += 4) {
            const unsigned s = stored[106 + row / 16] >> 4 * (row / 8 % 2) & 15;
            const float scale = d * (float)(1 + 2 * s);
            const unsigned upper = (unsigned)high[row / 8] >> row % 8 & 1;
            const unsigned index = stored[2 + row] | upper << 8;
            const unsigned values = iq3_s_grid[index];
            for (size_t j = 0; j < 4; j++) {
                out[j] = with_sign(scale * iq3_s_values[values >> 4 * j & 7],
                                   signs[row / 2] >> (4 * (row % 2) + j) & 1);
            }
        }
    }
}

static void put_iq1_row(float *out, unsigned index, float scale, unsigned minus) {
    const unsigned row = iq1_s_grid[index];
    const float shift = minus ? -0.125f : 0.125f;
    for (size_t j = 0; j < 8; j++) {
        out[j] = scale * ((float)((int)(row >> 2 * j & 3) - 1) + shift);
    }
}

/** A word of `high` serves 4 rows: 3 index bits each, then 3 bits of scale and the sign of the
 * shift. */
static void read_iq1_s(float *restrict out, const uint8_t *restrict stored, size_t count) {
    for (; count; count -= SUPER, stored += 50) {
        const float d = float_from_half_at(stored);
        for (size_t row = 0; row < 32; row++, out += 8) {
            const unsigned high = load_u16(stored + 34 + 2 * (row / 4));
            const unsigned index = stored[2 + row] | (high >> 3 * (row % 4) & 7) << 8;
            put_iq1_row(out, index, d * (float)(2 * (high >> 12 & 7) + 1), high >> 15);
        }
    }
}

/** A half byte of `high` serves one row: 3 index bits and the sign of the shift. */
static void read_iq1_m(float *restrict out, const uint8_t *restrict stored, size_t count) {
    for (; count; count -= SUPER, stored += 56) {
        const uint8_t *scales = stored + 48;
        const float d = iq1_m_scale(scales);
        for (size_t row = 0; row < 32; row++, out += 8) {
            const unsigned high = stored[32 + row / 2] >> 4 * (row % 2) & 15;
            const unsigned s = load_u16(scales + 2 * (row / 8)) >> 3 * (row / 2 % 4) & 7;
            put_iq1_row(out, stored[row] | (high & 7) << 8, d * (float)(2 * s + 1), high >> 3);
        }
    }
}

/** A group of 32: byte j of 16 holds element j and, above it, element 16 + j. */
static void read_iq4_xs(float *restrict out, const uint8_t *restrict stored, size_t count) {
    for (; count; count -= SUPER, stored += 136) {
        const float d = float_from_half_at(stored);
        for (size_t group = 0; group < 8; group++, out += 32) {
            const float scale = d * (float)iq4_xs_scale(stored, group);
            const uint8_t *codes = stored + 8 + 16 * group;
            for (size_t j = 0; j < 16; j++) {
                out[j] = scale * (float)iq4_values[codes[j] & 15];
                out[j + 16] = scale * (float)iq4_values[codes[j] >> 4];
            }
        }
    }
}

#endif
