/* SPDX-License-Identifier: Apache-2.0 */
#include "delta/ablation_eigen.h"

#include <cblas.h>
#include <math.h>
#include <stdlib.h>

#include "base/checked.h"
#include "base/fail.h"
#include "delta/thresholds.h"
#include "kernel/smallest_values.h"

enum {
    VECTORS_PER_DIMENSION = 8,
    VECTORS_PER_WIDE_DIMENSION = 4, /* of streams wider than WIDE */
    WIDE = 2048,
    ABLATION_EIGEN_WIDTH_MAX = 5120, /* two sums of 200 MiB */
};

typedef struct sums {
    double *model; /* [width, width] */
    double *base;
    size_t width;
    size_t vectors;
} sums;

static inline void sums_release_cleanup(sums *both) {
    free(both->model);
    free(both->base);
}

static double square_of(const float *numbers, size_t count) {
    double total = 0;
    for (size_t i = 0; i < count; i++) {
        total += (double)numbers[i] * (double)numbers[i];
    }
    return total;
}

static weir_code add_matrix(sums *both, residual_writes *writes, const weir_diff *diff, size_t row,
                            size_t vectors, unsigned threads, weir_error *err) {
    WEIR_TRY(residual_writes_read(writes, diff, &diff->tensors[row], vectors * both->width, err));
    const size_t numbers = writes->count * writes->width;
    const double base_square = square_of(writes->base, numbers);
    for (size_t i = 0; i < numbers; i++) {
        writes->change[i] += writes->base[i];
    }
    const double model_square = square_of(writes->change, numbers);
    if (!(base_square > 0) || !(model_square > 0)) {
        return WEIR_OK;
    }
    both->vectors += writes->count;
    WEIR_TRY(outer_products_add(both->base, writes->base, writes->count, writes->width,
                                1 / base_square, threads, err));
    return outer_products_add(both->model, writes->change, writes->count, writes->width,
                              1 / model_square, threads, err);
}

/* |cos(B u, u)|, B the base's sum with its dimensions scaled: 1 when u is its own. */
static double own_cosine(const double *scaled, const double *scales, const double *vector,
                         double *room, size_t width) {
    double *const turned = room + width;
    for (size_t i = 0; i < width; i++) {
        room[i] = vector[i] * sqrt(scales[i]);
    }
    cblas_dsymv(CblasRowMajor, CblasLower, (int)width, 1.0, scaled, (int)width, room, 1, 0.0,
                turned, 1);
    for (size_t i = 0; i < width; i++) {
        turned[i] *= sqrt(scales[i]);
    }
    room = turned;
    const double product = cblas_ddot((int)width, room, 1, vector, 1);
    const double norm = cblas_dnrm2((int)width, room, 1);
    return norm > 0 ? fabs(product) / norm : 1;
}

static void describe(ablation_pool *pool, const double *vector, size_t width) {
    double first = 0;
    double second = 0;
    double third = 0;
    double sum = 0;
    for (size_t i = 0; i < width; i++) {
        const double share = vector[i] * vector[i];
        sum += vector[i];
        if (share > first) {
            third = second;
            second = first;
            first = share;
        } else if (share > second) {
            third = second;
            second = share;
        } else {
            third = fmax(third, share);
        }
    }
    pool->eigen_axis = first + second + third;
    pool->eigen_mean = fabs(sum) / sqrt((double)width);
}

static weir_code solve(ablation_pool *pool, float *direction, sums *both, weir_error *err) {
    const size_t width = both->width;
    WEIR_CLEANUP(free) double *memory = checked_alloc(width, 4 * sizeof *memory);
    if (!memory) {
        return weir_fail_nomem(err);
    }
    double *const vector = memory;
    double *const scales = memory + width;
    for (size_t i = 0; i < width; i++) {
        scales[i] = both->base[i * width + i];
        /* A dimension that the base does not write to would make B singular. */
        if (!(scales[i] > 0)) {
            return WEIR_OK;
        }
    }
    double values[2];
    outer_products_scale(both->base, scales, width);
    outer_products_scale(both->model, scales, width);
    WEIR_TRY(smallest_values_find(values, vector, both->model, both->base, width, err));
    if (!isfinite(values[0]) || !(values[1] > 0)) {
        return WEIR_OK;
    }
    /* Back from the scaled dimensions. */
    double square = 0;
    for (size_t i = 0; i < width; i++) {
        vector[i] /= sqrt(scales[i]);
        square += vector[i] * vector[i];
    }
    for (size_t i = 0; i < width; i++) {
        vector[i] /= sqrt(square);
        direction[i] = (float)vector[i];
    }
    pool->eigen_ratio = fmax(values[0], 0) / values[1];
    describe(pool, vector, width);
    pool->eigen_own = own_cosine(both->base, scales, vector, memory + 2 * width, width);
    return WEIR_OK;
}

weir_code ablation_eigen_find(ablation_pool *pool, float *direction, const weir_diff *diff,
                              size_t width, unsigned threads, weir_error *err) {
    size_t matrices = 0;
    for (size_t i = 0; i < pool->count; i++) {
        matrices += pool->items[i].layer >= 0;
    }
    pool->eigen_ratio = (double)NAN;
    if (matrices < THRESHOLD_EMPTY_MATRICES || width < THRESHOLD_EMPTY_WIDTH ||
        width > ABLATION_EIGEN_WIDTH_MAX) {
        return WEIR_OK;
    }
    WEIR_CLEANUP(sums_release)
    sums both = {.model = calloc(width * width, sizeof *both.model),
                 .base = calloc(width * width, sizeof *both.base),
                 .width = width};
    WEIR_CLEANUP(residual_writes_release) residual_writes writes = {0};
    if (!both.model || !both.base) {
        return weir_fail_nomem(err);
    }
    const size_t dense = width > WIDE ? VECTORS_PER_WIDE_DIMENSION : VECTORS_PER_DIMENSION;
    const size_t vectors = dense * width / matrices + 1;
    for (size_t i = 0; i < pool->count; i++) {
        if (pool->items[i].layer >= 0) {
            WEIR_TRY(add_matrix(&both, &writes, diff, pool->items[i].row, vectors, threads, err));
        }
    }
    if (both.vectors < THRESHOLD_EMPTY_VECTORS * width) {
        return WEIR_OK;
    }
    return solve(pool, direction, &both, err);
}
