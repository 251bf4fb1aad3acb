/* SPDX-License-Identifier: Apache-2.0 */
/* Changes of known rank, rounded as a model's file would round them. */
#include "../testing.h"

#include <math.h>
#include <stdlib.h>

#include "base/hash.h"
#include "delta/low_rank.h"
#include "delta/rounding.h"
#include "kernel/convert.h"

enum { ROWS = 256, COLS = 320 };

/* Sum of four uniform numbers: near enough to a normal one, of variance 1. */
static float draw(uint64_t *seed) {
    double sum = 0;
    for (int i = 0; i < 4; i++) {
        sum += ldexp((double)(hash_next(seed) >> 11), -53) - 0.5;
    }
    return (float)(sum * sqrt(3));
}

/* A case under construction. */
typedef struct edit {
    matrix_look look;
    float *added;
} edit;

static edit make_edit(size_t rows, size_t cols, weir_dtype dtype, uint64_t seed) {
    edit made = {.look = {.rows = rows,
                          .cols = cols,
                          .rows_of = rows,
                          .row_step = 1,
                          .dtype = dtype,
                          .base = calloc(rows * cols, sizeof(float)),
                          .change = calloc(rows * cols, sizeof(float))},
                 .added = calloc(rows * cols, sizeof(float))};
    assert_true(made.look.base && made.look.change && made.added);
    for (size_t i = 0; i < rows * cols; i++) {
        made.look.base[i] = 0.03F * draw(&seed);
    }
    return made;
}

/* Directions of falling strength: 1, 1/2, 1/3 ... as trained adapters have. */
static void add_low_rank(edit *to, size_t rank, uint64_t seed) {
    for (size_t k = 0; k < rank; k++) {
        uint64_t left = hash_mix(seed + 2 * k);
        uint64_t right = hash_mix(seed + 2 * k + 1);
        float *const v = calloc(to->look.cols, sizeof *v);
        assert_non_null(v);
        for (size_t j = 0; j < to->look.cols; j++) {
            v[j] = draw(&right) / (float)(k + 1);
        }
        for (size_t i = 0; i < to->look.rows; i++) {
            const float u = draw(&left);
            for (size_t j = 0; j < to->look.cols; j++) {
                to->added[i * to->look.cols + j] += u * v[j];
            }
        }
        free(v);
    }
}

static void add_noise(edit *to, uint64_t seed) {
    for (size_t i = 0; i < to->look.rows * to->look.cols; i++) {
        to->added[i] += draw(&seed);
    }
}

/* Every row of the base times 1 + a little. */
static void add_row_scale(edit *to, float size, uint64_t seed) {
    for (size_t i = 0; i < to->look.rows; i++) {
        const float factor = size * draw(&seed);
        for (size_t j = 0; j < to->look.cols; j++) {
            to->added[i * to->look.cols + j] += factor * to->look.base[i * to->look.cols + j];
        }
    }
}

static double square_of(const float *values, size_t count) {
    double sum = 0;
    for (size_t i = 0; i < count; i++) {
        sum += (double)values[i] * (double)values[i];
    }
    return sum;
}

static void scale_to(edit *to, double rel_norm) {
    const size_t count = to->look.rows * to->look.cols;
    const double factor =
        rel_norm * sqrt(square_of(to->look.base, count) / square_of(to->added, count));
    for (size_t i = 0; i < count; i++) {
        to->added[i] *= (float)factor;
    }
}

static void through(weir_dtype dtype, float *values, size_t count) {
    const weir_dtype_info *info = weir_dtype_get(dtype);
    void *const stored = malloc(count / info->block_elements * info->block_bytes);
    assert_non_null(stored);
    convert_from_f32(stored, dtype, values, count);
    convert_to_f32(values, dtype, stored, count);
    free(stored);
}

/* Store base + added; a block dtype's base stays as it is. */
static low_rank_fit decide(edit *to) {
    matrix_look *const look = &to->look;
    const size_t count = look->rows * look->cols;
    low_rank_scratch scratch = {0};
    low_rank_fit found;
    low_rank_fit again;
    if (rounding_mantissa_bits(look->dtype) >= 0) {
        through(look->dtype, look->base, count);
    }
    for (size_t i = 0; i < count; i++) {
        look->change[i] = look->base[i] + to->added[i];
    }
    through(look->dtype, look->change, count);
    for (size_t i = 0; i < count; i++) {
        look->change[i] -= look->base[i];
    }
    look->rounding = rounding_mean_square(look->dtype, look->base, count);
    look->base_square = square_of(look->base, count);
    look->change_square = square_of(look->change, count);

    assert_int_equal(low_rank_find(&found, look, &scratch, NULL), WEIR_OK);
    assert_int_equal(low_rank_find(&again, look, &scratch, NULL), WEIR_OK);
    assert_memory_equal(&found, &again, sizeof found);

    low_rank_scratch_release(&scratch);
    matrix_look_release(look);
    free(to->added);
    return found;
}

