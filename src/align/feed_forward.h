/* SPDX-License-Identifier: Apache-2.0 */
/** @file feed_forward.h  The gated feed-forwards of a model: whose units can be told apart twice.
 */
#ifndef WEIR_ALIGN_FEED_FORWARD_H
#define WEIR_ALIGN_FEED_FORWARD_H

#include <stddef.h>
#include <stdint.h>

#include "tensor/model.h"

enum { FEED_FORWARD_OWN = -1, FEED_FORWARD_SHARED = -2 };

/** One feed-forward of a layer: its own, one of its experts, or the shared expert. Views are the
 * model's. */
typedef struct feed_forward {
    int32_t layer;
    int32_t expert;          /**< the expert's number, FEED_FORWARD_OWN or FEED_FORWARD_SHARED */
    const tensor_view *gate; /**< [units, hidden] */
    const tensor_view *up;   /**< of the same shape */
    const tensor_view
        *norm; /**< [1, hidden], gain of the norm that they read through; NULL: none */
} feed_forward;

/**
 * List the feed-forwards whose gate and up can be read by rows, sorted by layer, then expert.
 * @param[out] out  malloc'ed; NULL when there are none
 */
weir_code feed_forward_list(feed_forward **out, size_t *count, const weir_model *model,
                            weir_error *err);

/** What is added to a stored gain: 1 in architectures that store gain - 1 (Gemma), else 0. */
float feed_forward_gain_offset(const weir_model *model);

/** Stored bytes of some rows of a readable view. */
uint64_t feed_forward_bytes(const tensor_view *view, uint64_t row_count);

#endif
