/* SPDX-License-Identifier: Apache-2.0 */
#include "sketch/shares.h"

#include <math.h>
#include <stdlib.h>

#include "base/checked.h"
#include "base/fail.h"

/* A candidate that was matched in the stored basis: its sums are comparable. */
static bool is_linear(const trace_candidate *candidate) {
    return candidate->link.codes == LINK_UNIT_CODES && isfinite(candidate->distance);
}

static const link_pair *pair_of(const trace_candidate *candidate, size_t block) {
    for (size_t i = 0; i < candidate->link.pair_count; i++) {
        if (candidate->link.pairs[i].mine == block) {
            return &candidate->link.pairs[i];
        }
    }
    return NULL;
}

/* --- put together from layers --- */

static double block_distance(const weir_trace *trace, const trace_candidate *candidate,
                             size_t block) {
    const link_pair *const pair = pair_of(candidate, block);
    if (!pair || !is_linear(candidate)) {
        return (double)NAN;
    }
    double apart = 0;
    const float *const a = trace->sketch->blocks[block].projection;
    const float *const b = candidate->sketch->blocks[pair->theirs].projection;
    for (size_t k = 0; k < PROJECTION_COUNT; k++) {
        apart += ((double)a[k] - (double)b[k]) * ((double)a[k] - (double)b[k]);
    }
    return apart;
}

/* The candidate whose block is nearest to mine; TRACE_CANDIDATES_MAX when none has one. */
static size_t nearest_for(const weir_trace *trace, size_t block) {
    size_t nearest = TRACE_CANDIDATES_MAX;
    double least = HUGE_VAL;
    for (size_t c = 0; c < trace->candidate_count; c++) {
        const double apart = block_distance(trace, &trace->candidates[c], block);
        if (apart < least) {
            least = apart;
            nearest = c;
        }
    }
    return nearest;
}

static bool covers_all(const weir_trace *trace, const trace_candidate *candidate) {
    return candidate->link.pair_count == trace->sketch->block_count;
}

static bool any_covers_all(const weir_trace *trace) {
    for (size_t c = 0; c < trace->candidate_count; c++) {
        if (covers_all(trace, &trace->candidates[c])) {
            return true;
        }
    }
    return false;
}

/* Blocks go to whom they are nearest; what nobody has leaves a parent missing. */
static void share_by_layers(weir_trace *trace) {
    size_t blocks_of[TRACE_CANDIDATES_MAX] = {0};
    size_t found = 0;
    size_t parents = 0;
    const size_t count = trace->sketch->block_count;
    for (size_t block = 0; block < count; block++) {
        const size_t nearest = nearest_for(trace, block);
        if (nearest < TRACE_CANDIDATES_MAX) {
            parents += blocks_of[nearest] == 0;
            blocks_of[nearest]++;
            found++;
        }
    }
    if (parents < 2) {
        return;
    }
    trace->parents = PARENTS_PASSTHROUGH;
    trace->missing_parent = found < count;
    for (size_t c = 0; c < trace->candidate_count; c++) {
        if (blocks_of[c] > 0) {
            trace->candidates[c].share = (double)blocks_of[c] / (double)count;
            trace->candidates[c].share_low = trace->candidates[c].share;
            trace->candidates[c].share_high = trace->candidates[c].share;
        }
    }
}

weir_code shares_solve(weir_trace *trace, weir_error *err) {
    (void)err;
    trace->parents = PARENTS_NEAREST;
    if (trace->candidate_count >= 2 && !any_covers_all(trace)) {
        share_by_layers(trace);
    }
    return WEIR_OK;
}
