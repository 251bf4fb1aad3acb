/* SPDX-License-Identifier: Apache-2.0 */
/* From what was found to pairs: whose name a tensor of the model has in the base, and which rows
 * and columns the two share. */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "align/readable.h"
#include "base/fail.h"
#include "base/text.h"
#include "delta/structure.h"

/* --- names --- */

static const expert_map *experts_of(const structure_finding *found, int32_t layer) {
    size_t low = 0;
    size_t high = found->expert_count;
    while (low < high) {
        const size_t middle = low + (high - low) / 2;
        if (found->experts[middle].layer < layer) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    return low < found->expert_count && found->experts[low].layer == layer ? &found->experts[low]
                                                                           : NULL;
}

static int by_model(const void *key, const void *item) {
    const int32_t number = *(const int32_t *)key;
    const expert_pair *pair = item;
    return (number > pair->model) - (number < pair->model);
}

static bool is_own_part(weir_role role) {
    return role == WEIR_ROLE_GATE || role == WEIR_ROLE_UP || role == WEIR_ROLE_DOWN;
}

static bool is_expert_part(weir_role role) {
    return role == WEIR_ROLE_EXPERT_GATE || role == WEIR_ROLE_EXPERT_UP ||
           role == WEIR_ROLE_EXPERT_DOWN;
}

/* Where a tensor of the model stands in the base; the same place for most. */
typedef struct origin {
    int32_t layer;  /* LAYER_NONE: the base has none */
    int32_t expert; /* EXPERT_NONE: the base has none */
    bool is_moved;
} origin;

static origin origin_of(const structure_finding *found, const weir_tensor *tensor) {
    origin from = {.layer = tensor->layer, .expert = tensor->expert};
    const layer_pair *layer =
        tensor->layer >= 0 ? layer_map_get(&found->layers, tensor->layer) : NULL;
    if (layer) {
        from.layer = layer->base;
        from.is_moved = layer->base != tensor->layer;
    }
    const expert_map *experts = experts_of(found, tensor->layer);
    if (!experts || !(is_own_part(tensor->role) || is_expert_part(tensor->role))) {
        return from;
    }
    const expert_pair *pair =
        bsearch(&tensor->expert, experts->pairs, experts->count, sizeof *pair, by_model);
    if (pair && pair->base != pair->model) {
        from.expert = pair->base;
        from.is_moved = true;
    }
    return from;
}

/* The part of a canonical name behind layer and expert: "q.bias". */
static const char *tail_of(const weir_tensor *tensor) {
    const char *tail = tensor->name;
    size_t dots = 2 + (tensor->expert >= 0 ? 2 : 0);
    for (const char *at = tail; *at && dots > 0; at++) {
        if (*at == '.') {
            tail = at + 1;
            dots--;
        }
    }
    return tail;
}

weir_code structure_base_name(const char **out, weir_diff *diff, const tensor_view *model,
                              weir_error *err) {
    const weir_tensor *tensor = &model->base;
    *out = tensor->name;
    if (!diff->structure || tensor->layer < 0 || tensor->role == WEIR_ROLE_UNKNOWN) {
        return WEIR_OK;
    }
    const origin from = origin_of(diff->structure, tensor);
    if (from.layer == LAYER_NONE || from.expert == EXPERT_NONE) {
        *out = NULL;
        return WEIR_OK;
    }
    if (!from.is_moved) {
        return WEIR_OK;
    }
    WEIR_CLEANUP(text_buffer_release) text_buffer name = {0};
    text_buffer_format(&name, "layers.%" PRId32 ".", from.layer);
    if (from.expert >= 0) {
        text_buffer_format(&name, "experts.%" PRId32 ".", from.expert);
    }
    text_buffer_format(&name, "%s", tail_of(tensor));
    *out = name.failed ? NULL : arena_copy_text(&diff->memory, name.data, name.len);
    return *out ? WEIR_OK : weir_fail_nomem(err);
}

/* --- axes --- */

static int by_place(const void *left, const void *right) {
    const layer_axis *a = left;
    const layer_axis *b = right;
    if (a->layer != b->layer) {
        return a->layer < b->layer ? -1 : 1;
    }
    if (a->expert != b->expert) {
        return a->expert < b->expert ? -1 : 1;
    }
    return (a->kind > b->kind) - (a->kind < b->kind);
}

static const layer_axis *find_axis(const structure_finding *found, int32_t layer, int32_t expert,
                                   layer_axis_kind kind) {
    const layer_axis key = {.layer = layer, .expert = expert, .kind = kind};
    return found->axis_count > 0
               ? bsearch(&key, found->axes, found->axis_count, sizeof key, by_place)
               : NULL;
}

static const axis_map *rows_of_axis(const structure_finding *found, const weir_tensor *tensor,
                                    layer_axis_kind kind) {
    const bool is_units = kind == LAYER_AXIS_UNITS;
    const bool is_shared = tensor->role == WEIR_ROLE_SHARED_EXPERT_GATE ||
                           tensor->role == WEIR_ROLE_SHARED_EXPERT_UP ||
                           tensor->role == WEIR_ROLE_SHARED_EXPERT_DOWN;
    const int32_t expert = !is_units || (tensor->expert < 0 && !is_shared) ? FEED_FORWARD_OWN
                           : is_shared                                     ? FEED_FORWARD_SHARED
                                                                           : tensor->expert;
    const layer_axis *axis = find_axis(found, tensor->layer, expert, kind);
    return axis ? &axis->rows : NULL;
}

/* The maps of both dimensions; NULL stands for the same elements in one order. */
typedef struct pair_axes {
    const axis_map *rows;
    const axis_map *cols;
    bool keeps_signs; /* gains multiply: a mirrored channel has the same one */
} pair_axes;

static const axis_map *channels_of(const structure_finding *found) {
    return found->has_channels ? &found->channels : NULL;
}

static const axis_map *words_of(const structure_finding *found) {
    return found->vocabulary.is_found ? &found->vocabulary.rows : NULL;
}

static const axis_map *router_of(const structure_finding *found, int32_t layer) {
    const expert_map *experts = experts_of(found, layer);
    return experts && experts->router.model_count > 0 ? &experts->router : NULL;
}

static pair_axes matrix_axes(const structure_finding *found, const weir_tensor *tensor) {
    const axis_map *channels = channels_of(found);
    switch (tensor->role) {
    case WEIR_ROLE_EMBEDDING:
    case WEIR_ROLE_HEAD:
        return (pair_axes){words_of(found), channels, true};
    case WEIR_ROLE_POSITION_EMBEDDING:
    case WEIR_ROLE_TOKEN_TYPE_EMBEDDING:
    case WEIR_ROLE_Q_A:
    case WEIR_ROLE_KV_A:
    case WEIR_ROLE_SHARED_EXPERT_ROUTER:
        return (pair_axes){NULL, channels, true};
    case WEIR_ROLE_EMBEDDING_NORM:
    case WEIR_ROLE_ATTENTION_NORM:
    case WEIR_ROLE_ATTENTION_POST_NORM:
    case WEIR_ROLE_FEED_FORWARD_NORM:
    case WEIR_ROLE_FEED_FORWARD_POST_NORM:
    case WEIR_ROLE_FINAL_NORM:
        return (pair_axes){NULL, channels, false};
    case WEIR_ROLE_Q:
        return (pair_axes){rows_of_axis(found, tensor, LAYER_AXIS_HEADS), channels, true};
    case WEIR_ROLE_K:
    case WEIR_ROLE_V:
        return (pair_axes){rows_of_axis(found, tensor, LAYER_AXIS_KV_HEADS), channels, true};
    case WEIR_ROLE_O:
        return (pair_axes){channels, rows_of_axis(found, tensor, LAYER_AXIS_HEADS), true};
    case WEIR_ROLE_GATE:
    case WEIR_ROLE_UP:
    case WEIR_ROLE_EXPERT_GATE:
    case WEIR_ROLE_EXPERT_UP:
    case WEIR_ROLE_SHARED_EXPERT_GATE:
    case WEIR_ROLE_SHARED_EXPERT_UP:
        return (pair_axes){rows_of_axis(found, tensor, LAYER_AXIS_UNITS), channels, true};
    case WEIR_ROLE_DOWN:
    case WEIR_ROLE_EXPERT_DOWN:
    case WEIR_ROLE_SHARED_EXPERT_DOWN:
        return (pair_axes){channels, rows_of_axis(found, tensor, LAYER_AXIS_UNITS), true};
    case WEIR_ROLE_ROUTER:
        return (pair_axes){router_of(found, tensor->layer), channels, true};
    case WEIR_ROLE_ROUTER_BIAS:
        return (pair_axes){NULL, router_of(found, tensor->layer), true};
    case WEIR_ROLE_SINKS: {
        const layer_axis *heads =
            find_axis(found, tensor->layer, FEED_FORWARD_OWN, LAYER_AXIS_HEADS);
        return (pair_axes){NULL, heads ? &heads->map : NULL, true};
    }
    case WEIR_ROLE_UNKNOWN:
    case WEIR_ROLE_Q_NORM:
    case WEIR_ROLE_K_NORM:
    case WEIR_ROLE_Q_A_NORM:
    case WEIR_ROLE_Q_B:
    case WEIR_ROLE_KV_A_NORM:
    case WEIR_ROLE_KV_B:
    case WEIR_ROLE_POOLER:
    case WEIR_ROLE_ROPE:
    case WEIR_ROLE_ADAPTER_A:
    case WEIR_ROLE_ADAPTER_B:
    case WEIR_ROLE_ADAPTER_OTHER:
    case WEIR_ROLE_COUNT:
        return (pair_axes){NULL, NULL, true};
    }
    return (pair_axes){NULL, NULL, true};
}

/* A vector belongs to its matrix's outputs; a norm's to the channels. */
static pair_axes axes_of(const structure_finding *found, const weir_tensor *tensor) {
    pair_axes axes = matrix_axes(found, tensor);
    if (tensor->is_bias) {
        const bool is_of_norm = !axes.keeps_signs;
        axes = (pair_axes){NULL, is_of_norm ? axes.cols : axes.rows, true};
    }
    return axes;
}

/* The map of a dimension, if it has the sizes of both tensors. */
static const axis_map *fitting(const axis_map *map, uint64_t base, uint64_t model) {
    return map && map->base_count == base && map->model_count == model ? map : NULL;
}

weir_code structure_pair(const pair_map **map, bool *fits, weir_diff *diff, const tensor_view *base,
                         const tensor_view *model, weir_error *err) {
    const weir_tensor *from = &base->base;
    const weir_tensor *to = &model->base;
    const bool is_same_shape = from->rows == to->rows && from->cols == to->cols;
    *map = NULL;
    *fits = is_same_shape;
    if (!diff->structure) {
        return WEIR_OK;
    }
    const pair_axes axes = axes_of(diff->structure, to);
    const axis_map *rows = fitting(axes.rows, from->rows, to->rows);
    const axis_map *cols = fitting(axes.cols, from->cols, to->cols);
    const bool has_all = (rows || from->rows == to->rows) && (cols || from->cols == to->cols);
    if ((!rows && !cols) || !has_all || !has_readable_rows(base) || !has_readable_rows(model)) {
        return WEIR_OK;
    }
    pair_map *made = arena_alloc(&diff->memory, 1, sizeof *made);
    if (!made) {
        return weir_fail_nomem(err);
    }
    *made = (pair_map){.rows = rows ? rows->shared : to->rows,
                       .cols = cols ? cols->shared : to->cols,
                       .base_rows = rows ? rows->base : NULL,
                       .model_rows = rows ? rows->model : NULL,
                       .base_cols = cols ? cols->base : NULL,
                       .model_cols = cols ? cols->model : NULL,
                       .row_signs = rows ? rows->signs : NULL,
                       .col_signs = cols && axes.keeps_signs ? cols->signs : NULL};
    *map = made;
    *fits = true;
    return WEIR_OK;
}
