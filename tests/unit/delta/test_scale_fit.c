/* SPDX-License-Identifier: Apache-2.0 */
#include "looks.h"

#include "delta/scale_fit.h"

enum { ROWS = 96, COLS = 128 };

/* What multiplying the base by 1 + factors adds. */
static scale_fit fit_scaled(scale_axis axis, weir_dtype dtype, float mean, float spread,
                            float noise) {
    matrix_look look = make_look(ROWS, COLS, dtype, 17);
    float *const added = calloc((size_t)ROWS * COLS, sizeof *added);
    float factors[COLS];
    uint64_t seed = 18;
    scale_fit found;
    assert_non_null(added);
    for (size_t k = 0; k < COLS; k++) {
        factors[k] = mean + spread * draw(&seed);
    }
    for (size_t i = 0; i < ROWS; i++) {
        for (size_t j = 0; j < COLS; j++) {
            const float factor = axis == SCALE_ALL ? mean : factors[axis == SCALE_ROW ? i : j];
            added[i * COLS + j] = factor * look.base[i * COLS + j] + noise * draw(&seed);
        }
    }
    store_change(&look, added);
    assert_int_equal(scale_fit_find(&found, &look, NULL), WEIR_OK);
    matrix_look_release(&look);
    free(added);
    return found;
}

static void each_axis_is_named_in_each_dtype(void **state) {
    (void)state;
    static const weir_dtype dtypes[] = {WEIR_DTYPE_F32, WEIR_DTYPE_F16, WEIR_DTYPE_BF16,
                                        WEIR_DTYPE_Q8_0};
    for (size_t k = 0; k < sizeof dtypes / sizeof *dtypes; k++) {
        for (scale_axis axis = SCALE_ALL; axis <= SCALE_COLUMN; axis++) {
            const scale_fit found = fit_scaled(axis, dtypes[k], 0.05F, 0.02F, 0);

            assert_int_equal(found.axis, axis);
            assert_true(fabs(found.factor - 1.05) < 0.008);
            assert_true(fabs(found.spread - (axis == SCALE_ALL ? 0 : 0.02)) < 0.004);
        }
    }
}

/* A factor of 1.002 moves a quarter of the numbers in bf16, and least squares of these alone says
 * 1.0015. */
static void a_factor_near_one_is_not_pulled_to_it(void **state) {
    (void)state;
    const scale_fit found = fit_scaled(SCALE_ALL, WEIR_DTYPE_BF16, 0.0025F, 0, 0);

    assert_int_equal(found.axis, SCALE_ALL);
    assert_true(fabs(found.factor - 1.0025) < 0.0004);
}

static void another_change_on_top_is_not_only_a_scale(void **state) {
    (void)state;
    const scale_fit found = fit_scaled(SCALE_ROW, WEIR_DTYPE_BF16, 0.05F, 0.02F, 0.001F);

    assert_int_equal(found.axis, SCALE_NONE);
    assert_true(found.left > 0.01 && found.left < 0.6);
}

static void no_change_is_no_scale(void **state) {
    (void)state;
    const scale_fit found = fit_scaled(SCALE_ALL, WEIR_DTYPE_BF16, 0, 0, 0);

    assert_int_equal(found.axis, SCALE_NONE);
    assert_true(found.left == 0 && found.factor == 1);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_axis_is_named_in_each_dtype),
        cmocka_unit_test(a_factor_near_one_is_not_pulled_to_it),
        cmocka_unit_test(another_change_on_top_is_not_only_a_scale),
        cmocka_unit_test(no_change_is_no_scale),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
