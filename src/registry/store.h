/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file store.h  Where a registry's records lie: an interface, so that one file serves a laptop and
 * a database server a team.
 *
 * A store keeps bytes and texts and knows nothing of models. What every implementation promises:
 *     - a change is one transaction: when the call has returned WEIR_OK it survives a crash of the
 *       process and of the machine; when it fails nothing has changed
 *     - changes of several processes happen one after the other, each on the state that the last
 * one left; the check that a name is free is part of the change
 *     - every change raises the generation by one
 *     - records are kept for good: removing marks them
 *     - a record read is the record written, or the call fails (checksums)
 * tests/unit/registry/test_store.c tests these promises through the interface alone.
 */
#ifndef WEIR_REGISTRY_STORE_H
#define WEIR_REGISTRY_STORE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/arena.h"
#include "io/digest.h"
#include "weir/registry.h"

/** A hot code of sketch/search_index.h as bytes: see hot_code_store() in registry.c. */
enum { STORE_HOT_BYTES = 776 };

/** What is added. Everything is borrowed for the call. */
typedef struct store_record {
    const weir_registry_entry *entry; /**< row, added, removed and reason are not looked at */
    const uint8_t *fingerprint; /**< entry->fingerprint_bytes; its SHA-256 is fingerprint_id */
    const uint8_t *hot;         /**< STORE_HOT_BYTES */
} store_record;

typedef enum store_outcome {
    STORE_ADDED,
    STORE_ALREADY_THERE, /**< the name is this very model's */
    STORE_NAME_TAKEN,    /**< the name is another model's; nothing was added */
} store_outcome;

/** What state the records are in. */
typedef struct store_state {
    uint64_t generation;
    /** SHA-256 over all changes of what is searched, each chained to the one before: equal when the
     *  same was added and removed in the same order, whatever file it is in. */
    char id[DIGEST_TEXT_BYTES];
} store_state;

/** Told of one entry; texts live until it returns. @return WEIR_OK to go on. */
typedef weir_code (*store_entry_visit)(void *visitor, const weir_registry_entry *entry,
                                       weir_error *err);
/** Told of one hot code. */
typedef weir_code (*store_hot_visit)(void *visitor, uint64_t row,
                                     const uint8_t hot[static STORE_HOT_BYTES], weir_error *err);
/** Told of damage; `problem` has the place and the values. */
typedef weir_code (*store_problem_visit)(void *visitor, const weir_error *problem, weir_error *err);

/** The operations. Each returns WEIR_OK or what weir/registry.h says of failures of a registry. */
typedef struct store_ops {
    /** Add a record, unless its name is taken. STORE_ALREADY_THERE when the live entry of that name
     * has the same fingerprint and no other id; it takes over location, id and payload_id. */
    weir_code (*add)(void *context, const store_record *record, store_outcome *outcome,
                     uint64_t *row, weir_error *err);
    /** @return WEIR_ERR_ARG when there is no such row or it is removed already */
    weir_code (*remove)(void *context, uint64_t row, const char *reason, weir_error *err);
    weir_code (*state)(void *context, store_state *out, weir_error *err);
    /** Visit every entry, removed ones too, by rising row. */
    weir_code (*each)(void *context, store_entry_visit visit, void *visitor, weir_error *err);
    /** Visit the live entries that a text names: by name, or by id, payload_id or fingerprint_id.
     */
    weir_code (*find)(void *context, const char *which, store_entry_visit visit, void *visitor,
                      weir_error *err);
    /** One entry and its fingerprint, in `memory`. @return WEIR_ERR_ARG for an unknown row */
    weir_code (*get)(void *context, uint64_t row, arena *memory, store_record *out,
                     weir_error *err);
    /** Visit the hot codes of all live entries by rising row, and say of what state they are. */
    weir_code (*hot_codes)(void *context, store_hot_visit visit, void *visitor, store_state *state,
                           weir_error *err);
    /** Look at all that is kept, below what `get` checks. */
    weir_code (*verify)(void *context, store_problem_visit visit, void *visitor, weir_error *err);
    /** Where it lies, for what is kept beside it; NULL when it is nowhere on this machine. */
    const char *(*path)(void *context);
    void (*close)(void *context);
} store_ops;

typedef struct store {
    const store_ops *ops;
    void *context;
} store;

/**
 * The store that is one SQLite file.
 *
 * @param[out] out  filled; close with ops->close(context); untouched on failure
 * @param path      of the file
 * @param create    make it when there is none
 * @param wait_ms   how long to wait for another process's change
 * @return WEIR_OK; WEIR_ERR_IO; WEIR_ERR_ENVIRONMENT; WEIR_ERR_NOMEM
 */
weir_code store_open_sqlite(store *out, const char *path, bool create, unsigned wait_ms,
                            weir_error *err);

#endif
