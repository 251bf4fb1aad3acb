/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The outermost layers of the onion: the container, and how numbers are stored in it. Whatever was
 * done before was stored so.
 */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "base/fail.h"
#include "delta/onion.h"
#include "delta/row_look.h"

static weir_dtype base_dtype(const weir_diff *diff, const tensor_delta *row) {
    return model_view(diff->base, (size_t)row->base_index)->base.dtype;
}

static weir_dtype model_dtype(const weir_diff *diff, const tensor_delta *row) {
    return model_view(diff->model, (size_t)row->model_index)->base.dtype;
}

static bool has_dtypes(const weir_diff *diff, const tensor_delta *row,
                       const onion_selection *select) {
    return base_dtype(diff, row) == select->from && model_dtype(diff, row) == select->to;
}

/* The numbers are the base's, but the container is another. */
static weir_code add_repackaged(weir_diff *diff, weir_error *err) {
    const char *base_format = weir_model_format(diff->base);
    const char *model_format = weir_model_format(diff->model);
    if (!onion_is_linked(diff) || strcmp(base_format, model_format) == 0) {
        return WEIR_OK;
    }
    char detail[128];
    (void)snprintf(detail, sizeof detail, "%s to %s", base_format, model_format);
    const diff_change found = onion_change(WEIR_CHANGE_REPACKAGED, WEIR_GRADE_PROVED);
    return onion_add_detailed(diff, found, detail, err);
}

static bool is_float(const tensor_view *view) {
    return weir_dtype_get(view->base.dtype)->kind == WEIR_DTYPE_KIND_FLOAT && !view->packed;
}

/* How a type changes what it stores: blocks and packed integers quantise, floats are cast to.
 * Floats where the base has codes are no more than the codes' numbers, unless they replay. */
static bool is_stored_as(const weir_diff *diff, const tensor_delta *row, weir_change_class class) {
    if (row->state != TENSOR_COMPARED || row->model_index == VIEW_NONE ||
        base_dtype(diff, row) == model_dtype(diff, row)) {
        return false;
    }
    const bool is_cast = is_float(model_view(diff->model, (size_t)row->model_index));
    const bool is_read = is_cast && !is_float(model_view(diff->base, (size_t)row->base_index));
    return is_cast == (class == WEIR_CHANGE_CAST) && (!is_read || tensor_delta_is_explained(row));
}

/* Proved, where codes were re-derived from the base; else the type is all that is known. Codes of
 * an encoder that moves numbers on purpose can only be near. */
static weir_code weigh_codes(weir_diff *diff, diff_change *found, const onion_selection *select,
                             weir_error *err) {
    uint64_t equal = 0;
    uint64_t count = 0;
    uint64_t near = 0;
    double hidden = 0;
    for (size_t i = 0; i < diff->tensor_count; i++) {
        const tensor_delta *row = &diff->tensors[i];
        if (row->state != TENSOR_COMPARED || !has_dtypes(diff, row, select) ||
            !tensor_delta_is_explained(row)) {
            continue;
        }
        const bool is_contained = row->look && row->look->is_contained;
        if (is_contained && !row_look_proves_codes(row->look)) {
            near++;
            hidden = fmax(hidden, row->look->codes.hidden_most);
        }
        equal += is_contained
                     ? (uint64_t)(row->look->codes.explained_share * (double)row->stats.count)
                     : row->stats.count;
        count += row->stats.count;
    }
    found->rederived -= near;
    found->contained = near;
    found->grade = found->rederived > 0 ? WEIR_GRADE_PROVED : WEIR_GRADE_STRONG;
    found->replay = found->rederived > 0 ? (double)equal / (double)count : (double)NAN;
    if (near == 0 || !isfinite(hidden)) {
        return WEIR_OK;
    }
    char detail[160];
    (void)snprintf(detail, sizeof detail,
                   "A change of up to %.2g%% of those weights could hide inside the steps",
                   hidden * 100);
    found->detail = arena_copy_text(&diff->memory, detail, strlen(detail));
    return found->detail ? WEIR_OK : weir_fail_nomem(err);
}

