/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The order of the work, until something holds:
 *   1 every changed tensor is one source's, number by number: copy or passthrough
 *   2 which parents a linear fit over samples of all tensors needs
 *   3 one form of the linear family re-computes a few samples: then every tensor, with weights of
 *     its own
 *   4 another method re-computes them: then every tensor, with one recipe
 *   5 every number is one of the sources' own: mosaic
 *   6 every number is the base and some of the changes, at random: dare, della
 *   7 several contribute, or one is nearest; nothing more is said
 */
#include "delta/merge.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/checked.h"
#include "base/fail.h"
#include "delta/measure.h"
#include "delta/merge_run.h"
#include "delta/rounding.h"
#include "delta/thresholds.h"
#include "kernel/number.h"

enum {
    FIT_SAMPLE = 1 << 13,    /* numbers of a tensor when all candidates are read */
    FIT_WORKS_MAX = 512,     /* tensors in that fit, evenly spaced */
    SEARCH_SAMPLE = 1 << 14, /* numbers of a tensor when recipes are tried */
    WORKS_MAX = 1 << 15,     /* tensors that are fitted one by one and held against each other */
    SEARCH_ROWS = 5,
    SEARCH_ROWS_SLOW = 3,
};

/* --- what is to be explained --- */

static bool has_other(const pair_stats *stats) {
    return stats->nan_a + stats->nan_b + stats->inf_a + stats->inf_b > 0;
}

static bool is_to_explain(const weir_diff *diff, size_t index) {
    const tensor_delta *row = &diff->tensors[index];
    if (row->state != TENSOR_COMPARED || row->map || row->change != WEIR_CHANGE_UNKNOWN ||
        row->stats.count == 0 || has_other(&row->stats)) {
        return false;
    }
    const uint64_t cols = model_view(diff->model, (size_t)row->model_index)->base.cols;
    for (size_t p = 0; p < diff->parent_count; p++) {
        if (diff->parents[p].state == PARENT_USABLE && diff->parents[p].views[index] != VIEW_NONE) {
            return cols > 0 && cols <= ROW_ELEMENTS_MAX;
        }
    }
    return false;
}

static weir_code list_works(merge_run *run, weir_error *err) {
    const weir_diff *diff = run->diff;
    run->works = calloc(diff->tensor_count + 1, sizeof *run->works);
    run->out->rows =
        arena_alloc(&run->diff->memory, diff->tensor_count + 1, sizeof *run->out->rows);
    if (!run->works || !run->out->rows) {
        return weir_fail_nomem(err);
    }
    for (size_t i = 0; i < diff->tensor_count; i++) {
        run->out->rows[i] =
            (merge_row){.source = VIEW_NONE, .source_layer = -1, .rest = (double)NAN};
        if (is_to_explain(diff, i)) {
            run->works[run->work_count++].row = i;
        }
    }
    for (size_t p = 0; p < diff->parent_count; p++) {
        if (diff->parents[p].state == PARENT_USABLE) {
            run->asked[run->asked_count++] = (ptrdiff_t)p;
        }
    }
    return WEIR_OK;
}

/* --- which parents --- */

enum { HELD_F16 = 1, HELD_BF16 = 2 };

static uint8_t held_by(const float *values, size_t count) {
    uint8_t held = HELD_F16 | HELD_BF16;
    for (size_t i = 0; i < count && held; i++) {
        const float value = values[i];
        held &= merge_round(value, WEIR_DTYPE_BF16) == value ? 0xFF : (uint8_t)~HELD_BF16;
        held &= merge_round(value, WEIR_DTYPE_F16) == value ? 0xFF : (uint8_t)~HELD_F16;
    }
    return held;
}

static weir_code sample_work(merge_run *run, merge_work *work, weir_error *err) {
    WEIR_CLEANUP(merge_sample_release) merge_sample sample = {0};
    const size_t index = (size_t)(work - run->works);
    const size_t step = run->work_count / FIT_WORKS_MAX + 1;
    work->held = HELD_F16 | HELD_BF16;
    if (index % step != 0) {
        return WEIR_OK;
    }
    const weir_dtype dtype = merge_model_dtype(run, work);
    WEIR_TRY(merge_sample_read(&sample, run->diff, work->row, run->asked, run->asked_count,
                               FIT_SAMPLE, err));
    work->held = merge_is_float(dtype) ? held_by(sample.model, sample.count) : work->held;
    const int bits = rounding_mantissa_bits(work->held & HELD_BF16 ? WEIR_DTYPE_BF16 : dtype);
    return merge_gram_add(&work->gram, &sample, merge_is_float(dtype) ? bits : -1, err);
}

