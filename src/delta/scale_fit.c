/* SPDX-License-Identifier: Apache-2.0 */
#include "delta/scale_fit.h"

#include <math.h>
#include <stdlib.h>

#include "base/checked.h"
#include "base/fail.h"
#include "delta/rounding.h"
#include "delta/thresholds.h"

enum { ROUNDS_MOST = 16 };

/* Beyond the box by half of the way: one factor overshoots more than a matrix does. */
static const float relax = 1.5F;

/* One axis at work. Factors are kept less 1. */
typedef struct fit {
    const matrix_look *look;
    scale_axis axis;
    size_t count; /* of factors */
    double *factors;
    double *cross;
    double *square;
    float *half;   /* of one row */
    float *stored; /* numbers of one row */
    bool has_steps;
    bool is_first; /* plain least squares of the change */
    double excess;
    double steps;
    double left;
} fit;

static void fit_release_cleanup(fit *at) {
    free(at->factors);
    free(at->half);
}

static size_t factor_at(const fit *at, size_t row, size_t col) {
    return at->axis == SCALE_ALL ? 0 : at->axis == SCALE_ROW ? row : col;
}

static weir_code begin(fit *out, const matrix_look *look, scale_axis axis, weir_error *err) {
    const size_t count = axis == SCALE_ALL ? 1 : axis == SCALE_ROW ? look->rows : look->cols;
    out->look = look;
    out->axis = axis;
    out->count = count;
    out->factors = calloc(3 * count, sizeof *out->factors);
    out->half = checked_alloc(2 * look->cols, sizeof *out->half);
    if (!out->factors || !out->half) {
        return weir_fail_nomem(err);
    }
    out->cross = out->factors + count;
    out->square = out->cross + count;
    out->stored = out->half + look->cols;
    out->has_steps = !isnan(look->rounding);
    return WEIR_OK;
}

/* How far a row's numbers may lie from what they were; none where steps are not known. */
static void find_reach(fit *at, const float *base, const float *change) {
    const size_t cols = at->look->cols;
    for (size_t j = 0; j < cols; j++) {
        at->stored[j] = base[j] + change[j];
        at->half[j] = 0;
    }
    at->has_steps =
        at->has_steps && rounding_half_steps(at->half, at->look->dtype, at->stored, cols);
    if (at->look->is_twice_rounded) {
        for (size_t j = 0; j < cols; j++) {
            at->half[j] *= 2;
        }
    }
}

static void pass_row(fit *at, size_t row) {
    const size_t cols = at->look->cols;
    const float *const base = at->look->base + row * cols;
    const float *const change = at->look->change + row * cols;
    find_reach(at, base, change);
    for (size_t j = 0; j < cols; j++) {
        const size_t k = factor_at(at, row, j);
        const float value = (float)at->factors[k] * base[j];
        const float low = change[j] - at->half[j];
        const float high = change[j] + at->half[j];
        const float away = value < low ? low - value : value > high ? high - value : 0;
        const double rest = (double)change[j] - (double)value;
        at->left += rest * rest;
        if (change[j] != 0.0F) {
            at->excess += (double)away * (double)away;
            at->steps += (double)at->half[j] * (double)at->half[j];
        }
        const float target = at->is_first ? change[j] : value + relax * away;
        at->cross[k] += (double)target * (double)base[j];
        at->square[k] += (double)base[j] * (double)base[j];
    }
}

static void pass(fit *at) {
    at->excess = 0;
    at->steps = 0;
    at->left = 0;
    for (size_t k = 0; k < at->count; k++) {
        at->cross[k] = 0;
        at->square[k] = 0;
    }
    for (size_t i = 0; i < at->look->rows; i++) {
        pass_row(at, i);
    }
}

static void take_factors(fit *at) {
    for (size_t k = 0; k < at->count; k++) {
        at->factors[k] = at->square[k] > 0 ? at->cross[k] / at->square[k] : 0;
    }
}

static void summarise(scale_fit *out, const fit *at) {
    double sum = 0;
    double square = 0;
    for (size_t k = 0; k < at->count; k++) {
        sum += at->factors[k];
        square += at->factors[k] * at->factors[k];
    }
    const double mean = sum / (double)at->count;
    const double variance = square / (double)at->count - mean * mean;
    *out = (scale_fit){.axis = at->axis,
                       .factor = 1 + mean,
                       .spread = variance > 0 ? sqrt(variance) : 0,
                       .left = at->left / at->look->change_square,
                       .excess = at->has_steps && at->steps > 0 ? 3 * at->excess / at->steps
                                                                : (double)NAN};
}

static weir_code fit_axis(scale_fit *out, const matrix_look *look, scale_axis axis,
                          weir_error *err) {
    WEIR_CLEANUP(fit_release) fit work = {0};
    WEIR_TRY(begin(&work, look, axis, err));
    double last = (double)INFINITY;
    for (int i = 0; i < ROUNDS_MOST; i++) {
        work.is_first = i == 0;
        pass(&work);
        summarise(out, &work);
        const bool is_stuck = i >= 2 && out->excess > 1 && out->excess > 0.8 * last;
        if (out->excess <= THRESHOLD_RANK_EXCESS / 4 || is_stuck) {
            return WEIR_OK;
        }
        last = out->excess;
        take_factors(&work);
    }
    return WEIR_OK;
}

/* Of a block dtype's wide steps a box says little: what is left must have the square of rounding
 * too. */
static bool is_rounding(const scale_fit *found, const matrix_look *look) {
    const double count = (double)look->rows * (double)look->cols;
    const double rest = found->left * look->change_square;
    const double grown = found->factor * found->factor + found->spread * found->spread;
    return found->excess <= THRESHOLD_RANK_EXCESS &&
           (rounding_mantissa_bits(look->dtype) >= 0 ||
            rest <= THRESHOLD_NOISE_SQUARE * look->rounding * grown * count);
}

weir_code scale_fit_find(scale_fit *out, const matrix_look *look, weir_error *err) {
    static const scale_axis axes[] = {SCALE_ALL, SCALE_ROW, SCALE_COLUMN};
    scale_fit best = {.factor = 1, .left = 1, .excess = (double)NAN};
    if (!(look->change_square > 0)) {
        best.left = 0;
        *out = best;
        return WEIR_OK;
    }
    for (size_t k = 0; k < sizeof axes / sizeof *axes; k++) {
        scale_fit found;
        WEIR_TRY(fit_axis(&found, look, axes[k], err));
        if (is_rounding(&found, look)) {
            *out = found;
            return WEIR_OK;
        }
        if (found.left < best.left) {
            best = found;
        }
    }
    best.axis = SCALE_NONE;
    *out = best;
    return WEIR_OK;
}
