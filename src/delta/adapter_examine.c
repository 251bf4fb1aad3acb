/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Adapters that were named as parents: each of their modules is merged into the base again and held
 * against the model.
 */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/cancel.h"
#include "base/fail.h"
#include "delta/adapter_replay.h"
#include "delta/examine.h"
#include "delta/row_look.h"

/* The first row that was looked at of every tensor of the base, or NULL. */
static weir_code index_rows(tensor_delta ***out, weir_diff *diff, weir_error *err) {
    tensor_delta **rows = calloc(weir_model_tensor_count(diff->base) + 1, sizeof *rows);
    if (!rows) {
        return weir_fail_nomem(err);
    }
    for (size_t i = 0; i < diff->tensor_count; i++) {
        tensor_delta *row = &diff->tensors[i];
        if (row->look && row->state == TENSOR_COMPARED && !rows[row->base_index]) {
            rows[row->base_index] = row;
        }
    }
    *out = rows;
    return WEIR_OK;
}

/* DoRA's magnitudes of the module that A belongs to, or NULL. */
static const tensor_view *find_magnitude(const weir_model *from, const adapter_item *item) {
    adapter_name wanted;
    if (!adapter_name_parse(&wanted, item->a.base.stored_name)) {
        return NULL;
    }
    for (size_t i = 0; i < weir_model_tensor_count(from); i++) {
        const tensor_view *view = model_view(from, i);
        adapter_name name;
        if (view->base.role == WEIR_ROLE_ADAPTER_OTHER &&
            adapter_name_parse(&name, view->base.stored_name) &&
            name.module_len == wanted.module_len &&
            memcmp(name.module, wanted.module, name.module_len) == 0 &&
            strstr(view->base.stored_name, "magnitude")) {
            return view;
        }
    }
    return NULL;
}

static weir_code replay_item(weir_diff *diff, const diff_parent *parent, const adapter_item *item,
                             tensor_delta *const *rows, matrix_look *look, weir_error *err) {
    size_t index;
    tensor_delta *row = model_find(diff->base, item->name, &index) ? rows[index] : NULL;
    if (!row) {
        return WEIR_OK;
    }
    adapter_replay found = {0};
    weir_code code = matrix_look_read(look, diff, row, LOOK_WHOLE_ELEMENTS, err);
    if (code == WEIR_OK) {
        code = adapter_replay_run(&found, look, item, find_magnitude(parent->model, item), err);
    }
    if (code != WEIR_OK) {
        /* An adapter that does not fit, or a matrix too large to hold, proves nothing. */
        return code == WEIR_ERR_LIMIT || code == WEIR_ERR_ARG ? WEIR_OK : code;
    }
    if (found.is_proved && matrix_look_is_whole(look)) {
        row->change = WEIR_CHANGE_LOW_RANK;
        row->rank = item->rank;
        row->look->is_replayed = true;
        row->look->adapter = parent;
        row->look->adapter_equal = found.all_equal;
        row->look->adapter_scale = found.lambda * (isfinite(item->scale) ? item->scale : 1);
    }
    return WEIR_OK;
}

weir_code diff_examine_adapters(weir_diff *diff, const weir_diff_options *options,
                                weir_error *err) {
    WEIR_CLEANUP(matrix_look_release) matrix_look look = {0};
    WEIR_CLEANUP(free) tensor_delta **rows = NULL;
    if (diff->adapter_count == 0) {
        return WEIR_OK;
    }
    WEIR_TRY(index_rows(&rows, diff, err));
    for (size_t i = 0; i < diff->adapter_count; i++) {
        const diff_parent *parent = &diff->adapters[i];
        WEIR_CLEANUP(adapter_release) adapter list = {0};
        WEIR_TRY(adapter_resolve(&list, parent->model, diff->base, err));
        for (size_t j = 0; j < list.count; j++) {
            if (is_cancelled(options->callbacks)) {
                return weir_fail(err, WEIR_ERR_CANCELLED, NULL, NULL, NULL, "cancelled");
            }
            WEIR_TRY(replay_item(diff, parent, &list.items[j], rows, &look, err));
        }
    }
    return WEIR_OK;
}
