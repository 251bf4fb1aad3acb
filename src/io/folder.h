/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file folder.h  What lies in a folder, as a sorted list of relative paths.
 *
 * Links to files are followed, because hub caches keep every file as a link to a blob beside the
 * folder. Links to folders are listed and not entered, so no loop can be walked. Pipes, sockets and
 * devices are listed and never opened. ".git" is left out.
 */
#ifndef WEIR_IO_FOLDER_H
#define WEIR_IO_FOLDER_H

#include <stddef.h>
#include <stdint.h>

#include "base/arena.h"
#include "weir/error.h"

typedef struct folder_entry {
    const char *path;    /**< relative, as the file system spells it: any bytes but NUL */
    uint64_t bytes;      /**< 0 when `problem` is set */
    const char *problem; /**< why it cannot be read: static text; NULL for a regular file */
} folder_entry;

/** Zero-initialise; release with folder_release(). Paths live in `memory`. */
typedef struct folder {
    arena memory;
    folder_entry *items; /**< sorted by path, byte by byte */
    size_t count;
    size_t capacity;
} folder;

/**
 * List an open directory.
 *
 * @param directory  stays open and is the caller's
 * @param name       how a failure calls it
 * @return WEIR_OK, also when parts could not be read; WEIR_ERR_IO when the folder itself cannot;
 *         WEIR_ERR_LIMIT past FOLDER_FILES_MAX; WEIR_ERR_NOMEM. A folder nested deeper than
 *         FOLDER_DEPTH_MAX is listed as one entry with a problem.
 */
weir_code folder_list(folder *out, int directory, const char *name, weir_error *err);

void folder_release(folder *list);
static inline void folder_release_cleanup(folder *list) {
    folder_release(list);
}

#endif
