/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Three questions, in this order: are these the bytes that the trace has read; do they give the
 * fingerprint that it took; does the test give what it reported. Nothing is searched.
 *
 * log10 of p is compared with a tolerance of 1e-9 of its size: its digits come from libm.
 */
#include <fcntl.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "assess/replay.h"
#include "assess/trace_ranges.h"
#include "base/cancel.h"
#include "base/checked.h"
#include "base/fail.h"
#include "base/findings.h"
#include "evidence/inspection.h"
#include "sketch/direction.h"
#include "sketch/folder_library.h"

static const double log10_p_tolerance = 1e-9;

typedef struct replaying {
    weir_replay *out;
    const weir_replay_options *options;
    weir_model *model; /* NULL: a fingerprint alone */
    weir_findings *findings;
    fingerprint *sketch;
    char payload_id[DIGEST_TEXT_BYTES];
} replaying;

static void replaying_release_cleanup(replaying *run) {
    weir_model_free(run->model);
    weir_findings_free(run->findings);
    fingerprint_free(run->sketch);
}

/* --- the bundle --- */

static weir_code read_bundle(bundle **out, const char *path, weir_error *err) {
    WEIR_CLEANUP(weir_source_free) weir_source *source = NULL;
    const char *const slash = strrchr(path, '/');
    WEIR_TRY(weir_source_open_file(&source, AT_FDCWD, path, slash ? slash + 1 : path, err));
    return bundle_read(out, source, err);
}

/* --- the bytes --- */

static void note_difference(weir_replay *out, const trace_range *range, const char *problem) {
    if (out->ranges_differ++ == 0) {
        out->first_differing = range;
        out->first_problem = problem;
    }
}

/* The file of a range: by its name, or the only one with weights on both sides, however called. */
static weir_source *find_file(const replaying *run, const trace_range *range, bool has_one_file) {
    const checkpoint *const files = model_checkpoint(run->model);
    weir_source *only = NULL;
    size_t with_weights = 0;
    for (size_t i = 0; i < files->file_count; i++) {
        weir_source *const source = files->files[i].source;
        if (source && strcmp(files->files[i].path, range->file) == 0) {
            return source;
        }
        with_weights += source != NULL;
        only = source ? source : only;
    }
    return with_weights == 1 && has_one_file ? only : NULL;
}

static bool names_one_file(const bundle *of) {
    for (size_t i = 1; i < of->range_count; i++) {
        if (strcmp(of->ranges[i].file, of->ranges[0].file) != 0) {
            return false;
        }
    }
    return true;
}

static weir_code check_range(const replaying *run, const trace_range *range, weir_source *source,
                             weir_error *err) {
    char hash[DIGEST_TEXT_BYTES];
    const source_range where = {.offset = range->offset, .bytes = range->bytes};
    if (!source) {
        note_difference(run->out, range, "the model has no such file of weights");
        return WEIR_OK;
    }
    const uint64_t size = weir_source_size(source);
    if (range->offset > size || range->bytes > size - range->offset) {
        note_difference(run->out, range, "the file is shorter");
        return WEIR_OK;
    }
    WEIR_TRY(range_hash(hash, source, &where, run->options->callbacks, err));
    run->out->bytes_checked += range->bytes;
    if (strcmp(hash, range->sha256) != 0) {
        note_difference(run->out, range, "its bytes have another hash");
    }
    return WEIR_OK;
}

/* Ranges that overlap would be hashed again and again: a hostile bundle could ask for any amount of
 * work. weir writes them in order and apart. */
static weir_code check_ranges(const replaying *run, weir_error *err) {
    const bundle *const given = run->out->bundle;
    const bool has_one_file = names_one_file(given);
    for (size_t i = 0; run->model && i < given->range_count; i++) {
        const trace_range *const range = &given->ranges[i];
        const trace_range *const before = i > 0 ? range - 1 : NULL;
        if (before && strcmp(before->file, range->file) == 0 &&
            range->offset < before->offset + before->bytes) {
            return weir_fail(err, WEIR_ERR_FORMAT, "bundle", NULL,
                             "ranges of a file in order and apart", "range %zu overlaps", i);
        }
        WEIR_TRY(check_range(run, range, find_file(run, range, has_one_file), err));
    }
    return WEIR_OK;
}

