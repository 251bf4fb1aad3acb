/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file packed_views.c  A packed weight split as its unpacked twin would be.
 *
 * layout.c works on a stored tensor's dims; here it is given one that has the dims of the matrix.
 */
#include "tensor/packed_views.h"

#include "base/fail.h"

/* The layout of a weight once its outputs are rows. */
static role_layout by_rows(role_layout layout) {
    switch (layout) {
    case ROLE_LAYOUT_TURNED:
        return ROLE_LAYOUT_ROWS;
    case ROLE_LAYOUT_QKV_TURNED:
        return ROLE_LAYOUT_QKV;
    case ROLE_LAYOUT_EXPERTS_TURNED:
        return ROLE_LAYOUT_EXPERTS;
    case ROLE_LAYOUT_EXPERTS_PAIRS:
        return ROLE_LAYOUT_EXPERTS_ROW_PAIRS;
    case ROLE_LAYOUT_ROWS:
    case ROLE_LAYOUT_ROPE:
    case ROLE_LAYOUT_QKV:
    case ROLE_LAYOUT_QKV_GROUPS:
    case ROLE_LAYOUT_GATE_UP:
    case ROLE_LAYOUT_EXPERTS:
    case ROLE_LAYOUT_EXPERTS_GATE_UP:
    case ROLE_LAYOUT_EXPERTS_ROW_PAIRS:
        break;
    }
    return layout;
}

weir_code packed_split(view_list *views, bool *fits, const packed_tensor *packed,
                       const role_match *match, const hyperparameters *shape, weir_error *err) {
    role_pattern pattern = *match->pattern;
    role_match turned = *match;
    pattern.layout = by_rows(pattern.layout);
    turned.pattern = &pattern;
    const uint64_t dims[3] = {packed->experts, packed->rows / packed->experts, packed->cols};
    const bool is_stack = packed->kind == PACKED_MX;
    stored_tensor unpacked = *packed->codes.stored;
    unpacked.dims = is_stack ? dims : dims + 1;
    unpacked.rank = is_stack ? 3 : 2;
    unpacked.dtype = WEIR_DTYPE_F32;
    const size_t begin = views->count;
    WEIR_TRY(layout_split(views, fits, &unpacked, &turned, shape, err));
    for (size_t i = begin; i < views->count; i++) {
        tensor_view *const view = &views->items[i];
        view->stored = packed->codes.stored;
        view->base.dtype = (weir_dtype)packed->codes.stored->dtype;
        view->packed = packed;
    }
    return WEIR_OK;
}
