/* SPDX-License-Identifier: Apache-2.0 */
#include <math.h>

#include "delta/file_delta.h"
#include "delta/row_look.h"
#include "delta/template_delta.h"
#include "evidence/merge_json.h"
#include "evidence/result_json.h"

static const char *state_name(tensor_state state) {
    switch (state) {
    case TENSOR_COMPARED:
        return "compared";
    case TENSOR_OPAQUE:
        return "bytes_compared";
    case TENSOR_RESHAPED:
        return "reshaped";
    case TENSOR_ADDED:
        return "added";
    case TENSOR_REMOVED:
        return "removed";
    }
    return "compared";
}

static double share(uint64_t part, uint64_t whole) {
    return whole ? (double)part / (double)whole : (double)NAN;
}

static void write_dtype(json_writer *json, const char *key, const weir_model *model,
                        ptrdiff_t index) {
    json_member_string(
        json, key,
        index == VIEW_NONE ? NULL : weir_dtype_name(model_view(model, (size_t)index)->base.dtype));
}

static void write_statistics(json_writer *json, const tensor_delta *row) {
    const pair_stats *stats = &row->stats;
    json_member_double(json, "rel_norm", tensor_delta_rel_norm(row));
    json_member_double(json, "rounding_floor", tensor_delta_floor(row));
    json_member_double(json, "unchanged", share(stats->equal, stats->count));
    json_member_double(json, "cosine", tensor_delta_cosine(row));
    json_member_double(json, "max_abs_change", stats->max_abs_diff);
    json_member_double(json, "sign_agreement", share(stats->sign_agree, stats->sign_of));
    json_member_double(json, "replayed",
                       row->is_replayable ? share(row->replayed, stats->count) : (double)NAN);
    json_member_uint(json, "nan", stats->nan_b);
    json_member_uint(json, "inf", stats->inf_b);
    json_member_uint(json, "base_nan", stats->nan_a);
    json_member_uint(json, "base_inf", stats->inf_a);
}

/* What the second look found, over the norm of the base: spectra, never directions. */
static void write_look(json_writer *json, const row_look *look) {
    if (look->is_contained) {
        json_member_double(json, "codes_equal", look->codes.explained_share);
        json_member_double(json, "hidden_most", look->codes.hidden_most);
    }
    if (!look->is_measured || !(look->base_norm > 0)) {
        return;
    }
    const low_rank_fit *fit = &look->low_rank;
    json_member_bool(json, "rank_is_least", fit->is_lower_bound);
    json_member_double(json, "noise_edge", fit->edge / look->base_norm);
    json_key(json, "spectrum");
    json_array_begin(json);
    for (size_t i = 0; i < fit->value_count; i++) {
        json_double(json, fit->values[i] / look->base_norm);
    }
    json_array_end(json);
}

static void write_tensor(json_writer *json, const weir_diff *diff, const tensor_delta *row) {
    const weir_tensor *tensor = tensor_delta_shown(diff, row);
    json_object_begin(json);
    json_member_string(json, "name", tensor->name);
    json_member_string(json, "role", weir_role_name(tensor->role));
    json_key(json, "layer");
    if (tensor->layer >= 0) {
        json_int(json, tensor->layer);
    } else {
        json_null(json);
    }
    json_member_string(json, "state", state_name(row->state));
    json_member_string(json, "class",
                       tensor_delta_is_paired(row) ? weir_change_class_name(row->change) : NULL);
    json_member_uint(json, "rows", tensor->rows);
    json_member_uint(json, "cols", tensor->cols);
    write_dtype(json, "base_dtype", diff->base, row->base_index);
    write_dtype(json, "dtype", diff->model, row->model_index);
    json_key(json, "rank");
    if (row->rank > 0) {
        json_uint(json, row->rank);
    } else {
        json_null(json);
    }
    if (row->stats.count > 0 || row->state == TENSOR_COMPARED) {
        write_statistics(json, row);
    } else {
        json_member_double(json, "rel_norm", (double)NAN);
        json_member_double(json, "unchanged", (double)NAN);
    }
    if (row->look) {
        write_look(json, row->look);
    }
    json_object_end(json);
}

