/* SPDX-License-Identifier: Apache-2.0 */
/* The sums of `known` come from numpy in float64: tests/peer/make_known_answers.py made them. */
#include "../testing.h"

#include <math.h>
#include <stdlib.h>

#include "kernel/convert.h"
#include "kernel/pair_stats.h"
#include "levels.h"

static const struct {
    const char *name;
    float scale;
    double aa, bb, ab, dd, ulp2, max;
} known[] = {
    {"common", 0x1p-10f, 0x1.45da82ep+8, 0x1.3a73ecap+8, 0x1.f984fp+1, 0x1.3c342dep+9,
     0x1.1eb0608p+7, 0x1.d5p+0},
    {"squares overflow", 0x1p100f, 0x1.45da82ep+228, 0x1.3a73ecap+228, 0x1.f984fp+221,
     0x1.3c342dep+229, 0x1.1eb0608p+227, 0x1.d5p+110},
    {"squares underflow", 0x1p-120f, 0x1.45da82ep-212, 0x1.3a73ecap-212, 0x1.f984fp-219,
     0x1.3c342dep-211, 0x1.1eb0608p-213, 0x1.d5p-110},
    {"subnormal", 0x1p-145f, 0x1.45da82ep-262, 0x1.3a73ecap-262, 0x1.f984fp-269, 0x1.3c342dep-261,
     0x1.1eb0608p-263, 0x1.d5p-135},
};

static void assert_close(double mine, double theirs, double tolerance) {
    assert_true(fabs(mine - theirs) <= tolerance * fabs(theirs));
}

static void sums_are_those_of_float64(void **state) {
    (void)state;
    enum { N = 1000 };
    for (size_t k = 0; k < sizeof known / sizeof *known; k++) {
        uint64_t seed = 9;
        float a[N];
        float b[N];
        for (size_t i = 0; i < N; i++) {
            a[i] = known[k].scale * ((float)(draw(&seed) % 2001) - 1000.0f);
            b[i] = known[k].scale * ((float)(draw(&seed) % 2001) - 1000.0f);
        }
        const double tolerance = k == 0 ? 1e-6 : 1e-15; /* redone in double */
        pair_stats stats;

        pair_stats_block_f32(&stats, a, b, N);

        assert_close(stats.sum_aa, known[k].aa, tolerance);
        assert_close(stats.sum_bb, known[k].bb, tolerance);
        assert_true(fabs(stats.sum_ab - known[k].ab) <= tolerance * known[k].aa);
        assert_close(stats.sum_dd, known[k].dd, tolerance);
        assert_close(stats.sum_ulp2, known[k].ulp2, tolerance);
        assert_close(stats.max_abs_diff, known[k].max, 1e-15);
    }
}

static void small_whole_numbers_are_exact(void **state) {
    (void)state;
    const float a[] = {1, -2, 0, 3, 0.5f, -0.0f, 4, -8, 0};
    const float b[] = {1, 2, 0, 3.5f, -0.25f, 0, 4, -9, 5};
    pair_stats stats;

    pair_stats_block_f32(&stats, a, b, 9);

    assert_int_equal(stats.count, 9);
    assert_int_equal(stats.equal, 4); /* 1, both zeros, 4 */
    assert_int_equal(stats.sign_of, 6);
    assert_int_equal(stats.sign_agree, 4);
    assert_true(stats.sum_aa == 94.25);
    assert_true(stats.sum_bb == 1 + 4 + 12.25 + 0.0625 + 16 + 81 + 25);
    assert_true(stats.sum_ab == 1 - 4 + 10.5 - 0.125 + 16 + 72);
    assert_true(stats.sum_dd == 16 + 0.25 + 0.5625 + 1 + 25);
    assert_true(stats.sum_ulp2 == 1 + 4 + 4 + 0.25 + 16 + 64);
    assert_true(stats.max_abs_diff == 5);
}

