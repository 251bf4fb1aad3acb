/* SPDX-License-Identifier: Apache-2.0 */
/** @file source.h  Bytes with a size that are read by range: a file, memory, or a caller's own. */
#ifndef WEIR_SOURCE_H
#define WEIR_SOURCE_H

#include <stddef.h>
#include <stdint.h>

#include "weir/error.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct weir_source weir_source;

/** What a caller's own kind of source has to do. */
typedef struct weir_source_ops {
    /** Read exactly `len` bytes at `offset`; called from several threads at once. */
    weir_code (*read_at)(void *context, uint64_t offset, void *out, size_t len, weir_error *err);
    /** Release `context`; may be NULL. */
    void (*close)(void *context);
} weir_source_ops;

/**
 * Open a file for reading by pread; it is never mapped.
 *
 * @param[out] out  release with weir_source_free(); untouched on failure
 * @param folder    an open directory that `path` is relative to, or AT_FDCWD
 * @param path      NUL-terminated; regular files only, symbolic links are followed
 * @param name      how results call it, relative to the model; copied
 * @return WEIR_OK; WEIR_ERR_IO; WEIR_ERR_UNSUPPORTED for what is not a regular file; WEIR_ERR_NOMEM
 */
WEIR_API weir_code weir_source_open_file(weir_source **out, int folder, const char *path,
                                         const char *name, weir_error *err);

/** A source over `size` bytes of memory, borrowed for the life of the source. */
WEIR_API weir_code weir_source_open_memory(weir_source **out, const void *data, size_t size,
                                           const char *name, weir_error *err);

/** A source over the caller's own operations; `context` is closed with the source. */
WEIR_API weir_code weir_source_open_custom(weir_source **out, const weir_source_ops *ops,
                                           void *context, uint64_t size, const char *name,
                                           weir_error *err);

WEIR_API uint64_t weir_source_size(const weir_source *source);
WEIR_API const char *weir_source_name(const weir_source *source);

/**
 * Read exactly `len` bytes. Thread-safe.
 * @return WEIR_OK; WEIR_ERR_FORMAT when the range passes the end; WEIR_ERR_IO, also when a file
 * shrank
 */
WEIR_API weir_code weir_source_read(weir_source *source, uint64_t offset, void *out, size_t len,
                                    weir_error *err);

/** How many bytes, and in how many ranges, were read so far. */
WEIR_API uint64_t weir_source_bytes_read(const weir_source *source);
WEIR_API uint64_t weir_source_ranges_read(const weir_source *source);

/** NULL is a no-op. */
WEIR_API void weir_source_free(weir_source *source);

#ifdef __cplusplus
}
#endif
#endif
