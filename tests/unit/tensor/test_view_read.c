/* SPDX-License-Identifier: Apache-2.0 */
/* Views larger than a window, at their edges, against the formulas of tensor_view worked out one by
 * one. */
#include "../testing.h"

#include <stdlib.h>

#include "kernel/convert.h"
#include "tensor/model.h"

/* A stored tensor of small numbers that say where they stand, in memory. */
typedef struct store {
    stored_tensor tensor;
    weir_source *source;
    unsigned char *data;
} store;

static float number_at(uint64_t element) {
    uint64_t mixed = (element + 1) * 0x9E3779B97F4A7C15u;
    mixed ^= mixed >> 29;
    return (float)(mixed % 251); /* exact in every float format */
}

static void open_store(store *out, weir_dtype dtype, uint64_t elements) {
    const weir_dtype_info *info = weir_dtype_get(dtype);
    const uint64_t bytes = elements / info->block_elements * info->block_bytes;
    float *values = calloc(elements + 1, sizeof *values);
    memset(out, 0, sizeof *out);
    out->data = calloc(1, bytes + 16);
    assert_non_null(values);
    assert_non_null(out->data);
    for (uint64_t i = 0; i < elements; i++) {
        values[i] = number_at(i);
        if (dtype == WEIR_DTYPE_F64) {
            const double wide = values[i];
            memcpy(out->data + 16 + 8 * i, &wide, 8);
        }
    }
    if (dtype != WEIR_DTYPE_F64) {
        convert_from_f32(out->data + 16, dtype, values, elements);
    }
    free(values);
    out->tensor = (stored_tensor){
        .name = "t", .offset = 16, .bytes = bytes, .rank = 1, .dtype = (uint8_t)dtype};
    assert_int_equal(weir_source_open_memory(&out->source, out->data, bytes + 16, "m", NULL),
                     WEIR_OK);
}

static void close_store(store *from) {
    weir_source_free(from->source);
    free(from->data);
}

static tensor_view view_of(const store *from, uint64_t rows, uint64_t cols) {
    return (tensor_view){
        .base = {.name = "t", .dtype = (weir_dtype)from->tensor.dtype, .rows = rows, .cols = cols},
        .stored = &from->tensor,
        .source = from->source};
}

/* Stored element of canonical (row, col), as model.h states it. */
static uint64_t element_of(const tensor_view *view, uint64_t row, uint64_t col) {
    const uint64_t r = view->by_element ? col : row;
    uint64_t s = view->row_begin;
    if (view->group_rows) {
        s += r / view->group_rows * view->group_stride + r % view->group_rows;
    } else if (view->head_rows) {
        const uint64_t half = view->head_rows / 2;
        const uint64_t head = r / view->head_rows;
        const uint64_t p = r % view->head_rows / half;
        const uint64_t j = r % half;
        s += head * view->head_rows + 2 * j + p;
    } else {
        s += r;
    }
    if (view->by_element) {
        return view->first_element + s;
    }
    return view->first_element +
           (view->transposed ? col * view->stored_cols + s : s * view->base.cols + col);
}

static void check_range(const tensor_view *view, uint64_t begin, uint64_t count) {
    const uint64_t cols = view->base.cols;
    float *read = malloc((count * cols + 1) * sizeof *read);
    view_scratch scratch = {0};
    assert_non_null(read);
    read[count * cols] = -7.0F;

    assert_int_equal(tensor_view_read(view, begin, count, read, &scratch, NULL), WEIR_OK);

    for (uint64_t i = 0; i < count * cols; i++) {
        const uint64_t from = element_of(view, begin + i / cols, i % cols);
        if (read[i] != number_at(from) + view->offset) {
            fail_msg("row %d, column %d is %g, stored %g", (int)(begin + i / cols), (int)(i % cols),
                     (double)read[i], (double)number_at(from));
        }
    }
    assert_true(read[count * cols] == -7.0F);
    view_scratch_release(&scratch);
    free(read);
}

static void check_view(const tensor_view *view) {
    const uint64_t rows = view->base.rows;
    check_range(view, 0, rows);
    check_range(view, 0, 0);
    check_range(view, rows, 0);
    check_range(view, rows - 1, 1);
    check_range(view, rows / 3, rows - rows / 3);
    check_range(view, rows / 3, (rows + 3) / 4);
}

static const weir_dtype plain_dtypes[] = {WEIR_DTYPE_F32, WEIR_DTYPE_BF16, WEIR_DTYPE_F64};

