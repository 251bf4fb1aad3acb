/* SPDX-License-Identifier: Apache-2.0 */
#include "delta/containment.h"

#include <math.h>
#include <stdlib.h>

#include "base/checked.h"
#include "base/fail.h"
#include "delta/pair_rows.h"
#include "delta/rounding.h"
#include "delta/thresholds.h"
#include "kernel/convert.h"
#include "tensor/view_grid.h"

enum { PIECE_ELEMENTS = 1 << 16, ROW_ELEMENTS_MAX = 1 << 20 };

/* Grids with less slack are of types whose encoders round with the scale that they store. */
static const float EXACT_SLACK_MOST = 0x1p-20F;

/* Mean magnitude of a normal number over its root mean square, sqrt(2 / pi). */
static const double MEAN_OVER_RMS = 0.7978845608;

typedef struct workspace {
    float *base;
    float *model;
    float *scale;
    float *offset;
    unsigned char *stored;
    view_scratch scratch;
} workspace;

static void workspace_release_cleanup(workspace *work) {
    free(work->base);
    free(work->model);
    free(work->scale);
    free(work->offset);
    free(work->stored);
    view_scratch_release(&work->scratch);
}

static weir_code workspace_init(workspace *work, size_t elements, weir_error *err) {
    work->base = checked_alloc(elements, sizeof *work->base);
    work->model = checked_alloc(elements, sizeof *work->model);
    work->scale = checked_alloc(elements, sizeof *work->scale);
    work->offset = checked_alloc(elements, sizeof *work->offset);
    work->stored = checked_alloc(elements, sizeof(float));
    const bool has_all = work->base && work->model && work->scale && work->offset && work->stored;
    return has_all ? WEIR_OK : weir_fail_nomem(err);
}

/* How the encoders of a tensor's type treat the base's numbers. */
typedef struct encoder {
    bool is_factored; /* some round with another scale than they store */
    bool
        is_exact; /* every one known rounds to the nearest level, of the stored scale or one near */
    bool is_moving; /* some move numbers further, on purpose or for want of rows in a list */
    float reach;
    double excess_most;
} encoder;

static encoder encoder_of(const tensor_view *view, const number_grid *grid) {
    const packed_tensor *const packed = view->packed;
    const weir_dtype dtype = view->base.dtype;
    const bool is_feeding =
        packed && (packed->kind == PACKED_INPUTS || packed->kind == PACKED_OUTPUTS ||
                   packed->kind == PACKED_ROWS);
    const bool is_moving = is_feeding || grid->spread > 1.0F;
    /* With an importance matrix scale and minimum of these two are fitted after the rounding. */
    const bool is_fitted = !packed && (dtype == WEIR_DTYPE_Q4_1 || dtype == WEIR_DTYPE_Q5_1);
    return (encoder){.is_factored = grid->slack > EXACT_SLACK_MOST && grid->spread <= 1.0F,
                     .is_exact = !is_moving && !is_fitted && !packed,
                     .is_moving = is_moving,
                     .reach = is_moving ? THRESHOLD_REACH_MOVED : THRESHOLD_REACH_ROUNDED,
                     .excess_most = is_moving ? THRESHOLD_EXCESS_MOVED : THRESHOLD_EXCESS_ROUNDED};
}

/* --- the pass over rows --- */

/* The base as it may have been stored before it was quantised. */
static void round_base(workspace *work, weir_dtype via, size_t count) {
    convert_from_f32(work->stored, via, work->base, count);
    convert_to_f32(work->base, via, work->stored, count);
}

static void add_row(containment *out, const number_grid *grid, const workspace *work, size_t first,
                    const encoder *with) {
    const size_t cols = (size_t)out->cols;
    cell_stats row = {0};
    cell_stats_add(&row, grid, work->base + first, work->model + first, work->scale + first,
                   work->offset + first, cols, with->reach);
    const bool by_factor = with->is_factored && row.one_step > row.equal;
    const uint64_t left = row.count - (by_factor ? row.one_step : row.equal);
    out->worst_row_left = left > out->worst_row_left ? left : out->worst_row_left;
    out->row_count++;
    cell_stats *const all = &out->cells;
    all->count += row.count;
    all->mute += row.mute;
    all->equal += row.equal;
    all->strict += row.strict;
    all->one_step += row.one_step;
    all->near += row.near;
    all->residual_square += row.residual_square;
    all->residual_base += row.residual_base;
    all->base_square += row.base_square;
    all->expected_square += row.expected_square;
    all->flips += row.flips;
}

/* Which rows are read: pieces of `together` adjacent ones, of which every step-th. */
typedef struct plan {
    uint64_t rows;
    uint64_t together;
    uint64_t step;
} plan;

