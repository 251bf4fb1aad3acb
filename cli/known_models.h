/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file known_models.h  What a search goes through: the registry, and the fingerprints that come
 * with weir.
 *
 * The weights of known models say more than their fingerprints: of a small registry the places
 * where they lie stay readable.
 */
#ifndef WEIR_CLI_KNOWN_MODELS_H
#define WEIR_CLI_KNOWN_MODELS_H

#include <limits.h>

#include "registry_place.h"
#include "session.h"

enum { KNOWN_MODELS_MAX = 1024, KNOWN_INPUTS_MAX = OPERANDS_MAX + KNOWN_MODELS_MAX + 4 };

typedef struct known_models {
    registry_place place;
    char base_folder[PATH_MAX]; /* "" when there is none */
} known_models;

/** Find both; before the process restricts itself. @return EXIT_DONE or a reported failure */
exit_status known_models_find(known_models *out, const invocation *call);

/**
 * Begin a session that may read some paths, the known models and the registry.
 * @param paths  `count` of them, at most OPERANDS_MAX + 3
 * @return as session_begin()
 */
exit_status known_models_begin(cli_session *session, const invocation *call,
                               const known_models *known, const char *const *paths, size_t count);

#endif
