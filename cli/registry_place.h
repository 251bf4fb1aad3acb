/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file registry_place.h  Where the registry lies: --registry FILE, else
 * $XDG_DATA_HOME/weir/registry.db, else ~/.local/share/weir/registry.db.
 */
#ifndef WEIR_CLI_REGISTRY_PLACE_H
#define WEIR_CLI_REGISTRY_PLACE_H

#include <limits.h>
#include <stdbool.h>

#include "command.h"
#include "session.h"

typedef struct registry_place {
    char
        path[PATH_MAX]; /* of the file, links resolved: its journal lies beside what they lead to */
    char folder[PATH_MAX];  /* where it lies */
    char scratch[PATH_MAX]; /* where an index may be made because the folder cannot be written; or
                               "" */
} registry_place;

/**
 * Find the place; before the process restricts itself.
 *
 * @param make_folder  make the folder and those above it when they are not there
 * @return EXIT_DONE, also when nothing lies there; or a reported failure
 */
exit_status registry_place_find(registry_place *out, const invocation *call, bool make_folder);

/** Let the session read and write what the registry needs. @param out  keeps pointers into `place`
 */
void registry_place_allow(session_places *out, const registry_place *place);

#endif
