/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The order of the work: look at the files, compare with the base, gather the facts, weigh them.
 *
 * A tier needs to know what the change did to behaviour. Of that the files alone prove one thing:
 * where weights, template, tokenizer and settings are all the base's own, the change adds nothing.
 * In every other case the routes and the tier stay open, and the result says which evidence would
 * narrow them.
 */
#include "assess/assessment.h"

#include <string.h>

#include "base/fail.h"
#include "base/threads.h"
#include "delta/diff.h"
#include "evidence/inspection.h"
#include "sketch/trace.h"

static weir_code run_inspection(weir_assessment *assessment, const char *path,
                                const weir_assess_options *options, weir_error *err) {
    /* With a base the comparison hashes the weights in its own pass. */
    const weir_inspect_options inspect_options = {.name = options->name,
                                                  .callbacks = options->callbacks,
                                                  .lenient = options->lenient,
                                                  .digest = options->digest && !options->base_path};
    return weir_inspect(&assessment->inspection, path, &inspect_options, err);
}

static void take_hashes(weir_assessment *assessment) {
    const weir_diff *diff = assessment->diff;
    const size_t file_count = model_checkpoint(diff->model)->file_count;
    for (size_t i = 0; diff->sha256 && i < file_count; i++) {
        inspection_take_sha256(assessment->inspection, i, diff->sha256[i]);
    }
}

static weir_code run_diff(weir_assessment *assessment, const char *path,
                          const weir_assess_options *options, weir_error *err) {
    if (!options->base_path) {
        return WEIR_OK;
    }
    const weir_diff_options diff_options = {.name = options->name,
                                            .callbacks = options->callbacks,
                                            .jobs = options->jobs,
                                            .lenient = options->lenient,
                                            .digest = options->digest};
    WEIR_TRY(weir_diff_run(&assessment->diff, options->base_path, path, &diff_options, err));
    take_hashes(assessment);
    return options->digest ? inspection_hash(assessment->inspection, path, options->callbacks, err)
                           : WEIR_OK;
}

/* Without a base the known models are searched for one. A model that cannot be traced is still
 * assessed. */
static weir_code run_trace(weir_assessment *assessment, const char *path,
                           const weir_assess_options *options, weir_error *err) {
    if (options->base_path || (!options->registry_path && !options->base_folder)) {
        return WEIR_OK;
    }
    const weir_trace_options trace_options = {.registry_path = options->registry_path,
                                              .scratch = options->scratch,
                                              .base_folder = options->base_folder,
                                              .name = options->name,
                                              .callbacks = options->callbacks,
                                              .jobs = options->jobs,
                                              .lenient = options->lenient};
    const weir_code code = weir_trace_run(&assessment->trace, path, &trace_options, err);
    return code == WEIR_ERR_UNSUPPORTED || code == WEIR_ERR_FORMAT ? WEIR_OK : code;
}

/* Without a base, full ablation still shows: nothing writes along the direction. */
static weir_code look_for_empty_direction(weir_assessment *assessment,
                                          const weir_assess_options *options, weir_error *err) {
    const weir_model *model = weir_inspection_model(assessment->inspection);
    if (assessment->diff || weir_model_tensor_count(model) == 0 || diff_is_adapter(model)) {
        return WEIR_OK;
    }
    const int threads = threads_startable(threads_wanted(options->jobs));
    WEIR_TRY(empty_direction_find(&assessment->empty, model, (unsigned)threads, err));
    assessment->has_empty = true;
    return WEIR_OK;
}

static void add_next(weir_assessment *assessment, const char *what, const char *how) {
    if (assessment->next_count < NEXT_EVIDENCE_MAX) {
        assessment->next[assessment->next_count++] = (next_evidence){.what = what, .how = how};
    }
}

static void weigh(weir_assessment *assessment) {
    const weir_diff *diff = assessment->diff;
    if (diff && !weir_diff_has_changes(diff) && diff->is_copy) {
        assessment->route_a = (level_range){0, 0};
        assessment->route_b = (level_range){0, 0};
        assessment->tier = (level_range){0, 0};
        return;
    }
    assessment->route_a = (level_range){0, ROUTE_MAX};
    assessment->route_b = (level_range){0, ROUTE_MAX};
    assessment->tier = (level_range){WEIR_TIER_MIN, WEIR_TIER_MAX};
    if (!diff && assessment->trace && assessment->trace->candidate_count > 0) {
        add_next(assessment, "what was changed",
                 "give the upstream's weights: weir assess MODEL --base BASE");
    } else if (!diff) {
        add_next(assessment, "which model it comes from, and what was changed",
                 "give the upstream: weir assess MODEL --base BASE");
    }
    if (diff && !weir_diff_has_changes(diff)) {
        add_next(assessment, "whether the files beside the weights are the base's own",
                 "give both as they were published, with tokenizer, templates and code");
    }
    add_next(assessment, "whether refusals of harmful requests changed",
             "the same prompts to both models, answers compared pair by pair");
    add_next(assessment, "whether abilities changed",
             "the same tasks to both models, answers compared pair by pair");
    add_next(assessment, "how capable the base is, and who can obtain the weights",
             "the upstream's own statement of training compute and release");
}

weir_code weir_assess(weir_assessment **out, const char *model_path,
                      const weir_assess_options *options, weir_error *err) {
    static const weir_assess_options defaults = WEIR_ASSESS_OPTIONS_INIT;
    options = options ? options : &defaults;
    WEIR_CLEANUP(weir_assessment_free) weir_assessment *assessment = calloc(1, sizeof *assessment);
    if (!assessment) {
        return weir_fail_nomem(err);
    }
    WEIR_TRY(run_inspection(assessment, model_path, options, err));
    WEIR_TRY(run_diff(assessment, model_path, options, err));
    WEIR_TRY(run_trace(assessment, model_path, options, err));
    WEIR_TRY(look_for_empty_direction(assessment, options, err));
    facts_gather(&assessment->facts, assessment->inspection, assessment->diff, assessment->trace);
    if (assessment->has_empty) {
        facts_add_empty_direction(&assessment->facts, &assessment->empty);
    }
    weigh(assessment);
    *out = WEIR_TAKE(assessment);
    return WEIR_OK;
}

void weir_assessment_tier(const weir_assessment *assessment, int *low, int *high) {
    *low = assessment->tier.low;
    *high = assessment->tier.high;
}

const weir_inspection *weir_assessment_inspection(const weir_assessment *assessment) {
    return assessment->inspection;
}

const weir_trace *weir_assessment_trace(const weir_assessment *assessment) {
    return assessment->trace;
}

const weir_diff *weir_assessment_diff(const weir_assessment *assessment) {
    return assessment->diff;
}

void weir_assessment_free(weir_assessment *assessment) {
    if (!assessment) {
        return;
    }
    weir_inspection_free(assessment->inspection);
    weir_diff_free(assessment->diff);
    weir_trace_free(assessment->trace);
    free(assessment);
}
