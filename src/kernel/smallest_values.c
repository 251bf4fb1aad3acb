/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Row-major here is column-major transposed in LAPACK: the lower triangle that is handed in is
 * LAPACK's upper one. The factor goes to the other triangle, so that the matrix is still there when
 * a larger ridge must be tried.
 */
#include "kernel/smallest_values.h"

#include <cblas.h>
#include <lapacke.h>
#include <math.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/checked.h"
#include "base/cleanup.h"
#include "base/fail.h"
#include "base/hash.h"

enum {
    TILE = 256, /* rows and columns of the sums that one thread adds to */
    ROWS_AT_ONCE = 512,
    BLOCK = 12, /* vectors iterated together: the values beyond them hardly slow the first two */
    ITERATIONS = 24,
    RIDGES = 3,
};

static const double ridge_first = 1e-8; /* of the mean of the diagonal */
static const double ridge_factor = 100;

static void add_tile(double *sums, const double *rows, size_t count, size_t width, double weight,
                     size_t at_row, size_t at_col) {
    const size_t tall = width - at_row < TILE ? width - at_row : TILE;
    const size_t wide = width - at_col < TILE ? width - at_col : TILE;
    cblas_dgemm(CblasRowMajor, CblasTrans, CblasNoTrans, (int)tall, (int)wide, (int)count, weight,
                rows + at_row, (int)width, rows + at_col, (int)width, 1.0,
                sums + at_row * width + at_col, (int)width);
}

weir_code outer_products_add(double *sums, const float *rows, size_t count, size_t width,
                             double weight, unsigned threads, weir_error *err) {
    const size_t tiles = (width + TILE - 1) / TILE;
    WEIR_CLEANUP(free) double *wide = checked_alloc(width, ROWS_AT_ONCE * sizeof *wide);
    if (!wide) {
        return weir_fail_nomem(err);
    }
    for (size_t begin = 0; begin < count; begin += ROWS_AT_ONCE) {
        const size_t left = count - begin;
        const size_t some = left < ROWS_AT_ONCE ? left : ROWS_AT_ONCE;
        for (size_t i = 0; i < some * width; i++) {
            wide[i] = (double)rows[begin * width + i];
        }
#pragma omp parallel for schedule(dynamic) num_threads((int)threads)
        for (size_t tile = 0; tile < tiles * tiles; tile++) {
            if (tile / tiles >= tile % tiles) {
                add_tile(sums, wide, some, width, weight, tile / tiles * TILE, tile % tiles * TILE);
            }
        }
    }
    return WEIR_OK;
}

void outer_products_scale(double *sums, const double *scales, size_t width) {
    for (size_t i = 0; i < width; i++) {
        const double of_row = scales[i] > 0 ? 1 / sqrt(scales[i]) : 1;
        for (size_t j = 0; j <= i; j++) {
            sums[i * width + j] *= of_row * (scales[j] > 0 ? 1 / sqrt(scales[j]) : 1);
        }
    }
}

/* Factorise A + d I into the upper triangle; the diagonal of A is kept beside. */
static bool factorise(double *a, const double *diagonal, size_t n, double ridge) {
    for (size_t i = 0; i < n; i++) {
        for (size_t j = 0; j < i; j++) {
            a[j * n + i] = a[i * n + j];
        }
        a[i * n + i] = diagonal[i] + ridge;
    }
    return LAPACKE_dpotrf(LAPACK_COL_MAJOR, 'L', (lapack_int)n, a, (lapack_int)n) == 0;
}

typedef struct iteration {
    double *vectors; /* V [BLOCK, n] */
    double *images;  /* B V */
    double *inverse; /* Z */
    double *inverse_images;
    size_t n;
    lapack_int block;
} iteration;

/* y = B x for the vectors of the block. */
static void apply(double *y, const double *b, const double *x, const iteration *at) {
    if (!b) {
        memcpy(y, x, at->n * (size_t)at->block * sizeof *y);
        return;
    }
    cblas_dsymm(CblasColMajor, CblasLeft, CblasUpper, (int)at->n, at->block, 1.0, b, (int)at->n, x,
                (int)at->n, 0.0, y, (int)at->n);
}

/* products [block, block] = x' y */
static void multiply(double *products, const double *x, const double *y, const iteration *at) {
    cblas_dgemm(CblasColMajor, CblasTrans, CblasNoTrans, at->block, at->block, (int)at->n, 1.0, x,
                (int)at->n, y, (int)at->n, 0.0, products, at->block);
}