static void straight_rows_longer_than_a_window(void **state) {
    (void)state;
    for (size_t i = 0; i < 3; i++) {
        store from;
        open_store(&from, plain_dtypes[i], 700011);
        tensor_view view = view_of(&from, 1, 700001);
        view.first_element = 10;
        check_view(&view);
        view = view_of(&from, 700, 1000);
        view.row_begin = 0;
        view.offset = -1.0F;
        check_view(&view);
        close_store(&from);
    }
}

static void permuted_rows_of_small_and_huge_heads(void **state) {
    (void)state;
    static const uint64_t shapes[][3] = {/* heads, head_rows, cols */
                                         {9, 64, 36},
                                         {3, 64, 9001},
                                         {2, 2, 300000},
                                         {1, 6, 1},
                                         {5, 128, 1100}};
    for (size_t i = 0; i < 5; i++) {
        store from;
        const uint64_t rows = shapes[i][0] * shapes[i][1];
        open_store(&from, WEIR_DTYPE_F32, rows * shapes[i][2]);
        tensor_view view = view_of(&from, rows, shapes[i][2]);
        view.head_rows = shapes[i][1];
        check_view(&view);
        close_store(&from);
    }
}

static void strided_rows_with_small_and_huge_steps(void **state) {
    (void)state;
    static const uint64_t shapes[][4] = {/* groups, group_rows, stride, cols */
                                         {7, 3, 9, 40},
                                         {4, 16, 48, 2000},
                                         {300, 1, 2, 700},
                                         {3, 1, 3, 290000},
                                         {2, 90, 100, 3000}};
    for (size_t i = 0; i < 5; i++) {
        store from;
        const uint64_t cols = shapes[i][3];
        open_store(&from, WEIR_DTYPE_F32, shapes[i][0] * shapes[i][2] * cols);
        tensor_view view = view_of(&from, shapes[i][0] * shapes[i][1], cols);
        view.group_rows = shapes[i][1];
        view.group_stride = shapes[i][2];
        view.row_begin = shapes[i][2] - shapes[i][1];
        check_view(&view);
        close_store(&from);
    }
}

static void transposed_arrays_wider_and_longer_than_a_window(void **state) {
    (void)state;
    static const uint64_t shapes[][4] = {/* cols, stored_cols, row_begin, rows */
                                         {5, 7, 2, 5},
                                         {900, 1000, 0, 1000},
                                         {4, 70000, 11, 69000},
                                         {3000, 40, 39, 1},
                                         {700, 600, 200, 200}};
    for (size_t i = 0; i < 5; i++) {
        for (size_t j = 0; j < 3; j++) {
            store from;
            open_store(&from, plain_dtypes[j], 3 + shapes[i][0] * shapes[i][1]);
            tensor_view view = view_of(&from, shapes[i][3], shapes[i][0]);
            view.first_element = 3;
            view.transposed = true;
            view.stored_cols = shapes[i][1];
            view.row_begin = shapes[i][2];
            check_view(&view);
            view.base.rows = (shapes[i][1] - 1) / 2;
            view.row_begin = shapes[i][1] > 2;
            view.group_rows = 1;
            view.group_stride = 2;
            check_view(&view);
            close_store(&from);
        }
    }
}

static void vectors_are_permuted_by_element(void **state) {
    (void)state;
    store from;
    open_store(&from, WEIR_DTYPE_F32, 600000);
    tensor_view view = view_of(&from, 1, 300000);
    view.first_element = 5;
    view.row_begin = 1;
    view.by_element = true;
    view.group_rows = 1;
    view.group_stride = 2;
    view.base.cols = 299990;
    check_view(&view);
    view.group_rows = 0;
    view.head_rows = 2998;
    view.base.cols = 2998 * 100;
    check_view(&view);
    close_store(&from);
}

static void quantised_rows_are_permuted_whole(void **state) {
    (void)state;
    store from;
    view_scratch scratch = {0};
    float straight[64];
    float permuted[64];
    open_store(&from, WEIR_DTYPE_Q8_0, 40 * 64);
    const tensor_view plain = view_of(&from, 40, 64);
    tensor_view view = plain;
    view.head_rows = 20;
    for (uint64_t row = 0; row < 40; row++) {
        const uint64_t stored = element_of(&view, row, 0) / 64;
        assert_int_equal(tensor_view_read(&plain, stored, 1, straight, &scratch, NULL), WEIR_OK);
        assert_int_equal(tensor_view_read(&view, row, 1, permuted, &scratch, NULL), WEIR_OK);
        assert_memory_equal(straight, permuted, sizeof straight);
    }
    view_scratch_release(&scratch);
    close_store(&from);
}

