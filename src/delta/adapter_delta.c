/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a LoRA adapter adds to its base, without forming the product. With G = A A' and H = B' B,
 * both [rank, rank], |s B A|^2 = s^2 sum over i, j of G[i][j] H[i][j] so the size of the change
 * costs rank^2 (rows + cols) and the base is read once for its norm. Hu et al. 2021 (LoRA),
 * section 4.1, for the form of the update.
 */
#include <assert.h>
#include <math.h>

#include "base/cancel.h"
#include "base/checked.h"
#include "base/fail.h"
#include "delta/diff.h"
#include "tensor/adapter.h"

enum { RANK_MAX = 1024, FACTOR_ELEMENTS_MAX = 1 << 26, PIECE_ELEMENTS = 1 << 16 };

/* A whole factor in float32; NULL and WEIR_ERR_LIMIT when it is too large to hold. */
static weir_code read_factor(float **out, const tensor_view *view, weir_error *err) {
    uint64_t elements;
    if (!checked_mul_u64(&elements, view->base.rows, view->base.cols) ||
        elements > FACTOR_ELEMENTS_MAX) {
        return weir_fail(err, WEIR_ERR_LIMIT, NULL, at_tensor(view->base.name).text,
                         "an adapter factor of at most 67,108,864 numbers", "a larger one");
    }
    WEIR_CLEANUP(free) float *values = checked_alloc((size_t)elements, sizeof *values);
    if (!values) {
        return weir_fail_nomem(err);
    }
    WEIR_CLEANUP(view_scratch_release) view_scratch scratch = {0};
    WEIR_TRY(tensor_view_read(view, 0, view->base.rows, values, &scratch, err));
    *out = WEIR_TAKE(values);
    return WEIR_OK;
}

/* out[i][j] = sum over k of a[i][k] a[j][k], for a stored with the given strides. */
static void fill_gram(double *out, const float *a, size_t rank, size_t length, size_t rank_stride,
                      size_t length_stride) {
    for (size_t i = 0; i < rank; i++) {
        for (size_t j = 0; j <= i; j++) {
            double sum = 0;
            for (size_t k = 0; k < length; k++) {
                sum += (double)a[i * rank_stride + k * length_stride] *
                       (double)a[j * rank_stride + k * length_stride];
            }
            out[i * rank + j] = sum;
            out[j * rank + i] = sum;
        }
    }
}

static weir_code measure_product(double *out, const adapter_item *item, weir_error *err) {
    const size_t rank = (size_t)item->rank;
    if (rank == 0 || rank > RANK_MAX) {
        return weir_fail(err, WEIR_ERR_LIMIT, NULL, at_tensor(item->name).text,
                         "an adapter of rank 1 to 1024", "rank %zu", rank);
    }
    WEIR_CLEANUP(free) float *a = NULL;
    WEIR_CLEANUP(free) float *b = NULL;
    WEIR_CLEANUP(free) double *gram_a = checked_alloc(rank * rank, sizeof *gram_a);
    WEIR_CLEANUP(free) double *gram_b = checked_alloc(rank * rank, sizeof *gram_b);
    if (!gram_a || !gram_b) {
        return weir_fail_nomem(err);
    }
    WEIR_TRY(read_factor(&a, &item->a, err));
    WEIR_TRY(read_factor(&b, &item->b, err));
    assert(a && b);
    fill_gram(gram_a, a, rank, (size_t)item->a.base.cols, (size_t)item->a.base.cols, 1);
    fill_gram(gram_b, b, rank, (size_t)item->b.base.rows, 1, (size_t)item->b.base.cols);
    double sum = 0;
    for (size_t i = 0; i < rank * rank; i++) {
        sum += gram_a[i] * gram_b[i];
    }
    *out = item->scale * item->scale * (sum > 0 ? sum : 0);
    return WEIR_OK;
}

/* Sum of squares of a tensor of the base. */
static weir_code measure_base(double *out, const tensor_view *view, weir_error *err) {
    const uint64_t rows_at_once = view->base.cols >= PIECE_ELEMENTS
                                      ? 1
                                      : PIECE_ELEMENTS / (view->base.cols ? view->base.cols : 1);
    WEIR_CLEANUP(view_scratch_release) view_scratch scratch = {0};
    WEIR_CLEANUP(free)
    float *values = checked_alloc((size_t)rows_at_once * view->base.cols, sizeof *values);
    if (!values) {
        return weir_fail_nomem(err);
    }
    pair_stats sums = {0};
    for (uint64_t row = 0; row < view->base.rows; row += rows_at_once) {
        const uint64_t left = view->base.rows - row;
        const uint64_t rows = left < rows_at_once ? left : rows_at_once;
        const size_t count = (size_t)(rows * view->base.cols);
        WEIR_TRY(tensor_view_read(view, row, rows, values, &scratch, err));
        for (size_t i = 0; i < count; i += PAIR_BLOCK) {
            pair_stats block;
            pair_stats_block_f32(&block, values + i, values + i,
                                 count - i < PAIR_BLOCK ? count - i : PAIR_BLOCK);
            pair_stats_merge(&sums, &block);
        }
    }
    *out = sums.sum_aa;
    return WEIR_OK;
}

static weir_code measure_item(weir_diff *diff, const adapter_item *item, weir_error *err) {
    size_t base_index;
    if (!model_find(diff->base, item->name, &base_index)) {
        return WEIR_OK;
    }
    tensor_delta row = {.base_index = (ptrdiff_t)base_index,
                        .model_index = VIEW_NONE,
                        .state = TENSOR_COMPARED,
                        .change = WEIR_CHANGE_LOW_RANK,
                        .rank = item->rank,
                        .rounding_dd = (double)NAN};
    row.stats.sum_ab = (double)NAN;
    row.stats.sum_bb = (double)NAN;
    WEIR_TRY(measure_product(&row.stats.sum_dd, item, err));
    WEIR_TRY(measure_base(&row.stats.sum_aa, model_view(diff->base, base_index), err));
    diff->tensors[diff->tensor_count++] = row;
    return WEIR_OK;
}

weir_code diff_adapter(weir_diff *diff, const weir_diff_options *options, weir_error *err) {
    const weir_callbacks *callbacks = options->callbacks;
    WEIR_CLEANUP(adapter_release) adapter list = {0};
    WEIR_TRY(adapter_resolve(&list, diff->model, diff->base, err));
    diff->tensors = calloc(list.count + 1, sizeof *diff->tensors);
    if (!diff->tensors) {
        return weir_fail_nomem(err);
    }
    if (list.unresolved > 0) {
        findings_add(diff->findings,
                     &(weir_finding){.id = "adapter-module-unresolved",
                                     .severity = WEIR_SEVERITY_MEDIUM,
                                     .file = weir_model_name(diff->model)},
                     "%zu modules of the adapter are not in the base, or do not fit it",
                     list.unresolved);
    }
    for (size_t i = 0; i < list.count; i++) {
        if (is_cancelled(callbacks)) {
            return weir_fail(err, WEIR_ERR_CANCELLED, NULL, NULL, NULL, "cancelled");
        }
        WEIR_TRY(measure_item(diff, &list.items[i], err));
    }
    return WEIR_OK;
}
