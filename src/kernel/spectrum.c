/* SPDX-License-Identifier: Apache-2.0 */
/*
 * LAPACK counts columns first, so a row-major matrix [rows, cols] is its transpose there: the
 * column-major [cols, rows]. Tall factors are kept column-major too, one vector after the other,
 * which is how they are handed out.
 */
#include "kernel/spectrum.h"

#include <assert.h>
#include <cblas.h>
#include <lapacke.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/checked.h"
#include "base/fail.h"
#include "base/hash.h"

/*
 * Threads take matrices, so BLAS works with one thread of its own, whoever calls it; more would
 * also change the order of its sums. The build that knows OpenMP is needed even so: the serial one
 * hands the same buffer to two callers at once.
 */
__attribute__((constructor)) static void use_one_thread(void) {
    openblas_set_num_threads(1);
}

/* Sums of squares of numbers between these stay inside float32. */
static const float comfortable_low = 0x1p-40F;
static const float comfortable_high = 0x1p40F;

/* One decomposition: sizes as LAPACK takes them, and where the scratch is still free. */
typedef struct work {
    const float *matrix;
    lapack_int rows;
    lapack_int cols;
    lapack_int width; /* vectors in the sketch */
    float *taken;     /* the next free place of the scratch */
} work;

static float *take(work *at, size_t count) {
    float *const memory = at->taken;
    at->taken += count;
    return memory;
}

static weir_code make_room(spectrum_scratch *scratch, size_t count, weir_error *err) {
    if (count <= scratch->capacity) {
        return WEIR_OK;
    }
    free(scratch->memory);
    scratch->memory = checked_alloc(count, sizeof *scratch->memory);
    scratch->capacity = scratch->memory ? count : 0;
    return scratch->memory ? WEIR_OK : weir_fail_nomem(err);
}

/* LAPACK fails only when an argument is wrong, which is our bug, when memory is short, or when an
 * iteration does not converge, which finite numbers do not bring about. */
static weir_code check_lapack(lapack_int info, weir_error *err) {
    assert(info >= 0 || info == LAPACK_WORK_MEMORY_ERROR || info == LAPACK_TRANSPOSE_MEMORY_ERROR);
    if (info < 0) {
        return weir_fail_nomem(err);
    }
    if (info > 0) {
        return weir_fail(err, WEIR_ERR_LIMIT, NULL, NULL, "singular values that converge",
                         "%d that did not", (int)info);
    }
    return WEIR_OK;
}

/* y [rows, width] = A x [cols, width] */
static void multiply(float *y, const work *at, const float *x) {
    cblas_sgemm(CblasColMajor, CblasTrans, CblasNoTrans, at->rows, at->width, at->cols, 1.0F,
                at->matrix, at->cols, x, at->cols, 0.0F, y, at->rows);
}

/* x [cols, width] = A' y [rows, width] */
static void multiply_turned(float *x, const work *at, const float *y) {
    cblas_sgemm(CblasColMajor, CblasNoTrans, CblasNoTrans, at->cols, at->width, at->rows, 1.0F,
                at->matrix, at->cols, y, at->rows, 0.0F, x, at->cols);
}

/* Replace the vectors by an orthonormal basis of what they span; `r` [width, width], unless NULL,
 * takes the upper triangle of the factorisation. */
static weir_code orthonormalise(float *vectors, float *r, lapack_int length, lapack_int width,
                                float *tau, weir_error *err) {
    WEIR_TRY(
        check_lapack(LAPACKE_sgeqrf(LAPACK_COL_MAJOR, length, width, vectors, length, tau), err));
    for (lapack_int j = 0; r && j < width; j++) {
        for (lapack_int i = 0; i < width; i++) {
            r[j * width + i] = i <= j ? vectors[(size_t)j * (size_t)length + (size_t)i] : 0.0F;
        }
    }
    return check_lapack(
        LAPACKE_sorgqr(LAPACK_COL_MAJOR, length, width, width, vectors, length, tau), err);
}

