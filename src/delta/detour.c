/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The ways that are tried, in order; the first that explains the sample is taken:
 *     FLOAT    every float dtype that weir writes and that is no finer than the stored one
 *     BLOCKS   every ggml type that weir writes
 *     NF4 ...  codes from the base, one scale a block from the stored numbers
 * A way counts only where it changes numbers: base numbers that already fit the coarser type come
 * through unchanged and say nothing.
 */
#include "delta/detour.h"

#include <math.h>
#include <stdlib.h>

#include "base/checked.h"
#include "base/fail.h"
#include "delta/pair_rows.h"
#include "delta/rounding.h"
#include "delta/thresholds.h"
#include "kernel/convert.h"
#include "kernel/scaled_code.h"

enum { PIECE_ELEMENTS = 1 << 16, ROW_ELEMENTS_MAX = 1 << 20, CODED_BLOCK = 64 };

typedef struct workspace {
    float *base;
    float *model;
    float *own;  /* the base as the stored dtype has it */
    float *walk; /* the base after the way */
    unsigned char *stored;
    view_scratch scratch;
} workspace;

static void workspace_release_cleanup(workspace *work) {
    free(work->base);
    free(work->model);
    free(work->own);
    free(work->walk);
    free(work->stored);
    view_scratch_release(&work->scratch);
}

static weir_code workspace_init(workspace *work, size_t elements, weir_error *err) {
    work->base = checked_alloc(elements, sizeof *work->base);
    work->model = checked_alloc(elements, sizeof *work->model);
    work->own = checked_alloc(elements, sizeof *work->own);
    work->walk = checked_alloc(elements, sizeof *work->walk);
    work->stored = checked_alloc(elements, sizeof(float));
    const bool has_all = work->base && work->model && work->own && work->walk && work->stored;
    return has_all ? WEIR_OK : weir_fail_nomem(err);
}

const char *detour_name(const detour *found) {
    switch (found->kind) {
    case DETOUR_NONE:
        break;
    case DETOUR_FLOAT:
    case DETOUR_BLOCKS:
        return weir_dtype_name(found->via);
    case DETOUR_NF4:
        return "NF4";
    case DETOUR_FP4:
        return "FP4";
    case DETOUR_INT8:
        return "INT8 by rows";
    }
    return "none";
}

double detour_explained(const detour *found) {
    return found->change_square > 0 ? 1 - found->left_square / found->change_square : (double)NAN;
}

/* --- walking a way --- */

static void pass_through(float *out, unsigned char *stored, weir_dtype dtype, const float *from,
                         size_t count) {
    convert_from_f32(stored, dtype, from, count);
    convert_to_f32(out, dtype, stored, count);
}

static const scaled_code *code_of(detour_kind kind) {
    return scaled_code_of(kind == DETOUR_NF4   ? SCALED_CODE_NF4
                          : kind == DETOUR_FP4 ? SCALED_CODE_FP4
                                               : SCALED_CODE_INT8);
}

static bool is_coded(detour_kind kind) {
    return kind == DETOUR_NF4 || kind == DETOUR_FP4 || kind == DETOUR_INT8;
}

/* Numbers that share a scale. */
static size_t block_of(detour_kind kind, size_t cols) {
    return kind == DETOUR_INT8 ? cols : CODED_BLOCK;
}

/* Rows of numbers after the way, and as the stored dtype has them. */
static void walk(float *out, unsigned char *scratch, const detour *way, weir_dtype stored,
                 const float *base, size_t rows, size_t cols) {
    const size_t count = rows * cols;
    if (is_coded(way->kind)) {
        const size_t block = block_of(way->kind, cols);
        for (size_t i = 0; i < count; i += block) {
            scaled_code_apply(code_of(way->kind), out + i, base + i, block);
        }
    } else {
        pass_through(out, scratch, way->via, base, count);
    }
    pass_through(out, scratch, stored, out, count);
}

static bool is_same(float a, float b) {
    return a <= b && a >= b; /* the sign of a zero says nothing */
}

static void add_energy(detour *out, const workspace *work, size_t count) {
    for (size_t i = 0; i < count; i++) {
        const double change = (double)(work->model[i] - work->own[i]);
        const double left = (double)(work->model[i] - work->walk[i]);
        if (isfinite(change) && isfinite(left)) {
            out->change_square += change * change;
            out->left_square += left * left;
        }
    }
}

static void count_walked(detour *out, const workspace *work, size_t count) {
    for (size_t i = 0; i < count; i++) {
        const bool is_walked = is_same(work->walk[i], work->model[i]);
        out->replayed += is_walked;
        out->changed += is_walked && !is_same(work->own[i], work->model[i]);
    }
}

