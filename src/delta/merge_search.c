/* SPDX-License-Identifier: Apache-2.0 */
#include "delta/merge_search.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/checked.h"
#include "base/fail.h"
#include "delta/thresholds.h"

/* --- trying --- */

static size_t largest_sample(const merge_search *search) {
    size_t most = 0;
    for (size_t i = 0; i < search->sample_count; i++) {
        most = search->samples[i].count > most ? search->samples[i].count : most;
    }
    return most;
}

/* Score a candidate over all samples. */
static weir_code try_candidate(merge_candidate *what, const merge_search *search, weir_error *err) {
    WEIR_CLEANUP(merge_totals_release) merge_totals totals = {0};
    WEIR_CLEANUP(free) float *out = checked_alloc(largest_sample(search), sizeof *out);
    if (!out) {
        return weir_fail_nomem(err);
    }
    what->score = (merge_score){0};
    for (size_t i = 0; i < search->sample_count; i++) {
        WEIR_TRY(merge_replay_sample(&what->score, &what->recipe, &search->samples[i],
                                     what->columns, search->dtypes[i], &totals, out, err));
    }
    return WEIR_OK;
}

static double goodness(const merge_score *score) {
    return score->moved ? ((double)score->hit + score->near) / (double)score->moved : 0;
}

/* Keep the better; the earlier of equals. */
static weir_code compete(merge_candidate *best, merge_candidate *next, const merge_search *search,
                         weir_error *err) {
    WEIR_TRY(try_candidate(next, search, err));
    if (best->score.count == 0 || goodness(&next->score) > goodness(&best->score)) {
        *best = *next;
    }
    return WEIR_OK;
}

/* The dtypes that a tool may have computed in: of the numbers themselves, or float32. */
static size_t list_arithmetics(weir_dtype out[2], const merge_search *search) {
    out[0] = WEIR_DTYPE_F32;
    out[1] = search->effective == WEIR_DTYPE_F32 ? search->inputs : search->effective;
    return out[1] == WEIR_DTYPE_F32 ? 1 : 2;
}

static merge_candidate candidate_of(const merge_search *search, merge_method method,
                                    weir_dtype computed) {
    merge_candidate out = {.recipe = {.method = method,
                                      .count = search->parent_count,
                                      .lambda = 1,
                                      .computed = computed,
                                      .stored = search->effective}};
    for (size_t i = 0; i < search->parent_count; i++) {
        out.columns[i] = i;
        out.recipe.weights[i] = search->weights[i];
        out.recipe.densities[i] = 1;
    }
    return out;
}

/* --- the linear family --- */

static double snapped(double value, double steps) {
    return nearbyint(value * steps) / steps;
}

/* Steps of ways to write weights, plainest first; after them comes the fit itself. */
static const double snap_steps[] = {20, 100, 3, 6, 7, 8, 9, 11, 12, 13, 15};
enum { SNAPS = sizeof snap_steps / sizeof *snap_steps };

static bool snap_weights(double *out, const merge_search *search, size_t how) {
    for (size_t i = 0; i < search->parent_count; i++) {
        out[i] = how < SNAPS ? snapped(search->weights[i], snap_steps[how]) : search->weights[i];
        /* What is far from a grid is not written on it. */
        if (fabs(out[i] - search->weights[i]) > 0.03 + 0.1 * fabs(search->weights[i])) {
            return false;
        }
    }
    return true;
}

/* Where the weights do not sum to 1 the base has the rest. */
static void add_base_share(merge_candidate *what, const merge_search *search) {
    double sum = 0;
    for (size_t i = 0; i < search->parent_count; i++) {
        sum += what->recipe.weights[i];
    }
    const double scale = fabs(search->scale) > 1e-4 ? search->scale : 0;
    const double rest = snapped(1 - sum + scale, 1000);
    if (fabs(rest) > 0.004) {
        what->columns[what->recipe.count] = search->parent_count;
        what->recipe.weights[what->recipe.count++] = rest;
    }
}

/* A form with weights. @return false for one that does not take so many sources */
static bool write_candidate(merge_candidate *out, const merge_search *search,
                            const merge_recipe *form, const double *weights) {
    merge_candidate next = candidate_of(search, form->method, form->computed);
    next.recipe.is_in_dtype = form->is_in_dtype;
    next.recipe.is_on_base = form->is_on_base;
    next.recipe.lambda = form->lambda;
    next.recipe.stored = form->stored;
    for (size_t i = 0; i < search->parent_count; i++) {
        next.recipe.weights[i] = weights[i] / form->lambda;
    }
    if (form->method != MERGE_TASK_ARITHMETIC && !form->is_on_base) {
        add_base_share(&next, search);
    }
    const bool is_slerp = form->method == MERGE_SLERP || form->method == MERGE_NUSLERP;
    *out = next;
    return !is_slerp || next.recipe.count == 2;
}

