/* SPDX-License-Identifier: Apache-2.0 */
#include "delta/residual_writes.h"

#include <math.h>
#include <stdlib.h>

#include "base/checked.h"
#include "base/fail.h"
#include "delta/pair_rows.h"
#include "delta/rounding.h"
#include "kernel/convert.h"

/* Rows that are read together: each column's piece then fills cache lines, and a side that stores
 * rows as columns is not read too often. */
enum { ROWS_TOGETHER = 64 };

bool role_writes_residual(weir_role role) {
    return role == WEIR_ROLE_O || role == WEIR_ROLE_DOWN || role == WEIR_ROLE_EXPERT_DOWN ||
           role == WEIR_ROLE_SHARED_EXPERT_DOWN || role == WEIR_ROLE_EMBEDDING;
}

/* One tensor, or two that are paired. */
typedef struct writes_source {
    const weir_diff *diff; /* NULL: one model's */
    const tensor_delta *row;
    const tensor_view *view;      /* the model's */
    const tensor_view *base_view; /* NULL: one model's */
    uint64_t rows;
    uint64_t cols;
    view_scratch scratch;
} writes_source;

typedef struct row_buffer {
    float *base; /* ROWS_TOGETHER stored rows */
    float *model;
    float *stored; /* room to write one row in another dtype */
    double rounding_sum;
    double rounding_count;
} row_buffer;

static void row_buffer_release(row_buffer *buffer) {
    free(buffer->base);
    free(buffer->model);
    free(buffer->stored);
}

static inline void row_buffer_release_cleanup(row_buffer *buffer) {
    row_buffer_release(buffer);
}

static inline void writes_source_release_cleanup(writes_source *source) {
    view_scratch_release(&source->scratch);
}

/* The base's numbers as the model's float dtype holds them, so that rounding them is no change. */
static void round_row(row_buffer *buffer, float *row, size_t cols, weir_dtype from, weir_dtype to) {
    if (from != to && rounding_mantissa_bits(to) >= 0 && convert_can_write(to)) {
        convert_from_f32(buffer->stored, to, row, cols);
        convert_to_f32(row, to, buffer->stored, cols);
    }
}

static weir_code read_stored(row_buffer *buffer, writes_source *source, uint64_t begin,
                             uint64_t count, weir_error *err) {
    const size_t cols = (size_t)source->cols;
    if (!source->diff) {
        return tensor_view_read(source->view, begin, count, buffer->base, &source->scratch, err);
    }
    WEIR_TRY(pair_rows_read(buffer->base, buffer->model, source->diff, source->row, begin, count,
                            &source->scratch, err));
    if (source->view->packed) {
        return WEIR_OK;
    }
    for (uint64_t i = 0; i < count; i++) {
        round_row(buffer, buffer->base + i * cols, cols, source->base_view->base.dtype,
                  source->view->base.dtype);
    }
    const double elements = (double)count * (double)source->cols;
    buffer->rounding_sum += elements * rounding_mean_square(source->view->base.dtype, buffer->base,
                                                            (size_t)count * cols);
    buffer->rounding_count += elements;
    return WEIR_OK;
}

/* Put one number in its place, with the change beside it. */
static void keep(residual_writes *out, size_t at, float base, const float *model) {
    const float change = model ? *model - base : 0.0F;
    const bool is_finite = isfinite(base) && isfinite(change);
    out->not_finite += !is_finite;
    out->base[at] = is_finite ? base : 0.0F;
    if (model) {
        out->change[at] = is_finite ? change : 0.0F;
    }
}

/* Rows of the embedding are vectors already. */
static weir_code read_vectors(residual_writes *out, writes_source *source, uint64_t step,
                              row_buffer *buffer, weir_error *err) {
    for (size_t i = 0; i < out->count; i++) {
        WEIR_TRY(read_stored(buffer, source, i * step, 1, err));
        for (size_t k = 0; k < out->width; k++) {
            keep(out, i * out->width + k, buffer->base[k], source->diff ? buffer->model + k : NULL);
        }
    }
    return WEIR_OK;
}

static weir_code read_columns(residual_writes *out, writes_source *source, uint64_t step,
                              row_buffer *buffer, weir_error *err) {
    const size_t cols = (size_t)source->cols;
    for (uint64_t begin = 0; begin < source->rows; begin += ROWS_TOGETHER) {
        const uint64_t left = source->rows - begin;
        const size_t count = left < ROWS_TOGETHER ? (size_t)left : ROWS_TOGETHER;
        WEIR_TRY(read_stored(buffer, source, begin, count, err));
        for (size_t i = 0; i < out->count; i++) {
            for (size_t k = 0; k < count; k++) {
                const size_t from = k * cols + i * (size_t)step;
                keep(out, i * out->width + (size_t)begin + k, buffer->base[from],
                     source->diff ? buffer->model + from : NULL);
            }
        }
    }
    return WEIR_OK;
}

