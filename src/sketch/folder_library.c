/* SPDX-License-Identifier: Apache-2.0 */
#include "sketch/folder_library.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>

#include "base/checked.h"
#include "base/fail.h"
#include "base/text.h"
#include "io/folder.h"
#include "io/source.h"

enum { FINGERPRINT_BYTES_MAX = 4 << 20, ENTRY_NAME_BYTES_MAX = 1024 };

static const char ending[] = ".weirfp";

bool fingerprint_is_path(const char *path) {
    const size_t len = strlen(path);
    return len >= sizeof ending && strcmp(path + len - (sizeof ending - 1), ending) == 0;
}

char *fingerprint_name(const char *path) {
    char name[ENTRY_NAME_BYTES_MAX];
    const char *const slash = strrchr(path, '/');
    const char *const last = slash ? slash + 1 : path;
    const size_t len = strlen(last) - (fingerprint_is_path(last) ? sizeof ending - 1 : 0);
    text_escape(name, sizeof name, last, len);
    return strdup(name);
}

static weir_code read_source(fingerprint **out, weir_source *source, weir_error *err) {
    const uint64_t size = weir_source_size(source);
    if (size > FINGERPRINT_BYTES_MAX) {
        return weir_fail(err, WEIR_ERR_LIMIT, weir_source_name(source), NULL,
                         "a fingerprint of at most 4 MiB", "%llu bytes", (unsigned long long)size);
    }
    WEIR_CLEANUP(free) uint8_t *bytes = checked_alloc((size_t)size, 1);
    if (!bytes) {
        return weir_fail_nomem(err);
    }
    WEIR_TRY(weir_source_read(source, 0, bytes, (size_t)size, err));
    return fingerprint_decode(out, bytes, (size_t)size, weir_source_name(source), err);
}

static weir_code read_at(fingerprint **out, int directory, const char *path, weir_error *err) {
    WEIR_CLEANUP(weir_source_free) weir_source *source = NULL;
    WEIR_CLEANUP(free) char *name = fingerprint_name(path);
    if (!name) {
        return weir_fail_nomem(err);
    }
    WEIR_TRY(weir_source_open_file(&source, directory, path, name, err));
    return read_source(out, source, err);
}

weir_code fingerprint_read(fingerprint **out, const char *path, weir_error *err) {
    return read_at(out, AT_FDCWD, path, err);
}

static char *copy_or_null(const char *text) {
    return text ? strdup(text) : NULL;
}

static void entry_release(library_entry *entry) {
    free((char *)entry->name);
    free((char *)entry->location);
    free((char *)entry->payload_id);
    fingerprint_free((fingerprint *)entry->sketch);
}

weir_code folder_library_add_entry(folder_library *to, const char *name, const char *location,
                                   const char *payload_id, fingerprint *sketch, weir_error *err) {
    library_entry entry = {.id = to->count,
                           .name = copy_or_null(name),
                           .location = copy_or_null(location),
                           .payload_id = copy_or_null(payload_id),
                           .sketch = sketch};
    if (!entry.name || (location && !entry.location) || (payload_id && !entry.payload_id) ||
        !checked_grow((void **)&to->items, &to->capacity, to->count, sizeof *to->items)) {
        entry_release(&entry);
        return weir_fail_nomem(err);
    }
    to->items[to->count++] = entry;
    return WEIR_OK;
}

static weir_code add_listed(folder_library *to, const folder *list, int directory,
                            weir_error *err) {
    for (size_t i = 0; i < list->count; i++) {
        const char *const path = list->items[i].path;
        if (list->items[i].problem || !fingerprint_is_path(path)) {
            continue;
        }
        fingerprint *sketch = NULL;
        WEIR_CLEANUP(free) char *name = fingerprint_name(path);
        if (!name) {
            return weir_fail_nomem(err);
        }
        WEIR_TRY(read_at(&sketch, directory, path, err));
        WEIR_TRY(folder_library_add_entry(to, name, NULL, NULL, sketch, err));
    }
    return WEIR_OK;
}

weir_code folder_library_add(folder_library *to, const char *path, weir_error *err) {
    WEIR_CLEANUP(close) const int directory = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    WEIR_CLEANUP(folder_release) folder list = {0};
    if (directory < 0 && errno == ENOENT) {
        return WEIR_OK;
    }
    if (directory < 0) {
        return weir_fail(err, WEIR_ERR_IO, "fingerprints", NULL, "a folder", "%s", strerror(errno));
    }
    WEIR_TRY(folder_list(&list, directory, "fingerprints", err));
    return add_listed(to, &list, directory, err);
}

static weir_code fetch(void *context, uint64_t id, library_entry *out, weir_error *err) {
    const folder_library *const from = context;
    if (id >= from->count) {
        return weir_fail(err, WEIR_ERR_ARG, NULL, NULL, "an entry's number", "%llu",
                         (unsigned long long)id);
    }
    *out = from->items[id];
    return WEIR_OK;
}

library folder_library_view(folder_library *from) {
    return (library){.context = from, .entry_count = from->count, .fetch = fetch};
}

void folder_library_release(folder_library *from) {
    for (size_t i = 0; i < from->count; i++) {
        entry_release(&from->items[i]);
    }
    free(from->items);
    *from = (folder_library){0};
}
