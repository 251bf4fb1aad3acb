/* SPDX-License-Identifier: Apache-2.0 */
#include "delta/adapter_replay.h"

#include <cblas.h>
#include <math.h>
#include <stdlib.h>

#include "base/checked.h"
#include "base/fail.h"
#include "delta/rounding.h"
#include "delta/thresholds.h"
#include "kernel/convert.h"

enum { RANK_MAX = 1024, FACTOR_ELEMENTS_MAX = 1 << 26 };

/* Numbers that the adapter moves by so many half steps tell its coefficient without bias. */
static const float steps_to_tell = 8;

/* Two orders of a float32 sum agree to this part of its terms. */
static const float float32_sums = 0x1p-20F;

/* One replay at work. */
typedef struct replay {
    const matrix_look *look;
    size_t rank;
    float *a;         /* [rank, cols] */
    float *b;         /* [rows of the pair, rank] */
    float *magnitude; /* [rows of the pair], or NULL */
    float *added;     /* [rows, cols]: s B A */
    float *row;       /* one row of the merge, as it is stored */
    float *half;      /* its half steps */
    void *stored;
    bool has_steps;
} replay;

static void replay_release_cleanup(replay *at) {
    free(at->a);
    free(at->b);
    free(at->magnitude);
    free(at->added);
    free(at->row);
    free(at->half);
    free(at->stored);
}

static weir_code read_whole(float **out, const tensor_view *view, weir_error *err) {
    uint64_t elements;
    if (!checked_mul_u64(&elements, view->base.rows, view->base.cols) || elements == 0 ||
        elements > FACTOR_ELEMENTS_MAX) {
        return weir_fail(err, WEIR_ERR_LIMIT, NULL, at_tensor(view->base.name).text,
                         "an adapter factor of 1 to 67,108,864 numbers", "another size");
    }
    WEIR_CLEANUP(view_scratch_release) view_scratch scratch = {0};
    *out = checked_alloc((size_t)elements, sizeof **out);
    return *out ? tensor_view_read(view, 0, view->base.rows, *out, &scratch, err)
                : weir_fail_nomem(err);
}

static weir_code check_shapes(const matrix_look *look, const adapter_item *item,
                              const tensor_view *magnitude, weir_error *err) {
    const bool fits = item->a.base.cols == look->cols && item->b.base.rows == look->rows_of &&
                      item->a.base.rows == item->rank && item->b.base.cols == item->rank &&
                      (!magnitude || magnitude->base.rows * magnitude->base.cols == look->rows_of);
    if (!fits) {
        return weir_fail(err, WEIR_ERR_ARG, NULL, at_tensor(item->name).text,
                         "an adapter of the pair's shape", "another one");
    }
    if (item->rank == 0 || item->rank > RANK_MAX) {
        return weir_fail(err, WEIR_ERR_LIMIT, NULL, at_tensor(item->name).text,
                         "an adapter of rank 1 to 1024", "rank %zu", (size_t)item->rank);
    }
    return WEIR_OK;
}

/* s B A for the rows at hand. */
static weir_code multiply(replay *at, double scale, weir_error *err) {
    const matrix_look *const look = at->look;
    WEIR_CLEANUP(free) float *left = checked_alloc(look->rows * at->rank, sizeof *left);
    if (!left) {
        return weir_fail_nomem(err);
    }
    for (size_t i = 0; i < look->rows; i++) {
        const float *const row = at->b + i * (size_t)look->row_step * at->rank;
        for (size_t k = 0; k < at->rank; k++) {
            left[i * at->rank + k] = row[k];
        }
    }
    cblas_sgemm(CblasRowMajor, CblasNoTrans, CblasNoTrans, (int)look->rows, (int)look->cols,
                (int)at->rank, (float)scale, left, (int)at->rank, at->a, (int)look->cols, 0.0F,
                at->added, (int)look->cols);
    return WEIR_OK;
}

static weir_code begin(replay *out, const matrix_look *look, const adapter_item *item,
                       const tensor_view *magnitude, weir_error *err) {
    const weir_dtype_info *const info = weir_dtype_get(look->dtype);
    WEIR_TRY(check_shapes(look, item, magnitude, err));
    out->look = look;
    out->rank = (size_t)item->rank;
    WEIR_TRY(read_whole(&out->a, &item->a, err));
    WEIR_TRY(read_whole(&out->b, &item->b, err));
    if (magnitude) {
        WEIR_TRY(read_whole(&out->magnitude, magnitude, err));
    }
    out->added = checked_alloc(look->rows * look->cols, sizeof *out->added);
    out->row = checked_alloc(look->cols, sizeof *out->row);
    out->half = checked_alloc(look->cols, sizeof *out->half);
    out->stored = checked_alloc(look->cols / info->block_elements + 1, info->block_bytes);
    if (!out->added || !out->row || !out->half || !out->stored) {
        return weir_fail_nomem(err);
    }
    return multiply(out, isnan(item->scale) ? 1 : item->scale, err);
}

static bool can_store(const matrix_look *look) {
    return !isnan(look->rounding) && convert_can_write(look->dtype) &&
           look->cols % weir_dtype_get(look->dtype)->block_elements == 0;
}

