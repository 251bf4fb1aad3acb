/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Sources. Files are read by pread and never mapped: a file that shrinks under a mapping kills the
 * process, a short pread is an error value.
 */
#include "io/source.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdatomic.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/fail.h"

struct weir_source {
    weir_source_ops ops;
    void *context;
    char *name;
    uint64_t size;
    int fd;
    const unsigned char *memory;
    atomic_uint_fast64_t bytes_read;
    atomic_uint_fast64_t ranges_read;
};

static weir_code read_file_at(void *context, uint64_t offset, void *out, size_t len,
                              weir_error *err) {
    const weir_source *source = context;
    unsigned char *cursor = out;
    size_t left = len;
    while (left > 0) {
        const ssize_t got = pread(source->fd, cursor, left, (off_t)offset);
        if (got < 0 && errno == EINTR) {
            continue;
        }
        if (got < 0) {
            return weir_fail(err, WEIR_ERR_IO, source->name, at_byte(offset).text, NULL, "%s",
                             strerror(errno));
        }
        if (got == 0) {
            return weir_fail(err, WEIR_ERR_IO, source->name, at_byte(offset).text,
                             "a file that keeps its size while it is read", "its end");
        }
        cursor += got;
        left -= (size_t)got;
        offset += (uint64_t)got;
    }
    return WEIR_OK;
}

static weir_code read_memory_at(void *context, uint64_t offset, void *out, size_t len,
                                weir_error *err) {
    (void)err;
    const weir_source *source = context;
    memcpy(out, source->memory + offset, len);
    return WEIR_OK;
}

static weir_code new_source(weir_source **out, const char *name, weir_error *err) {
    WEIR_CLEANUP(weir_source_free) weir_source *source = calloc(1, sizeof *source);
    if (!source) {
        return weir_fail_nomem(err);
    }
    source->fd = -1;
    source->name = strdup(name);
    if (!source->name) {
        return weir_fail_nomem(err);
    }
    *out = WEIR_TAKE(source);
    return WEIR_OK;
}

weir_code weir_source_open_file(weir_source **out, int folder, const char *path, const char *name,
                                weir_error *err) {
    WEIR_CLEANUP(weir_source_free) weir_source *source = NULL;
    WEIR_TRY(new_source(&source, name, err));
    /* O_NONBLOCK: opening a FIFO must not wait for a writer; it changes nothing for a file. */
    source->fd = openat(folder, path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
    if (source->fd < 0) {
        return weir_fail(err, WEIR_ERR_IO, name, NULL, NULL, "%s", strerror(errno));
    }
    struct stat info;
    if (fstat(source->fd, &info) != 0) {
        return weir_fail(err, WEIR_ERR_IO, name, NULL, NULL, "%s", strerror(errno));
    }
    if (!S_ISREG(info.st_mode)) {
        return weir_fail(err, WEIR_ERR_UNSUPPORTED, name, NULL, "a regular file", "%s",
                         S_ISDIR(info.st_mode) ? "a folder" : "a device, pipe or socket");
    }
    source->ops.read_at = read_file_at;
    source->context = source;
    source->size = (uint64_t)info.st_size;
    *out = WEIR_TAKE(source);
    return WEIR_OK;
}

weir_code weir_source_open_memory(weir_source **out, const void *data, size_t size,
                                  const char *name, weir_error *err) {
    weir_source *source = NULL;
    WEIR_TRY(new_source(&source, name, err));
    source->ops.read_at = read_memory_at;
    source->context = source;
    source->memory = data;
    source->size = size;
    *out = source;
    return WEIR_OK;
}

weir_code weir_source_open_custom(weir_source **out, const weir_source_ops *ops, void *context,
                                  uint64_t size, const char *name, weir_error *err) {
    weir_source *source = NULL;
    WEIR_TRY(new_source(&source, name, err));
    source->ops = *ops;
    source->context = context;
    source->size = size;
    *out = source;
    return WEIR_OK;
}

uint64_t weir_source_size(const weir_source *source) {
    return source->size;
}

const char *weir_source_name(const weir_source *source) {
    return source->name;
}

weir_code weir_source_read(weir_source *source, uint64_t offset, void *out, size_t len,
                           weir_error *err) {
    if (offset > source->size || len > source->size - offset) {
        return weir_fail(err, WEIR_ERR_FORMAT, source->name, at_byte(offset).text,
                         "a range inside the file", "%zu bytes wanted, %" PRIu64 " left", len,
                         offset > source->size ? 0 : source->size - offset);
    }
    if (len == 0) {
        return WEIR_OK;
    }
    WEIR_TRY(source->ops.read_at(source->context, offset, out, len, err));
    atomic_fetch_add_explicit(&source->bytes_read, len, memory_order_relaxed);
    atomic_fetch_add_explicit(&source->ranges_read, 1, memory_order_relaxed);
    return WEIR_OK;
}

void source_expect(weir_source *source, uint64_t offset, uint64_t len) {
    if (source->fd >= 0 && offset < source->size) {
        const uint64_t left = source->size - offset;
        (void)posix_fadvise(source->fd, (off_t)offset, (off_t)(len < left ? len : left),
                            POSIX_FADV_WILLNEED);
    }
}

uint64_t weir_source_bytes_read(const weir_source *source) {
    return atomic_load_explicit(&source->bytes_read, memory_order_relaxed);
}

uint64_t weir_source_ranges_read(const weir_source *source) {
    return atomic_load_explicit(&source->ranges_read, memory_order_relaxed);
}

void weir_source_free(weir_source *source) {
    if (!source) {
        return;
    }
    if (source->ops.close) {
        source->ops.close(source->context);
    }
    if (source->fd >= 0) {
        (void)close(source->fd);
    }
    free(source->name);
    free(source);
}
