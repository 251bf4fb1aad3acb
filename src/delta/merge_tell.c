/* SPDX-License-Identifier: Apache-2.0 */
/* From what was re-computed to what is said of a merge. */
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "base/fail.h"
#include "delta/merge_run.h"
#include "delta/thresholds.h"

const char *merge_method_name(merge_method method) {
    static const char *const names[] = {
        [MERGE_NONE] = "none",
        [MERGE_NEAREST] = "nearest",
        [MERGE_COPY] = "copy",
        [MERGE_UNKNOWN] = "unknown",
        [MERGE_PASSTHROUGH] = "passthrough",
        [MERGE_MOSAIC] = "mosaic",
        [MERGE_LINEAR] = "linear",
        [MERGE_SLERP] = "slerp",
        [MERGE_NUSLERP] = "nuslerp",
        [MERGE_TASK_ARITHMETIC] = "task_arithmetic",
        [MERGE_TIES] = "ties",
        [MERGE_BREADCRUMBS] = "breadcrumbs",
        [MERGE_BREADCRUMBS_TIES] = "breadcrumbs_ties",
        [MERGE_DARE] = "dare",
        [MERGE_MODEL_STOCK] = "model_stock",
        [MERGE_SCE] = "sce",
        [MERGE_KARCHER] = "karcher",
        [MERGE_MULTISLERP] = "multislerp",
        [MERGE_NEARSWAP] = "nearswap",
        [MERGE_RAM] = "ram",
        [MERGE_RAM_PLUS] = "ramplus_tl",
    };
    return names[method];
}

static const char *name_of(const merge_run *run, ptrdiff_t parent) {
    return parent == VIEW_NONE ? weir_model_name(run->diff->base) : run->diff->parents[parent].name;
}

weir_code merge_tell(merge_run *run, const char *sentence, weir_error *err) {
    return arena_keep_text(&run->out->detail, &run->diff->memory, sentence, err);
}

size_t merge_place_of(merge_finding *out, ptrdiff_t parent) {
    for (size_t i = 0; i < out->parent_count; i++) {
        if (out->parents[i].parent == parent) {
            return i;
        }
    }
    out->parents[out->parent_count] = (merge_parent){
        .parent = parent, .weight = (double)NAN, .error = (double)NAN, .density = (double)NAN};
    return out->parent_count++;
}

/* Whether what a row's numbers were re-computed to says that the recipe explains it. */
static bool is_explained(const merge_run *run, const merge_work *work) {
    const merge_score *score = &work->whole;
    if (score->count == 0 || score->moved == 0) {
        return false;
    }
    const bool is_exact = merge_score_share(score) >= THRESHOLD_MERGE_FITS;
    /* Of float32 the last bits depend on the order of sums, in ways that no one wrote down. */
    const bool is_wide = run->effective == WEIR_DTYPE_F32 && score->rest < 1e-8 * score->change;
    return (is_exact && score->rest <= THRESHOLD_MERGE_REST * score->change) || is_wide;
}

static void take_rows(merge_run *run) {
    merge_finding *out = run->out;
    double rest = 0;
    double change = 0;
    for (size_t i = 0; i < run->work_count; i++) {
        merge_work *work = &run->works[i];
        tensor_delta *pair = &run->diff->tensors[work->row];
        merge_row *row = &out->rows[work->row];
        out->tensors_of++;
        change += pair->stats.sum_dd;
        rest += work->whole.count ? work->whole.rest : pair->stats.sum_dd;
        if (work->whole.count == 0) {
            continue;
        }
        row->is_fitted = !work->is_still;
        row->replayed = work->whole.equal;
        row->replayed_of = work->whole.count;
        row->is_explained = is_explained(run, work);
        row->is_proved = row->is_explained && (double)row->replayed >= THRESHOLD_REPLAY_PROVED *
                                                                           (double)row->replayed_of;
        row->rest = work->whole.change > 0 ? work->whole.rest / work->whole.change : (double)NAN;
        out->replayed += row->replayed;
        out->replayed_of += row->replayed_of;
        if (row->is_explained) {
            pair->change = WEIR_CHANGE_MERGED;
            out->tensors++;
        }
        const merge_recipe *recipe = &work->best.recipe;
        for (size_t s = 0; s < recipe->count; s++) {
            row->weights[merge_place_of(out, run->chosen[work->best.columns[s]])] =
                recipe->weights[s];
        }
    }
    out->rest = change > 0 ? rest / change : (double)NAN;
}

