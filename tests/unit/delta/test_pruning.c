/* SPDX-License-Identifier: Apache-2.0 */
#include "pair_fixture.h"

#include "delta/pruning.h"

enum { ROWS = 256, COLS = 128, COUNT = ROWS * COLS };

typedef struct weighed {
    double size;
    size_t at;
} weighed;

static int by_size(const void *a, const void *b) {
    const weighed *const x = a;
    const weighed *const y = b;
    return x->size != y->size ? (x->size > y->size) - (x->size < y->size)
                              : (x->at > y->at) - (x->at < y->at);
}

/* Set the `zeros` smallest |w| weight[column] of every run of `group` to zero. */
static void prune(float *model, size_t group, size_t zeros, const double *weight) {
    weighed *const sorted = calloc(group, sizeof *sorted);
    assert_non_null(sorted);
    for (size_t i = 0; i < COUNT; i += group) {
        for (size_t j = 0; j < group; j++) {
            const double factor = weight ? weight[(i + j) % COLS] : 1;
            sorted[j] = (weighed){.size = fabs((double)model[i + j]) * factor, .at = i + j};
        }
        qsort(sorted, group, sizeof *sorted, by_size);
        for (size_t j = 0; j < zeros; j++) {
            model[sorted[j].at] = 0;
        }
    }
    free(sorted);
}

static float *copy_of(const float *values) {
    float *const out = calloc(COUNT, sizeof *out);
    assert_non_null(out);
    memcpy(out, values, COUNT * sizeof *out);
    return out;
}

static pruning measure(const float *base, const float *model, weir_dtype dtype) {
    pair_fixture pair;
    matrix_look look = {0};
    pruning found = {0};
    weir_error err = {0};
    pair_open_numbers(&pair, ROWS, COLS, WEIR_DTYPE_BF16, base, dtype, model);
    assert_int_equal(matrix_look_read(&look, &pair.diff, &pair.row, LOOK_SAMPLE_ELEMENTS, &err),
                     WEIR_OK);
    assert_true(pruning_is_suspected(&look));
    assert_int_equal(pruning_measure(&found, &look, &pair.diff, &pair.row, &err), WEIR_OK);
    matrix_look_release(&look);
    pair_close(&pair);
    return found;
}

static void two_of_four_by_magnitude_is_proved(void **state) {
    (void)state;
    static const weir_dtype dtypes[] = {WEIR_DTYPE_BF16, WEIR_DTYPE_F16,  WEIR_DTYPE_F32,
                                        WEIR_DTYPE_Q8_0, WEIR_DTYPE_Q4_0, WEIR_DTYPE_Q5_0};
    for (size_t i = 0; i < sizeof dtypes / sizeof *dtypes; i++) {
        float *const base = draw_matrix(ROWS, COLS, 1);
        float *const model = copy_of(base);
        prune(model, 4, 2, NULL);

        const pruning found = measure(base, model, dtypes[i]);

        char text[PRUNING_TEXT_BYTES];
        pruning_format(&found, text);
        assert_string_equal(text, "2 of every 4 inputs kept, smallest");
        assert_true(found.is_pruned && found.is_survivors_proved && found.is_rule_proved);
        assert_int_equal(found.survivors_equal, found.survivors);
        assert_true(found.sparsity >= 0.5 && found.sparsity < 0.51);
        free(base);
        free(model);
    }
}

static void thresholds_of_rows_and_of_the_tensor_are_told_apart(void **state) {
    (void)state;
    static const struct {
        size_t group;
        pruning_rule rule;
    } cases[] = {{COUNT, PRUNING_TENSOR}, {COLS, PRUNING_ROW}};
    for (size_t i = 0; i < 2; i++) {
        float *const base = draw_matrix(ROWS, COLS, 2);
        float *const model = copy_of(base);
        prune(model, cases[i].group, cases[i].group * 3 / 10, NULL);

        const pruning found = measure(base, model, WEIR_DTYPE_BF16);

        assert_int_equal(found.rule, cases[i].rule);
        assert_int_equal(found.group, 0);
        assert_true(found.is_rule_proved);
        assert_true(found.size_ratio < 0.3);
        free(base);
        free(model);
    }
}

static void factors_of_the_inputs_explain_a_choice_that_magnitude_does_not(void **state) {
    (void)state;
    static const size_t groups[] = {COLS, 4};
    double weight[COLS];
    uint64_t seed = 3;
    for (size_t c = 0; c < COLS; c++) {
        weight[c] = exp(0.6 * draw_normal(&seed));
    }
    for (size_t i = 0; i < 2; i++) {
        float *const base = draw_matrix(ROWS, COLS, 4);
        float *const model = copy_of(base);
        prune(model, groups[i], groups[i] / 2, weight);

        const pruning found = measure(base, model, WEIR_DTYPE_BF16);

        assert_int_equal(found.rule, PRUNING_COLUMNS_WEIGHED);
        assert_int_equal(found.group, groups[i] == 4 ? 4 : 0);
        assert_true(found.rule_share > 0.98);
        assert_true(found.is_survivors_proved);
        free(base);
        free(model);
    }
}

