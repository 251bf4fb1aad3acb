/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One survey adds up what every rule needs, row by row; it is made twice: of the look, which says
 * whether factors for Wanda's rule have to be fitted, and of the whole pair.
 */
#include "delta/pruning.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/checked.h"
#include "base/fail.h"
#include "delta/column_weights.h"
#include "delta/pair_rows.h"
#include "delta/pruning_survey.h"
#include "delta/thresholds.h"
#include "kernel/convert.h"
#include "tensor/view_grid.h"

enum { PIECE_ELEMENTS = 1 << 16, ROW_ELEMENTS_MAX = 1 << 20 };

static bool is_zero(float x) {
    return !(x < 0.0F || x > 0.0F) && !isnan(x);
}

/* --- what a survey says --- */

/* Errors of the best threshold of the whole tensor. Inside one bin of sizes, which for bfloat16 is
 * one size, the order is not known. */
static uint64_t tensor_errors(const survey *all) {
    if (all->largest_zeroed <= all->smallest_kept) {
        return 0;
    }
    uint64_t kept_below = 0;
    uint64_t zeroed_above = all->zeroed;
    uint64_t fewest = all->zeroed < all->kept ? all->zeroed : all->kept;
    for (size_t i = 0; i < SURVEY_SIZE_BINS; i++) {
        kept_below += all->by_size[i][1];
        zeroed_above -= all->by_size[i][0];
        const uint64_t errors = kept_below + zeroed_above;
        fewest = errors < fewest ? errors : fewest;
    }
    return fewest;
}

/* The smallest m of which every group was left with n. @return m; 0: none */
static size_t find_group(const survey *all, size_t *which, size_t *kept) {
    for (size_t i = 0; i < SURVEY_GROUP_SIZES; i++) {
        for (size_t zeros = 1; zeros < survey_group_sizes[i]; zeros++) {
            const double wanted = THRESHOLD_REPLAY_PROVED * (double)all->groups[i];
            if (all->groups[i] > 0 && (double)all->fits[i][zeros] >= wanted) {
                *which = i;
                *kept = survey_group_sizes[i] - zeros;
                return survey_group_sizes[i];
            }
        }
    }
    return 0;
}

static uint64_t zero_cols(const survey *all) {
    uint64_t count = 0;
    for (size_t c = 0; c < all->cols; c++) {
        count += all->used[c] == 0;
    }
    return count;
}

typedef struct candidate {
    pruning_rule rule;
    double share;
} candidate;

static double share_without(uint64_t errors, uint64_t decisions) {
    return decisions > 0 && errors < decisions ? 1 - (double)errors / (double)decisions : 0;
}

/* Zeros that lie in whole rows or columns of zeros. */
static candidate find_structure(const pruning *found, const survey *all) {
    const uint64_t in_rows = found->zero_rows * all->cols;
    const uint64_t in_cols = found->zero_cols * (all->rows - found->zero_rows);
    const uint64_t rest = all->model_zeros - in_rows - in_cols;
    return (candidate){.rule = in_rows >= in_cols ? PRUNING_ROWS : PRUNING_COLUMNS,
                       .share = share_without(rest, all->model_zeros)};
}

/* The first rule that explains every decision, else the best if it deserves a name. */
static void find_rule(pruning *out, const survey *all, size_t which) {
    /* As if half the numbers had become zero: a rule gets no credit for many of either kind. */
    const uint64_t decisions = 2 * (all->zeroed < all->kept ? all->zeroed : all->kept);
    const candidate listed[] = {
        find_structure(out, all),
        {PRUNING_GROUP, out->group ? share_without(all->group_errors[which], decisions) : 0},
        {PRUNING_TENSOR, out->group ? 0 : share_without(tensor_errors(all), decisions)},
        {PRUNING_ROW, out->group ? 0 : share_without(all->row_errors, decisions)},
        {PRUNING_COLUMNS_WEIGHED, all->weights ? share_without(all->weighed_errors, decisions) : 0},
    };
    candidate best = {.rule = PRUNING_OTHER};
    for (size_t i = 0; i < sizeof listed / sizeof *listed; i++) {
        if (listed[i].share >= THRESHOLD_REPLAY_PROVED) {
            best = listed[i];
            break;
        }
        best = listed[i].share > best.share ? listed[i] : best;
    }
    out->rule = best.share >= THRESHOLD_RULE_NAMED ? best.rule : PRUNING_OTHER;
    out->rule_share = best.share;
    if (out->rule == PRUNING_ROWS || out->rule == PRUNING_COLUMNS) {
        out->group = 0; /* columns that stand apart evenly are no pattern of groups */
        out->kept = 0;
    }
}

