/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One layer of the onion as JSON: what all classes have, and what only some do.
 */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "delta/ablation.h"
#include "delta/diff.h"
#include "evidence/merge_json.h"
#include "evidence/result_json.h"

static void write_integers(json_writer *json, const char *key, const int32_t *values,
                           size_t count) {
    json_key(json, key);
    json_array_begin(json);
    for (size_t i = 0; i < count; i++) {
        json_int(json, values[i]);
    }
    json_array_end(json);
}

static void write_modules(json_writer *json, const bool *roles) {
    json_key(json, "modules");
    json_array_begin(json);
    for (size_t i = 0; i < WEIR_ROLE_COUNT; i++) {
        if (roles[i]) {
            json_string(json, weir_role_name((weir_role)i));
        }
    }
    json_array_end(json);
}

/* The words of "units, heads", each on its own. */
static void write_words(json_writer *json, const char *key, const char *list) {
    json_key(json, key);
    json_array_begin(json);
    while (list && *list) {
        const size_t len = strcspn(list, ",");
        char word[64];
        (void)snprintf(word, sizeof word, "%.*s", (int)(len < sizeof word ? len : sizeof word - 1),
                       list);
        json_string(json, word);
        list += len;
        list += strspn(list, ", ");
    }
    json_array_end(json);
}

static void write_parent(json_writer *json, const weir_diff *diff, const merge_parent *parent) {
    json_object_begin(json);
    json_member_string(json, "model", merge_source_name(diff, parent));
    json_member_double(json, "weight", parent->weight);
    json_member_double(json, "weight_error", parent->error);
    json_member_double(json, "density", parent->density);
    json_member_uint(json, "tensors", parent->tensors);
    merge_write_by_layer(json, "layers", diff, parent);
    json_object_end(json);
}

static void write_merge(json_writer *json, const weir_diff *diff) {
    const merge_finding *merge = diff->merge;
    json_member_string(json, "method", merge_method_name(merge->method));
    json_key(json, "parents");
    json_array_begin(json);
    for (size_t i = 0; i < merge->parent_count; i++) {
        write_parent(json, diff, &merge->parents[i]);
    }
    json_array_end(json);
    json_member_double(json, "lambda", merge->lambda);
    json_member_bool(json, "normalised", merge->is_normalised);
    json_member_string(json, "computed_in", weir_dtype_name(merge->computed));
    json_member_double(json, "rest", merge->rest);
}

/* Strengths by layer and matrix, and the figures of the decision; no direction. */
static void write_ablation(json_writer *json, const weir_diff *diff) {
    const ablation_verdict *verdict = diff->ablation;
    json_member_uint(json, "directions", verdict->directions);
    json_member_string(json, "scope",
                       verdict->scope == ABLATION_SCOPE_PER_LAYER ? "layer" : "global");
    json_key(json, "lambda_by_layer");
    json_array_begin(json);
    for (size_t i = 0; i < verdict->matrix_count; i++) {
        const ablation_matrix *matrix = &verdict->matrices[i];
        const weir_tensor *tensor = tensor_delta_shown(diff, &diff->tensors[matrix->row]);
        if (!matrix->is_edited) {
            continue;
        }
        json_object_begin(json);
        json_key(json, "layer");
        if (tensor->layer >= 0) {
            json_int(json, tensor->layer);
        } else {
            json_null(json);
        }
        json_member_string(json, "module", weir_role_name(tensor->role));
        json_member_double(json, "lambda", matrix->lambda);
        json_member_double(json, "identity", matrix->identity);
        json_object_end(json);
    }
    json_array_end(json);
    json_member_double(json, "identity", verdict->identity);
    json_member_double(json, "share", verdict->share);
    json_member_double(json, "eigenvalue_ratio", verdict->eigen_ratio);
}

