/* SPDX-License-Identifier: Apache-2.0 */
/* Models whose every changed tensor is one source's own: a copy of a parent, or a passthrough. */
#include <math.h>
#include <stdlib.h>

#include "base/checked.h"
#include "base/fail.h"
#include "delta/merge_run.h"

static weir_code copy_work(merge_run *run, merge_work *work, weir_error *err) {
    work->whole = (merge_score){0};
    for (size_t j = 0; j < run->asked_count; j++) {
        WEIR_CLEANUP(merge_sample_release) merge_sample sample = {0};
        WEIR_TRY(merge_sample_read(&sample, run->diff, work->row, &run->asked[j], 1, 1, err));
        merge_score first = {0};
        merge_recipe recipe = {.method = MERGE_PASSTHROUGH,
                               .count = 1,
                               .lambda = 1,
                               .computed = WEIR_DTYPE_F32,
                               .stored = WEIR_DTYPE_F32};
        const size_t source = 0;
        WEIR_CLEANUP(merge_totals_release) merge_totals totals = {0};
        WEIR_CLEANUP(free) float *out = checked_alloc(sample.count, sizeof *out);
        if (!out) {
            return weir_fail_nomem(err);
        }
        const diff_parent *parent = &run->diff->parents[run->asked[j]];
        if (parent->views[work->row] == VIEW_NONE) {
            continue;
        }
        WEIR_TRY(merge_replay_sample(&first, &recipe, &sample, &source,
                                     merge_model_dtype(run, work), &totals, out, err));
        if (first.equal < first.count) {
            continue;
        }
        WEIR_TRY(merge_replay_whole(&work->whole, &recipe, run->diff, work->row, &run->asked[j],
                                    run->options->callbacks, err));
        work->best = (merge_candidate){.recipe = recipe, .columns = {j}};
        work->best.recipe.weights[0] = 1;
        if (work->whole.equal == work->whole.count) {
            return WEIR_OK;
        }
        work->whole = (merge_score){0};
    }
    return WEIR_OK;
}

/* Tensors that changed, or are new, and that no parent has in this place. */
static size_t count_others(const merge_run *run) {
    size_t count = 0;
    for (size_t i = 0; i < run->diff->tensor_count; i++) {
        const tensor_delta *row = &run->diff->tensors[i];
        count += row->state == TENSOR_ADDED || row->state == TENSOR_RESHAPED ||
                 (row->state == TENSOR_COMPARED && row->change == WEIR_CHANGE_UNKNOWN);
    }
    return count - run->work_count;
}

weir_code merge_try_copies(bool *is_found, merge_run *run, weir_error *err) {
    merge_finding *out = run->out;
    *is_found = false;
    WEIR_TRY(merge_for_each(run, copy_work, err));
    size_t same = 0;
    size_t unlike = count_others(run);
    for (size_t i = 0; i < run->work_count; i++) {
        unlike += run->works[i].whole.count == 0;
    }
    if (unlike > 0) {
        return WEIR_OK;
    }
    for (size_t i = 0; i < run->work_count; i++) {
        const merge_work *work = &run->works[i];
        const size_t from = merge_place_of(out, run->asked[work->best.columns[0]]);
        merge_row *row = &out->rows[work->row];
        const tensor_view *base =
            model_view(run->diff->base, (size_t)run->diff->tensors[work->row].base_index);
        *row = (merge_row){.is_fitted = true,
                           .is_explained = true,
                           .is_proved = true,
                           .replayed = work->whole.equal,
                           .replayed_of = work->whole.count,
                           .rest = 0,
                           .source = (ptrdiff_t)from,
                           .source_layer = -1};
        row->source_layer = base->base.layer;
        row->weights[from] = 1;
        out->parents[from].tensors++;
        out->replayed += work->whole.equal;
        out->replayed_of += work->whole.count;
        out->tensors++;
        out->tensors_of++;
        run->diff->tensors[work->row].change = WEIR_CHANGE_MERGED;
        same++;
    }
    for (size_t i = 0; i < run->diff->tensor_count; i++) {
        same += run->diff->tensors[i].change == WEIR_CHANGE_IDENTICAL;
    }
    *is_found = true;
    out->method = out->parent_count > 1 || out->tensors < same ? MERGE_PASSTHROUGH : MERGE_COPY;
    out->grade = WEIR_GRADE_PROVED;
    out->rest = 0;
    out->lambda = 1;
    out->computed = run->effective;
    return merge_tell(run,
                      out->method == MERGE_COPY ? "every changed tensor is the parent's own"
                                                : "every changed tensor is one source's own",
                      err);
}
