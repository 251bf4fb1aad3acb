/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One look at one model: its files by format, what they claim, what is wrong with them.
 *
 * Hashes, when asked for: a file's SHA-256; a tensor's, over dtype name, NUL, dims as u64
 * little-endian outermost first, and the stored bytes. payload_id is the SHA-256 over the sorted
 * tensor hashes, so that it survives renaming, resharding and a change of metadata.
 */
#include "evidence/inspection.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "base/cancel.h"
#include "base/checked.h"
#include "base/fail.h"
#include "io/file_digest.h"
#include "template/hazard.h"

enum { HASH_PIECE_BYTES = 1 << 20 };

static weir_code sum_tensors(weir_inspection *inspection, weir_error *err) {
    const checkpoint *files = model_checkpoint(inspection->model);
    WEIR_TRY(model_count_parameters(inspection->model, inspection->dtype_parameters, err));
    for (size_t i = 0; i < WEIR_DTYPE_COUNT; i++) {
        inspection->parameters += inspection->dtype_parameters[i];
    }
    for (size_t i = 0; i < files->tensors.count; i++) {
        inspection->tensor_bytes += files->tensors.items[i].bytes;
    }
    for (size_t i = 0; i < files->file_count; i++) {
        inspection->file_bytes += files->files[i].bytes;
    }
    return WEIR_OK;
}

static weir_code scan_templates(weir_inspection *inspection, weir_error *err) {
    const checkpoint *files = model_checkpoint(inspection->model);
    for (size_t i = 0; i < files->template_count; i++) {
        const checkpoint_template *text = &files->templates[i];
        WEIR_TRY(
            template_scan(text->text, text->len, text->file, text->at, inspection->findings, err));
    }
    return WEIR_OK;
}

/* A file that weir has rules for and could not read: past a limit, not permitted, a failing disk.
 */
static bool is_unread_part(const weir_finding *finding) {
    return finding->verdict == WEIR_VERDICT_NOT_ANALYSED && finding->severity >= WEIR_SEVERITY_HIGH;
}

static bool has_unread_parts(const weir_findings *findings) {
    for (size_t i = 0; i < weir_findings_count(findings); i++) {
        if (is_unread_part(weir_findings_get(findings, i))) {
            return true;
        }
    }
    return false;
}

/* The model is as good as its worst file; files that weir has no rules for do not decide. It is not
 * clean while a part that decides was not read. */
static void judge_files(weir_inspection *inspection) {
    const checkpoint *files = model_checkpoint(inspection->model);
    bool has_analysed = false;
    weir_verdict gravest = WEIR_VERDICT_CLEAN;
    for (size_t i = 0; i < files->file_count; i++) {
        const checkpoint_file *file = &files->files[i];
        const weir_verdict verdict =
            findings_verdict(inspection->findings, file->path, file->verdict);
        inspection->verdicts[i] = verdict;
        has_analysed = has_analysed || verdict != WEIR_VERDICT_NOT_ANALYSED;
        if (verdict != WEIR_VERDICT_NOT_ANALYSED && verdict > gravest) {
            gravest = verdict;
        }
    }
    if (gravest == WEIR_VERDICT_CLEAN &&
        (!has_analysed || has_unread_parts(inspection->findings))) {
        gravest = WEIR_VERDICT_NOT_ANALYSED;
    }
    inspection->verdict = gravest;
}

/* A file of the model, opened anew when the checkpoint does not keep it open. */
static weir_code open_listed_file(weir_source **opened, weir_source **source,
                                  const checkpoint *files, size_t index, const char *path,
                                  weir_error *err) {
    const checkpoint_file *file = &files->files[index];
    if (file->source) {
        *source = file->source;
        return WEIR_OK;
    }
    if (!files->is_folder) {
        WEIR_TRY(weir_source_open_file(opened, AT_FDCWD, path, file->path, err));
    } else {
        const int folder = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        if (folder < 0) {
            return weir_fail(err, WEIR_ERR_IO, file->path, NULL, NULL, "%s", strerror(errno));
        }
        const weir_code code =
            weir_source_open_file(opened, folder, file->raw_path, file->path, err);
        (void)close(folder);
        WEIR_TRY(code);
    }
    *source = *opened;
    return WEIR_OK;
}

static weir_code hash_file(weir_inspection *inspection, size_t index, const char *path,
                           const weir_callbacks *callbacks, weir_error *err) {
    const checkpoint *files = model_checkpoint(inspection->model);
    WEIR_CLEANUP(weir_source_free) weir_source *opened = NULL;
    WEIR_CLEANUP(file_digest_release) file_digest pass = {0};
    uint8_t hash[DIGEST_BYTES];
    WEIR_TRY(open_listed_file(&opened, &pass.source, files, index, path, err));
    WEIR_TRY(file_digest_finish(&pass, hash, callbacks, err));
    digest_format(inspection->sha256[index], hash);
    return WEIR_OK;
}

