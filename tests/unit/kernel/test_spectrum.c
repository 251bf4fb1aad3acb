/* SPDX-License-Identifier: Apache-2.0 */
/* Known answers from numpy.linalg.svd of the same matrix in float64. */
#include "../testing.h"

#include <math.h>
#include <stdlib.h>

#include "kernel/spectrum.h"

enum { VALUES = 8 };

static const struct {
    size_t rows;
    size_t cols;
    bool is_exact;
    double square;
    double values[VALUES];
} known[] = {
    {40,
     60,
     true,
     9627453.25,
     {1894.2649155, 858.37698398, 810.78437353, 775.05457066, 748.18762447, 725.89895907,
      702.86537837, 619.9260007}},
    {300,
     420,
     false,
     508315449.0,
     {13318.51310449, 5981.87305788, 5926.26699224, 5845.13752815, 5260.70404407, 5194.29533631,
      5096.90593222, 4732.92958415}},
    {700,
     520,
     false,
     1465525130.0,
     {22606.67136161, 10160.4803959, 10015.6415981, 9959.84490515, 8941.46150675, 8846.21629302,
      8674.92836641, 8035.51012122}},
};

static float *make_matrix(size_t rows, size_t cols, float scale) {
    float *const matrix = malloc(rows * cols * sizeof *matrix);
    assert_non_null(matrix);
    for (size_t i = 0; i < rows; i++) {
        for (size_t j = 0; j < cols; j++) {
            const double value = (double)((i * 37 + j * 101 + i * j * 3) % 17) - 8 +
                                 ((double)((i * i * 7 + j * j * 5 + i * j) % 23) - 11) * 8 +
                                 ((double)(i * 11 % 29) - 14) * ((double)(j * 13 % 31) - 15) * 0.5;
            matrix[i * cols + j] = (float)value * scale;
        }
    }
    return matrix;
}

static const spectrum_options eight_values = {
    .count = VALUES, .oversample = 16, .power_iterations = 6, .seed = 1, .with_vectors = true};

static void values_are_those_of_numpy(void **state) {
    (void)state;
    for (size_t k = 0; k < sizeof known / sizeof *known; k++) {
        spectrum_scratch scratch = {0};
        spectrum found;
        float *const matrix = make_matrix(known[k].rows, known[k].cols, 1);

        assert_int_equal(spectrum_find(&found, matrix, known[k].rows, known[k].cols, &eight_values,
                                       &scratch, NULL),
                         WEIR_OK);

        assert_int_equal(found.count, VALUES);
        assert_true(found.is_exact == known[k].is_exact);
        assert_true(found.square == known[k].square);
        for (size_t i = 0; i < VALUES; i++) {
            assert_true(fabs(found.values[i] - known[k].values[i]) <= 1e-4 * known[k].values[i]);
        }
        spectrum_scratch_release(&scratch);
        free(matrix);
    }
}

static double dot(const float *a, const float *b, size_t n) {
    double sum = 0;
    for (size_t i = 0; i < n; i++) {
        sum += (double)a[i] * (double)b[i];
    }
    return sum;
}

/* |A v_i - S_i u_i| is small, and the vectors are orthonormal. */
static void vectors_belong_to_their_values(void **state) {
    (void)state;
    for (size_t k = 0; k < sizeof known / sizeof *known; k++) {
        const size_t rows = known[k].rows;
        const size_t cols = known[k].cols;
        spectrum_scratch scratch = {0};
        spectrum found;
        float *const matrix = make_matrix(rows, cols, 1);

        assert_int_equal(spectrum_find(&found, matrix, rows, cols, &eight_values, &scratch, NULL),
                         WEIR_OK);

        for (size_t i = 0; i < 2; i++) {
            const float *const u = found.left + i * rows;
            const float *const v = found.right + i * cols;
            double off = 0;
            for (size_t j = 0; j < rows; j++) {
                const double away =
                    dot(matrix + j * cols, v, cols) - found.values[i] * (double)u[j];
                off += away * away;
            }
            assert_true(sqrt(off) <= 1e-2 * found.values[i]);
            assert_true(fabs(dot(u, u, rows) - 1) <= 1e-4);
            assert_true(fabs(dot(u, found.left + (i + 1) * rows, rows)) <= 1e-4);
            assert_true(fabs(dot(v, found.right + (i + 1) * cols, cols)) <= 1e-4);
        }
        spectrum_scratch_release(&scratch);
        free(matrix);
    }
}

