/* SPDX-License-Identifier: Apache-2.0 */
#include "evidence/bundle.h"

#include <stdlib.h>

#include "base/checked.h"
#include "base/fail.h"
#include "evidence/result_json.h"
#include "sketch/bet.h"
#include "weir/system.h"

/* What a reader needs to redo each step without weir; docs/formats/bundle.md has it at length. */
static const char *const recompute[][2] = {
    {"ranges", "Hash the bytes [offset, offset + bytes) of each file with SHA-256."},
    {"fingerprint", "weir trace --replay BUNDLE MODEL takes it anew from the model's files."},
    {"log10_p", "tools/replay_bundle.py redoes matching, bets and p from the fingerprints alone."},
};

static const char *const seeds[][2] = {
    {"unit_codes", "signs of a row's first 128 coordinates under H D2 H D1; bit i % 64 of "
                   "splitmix64's finaliser of (seed << 56) + (i / 64 + 1) * 9E3779B97F4A7C15 makes "
                   "coordinate i negative, with the seed 1 for D1 and 2 for D2"},
    {"sums", "row u enters sum k negative where splitmix64's finaliser of 32 u + k + 1 is odd"},
    {"tokens", "no seed: a token's bucket and tag come from the hash of its bytes"},
};

static void write_texts(json_writer *json, const char *key, const char *const (*rows)[2],
                        size_t count) {
    json_key(json, key);
    json_object_begin(json);
    for (size_t i = 0; i < count; i++) {
        json_member_string(json, rows[i][0], rows[i][1]);
    }
    json_object_end(json);
}

static void write_number(json_writer *json, const char *key, double value) {
    json_key(json, key);
    json_double_exact(json, value);
}

/* Lower-case hex. */
static weir_code write_fingerprint(json_writer *json, const fingerprint *sketch, weir_error *err) {
    static const char digits[] = "0123456789abcdef";
    WEIR_CLEANUP(free) uint8_t *bytes = NULL;
    size_t len = 0;
    WEIR_TRY(fingerprint_encode(&bytes, &len, sketch, err));
    WEIR_CLEANUP(free) char *text = checked_alloc(len + 1, 2);
    if (!text) {
        return weir_fail_nomem(err);
    }
    for (size_t i = 0; i < len; i++) {
        text[2 * i] = digits[bytes[i] >> 4];
        text[2 * i + 1] = digits[bytes[i] & 15];
    }
    text[2 * len] = '\0';
    json_member_string(json, "fingerprint", text);
    return WEIR_OK;
}

static void write_ranges(json_writer *json, const weir_trace *trace) {
    json_key(json, "ranges");
    json_array_begin(json);
    for (size_t i = 0; i < trace->range_count; i++) {
        const trace_range *const range = &trace->ranges[i];
        json_object_begin(json);
        json_member_string(json, "file", range->file);
        json_member_uint(json, "offset", range->offset);
        json_member_uint(json, "bytes", range->bytes);
        json_member_string(json, "sha256", range->sha256);
        json_object_end(json);
    }
    json_array_end(json);
}

static weir_code write_candidate(json_writer *json, const weir_trace *trace,
                                 const trace_candidate *candidate, weir_error *err) {
    json_object_begin(json);
    json_member_string(json, "name", candidate->name);
    json_member_string(json, "verdict", weir_relation_name(candidate->relation));
    json_member_string(json, "direction", trace_direction_name(candidate->direction));
    write_number(json, "log10_p", candidate->link.log10_p);
    json_member_string(json, "matched_by", trace_matched_by(candidate));
    json_member_string(json, "payload_id", candidate->same_payload ? trace->payload_id : NULL);
    trace_write_layers(json, trace, candidate);
    WEIR_TRY(write_fingerprint(json, candidate->sketch, err));
    json_object_end(json);
    return WEIR_OK;
}

/* The constants of link.h and bet.h. */
static void write_test(json_writer *json) {
    json_key(json, "test");
    json_object_begin(json);
    json_member_string(json, "null", trace_exact_null);
    json_member_uint(json, "units", BLOCK_UNITS);
    json_member_uint(json, "points_min", BET_POINTS_MIN);
    write_number(json, "stake_on_all", bet_stake_on_all);
    write_number(json, "lost_layer", bet_lost_layer);
    write_number(json, "stake_on_places", 0.5);
    write_number(json, "stake_on_each_code", 0.5);
    json_member_string(json, "price_of_a_pair",
                       "ln 2 / (blocks of the model x blocks of the "
                       "candidate)");
    json_member_string(json, "law_of_places",
                       "rencontres: P(F = k) = D(n - k) / (k! (n - k)!) for n units");
    json_member_string(json, "law_of_chains", "P(L >= k) <= C(n, k) / k!");
    write_number(json, "log10_p_linked", trace_log10_p_linked);
    write_number(json, "log10_p_open", trace_log10_p_open);
    json_object_end(json);
}

static weir_code write_all(json_writer *json, const weir_trace *trace, weir_error *err) {
    json_object_begin(json);
    json_member_string(json, "schema", "weir.bundle/1");
    json_member_string(json, "weir", weir_version());
    json_member_string(json, "command", trace->command);
    json_key(json, "lenient");
    json_bool(json, trace->lenient);
    json_key(json, "model");
    json_object_begin(json);
    json_member_string(json, "name", trace->name);
    json_member_string(json, "payload_id", trace->payload_id[0] ? trace->payload_id : NULL);
    WEIR_TRY(write_fingerprint(json, trace->sketch, err));
    json_object_end(json);
    json_member_string(json, "verdict", weir_relation_name(trace->relation));
    json_member_uint(json, "entries", trace->entries);
    json_key(json, "candidates");
    json_array_begin(json);
    for (size_t i = 0; i < trace->candidate_count; i++) {
        WEIR_TRY(write_candidate(json, trace, &trace->candidates[i], err));
    }
    json_array_end(json);
    write_ranges(json, trace);
    write_test(json);
    write_texts(json, "seeds", seeds, sizeof seeds / sizeof *seeds);
    write_texts(json, "recompute", recompute, sizeof recompute / sizeof *recompute);
    json_object_end(json);
    return WEIR_OK;
}

weir_code bundle_write(FILE *stream, const weir_trace *trace, weir_error *err) {
    json_writer json = json_writer_init(stream);
    if (!trace->sketch) {
        return weir_fail(err, WEIR_ERR_UNSUPPORTED, trace->name, NULL,
                         "a model with weights of its own, to bundle its verdict", "an adapter");
    }
    if (trace->range_count == 0 && trace->cost.bytes_read > 0) {
        return weir_fail(err, WEIR_ERR_ARG, NULL, NULL, "a trace that kept its ranges",
                         "one that did not");
    }
    WEIR_TRY(write_all(&json, trace, err));
    return json_writer_finish(&json, err);
}
