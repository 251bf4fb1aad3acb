/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file pair_avx2.h  The float32 pass with AVX2; compiled for AVX-512 too, which has the registers
 * for it.
 *
 * Two vectors of 8 hold the 16 lanes: lanes 0 .. 7 and 8 .. 15 of float32; of bfloat16 the even and
 * the odd ones, because each half of a 32-bit word turns into float32 by one operation.
 *
 * bfloat16 has 8 significant bits, so a product of two has 16 and is exact in float32 unless it
 * underflows: then, and only then, a fused multiply-add could differ from a multiplication and an
 * addition. So the pass fuses a a, b b, a b and 4^e, not (b - a)^2, and looks at the smallest
 * magnitude: at 2^-63 or more no product underflows. An overflow shows as an infinite sum in either
 * form.
 *
 * Counts are of equal bits and of differing signs, which is right when there is no zero. If the
 * smallest magnitude is 0, they are counted again with care.
 *
 * Sums and counts take turns on pieces that stay in the L1 cache: together they need more than 16
 * registers.
 */
#ifndef WEIR_KERNEL_PAIR_AVX2_H
#define WEIR_KERNEL_PAIR_AVX2_H

#include <immintrin.h>

#include "kernel/pair_lanes.h"

enum { PIECE = 1024, BF16_FUSED_MIN = 0x2000 /* 2^-63 */ };

typedef struct vector_sums {
    __m256 aa, bb, ab, dd, ulp2;
} vector_sums;

typedef struct f32_counts {
    __m256i equal, sign_of, sign_agree;
} f32_counts;

typedef struct bf16_counts {
    __m256i equal, sign_differs, smallest; /* smallest: twice the bits of the magnitude */
} bf16_counts;

static inline __attribute__((always_inline)) __m256 add_distance(vector_sums *sums, __m256 max,
                                                                 __m256 a, __m256 b) {
    const __m256 difference = _mm256_sub_ps(b, a);
    sums->dd = _mm256_add_ps(sums->dd, _mm256_mul_ps(difference, difference));
    return _mm256_max_ps(max, _mm256_andnot_ps(_mm256_set1_ps(-0.0f), difference));
}

static inline __attribute__((always_inline)) __m256 get_step(__m256 a) {
    return _mm256_and_ps(a, _mm256_castsi256_ps(_mm256_set1_epi32(0x7F800000)));
}

static inline __attribute__((always_inline)) __m256 add_rounded(vector_sums *sums, __m256 max,
                                                                __m256 a, __m256 b) {
    const __m256 step = get_step(a);
    sums->aa = _mm256_add_ps(sums->aa, _mm256_mul_ps(a, a));
    sums->bb = _mm256_add_ps(sums->bb, _mm256_mul_ps(b, b));
    sums->ab = _mm256_add_ps(sums->ab, _mm256_mul_ps(a, b));
    sums->ulp2 = _mm256_add_ps(sums->ulp2, _mm256_mul_ps(step, step));
    return add_distance(sums, max, a, b);
}

static inline __attribute__((always_inline)) __m256 add_fused(vector_sums *sums, __m256 max,
                                                              __m256 a, __m256 b) {
    const __m256 step = get_step(a);
    sums->aa = _mm256_fmadd_ps(a, a, sums->aa);
    sums->bb = _mm256_fmadd_ps(b, b, sums->bb);
    sums->ab = _mm256_fmadd_ps(a, b, sums->ab);
    sums->ulp2 = _mm256_fmadd_ps(step, step, sums->ulp2);
    return add_distance(sums, max, a, b);
}

static void sum_f32(vector_sums sums[static 2], __m256 *max, const float *a, const float *b,
                    size_t n) {
    vector_sums low = sums[0];
    vector_sums high = sums[1];
    __m256 largest = *max;
    for (size_t i = 0; i < n; i += PAIR_LANES) {
        largest = add_rounded(&low, largest, _mm256_loadu_ps(a + i), _mm256_loadu_ps(b + i));
        largest =
            add_rounded(&high, largest, _mm256_loadu_ps(a + i + 8), _mm256_loadu_ps(b + i + 8));
    }
    sums[0] = low;
    sums[1] = high;
    *max = largest;
}

/** Exact with zeros too: among float32 they are common, since many come from codes. */
static void count_f32(f32_counts *counts, const float *a, const float *b, size_t n) {
    const __m256 zero = _mm256_setzero_ps();
    f32_counts now = *counts;
    for (size_t i = 0; i < n; i += 8) {
        const __m256 x = _mm256_loadu_ps(a + i);
        const __m256 y = _mm256_loadu_ps(b + i);
        const __m256i both = _mm256_castps_si256(_mm256_and_ps(
            _mm256_cmp_ps(x, zero, _CMP_NEQ_OQ), _mm256_cmp_ps(y, zero, _CMP_NEQ_OQ)));
        const __m256i differ = _mm256_srai_epi32(_mm256_castps_si256(_mm256_xor_ps(x, y)), 31);
        const __m256i equal = _mm256_castps_si256(_mm256_cmp_ps(x, y, _CMP_EQ_OQ));
        now.equal = _mm256_sub_epi32(now.equal, equal);
        now.sign_of = _mm256_sub_epi32(now.sign_of, both);
        now.sign_agree = _mm256_sub_epi32(now.sign_agree, _mm256_andnot_si256(differ, both));
    }
    *counts = now;
}

