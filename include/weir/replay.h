/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file replay.h  Does a bundle's verdict follow from the weights? For whoever is said to have made
 * a model from another: weir.bundle/1 holds all that a trace rests on.
 */
#ifndef WEIR_REPLAY_H
#define WEIR_REPLAY_H

#include <stdbool.h>
#include <stddef.h>

#include "weir/error.h"
#include "weir/progress.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct weir_replay weir_replay;

typedef struct weir_replay_options {
    const char *name;                /**< how results call the model; NULL for the last path
                                        component */
    const weir_callbacks *callbacks; /**< NULL for none */
    unsigned jobs;                   /**< threads; 0 for one per core; the result is the same */
} weir_replay_options;
#define WEIR_REPLAY_OPTIONS_INIT                                                                   \
    { 0 }

/** What a replay says. */
typedef enum weir_replay_answer {
    WEIR_REPLAY_REPRODUCED, /**< the same weights, the same fingerprint, the same test results */
    WEIR_REPLAY_DIFFERS,    /**< the weights or a result are not what the bundle says */
    WEIR_REPLAY_UNDECIDED,  /**< nothing differs, but a part of the verdict rests on what no bundle
                               holds: a search without a find, or the weights of a candidate */
} weir_replay_answer;

/**
 * Check every range of the model's files that the bundle names against its hash, take the model's
 * fingerprint anew and compare it with the bundle's, and test it against every candidate's with the
 * number of entries that was searched. Nothing but the bundle and the model is needed.
 *
 * @param[out] out     release with weir_replay_free(); untouched on failure
 * @param bundle_path  weir.bundle/1, however hostile
 * @param model_path   file, folder or fingerprint (*.weirfp)
 * @param options      NULL for defaults
 * @return WEIR_OK, whatever the answer; WEIR_ERR_FORMAT with the place for a malformed bundle or
 * model; WEIR_ERR_LIMIT; WEIR_ERR_UNSUPPORTED; WEIR_ERR_IO; WEIR_ERR_CANCELLED; WEIR_ERR_NOMEM
 *
 * Cost: one read of the ranges, and the fingerprint; of a model that was compared whole, all of it.
 * Source: docs/formats/bundle.md.
 */
WEIR_API weir_code weir_replay_run(weir_replay **out, const char *bundle_path,
                                   const char *model_path, const weir_replay_options *options,
                                   weir_error *err);

WEIR_API weir_replay_answer weir_replay_answer_of(const weir_replay *replay);

/** NULL is a no-op. */
WEIR_API void weir_replay_free(weir_replay *replay);

#ifdef __cplusplus
}
#endif
#endif
