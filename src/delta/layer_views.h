/* SPDX-License-Identifier: Apache-2.0 */
/** @file layer_views.h  The tensors of each layer of a model. */
#ifndef WEIR_DELTA_LAYER_VIEWS_H
#define WEIR_DELTA_LAYER_VIEWS_H

#include <stdlib.h>

#include "tensor/model.h"

typedef struct layer_views {
    int32_t number;
    size_t first; /**< views first to first + count - 1 of the model */
    size_t count;
} layer_views;

/** Zero-initialise; release with layer_list_release(). Sorted by number. */
typedef struct layer_list {
    const weir_model *model;
    layer_views *items;
    size_t count;
} layer_list;

weir_code layer_list_make(layer_list *out, const weir_model *model, weir_error *err);

/** The views of one layer, found without a list. @return false when there is no such layer. */
bool layer_views_find(layer_views *out, const weir_model *model, int32_t number);

/** The layer of a number, or NULL. */
const layer_views *layer_list_find(const layer_list *list, int32_t number);

/** The weight of a role in a layer (of one expert, or -1), or NULL; the first of several. */
const tensor_view *layer_view(const weir_model *model, const layer_views *layer, weir_role role,
                              int32_t expert);

/** The weight of a role outside the layers, or NULL. */
const tensor_view *model_role_view(const weir_model *model, weir_role role);

static inline void layer_list_release(layer_list *list) {
    free(list->items);
}
static inline void layer_list_release_cleanup(layer_list *list) {
    layer_list_release(list);
}

#endif
