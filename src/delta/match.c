/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Which tensor of the model stands where which tensor of the base stood: by canonical name, so
 * across containers. A head that one side stores and the other ties to its embedding is compared
 * with that embedding.
 */
#include <stdlib.h>
#include <string.h>

#include "base/checked.h"
#include "base/fail.h"
#include "delta/diff.h"

/* The tensor that plays the part of `name`; the embedding for a tied head. */
static ptrdiff_t find_partner(const weir_model *model, const char *name) {
    size_t index;
    if (model_find(model, name, &index)) {
        return (ptrdiff_t)index;
    }
    const bool is_tied_head = strcmp(name, "head") == 0 && model_head_is_tied(model);
    return is_tied_head && model_find(model, "embedding", &index) ? (ptrdiff_t)index : VIEW_NONE;
}

static tensor_state state_of(const tensor_view *base, const tensor_view *model) {
    return base->base.rows == model->base.rows && base->base.cols == model->base.cols
               ? TENSOR_COMPARED
               : TENSOR_RESHAPED;
}

weir_code diff_match(weir_diff *diff, weir_error *err) {
    const size_t base_count = weir_model_tensor_count(diff->base);
    const size_t model_count = weir_model_tensor_count(diff->model);
    diff->tensors = checked_alloc(base_count + model_count, sizeof *diff->tensors);
    WEIR_CLEANUP(free) bool *is_taken = calloc(base_count + 1, sizeof *is_taken);
    if (!diff->tensors || !is_taken) {
        return weir_fail_nomem(err);
    }
    for (size_t i = 0; i < model_count; i++) {
        const tensor_view *view = model_view(diff->model, i);
        const ptrdiff_t partner = find_partner(diff->base, view->base.name);
        tensor_delta row = {.base_index = partner,
                            .model_index = (ptrdiff_t)i,
                            .state = TENSOR_ADDED,
                            .change = WEIR_CHANGE_UNKNOWN};
        if (partner != VIEW_NONE) {
            is_taken[partner] = true;
            row.state = state_of(model_view(diff->base, (size_t)partner), view);
        }
        diff->tensors[diff->tensor_count++] = row;
    }
    for (size_t i = 0; i < base_count; i++) {
        const tensor_view *view = model_view(diff->base, i);
        const bool is_tied_away = !is_taken[i] && view->base.role == WEIR_ROLE_HEAD &&
                                  find_partner(diff->model, view->base.name) != VIEW_NONE;
        if (is_taken[i]) {
            continue;
        }
        tensor_delta row = {.base_index = (ptrdiff_t)i,
                            .model_index = VIEW_NONE,
                            .state = TENSOR_REMOVED,
                            .change = WEIR_CHANGE_UNKNOWN};
        if (is_tied_away) {
            row.model_index = find_partner(diff->model, view->base.name);
            row.state = state_of(view, model_view(diff->model, (size_t)row.model_index));
        }
        diff->tensors[diff->tensor_count++] = row;
    }
    return WEIR_OK;
}