/* More rows a piece where codes stand in columns, of which a few rows would take slivers. */
static plan plan_of(const weir_diff *diff, const tensor_delta *row, size_t elements_most) {
    const tensor_view *const model = model_view(diff->model, (size_t)row->model_index);
    const uint64_t cols = pair_col_count(diff, row);
    const uint64_t wanted =
        model->packed ? packed_rows_at_once(model->packed, ROW_ELEMENTS_MAX) : 1;
    const uint64_t fitting = PIECE_ELEMENTS / cols;
    plan out = {.rows = pair_row_count(diff, row)};
    out.together = wanted > fitting ? wanted : fitting > 0 ? fitting : 1;
    out.together = out.together < out.rows ? out.together : out.rows;
    const uint64_t pieces = (out.rows + out.together - 1) / out.together;
    const uint64_t most =
        elements_most / cols / out.together > 0 ? elements_most / cols / out.together : 1;
    out.step = (pieces + most - 1) / most;
    return out;
}

/* Scales of rows of the model, wherever the pair's map has them. */
static weir_code read_grid_rows(workspace *work, const weir_diff *diff, const tensor_delta *row,
                                uint64_t first, uint64_t count, weir_error *err) {
    const tensor_view *const model = model_view(diff->model, (size_t)row->model_index);
    const uint32_t *const rows = row->map ? row->map->model_rows : NULL;
    if (!rows) {
        return tensor_view_read_grid(model, first, count, work->scale, work->offset, &work->scratch,
                                     err);
    }
    const size_t cols = (size_t)model->base.cols;
    for (uint64_t i = 0; i < count; i++) {
        WEIR_TRY(tensor_view_read_grid(model, rows[first + i], 1, work->scale + i * cols,
                                       work->offset + i * cols, &work->scratch, err));
    }
    return WEIR_OK;
}

static weir_code read_rows(containment *out, workspace *work, const weir_diff *diff,
                           const tensor_delta *row, const number_grid *grid, const plan *how,
                           const encoder *with, weir_error *err) {
    const weir_dtype own = model_view(diff->base, (size_t)row->base_index)->base.dtype;
    const size_t cols = (size_t)out->cols;
    for (uint64_t r = 0; r < how->rows; r += how->step * how->together) {
        const uint64_t left = how->rows - r;
        const uint64_t count = left < how->together ? left : how->together;
        WEIR_TRY(pair_rows_read(work->base, work->model, diff, row, r, count, &work->scratch, err));
        WEIR_TRY(read_grid_rows(work, diff, row, r, count, err));
        if (out->via != own) {
            round_base(work, out->via, (size_t)count * cols);
        }
        for (uint64_t i = 0; i < count; i++) {
            add_row(out, grid, work, (size_t)i * cols, with);
        }
    }
    return WEIR_OK;
}

/* --- what it says --- */

static double share_of(uint64_t part, uint64_t whole) {
    return whole > 0 ? (double)part / (double)whole : (double)NAN;
}

/* A change of this size, relative to the base, makes `outside` numbers leave their cells. */
static double change_of(const cell_stats *cells, double outside) {
    const double rms = outside / cells->flips / MEAN_OVER_RMS;
    return rms * sqrt((double)cells->count / cells->base_square);
}

/* The change that `inside` numbers leave possible: as many as are outside tell of, and three
 * standard deviations more of counts in units. */
static void bound_change(containment *out, uint64_t inside, double unit) {
    const double outside = (double)(out->cells.count - inside);
    const double likely = change_of(&out->cells, outside);
    const double most = change_of(&out->cells, outside + 3 * sqrt(outside * unit) + 3 * unit);
    out->hidden_likely = !(out->hidden_likely <= likely) ? likely : out->hidden_likely;
    out->hidden_most = most < out->hidden_most ? most : out->hidden_most;
}

/* Never more than the residual. Where one factor explains whole groups, those that it does not
 * explain count whole. */
static void find_hidden(containment *out, const number_grid *grid) {
    const cell_stats *const cells = &out->cells;
    out->hidden_likely = (double)NAN;
    out->hidden_most =
        cells->base_square > 0 ? sqrt(cells->residual_square / cells->base_square) : (double)NAN;
    if (grid->spread > 1.0F || !(cells->flips > 0) || !(cells->base_square > 0)) {
        return;
    }
    bound_change(out, cells->strict, 1);
    if (out->is_by_factor) {
        bound_change(out, cells->one_step, (double)grid->group);
    }
}

/* Whether the codes' numbers are as large as the base's, but for what a fitted scale takes off. */
static bool keeps_size(const cell_stats *cells) {
    const double more = cells->residual_base / cells->base_square;
    const double less = cells->residual_square / cells->base_square;
    return more <= THRESHOLD_SLOPE_MARGIN &&
           more >= -THRESHOLD_SLOPE_RESIDUAL * less - THRESHOLD_SLOPE_MARGIN;
}