/* What is hashed beside the bytes: the type, the shape and, where the role is known, the canonical
 * name, so that layers that changed places make another model. */
static void hash_head(digest *state, const stored_tensor *tensor, const char *canonical) {
    const char *dtype = weir_dtype_name((weir_dtype)tensor->dtype);
    digest_update(state, dtype, strlen(dtype) + 1);
    digest_update(state, canonical, strlen(canonical) + 1);
    for (size_t i = 0; i < tensor->rank; i++) {
        uint8_t dim[8];
        for (size_t j = 0; j < sizeof dim; j++) {
            dim[j] = (uint8_t)(tensor->dims[i] >> (8 * j));
        }
        digest_update(state, dim, sizeof dim);
    }
}

static weir_code hash_tensor(digest *state, const checkpoint *files, const stored_tensor *tensor,
                             uint8_t out[static DIGEST_BYTES], const weir_callbacks *callbacks,
                             weir_error *err) {
    WEIR_CLEANUP(free) unsigned char *buffer = malloc(HASH_PIECE_BYTES);
    if (!buffer) {
        return weir_fail_nomem(err);
    }
    for (uint64_t done = 0; done < tensor->bytes;) {
        const uint64_t left = tensor->bytes - done;
        const size_t len = left < HASH_PIECE_BYTES ? (size_t)left : HASH_PIECE_BYTES;
        if (is_cancelled(callbacks)) {
            return weir_fail(err, WEIR_ERR_CANCELLED, NULL, NULL, NULL, "cancelled");
        }
        WEIR_TRY(weir_source_read(files->files[tensor->file].source, tensor->offset + done, buffer,
                                  len, err));
        digest_update(state, buffer, len);
        done += len;
    }
    digest_finish(state, out);
    return WEIR_OK;
}

/* The canonical name of each stored tensor, of its first part where it is split and of the weight
 * where several make one; NULL for unknown roles. malloc'ed, by index. */
static const char **canonical_names(const weir_model *model) {
    const checkpoint *files = model_checkpoint(model);
    const char **names = calloc(files->tensors.count + 1, sizeof *names);
    for (size_t i = weir_model_tensor_count(model); names && i > 0; i--) {
        const tensor_view *view = model_view(model, i - 1);
        if (view->base.role != WEIR_ROLE_UNKNOWN) {
            names[view->stored - files->tensors.items] = view->base.name;
        }
        for (size_t k = 0; view->packed && k < view->packed->member_count; k++) {
            names[view->packed->members[k] - files->tensors.items] = view->base.name;
        }
    }
    return names;
}

static int by_bytes(const void *left, const void *right) {
    return memcmp(left, right, DIGEST_BYTES);
}

weir_code model_payload_id(char out[static DIGEST_TEXT_BYTES], const weir_model *model,
                           const weir_callbacks *callbacks, weir_error *err) {
    const checkpoint *files = model_checkpoint(model);
    out[0] = '\0';
    if (files->tensors.count == 0) {
        return WEIR_OK;
    }
    WEIR_CLEANUP(digest_free) digest *state = NULL;
    WEIR_CLEANUP(free) uint8_t *hashes = checked_alloc(files->tensors.count, DIGEST_BYTES);
    WEIR_CLEANUP(free) const char **names = canonical_names(model);
    if (!hashes || !names) {
        return weir_fail_nomem(err);
    }
    WEIR_TRY(digest_new(&state, err));
    for (size_t i = 0; i < files->tensors.count; i++) {
        hash_head(state, &files->tensors.items[i], names[i] ? names[i] : "");
        WEIR_TRY(hash_tensor(state, files, &files->tensors.items[i], hashes + i * DIGEST_BYTES,
                             callbacks, err));
    }
    qsort(hashes, files->tensors.count, DIGEST_BYTES, by_bytes);
    uint8_t all[DIGEST_BYTES];
    digest_update(state, hashes, files->tensors.count * DIGEST_BYTES);
    digest_finish(state, all);
    digest_format(out, all);
    return WEIR_OK;
}