static weir_dtype dtype_of_parents(const merge_run *run) {
    for (size_t i = 0; i < run->work_count; i++) {
        for (size_t j = 0; j < run->asked_count; j++) {
            const diff_parent *parent = &run->diff->parents[run->asked[j]];
            const ptrdiff_t view = parent->views[run->works[i].row];
            const weir_dtype dtype = view == VIEW_NONE
                                         ? WEIR_DTYPE_F32
                                         : weir_model_tensor(parent->model, (size_t)view)->dtype;
            if (dtype == WEIR_DTYPE_BF16 || dtype == WEIR_DTYPE_F16) {
                return dtype;
            }
        }
    }
    return WEIR_DTYPE_F32;
}

/* The coarsest float dtype that holds every number of the model: what the tool wrote, whatever the
 * file stores it as. Of block types the parents' stands for it. */
static void find_dtypes(merge_run *run) {
    uint8_t held = HELD_F16 | HELD_BF16;
    bool has_floats = false;
    run->inputs = dtype_of_parents(run);
    for (size_t i = 0; i < run->work_count; i++) {
        const bool is_matrix =
            tensor_delta_shown(run->diff, &run->diff->tensors[run->works[i].row])->rows > 1;
        if (merge_is_float(merge_model_dtype(run, &run->works[i])) && is_matrix) {
            held &= run->works[i].held;
            has_floats = true;
        }
    }
    run->effective = !has_floats        ? run->inputs
                     : held & HELD_BF16 ? WEIR_DTYPE_BF16
                     : held & HELD_F16  ? WEIR_DTYPE_F16
                                        : WEIR_DTYPE_F32;
}

static int by_weight(const void *left, const void *right) {
    const double a = fabs(*(const double *)left);
    const double b = fabs(*(const double *)right);
    return (a < b) - (a > b);
}

/* The parents that the fit needs, in the order given; the largest where there are too many. */
static void choose_parents(merge_run *run, const merge_fit *fit) {
    double sorted[FIT_COLUMNS_MAX];
    size_t count = 0;
    for (size_t i = 0; i < fit->count; i++) {
        if (fit->members[i] < run->asked_count) {
            sorted[count++] = fit->weights[i];
        }
    }
    qsort(sorted, count, sizeof *sorted, by_weight);
    const size_t most = MERGE_PARENTS_MAX - 1;
    const double least = count > most ? fabs(sorted[most - 1]) : 0;
    run->chosen_count = 0;
    for (size_t i = 0; i < fit->count && run->chosen_count < most; i++) {
        if (fit->members[i] < run->asked_count && fabs(fit->weights[i]) >= least) {
            run->chosen[run->chosen_count++] = run->asked[fit->members[i]];
        }
    }
    run->chosen[run->chosen_count] = VIEW_NONE;
}

static void weigh(merge_contributions *out, const merge_run *run) {
    merge_fit_select(&out->all, &run->pooled);
    out->alone = INFINITY;
    for (size_t j = 0; j < run->asked_count; j++) {
        merge_fit single = {.members = {j}, .count = 1};
        if (merge_fit_solve(&single, &run->pooled) && single.rest < out->alone) {
            out->alone = single.rest;
            out->nearest = j;
        }
    }
}

/* --- samples for the search --- */

typedef struct trial {
    merge_sample samples[SEARCH_ROWS];
    weir_dtype dtypes[SEARCH_ROWS];
    merge_search searches[SEARCH_ROWS]; /* one a sample, with weights of its own */
    size_t count;
} trial;

static void trial_release_cleanup(trial *set) {
    for (size_t i = 0; i < SEARCH_ROWS; i++) {
        merge_sample_release(&set->samples[i]);
    }
}

static bool is_large(const merge_run *run, size_t work) {
    const weir_tensor *tensor =
        tensor_delta_shown(run->diff, &run->diff->tensors[run->works[work].row]);
    return tensor->rows > 1 && tensor->cols > 1 && tensor->layer >= 0;
}