static void whole_rows_and_columns_are_structure(void **state) {
    (void)state;
    for (int by_rows = 0; by_rows < 2; by_rows++) {
        float *const base = draw_matrix(ROWS, COLS, 5);
        float *const model = copy_of(base);
        for (size_t i = 0; i < COUNT; i++) {
            const size_t at = by_rows ? i / COLS : i % COLS;
            model[i] = at % 8 == 3 ? 0 : model[i];
        }

        const pruning found = measure(base, model, WEIR_DTYPE_BF16);

        assert_int_equal(found.rule, by_rows ? PRUNING_ROWS : PRUNING_COLUMNS);
        assert_int_equal(found.zero_rows, by_rows ? ROWS / 8 : 0);
        assert_int_equal(found.zero_cols, by_rows ? 0 : COLS / 8);
        assert_int_equal(found.group, 0);
        free(base);
        free(model);
    }
}

static void zeros_at_random_have_no_rule(void **state) {
    (void)state;
    float *const base = draw_matrix(ROWS, COLS, 6);
    float *const model = copy_of(base);
    uint64_t seed = 7;
    for (size_t i = 0; i < COUNT; i++) {
        model[i] = draw_unit(&seed) < 0.5 ? 0 : model[i];
    }

    const pruning found = measure(base, model, WEIR_DTYPE_BF16);

    assert_int_equal(found.rule, PRUNING_OTHER);
    assert_true(found.is_survivors_proved && !found.is_rule_proved);
    assert_float_equal(found.size_ratio, 1, 0.03);
    free(base);
    free(model);
}

static void survivors_that_moved_are_not_proved(void **state) {
    (void)state;
    float *const base = draw_matrix(ROWS, COLS, 8);
    float *const model = copy_of(base);
    uint64_t seed = 9;
    prune(model, 4, 2, NULL);
    for (size_t i = 0; i < COUNT; i++) {
        model[i] *= (float)(1 + 0.05 * draw_normal(&seed));
    }

    const pruning found = measure(base, model, WEIR_DTYPE_BF16);

    assert_true(found.is_pruned && found.is_rule_proved && !found.is_survivors_proved);
    free(base);
    free(model);
}

static void other_changes_are_not_suspected(void **state) {
    (void)state;
    static const weir_dtype dtypes[] = {WEIR_DTYPE_BF16, WEIR_DTYPE_Q8_0, WEIR_DTYPE_Q4_0,
                                        WEIR_DTYPE_Q4_1};
    for (size_t i = 0; i < sizeof dtypes / sizeof *dtypes; i++) {
        float *const base = draw_matrix(ROWS, COLS, 10);
        float *const model = copy_of(base);
        uint64_t seed = 11;
        for (size_t j = 0; j < COUNT; j++) {
            model[j] += (float)(0.0002 * draw_normal(&seed));
        }
        pair_fixture pair;
        matrix_look look = {0};
        pair_open_numbers(&pair, ROWS, COLS, WEIR_DTYPE_BF16, base, dtypes[i], model);
        assert_int_equal(matrix_look_read(&look, &pair.diff, &pair.row, LOOK_SAMPLE_ELEMENTS, NULL),
                         WEIR_OK);

        assert_false(pruning_is_suspected(&look));

        matrix_look_release(&look);
        pair_close(&pair);
        free(base);
        free(model);
    }
}

static void a_mask_leaves_the_change_of_the_survivors(void **state) {
    (void)state;
    float base[6] = {1, 2, 3, 4, 5, 6};
    float change[6] = {-1, 0.5F, -3, 0, -5, 0.25F};
    matrix_look look = {.base = base, .change = change, .rows = 2, .cols = 3};

    pruning_mask(&look);

    assert_float_equal(look.change_square, 0.3125, 1e-9);
    assert_float_equal(change[0] + change[2] + change[4], 0, 0);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(two_of_four_by_magnitude_is_proved),
        cmocka_unit_test(thresholds_of_rows_and_of_the_tensor_are_told_apart),
        cmocka_unit_test(factors_of_the_inputs_explain_a_choice_that_magnitude_does_not),
        cmocka_unit_test(whole_rows_and_columns_are_structure),
        cmocka_unit_test(zeros_at_random_have_no_rule),
        cmocka_unit_test(survivors_that_moved_are_not_proved),
        cmocka_unit_test(other_changes_are_not_suspected),
        cmocka_unit_test(a_mask_leaves_the_change_of_the_survivors),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
