/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file axis_map.h  Which element of a dimension of the base each element of the model's dimension
 * is: tokens, residual channels, hidden units, rows of heads.
 */
#ifndef WEIR_DELTA_AXIS_MAP_H
#define WEIR_DELTA_AXIS_MAP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/arena.h"
#include "weir/error.h"

#define AXIS_NONE UINT32_MAX

/** Shared element i is base[i] of the base and model[i] of the model; NULL stands for i itself.
 * The model's indices rise. Lists belong to an arena. */
typedef struct axis_map {
    uint64_t base_count;
    uint64_t model_count;
    uint64_t shared;
    const uint32_t *base;
    const uint32_t *model;
    const int8_t *signs; /**< [shared], 1 or -1; NULL: all 1 */
    bool is_reordered;   /**< the base's indices do not rise */
    uint64_t moved;      /**< shared elements at another index than in the base */
    uint64_t mirrored;   /**< of negative sign */
    uint64_t equal;      /**< shared elements whose sampled numbers are bit-equal */
} axis_map;

/**
 * Make a map of partners.
 * @param partners  [model_count], index into the base's elements or AXIS_NONE
 * @param signs     [model_count] or NULL
 */
weir_code axis_map_build(axis_map *out, arena *memory, const uint32_t *partners,
                         const int8_t *signs, size_t model_count, size_t base_count,
                         weir_error *err);

/** Every element of `of` becomes `each` of its own, in order: heads become rows of heads. */
weir_code axis_map_spread(axis_map *out, arena *memory, const axis_map *of, size_t each,
                          weir_error *err);

/** Whether both sides have the same elements in one order. */
bool axis_map_is_same(const axis_map *map);

#endif
