/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file level.h  What runs at a SIMD level.
 *
 * level.c is compiled once for each level, with the compiler's flags for it; dispatch.c chooses
 * one.
 */
#ifndef WEIR_KERNEL_LEVEL_H
#define WEIR_KERNEL_LEVEL_H

#include <stddef.h>
#include <stdint.h>

#include "kernel/hamming.h"
#include "kernel/pair_stats.h"
#include "weir/dtype.h"

/** Fills `count` floats, a whole number of blocks, from bytes of any alignment. */
typedef void number_reader(float *restrict out, const uint8_t *restrict stored, size_t count);

/** Stores `count` values, a whole number of blocks. */
typedef void number_writer(uint8_t *restrict out, const float *restrict values, size_t count);

/**
 * Sums and counts of a block as if every value and every square were finite and not tiny; nan_* and
 * inf_* are 0. pair_stats.c says when the result is believed.
 */
typedef void pair_lanes_f32(pair_stats *out, const float *a, const float *b, size_t n);
typedef void pair_lanes_bf16(pair_stats *out, const uint16_t *a, const uint16_t *b, size_t n);

/** Sum of squares of n floats, in 16 fixed lanes. */
typedef float squares_lanes(const float *values, size_t n);

/** Inner products of UNIT_GROUP rows of `cols` floats with one row, each in 16 fixed lanes. */
enum { UNIT_GROUP = 4 };
typedef void dots_lanes(float out[UNIT_GROUP], const float *const rows[UNIT_GROUP],
                        const float *with, size_t cols);

/** Walsh-Hadamard transform, in place, of 16 interleaved rows of n (a power of two) floats. */
typedef void hadamard_lanes(float (*values)[16], size_t n);

/** As unit_code_distances and unit_code_distances_own. */
typedef void code_distances(uint16_t out[16][16], const uint64_t *a, const uint64_t *b,
                            const uint64_t *mask, size_t words);
typedef void code_distances_own(uint16_t out[16], const uint64_t *a, const uint64_t *b,
                                const uint64_t *mask, size_t words);

/** As hamming_scan. */
typedef void hamming_scanner(uint32_t *out, const uint8_t *codes, size_t count, size_t stride,
                             const hamming_query *query);

typedef struct kernel_level {
    pair_lanes_f32 *pair_f32;
    pair_lanes_bf16 *pair_bf16;
    squares_lanes *squares;
    dots_lanes *dots;
    hadamard_lanes *hadamard;
    code_distances *distances;
    code_distances_own *distances_own;
    hamming_scanner *hamming;
    number_reader *readers[WEIR_DTYPE_COUNT]; /* NULL: opaque */
    number_writer *writers[WEIR_DTYPE_COUNT]; /* NULL: not written */
} kernel_level;

/** @return the level in use; static. */
const kernel_level *kernel_level_current(void);

#endif
