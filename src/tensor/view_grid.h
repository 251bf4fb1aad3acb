/* SPDX-License-Identifier: Apache-2.0 */
/** @file view_grid.h  The scales behind a quantised tensor's numbers, in canonical order. */
#ifndef WEIR_TENSOR_VIEW_GRID_H
#define WEIR_TENSOR_VIEW_GRID_H

#include "kernel/number_grid.h"
#include "tensor/model.h"

enum { VIEW_GRID_LEVELS_MAX = 256 };

/** Levels of a tensor; `grid` points into it where they are the file's own. Not to be moved. */
typedef struct view_grid {
    number_grid grid;
    float levels[VIEW_GRID_LEVELS_MAX];
} view_grid;

/** @return false when the tensor's numbers are not coded as levels. */
bool tensor_view_grid(view_grid *out, const tensor_view *view);

/**
 * Read scale and offset of every number of some canonical rows.
 *
 * @param[out] scale, offset  row_count * cols floats each
 * @param view                one that tensor_view_grid() has levels for
 * @return as tensor_view_read()
 */
weir_code tensor_view_read_grid(const tensor_view *view, uint64_t row_begin, uint64_t row_count,
                                float *scale, float *offset, view_scratch *scratch,
                                weir_error *err);

#endif
