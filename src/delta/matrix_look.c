/* SPDX-License-Identifier: Apache-2.0 */
#include "delta/matrix_look.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/checked.h"
#include "base/fail.h"
#include "delta/pair_rows.h"
#include "delta/rounding.h"
#include "kernel/convert.h"

enum {
    ROWS_AT_ONCE_ELEMENTS = 1 << 16,
    THIN_RUN = 32, /* columns that stay together: a block of the ggml types */
};

/* As many rows as fit, and how far apart they stand. */
static weir_code plan_rows(matrix_look *out, uint64_t rows, uint64_t cols, size_t elements_most,
                           weir_error *err) {
    const uint64_t most = cols > 0 ? elements_most / cols : 0;
    if (most == 0 || rows == 0) {
        return weir_fail(err, WEIR_ERR_LIMIT, NULL, NULL, "a row that fits in memory",
                         "a longer one, or none");
    }
    out->rows_of = rows;
    out->row_step = (rows + most - 1) / most;
    out->rows = (size_t)((rows + out->row_step - 1) / out->row_step);
    out->cols = (size_t)cols;
    return WEIR_OK;
}

static weir_code make_room(matrix_look *out, weir_error *err) {
    const size_t elements = out->rows * out->cols;
    if (elements <= out->capacity) {
        return WEIR_OK;
    }
    free(out->base);
    free(out->change);
    out->base = checked_alloc(elements, sizeof *out->base);
    out->change = checked_alloc(elements, sizeof *out->change);
    out->capacity = out->base && out->change ? elements : 0;
    return out->capacity ? WEIR_OK : weir_fail_nomem(err);
}

static weir_code read_rows(matrix_look *out, const weir_diff *diff, const tensor_delta *row,
                           weir_error *err) {
    WEIR_CLEANUP(view_scratch_release) view_scratch scratch = {0};
    const size_t cols = out->cols;
    const size_t together =
        out->row_step > 1 || cols >= ROWS_AT_ONCE_ELEMENTS ? 1 : ROWS_AT_ONCE_ELEMENTS / cols;
    for (size_t i = 0; i < out->rows; i += together) {
        const size_t count = out->rows - i < together ? out->rows - i : together;
        WEIR_TRY(pair_rows_read(out->base + i * cols, out->change + i * cols, diff, row,
                                i * out->row_step, count, &scratch, err));
    }
    return WEIR_OK;
}

/* The base as the model's float dtype holds it, so that rounding it is no change. */
static weir_code round_base(matrix_look *out, weir_dtype from, weir_dtype to, weir_error *err) {
    const size_t elements = out->rows * out->cols;
    if (from == to || rounding_mantissa_bits(to) < 0 || !convert_can_write(to)) {
        return WEIR_OK;
    }
    WEIR_CLEANUP(free) float *stored = checked_alloc(ROWS_AT_ONCE_ELEMENTS, sizeof *stored);
    if (!stored) {
        return weir_fail_nomem(err);
    }
    for (size_t i = 0; i < elements; i += ROWS_AT_ONCE_ELEMENTS) {
        const size_t left = elements - i;
        const size_t count = left < ROWS_AT_ONCE_ELEMENTS ? left : ROWS_AT_ONCE_ELEMENTS;
        convert_from_f32(stored, to, out->base + i, count);
        convert_to_f32(out->base + i, to, stored, count);
    }
    return WEIR_OK;
}

static void subtract_base(matrix_look *out) {
    const size_t elements = out->rows * out->cols;
    out->not_finite = 0;
    out->base_square = 0;
    out->change_square = 0;
    for (size_t i = 0; i < elements; i++) {
        float change = out->change[i] - out->base[i];
        if (!isfinite(change)) {
            out->not_finite++;
            out->base[i] = 0;
            change = 0;
        }
        out->change[i] = change;
        out->base_square += (double)out->base[i] * (double)out->base[i];
        out->change_square += (double)change * (double)change;
    }
}

