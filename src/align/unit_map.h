/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file unit_map.h  Two models whose hidden units stand in another order, and whose residual basis
 * may have been permuted, mirrored or rotated: the second pass of a trace, with both models at
 * hand.
 *
 * Units are compared by their token codes, sign(v diag(gain) E^T) over tokens chosen by the hashes
 * of their bytes, which no change of the residual basis alters. Every unit of a layer of one model
 * is matched to its nearest in a layer of the other by its row of gate, and again by its row of up.
 * In models that share weights both name the same unit; in unrelated ones they do not. The null of
 * this agreement is empirical: calibrated, not exact.
 */
#ifndef WEIR_ALIGN_UNIT_MAP_H
#define WEIR_ALIGN_UNIT_MAP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "tensor/model.h"
#include "weir/progress.h"

/** As far as a null that was measured carries: no p below it is printed, however well models match.
 */
enum { UNIT_MAP_LOG10_P_MIN = -6 };

typedef struct unit_map_layer {
    int32_t mine;
    int32_t theirs;
    uint32_t agree; /**< units whose nearest by gate and by up is the same one, and mutually so */
    uint32_t of;    /**< units of mine that were looked at */
    bool in_order;  /**< the matched units stand in the same order */
    double cosine;  /**< median over matched units, from the codes */
} unit_map_layer;

typedef struct unit_map {
    unit_map_layer layers[4]; /**< those that were tried: at most 4 of the model's layers */
    size_t layer_count;
    double log10_p; /**< by the law of unit_map.c, before any floor; 0 when nothing could be
                       compared */
    bool units_permuted;
    bool basis_changed; /**< rows differ in the stored basis but agree through the tokens */
    uint64_t bytes_read;
} unit_map;

typedef struct unit_map_options {
    unsigned jobs;
    const weir_callbacks *callbacks;
} unit_map_options;

/**
 * Compare the feed-forward units of two models, whatever their order.
 *
 * @return WEIR_OK, also when the models share no token strings or have no gate (layer_count 0);
 * WEIR_ERR_IO; WEIR_ERR_CANCELLED; WEIR_ERR_NOMEM
 */
weir_code unit_map_find(unit_map *out, const weir_model *mine, const weir_model *theirs,
                        const unit_map_options *options, weir_error *err);

#endif
