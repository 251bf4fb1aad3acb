/* SPDX-License-Identifier: Apache-2.0 */
#include "delta/box_fit.h"

#include <assert.h>
#include <cblas.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/checked.h"
#include "base/fail.h"
#include "delta/rounding.h"

enum {
    ROUNDS_MOST = 64,
    ROUNDS_LEAST = 4,
    PIECE_ELEMENTS = 1 << 16, /* rows that are projected together */
    START_SEED = 1,
};

/* Just short of 2, where a projection becomes a reflection: falls fastest without going round. */
static const float relax = 1.9F;

/* A fit whose excess falls by less than this in a round has arrived. */
static const double still_falling = 0.985;

/* float32 sums of the merge and of the fit are good to this part of the change's own size. */
static const double arithmetic = 0x1p-19;

/* One fit at work. Arrays stand in the scratch. */
typedef struct fit {
    const matrix_look *look;
    bool with_scale;
    size_t rank;
    float slack;        /* added to every half step */
    float *target;      /* [rows, cols]: x - diag(c) w */
    float *scale;       /* [rows]: c */
    float *left;        /* [rank, rows]: singular vectors times their values */
    const float *right; /* [rank, cols] */
    float *piece;       /* L of some rows */
    float *stored;      /* the model's numbers of the same rows */
    float *half;        /* and their half steps */
    size_t piece_rows;
    double excess;
    double steps;
    size_t changed;
    size_t inside;
} fit;

static weir_code make_room(fit *out, box_fit_scratch *scratch, weir_error *err) {
    const matrix_look *const look = out->look;
    const size_t elements = look->rows * look->cols;
    out->piece_rows = look->cols >= PIECE_ELEMENTS ? 1 : PIECE_ELEMENTS / look->cols;
    out->piece_rows = out->piece_rows < look->rows ? out->piece_rows : look->rows;
    const size_t piece = out->piece_rows * look->cols;
    const size_t vectors = look->rows * out->rank;
    const size_t wanted = elements + look->rows + vectors + 3 * piece;
    if (wanted > scratch->capacity) {
        free(scratch->memory);
        scratch->memory = checked_alloc(wanted, sizeof *scratch->memory);
        scratch->capacity = scratch->memory ? wanted : 0;
    }
    if (!scratch->memory) {
        return weir_fail_nomem(err);
    }
    out->target = scratch->memory;
    out->scale = out->target + elements;
    out->left = out->scale + look->rows;
    out->piece = out->left + vectors;
    out->stored = out->piece + piece;
    out->half = out->stored + piece;
    return WEIR_OK;
}

/* <x, w> / <w, w>, 0 for a zero row. */
static float factor_of(const float *x, const float *w, size_t count) {
    double cross = 0;
    double square = 0;
    for (size_t i = 0; i < count; i++) {
        cross += (double)x[i] * (double)w[i];
        square += (double)w[i] * (double)w[i];
    }
    return square > 0 ? (float)(cross / square) : 0;
}

static void subtract_scaled(float *x, float factor, const float *w, size_t count) {
    for (size_t i = 0; i < count; i++) {
        x[i] -= factor * w[i];
    }
}

/* The target before any fit: the change, less the row scale that fits it best. */
static void begin_target(fit *at) {
    const matrix_look *const look = at->look;
    memcpy(at->target, look->change, look->rows * look->cols * sizeof *at->target);
    for (size_t i = 0; i < look->rows; i++) {
        const float *const w = look->base + i * look->cols;
        float *const x = at->target + i * look->cols;
        at->scale[i] = at->with_scale ? factor_of(x, w, look->cols) : 0;
        if (at->with_scale) {
            subtract_scaled(x, at->scale[i], w, look->cols);
        }
    }
}

static weir_code begin(fit *out, const matrix_look *look, bool with_scale, size_t rank,
                       box_fit_scratch *scratch, weir_error *err) {
    const double count = (double)look->rows * (double)look->cols;
    *out = (fit){.look = look,
                 .with_scale = with_scale,
                 .rank = rank,
                 .slack = (float)(arithmetic * sqrt(look->change_square / count))};
    WEIR_TRY(make_room(out, scratch, err));
    begin_target(out);
    return WEIR_OK;
}

