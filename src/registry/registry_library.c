/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The registry as what a search looks into: the store's fingerprints, and the search index beside
 * it.
 *
 * The index carries the head of the id of the state that it was made from (record.h), in the place
 * that search_index.h calls its generation. A plain count would not do: a registry that was deleted
 * and begun anew counts through the same numbers. It is made again when a search finds it out of
 * date and not when something is added, so that adding costs the same whatever the registry's size.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/fail.h"
#include "base/text.h"
#include "registry/registry.h"

enum { HOT_FLAG_UNIT = 1, HOT_FLAG_TOKEN = 2, HOT_FLAG_GATE = 4, STATE_HEAD_DIGITS = 16 };
/* An index of so many entries is read whole and checked each time it is opened: some 50 ms at most.
 */
enum { CHECKED_ENTRIES_MAX = 50000 };
_Static_assert(STORE_HOT_BYTES == 8 * (HOT_UNIT_WORDS + HOT_TOKEN_WORDS) + 8, "the layout below");

/* --- hot codes as bytes --- */

static void put(uint8_t **to, uint64_t number, size_t bytes) {
    for (size_t i = 0; i < bytes; i++) {
        *(*to)++ = (uint8_t)(number >> (8 * i));
    }
}

static uint64_t get(const uint8_t **from, size_t bytes) {
    uint64_t number = 0;
    for (size_t i = 0; i < bytes; i++) {
        number |= (uint64_t) * (*from)++ << (8 * i);
    }
    return number;
}

void registry_hot_bytes(uint8_t out[static STORE_HOT_BYTES], const hot_code *code) {
    for (size_t i = 0; i < HOT_UNIT_WORDS; i++) {
        put(&out, code->unit[i], 8);
    }
    for (size_t i = 0; i < HOT_TOKEN_WORDS; i++) {
        put(&out, code->token[i], 8);
    }
    put(&out, code->hidden, 4);
    put(&out,
        (code->has_unit ? HOT_FLAG_UNIT : 0u) | (code->has_token ? HOT_FLAG_TOKEN : 0u) |
            (code->has_gate ? HOT_FLAG_GATE : 0u),
        4);
}

void registry_hot_code(hot_code *out, const uint8_t bytes[static STORE_HOT_BYTES]) {
    *out = (hot_code){0};
    for (size_t i = 0; i < HOT_UNIT_WORDS; i++) {
        out->unit[i] = get(&bytes, 8);
    }
    for (size_t i = 0; i < HOT_TOKEN_WORDS; i++) {
        out->token[i] = get(&bytes, 8);
    }
    out->hidden = (uint32_t)get(&bytes, 4);
    const uint64_t flags = get(&bytes, 4);
    out->has_unit = flags & HOT_FLAG_UNIT;
    out->has_gate = flags & HOT_FLAG_GATE;
    out->has_token = flags & HOT_FLAG_TOKEN;
}

/* --- the index --- */

static weir_code add_hot_code(void *visitor, uint64_t row,
                              const uint8_t hot[static STORE_HOT_BYTES], weir_error *err) {
    hot_code code;
    registry_hot_code(&code, hot);
    return search_index_writer_add(visitor, row, &code, err);
}

/* The id is hex, or empty for a registry that never changed. */
static uint64_t state_head(const store_state *state) {
    char digits[STATE_HEAD_DIGITS + 1] = "";
    memcpy(digits, state->id, STATE_HEAD_DIGITS);
    return strtoull(digits, NULL, 16);
}

static weir_code write_index(weir_registry *registry, const char *path, weir_error *err) {
    WEIR_CLEANUP(search_index_writer_free) search_index_writer *writer = NULL;
    store_state state;
    const store *from = &registry->store;
    WEIR_TRY(search_index_writer_open(&writer, err));
    WEIR_TRY(from->ops->hot_codes(from->context, add_hot_code, writer, &state, err));
    return search_index_writer_finish(writer, path, state_head(&state), err);
}