/* --- the fingerprint --- */

static weir_code keep_name(weir_replay *out, const char *name, weir_error *err) {
    out->name = name ? strdup(name) : NULL;
    return out->name ? WEIR_OK : weir_fail_nomem(err);
}

static weir_code open_model(replaying *run, const char *path, weir_error *err) {
    const weir_model_options how = {.lenient = run->out->bundle->lenient,
                                    .name = run->options->name};
    const fingerprint_options sketching = {.jobs = run->options->jobs,
                                           .callbacks = run->options->callbacks};
    if (fingerprint_is_path(path)) {
        WEIR_CLEANUP(free) char *name = fingerprint_name(path);
        WEIR_TRY(keep_name(run->out, run->options->name ? run->options->name : name, err));
        return fingerprint_read(&run->sketch, path, err);
    }
    WEIR_TRY(model_open_weights(&run->model, &run->findings, path, &how, err));
    WEIR_TRY(keep_name(run->out, weir_model_name(run->model), err));
    if (run->out->bundle->payload_id[0]) {
        WEIR_TRY(model_payload_id(run->payload_id, run->model, run->options->callbacks, err));
    }
    return fingerprint_make(&run->sketch, run->model, &sketching, NULL, err);
}

static weir_code compare_fingerprints(replaying *run, weir_error *err) {
    WEIR_CLEANUP(free) uint8_t *mine = NULL;
    WEIR_CLEANUP(free) uint8_t *stated = NULL;
    size_t my_len = 0;
    size_t stated_len = 0;
    weir_replay *const out = run->out;
    WEIR_TRY(fingerprint_encode(&mine, &my_len, run->sketch, err));
    WEIR_TRY(fingerprint_encode(&stated, &stated_len, out->bundle->sketch, err));
    out->same_fingerprint = my_len == stated_len && memcmp(mine, stated, my_len) == 0;
    out->same_payload = !run->model || strcmp(run->payload_id, out->bundle->payload_id) == 0;
    return WEIR_OK;
}

/* --- the test --- */

static bool is_block(const sketch_block *block, int32_t layer, int32_t expert) {
    return block->layer == layer && block->expert == expert;
}

static bool same_layers(const link_result *link, const fingerprint *mine,
                        const bundle_candidate *stated) {
    if (link->pair_count != stated->layer_count) {
        return false;
    }
    for (size_t i = 0; i < link->pair_count; i++) {
        const link_pair *const pair = &link->pairs[i];
        const bundle_layer *const layer = &stated->layers[i];
        if (!is_block(&mine->blocks[pair->mine], layer->mine, layer->mine_expert) ||
            !is_block(&stated->sketch->blocks[pair->theirs], layer->theirs, layer->theirs_expert) ||
            pair->matched != layer->matched || pair->of != layer->of) {
            return false;
        }
    }
    return true;
}

static weir_relation relation_of(const replaying *run, trace_candidate *tested,
                                 const bundle_candidate *stated) {
    /* Of a fingerprint alone no payload id can be taken; what is stated is not believed. */
    if (stated->payload_id[0] && run->model && strcmp(stated->payload_id, run->payload_id) == 0) {
        return WEIR_RELATION_IDENTICAL;
    }
    if (tested->link.log10_p > trace_log10_p_linked) {
        return tested->link.log10_p > trace_log10_p_open ? WEIR_RELATION_NO_LINK
                                                         : WEIR_RELATION_CANNOT_DECIDE;
    }
    direction_decide(tested, run->sketch);
    return tested->direction == TRACE_FROM ? WEIR_RELATION_DERIVED : WEIR_RELATION_RELATED;
}

