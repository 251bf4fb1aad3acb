/* SPDX-License-Identifier: Apache-2.0 */
/** @file folder_library.h  A few fingerprints held in memory, as something to search. */
#ifndef WEIR_SKETCH_FOLDER_LIBRARY_H
#define WEIR_SKETCH_FOLDER_LIBRARY_H

#include "sketch/library.h"

/** Zero-initialise; release with folder_library_release(). */
typedef struct folder_library {
    library_entry *items; /**< each owns its texts and its fingerprint */
    size_t count;
    size_t capacity;
} folder_library;

/**
 * Read one fingerprint file (*.weirfp); its name is the file's without the ending.
 * @return WEIR_OK; WEIR_ERR_IO; WEIR_ERR_FORMAT; WEIR_ERR_LIMIT; WEIR_ERR_UNSUPPORTED;
 * WEIR_ERR_NOMEM
 */
weir_code fingerprint_read(fingerprint **out, const char *path, weir_error *err);

/** @return whether a path names a fingerprint file. */
bool fingerprint_is_path(const char *path);

/** The last part of a path, without ".weirfp"; malloc'ed, printable. @return NULL without memory */
char *fingerprint_name(const char *path);

/** Add every fingerprint of a folder; a missing folder has none, other files are passed over. */
weir_code folder_library_add(folder_library *to, const char *path, weir_error *err);

/** Add one entry; `sketch` is taken, also on failure. */
weir_code folder_library_add_entry(folder_library *to, const char *name, const char *location,
                                   const char *payload_id, fingerprint *sketch, weir_error *err);

/** The library; borrows from the folder. */
library folder_library_view(folder_library *from);

void folder_library_release(folder_library *from);
static inline void folder_library_release_cleanup(folder_library *from) {
    folder_library_release(from);
}

#endif