static weir_code add_trial(trial *set, merge_run *run, size_t work, weir_error *err) {
    merge_sample *sample = &set->samples[set->count];
    WEIR_TRY(merge_sample_read(sample, run->diff, run->works[work].row, run->chosen,
                               run->chosen_count + 1, SEARCH_SAMPLE, err));
    set->dtypes[set->count] = merge_model_dtype(run, &run->works[work]);
    merge_gram gram = {.count = 0};
    sample->parent_count--;
    const int bits =
        merge_is_float(set->dtypes[set->count]) ? rounding_mantissa_bits(run->effective) : -1;
    WEIR_TRY(merge_gram_add(&gram, sample, bits, err));
    sample->parent_count++;
    merge_fit fit = {.count = 0};
    for (size_t j = 0; j <= run->chosen_count; j++) {
        fit.members[fit.count++] = j;
        fit.count -= !merge_fit_solve(&fit, &gram);
    }
    (void)merge_fit_solve(&fit, &gram);
    set->searches[set->count] = (merge_search){.samples = sample,
                                               .dtypes = &set->dtypes[set->count],
                                               .sample_count = 1,
                                               .parent_count = run->chosen_count,
                                               .effective = run->effective,
                                               .inputs = run->inputs};
    for (size_t j = 0; j < run->chosen_count; j++) {
        set->searches[set->count].weights[j] = merge_fit_weight(&fit, j);
    }
    for (size_t i = 0; i < fit.count; i++) {
        const bool is_told = fabs(fit.weights[i]) > 8 * fit.errors[i];
        if (fit.members[i] == run->chosen_count && is_told) {
            set->searches[set->count].scale = fit.weights[i];
        }
    }
    set->count++;
    return WEIR_OK;
}

/* Matrices of the layers, evenly spaced; whatever there is when there are none. */
static weir_code read_trial(trial *set, merge_run *run, weir_error *err) {
    size_t large = 0;
    for (size_t i = 0; i < run->work_count; i++) {
        large += is_large(run, i);
    }
    const size_t of = large ? large : run->work_count;
    const size_t step = of > SEARCH_ROWS ? of / SEARCH_ROWS : 1;
    size_t at = 0;
    for (size_t i = 0; i < run->work_count && set->count < SEARCH_ROWS; i++) {
        if (large && !is_large(run, i)) {
            continue;
        }
        if (at++ % step == 0) {
            WEIR_TRY(add_trial(set, run, i, err));
        }
    }
    return WEIR_OK;
}

/* --- the linear family --- */

/* What the chosen parents have in a fit over all rows. */
static void fit_common(merge_run *run) {
    merge_fit fit = {.count = 0};
    for (size_t j = 0; j < run->asked_count; j++) {
        for (size_t k = 0; k < run->chosen_count; k++) {
            if (run->chosen[k] == run->asked[j]) {
                fit.members[fit.count++] = j;
            }
        }
    }
    const bool is_told = merge_fit_solve(&fit, &run->pooled);
    for (size_t k = 0; k < run->chosen_count; k++) {
        const double weight = is_told ? fit.weights[k] : 0;
        run->common[0][k] = nearbyint(weight * 20) / 20;
        run->common[1][k] = nearbyint(weight * 100) / 100;
    }
}

/* Which form re-computes the samples best, each with weights of its own. */
static weir_code find_form(double *share, merge_run *run, const trial *set, weir_error *err) {
    merge_recipe forms[MERGE_FORMS_MAX];
    const size_t count = merge_search_forms(forms, &set->searches[0]);
    uint64_t best_hit = 0;
    *share = 0;
    for (size_t f = 0; f < count && *share < THRESHOLD_REPLAY_PROVED; f++) {
        merge_score sum = {0};
        if (forms[f].lambda != 1 && *share < 0.6) {
            continue; /* a factor changes roundings, not more */
        }
        for (size_t i = 0; i < set->count; i++) {
            merge_candidate best = {.score = {.count = 0}};
            WEIR_TRY(merge_search_weights(&best, &set->searches[i], &forms[f], err));
            for (size_t w = 2; w-- > 0;) {
                WEIR_TRY(
                    merge_search_try(&best, &set->searches[i], &forms[f], run->common[w], err));
            }
            merge_score_add(&sum, &best.score);
        }
        if (sum.hit > best_hit) {
            best_hit = sum.hit;
            run->form = forms[f];
            *share = merge_score_share(&sum);
        }
    }
    return WEIR_OK;
}

