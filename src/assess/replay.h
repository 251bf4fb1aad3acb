/* SPDX-License-Identifier: Apache-2.0 */
/** @file replay.h  weir/replay.h from inside. */
#ifndef WEIR_ASSESS_REPLAY_H
#define WEIR_ASSESS_REPLAY_H

#include "evidence/bundle.h"
#include "io/json_writer.h"
#include "weir/replay.h"

WEIR_DEFINE_CLEANUP(weir_replay *, weir_replay_free)

/** What the test gave again for one candidate. */
typedef struct replay_candidate {
    bool is_testable; /**< from the fingerprints */
    weir_relation relation;
    trace_direction direction;
    double log10_p;
    bool same_test;    /**< log10_p and the map of layers */
    bool same_verdict; /**< relation and direction */
} replay_candidate;

struct weir_replay {
    char *name; /**< of the model at hand */
    bundle *bundle;
    size_t ranges_differ;
    const trace_range *first_differing; /**< NULL: none; borrowed from the bundle */
    const char *first_problem;          /**< static */
    uint64_t bytes_checked;
    bool same_payload; /**< true also where the bundle has no payload id */
    bool same_fingerprint;
    replay_candidate *candidates; /**< one for each of the bundle's */
    size_t untestable;
    weir_relation relation; /**< of all that could be tested */
    weir_replay_answer answer;
};

/** "reproduced", "differs" or "undecided". */
const char *replay_answer_name(weir_replay_answer answer);

/** weir.replay/1. */
void replay_write_json(json_writer *json, const weir_replay *replay);

#endif
