/* SPDX-License-Identifier: Apache-2.0 */
#include "delta/full_bound.h"

#include <cblas.h>
#include <lapacke.h>
#include <math.h>
#include <stdlib.h>

#include "base/checked.h"
#include "base/fail.h"
#include "delta/rounding.h"

/* The eigenvalues come from float32 products: below this part of the whole a tail is not trusted.
 */
static const double tail_trusted = 1e-3;

/* Sum of the squares of the half steps: of all numbers, and of those that changed. */
static weir_code sum_boxes(double *all, double *changed, const matrix_look *look, weir_dtype dtype,
                           weir_error *err) {
    const size_t count = look->rows * look->cols;
    WEIR_CLEANUP(free) float *half = calloc(count, sizeof *half);
    WEIR_CLEANUP(free) float *stored = calloc(count, sizeof *stored);
    if (!half || !stored) {
        return weir_fail_nomem(err);
    }
    for (size_t i = 0; i < count; i++) {
        stored[i] = look->base[i] + look->change[i];
    }
    *all = 0;
    *changed = 0;
    if (!rounding_half_steps(half, dtype, stored, count)) {
        *changed = (double)NAN;
        return WEIR_OK;
    }
    for (size_t i = 0; i < count; i++) {
        const double square = (double)half[i] * (double)half[i];
        *all += square;
        *changed += look->change[i] != 0.0F ? square : 0;
    }
    return WEIR_OK;
}

/* Sum of the squares of the singular values beyond the first `rank`; 0 when it is not trusted. */
static weir_code find_tail(double *out, const matrix_look *look, size_t rank, weir_error *err) {
    const bool is_wide = look->rows <= look->cols;
    const size_t side = is_wide ? look->rows : look->cols;
    const size_t length = is_wide ? look->cols : look->rows;
    WEIR_CLEANUP(free) float *gram = checked_alloc(side * side, sizeof *gram);
    WEIR_CLEANUP(free) float *values = checked_alloc(side, sizeof *values);
    if (!gram || !values) {
        return weir_fail_nomem(err);
    }
    cblas_ssyrk(CblasRowMajor, CblasUpper, is_wide ? CblasNoTrans : CblasTrans, (int)side,
                (int)length, 1.0F, look->change, (int)look->cols, 0.0F, gram, (int)side);
    *out = 0;
    if (LAPACKE_ssyevd(LAPACK_ROW_MAJOR, 'N', 'U', (int)side, gram, (int)side, values) != 0) {
        return WEIR_OK;
    }
    double tail = look->change_square;
    for (size_t i = 0; i < rank && i < side; i++) {
        tail -= (double)values[side - 1 - i]; /* they rise */
    }
    *out = tail > tail_trusted * look->change_square ? tail : 0;
    return WEIR_OK;
}

weir_code full_bound_excess(double *out, const matrix_look *look, weir_dtype dtype, size_t rank,
                            weir_error *err) {
    const size_t side = look->rows < look->cols ? look->rows : look->cols;
    *out = 0;
    if (side > FULL_BOUND_SIDE_MAX || rank >= side) {
        return WEIR_OK;
    }
    double all;
    double changed;
    WEIR_TRY(sum_boxes(&all, &changed, look, dtype, err));
    if (!(changed > 0)) {
        return WEIR_OK;
    }
    double tail;
    WEIR_TRY(find_tail(&tail, look, rank, err));
    const double least = sqrt(tail) - sqrt(all);
    *out = least > 0 ? least * least / (changed / 3) : 0;
    return WEIR_OK;
}