static void write_template(json_writer *json, const template_delta *found) {
    json_object_begin(json);
    json_member_string(json, "kind", template_delta_kind_name(found->kind));
    json_member_uint(json, "rendered", found->rendered_n);
    json_member_uint(json, "differ", found->rendered_differ);
    json_member_uint(json, "not_rendered", found->unrendered_n);
    json_member_string(json, "first_difference",
                       found->first_difference[0] ? found->first_difference : NULL);
    json_key(json, "findings");
    json_array_begin(json);
    for (size_t i = 0; i < found->finding_count; i++) {
        const template_finding *finding = &found->findings[i];
        json_object_begin(json);
        json_member_string(json, "class", template_finding_class_name(finding->kind));
        json_member_string(json, "grade", weir_grade_name(finding->grade));
        json_key(json, "line");
        if (finding->line > 0) {
            json_uint(json, finding->line);
        } else {
            json_null(json);
        }
        json_member_string(json, "text", finding->text);
        json_object_end(json);
    }
    json_array_end(json);
    json_object_end(json);
}

static void write_file(json_writer *json, const file_delta *file) {
    json_object_begin(json);
    json_member_string(json, "class", weir_change_class_name(file->change));
    json_member_string(json, "kind", file_kind_name(file->kind));
    json_member_string(json, "grade", weir_grade_name(file->grade));
    json_member_string(json, "what", file->what);
    json_member_string(json, "base", file->base);
    json_member_string(json, "model", file->model);
    json_member_string(json, "file", file->file[0] ? file->file : NULL);
    if (file->template) {
        json_key(json, "template");
        write_template(json, file->template);
    }
    json_object_end(json);
}

static void write_gaps(json_writer *json, const char *side, const weir_findings *findings) {
    for (size_t i = 0; i < weir_findings_count(findings); i++) {
        const weir_finding *finding = weir_findings_get(findings, i);
        if (!diff_finding_is_gap(finding)) {
            continue;
        }
        json_object_begin(json);
        json_member_string(json, "side", side);
        json_member_string(json, "id", finding->id);
        json_member_string(json, "severity", weir_severity_name(finding->severity));
        json_member_string(json, "file", finding->file);
        json_member_string(json, "at", finding->at);
        json_member_string(json, "message", finding->message);
        json_object_end(json);
    }
}

void diff_write_json(json_writer *json, const weir_diff *diff) {
    json_object_begin(json);
    json_member_string(json, "schema", "weir.diff/1");
    json_member_string(json, "base", weir_model_name(diff->base));
    json_member_string(json, "model", weir_model_name(diff->model));
    json_member_string(json, "relation", weir_relation_name(diff->relation));
    json_member_string(json, "direction",
                       diff->direction == DIRECTION_FROM_BASE ? "from" : "unknown");
    json_member_string(json, "grade", weir_grade_name(diff->grade));
    json_member_double(json, "median_cosine", diff->median_cosine);
    json_key(json, "changes");
    json_array_begin(json);
    for (size_t i = 0; i < diff->change_count; i++) {
        change_write_json(json, diff, &diff->changes[i]);
    }
    json_array_end(json);
    json_member_double(json, "unexplained", diff->unexplained);
    merge_write_json(json, diff);
    json_key(json, "tensors");
    json_array_begin(json);
    for (size_t i = 0; i < diff->tensor_count; i++) {
        write_tensor(json, diff, &diff->tensors[i]);
    }
    json_array_end(json);
    json_key(json, "files");
    json_array_begin(json);
    for (size_t i = 0; i < diff->file_count; i++) {
        write_file(json, &diff->files[i]);
    }
    json_array_end(json);
    json_key(json, "findings");
    json_array_begin(json);
    write_gaps(json, "base", diff->base_findings);
    write_gaps(json, "model", diff->findings);
    json_array_end(json);
    json_object_end(json);
}