static weir_code test_candidate(const replaying *run, size_t index, weir_error *err) {
    weir_replay *const out = run->out;
    const bundle_candidate *const stated = &out->bundle->candidates[index];
    replay_candidate *const again = &out->candidates[index];
    trace_candidate tested = {.sketch = stated->sketch};
    WEIR_TRY(link_test(&tested.link, run->sketch, stated->sketch, out->bundle->entries, err));
    again->relation = relation_of(run, &tested, stated);
    again->direction = tested.direction;
    again->log10_p = tested.link.log10_p;
    const double apart = fabs(again->log10_p - stated->log10_p);
    again->is_testable = !stated->by_units;
    again->same_test = apart <= log10_p_tolerance * (1 + fabs(stated->log10_p)) &&
                       same_layers(&tested.link, run->sketch, stated);
    again->same_verdict =
        again->relation == stated->relation && again->direction == stated->direction;
    out->untestable += !again->is_testable;
    if (again->is_testable && again->relation < out->relation) {
        out->relation = again->relation;
    }
    link_result_release(&tested.link);
    return WEIR_OK;
}

static weir_code test_candidates(const replaying *run, weir_error *err) {
    weir_replay *const out = run->out;
    const weir_callbacks *const callbacks = run->options->callbacks;
    out->relation = WEIR_RELATION_CANNOT_DECIDE;
    out->candidates = calloc(out->bundle->candidate_count + 1, sizeof *out->candidates);
    if (!out->candidates) {
        return weir_fail_nomem(err);
    }
    for (size_t i = 0; i < out->bundle->candidate_count; i++) {
        if (is_cancelled(callbacks)) {
            return weir_fail(err, WEIR_ERR_CANCELLED, NULL, NULL, NULL, "stopped");
        }
        WEIR_TRY(test_candidate(run, i, err));
    }
    return WEIR_OK;
}

/* --- the answer --- */

static weir_replay_answer answer_of(const weir_replay *out) {
    bool is_same = out->ranges_differ == 0 && out->same_payload && out->same_fingerprint;
    for (size_t i = 0; i < out->bundle->candidate_count; i++) {
        const replay_candidate *const again = &out->candidates[i];
        is_same &= !again->is_testable || (again->same_test && again->same_verdict);
    }
    const size_t tested = out->bundle->candidate_count - out->untestable;
    const bool is_verdict = tested > 0 && out->relation == out->bundle->relation;
    if (!is_same || (out->untestable == 0 && tested > 0 && !is_verdict)) {
        return WEIR_REPLAY_DIFFERS;
    }
    return is_verdict && out->untestable == 0 ? WEIR_REPLAY_REPRODUCED : WEIR_REPLAY_UNDECIDED;
}

weir_code weir_replay_run(weir_replay **out, const char *bundle_path, const char *model_path,
                          const weir_replay_options *options, weir_error *err) {
    static const weir_replay_options defaults = WEIR_REPLAY_OPTIONS_INIT;
    WEIR_CLEANUP(weir_replay_free) weir_replay *replay = calloc(1, sizeof *replay);
    WEIR_CLEANUP(replaying_release)
    replaying run = {.out = replay, .options = options ? options : &defaults};
    if (!replay) {
        return weir_fail_nomem(err);
    }
    WEIR_TRY(read_bundle(&replay->bundle, bundle_path, err));
    WEIR_TRY(open_model(&run, model_path, err));
    WEIR_TRY(check_ranges(&run, err));
    WEIR_TRY(compare_fingerprints(&run, err));
    WEIR_TRY(test_candidates(&run, err));
    replay->answer = answer_of(replay);
    *out = WEIR_TAKE(replay);
    return WEIR_OK;
}

weir_replay_answer weir_replay_answer_of(const weir_replay *replay) {
    return replay->answer;
}

void weir_replay_free(weir_replay *replay) {
    if (replay) {
        bundle_free(replay->bundle);
        free(replay->candidates);
        free(replay->name);
        free(replay);
    }
}
