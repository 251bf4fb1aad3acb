/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The environment is read here and not in the library: XDG_DATA_HOME, HOME, TMPDIR.
 * Source: XDG Base Directory Specification: a path that is not absolute is ignored; folders that
 * are made have mode 0700.
 */
#include "registry_place.h"

#include <errno.h>
#include <libgen.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "failure.h"

static const char expected_place[] = "a place for the registry";

static bool format_path(char *out, const char *folder, const char *rest) {
    const int length = snprintf(out, PATH_MAX, "%s%s", folder, rest);
    return length >= 0 && length < PATH_MAX;
}

static const char *absolute(const char *variable) {
    const char *value = getenv(variable);
    return value && value[0] == '/' ? value : NULL;
}

static exit_status choose_path(char *out, const invocation *call) {
    const char *data = absolute("XDG_DATA_HOME");
    const char *home = absolute("HOME");
    bool fits = false;
    if (call->registry) {
        fits = format_path(out, call->registry, "");
    } else if (data) {
        fits = format_path(out, data, "/weir/registry.db");
    } else if (home) {
        fits = format_path(out, home, "/.local/share/weir/registry.db");
    } else {
        return failure_of_system(call, "HOME", "XDG_DATA_HOME, HOME or --registry FILE", ENOENT);
    }
    return fits ? EXIT_DONE : failure_of_system(call, "registry", expected_place, ENAMETOOLONG);
}

static void copy_folder(char *out, const char *path) {
    char copy[PATH_MAX];
    memcpy(copy, path, strlen(path) + 1);
    const char *folder = dirname(copy);
    memmove(out, folder, strlen(folder) + 1);
}

/* mkdir --parents. @return 0 or an errno */
static int make_folders(const char *folder) {
    char path[PATH_MAX];
    memcpy(path, folder, strlen(folder) + 1);
    for (char *slash = strchr(path + 1, '/'); slash; slash = strchr(slash + 1, '/')) {
        *slash = '\0';
        if (mkdir(path, 0700) != 0 && errno != EEXIST) {
            return errno;
        }
        *slash = '/';
    }
    return mkdir(path, 0700) != 0 && errno != EEXIST ? errno : 0;
}

static bool resolve(registry_place *out) {
    char resolved[PATH_MAX];
    if (realpath(out->path, resolved)) {
        memcpy(out->path, resolved, strlen(resolved) + 1);
        copy_folder(out->folder, out->path);
        return true;
    }
    char base[PATH_MAX];
    memcpy(base, out->path, strlen(out->path) + 1);
    const char *last = basename(base);
    if (!realpath(out->folder, resolved)) {
        return true; /* nothing is there: an empty registry */
    }
    memcpy(out->folder, resolved, strlen(resolved) + 1);
    const bool is_root = strcmp(resolved, "/") == 0;
    const int length =
        snprintf(out->path, sizeof out->path, "%s/%s", is_root ? "" : resolved, last);
    return length >= 0 && (size_t)length < sizeof out->path;
}

exit_status registry_place_find(registry_place *out, const invocation *call, bool make_folder) {
    *out = (registry_place){0};
    const exit_status status = choose_path(out->path, call);
    if (status != EXIT_DONE) {
        return status;
    }
    copy_folder(out->folder, out->path);
    const int failed = make_folder ? make_folders(out->folder) : 0;
    if (failed) {
        return failure_of_system(call, out->folder, expected_place, failed);
    }
    if (!resolve(out)) {
        return failure_of_system(call, "registry", expected_place, ENAMETOOLONG);
    }
    const char *temporary = absolute("TMPDIR");
    if (access(out->folder, F_OK) == 0 && access(out->folder, W_OK) != 0 &&
        !format_path(out->scratch, temporary ? temporary : "/tmp", "")) {
        out->scratch[0] = '\0';
    }
    return EXIT_DONE;
}

/* What may be written may be read; and a folder to read is searched for links, which a folder with
 * much else in it makes slow. */
void registry_place_allow(session_places *out, const registry_place *place) {
    if (access(place->folder, W_OK) == 0) {
        out->writable = place->folder;
        return;
    }
    if (access(place->folder, F_OK) == 0) {
        out->readable = place->folder;
    }
    if (place->scratch[0] && access(place->scratch, W_OK) == 0) {
        out->writable = place->scratch;
    }
}
