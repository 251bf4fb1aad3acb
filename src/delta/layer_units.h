/* SPDX-License-Identifier: Apache-2.0 */
/** @file layer_units.h  Layers whose units were put into another order: found by single rows. */
#ifndef WEIR_DELTA_LAYER_UNITS_H
#define WEIR_DELTA_LAYER_UNITS_H

#include "delta/layer_map.h"

/**
 * For layers of the model that have no link, look for sampled rows of up (without one, of k) among
 * all rows of every layer of the base. A layer is found when more than half of the rows are, and
 * twice as many as in any other layer; the one of the same number first.
 *
 * Cost: when LAYER_LINK_INDEX or NONE stands somewhere, every up of the base is read, once for a
 * few layers, and once more for the rest if one of these was found.
 */
weir_code layer_map_by_units(layer_map *map, arena *memory, const weir_model *base,
                             const weir_model *model, const residual_frame *frame, weir_error *err);

#endif
