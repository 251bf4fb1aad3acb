/* SPDX-License-Identifier: Apache-2.0 */
/** @file merge_json.h  The parents of a comparison, and what they say of a merge, as JSON. */
#ifndef WEIR_EVIDENCE_MERGE_JSON_H
#define WEIR_EVIDENCE_MERGE_JSON_H

#include "delta/diff.h"
#include "evidence/result_json.h"

/** Write the members "parents" and "merge" of weir.diff/1. */
void merge_write_json(json_writer *json, const weir_diff *diff);

#endif