/* What only some classes have. */
static void write_own(json_writer *json, const weir_diff *diff, const diff_change *found) {
    switch (found->change) {
    case WEIR_CHANGE_CAST:
    case WEIR_CHANGE_QUANTISED:
        json_member_string(json, "from", weir_dtype_name(found->from));
        json_member_string(json, found->change == WEIR_CHANGE_CAST ? "to" : "type",
                           found->type ? found->type : weir_dtype_name(found->to));
        json_member_uint(json, "rederived", found->rederived);
        break;
    case WEIR_CHANGE_PRUNED:
        json_member_double(json, "sparsity", found->sparsity);
        json_member_string(json, "pattern", found->pattern);
        break;
    case WEIR_CHANGE_DEPTH:
    case WEIR_CHANGE_LAYERS_DUPLICATED:
        write_integers(json, "layers", found->map, found->map_count);
        break;
    case WEIR_CHANGE_VOCABULARY:
        json_member_uint(json, "added", found->added);
        json_member_uint(json, "removed", found->removed);
        json_member_uint(json, "moved", found->moved);
        break;
    case WEIR_CHANGE_PERMUTED:
    case WEIR_CHANGE_ROTATED:
        write_words(json, "axes", found->axes);
        json_member_bool(json, "function_preserving", found->is_function_preserving);
        break;
    case WEIR_CHANGE_WIDTH:
        write_words(json, "axes", found->axes);
        break;
    case WEIR_CHANGE_MERGED:
        write_merge(json, diff);
        break;
    case WEIR_CHANGE_LOW_RANK:
        if (found->rank > 0) {
            json_member_uint(json, "rank", found->rank);
        } else {
            json_member_double(json, "rank", (double)NAN);
        }
        json_member_bool(json, "rank_is_least", found->is_rank_least);
        json_member_double(json, "alpha", found->alpha);
        json_member_bool(json, "applied", found->is_applied);
        json_member_bool(json, "row_scale", found->has_row_scale);
        break;
    case WEIR_CHANGE_SCALED:
        json_member_string(json, "axis", found->axes);
        break;
    case WEIR_CHANGE_ABLATED:
        write_ablation(json, diff);
        break;
    case WEIR_CHANGE_FULL_RANK:
        json_member_string(json, "band", found->band);
        break;
    case WEIR_CHANGE_EXPERTS:
        write_integers(json, "experts", found->experts, found->expert_count);
        json_member_bool(json, "router", found->is_router_changed);
        break;
    case WEIR_CHANGE_IDENTICAL:
    case WEIR_CHANGE_REPACKAGED:
    case WEIR_CHANGE_PARTIAL:
    case WEIR_CHANGE_PERTURBED:
    case WEIR_CHANGE_TEMPLATE:
    case WEIR_CHANGE_TOKENIZER:
    case WEIR_CHANGE_CONFIG:
    case WEIR_CHANGE_CODE:
    case WEIR_CHANGE_UNKNOWN:
        break;
    }
}

static bool has_layer_map(const diff_change *found) {
    return found->change == WEIR_CHANGE_DEPTH || found->change == WEIR_CHANGE_LAYERS_DUPLICATED;
}

void change_write_json(json_writer *json, const weir_diff *diff, const diff_change *found) {
    json_object_begin(json);
    json_member_string(json, "class", weir_change_class_name(found->change));
    json_member_string(json, "grade", weir_grade_name(found->grade));
    write_own(json, diff, found);
    if (found->tensors > 0) {
        json_member_uint(json, "tensors", found->tensors);
        json_member_uint(json, "tensors_of", found->tensors_of);
        json_member_uint(json, "elements", found->elements);
        json_member_double(json, "rel_norm", found->rel_norm);
        write_modules(json, found->roles);
        if (!has_layer_map(found)) {
            write_integers(json, "layers", found->layers, found->layer_count);
        }
    }
    if (isfinite(found->replay)) {
        json_member_double(json, "replay", found->replay);
    }
    if (found->detail && found->detail[0]) {
        json_member_string(json, "detail", found->detail);
    }
    json_object_end(json);
}
