/* SPDX-License-Identifier: Apache-2.0 */
/* The hashes and values come from numpy, ml_dtypes and gguf: tests/peer/make_known_answers.py made
 * them. */
#include "../testing.h"

#include <math.h>
#include <stdlib.h>

#include "kernel/convert.h"
#include "levels.h"

enum { BLOCKS = 6, STORED_MAX = BLOCKS * 292, VALUES_MAX = BLOCKS * 256 };

typedef struct known_answer {
    weir_dtype dtype;
    uint64_t seed;
    uint64_t hash;
} known_answer;

static const known_answer reading[] = {
    {WEIR_DTYPE_Q4_0, 1, 0x303A80431D7016FA},    {WEIR_DTYPE_Q4_1, 1, 0x94D0CBF1708ADA28},
    {WEIR_DTYPE_Q5_0, 1, 0x2A8E12E6F28CCECC},    {WEIR_DTYPE_Q5_1, 1, 0xBCB85C577D05A201},
    {WEIR_DTYPE_Q8_0, 1, 0x48A32B74D4C9655F},    {WEIR_DTYPE_Q2_K, 1, 0x54F079B582294626},
    {WEIR_DTYPE_Q3_K, 1, 0x54BC2DF00C3B1C08},    {WEIR_DTYPE_Q4_K, 3, 0xE6D8083CD96DFD72},
    {WEIR_DTYPE_Q5_K, 1, 0xD14FD93482A0A8CC},    {WEIR_DTYPE_Q6_K, 3, 0x5E0FA0B793AB9A71},
    {WEIR_DTYPE_IQ1_S, 1, 0xF7E706A0FD37632C},   {WEIR_DTYPE_IQ1_M, 1, 0xAA5C05DA09CDFF6D},
    {WEIR_DTYPE_IQ2_XXS, 1, 0xC91B30EC5CB7AFED}, {WEIR_DTYPE_IQ2_XS, 1, 0x6AD1B219FB33385B},
    {WEIR_DTYPE_IQ2_S, 1, 0x3A5133B989BA1558},   {WEIR_DTYPE_IQ3_XXS, 1, 0x7473E5437EBFAFAA},
    {WEIR_DTYPE_IQ3_S, 1, 0x21F8D3404F097EA5},   {WEIR_DTYPE_IQ4_NL, 1, 0x27A52E1254DC4BE0},
    {WEIR_DTYPE_IQ4_XS, 1, 0x24E1F321B002E224},  {WEIR_DTYPE_TQ1_0, 2, 0x3646E7AC9432AF9D},
    {WEIR_DTYPE_TQ2_0, 1, 0xF17B9524B7BAA177},   {WEIR_DTYPE_MXFP4, 1, 0xFACEBAB9FE984FB0},
    {WEIR_DTYPE_NVFP4, 1, 0xF5EA85B51A81C4DA},   {WEIR_DTYPE_BF16, 1, 0x506045905338A223},
};

static const known_answer writing[] = {
    {WEIR_DTYPE_Q4_0, 1, 0x9B7E3DDDDB6B753F},  {WEIR_DTYPE_Q4_1, 1, 0xBC4146BA97BF0623},
    {WEIR_DTYPE_Q5_0, 1, 0x04D8DE9BBE922EDE},  {WEIR_DTYPE_Q5_1, 1, 0xE3FCA425B2183723},
    {WEIR_DTYPE_Q8_0, 1, 0xD9BABEC54D142EAD},  {WEIR_DTYPE_TQ1_0, 1, 0x477BC25825EBF337},
    {WEIR_DTYPE_TQ2_0, 1, 0xE79489C4AC51F636}, {WEIR_DTYPE_MXFP4, 1, 0xF2DD392BABF68513},
    {WEIR_DTYPE_BF16, 1, 0x36D2750C2ACFA882},
};

static size_t draw_bytes(uint8_t *out, weir_dtype dtype, uint64_t seed) {
    const size_t len = (size_t)BLOCKS * weir_dtype_get(dtype)->block_bytes;
    for (size_t i = 0; i < len; i++) {
        out[i] = (uint8_t)(draw(&seed) >> 24);
    }
    return (size_t)BLOCKS * weir_dtype_get(dtype)->block_elements;
}