/* Open what lies there if it is of this state. */
static bool open_current(search_index **out, const char *path, uint64_t head) {
    search_index *index = NULL;
    if (search_index_open(&index, path, NULL) != WEIR_OK) {
        return false;
    }
    const bool is_small = search_index_entry_count(index) <= CHECKED_ENTRIES_MAX;
    if (search_index_generation(index) != head ||
        (is_small && search_index_verify(index, NULL) != WEIR_OK)) {
        search_index_free(index);
        return false;
    }
    *out = index;
    return true;
}

/* Under a name of its own that is gone when this returns; the index that is open lives on. */
static weir_code make_elsewhere(weir_registry *registry, weir_error *err) {
    WEIR_CLEANUP(text_buffer_release) text_buffer path = {0};
    text_buffer_format(&path, "%s/weir-index-XXXXXX", registry->scratch);
    if (path.failed) {
        return weir_fail_nomem(err);
    }
    WEIR_CLEANUP(close) int fd = mkostemp(path.data, O_CLOEXEC);
    if (fd < 0) {
        return weir_fail(err, WEIR_ERR_IO, "search index", NULL, "a folder to make it in", "%s",
                         strerror(errno));
    }
    weir_code code = write_index(registry, path.data, err);
    if (code == WEIR_OK) {
        code = search_index_open(&registry->index, path.data, err);
    }
    (void)unlink(path.data);
    return code;
}

/* @return WEIR_ERR_IO when the folder of the registry cannot be used */
static weir_code open_beside(weir_registry *registry, const char *file, weir_error *err) {
    WEIR_CLEANUP(text_buffer_release) text_buffer path = {0};
    store_state state;
    WEIR_TRY(registry->store.ops->state(registry->store.context, &state, err));
    text_buffer_format(&path, "%s.idx", file);
    if (path.failed) {
        return weir_fail_nomem(err);
    }
    if (open_current(&registry->index, path.data, state_head(&state))) {
        return WEIR_OK;
    }
    WEIR_TRY(write_index(registry, path.data, err));
    return search_index_open(&registry->index, path.data, err);
}

static weir_code open_index(weir_registry *registry, weir_error *err) {
    const char *file = registry->store.ops->path(registry->store.context);
    const weir_code code = open_beside(registry, file, err);
    return code == WEIR_ERR_IO ? make_elsewhere(registry, err) : code;
}

weir_code registry_verify_index(weir_registry *registry, weir_error *err) {
    WEIR_CLEANUP(text_buffer_release) text_buffer path = {0};
    WEIR_CLEANUP(search_index_free) search_index *index = NULL;
    const char *file = registry->store.ops->path(registry->store.context);
    if (!file) {
        return WEIR_OK;
    }
    text_buffer_format(&path, "%s.idx", file);
    if (path.failed) {
        return weir_fail_nomem(err);
    }
    const weir_code code = search_index_open(&index, path.data, err);
    if (code == WEIR_OK) {
        return search_index_verify(index, err);
    }
    return code == WEIR_ERR_IO || code == WEIR_ERR_UNSUPPORTED ? WEIR_OK : code;
}

/* --- the library --- */

static weir_code fetch_entry(void *context, uint64_t id, library_entry *out, weir_error *err) {
    weir_registry *registry = context;
    store_record record;
    arena_release(&registry->fetched);
    fingerprint_free(registry->sketch);
    registry->fetched = (arena){0};
    registry->sketch = NULL;
    WEIR_TRY(
        registry->store.ops->get(registry->store.context, id, &registry->fetched, &record, err));
    WEIR_TRY(fingerprint_decode(&registry->sketch, record.fingerprint,
                                (size_t)record.entry->fingerprint_bytes, record.entry->name, err));
    *out = (library_entry){
        .id = id,
        .name = record.entry->name,
        .location = record.entry->location,
        .payload_id = record.entry->payload_id,
        .sketch = registry->sketch,
    };
    return WEIR_OK;
}

weir_code registry_library(library *out, weir_registry *registry, weir_error *err) {
    search_index_free(registry->index);
    registry->index = NULL;
    if (!weir_registry_exists(registry)) {
        *out = (library){.context = registry, .fetch = fetch_entry};
        return WEIR_OK;
    }
    WEIR_TRY(open_index(registry, err));
    *out = (library){
        .context = registry,
        .index = registry->index,
        .entry_count = search_index_entry_count(registry->index),
        .fetch = fetch_entry,
    };
    return WEIR_OK;
}
