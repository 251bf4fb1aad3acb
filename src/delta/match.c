/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Which tensor of the model stands where which tensor of the base stood: by canonical name, so
 * across containers, and where the structure of the model says that a layer or expert is another of
 * the base's. A head that one side stores and the other ties to its embedding is compared
 * with that embedding.
 */
#include <stdlib.h>
#include <string.h>

#include "base/checked.h"
#include "base/fail.h"
#include "delta/structure.h"

/* The tensor that plays the part of `name`; the embedding for a tied head. */
static ptrdiff_t find_partner(const weir_model *model, const char *name) {
    size_t index;
    if (model_find(model, name, &index)) {
        return (ptrdiff_t)index;
    }
    const bool is_tied_head = strcmp(name, "head") == 0 && model_head_is_tied(model);
    return is_tied_head && model_find(model, "embedding", &index) ? (ptrdiff_t)index : VIEW_NONE;
}

/* The state of two tensors that were found, and the map between them. */
static weir_code pair_up(tensor_delta *row, weir_diff *diff, weir_error *err) {
    bool fits;
    WEIR_TRY(structure_pair(&row->map, &fits, diff, model_view(diff->base, (size_t)row->base_index),
                            model_view(diff->model, (size_t)row->model_index), err));
    row->state = fits ? TENSOR_COMPARED : TENSOR_RESHAPED;
    return WEIR_OK;
}

static weir_code match_model(weir_diff *diff, bool *is_taken, weir_error *err) {
    for (size_t i = 0; i < weir_model_tensor_count(diff->model); i++) {
        const char *name;
        WEIR_TRY(structure_base_name(&name, diff, model_view(diff->model, i), err));
        tensor_delta row = {.base_index = name ? find_partner(diff->base, name) : VIEW_NONE,
                            .model_index = (ptrdiff_t)i,
                            .state = TENSOR_ADDED,
                            .change = WEIR_CHANGE_UNKNOWN};
        if (row.base_index != VIEW_NONE) {
            is_taken[row.base_index] = true;
            WEIR_TRY(pair_up(&row, diff, err));
        }
        diff->tensors[diff->tensor_count++] = row;
    }
    return WEIR_OK;
}

weir_code diff_match(weir_diff *diff, weir_error *err) {
    const size_t base_count = weir_model_tensor_count(diff->base);
    const size_t model_count = weir_model_tensor_count(diff->model);
    diff->tensors = checked_alloc(base_count + model_count, sizeof *diff->tensors);
    WEIR_CLEANUP(free) bool *is_taken = calloc(base_count + 1, sizeof *is_taken);
    if (!diff->tensors || !is_taken) {
        return weir_fail_nomem(err);
    }
    WEIR_TRY(match_model(diff, is_taken, err));
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
            WEIR_TRY(pair_up(&row, diff, err));
        }
        diff->tensors[diff->tensor_count++] = row;
    }
    return WEIR_OK;
}
