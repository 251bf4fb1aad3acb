/* SPDX-License-Identifier: Apache-2.0 */
/** @file blocks.h  Which feed-forwards of a model its fingerprint is taken from. */
#ifndef WEIR_SKETCH_BLOCKS_H
#define WEIR_SKETCH_BLOCKS_H

#include "align/feed_forward.h"

/**
 * List the feed-forwards with at least BLOCK_UNITS units, sorted by layer, then expert: of each
 * layer its own, the shared expert and the first BLOCK_EXPERTS experts; of all of them the first
 * BLOCK_COUNT_MAX.
 *
 * @param[out] out  malloc'ed
 */
weir_code blocks_list(feed_forward **out, size_t *count, const weir_model *model, weir_error *err);

#endif
