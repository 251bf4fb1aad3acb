/* SPDX-License-Identifier: Apache-2.0 */
/** @file readable.h  Which views have rows of numbers that can be read one by one. */
#ifndef WEIR_ALIGN_READABLE_H
#define WEIR_ALIGN_READABLE_H

#include <stdbool.h>

#include "tensor/model.h"

/**
 * Floats, quantised blocks that do not run from one row into the next, or packed codes with their
 * scales. Bare integers are no weights: their scales are missing.
 */
static inline bool has_readable_rows(const tensor_view *view) {
    const weir_dtype_info *const info = weir_dtype_get(view->base.dtype);
    if (view->base.rows == 0 || view->base.cols == 0) {
        return false;
    }
    return view->packed || info->kind == WEIR_DTYPE_KIND_FLOAT ||
           (info->kind == WEIR_DTYPE_KIND_BLOCK && view->base.cols % info->block_elements == 0);
}

#endif