/* Codes of a block are the base's; one scale must give all the numbers that are stored. */
static void count_coded(detour *out, const workspace *work, weir_dtype stored, size_t count,
                        size_t block) {
    const int bits = rounding_mantissa_bits(stored);
    for (size_t i = 0; i < count; i += block) {
        const bool fits =
            scaled_code_fits(code_of(out->kind), work->base + i, work->model + i, block, bits);
        for (size_t j = i; fits && j < i + block; j++) {
            out->replayed++;
            out->changed += !is_same(work->own[j], work->model[j]);
        }
    }
}

static void add_piece(detour *out, workspace *work, weir_dtype stored, size_t rows, size_t cols) {
    const size_t count = rows * cols;
    walk(work->walk, work->stored, out, stored, work->base, rows, cols);
    add_energy(out, work, count);
    if (is_coded(out->kind)) {
        count_coded(out, work, stored, count, block_of(out->kind, cols));
    } else {
        count_walked(out, work, count);
    }
    out->count += count;
}

/* --- which rows --- */

typedef struct plan {
    uint64_t rows;
    uint64_t cols;
    uint64_t together; /* rows of a piece */
    uint64_t step;     /* every step-th piece is read */
    weir_dtype stored;
} plan;

static plan plan_of(const weir_diff *diff, const tensor_delta *row, size_t elements_most) {
    plan out = {.rows = pair_row_count(diff, row),
                .cols = pair_col_count(diff, row),
                .stored = model_view(diff->model, (size_t)row->model_index)->base.dtype};
    const uint64_t cols = out.cols > 0 ? out.cols : 1;
    const uint64_t fitting = PIECE_ELEMENTS / cols;
    out.together = fitting > 0 ? fitting : 1;
    out.together = out.together < out.rows ? out.together : out.rows;
    const uint64_t piece = out.together * cols > 0 ? out.together * cols : 1;
    const uint64_t pieces = out.together > 0 ? (out.rows + out.together - 1) / out.together : 0;
    const uint64_t most = elements_most / piece > 0 ? elements_most / piece : 1;
    out.step = pieces > most ? (pieces + most - 1) / most : 1;
    return out;
}

/* Ways of which a piece's rows are whole blocks. */
static bool fits_blocks(const detour *way, const plan *how) {
    switch (way->kind) {
    case DETOUR_NONE:
        return false;
    case DETOUR_FLOAT:
    case DETOUR_INT8:
        return true;
    case DETOUR_BLOCKS:
        return how->cols % weir_dtype_get(way->via)->block_elements == 0;
    case DETOUR_NF4:
    case DETOUR_FP4:
        return how->cols % CODED_BLOCK == 0;
    }
    return false;
}

/* Whether every number comes out. */
static bool is_explaining(const detour *way) {
    return way->count > 0 && (double)way->replayed >= THRESHOLD_REPLAY_PROVED * (double)way->count;
}

/* Whether the way so far is worth going on with. */
static bool is_promising(const detour *way) {
    return is_explaining(way) || detour_explained(way) >= THRESHOLD_DETOUR_ENERGY;
}

static weir_code read_piece(workspace *work, const weir_diff *diff, const tensor_delta *row,
                            const plan *how, uint64_t first, uint64_t *count, weir_error *err) {
    const uint64_t left = how->rows - first;
    *count = left < how->together ? left : how->together;
    WEIR_TRY(
        pair_rows_read(work->base, work->model, diff, row, first, *count, &work->scratch, err));
    pass_through(work->own, work->stored, how->stored, work->base, (size_t)(*count * how->cols));
    return WEIR_OK;
}

/* All ways over all pieces of a sample; those that fail on the first piece are not walked again. */
static weir_code walk_sample(detour *ways, size_t way_count, workspace *work, const weir_diff *diff,
                             const tensor_delta *row, const plan *how, weir_error *err) {
    for (uint64_t r = 0; r < how->rows; r += how->step * how->together) {
        uint64_t count;
        WEIR_TRY(read_piece(work, diff, row, how, r, &count, err));
        for (size_t i = 0; i < way_count; i++) {
            if (fits_blocks(&ways[i], how) && (r == 0 || is_promising(&ways[i]))) {
                add_piece(&ways[i], work, how->stored, (size_t)count, (size_t)how->cols);
            }
        }
    }
    return WEIR_OK;
}

/* --- the ways --- */

enum { WAYS_MAX = WEIR_DTYPE_COUNT + 3 };

