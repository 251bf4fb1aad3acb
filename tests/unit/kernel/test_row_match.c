/* SPDX-License-Identifier: Apache-2.0 */
/* Rows find their partners wherever these stand; rows of strangers find none. */
#include "../testing.h"

#include <math.h>
#include <stdlib.h>

#include "base/hash.h"
#include "kernel/row_match.h"

enum { ROWS = 60, COLS = 80 };

static const row_match_options plain = {.cosine_min = 0.5, .nearness = 0.64};

static float uniform(uint64_t *state) {
    return (float)(hash_next(state) >> 40) / (float)(1 << 24) - 0.5F;
}

static void fill(float *values, size_t count, uint64_t seed) {
    for (size_t i = 0; i < count; i++) {
        values[i] = uniform(&seed) + uniform(&seed) + uniform(&seed);
    }
}

static void disturb(float *values, size_t count, float noise, float shift) {
    uint64_t seed = 5;
    for (size_t i = 0; i < count; i++) {
        values[i] += shift + noise * uniform(&seed);
    }
}

/* Row i of `out` is row (7 i) mod ROWS of `from`; 7 and ROWS have no common factor. */
static void reorder(float out[ROWS][COLS], float from[ROWS][COLS]) {
    for (size_t i = 0; i < ROWS; i++) {
        memcpy(out[i], from[7 * i % ROWS], sizeof out[i]);
    }
}

static row_match_count match(uint32_t *partners, int8_t *signs, float *from, size_t from_rows,
                             float *to, size_t to_rows, const row_match_options *options) {
    row_match_count count;
    assert_int_equal(
        row_match_find(partners, signs, &count, from, from_rows, to, to_rows, COLS, options, NULL),
        WEIR_OK);
    return count;
}

static void equal_rows_are_found_in_another_order(void **state) {
    (void)state;
    static float to[ROWS][COLS];
    static float from[ROWS][COLS];
    uint32_t partners[ROWS];
    fill(to[0], ROWS * COLS, 1);
    reorder(from, to);

    const row_match_count count = match(partners, NULL, from[0], ROWS, to[0], ROWS, &plain);

    assert_int_equal(count.equal, ROWS);
    assert_int_equal(count.telling, ROWS);
    assert_int_equal(count.near, 0);
    for (size_t i = 0; i < ROWS; i++) {
        assert_int_equal(partners[i], 7 * i % ROWS);
    }
}

static void changed_rows_are_found_by_angle(void **state) {
    (void)state;
    static float to[ROWS][COLS];
    static float from[ROWS][COLS];
    uint32_t partners[ROWS];
    fill(to[0], ROWS * COLS, 1);
    reorder(from, to);
    disturb(from[0], ROWS * COLS, 0.2F, 0);

    const row_match_count count = match(partners, NULL, from[0], ROWS, to[0], ROWS, &plain);

    assert_int_equal(count.equal, 0);
    assert_int_equal(count.near, ROWS);
    assert_true(count.cosine > 0.98 && count.cosine < 1);
    for (size_t i = 0; i < ROWS; i++) {
        assert_int_equal(partners[i], 7 * i % ROWS);
    }
}

static void a_common_mean_does_not_make_strangers_alike(void **state) {
    (void)state;
    static float to[ROWS][COLS];
    static float from[ROWS][COLS];
    uint32_t partners[ROWS];
    fill(to[0], ROWS * COLS, 1);
    fill(from[0], ROWS * COLS, 2);
    disturb(to[0], ROWS * COLS, 0, 3);
    disturb(from[0], ROWS * COLS, 0, 3);

    const row_match_count count = match(partners, NULL, from[0], ROWS, to[0], ROWS, &plain);

    assert_int_equal(count.equal + count.near, 0);
    for (size_t i = 0; i < ROWS; i++) {
        assert_int_equal(partners[i], ROW_MATCH_NONE);
    }
}