static pruning conclude(const survey *all, bool is_float, bool is_whole) {
    size_t which = 0;
    size_t kept = 0;
    pruning out = {.count = all->rows * all->cols,
                   .zeros = all->zeroed,
                   .survivors = all->kept,
                   .survivors_equal = all->kept_equal,
                   .zero_rows = all->zero_rows,
                   .zero_cols = zero_cols(all),
                   .is_whole = is_whole};
    out.sparsity = out.count > 0 ? (double)all->model_zeros / (double)out.count : (double)NAN;
    out.size_ratio = all->zeroed > 0 && all->kept_square > 0
                         ? sqrt(all->zeroed_square / (double)all->zeroed /
                                (all->kept_square / (double)all->kept))
                         : (double)NAN;
    out.group = (uint32_t)find_group(all, &which, &kept);
    out.kept = (uint32_t)kept;
    find_rule(&out, all, which);
    out.is_survivors_proved =
        is_whole && out.zeros > 0 &&
        (double)out.survivors_equal >= THRESHOLD_REPLAY_PROVED * (double)out.survivors;
    out.is_rule_proved = is_whole && out.zeros > 0 && out.rule != PRUNING_OTHER &&
                         out.rule_share >= THRESHOLD_REPLAY_PROVED;
    const double zeros = out.count > 0 ? (double)out.zeros / (double)out.count : 0;
    out.is_pruned = zeros >= THRESHOLD_ZEROS_SUSPECTED &&
                    (out.is_survivors_proved || out.rule != PRUNING_OTHER || out.group > 0 ||
                     (is_float && zeros >= THRESHOLD_ZEROS_PRUNED));
    return out;
}

/* --- the two surveys --- */

/* `room` holds two rows. */
static void survey_look(survey *all, const matrix_look *look, float *room) {
    float *const model = room;
    float *const step = room + look->cols;
    const float mean_step = (float)look->step;
    for (size_t c = 0; c < look->cols; c++) {
        step[c] = mean_step;
    }
    for (size_t r = 0; r < look->rows; r++) {
        const float *const base = look->base + r * look->cols;
        for (size_t c = 0; c < look->cols; c++) {
            model[c] = base[c] + look->change[r * look->cols + c];
        }
        survey_add_row(all,
                       &(row_numbers){.base = base, .model = model, .own = base, .step = step});
    }
}

typedef struct workspace {
    float *base;
    float *model;
    float *own;
    float *masked;
    float *step; /* NULL for floats */
    float *offset;
    unsigned char *stored;
    view_scratch scratch;
} workspace;

static void workspace_release_cleanup(workspace *work) {
    free(work->base);
    free(work->model);
    free(work->own);
    free(work->masked);
    free(work->step);
    free(work->offset);
    free(work->stored);
    view_scratch_release(&work->scratch);
}

static weir_code workspace_init(workspace *work, size_t elements, bool with_steps,
                                weir_error *err) {
    work->base = checked_alloc(elements, sizeof *work->base);
    work->model = checked_alloc(elements, sizeof *work->model);
    work->own = checked_alloc(elements, sizeof *work->own);
    work->masked = checked_alloc(elements, sizeof *work->masked);
    work->stored = checked_alloc(elements, sizeof(float));
    if (with_steps) {
        work->step = checked_alloc(elements, sizeof *work->step);
        work->offset = checked_alloc(elements, sizeof *work->offset);
    }
    const bool has_steps = !with_steps || (work->step && work->offset);
    const bool has_all = work->base && work->model && work->own && work->masked && work->stored;
    return has_all && has_steps ? WEIR_OK : weir_fail_nomem(err);
}

