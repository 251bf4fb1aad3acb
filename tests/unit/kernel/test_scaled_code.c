/* SPDX-License-Identifier: Apache-2.0 */
#include "../testing.h"

#include <math.h>

#include "kernel/number.h"
#include "kernel/scaled_code.h"
#include "levels.h"

enum { BLOCK_NUMBERS = 64 };

static void draw_block(float out[BLOCK_NUMBERS], uint64_t seed) {
    for (size_t i = 0; i < BLOCK_NUMBERS; i++) {
        out[i] = ((float)(draw(&seed) % 20001) - 10000.0F) / 5e5F;
    }
}

static float rounded_bf16(float value) {
    return float_from_bf16(bf16_from_float(value));
}

/* Quantiles as QLoRA published them: between -1 and -0.6962 the border is at -0.8481. */
static void numbers_take_the_nearest_level(void **state) {
    (void)state;
    const float values[6] = {-1.0F, -0.84F, -0.86F, 0.04F, 0.03F, 0.5F};
    const float wanted[6] = {-1.0F, -0.6961928F, -1.0F, 0.0795803F, 0.0F, 0.4407098F};
    float out[6];

    scaled_code_apply(scaled_code_of(SCALED_CODE_NF4), out, values, 6);

    for (size_t i = 0; i < 6; i++) {
        assert_float_equal(out[i], wanted[i], 1e-6);
    }
}

static void int8_steps_are_parts_of_127(void **state) {
    (void)state;
    const float values[4] = {2.0F, -2.0F, 0.0236F, 0.0079F};
    float out[4];

    scaled_code_apply(scaled_code_of(SCALED_CODE_INT8), out, values, 4);

    assert_float_equal(out[0], 2, 1e-6);
    assert_float_equal(out[1], -2, 1e-6);
    assert_float_equal(out[2], 2.0 / 127, 1e-6);
    assert_float_equal(out[3], 2.0 / 127, 1e-6);
}

/* Scales near the largest magnitude are what nested quantisation leaves. */
static void one_scale_must_give_all_numbers(void **state) {
    (void)state;
    static const scaled_code_kind kinds[] = {SCALED_CODE_NF4, SCALED_CODE_FP4, SCALED_CODE_INT8};
    static const float scales[] = {1.0F, 0.97F, 1.0421F};
    for (size_t k = 0; k < 3; k++) {
        for (size_t s = 0; s < 3; s++) {
            const scaled_code *const code = scaled_code_of(kinds[k]);
            float base[BLOCK_NUMBERS];
            float model[BLOCK_NUMBERS];
            draw_block(base, 10 * k + s);
            scaled_code_apply(code, model, base, BLOCK_NUMBERS);
            for (size_t i = 0; i < BLOCK_NUMBERS; i++) {
                model[i] = rounded_bf16(model[i] * scales[s]);
            }

            assert_true(scaled_code_fits(code, base, model, BLOCK_NUMBERS, 7));
            assert_false(scaled_code_fits(code, base, model, BLOCK_NUMBERS, 23));
            model[17] = rounded_bf16(model[17] * 1.25F + 1e-4F);
            assert_false(scaled_code_fits(code, base, model, BLOCK_NUMBERS, 7));
        }
    }
}

static void a_scale_far_off_or_numbers_that_are_none_do_not_fit(void **state) {
    (void)state;
    const scaled_code *const code = scaled_code_of(SCALED_CODE_NF4);
    float base[BLOCK_NUMBERS];
    float model[BLOCK_NUMBERS];
    draw_block(base, 5);
    scaled_code_apply(code, model, base, BLOCK_NUMBERS);

    assert_true(scaled_code_fits(code, base, model, BLOCK_NUMBERS, 23));
    for (size_t i = 0; i < BLOCK_NUMBERS; i++) {
        model[i] *= 1.25F;
    }
    assert_false(scaled_code_fits(code, base, model, BLOCK_NUMBERS, 7));
    model[3] = (float)NAN;
    assert_false(scaled_code_fits(code, base, model, BLOCK_NUMBERS, 7));
}

static void zeros_fit_zeros_alone(void **state) {
    (void)state;
    const scaled_code *const code = scaled_code_of(SCALED_CODE_FP4);
    const float zeros[4] = {0, -0.0F, 0, 0};
    const float other[4] = {0, 0, 0.1F, 0};
    float out[4];

    scaled_code_apply(code, out, zeros, 4);

    assert_float_equal(out[1], 0, 0);
    assert_true(scaled_code_fits(code, zeros, zeros, 4, 7));
    assert_false(scaled_code_fits(code, zeros, other, 4, 7));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(numbers_take_the_nearest_level),
        cmocka_unit_test(int8_steps_are_parts_of_127),
        cmocka_unit_test(one_scale_must_give_all_numbers),
        cmocka_unit_test(a_scale_far_off_or_numbers_that_are_none_do_not_fit),
        cmocka_unit_test(zeros_fit_zeros_alone),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