static inline __attribute__((always_inline)) __m256 even_bf16(__m256i pairs) {
    return _mm256_castsi256_ps(_mm256_slli_epi32(pairs, 16));
}

static inline __attribute__((always_inline)) __m256 odd_bf16(__m256i pairs) {
    return _mm256_castsi256_ps(_mm256_and_si256(pairs, _mm256_set1_epi32((int)0xFFFF0000)));
}

static void sum_bf16(vector_sums sums[static 2], __m256 *max, const uint16_t *a, const uint16_t *b,
                     size_t n) {
    vector_sums even = sums[0];
    vector_sums odd = sums[1];
    __m256 largest = *max;
    for (size_t i = 0; i < n; i += PAIR_LANES) {
        const __m256i x = _mm256_loadu_si256((const __m256i *)(const void *)(a + i));
        const __m256i y = _mm256_loadu_si256((const __m256i *)(const void *)(b + i));
        largest = add_fused(&even, largest, even_bf16(x), even_bf16(y));
        largest = add_fused(&odd, largest, odd_bf16(x), odd_bf16(y));
    }
    sums[0] = even;
    sums[1] = odd;
    *max = largest;
}

/** A counter of 16 bits meets at most 256 elements of a block. */
static void count_bf16(bf16_counts *counts, const uint16_t *a, const uint16_t *b, size_t n) {
    bf16_counts now = *counts;
    for (size_t i = 0; i < n; i += 16) {
        const __m256i x = _mm256_loadu_si256((const __m256i *)(const void *)(a + i));
        const __m256i y = _mm256_loadu_si256((const __m256i *)(const void *)(b + i));
        const __m256i signs = _mm256_srli_epi16(_mm256_xor_si256(x, y), 15);
        const __m256i smaller = _mm256_min_epu16(_mm256_add_epi16(x, x), _mm256_add_epi16(y, y));
        now.equal = _mm256_sub_epi16(now.equal, _mm256_cmpeq_epi16(x, y));
        now.sign_differs = _mm256_add_epi16(now.sign_differs, signs);
        now.smallest = _mm256_min_epu16(now.smallest, smaller);
    }
    *counts = now;
}

static void store_interleaved(float out[static PAIR_LANES], __m256 even, __m256 odd) {
    const __m256 low = _mm256_unpacklo_ps(even, odd);  /* 0-3, 8-11 */
    const __m256 high = _mm256_unpackhi_ps(even, odd); /* 4-7, 12-15 */
    _mm256_storeu_ps(out, _mm256_permute2f128_ps(low, high, 0x20));
    _mm256_storeu_ps(out + 8, _mm256_permute2f128_ps(low, high, 0x31));
}

static void store_in_order(float out[static PAIR_LANES], __m256 low, __m256 high) {
    _mm256_storeu_ps(out, low);
    _mm256_storeu_ps(out + 8, high);
}

typedef void store_lanes(float out[static PAIR_LANES], __m256 first, __m256 second);

static void finish_vectors(pair_stats *out, const vector_sums sums[static 2], __m256 max,
                           store_lanes *store) {
    lane_sums lanes = {0};
    store(lanes.aa, sums[0].aa, sums[1].aa);
    store(lanes.bb, sums[0].bb, sums[1].bb);
    store(lanes.ab, sums[0].ab, sums[1].ab);
    store(lanes.dd, sums[0].dd, sums[1].dd);
    store(lanes.ulp2, sums[0].ulp2, sums[1].ulp2);
    _mm256_storeu_ps(lanes.max, max);
    finish_lanes(out, &lanes);
}

static void finish_counts_f32(pair_stats *out, const f32_counts *counts) {
    uint32_t equal[8];
    uint32_t sign_of[8];
    uint32_t sign_agree[8];
    memcpy(equal, &counts->equal, sizeof equal);
    memcpy(sign_of, &counts->sign_of, sizeof sign_of);
    memcpy(sign_agree, &counts->sign_agree, sizeof sign_agree);
    for (size_t i = 0; i < 8; i++) {
        out->equal += equal[i];
        out->sign_of += sign_of[i];
        out->sign_agree += sign_agree[i];
    }
}

