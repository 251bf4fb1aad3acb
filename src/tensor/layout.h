/* SPDX-License-Identifier: Apache-2.0 */
/** @file layout.h  One stored tensor becomes the canonical tensors that it holds. */
#ifndef WEIR_TENSOR_LAYOUT_H
#define WEIR_TENSOR_LAYOUT_H

#include <stdbool.h>
#include <stddef.h>

#include "base/text.h"
#include "format/checkpoint.h"
#include "tensor/model.h"
#include "tensor/role_table.h"

/** Views as they are gathered; names are not set yet. Zero-initialise; free(items). */
typedef struct view_list {
    tensor_view *items;
    size_t count;
    size_t capacity;
} view_list;

/**
 * Add the views that a stored tensor splits into. `source` and the names of the views are left to
 * the caller.
 *
 * @param[out] fits  false when the tensor's shape contradicts its layout or the numbers of the
 * model; then nothing was added
 * @return WEIR_OK; WEIR_ERR_LIMIT past TENSOR_COUNT_MAX views; WEIR_ERR_NOMEM
 */
weir_code layout_split(view_list *views, bool *fits, const stored_tensor *stored,
                       const role_match *match, const hyperparameters *shape, weir_error *err);

/** Add one plain view of the whole tensor, [product of the outer dims, innermost dim], of unknown
 * role. */
weir_code layout_whole(view_list *views, const stored_tensor *stored, weir_error *err);

/** Add "layers.3.experts.7.up.bias" to a text; `part` is the pattern's and may be NULL. */
void layout_format_name(text_buffer *out, const weir_tensor *tensor, const char *part);

#endif
