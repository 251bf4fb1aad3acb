/* SPDX-License-Identifier: Apache-2.0 */
#include "delta/pair_rows.h"

#include "base/fail.h"

uint64_t pair_row_count(const weir_diff *diff, const tensor_delta *row) {
    return model_view(diff->model, (size_t)row->model_index)->base.rows;
}

uint64_t pair_col_count(const weir_diff *diff, const tensor_delta *row) {
    return model_view(diff->model, (size_t)row->model_index)->base.cols;
}

weir_code pair_rows_read(float *base, float *model, const weir_diff *diff, const tensor_delta *row,
                         uint64_t row_begin, uint64_t row_count, view_scratch *scratch,
                         weir_error *err) {
    WEIR_TRY(tensor_view_read(model_view(diff->base, (size_t)row->base_index), row_begin, row_count,
                              base, scratch, err));
    return tensor_view_read(model_view(diff->model, (size_t)row->model_index), row_begin, row_count,
                            model, scratch, err);
}
