/* SPDX-License-Identifier: Apache-2.0 */
/** @file packed_views.h  The canonical tensors that a packed weight holds. */
#ifndef WEIR_TENSOR_PACKED_VIEWS_H
#define WEIR_TENSOR_PACKED_VIEWS_H

#include "tensor/layout.h"
#include "tensor/packed.h"

/**
 * layout_split() for a packed weight, which is [outputs, inputs] whatever the layout of the
 * unpacked one: packers turn Conv1D and stacked experts before they pack.
 * @param[out] fits  as in layout_split()
 */
weir_code packed_split(view_list *views, bool *fits, const packed_tensor *packed,
                       const role_match *match, const hyperparameters *shape, weir_error *err);

#endif
