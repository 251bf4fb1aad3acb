/* SPDX-License-Identifier: Apache-2.0 */
#include "../testing.h"

#include <math.h>
#include <stdlib.h>

#include "kernel/unit_code.h"
#include "levels.h"

enum { COLS = 203, ROWS = 13 };

/* Sums of 12 uniform numbers: nearly normal, and the same everywhere. */
static void fill(float *values, size_t count, uint64_t seed) {
    for (size_t i = 0; i < count; i++) {
        float sum = 0;
        for (int k = 0; k < 12; k++) {
            sum += (float)(draw(&seed) >> 8) * 0x1p-24f;
        }
        values[i] = sum - 6;
    }
}

static void rows_come_out_with_length_one(void **state) {
    (void)state;
    float rows[3 * COLS];
    bool usable[3] = {true, true, true};
    fill(rows, 3 * COLS, 1);
    for (size_t i = 0; i < COLS; i++) {
        rows[i] *= 0x1p120f; /* its squares pass float32 */
        rows[COLS + i] = 0;
    }
    rows[2 * COLS + 5] = NAN;

    unit_rows_normalise(rows, 3, COLS, NULL, usable);

    double length = 0;
    for (size_t i = 0; i < COLS; i++) {
        length += (double)rows[i] * rows[i];
        assert_true(rows[COLS + i] == 0 && rows[2 * COLS + i] == 0);
    }
    assert_true(fabs(length - 1) < 1e-5);
    assert_true(usable[0] && !usable[1] && !usable[2]);
}

static void centred_rows_add_up_to_nothing(void **state) {
    (void)state;
    float rows[ROWS * COLS];
    bool usable[ROWS];
    fill(rows, ROWS * COLS, 2);
    memset(usable, 1, sizeof usable);
    usable[4] = false;

    unit_rows_center(rows, ROWS, COLS, usable);

    for (size_t i = 0; i < COLS; i++) {
        double sum = 0;
        for (size_t r = 0; r < ROWS; r++) {
            sum += rows[r * COLS + i];
        }
        assert_true(fabs(sum) < 1e-4 && rows[4 * COLS + i] == 0);
    }
}

/* The transform as it is written down: sum over j of (-1)^popcount(i & j) y_j, twice, with signs
 * before. */
static void project_slowly(double *out, const float *row, size_t n) {
    double *first = calloc(n, sizeof *first);
    double *second = calloc(n, sizeof *second);
    for (size_t i = 0; i < n; i++) {
        second[i] = i < COLS ? row[i] : 0;
    }
    for (int pass = 0; pass < 2; pass++) {
        for (size_t i = 0; i < n; i++) {
            uint64_t z = ((uint64_t)(pass + 1) << 56) + (i / 64 + 1) * 0x9E3779B97F4A7C15u;
            z = (z ^ z >> 30) * 0xBF58476D1CE4E5B9u;
            z = (z ^ z >> 27) * 0x94D049BB133111EBu;
            z ^= z >> 31;
            first[i] = z >> (i % 64) & 1 ? -second[i] : second[i];
        }
        for (size_t i = 0; i < n; i++) {
            second[i] = 0;
            for (size_t j = 0; j < n; j++) {
                second[i] += __builtin_parityll(i & j) ? -first[j] : first[j];
            }
        }
    }
    for (size_t i = 0; i < UNIT_PROJECTIONS; i++) {
        out[i] = second[i] / n;
    }
    free(first);
    free(second);
}

static void projections_are_the_transform_that_is_documented(void **state) {
    (void)state;
    float rows[2 * COLS];
    float out[2][UNIT_PROJECTIONS];
    double wanted[UNIT_PROJECTIONS];
    float *scratch = malloc(unit_scratch_floats(COLS) * sizeof *scratch);
    fill(rows, 2 * COLS, 3);

    unit_project(out, rows, 2, COLS, scratch);

    for (size_t r = 0; r < 2; r++) {
        project_slowly(wanted, rows + r * COLS, 256);
        for (size_t i = 0; i < UNIT_PROJECTIONS; i++) {
            assert_true(fabs(out[r][i] - wanted[i]) < 1e-5 * (1 + fabs(wanted[i])));
        }
    }
    free(scratch);
}

