/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file library.h  What a search asks of whoever keeps fingerprints: the registry, or a folder of
 * them.
 */
#ifndef WEIR_SKETCH_LIBRARY_H
#define WEIR_SKETCH_LIBRARY_H

#include "sketch/search_index.h"

/** One kept model. Borrowed texts live until the next call of fetch. */
typedef struct library_entry {
    uint64_t id;
    const char *name;
    const char *location;   /**< where its weights are, or NULL; never printed */
    const char *payload_id; /**< hex, or NULL when its files were not read whole */
    const fingerprint *sketch;
} library_entry;

typedef struct library {
    void *context;
    const search_index *index; /**< NULL: a few entries, with the ids 0 to entry_count - 1 */
    uint64_t entry_count;
    /** Fetch one entry. @return WEIR_OK; WEIR_ERR_ARG for an unknown id; WEIR_ERR_IO;
     * WEIR_ERR_FORMAT; WEIR_ERR_NOMEM */
    weir_code (*fetch)(void *context, uint64_t id, library_entry *out, weir_error *err);
} library;

#endif