static void huge_and_tiny_numbers_keep_their_spectrum(void **state) {
    (void)state;
    for (size_t k = 0; k < sizeof known / sizeof *known; k++) {
        for (int exponent = -126; exponent <= 110; exponent += 118) {
            spectrum_scratch scratch = {0};
            spectrum found;
            float *const matrix = make_matrix(known[k].rows, known[k].cols, ldexpf(1, exponent));

            assert_int_equal(spectrum_find(&found, matrix, known[k].rows, known[k].cols,
                                           &eight_values, &scratch, NULL),
                             WEIR_OK);

            const double wanted = ldexp(known[k].values[0], exponent);
            assert_true(fabs(found.values[0] - wanted) <= 1e-4 * wanted);
            spectrum_scratch_release(&scratch);
            free(matrix);
        }
    }
}

static void the_same_call_gives_the_same_bits(void **state) {
    (void)state;
    spectrum_scratch scratch = {0};
    spectrum first;
    spectrum again;
    float *const matrix = make_matrix(300, 420, 1);

    assert_int_equal(spectrum_find(&first, matrix, 300, 420, &eight_values, &scratch, NULL), 0);
    scratch.memory[0] = 5;
    assert_int_equal(spectrum_find(&again, matrix, 300, 420, &eight_values, &scratch, NULL), 0);

    assert_memory_equal(first.values, again.values, sizeof first.values);
    spectrum_scratch_release(&scratch);
    free(matrix);
}

static void zero_empty_and_broken_matrices_have_an_answer(void **state) {
    (void)state;
    spectrum_scratch scratch = {0};
    spectrum found;
    float *const matrix = calloc(300 * 420, sizeof *matrix);
    assert_non_null(matrix);

    assert_int_equal(spectrum_find(&found, matrix, 300, 420, &eight_values, &scratch, NULL), 0);
    assert_int_equal(found.count, VALUES);
    assert_true(found.values[0] == 0 && found.square == 0);
    assert_int_equal(spectrum_find(&found, matrix, 0, 420, &eight_values, &scratch, NULL), 0);
    assert_int_equal(found.count, 0);
    assert_int_equal(spectrum_find(&found, matrix, 3, 420, &eight_values, &scratch, NULL), 0);
    assert_int_equal(found.count, 3);
    matrix[7] = NAN;
    matrix[9] = -INFINITY;
    assert_int_equal(spectrum_find(&found, matrix, 300, 420, &eight_values, &scratch, NULL), 0);
    assert_int_equal(found.count, 0);
    assert_int_equal(found.not_finite, 2);
    spectrum_scratch_release(&scratch);
    free(matrix);
}

static void a_side_beyond_lapack_is_refused(void **state) {
    (void)state;
    spectrum_scratch scratch = {0};
    spectrum found = {.count = 77};
    const float one = 1;

    assert_int_equal(spectrum_find(&found, &one, (size_t)1 << 40, 1, &eight_values, &scratch, NULL),
                     WEIR_ERR_LIMIT);
    assert_int_equal(found.count, 77);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(values_are_those_of_numpy),
        cmocka_unit_test(vectors_belong_to_their_values),
        cmocka_unit_test(huge_and_tiny_numbers_keep_their_spectrum),
        cmocka_unit_test(the_same_call_gives_the_same_bits),
        cmocka_unit_test(zero_empty_and_broken_matrices_have_an_answer),
        cmocka_unit_test(a_side_beyond_lapack_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
