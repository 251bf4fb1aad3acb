/* SPDX-License-Identifier: Apache-2.0 */
#include "evidence/merge_json.h"

#include <math.h>

static const char *parent_state_name(parent_state state) {
    switch (state) {
    case PARENT_USABLE:
        return "compared";
    case PARENT_ADAPTER:
        return "adapter";
    case PARENT_NOT_AT_HAND:
        return "not_at_hand";
    case PARENT_UNREADABLE:
        return "unreadable";
    case PARENT_IS_BASE:
        return "is_base";
    case PARENT_IS_MODEL:
        return "is_model";
    case PARENT_REPEATED:
        return "repeated";
    case PARENT_MISFIT:
        return "misfit";
    }
    return "compared";
}

static void write_asked(json_writer *json, const diff_parent *parents, size_t count) {
    for (size_t i = 0; i < count; i++) {
        json_object_begin(json);
        json_member_string(json, "name", parents[i].name);
        json_member_string(json, "state", parent_state_name(parents[i].state));
        json_member_uint(json, "tensors", parents[i].paired);
        json_member_string(json, "note", parents[i].note);
        json_object_end(json);
    }
}

const char *merge_source_name(const weir_diff *diff, const merge_parent *parent) {
    return parent->parent == VIEW_NONE ? weir_model_name(diff->base)
                                       : diff->parents[parent->parent].name;
}

void merge_write_by_layer(json_writer *json, const char *key, const weir_diff *diff,
                          const merge_parent *parent) {
    json_key(json, key);
    if (!parent->by_layer) {
        json_null(json);
        return;
    }
    json_array_begin(json);
    for (int32_t i = 0; i < diff->merge->layer_count; i++) {
        json_double(json, parent->by_layer[i]);
    }
    json_array_end(json);
}

static void write_source(json_writer *json, const weir_diff *diff, const merge_parent *parent) {
    json_object_begin(json);
    json_member_string(json, "model", merge_source_name(diff, parent));
    json_member_bool(json, "is_base", parent->parent == VIEW_NONE);
    json_member_double(json, "weight", parent->weight);
    json_member_double(json, "error", parent->error);
    json_member_double(json, "density", parent->density);
    merge_write_by_layer(json, "by_layer", diff, parent);
    json_member_uint(json, "tensors", parent->tensors);
    json_object_end(json);
}

static void write_row(json_writer *json, const weir_diff *diff, const merge_row *row,
                      const tensor_delta *pair) {
    json_object_begin(json);
    json_member_string(json, "tensor", tensor_delta_shown(diff, pair)->name);
    json_member_string(json, "grade",
                       weir_grade_name(row->is_proved ? WEIR_GRADE_PROVED : WEIR_GRADE_STRONG));
    json_key(json, "weights");
    json_array_begin(json);
    for (size_t i = 0; i < diff->merge->parent_count; i++) {
        json_double(json, row->weights[i]);
    }
    json_array_end(json);
    json_member_double(json, "replayed",
                       row->replayed_of ? (double)row->replayed / (double)row->replayed_of
                                        : (double)NAN);
    json_key(json, "source_layer");
    if (row->source_layer >= 0) {
        json_int(json, row->source_layer);
    } else {
        json_null(json);
    }
    json_object_end(json);
}

/* The tensors that the merge explains, with weights in the order of the sources. */
static void write_rows(json_writer *json, const weir_diff *diff, const merge_finding *found) {
    json_key(json, "rows");
    json_array_begin(json);
    for (size_t i = 0; found->rows && i < diff->tensor_count; i++) {
        if (found->rows[i].is_explained) {
            write_row(json, diff, &found->rows[i], &diff->tensors[i]);
        }
    }
    json_array_end(json);
}

static void write_finding(json_writer *json, const weir_diff *diff, const merge_finding *found) {
    json_object_begin(json);
    json_member_string(json, "method", merge_method_name(found->method));
    json_member_string(json, "grade", weir_grade_name(found->grade));
    json_key(json, "sources");
    json_array_begin(json);
    for (size_t i = 0; i < found->parent_count; i++) {
        write_source(json, diff, &found->parents[i]);
    }
    json_array_end(json);
    json_member_double(json, "lambda", found->lambda);
    json_key(json, "normalised");
    json_bool(json, found->is_normalised);
    json_member_string(json, "computed_in",
                       found->replayed_of ? weir_dtype_name(found->computed) : NULL);
    json_member_double(json, "replayed",
                       found->replayed_of ? (double)found->replayed / (double)found->replayed_of
                                          : (double)NAN);
    json_member_uint(json, "tensors", found->tensors);
    json_member_uint(json, "tensors_of", found->tensors_of);
    json_member_double(json, "rest", found->rest);
    write_rows(json, diff, found);
    json_member_string(json, "claimed", found->claimed);
    json_member_string(json, "detail", found->detail);
    json_object_end(json);
}

void merge_write_json(json_writer *json, const weir_diff *diff) {
    json_key(json, "parents");
    json_array_begin(json);
    write_asked(json, diff->parents, diff->parent_count);
    write_asked(json, diff->adapters, diff->adapter_count);
    json_array_end(json);
    json_key(json, "merge");
    if (diff->merge) {
        write_finding(json, diff, diff->merge);
    } else {
        json_null(json);
    }
}
