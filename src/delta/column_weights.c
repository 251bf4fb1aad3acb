/* SPDX-License-Identifier: Apache-2.0 */
#include "delta/column_weights.h"

#include <math.h>
#include <stdlib.h>

#include "base/checked.h"
#include "base/fail.h"

enum { FIT_ELEMENTS = 1 << 20, FIT_ROUNDS = 40 };

typedef struct fit {
    const matrix_look *look;
    size_t rows;
    size_t row_step;
    size_t group;
    float *logs;      /* [rows, cols]: log|w|; NaN where a number says nothing */
    uint8_t *is_gone; /* [rows, cols] */
    float *weights;   /* [cols]: logarithms */
    float *pull;      /* [cols] */
    float *sorted;    /* [group] */
} fit;

static void fit_release_cleanup(fit *work) {
    free(work->logs);
    free(work->is_gone);
    free(work->weights);
    free(work->pull);
    free(work->sorted);
}

static weir_code fit_init(fit *work, weir_error *err) {
    const matrix_look *const look = work->look;
    const size_t fitting = FIT_ELEMENTS / look->cols > 0 ? FIT_ELEMENTS / look->cols : 1;
    work->row_step = (look->rows + fitting - 1) / fitting;
    work->rows = (look->rows + work->row_step - 1) / work->row_step;
    const size_t elements = work->rows * look->cols;
    work->logs = checked_alloc(elements, sizeof *work->logs);
    work->is_gone = checked_alloc(elements, sizeof *work->is_gone);
    work->weights = calloc(look->cols, sizeof *work->weights);
    work->pull = checked_alloc(look->cols, sizeof *work->pull);
    work->sorted = checked_alloc(work->group, sizeof *work->sorted);
    const bool has_all = work->logs && work->is_gone && work->weights && work->pull && work->sorted;
    return has_all ? WEIR_OK : weir_fail_nomem(err);
}

static void take_logs(fit *work) {
    const size_t cols = work->look->cols;
    for (size_t r = 0; r < work->rows; r++) {
        const size_t from = r * work->row_step * cols;
        for (size_t c = 0; c < cols; c++) {
            const float base = work->look->base[from + c];
            const float model = base + work->look->change[from + c];
            const float size = fabsf(base);
            work->logs[r * cols + c] = size > 0.0F ? logf(size) : NAN;
            work->is_gone[r * cols + c] = !(model < 0.0F || model > 0.0F);
        }
    }
}

static int by_value(const void *a, const void *b) {
    const float x = *(const float *)a;
    const float y = *(const float *)b;
    return (x > y) - (x < y);
}

/* The value with `below` smaller ones among `count`: Hoare's selection. */
static float select_value(float *values, size_t count, size_t below) {
    size_t low = 0;
    size_t high = count - 1;
    while (high - low > 16) {
        const float pivot = values[low + (high - low) / 2];
        size_t i = low;
        size_t j = high;
        while (i <= j) {
            while (values[i] < pivot) {
                i++;
            }
            while (values[j] > pivot) {
                j--;
            }
            if (i <= j) {
                const float moved = values[i];
                values[i] = values[j];
                values[j] = moved;
                i++;
                if (j == 0) {
                    break;
                }
                j--;
            }
        }
        if (below <= j) {
            high = j;
        } else if (below >= i) {
            low = i;
        } else {
            return values[below];
        }
    }
    qsort(values + low, high - low + 1, sizeof *values, by_value);
    return values[below];
}

/* Border of a group: midway between the largest score that ought to be zero and the next. */
static bool find_border(float *border, fit *work, size_t first, size_t col, size_t count) {
    size_t told = 0;
    size_t gone = 0;
    for (size_t i = 0; i < count; i++) {
        const float size = work->logs[first + i];
        if (!isnan(size)) {
            work->sorted[told++] = size + work->weights[col + i];
            gone += work->is_gone[first + i];
        }
    }
    if (gone == 0 || gone == told) {
        return false;
    }
    const float above = select_value(work->sorted, told, gone);
    float below = -INFINITY;
    for (size_t i = 0; i < told; i++) {
        below = work->sorted[i] < above && work->sorted[i] > below ? work->sorted[i] : below;
    }
    *border = isinf(below) ? above : 0.5F * (below + above);
    return true;
}

/* What the numbers of one group on the wrong side of its border ask of their inputs. */
static void pull_group(fit *work, size_t first, size_t col, size_t count) {
    float border;
    if (!find_border(&border, work, first, col, count)) {
        return;
    }
    for (size_t i = 0; i < count; i++) {
        const float score = work->logs[first + i] + work->weights[col + i] - border;
        if (work->is_gone[first + i] ? score > 0.0F : score < 0.0F) {
            work->pull[col + i] -= score;
        }
    }
}

static void pull_all(fit *work) {
    const size_t cols = work->look->cols;
    for (size_t c = 0; c < cols; c++) {
        work->pull[c] = 0;
    }
    for (size_t r = 0; r < work->rows; r++) {
        for (size_t c = 0; c < cols; c += work->group) {
            const size_t left = cols - c;
            pull_group(work, r * cols + c, c, left < work->group ? left : work->group);
        }
    }
}

/* A step along the pull, whose unit is the mean share of a row's numbers near the border. */
static void move_weights(fit *work, float step) {
    const size_t cols = work->look->cols;
    double sum = 0;
    for (size_t c = 0; c < cols; c++) {
        work->weights[c] += step * work->pull[c] / (float)work->rows;
        sum += (double)work->weights[c];
    }
    for (size_t c = 0; c < cols; c++) {
        work->weights[c] -= (float)(sum / (double)cols);
    }
}

weir_code column_weights_fit(float **out, const matrix_look *look, size_t group, weir_error *err) {
    WEIR_CLEANUP(fit_release) fit work = {.look = look, .group = group};
    WEIR_TRY(fit_init(&work, err));
    take_logs(&work);
    for (int round = 0; round < FIT_ROUNDS; round++) {
        pull_all(&work);
        move_weights(&work, 8.0F);
    }
    for (size_t c = 0; c < look->cols; c++) {
        work.weights[c] = expf(work.weights[c]);
    }
    *out = WEIR_TAKE(work.weights);
    return WEIR_OK;
}
