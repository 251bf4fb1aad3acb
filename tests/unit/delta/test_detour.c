/* SPDX-License-Identifier: Apache-2.0 */
#include "pair_fixture.h"

#include "delta/detour.h"

enum { ROWS = 96, COLS = 128, COUNT = ROWS * COLS };

/* Through a dtype that weir writes; the base may be its own, finer one. */
static float *pass(const float *values, weir_dtype via) {
    float *const out = calloc(COUNT, sizeof *out);
    unsigned char *const stored = calloc(COUNT, sizeof(float));
    assert_non_null(out);
    assert_non_null(stored);
    convert_from_f32(stored, via, values, COUNT);
    convert_to_f32(out, via, stored, COUNT);
    free(stored);
    return out;
}

static detour find(const float *base, weir_dtype base_dtype, const float *model,
                   weir_dtype model_dtype) {
    pair_fixture pair;
    detour found;
    weir_error err = {0};
    pair_open_numbers(&pair, ROWS, COLS, base_dtype, base, model_dtype, model);
    assert_int_equal(detour_find(&found, &pair.diff, &pair.row, COUNT / 4, &err), WEIR_OK);
    assert_int_equal(detour_prove(&found, &pair.diff, &pair.row, &err), WEIR_OK);
    pair_close(&pair);
    return found;
}

static void a_cast_and_back_is_proved(void **state) {
    (void)state;
    static const weir_dtype ways[] = {WEIR_DTYPE_BF16, WEIR_DTYPE_F16};
    for (size_t i = 0; i < 2; i++) {
        float *const base = draw_matrix(ROWS, COLS, 1);
        for (size_t j = 0; j < COUNT; j++) {
            base[j] *= 1.0F + 0x1p-11F * (float)(j % 13);
        }
        float *const model = pass(base, ways[i]);

        const detour found = find(base, WEIR_DTYPE_F32, model, WEIR_DTYPE_F32);

        assert_int_equal(found.kind, DETOUR_FLOAT);
        assert_int_equal(found.via, ways[i]);
        assert_true(found.is_proved);
        assert_int_equal(found.replayed, COUNT);
        free(base);
        free(model);
    }
}

static void blocks_read_back_as_floats_are_proved(void **state) {
    (void)state;
    static const weir_dtype ways[] = {WEIR_DTYPE_Q4_0, WEIR_DTYPE_Q4_1, WEIR_DTYPE_Q5_0,
                                      WEIR_DTYPE_Q5_1, WEIR_DTYPE_Q8_0, WEIR_DTYPE_MXFP4};
    static const weir_dtype stored[] = {WEIR_DTYPE_BF16, WEIR_DTYPE_F16, WEIR_DTYPE_F32};
    for (size_t i = 0; i < 18; i++) {
        float *const base = draw_matrix(ROWS, COLS, 2);
        float *const model = pass(base, ways[i / 3]);

        const detour found = find(base, WEIR_DTYPE_BF16, model, stored[i % 3]);

        assert_int_equal(found.kind, DETOUR_BLOCKS);
        assert_string_equal(detour_name(&found), weir_dtype_name(ways[i / 3]));
        assert_true(found.is_proved);
        free(base);
        free(model);
    }
}

static void an_adapter_on_coarse_numbers_leaves_only_itself(void **state) {
    (void)state;
    float *const base = draw_matrix(ROWS, COLS, 3);
    float *const model = pass(base, WEIR_DTYPE_Q4_0);
    uint64_t seed = 4;
    double added = 0;
    for (size_t r = 0; r < ROWS; r++) {
        const float left = (float)draw_normal(&seed);
        for (size_t c = 0; c < COLS; c++) {
            const float change = left * 0.0002F * (float)((int)(c % 5) - 2);
            model[r * COLS + c] += change;
            added += (double)change * (double)change;
        }
    }
    pair_fixture pair;
    matrix_look look = {0};
    detour found;
    pair_open_numbers(&pair, ROWS, COLS, WEIR_DTYPE_BF16, base, WEIR_DTYPE_F32, model);

    assert_int_equal(detour_find(&found, &pair.diff, &pair.row, COUNT, NULL), WEIR_OK);

    assert_int_equal(found.kind, DETOUR_BLOCKS);
    assert_int_equal(found.via, WEIR_DTYPE_Q4_0);
    assert_false(found.is_proved);
    assert_true(detour_explained(&found) > 0.9);
    assert_int_equal(matrix_look_read(&look, &pair.diff, &pair.row, COUNT, NULL), WEIR_OK);
    assert_true(look.change_square > 5 * added);
    assert_int_equal(detour_take_off(&look, &found, WEIR_DTYPE_F32, NULL), WEIR_OK);
    assert_float_equal(look.change_square / added, 1, 0.01);
    matrix_look_release(&look);
    pair_close(&pair);
    free(base);
    free(model);
}

static void other_changes_took_no_detour(void **state) {
    (void)state;
    for (int i = 0; i < 3; i++) {
        float *const base = draw_matrix(ROWS, COLS, 5);
        float *const model = draw_matrix(ROWS, COLS, i == 2 ? 6 : 5);
        uint64_t seed = 7;
        for (size_t j = 0; i == 1 && j < COUNT; j++) {
            model[j] += (float)(0.0002 * draw_normal(&seed));
        }

        const detour found = find(base, WEIR_DTYPE_BF16, model, WEIR_DTYPE_BF16);

        assert_int_equal(found.kind, DETOUR_NONE);
        assert_string_equal(detour_name(&found), "none");
        free(base);
        free(model);
    }
}

/* One changed row of many is not on the sample, but on the whole. */
static void a_proof_reads_every_row(void **state) {
    (void)state;
    float *const base = draw_matrix(ROWS, COLS, 8);
    float *const model = pass(base, WEIR_DTYPE_Q8_0);
    for (size_t c = 0; c < COLS; c++) {
        model[(ROWS - 1) * COLS + c] = base[(ROWS - 1) * COLS + c];
    }

    const detour found = find(base, WEIR_DTYPE_BF16, model, WEIR_DTYPE_F32);

    assert_false(found.is_proved);
    free(base);
    free(model);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_cast_and_back_is_proved),
        cmocka_unit_test(blocks_read_back_as_floats_are_proved),
        cmocka_unit_test(an_adapter_on_coarse_numbers_leaves_only_itself),
        cmocka_unit_test(other_changes_took_no_detour),
        cmocka_unit_test(a_proof_reads_every_row),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
