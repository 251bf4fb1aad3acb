/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Sources. Files are read by pread and never mapped: a file that shrinks under a mapping kills the
 * process, a short pread is an error value.
 */
#include "io/source.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/checked.h"
#include "base/fail.h"

/* Which ranges were read, for who asked. */
typedef struct range_log {
    pthread_mutex_t lock;
    source_range *items;
    size_t count;
    size_t capacity;
    bool is_short; /* memory ran out */
} range_log;

struct weir_source {
    weir_source_ops ops;
    void *context;
    char *name;
    uint64_t size;
    int fd;
    const unsigned char *memory;
    atomic_uint_fast64_t bytes_read;
    atomic_uint_fast64_t ranges_read;
    range_log *kept; /* NULL: nobody asked */
};

/* --- ranges that were read --- */

static int by_offset(const void *left, const void *right) {
    const source_range *const a = left;
    const source_range *const b = right;
    if (a->offset != b->offset) {
        return a->offset < b->offset ? -1 : 1;
    }
    return (a->bytes > b->bytes) - (a->bytes < b->bytes);
}

/* Ends do not wrap: every range was read, so it lies inside the source. */
static void join_ranges(range_log *log) {
    size_t kept = 0;
    if (log->count > 1) {
        qsort(log->items, log->count, sizeof *log->items, by_offset);
    }
    for (size_t i = 0; i < log->count; i++) {
        source_range *const last = kept > 0 ? &log->items[kept - 1] : NULL;
        const uint64_t end = log->items[i].offset + log->items[i].bytes;
        if (last && log->items[i].offset <= last->offset + last->bytes) {
            last->bytes = end > last->offset + last->bytes ? end - last->offset : last->bytes;
        } else {
            log->items[kept++] = log->items[i];
        }
    }
    log->count = kept;
}

/* A full list is joined, and doubled unless that freed half of it: joining it again and again would
 * cost its square. */
static bool make_room(range_log *log) {
    void *items = log->items;
    if (log->count < log->capacity) {
        return true;
    }
    join_ranges(log);
    if (log->count * 2 < log->capacity) {
        return true;
    }
    const bool has_grown = checked_grow(&items, &log->capacity, log->capacity, sizeof *log->items);
    log->items = items;
    return has_grown;
}

static void keep_range(range_log *log, uint64_t offset, uint64_t len) {
    (void)pthread_mutex_lock(&log->lock);
    if (make_room(log)) {
        log->items[log->count++] = (source_range){.offset = offset, .bytes = len};
    } else {
        log->is_short = true;
    }
    (void)pthread_mutex_unlock(&log->lock);
}

static void log_free(range_log *log) {
    if (log) {
        (void)pthread_mutex_destroy(&log->lock);
        free(log->items);
        free(log);
    }
}

weir_code source_keep_ranges(weir_source *source, weir_error *err) {
    if (source->kept) {
        return WEIR_OK;
    }
    source->kept = calloc(1, sizeof *source->kept);
    if (!source->kept) {
        return weir_fail_nomem(err);
    }
    (void)pthread_mutex_init(&source->kept->lock, NULL);
    return WEIR_OK;
}

weir_code source_kept_ranges(source_range **out, size_t *count, weir_source *source,
                             weir_error *err) {
    range_log *const log = source->kept;
    *out = NULL;
    *count = 0;
    if (!log) {
        return WEIR_OK;
    }
    (void)pthread_mutex_lock(&log->lock);
    join_ranges(log);
    source_range *const copy = checked_alloc(log->count, sizeof *copy);
    const bool is_short = log->is_short || !copy;
    if (!is_short) {
        memcpy(copy, log->items, log->count * sizeof *copy);
        *out = copy;
        *count = log->count;
    }
    (void)pthread_mutex_unlock(&log->lock);
    if (is_short) {
        free(copy);
    }
    return is_short ? weir_fail_nomem(err) : WEIR_OK;
}

/* --- sources --- */

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
    if (source->kept) {
        keep_range(source->kept, offset, len);
    }
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
    log_free(source->kept);
    free(source->name);
    free(source);
}
