/* SPDX-License-Identifier: Apache-2.0 */
/** @file trace.h  Which known models do these weights come from? */
#ifndef WEIR_TRACE_H
#define WEIR_TRACE_H

#include <stdbool.h>
#include <stddef.h>

#include "weir/error.h"
#include "weir/progress.h"
#include "weir/relation.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct weir_trace weir_trace;

typedef struct weir_trace_options {
    const char *registry_path; /**< a registry to search, or NULL */
    const char *
        scratch; /**< where the registry's search index is made when its folder cannot be written */
    const char *base_folder; /**< a folder of fingerprints (*.weirfp) to search, or NULL */
    const char *base_path;   /**< a model to test against, whatever is known of it, or NULL */
    const char *name;        /**< how results call the model; NULL for the last path component */
    const weir_callbacks *callbacks; /**< NULL for none */
    unsigned jobs;                   /**< threads; 0 for one per core; the result is the same */
    bool lenient;                    /**< accept what the reference libraries accept */
    bool digest;                     /**< compare whole tensors' hashes, whatever the size */
    bool keep_ranges; /**< remember which ranges of the weights are read, and their hashes: what
                         WEIR_FORMAT_BUNDLE needs */
} weir_trace_options;
#define WEIR_TRACE_OPTIONS_INIT                                                                    \
    { 0 }

/**
 * Find what a model comes from, from its weights alone.
 *
 * H0 of the p-value: the order of the hidden units of at least one of two models comes from a
 * random initialisation of its own. It is corrected for every pair of layers and every fingerprint
 * searched. Names, cards, configs and tokenizers decide nothing.
 *
 * @param[out] out    release with weir_trace_free(); untouched on failure
 * @param model_path  file, folder, adapter, or a fingerprint (*.weirfp)
 * @param options     NULL for defaults; without anything to search the answer is "cannot decide"
 * @return WEIR_OK, also when no link was found; WEIR_ERR_UNSUPPORTED without weights;
 * WEIR_ERR_FORMAT for malformed weights or a damaged registry; WEIR_ERR_IO; WEIR_ERR_ENVIRONMENT
 * when the registry is locked; WEIR_ERR_CANCELLED; WEIR_ERR_NOMEM
 *
 * Cost: under 0.1% of a model of 7 billion numbers is read.
 * Source: Zhu et al. 2025 (Independence Tests for Language Models); docs/evidence.md "A shared
 * ancestor".
 */
WEIR_API weir_code weir_trace_run(weir_trace **out, const char *model_path,
                                  const weir_trace_options *options, weir_error *err);

/** What many traces share: the registry, its search index and all fingerprints that are searched,
 * opened once. Serves one thread at a time. */
typedef struct weir_tracer weir_tracer;

/**
 * Open what is to be searched.
 *
 * @param[out] out  release with weir_tracer_free(); untouched on failure
 * @param options   NULL for defaults; borrowed with its texts and callbacks until the tracer is
 * freed. Its `name` is not used
 * @return WEIR_OK; WEIR_ERR_FORMAT for a malformed base or a damaged registry; WEIR_ERR_UNSUPPORTED
 * for a base without weights; WEIR_ERR_IO; WEIR_ERR_ENVIRONMENT when the registry is locked;
 * WEIR_ERR_CANCELLED; WEIR_ERR_NOMEM
 *
 * Cost: the fingerprint of the base, and the index when the registry has changed since it was made.
 */
WEIR_API weir_code weir_tracer_open(weir_tracer **out, const weir_trace_options *options,
                                    weir_error *err);

/**
 * weir_trace_run() against what is open. The result does not depend on traces before it.
 *
 * @param[out] out    release with weir_trace_free(), also after the tracer; untouched on failure
 * @param model_path  as for weir_trace_run(); closed again before this returns
 * @param name        how the result calls the model, made printable; NULL for the last path
 * component
 * @return as weir_trace_run()
 */
WEIR_API weir_code weir_tracer_trace(weir_trace **out, weir_tracer *tracer, const char *model_path,
                                     const char *name, weir_error *err);

enum { WEIR_TRACE_NAME_BYTES_MAX = 4096 };

/** How results spell a name: control bytes, marks that turn the direction of text and broken UTF-8
 * become \xNN or \u{NNNN}; cut at `size`. */
WEIR_API void weir_trace_printable_name(char *out, size_t size, const char *name);

/** NULL is a no-op. */
WEIR_API void weir_tracer_free(weir_tracer *tracer);

/** @return how the model stands to the nearest candidate; NO_LINK or CANNOT_DECIDE without one. */
WEIR_API weir_relation weir_trace_relation(const weir_trace *trace);
WEIR_API size_t weir_trace_candidate_count(const weir_trace *trace);
/** @return the name of a candidate, nearest first; borrowed. `index` < count. */
WEIR_API const char *weir_trace_candidate_name(const weir_trace *trace, size_t index);
/** @return where the registry says that its weights lie, or NULL; reports do not show it. */
WEIR_API const char *weir_trace_candidate_location(const weir_trace *trace, size_t index);
/** @return log10 of its p-value, corrected for everything that was searched. */
WEIR_API double weir_trace_candidate_log10_p(const weir_trace *trace, size_t index);
/** NULL is a no-op. */
WEIR_API void weir_trace_free(weir_trace *trace);

#ifdef __cplusplus
}
#endif
#endif
