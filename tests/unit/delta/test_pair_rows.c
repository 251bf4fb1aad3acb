/* SPDX-License-Identifier: Apache-2.0 */
/* Rows that two tensors share come out side by side, in whatever order and layout each keeps them.
 */
#include "../tensor/fixture.h"

#include "base/fail.h"
#include "delta/pair_rows.h"

enum { ROWS = 6, COLS = 5 };

/* Numbers that tell row and column. */
static float number_of(size_t row, size_t col) {
    return (float)(10 * row + col + 1);
}

static void open_straight(fixture *from, weir_model **model) {
    float values[ROWS][COLS];
    for (size_t i = 0; i < ROWS; i++) {
        for (size_t j = 0; j < COLS; j++) {
            values[i][j] = number_of(i, j);
        }
    }
    fixture_open(from, "llama", "safetensors");
    fixture_add_f32(from, "model.layers.0.mlp.up_proj.weight", ROWS, COLS, values[0]);
    *model = fixture_model(from, NULL);
}

/* The same canonical matrix, stored as Conv1D does: [inputs, outputs]. */
static void open_turned(fixture *from, weir_model **model) {
    float values[COLS][ROWS];
    for (size_t i = 0; i < ROWS; i++) {
        for (size_t j = 0; j < COLS; j++) {
            values[j][i] = number_of(i, j);
        }
    }
    fixture_open(from, "gpt2", "safetensors");
    fixture_add_f32(from, "h.0.mlp.c_fc.weight", COLS, ROWS, values[0]);
    *model = fixture_model(from, NULL);
}

typedef struct both {
    fixture base_from;
    fixture model_from;
    weir_diff diff;
    tensor_delta row;
} both;

static void open_both(both *of, bool is_base_turned, bool is_model_turned) {
    memset(of, 0, sizeof *of);
    (is_base_turned ? open_turned : open_straight)(&of->base_from, &of->diff.base);
    (is_model_turned ? open_turned : open_straight)(&of->model_from, &of->diff.model);
}

static void close_both(both *of) {
    weir_model_free(of->diff.base);
    weir_model_free(of->diff.model);
    fixture_close(&of->base_from);
    fixture_close(&of->model_from);
}

static void read_pair(float *base, float *model, both *of, uint64_t begin, uint64_t count) {
    view_scratch scratch = {0};
    assert_int_equal(pair_rows_read(base, model, &of->diff, &of->row, begin, count, &scratch, NULL),
                     WEIR_OK);
    view_scratch_release(&scratch);
}

static void without_a_map_both_are_read_as_they_stand(void **state) {
    (void)state;
    both of;
    float base[2][COLS];
    float model[2][COLS];
    open_both(&of, false, true);

    assert_int_equal(pair_row_count(&of.diff, &of.row), ROWS);
    assert_int_equal(pair_col_count(&of.diff, &of.row), COLS);
    read_pair(base[0], model[0], &of, 3, 2);

    for (size_t j = 0; j < COLS; j++) {
        assert_float_equal(base[1][j], number_of(4, j), 0);
        assert_float_equal(model[1][j], number_of(4, j), 0);
    }
    close_both(&of);
}

static const uint32_t base_rows[] = {5, 0, 1, 4};
static const uint32_t model_rows[] = {0, 2, 3, 5};
static const uint32_t base_cols[] = {4, 1, 2};
static const int8_t row_signs[] = {1, -1, 1, 1};
static const int8_t col_signs[] = {-1, 1, 1};

static const pair_map moved = {.rows = 4,
                               .cols = 3,
                               .base_rows = base_rows,
                               .model_rows = model_rows,
                               .base_cols = base_cols,
                               .row_signs = row_signs,
                               .col_signs = col_signs};

static void assert_moved(bool is_base_turned, bool is_model_turned, size_t at_once) {
    both of;
    open_both(&of, is_base_turned, is_model_turned);
    of.row.map = &moved;

    assert_int_equal(pair_row_count(&of.diff, &of.row), 4);
    assert_int_equal(pair_col_count(&of.diff, &of.row), 3);
    for (size_t begin = 0; begin < 4; begin += at_once) {
        float base[4][3];
        float model[4][3];
        read_pair(base[0], model[0], &of, begin, at_once);
        for (size_t i = 0; i < at_once; i++) {
            for (size_t j = 0; j < 3; j++) {
                const float sign = (float)(row_signs[begin + i] * col_signs[j]);
                const float wanted = sign * number_of(base_rows[begin + i], base_cols[j]);
                assert_float_equal(base[i][j], wanted, 0);
                assert_float_equal(model[i][j], number_of(model_rows[begin + i], j), 0);
            }
        }
    }
    close_both(&of);
}

static void a_map_moves_rows_and_columns_and_signs(void **state) {
    (void)state;
    assert_moved(false, false, 4);
    assert_moved(false, false, 1);
}

static void a_map_reads_rows_that_are_stored_as_columns(void **state) {
    (void)state;
    assert_moved(true, true, 4);
    assert_moved(true, false, 2);
}

static void a_prefix_of_columns_needs_no_list(void **state) {
    (void)state;
    static const pair_map narrow = {.rows = 2, .cols = 2};
    both of;
    float base[2][2];
    float model[2][2];
    open_both(&of, false, true);
    of.row.map = &narrow;

    read_pair(base[0], model[0], &of, 0, 2);

    assert_float_equal(base[1][1], number_of(1, 1), 0);
    assert_float_equal(model[1][0], number_of(1, 0), 0);
    close_both(&of);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(without_a_map_both_are_read_as_they_stand),
        cmocka_unit_test(a_map_moves_rows_and_columns_and_signs),
        cmocka_unit_test(a_map_reads_rows_that_are_stored_as_columns),
        cmocka_unit_test(a_prefix_of_columns_needs_no_list),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
