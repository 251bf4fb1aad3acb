/* SPDX-License-Identifier: Apache-2.0 */
#include "delta/frame.h"

#include <cblas.h>
#include <string.h>

#include "align/feed_forward.h"
#include "align/readable.h"
#include "base/checked.h"
#include "base/fail.h"

enum { FRAME_ELEMENTS = 1 << 20, FRAME_ROW_MAX = 1 << 20 };

/* Shared channel i of `shared` for each of at most FRAME_COLS places, evenly spaced. */
static void sample_channels(residual_frame *out, const axis_map *channels) {
    const uint64_t shared = channels->shared;
    out->base_hidden = channels->base_count;
    out->model_hidden = channels->model_count;
    out->cols = shared < FRAME_COLS ? (size_t)shared : FRAME_COLS;
    for (size_t i = 0; i < out->cols; i++) {
        const uint64_t at = i * shared / out->cols;
        out->base_cols[i] = channels->base ? channels->base[at] : (uint32_t)at;
        out->model_cols[i] = channels->model ? channels->model[at] : (uint32_t)at;
        out->signs[i] = channels->signs ? channels->signs[at] : 1;
    }
}

void frame_of_index(residual_frame *out, uint64_t base_hidden, uint64_t model_hidden) {
    *out = (residual_frame){0};
    const axis_map same = {.base_count = base_hidden,
                           .model_count = model_hidden,
                           .shared = base_hidden == model_hidden ? base_hidden : 0};
    sample_channels(out, &same);
}

void frame_of_map(residual_frame *out, const axis_map *channels) {
    *out = (residual_frame){0};
    sample_channels(out, channels);
}

weir_code frame_of_rotation(residual_frame *out, arena *memory, const rotation *turn,
                            weir_error *err) {
    frame_of_index(out, turn->hidden, turn->hidden);
    float *rows = arena_alloc(memory, out->cols * turn->hidden, sizeof *rows);
    if (!rows) {
        return weir_fail_nomem(err);
    }
    for (size_t i = 0; i < out->cols; i++) {
        memcpy(rows + i * turn->hidden, turn->q + out->base_cols[i] * turn->hidden,
               turn->hidden * sizeof *rows);
    }
    out->turn = turn;
    out->turned = rows;
    return WEIR_OK;
}

uint64_t frame_hidden(const weir_model *model) {
    const tensor_view *embedding = model_role_view(model, WEIR_ROLE_EMBEDDING);
    if (embedding) {
        return embedding->base.cols;
    }
    for (size_t i = 0; i < weir_model_tensor_count(model); i++) {
        const weir_tensor *tensor = &model_view(model, i)->base;
        const bool reads_stream = tensor->role == WEIR_ROLE_Q || tensor->role == WEIR_ROLE_K ||
                                  tensor->role == WEIR_ROLE_UP;
        if (reads_stream && !tensor->is_bias && tensor->layer >= 0) {
            return tensor->cols;
        }
    }
    return 0;
}

/* The norm before a sub-layer: the higher, the nearer. */
static int norm_rank(weir_role norm, weir_role reader) {
    const bool is_attention = reader == WEIR_ROLE_Q || reader == WEIR_ROLE_K ||
                              reader == WEIR_ROLE_V || reader == WEIR_ROLE_Q_A ||
                              reader == WEIR_ROLE_KV_A;
    if (is_attention) {
        return norm == WEIR_ROLE_ATTENTION_NORM ? 1 : 0;
    }
    return norm == WEIR_ROLE_FEED_FORWARD_NORM     ? 3
           : norm == WEIR_ROLE_ATTENTION_POST_NORM ? 2
           : norm == WEIR_ROLE_ATTENTION_NORM      ? 1
                                                   : 0;
}

static const tensor_view *norm_of(const weir_model *model, const layer_views *layer,
                                  weir_role reader) {
    if (!layer) {
        return reader == WEIR_ROLE_HEAD ? model_role_view(model, WEIR_ROLE_FINAL_NORM) : NULL;
    }
    const tensor_view *best = NULL;
    for (size_t i = 0; i < layer->count; i++) {
        const tensor_view *view = model_view(model, layer->first + i);
        const int rank = view->base.is_bias ? 0 : norm_rank(view->base.role, reader);
        if (rank > (best ? norm_rank(best->base.role, reader) : 0)) {
            best = view;
        }
    }
    return best;
}