/* One row of the merge as the model's file would hold it. */
static void merge_row(replay *at, size_t row, double lambda, bool is_rounded) {
    const size_t cols = at->look->cols;
    const float *const base = at->look->base + row * cols;
    const float *const added = at->added + row * cols;
    double square = 0;
    for (size_t j = 0; j < cols; j++) {
        at->row[j] = (float)lambda * added[j];
    }
    if (is_rounded) {
        convert_from_f32(at->stored, at->look->dtype, at->row, cols);
        convert_to_f32(at->row, at->look->dtype, at->stored, cols);
    }
    for (size_t j = 0; j < cols; j++) {
        at->row[j] += base[j];
        square += (double)at->row[j] * (double)at->row[j];
    }
    if (at->magnitude && square > 0) {
        const float factor = at->magnitude[row * (size_t)at->look->row_step] / (float)sqrt(square);
        for (size_t j = 0; j < cols; j++) {
            at->row[j] *= factor;
        }
    }
    convert_from_f32(at->stored, at->look->dtype, at->row, cols);
    convert_to_f32(at->row, at->look->dtype, at->stored, cols);
}

static void replay_all(adapter_replay *out, replay *at, double lambda, bool is_rounded) {
    const size_t cols = at->look->cols;
    const size_t count = at->look->rows * cols;
    uint64_t moved = 0;
    uint64_t equal = 0;
    uint64_t near = 0;
    const bool is_float32 = at->look->dtype == WEIR_DTYPE_F32;
    for (size_t i = 0; i < count; i += cols) {
        merge_row(at, i / cols, lambda, is_rounded);
        const bool has_steps = rounding_half_steps(at->half, at->look->dtype, at->row, cols);
        for (size_t j = 0; j < cols; j++) {
            const float base = at->look->base[i + j];
            const float model = base + at->look->change[i + j];
            const bool is_equal = at->row[j] == model;
            const bool is_moved = model != base || at->row[j] != base;
            const float size = fabsf(base) + fabsf(at->added[i + j]);
            const float step = is_float32  ? size * float32_sums
                               : has_steps ? 2.0F * at->half[j]
                                           : 0.0F;
            moved += is_moved;
            equal += is_moved && is_equal;
            near += is_moved && (is_equal || fabsf(at->row[j] - model) <= step);
        }
    }
    out->moved = moved;
    out->equal = moved > 0 ? (double)equal / (double)moved : 0;
    out->near = moved > 0 ? (double)near / (double)moved : 0;
    out->all_equal = (double)(count - moved + equal) / (double)count;
    out->lambda = lambda;
}

/* Least squares of the change on s B A, over numbers that move by several steps; of all where there
 * are none. */
static void find_lambda(adapter_replay *out, replay *at) {
    const size_t cols = at->look->cols;
    double sums[2][2] = {{0}}; /* of all, of the telling: <D, L>, <L, L> */
    for (size_t i = 0; i < at->look->rows * cols; i += cols) {
        const float *const base = at->look->base + i;
        const bool has_steps = !isnan(at->look->rounding) &&
                               rounding_half_steps(at->half, at->look->dtype, base, cols);
        for (size_t j = 0; j < cols; j++) {
            const float added = at->added[i + j];
            const double cross = (double)at->look->change[i + j] * (double)added;
            const double square = (double)added * (double)added;
            const bool is_telling = has_steps && fabsf(added) >= steps_to_tell * at->half[j];
            sums[0][0] += cross;
            sums[0][1] += square;
            sums[1][0] += is_telling ? cross : 0;
            sums[1][1] += is_telling ? square : 0;
        }
    }
    const double *const best = sums[1][1] > 0 ? sums[1] : sums[0];
    out->lambda = best[1] > 0 ? best[0] / best[1] : 0;
    out->explained = sums[0][1] > 0 && at->look->change_square > 0
                         ? 1 - (at->look->change_square - 2 * out->lambda * sums[0][0] +
                                out->lambda * out->lambda * sums[0][1]) /
                                   at->look->change_square
                         : 0;
}

/* The coefficients worth replaying: a plain merge, the snapped and the measured one; a product
 * that was rounded before it was added, or not. */
static void replay_best(adapter_replay *out, replay *at) {
    const double candidates[] = {1, round(out->lambda * 20) / 20, out->lambda};
    adapter_replay best = {.equal = -1};
    for (size_t k = 0; k < sizeof candidates / sizeof *candidates; k++) {
        if (k > 0 && (at->magnitude || candidates[k] == candidates[k - 1])) {
            continue;
        }
        for (int rounded = 0; rounded < 2; rounded++) {
            adapter_replay one;
            if (rounded && rounding_mantissa_bits(at->look->dtype) < 0) {
                continue;
            }
            replay_all(&one, at, candidates[k], rounded);
            if (one.equal > best.equal) {
                one.explained = out->explained;
                best = one;
            }
        }
        if (best.equal >= THRESHOLD_REPLAY_PROVED) {
            break;
        }
    }
    *out = best;
    const bool is_equal = at->look->dtype == WEIR_DTYPE_F32 || out->equal >= THRESHOLD_REPLAY_EQUAL;
    out->is_proved = out->moved > 0 && is_equal && out->near >= THRESHOLD_REPLAY_PROVED;
}

weir_code adapter_replay_run(adapter_replay *out, const matrix_look *look, const adapter_item *item,
                             const tensor_view *magnitude, weir_error *err) {
    WEIR_CLEANUP(replay_release) replay work = {0};
    adapter_replay found = {0};
    WEIR_TRY(begin(&work, look, item, magnitude, err));
    find_lambda(&found, &work);
    if (can_store(look)) {
        replay_best(&found, &work);
    }
    *out = found;
    return WEIR_OK;
}