static bool is_row_told(const merge_run *run, const merge_work *work) {
    return run->out->rows[work->row].is_explained && !work->is_still;
}

/* One number for each parent where all rows agree, else a list by layer. */
static weir_code tell_weights(merge_run *run, weir_error *err) {
    merge_finding *out = run->out;
    for (size_t i = 0; i < run->work_count; i++) {
        const weir_tensor *tensor =
            tensor_delta_shown(run->diff, &run->diff->tensors[run->works[i].row]);
        out->layer_count = tensor->layer >= out->layer_count ? tensor->layer + 1 : out->layer_count;
    }
    for (size_t p = 0; p < out->parent_count; p++) {
        merge_parent *parent = &out->parents[p];
        bool is_uniform = true;
        bool is_first = true;
        bool is_proved = true;
        double error = 0;
        for (size_t i = 0; i < run->work_count; i++) {
            const merge_work *work = &run->works[i];
            if (!is_row_told(run, work)) {
                continue;
            }
            const double weight = out->rows[work->row].weights[p];
            is_uniform = is_uniform && (is_first || fabs(weight - parent->weight) < 1e-9);
            parent->weight = weight;
            is_first = false;
            is_proved = is_proved && out->rows[work->row].is_proved;
            for (size_t k = 0; k < work->fit.count; k++) {
                if (run->chosen[work->fit.members[k]] == parent->parent) {
                    error = fmax(error, 1.96 * work->fit.errors[k]);
                }
            }
        }
        parent->error = is_proved ? 0 : error;
        if (is_uniform) {
            continue;
        }
        parent->weight = (double)NAN;
        parent->by_layer =
            arena_alloc(&run->diff->memory, (size_t)out->layer_count + 1, sizeof *parent->by_layer);
        if (!parent->by_layer) {
            return weir_fail_nomem(err);
        }
        for (int32_t layer = 0; layer < out->layer_count; layer++) {
            double sum = 0;
            double count = 0;
            for (size_t i = 0; i < run->work_count; i++) {
                const weir_tensor *tensor =
                    tensor_delta_shown(run->diff, &run->diff->tensors[run->works[i].row]);
                if (tensor->layer == layer && is_row_told(run, &run->works[i])) {
                    const double numbers = (double)(tensor->rows * tensor->cols);
                    sum += numbers * out->rows[run->works[i].row].weights[p];
                    count += numbers;
                }
            }
            parent->by_layer[layer] = count > 0 ? sum / count : (double)NAN;
        }
    }
    return WEIR_OK;
}

/* Sources with a weight in most rows: a model that is a parent but for few numbers has but one. */
static size_t count_contributors(const merge_run *run) {
    size_t count = 0;
    for (size_t p = 0; p < run->out->parent_count; p++) {
        size_t weighty = 0;
        size_t rows = 0;
        for (size_t i = 0; i < run->work_count; i++) {
            const merge_row *row = &run->out->rows[run->works[i].row];
            if (row->is_explained && !run->works[i].is_still) {
                weighty += fabs(row->weights[p]) >= THRESHOLD_MERGE_WEIGHT_LEAST;
                rows++;
            }
        }
        count += rows > 0 && 2 * weighty >= rows;
    }
    return count;
}

static size_t count_proved(const merge_run *run) {
    size_t proved = 0;
    for (size_t i = 0; i < run->work_count; i++) {
        proved += run->out->rows[run->works[i].row].is_proved;
    }
    return proved;
}