static void mirrored_rows_are_found_where_the_sign_is_free(void **state) {
    (void)state;
    static float to[ROWS][COLS];
    static float from[ROWS][COLS];
    uint32_t partners[ROWS];
    int8_t signs[ROWS];
    const row_match_options free_sign = {.any_sign = true, .cosine_min = 0.5, .nearness = 0.64};
    fill(to[0], ROWS * COLS, 1);
    reorder(from, to);
    for (size_t i = 0; i < ROWS; i++) {
        for (size_t j = 0; j < COLS; j++) {
            from[i][j] *= i % 3 == 0 ? -1.0F : 1.0F;
            from[i][j] *= i % 2 == 0 ? 1.0F : 1.01F; /* every second by angle only */
        }
    }

    const row_match_count count = match(partners, signs, from[0], ROWS, to[0], ROWS, &free_sign);

    assert_int_equal(count.equal, ROWS / 2);
    assert_int_equal(count.near, ROWS / 2);
    for (size_t i = 0; i < ROWS; i++) {
        assert_int_equal(partners[i], 7 * i % ROWS);
        assert_int_equal(signs[i], i % 3 == 0 ? -1 : 1);
    }
}

static void rows_that_are_all_equal_keep_their_places_and_tell_nothing(void **state) {
    (void)state;
    static float to[ROWS][COLS];
    static float from[ROWS][COLS];
    uint32_t partners[ROWS];

    const row_match_count count = match(partners, NULL, from[0], ROWS, to[0], ROWS, &plain);

    assert_int_equal(count.equal, ROWS);
    assert_int_equal(count.telling, 0);
    for (size_t i = 0; i < ROWS; i++) {
        assert_int_equal(partners[i], i);
    }
}

static void copies_share_a_partner_only_where_they_may(void **state) {
    (void)state;
    static float to[ROWS][COLS];
    static float from[ROWS][COLS];
    uint32_t partners[ROWS];
    const row_match_options repeat = {.may_repeat = true, .cosine_min = 0.5, .nearness = 0.64};
    fill(to[0], ROWS * COLS, 1);
    memcpy(from, to, sizeof from);
    memcpy(from[9], to[4], sizeof from[9]);

    match(partners, NULL, from[0], ROWS, to[0], ROWS, &plain);
    assert_int_equal(partners[4], 4);
    assert_int_equal(partners[9], ROW_MATCH_NONE);

    match(partners, NULL, from[0], ROWS, to[0], ROWS, &repeat);
    assert_int_equal(partners[4], 4);
    assert_int_equal(partners[9], 4);
}

static void rows_that_are_not_finite_have_no_partner(void **state) {
    (void)state;
    static float to[ROWS][COLS];
    static float from[ROWS][COLS];
    uint32_t partners[ROWS];
    fill(to[0], ROWS * COLS, 1);
    memcpy(from, to, sizeof from);
    from[3][7] = NAN;
    to[3][7] = NAN;
    from[5][0] = INFINITY;

    const row_match_count count = match(partners, NULL, from[0], ROWS, to[0], ROWS, &plain);

    assert_int_equal(count.equal, ROWS - 2);
    assert_int_equal(partners[3], ROW_MATCH_NONE);
    assert_int_equal(partners[5], ROW_MATCH_NONE);
}

static void a_subset_finds_its_rows(void **state) {
    (void)state;
    static float to[ROWS][COLS];
    static float from[ROWS][COLS];
    uint32_t partners[ROWS];
    fill(to[0], ROWS * COLS, 1);
    for (size_t i = 0; i < ROWS / 2; i++) {
        memcpy(from[i], to[2 * i], sizeof from[i]);
    }

    const row_match_count count = match(partners, NULL, from[0], ROWS / 2, to[0], ROWS, &plain);

    assert_int_equal(count.telling, ROWS / 2);
    for (size_t i = 0; i < ROWS / 2; i++) {
        assert_int_equal(partners[i], 2 * i);
    }
}

static void cosines_are_exact_on_known_rows(void **state) {
    (void)state;
    const float a[] = {3, 4, 0};
    const float b[] = {4, 3, 0};
    const float zero[3] = {0};

    assert_float_equal(row_cosine(a, b, 3), 24.0 / 25, 1e-12);
    assert_true(isnan(row_cosine(a, zero, 3)));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(equal_rows_are_found_in_another_order),
        cmocka_unit_test(changed_rows_are_found_by_angle),
        cmocka_unit_test(a_common_mean_does_not_make_strangers_alike),
        cmocka_unit_test(mirrored_rows_are_found_where_the_sign_is_free),
        cmocka_unit_test(rows_that_are_all_equal_keep_their_places_and_tell_nothing),
        cmocka_unit_test(copies_share_a_partner_only_where_they_may),
        cmocka_unit_test(rows_that_are_not_finite_have_no_partner),
        cmocka_unit_test(a_subset_finds_its_rows),
        cmocka_unit_test(cosines_are_exact_on_known_rows),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
