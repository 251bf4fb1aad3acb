/* SPDX-License-Identifier: Apache-2.0 */
#include "delta/layer_views.h"

#include "base/checked.h"
#include "base/fail.h"

weir_code layer_list_make(layer_list *out, const weir_model *model, weir_error *err) {
    const size_t tensors = weir_model_tensor_count(model);
    size_t capacity = 0;
    *out = (layer_list){.model = model};
    for (size_t i = 0; i < tensors; i++) {
        const int32_t number = model_view(model, i)->base.layer;
        if (number < 0) {
            continue;
        }
        if (out->count > 0 && out->items[out->count - 1].number == number) {
            out->items[out->count - 1].count++;
            continue;
        }
        void *items = out->items;
        if (!checked_grow(&items, &capacity, out->count, sizeof *out->items)) {
            return weir_fail_nomem(err);
        }
        out->items = items;
        out->items[out->count++] = (layer_views){.number = number, .first = i, .count = 1};
    }
    return WEIR_OK;
}

/* The first view of a layer of at least this number. */
static size_t first_view(const weir_model *model, int64_t number) {
    size_t low = 0;
    size_t high = weir_model_tensor_count(model);
    while (low < high) {
        const size_t middle = low + (high - low) / 2;
        if (model_view(model, middle)->base.layer < number) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    return low;
}

bool layer_views_find(layer_views *out, const weir_model *model, int32_t number) {
    out->number = number;
    out->first = first_view(model, number);
    out->count = first_view(model, (int64_t)number + 1) - out->first;
    return number >= 0 && out->count > 0;
}

const layer_views *layer_list_find(const layer_list *list, int32_t number) {
    size_t low = 0;
    size_t high = list->count;
    while (low < high) {
        const size_t middle = low + (high - low) / 2;
        if (list->items[middle].number < number) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    return low < list->count && list->items[low].number == number ? &list->items[low] : NULL;
}

const tensor_view *layer_view(const weir_model *model, const layer_views *layer, weir_role role,
                              int32_t expert) {
    for (size_t i = 0; layer && i < layer->count; i++) {
        const tensor_view *view = model_view(model, layer->first + i);
        if (view->base.role == role && !view->base.is_bias && view->base.expert == expert) {
            return view;
        }
    }
    return NULL;
}

const tensor_view *model_role_view(const weir_model *model, weir_role role) {
    for (size_t i = 0; i < weir_model_tensor_count(model); i++) {
        const tensor_view *view = model_view(model, i);
        if (view->base.role == role && !view->base.is_bias && view->base.layer < 0) {
            return view;
        }
    }
    return NULL;
}