static void combine(double *out, const double *vectors, const double *factor, const iteration *at) {
    cblas_dgemm(CblasColMajor, CblasNoTrans, CblasNoTrans, (int)at->n, at->block, at->block, 1.0,
                vectors, (int)at->n, factor, at->block, 0.0, out, (int)at->n);
}

/* y = A x. The diagonal of `a` is the factor's by now. */
static void apply_first(double *y, const double *a, const double *diagonal, const double *x,
                        const iteration *at) {
    cblas_dsymm(CblasColMajor, CblasLeft, CblasUpper, (int)at->n, at->block, 1.0, a, (int)at->n, x,
                (int)at->n, 0.0, y, (int)at->n);
    for (size_t j = 0; j < (size_t)at->block; j++) {
        for (size_t i = 0; i < at->n; i++) {
            y[j * at->n + i] += (diagonal[i] - a[i * at->n + i]) * x[j * at->n + i];
        }
    }
}

/* Replace Z by an orthonormal basis of its span. */
static bool orthonormalise(iteration *at) {
    double tau[BLOCK];
    const lapack_int n = (lapack_int)at->n;
    return LAPACKE_dgeqrf(LAPACK_COL_MAJOR, n, at->block, at->inverse, n, tau) == 0 &&
           LAPACKE_dorgqr(LAPACK_COL_MAJOR, n, at->block, at->block, at->inverse, n, tau) == 0;
}

/* One step; `values` takes the Ritz values. */
static bool step(double *values, iteration *at, const double *a, const double *diagonal,
                 const double *b) {
    double energy[BLOCK * BLOCK];
    double mass[BLOCK * BLOCK];
    memcpy(at->inverse, at->images, at->n * (size_t)at->block * sizeof *at->inverse);
    if (LAPACKE_dpotrs(LAPACK_COL_MAJOR, 'L', (lapack_int)at->n, at->block, a, (lapack_int)at->n,
                       at->inverse, (lapack_int)at->n) != 0 ||
        !orthonormalise(at)) {
        return false;
    }
    apply_first(at->inverse_images, a, diagonal, at->inverse, at);
    multiply(energy, at->inverse, at->inverse_images, at);
    apply(at->inverse_images, b, at->inverse, at);
    multiply(mass, at->inverse, at->inverse_images, at);
    if (LAPACKE_dsygv(LAPACK_COL_MAJOR, 1, 'V', 'L', at->block, energy, at->block, mass, at->block,
                      values) != 0) {
        return false;
    }
    combine(at->vectors, at->inverse, energy, at);
    combine(at->images, at->inverse_images, energy, at);
    return true;
}

static bool iterate(double *values, iteration *at, const double *a, const double *diagonal,
                    const double *b) {
    uint64_t state = hash_mix(at->n);
    for (size_t i = 0; i < at->n * (size_t)at->block; i++) {
        at->vectors[i] = hash_next(&state) & 1 ? 1.0 : -1.0;
    }
    apply(at->images, b, at->vectors, at);
    for (int i = 0; i < ITERATIONS; i++) {
        if (!step(values, at, a, diagonal, b)) {
            return false;
        }
    }
    return true;
}

static void copy_direction(double *out, const double *vector, size_t n) {
    const double norm = cblas_dnrm2((int)n, vector, 1);
    for (size_t i = 0; i < n; i++) {
        out[i] = vector[i] / norm;
    }
}

weir_code smallest_values_find(double values[2], double *vector, double *a, double *b, size_t n,
                               weir_error *err) {
    const size_t block = n < BLOCK ? n : BLOCK;
    WEIR_CLEANUP(free) double *memory = checked_alloc(n, (4 * block + 1) * sizeof *memory);
    if (!memory) {
        return weir_fail_nomem(err);
    }
    double *const diagonal = memory + 4 * block * n;
    double mean = 0;
    for (size_t i = 0; i < n; i++) {
        diagonal[i] = a[i * n + i];
        mean += diagonal[i] / (double)n;
    }
    iteration at = {.vectors = memory,
                    .images = memory + block * n,
                    .inverse = memory + 2 * block * n,
                    .inverse_images = memory + 3 * block * n,
                    .n = n,
                    .block = (lapack_int)block};
    double found[BLOCK];
    bool is_found = false;
    double ridge = ridge_first * mean;
    for (int i = 0; i < RIDGES && isfinite(mean) && mean > 0 && !is_found; i++) {
        is_found = factorise(a, diagonal, n, ridge) && iterate(found, &at, a, diagonal, b);
        ridge *= ridge_factor;
    }
    values[0] = is_found ? found[0] : (double)NAN;
    values[1] = is_found ? found[1] : (double)NAN;
    if (vector && is_found) {
        copy_direction(vector, at.vectors, n);
    }
    return WEIR_OK;
}