/* A sum of parents that leaves the base nothing is "linear"; else the base is one more source. */
static merge_method linear_name(const merge_run *run) {
    if (run->form.method != MERGE_LINEAR && run->form.method != MERGE_TASK_ARITHMETIC) {
        return run->form.method;
    }
    double most = 0;
    double of_base = 0;
    for (size_t i = 0; i < run->work_count; i++) {
        double sum = 0;
        const merge_recipe *recipe = &run->works[i].best.recipe;
        for (size_t s = 0; s < recipe->count; s++) {
            sum += run->chosen[run->works[i].best.columns[s]] == VIEW_NONE
                       ? 0
                       : recipe->weights[s] * recipe->lambda;
        }
        const double scale = merge_fit_weight(&run->works[i].fit, run->chosen_count);
        most = run->works[i].is_still ? most : fmax(most, fabs(sum - 1));
        of_base = run->works[i].is_still ? of_base : fmax(of_base, fabs(1 - sum + scale));
    }
    if (most < 1e-6 || run->form.method == MERGE_TASK_ARITHMETIC) {
        return most < 1e-6 ? MERGE_LINEAR : MERGE_TASK_ARITHMETIC;
    }
    const bool is_without_base = of_base < 0.01;
    return !is_without_base         ? MERGE_TASK_ARITHMETIC
           : run->chosen_count == 1 ? MERGE_PASSTHROUGH /* scaled */
                                    : MERGE_LINEAR;
}

static weir_code conclude_linear(bool *is_found, merge_run *run, const merge_recipe *form,
                                 weir_error *err) {
    run->form = *form;
    WEIR_TRY(merge_fit_rows(run, err));
    return merge_conclude(is_found, run, linear_name(run), err);
}

/* --- one recipe for all --- */

static weir_code replay_work(merge_run *run, merge_work *work, weir_error *err) {
    ptrdiff_t sources[MERGE_PARENTS_MAX];
    work->best.recipe = run->form;
    memcpy(work->best.columns, run->columns, sizeof work->best.columns);
    for (size_t i = 0; i < run->form.count; i++) {
        sources[i] = run->chosen[run->columns[i]];
    }
    work->whole = (merge_score){0};
    return merge_replay_whole(&work->whole, &run->form, run->diff, work->row, sources,
                              run->options->callbacks, err);
}

static weir_code conclude_one(bool *is_found, merge_run *run, const merge_candidate *best,
                              weir_error *err) {
    run->form = best->recipe;
    memcpy(run->columns, best->columns, sizeof run->columns);
    WEIR_TRY(merge_for_each(run, replay_work, err));
    WEIR_TRY(merge_conclude(is_found, run, best->recipe.method, err));
    for (size_t i = 0; *is_found && i < run->form.count; i++) {
        merge_parent *parent =
            &run->out->parents[merge_place_of(run->out, run->chosen[run->columns[i]])];
        const bool is_sparse = run->form.method == MERGE_TIES ||
                               run->form.method == MERGE_BREADCRUMBS ||
                               run->form.method == MERGE_BREADCRUMBS_TIES;
        parent->density = is_sparse ? run->form.densities[i] : (double)NAN;
        const bool is_weighed =
            is_sparse || run->form.method == MERGE_NUSLERP || run->form.method == MERGE_MULTISLERP;
        if (!is_weighed) { /* the method has none */
            parent->weight = (double)NAN;
            parent->error = (double)NAN;
        }
    }
    return WEIR_OK;
}

