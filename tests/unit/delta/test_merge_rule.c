/* SPDX-License-Identifier: Apache-2.0 */
/* Known answers: mergekit's own, over 24 numbers. */
#include "../testing.h"

#include <math.h>
#include <stdlib.h>

#include "delta/merge_rule.h"
#include "kernel/number.h"
#include "merge_answers.h"

static void widen(float *out, const uint16_t *bits) {
    for (size_t i = 0; i < ANSWER_COUNT; i++) {
        out[i] = float_from_bf16(bits[i]);
    }
}

/* Compute a case. @return how many numbers are the tool's */
static size_t count_equal(const merge_recipe *recipe, const uint16_t *bits) {
    float base[ANSWER_COUNT];
    float sides[2][ANSWER_COUNT];
    float wanted[ANSWER_COUNT];
    float out[ANSWER_COUNT];
    const float *const sources[] = {sides[0], sides[1]};
    merge_totals totals = {0};
    size_t equal = 0;
    widen(base, answer_base);
    widen(sides[0], answer_first);
    widen(sides[1], answer_second);
    widen(wanted, bits);
    assert_int_equal(merge_totals_begin(&totals, recipe, ANSWER_COUNT, NULL), WEIR_OK);
    const int passes = merge_totals_passes(&totals);
    for (int pass = 0; pass < passes; pass++) {
        merge_totals_add(&totals, pass, base, sources, ANSWER_COUNT);
        merge_totals_settle(&totals, pass);
    }
    merge_rule_apply(out, &totals, base, sources, wanted, ANSWER_COUNT);
    merge_totals_release(&totals);
    for (size_t i = 0; i < ANSWER_COUNT; i++) {
        equal += out[i] == wanted[i];
    }
    return equal;
}

static void every_method_gives_the_tools_numbers(void **state) {
    (void)state;

    for (size_t i = 0; i < sizeof answers / sizeof *answers; i++) {
        const size_t equal = count_equal(&answers[i].recipe, answers[i].bits);
        if (equal < ANSWER_COUNT) {
            print_error("%s: %zu of %d\n", answers[i].name, equal, ANSWER_COUNT);
        }
        assert_int_equal(equal, ANSWER_COUNT);
    }
}

static void another_weight_does_not_give_them(void **state) {
    (void)state;

    for (size_t i = 0; i < 6; i++) {
        merge_recipe wrong = answers[i].recipe;
        wrong.weights[0] = 0.8;
        wrong.weights[1] = 0.2;
        assert_true(count_equal(&wrong, answers[i].bits) < ANSWER_COUNT / 2);
    }
}

static void another_density_does_not_give_them(void **state) {
    (void)state;
    size_t tried = 0;

    for (size_t i = 0; i < sizeof answers / sizeof *answers; i++) {
        merge_recipe wrong = answers[i].recipe;
        if (wrong.method == MERGE_TIES || wrong.method == MERGE_BREADCRUMBS) {
            wrong.densities[0] = 1;
            assert_true(count_equal(&wrong, answers[i].bits) < ANSWER_COUNT - 4);
            tried++;
        }
    }
    assert_int_equal(tried, 6);
}

static void rounding_is_to_nearest_even(void **state) {
    (void)state;

    assert_true(merge_round(1.00390625F, WEIR_DTYPE_BF16) == 1.0F); /* half way: to even */
    assert_true(merge_round(1.01171875F, WEIR_DTYPE_BF16) == 1.015625F);
    assert_true(merge_round(1.0001F, WEIR_DTYPE_F16) == 1.0F);
    assert_true(merge_round(1.0001F, WEIR_DTYPE_F32) == 1.0001F);
    assert_true(isinf(merge_round(1e38F, WEIR_DTYPE_F16)));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_method_gives_the_tools_numbers),
        cmocka_unit_test(another_weight_does_not_give_them),
        cmocka_unit_test(another_density_does_not_give_them),
        cmocka_unit_test(rounding_is_to_nearest_even),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
