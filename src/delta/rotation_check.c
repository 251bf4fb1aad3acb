/* SPDX-License-Identifier: Apache-2.0 */
#include "delta/rotation_check.h"

#include <cblas.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "align/readable.h"
#include "base/checked.h"
#include "base/fail.h"
#include "delta/pair_rows.h"
#include "delta/structure.h"
#include "delta/thresholds.h"
#include "kernel/row_match.h"

enum { CHECKED_ROWS = 32, CHECKED_COLS = 64, READ_ELEMENTS = 1 << 20 };

typedef struct check {
    weir_diff *diff;
    rotation *turn;
    residual_frame frame;
    view_scratch scratch;
    double *cosines; /* of the matrices that were checked */
    double *errors;
    size_t count;
} check;

static void release_check(check *run) {
    view_scratch_release(&run->scratch);
    free(run->cosines);
    free(run->errors);
}

static inline void release_check_cleanup(check *run) {
    release_check(run);
}

/* What a matrix does with the stream. */
typedef enum part { PART_OTHER, PART_READS, PART_WRITES, PART_EMBEDS, PART_NORM } part;

static part part_of(const weir_tensor *tensor) {
    static const part parts[WEIR_ROLE_COUNT] = {
        [WEIR_ROLE_EMBEDDING] = PART_EMBEDS,
        [WEIR_ROLE_HEAD] = PART_READS,
        [WEIR_ROLE_Q] = PART_READS,
        [WEIR_ROLE_K] = PART_READS,
        [WEIR_ROLE_V] = PART_READS,
        [WEIR_ROLE_Q_A] = PART_READS,
        [WEIR_ROLE_KV_A] = PART_READS,
        [WEIR_ROLE_GATE] = PART_READS,
        [WEIR_ROLE_UP] = PART_READS,
        [WEIR_ROLE_ROUTER] = PART_READS,
        [WEIR_ROLE_EXPERT_GATE] = PART_READS,
        [WEIR_ROLE_EXPERT_UP] = PART_READS,
        [WEIR_ROLE_SHARED_EXPERT_GATE] = PART_READS,
        [WEIR_ROLE_SHARED_EXPERT_UP] = PART_READS,
        [WEIR_ROLE_O] = PART_WRITES,
        [WEIR_ROLE_DOWN] = PART_WRITES,
        [WEIR_ROLE_EXPERT_DOWN] = PART_WRITES,
        [WEIR_ROLE_SHARED_EXPERT_DOWN] = PART_WRITES,
        [WEIR_ROLE_ATTENTION_NORM] = PART_NORM,
        [WEIR_ROLE_ATTENTION_POST_NORM] = PART_NORM,
        [WEIR_ROLE_FEED_FORWARD_NORM] = PART_NORM,
        [WEIR_ROLE_FINAL_NORM] = PART_NORM,
    };
    return tensor->is_bias ? PART_OTHER : parts[tensor->role];
}

/* Squared error and cosine of two samples. */
static void measure(double *error, double *cosine, const float *base, const float *model,
                    size_t count) {
    double difference = 0;
    double square = 0;
    for (size_t i = 0; i < count; i++) {
        const double value = (double)model[i] - (double)base[i];
        difference += value * value;
        square += (double)model[i] * (double)model[i];
    }
    *error = square > 0 ? difference / square : (double)NAN;
    *cosine = row_cosine(base, model, count);
}

static void take_figures(check *run, tensor_delta *row, double error, double cosine) {
    if (!isfinite(error) || !isfinite(cosine)) {
        return;
    }
    run->errors[run->count] = error;
    run->cosines[run->count++] = cosine;
    if (error <= THRESHOLD_ROTATION_EQUAL) {
        run->turn->matrices_equal++;
        row->change = WEIR_CHANGE_ROTATED;
    }
}

static uint64_t base_row(const tensor_delta *row, uint64_t i) {
    return row->map && row->map->base_rows ? row->map->base_rows[i] : i;
}

static uint64_t model_row(const tensor_delta *row, uint64_t i) {
    return row->map && row->map->model_rows ? row->map->model_rows[i] : i;
}

