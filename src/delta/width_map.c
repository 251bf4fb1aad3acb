/* SPDX-License-Identifier: Apache-2.0 */
#include "delta/width_map.h"

#include <math.h>
#include <string.h>

#include "base/checked.h"
#include "base/fail.h"
#include "delta/thresholds.h"
#include "kernel/row_match.h"

enum {
    ALIKE_ROWS = 8,
    ROWS_ELEMENTS_MAX = 1 << 26, /* of what is read of one side */
    HEAD_ELEMENTS_MAX = 1 << 20,
};

/* --- what all maps share --- */

/* Pair what has no partner in order, when both sides have as many. */
static weir_code complete(uint32_t *partners, size_t model_count, size_t base_count,
                          weir_error *err) {
    if (model_count != base_count) {
        return WEIR_OK;
    }
    WEIR_CLEANUP(free) bool *is_taken = calloc(base_count + 1, sizeof *is_taken);
    if (!is_taken) {
        return weir_fail_nomem(err);
    }
    for (size_t i = 0; i < model_count; i++) {
        if (partners[i] != AXIS_NONE) {
            is_taken[partners[i]] = true;
        }
    }
    size_t next = 0;
    for (size_t i = 0; i < model_count; i++) {
        if (partners[i] == AXIS_NONE && !is_taken[i]) {
            partners[i] = (uint32_t)i;
            is_taken[i] = true;
        }
    }
    for (size_t i = 0; i < model_count; i++) {
        while (next < base_count && is_taken[next]) {
            next++;
        }
        if (partners[i] == AXIS_NONE) {
            partners[i] = (uint32_t)next;
            is_taken[next] = true;
        }
    }
    return WEIR_OK;
}

/* Rows of those without a partner, one after the other, and their indices. */
static weir_code gather_rest(float **rows, uint32_t **indices, size_t *count, const float *all,
                             size_t all_count, size_t cols, const bool *is_done, weir_error *err) {
    float *some = checked_alloc(all_count * cols, sizeof *some);
    uint32_t *which = checked_alloc(all_count, sizeof *which);
    *rows = some;
    *indices = which;
    *count = 0;
    if (!some || !which) {
        return weir_fail_nomem(err);
    }
    for (size_t i = 0; i < all_count; i++) {
        if (!is_done[i]) {
            memcpy(some + *count * cols, all + i * cols, cols * sizeof *some);
            which[(*count)++] = (uint32_t)i;
        }
    }
    return WEIR_OK;
}

typedef struct row_sets {
    const float *base;
    size_t base_rows;
    const float *model;
    size_t model_rows;
    size_t cols;
    bool any_sign;
} row_sets;

/* What had two near neighbours has one when the others are taken. */
static weir_code match_rest(uint32_t *partners, int8_t *signs, const row_sets *sets,
                            weir_error *err) {
    WEIR_CLEANUP(free) bool *is_base_done = calloc(sets->base_rows + 1, sizeof *is_base_done);
    WEIR_CLEANUP(free) bool *is_model_done = calloc(sets->model_rows + 1, sizeof *is_model_done);
    WEIR_CLEANUP(free) float *base = NULL;
    WEIR_CLEANUP(free) float *model = NULL;
    WEIR_CLEANUP(free) uint32_t *base_of = NULL;
    WEIR_CLEANUP(free) uint32_t *model_of = NULL;
    WEIR_CLEANUP(free) uint32_t *found = checked_alloc(sets->model_rows, sizeof *found);
    WEIR_CLEANUP(free) int8_t *found_signs = checked_alloc(sets->model_rows, sizeof *found_signs);
    if (!is_base_done || !is_model_done || !found || !found_signs) {
        return weir_fail_nomem(err);
    }
    for (size_t i = 0; i < sets->model_rows; i++) {
        is_model_done[i] = partners[i] != AXIS_NONE;
        if (is_model_done[i]) {
            is_base_done[partners[i]] = true;
        }
    }
    size_t base_count;
    size_t model_count;
    row_match_count count;
    const row_match_options options = {.any_sign = sets->any_sign,
                                       .keep_mean = true,
                                       .cosine_min = THRESHOLD_ROWS_ALIKE,
                                       .nearness = 1};
    WEIR_TRY(gather_rest(&base, &base_of, &base_count, sets->base, sets->base_rows, sets->cols,
                         is_base_done, err));
    WEIR_TRY(gather_rest(&model, &model_of, &model_count, sets->model, sets->model_rows, sets->cols,
                         is_model_done, err));
    WEIR_TRY(row_match_find(found, sets->any_sign ? found_signs : NULL, &count, model, model_count,
                            base, base_count, sets->cols, &options, err));
    for (size_t i = 0; i < model_count; i++) {
        if (found[i] != ROW_MATCH_NONE) {
            partners[model_of[i]] = base_of[found[i]];
            signs[model_of[i]] = sets->any_sign ? found_signs[i] : 1;
        }
    }
    return WEIR_OK;
}

