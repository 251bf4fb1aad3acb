/* SPDX-License-Identifier: Apache-2.0 */
/** @file feed_forward.h  The feed-forwards of a model: where its hidden units stand. */
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
    const tensor_view *up;   /**< [units, hidden] */
    const tensor_view *gate; /**< of the same shape; NULL where there is none */
    const tensor_view
        *norm; /**< [1, hidden], gain of the norm that they read through; NULL: none */
} feed_forward;

/**
 * List the feed-forwards whose up can be read by rows, sorted by layer, then expert.
 * @param[out] out  malloc'ed; NULL when there are none
 */
weir_code feed_forward_list(feed_forward **out, size_t *count, const weir_model *model,
                            weir_error *err);

/** What is added to a stored gain: 1 in architectures that store gain - 1 (Gemma), else 0. */
float feed_forward_gain_offset(const weir_model *model);

#endif
