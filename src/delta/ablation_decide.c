/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Everything is pooled over the matrices, each energy over |W|^2 of its matrix: matrices that the
 * edit left alone weigh nothing, and one odd matrix does not decide.
 */
#include <math.h>
#include <stdlib.h>

#include "base/checked.h"
#include "base/cleanup.h"
#include "base/fail.h"
#include "delta/ablation_evidence.h"
#include "delta/thresholds.h"

/* One candidate in one form, over all matrices. */
typedef struct summary {
    size_t measured; /* matrices */
    size_t edited;
    size_t edited_layers;
    double share;
    double identity;
    double in_range; /* share of the explained energy whose lambda an ablation can have */
    double own;      /* medians over the edited matrices */
    double axis;
    double mean;
} summary;

/* What is known to be rounding. Of blocks it is known to a few per cent only; beyond that the rest
 * counts as change when it has structure. */
static double sure_rounding(const ablation_evidence *item, int form) {
    const double rounding = item->rounding[form];
    if (!isfinite(rounding)) {
        return INFINITY;
    }
    return item->is_rounding_exact ? rounding : rounding * THRESHOLD_ABLATION_BLOCK_ROUNDING;
}

/* Energy of the change above rounding: by what rounding is known to be, or by the directions that
 * stand above the edge of anything structureless. */
static double energy_above(const ablation_evidence *item, int form, const ablation_fit *fit,
                           double explained) {
    const double above = fit->left_square - sure_rounding(item, form);
    return fmax(fmax(above, item->structured[form]), explained);
}

static ablation_matrix describe(const ablation_evidence *item, int form, const ablation_fit *fit) {
    ablation_matrix out = {.row = item->row, .own = item->own[form]};
    if (!(fit->base_square > 0)) {
        return out;
    }
    const double explained = fmax(fit->left_square - fit->rest_square, 0);
    const double above = energy_above(item, form, fit, explained);
    const double numbers = (double)item->count * (double)item->width;
    /* Rounding adds to |r|^2 what falls on one dimension of the stream. */
    const double rounding = isfinite(item->rounding[form]) ? item->rounding[form] : 0;
    const double along =
        fmax(fit->along_square - rounding / (double)item->width, fit->along_fitted);
    out.change = fit->left_square / fit->base_square;
    out.noise = item->rounding[form] / fit->base_square;
    out.share = above > 0 ? explained / above : 0;
    out.identity = along > 0 ? sqrt(fit->along_fitted / along) : 0;
    out.lambda = fit->strength;
    out.is_edited = explained > THRESHOLD_ABLATION_EDITED_CHI2 * fit->rest_square / numbers &&
                    fabs(fit->strength) > THRESHOLD_ABLATION_LAMBDA_LOW;
    return out;
}

static int compare_rising(const void *a, const void *b) {
    const double x = *(const double *)a;
    const double y = *(const double *)b;
    return (x > y) - (x < y);
}

/* `values` is sorted. */
static double median(double *values, size_t count) {
    qsort(values, count, sizeof *values, compare_rising);
    return count > 0 ? values[count / 2] : 0;
}

typedef struct medians {
    double *own; /* one number for each edited matrix */
    double *axis;
    double *mean;
} medians;

static void summarise(summary *out, ablation_matrix *matrices, const ablation_pool *pool, int form,
                      int candidate, const medians *room) {
    *out = (summary){0};
    double explained = 0;
    double above = 0;
    double along = 0;
    double fitted = 0;
    double in_range = 0;
    int32_t last_layer = -1;
    for (size_t i = 0; i < pool->count; i++) {
        const ablation_evidence *const item = &pool->items[i];
        const ablation_fit *const fit = &item->fits[form][candidate];
        matrices[i] = describe(item, form, fit);
        if (!(fit->base_square > 0)) {
            continue;
        }
        const double energy = fmax(fit->left_square - fit->rest_square, 0);
        out->measured++;
        explained += energy / fit->base_square;
        above += energy_above(item, form, fit, energy) / fit->base_square;
        if (!matrices[i].is_edited) {
            continue;
        }
        const double cosine = matrices[i].identity;
        along += cosine > 0 ? fit->along_fitted / (cosine * cosine) / fit->base_square : 0;
        fitted += fit->along_fitted / fit->base_square;
        in_range += fit->strength > 0 && fit->strength < THRESHOLD_ABLATION_LAMBDA_HIGH
                        ? energy / fit->base_square
                        : 0;
        room->own[out->edited] = item->own[form];
        room->axis[out->edited] = fit->axis;
        room->mean[out->edited] = fit->mean;
        out->edited++;
        out->edited_layers += item->layer >= 0 && item->layer != last_layer;
        last_layer = item->layer;
    }
    out->share = above > 0 ? explained / above : 0;
    out->identity = along > 0 ? sqrt(fitted / along) : 0;
    out->in_range = explained > 0 ? in_range / explained : 0;
    out->own = median(room->own, out->edited);
    out->axis = median(room->axis, out->edited);
    out->mean = median(room->mean, out->edited);
}