static void a_whole_transposed_array_is_read_about_once(void **state) {
    (void)state;
    store from;
    view_scratch scratch = {0};
    open_store(&from, WEIR_DTYPE_F32, 1500 * 2000);
    tensor_view view = view_of(&from, 2000, 1500);
    view.transposed = true;
    view.stored_cols = 2000;
    float *out = calloc(1500 * 2000, sizeof *out);

    assert_int_equal(tensor_view_read(&view, 0, 2000, out, &scratch, NULL), WEIR_OK);

    assert_int_equal(weir_source_bytes_read(from.source), from.tensor.bytes);
    assert_true(scratch.capacity < 2 << 20);
    free(out);
    view_scratch_release(&scratch);
    close_store(&from);
}

static void rows_outside_are_refused(void **state) {
    (void)state;
    store from;
    view_scratch scratch = {0};
    float out[16];
    open_store(&from, WEIR_DTYPE_F32, 16);
    const tensor_view view = view_of(&from, 4, 4);

    assert_int_equal(tensor_view_read(&view, 4, 1, out, &scratch, NULL), WEIR_ERR_ARG);
    assert_int_equal(tensor_view_read(&view, 0, 5, out, &scratch, NULL), WEIR_ERR_ARG);
    assert_int_equal(tensor_view_read(&view, 2, UINT64_MAX, out, &scratch, NULL), WEIR_ERR_ARG);
    assert_int_equal(tensor_view_read(&view, UINT64_MAX, 2, out, &scratch, NULL), WEIR_ERR_ARG);

    view_scratch_release(&scratch);
    close_store(&from);
}

static void opaque_numbers_are_not_read(void **state) {
    (void)state;
    store from;
    weir_error err = {0};
    view_scratch scratch = {0};
    float out[16];
    open_store(&from, WEIR_DTYPE_F32, 16);
    tensor_view view = view_of(&from, 4, 4);
    view.base.dtype = WEIR_DTYPE_F4;

    assert_int_equal(tensor_view_read(&view, 0, 1, out, &scratch, &err), WEIR_ERR_UNSUPPORTED);
    assert_string_equal(err.found, "F4");

    view_scratch_release(&scratch);
    close_store(&from);
}

static void a_view_past_its_tensor_reads_nothing_else(void **state) {
    (void)state;
    store from;
    view_scratch scratch = {0};
    float out[64];
    open_store(&from, WEIR_DTYPE_F32, 16);
    from.tensor.bytes = 60;
    tensor_view view = view_of(&from, 4, 4);

    assert_int_equal(tensor_view_read(&view, 0, 4, out, &scratch, NULL), WEIR_ERR_FORMAT);
    assert_int_equal(tensor_view_read(&view, 0, 3, out, &scratch, NULL), WEIR_OK);

    view_scratch_release(&scratch);
    close_store(&from);
}

static void order_and_range_of_views(void **state) {
    (void)state;
    store from;
    uint64_t offset;
    uint64_t bytes;
    open_store(&from, WEIR_DTYPE_Q8_0, 64 * 32);
    const tensor_view plain = view_of(&from, 64, 32);
    tensor_view rope = plain;
    tensor_view shifted = plain;
    tensor_view turned = plain;
    rope.head_rows = 8;
    shifted.offset = -1.0F;
    turned.transposed = true;

    assert_true(tensor_view_is_plain(&plain));
    assert_false(tensor_view_is_plain(&rope));
    assert_false(tensor_view_is_plain(&shifted));
    assert_false(tensor_view_is_plain(&turned));
    assert_true(tensor_view_same_order(&plain, &plain));
    assert_true(tensor_view_same_order(&rope, &rope));
    assert_false(tensor_view_same_order(&rope, &plain));
    assert_false(tensor_view_same_order(&turned, &turned));
    tensor_view_range(&plain, 2, 3, &offset, &bytes);
    assert_int_equal(offset, 16 + 2 * 34);
    assert_int_equal(bytes, 3 * 34);
    close_store(&from);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(straight_rows_longer_than_a_window),
        cmocka_unit_test(permuted_rows_of_small_and_huge_heads),
        cmocka_unit_test(strided_rows_with_small_and_huge_steps),
        cmocka_unit_test(transposed_arrays_wider_and_longer_than_a_window),
        cmocka_unit_test(vectors_are_permuted_by_element),
        cmocka_unit_test(quantised_rows_are_permuted_whole),
        cmocka_unit_test(a_whole_transposed_array_is_read_about_once),
        cmocka_unit_test(rows_outside_are_refused),
        cmocka_unit_test(opaque_numbers_are_not_read),
        cmocka_unit_test(a_view_past_its_tensor_reads_nothing_else),
        cmocka_unit_test(order_and_range_of_views),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
