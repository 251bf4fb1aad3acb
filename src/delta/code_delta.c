/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Python files of two folders by the SHA-256 of their bytes. Nothing is run or parsed. A file over
 * CODE_BYTES_MAX, or past the first CODE_TOTAL_BYTES_MAX of both sides together, is compared by
 * size alone, and the row says so. The folders' lists are sorted by path, so one walk pairs them.
 */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/fail.h"
#include "delta/file_delta.h"
#include "format/detect.h"
#include "io/file_digest.h"

enum {
    CODE_BYTES_MAX = 16 << 20, /* a source file of real models has under 1 MiB */
    CODE_TOTAL_BYTES_MAX = 256 << 20,
    VALUE_BYTES = 80,
};

typedef struct code_list {
    const file_side *side;
    size_t at;
} code_list;

static const checkpoint_file *next_code(code_list *list) {
    const checkpoint *files = list->side->files;
    for (; list->at < files->file_count; list->at++) {
        const checkpoint_file *file = &files->files[list->at];
        if (file->raw_path &&
            (strcmp(file->format, "python") == 0 || path_has_suffix(file->path, ".py"))) {
            return file;
        }
    }
    return NULL;
}

/* "sha256 ..." of a file; *is_read stays false when it cannot be read: the listing has a finding.
 */
static weir_code hash_content(char out[VALUE_BYTES], bool *is_read, const file_side *side,
                              const checkpoint_file *file, weir_error *err) {
    WEIR_CLEANUP(weir_source_free) weir_source *source = NULL;
    weir_error own = {0};
    weir_code code =
        weir_source_open_file(&source, side->directory, file->raw_path, file->path, &own);
    if (code == WEIR_OK) {
        WEIR_CLEANUP(file_digest_release) file_digest content = {.source = source};
        uint8_t hash[DIGEST_BYTES];
        code = file_digest_finish(&content, hash, NULL, &own);
        if (code == WEIR_OK) {
            char text[DIGEST_TEXT_BYTES];
            digest_format(text, hash);
            (void)snprintf(out, VALUE_BYTES, "sha256 %s", text);
            *is_read = true;
        }
    }
    return code == WEIR_ERR_NOMEM ? weir_fail_nomem(err) : WEIR_OK;
}

/* One path of both folders; either file may be NULL. */
typedef struct code_pair {
    const checkpoint_file *was;
    const checkpoint_file *is;
    char old[VALUE_BYTES];
    char new[VALUE_BYTES];
} code_pair;

static uint64_t size_of(const checkpoint_file *file) {
    return file ? file->bytes : 0;
}

static weir_code hash_one(char out[VALUE_BYTES], bool *is_read, const file_side *side,
                          const checkpoint_file *file, weir_error *err) {
    *is_read = !file;
    return file ? hash_content(out, is_read, side, file, err) : WEIR_OK;
}

static void describe_size(char out[VALUE_BYTES], const checkpoint_file *file) {
    out[0] = '\0';
    if (file) {
        (void)snprintf(out, VALUE_BYTES, "%" PRIu64 " bytes, not read", file->bytes);
    }
}

/* Both files of a pair are told by their hashes, or both by their sizes. */
static weir_code describe_pair(code_pair *two, uint64_t *budget, const file_pair *pair,
                               weir_error *err) {
    const uint64_t old_bytes = size_of(two->was);
    const uint64_t new_bytes = size_of(two->is);
    bool is_old_read = false;
    bool is_new_read = false;
    if (old_bytes <= CODE_BYTES_MAX && new_bytes <= CODE_BYTES_MAX &&
        old_bytes + new_bytes <= *budget) {
        *budget -= old_bytes + new_bytes;
        WEIR_TRY(hash_one(two->old, &is_old_read, &pair->base, two->was, err));
        WEIR_TRY(hash_one(two->new, &is_new_read, &pair->model, two->is, err));
    }
    if (!is_old_read || !is_new_read) {
        describe_size(two->old, two->was);
        describe_size(two->new, two->is);
    }
    return WEIR_OK;
}

static weir_code add_row(const file_pair *pair, const code_pair *two, weir_error *err) {
    const char *path = two->is ? two->is->path : two->was->path;
    const file_delta row = {.change = WEIR_CHANGE_CODE,
                            .kind = FILE_KIND_CODE_FILE,
                            .grade = WEIR_GRADE_PROVED,
                            .what = path,
                            .base = two->old,
                            .model = two->new,
                            .file = path};
    return file_delta_add(pair->diff, &row, err);
}

weir_code compare_code(const file_pair *pair, weir_error *err) {
    if (pair->base.directory < 0 || pair->model.directory < 0) {
        return WEIR_OK; /* a single file says nothing of code */
    }
    code_list base = {.side = &pair->base};
    code_list model = {.side = &pair->model};
    uint64_t budget = CODE_TOTAL_BYTES_MAX;
    for (;;) {
        const checkpoint_file *was = next_code(&base);
        const checkpoint_file *is = next_code(&model);
        if (!was && !is) {
            return WEIR_OK;
        }
        const int order = !was ? 1 : !is ? -1 : strcmp(was->raw_path, is->raw_path);
        code_pair two = {.was = order <= 0 ? was : NULL, .is = order >= 0 ? is : NULL};
        WEIR_TRY(describe_pair(&two, &budget, pair, err));
        if (strcmp(two.old, two.new) != 0) {
            WEIR_TRY(add_row(pair, &two, err));
        }
        base.at += order <= 0;
        model.at += order >= 0;
    }
}