static weir_code make_room(residual_writes *out, bool is_pair, weir_error *err) {
    const size_t elements = out->count * out->width;
    if (elements <= out->capacity && (!is_pair || out->change)) {
        return WEIR_OK;
    }
    free(out->base);
    free(out->change);
    out->base = checked_alloc(elements, sizeof *out->base);
    out->change = is_pair ? checked_alloc(elements, sizeof *out->change) : NULL;
    out->capacity = out->base && (out->change || !is_pair) ? elements : 0;
    return out->capacity ? WEIR_OK : weir_fail_nomem(err);
}

static weir_code read_source(residual_writes *out, writes_source *source, size_t elements_most,
                             weir_error *err) {
    const bool is_embedding = source->view->base.role == WEIR_ROLE_EMBEDDING;
    const uint64_t width = is_embedding ? source->cols : source->rows;
    const uint64_t count_of = is_embedding ? source->rows : source->cols;
    const uint64_t most = width > 0 ? elements_most / width : 0;
    if (most == 0 || count_of == 0) {
        return weir_fail(err, WEIR_ERR_LIMIT, NULL, source->view->base.name,
                         "a residual stream that fits in memory", "a wider one, or none");
    }
    const uint64_t step = (count_of + most - 1) / most;
    out->count_of = count_of;
    out->width = (size_t)width;
    out->count = (size_t)((count_of + step - 1) / step);
    out->not_finite = 0;
    WEIR_TRY(make_room(out, source->diff != NULL, err));
    size_t elements;
    if (!checked_mul_size(&elements, (size_t)source->cols, is_embedding ? 1 : ROWS_TOGETHER)) {
        return weir_fail_nomem(err);
    }
    WEIR_CLEANUP(row_buffer_release)
    row_buffer buffer = {
        .base = checked_alloc(elements, sizeof *buffer.base),
        .model = checked_alloc(elements, sizeof *buffer.model),
        .stored = checked_alloc((size_t)source->cols, sizeof *buffer.stored),
    };
    if (!buffer.base || !buffer.model || !buffer.stored) {
        return weir_fail_nomem(err);
    }
    WEIR_TRY(is_embedding ? read_vectors(out, source, step, &buffer, err)
                          : read_columns(out, source, step, &buffer, err));
    if (source->diff) {
        out->rounding =
            buffer.rounding_count > 0 ? buffer.rounding_sum / buffer.rounding_count : (double)NAN;
    }
    return WEIR_OK;
}

/* Blocks of both sides leave an error where the model's own type is not re-derived. */
static double rounding_of_both(double rounding, const tensor_view *base, const tensor_view *model) {
    const bool is_block = weir_dtype_get(base->base.dtype)->kind == WEIR_DTYPE_KIND_BLOCK;
    return is_block && base->base.dtype == model->base.dtype ? 2 * rounding : rounding;
}

weir_code residual_writes_read(residual_writes *out, const weir_diff *diff, const tensor_delta *row,
                               size_t elements_most, weir_error *err) {
    WEIR_CLEANUP(writes_source_release)
    writes_source source = {
        .diff = diff,
        .row = row,
        .view = model_view(diff->model, (size_t)row->model_index),
        .base_view = model_view(diff->base, (size_t)row->base_index),
        .rows = pair_row_count(diff, row),
        .cols = pair_col_count(diff, row),
    };
    WEIR_TRY(read_source(out, &source, elements_most, err));
    out->is_rounding_exact =
        !source.view->packed && rounding_mantissa_bits(source.view->base.dtype) >= 0;
    out->rounding = rounding_of_both(out->rounding, source.base_view, source.view);
    return WEIR_OK;
}

weir_code residual_writes_read_one(residual_writes *out, const weir_model *model, size_t index,
                                   size_t elements_most, weir_error *err) {
    const tensor_view *view = model_view(model, index);
    WEIR_CLEANUP(writes_source_release)
    writes_source source = {.view = view, .rows = view->base.rows, .cols = view->base.cols};
    return read_source(out, &source, elements_most, err);
}

void residual_writes_release(residual_writes *writes) {
    free(writes->base);
    free(writes->change);
    *writes = (residual_writes){0};
}