static void not_finite_elements_are_counted_and_left_out_of_the_sums(void **state) {
    (void)state;
    const float a[] = {NAN, NAN, INFINITY, -INFINITY, 1, 2, INFINITY, 3};
    const float b[] = {NAN, 1, INFINITY, INFINITY, INFINITY, NAN, 5, 4};
    weir_simd level = WEIR_SIMD_BASE;
    while (next_level(&level)) {
        pair_stats stats;

        pair_stats_block_f32(&stats, a, b, 8);

        assert_int_equal(stats.count, 8);
        assert_int_equal(stats.nan_a, 2);
        assert_int_equal(stats.nan_b, 2);
        assert_int_equal(stats.inf_a, 3);
        assert_int_equal(stats.inf_b, 3);
        assert_int_equal(stats.equal, 2);
        assert_int_equal(stats.sign_of, 5);
        assert_int_equal(stats.sign_agree, 4);
        assert_true(stats.sum_aa == 9 && stats.sum_bb == 16 && stats.sum_ab == 12);
        assert_true(stats.sum_dd == 1 && stats.max_abs_diff == 1 && stats.sum_ulp2 == 4);
    }
}

static void a_difference_past_the_largest_float_is_told(void **state) {
    (void)state;
    const float a[] = {-0x1.fffffep127f, 1};
    const float b[] = {0x1.fffffep127f, 1};
    pair_stats stats;

    pair_stats_block_f32(&stats, a, b, 2);

    assert_true(stats.max_abs_diff == 0x1.fffffep128);
    assert_int_equal(stats.equal, 1);
}

static void nothing_and_zeros_give_zeros(void **state) {
    (void)state;
    static const float zeros[PAIR_BLOCK];
    static const pair_stats none;
    pair_stats stats;

    pair_stats_block_f32(&stats, zeros, zeros, 0);
    assert_memory_equal(&stats, &none, sizeof stats);
    pair_stats_block_bf16(&stats, (const uint16_t *)zeros, (const uint16_t *)zeros, 0);
    assert_memory_equal(&stats, &none, sizeof stats);

    pair_stats_block_f32(&stats, zeros, zeros, PAIR_BLOCK);
    assert_int_equal(stats.equal, PAIR_BLOCK);
    assert_int_equal(stats.sign_of, 0);
    assert_true(stats.sum_aa == 0 && stats.sum_dd == 0 && stats.sum_ulp2 == 0);
}

/** Kinds of material: each shakes another path. */
typedef enum material {
    COMMON,
    SPARSE,      /* half zeros of both signs */
    TINY,        /* squares underflow */
    NEARLY_TINY, /* some squares underflow beside others that do not */
    HUGE_VALUES, /* squares overflow */
    ALL_BITS,    /* NaN and infinity too */
    FINITE_BITS, /* every exponent but that of NaN */
    ONE_NAN,
    SAME, /* b is a */
    MATERIALS,
} material;

static uint16_t draw_bf16(material kind, uint64_t *seed) {
    const uint32_t raw = draw(seed);
    const uint16_t sign_and_mantissa = raw & 0x807F;
    const uint16_t spread = raw >> 20 & 7;
    switch (kind) {
    case COMMON:
    case SAME:
        return (uint16_t)(sign_and_mantissa | (118 + spread) << 7);
    case SPARSE:
        return raw >> 24 & 1 ? raw & 0x8000 : (uint16_t)(sign_and_mantissa | (118 + spread) << 7);
    case TINY:
        return (uint16_t)(sign_and_mantissa | spread << 7);
    case NEARLY_TINY:
        return (uint16_t)(sign_and_mantissa | (raw >> 24 & 15 ? 50 + spread : 100) << 7);
    case HUGE_VALUES:
        return (uint16_t)(sign_and_mantissa | (247 + spread) << 7);
    case ALL_BITS:
        return (uint16_t)raw;
    case FINITE_BITS:
        return (raw & 0x7F80) == 0x7F80 ? 0 : (uint16_t)raw;
    case ONE_NAN:
        return raw >> 20 ? (uint16_t)(sign_and_mantissa | 120 << 7) : 0x7FC0;
    case MATERIALS:
        break;
    }
    return 0;
}

typedef struct pair {
    uint16_t a[PAIR_BLOCK + 1]; /* one more, to start at any alignment */
    uint16_t b[PAIR_BLOCK + 1];
    float wide_a[PAIR_BLOCK + 1];
    float wide_b[PAIR_BLOCK + 1];
} pair;

static void fill_pair(pair *out, material kind, uint64_t seed) {
    for (size_t i = 0; i <= PAIR_BLOCK; i++) {
        out->a[i] = draw_bf16(kind, &seed);
        out->b[i] = draw_bf16(kind, &seed);
        if (kind == SAME || draw(&seed) % 4 == 0) {
            out->b[i] = out->a[i];
        }
    }
    convert_to_f32(out->wide_a, WEIR_DTYPE_BF16, out->a, PAIR_BLOCK + 1);
    convert_to_f32(out->wide_b, WEIR_DTYPE_BF16, out->b, PAIR_BLOCK + 1);
}

