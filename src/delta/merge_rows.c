/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The linear family row by row: weights of every tensor's own fit, snapped, or from the polygon
 * that the layers lie on; whatever re-computes the sample best is then re-computed whole.
 */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/cancel.h"
#include "base/checked.h"
#include "base/fail.h"
#include "base/threads.h"
#include "delta/merge_run.h"
#include "delta/rounding.h"
#include "delta/thresholds.h"

enum { ROW_SAMPLE = 1 << 16, FEW_NUMBERS = 1000 };

weir_dtype merge_model_dtype(const merge_run *run, const merge_work *work) {
    const tensor_delta *row = &run->diff->tensors[work->row];
    return model_view(run->diff->model, (size_t)row->model_index)->base.dtype;
}

bool merge_is_float(weir_dtype dtype) {
    return rounding_mantissa_bits(dtype) >= 0;
}

weir_code merge_for_each(merge_run *run, merge_step step, weir_error *err) {
    WEIR_CLEANUP(free) weir_error *errs = calloc(run->work_count + 1, sizeof *errs);
    WEIR_CLEANUP(free) weir_code *codes = calloc(run->work_count + 1, sizeof *codes);
    if (!errs || !codes) {
        return weir_fail_nomem(err);
    }
    const int threads = threads_startable(threads_wanted(run->options->jobs));
    const weir_callbacks *callbacks = run->options->callbacks;
#pragma omp parallel for schedule(dynamic) num_threads(threads)
    for (size_t i = 0; i < run->work_count; i++) {
        codes[i] = is_cancelled(callbacks)
                       ? weir_fail(&errs[i], WEIR_ERR_CANCELLED, NULL, NULL, NULL, "cancelled")
                       : step(run, &run->works[i], &errs[i]);
    }
    for (size_t i = 0; i < run->work_count; i++) {
        if (codes[i] != WEIR_OK) {
            *err = errs[i];
            return codes[i];
        }
    }
    return WEIR_OK;
}

/* --- search in one row --- */

static bool is_still(const merge_sample *sample, size_t parents) {
    for (size_t j = 0; j < parents; j++) {
        if (memcmp(sample->parents[j], sample->base, sample->count * sizeof(float)) != 0) {
            return false;
        }
    }
    return true;
}

static merge_search search_of(const merge_run *run, const merge_work *work,
                              const merge_sample *sample, const weir_dtype *dtype) {
    merge_search search = {.samples = sample,
                           .dtypes = dtype,
                           .sample_count = 1,
                           .parent_count = run->chosen_count,
                           .effective = run->effective,
                           .inputs = run->inputs};
    for (size_t j = 0; j < run->chosen_count; j++) {
        search.weights[j] = merge_fit_weight(&work->fit, j);
    }
    search.scale = merge_fit_weight(&work->fit, run->chosen_count);
    return search;
}

/* The columns of one row; what does not differ from the base there says nothing. */
static void fit_row(merge_work *work, size_t parents) {
    work->fit = (merge_fit){.count = 0};
    for (size_t j = 0; j <= parents; j++) {
        work->fit.members[work->fit.count++] = j;
        if (!merge_fit_solve(&work->fit, &work->gram)) {
            work->fit.count--;
        }
    }
    /* The base's own scale, only where it is told. */
    const size_t last = work->fit.count;
    if (last > 0 && work->fit.members[last - 1] == parents &&
        !(fabs(work->fit.weights[last - 1]) > 8 * work->fit.errors[last - 1])) {
        work->fit.count--;
    }
    (void)merge_fit_solve(&work->fit, &work->gram);
}

static weir_code read_row(merge_sample *sample, merge_run *run, merge_work *work, weir_error *err) {
    WEIR_TRY(merge_sample_read(sample, run->diff, work->row, run->chosen, run->chosen_count + 1,
                               ROW_SAMPLE, err));
    sample->parent_count--; /* the base's column is no task vector */
    work->gram = (merge_gram){.count = 0};
    WEIR_TRY(merge_gram_add(
        &work->gram, sample,
        merge_is_float(merge_model_dtype(run, work)) ? rounding_mantissa_bits(run->effective) : -1,
        err));
    sample->parent_count++;
    work->is_still = is_still(sample, run->chosen_count);
    fit_row(work, run->chosen_count);
    return WEIR_OK;
}

static weir_code search_row(merge_run *run, merge_work *work, weir_error *err) {
    WEIR_CLEANUP(merge_sample_release) merge_sample sample = {0};
    const weir_dtype dtype = merge_model_dtype(run, work);
    WEIR_TRY(read_row(&sample, run, work, err));
    const merge_search search = search_of(run, work, &sample, &dtype);
    work->best = (merge_candidate){.score = {.count = 0}};
    return merge_search_weights(&work->best, &search, &run->form, err);
}