static void fill_signs(float *out, size_t count, uint64_t seed) {
    uint64_t state = hash_mix(seed);
    for (size_t i = 0; i < count; i += 64) {
        uint64_t bits = hash_next(&state);
        for (size_t j = i; j < count && j < i + 64; j++) {
            out[j] = bits & 1 ? 1.0F : -1.0F;
            bits >>= 1;
        }
    }
}

static void copy_values(spectrum *out, const float *values) {
    for (size_t i = 0; i < out->count; i++) {
        out->values[i] = (double)values[i];
    }
}

static size_t times(lapack_int a, lapack_int b) {
    return (size_t)a * (size_t)b;
}

/* Vectors out of a small factor: those of the sketch are combinations of its basis. */
static void combine(float *out, const float *basis, const float *factor, CBLAS_TRANSPOSE turned,
                    lapack_int length, lapack_int count, lapack_int width) {
    cblas_sgemm(CblasColMajor, CblasNoTrans, turned, length, count, width, 1.0F, basis, length,
                factor, width, 0.0F, out, length);
}

static size_t sketch_room(const work *at) {
    return 2 * times(at->rows, at->width) + 2 * times(at->cols, at->width) +
           3 * times(at->width, at->width) + 2 * (size_t)at->width;
}

/* Q spans A's strongest columns; P R = A' Q and R = U S V' give A ~ Q Q' A = (Q V) S (P U)'. */
static weir_code find_by_sketch(spectrum *out, work *at, const spectrum_options *options,
                                weir_error *err) {
    float *const q = take(at, times(at->rows, at->width));
    float *const p = take(at, times(at->cols, at->width));
    float *const r = take(at, times(at->width, at->width));
    float *const u = take(at, times(at->width, at->width));
    float *const v = take(at, times(at->width, at->width));
    float *const values = take(at, (size_t)at->width);
    float *const tau = take(at, (size_t)at->width);
    if (options->start) {
        memcpy(p, options->start, times(at->cols, at->width) * sizeof *p);
    } else {
        fill_signs(p, times(at->cols, at->width), options->seed);
    }
    multiply(q, at, p);
    for (size_t i = 0; i < options->power_iterations; i++) {
        WEIR_TRY(orthonormalise(q, NULL, at->rows, at->width, tau, err));
        multiply_turned(p, at, q);
        WEIR_TRY(orthonormalise(p, NULL, at->cols, at->width, tau, err));
        multiply(q, at, p);
    }
    WEIR_TRY(orthonormalise(q, NULL, at->rows, at->width, tau, err));
    multiply_turned(p, at, q);
    WEIR_TRY(orthonormalise(p, r, at->cols, at->width, tau, err));
    WEIR_TRY(
        check_lapack(LAPACKE_sgesdd(LAPACK_COL_MAJOR, options->with_vectors ? 'S' : 'N', at->width,
                                    at->width, r, at->width, values, u, at->width, v, at->width),
                     err));
    copy_values(out, values);
    if (options->with_vectors) {
        float *const left = take(at, times(at->rows, at->width));
        float *const right = take(at, times(at->cols, at->width));
        const lapack_int count = (lapack_int)out->count;
        combine(left, q, v, CblasTrans, at->rows, count, at->width);
        combine(right, p, u, CblasNoTrans, at->cols, count, at->width);
        out->left = left;
        out->right = right;
    }
    return WEIR_OK;
}

static lapack_int short_side(const work *at) {
    return at->rows < at->cols ? at->rows : at->cols;
}

static size_t exact_room(const work *at) {
    const lapack_int side = short_side(at);
    return times(at->rows, at->cols) + times(at->cols, side) + 2 * times(at->rows, side) +
           (size_t)side;
}

/* In LAPACK's eyes the matrix is A' = U S V', so A's right vectors are U's columns and its left
 * ones V's. */
