/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Known answers: scipy.linalg.eigh of the same integer matrices, drawn by the generator below.
 */
#include "testing.h"

#include <math.h>
#include <stdlib.h>

#include "kernel/smallest_values.h"

enum { SIDE = 30, ROWS = 200 };

static void draw(float *out, uint64_t seed) {
    uint64_t state = seed;
    for (size_t i = 0; i < ROWS * SIDE; i++) {
        state = (state * 1103515245 + 12345) % 2147483648U;
        out[i] = (float)((int64_t)(state >> 16) % 201 - 100);
    }
}

/* Sums of the rows' products; with a direction, of the rows without their part along it. */
static double *products(uint64_t seed, const float *direction, unsigned threads) {
    float *rows = malloc(ROWS * SIDE * sizeof *rows);
    double *sums = calloc(SIDE * SIDE, sizeof *sums);
    assert_non_null(rows);
    assert_non_null(sums);
    draw(rows, seed);
    for (size_t i = 0; direction && i < ROWS; i++) {
        float along = 0;
        for (size_t j = 0; j < SIDE; j++) {
            along += rows[i * SIDE + j] * direction[j];
        }
        for (size_t j = 0; j < SIDE; j++) {
            rows[i * SIDE + j] -= along * direction[j];
        }
    }
    assert_int_equal(outer_products_add(sums, rows, ROWS, SIDE, 1.0, threads, NULL), WEIR_OK);
    free(rows);
    return sums;
}

static void alternating(float *direction) {
    for (size_t i = 0; i < SIDE; i++) {
        direction[i] = (i % 2 ? 1.0F : -1.0F) / sqrtf(SIDE);
    }
}

static void generalised_values_are_scipys(void **state) {
    (void)state;
    double *a = products(1, NULL, 1);
    double *b = products(2, NULL, 1);
    double values[2];

    assert_int_equal(smallest_values_find(values, NULL, a, b, SIDE, NULL), WEIR_OK);

    assert_float_equal(values[0], 0.306139925008757, 1e-9);
    assert_float_equal(values[1], 0.39943056835553475, 1e-9);
    free(a);
    free(b);
}

static void values_are_scipys(void **state) {
    (void)state;
    double *a = products(1, NULL, 1);
    double values[2];

    assert_int_equal(smallest_values_find(values, NULL, a, NULL, SIDE, NULL), WEIR_OK);

    assert_float_equal(values[0], 246097.91089021717, 1e-3);
    assert_float_equal(values[1], 315416.81348616566, 1e-3);
    free(a);
}

static void a_direction_that_is_missing_is_the_vector(void **state) {
    (void)state;
    float direction[SIDE];
    alternating(direction);
    double *a = products(1, direction, 1);
    double *b = products(2, NULL, 1);
    double values[2];
    double vector[SIDE];

    assert_int_equal(smallest_values_find(values, vector, a, b, SIDE, NULL), WEIR_OK);

    double cosine = 0;
    for (size_t i = 0; i < SIDE; i++) {
        cosine += vector[i] * (double)direction[i];
    }
    assert_float_equal(values[0], 0, 1e-9);
    assert_float_equal(values[1], 0.3143171145098853, 1e-6);
    assert_float_equal(fabs(cosine), 1, 1e-6);
    free(a);
    free(b);
}

static void scaling_both_changes_no_value(void **state) {
    (void)state;
    double *a = products(1, NULL, 1);
    double *b = products(2, NULL, 1);
    double scales[SIDE];
    double values[2];
    for (size_t i = 0; i < SIDE; i++) {
        scales[i] = i % 3 ? (double)i : 1e3;
    }
    scales[5] = 0;

    outer_products_scale(a, scales, SIDE);
    outer_products_scale(b, scales, SIDE);
    assert_int_equal(smallest_values_find(values, NULL, a, b, SIDE, NULL), WEIR_OK);

    assert_float_equal(values[0], 0.306139925008757, 1e-8);
    assert_float_equal(values[1], 0.39943056835553475, 1e-8);
    free(a);
    free(b);
}

static void sums_are_the_same_for_any_threads(void **state) {
    (void)state;
    double *one = products(1, NULL, 1);
    double *three = products(1, NULL, 3);

    assert_memory_equal(one, three, SIDE * SIDE * sizeof *one);
    free(one);
    free(three);
}

static void what_is_not_finite_has_no_values(void **state) {
    (void)state;
    double a[4] = {1, 0, NAN, 1};
    double values[2];

    assert_int_equal(smallest_values_find(values, NULL, a, NULL, 2, NULL), WEIR_OK);
    assert_true(isnan(values[0]) && isnan(values[1]));

    double zero[4] = {0};
    assert_int_equal(smallest_values_find(values, NULL, zero, NULL, 2, NULL), WEIR_OK);
    assert_true(isnan(values[0]));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(generalised_values_are_scipys),
        cmocka_unit_test(values_are_scipys),
        cmocka_unit_test(a_direction_that_is_missing_is_the_vector),
        cmocka_unit_test(scaling_both_changes_no_value),
        cmocka_unit_test(sums_are_the_same_for_any_threads),
        cmocka_unit_test(what_is_not_finite_has_no_values),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