weir_code frame_read_gain(float **gain, const residual_frame *frame, const weir_model *model,
                          const layer_views *layer, weir_role role, weir_error *err) {
    *gain = NULL;
    const tensor_view *norm = frame->turned ? norm_of(model, layer, role) : NULL;
    if (!norm || norm->base.rows != 1 || norm->base.cols != frame->turn->hidden ||
        !has_readable_rows(norm)) {
        return WEIR_OK;
    }
    WEIR_CLEANUP(view_scratch_release) view_scratch scratch = {0};
    WEIR_CLEANUP(free) float *values = checked_alloc(norm->base.cols, sizeof *values);
    if (!values) {
        return weir_fail_nomem(err);
    }
    WEIR_TRY(tensor_view_read(norm, 0, 1, values, &scratch, err));
    const float offset = feed_forward_gain_offset(model);
    for (uint64_t i = 0; i < norm->base.cols; i++) {
        values[i] += offset;
    }
    *gain = WEIR_TAKE(values);
    return WEIR_OK;
}

bool frame_fits(const residual_frame *frame, frame_side side, const tensor_view *view) {
    const uint64_t hidden = side == FRAME_BASE ? frame->base_hidden : frame->model_hidden;
    return frame->cols > 0 && view && view->base.cols == hidden && hidden <= FRAME_ROW_MAX &&
           view->base.rows <= UINT32_MAX && has_readable_rows(view);
}

static void apply_gain(float *rows, size_t count, size_t hidden, const float *gain) {
    for (size_t i = 0; gain && i < count; i++) {
        for (size_t j = 0; j < hidden; j++) {
            rows[i * hidden + j] *= gain[j];
        }
    }
}

/* Whole rows of a side become rows of the frame. */
static void enter_frame(float *out, const residual_frame *frame, frame_side side, const float *rows,
                        size_t count) {
    const size_t hidden = (size_t)(side == FRAME_BASE ? frame->base_hidden : frame->model_hidden);
    if (side == FRAME_MODEL && frame->turned) {
        cblas_sgemm(CblasRowMajor, CblasNoTrans, CblasTrans, (int)count, (int)frame->cols,
                    (int)hidden, 1.0F, rows, (int)hidden, frame->turned, (int)hidden, 0.0F, out,
                    (int)frame->cols);
        return;
    }
    const uint32_t *cols = side == FRAME_BASE ? frame->base_cols : frame->model_cols;
    for (size_t i = 0; i < count; i++) {
        for (size_t j = 0; j < frame->cols; j++) {
            const float value = rows[i * hidden + cols[j]];
            out[i * frame->cols + j] = side == FRAME_BASE ? value * (float)frame->signs[j] : value;
        }
    }
}

weir_code frame_read(float *out, const residual_frame *frame, frame_side side,
                     const tensor_view *view, const float *gain, uint64_t row_begin, uint64_t step,
                     size_t count, view_scratch *scratch, weir_error *err) {
    const size_t hidden = (size_t)view->base.cols;
    const size_t fitting = FRAME_ELEMENTS / hidden ? FRAME_ELEMENTS / hidden : 1;
    const size_t most = step > 1 ? 1 : fitting;
    const size_t together = most < count ? most : count;
    WEIR_CLEANUP(free) float *rows = checked_alloc(together * hidden, sizeof *rows);
    if (!rows) {
        return weir_fail_nomem(err);
    }
    for (size_t i = 0; i < count; i += together) {
        const size_t some = count - i < together ? count - i : together;
        WEIR_TRY(tensor_view_read(view, row_begin + i * step, some, rows, scratch, err));
        apply_gain(rows, some, hidden, frame->turned ? gain : NULL);
        enter_frame(out + i * frame->cols, frame, side, rows, some);
    }
    return WEIR_OK;
}