/* Another method, by samples. */
static weir_code search_others(merge_candidate *best, merge_run *run, const trial *set,
                               const merge_fit *pooled, weir_error *err) {
    merge_sample first[SEARCH_ROWS_SLOW];
    const size_t count = set->count < SEARCH_ROWS_SLOW ? set->count : SEARCH_ROWS_SLOW;
    memcpy(first, set->samples, count * sizeof *first);
    merge_search search = set->searches[0];
    search.samples = first;
    search.dtypes = set->dtypes;
    search.sample_count = count;
    search.scale = 0;
    for (size_t i = 0; i < pooled->count; i++) {
        for (size_t j = 0; j < run->chosen_count && pooled->members[i] < run->asked_count; j++) {
            if (run->chosen[j] == run->asked[pooled->members[i]]) {
                search.weights[j] = pooled->weights[i];
            }
        }
    }
    return merge_search_others(best, &search, err);
}

/* The smallest matrix of the layers. */
static const merge_work *smallest_work(const merge_run *run) {
    const merge_work *best = &run->works[0];
    uint64_t least = UINT64_MAX;
    for (size_t i = 0; i < run->work_count; i++) {
        const uint64_t count = run->diff->tensors[run->works[i].row].stats.count;
        if (is_large(run, i) && count < least) {
            least = count;
            best = &run->works[i];
        }
    }
    return best;
}

/* Methods whose sums are those of whole tensors, on one whole: of a sample they would be others. */
static weir_code search_whole(merge_candidate *best, merge_run *run, weir_error *err) {
    static const struct {
        merge_method method;
        bool is_on_base;
    } ways[] = {{MERGE_MODEL_STOCK, false}, {MERGE_NUSLERP, false}, {MERGE_NUSLERP, true},
                {MERGE_SCE, false},         {MERGE_KARCHER, false}, {MERGE_MULTISLERP, false},
                {MERGE_MULTISLERP, true},   {MERGE_RAM, false},     {MERGE_RAM_PLUS, false}};
    const merge_work *work = smallest_work(run);
    double sum = 0;
    *best = (merge_candidate){.score = {.count = 0}};
    for (size_t j = 0; j < run->chosen_count; j++) {
        sum += run->common[0][j];
    }
    for (size_t i = 0; i < 2 * (sizeof ways / sizeof *ways) && sum > 0; i++) {
        merge_candidate next = {.recipe = {.method = ways[i / 2].method,
                                           .count = run->chosen_count,
                                           .lambda = 1,
                                           .is_on_base = ways[i / 2].is_on_base,
                                           .computed = i % 2 ? run->inputs : WEIR_DTYPE_F32,
                                           .stored = run->effective}};
        if (next.recipe.method == MERGE_NUSLERP && run->chosen_count != 2) {
            continue;
        }
        for (size_t j = 0; j < run->chosen_count; j++) {
            next.columns[j] = j;
            next.recipe.weights[j] = nearbyint(run->common[1][j] / sum * 20) / 20;
            next.recipe.densities[j] = 1;
        }
        WEIR_TRY(merge_replay_whole(&next.score, &next.recipe, run->diff, work->row, run->chosen,
                                    run->options->callbacks, err));
        if (best->score.count == 0 || next.score.hit > best->score.hit) {
            *best = next;
        }
    }
    return WEIR_OK;
}

/* Of a method that is not linear, the fit gives small weights to parents that have no part, too:
 * those with a fair share of the largest. 0 takes all. */
static void choose_large(merge_run *run, const merge_fit *all, double fair_share) {
    merge_fit part = *all;
    double largest = 0;
    for (size_t i = 0; i < all->count; i++) {
        if (all->members[i] < run->asked_count) {
            largest = fmax(largest, fabs(all->weights[i]));
        }
    }
    part.count = 0;
    for (size_t i = 0; i < all->count; i++) {
        if (fabs(all->weights[i]) >= fair_share * largest) {
            part.members[part.count] = all->members[i];
            part.weights[part.count++] = all->weights[i];
        }
    }
    choose_parents(run, &part);
}

/* Every method but copies: what re-computes all that was tried is taken as it is found; else what
 * does best, if it is enough. */