weir_code merge_search_try(merge_candidate *best, const merge_search *search,
                           const merge_recipe *form, const double *weights, weir_error *err) {
    merge_candidate next;
    if (!write_candidate(&next, search, form, weights)) {
        return WEIR_OK;
    }
    WEIR_TRY(try_candidate(&next, search, err));
    if (best->score.count == 0 || next.score.hit >= best->score.hit) {
        *best = next;
    }
    return WEIR_OK;
}

/* One move: some weight to one parent, or from one to another. */
static weir_code shift(merge_candidate *best, bool *moved, const merge_search *search,
                       const merge_recipe *form, size_t to, size_t from, double step,
                       weir_error *err) {
    merge_candidate next;
    double weights[MERGE_PARENTS_MAX];
    for (size_t i = 0; i < search->parent_count; i++) {
        weights[i] = best->recipe.weights[i] * form->lambda;
    }
    weights[to] += step;
    if (from != to) {
        weights[from] -= step;
    }
    if (!write_candidate(&next, search, form, weights)) {
        return WEIR_OK;
    }
    WEIR_TRY(try_candidate(&next, search, err));
    if (goodness(&next.score) > goodness(&best->score)) {
        *best = next;
        *moved = true;
    }
    return WEIR_OK;
}

/* Weights between two layers' corners lie on no grid: look for them by halving steps, then for the
 * plainest fraction that does as well. */
static weir_code refine_weights(merge_candidate *best, const merge_search *search,
                                const merge_recipe *form, weir_error *err) {
    enum { FRACTIONS = 120 };
    const size_t count = search->parent_count;
    for (double step = 0.004; step > 2e-6; step /= 2) {
        bool moved = true;
        for (int round = 0; moved && round < 3; round++) {
            moved = false;
            for (size_t to = 0; to < count; to++) {
                for (size_t from = 0; from < count; from++) {
                    WEIR_TRY(shift(best, &moved, search, form, to, from, step, err));
                    WEIR_TRY(shift(best, &moved, search, form, to, from, -step, err));
                }
            }
        }
    }
    for (int n = 1; n <= FRACTIONS; n++) {
        double weights[MERGE_PARENTS_MAX];
        bool is_near = true;
        for (size_t i = 0; i < count; i++) {
            weights[i] = snapped(best->recipe.weights[i] * form->lambda, n);
            is_near = is_near && fabs(weights[i] - best->recipe.weights[i] * form->lambda) < 1e-4;
        }
        if (is_near) {
            return merge_search_try(best, search, form, weights, err);
        }
    }
    return WEIR_OK;
}

weir_code merge_search_weights(merge_candidate *best, const merge_search *search,
                               const merge_recipe *form, weir_error *err) {
    double weights[MERGE_PARENTS_MAX];
    merge_candidate next;
    for (size_t how = 0; how <= SNAPS; how++) {
        if (snap_weights(weights, search, how) && write_candidate(&next, search, form, weights)) {
            WEIR_TRY(compete(best, &next, search, err));
        }
    }
    const double share = merge_score_share(&best->score);
    return share > 0.6 && share < THRESHOLD_REPLAY_PROVED && best->score.moved > 1000
               ? refine_weights(best, search, form, err)
               : WEIR_OK;
}

size_t merge_search_forms(merge_recipe out[MERGE_FORMS_MAX], const merge_search *search) {
    static const double lambdas[] = {0.5, 0.6, 0.7, 0.75, 0.8, 0.9, 1.1, 1.2, 1.25, 1.5, 2};
    weir_dtype arithmetics[2];
    size_t count = 0;
    const size_t arithmetic_count = list_arithmetics(arithmetics, search);
    for (size_t i = 0; i < arithmetic_count; i++) {
        const merge_recipe any = {
            .computed = arithmetics[i], .stored = search->effective, .lambda = 1};
        const merge_recipe forms[] = {
            {.method = MERGE_LINEAR},          {.method = MERGE_LINEAR, .is_in_dtype = true},
            {.method = MERGE_TASK_ARITHMETIC}, {.method = MERGE_SLERP},
            {.method = MERGE_NUSLERP},         {.method = MERGE_NUSLERP, .is_on_base = true},
        };
        for (size_t f = 0; f < sizeof forms / sizeof *forms; f++) {
            out[count] = any;
            out[count].method = forms[f].method;
            out[count].is_in_dtype = forms[f].is_in_dtype;
            out[count++].is_on_base = forms[f].is_on_base;
        }
        for (size_t l = 0; l < sizeof lambdas / sizeof *lambdas; l++) {
            out[count] = any;
            out[count].method = MERGE_TASK_ARITHMETIC;
            out[count++].lambda = lambdas[l];
        }
    }
    return count;
}