static void an_edit_of_low_rank_is_found_in_every_dtype(void **state) {
    (void)state;
    static const struct {
        weir_dtype dtype;
        size_t rank;
        double rel_norm;
    } cases[] = {
        {WEIR_DTYPE_F32, 4, 0.001},  {WEIR_DTYPE_F32, 16, 0.01},  {WEIR_DTYPE_F16, 8, 0.001},
        {WEIR_DTYPE_F16, 16, 0.003}, {WEIR_DTYPE_BF16, 1, 0.003}, {WEIR_DTYPE_BF16, 4, 0.003},
        {WEIR_DTYPE_BF16, 8, 0.01},  {WEIR_DTYPE_BF16, 16, 0.03}, {WEIR_DTYPE_Q8_0, 4, 0.03},
    };
    for (size_t k = 0; k < sizeof cases / sizeof *cases; k++) {
        edit made = make_edit(ROWS, COLS, cases[k].dtype, 100 + k);
        add_low_rank(&made, cases[k].rank, 7 * k);
        scale_to(&made, cases[k].rel_norm);

        const low_rank_fit found = decide(&made);

        assert_int_equal(found.verdict, LOW_RANK_CLEAR);
        assert_int_equal(found.rank, cases[k].rank);
        assert_false(found.has_row_scale);
    }
}

static void most_numbers_unchanged_still_show_the_rank(void **state) {
    (void)state;
    edit made = make_edit(ROWS, COLS, WEIR_DTYPE_BF16, 5);
    add_low_rank(&made, 2, 3);
    scale_to(&made, 0.001);

    const low_rank_fit found = decide(&made);

    assert_true(found.unchanged > 0.7);
    assert_int_equal(found.verdict, LOW_RANK_CLEAR);
    assert_int_equal(found.rank, 2);
}

static void rows_that_were_scaled_too_are_taken_out_first(void **state) {
    (void)state;
    edit made = make_edit(ROWS, COLS, WEIR_DTYPE_BF16, 6);
    add_low_rank(&made, 4, 11);
    scale_to(&made, 0.01);
    add_row_scale(&made, 0.004F, 13);

    const low_rank_fit found = decide(&made);

    assert_int_equal(found.verdict, LOW_RANK_CLEAR);
    assert_int_equal(found.rank, 4);
    assert_true(found.has_row_scale);
    assert_true(fabs(found.row_scale_std - 0.004) < 0.0006);
}

static void a_change_of_full_rank_is_no_low_rank(void **state) {
    (void)state;
    static const weir_dtype dtypes[] = {WEIR_DTYPE_F32, WEIR_DTYPE_F16, WEIR_DTYPE_BF16};
    for (size_t k = 0; k < 3; k++) {
        edit made = make_edit(ROWS, COLS, dtypes[k], 20 + k);
        add_noise(&made, 30 + k);
        add_low_rank(&made, 3, 40);
        scale_to(&made, 0.02);

        assert_int_equal(decide(&made).verdict, LOW_RANK_FULL);
    }
}

static void what_rounding_hides_is_below_the_floor(void **state) {
    (void)state;
    edit made = make_edit(ROWS, COLS, WEIR_DTYPE_BF16, 50);
    add_low_rank(&made, 8, 51);
    scale_to(&made, 0.0001);

    const low_rank_fit found = decide(&made);

    assert_int_equal(found.verdict, LOW_RANK_BELOW_FLOOR);
    assert_int_equal(found.rank, 0);
}

static void a_rank_of_half_the_short_side_is_not_low(void **state) {
    (void)state;
    edit made = make_edit(64, 64, WEIR_DTYPE_F32, 60);
    add_low_rank(&made, 32, 61);
    scale_to(&made, 0.01);

    assert_int_equal(decide(&made).verdict, LOW_RANK_FULL);
}

static void no_change_has_no_rank(void **state) {
    (void)state;
    edit made = make_edit(ROWS, COLS, WEIR_DTYPE_BF16, 70);

    const low_rank_fit found = decide(&made);

    assert_int_equal(found.verdict, LOW_RANK_NONE);
    assert_true(found.unchanged == 1);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_edit_of_low_rank_is_found_in_every_dtype),
        cmocka_unit_test(most_numbers_unchanged_still_show_the_rank),
        cmocka_unit_test(rows_that_were_scaled_too_are_taken_out_first),
        cmocka_unit_test(a_change_of_full_rank_is_no_low_rank),
        cmocka_unit_test(what_rounding_hides_is_below_the_floor),
        cmocka_unit_test(a_rank_of_half_the_short_side_is_not_low),
        cmocka_unit_test(no_change_has_no_rank),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
