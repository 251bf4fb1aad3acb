/* SPDX-License-Identifier: Apache-2.0 */
/** @file result_json.h  The JSON of each result: weir.inspect/1, weir.diff/1, weir.trace/1,
 * fingerprints. */
#ifndef WEIR_EVIDENCE_RESULT_JSON_H
#define WEIR_EVIDENCE_RESULT_JSON_H

#include "io/json_writer.h"
#include "sketch/fingerprint.h"
#include "sketch/trace.h"
#include "weir/diff.h"
#include "weir/inspect.h"
#include "weir/trace.h"

/** Write one result as an object, "schema" first. */
void inspection_write_json(json_writer *json, const weir_inspection *inspection);
void diff_write_json(json_writer *json, const weir_diff *diff);
void trace_write_json(json_writer *json, const weir_trace *trace);

/** One layer of the onion, an object of its own. */
struct diff_change;
void change_write_json(json_writer *json, const weir_diff *diff, const struct diff_change *found);

/* Pieces of it that a bundle has too. */
extern const char trace_exact_null[];
const char *trace_direction_name(trace_direction direction);
const char *trace_matched_by(const trace_candidate *candidate); /**< "rows", "tokens", "units" */
/** The member "layers", and what belongs to it. */
void trace_write_layers(json_writer *json, const weir_trace *trace,
                        const trace_candidate *candidate);

/** A fingerprint, part of weir.registry/1. */
void fingerprint_write_json(json_writer *json, const fingerprint *sketch);

/** A member of any type, in one line. */
void json_member_string(json_writer *json, const char *key, const char *value);
void json_member_uint(json_writer *json, const char *key, uint64_t value);
void json_member_double(json_writer *json, const char *key, double value);
void json_member_bool(json_writer *json, const char *key, bool value);

#endif