/* Match rows and make a map of them, if enough find a partner. */
static weir_code map_rows(axis_map *out, bool *is_found, arena *memory, const row_sets *sets,
                          weir_error *err) {
    WEIR_CLEANUP(free) uint32_t *partners = checked_alloc(sets->model_rows, sizeof *partners);
    WEIR_CLEANUP(free) int8_t *signs = checked_alloc(sets->model_rows, sizeof *signs);
    const row_match_options options = {.any_sign = sets->any_sign,
                                       .cosine_min = THRESHOLD_ROWS_ALIKE,
                                       .nearness = THRESHOLD_ROW_NEARNESS};
    row_match_count count;
    if (!partners || !signs) {
        return weir_fail_nomem(err);
    }
    WEIR_TRY(row_match_find(partners, sets->any_sign ? signs : NULL, &count, sets->model,
                            sets->model_rows, sets->base, sets->base_rows, sets->cols, &options,
                            err));
    const size_t fewer = sets->base_rows < sets->model_rows ? sets->base_rows : sets->model_rows;
    *is_found = fewer > 0 &&
                (double)(count.telling + count.near) >= THRESHOLD_MATCHED_SHARE * (double)fewer;
    if (!*is_found) {
        return WEIR_OK;
    }
    WEIR_TRY(match_rest(partners, signs, sets, err));
    WEIR_TRY(complete(partners, sets->model_rows, sets->base_rows, err));
    WEIR_TRY(axis_map_build(out, memory, partners, sets->any_sign ? signs : NULL, sets->model_rows,
                            sets->base_rows, err));
    out->equal = count.equal;
    return WEIR_OK;
}

/* --- channels --- */

static const tensor_view *embedding_of(const weir_model *model) {
    return model_role_view(model, WEIR_ROLE_EMBEDDING);
}

weir_code width_read_tokens(float **base, float **model, size_t *tokens, const weir_model *of_base,
                            const weir_model *of_model, const vocabulary_map *words, size_t most,
                            weir_error *err) {
    WEIR_CLEANUP(view_scratch_release) view_scratch scratch = {0};
    const axis_map *rows = &words->rows;
    *base = NULL;
    *model = NULL;
    *tokens = 0;
    const size_t count = rows->shared < most ? (size_t)rows->shared : most;
    if (count == 0) {
        return WEIR_OK;
    }
    const tensor_view *base_view = embedding_of(of_base);
    const tensor_view *model_view = embedding_of(of_model);
    const size_t base_cols = (size_t)base_view->base.cols;
    const size_t model_cols = (size_t)model_view->base.cols;
    WEIR_CLEANUP(free) float *theirs = checked_alloc(count * base_cols, sizeof *theirs);
    WEIR_CLEANUP(free) float *mine = checked_alloc(count * model_cols, sizeof *mine);
    if (!theirs || !mine) {
        return weir_fail_nomem(err);
    }
    for (size_t i = 0; i < count; i++) {
        const uint64_t at = i * rows->shared / count;
        WEIR_TRY(tensor_view_read(base_view, rows->base ? rows->base[at] : at, 1,
                                  theirs + i * base_cols, &scratch, err));
        WEIR_TRY(tensor_view_read(model_view, rows->model ? rows->model[at] : at, 1,
                                  mine + i * model_cols, &scratch, err));
    }
    *base = WEIR_TAKE(theirs);
    *model = WEIR_TAKE(mine);
    *tokens = count;
    return WEIR_OK;
}