/* Whether the model's dtype can be re-derived, whole blocks of it. */
static bool is_rederivable(const weir_diff *diff, const tensor_delta *row) {
    const tensor_view *const model = model_view(diff->model, (size_t)row->model_index);
    const uint64_t block = weir_dtype_get(model->base.dtype)->block_elements;
    const bool is_in_order =
        !row->map || (!row->map->model_cols && row->map->cols == model->base.cols);
    return !model->packed && convert_can_write(model->base.dtype) &&
           model->base.cols % block == 0 && (block == 1 || is_in_order);
}

static void rederive(float *out, unsigned char *stored, weir_dtype dtype, const float *from,
                     size_t count) {
    convert_from_f32(stored, dtype, from, count);
    convert_to_f32(out, dtype, stored, count);
}

/* Steps between the levels of some rows of the model. */
static weir_code read_steps(workspace *work, const weir_diff *diff, const tensor_delta *row,
                            uint64_t first, uint64_t count, weir_error *err) {
    const tensor_view *const model = model_view(diff->model, (size_t)row->model_index);
    const uint32_t *const rows = row->map ? row->map->model_rows : NULL;
    const size_t cols = (size_t)model->base.cols;
    for (uint64_t i = 0; i < count; i++) {
        WEIR_TRY(tensor_view_read_grid(model, rows ? rows[first + i] : first + i, 1,
                                       work->step + i * cols, work->offset + i * cols,
                                       &work->scratch, err));
    }
    for (size_t i = 0; i < (size_t)count * cols; i++) {
        work->step[i] = fabsf(work->step[i]);
    }
    return WEIR_OK;
}

/* The base as the model's dtype has it, with and without what the model lacks. */
static void rederive_piece(workspace *work, weir_dtype stored, size_t elements) {
    for (size_t i = 0; i < elements; i++) {
        const float step = work->step ? work->step[i] : 0.0F;
        work->masked[i] = survey_is_gone(work->model[i], step) ? 0.0F : work->base[i];
    }
    rederive(work->own, work->stored, stored, work->base, elements);
    rederive(work->masked, work->stored, stored, work->masked, elements);
}

static weir_code survey_pair(survey *all, const weir_diff *diff, const tensor_delta *row,
                             weir_error *err) {
    WEIR_CLEANUP(workspace_release) workspace work = {0};
    const weir_dtype stored = model_view(diff->model, (size_t)row->model_index)->base.dtype;
    const bool is_known = is_rederivable(diff, row);
    const bool has_steps = is_known && weir_dtype_get(stored)->kind == WEIR_DTYPE_KIND_BLOCK;
    const size_t cols = all->cols;
    const uint64_t rows = pair_row_count(diff, row);
    const uint64_t fitting = PIECE_ELEMENTS / cols;
    const uint64_t together = fitting > 0 ? fitting : 1;
    WEIR_TRY(workspace_init(&work, (size_t)together * cols, has_steps, err));
    for (uint64_t r = 0; r < rows; r += together) {
        const uint64_t count = rows - r < together ? rows - r : together;
        const size_t elements = (size_t)count * cols;
        WEIR_TRY(pair_rows_read(work.base, work.model, diff, row, r, count, &work.scratch, err));
        if (has_steps) {
            WEIR_TRY(read_steps(&work, diff, row, r, count, err));
        }
        if (is_known) {
            rederive_piece(&work, stored, elements);
        } else {
            memcpy(work.own, work.base, elements * sizeof *work.own);
        }
        for (size_t i = 0; i < elements; i += cols) {
            survey_add_row(all, &(row_numbers){.base = work.base + i,
                                               .model = work.model + i,
                                               .own = work.own + i,
                                               .masked = is_known ? work.masked + i : NULL,
                                               .step = has_steps ? work.step + i : NULL});
        }
    }
    return WEIR_OK;
}

