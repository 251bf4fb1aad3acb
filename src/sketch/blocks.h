/* SPDX-License-Identifier: Apache-2.0 */
/** @file blocks.h  Where the feed-forward units of a model stand. */
#ifndef WEIR_SKETCH_BLOCKS_H
#define WEIR_SKETCH_BLOCKS_H

#include <stddef.h>
#include <stdint.h>

#include "tensor/model.h"

/** The views of one feed-forward; borrowed from the model. */
typedef struct block_views {
    int32_t layer;
    int32_t expert;          /**< as in sketch_block */
    const tensor_view *up;   /**< [feed_forward, hidden] */
    const tensor_view *gate; /**< of the same shape, or NULL */
    const tensor_view *norm; /**< gain of the norm before them, [1, hidden], or NULL */
} block_views;

/**
 * List the feed-forwards with at least BLOCK_UNITS units whose numbers can be read, sorted by
 * layer, then expert: of each layer its own, the shared expert, and the first BLOCK_EXPERTS
 * experts.
 *
 * @param[out] out  malloc'ed
 */
weir_code blocks_list(block_views **out, size_t *count, const weir_model *model, weir_error *err);

#endif