static weir_grade grade_of(const merge_run *run) {
    const merge_finding *out = run->out;
    if (count_proved(run) == out->tensors_of) {
        return WEIR_GRADE_PROVED;
    }
    return out->tensors == out->tensors_of ? WEIR_GRADE_STRONG : WEIR_GRADE_WEAK;
}

weir_code merge_conclude(bool *is_merge, merge_run *run, merge_method method, weir_error *err) {
    merge_finding *out = run->out;
    take_rows(run);
    /* Rows that are only near a recipe say something when nothing else is left anywhere. */
    const bool is_sure = 2 * count_proved(run) > out->tensors_of;
    const bool is_near = 2 * out->tensors > out->tensors_of && out->rest <= THRESHOLD_MERGE_REST &&
                         count_contributors(run) > 1;
    *is_merge = out->tensors > 0 && (is_sure || is_near);
    if (!*is_merge) {
        for (size_t i = 0; i < run->work_count; i++) {
            run->diff->tensors[run->works[i].row].change = WEIR_CHANGE_UNKNOWN;
            out->rows[run->works[i].row] =
                (merge_row){.source = VIEW_NONE, .source_layer = -1, .rest = (double)NAN};
        }
        out->tensors = out->tensors_of = out->replayed = out->replayed_of = 0;
        out->parent_count = 0;
        return WEIR_OK;
    }
    out->method = method;
    out->computed = run->form.computed;
    out->lambda = run->form.lambda;
    out->is_normalised = run->form.is_normalised;
    WEIR_TRY(tell_weights(run, err));
    out->grade = grade_of(run);
    char sentence[256];
    (void)snprintf(sentence, sizeof sentence,
                   "%" PRIu64 " of %" PRIu64
                   " numbers of the changed tensors are re-computed bit for bit, in %s",
                   out->replayed, out->replayed_of, weir_dtype_name(out->computed));
    return merge_tell(run, sentence, err);
}

weir_code merge_tell_nearest(merge_run *run, const merge_contributions *found, weir_error *err) {
    merge_finding *out = run->out;
    char sentence[512];
    const double left = found->alone > 0 ? 1 - found->all.rest / found->alone : 0;
    out->tensors_of = run->work_count;
    out->rest = found->all.change > 0 ? found->all.rest / found->all.change : (double)NAN;
    out->grade = WEIR_GRADE_UNKNOWN;
    if (run->chosen_count == 0) {
        out->method = MERGE_NONE;
        out->rest = 1;
        return merge_tell(run, "no parent explains any of the change", err);
    }
    if (run->chosen_count > 1 && left >= THRESHOLD_MERGE_CONTRIBUTES) {
        out->method = MERGE_UNKNOWN;
        for (size_t i = 0; i < found->all.count; i++) {
            if (found->all.members[i] < run->asked_count && out->parent_count < MERGE_PARENTS_MAX) {
                merge_parent *parent =
                    &out->parents[merge_place_of(out, run->asked[found->all.members[i]])];
                parent->weight = found->all.weights[i];
                parent->error = 1.96 * found->all.errors[i];
            }
        }
        (void)snprintf(
            sentence, sizeof sentence,
            "several parents contribute, but %.1f%% of the squared change fits no method"
            " that is known here: an unknown merge, a missing parent or training after it",
            100 * out->rest);
        return merge_tell(run, sentence, err);
    }
    out->method = MERGE_NEAREST;
    merge_fit single = {.members = {found->nearest}, .count = 1};
    (void)merge_fit_solve(&single, &run->pooled);
    merge_parent *parent = &out->parents[merge_place_of(out, run->asked[found->nearest])];
    parent->weight = single.weights[0];
    parent->error = 1.96 * single.errors[0];
    out->rest = single.change > 0 ? single.rest / single.change : (double)NAN;
    (void)snprintf(sentence, sizeof sentence,
                   "%s is nearest; %.1f%% of the squared change from the base stays unexplained, so"
                   " no merge is claimed",
                   name_of(run, run->asked[found->nearest]), 100 * out->rest);
    return merge_tell(run, sentence, err);
}
