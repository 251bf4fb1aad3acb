/* SPDX-License-Identifier: Apache-2.0 */
/* Merges computed here in double, in the order in which PEFT rounds. */
#include "../tensor/fixture.h"
#include "looks.h"

#include "delta/adapter_replay.h"

enum { ROWS = 64, COLS = 96, RANK = 4, COUNT = ROWS * COLS };

/* How a merge is made. */
typedef struct merge {
    weir_dtype dtype;
    double lambda;
    bool is_rounded_first; /* the product, as an adapter kept in the same dtype makes it */
    bool has_magnitude;
    bool is_of_another; /* a stranger's factors were merged */
} merge;

/* An adapter as a file would hold it, and views of it. */
typedef struct adapter_file {
    fixture stored;
    weir_model *model;
    float a[RANK * COLS];
    float b[ROWS * RANK];
    float magnitude[ROWS];
} adapter_file;

static adapter_file *make_adapter(uint64_t seed) {
    adapter_file *made = calloc(1, sizeof *made);
    assert_non_null(made);
    for (size_t i = 0; i < RANK * COLS; i++) {
        made->a[i] = 0.1F * draw(&seed);
    }
    for (size_t i = 0; i < ROWS * RANK; i++) {
        made->b[i] = 0.01F * draw(&seed);
    }
    for (size_t i = 0; i < ROWS; i++) {
        made->magnitude[i] = 0.3F + 0.003F * draw(&seed);
    }
    fixture_open(&made->stored, NULL, "safetensors");
    fixture_add_f32(&made->stored, "a", RANK, COLS, made->a);
    fixture_add_f32(&made->stored, "b", ROWS, RANK, made->b);
    fixture_add_f32(&made->stored, "m", 1, ROWS, made->magnitude);
    made->model = fixture_model(&made->stored, NULL);
    return made;
}

static void close_adapter(adapter_file *file) {
    weir_model_free(file->model);
    fixture_close(&file->stored);
    free(file);
}

static void merge_row(float *row, const adapter_file *file, const float *base, size_t i,
                      const merge *how) {
    double square = 0;
    for (size_t j = 0; j < COLS; j++) {
        double sum = 0;
        for (size_t k = RANK; k-- > 0;) {
            sum += (double)file->b[i * RANK + k] * (double)file->a[k * COLS + j];
        }
        row[j] = (float)(2 * how->lambda * sum);
    }
    if (how->is_rounded_first) {
        through(how->dtype, row, COLS);
    }
    for (size_t j = 0; j < COLS; j++) {
        row[j] += base[j];
        square += (double)row[j] * (double)row[j];
    }
    for (size_t j = 0; how->has_magnitude && j < COLS; j++) {
        row[j] = (float)((double)row[j] * (double)file->magnitude[i] / sqrt(square));
    }
}

static adapter_replay replay(const merge *how) {
    adapter_file *const given = make_adapter(11);
    adapter_file *const merged = make_adapter(how->is_of_another ? 12 : 11);
    matrix_look look = make_look(ROWS, COLS, how->dtype, 13);
    float *const added = calloc(COUNT, sizeof *added);
    adapter_replay found;
    assert_non_null(added);
    for (size_t i = 0; i < ROWS; i++) {
        merge_row(added + i * COLS, merged, look.base + i * COLS, i, how);
    }
    for (size_t i = 0; i < COUNT; i++) {
        added[i] -= look.base[i];
    }
    store_change(&look, added);
    const adapter_item item = {.name = "layers.0.q",
                               .a = *model_view(given->model, 0),
                               .b = *model_view(given->model, 1),
                               .rank = RANK,
                               .scale = 2};
    assert_int_equal(adapter_replay_run(&found, &look, &item,
                                        how->has_magnitude ? model_view(given->model, 2) : NULL,
                                        NULL),
                     WEIR_OK);
    matrix_look_release(&look);
    free(added);
    close_adapter(given);
    close_adapter(merged);
    return found;
}

static void its_own_merge_is_proved(void **state) {
    (void)state;
    static const merge cases[] = {
        {.dtype = WEIR_DTYPE_F32, .lambda = 1},
        {.dtype = WEIR_DTYPE_F16, .lambda = 1},
        {.dtype = WEIR_DTYPE_BF16, .lambda = 1},
        {.dtype = WEIR_DTYPE_Q8_0, .lambda = 1},
        {.dtype = WEIR_DTYPE_BF16, .lambda = 1, .is_rounded_first = true},
        {.dtype = WEIR_DTYPE_BF16, .lambda = 1, .has_magnitude = true},
    };
    for (size_t k = 0; k < sizeof cases / sizeof *cases; k++) {
        const adapter_replay found = replay(&cases[k]);

        assert_true(found.is_proved);
        assert_true(found.lambda == 1);
        assert_true(found.moved > COUNT / 4);
    }
}

static void a_scaled_merge_shows_its_coefficient(void **state) {
    (void)state;
    const merge how = {.dtype = WEIR_DTYPE_BF16, .lambda = 0.7};

    const adapter_replay found = replay(&how);

    assert_true(found.is_proved);
    assert_true(fabs(found.lambda - 0.7) < 1e-9);
}

static void another_adapter_is_not_proved(void **state) {
    (void)state;
    static const weir_dtype dtypes[] = {WEIR_DTYPE_F32, WEIR_DTYPE_BF16, WEIR_DTYPE_Q8_0};
    for (size_t k = 0; k < 3; k++) {
        const merge how = {.dtype = dtypes[k], .lambda = 1, .is_of_another = true};

        const adapter_replay found = replay(&how);

        assert_false(found.is_proved);
        assert_true(found.equal < 0.6);
        assert_true(found.explained < 0.1);
    }
}

static void an_adapter_of_another_shape_is_refused(void **state) {
    (void)state;
    adapter_file *const given = make_adapter(11);
    matrix_look look = make_look(ROWS, COLS + 32, WEIR_DTYPE_BF16, 13);
    adapter_replay found = {.moved = 77};
    const adapter_item item = {.name = "layers.0.q",
                               .a = *model_view(given->model, 0),
                               .b = *model_view(given->model, 1),
                               .rank = RANK,
                               .scale = 1};

    assert_int_equal(adapter_replay_run(&found, &look, &item, NULL, NULL), WEIR_ERR_ARG);
    assert_int_equal(found.moved, 77);
    matrix_look_release(&look);
    close_adapter(given);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(its_own_merge_is_proved),
        cmocka_unit_test(a_scaled_merge_shows_its_coefficient),
        cmocka_unit_test(another_adapter_is_not_proved),
        cmocka_unit_test(an_adapter_of_another_shape_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
