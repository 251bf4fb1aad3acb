/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file expert_map.h  Which feed-forward of the base, or of another parent, each expert is.
 *
 * Experts are known by sampled rows of up, as layers are. A dense feed-forward may have become
 * every expert (upcycling), experts of several dense models may stand side by side (ask each
 * parent), and one expert may have become a dense feed-forward.
 */
#ifndef WEIR_DELTA_EXPERT_MAP_H
#define WEIR_DELTA_EXPERT_MAP_H

#include "align/feed_forward.h"
#include "delta/frame.h"
#include "tensor/model.h"

enum { EXPERT_NONE = -3 };

typedef struct expert_pair {
    int32_t model; /**< expert's number, or FEED_FORWARD_OWN for a dense feed-forward */
    int32_t base;  /**< likewise, or EXPERT_NONE */
    bool is_equal; /**< the sampled rows have the same bits */
    double cosine; /**< of the sampled rows */
} expert_pair;

/** One layer of the model. Kept are experts with a partner, if only by their number. */
typedef struct expert_map {
    int32_t layer;            /**< of the model */
    int32_t base_layer;       /**< of the base */
    const expert_pair *pairs; /**< by model expert; arena's */
    size_t count;
    size_t base_count;  /**< experts of the base's layer; 0 when it is dense */
    size_t model_count; /**< of the model's; 0 when it is dense */
    size_t kept, added, removed, moved;
    size_t alike;      /**< of those kept, with rows that are alike */
    bool is_upcycled;  /**< experts of the model are the base's dense feed-forward */
    bool is_extracted; /**< the model's dense feed-forward is an expert of the base */
    bool is_same;      /**< each expert is the base's of the same number */
    axis_map router;   /**< of the router's rows; zero unless both have experts */
} expert_map;

/**
 * Find the feed-forwards of one layer of the model among those of a layer of the base or a parent.
 * @return WEIR_OK; WEIR_ERR_IO; WEIR_ERR_NOMEM
 */
weir_code expert_map_find(expert_map *out, arena *memory, const weir_model *base,
                          int32_t base_layer, const weir_model *model, int32_t model_layer,
                          const residual_frame *frame, weir_error *err);

#endif
