/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file bundle.h  weir.bundle/1: all that a trace rests on, so that its verdict can be replayed by
 * whoever holds the model. docs/formats/bundle.md says what each member is.
 */
#ifndef WEIR_EVIDENCE_BUNDLE_H
#define WEIR_EVIDENCE_BUNDLE_H

#include <stdio.h>

#include "sketch/trace.h"

enum {
    BUNDLE_BYTES_MAX = 1 << 30,
    BUNDLE_RANGES_MAX = 1 << 20,
    BUNDLE_FINGERPRINT_BYTES_MAX = 4 << 20,
};

/** One block of the model and the candidate's that it matches. */
typedef struct bundle_layer {
    int32_t mine;
    int32_t mine_expert; /**< EXPERT_NONE without one */
    int32_t theirs;
    int32_t theirs_expert;
    uint32_t matched;
    uint32_t of;
} bundle_layer;

typedef struct bundle_candidate {
    const char *name;
    fingerprint *sketch;
    weir_relation relation;
    trace_direction direction;
    double log10_p;
    bool by_units;       /**< found in the weights of both: not in the fingerprints */
    char payload_id[65]; /**< "" when it is not stated to be the model's */
    bundle_layer *layers;
    size_t layer_count;
} bundle_candidate;

typedef struct bundle {
    arena memory;
    const char *name; /**< of the model */
    char payload_id[65];
    fingerprint *sketch;
    weir_relation relation;
    uint64_t entries;
    bool lenient;
    trace_range *ranges;
    size_t range_count;
    bundle_candidate *candidates;
    size_t candidate_count;
} bundle;

/**
 * Write a trace as a bundle.
 * @return WEIR_OK; WEIR_ERR_ARG when the ranges of a model's weights were not kept; WEIR_ERR_IO;
 * WEIR_ERR_NOMEM
 */
weir_code bundle_write(FILE *stream, const weir_trace *trace, weir_error *err);

/**
 * Read a bundle, however hostile. Members that are not known are passed over.
 *
 * @param[out] out  release with bundle_free(); untouched on failure
 * @param source    borrowed for the call
 * @return WEIR_OK; WEIR_ERR_FORMAT with the place; WEIR_ERR_LIMIT; WEIR_ERR_UNSUPPORTED for
 * another version; WEIR_ERR_IO; WEIR_ERR_NOMEM
 */
weir_code bundle_read(bundle **out, weir_source *source, weir_error *err);

void bundle_free(bundle *it);
WEIR_DEFINE_CLEANUP(bundle *, bundle_free)

#endif