static weir_code keep_start(box_fit_scratch *scratch, const spectrum *found, size_t cols,
                            weir_error *err) {
    const size_t wanted = found->count * cols;
    if (wanted > scratch->start_capacity) {
        free(scratch->start);
        scratch->start = checked_alloc(wanted, sizeof *scratch->start);
        scratch->start_capacity = scratch->start ? wanted : 0;
    }
    if (!scratch->start) {
        return weir_fail_nomem(err);
    }
    memcpy(scratch->start, found->right, wanted * sizeof *scratch->start);
    scratch->start_count = found->count;
    return WEIR_OK;
}

weir_code box_fit_begin(spectrum *out, const matrix_look *look, bool with_row_scale, size_t count,
                        box_fit_scratch *scratch, weir_error *err) {
    assert(look->rows > 0 && look->cols > 0);
    fit work;
    WEIR_TRY(begin(&work, look, with_row_scale, 0, scratch, err));
    const spectrum_options options = {.count = count,
                                      .oversample = 16,
                                      .power_iterations = 2,
                                      .seed = START_SEED,
                                      .with_vectors = true};
    spectrum found;
    WEIR_TRY(spectrum_find(&found, work.target, look->rows, look->cols, &options, &scratch->spectra,
                           err));
    assert(found.count > 0); /* a look holds finite numbers only */
    WEIR_TRY(keep_start(scratch, &found, look->cols, err));
    *out = found;
    out->left = NULL;
    out->right = NULL;
    return WEIR_OK;
}

/* Cut one row's fit to its boxes and go beyond; the fit is in `x`, without the row scale. */
static void project_row(fit *at, float *x, const float *w, const float *change, const float *half,
                        float factor) {
    double excess = 0;
    double steps = 0;
    size_t changed = 0;
    size_t inside = 0;
    for (size_t j = 0; j < at->look->cols; j++) {
        const float value = x[j] + factor * w[j];
        const float reach = half[j] + at->slack;
        const float low = change[j] - reach;
        const float high = change[j] + reach;
        const float cut = value < low ? low : value > high ? high : value;
        const float away = cut - value;
        if (change[j] != 0.0F) {
            excess += (double)away * (double)away;
            steps += (double)reach * (double)reach;
            changed++;
            inside += away == 0.0F;
        }
        x[j] = value + relax * away;
    }
    at->excess += excess;
    at->steps += steps;
    at->changed += changed;
    at->inside += inside;
}

/* After the projection: the row's new factor, and the target without it. */
static void rescale_row(fit *at, size_t row, float *x, const float *low_rank, const float *w) {
    double cross = 0;
    double square = 0;
    for (size_t j = 0; j < at->look->cols; j++) {
        cross += ((double)x[j] - (double)low_rank[j]) * (double)w[j];
        square += (double)w[j] * (double)w[j];
    }
    at->scale[row] = square > 0 ? (float)(cross / square) : 0;
    subtract_scaled(x, at->scale[row], w, at->look->cols);
}

static void multiply_piece(const fit *at, size_t row, size_t rows) {
    const size_t cols = at->look->cols;
    if (at->rank == 0) {
        memset(at->piece, 0, rows * cols * sizeof *at->piece);
        return;
    }
    cblas_sgemm(CblasRowMajor, CblasTrans, CblasNoTrans, (int)rows, (int)cols, (int)at->rank, 1.0F,
                at->left + row, (int)at->look->rows, at->right, (int)cols, 0.0F, at->piece,
                (int)cols);
}

