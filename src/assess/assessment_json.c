/* SPDX-License-Identifier: Apache-2.0 */
#include "assess/assessment.h"
#include "evidence/result_json.h"

static void write_range(json_writer *json, const char *key, level_range range) {
    json_key(json, key);
    json_object_begin(json);
    json_key(json, "low");
    json_int(json, range.low);
    json_key(json, "high");
    json_int(json, range.high);
    json_object_end(json);
}

/* What is not known yet is an object without members, not a guess. */
static void write_empty(json_writer *json, const char *key) {
    json_key(json, key);
    json_object_begin(json);
    json_object_end(json);
}

static void write_null(json_writer *json, const char *key) {
    json_key(json, key);
    json_null(json);
}

static void write_next(json_writer *json, const weir_assessment *assessment) {
    json_key(json, "next_evidence");
    json_array_begin(json);
    for (size_t i = 0; i < assessment->next_count; i++) {
        json_object_begin(json);
        json_member_string(json, "what", assessment->next[i].what);
        json_member_string(json, "how", assessment->next[i].how);
        json_object_end(json);
    }
    json_array_end(json);
}

void assessment_write_json(json_writer *json, const weir_assessment *assessment) {
    json_object_begin(json);
    json_member_string(json, "schema", "weir.assess/1");
    json_member_string(json, "model",
                       weir_model_name(weir_inspection_model(assessment->inspection)));
    write_range(json, "tier", assessment->tier);
    json_key(json, "adds");
    json_object_begin(json);
    write_range(json, "route_a", assessment->route_a);
    write_range(json, "route_b", assessment->route_b);
    json_object_end(json);
    write_empty(json, "inherits");
    write_empty(json, "base");
    write_empty(json, "openness");
    json_key(json, "facts");
    facts_write_json(json, &assessment->facts);
    json_key(json, "rules");
    json_array_begin(json);
    json_array_end(json);
    write_next(json, assessment);
    json_key(json, "inspect");
    inspection_write_json(json, assessment->inspection);
    if (assessment->trace) {
        json_key(json, "lineage");
        trace_write_json(json, assessment->trace);
    } else {
        write_null(json, "lineage");
    }
    if (assessment->diff) {
        json_key(json, "diff");
        diff_write_json(json, assessment->diff);
    } else {
        write_null(json, "diff");
    }
    write_null(json, "probe");
    json_object_end(json);
}
