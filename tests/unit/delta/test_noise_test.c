/* SPDX-License-Identifier: Apache-2.0 */
#include "looks.h"

#include "delta/noise_test.h"

enum { ROWS = 128, COLS = 192, COUNT = ROWS * COLS };

static noise_test test_added(weir_dtype dtype, float (*value)(size_t, size_t, float, uint64_t *)) {
    matrix_look look = make_look(ROWS, COLS, dtype, 3);
    float *const added = calloc(COUNT, sizeof *added);
    uint64_t seed = 4;
    noise_test found;
    noise_test again;
    assert_non_null(added);
    for (size_t i = 0; i < COUNT; i++) {
        added[i] = value(i / COLS, i % COLS, look.base[i], &seed);
    }
    store_change(&look, added);
    assert_int_equal(noise_test_run(&found, &look, NULL), WEIR_OK);
    assert_int_equal(noise_test_run(&again, &look, NULL), WEIR_OK);
    assert_memory_equal(&found, &again, sizeof found);
    matrix_look_release(&look);
    free(added);
    return found;
}

static float normal(size_t row, size_t col, float base, uint64_t *seed) {
    (void)row;
    (void)col;
    (void)base;
    return 0.001F * draw(seed);
}

static float in_proportion(size_t row, size_t col, float base, uint64_t *seed) {
    (void)row;
    (void)col;
    return 0.01F * base * draw(seed);
}

static float one_step(size_t row, size_t col, float base, uint64_t *seed) {
    (void)row;
    (void)col;
    return hash_next(seed) & 1 ? base / 256 : -base / 256;
}

static float loud_rows(size_t row, size_t col, float base, uint64_t *seed) {
    (void)col;
    (void)base;
    return (row % 4 == 0 ? 0.0015F : 0.001F) * draw(seed);
}

static float with_a_direction(size_t row, size_t col, float base, uint64_t *seed) {
    (void)base;
    return 0.001F * draw(seed) + (float)((row + col) % 2 == 0 ? 1 : -1) * 0.0003F;
}

static float zero(size_t row, size_t col, float base, uint64_t *seed) {
    (void)row;
    (void)col;
    (void)base;
    (void)seed;
    return 0;
}

static void noise_of_every_kind_is_noise(void **state) {
    (void)state;
    static const weir_dtype dtypes[] = {WEIR_DTYPE_F32, WEIR_DTYPE_F16, WEIR_DTYPE_BF16};
    for (size_t k = 0; k < 3; k++) {
        assert_true(test_added(dtypes[k], normal).is_noise);
        assert_true(test_added(dtypes[k], in_proportion).is_noise);
        assert_true(test_added(dtypes[k], one_step).is_noise);
    }
}

static void structure_is_not_noise(void **state) {
    (void)state;
    const noise_test rows = test_added(WEIR_DTYPE_BF16, loud_rows);
    const noise_test direction = test_added(WEIR_DTYPE_BF16, with_a_direction);

    assert_true(rows.is_tested && !rows.is_noise && rows.rows > 2);
    assert_true(direction.is_tested && !direction.is_noise && direction.top > 1.1);
}

static void too_little_changed_is_not_tested(void **state) {
    (void)state;
    const noise_test found = test_added(WEIR_DTYPE_F32, zero);

    assert_false(found.is_tested);
    assert_false(found.is_noise);
}

static void bands_are_those_of_the_ladder(void **state) {
    (void)state;
    assert_int_equal(change_band_of(0.003), CHANGE_BAND_LIGHT);
    assert_int_equal(change_band_of(0.02), CHANGE_BAND_STANDARD);
    assert_int_equal(change_band_of(0.08), CHANGE_BAND_HEAVY);
    assert_int_equal(change_band_of(0.3), CHANGE_BAND_EXTREME);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(noise_of_every_kind_is_noise),
        cmocka_unit_test(structure_is_not_noise),
        cmocka_unit_test(too_little_changed_is_not_tested),
        cmocka_unit_test(bands_are_those_of_the_ladder),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