/* --- descent --- */

typedef struct knob {
    double *value;
    double low;
    double high;
} knob;

/* Move one knob over a grid, keeping what is best. @return WEIR_OK; *moved says whether it did */
static weir_code turn(merge_candidate *at, const knob *by, double step, double reach, bool *moved,
                      const merge_search *search, weir_error *err) {
    const double start = *by->value;
    double best = start;
    merge_score best_score = at->score;
    const double low = fmax(by->low, snapped(start - reach, 1 / step));
    const double high = fmin(by->high, start + reach) + step / 4;
    for (int i = 0; low + i * step <= high; i++) {
        const double value = snapped(low + i * step, 1 / step);
        if (fabs(value - start) < 1e-9) {
            continue;
        }
        *by->value = value;
        WEIR_TRY(try_candidate(at, search, err));
        if (goodness(&at->score) > goodness(&best_score)) {
            best = value;
            best_score = at->score;
        }
    }
    *moved = *moved || best > start || best < start;
    *by->value = best;
    at->score = best_score;
    return WEIR_OK;
}

/* Over whole ranges first, then near what was found. */
static weir_code descend(merge_candidate *at, const knob *knobs, size_t count, double step,
                         double reach, const merge_search *search, weir_error *err) {
    enum { ROUNDS = 4 };
    bool moved = true;
    WEIR_TRY(try_candidate(at, search, err));
    for (int round = 0; moved && round < ROUNDS; round++) {
        moved = false;
        for (size_t k = 0; k < count; k++) {
            WEIR_TRY(turn(at, &knobs[k], step, reach, &moved, search, err));
        }
    }
    return WEIR_OK;
}

/* --- the sparse methods --- */

/* Densities that the numbers at the boundaries show, in steps of .05 or .01, if they do as well. */
static weir_code read_densities(merge_candidate *at, const merge_search *search, weir_error *err) {
    static const double steps[] = {100, 20};
    for (size_t s = 0; s < 2; s++) {
        merge_candidate next = *at;
        for (size_t i = 0; i < next.recipe.count; i++) {
            const double shown = at->score.densities[i] / (double)at->score.count;
            next.recipe.densities[i] = snapped(shown, steps[s]);
        }
        WEIR_TRY(try_candidate(&next, search, err));
        if (goodness(&next.score) >= goodness(&at->score)) {
            *at = next;
        }
    }
    return WEIR_OK;
}

enum { KNOBS_MAX = 2 * MERGE_PARENTS_MAX + 2 };

/* What is free in a sparse recipe. @return how many */
static size_t list_knobs(knob *knobs, merge_recipe *recipe) {
    const bool is_crumbs = recipe->method != MERGE_TIES;
    size_t count = 0;
    for (size_t i = 0; i < recipe->count; i++) {
        knobs[count++] = (knob){&recipe->densities[i], 0.05, 1};
    }
    for (size_t i = 0; i < recipe->count && (recipe->count > 1 || !recipe->is_normalised); i++) {
        knobs[count++] = (knob){&recipe->weights[i], 0.05, 2};
    }
    if (recipe->is_normalised) {
        knobs[count++] = (knob){&recipe->lambda, 0.1, 2};
    }
    if (is_crumbs) {
        knobs[count++] = (knob){&recipe->gamma, 0, 0.2};
    }
    return count;
}

/* Roughly, on part of the samples: enough to tell the methods apart. */
static weir_code sketch_sparse(merge_candidate *best, const merge_search *search,
                               merge_method method, bool is_normalised, weir_error *err) {
    weir_dtype arithmetics[2];
    const size_t arithmetic_count = list_arithmetics(arithmetics, search);
    merge_candidate at = candidate_of(search, method, arithmetics[arithmetic_count - 1]);
    knob knobs[KNOBS_MAX];
    at.recipe.is_normalised = is_normalised;
    at.recipe.gamma = method == MERGE_TIES ? 0 : 0.01;
    for (size_t i = 0; i < search->parent_count; i++) {
        at.recipe.densities[i] = 0.5;
        at.recipe.weights[i] = is_normalised ? 0.5 : fmax(0.1, snapped(search->weights[i], 10));
    }
    const size_t count = list_knobs(knobs, &at.recipe);
    WEIR_TRY(descend(&at, knobs, count, 0.1, 2, search, err));
    WEIR_TRY(descend(&at, knobs, count, 0.05, 0.15, search, err));
    if (best->score.count == 0 || goodness(&at.score) > goodness(&best->score)) {
        *best = at;
    }
    return WEIR_OK;
}

