/* SPDX-License-Identifier: Apache-2.0 */
#include "delta/merge_fit.h"

#include <cblas.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/checked.h"
#include "base/fail.h"
#include "delta/thresholds.h"
#include "kernel/number.h"

enum { BATCH_ROWS = 256 };
static const double unit_cap = 8;        /* over the median */
static const float units_told = 4;       /* of some |T_j| */
static const double dependent = 1e-9;    /* of a column, left by the others */
static const double change_noted = 1e-5; /* of the base's own scale */

/* --- inner products --- */

static float unit_of(float value, int bits) {
    const uint32_t exponent = float_bits(value) & 0x7F800000;
    const uint32_t down = (uint32_t)bits << 23;
    return float_from_bits(exponent > down ? exponent - down : 0x00800000);
}

static int by_size(const void *left, const void *right) {
    const float a = *(const float *)left;
    const float b = *(const float *)right;
    return (a > b) - (a < b);
}

/* The median unit, of at most 4096 numbers. */
static float median_unit(const merge_sample *sample, int bits) {
    enum { MOST = 4096 };
    float units[MOST];
    const size_t step = sample->count / MOST + 1;
    size_t count = 0;
    for (size_t i = 0; i < sample->count && count < MOST; i += step) {
        units[count++] = unit_of(sample->model[i], bits);
    }
    qsort(units, count, sizeof *units, by_size);
    return count ? units[count / 2] : 1;
}

/* One number's columns, weighted. @return whether it says enough */
static bool fill_columns(double *columns, const merge_sample *sample, size_t i, double weight,
                         float least) {
    const size_t parents = sample->parent_count;
    const float base = sample->base[i];
    float largest = 0;
    for (size_t j = 0; j < parents; j++) {
        const float task = sample->parents[j][i] - base;
        largest = fmaxf(largest, fabsf(task));
        columns[j] = weight * (double)task;
    }
    columns[parents] = weight * (double)base;
    columns[parents + 1] = weight * ((double)sample->model[i] - (double)base);
    double sum = 0;
    for (size_t j = 0; j < parents + 2; j++) {
        sum += columns[j];
    }
    return isfinite(sum) && largest >= least;
}

static void add_batch(merge_gram *gram, const double *batch, size_t rows) {
    const int columns = (int)gram->parents + 2;
    double product[FIT_COLUMNS_MAX * FIT_COLUMNS_MAX] = {0};
    cblas_dsyrk(CblasRowMajor, CblasUpper, CblasTrans, columns, (int)rows, 1.0, batch, columns, 0.0,
                product, columns);
    for (int i = 0; i < columns; i++) {
        for (int j = i; j < columns; j++) {
            gram->inner[i][j] += product[i * columns + j];
        }
    }
    gram->count += (double)rows;
}

weir_code merge_gram_add(merge_gram *gram, const merge_sample *sample, int unit_bits,
                         weir_error *err) {
    const size_t columns = sample->parent_count + 2;
    WEIR_CLEANUP(free) double *batch = checked_alloc(BATCH_ROWS * columns, sizeof *batch);
    if (!batch) {
        return weir_fail_nomem(err);
    }
    const float median = unit_bits >= 0 ? median_unit(sample, unit_bits) : 1;
    const double most = unit_cap / (double)median;
    size_t rows = 0;
    gram->parents = sample->parent_count;
    for (size_t i = 0; i < sample->count; i++) {
        const float unit = unit_bits >= 0 ? unit_of(sample->model[i], unit_bits) : 1;
        const double weight = fmin(1 / (double)unit, most);
        const float least = unit_bits >= 0 ? units_told * unit : 0;
        rows += fill_columns(batch + rows * columns, sample, i, weight, least);
        if (rows == BATCH_ROWS) {
            add_batch(gram, batch, rows);
            rows = 0;
        }
    }
    if (rows > 0) {
        add_batch(gram, batch, rows);
    }
    return WEIR_OK;
}

void merge_gram_merge(merge_gram *into, const merge_gram *from) {
    into->parents = from->parents;
    into->count += from->count;
    for (size_t i = 0; i < from->parents + 2; i++) {
        for (size_t j = i; j < from->parents + 2; j++) {
            into->inner[i][j] += from->inner[i][j];
        }
    }
}

static double inner(const merge_gram *gram, size_t i, size_t j) {
    return i < j ? gram->inner[i][j] : gram->inner[j][i];
}

/* --- solve --- */

typedef struct factor {
    double lower[FIT_COLUMNS_MAX][FIT_COLUMNS_MAX];
    double scale[FIT_COLUMNS_MAX];
    size_t count;
} factor;

