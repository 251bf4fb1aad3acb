/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The second look: every row that the pass over the numbers left unexplained. Threads take rows;
 * each result is its row's own, so the order of the work changes nothing. What concerns several
 * rows at once, ablation and what a row below the rounding floor shares with its neighbours, is
 * decided when all have been looked at.
 */
#include <stdlib.h>

#include "base/cancel.h"
#include "base/checked.h"
#include "base/fail.h"
#include "base/threads.h"
#include "delta/ablation.h"
#include "delta/empty_direction.h"
#include "delta/examine.h"
#include "delta/merge.h"
#include "delta/row_look.h"
#include "delta/thresholds.h"

#ifdef _OPENMP
#include <omp.h>
#endif

typedef struct examination {
    weir_diff *diff;
    const weir_diff_options *options;
    size_t *rows; /* to look at */
    size_t row_count;
    look_memory *memory; /* one a thread */
    int thread_count;
    weir_code code; /* of the first row, in order, that failed */
    size_t failed_at;
    weir_error err;
} examination;

static void examination_release_cleanup(examination *run) {
    for (int i = 0; run->memory && i < run->thread_count; i++) {
        look_memory_release(&run->memory[i]);
    }
    free(run->memory);
    free(run->rows);
}

static weir_code look_at_row(examination *run, tensor_delta *row, look_memory *memory,
                             weir_error *err) {
    if (is_cancelled(run->options->callbacks)) {
        return weir_fail(err, WEIR_ERR_CANCELLED, NULL, NULL, NULL, "cancelled");
    }
    row->look = calloc(1, sizeof *row->look);
    if (!row->look) {
        return weir_fail_nomem(err);
    }
    WEIR_TRY(row_look_take(row->look, run->diff, row, memory, err));
    row->change = row_look_class(row->look);
    row->rank = row->change == WEIR_CHANGE_LOW_RANK ? row->look->low_rank.rank : 0;
    return WEIR_OK;
}

static weir_code look_at_rows(examination *run, weir_error *err) {
    run->code = WEIR_OK;
    run->failed_at = SIZE_MAX;
#pragma omp parallel for schedule(dynamic, 1) num_threads(run->thread_count)
    for (size_t i = 0; i < run->row_count; i++) {
#ifdef _OPENMP
        look_memory *memory = &run->memory[omp_get_thread_num()];
#else
        look_memory *memory = &run->memory[0];
#endif
        weir_error failure = {0};
        const weir_code code =
            look_at_row(run, &run->diff->tensors[run->rows[i]], memory, &failure);
        if (code != WEIR_OK) {
#pragma omp critical
            if (i < run->failed_at) {
                run->failed_at = i;
                run->code = code;
                run->err = failure;
            }
        }
    }
    if (run->code != WEIR_OK && err) {
        *err = run->err;
    }
    return run->code;
}

/* Rows that are not explained, the largest first, so that no thread is left with one at the end. */
static int by_size(const void *left, const void *right, void *context) {
    const weir_diff *diff = *(const weir_diff **)context;
    const uint64_t a = diff->tensors[*(const size_t *)left].stats.count;
    const uint64_t b = diff->tensors[*(const size_t *)right].stats.count;
    if (a != b) {
        return a > b ? -1 : 1;
    }
    return *(const size_t *)left < *(const size_t *)right ? -1 : 1;
}

static weir_code list_rows(examination *run, weir_error *err) {
    const weir_diff *diff = run->diff;
    run->rows = checked_alloc(diff->tensor_count, sizeof *run->rows);
    run->memory = calloc((size_t)run->thread_count, sizeof *run->memory);
    if (!run->rows || !run->memory) {
        return weir_fail_nomem(err);
    }
    for (size_t i = 0; i < diff->tensor_count; i++) {
        const tensor_delta *row = &diff->tensors[i];
        if (row->state == TENSOR_COMPARED && row->change == WEIR_CHANGE_UNKNOWN &&
            row->stats.count > 0) {
            run->rows[run->row_count++] = i;
        }
    }
    qsort_r(run->rows, run->row_count, sizeof *run->rows, by_size, &diff);
    return WEIR_OK;
}

/* An ablation under a training hides from the single matrices; at full strength it leaves a
 * direction that nothing writes along. Wide streams would cost more than the comparison. */
static weir_code has_empty_direction(bool *out, const examination *run, weir_error *err) {
    enum { WIDTH_MOST = 2048 };
    const weir_diff *diff = run->diff;
    size_t trained = 0;
    uint64_t width = 0;
    *out = false;
    for (size_t i = 0; i < diff->tensor_count; i++) {
        const tensor_delta *row = &diff->tensors[i];
        const weir_tensor *tensor = tensor_delta_shown(diff, row);
        trained += row->look && row->look->is_measured && role_writes_residual(tensor->role) &&
                   tensor->rows > 1;
        width = tensor->role == WEIR_ROLE_O ? tensor->rows : width;
    }
    if (trained < 2 || width == 0 || width > WIDTH_MOST) {
        return WEIR_OK;
    }
    empty_direction found;
    WEIR_TRY(empty_direction_find(&found, diff->model, (unsigned)run->thread_count, err));
    *out = found.answer == EMPTY_DIRECTION_FOUND;
    return WEIR_OK;
}