/* Factors for Wanda's rule, where what the look shows is no simpler rule's work. */
static weir_code fit_weights(float **weights, size_t *group, const matrix_look *look,
                             weir_error *err) {
    WEIR_CLEANUP(survey_release) survey sample = {0};
    WEIR_CLEANUP(free) float *room = checked_alloc(look->cols, 2 * sizeof *room);
    if (!room) {
        return weir_fail_nomem(err);
    }
    WEIR_TRY(survey_init(&sample, look->cols, err));
    survey_look(&sample, look, room);
    const pruning seen = conclude(&sample, /* is_float= */ false, /* is_whole= */ false);
    *group = seen.group ? seen.group : look->cols;
    if (seen.zeros == 0 || seen.rule_share >= THRESHOLD_REPLAY_PROVED) {
        return WEIR_OK;
    }
    return column_weights_fit(weights, look, *group, err);
}

/* A number two steps from zero becomes zero by no rounding, and by no light change on top of it;
 * one step from it, few do. */
bool pruning_is_suspected(const matrix_look *look) {
    const size_t count = look->rows * look->cols;
    const float step = (float)look->step;
    size_t from_far = 0;
    size_t from_near = 0;
    for (size_t i = 0; i < count; i++) {
        const float base = look->base[i];
        const float model = base + look->change[i];
        from_far += survey_is_gone(model, step) && fabsf(base) > 2 * step;
        from_near += is_zero(model) && fabsf(base) > step;
    }
    /* Float numbers do not become zero by chance; near a level that is zero any change can. */
    const double suspected = step > 0 ? THRESHOLD_ZEROS_CODED : THRESHOLD_ZEROS_SUSPECTED;
    return count > 0 &&
           ((double)from_far >= suspected * (double)count ||
            (double)from_near >= (step > 0 ? suspected : THRESHOLD_ZEROS_PRUNED) * (double)count);
}

weir_code pruning_measure(pruning *out, const matrix_look *look, const weir_diff *diff,
                          const tensor_delta *row, weir_error *err) {
    WEIR_CLEANUP(survey_release) survey all = {0};
    WEIR_CLEANUP(free) float *weights = NULL;
    const uint64_t cols = pair_col_count(diff, row);
    if (cols == 0 || cols > ROW_ELEMENTS_MAX || cols != look->cols) {
        return weir_fail(err, WEIR_ERR_LIMIT, NULL, NULL, "a row that fits in memory",
                         "a longer one, or none");
    }
    WEIR_TRY(survey_init(&all, (size_t)cols, err));
    WEIR_TRY(fit_weights(&weights, &all.weighed_group, look, err));
    all.weights = weights;
    WEIR_TRY(survey_pair(&all, diff, row, err));
    const tensor_view *const model = model_view(diff->model, (size_t)row->model_index);
    const bool is_float =
        !model->packed && weir_dtype_get(model->base.dtype)->kind == WEIR_DTYPE_KIND_FLOAT;
    *out = conclude(&all, is_float, /* is_whole= */ true);
    return WEIR_OK;
}

void pruning_mask(matrix_look *look) {
    const size_t count = look->rows * look->cols;
    look->change_square = 0;
    const float step = (float)look->step;
    for (size_t i = 0; i < count; i++) {
        if (survey_is_gone(look->base[i] + look->change[i], step)) {
            look->change[i] = 0;
        }
        look->change_square += (double)look->change[i] * (double)look->change[i];
    }
}

void pruning_format(const pruning *found, char text[PRUNING_TEXT_BYTES]) {
    static const char *const names[] = {
        [PRUNING_OTHER] = "by no known rule",
        [PRUNING_TENSOR] = "smallest of the tensor",
        [PRUNING_ROW] = "smallest of each row",
        [PRUNING_GROUP] = "smallest",
        [PRUNING_COLUMNS_WEIGHED] = "smallest once inputs are weighed",
        [PRUNING_ROWS] = "whole rows",
        [PRUNING_COLUMNS] = "whole columns",
    };
    if (found->group > 0) {
        (void)snprintf(text, PRUNING_TEXT_BYTES, "%u of every %u inputs kept, %s", found->kept,
                       found->group,
                       found->rule == PRUNING_OTHER ? "chosen otherwise" : names[found->rule]);
    } else {
        (void)snprintf(text, PRUNING_TEXT_BYTES, "%s", names[found->rule]);
    }
}
