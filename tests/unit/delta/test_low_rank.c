/* SPDX-License-Identifier: Apache-2.0 */
/* Changes of known rank, rounded as a model's file would round them. */
#include "looks.h"

#include "delta/low_rank.h"

enum { ROWS = 256, COLS = 320 };

/* A case under construction. */
typedef struct edit {
    matrix_look look;
    float *added;
} edit;

static edit make_edit(size_t rows, size_t cols, weir_dtype dtype, uint64_t seed) {
    const edit made = {.look = make_look(rows, cols, dtype, seed),
                       .added = calloc(rows * cols, sizeof(float))};
    assert_non_null(made.added);
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

static void scale_to(edit *to, double rel_norm) {
    const size_t count = to->look.rows * to->look.cols;
    const double factor =
        rel_norm * sqrt(square_of(to->look.base, count) / square_of(to->added, count));
    for (size_t i = 0; i < count; i++) {
        to->added[i] *= (float)factor;
    }
}

/* Store base + added, and decide, twice. */
static low_rank_fit decide(edit *to) {
    low_rank_scratch scratch = {0};
    low_rank_fit found;
    low_rank_fit again;
    store_change(&to->look, to->added);

    assert_int_equal(low_rank_find(&found, &to->look, &scratch, NULL), WEIR_OK);
    assert_int_equal(low_rank_find(&again, &to->look, &scratch, NULL), WEIR_OK);
    assert_memory_equal(&found, &again, sizeof found);

    low_rank_scratch_release(&scratch);
    matrix_look_release(&to->look);
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