static weir_code read_gain(float **gain, const check *run, const weir_model *model,
                           const tensor_view *view, weir_role role, weir_error *err) {
    layer_views layer;
    const bool has_layer = layer_views_find(&layer, model, view->base.layer);
    return frame_read_gain(gain, &run->frame, model, has_layer ? &layer : NULL, role, err);
}

static weir_code check_reader(check *run, tensor_delta *row, weir_error *err) {
    const weir_diff *diff = run->diff;
    const tensor_view *base = model_view(diff->base, (size_t)row->base_index);
    const tensor_view *model = model_view(diff->model, (size_t)row->model_index);
    if (!frame_fits(&run->frame, FRAME_BASE, base) ||
        !frame_fits(&run->frame, FRAME_MODEL, model)) {
        return WEIR_OK;
    }
    const size_t cols = run->frame.cols;
    const uint64_t rows = pair_row_count(diff, row);
    const size_t count = rows < CHECKED_ROWS ? (size_t)rows : CHECKED_ROWS;
    WEIR_CLEANUP(free) float *base_gain = NULL;
    WEIR_CLEANUP(free) float *model_gain = NULL;
    WEIR_CLEANUP(free) float *theirs = checked_alloc(count * cols, sizeof *theirs);
    WEIR_CLEANUP(free) float *mine = checked_alloc(count * cols, sizeof *mine);
    if (!theirs || !mine) {
        return weir_fail_nomem(err);
    }
    WEIR_TRY(read_gain(&base_gain, run, diff->base, base, model->base.role, err));
    WEIR_TRY(read_gain(&model_gain, run, diff->model, model, model->base.role, err));
    for (size_t i = 0; i < count; i++) {
        const uint64_t at = i * rows / count;
        WEIR_TRY(frame_read(theirs + i * cols, &run->frame, FRAME_BASE, base, base_gain,
                            base_row(row, at), 1, 1, &run->scratch, err));
        WEIR_TRY(frame_read(mine + i * cols, &run->frame, FRAME_MODEL, model, model_gain,
                            model_row(row, at), 1, 1, &run->scratch, err));
    }
    double error;
    double cosine;
    measure(&error, &cosine, theirs, mine, count * cols);
    take_figures(run, row, error, cosine);
    return WEIR_OK;
}

/* Sampled columns of every row of one side, [hidden, count]. */
static weir_code read_cols(float *out, check *run, const tensor_view *view, const uint32_t *cols,
                           size_t count, weir_error *err) {
    const size_t width = (size_t)view->base.cols;
    const size_t most = READ_ELEMENTS / width ? READ_ELEMENTS / width : 1;
    WEIR_CLEANUP(free) float *rows = checked_alloc(most * width, sizeof *rows);
    if (!rows) {
        return weir_fail_nomem(err);
    }
    for (uint64_t i = 0; i < view->base.rows; i += most) {
        const uint64_t left = view->base.rows - i;
        const uint64_t some = left < most ? left : most;
        WEIR_TRY(tensor_view_read(view, i, some, rows, &run->scratch, err));
        for (uint64_t j = 0; j < some; j++) {
            for (size_t k = 0; k < count; k++) {
                out[(i + j) * count + k] = rows[j * width + cols[k]];
            }
        }
    }
    return WEIR_OK;
}

static bool can_check_writer(const check *run, const tensor_view *view) {
    return view->base.rows == run->turn->hidden && has_readable_rows(view) &&
           view->base.cols <= READ_ELEMENTS;
}

