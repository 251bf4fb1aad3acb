/* SPDX-License-Identifier: Apache-2.0 */
/* The reference is the definition, bit by bit. */
#include "../testing.h"

#include <stdlib.h>

#include "kernel/hamming.h"
#include "levels.h"

enum { CODES = 5, BYTES_MAX = 512, STRIDE_MAX = 577 };

static unsigned bit_at(const uint8_t *bytes, size_t bit) {
    return bytes[bit / 8] >> (bit % 8) & 1u;
}

static uint32_t distance_by_definition(const uint8_t *code, const hamming_query *query) {
    uint32_t sum = 0;
    for (size_t bit = 0; bit < 8 * query->bytes; bit++) {
        if (bit_at(code, bit) != bit_at(query->code, bit)) {
            sum += bit_at(query->low, bit) + 2 * bit_at(query->high, bit);
        }
    }
    return sum;
}

static void fill(uint8_t *out, size_t len, uint64_t seed) {
    for (size_t i = 0; i < len; i++) {
        out[i] = (uint8_t)draw(&seed);
    }
}

/* Exactly as many bytes as the codes take, at an odd address: reading past them is seen with
 * sanitizers. */
static void check(size_t bytes, size_t stride, uint64_t seed) {
    const size_t len = (CODES - 1) * stride + bytes;
    uint8_t *memory = malloc(len + 1);
    uint8_t planes[3][BYTES_MAX];
    assert_non_null(memory);
    fill(memory, len + 1, seed);
    fill(planes[0], sizeof planes, seed + 1);
    const hamming_query query = {
        .code = planes[0], .low = planes[1], .high = planes[2], .bytes = bytes};
    weir_simd level = WEIR_SIMD_BASE;
    while (next_level(&level)) {
        uint32_t found[CODES];

        hamming_scan(found, memory + 1, CODES, stride, &query);

        for (size_t i = 0; i < CODES; i++) {
            assert_int_equal(found[i], distance_by_definition(memory + 1 + i * stride, &query));
        }
    }
    free(memory);
}

static void every_level_gives_the_weighted_distance(void **state) {
    (void)state;
    static const size_t sizes[] = {64, 128, 256, 512};
    for (size_t i = 0; i < 4; i++) {
        check(sizes[i], sizes[i], 10 * i);
        check(sizes[i], 512, 10 * i + 3);
        check(sizes[i], STRIDE_MAX, 10 * i + 6);
    }
}

static void the_largest_distance_is_three_a_bit(void **state) {
    (void)state;
    static uint8_t ones[HAMMING_BYTES_MAX];
    static const uint8_t zeros[HAMMING_BYTES_MAX];
    memset(ones, 0xFF, sizeof ones);
    const hamming_query query = {.code = ones, .low = ones, .high = ones, .bytes = sizeof ones};
    weir_simd level = WEIR_SIMD_BASE;
    while (next_level(&level)) {
        uint32_t far;
        uint32_t near;

        hamming_scan(&far, zeros, 1, sizeof zeros, &query);
        hamming_scan(&near, ones, 1, sizeof ones, &query);

        assert_int_equal(far, 3 * 8 * HAMMING_BYTES_MAX);
        assert_int_equal(near, 0);
    }
}

static void a_bit_without_weight_does_not_count(void **state) {
    (void)state;
    uint8_t codes[64] = {0};
    const uint8_t query_code[64] = {0x0F};
    const uint8_t low[64] = {0x01 | 0x08};
    const uint8_t high[64] = {0x02 | 0x08};
    const hamming_query query = {.code = query_code, .low = low, .high = high, .bytes = 64};
    uint32_t distance;

    hamming_scan(&distance, codes, 1, 64, &query);

    assert_int_equal(distance, 1 + 2 + 0 + 3);
}

static void without_weights_the_bits_that_differ_are_counted(void **state) {
    (void)state;
    uint8_t codes[2][BYTES_MAX];
    fill(codes[0], sizeof codes, 77);
    uint32_t expected = 0;
    for (size_t bit = 0; bit < 8 * (size_t)BYTES_MAX; bit++) {
        expected += bit_at(codes[0], bit) != bit_at(codes[1], bit);
    }
    weir_simd level = WEIR_SIMD_BASE;
    while (next_level(&level)) {
        assert_int_equal(hamming_distance(codes[0], codes[1], BYTES_MAX), expected);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_level_gives_the_weighted_distance),
        cmocka_unit_test(the_largest_distance_is_three_a_bit),
        cmocka_unit_test(a_bit_without_weight_does_not_count),
        cmocka_unit_test(without_weights_the_bits_that_differ_are_counted),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
