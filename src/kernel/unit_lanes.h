/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file unit_lanes.h  The loops of unit_code.c that run at a SIMD level.
 *
 * Element i belongs to lane i mod 16; a lane adds in index order, and the lanes are added as a tree
 * of fixed shape: so every level gives the same bits. Plain C that compilers turn into vectors.
 */
#ifndef WEIR_KERNEL_UNIT_LANES_H
#define WEIR_KERNEL_UNIT_LANES_H

#include "kernel/level.h"

enum { UNIT_LANES = 16 };

static inline float add_up(float lanes[UNIT_LANES]) {
    for (size_t width = UNIT_LANES / 2; width > 0; width /= 2) {
        for (size_t i = 0; i < width; i++) {
            lanes[i] += lanes[i + width];
        }
    }
    return lanes[0];
}

static float squares(const float *values, size_t n) {
    float lanes[UNIT_LANES] = {0};
    const size_t rest = n % UNIT_LANES;
    for (size_t i = 0; i < n - rest; i += UNIT_LANES) {
        for (size_t j = 0; j < UNIT_LANES; j++) {
            lanes[j] += values[i + j] * values[i + j];
        }
    }
    for (size_t j = 0; j < rest; j++) {
        lanes[j] += values[n - rest + j] * values[n - rest + j];
    }
    return add_up(lanes);
}

static void dots(float out[UNIT_GROUP], const float *const rows[UNIT_GROUP], const float *with,
                 size_t cols) {
    float lanes[UNIT_GROUP][UNIT_LANES] = {{0}};
    const size_t rest = cols % UNIT_LANES;
    const float *const a = rows[0];
    const float *const b = rows[1];
    const float *const c = rows[2];
    const float *const d = rows[3];
    for (size_t i = 0; i < cols - rest; i += UNIT_LANES) {
        for (size_t j = 0; j < UNIT_LANES; j++) {
            lanes[0][j] += a[i + j] * with[i + j];
            lanes[1][j] += b[i + j] * with[i + j];
            lanes[2][j] += c[i + j] * with[i + j];
            lanes[3][j] += d[i + j] * with[i + j];
        }
    }
    for (size_t k = 0; k < UNIT_GROUP; k++) {
        for (size_t j = 0; j < rest; j++) {
            lanes[k][j] += rows[k][cols - rest + j] * with[cols - rest + j];
        }
        out[k] = add_up(lanes[k]);
    }
}

static void hadamard(float (*restrict values)[UNIT_LANES], size_t n) {
    for (size_t half = 1; half < n; half *= 2) {
        for (size_t begin = 0; begin < n; begin += 2 * half) {
            for (size_t i = begin; i < begin + half; i++) {
                float *const restrict low = values[i];
                float *const restrict high = values[i + half];
                for (size_t j = 0; j < UNIT_LANES; j++) {
                    const float sum = low[j] + high[j];
                    high[j] = low[j] - high[j];
                    low[j] = sum;
                }
            }
        }
    }
}

static inline uint16_t code_distance(const uint64_t *a, const uint64_t *b, const uint64_t *mask,
                                     size_t words) {
    int bits = 0;
    for (size_t i = 0; i < words; i++) {
        bits += __builtin_popcountll((a[i] ^ b[i]) & mask[i]);
    }
    return (uint16_t)bits;
}

static void distances(uint16_t out[UNIT_LANES][UNIT_LANES], const uint64_t *a, const uint64_t *b,
                      const uint64_t *mask, size_t words) {
    for (size_t i = 0; i < UNIT_LANES; i++) {
        for (size_t j = 0; j < UNIT_LANES; j++) {
            out[i][j] = code_distance(a + i * words, b + j * words, mask, words);
        }
    }
}

static void distances_own(uint16_t out[UNIT_LANES], const uint64_t *a, const uint64_t *b,
                          const uint64_t *mask, size_t words) {
    for (size_t i = 0; i < UNIT_LANES; i++) {
        out[i] = code_distance(a + i * words, b + i * words, mask, words);
    }
}

#endif