/* The id exists once every file has its hash; the checkpoint lists files sorted by path. */
static weir_code make_id(weir_inspection *inspection, weir_error *err) {
    const checkpoint *files = model_checkpoint(inspection->model);
    for (size_t i = 0; i < files->file_count; i++) {
        if (!inspection->sha256[i][0]) {
            return WEIR_OK;
        }
    }
    WEIR_CLEANUP(digest_free) digest *state = NULL;
    WEIR_TRY(digest_new(&state, err));
    for (size_t i = 0; i < files->file_count; i++) {
        digest_update(state, files->files[i].path, strlen(files->files[i].path) + 1);
        digest_update(state, inspection->sha256[i], DIGEST_TEXT_BYTES - 1);
        digest_update(state, "\n", 1);
    }
    uint8_t hash[DIGEST_BYTES];
    digest_finish(state, hash);
    digest_format(inspection->id, hash);
    return WEIR_OK;
}

/* A file that cannot be read whole has no hash, and the model no id; the others have theirs. */
static weir_code settle_hash(weir_inspection *inspection, size_t index, weir_code code,
                             const weir_error *failure, weir_error *err) {
    if (code == WEIR_ERR_IO || code == WEIR_ERR_UNSUPPORTED) {
        findings_add(inspection->findings,
                     &(weir_finding){.id = "file-not-hashed",
                                     .severity = WEIR_SEVERITY_LOW,
                                     .file = model_checkpoint(inspection->model)->files[index].path,
                                     .at = failure->at},
                     "no SHA-256: %s", failure->found);
        return WEIR_OK;
    }
    if (code != WEIR_OK && err) {
        *err = *failure;
    }
    return code;
}

weir_code inspection_hash(weir_inspection *inspection, const char *path,
                          const weir_callbacks *callbacks, weir_error *err) {
    const checkpoint *files = model_checkpoint(inspection->model);
    for (size_t i = 0; i < files->file_count; i++) {
        if (!inspection->sha256[i][0] && files->files[i].raw_path) {
            weir_error own = {0};
            const weir_code code = hash_file(inspection, i, path, callbacks, &own);
            WEIR_TRY(settle_hash(inspection, i, code, &own, err));
        }
    }
    WEIR_TRY(model_payload_id(inspection->payload_id, inspection->model, callbacks, err));
    return make_id(inspection, err);
}

weir_code weir_inspect(weir_inspection **out, const char *path, const weir_inspect_options *options,
                       weir_error *err) {
    static const weir_inspect_options defaults = WEIR_INSPECT_OPTIONS_INIT;
    options = options ? options : &defaults;
    WEIR_CLEANUP(weir_inspection_free) weir_inspection *inspection = calloc(1, sizeof *inspection);
    if (!inspection) {
        return weir_fail_nomem(err);
    }
    const weir_model_options model_options = {.lenient = options->lenient, .name = options->name};
    WEIR_TRY(weir_findings_new(&inspection->findings, err));
    WEIR_TRY(weir_model_open(&inspection->model, path, &model_options, inspection->findings, err));
    const size_t file_count = model_checkpoint(inspection->model)->file_count;
    inspection->verdicts = calloc(file_count + 1, sizeof *inspection->verdicts);
    inspection->sha256 = calloc(file_count + 1, sizeof *inspection->sha256);
    if (!inspection->verdicts || !inspection->sha256) {
        return weir_fail_nomem(err);
    }
    WEIR_TRY(sum_tensors(inspection, err));
    WEIR_TRY(scan_templates(inspection, err));
    judge_files(inspection);
    if (options->digest) {
        WEIR_TRY(inspection_hash(inspection, path, options->callbacks, err));
    }
    if (findings_failed(inspection->findings)) {
        return weir_fail_nomem(err);
    }
    *out = WEIR_TAKE(inspection);
    return WEIR_OK;
}

void inspection_take_sha256(weir_inspection *inspection, size_t file_index, const char *sha256) {
    assert(file_index < model_checkpoint(inspection->model)->file_count);
    if (sha256[0]) {
        memcpy(inspection->sha256[file_index], sha256, DIGEST_TEXT_BYTES);
    }
}

weir_verdict weir_inspection_verdict(const weir_inspection *inspection) {
    return inspection->verdict;
}

bool weir_inspection_is_analysable(const weir_inspection *inspection) {
    const checkpoint *files = model_checkpoint(inspection->model);
    const bool has_content = files->is_folder ? files->tensors.count > 0
                                              : inspection->verdict != WEIR_VERDICT_NOT_ANALYSED;
    return inspection->verdict != WEIR_VERDICT_MALFORMED && has_content;
}

const weir_findings *weir_inspection_findings(const weir_inspection *inspection) {
    return inspection->findings;
}

const weir_model *weir_inspection_model(const weir_inspection *inspection) {
    return inspection->model;
}

void weir_inspection_free(weir_inspection *inspection) {
    if (!inspection) {
        return;
    }
    weir_model_free(inspection->model);
    weir_findings_free(inspection->findings);
    free(inspection->verdicts);
    free(inspection->sha256);
    free(inspection);
}
