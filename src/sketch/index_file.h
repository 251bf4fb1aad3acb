/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file index_file.h  Writes the search index: section after section with their checksums, then the
 * header; under a temporary name in the same folder until everything is on disk.
 */
#ifndef WEIR_SKETCH_INDEX_FILE_H
#define WEIR_SKETCH_INDEX_FILE_H

#include "sketch/index_format.h"

enum { INDEX_BUFFER_BYTES = 1 << 18 };

/** Zero-initialise but fd, which is -1; release with index_file_release(), which removes what is
 * not committed. */
typedef struct index_file {
    const char *path; /**< borrowed */
    char *temporary;  /**< NULL when there is none to remove */
    int fd;
    uint64_t offset; /**< of the next byte */
    digest *state;
    uint8_t *buffer;
    size_t filled;
} index_file;

/** Make the temporary file and leave room for the header. */
weir_code index_file_open(index_file *file, const char *path, weir_error *err);

/** Zeros up to where the section stands. */
weir_code index_file_begin(index_file *file, const index_extent *at, weir_error *err);
weir_code index_file_write(index_file *file, const void *bytes, size_t len, weir_error *err);
/** @param[out] sha256  of what was written since the section began */
weir_code index_file_end(index_file *file, uint8_t sha256[static DIGEST_BYTES], weir_error *err);

/** Write the header, whose checksum is made here; then the file takes its name. */
weir_code index_file_commit(index_file *file, uint8_t header[static INDEX_HEADER_BYTES],
                            weir_error *err);

void index_file_release(index_file *file);
static inline void index_file_release_cleanup(index_file *file) {
    index_file_release(file);
}

#endif
