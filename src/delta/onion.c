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
#include "base/text.h"
#include "delta/onion.h"
#include "delta/structure.h"

diff_change onion_change(weir_change_class change, weir_grade grade) {
    return (diff_change){.change = change,
                         .grade = grade,
                         .rel_norm = (double)NAN,
                         .alpha = (double)NAN,
                         .replay = (double)NAN};
}

weir_code onion_add(weir_diff *diff, const diff_change *what, weir_error *err) {
    void *items = diff->changes;
    if (!checked_grow(&items, &diff->change_capacity, diff->change_count, sizeof *diff->changes)) {
        return weir_fail_nomem(err);
    }
    diff->changes = items;
    diff->changes[diff->change_count++] = *what;
    return WEIR_OK;
}

weir_code onion_add_detailed(weir_diff *diff, diff_change what, const char *detail,
                             weir_error *err) {
    what.detail = arena_copy_text(&diff->memory, detail, strlen(detail));
    return what.detail ? onion_add(diff, &what, err) : weir_fail_nomem(err);
}

bool onion_has_class(const weir_diff *diff, const tensor_delta *row,
                     const onion_selection *select) {
    (void)diff;
    return row->change == select->change;
}

bool onion_is_beside_weights(weir_change_class change) {
    return change == WEIR_CHANGE_TEMPLATE || change == WEIR_CHANGE_TOKENIZER ||
           change == WEIR_CHANGE_CONFIG || change == WEIR_CHANGE_CODE;
}

bool onion_is_ablated(const weir_diff *diff, const tensor_delta *row,
                      const onion_selection *select) {
    (void)diff;
    (void)select;
    return row->is_ablated;
}

static int by_number(const void *left, const void *right) {
    const int32_t a = *(const int32_t *)left;
    const int32_t b = *(const int32_t *)right;
    return (a > b) - (a < b);
}

size_t onion_sort_distinct(int32_t *numbers, size_t count) {
    qsort(numbers, count, sizeof *numbers, by_number);
    size_t distinct = 0;
    for (size_t i = 0; i < count; i++) {
        if (distinct == 0 || numbers[i] != numbers[distinct - 1]) {
            numbers[distinct++] = numbers[i];
        }
    }
    return distinct;
}

/* Fill counts, norm, roles and layers of a change from the rows that show it. */
weir_code onion_gather(weir_diff *diff, diff_change *out, const onion_selection *select,
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
    out->layers = layers;
    out->layer_count = onion_sort_distinct(layers, layer_count);
    out->rel_norm = sum_aa > 0 ? sqrt(sum_dd / sum_aa) : (double)NAN;
    return WEIR_OK;
}

/* Whether the differences are those of a change to the base, and not those of two models. */
bool onion_is_linked(const weir_diff *diff) {
    return diff->relation == WEIR_RELATION_IDENTICAL || diff->relation == WEIR_RELATION_DERIVED ||
           diff->relation == WEIR_RELATION_RELATED;
}

weir_code onion_add_class(weir_diff *diff, diff_change found, weir_error *err) {
    const onion_selection select = {.is_wanted = onion_has_class, .change = found.change};
    WEIR_TRY(onion_gather(diff, &found, &select, err));
    return found.tensors > 0 ? onion_add(diff, &found, err) : WEIR_OK;
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
    diff_change found = onion_change(WEIR_CHANGE_UNKNOWN, WEIR_GRADE_UNKNOWN);
    found.tensors = added + removed + reshaped;
    found.tensors_of = diff->tensor_count;
    return onion_add_detailed(diff, found, detail, err);
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
        const diff_change found = onion_change(classes[i], WEIR_GRADE_PROVED);
        WEIR_TRY(onion_add_detailed(diff, found, detail, err));
    }
    return WEIR_OK;
}

/* No difference was found: because there is none, or because nothing could be compared. */
static weir_code add_no_change(weir_diff *diff, weir_error *err) {
    const diff_change identical = onion_change(WEIR_CHANGE_IDENTICAL, diff->grade);
    diff_change unknown = onion_change(WEIR_CHANGE_UNKNOWN, WEIR_GRADE_UNKNOWN);
    unknown.detail = "no tensor of the two could be compared";
    const bool is_identical = diff->relation == WEIR_RELATION_IDENTICAL;
    return onion_add(diff, is_identical ? &identical : &unknown, err);
}

/* The names of what was done to the weights, in one line. */
static weir_code name_classes(weir_diff *diff, weir_error *err) {
    WEIR_CLEANUP(text_buffer_release) text_buffer names = {0};
    diff->classes_grade = WEIR_GRADE_PROVED;
    for (size_t i = 0; i < diff->change_count; i++) {
        const diff_change *found = &diff->changes[i];
        if (onion_is_beside_weights(found->change)) {
            continue;
        }
        text_buffer_format(&names, "%s%s", names.len ? ", " : "",
                           weir_change_class_name(found->change));
        diff->classes_grade =
            found->grade < diff->classes_grade ? found->grade : diff->classes_grade;
    }
    if (names.failed) {
        return weir_fail_nomem(err);
    }
    diff->classes = arena_copy_text(&diff->memory, names.data ? names.data : "", names.len);
    return diff->classes ? WEIR_OK : weir_fail_nomem(err);
}

weir_code diff_peel(weir_diff *diff, weir_error *err) {
    WEIR_TRY(onion_add_storage(diff, err));
    WEIR_TRY(onion_add_structure(diff, err));
    WEIR_TRY(onion_add_weights(diff, err));
    WEIR_TRY(add_unmatched(diff, err));
    WEIR_TRY(add_file_changes(diff, err));
    WEIR_TRY(diff->change_count == 0 ? add_no_change(diff, err) : WEIR_OK);
    return name_classes(diff, err);
}