static size_t list_ways(detour *ways, weir_dtype stored) {
    size_t count = 0;
    for (int i = 0; i < WEIR_DTYPE_COUNT; i++) {
        const weir_dtype via = (weir_dtype)i;
        const bool is_float = weir_dtype_get(via)->kind == WEIR_DTYPE_KIND_FLOAT;
        const bool is_other = via != stored && via != WEIR_DTYPE_F32 && convert_can_write(via);
        if (is_other) {
            ways[count++] = (detour){.kind = is_float ? DETOUR_FLOAT : DETOUR_BLOCKS, .via = via};
        }
    }
    ways[count++] = (detour){.kind = DETOUR_NF4};
    ways[count++] = (detour){.kind = DETOUR_FP4};
    ways[count++] = (detour){.kind = DETOUR_INT8};
    return count;
}

/* The first that gives every number, else the one that takes away most of the change. A way that
 * changes nothing of the sample says nothing. */
static const detour *best_way(const detour *ways, size_t count) {
    const detour *best = NULL;
    for (size_t i = 0; i < count; i++) {
        if (is_explaining(&ways[i]) && ways[i].changed > 0) {
            return &ways[i];
        }
        const double explained = detour_explained(&ways[i]);
        if (explained >= THRESHOLD_DETOUR_ENERGY && (!best || explained > detour_explained(best))) {
            best = &ways[i];
        }
    }
    return best;
}

static bool is_readable(const weir_diff *diff, const tensor_delta *row) {
    const tensor_view *const model = model_view(diff->model, (size_t)row->model_index);
    const weir_dtype stored = model->base.dtype;
    const bool is_float =
        stored == WEIR_DTYPE_F32 || stored == WEIR_DTYPE_F16 || stored == WEIR_DTYPE_BF16;
    const uint64_t cols = pair_col_count(diff, row);
    const bool is_in_order =
        !row->map || (!row->map->model_cols && !row->map->base_cols && !row->map->col_signs);
    return is_float && !model->packed && cols > 0 && cols <= ROW_ELEMENTS_MAX && is_in_order &&
           pair_row_count(diff, row) > 0;
}

weir_code detour_find(detour *out, const weir_diff *diff, const tensor_delta *row,
                      size_t elements_most, weir_error *err) {
    *out = (detour){.kind = DETOUR_NONE};
    if (!is_readable(diff, row)) {
        return WEIR_OK;
    }
    WEIR_CLEANUP(workspace_release) workspace work = {0};
    const plan how = plan_of(diff, row, elements_most);
    detour ways[WAYS_MAX];
    const size_t way_count = list_ways(ways, how.stored);
    WEIR_TRY(workspace_init(&work, (size_t)(how.together * how.cols), err));
    WEIR_TRY(walk_sample(ways, way_count, &work, diff, row, &how, err));
    const detour *best = best_way(ways, way_count);
    if (best) {
        *out = *best;
        out->is_whole = how.step == 1;
        out->is_proved = out->is_whole && is_explaining(out);
    }
    return WEIR_OK;
}

weir_code detour_take_off(matrix_look *look, const detour *way, weir_dtype stored,
                          weir_error *err) {
    const size_t cols = look->cols;
    WEIR_CLEANUP(free) float *row = checked_alloc(cols, sizeof *row);
    WEIR_CLEANUP(free) unsigned char *scratch = checked_alloc(cols, sizeof(float));
    if (!row || !scratch) {
        return weir_fail_nomem(err);
    }
    look->base_square = 0;
    look->change_square = 0;
    for (size_t i = 0; i < look->rows && way->kind != DETOUR_NONE; i++) {
        float *const base = look->base + i * cols;
        float *const change = look->change + i * cols;
        walk(row, scratch, way, stored, base, 1, cols);
        for (size_t j = 0; j < cols; j++) {
            change[j] += base[j] - row[j];
            base[j] = row[j];
            look->base_square += (double)base[j] * (double)base[j];
            look->change_square += (double)change[j] * (double)change[j];
        }
    }
    return WEIR_OK;
}

weir_code detour_prove(detour *out, const weir_diff *diff, const tensor_delta *row,
                       weir_error *err) {
    WEIR_CLEANUP(workspace_release) workspace work = {0};
    detour way = {.kind = out->kind, .via = out->via};
    if (way.kind == DETOUR_NONE || out->is_proved || !is_readable(diff, row)) {
        return WEIR_OK;
    }
    const plan how = plan_of(diff, row, SIZE_MAX);
    WEIR_TRY(workspace_init(&work, (size_t)(how.together * how.cols), err));
    WEIR_TRY(walk_sample(&way, 1, &work, diff, row, &how, err));
    if (way.count < how.rows * how.cols) {
        return WEIR_OK; /* given up on the way: what the sample said stands */
    }
    way.is_whole = true;
    way.is_proved = way.is_whole && is_explaining(&way);
    *out = way;
    return WEIR_OK;
}