static weir_code transpose(float **out, const float *rows, size_t row_count, size_t cols,
                           weir_error *err) {
    float *turned = checked_alloc(row_count * cols, sizeof *turned);
    if (!turned) {
        return weir_fail_nomem(err);
    }
    for (size_t i = 0; i < row_count; i++) {
        for (size_t j = 0; j < cols; j++) {
            turned[j * row_count + i] = rows[i * cols + j];
        }
    }
    *out = turned;
    return WEIR_OK;
}

/* Less its own mean: what a channel adds to every token says little of which one it is. */
static void centre_rows(float *rows, size_t row_count, size_t cols) {
    for (size_t i = 0; i < row_count; i++) {
        double sum = 0;
        for (size_t j = 0; j < cols; j++) {
            sum += (double)rows[i * cols + j];
        }
        const float mean = (float)(sum / (double)cols);
        for (size_t j = 0; j < cols; j++) {
            rows[i * cols + j] -= mean;
        }
    }
}

weir_code width_map_channels(axis_map *out, bool *is_found, arena *memory, const float *base,
                             size_t base_hidden, const float *model, size_t model_hidden,
                             size_t tokens, weir_error *err) {
    WEIR_CLEANUP(free) float *theirs = NULL;
    WEIR_CLEANUP(free) float *mine = NULL;
    WEIR_TRY(transpose(&theirs, base, tokens, base_hidden, err));
    WEIR_TRY(transpose(&mine, model, tokens, model_hidden, err));
    centre_rows(theirs, base_hidden, tokens);
    centre_rows(mine, model_hidden, tokens);
    const row_sets sets = {theirs, base_hidden, mine, model_hidden, tokens, /* any_sign= */ true};
    return map_rows(out, is_found, memory, &sets, err);
}

/* --- units --- */

static weir_code read_side(float **out, const width_place *at, frame_side side,
                           const tensor_view *view, uint64_t begin, uint64_t step, size_t count,
                           weir_error *err) {
    const bool is_base = side == FRAME_BASE;
    WEIR_CLEANUP(free) float *gain = NULL;
    WEIR_CLEANUP(free) float *rows = checked_alloc(count * at->frame->cols, sizeof *rows);
    if (!rows) {
        return weir_fail_nomem(err);
    }
    WEIR_TRY(frame_read_gain(&gain, at->frame, is_base ? at->base : at->model,
                             is_base ? at->base_layer : at->model_layer, view->base.role, err));
    WEIR_TRY(frame_read(rows, at->frame, side, view, gain, begin, step, count, at->scratch, err));
    *out = WEIR_TAKE(rows);
    return WEIR_OK;
}

/* Share of rows at the same index that are alike; of ALIKE_ROWS evenly spaced ones, in the middle
 * of as many stretches. */
static weir_code alike_share(double *out, const width_place *at, const tensor_view *base,
                             const tensor_view *model, size_t most, weir_error *err) {
    const uint64_t rows = model->base.rows;
    const size_t count = rows < most ? (size_t)rows : most;
    const uint64_t step = count > 0 ? rows / count : 1;
    WEIR_CLEANUP(free) float *theirs = NULL;
    WEIR_CLEANUP(free) float *mine = NULL;
    WEIR_TRY(read_side(&theirs, at, FRAME_BASE, base, step / 2, step, count, err));
    WEIR_TRY(read_side(&mine, at, FRAME_MODEL, model, step / 2, step, count, err));
    const size_t cols = at->frame->cols;
    size_t alike = 0;
    size_t seen = 0;
    for (size_t i = 0; i < count; i++) {
        const double cosine = row_cosine(theirs + i * cols, mine + i * cols, cols);
        seen += isfinite(cosine) != 0;
        alike += cosine >= THRESHOLD_ROWS_ALIKE;
    }
    *out = seen > 0 ? (double)alike / (double)seen : 1.0;
    return WEIR_OK;
}

static bool fit_frame(const width_place *at, const tensor_view *base, const tensor_view *model) {
    return frame_fits(at->frame, FRAME_BASE, base) && frame_fits(at->frame, FRAME_MODEL, model);
}

