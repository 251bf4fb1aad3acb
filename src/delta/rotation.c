/* SPDX-License-Identifier: Apache-2.0 */
#include "delta/rotation.h"

#include <cblas.h>
#include <lapacke.h>
#include <math.h>
#include <stdlib.h>

#include "base/checked.h"
#include "base/cleanup.h"
#include "base/fail.h"
#include "delta/thresholds.h"
#include "kernel/row_match.h"

/* Inner products below the diagonal, less their mean. */
static void inner_products(float *out, float *square, const float *rows, size_t count,
                           size_t hidden) {
    cblas_sgemm(CblasRowMajor, CblasNoTrans, CblasTrans, (int)count, (int)count, (int)hidden, 1.0F,
                rows, (int)hidden, rows, (int)hidden, 0.0F, square, (int)count);
    size_t pairs = 0;
    double sum = 0;
    for (size_t i = 1; i < count; i++) {
        for (size_t j = 0; j < i; j++) {
            out[pairs++] = square[i * count + j];
            sum += (double)square[i * count + j];
        }
    }
    for (size_t i = 0; i < pairs; i++) {
        out[i] -= (float)(sum / (double)pairs);
    }
}

weir_code rotation_likeness(double *out, const float *base, const float *model, size_t tokens,
                            size_t hidden, weir_error *err) {
    enum { TOKENS_MAX = 256, TOKENS_MIN = 8 };
    const size_t count = tokens < TOKENS_MAX ? tokens : TOKENS_MAX;
    *out = (double)NAN;
    if (count < TOKENS_MIN || hidden == 0 || hidden > ROTATION_HIDDEN_MAX) {
        return WEIR_OK;
    }
    WEIR_CLEANUP(free) float *theirs = checked_alloc(count * count, sizeof *theirs);
    WEIR_CLEANUP(free) float *mine = checked_alloc(count * count, sizeof *mine);
    WEIR_CLEANUP(free) float *square = checked_alloc(count * count, sizeof *square);
    if (!theirs || !mine || !square) {
        return weir_fail_nomem(err);
    }
    inner_products(theirs, square, base, count, hidden);
    inner_products(mine, square, model, count, hidden);
    *out = row_cosine(theirs, mine, count * (count - 1) / 2);
    return WEIR_OK;
}

/* Of three rows two go to the front, one behind. */
static void part_rows(float *front, float *behind, const float *rows, size_t tokens,
                      size_t hidden) {
    for (size_t i = 0; i < tokens; i++) {
        float *to = i % 3 < 2 ? front + (i / 3 * 2 + i % 3) * hidden : behind + i / 3 * hidden;
        for (size_t j = 0; j < hidden; j++) {
            const float value = rows[i * hidden + j];
            to[j] = isfinite(value) ? value : 0.0F;
        }
    }
}

/* q = U V^T of the decomposition of product, which is overwritten. */
static weir_code polar_factor(float *q, float *product, size_t hidden, bool *is_found,
                              weir_error *err) {
    WEIR_CLEANUP(free) float *u = checked_alloc(hidden * hidden, sizeof *u);
    WEIR_CLEANUP(free) float *vt = checked_alloc(hidden * hidden, sizeof *vt);
    WEIR_CLEANUP(free) float *s = checked_alloc(hidden, sizeof *s);
    if (!u || !vt || !s) {
        return weir_fail_nomem(err);
    }
    const lapack_int n = (lapack_int)hidden;
    const lapack_int code = LAPACKE_sgesdd(LAPACK_ROW_MAJOR, 'A', n, n, product, n, s, u, n, vt, n);
    if (code != 0) {
        *is_found = false;
        return code == LAPACK_WORK_MEMORY_ERROR || code == LAPACK_TRANSPOSE_MEMORY_ERROR
                   ? weir_fail_nomem(err)
                   : WEIR_OK;
    }
    cblas_sgemm(CblasRowMajor, CblasNoTrans, CblasNoTrans, n, n, n, 1.0F, u, n, vt, n, 0.0F, q, n);
    return WEIR_OK;
}

/* ||model - base q||^2 / ||model||^2 */
static double held_error(float *turned, const float *base, const float *model, const float *q,
                         size_t tokens, size_t hidden) {
    const int n = (int)hidden;
    cblas_sgemm(CblasRowMajor, CblasNoTrans, CblasNoTrans, (int)tokens, n, n, 1.0F, base, n, q, n,
                0.0F, turned, n);
    double error = 0;
    double square = 0;
    for (size_t i = 0; i < tokens * hidden; i++) {
        const double difference = (double)model[i] - (double)turned[i];
        error += difference * difference;
        square += (double)model[i] * (double)model[i];
    }
    return square > 0 ? error / square : INFINITY;
}

weir_code rotation_find(rotation *out, arena *memory, const float *base, const float *model,
                        size_t tokens, size_t hidden, weir_error *err) {
    *out = (rotation){.hidden = hidden, .cosine = (double)NAN, .error = (double)NAN};
    const size_t fitted = tokens - tokens / 3;
    if (hidden == 0 || hidden > ROTATION_HIDDEN_MAX || fitted < hidden || tokens < 3 ||
        tokens > INT32_MAX) {
        return WEIR_OK;
    }
    const size_t held = tokens - fitted;
    float *q = arena_alloc(memory, hidden * hidden, sizeof *q);
    WEIR_CLEANUP(free) float *x = checked_alloc(tokens * hidden, sizeof *x);
    WEIR_CLEANUP(free) float *y = checked_alloc(tokens * hidden, sizeof *y);
    WEIR_CLEANUP(free) float *work = checked_alloc(tokens * hidden, sizeof *work);
    WEIR_CLEANUP(free) float *product = checked_alloc(hidden * hidden, sizeof *product);
    if (!q || !x || !y || !work || !product) {
        return weir_fail_nomem(err);
    }
    part_rows(x, x + fitted * hidden, base, tokens, hidden);
    part_rows(y, y + fitted * hidden, model, tokens, hidden);
    const int n = (int)hidden;
    cblas_sgemm(CblasRowMajor, CblasTrans, CblasNoTrans, n, n, (int)fitted, 1.0F, x, n, y, n, 0.0F,
                product, n);
    bool is_found = true;
    WEIR_TRY(polar_factor(q, product, hidden, &is_found, err));
    if (!is_found) {
        return WEIR_OK;
    }
    out->q = q;
    out->tokens = fitted;
    out->tokens_held = held;
    out->token_error = held_error(work, x + fitted * hidden, y + fitted * hidden, q, held, hidden);
    out->is_found = out->token_error <= THRESHOLD_ROTATION_TOKENS;
    return WEIR_OK;
}
