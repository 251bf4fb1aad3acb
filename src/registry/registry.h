/* SPDX-License-Identifier: Apache-2.0 */
/** @file registry.h  weir/registry.h from inside: what a search is given, and what a report is made
 * of. */
#ifndef WEIR_REGISTRY_REGISTRY_H
#define WEIR_REGISTRY_REGISTRY_H

#include "base/arena.h"
#include "base/cleanup.h"
#include "io/json_writer.h"
#include "registry/store.h"
#include "sketch/library.h"
#include "weir/registry.h"

WEIR_DEFINE_CLEANUP(weir_registry *, weir_registry_free)
WEIR_DEFINE_CLEANUP(weir_registry_listing *, weir_registry_listing_free)

struct weir_registry {
    store store;
    char *scratch;
    search_index *index; /**< NULL until registry_library() */
    arena fetched;       /**< texts and bytes of the last entry that a search fetched */
    fingerprint *sketch; /**< and its fingerprint */
};

struct weir_registry_listing {
    arena memory;
    weir_registry_action action;
    bool exists;
    uint64_t generation;
    weir_registry_entry *entries;
    size_t count;
    size_t capacity;
    fingerprint **sketches;              /**< one an entry; NULL when they were not read */
    const weir_registry_choice *choices; /**< one an entry, as they were given; NULL for a list */
    weir_error *problems;
    size_t problem_count;
    size_t problem_capacity;
};

/**
 * The registry as a library that is searched.
 *
 * The search index is the file "REGISTRY.idx" beside it. It is made anew when it is missing or
 * damaged, or when the registry has changed since; when its place cannot be written, for this
 * process alone.
 *
 * @param[out] out  valid until the registry is freed; one fetch at a time. Of a registry that does
 * not exist: no index and no entries Cost: when something has changed, one read of the hot codes,
 * 800 bytes a model, and one write.
 */
weir_code registry_library(library *out, weir_registry *registry, weir_error *err);

/**
 * Look for damage in the search index beside the registry. One that is missing, out of date or of
 * another version is no damage: it is made again.
 * @return WEIR_OK; WEIR_ERR_FORMAT when it is damaged; WEIR_ERR_NOMEM
 */
weir_code registry_verify_index(weir_registry *registry, weir_error *err);

/** Copy an entry and its texts into memory. */
weir_code registry_keep_entry(weir_registry_entry *out, arena *memory,
                              const weir_registry_entry *from, weir_error *err);

/** A hot code as the bytes of a store: unit words, token words, hidden, flags; little-endian. */
void registry_hot_bytes(uint8_t out[static STORE_HOT_BYTES], const hot_code *code);
void registry_hot_code(hot_code *out, const uint8_t bytes[static STORE_HOT_BYTES]);

/** weir.registry/1. */
void registry_write_json(json_writer *json, const weir_registry_listing *listing);

#endif
