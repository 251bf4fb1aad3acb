/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The onion: what was done to the base, outermost first. A change of how numbers are stored lies
 * outside everything, for whatever was done before was stored so; then what was set to zero, then
 * where things stand, then what the numbers became. Every tensor has one inner class; a change
 * gathers the tensors of its class.
 */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "base/checked.h"
#include "base/fail.h"
#include "delta/diff.h"

static weir_code add_change(weir_diff *diff, const diff_change *what, weir_error *err) {
    void *items = diff->changes;
    if (!checked_grow(&items, &diff->change_capacity, diff->change_count, sizeof *diff->changes)) {
        return weir_fail_nomem(err);
    }
    diff->changes = items;
    diff->changes[diff->change_count++] = *what;
    return WEIR_OK;
}

/* add_change with a detail, which is kept. */
static weir_code add_detailed(weir_diff *diff, diff_change what, const char *detail,
                              weir_error *err) {
    what.detail = arena_copy_text(&diff->memory, detail, strlen(detail));
    return what.detail ? add_change(diff, &what, err) : weir_fail_nomem(err);
}

/* Which rows a change gathers. */
typedef struct selection {
    bool (*is_wanted)(const weir_diff *diff, const tensor_delta *row,
                      const struct selection *select);
    weir_change_class change;
    weir_dtype from, to;
} selection;

static bool has_class(const weir_diff *diff, const tensor_delta *row, const selection *select) {
    (void)diff;
    return row->change == select->change;
}

static weir_dtype base_dtype(const weir_diff *diff, const tensor_delta *row) {
    return model_view(diff->base, (size_t)row->base_index)->base.dtype;
}

static weir_dtype model_dtype(const weir_diff *diff, const tensor_delta *row) {
    return model_view(diff->model, (size_t)row->model_index)->base.dtype;
}

static bool has_dtypes(const weir_diff *diff, const tensor_delta *row, const selection *select) {
    return base_dtype(diff, row) == select->from && model_dtype(diff, row) == select->to;
}

static bool is_left(const weir_diff *diff, const tensor_delta *row, const selection *select) {
    (void)diff;
    (void)select;
    return !tensor_delta_is_explained(row);
}

static int by_layer(const void *left, const void *right) {
    const int32_t a = *(const int32_t *)left;
    const int32_t b = *(const int32_t *)right;
    return (a > b) - (a < b);
}

/* Fill counts, norm, roles and layers of a change from the rows that show it. */
static weir_code gather_rows(weir_diff *diff, diff_change *out, const selection *select,
                             weir_error *err) {
    double sum_dd = 0;
    double sum_aa = 0;
    int32_t *layers = arena_alloc(&diff->memory, diff->tensor_count + 1, sizeof *layers);
    if (!layers) {
        return weir_fail_nomem(err);
    }
    size_t layer_count = 0;
    for (size_t i = 0; i < diff->tensor_count; i++) {
        const tensor_delta *row = &diff->tensors[i];
        out->tensors_of += tensor_delta_is_paired(row);
        if (!tensor_delta_is_paired(row) || !select->is_wanted(diff, row, select)) {
            continue;
        }
        const weir_tensor *tensor = tensor_delta_shown(diff, row);
        out->tensors++;
        out->rederived += tensor_delta_is_explained(row);
        out->elements += tensor->rows * tensor->cols;
        out->roles[tensor->role] = true;
        sum_dd += row->stats.sum_dd;
        sum_aa += row->stats.sum_aa;
        if (tensor->layer >= 0) {
            layers[layer_count++] = tensor->layer;
        }
    }
    qsort(layers, layer_count, sizeof *layers, by_layer);
    size_t distinct = 0;
    for (size_t i = 0; i < layer_count; i++) {
        if (distinct == 0 || layers[i] != layers[distinct - 1]) {
            layers[distinct++] = layers[i];
        }
    }
    out->layers = layers;
    out->layer_count = distinct;
    out->rel_norm = sum_aa > 0 ? sqrt(sum_dd / sum_aa) : (double)NAN;
    return WEIR_OK;
}

/* Whether the differences are those of a change to the base, and not those of two models. */
static bool is_linked(const weir_diff *diff) {
    return diff->relation == WEIR_RELATION_IDENTICAL || diff->relation == WEIR_RELATION_DERIVED ||
           diff->relation == WEIR_RELATION_RELATED;
}

