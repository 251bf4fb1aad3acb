/* SPDX-License-Identifier: Apache-2.0 */
/** @file assess.h  Should we be worried: everything weir can find out about one model, in one
 * result. */
#ifndef WEIR_ASSESS_H
#define WEIR_ASSESS_H

#include <stdbool.h>

#include "weir/diff.h"
#include "weir/error.h"
#include "weir/inspect.h"
#include "weir/progress.h"
#include "weir/trace.h"

#ifdef __cplusplus
extern "C" {
#endif

enum { WEIR_TIER_MIN = 0, WEIR_TIER_MAX = 4 };

typedef struct weir_assessment weir_assessment;

typedef struct weir_assess_options {
    const char *base_path;     /**< the upstream, or NULL when none is at hand */
    const char *registry_path; /**< searched for the upstream when no base is given, or NULL */
    const char *scratch;       /**< as in weir_trace_options */
    const char *base_folder;   /**< as in weir_trace_options */
    const char *name;          /**< how results call the model; NULL for the last path component */
    const weir_callbacks *callbacks; /**< NULL for none */
    unsigned jobs;                   /**< threads; 0 for one per core */
    bool lenient;
    bool digest;
} weir_assess_options;
#define WEIR_ASSESS_OPTIONS_INIT                                                                   \
    { 0 }

/**
 * Run every analysis that the given files allow and weigh the facts.
 *
 * @param[out] out    release with weir_assessment_free(); untouched on failure
 * @param model_path  file, folder or adapter
 * @param options     NULL for defaults
 * @return WEIR_OK; otherwise as weir_inspect() and weir_diff_run()
 */
WEIR_API weir_code weir_assess(weir_assessment **out, const char *model_path,
                               const weir_assess_options *options, weir_error *err);

/** The tier lies in [low, high], 0 to 4; what is not known widens it. */
WEIR_API void weir_assessment_tier(const weir_assessment *assessment, int *low, int *high);
WEIR_API const weir_inspection *weir_assessment_inspection(const weir_assessment *assessment);
/** @return NULL when no base was given. */
WEIR_API const weir_diff *weir_assessment_diff(const weir_assessment *assessment);
/** @return NULL when a base was given, nothing could be searched, or the model has no weights. */
WEIR_API const weir_trace *weir_assessment_trace(const weir_assessment *assessment);
/** NULL is a no-op. */
WEIR_API void weir_assessment_free(weir_assessment *assessment);

#ifdef __cplusplus
}
#endif
#endif