static weir_code find_exactly(spectrum *out, work *at, const spectrum_options *options,
                              weir_error *err) {
    const lapack_int side = short_side(at);
    float *const copy = take(at, times(at->rows, at->cols));
    float *const right = take(at, times(at->cols, side));
    float *const turned = take(at, times(at->rows, side));
    float *const left = take(at, times(at->rows, side));
    float *const values = take(at, (size_t)side);
    memcpy(copy, at->matrix, times(at->rows, at->cols) * sizeof *copy);
    WEIR_TRY(check_lapack(LAPACKE_sgesdd(LAPACK_COL_MAJOR, options->with_vectors ? 'S' : 'N',
                                         at->cols, at->rows, copy, at->cols, values, right,
                                         at->cols, turned, side),
                          err));
    copy_values(out, values);
    out->is_exact = true;
    if (options->with_vectors) {
        for (size_t i = 0; i < out->count; i++) {
            for (size_t j = 0; j < (size_t)at->rows; j++) {
                left[i * (size_t)at->rows + j] = turned[j * (size_t)side + i];
            }
        }
        out->left = left;
        out->right = right;
    }
    return WEIR_OK;
}

/* What the numbers are like, before anything is computed from them. */
static float survey(spectrum *out, const float *matrix, size_t count) {
    float largest = 0;
    for (size_t i = 0; i < count; i++) {
        const float size = fabsf(matrix[i]);
        if (!isfinite(size)) {
            out->not_finite++;
            continue;
        }
        largest = size > largest ? size : largest;
        out->square += (double)size * (double)size;
    }
    return largest;
}

/* The matrix times a power of two, so that it is of the order of 1. */
static float *scale(work *at, int exponent) {
    const size_t count = times(at->rows, at->cols);
    float *const scaled = take(at, count);
    for (size_t i = 0; i < count; i++) {
        scaled[i] = ldexpf(at->matrix[i], exponent);
    }
    return scaled;
}

static weir_code find_scaled(spectrum *out, work *at, float largest,
                             const spectrum_options *options, spectrum_scratch *scratch,
                             weir_error *err) {
    const bool is_scaled = largest < comfortable_low || largest > comfortable_high;
    const bool is_short = !options->start && short_side(at) <= SPECTRUM_EXACT_SIDE;
    const bool is_exact = is_short || at->width > short_side(at) / 2;
    const size_t scaled_room = is_scaled ? times(at->rows, at->cols) : 0;
    WEIR_TRY(make_room(scratch, scaled_room + (is_exact ? exact_room(at) : sketch_room(at)), err));
    int exponent = 0;
    at->taken = scratch->memory;
    if (is_scaled) {
        (void)frexpf(largest, &exponent);
        at->matrix = scale(at, -exponent);
    }
    WEIR_TRY(is_exact ? find_exactly(out, at, options, err)
                      : find_by_sketch(out, at, options, err));
    for (size_t i = 0; i < out->count; i++) {
        out->values[i] = ldexp(out->values[i], exponent);
    }
    return WEIR_OK;
}

weir_code spectrum_find(spectrum *out, const float *matrix, size_t rows, size_t cols,
                        const spectrum_options *options, spectrum_scratch *scratch,
                        weir_error *err) {
    assert(options->count > 0 && options->count <= SPECTRUM_VALUES_MAX);
    spectrum found = {0};
    size_t count;
    if (rows > INT32_MAX || cols > INT32_MAX || !checked_mul_size(&count, rows, cols)) {
        return weir_fail(err, WEIR_ERR_LIMIT, NULL, NULL, "a matrix with sides below 2^31",
                         "%zu by %zu", rows, cols);
    }
    const float largest = survey(&found, matrix, count);
    const size_t side = rows < cols ? rows : cols;
    found.count = options->count < side ? options->count : side;
    found.count = found.not_finite > 0 ? 0 : found.count;
    if (found.count == 0 || (largest == 0.0F && !options->with_vectors)) {
        *out = found;
        return WEIR_OK;
    }
    work at = {.matrix = matrix,
               .rows = (lapack_int)rows,
               .cols = (lapack_int)cols,
               .width = (lapack_int)(options->count + options->oversample)};
    WEIR_TRY(find_scaled(&found, &at, largest, options, scratch, err));
    *out = found;
    return WEIR_OK;
}

void spectrum_scratch_release(spectrum_scratch *scratch) {
    free(scratch->memory);
    *scratch = (spectrum_scratch){0};
}