static void blocks_read_as_gguf_reads_them_at_every_level(void **state) {
    (void)state;
    weir_simd level = WEIR_SIMD_BASE;
    while (next_level(&level)) {
        for (size_t i = 0; i < sizeof reading / sizeof *reading; i++) {
            uint8_t stored[STORED_MAX];
            float values[VALUES_MAX];
            const size_t count = draw_bytes(stored, reading[i].dtype, reading[i].seed);

            convert_to_f32(values, reading[i].dtype, stored, count);

            assert_int_equal(fnv1a(values, count * sizeof *values), reading[i].hash);
        }
    }
}

static void assert_written(const known_answer *known) {
    const weir_dtype_info *info = weir_dtype_get(known->dtype);
    const size_t count = (size_t)BLOCKS * info->block_elements;
    uint64_t seed = known->seed;
    uint8_t stored[STORED_MAX];
    float values[VALUES_MAX];
    for (size_t j = 0; j < count; j++) {
        const uint32_t raw = draw(&seed);
        values[j] = ((float)((raw >> 8) % 2001) - 1000.0f) / (float)(1u << raw % 16);
    }

    convert_from_f32(stored, known->dtype, values, count);

    assert_int_equal(fnv1a(stored, (size_t)BLOCKS * info->block_bytes), known->hash);
}

static void values_are_written_as_gguf_writes_them_at_every_level(void **state) {
    (void)state;
    weir_simd level = WEIR_SIMD_BASE;
    while (next_level(&level)) {
        for (size_t i = 0; i < sizeof writing / sizeof *writing; i++) {
            assert_written(&writing[i]);
        }
    }
}

static void every_level_writes_the_same_bytes(void **state) {
    (void)state;
    for (size_t i = 0; i < sizeof writing / sizeof *writing; i++) {
        const weir_dtype_info *info = weir_dtype_get(writing[i].dtype);
        const size_t count = (size_t)BLOCKS * info->block_elements;
        uint64_t seed = 11;
        uint8_t expected[STORED_MAX];
        float values[VALUES_MAX];
        for (size_t j = 0; j < count; j++) { /* every exponent, NaN and infinity in some blocks */
            const uint32_t bits = draw(&seed) & (j < count / 2 ? 0xBFFFFFFF : 0xFFFFFFFF);
            memcpy(&values[j], &bits, sizeof bits);
        }
        assert_int_equal(weir_simd_force(WEIR_SIMD_BASE, NULL), WEIR_OK);
        convert_from_f32(expected, writing[i].dtype, values, count);

        weir_simd level = WEIR_SIMD_BASE;
        while (next_level(&level)) {
            uint8_t stored[STORED_MAX];
            convert_from_f32(stored, writing[i].dtype, values, count);
            assert_memory_equal(stored, expected, (size_t)BLOCKS * info->block_bytes);
        }
    }
}

static void writing_again_what_was_read_gives_the_same_bytes(void **state) {
    (void)state;
    for (size_t i = 0; i < sizeof writing / sizeof *writing; i++) {
        const weir_dtype dtype = writing[i].dtype;
        const size_t len = (size_t)BLOCKS * weir_dtype_get(dtype)->block_bytes;
        const size_t count = (size_t)BLOCKS * weir_dtype_get(dtype)->block_elements;
        uint64_t seed = 5;
        uint8_t first[STORED_MAX];
        uint8_t second[STORED_MAX];
        float values[VALUES_MAX];
        for (size_t j = 0; j < count; j++) {
            values[j] = (float)(int32_t)draw(&seed) * 0x1p-31f;
        }

        convert_from_f32(first, dtype, values, count);
        convert_to_f32(values, dtype, first, count);
        convert_from_f32(second, dtype, values, count);

        if (dtype != WEIR_DTYPE_Q4_1 && dtype != WEIR_DTYPE_Q5_1) { /* max - min rounds anew */
            assert_memory_equal(first, second, len);
        }
    }
}

static void every_level_reads_the_same_bits(void **state) {
    (void)state;
    for (weir_dtype dtype = 0; dtype < WEIR_DTYPE_COUNT; dtype++) {
        uint8_t stored[STORED_MAX];
        float expected[VALUES_MAX];
        if (!convert_can_read(dtype)) {
            continue;
        }
        const size_t count = draw_bytes(stored, dtype, 77);
        assert_int_equal(weir_simd_force(WEIR_SIMD_BASE, NULL), WEIR_OK);
        convert_to_f32(expected, dtype, stored, count);

        weir_simd level = WEIR_SIMD_BASE;
        while (next_level(&level)) {
            float values[VALUES_MAX];
            convert_to_f32(values, dtype, stored, count);
            for (size_t i = 0; i < count; i++) {
                assert_true(memcmp(&values[i], &expected[i], sizeof *values) == 0 ||
                            (isnan(values[i]) && isnan(expected[i])));
            }
        }
    }
}