/* Of weights that are normalised only the ratios count, but for rounding: of all scales that put
 * them near steps of .05, the one that does best. */
static weir_code rescale(merge_candidate *at, const merge_search *search, weir_error *err) {
    enum { STEPS = 20, FIRST_MOST = 30 };
    static const double near_step = 0.013;
    const merge_recipe from = at->recipe;
    for (int first = 1; from.is_normalised && from.weights[0] > 0 && first <= FIRST_MOST; first++) {
        const double scale = (double)first / STEPS / from.weights[0];
        merge_candidate next = *at;
        bool is_near = true;
        for (size_t i = 0; i < from.count; i++) {
            const double wanted = from.weights[i] * scale;
            next.recipe.weights[i] = snapped(wanted, STEPS);
            is_near = is_near &&
                      fabs(next.recipe.weights[i] - wanted) < near_step * fmax(1, scale) &&
                      next.recipe.weights[i] > 0;
        }
        if (!is_near) {
            continue;
        }
        WEIR_TRY(try_candidate(&next, search, err));
        const double gain = goodness(&next.score) - goodness(&at->score);
        double sum = 0;
        for (size_t i = 0; i < from.count; i++) {
            sum += next.recipe.weights[i];
        }
        if (gain > 0 || (gain >= 0 && fabs(sum - 1) < 1e-9)) {
            *at = next;
        }
    }
    return WEIR_OK;
}

static weir_code refine_sparse(merge_candidate *best, const merge_search *search,
                               const merge_candidate *from, weir_dtype computed, weir_error *err) {
    merge_candidate at = *from;
    knob knobs[KNOBS_MAX];
    at.recipe.computed = computed;
    const size_t count = list_knobs(knobs, &at.recipe);
    WEIR_TRY(try_candidate(&at, search, err));
    WEIR_TRY(rescale(&at, search, err));
    WEIR_TRY(read_densities(&at, search, err));
    if (merge_score_share(&at.score) < THRESHOLD_REPLAY_PROVED) {
        WEIR_TRY(descend(&at, knobs, count, 0.01, 0.05, search, err));
        WEIR_TRY(rescale(&at, search, err));
        WEIR_TRY(read_densities(&at, search, err));
    }
    if (best->score.count == 0 || goodness(&at.score) > goodness(&best->score)) {
        *best = at;
    }
    return WEIR_OK;
}

static weir_code try_sparse(merge_candidate *best, const merge_search *search, weir_error *err) {
    enum { PART = 1 << 12, SAMPLES_MAX = 8 };
    static const struct {
        merge_method method;
        bool is_normalised;
    } ways[] = {{MERGE_TIES, true},
                {MERGE_TIES, false},
                {MERGE_BREADCRUMBS, false},
                {MERGE_BREADCRUMBS_TIES, false}};
    merge_sample parts[SAMPLES_MAX];
    merge_search small = *search;
    small.samples = parts;
    small.sample_count = search->sample_count < SAMPLES_MAX ? search->sample_count : SAMPLES_MAX;
    for (size_t i = 0; i < small.sample_count; i++) {
        parts[i] = search->samples[i];
        parts[i].count = parts[i].count < PART ? parts[i].count : PART;
    }
    merge_candidate rough = {.score = {.count = 0}};
    for (size_t w = 0; w < sizeof ways / sizeof *ways; w++) {
        WEIR_TRY(sketch_sparse(&rough, &small, ways[w].method, ways[w].is_normalised, err));
    }
    weir_dtype arithmetics[2];
    const size_t count = list_arithmetics(arithmetics, search);
    for (size_t i = 0; i < count; i++) {
        WEIR_TRY(refine_sparse(best, search, &rough, arithmetics[i], err));
    }
    return WEIR_OK;
}

static weir_code try_sce(merge_candidate *best, const merge_search *search, weir_dtype computed,
                         weir_error *err) {
    merge_candidate at = candidate_of(search, MERGE_SCE, computed);
    WEIR_TRY(compete(best, &at, search, err));
    at.recipe.densities[0] = 0.5;
    const knob density = {&at.recipe.densities[0], 0.05, 0.99};
    WEIR_TRY(descend(&at, &density, 1, 0.05, 1, search, err));
    WEIR_TRY(descend(&at, &density, 1, 0.01, 0.04, search, err));
    if (goodness(&at.score) > goodness(&best->score)) {
        *best = at;
    }
    return WEIR_OK;
}

