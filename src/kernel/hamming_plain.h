/* SPDX-License-Identifier: Apache-2.0 */
/** @file hamming_plain.h  Weighted Hamming distances in 64-bit words. */
#ifndef WEIR_KERNEL_HAMMING_PLAIN_H
#define WEIR_KERNEL_HAMMING_PLAIN_H

#include <string.h>

#include "kernel/hamming.h"

static inline uint64_t word_at(const uint8_t *bytes) {
    uint64_t word;
    memcpy(&word, bytes, sizeof word);
    return word;
}

/* Set bits of each byte, in that byte. */
static inline uint64_t count_in_bytes(uint64_t word) {
    word -= word >> 1 & 0x5555555555555555u;
    word = (word & 0x3333333333333333u) + (word >> 2 & 0x3333333333333333u);
    return (word + (word >> 4)) & 0x0F0F0F0F0F0F0F0Fu;
}

/* The bytes hold at most 24 each after one word, so 8 words fit a byte: one sum for HAMMING_STEP
 * bytes. */
static uint32_t distance_of_step(const uint8_t *code, const hamming_query *query, size_t at) {
    uint64_t bytes = 0;
    for (size_t i = at; i < at + HAMMING_STEP; i += sizeof bytes) {
        const uint64_t differ = word_at(code + i) ^ word_at(query->code + i);
        bytes += count_in_bytes(differ & word_at(query->low + i));
        bytes += 2 * count_in_bytes(differ & word_at(query->high + i));
    }
    const uint64_t pairs = (bytes & 0x00FF00FF00FF00FFu) + (bytes >> 8 & 0x00FF00FF00FF00FFu);
    return (uint32_t)((pairs * 0x0001000100010001u) >> 48);
}

static void hamming(uint32_t *out, const uint8_t *codes, size_t count, size_t stride,
                    const hamming_query *query) {
    for (size_t i = 0; i < count; i++) {
        uint32_t total = 0;
        for (size_t at = 0; at < query->bytes; at += HAMMING_STEP) {
            total += distance_of_step(codes + i * stride, query, at);
        }
        out[i] = total;
    }
}

#endif