/* Whether directions were projected out, where enough write matrices look like it. */
static weir_code examine_ablation(examination *run, weir_error *err) {
    enum { SUSPECTS_NEEDED = 2 };
    weir_diff *diff = run->diff;
    size_t suspects = 0;
    for (size_t i = 0; i < diff->tensor_count; i++) {
        const tensor_delta *row = &diff->tensors[i];
        suspects += row->look && row->look->is_suspect &&
                    role_writes_residual(tensor_delta_shown(diff, row)->role);
    }
    if (suspects < SUSPECTS_NEEDED) {
        bool is_empty;
        WEIR_TRY(has_empty_direction(&is_empty, run, err));
        if (!is_empty) {
            return WEIR_OK;
        }
    }
    diff->ablation = calloc(1, sizeof *diff->ablation);
    if (!diff->ablation) {
        return weir_fail_nomem(err);
    }
    WEIR_TRY(ablation_examine(diff->ablation, diff, (unsigned)run->thread_count, err));
    const ablation_verdict *verdict = diff->ablation;
    for (size_t i = 0; verdict->answer == ABLATION_YES && i < verdict->matrix_count; i++) {
        tensor_delta *row = &diff->tensors[verdict->matrices[i].row];
        row->is_ablated = verdict->matrices[i].is_edited;
        const bool is_all = verdict->matrices[i].share >= THRESHOLD_ABLATED_MOSTLY;
        if (row->is_ablated && is_all && !tensor_delta_is_explained(row)) {
            row->change = WEIR_CHANGE_ABLATED;
        }
    }
    return WEIR_OK;
}

/* What was lost cannot have come from the model: a proof of the change proves the direction too. */
static bool is_one_way(const weir_diff *diff, const tensor_delta *row) {
    enum { NUMBERS_NEEDED = 4096 };
    const row_look *look = row->look;
    if (!look || row->stats.count < NUMBERS_NEEDED || tensor_delta_shown(diff, row)->rows < 2) {
        return false;
    }
    const bool is_detour = look->way.is_proved && look->way.changed > 0;
    return row_look_proves_pruning(look) || is_detour || row_look_proves_codes(look);
}

/* Whether a row says nothing against the model having been made of the base alone: a child of a
 * relative that shares some tensors would show others that nothing explains. */
static bool is_accounted_for(const weir_diff *diff, const tensor_delta *row) {
    const weir_tensor *tensor = tensor_delta_shown(diff, row);
    const bool is_learned = tensor->role != WEIR_ROLE_UNKNOWN && tensor->role != WEIR_ROLE_ROPE;
    return !is_learned || row->state != TENSOR_COMPARED || tensor_delta_is_explained(row) ||
           row->change == WEIR_CHANGE_MERGED || row->change == WEIR_CHANGE_ABLATED ||
           (row->change == WEIR_CHANGE_PRUNED && row_look_proves_pruning(row->look));
}

static void raise_relation(weir_diff *diff) {
    bool is_proved = diff->merge && diff->merge->method > MERGE_UNKNOWN &&
                     diff->merge->grade == WEIR_GRADE_PROVED;
    bool is_all = true;
    for (size_t i = 0; i < diff->tensor_count; i++) {
        is_proved = is_proved || is_one_way(diff, &diff->tensors[i]);
        is_all = is_all && is_accounted_for(diff, &diff->tensors[i]);
    }
    const bool is_ablated = diff->ablation && diff->ablation->answer == ABLATION_YES;
    if (diff->relation == WEIR_RELATION_RELATED && is_all && (is_proved || is_ablated)) {
        diff->relation = WEIR_RELATION_DERIVED;
        diff->grade = is_ablated ? WEIR_GRADE_STRONG : WEIR_GRADE_PROVED;
        diff->direction = DIRECTION_FROM_BASE;
    }
}

weir_code diff_examine(weir_diff *diff, const weir_diff_options *options, weir_error *err) {
    const bool is_linked =
        diff->relation == WEIR_RELATION_DERIVED || diff->relation == WEIR_RELATION_RELATED;
    if (!is_linked || diff_is_adapter(diff->model)) {
        return WEIR_OK;
    }
    WEIR_CLEANUP(examination_release)
    examination run = {.diff = diff,
                       .options = options,
                       .thread_count = threads_startable(threads_wanted(options->jobs))};
    WEIR_TRY(list_rows(&run, err));
    WEIR_TRY(look_at_rows(&run, err));
    WEIR_TRY(examine_ablation(&run, err));
    WEIR_TRY(diff_examine_adapters(diff, options, err));
    diff_follow_company(diff);
    raise_relation(diff);
    return WEIR_OK;
}