/* --- methods with few free numbers --- */

static weir_code try_means(merge_candidate *best, const merge_search *search, weir_dtype computed,
                           weir_error *err) {
    static const merge_method methods[] = {MERGE_KARCHER, MERGE_MULTISLERP};
    for (size_t m = 0; m < 2; m++) {
        for (int on_base = 0; on_base < (methods[m] == MERGE_MULTISLERP ? 2 : 1); on_base++) {
            merge_candidate next = candidate_of(search, methods[m], computed);
            next.recipe.is_on_base = on_base > 0;
            double sum = 0;
            for (size_t i = 0; i < next.recipe.count; i++) {
                sum += next.recipe.weights[i];
            }
            for (size_t i = 0; i < next.recipe.count; i++) {
                next.recipe.weights[i] = snapped(next.recipe.weights[i] / sum, 20);
            }
            WEIR_TRY(compete(best, &next, search, err));
        }
    }
    return WEIR_OK;
}

static weir_code try_plain(merge_candidate *best, const merge_search *search, weir_dtype computed,
                           weir_error *err) {
    static const merge_method methods[] = {MERGE_MODEL_STOCK, MERGE_RAM, MERGE_RAM_PLUS};
    for (size_t m = 0; m < sizeof methods / sizeof *methods; m++) {
        merge_candidate next = candidate_of(search, methods[m], computed);
        WEIR_TRY(compete(best, &next, search, err));
    }
    return WEIR_OK;
}

static int by_size(const void *left, const void *right) {
    const double a = *(const double *)left;
    const double b = *(const double *)right;
    return (a > b) - (a < b);
}

/* Where the sources are far apart nearswap moves by t: the median of |model - first| there. */
static double guess_swap(const merge_search *search, size_t from, size_t to) {
    enum { MOST = 8192 };
    double moves[MOST];
    size_t count = 0;
    for (size_t s = 0; s < search->sample_count; s++) {
        const merge_sample *sample = &search->samples[s];
        for (size_t i = 0; i < sample->count && count < MOST; i++) {
            const double move = fabs((double)sample->model[i] - (double)sample->parents[from][i]);
            const double apart =
                fabs((double)sample->parents[to][i] - (double)sample->parents[from][i]);
            if (move > 0 && apart > 2 * move) {
                moves[count++] = move;
            }
        }
    }
    qsort(moves, count, sizeof *moves, by_size);
    return count > 100 ? moves[count / 2] : 0;
}

static weir_code try_swaps(merge_candidate *best, const merge_search *search, weir_dtype computed,
                           weir_error *err) {
    const size_t sides = search->parent_count + 1;
    for (size_t from = 0; from < sides && sides <= 3; from++) {
        for (size_t to = 0; to < sides; to++) {
            const double t = from == to ? 0 : guess_swap(search, from, to);
            if (!(t > 0)) {
                continue;
            }
            const double digit = pow(10, floor(log10(t)));
            const double values[] = {nearbyint(t / digit) * digit,
                                     nearbyint(t / digit * 10) * digit / 10, t};
            for (size_t v = 0; v < 3; v++) {
                merge_candidate next = candidate_of(search, MERGE_NEARSWAP, computed);
                next.recipe.count = 2;
                next.columns[0] = from;
                next.columns[1] = to;
                next.recipe.lambda = values[v];
                WEIR_TRY(compete(best, &next, search, err));
            }
        }
    }
    return WEIR_OK;
}

weir_code merge_search_others(merge_candidate *out, const merge_search *search, weir_error *err) {
    weir_dtype arithmetics[2];
    *out = (merge_candidate){.score = {.count = 0}};
    const size_t count = list_arithmetics(arithmetics, search);
    for (size_t i = 0; i < count; i++) {
        WEIR_TRY(try_plain(out, search, arithmetics[i], err));
        WEIR_TRY(try_means(out, search, arithmetics[i], err));
        WEIR_TRY(try_swaps(out, search, arithmetics[i], err));
    }
    for (size_t i = 0; i < count && merge_score_share(&out->score) < THRESHOLD_MERGE_FITS; i++) {
        WEIR_TRY(try_sce(out, search, arithmetics[i], err));
    }
    return merge_score_share(&out->score) < THRESHOLD_MERGE_FITS ? try_sparse(out, search, err)
                                                                 : WEIR_OK;
}
