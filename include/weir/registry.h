/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file registry.h  The models that weir knows, each by its fingerprint: what `weir trace`
 * searches.
 *
 * A registry is one SQLite file. It keeps no weights: of every model a name, what its files claim,
 * and a fingerprint of at most 40 KB for 32 layers. A removed entry stays as a record with its
 * reason and is searched no more; adding the same model again makes a new record.
 *
 * Every change is one transaction. When a call has returned WEIR_OK its change is on the disk, and
 * a process or a machine that dies in the middle of a call leaves the registry as it was before it.
 * Several processes may use one registry at once: a call waits for another's change, and fails with
 * WEIR_ERR_ENVIRONMENT when that takes longer than wait_ms.
 *
 * Failures of the registry itself are failures of the environment, not of a model:
 *     WEIR_ERR_ENVIRONMENT  locked for too long; damaged, with the place; not a registry; made by a
 *                           newer version
 *     WEIR_ERR_IO           cannot be opened or written: rights, a full disk, a read-only folder
 * A file that is refused is never written to.
 *
 * Thread safety: one registry object serves one thread at a time.
 */
#ifndef WEIR_REGISTRY_H
#define WEIR_REGISTRY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include "weir/error.h"
#include "weir/model.h"
#include "weir/progress.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct weir_registry weir_registry;

enum { WEIR_REGISTRY_WAIT_MS = 5000, WEIR_REGISTRY_NAME_BYTES_MAX = 1024 };

typedef struct weir_registry_options {
    bool create;         /**< make the file when there is none; the folder must exist */
    unsigned wait_ms;    /**< for another process's change; 0 for WEIR_REGISTRY_WAIT_MS */
    const char *scratch; /**< where the search index is made when the registry's own folder cannot
                              be written; NULL for /tmp. Nothing stays there. */
} weir_registry_options;
#define WEIR_REGISTRY_OPTIONS_INIT                                                                 \
    { 0 }

/** One model. All texts but its location are printable; they are borrowed from what the entry came
 * from. */
typedef struct weir_registry_entry {
    uint64_t row;           /**< its number in this registry; never used twice */
    const char *name;       /**< unique among the entries that are searched */
    const char *id;         /**< hex; NULL when its files were not read whole */
    const char *payload_id; /**< hex; NULL when its tensors were not read whole */
    const char *location;   /**< absolute path it was read from; NULL for an imported fingerprint.
                                 The user's own: never part of a result that others read */
    uint64_t added;         /**< the registry's generation that added it */
    uint64_t removed;       /**< the generation that removed it; 0 while it is searched */
    const char *reason;     /**< why it was removed; NULL while it is searched */
    const weir_claim
        *claims; /**< what its files say, graded "claimed": architecture, upstream, licence */
    size_t claim_count;
    uint64_t parameters;
    uint32_t tensors;
    uint32_t hidden;
    uint32_t feed_forward;
    uint32_t layers;
    uint32_t vocabulary;
    uint32_t blocks;            /**< feed-forward blocks that can be compared */
    const char *fingerprint_id; /**< hex SHA-256 of the fingerprint's bytes */
    uint64_t fingerprint_bytes;
} weir_registry_entry;

/**
 * Open a registry.
 *
 * Without `create` a path where nothing lies opens as an empty registry that nothing can be added
 * to (see weir_registry_exists()). A file that the system lets only be read is opened for reading.
 *
 * @param[out] out  release with weir_registry_free(); untouched on failure
 * @param options   NULL for defaults
 * @return WEIR_OK; WEIR_ERR_IO; WEIR_ERR_ENVIRONMENT; WEIR_ERR_NOMEM
 */
WEIR_API weir_code weir_registry_open(weir_registry **out, const char *path,
                                      const weir_registry_options *options, weir_error *err);

/** @return whether there is a file: false for one that was missing and not to be made. */
WEIR_API bool weir_registry_exists(const weir_registry *registry);

/** A number that grows with every change; 0 for a new or missing registry. */
WEIR_API weir_code weir_registry_generation(uint64_t *out, weir_registry *registry,
                                            weir_error *err);

typedef struct weir_registry_add_options {
    const char *name; /**< NULL for the last part of the path */
    const weir_callbacks *callbacks;
    unsigned jobs; /**< threads; 0 for one per core; the result is the same */
    bool digest;   /**< read every file whole, so that the entry has an id */
    bool lenient;  /**< accept what the formats' reference libraries accept */
} weir_registry_add_options;
#define WEIR_REGISTRY_ADD_OPTIONS_INIT                                                             \
    { 0 }

