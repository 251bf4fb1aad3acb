/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file hamming_avx2.h  Weighted Hamming distances with AVX2: set bits of each half byte from a
 * table of 16 in a register [1].
 *
 * A byte holds at most 8 + 2 x 8 after one vector; the two vectors of a step fit.
 * [1] Mula, Kurz, Lemire 2018 (faster population counts using AVX2 instructions).
 */
#ifndef WEIR_KERNEL_HAMMING_AVX2_H
#define WEIR_KERNEL_HAMMING_AVX2_H

#include <immintrin.h>

#include "kernel/hamming.h"

static inline __attribute__((always_inline)) __m256i load_256(const uint8_t *bytes) {
    return _mm256_loadu_si256((const __m256i_u *)(const void *)bytes);
}

static inline __attribute__((always_inline)) __m256i counts_256(__m256i table, __m256i bits) {
    const __m256i half = _mm256_set1_epi8(15);
    const __m256i low = _mm256_and_si256(bits, half);
    const __m256i high = _mm256_and_si256(_mm256_srli_epi16(bits, 4), half);
    return _mm256_add_epi8(_mm256_shuffle_epi8(table, low), _mm256_shuffle_epi8(table, high));
}

static inline __attribute__((always_inline)) __m256i
weighted_256(const uint8_t *code, const hamming_query *query, size_t at) {
    const __m256i once = _mm256_setr_epi8(0, 1, 1, 2, 1, 2, 2, 3, 1, 2, 2, 3, 2, 3, 3, 4, 0, 1, 1,
                                          2, 1, 2, 2, 3, 1, 2, 2, 3, 2, 3, 3, 4);
    const __m256i twice = _mm256_add_epi8(once, once);
    const __m256i differ = _mm256_xor_si256(load_256(code + at), load_256(query->code + at));
    const __m256i low = _mm256_and_si256(differ, load_256(query->low + at));
    const __m256i high = _mm256_and_si256(differ, load_256(query->high + at));
    return _mm256_add_epi8(counts_256(once, low), counts_256(twice, high));
}

static void hamming(uint32_t *out, const uint8_t *codes, size_t count, size_t stride,
                    const hamming_query *query) {
    for (size_t i = 0; i < count; i++) {
        const uint8_t *code = codes + i * stride;
        __m256i sums = _mm256_setzero_si256();
        for (size_t at = 0; at < query->bytes; at += HAMMING_STEP) {
            const __m256i bytes =
                _mm256_add_epi8(weighted_256(code, query, at), weighted_256(code, query, at + 32));
            sums = _mm256_add_epi64(sums, _mm256_sad_epu8(bytes, _mm256_setzero_si256()));
        }
        const __m128i half =
            _mm_add_epi64(_mm256_castsi256_si128(sums), _mm256_extracti128_si256(sums, 1));
        out[i] = (uint32_t)_mm_cvtsi128_si64(half) + (uint32_t)_mm_extract_epi64(half, 1);
    }
}

#endif