weir_code width_units_alike(bool *is_alike, const width_place *at, const width_units *units,
                            weir_error *err) {
    const tensor_view *base = units->base_up;
    const tensor_view *model = units->model_up;
    if (!fit_frame(at, base, model)) {
        *is_alike = true; /* nothing can be found out */
        return WEIR_OK;
    }
    if (base->base.rows != model->base.rows) {
        *is_alike = false;
        return WEIR_OK;
    }
    double share;
    WEIR_TRY(alike_share(&share, at, base, model, ALIKE_ROWS, err));
    *is_alike = share >= 1.0 - 1.0 / ALIKE_ROWS;
    return WEIR_OK;
}

/* Whether gate moves along with up, on a few rows. */
static weir_code gate_agrees(bool *agrees, const axis_map *map, const width_place *at,
                             const width_units *units, weir_error *err) {
    enum { CHECKED = 16 };
    const tensor_view *base = units->base_gate;
    const tensor_view *model = units->model_gate;
    *agrees = true;
    if (!base || !model || !fit_frame(at, base, model) || base->base.rows != map->base_count ||
        model->base.rows != map->model_count) {
        return WEIR_OK;
    }
    const uint64_t count = map->shared < CHECKED ? map->shared : CHECKED;
    double sum = 0;
    size_t seen = 0;
    for (uint64_t i = 0; i < count; i++) {
        const uint64_t of = i * map->shared / count;
        WEIR_CLEANUP(free) float *theirs = NULL;
        WEIR_CLEANUP(free) float *mine = NULL;
        WEIR_TRY(
            read_side(&theirs, at, FRAME_BASE, base, map->base ? map->base[of] : of, 1, 1, err));
        WEIR_TRY(
            read_side(&mine, at, FRAME_MODEL, model, map->model ? map->model[of] : of, 1, 1, err));
        const double cosine = row_cosine(theirs, mine, at->frame->cols);
        if (isfinite(cosine)) {
            sum += cosine;
            seen++;
        }
    }
    *agrees = seen == 0 || sum / (double)seen >= THRESHOLD_MATCHED_SHARE * THRESHOLD_ROWS_ALIKE;
    return WEIR_OK;
}

weir_code width_map_units(axis_map *out, bool *is_found, const width_place *at,
                          const width_units *units, weir_error *err) {
    const uint64_t base_rows = units->base_up->base.rows;
    const uint64_t model_rows = units->model_up->base.rows;
    const uint64_t most = ROWS_ELEMENTS_MAX / at->frame->cols;
    *is_found = false;
    if (base_rows > most || model_rows > most) {
        return WEIR_OK;
    }
    WEIR_CLEANUP(free) float *theirs = NULL;
    WEIR_CLEANUP(free) float *mine = NULL;
    WEIR_TRY(read_side(&theirs, at, FRAME_BASE, units->base_up, 0, 1, (size_t)base_rows, err));
    WEIR_TRY(read_side(&mine, at, FRAME_MODEL, units->model_up, 0, 1, (size_t)model_rows, err));
    const row_sets sets = {.base = theirs,
                           .base_rows = (size_t)base_rows,
                           .model = mine,
                           .model_rows = (size_t)model_rows,
                           .cols = at->frame->cols};
    WEIR_TRY(map_rows(out, is_found, at->memory, &sets, err));
    return *is_found ? gate_agrees(is_found, out, at, units, err) : WEIR_OK;
}

/* --- heads --- */

static const tensor_view *part_of(const width_place *at, frame_side side, weir_role role) {
    return side == FRAME_BASE ? layer_view(at->base, at->base_layer, role, -1)
                              : layer_view(at->model, at->model_layer, role, -1);
}

static bool has_heads(const width_place *at, weir_role role, uint64_t base_heads,
                      uint64_t model_heads, uint64_t head_dim) {
    const tensor_view *base = part_of(at, FRAME_BASE, role);
    const tensor_view *model = part_of(at, FRAME_MODEL, role);
    return head_dim > 0 && base_heads > 0 && model_heads > 0 && base && model &&
           fit_frame(at, base, model) && base->base.rows / head_dim == base_heads &&
           base->base.rows % head_dim == 0 && model->base.rows / head_dim == model_heads &&
           model->base.rows % head_dim == 0;
}