/* The numbers are the base's, but the container is another. */
static weir_code add_repackaged(weir_diff *diff, weir_error *err) {
    const char *base_format = weir_model_format(diff->base);
    const char *model_format = weir_model_format(diff->model);
    if (!is_linked(diff) || strcmp(base_format, model_format) == 0) {
        return WEIR_OK;
    }
    char detail[128];
    (void)snprintf(detail, sizeof detail, "%s to %s", base_format, model_format);
    const diff_change found = {.change = WEIR_CHANGE_REPACKAGED, .grade = WEIR_GRADE_PROVED};
    return add_detailed(diff, found, detail, err);
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

/*
 * One change for each pair of dtypes. The type itself is a fact that the file states. That the
 * numbers in it are the base's is proved for the rows that replay; of the others the inner changes
 * speak.
 */
static weir_code add_stored(weir_diff *diff, weir_change_class class, weir_error *err) {
    bool is_done[WEIR_DTYPE_COUNT][WEIR_DTYPE_COUNT] = {{false}};
    for (size_t i = 0; i < diff->tensor_count && is_linked(diff); i++) {
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
        const selection select = {.is_wanted = has_dtypes, .from = from, .to = to};
        diff_change found = {.change = class, .from = from, .to = to};
        WEIR_TRY(gather_rows(diff, &found, &select, err));
        found.grade = found.rederived > 0 ? WEIR_GRADE_PROVED : WEIR_GRADE_STRONG;
        WEIR_TRY(add_change(diff, &found, err));
    }
    return WEIR_OK;
}

static bool is_matrix(const weir_diff *diff, const tensor_delta *row) {
    return tensor_delta_shown(diff, row)->rows > 1;
}

static size_t count_explained_matrices(const weir_diff *diff) {
    size_t explained = 0;
    for (size_t i = 0; i < diff->tensor_count; i++) {
        const tensor_delta *row = &diff->tensors[i];
        explained +=
            tensor_delta_is_paired(row) && is_matrix(diff, row) && tensor_delta_is_explained(row);
    }
    return explained;
}

/* Where the change is, when it leaves matrices alone. */
static weir_code add_partial(weir_diff *diff, weir_error *err) {
    diff_change found = {.change = WEIR_CHANGE_PARTIAL, .grade = WEIR_GRADE_PROVED};
    WEIR_TRY(gather_rows(diff, &found, &(selection){.is_wanted = is_left}, err));
    const bool is_part = found.tensors > 0 && is_linked(diff) && count_explained_matrices(diff) > 0;
    return is_part ? add_change(diff, &found, err) : WEIR_OK;
}

static weir_code add_class(weir_diff *diff, diff_change found, weir_error *err) {
    const selection select = {.is_wanted = has_class, .change = found.change};
    WEIR_TRY(gather_rows(diff, &found, &select, err));
    return found.tensors > 0 ? add_change(diff, &found, err) : WEIR_OK;
}

static weir_code add_unmatched(weir_diff *diff, weir_error *err) {
    size_t added = 0;
    size_t removed = 0;
    size_t reshaped = 0;
    for (size_t i = 0; i < diff->tensor_count; i++) {
        added += diff->tensors[i].state == TENSOR_ADDED;
        removed += diff->tensors[i].state == TENSOR_REMOVED;
        reshaped += diff->tensors[i].state == TENSOR_RESHAPED;
    }
    if (added + removed + reshaped == 0) {
        return WEIR_OK;
    }
    char detail[160];
    (void)snprintf(detail, sizeof detail, "%zu tensors added, %zu removed, %zu of another shape",
                   added, removed, reshaped);
    const diff_change found = {.change = WEIR_CHANGE_UNKNOWN,
                               .tensors = added + removed + reshaped,
                               .tensors_of = diff->tensor_count,
                               .rel_norm = (double)NAN};
    return add_detailed(diff, found, detail, err);
}

static weir_code add_low_rank(weir_diff *diff, weir_error *err) {
    const diff_change found = {.change = WEIR_CHANGE_LOW_RANK,
                               .grade = WEIR_GRADE_PROVED,
                               .detail = "an adapter beside the base, not merged into it"};
    return add_class(diff, found, err);
}

/* Differences of files, one change a class. */
static weir_code add_file_changes(weir_diff *diff, weir_error *err) {
    static const weir_change_class classes[] = {WEIR_CHANGE_TEMPLATE, WEIR_CHANGE_TOKENIZER,
                                                WEIR_CHANGE_CONFIG, WEIR_CHANGE_CODE};
    for (size_t i = 0; i < sizeof classes / sizeof *classes; i++) {
        size_t count = 0;
        const char *first = "";
        for (size_t j = 0; j < diff->file_count; j++) {
            if (diff->files[j].change == classes[i]) {
                first = count == 0 ? diff->files[j].what : first;
                count++;
            }
        }
        if (count == 0) {
            continue;
        }
        char detail[400];
        (void)snprintf(detail, sizeof detail, count == 1 ? "%s" : "%s and %zu more", first,
                       count - 1);
        const diff_change found = {
            .change = classes[i], .grade = WEIR_GRADE_PROVED, .rel_norm = (double)NAN};
        WEIR_TRY(add_detailed(diff, found, detail, err));
    }
    return WEIR_OK;
}

/* No difference was found: because there is none, or because nothing could be compared. */
static weir_code add_no_change(weir_diff *diff, weir_error *err) {
    const diff_change identical = {
        .change = WEIR_CHANGE_IDENTICAL, .grade = diff->grade, .rel_norm = 0};
    const diff_change unknown = {.change = WEIR_CHANGE_UNKNOWN,
                                 .grade = WEIR_GRADE_UNKNOWN,
                                 .rel_norm = (double)NAN,
                                 .detail = "no tensor of the two could be compared"};
    const bool is_identical = diff->relation == WEIR_RELATION_IDENTICAL;
    return add_change(diff, is_identical ? &identical : &unknown, err);
}

weir_code diff_peel(weir_diff *diff, weir_error *err) {
    WEIR_TRY(add_repackaged(diff, err));
    WEIR_TRY(add_stored(diff, WEIR_CHANGE_QUANTISED, err));
    WEIR_TRY(add_stored(diff, WEIR_CHANGE_CAST, err));
    WEIR_TRY(add_low_rank(diff, err));
    WEIR_TRY(add_partial(diff, err));
    WEIR_TRY(add_class(diff, (diff_change){.change = WEIR_CHANGE_UNKNOWN}, err));
    WEIR_TRY(add_unmatched(diff, err));
    WEIR_TRY(add_file_changes(diff, err));
    return diff->change_count == 0 ? add_no_change(diff, err) : WEIR_OK;
}
