/* SPDX-License-Identifier: Apache-2.0 */
#include "kernel/hamming.h"

#include <assert.h>

#include "kernel/level.h"

void hamming_scan(uint32_t *out, const uint8_t *codes, size_t count, size_t stride,
                  const hamming_query *query) {
    assert(query->bytes % HAMMING_STEP == 0 && query->bytes <= HAMMING_BYTES_MAX);
    kernel_level_current()->hamming(out, codes, count, stride, query);
}

static const uint8_t ones[HAMMING_STEP] = {
    255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255,
    255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255,
    255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255,
    255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255};
static const uint8_t zeros[HAMMING_STEP] = {0};

uint32_t hamming_distance(const uint8_t *a, const uint8_t *b, size_t bytes) {
    assert(bytes % HAMMING_STEP == 0 && bytes <= HAMMING_BYTES_MAX);
    uint32_t total = 0;
    for (size_t at = 0; at < bytes; at += HAMMING_STEP) {
        const hamming_query query = {
            .code = b + at, .low = ones, .high = zeros, .bytes = HAMMING_STEP};
        uint32_t part;
        kernel_level_current()->hamming(&part, a + at, 1, HAMMING_STEP, &query);
        total += part;
    }
    return total;
}