weir_code width_heads_alike(bool *is_alike, const width_place *at, const width_heads *heads,
                            weir_error *err) {
    static const weir_role roles[] = {WEIR_ROLE_Q, WEIR_ROLE_K};
    *is_alike = true;
    if (!has_heads(at, WEIR_ROLE_Q, heads->base_heads, heads->model_heads, heads->head_dim) ||
        !has_heads(at, WEIR_ROLE_K, heads->base_kv_heads, heads->model_kv_heads, heads->head_dim)) {
        return WEIR_OK;
    }
    if (heads->base_heads != heads->model_heads || heads->base_kv_heads != heads->model_kv_heads) {
        *is_alike = false;
        return WEIR_OK;
    }
    for (size_t i = 0; i < 2; i++) {
        /* One row of each head, so that two heads that changed places are seen. */
        const uint64_t count = i == 0 ? heads->model_heads : heads->model_kv_heads;
        double share;
        WEIR_TRY(alike_share(&share, at, part_of(at, FRAME_BASE, roles[i]),
                             part_of(at, FRAME_MODEL, roles[i]), count < 256 ? (size_t)count : 256,
                             err));
        *is_alike = *is_alike && share >= 1.0 - 1.0 / ALIKE_ROWS;
    }
    return WEIR_OK;
}

/* Heads as rows: every number of a head over some of the frame's channels. */
static weir_code read_heads(float **out, size_t *cols, const width_place *at, frame_side side,
                            weir_role role, uint64_t heads, uint64_t head_dim, weir_error *err) {
    WEIR_CLEANUP(free) float *rows = NULL;
    WEIR_TRY(
        read_side(&rows, at, side, part_of(at, side, role), 0, 1, (size_t)(heads * head_dim), err));
    const size_t frame_cols = at->frame->cols;
    const size_t fitting = HEAD_ELEMENTS_MAX / (size_t)head_dim;
    const size_t kept = frame_cols < fitting ? frame_cols : fitting;
    WEIR_CLEANUP(free)
    float *picked = checked_alloc((size_t)(heads * head_dim) * kept, sizeof *picked);
    if (!picked) {
        return weir_fail_nomem(err);
    }
    for (uint64_t i = 0; i < heads * head_dim; i++) {
        for (size_t j = 0; j < kept; j++) {
            picked[i * kept + j] = rows[i * frame_cols + j * frame_cols / kept];
        }
    }
    *cols = (size_t)head_dim * kept;
    *out = WEIR_TAKE(picked);
    return WEIR_OK;
}

static weir_code map_heads_of(axis_map *out, bool *is_found, const width_place *at, weir_role role,
                              uint64_t base_heads, uint64_t model_heads, uint64_t head_dim,
                              weir_error *err) {
    WEIR_CLEANUP(free) float *theirs = NULL;
    WEIR_CLEANUP(free) float *mine = NULL;
    size_t cols;
    *is_found = false;
    if (head_dim > HEAD_ELEMENTS_MAX || !has_heads(at, role, base_heads, model_heads, head_dim) ||
        base_heads * head_dim > ROWS_ELEMENTS_MAX / at->frame->cols ||
        model_heads * head_dim > ROWS_ELEMENTS_MAX / at->frame->cols) {
        return WEIR_OK;
    }
    WEIR_TRY(read_heads(&theirs, &cols, at, FRAME_BASE, role, base_heads, head_dim, err));
    WEIR_TRY(read_heads(&mine, &cols, at, FRAME_MODEL, role, model_heads, head_dim, err));
    const row_sets sets = {.base = theirs,
                           .base_rows = (size_t)base_heads,
                           .model = mine,
                           .model_rows = (size_t)model_heads,
                           .cols = cols};
    return map_rows(out, is_found, at->memory, &sets, err);
}

weir_code width_map_heads(axis_map *heads_out, axis_map *kv_out, bool *is_found,
                          const width_place *at, const width_heads *heads, weir_error *err) {
    bool has_kv;
    WEIR_TRY(map_heads_of(kv_out, &has_kv, at, WEIR_ROLE_K, heads->base_kv_heads,
                          heads->model_kv_heads, heads->head_dim, err));
    WEIR_TRY(map_heads_of(heads_out, is_found, at, WEIR_ROLE_Q, heads->base_heads,
                          heads->model_heads, heads->head_dim, err));
    *is_found = *is_found && has_kv;
    return WEIR_OK;
}
