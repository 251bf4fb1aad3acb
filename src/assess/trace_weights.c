/* SPDX-License-Identifier: Apache-2.0 */
#include "assess/trace_weights.h"

#include <stdlib.h>

#include "base/fail.h"
#include "base/findings.h"
#include "sketch/shares.h"

/* A model that was opened again where the registry says it lies. */
typedef struct reopened {
    weir_model *model;
    weir_findings *findings;
} reopened;

static void reopened_release_cleanup(reopened *it) {
    weir_model_free(it->model);
    weir_findings_free(it->findings);
}

/* Whether the weights could be opened; anything but a stop or exhausted memory means "not at hand".
 */
static weir_code reopen(bool *is_open, reopened *out, const char *location,
                        const weir_trace_options *options, weir_error *err) {
    const weir_model_options how = {.lenient = options->lenient};
    const weir_code code =
        location ? model_open_weights(&out->model, &out->findings, location, &how, NULL)
                 : WEIR_ERR_IO;
    *is_open = code == WEIR_OK;
    return code == WEIR_ERR_NOMEM ? weir_fail_nomem(err) : WEIR_OK;
}

/* --- several parents --- */

/* Rows of all sides; the model's own first. */
typedef struct rows_at_hand {
    bool are_read;
    block_rows mine;
    block_rows theirs[SHARES_CANDIDATES_MAX];
} rows_at_hand;

static void rows_at_hand_release_cleanup(rows_at_hand *rows) {
    block_rows_release(&rows->mine);
    for (size_t i = 0; i < SHARES_CANDIDATES_MAX; i++) {
        block_rows_release(&rows->theirs[i]);
    }
}

static weir_code read_candidate(bool *is_read, block_rows *out, const shares_frame *frame,
                                const trace_candidate *candidate, const weir_trace_options *options,
                                weir_error *err) {
    WEIR_CLEANUP(reopened_release) reopened it = {0};
    WEIR_CLEANUP(free) uint32_t *partners = malloc(frame->block_count * sizeof *partners);
    if (!partners) {
        return weir_fail_nomem(err);
    }
    WEIR_TRY(reopen(is_read, &it, candidate->location, options, err));
    if (*is_read) {
        shares_frame_partners(partners, frame, candidate);
        *is_read = block_rows_read(out, it.model, candidate->sketch, partners, frame->block_count,
                                   NULL) == WEIR_OK;
    }
    return WEIR_OK;
}

/* Rows of the model and of every candidate of the frame, or of none. */
static weir_code read_all(rows_at_hand *rows, const weir_trace *trace, const shares_frame *frame,
                          const weir_model *mine, const weir_trace_options *options,
                          weir_error *err) {
    bool *const are_read = &rows->are_read;
    *are_read = mine && frame->candidate_count >= 2 && frame->block_count > 0 &&
                block_rows_read(&rows->mine, mine, trace->sketch, frame->blocks, frame->block_count,
                                NULL) == WEIR_OK;
    for (size_t c = 0; c < frame->candidate_count && *are_read; c++) {
        WEIR_TRY(read_candidate(are_read, &rows->theirs[c], frame,
                                &trace->candidates[frame->candidates[c]], options, err));
    }
    return WEIR_OK;
}

static weir_code solve_parents(weir_trace *trace, const weir_model *mine,
                               const weir_trace_options *options, weir_error *err) {
    WEIR_CLEANUP(shares_frame_release) shares_frame frame = {0};
    WEIR_CLEANUP(rows_at_hand_release) rows_at_hand rows = {0};
    WEIR_TRY(shares_frame_make(&frame, trace, err));
    WEIR_TRY(read_all(&rows, trace, &frame, mine, options, err));
    return shares_solve(trace, &frame, rows.are_read ? &rows.mine : NULL, rows.theirs, err);
}

/* --- a second look --- */

static weir_code look_again(weir_trace *trace, size_t index, const weir_model *mine,
                            const weir_trace_options *options, weir_error *err) {
    WEIR_CLEANUP(reopened_release) reopened it = {0};
    const unit_map_options how = {.jobs = options->jobs, .callbacks = options->callbacks};
    unit_map units = {0};
    bool is_open = false;
    WEIR_TRY(reopen(&is_open, &it, trace->suspects[index].location, options, err));
    if (!is_open) {
        return WEIR_OK;
    }
    const weir_code code = unit_map_find(&units, mine, it.model, &how, err);
    if (code == WEIR_ERR_CANCELLED || code == WEIR_ERR_NOMEM) {
        return code;
    }
    trace->cost.bytes_read += units.bytes_read;
    return code == WEIR_OK ? trace_accept_suspect(trace, index, &units, err) : WEIR_OK;
}

weir_code trace_use_weights(weir_trace *trace, const weir_model *mine,
                            const weir_trace_options *options, weir_error *err) {
    for (size_t i = 0; mine && trace->candidate_count == 0 && i < trace->suspect_count; i++) {
        WEIR_TRY(look_again(trace, i, mine, options, err));
    }
    return solve_parents(trace, mine, options, err);
}
