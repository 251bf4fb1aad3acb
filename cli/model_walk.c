/* SPDX-License-Identifier: Apache-2.0 */
#include "model_walk.h"

#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

/* What lies in one folder, sorted by name, byte by byte. */
typedef struct folder_part {
    char *name;
    bool is_folder;
} folder_part;

typedef struct folder_parts {
    folder_part *items;
    size_t count;
    size_t capacity;
} folder_parts;

static bool grow(void **items, size_t *capacity, size_t count, size_t item_bytes) {
    if (count < *capacity) {
        return true;
    }
    const size_t wanted = *capacity > 0 ? *capacity * 2 : 16;
    void *const moved = reallocarray(*items, wanted, item_bytes);
    if (!moved) {
        return false;
    }
    *items = moved;
    *capacity = wanted;
    return true;
}

static bool has_ending(const char *name, const char *ending) {
    const size_t len = strlen(name);
    const size_t ending_len = strlen(ending);
    return len >= ending_len && strcmp(name + len - ending_len, ending) == 0;
}

/* --- the list --- */

/* `root_len` bytes of the path are the operand's. */
static bool add_place(model_list *list, const char *path, size_t root_len, weir_code problem) {
    void *items = list->items;
    if (!grow(&items, &list->capacity, list->count, sizeof *list->items)) {
        return false;
    }
    list->items = items;
    model_place place = {.path = strdup(path), .problem = problem};
    if (!place.path) {
        return false;
    }
    const char *name = place.path + root_len + strspn(place.path + root_len, "/");
    if (!*name) { /* the operand itself */
        for (name = place.path + root_len; name > place.path && name[-1] != '/'; name--) {
        }
    }
    place.name = name;
    list->items[list->count++] = place;
    return true;
}

void model_list_release(model_list *list) {
    for (size_t i = 0; i < list->count; i++) {
        free(list->items[i].path);
    }
    free(list->items);
    *list = (model_list){0};
}

/* --- one folder --- */

static void release_parts(folder_parts *parts) {
    for (size_t i = 0; i < parts->count; i++) {
        free(parts->items[i].name);
    }
    free(parts->items);
    *parts = (folder_parts){0};
}

static bool is_folder(DIR *stream, const struct dirent *entry) {
    struct stat info;
    if (entry->d_type != DT_UNKNOWN) {
        return entry->d_type == DT_DIR;
    }
    return fstatat(dirfd(stream), entry->d_name, &info, AT_SYMLINK_NOFOLLOW) == 0 &&
           S_ISDIR(info.st_mode);
}

/* A link that is named as a file but leads to a folder is no file of a model. */
static bool leads_to_folder(DIR *stream, const struct dirent *entry) {
    struct stat info;
    return (entry->d_type == DT_LNK || entry->d_type == DT_UNKNOWN) &&
           fstatat(dirfd(stream), entry->d_name, &info, 0) == 0 && S_ISDIR(info.st_mode);
}

static bool add_part(folder_parts *to, DIR *stream, const struct dirent *entry) {
    static const char *const left_out[] = {".", "..", ".git"};
    for (size_t i = 0; i < sizeof left_out / sizeof *left_out; i++) {
        if (strcmp(entry->d_name, left_out[i]) == 0) {
            return true;
        }
    }
    const folder_part part = {.name = NULL, .is_folder = is_folder(stream, entry)};
    if (!part.is_folder && leads_to_folder(stream, entry)) {
        return true;
    }
    void *items = to->items;
    if (!grow(&items, &to->capacity, to->count, sizeof *to->items)) {
        return false;
    }
    to->items = items;
    to->items[to->count] = part;
    to->items[to->count].name = strdup(entry->d_name);
    return to->items[to->count].name && ++to->count;
}

static int by_name(const void *left, const void *right) {
    return strcmp(((const folder_part *)left)->name, ((const folder_part *)right)->name);
}

/* *is_listed: whether the folder could be opened. @return false without memory */
static bool list_parts(folder_parts *out, bool *is_listed, const char *path) {
    DIR *const stream = opendir(path);
    bool has_memory = true;
    *is_listed = stream != NULL;
    if (!stream) {
        return true;
    }
    for (const struct dirent *entry; has_memory && (entry = readdir(stream));) {
        has_memory = add_part(out, stream, entry);
    }
    (void)closedir(stream);
    if (out->count > 1) {
        qsort(out->items, out->count, sizeof *out->items, by_name);
    }
    return has_memory;
}

