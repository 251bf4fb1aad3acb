/* SPDX-License-Identifier: Apache-2.0 */
#include "sketch/index_file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/fail.h"

enum { NAMES_TRIED = 1000 };

static weir_code fail_io(const index_file *file, int number, weir_error *err) {
    const char *slash = strrchr(file->path, '/');
    return weir_fail(err, WEIR_ERR_IO, slash ? slash + 1 : file->path, NULL,
                     "a place to write the search index", "%s", strerror(number));
}

/* With the mode that a new file of the user has; mkostemp would make it private. */
static int open_temporary(index_file *file) {
    static unsigned last;
    for (int tried = 0; tried < NAMES_TRIED; tried++) {
        const unsigned number = __atomic_add_fetch(&last, 1, __ATOMIC_RELAXED);
        char *name = NULL;
        if (asprintf(&name, "%s.part-%ld-%u", file->path, (long)getpid(), number) < 0) {
            errno = ENOMEM;
            return -1;
        }
        const int fd = open(name, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
        if (fd >= 0) {
            file->temporary = name;
            return fd;
        }
        free(name);
        if (errno != EEXIST) {
            return -1;
        }
    }
    return -1;
}

weir_code index_file_open(index_file *file, const char *path, weir_error *err) {
    file->path = path;
    WEIR_TRY(digest_new(&file->state, err));
    file->buffer = malloc(INDEX_BUFFER_BYTES);
    if (!file->buffer) {
        return weir_fail_nomem(err);
    }
    file->fd = open_temporary(file);
    if (file->fd < 0) {
        return fail_io(file, errno, err);
    }
    static const uint8_t nothing[INDEX_HEADER_BYTES];
    return index_file_write(file, nothing, sizeof nothing, err);
}

static weir_code write_at(index_file *file, const uint8_t *bytes, size_t len, uint64_t offset,
                          weir_error *err) {
    while (len > 0) {
        const ssize_t done = pwrite(file->fd, bytes, len, (off_t)offset);
        if (done < 0 && errno == EINTR) {
            continue;
        }
        if (done <= 0) {
            return fail_io(file, done < 0 ? errno : EIO, err);
        }
        bytes += done;
        len -= (size_t)done;
        offset += (uint64_t)done;
    }
    return WEIR_OK;
}

static weir_code flush(index_file *file, weir_error *err) {
    WEIR_TRY(write_at(file, file->buffer, file->filled, file->offset - file->filled, err));
    file->filled = 0;
    return WEIR_OK;
}

weir_code index_file_write(index_file *file, const void *bytes, size_t len, weir_error *err) {
    const uint8_t *from = bytes;
    digest_update(file->state, from, len);
    while (len > 0) {
        const size_t room = INDEX_BUFFER_BYTES - file->filled;
        const size_t part = len < room ? len : room;
        memcpy(file->buffer + file->filled, from, part);
        file->filled += part;
        file->offset += part;
        from += part;
        len -= part;
        if (file->filled == INDEX_BUFFER_BYTES) {
            WEIR_TRY(flush(file, err));
        }
    }
    return WEIR_OK;
}

weir_code index_file_begin(index_file *file, const index_extent *at, weir_error *err) {
    static const uint8_t zeros[INDEX_ALIGNMENT];
    uint8_t ignored[DIGEST_BYTES];
    WEIR_TRY(index_file_write(file, zeros, (size_t)(at->offset - file->offset), err));
    digest_finish(file->state, ignored);
    return WEIR_OK;
}

weir_code index_file_end(index_file *file, uint8_t sha256[static DIGEST_BYTES], weir_error *err) {
    digest_finish(file->state, sha256);
    return flush(file, err);
}

/* So that the new name itself is on disk. A file system that cannot do this for folders says
 * EINVAL. */
static weir_code sync_folder(const index_file *file, weir_error *err) {
    const char *slash = strrchr(file->path, '/');
    const size_t len = slash == file->path ? 1 : slash ? (size_t)(slash - file->path) : 0;
    WEIR_CLEANUP(free) char *folder = slash ? strndup(file->path, len) : strdup(".");
    if (!folder) {
        return weir_fail_nomem(err);
    }
    WEIR_CLEANUP(close) const int fd = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0 || (fsync(fd) != 0 && errno != EINVAL)) {
        return fail_io(file, errno, err);
    }
    return WEIR_OK;
}

weir_code index_file_commit(index_file *file, uint8_t header[static INDEX_HEADER_BYTES],
                            weir_error *err) {
    digest_update(file->state, header, INDEX_DIGEST_AT);
    digest_finish(file->state, header + INDEX_DIGEST_AT);
    WEIR_TRY(write_at(file, header, INDEX_HEADER_BYTES, 0, err));
    const int fd = file->fd;
    file->fd = -1;
    const bool is_synced = fsync(fd) == 0;
    const int number = errno;
    if (close(fd) != 0 || !is_synced) {
        return fail_io(file, is_synced ? errno : number, err);
    }
    if (rename(file->temporary, file->path) != 0) {
        return fail_io(file, errno, err);
    }
    free(file->temporary);
    file->temporary = NULL;
    return sync_folder(file, err);
}

void index_file_release(index_file *file) {
    if (file->fd >= 0) {
        (void)close(file->fd);
    }
    if (file->temporary) {
        (void)unlink(file->temporary);
        free(file->temporary);
    }
    digest_free(file->state);
    free(file->buffer);
}
