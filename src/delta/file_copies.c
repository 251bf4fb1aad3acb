/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Whether everything beside the numbers is the base's own, byte for byte. The comparisons of
 * file_delta.c say what differs in the settings, templates and tokens that weir knows; only equal
 * bytes say that nothing else does: code of the same size, a normaliser, a file of a format that
 * weir does not read. The card is for people, and an index of shards follows from the shards.
 */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "base/fail.h"
#include "delta/diff.h"

enum { PIECE_BYTES = 1 << 16 };

/* One side, and the file of it that is at hand. */
typedef struct side {
    const checkpoint *files;
    int directory; /* -1 for a single file */
    size_t index;
} side;

static bool is_format(const checkpoint_file *file, const char *format) {
    return strcmp(file->format, format) == 0;
}

static bool is_left_out(const checkpoint_file *file) {
    return is_format(file, "card") || is_format(file, "safetensors") ||
           is_format(file, "safetensors-index");
}

static const checkpoint_file *next_file(side *at) {
    while (at->index < at->files->file_count && is_left_out(&at->files->files[at->index])) {
        at->index++;
    }
    return at->index < at->files->file_count ? &at->files->files[at->index] : NULL;
}

/* Where the numbers of a GGUF file begin; the end of any other file. */
static uint64_t compared_bytes(const side *at) {
    const checkpoint_file *file = &at->files->files[at->index];
    uint64_t end = file->source ? weir_source_size(file->source) : file->bytes;
    for (size_t i = 0; is_format(file, "gguf") && i < at->files->tensors.count; i++) {
        const stored_tensor *tensor = &at->files->tensors.items[i];
        end = tensor->file == at->index && tensor->offset < end ? tensor->offset : end;
    }
    return end;
}

static weir_code open_at(weir_source **opened, weir_source **source, const side *at,
                         weir_error *err) {
    const checkpoint_file *file = &at->files->files[at->index];
    *source = file->source;
    if (!file->source) {
        WEIR_TRY(weir_source_open_file(opened, at->directory, file->raw_path, file->path, err));
        *source = *opened;
    }
    return WEIR_OK;
}

static weir_code compare_bytes(bool *is_equal, weir_source *base, weir_source *model,
                               uint64_t bytes, weir_error *err) {
    WEIR_CLEANUP(free) unsigned char *pieces = malloc(2 * (size_t)PIECE_BYTES);
    if (!pieces) {
        return weir_fail_nomem(err);
    }
    *is_equal = true;
    for (uint64_t done = 0; *is_equal && done < bytes; done += PIECE_BYTES) {
        const uint64_t left = bytes - done;
        const size_t len = left < PIECE_BYTES ? (size_t)left : PIECE_BYTES;
        WEIR_TRY(weir_source_read(base, done, pieces, len, err));
        WEIR_TRY(weir_source_read(model, done, pieces + PIECE_BYTES, len, err));
        *is_equal = memcmp(pieces, pieces + PIECE_BYTES, len) == 0;
    }
    return WEIR_OK;
}

static weir_code compare_files(bool *is_equal, const side *base, const side *model,
                               weir_error *err) {
    WEIR_CLEANUP(weir_source_free) weir_source *base_opened = NULL;
    WEIR_CLEANUP(weir_source_free) weir_source *model_opened = NULL;
    weir_source *was = NULL;
    weir_source *is = NULL;
    const uint64_t bytes = compared_bytes(model);
    *is_equal = false;
    if (bytes != compared_bytes(base)) {
        return WEIR_OK;
    }
    WEIR_TRY(open_at(&base_opened, &was, base, err));
    WEIR_TRY(open_at(&model_opened, &is, model, err));
    return compare_bytes(is_equal, was, is, bytes, err);
}

/* Both lists are sorted by path, so that equal folders stay in step. */
static weir_code compare_all(bool *is_equal, side *base, side *model, weir_error *err) {
    *is_equal = true;
    while (*is_equal) {
        const checkpoint_file *was = next_file(base);
        const checkpoint_file *is = next_file(model);
        if (!was || !is) {
            *is_equal = !was && !is;
            break;
        }
        const bool has_pair = was->raw_path && is->raw_path &&
                              (!model->files->is_folder || strcmp(was->path, is->path) == 0);
        if (!has_pair) {
            *is_equal = false;
            break;
        }
        WEIR_TRY(compare_files(is_equal, base, model, err));
        base->index++;
        model->index++;
    }
    return WEIR_OK;
}

weir_code diff_copies(weir_diff *diff, const char *base_path, const char *model_path,
                      weir_error *err) {
    side base = {.files = model_checkpoint(diff->base), .directory = -1};
    side model = {.files = model_checkpoint(diff->model), .directory = -1};
    WEIR_CLEANUP(close) int base_folder = -1;
    WEIR_CLEANUP(close) int model_folder = -1;
    if (base.files->is_folder != model.files->is_folder) {
        return WEIR_OK;
    }
    if (model.files->is_folder) {
        base_folder = open(base_path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        model_folder = open(model_path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        base.directory = base_folder;
        model.directory = model_folder;
    }
    bool is_equal = false;
    const weir_code code = compare_all(&is_equal, &base, &model, err);
    /* What cannot be read is no copy; that it cannot is a finding already. */
    diff->is_copy = code == WEIR_OK && is_equal;
    return code == WEIR_ERR_NOMEM ? code : WEIR_OK;
}