static weir_code try_methods(bool *is_found, merge_run *run, const merge_fit *all,
                             weir_error *err) {
    static const double fair_shares[] = {0.25, 0.6, 0};
    merge_recipe linear = {.method = MERGE_NONE};
    double linear_share = 0;
    *is_found = false;
    for (size_t f = 0; f < sizeof fair_shares / sizeof *fair_shares; f++) {
        WEIR_CLEANUP(trial_release) trial set = {.count = 0};
        const size_t before = run->chosen_count;
        merge_candidate best;
        if (f == 0) {
            choose_parents(run, all);
            WEIR_TRY(read_trial(&set, run, err));
            fit_common(run);
            WEIR_TRY(find_form(&linear_share, run, &set, err));
            linear = run->form;
            if (linear_share >= THRESHOLD_REPLAY_PROVED ||
                (run->effective == WEIR_DTYPE_F32 && linear_share > 0.5)) {
                WEIR_TRY(conclude_linear(is_found, run, &linear, err));
            }
        }
        if (*is_found) {
            return WEIR_OK;
        }
        choose_large(run, all, fair_shares[f]);
        if (f > 0 && run->chosen_count == before) {
            continue;
        }
        WEIR_CLEANUP(trial_release) trial part = {.count = 0};
        WEIR_TRY(read_trial(&part, run, err));
        fit_common(run);
        WEIR_TRY(search_whole(&best, run, err));
        if (merge_score_share(&best.score) < THRESHOLD_MERGE_FITS) {
            WEIR_TRY(search_others(&best, run, &part, all, err));
        }
        const double share = merge_score_share(&best.score);
        if (share >= THRESHOLD_MERGE_FITS && share > linear_share) {
            WEIR_TRY(conclude_one(is_found, run, &best, err));
        }
    }
    choose_parents(run, all);
    fit_common(run);
    return !*is_found && linear_share >= THRESHOLD_MERGE_FITS
               ? conclude_linear(is_found, run, &linear, err)
               : WEIR_OK;
}

/* --- the decision --- */

static void pool(merge_run *run) {
    run->pooled = (merge_gram){.count = 0};
    for (size_t i = 0; i < run->work_count; i++) {
        if (run->works[i].gram.count > 0) {
            merge_gram_merge(&run->pooled, &run->works[i].gram);
        }
    }
    run->pooled.parents = run->asked_count;
}

static weir_code find_merge(merge_run *run, weir_error *err) {
    merge_contributions found = {.alone = 0};
    bool is_found;
    if (run->work_count == 0) {
        return merge_try_layers(&is_found, run, err);
    }
    WEIR_TRY(merge_for_each(run, sample_work, err));
    find_dtypes(run);
    pool(run);
    WEIR_TRY(merge_try_copies(&is_found, run, err));
    if (!is_found) {
        WEIR_TRY(merge_try_layers(&is_found, run, err));
    }
    if (is_found) {
        return WEIR_OK;
    }
    weigh(&found, run);
    choose_parents(run, &found.all);
    if (run->chosen_count > 0) {
        WEIR_TRY(try_methods(&is_found, run, &found.all, err));
        if (!is_found) {
            choose_large(run, &found.all, 0.25);
            WEIR_TRY(merge_try_random(&is_found, run, err));
        }
        if (!is_found) {
            choose_parents(run, &found.all);
        }
    }
    return is_found ? WEIR_OK : merge_tell_nearest(run, &found, err);
}

static weir_code keep_claim(merge_run *run, weir_error *err) {
    for (size_t i = 0; i < weir_model_claim_count(run->diff->model); i++) {
        const weir_claim *claim = weir_model_claim(run->diff->model, i);
        if (strcmp(claim->name, "merge.merge_method") == 0) {
            return arena_keep_text(&run->out->claimed, &run->diff->memory, claim->value, err);
        }
    }
    return WEIR_OK;
}

weir_code merge_decide(weir_diff *diff, const weir_diff_options *options, weir_error *err) {
    merge_run run = {.diff = diff, .options = options};
    if (diff->parent_count == 0) {
        return WEIR_OK;
    }
    run.out = arena_alloc(&diff->memory, 1, sizeof *run.out);
    if (!run.out) {
        return weir_fail_nomem(err);
    }
    run.out->detail = "";
    run.out->rest = (double)NAN;
    diff->merge = run.out;
    weir_code code = keep_claim(&run, err);
    if (code == WEIR_OK) {
        code = list_works(&run, err);
    }
    if (code == WEIR_OK && run.work_count > WORKS_MAX) {
        code = merge_tell(&run, "more changed tensors than are asked", err);
    } else if (code == WEIR_OK && run.asked_count > 0) {
        code = find_merge(&run, err);
    }
    free(run.works);
    return code;
}
