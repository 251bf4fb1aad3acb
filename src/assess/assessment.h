/* SPDX-License-Identifier: Apache-2.0 */
/** @file assessment.h  weir/assess.h from inside. */
#ifndef WEIR_ASSESS_ASSESSMENT_H
#define WEIR_ASSESS_ASSESSMENT_H

#include "base/cleanup.h"
#include "delta/empty_direction.h"
#include "evidence/fact.h"
#include "io/json_writer.h"
#include "weir/assess.h"

WEIR_DEFINE_CLEANUP(weir_assessment *, weir_assessment_free)

enum { NEXT_EVIDENCE_MAX = 4, ROUTE_MAX = 3 };

/** A range of levels that what is known allows. */
typedef struct level_range {
    int low;
    int high;
} level_range;

/** What would narrow the tier most, cheapest first. */
typedef struct next_evidence {
    const char *what;
    const char *how;
} next_evidence;

struct weir_assessment {
    weir_inspection *inspection;
    weir_diff *diff;       /**< NULL without a base */
    weir_trace *trace;     /**< NULL with one, or when nothing could be searched */
    empty_direction empty; /**< looked for when no base was given */
    bool has_empty;
    fact_table facts;
    level_range tier;    /**< 0 to 4 */
    level_range route_a; /**< capability gained, 0 to 3 */
    level_range route_b; /**< safeguards lost, 0 to 3 */
    next_evidence next[NEXT_EVIDENCE_MAX];
    size_t next_count;
};

/** Write weir.assess/1. */
void assessment_write_json(json_writer *json, const weir_assessment *assessment);

#endif
