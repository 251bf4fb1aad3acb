/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file width_map.h  Which residual channels, hidden units and heads of the base those of the model
 * are, when some were left out or added, or when they stand in another order.
 *
 *   channels  columns of the embedding over tokens that both have; a channel may be mirrored
 *   units     rows of up over the frame's channels; gate has to agree
 *   heads     of k over the frame's channels, then of q
 *
 * A map is found when at least THRESHOLD_MATCHED_SHARE of what could have a partner has one. Of
 * equal counts the rest is then paired in order.
 */
#ifndef WEIR_DELTA_WIDTH_MAP_H
#define WEIR_DELTA_WIDTH_MAP_H

#include "delta/frame.h"
#include "delta/vocabulary_map.h"

enum { WIDTH_TOKENS = 512 };

/**
 * Read the embeddings of tokens that both have, at most `most`, evenly spaced.
 * @param[out] base, model  malloc'ed, [*tokens, hidden of the side]; NULL when *tokens is 0
 */
weir_code width_read_tokens(float **base, float **model, size_t *tokens, const weir_model *of_base,
                            const weir_model *of_model, const vocabulary_map *words, size_t most,
                            weir_error *err);

/** Map the residual channels, from rows of width_read_tokens(). */
weir_code width_map_channels(axis_map *out, bool *is_found, arena *memory, const float *base,
                             size_t base_hidden, const float *model, size_t model_hidden,
                             size_t tokens, weir_error *err);

/** One place of both models: views of the layers, the frame, and memory. */
typedef struct width_place {
    arena *memory;
    const residual_frame *frame;
    const weir_model *base;
    const weir_model *model;
    const layer_views *base_layer;
    const layer_views *model_layer;
    view_scratch *scratch;
} width_place;

/** The three parts of a feed-forward. */
typedef struct width_units {
    const tensor_view *base_up, *base_gate; /**< gate may be NULL */
    const tensor_view *model_up, *model_gate;
} width_units;

/** Whether rows at the same index are alike: then there is nothing to look for. False for other
 * counts. */
weir_code width_units_alike(bool *is_alike, const width_place *at, const width_units *units,
                            weir_error *err);
weir_code width_map_units(axis_map *out, bool *is_found, const width_place *at,
                          const width_units *units, weir_error *err);

/** Heads of both sides; counts of 0 are unknown, and nothing is looked for. */
typedef struct width_heads {
    uint64_t base_heads, base_kv_heads, model_heads, model_kv_heads;
    uint64_t head_dim;
} width_heads;

weir_code width_heads_alike(bool *is_alike, const width_place *at, const width_heads *heads,
                            weir_error *err);
weir_code width_map_heads(axis_map *heads_out, axis_map *kv_out, bool *is_found,
                          const width_place *at, const width_heads *heads, weir_error *err);

#endif