static weir_code check_writer(check *run, tensor_delta *row, weir_error *err) {
    const weir_diff *diff = run->diff;
    const tensor_view *base = model_view(diff->base, (size_t)row->base_index);
    const tensor_view *model = model_view(diff->model, (size_t)row->model_index);
    if (!can_check_writer(run, base) || !can_check_writer(run, model)) {
        return WEIR_OK;
    }
    const size_t hidden = run->turn->hidden;
    const uint64_t shared = pair_col_count(diff, row);
    const size_t count = shared < CHECKED_COLS ? (size_t)shared : CHECKED_COLS;
    uint32_t base_cols[CHECKED_COLS];
    uint32_t model_cols[CHECKED_COLS];
    for (size_t i = 0; i < count; i++) {
        const uint64_t at = i * shared / count;
        base_cols[i] = row->map && row->map->base_cols ? row->map->base_cols[at] : (uint32_t)at;
        model_cols[i] = row->map && row->map->model_cols ? row->map->model_cols[at] : (uint32_t)at;
    }
    WEIR_CLEANUP(free) float *theirs = checked_alloc(hidden * CHECKED_COLS, sizeof *theirs);
    WEIR_CLEANUP(free) float *mine = checked_alloc(hidden * CHECKED_COLS, sizeof *mine);
    WEIR_CLEANUP(free) float *turned = checked_alloc(hidden * CHECKED_COLS, sizeof *turned);
    if (!theirs || !mine || !turned) {
        return weir_fail_nomem(err);
    }
    WEIR_TRY(read_cols(theirs, run, base, base_cols, count, err));
    WEIR_TRY(read_cols(mine, run, model, model_cols, count, err));
    cblas_sgemm(CblasRowMajor, CblasTrans, CblasNoTrans, (int)hidden, (int)count, (int)hidden, 1.0F,
                run->turn->q, (int)hidden, theirs, (int)count, 0.0F, turned, (int)count);
    double error;
    double cosine;
    measure(&error, &cosine, turned, mine, hidden * count);
    take_figures(run, row, error, cosine);
    return WEIR_OK;
}

static int by_value(const void *left, const void *right) {
    const double a = *(const double *)left;
    const double b = *(const double *)right;
    return (a > b) - (a < b);
}

static double median(double *values, size_t count) {
    qsort(values, count, sizeof *values, by_value);
    return count > 0 ? values[count / 2] : (double)NAN;
}

static weir_code check_pair(check *run, tensor_delta *row, weir_error *err) {
    if (row->state != TENSOR_COMPARED) {
        return WEIR_OK;
    }
    const weir_tensor *tensor = tensor_delta_shown(run->diff, row);
    const part what = part_of(tensor);
    if (what == PART_READS) {
        return check_reader(run, row, err);
    }
    if (what == PART_WRITES) {
        return check_writer(run, row, err);
    }
    if (what == PART_EMBEDS && run->turn->token_error <= THRESHOLD_ROTATION_EQUAL) {
        row->change = WEIR_CHANGE_ROTATED;
    }
    return WEIR_OK;
}

/* A gain that was folded away is no change of its own when all that reads through it agrees. */
static void follow_norms(const check *run) {
    if (run->turn->matrices_equal < run->turn->matrices) {
        return;
    }
    for (size_t i = 0; i < run->diff->tensor_count; i++) {
        tensor_delta *row = &run->diff->tensors[i];
        if (row->state == TENSOR_COMPARED && row->change == WEIR_CHANGE_UNKNOWN &&
            part_of(tensor_delta_shown(run->diff, row)) == PART_NORM) {
            row->change = WEIR_CHANGE_ROTATED;
        }
    }
}

weir_code rotation_check(weir_diff *diff, weir_error *err) {
    rotation *turn = diff->structure ? &diff->structure->turn : NULL;
    if (!turn || !turn->is_found) {
        return WEIR_OK;
    }
    WEIR_CLEANUP(release_check) check run = {.diff = diff, .turn = turn};
    run.cosines = checked_alloc(diff->tensor_count, sizeof *run.cosines);
    run.errors = checked_alloc(diff->tensor_count, sizeof *run.errors);
    if (!run.cosines || !run.errors) {
        return weir_fail_nomem(err);
    }
    WEIR_TRY(frame_of_rotation(&run.frame, &diff->memory, turn, err));
    for (size_t i = 0; i < diff->tensor_count; i++) {
        WEIR_TRY(check_pair(&run, &diff->tensors[i], err));
    }
    turn->matrices = run.count;
    turn->cosine = median(run.cosines, run.count);
    turn->error = median(run.errors, run.count);
    follow_norms(&run);
    return WEIR_OK;
}