/* --- weights that all rows share, or that lie on a polygon --- */

static weir_code try_proposal(merge_run *run, merge_work *work, const double *weights, double scale,
                              weir_error *err) {
    WEIR_CLEANUP(merge_sample_release) merge_sample sample = {0};
    const weir_dtype dtype = merge_model_dtype(run, work);
    for (size_t j = 0; j < run->chosen_count; j++) {
        if (isnan(weights[j])) {
            return WEIR_OK;
        }
    }
    WEIR_TRY(merge_sample_read(&sample, run->diff, work->row, run->chosen, run->chosen_count + 1,
                               ROW_SAMPLE, err));
    merge_search search = search_of(run, work, &sample, &dtype);
    search.scale = scale;
    return merge_search_try(&work->best, &search, &run->form, weights, err);
}

static weir_code prove_row(merge_run *run, merge_work *work, weir_error *err) {
    const merge_recipe *recipe = &work->best.recipe;
    ptrdiff_t sources[MERGE_PARENTS_MAX];
    for (size_t i = 0; i < recipe->count; i++) {
        sources[i] = run->chosen[work->best.columns[i]];
    }
    work->whole = (merge_score){0};
    return work->best.score.count == 0
               ? WEIR_OK
               : merge_replay_whole(&work->whole, recipe, run->diff, work->row, sources,
                                    run->options->callbacks, err);
}

/* The weights that most rows settled on: they serve where a row says little by itself. */
static size_t find_common(const merge_run *run) {
    size_t best_votes = 0;
    size_t best = 0;
    for (size_t i = 0; i < run->work_count; i++) {
        const merge_recipe *mine = &run->works[i].best.recipe;
        size_t votes = 0;
        for (size_t k = 0; k < run->work_count && !run->works[i].is_still; k++) {
            const merge_recipe *other = &run->works[k].best.recipe;
            bool same = other->count == mine->count && !run->works[k].is_still;
            for (size_t j = 0; j < mine->count; j++) {
                same = same && fabs(other->weights[j] - mine->weights[j]) < 1e-9;
            }
            votes += same;
        }
        if (votes > best_votes) {
            best_votes = votes;
            best = i;
        }
    }
    return best;
}

/* A norm of some dozen numbers says little of its weights; the matrices of its layer know them. */
static weir_code ask_neighbours(merge_run *run, merge_work *work, weir_error *err) {
    const int32_t layer = tensor_delta_shown(run->diff, &run->diff->tensors[work->row])->layer;
    for (size_t k = 0; k < run->work_count; k++) {
        const merge_work *other = &run->works[k];
        const bool is_neighbour =
            other != work && !other->is_still && other->best.score.count > 0 &&
            tensor_delta_shown(run->diff, &run->diff->tensors[other->row])->layer == layer;
        if (merge_score_share(&work->best.score) >= THRESHOLD_REPLAY_PROVED &&
            work->best.score.moved >= FEW_NUMBERS) {
            return WEIR_OK;
        }
        double weights[MERGE_PARENTS_MAX];
        for (size_t j = 0; j < run->chosen_count; j++) {
            weights[j] = other->best.recipe.weights[j] * run->form.lambda;
        }
        if (is_neighbour) {
            WEIR_TRY(try_proposal(run, work, weights,
                                  merge_fit_weight(&other->fit, run->chosen_count), err));
        }
    }
    return WEIR_OK;
}

weir_code merge_fit_rows(merge_run *run, weir_error *err) {
    WEIR_TRY(merge_for_each(run, search_row, err));
    WEIR_CLEANUP(free)
    double *curves = checked_alloc((run->work_count + 1) * MERGE_PARENTS_MAX, sizeof *curves);
    if (!curves) {
        return weir_fail_nomem(err);
    }
    double common[MERGE_PARENTS_MAX];
    const merge_work *leader = &run->works[find_common(run)];
    const double scale = merge_fit_weight(&leader->fit, run->chosen_count);
    for (size_t j = 0; j < run->chosen_count; j++) {
        common[j] = leader->best.recipe.weights[j] * run->form.lambda;
    }
    WEIR_TRY(merge_curves(curves, run, err));
    for (size_t i = 0; i < run->work_count; i++) {
        WEIR_TRY(try_proposal(run, &run->works[i], curves + i * MERGE_PARENTS_MAX, scale, err));
        WEIR_TRY(try_proposal(run, &run->works[i], common, scale, err));
        for (size_t w = 2; w-- > 0;) {
            WEIR_TRY(try_proposal(run, &run->works[i], run->common[w], scale, err));
        }
    }
    for (size_t i = 0; i < run->work_count; i++) {
        WEIR_TRY(ask_neighbours(run, &run->works[i], err));
    }
    return merge_for_each(run, prove_row, err);
}
