/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The norm is the feed-forward's own; in models that norm after each sub-layer (BERT) the one after
 * attention; where attention and feed-forward run side by side (Cohere) the attention's.
 */
#include "align/feed_forward.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "align/readable.h"
#include "base/checked.h"
#include "base/fail.h"

enum { UNITS_MAX = 1 << 16 };

static bool is_up(weir_role role) {
    return role == WEIR_ROLE_UP || role == WEIR_ROLE_EXPERT_UP ||
           role == WEIR_ROLE_SHARED_EXPERT_UP;
}

static bool is_gate(weir_role role) {
    return role == WEIR_ROLE_GATE || role == WEIR_ROLE_EXPERT_GATE ||
           role == WEIR_ROLE_SHARED_EXPERT_GATE;
}

static int norm_rank(weir_role role) {
    return role == WEIR_ROLE_FEED_FORWARD_NORM     ? 3
           : role == WEIR_ROLE_ATTENTION_POST_NORM ? 2
           : role == WEIR_ROLE_ATTENTION_NORM      ? 1
                                                   : 0;
}

static bool is_readable(const tensor_view *view) {
    const weir_tensor *const tensor = &view->base;
    return tensor->layer >= 0 && !tensor->is_bias && tensor->rows <= UNITS_MAX &&
           has_readable_rows(view);
}

static int32_t expert_of(const weir_tensor *tensor) {
    const bool is_shared =
        tensor->role == WEIR_ROLE_SHARED_EXPERT_UP || tensor->role == WEIR_ROLE_SHARED_EXPERT_GATE;
    return is_shared             ? FEED_FORWARD_SHARED
           : tensor->expert >= 0 ? tensor->expert
                                 : FEED_FORWARD_OWN;
}

static int compare_places(const void *left, const void *right) {
    const feed_forward *const a = left;
    const feed_forward *const b = right;
    if (a->layer != b->layer) {
        return a->layer < b->layer ? -1 : 1;
    }
    return (a->expert > b->expert) - (a->expert < b->expert);
}

/* What has a role of a feed-forward, one item for each place that has an up. */
static weir_code list_ups(feed_forward **out, size_t *count, const weir_model *model,
                          weir_error *err) {
    WEIR_CLEANUP(free) feed_forward *items = NULL;
    size_t capacity = 0;
    size_t found = 0;
    for (size_t i = 0; i < weir_model_tensor_count(model); i++) {
        const tensor_view *const view = model_view(model, i);
        if (!is_up(view->base.role) || !is_readable(view)) {
            continue;
        }
        if (!checked_grow((void **)&items, &capacity, found, sizeof *items)) {
            return weir_fail_nomem(err);
        }
        items[found++] =
            (feed_forward){.layer = view->base.layer, .expert = expert_of(&view->base), .up = view};
    }
    *out = WEIR_TAKE(items);
    *count = found;
    return WEIR_OK;
}

static void take_gate(feed_forward *items, size_t count, const tensor_view *view) {
    const feed_forward key = {.layer = view->base.layer, .expert = expert_of(&view->base)};
    feed_forward *const item = bsearch(&key, items, count, sizeof *items, compare_places);
    if (item && view->base.rows == item->up->base.rows && view->base.cols == item->up->base.cols) {
        item->gate = view;
    }
}

static size_t first_of_layer(const feed_forward *items, size_t count, int32_t layer) {
    size_t low = 0;
    size_t high = count;
    while (low < high) {
        const size_t middle = low + (high - low) / 2;
        if (items[middle].layer < layer) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    return low;
}

/* All feed-forwards of a layer read through one norm. */
static void take_norm(feed_forward *items, size_t count, const tensor_view *view) {
    const int32_t layer = view->base.layer;
    for (size_t i = first_of_layer(items, count, layer); i < count && items[i].layer == layer;
         i++) {
        const tensor_view *const known = items[i].norm;
        const bool fits = view->base.rows == 1 && view->base.cols == items[i].up->base.cols;
        if (fits && (!known || norm_rank(view->base.role) > norm_rank(known->base.role))) {
            items[i].norm = view;
        }
    }
}

weir_code feed_forward_list(feed_forward **out, size_t *count, const weir_model *model,
                            weir_error *err) {
    WEIR_CLEANUP(free) feed_forward *items = NULL;
    size_t found = 0;
    WEIR_TRY(list_ups(&items, &found, model, err));
    if (found > 1) {
        qsort(items, found, sizeof *items, compare_places);
    }
    for (size_t i = 0; found > 0 && i < weir_model_tensor_count(model); i++) {
        const tensor_view *const view = model_view(model, i);
        if (is_gate(view->base.role) && is_readable(view)) {
            take_gate(items, found, view);
        }
    }
    for (size_t i = 0; found > 0 && i < weir_model_tensor_count(model); i++) {
        const tensor_view *const view = model_view(model, i);
        if (norm_rank(view->base.role) > 0 && is_readable(view)) {
            take_norm(items, found, view);
        }
    }
    *count = found;
    *out = WEIR_TAKE(items);
    return WEIR_OK;
}

float feed_forward_gain_offset(const weir_model *model) {
    static const char *const shifted[] = {"gemma", "gemma2", "gemma3", "gemma3_text"};
    const char *const architecture = weir_model_architecture(model);
    for (size_t i = 0; architecture && i < sizeof shifted / sizeof *shifted; i++) {
        if (strcmp(architecture, shifted[i]) == 0) {
            return 1.0F;
        }
    }
    return 0.0F;
}