/* What is missing; NULL when nothing is. */
static const char *missing(ablation_answer *answer, const summary *of, const ablation_pool *pool,
                           size_t directions, int candidate) {
    const bool by_eigenvalue = candidate == ABLATION_CANDIDATE_EIGEN;
    *answer = ABLATION_NO;
    if (of->identity < THRESHOLD_ABLATION_IDENTITY) {
        return "the change along its directions does not follow what the base writes there";
    }
    if (!by_eigenvalue && of->share < THRESHOLD_ABLATION_SHARE) {
        return "shared directions explain too little of the change";
    }
    if (by_eigenvalue && pool->eigen_in_change < THRESHOLD_ABLATION_EIGEN_IN_CHANGE) {
        return "the direction written to least is not one along which the matrices changed";
    }
    if (of->in_range < THRESHOLD_ABLATION_SHARE) {
        return "the directions were turned round or written more of, not taken out";
    }
    if ((by_eigenvalue ? pool->eigen_own : of->own) > THRESHOLD_ABLATION_OWN) {
        return "each matrix changed along a singular vector of its own";
    }
    if (of->axis > THRESHOLD_ABLATION_AXIS) {
        return "the directions are axes of the residual stream";
    }
    if (of->mean > THRESHOLD_ABLATION_MEAN) {
        return "what was taken out is the mean over the residual stream";
    }
    const bool is_few = candidate == ABLATION_CANDIDATE_LAYER
                            ? of->edited_layers < THRESHOLD_ABLATION_LAYERS
                            : of->edited < THRESHOLD_ABLATION_MATRICES_PER_DIRECTION * directions;
    if (is_few) {
        *answer = ABLATION_CANNOT_DECIDE;
        return "too few matrices show it to tell whether they share their directions";
    }
    *answer = ABLATION_YES;
    return NULL;
}

static void fill(ablation_verdict *out, const summary *of, const ablation_pool *pool, int form,
                 int candidate) {
    out->matrix_count = pool->count;
    out->edited_count = of->edited;
    out->identity = of->identity;
    out->share = of->share;
    out->own = of->own;
    out->axis = of->axis;
    out->mean = of->mean;
    out->directions = pool->directions[form][candidate];
    out->by_eigenvalue = candidate == ABLATION_CANDIDATE_EIGEN;
    out->by_row_norms = form == ABLATION_FORM_ROW_NORMS;
    out->scope =
        candidate == ABLATION_CANDIDATE_LAYER ? ABLATION_SCOPE_PER_LAYER : ABLATION_SCOPE_GLOBAL;
}

/* A decided answer beats an undecided one, which beats none; then the larger share. */
static bool is_better(ablation_answer answer, double share, ablation_answer best,
                      double best_share) {
    static const int ranks[] = {
        [ABLATION_NO] = 0, [ABLATION_CANNOT_DECIDE] = 1, [ABLATION_YES] = 2};
    return ranks[answer] > ranks[best] || (answer == best && share > best_share);
}

weir_code ablation_decide(ablation_verdict *out, const ablation_pool *pool, weir_error *err) {
    WEIR_CLEANUP(free) double *memory = checked_alloc(pool->count, 3 * sizeof *memory);
    if (!memory) {
        return weir_fail_nomem(err);
    }
    const medians room = {memory, memory + pool->count, memory + 2 * pool->count};
    int best_form = 0;
    int best_candidate = -1;
    double best_share = -1;
    out->answer = ABLATION_NO;
    out->why = "no write matrix changed";
    for (int candidate = 0; candidate < ABLATION_CANDIDATE_COUNT; candidate++) {
        for (int form = 0; form < ABLATION_FORM_COUNT; form++) {
            if (pool->directions[form][candidate] == 0) {
                continue;
            }
            summary of;
            ablation_answer answer;
            summarise(&of, out->matrices, pool, form, candidate, &room);
            const char *const why =
                missing(&answer, &of, pool, pool->directions[form][candidate], candidate);
            if (is_better(answer, of.share, out->answer, best_share)) {
                out->answer = answer;
                out->why = why;
                best_share = of.share;
                best_form = form;
                best_candidate = candidate;
            }
        }
        if (candidate == ABLATION_CANDIDATE_ONE && out->answer == ABLATION_YES) {
            break;
        }
    }
    out->eigen_ratio = pool->eigen_ratio;
    out->eigen_in_change = pool->eigen_in_change;
    if (best_candidate >= 0) {
        summary of;
        summarise(&of, out->matrices, pool, best_form, best_candidate, &room);
        fill(out, &of, pool, best_form, best_candidate);
    }
    return WEIR_OK;
}
