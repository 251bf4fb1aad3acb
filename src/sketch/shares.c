/* SPDX-License-Identifier: Apache-2.0 */
#include "sketch/shares.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

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

static bool any_covers_all(const weir_trace *trace) {
    for (size_t c = 0; c < trace->candidate_count; c++) {
        if (trace->candidates[c].link.pair_count == trace->sketch->block_count) {
            return true;
        }
    }
    return false;
}

static void give(trace_candidate *to, double share, double low, double high) {
    to->is_parent = true;
    to->share = share;
    to->share_low = low;
    to->share_high = high;
}

/* Blocks go to whom they are nearest; what nobody has leaves a parent missing. @return whether
 * several parents were found */
static bool share_by_layers(weir_trace *trace) {
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
        return false;
    }
    trace->parents = PARENTS_PASSTHROUGH;
    trace->missing_parent = found < count;
    for (size_t c = 0; c < trace->candidate_count; c++) {
        if (blocks_of[c] > 0) {
            const double share = (double)blocks_of[c] / (double)count;
            give(&trace->candidates[c], share, share, share);
        }
    }
    return true;
}

/* --- put together from numbers --- */

static bool covers(const trace_candidate *candidate, const shares_frame *frame) {
    for (size_t i = 0; i < frame->block_count; i++) {
        if (!pair_of(candidate, frame->blocks[i])) {
            return false;
        }
    }
    return true;
}

weir_code shares_frame_make(shares_frame *out, const weir_trace *trace, weir_error *err) {
    shares_frame frame = {0};
    frame.blocks = checked_alloc(trace->sketch->block_count, sizeof *frame.blocks);
    if (!frame.blocks) {
        return weir_fail_nomem(err);
    }
    for (size_t c = 0; c < trace->candidate_count; c++) {
        const trace_candidate *const candidate = &trace->candidates[c];
        if (!is_linear(candidate) || frame.candidate_count == SHARES_CANDIDATES_MAX) {
            continue;
        }
        if (frame.candidate_count == 0) {
            for (size_t i = 0; i < candidate->link.pair_count; i++) {
                frame.blocks[frame.block_count++] = candidate->link.pairs[i].mine;
            }
        }
        if (covers(candidate, &frame)) {
            frame.candidates[frame.candidate_count++] = c;
        }
    }
    *out = frame;
    return WEIR_OK;
}

void shares_frame_release(shares_frame *frame) {
    free(frame->blocks);
    *frame = (shares_frame){0};
}

void shares_frame_partners(uint32_t *out, const shares_frame *frame,
                           const trace_candidate *candidate) {
    for (size_t i = 0; i < frame->block_count; i++) {
        out[i] = pair_of(candidate, frame->blocks[i])->theirs;
    }
}

/* The arrays that parents_solve() takes. */
typedef struct solving {
    parents_input input;
    parents_piece *pieces;
    float *sums; /* of the model, then of each candidate */
    const float *candidates[SHARES_CANDIDATES_MAX];
    double rounding[SHARES_CANDIDATES_MAX];
} solving;

static void solving_release_cleanup(solving *run) {
    free(run->pieces);
    free(run->sums);
}

static weir_code cut_pieces(solving *run, const weir_trace *trace, const shares_frame *frame,
                            size_t numbers, weir_error *err) {
    run->pieces = checked_alloc(frame->block_count, sizeof *run->pieces);
    if (!run->pieces) {
        return weir_fail_nomem(err);
    }
    for (size_t i = 0; i < frame->block_count; i++) {
        run->pieces[i] = (parents_piece){.begin = i * numbers,
                                         .count = numbers,
                                         .layer = trace->sketch->blocks[frame->blocks[i]].layer};
    }
    run->input.pieces = run->pieces;
    run->input.piece_count = frame->block_count;
    run->input.candidates = run->candidates;
    run->input.candidate_count = frame->candidate_count;
    return WEIR_OK;
}

