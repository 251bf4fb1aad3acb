/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file hamming.h  Weighted Hamming distances of one code to many: what a search by codes spends
 * its time on.
 *
 *     distance = sum over the bits that differ of their weight, 0 to 3
 *              = popcount((code ^ query) & low) + 2 popcount((code ^ query) & high)
 *
 * The weights belong to the query, in two bit planes: how sure it is of each bit. Integers only:
 * the same numbers at every SIMD level.
 */
#ifndef WEIR_KERNEL_HAMMING_H
#define WEIR_KERNEL_HAMMING_H

#include <stddef.h>
#include <stdint.h>

enum {
    HAMMING_STEP = 64,        /* codes are a multiple of it long */
    HAMMING_BYTES_MAX = 8192, /* so that 3 times the bits of a code stay far below 2^32 */
};

typedef struct hamming_query {
    const uint8_t *code;
    const uint8_t *low;  /**< weight 1 */
    const uint8_t *high; /**< weight 2, added to low's */
    size_t bytes;        /**< of the codes: a multiple of HAMMING_STEP, at most HAMMING_BYTES_MAX */
} hamming_query;

/**
 * Distances of `count` codes to the query.
 * @param codes   the first of them; no alignment needed
 * @param stride  bytes from one code to the next, at least query->bytes
 */
void hamming_scan(uint32_t *out, const uint8_t *codes, size_t count, size_t stride,
                  const hamming_query *query);

/** Bits that differ; `bytes` as above. */
uint32_t hamming_distance(const uint8_t *a, const uint8_t *b, size_t bytes);

#endif