static containment_verdict verdict_of(const containment *found, const number_grid *grid,
                                      const encoder *with) {
    if (found->cells.count == 0 || !(found->cells.base_square > 0)) {
        return CONTAINMENT_NO;
    }
    const double row_most = THRESHOLD_ROW_OUTSIDE * (double)found->cols;
    const bool is_replayed = grid->spread <= 1.0F &&
                             found->explained_share >= THRESHOLD_REPLAY_PROVED &&
                             (double)found->worst_row_left <= row_most;
    if (is_replayed && found->hidden_likely <= THRESHOLD_HIDDEN_PROVED &&
        found->hidden_most <= THRESHOLD_HIDDEN_STRONG) {
        return found->is_whole ? CONTAINMENT_PROVED : CONTAINMENT_STRONG;
    }
    const bool is_within =
        found->near_share >= THRESHOLD_CONTAINED && found->excess <= with->excess_most;
    if (!is_within || (with->is_exact && !is_replayed)) {
        return CONTAINMENT_NO;
    }
    if (found->hidden_most <= THRESHOLD_HIDDEN_STRONG) {
        return CONTAINMENT_STRONG;
    }
    return with->is_moving || is_replayed ? CONTAINMENT_CONSISTENT : CONTAINMENT_NO;
}

static void conclude(containment *out, const number_grid *grid, const encoder *with) {
    const cell_stats *const cells = &out->cells;
    const double norms = sqrt(cells->residual_square * cells->base_square);
    out->equal_share = share_of(cells->equal, cells->count);
    out->is_by_factor = with->is_factored && cells->one_step > cells->equal && keeps_size(cells);
    out->explained_share =
        out->is_by_factor ? share_of(cells->one_step, cells->count) : out->equal_share;
    out->near_share = share_of(cells->near, cells->count);
    out->excess =
        cells->expected_square > 0 ? cells->residual_square / cells->expected_square : (double)NAN;
    out->correlation = norms > 0 ? cells->residual_base / norms : (double)NAN;
    find_hidden(out, grid);
    out->verdict = verdict_of(out, grid, with);
}

static weir_code measure_via(containment *out, workspace *work, weir_dtype via,
                             const weir_diff *diff, const tensor_delta *row,
                             const view_grid *levels, const plan *how, weir_error *err) {
    const tensor_view *const model = model_view(diff->model, (size_t)row->model_index);
    const encoder with = encoder_of(model, &levels->grid);
    containment found = {.cols = pair_col_count(diff, row), .via = via, .is_whole = how->step == 1};
    WEIR_TRY(read_rows(&found, work, diff, row, &levels->grid, how, &with, err));
    conclude(&found, &levels->grid, &with);
    *out = found;
    return WEIR_OK;
}

/* The model's numbers are told in whole rows, and in the order in which they were coded. */
static bool keeps_groups(const weir_diff *diff, const tensor_delta *row) {
    const tensor_view *const model = model_view(diff->model, (size_t)row->model_index);
    return !row->map || (!row->map->model_cols && row->map->cols == model->base.cols);
}

bool containment_applies(const weir_diff *diff, const tensor_delta *row) {
    const tensor_view *const model = model_view(diff->model, (size_t)row->model_index);
    const tensor_view *const base = model_view(diff->base, (size_t)row->base_index);
    view_grid levels;
    return (base->packed || convert_can_read(base->base.dtype)) && model->base.cols > 0 &&
           model->base.cols <= ROW_ELEMENTS_MAX && keeps_groups(diff, row) &&
           tensor_view_grid(&levels, model);
}

weir_code containment_measure(containment *out, const weir_diff *diff, const tensor_delta *row,
                              size_t elements_most, weir_error *err) {
    WEIR_CLEANUP(workspace_release) workspace work = {0};
    const tensor_view *const model = model_view(diff->model, (size_t)row->model_index);
    const weir_dtype own = model_view(diff->base, (size_t)row->base_index)->base.dtype;
    view_grid levels;
    if (!containment_applies(diff, row) || !tensor_view_grid(&levels, model) ||
        pair_row_count(diff, row) == 0) {
        return weir_fail(err, WEIR_ERR_LIMIT, NULL, NULL, "coded rows that fit in memory",
                         "others, or none");
    }
    const plan how = plan_of(diff, row, elements_most);
    WEIR_TRY(workspace_init(&work, (size_t)(how.together * pair_col_count(diff, row)), err));
    WEIR_TRY(measure_via(out, &work, own, diff, row, &levels, &how, err));
    /* A converter may have stored F32 as 16 bits before it quantised. */
    static const weir_dtype narrower[] = {WEIR_DTYPE_F16, WEIR_DTYPE_BF16};
    for (size_t i = 0; i < 2 && own == WEIR_DTYPE_F32; i++) {
        containment other;
        if (out->verdict == CONTAINMENT_PROVED || out->explained_share >= 1.0) {
            break;
        }
        WEIR_TRY(measure_via(&other, &work, narrower[i], diff, row, &levels, &how, err));
        if (other.verdict > out->verdict) {
            *out = other;
        }
    }
    return WEIR_OK;
}