/* Of the model's rounding, and of the base's where its own dtype is coarser than the model's. */
static void find_rounding(matrix_look *out, const tensor_view *base, const tensor_view *model) {
    const size_t elements = out->rows * out->cols;
    const bool is_base_block = weir_dtype_get(base->base.dtype)->kind == WEIR_DTYPE_KIND_BLOCK;
    out->dtype = model->base.dtype;
    out->is_twice_rounded = is_base_block && base->base.dtype == model->base.dtype;
    out->rounding = (double)NAN;
    if (!model->packed) {
        const double of_model = rounding_mean_square(model->base.dtype, out->base, elements);
        out->rounding = out->is_twice_rounded ? 2 * of_model : of_model;
    }
}

static weir_code find_coded_rounding(matrix_look *out, const tensor_view *model, weir_error *err) {
    const bool is_coded =
        model->packed || weir_dtype_get(model->base.dtype)->kind == WEIR_DTYPE_KIND_BLOCK;
    out->coded_rounding = (double)NAN;
    out->step = 0;
    if (is_coded) {
        WEIR_TRY(rounding_of_codes(&out->coded_rounding, model, err));
        out->step = out->coded_rounding > 0 ? sqrt(12 * out->coded_rounding) : 0;
    }
    return WEIR_OK;
}

weir_code matrix_look_read(matrix_look *out, const weir_diff *diff, const tensor_delta *row,
                           size_t elements_most, weir_error *err) {
    const tensor_view *base = model_view(diff->base, (size_t)row->base_index);
    const tensor_view *model = model_view(diff->model, (size_t)row->model_index);
    WEIR_TRY(
        plan_rows(out, pair_row_count(diff, row), pair_col_count(diff, row), elements_most, err));
    WEIR_TRY(make_room(out, err));
    WEIR_TRY(read_rows(out, diff, row, err));
    if (!model->packed) {
        WEIR_TRY(round_base(out, base->base.dtype, model->base.dtype, err));
    }
    subtract_base(out);
    find_rounding(out, base, model);
    return find_coded_rounding(out, model, err);
}

/* The run of columns that stands at place `index` of `chosen` evenly spaced ones. */
static size_t run_begin(size_t index, size_t chosen, size_t runs) {
    return index * runs / chosen * THIN_RUN;
}

weir_code matrix_look_thin(matrix_look *out, const matrix_look *look, size_t rows_most,
                           size_t cols_most, weir_error *err) {
    const size_t runs = look->cols / THIN_RUN;
    const size_t wanted = cols_most / THIN_RUN;
    const bool is_narrow = look->cols <= cols_most || runs <= wanted || wanted == 0;
    const size_t step = (look->rows + rows_most - 1) / rows_most;
    float *const base = out->base;
    float *const change = out->change;
    const size_t capacity = out->capacity;
    *out = *look;
    out->base = base;
    out->change = change;
    out->capacity = capacity;
    out->rows = (look->rows + step - 1) / step;
    out->row_step = look->row_step * step;
    out->cols = is_narrow ? look->cols : wanted * THIN_RUN;
    WEIR_TRY(make_room(out, err));
    out->base_square = 0;
    out->change_square = 0;
    for (size_t i = 0; i < out->rows; i++) {
        const size_t from = i * step * look->cols;
        const size_t to = i * out->cols;
        if (is_narrow) {
            memcpy(out->base + to, look->base + from, out->cols * sizeof *out->base);
            memcpy(out->change + to, look->change + from, out->cols * sizeof *out->change);
        }
        for (size_t run = 0; !is_narrow && run < wanted; run++) {
            const size_t at = from + run_begin(run, wanted, runs);
            const size_t bytes = THIN_RUN * sizeof(float);
            memcpy(out->base + to + run * THIN_RUN, look->base + at, bytes);
            memcpy(out->change + to + run * THIN_RUN, look->change + at, bytes);
        }
        for (size_t j = to; j < to + out->cols; j++) {
            out->base_square += (double)out->base[j] * (double)out->base[j];
            out->change_square += (double)out->change[j] * (double)out->change[j];
        }
    }
    return WEIR_OK;
}

bool matrix_look_is_whole(const matrix_look *look) {
    return look->rows == look->rows_of;
}

void matrix_look_release(matrix_look *look) {
    free(look->base);
    free(look->change);
    *look = (matrix_look){0};
}