static bool is_model_folder(const folder_parts *parts) {
    for (size_t i = 0; i < parts->count; i++) {
        if (!parts->items[i].is_folder &&
            (has_ending(parts->items[i].name, ".safetensors") ||
             has_ending(parts->items[i].name, ".safetensors.index.json"))) {
            return true;
        }
    }
    return false;
}

/* Bytes before "-00001-of-00003.gguf", or 0 when the file is no part. */
static size_t part_stem(const char *name) {
    static const char pattern[] = "-00000-of-00000.gguf"; /* 0: any digit */
    const size_t len = strlen(name);
    if (len < sizeof pattern) {
        return 0;
    }
    const char *const tail = name + len - (sizeof pattern - 1);
    for (size_t i = 0; pattern[i]; i++) {
        const bool is_digit = tail[i] >= '0' && tail[i] <= '9';
        if (pattern[i] == '0' ? !is_digit : tail[i] != pattern[i]) {
            return 0;
        }
    }
    return (size_t)(tail - name);
}

/* Whether both are parts of one GGUF: equal but for the part's number. */
static bool are_parts_of_one(const char *a, const char *b) {
    enum { NUMBER_BYTES = 6 };
    const size_t stem = part_stem(a);
    return stem > 0 && stem == part_stem(b) && strncmp(a, b, stem) == 0 &&
           strcmp(a + stem + NUMBER_BYTES, b + stem + NUMBER_BYTES) == 0;
}

/* Parts of one GGUF follow each other but for what sorts between them: look back over all of it. */
static bool is_later_part(const folder_parts *parts, size_t index) {
    if (part_stem(parts->items[index].name) == 0) {
        return false;
    }
    for (size_t i = index; i > 0; i--) {
        if (are_parts_of_one(parts->items[i - 1].name, parts->items[index].name)) {
            return true;
        }
        if (strncmp(parts->items[i - 1].name, parts->items[index].name,
                    part_stem(parts->items[index].name)) != 0) {
            return false;
        }
    }
    return false;
}

static bool is_model_file(const folder_parts *parts, size_t index) {
    const char *const name = parts->items[index].name;
    return has_ending(name, ".weirfp") ||
           (has_ending(name, ".gguf") && !is_later_part(parts, index));
}

/* --- the walk --- */

static bool walk(model_list *list, const char *path, size_t root_len, unsigned depth);

static bool visit(model_list *list, const char *folder, size_t root_len, unsigned depth,
                  const folder_parts *parts, size_t index) {
    char *path = NULL;
    const folder_part *const part = &parts->items[index];
    const size_t len = strlen(folder);
    if (asprintf(&path, "%s%s%s", folder, len > 0 && folder[len - 1] == '/' ? "" : "/",
                 part->name) < 0) {
        return false;
    }
    bool has_memory = true;
    if (part->is_folder) {
        has_memory = depth < WALK_DEPTH_MAX ? walk(list, path, root_len, depth + 1)
                                            : add_place(list, path, root_len, WEIR_ERR_LIMIT);
    } else if (is_model_file(parts, index)) {
        has_memory = add_place(list, path, root_len, WEIR_OK);
    }
    free(path);
    return has_memory;
}

/* Recursion is as deep as WALK_DEPTH_MAX. */
static bool walk(model_list *list, const char *path, size_t root_len, unsigned depth) {
    folder_parts parts = {0};
    bool is_listed = false;
    bool has_memory = list_parts(&parts, &is_listed, path);
    if (has_memory && !is_listed) {
        has_memory = add_place(list, path, root_len, WEIR_ERR_IO);
    } else if (has_memory && is_model_folder(&parts)) {
        has_memory = add_place(list, path, root_len, WEIR_OK);
    } else {
        for (size_t i = 0; has_memory && i < parts.count; i++) {
            has_memory = visit(list, path, root_len, depth, &parts, i);
        }
    }
    release_parts(&parts);
    return has_memory;
}

bool model_list_add(model_list *list, const char *operand) {
    struct stat info;
    const size_t before = list->count;
    size_t root_len = strlen(operand);
    while (root_len > 1 && operand[root_len - 1] == '/') {
        root_len--;
    }
    char *const root = strndup(operand, root_len);
    bool has_memory = root != NULL;
    if (has_memory && stat(root, &info) == 0 && S_ISDIR(info.st_mode)) {
        has_memory = walk(list, root, root_len, 0);
    }
    if (has_memory && list->count == before) {
        has_memory = add_place(list, root, root_len, WEIR_OK);
    }
    free(root);
    return has_memory;
}