static void any_alignment_will_do(void **state) {
    (void)state;
    for (weir_dtype dtype = 0; dtype < WEIR_DTYPE_COUNT; dtype++) {
        uint8_t stored[STORED_MAX + 1];
        uint8_t aligned[STORED_MAX];
        float expected[VALUES_MAX];
        float values[VALUES_MAX];
        if (!convert_can_read(dtype)) {
            continue;
        }
        const size_t count = draw_bytes(aligned, dtype, 78);
        memcpy(stored + 1, aligned, sizeof aligned);

        convert_to_f32(expected, dtype, aligned, count);
        convert_to_f32(values, dtype, stored + 1, count);

        assert_memory_equal(values, expected, count * sizeof *values);
    }
}

static float read_one(weir_dtype dtype, const char *stored) {
    float value;
    convert_to_f32(&value, dtype, stored, 1);
    return value;
}

static void small_floats_have_the_ends_of_their_specification(void **state) {
    (void)state;
    assert_true(read_one(WEIR_DTYPE_F8_E4M3, "\x7E") == 448.0f);
    assert_true(read_one(WEIR_DTYPE_F8_E4M3, "\x01") == 0x1p-9f);
    assert_true(isnan(read_one(WEIR_DTYPE_F8_E4M3, "\xFF")));
    assert_true(read_one(WEIR_DTYPE_F8_E5M2, "\x7B") == 57344.0f);
    assert_true(read_one(WEIR_DTYPE_F8_E5M2, "\xFC") == -INFINITY);
    assert_true(isnan(read_one(WEIR_DTYPE_F8_E5M2, "\x7F")));
    assert_true(read_one(WEIR_DTYPE_F8_E8M0, "\x00") == 0x1p-127f);
    assert_true(read_one(WEIR_DTYPE_F8_E8M0, "\xFE") == 0x1p127f);
    assert_true(isnan(read_one(WEIR_DTYPE_F8_E8M0, "\xFF")));
    assert_true(read_one(WEIR_DTYPE_F8_E4M3FNUZ, "\x7F") == 240.0f);
    assert_true(isnan(read_one(WEIR_DTYPE_F8_E4M3FNUZ, "\x80")));
    assert_true(read_one(WEIR_DTYPE_F8_E5M2FNUZ, "\x7F") == 57344.0f);
    assert_true(read_one(WEIR_DTYPE_F16, "\x01\x00") == 0x1p-24f);
    assert_true(read_one(WEIR_DTYPE_F16, "\x00\x7C") == INFINITY);
    assert_true(signbit(read_one(WEIR_DTYPE_F16, "\x00\x80")));
    assert_true(read_one(WEIR_DTYPE_F64, "\x01\x00\x00\x10\x00\x00\xF0\x3F") == 0x1.000002p0f);
    assert_true(read_one(WEIR_DTYPE_F64, "\x00\x00\x00\x10\x00\x00\xF0\x3F") == 1.0f);
}

static void integers_round_to_nearest_even(void **state) {
    (void)state;
    assert_true(read_one(WEIR_DTYPE_I8, "\x80") == -128.0f);
    assert_true(read_one(WEIR_DTYPE_U8, "\x80") == 128.0f);
    assert_true(read_one(WEIR_DTYPE_BOOL, "\x02") == 1.0f);
    assert_true(read_one(WEIR_DTYPE_I32, "\x01\x00\x00\x01") == 16777216.0f);
    assert_true(read_one(WEIR_DTYPE_I32, "\x03\x00\x00\x01") == 16777220.0f);
    assert_true(read_one(WEIR_DTYPE_U64, "\xFF\xFF\xFF\xFF\xFF\xFF\xFF\xFF") == 0x1p64f);
    assert_true(read_one(WEIR_DTYPE_I64, "\xFF\xFF\xFF\xFF\xFF\xFF\xFF\xFF") == -1.0f);
}

