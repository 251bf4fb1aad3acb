/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file layer_map.h  Which layer of the base, or of another parent, each layer of the model is.
 *
 * A layer is known by sampled rows of its projections over sampled residual channels: first by the
 * same bits, then by the mean cosine of its projections, clearly ahead of every other layer. A
 * layer may stand in the model several times, and in any order. The layer of the same index stays
 * when it is as good.
 */
#ifndef WEIR_DELTA_LAYER_MAP_H
#define WEIR_DELTA_LAYER_MAP_H

#include "delta/frame.h"
#include "tensor/model.h"

enum {
    LAYER_NONE = -1,
    LAYER_SEARCH_MAX = 1024, /**< layers on each side that are compared one with another */
};

typedef enum layer_link {
    LAYER_LINK_NONE,  /**< no layer of the base is like it */
    LAYER_LINK_INDEX, /**< only its place says so: no layer is alike, and both have as many */
    LAYER_LINK_NEAR,  /**< by cosine */
    LAYER_LINK_EQUAL, /**< by equal rows */
} layer_link;

/** One layer of the model. */
typedef struct layer_pair {
    int32_t model;
    int32_t base; /**< or LAYER_NONE; numbers as in names */
    layer_link link;
    double cosine; /**< of the sampled rows, mean over projections; NaN when nothing was compared */
} layer_pair;

typedef struct layer_map {
    layer_pair *pairs; /**< [count], by model layer; arena's */
    size_t count;
    size_t base_count;
    const int32_t *dropped; /**< layers of the base that no layer of the model is */
    size_t dropped_count;
    size_t duplicated; /**< layers of the model whose base layer stands in it more than once, less
                          one for each such base layer */
    size_t linked;     /**< layers of the model with a link by rows */
    size_t moved;      /**< of them, those of another number in the base */
    size_t added;      /**< layers of the model without one of the base */
    bool base_repeats; /**< layers of the base are equal to each other, so far as was sampled */
    bool is_reordered; /**< base layers do not rise */
    bool is_same;      /**< every layer is the base's of the same number, none dropped or added */
} layer_map;

/**
 * Find the layers of `model` in `base`.
 *
 * @param frame  residual channels of both, see frame.h; NULL: those of the same index, when both
 *               have as many
 * @return WEIR_OK; WEIR_ERR_IO; WEIR_ERR_FORMAT; WEIR_ERR_NOMEM
 *
 * Cost: two rows of each projection of each layer. Beyond LAYER_SEARCH_MAX layers without a partner
 * only equal rows and equal numbers are looked for.
 */
weir_code layer_map_find(layer_map *out, arena *memory, const weir_model *base,
                         const weir_model *model, const residual_frame *frame, weir_error *err);

/** Count again what the pairs say, after one of them was changed. */
weir_code layer_map_count(layer_map *map, arena *memory, const weir_model *base, weir_error *err);

/** The pair of a layer of the model, or NULL. */
const layer_pair *layer_map_get(const layer_map *map, int32_t model_layer);

#endif
