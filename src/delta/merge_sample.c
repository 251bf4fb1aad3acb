/* SPDX-License-Identifier: Apache-2.0 */
#include "delta/merge_sample.h"

#include <string.h>

#include "base/checked.h"
#include "base/fail.h"
#include "delta/measure.h"

static void place_arrays(merge_sample *out) {
    float *next = out->memory;
    out->model = next;
    out->base = next += out->count;
    for (size_t i = 0; i < out->parent_count; i++) {
        out->parents[i] = next += out->count;
    }
}

static weir_code read_side(float *out, const merge_sample *sample, const tensor_view *view,
                           uint64_t step, view_scratch *scratch, weir_error *err) {
    const size_t rows = sample->count / sample->cols;
    if (step == 1) {
        return tensor_view_read(view, 0, rows, out, scratch, err);
    }
    for (size_t i = 0; i < rows; i++) {
        WEIR_TRY(tensor_view_read(view, i * step, 1, out + i * sample->cols, scratch, err));
    }
    return WEIR_OK;
}

weir_code merge_sample_read(merge_sample *out, const weir_diff *diff, size_t row,
                            const ptrdiff_t *parents, size_t parent_count, size_t elements_most,
                            weir_error *err) {
    WEIR_CLEANUP(view_scratch_release) view_scratch scratch = {0};
    const tensor_delta *pair = &diff->tensors[row];
    const tensor_view *model = model_view(diff->model, (size_t)pair->model_index);
    const uint64_t cols = model->base.cols;
    if (cols == 0 || cols > ROW_ELEMENTS_MAX || model->base.rows == 0) {
        return weir_fail(err, WEIR_ERR_LIMIT, NULL, at_tensor(model->base.name).text,
                         "a row that fits in memory", "a longer one, or none");
    }
    const uint64_t most = elements_most / cols ? elements_most / cols : 1;
    const uint64_t step = (model->base.rows + most - 1) / most;
    merge_sample_release(out);
    out->row = row;
    out->cols = (size_t)cols;
    out->count = (size_t)((model->base.rows + step - 1) / step * cols);
    out->parent_count = parent_count;
    out->memory = checked_alloc(out->count * (2 + parent_count), sizeof *out->memory);
    if (!out->memory) {
        return weir_fail_nomem(err);
    }
    place_arrays(out);
    WEIR_TRY(read_side(out->model, out, model, step, &scratch, err));
    WEIR_TRY(read_side(out->base, out, model_view(diff->base, (size_t)pair->base_index), step,
                       &scratch, err));
    for (size_t i = 0; i < parent_count; i++) {
        const diff_parent *parent = parents[i] == VIEW_NONE ? NULL : &diff->parents[parents[i]];
        const ptrdiff_t view = parent ? parent->views[row] : VIEW_NONE;
        if (view != VIEW_NONE) {
            WEIR_TRY(read_side(out->parents[i], out, model_view(parent->model, (size_t)view), step,
                               &scratch, err));
        } else {
            memcpy(out->parents[i], out->base, out->count * sizeof *out->base);
        }
    }
    return WEIR_OK;
}

void merge_sample_release(merge_sample *sample) {
    free(sample->memory);
    *sample = (merge_sample){0};
}