/* For normal rows of cosine c a bit differs with probability acos(c) / pi. */
static void bits_differ_as_often_as_angles_say(void **state) {
    (void)state;
    enum { PAIRS = 400 };
    const double cosines[] = {0.3, 0.7, 0.95};
    float *scratch = malloc(unit_scratch_floats(COLS) * sizeof *scratch);
    for (size_t k = 0; k < 3; k++) {
        int differ = 0;
        for (uint64_t pair = 0; pair < PAIRS; pair++) {
            float rows[2 * COLS];
            float out[2][UNIT_PROJECTIONS];
            uint64_t codes[2][2];
            fill(rows, 2 * COLS, 100 * pair + k);
            for (size_t i = 0; i < COLS; i++) {
                rows[COLS + i] =
                    cosines[k] * rows[i] + sqrt(1 - cosines[k] * cosines[k]) * rows[COLS + i];
            }
            unit_project(out, rows, 2, COLS, scratch);
            unit_signs(codes[0], out[0], UNIT_PROJECTIONS);
            unit_signs(codes[1], out[1], UNIT_PROJECTIONS);
            differ += __builtin_popcountll(codes[0][0] ^ codes[1][0]) +
                      __builtin_popcountll(codes[0][1] ^ codes[1][1]);
        }

        const double share = differ / (double)(PAIRS * UNIT_PROJECTIONS);

        assert_true(fabs(share - acos(cosines[k]) / acos(-1.0)) < 0.01);
    }
    free(scratch);
}

static void token_codes_are_signs_of_inner_products(void **state) {
    (void)state;
    float rows[ROWS * COLS];
    uint64_t codes[ROWS][4];
    float *tokens = malloc(TOKEN_CODE_ROWS * COLS * sizeof *tokens);
    fill(rows, ROWS * COLS, 5);
    fill(tokens, TOKEN_CODE_ROWS * COLS, 6);

    unit_token_codes(codes, rows, ROWS, COLS, tokens);

    for (size_t r = 0; r < ROWS; r++) {
        for (size_t t = 0; t < TOKEN_CODE_ROWS; t++) {
            double product = 0;
            for (size_t i = 0; i < COLS; i++) {
                product += (double)rows[r * COLS + i] * tokens[t * COLS + i];
            }
            if (fabs(product) > 1e-3) {
                assert_int_equal(codes[r][t / 64] >> (t % 64) & 1, product > 0);
            }
        }
    }
    free(tokens);
}

static void every_level_gives_the_same_bits(void **state) {
    (void)state;
    float *scratch = malloc(unit_scratch_floats(COLS) * sizeof *scratch);
    float *tokens = malloc(TOKEN_CODE_ROWS * COLS * sizeof *tokens);
    uint64_t hashes[3];
    size_t count = 0;
    fill(tokens, TOKEN_CODE_ROWS * COLS, 8);
    for (weir_simd level = WEIR_SIMD_BASE; next_level(&level);) {
        float rows[ROWS * COLS];
        float out[ROWS][UNIT_PROJECTIONS];
        uint64_t codes[ROWS][4];
        fill(rows, ROWS * COLS, 7);
        unit_rows_normalise(rows, ROWS, COLS, tokens, NULL);
        unit_rows_center(rows, ROWS, COLS, NULL);
        unit_project(out, rows, ROWS, COLS, scratch);
        unit_token_codes(codes, rows, ROWS, COLS, tokens);
        hashes[count++] =
            fnv1a(out, sizeof out) ^ fnv1a(codes, sizeof codes) ^ fnv1a(rows, sizeof rows);
    }

    for (size_t i = 1; i < count; i++) {
        assert_true(hashes[i] == hashes[0]);
    }
    free(scratch);
    free(tokens);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(rows_come_out_with_length_one),
        cmocka_unit_test(centred_rows_add_up_to_nothing),
        cmocka_unit_test(projections_are_the_transform_that_is_documented),
        cmocka_unit_test(bits_differ_as_often_as_angles_say),
        cmocka_unit_test(token_codes_are_signs_of_inner_products),
        cmocka_unit_test(every_level_gives_the_same_bits),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
