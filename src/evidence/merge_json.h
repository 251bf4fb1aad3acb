/* SPDX-License-Identifier: Apache-2.0 */
/** @file merge_json.h  The parents of a comparison, and what they say of a merge, as JSON. */
#ifndef WEIR_EVIDENCE_MERGE_JSON_H
#define WEIR_EVIDENCE_MERGE_JSON_H

#include "delta/merge.h"
#include "evidence/result_json.h"

/** @return the name of a source of a merge: the base's or a parent's. Borrowed. */
const char *merge_source_name(const weir_diff *diff, const merge_parent *parent);

/** A member with a source's weight by layer, null where it is the same for all. */
void merge_write_by_layer(json_writer *json, const char *key, const weir_diff *diff,
                          const merge_parent *parent);

/** Write the members "parents" and "merge" of weir.diff/1. */
void merge_write_json(json_writer *json, const weir_diff *diff);

#endif
