/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A walk by openat: every folder is opened relative to its parent and without following links, so a
 * folder that is swapped for a link while weir reads cannot lead outside.
 */
#include "io/folder.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/checked.h"
#include "base/cleanup.h"
#include "base/fail.h"
#include "base/limits.h"

static void directory_close(DIR *stream) {
    (void)closedir(stream);
}
WEIR_DEFINE_CLEANUP(DIR *, directory_close)

static weir_code add_entry(folder *list, const char *path, uint64_t bytes, const char *problem,
                           weir_error *err) {
    if (list->count >= FOLDER_FILES_MAX) {
        return weir_fail(err, WEIR_ERR_LIMIT, path, NULL, "at most 100000 files in a folder",
                         "more");
    }
    void *items = list->items;
    if (!checked_grow(&items, &list->capacity, list->count, sizeof *list->items)) {
        return weir_fail_nomem(err);
    }
    list->items = items;
    const char *copy = arena_copy_text(&list->memory, path, strlen(path));
    if (!copy) {
        return weir_fail_nomem(err);
    }
    list->items[list->count++] = (folder_entry){.path = copy, .bytes = bytes, .problem = problem};
    return WEIR_OK;
}

/* Why what `info` describes is not read as a file, or NULL for a regular file. */
static const char *file_problem(const struct stat *info) {
    if (S_ISREG(info->st_mode)) {
        return NULL;
    }
    if (S_ISDIR(info->st_mode)) {
        return "a link to a folder, which is not followed";
    }
    if (S_ISFIFO(info->st_mode)) {
        return "a pipe";
    }
    if (S_ISSOCK(info->st_mode)) {
        return "a socket";
    }
    return "a device";
}

static const char *link_problem(int reason) {
    switch (reason) {
    case ELOOP:
        return "a loop of symbolic links";
    case ENOENT:
    case ENOTDIR:
        return "a symbolic link to nothing";
    case EACCES:
        return "not permitted to read";
    default:
        return "not readable";
    }
}

/* Where the walk stands. */
typedef struct position {
    int directory;
    unsigned depth;
    char *path; /* PATH_BYTES_MAX of them, of the entry at hand; "" for the outermost folder */
} position;

enum { PATH_BYTES_MAX = 4096 };

/* Add the entry, unless it is a folder that can be entered: *inner is its descriptor then, else -1.
 */
static weir_code visit(int *inner, folder *list, const position *here, const char *base,
                       weir_error *err) {
    const char *path = here->path;
    const int parent = here->directory;
    *inner = -1;
    struct stat info;
    if (fstatat(parent, base, &info, AT_SYMLINK_NOFOLLOW) != 0) {
        return add_entry(list, path, 0, link_problem(errno), err);
    }
    if (S_ISLNK(info.st_mode) && fstatat(parent, base, &info, 0) != 0) {
        return add_entry(list, path, 0, link_problem(errno), err);
    }
    if (!S_ISDIR(info.st_mode)) {
        const char *problem = file_problem(&info);
        return add_entry(list, path, problem ? 0 : (uint64_t)info.st_size, problem, err);
    }
    if (here->depth >= FOLDER_DEPTH_MAX) {
        return add_entry(list, path, 0, "a folder nested deeper than 16", err);
    }
    *inner = openat(parent, base, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    if (*inner < 0) {
        const bool is_link = errno == ELOOP || errno == ENOTDIR;
        return add_entry(list, path, 0, is_link ? file_problem(&info) : link_problem(errno), err);
    }
    return WEIR_OK;
}

static bool is_left_out(const char *base) {
    return strcmp(base, ".") == 0 || strcmp(base, "..") == 0 || strcmp(base, ".git") == 0;
}

/* The stream gets a descriptor of its own to close, with a position of its own. */
static weir_code open_stream(DIR **out, folder *list, const position *here, weir_error *err) {
    const int own = openat(here->directory, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    *out = own < 0 ? NULL : fdopendir(own);
    if (*out) {
        return WEIR_OK;
    }
    const int reason = errno;
    if (own >= 0) {
        (void)close(own);
    }
    return here->depth > 0 ? add_entry(list, here->path, 0, link_problem(reason), err)
                           : weir_fail(err, WEIR_ERR_IO, NULL, NULL, NULL, "%s", strerror(reason));
}

/* Recursion is as deep as FOLDER_DEPTH_MAX at most. */
static weir_code walk(folder *list, const position *here, weir_error *err) {
    WEIR_CLEANUP(directory_close) DIR *stream = NULL;
    WEIR_TRY(open_stream(&stream, list, here, err));
    const size_t len = strlen(here->path);
    const struct dirent *found;
    while (stream && (found = readdir(stream))) {
        if (is_left_out(found->d_name)) {
            continue;
        }
        if (len + strlen(found->d_name) + 2 > PATH_BYTES_MAX) {
            WEIR_TRY(add_entry(list, here->path, 0, "a path longer than 4095 bytes", err));
            continue;
        }
        (void)snprintf(here->path + len, PATH_BYTES_MAX - len, "%s%s", len > 0 ? "/" : "",
                       found->d_name);
        WEIR_CLEANUP(close) int inner = -1;
        WEIR_TRY(visit(&inner, list, here, found->d_name, err));
        if (inner >= 0) {
            const position below = {inner, here->depth + 1, here->path};
            WEIR_TRY(walk(list, &below, err));
        }
        here->path[len] = '\0';
    }
    return WEIR_OK;
}

static int compare_entries(const void *a, const void *b) {
    return strcmp(((const folder_entry *)a)->path, ((const folder_entry *)b)->path);
}

weir_code folder_list(folder *out, int directory, const char *name, weir_error *err) {
    WEIR_CLEANUP(folder_release) folder list = {0};
    char path[PATH_BYTES_MAX] = "";
    const position top = {.directory = directory, .depth = 0, .path = path};
    const weir_code code = walk(&list, &top, err);
    if (code == WEIR_ERR_IO && err) {
        (void)weir_fail(err, code, name, NULL, "a readable folder", "%s", err->found);
    }
    if (code != WEIR_OK) {
        return code;
    }
    if (list.count > 0) {
        qsort(list.items, list.count, sizeof *list.items, compare_entries);
    }
    *out = list;
    list = (folder){0};
    return WEIR_OK;
}

void folder_release(folder *list) {
    arena_release(&list->memory);
    free(list->items);
    *list = (folder){0};
}