static void assert_levels_agree(const pair *of, size_t offset, size_t n) {
    pair_stats expected;
    assert_int_equal(weir_simd_force(WEIR_SIMD_BASE, NULL), WEIR_OK);
    pair_stats_block_f32(&expected, of->wide_a + offset, of->wide_b + offset, n);
    weir_simd level = WEIR_SIMD_BASE;
    while (next_level(&level)) {
        pair_stats stats;
        pair_stats_block_f32(&stats, of->wide_a + offset, of->wide_b + offset, n);
        assert_memory_equal(&stats, &expected, sizeof stats);
        pair_stats_block_bf16(&stats, of->a + offset, of->b + offset, n);
        assert_memory_equal(&stats, &expected, sizeof stats);
    }
}

static void every_level_and_both_forms_give_the_same_bytes(void **state) {
    (void)state;
    static const size_t sizes[] = {0, 1, 15, 16, 17, 31, 33, 1023, 1025, 4095, 4096};
    static pair of;
    for (material kind = COMMON; kind < MATERIALS; kind++) {
        for (uint64_t seed = 1; seed <= 4; seed++) {
            fill_pair(&of, kind, seed);
            for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
                assert_levels_agree(&of, i % 2, sizes[i]);
            }
        }
    }
}

static void float32_that_is_no_bf16_agrees_too(void **state) {
    (void)state;
    static float a[PAIR_BLOCK];
    static float b[PAIR_BLOCK];
    uint64_t seed = 3;
    for (size_t round = 0; round < 20; round++) {
        for (size_t i = 0; i < PAIR_BLOCK; i++) {
            a[i] = (float)(int32_t)draw(&seed) * 0x1p-35f;
            b[i] = a[i] * (1 + (float)(int32_t)draw(&seed) * 0x1p-40f);
        }
        pair_stats expected;
        assert_int_equal(weir_simd_force(WEIR_SIMD_BASE, NULL), WEIR_OK);
        pair_stats_block_f32(&expected, a, b, PAIR_BLOCK);
        weir_simd level = WEIR_SIMD_BASE;
        while (next_level(&level)) {
            pair_stats stats;
            pair_stats_block_f32(&stats, a, b, PAIR_BLOCK);
            assert_memory_equal(&stats, &expected, sizeof stats);
        }
    }
}

enum { TENSOR_BLOCKS = 37 };

static pair_stats merge_with_threads(const pair *blocks, int threads) {
    pair_stats each[TENSOR_BLOCKS];
    pair_stats sum = {0};
#pragma omp parallel for num_threads(threads) schedule(dynamic)
    for (size_t i = 0; i < TENSOR_BLOCKS; i++) {
        pair_stats_block_bf16(&each[i], blocks[i].a, blocks[i].b, PAIR_BLOCK);
    }
    for (size_t i = 0; i < TENSOR_BLOCKS; i++) {
        pair_stats_merge(&sum, &each[i]);
    }
    return sum;
}

static void the_number_of_threads_does_not_change_a_byte(void **state) {
    (void)state;
    pair *blocks = calloc(TENSOR_BLOCKS, sizeof *blocks);
    assert_non_null(blocks);
    for (size_t i = 0; i < TENSOR_BLOCKS; i++) {
        fill_pair(&blocks[i], (material)(i % MATERIALS), i);
    }

    const pair_stats expected = merge_with_threads(blocks, 1);

    assert_int_equal(expected.count, (uint64_t)TENSOR_BLOCKS * PAIR_BLOCK);
    for (int threads = 2; threads <= 5; threads++) {
        const pair_stats stats = merge_with_threads(blocks, threads);
        assert_memory_equal(&stats, &expected, sizeof stats);
    }
    free(blocks);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(sums_are_those_of_float64),
        cmocka_unit_test(small_whole_numbers_are_exact),
        cmocka_unit_test(not_finite_elements_are_counted_and_left_out_of_the_sums),
        cmocka_unit_test(a_difference_past_the_largest_float_is_told),
        cmocka_unit_test(nothing_and_zeros_give_zeros),
        cmocka_unit_test(every_level_and_both_forms_give_the_same_bytes),
        cmocka_unit_test(float32_that_is_no_bf16_agrees_too),
        cmocka_unit_test(the_number_of_threads_does_not_change_a_byte),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