/* Take one more column into a Cholesky factor of the scaled products. @return false when the
 * columns before it leave nothing of it */
static bool factor_take(factor *out, const merge_gram *gram, const size_t *members) {
    const size_t n = out->count;
    const double own = inner(gram, members[n], members[n]);
    if (!(own > 0)) {
        return false;
    }
    out->scale[n] = 1 / sqrt(own);
    double left = 1;
    for (size_t i = 0; i < n; i++) {
        double sum = inner(gram, members[i], members[n]) * out->scale[i] * out->scale[n];
        for (size_t k = 0; k < i; k++) {
            sum -= out->lower[i][k] * out->lower[n][k];
        }
        out->lower[n][i] = sum / out->lower[i][i];
        left -= out->lower[n][i] * out->lower[n][i];
    }
    if (!(left > dependent)) {
        return false;
    }
    out->lower[n][n] = sqrt(left);
    out->count++;
    return true;
}

/* Solve L L' x = b in place. */
static void factor_solve(const factor *from, double *x) {
    for (size_t i = 0; i < from->count; i++) {
        for (size_t k = 0; k < i; k++) {
            x[i] -= from->lower[i][k] * x[k];
        }
        x[i] /= from->lower[i][i];
    }
    for (size_t i = from->count; i-- > 0;) {
        for (size_t k = i + 1; k < from->count; k++) {
            x[i] -= from->lower[k][i] * x[k];
        }
        x[i] /= from->lower[i][i];
    }
}

bool merge_fit_solve(merge_fit *fit, const merge_gram *gram) {
    const size_t target = gram->parents + 1;
    factor parts = {.count = 0};
    while (parts.count < fit->count) {
        if (!factor_take(&parts, gram, fit->members)) {
            return false;
        }
    }
    double x[FIT_COLUMNS_MAX];
    for (size_t i = 0; i < fit->count; i++) {
        x[i] = inner(gram, fit->members[i], target) * parts.scale[i];
    }
    factor_solve(&parts, x);
    fit->change = inner(gram, target, target);
    fit->rest = fit->change;
    for (size_t i = 0; i < fit->count; i++) {
        fit->weights[i] = x[i] * parts.scale[i];
        fit->rest -= fit->weights[i] * inner(gram, fit->members[i], target);
    }
    /* Differences of large sums: below this they are noise of the arithmetic. */
    fit->rest = fmax(fit->rest, 1e-14 * fit->change);
    const double spare = gram->count - (double)fit->count;
    for (size_t i = 0; i < fit->count; i++) {
        double unit[FIT_COLUMNS_MAX] = {0};
        unit[i] = 1;
        factor_solve(&parts, unit);
        fit->errors[i] =
            spare > 0 ? sqrt(unit[i] * fit->rest / spare) * parts.scale[i] : (double)INFINITY;
    }
    return true;
}

double merge_fit_weight(const merge_fit *fit, size_t column) {
    for (size_t i = 0; i < fit->count; i++) {
        if (fit->members[i] == column) {
            return fit->weights[i];
        }
    }
    return 0;
}

/* How much a member is needed: below 1, not. */
static double need_of(const merge_fit *fit, size_t i, const merge_gram *gram) {
    const bool is_base = fit->members[i] == gram->parents;
    const double least = is_base ? change_noted : THRESHOLD_MERGE_WEIGHT_LEAST;
    const double square = fit->weights[i] / fit->errors[i];
    const double needed = square * square / THRESHOLD_MERGE_CHI_SQUARE;
    const double told = fabs(fit->weights[i]) / least;
    return needed < told ? needed : told;
}

static void leave(merge_fit *fit, size_t index) {
    fit->count--;
    memmove(fit->members + index, fit->members + index + 1,
            (fit->count - index) * sizeof *fit->members);
}

void merge_fit_select(merge_fit *out, const merge_gram *gram) {
    factor parts = {.count = 0};
    *out = (merge_fit){.count = 0};
    for (size_t column = 0; column <= gram->parents; column++) {
        out->members[out->count] = column;
        out->count += factor_take(&parts, gram, out->members);
    }
    while (out->count > 0 && merge_fit_solve(out, gram)) {
        size_t weakest = 0;
        for (size_t i = 1; i < out->count; i++) {
            weakest = need_of(out, i, gram) < need_of(out, weakest, gram) ? i : weakest;
        }
        if (need_of(out, weakest, gram) >= 1) {
            return;
        }
        leave(out, weakest);
    }
    const size_t target = gram->parents + 1;
    out->change = inner(gram, target, target);
    out->rest = out->change;
}