/**
 * Add a model: a file, a folder, or a fingerprint that weir_registry_export() wrote (a file whose
 * name ends with .weirfp; its entry is called by the rest of the name and has no location).
 *
 * When the name is taken by the same model, which is one with an equal fingerprint and no other id,
 * nothing is added: the entry takes over the location and an id that it lacks.
 *
 * @param[out] row     of the entry; untouched on failure
 * @param[out] is_new  false when it was there already; may be NULL
 * @param path         of the model
 * @param options      NULL for defaults
 * @return WEIR_OK; WEIR_ERR_ARG when the name is taken by another model, or is too long;
 * WEIR_ERR_UNSUPPORTED when the model has nothing that it could be found by: an adapter alone, no
 * feed-forward, fewer than 16 units; WEIR_ERR_FORMAT for a malformed model or fingerprint;
 * WEIR_ERR_IO; WEIR_ERR_ENVIRONMENT; WEIR_ERR_CANCELLED; WEIR_ERR_NOMEM
 *
 * Cost: that of the fingerprint, under 0.1% of the weights read; with `digest`, or up to 256 MiB of
 * weights, all bytes. The
 * search index is not touched: it is made again when it is next used.
 */
WEIR_API weir_code weir_registry_add(uint64_t *row, bool *is_new, weir_registry *registry,
                                     const char *path, const weir_registry_add_options *options,
                                     weir_error *err);

/**
 * Find an entry by its name, by "#ROW", or by an id, payload id or fingerprint id in hex.
 * A name or id means an entry that is searched; "#ROW" also finds a removed one.
 * @return WEIR_OK; WEIR_ERR_ARG when there is none, or an id belongs to several; WEIR_ERR_IO;
 * WEIR_ERR_ENVIRONMENT; WEIR_ERR_NOMEM
 */
WEIR_API weir_code weir_registry_find(uint64_t *row, weir_registry *registry, const char *which,
                                      weir_error *err);

/**
 * Take an entry out of the search. Its record stays.
 * @param reason  why, in words
 * @return WEIR_OK; WEIR_ERR_ARG when there is no such entry or it is removed already; WEIR_ERR_IO;
 * WEIR_ERR_ENVIRONMENT; WEIR_ERR_NOMEM
 */
WEIR_API weir_code weir_registry_remove(weir_registry *registry, uint64_t row, const char *reason,
                                        weir_error *err);

/** Write the bytes of an entry's fingerprint (docs/formats/fingerprint.md); the stream is flushed.
 */
WEIR_API weir_code weir_registry_export(weir_registry *registry, uint64_t row, FILE *stream,
                                        weir_error *err);

/** What was asked of a registry; the reports are worded by it. */
typedef enum weir_registry_action {
    WEIR_REGISTRY_ADD,
    WEIR_REGISTRY_LIST,
    WEIR_REGISTRY_SHOW,
    WEIR_REGISTRY_REMOVE,
    WEIR_REGISTRY_EXPORT,
    WEIR_REGISTRY_VERIFY,
} weir_registry_action;

/** Entries of a registry and what was done with them, for a caller to look at and for a report. */
typedef struct weir_registry_listing weir_registry_listing;

/**
 * All entries, removed ones included, in the order in which they were added; what was wrong with
 * the file is not looked for (see weir_registry_verify()).
 * @param[out] out  release with weir_registry_listing_free(); untouched on failure
 * Cost: O(entries) memory; no fingerprint is read.
 */
WEIR_API weir_code weir_registry_list(weir_registry_listing **out, weir_registry *registry,
                                      weir_error *err);

/** One entry that something was done with. */
typedef struct weir_registry_choice {
    uint64_t row;
    bool is_new; /**< what weir_registry_add() said */
} weir_registry_choice;

/**
 * Chosen entries, each with its fingerprint.
 * @param action   WEIR_REGISTRY_ADD, _SHOW, _REMOVE or _EXPORT: what the report says was done
 * @param choices  `count` of them; the entries are in this order
 * @return as weir_registry_find()
 */
WEIR_API weir_code weir_registry_show(weir_registry_listing **out, weir_registry *registry,
                                      weir_registry_action action,
                                      const weir_registry_choice *choices, size_t count,
                                      weir_error *err);

/**
 * Read the whole file: its structure, every record against its checksum, every fingerprint and hot
 * code against each other. What is wrong becomes a problem of the listing, which has no entries.
 */
WEIR_API weir_code weir_registry_verify(weir_registry_listing **out, weir_registry *registry,
                                        const weir_callbacks *callbacks, weir_error *err);

WEIR_API weir_registry_action weir_registry_listing_action(const weir_registry_listing *listing);
WEIR_API uint64_t weir_registry_listing_generation(const weir_registry_listing *listing);
WEIR_API size_t weir_registry_listing_count(const weir_registry_listing *listing);
WEIR_API const weir_registry_entry *weir_registry_listing_get(const weir_registry_listing *listing,
                                                              size_t index);
/** Damage that weir_registry_verify() found. */
WEIR_API size_t weir_registry_listing_problem_count(const weir_registry_listing *listing);
/** NULL is a no-op. */
WEIR_API void weir_registry_listing_free(weir_registry_listing *listing);

/** NULL is a no-op. */
WEIR_API void weir_registry_free(weir_registry *registry);

#ifdef __cplusplus
}
#endif
#endif