/*
 * One change for each pair of dtypes. The type itself is a fact that the file states. That the
 * numbers in it are the base's is proved for the rows that replay; of the others the inner changes
 * speak.
 */
static weir_code add_stored(weir_diff *diff, weir_change_class class, weir_error *err) {
    bool is_done[WEIR_DTYPE_COUNT][WEIR_DTYPE_COUNT] = {{false}};
    for (size_t i = 0; i < diff->tensor_count && onion_is_linked(diff); i++) {
        const tensor_delta *row = &diff->tensors[i];
        if (!is_stored_as(diff, row, class)) {
            continue;
        }
        const weir_dtype from = base_dtype(diff, row);
        const weir_dtype to = model_dtype(diff, row);
        if (is_done[from][to]) {
            continue;
        }
        is_done[from][to] = true;
        const onion_selection select = {.is_wanted = has_dtypes, .from = from, .to = to};
        diff_change found = onion_change(class, WEIR_GRADE_STRONG);
        found.from = from;
        found.to = to;
        WEIR_TRY(onion_gather(diff, &found, &select, err));
        WEIR_TRY(weigh_codes(diff, &found, &select, err));
        WEIR_TRY(onion_add(diff, &found, err));
    }
    return WEIR_OK;
}

/* A way through a coarser type that the stored dtype does not tell: one layer for each type. */
static bool has_way(const weir_diff *diff, const tensor_delta *row, const onion_selection *select) {
    (void)diff;
    return row->look && row->look->way.is_proved && (int)row->look->way.kind == select->way &&
           row->look->way.via == select->to;
}

static weir_code add_detour(weir_diff *diff, const tensor_delta *first, weir_error *err) {
    const detour *way = &first->look->way;
    const bool is_cast = way->kind == DETOUR_FLOAT;
    diff_change found =
        onion_change(is_cast ? WEIR_CHANGE_CAST : WEIR_CHANGE_QUANTISED, WEIR_GRADE_PROVED);
    const onion_selection select = {.is_wanted = has_way, .way = (int)way->kind, .to = way->via};
    WEIR_TRY(onion_gather(diff, &found, &select, err));
    found.from = base_dtype(diff, first);
    found.to = way->via;
    found.type = detour_name(way);
    found.detail = "Its numbers were read back afterwards and are stored in another type";
    uint64_t replayed = 0;
    uint64_t count = 0;
    for (size_t i = 0; i < diff->tensor_count; i++) {
        const tensor_delta *row = &diff->tensors[i];
        if (tensor_delta_is_paired(row) && has_way(diff, row, &select)) {
            replayed += row->look->way.replayed;
            count += row->look->way.count;
        }
    }
    found.replay = count > 0 ? (double)replayed / (double)count : (double)NAN;
    return onion_add(diff, &found, err);
}

static weir_code add_detours(weir_diff *diff, weir_error *err) {
    for (size_t i = 0; i < diff->tensor_count; i++) {
        const tensor_delta *row = &diff->tensors[i];
        if (!row->look || !row->look->way.is_proved) {
            continue;
        }
        bool is_done = false;
        for (size_t j = 0; j < i && !is_done; j++) {
            const tensor_delta *other = &diff->tensors[j];
            is_done = other->look && other->look->way.is_proved &&
                      other->look->way.kind == row->look->way.kind &&
                      other->look->way.via == row->look->way.via;
        }
        if (!is_done) {
            WEIR_TRY(add_detour(diff, row, err));
        }
    }
    return WEIR_OK;
}

weir_code onion_add_storage(weir_diff *diff, weir_error *err) {
    WEIR_TRY(add_repackaged(diff, err));
    WEIR_TRY(add_stored(diff, WEIR_CHANGE_QUANTISED, err));
    WEIR_TRY(add_stored(diff, WEIR_CHANGE_CAST, err));
    return add_detours(diff, err);
}