/* Cut the whole fit to its boxes. */
static void project(fit *at) {
    const matrix_look *const look = at->look;
    at->excess = 0;
    at->steps = 0;
    at->changed = 0;
    at->inside = 0;
    for (size_t row = 0; row < look->rows; row += at->piece_rows) {
        const size_t left = look->rows - row;
        const size_t rows = left < at->piece_rows ? left : at->piece_rows;
        const size_t first = row * look->cols;
        const size_t count = rows * look->cols;
        for (size_t i = 0; i < count; i++) {
            at->stored[i] = look->base[first + i] + look->change[first + i];
        }
        const bool is_known = rounding_half_steps(at->half, look->dtype, at->stored, count);
        assert(is_known);
        (void)is_known;
        if (look->is_twice_rounded) {
            for (size_t i = 0; i < count; i++) {
                at->half[i] *= 2;
            }
        }
        multiply_piece(at, row, rows);
        for (size_t i = 0; i < rows; i++) {
            const size_t offset = first + i * look->cols;
            float *const x = at->target + offset;
            memcpy(x, at->piece + i * look->cols, look->cols * sizeof *x);
            project_row(at, x, look->base + offset, look->change + offset,
                        at->half + i * look->cols, at->scale[row + i]);
            if (at->with_scale) {
                rescale_row(at, row + i, x, at->piece + i * look->cols, look->base + offset);
            }
        }
    }
}

/* The target's largest triplets become the fit, and its right vectors the next start. */
static weir_code take_triplets(fit *at, box_fit *out, box_fit_scratch *scratch, float *vectors,
                               weir_error *err) {
    const matrix_look *const look = at->look;
    const size_t width = at->rank + BOX_FIT_SPARE;
    spectrum found;
    const spectrum_options options = {
        .count = width, .seed = START_SEED, .with_vectors = true, .start = vectors};
    WEIR_TRY(spectrum_find(&found, at->target, look->rows, look->cols, &options, &scratch->spectra,
                           err));
    at->rank = at->rank < found.count ? at->rank : found.count;
    for (size_t i = 0; i < at->rank; i++) {
        for (size_t j = 0; j < look->rows; j++) {
            at->left[i * look->rows + j] = (float)found.values[i] * found.left[i * look->rows + j];
        }
    }
    memcpy(vectors, found.right, found.count * look->cols * sizeof *vectors);
    at->right = vectors;
    out->count = found.count;
    memcpy(out->values, found.values, sizeof out->values);
    return WEIR_OK;
}

static double deviation(const float *values, size_t count) {
    double sum = 0;
    double square = 0;
    for (size_t i = 0; i < count; i++) {
        sum += (double)values[i];
    }
    const double mean = sum / (double)count;
    for (size_t i = 0; i < count; i++) {
        square += ((double)values[i] - mean) * ((double)values[i] - mean);
    }
    return sqrt(square / (double)count);
}

static void summarise(box_fit *out, const fit *at) {
    out->excess = at->steps > 0 ? 3 * at->excess / at->steps : 0;
    out->reproduced = at->changed > 0 ? (double)at->inside / (double)at->changed : 1;
    out->scale_std = at->with_scale ? deviation(at->scale, at->look->rows) : 0;
}

weir_code box_fit_run(box_fit *out, const matrix_look *look, bool with_row_scale, size_t rank,
                      double enough, box_fit_scratch *scratch, weir_error *err) {
    assert(rank <= BOX_FIT_RANK_MAX);
    fit work;
    box_fit found = {0};
    double before = INFINITY;
    WEIR_TRY(begin(&work, look, with_row_scale, rank, scratch, err));
    const size_t width = rank + BOX_FIT_SPARE;
    WEIR_CLEANUP(free) float *vectors = calloc(width * look->cols, sizeof *vectors);
    if (!vectors) {
        return weir_fail_nomem(err);
    }
    const size_t known = width < scratch->start_count ? width : scratch->start_count;
    memcpy(vectors, scratch->start, known * look->cols * sizeof *vectors);
    for (int i = 0; i < ROUNDS_MOST; i++) {
        WEIR_TRY(take_triplets(&work, &found, scratch, vectors, err));
        project(&work);
        summarise(&found, &work);
        const bool is_stuck = i >= ROUNDS_LEAST && found.excess > still_falling * before;
        if (found.excess <= enough || is_stuck) {
            break;
        }
        before = found.excess;
    }
    *out = found;
    return WEIR_OK;
}

void box_fit_scratch_release(box_fit_scratch *scratch) {
    spectrum_scratch_release(&scratch->spectra);
    free(scratch->memory);
    free(scratch->start);
    *scratch = (box_fit_scratch){0};
}