static void halves_round_to_nearest_even(void **state) {
    (void)state;
    static const struct {
        float value;
        uint16_t half;
    } table[] = {{65519.996f, 0x7BFF},   {65520.0f, 0x7C00},   {-INFINITY, 0xFC00},
                 {0x1p-25f, 0},          {0x1.000002p-25f, 1}, {-0x1.8p-24f, 0x8002},
                 {0x1.002p0f, 0x3C00},   {0x1.006p0f, 0x3C02}, {0x1.ffcp-15f, 0x0400},
                 {0x1.ff8p-15f, 0x03FF}, {-0.0f, 0x8000},      {0x1p-149f, 0}};
    for (size_t i = 0; i < sizeof table / sizeof *table; i++) {
        uint8_t stored[2];

        convert_from_f32(stored, WEIR_DTYPE_F16, &table[i].value, 1);

        assert_int_equal(stored[0] | stored[1] << 8, table[i].half);
    }
}

static void nan_stays_nan_when_written(void **state) {
    (void)state;
    const uint32_t bits = 0x7F800001; /* its payload would round to infinity */
    float value;
    uint8_t stored[2];
    memcpy(&value, &bits, sizeof value);

    convert_from_f32(stored, WEIR_DTYPE_F16, &value, 1);
    assert_true(isnan(read_one(WEIR_DTYPE_F16, (const char *)stored)));
    convert_from_f32(stored, WEIR_DTYPE_BF16, &value, 1);
    assert_true(isnan(read_one(WEIR_DTYPE_BF16, (const char *)stored)));
}

static void not_finite_blocks_are_written_without_harm(void **state) {
    (void)state;
    for (size_t i = 0; i < sizeof writing / sizeof *writing; i++) {
        const size_t count = weir_dtype_get(writing[i].dtype)->block_elements;
        uint8_t stored[STORED_MAX];
        float values[VALUES_MAX];
        for (size_t j = 0; j < count; j++) {
            values[j] = j % 3 == 0 ? NAN : j % 3 == 1 ? INFINITY : -0x1p-149f;
        }

        convert_from_f32(stored, writing[i].dtype, values, count);
        convert_to_f32(values, writing[i].dtype, stored, count);
    }
}

static void opaque_dtypes_are_neither_read_nor_written(void **state) {
    (void)state;
    assert_false(convert_can_read(WEIR_DTYPE_C64));
    assert_false(convert_can_read(WEIR_DTYPE_F4));
    assert_false(convert_can_read(WEIR_DTYPE_F6_E2M3));
    assert_false(convert_can_write(WEIR_DTYPE_Q4_K));
    for (weir_dtype dtype = 0; dtype < WEIR_DTYPE_COUNT; dtype++) {
        const bool opaque = weir_dtype_get(dtype)->kind == WEIR_DTYPE_KIND_OPAQUE;
        assert_int_equal(convert_can_read(dtype), !opaque);
    }
}

static void nothing_is_read_of_nothing(void **state) {
    (void)state;
    for (weir_dtype dtype = 0; dtype < WEIR_DTYPE_COUNT; dtype++) {
        if (convert_can_read(dtype)) {
            float value = 7;
            convert_to_f32(&value, dtype, "", 0);
            assert_true(value == 7);
        }
    }
}

static void an_unknown_level_is_refused(void **state) {
    (void)state;
    const weir_simd before = weir_simd_level();
    weir_error err = {0};

    assert_int_equal(weir_simd_force((weir_simd)9, &err), WEIR_ERR_ARG);

    assert_int_equal(err.code, WEIR_ERR_ARG);
    assert_int_equal(weir_simd_level(), before);
    assert_string_equal(weir_simd_name(WEIR_SIMD_AVX512), "avx512");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(blocks_read_as_gguf_reads_them_at_every_level),
        cmocka_unit_test(values_are_written_as_gguf_writes_them_at_every_level),
        cmocka_unit_test(every_level_writes_the_same_bytes),
        cmocka_unit_test(writing_again_what_was_read_gives_the_same_bytes),
        cmocka_unit_test(every_level_reads_the_same_bits),
        cmocka_unit_test(any_alignment_will_do),
        cmocka_unit_test(small_floats_have_the_ends_of_their_specification),
        cmocka_unit_test(integers_round_to_nearest_even),
        cmocka_unit_test(halves_round_to_nearest_even),
        cmocka_unit_test(nan_stays_nan_when_written),
        cmocka_unit_test(not_finite_blocks_are_written_without_harm),
        cmocka_unit_test(opaque_dtypes_are_neither_read_nor_written),
        cmocka_unit_test(nothing_is_read_of_nothing),
        cmocka_unit_test(an_unknown_level_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