/** @return the bits of the smallest magnitude. */
static uint32_t finish_counts_bf16(pair_stats *out, const bf16_counts *counts) {
    uint16_t equal[16];
    uint16_t differs[16];
    uint16_t smallest[16];
    uint32_t least = UINT16_MAX;
    memcpy(equal, &counts->equal, sizeof equal);
    memcpy(differs, &counts->sign_differs, sizeof differs);
    memcpy(smallest, &counts->smallest, sizeof smallest);
    out->sign_of = out->count;
    out->sign_agree = out->count;
    for (size_t i = 0; i < 16; i++) {
        out->equal += equal[i];
        out->sign_agree -= differs[i];
        least = smallest[i] < least ? smallest[i] : least;
    }
    return least >> 1;
}

/** A short end is filled up with zeros, which add nothing to a sum, and equal pairs to the count.
 */
static void pair_f32(pair_stats *out, const float *a, const float *b, size_t n) {
    vector_sums sums[2] = {0};
    f32_counts counts = {0};
    __m256 max = _mm256_setzero_ps();
    const size_t rest = n % PAIR_LANES;
    const size_t whole = n - rest;
    *out = (pair_stats){.count = n};
    for (size_t i = 0; i < whole; i += PIECE) {
        const size_t len = whole - i < PIECE ? whole - i : PIECE;
        sum_f32(sums, &max, a + i, b + i, len);
        count_f32(&counts, a + i, b + i, len);
    }
    if (rest) {
        float end[2][PAIR_LANES] = {0};
        memcpy(end[0], a + whole, rest * sizeof *a);
        memcpy(end[1], b + whole, rest * sizeof *b);
        sum_f32(sums, &max, end[0], end[1], PAIR_LANES);
        count_f32(&counts, end[0], end[1], PAIR_LANES);
        out->equal -= PAIR_LANES - rest;
    }
    finish_vectors(out, sums, max, store_in_order);
    finish_counts_f32(out, &counts);
}

/** Counts with care. @return the bits of the smallest magnitude that is not 0, less one. */
static uint16_t count_pairs_bf16(pair_stats *out, const uint16_t *a, const uint16_t *b, size_t n) {
    uint16_t equal = 0;
    uint16_t sign_of = 0;
    uint16_t sign_agree = 0;
    uint16_t least = UINT16_MAX;
    for (size_t i = 0; i < n; i++) {
        const uint16_t x = (uint16_t)(a[i] << 1);
        const uint16_t y = (uint16_t)(b[i] << 1);
        const uint16_t both = (uint16_t)((x != 0) & (y != 0));
        const uint16_t less_x = (uint16_t)((x >> 1) - 1); /* a zero becomes the largest */
        const uint16_t less_y = (uint16_t)((y >> 1) - 1);
        const uint16_t less = less_x < less_y ? less_x : less_y;
        equal = (uint16_t)(equal + ((a[i] == b[i]) | ((x | y) == 0)));
        sign_of = (uint16_t)(sign_of + both);
        sign_agree = (uint16_t)(sign_agree + (both & (uint16_t) ~((a[i] ^ b[i]) >> 15)));
        least = less < least ? less : least;
    }
    out->equal = equal;
    out->sign_of = sign_of;
    out->sign_agree = sign_agree;
    return least;
}

static void pair_bf16_rounded(pair_stats *out, const uint16_t *a, const uint16_t *b, size_t n) {
    float values_a[PAIR_BLOCK];
    float values_b[PAIR_BLOCK];
    convert_bf16(values_a, a, n);
    convert_bf16(values_b, b, n);
    pair_f32(out, values_a, values_b, n);
}

static void pair_bf16(pair_stats *out, const uint16_t *a, const uint16_t *b, size_t n) {
    vector_sums sums[2] = {0};
    bf16_counts counts = {.smallest = _mm256_set1_epi32(-1)};
    __m256 max = _mm256_setzero_ps();
    const size_t rest = n % PAIR_LANES;
    const size_t whole = n - rest;
    *out = (pair_stats){.count = n};
    for (size_t i = 0; i < whole; i += PIECE) {
        const size_t len = whole - i < PIECE ? whole - i : PIECE;
        sum_bf16(sums, &max, a + i, b + i, len);
        count_bf16(&counts, a + i, b + i, len);
    }
    if (rest) {
        uint16_t end[2][PAIR_LANES] = {0};
        memcpy(end[0], a + whole, rest * sizeof *a);
        memcpy(end[1], b + whole, rest * sizeof *b);
        sum_bf16(sums, &max, end[0], end[1], PAIR_LANES);
    }
    finish_vectors(out, sums, max, store_interleaved);
    const uint32_t smallest = finish_counts_bf16(out, &counts);
    if (smallest >= BF16_FUSED_MIN && !rest) {
        return;
    }
    if (count_pairs_bf16(out, a, b, n) + 1 < BF16_FUSED_MIN) {
        pair_bf16_rounded(out, a, b, n);
    }
}

#endif