static void copy_sums(float *out, const fingerprint *sketch, const uint32_t *blocks, size_t count) {
    for (size_t i = 0; i < count; i++) {
        memcpy(out + i * PROJECTION_COUNT, sketch->blocks[blocks[i]].projection,
               sizeof sketch->blocks[blocks[i]].projection);
    }
}

static weir_code take_sums(solving *run, const weir_trace *trace, const shares_frame *frame,
                           weir_error *err) {
    const size_t each = frame->block_count * PROJECTION_COUNT;
    WEIR_CLEANUP(free) uint32_t *partners = checked_alloc(frame->block_count, sizeof *partners);
    run->sums = checked_alloc((frame->candidate_count + 1) * each, sizeof *run->sums);
    if (!partners || !run->sums) {
        return weir_fail_nomem(err);
    }
    copy_sums(run->sums, trace->sketch, frame->blocks, frame->block_count);
    for (size_t c = 0; c < frame->candidate_count; c++) {
        const trace_candidate *const candidate = &trace->candidates[frame->candidates[c]];
        float *const sums = run->sums + (c + 1) * each;
        shares_frame_partners(partners, frame, candidate);
        copy_sums(sums, candidate->sketch, partners, frame->block_count);
        run->candidates[c] = sums;
    }
    run->input.child = run->sums;
    run->input.is_projected = true;
    run->input.child_rounding = 0x1p-8; /* the type is not known: bf16 or finer is assumed */
    return cut_pieces(run, trace, frame, PROJECTION_COUNT, err);
}

static weir_code take_rows(solving *run, const weir_trace *trace, const shares_frame *frame,
                           const block_rows *mine, const block_rows *theirs, weir_error *err) {
    for (size_t c = 0; c < frame->candidate_count; c++) {
        run->candidates[c] = theirs[c].numbers;
        run->rounding[c] = theirs[c].rounding;
    }
    run->input.child = mine->numbers;
    run->input.child_rounding = mine->rounding;
    run->input.child_noise = mine->noise;
    run->input.candidate_rounding = run->rounding;
    return cut_pieces(run, trace, frame, mine->count / frame->block_count, err);
}

/* Sums over numbers cannot tell rounding from a small share: they name parents, and no shares. */
static void weaken(parents_result *result) {
    if (result->kind == PARENTS_MERGE || result->kind == PARENTS_MERGE_LAYERED) {
        result->kind = PARENTS_UNSETTLED;
        for (size_t i = 0; i < result->share_count; i++) {
            result->shares[i].share = (double)NAN;
            result->shares[i].low = (double)NAN;
            result->shares[i].high = (double)NAN;
        }
    }
}

static void take_result(weir_trace *trace, const shares_frame *frame,
                        const parents_result *result) {
    trace->parents = result->kind;
    trace->missing_parent = result->missing_parent;
    trace->residual = result->residual;
    for (size_t i = 0; result->kind != PARENTS_NEAREST && i < result->share_count; i++) {
        const parents_share *const share = &result->shares[i];
        give(&trace->candidates[frame->candidates[share->candidate]], share->share, share->low,
             share->high);
    }
}

weir_code shares_solve(weir_trace *trace, const shares_frame *frame, const block_rows *mine,
                       const block_rows *theirs, weir_error *err) {
    WEIR_CLEANUP(solving_release) solving run = {0};
    parents_result result;
    trace->parents = PARENTS_NONE;
    trace->residual = (double)NAN;
    if (trace->candidate_count >= 2 && !any_covers_all(trace) && share_by_layers(trace)) {
        return WEIR_OK;
    }
    if (frame->candidate_count == 0 || frame->block_count == 0) {
        return WEIR_OK;
    }
    if (mine) {
        WEIR_TRY(take_rows(&run, trace, frame, mine, theirs, err));
    } else {
        WEIR_TRY(take_sums(&run, trace, frame, err));
    }
    WEIR_TRY(parents_solve(&result, &run.input, err));
    if (!mine) {
        weaken(&result);
    }
    take_result(trace, frame, &result);
    return WEIR_OK;
}
