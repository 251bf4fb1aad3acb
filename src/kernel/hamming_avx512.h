/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file hamming_avx512.h  Weighted Hamming distances with AVX-512 F and BW: as hamming_avx2.h, in
 * 512 bits. The memory is the limit here, so that the instruction that counts bits, which not every
 * such machine has, would gain nothing.
 */
#ifndef WEIR_KERNEL_HAMMING_AVX512_H
#define WEIR_KERNEL_HAMMING_AVX512_H

#include <immintrin.h>

#include "kernel/hamming.h"

static inline __attribute__((always_inline)) __m512i counts_512(__m512i table, __m512i bits) {
    const __m512i half = _mm512_set1_epi8(15);
    const __m512i low = _mm512_and_si512(bits, half);
    const __m512i high = _mm512_and_si512(_mm512_srli_epi16(bits, 4), half);
    return _mm512_add_epi8(_mm512_shuffle_epi8(table, low), _mm512_shuffle_epi8(table, high));
}

static inline __attribute__((always_inline)) __m512i
weighted_512(const uint8_t *code, const hamming_query *query, size_t at) {
    const __m512i once =
        _mm512_broadcast_i32x4(_mm_setr_epi8(0, 1, 1, 2, 1, 2, 2, 3, 1, 2, 2, 3, 2, 3, 3, 4));
    const __m512i twice = _mm512_add_epi8(once, once);
    const __m512i differ =
        _mm512_xor_si512(_mm512_loadu_si512(code + at), _mm512_loadu_si512(query->code + at));
    const __m512i low = _mm512_and_si512(differ, _mm512_loadu_si512(query->low + at));
    const __m512i high = _mm512_and_si512(differ, _mm512_loadu_si512(query->high + at));
    return _mm512_add_epi8(counts_512(once, low), counts_512(twice, high));
}

static void hamming(uint32_t *out, const uint8_t *codes, size_t count, size_t stride,
                    const hamming_query *query) {
    for (size_t i = 0; i < count; i++) {
        const uint8_t *code = codes + i * stride;
        __m512i sums = _mm512_setzero_si512();
        for (size_t at = 0; at < query->bytes; at += HAMMING_STEP) {
            sums = _mm512_add_epi64(
                sums, _mm512_sad_epu8(weighted_512(code, query, at), _mm512_setzero_si512()));
        }
        out[i] = (uint32_t)_mm512_reduce_add_epi64(sums);
    }
}

#endif
