/* SPDX-License-Identifier: Apache-2.0 */
#include "assess/replay.h"
#include "evidence/result_json.h"

const char *replay_answer_name(weir_replay_answer answer) {
    return answer == WEIR_REPLAY_REPRODUCED ? "reproduced"
           : answer == WEIR_REPLAY_DIFFERS  ? "differs"
                                            : "undecided";
}

static void write_bool(json_writer *json, const char *key, bool value) {
    json_key(json, key);
    json_bool(json, value);
}

static void write_number(json_writer *json, const char *key, double value) {
    json_key(json, key);
    json_double_exact(json, value);
}

static void write_candidate(json_writer *json, const bundle_candidate *stated,
                            const replay_candidate *again) {
    json_object_begin(json);
    json_member_string(json, "name", stated->name);
    write_bool(json, "testable", again->is_testable);
    json_member_string(json, "stated_verdict", weir_relation_name(stated->relation));
    json_member_string(json, "verdict",
                       again->is_testable ? weir_relation_name(again->relation) : NULL);
    write_number(json, "stated_log10_p", stated->log10_p);
    json_key(json, "log10_p");
    if (again->is_testable) {
        json_double_exact(json, again->log10_p);
    } else {
        json_null(json);
    }
    write_bool(json, "reproduced", again->is_testable && again->same_test && again->same_verdict);
    json_object_end(json);
}

static void write_ranges(json_writer *json, const weir_replay *replay) {
    json_key(json, "ranges");
    json_object_begin(json);
    json_member_uint(json, "stated", replay->bundle->range_count);
    json_member_uint(json, "differ", replay->ranges_differ);
    json_member_uint(json, "bytes_checked", replay->bytes_checked);
    json_key(json, "first");
    if (replay->first_differing) {
        json_object_begin(json);
        json_member_string(json, "file", replay->first_differing->file);
        json_member_uint(json, "offset", replay->first_differing->offset);
        json_member_uint(json, "bytes", replay->first_differing->bytes);
        json_member_string(json, "why", replay->first_problem);
        json_object_end(json);
    } else {
        json_null(json);
    }
    json_object_end(json);
}

void replay_write_json(json_writer *json, const weir_replay *replay) {
    json_object_begin(json);
    json_member_string(json, "schema", "weir.replay/1");
    json_member_string(json, "answer", replay_answer_name(replay->answer));
    json_key(json, "model");
    json_object_begin(json);
    json_member_string(json, "name", replay->name);
    json_object_end(json);
    json_member_string(json, "stated_verdict", weir_relation_name(replay->bundle->relation));
    json_member_uint(json, "entries", replay->bundle->entries);
    write_ranges(json, replay);
    write_bool(json, "same_payload", replay->same_payload);
    write_bool(json, "same_fingerprint", replay->same_fingerprint);
    json_key(json, "candidates");
    json_array_begin(json);
    for (size_t i = 0; i < replay->bundle->candidate_count; i++) {
        write_candidate(json, &replay->bundle->candidates[i], &replay->candidates[i]);
    }
    json_array_end(json);
    json_object_end(json);
}
