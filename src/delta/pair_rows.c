/* SPDX-License-Identifier: Apache-2.0 */
#include "delta/pair_rows.h"

#include <string.h>

#include "base/checked.h"
#include "base/fail.h"

uint64_t pair_row_count(const weir_diff *diff, const tensor_delta *row) {
    return row->map ? row->map->rows : model_view(diff->model, (size_t)row->model_index)->base.rows;
}

uint64_t pair_col_count(const weir_diff *diff, const tensor_delta *row) {
    return row->map ? row->map->cols : model_view(diff->model, (size_t)row->model_index)->base.cols;
}

/* One side of the pair, and which of its rows and columns are wanted. */
typedef struct selection {
    const tensor_view *view;
    const uint32_t *rows; /* of the piece; NULL: from first_row on */
    uint64_t first_row;
    uint64_t row_count;
    const uint32_t *cols;
    size_t col_count;
    view_scratch *scratch;
} selection;

static uint64_t wanted_row(const selection *of, uint64_t i) {
    return of->rows ? of->rows[i] : of->first_row + i;
}

/* The wanted columns of one whole row. */
static void pick_cols(float *out, const selection *of, const float *whole) {
    if (!of->cols) {
        memcpy(out, whole, of->col_count * sizeof *out);
        return;
    }
    for (size_t i = 0; i < of->col_count; i++) {
        out[i] = whole[of->cols[i]];
    }
}

/* How many wanted rows from i on follow one another in the file, at most what a span holds. */
static uint64_t run_length(const selection *of, uint64_t i) {
    const uint64_t fitting = PAIR_SPAN_ELEMENTS / (of->view->base.cols ? of->view->base.cols : 1);
    const uint64_t most = fitting ? fitting : 1;
    uint64_t length = 1;
    while (length < most && i + length < of->row_count &&
           wanted_row(of, i + length) == wanted_row(of, i) + length) {
        length++;
    }
    return length;
}

static weir_code read_runs(float *out, const selection *of, float *whole, weir_error *err) {
    const size_t cols = (size_t)of->view->base.cols;
    for (uint64_t i = 0; i < of->row_count;) {
        const uint64_t length = run_length(of, i);
        WEIR_TRY(tensor_view_read(of->view, wanted_row(of, i), length, whole, of->scratch, err));
        for (uint64_t j = 0; j < length; j++) {
            pick_cols(out + (i + j) * of->col_count, of, whole + j * cols);
        }
        i += length;
    }
    return WEIR_OK;
}

/* Walk all rows between the first and the last wanted one, slice by slice, and pick from each. */
static weir_code read_span(float *out, const selection *of, float *whole, weir_error *err) {
    const size_t cols = (size_t)of->view->base.cols;
    const uint64_t slice = PAIR_SPAN_ELEMENTS / cols ? PAIR_SPAN_ELEMENTS / cols : 1;
    uint64_t low = UINT64_MAX;
    uint64_t high = 0;
    for (uint64_t i = 0; i < of->row_count; i++) {
        const uint64_t row = wanted_row(of, i);
        low = row < low ? row : low;
        high = row > high ? row : high;
    }
    for (uint64_t begin = low; begin <= high; begin += slice) {
        const uint64_t count = high - begin + 1 < slice ? high - begin + 1 : slice;
        WEIR_TRY(tensor_view_read(of->view, begin, count, whole, of->scratch, err));
        for (uint64_t i = 0; i < of->row_count; i++) {
            const uint64_t row = wanted_row(of, i);
            if (row >= begin && row - begin < count) {
                pick_cols(out + i * of->col_count, of, whole + (row - begin) * cols);
            }
        }
    }
    return WEIR_OK;
}

static weir_code read_side(float *out, const selection *of, weir_error *err) {
    const tensor_view *view = of->view;
    if (!of->rows && !of->cols && of->col_count == view->base.cols) {
        return tensor_view_read(view, of->first_row, of->row_count, out, of->scratch, err);
    }
    if (of->row_count == 0 || view->base.cols == 0) {
        return WEIR_OK;
    }
    const uint64_t fitting = PAIR_SPAN_ELEMENTS / view->base.cols;
    const uint64_t rows = fitting < 1 ? 1 : fitting < view->base.rows ? fitting : view->base.rows;
    WEIR_CLEANUP(free) float *whole = checked_alloc(rows * view->base.cols, sizeof *whole);
    if (!whole) {
        return weir_fail_nomem(err);
    }
    const bool is_costly_by_row = view->transposed || view->packed;
    return is_costly_by_row && of->rows ? read_span(out, of, whole, err)
                                        : read_runs(out, of, whole, err);
}

static void apply_signs(float *base, const pair_map *map, uint64_t row_begin, uint64_t row_count) {
    for (uint64_t i = 0; i < row_count; i++) {
        const float row_sign = map->row_signs ? (float)map->row_signs[row_begin + i] : 1.0F;
        for (uint64_t j = 0; j < map->cols; j++) {
            base[i * map->cols + j] *=
                map->col_signs ? row_sign * (float)map->col_signs[j] : row_sign;
        }
    }
}

weir_code pair_rows_read(float *base, float *model, const weir_diff *diff, const tensor_delta *row,
                         uint64_t row_begin, uint64_t row_count, view_scratch *scratch,
                         weir_error *err) {
    static const pair_map same = {0};
    const pair_map *map = row->map ? row->map : &same;
    const selection of_base = {
        .view = model_view(diff->base, (size_t)row->base_index),
        .rows = map->base_rows ? map->base_rows + row_begin : NULL,
        .first_row = row_begin,
        .row_count = row_count,
        .cols = map->base_cols,
        .col_count = (size_t)pair_col_count(diff, row),
        .scratch = scratch,
    };
    const selection of_model = {
        .view = model_view(diff->model, (size_t)row->model_index),
        .rows = map->model_rows ? map->model_rows + row_begin : NULL,
        .first_row = row_begin,
        .row_count = row_count,
        .cols = map->model_cols,
        .col_count = of_base.col_count,
        .scratch = scratch,
    };
    WEIR_TRY(read_side(base, &of_base, err));
    WEIR_TRY(read_side(model, &of_model, err));
    if (map->row_signs || map->col_signs) {
        apply_signs(base, map, row_begin, row_count);
    }
    return WEIR_OK;
}
