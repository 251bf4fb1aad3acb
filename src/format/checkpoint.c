/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A folder is read in two passes: first every file is identified and the small parts are read, in
 * the order of their names; then the weights are chosen among what was found. Files below the top
 * are checked by the same readers, but only their templates count: their claims are about something
 * else.
 */
#include "format/checkpoint.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/checked.h"
#include "base/fail.h"
#include "base/text.h"
#include "format/detect.h"
#include "format/loader.h"
#include "io/folder.h"

enum {
    PATH_SHOWN_BYTES_MAX = 256
}; /* what weir_error can hold, so that findings find their file */

typedef weir_code (*part_reader)(const part *in, weir_error *err);

typedef struct part_row {
    const char *format;
    part_reader read;
    const char *malformed; /* id of the finding when it fails */
    bool is_half;          /* of a tokenizer that tokenizer.json holds whole */
} part_row;

static const part_row part_rows[] = {
    {"config", config_read, "config-malformed", false},
    {"generation_config", generation_config_read, "generation-config-malformed", false},
    {"preprocessor_config", preprocessor_config_read, "preprocessor-config-malformed", false},
    {"quantize_config", quantize_config_read, "quantize-config-malformed", false},
    {"model_index", model_index_read, "pipeline-malformed", false},
    {"modelfile", modelfile_read, "modelfile-malformed", false},
    {"special_tokens", special_tokens_read, "special-tokens-malformed", false},
    {"trainer_state", trainer_state_read, "trainer-state-malformed", false},
    {"adapter_config", adapter_read, "adapter-config-malformed", false},
    {"card", card_read, "card-malformed", false},
    {"mergekit_config", mergekit_read, "mergekit-config-malformed", false},
    {"tokenizer_config", tokenizer_config_read, "tokenizer-config-malformed", false},
    {"chat_template", chat_template_read, "chat-template-malformed", false},
    {"tokenizer", tokenizer_read, "tokenizer-malformed", false},
    {"vocabulary", vocabulary_json_read, "vocabulary-malformed", true},
    {"added_tokens", vocabulary_json_read, "vocabulary-malformed", true},
    {"vocabulary-list", vocabulary_list_read, "vocabulary-malformed", true},
    {"merges", merges_read, "merges-malformed", true},
};

static const part_row *find_part(const char *format) {
    for (size_t i = 0; i < sizeof part_rows / sizeof *part_rows; i++) {
        if (strcmp(part_rows[i].format, format) == 0) {
            return &part_rows[i];
        }
    }
    return NULL;
}

static bool grow_files(loader *state) {
    checkpoint *model = state->model;
    size_t capacity = state->capacity;
    void *files = model->files;
    if (!checked_grow(&files, &capacity, model->file_count, sizeof *model->files)) {
        return false;
    }
    model->files = files;
    capacity = state->capacity;
    void *own = state->files;
    if (!checked_grow(&own, &capacity, model->file_count, sizeof *state->files)) {
        return false;
    }
    state->files = own;
    state->capacity = capacity;
    return true;
}

weir_code loader_add_file(loader *state, size_t *index, const char *raw_path, weir_error *err) {
    checkpoint *model = state->model;
    char shown[PATH_SHOWN_BYTES_MAX];
    text_escape(shown, sizeof shown, raw_path, strlen(raw_path));
    const char *path = arena_copy_text(&model->memory, shown, strlen(shown));
    const char *raw = arena_copy_text(&model->memory, raw_path, strlen(raw_path));
    if (!path || !raw || !grow_files(state)) {
        return weir_fail_nomem(err);
    }
    if (index) {
        *index = model->file_count;
    }
    state->files[model->file_count] = (loader_file){.raw_path = raw};
    model->files[model->file_count++] = (checkpoint_file){
        .path = path, .raw_path = raw, .format = "unknown", .verdict = WEIR_VERDICT_NOT_ANALYSED};
    return WEIR_OK;
}

weir_code loader_open(const loader *state, weir_source **out, size_t index, weir_error *err) {
    return weir_source_open_file(out, state->directory, state->files[index].raw_path,
                                 state->model->files[index].path, err);
}

void loader_report(loader *state, size_t index, const weir_finding *what, const char *message,
                   ...) {
    char text[512];
    va_list args;
    va_start(args, message);
    (void)vsnprintf(text, sizeof text, message, args);
    va_end(args);
    weir_finding placed = *what;
    placed.file = state->model->files[index].path;
    findings_add(state->findings, &placed, "%s", text);
}

weir_code loader_settle(loader *state, size_t index, const char *id, weir_code code,
                        const weir_error *failure, weir_error *err) {
    if (code == WEIR_OK) {
        return WEIR_OK;
    }
    if (code == WEIR_ERR_NOMEM || code == WEIR_ERR_CANCELLED) {
        if (err) {
            *err = *failure;
        }
        return code;
    }
    weir_error placed = *failure;
    (void)snprintf(placed.file, sizeof placed.file, "%s", state->model->files[index].path);
    const char *plain = code == WEIR_ERR_IO      ? "file-unreadable"
                        : code == WEIR_ERR_LIMIT ? "over-limit"
                                                 : "unsupported";
    findings_add_error(state->findings, code == WEIR_ERR_FORMAT ? id : plain, &placed);
    return WEIR_OK;
}

void loader_judge(loader *state, size_t index, size_t first_finding, bool is_read) {
    checkpoint_file *file = &state->model->files[index];
    if (is_read && file->verdict == WEIR_VERDICT_NOT_ANALYSED) {
        file->verdict = WEIR_VERDICT_CLEAN;
    }
    for (size_t i = first_finding; i < weir_findings_count(state->findings); i++) {
        const weir_finding *finding = weir_findings_get(state->findings, i);
        if (finding->verdict > file->verdict && strcmp(finding->file, file->path) == 0) {
            file->verdict = finding->verdict;
        }
    }
}

static void release_contents(checkpoint *model) {
    for (size_t i = 0; i < model->file_count; i++) {
        weir_source_free(model->files[i].source);
    }
    free(model->files);
    tensor_table_release(&model->tensors);
    claims_release(&model->claims);
    arena_release(&model->memory);
}

weir_code loader_take_scratch(loader *state, checkpoint *scratch, weir_error *err) {
    weir_code code = WEIR_OK;
    for (size_t i = 0; code == WEIR_OK && i < scratch->template_count; i++) {
        const checkpoint_template *from = &scratch->templates[i];
        code = checkpoint_keep_template(state->model, from, state->findings, err);
    }
    release_contents(scratch);
    *scratch = (checkpoint){0};
    return code;
}

static bool is_at_top(const char *path) {
    return !strchr(path, '/');
}

static bool has_whole_tokenizer(const checkpoint *model) {
    for (size_t i = 0; i < model->file_count; i++) {
        if (strcmp(model->files[i].path, "tokenizer.json") == 0) {
            return true;
        }
    }
    return false;
}

/* What the name and the content say when they are put side by side. */
static void report_detection(loader *state, size_t index, const detection *found) {
    if (found->is_program) {
        loader_report(state, index,
                      &(weir_finding){.id = "program-in-model",
                                      .severity = WEIR_SEVERITY_HIGH,
                                      .verdict = WEIR_VERDICT_SUSPICIOUS},
                      "this is machine code (%s), which no model needs", found->format);
    }
    if (found->pretends) {
        loader_report(state, index,
                      &(weir_finding){.id = "name-hides-content",
                                      .severity = WEIR_SEVERITY_HIGH,
                                      .verdict = WEIR_VERDICT_SUSPICIOUS},
                      "the name says %s, the content is %s", found->pretends, found->format);
    }
    if (strcmp(found->format, "git-lfs-pointer") == 0) {
        loader_report(state, index,
                      &(weir_finding){.id = "lfs-pointer",
                                      .severity = WEIR_SEVERITY_INFO,
                                      .verdict = WEIR_VERDICT_NOT_ANALYSED},
                      "this is a Git LFS pointer in place of the file itself; \"git lfs pull\" "
                      "fetches the file");
    }
}

/* Read one part; below the top, and beside a whole tokenizer.json, only its templates are kept. */
static weir_code read_part(loader *state, size_t index, const part_row *row, weir_source *source,
                           weir_error *err) {
    const checkpoint *model = state->model;
    const bool is_only_checked = model->is_folder && (!is_at_top(model->files[index].path) ||
                                                      (row->is_half && has_whole_tokenizer(model)));
    checkpoint scratch = {0};
    const part in = {.model = is_only_checked ? &scratch : state->model,
                     .source = source,
                     .options = state->options,
                     .findings = state->findings};
    const size_t first_finding = weir_findings_count(state->findings);
    weir_error own = {0};
    const weir_code code = row->read(&in, &own);
    const weir_code moved = loader_take_scratch(state, &scratch, err);
    WEIR_TRY(loader_settle(state, index, row->malformed, code, &own, err));
    loader_judge(state, index, first_finding, code == WEIR_OK);
    return moved;
}

/* Identify one open source, and read it if it is a part. Weights are left for weights.c. */
static weir_code take_source(loader *state, size_t index, weir_source *source, weir_error *err) {
    checkpoint_file *file = &state->model->files[index];
    const size_t first_finding = weir_findings_count(state->findings);
    file->bytes = weir_source_size(source);
    detection found = {.format = file->format};
    weir_error own = {0};
    const weir_code code = detect_format(&found, source, &own);
    WEIR_TRY(loader_settle(state, index, "file-unreadable", code, &own, err));
    file->format = found.format;
    if (code == WEIR_OK) {
        report_detection(state, index, &found);
    }
    loader_judge(state, index, first_finding, /* is_read= */ false);
    const part_row *row = find_part(file->format);
    return row ? read_part(state, index, row, source, err) : WEIR_OK;
}

static weir_code take_path(loader *state, size_t index, weir_error *err) {
    WEIR_CLEANUP(weir_source_free) weir_source *source = NULL;
    weir_error own = {0};
    const size_t first_finding = weir_findings_count(state->findings);
    const weir_code code = loader_open(state, &source, index, &own);
    if (code != WEIR_OK) {
        WEIR_TRY(loader_settle(state, index, "file-unreadable", code, &own, err));
        loader_judge(state, index, first_finding, /* is_read= */ false);
        return WEIR_OK;
    }
    return take_source(state, index, source, err);
}

static weir_code add_entry(loader *state, const folder_entry *entry, weir_error *err) {
    size_t index;
    WEIR_TRY(loader_add_file(state, &index, entry->path, err));
    checkpoint_file *file = &state->model->files[index];
    file->bytes = entry->bytes;
    char shown[2 * PATH_SHOWN_BYTES_MAX];
    text_escape(shown, sizeof shown, entry->path, strlen(entry->path));
    const bool is_long = strlen(shown) >= PATH_SHOWN_BYTES_MAX - 1;
    const char *problem = is_long ? "a path longer than 254 printable bytes" : entry->problem;
    if (!problem) {
        return WEIR_OK;
    }
    state->files[index].raw_path = NULL;
    file->raw_path = NULL;
    file->format = "not-a-file";
    loader_report(state, index,
                  &(weir_finding){.id = "not-opened",
                                  .severity = WEIR_SEVERITY_LOW,
                                  .verdict = WEIR_VERDICT_NOT_ANALYSED},
                  "%s: listed, not opened", problem);
    return WEIR_OK;
}

static weir_code read_folder(loader *state, weir_error *err) {
    WEIR_CLEANUP(folder_release) folder list = {0};
    WEIR_TRY(folder_list(&list, state->directory, state->model->name, err));
    for (size_t i = 0; i < list.count; i++) {
        WEIR_TRY(add_entry(state, &list.items[i], err));
    }
    for (size_t i = 0; i < list.count; i++) {
        if (state->files[i].raw_path) {
            WEIR_TRY(take_path(state, i, err));
        }
    }
    return weights_read_folder(state, err);
}

/* One file: `source` is the checkpoint's from here on if it keeps it, else it is closed. */
static weir_code read_file(loader *state, weir_source *source, weir_error *err) {
    WEIR_CLEANUP(weir_source_free) weir_source *owned = source;
    WEIR_TRY(take_source(state, 0, owned, err));
    if (!weights_has_reader(state->model->files[0].format)) {
        return WEIR_OK;
    }
    return weights_read_file(state, WEIR_TAKE(owned), err);
}

static weir_code new_checkpoint(checkpoint **out, const char *name, weir_error *err) {
    WEIR_CLEANUP(checkpoint_free) checkpoint *model = calloc(1, sizeof *model);
    if (!model) {
        return weir_fail_nomem(err);
    }
    char shown[PATH_SHOWN_BYTES_MAX];
    text_escape(shown, sizeof shown, name, strlen(name));
    model->name = arena_copy_text(&model->memory, shown, strlen(shown));
    if (!model->name) {
        return weir_fail_nomem(err);
    }
    model->format = "none";
    *out = WEIR_TAKE(model);
    return WEIR_OK;
}

static void loader_release_cleanup(loader *state) {
    free(state->files);
}

static const checkpoint_options default_options = {.lenient = false};

static weir_code open_folder(checkpoint **out, int directory, const char *name,
                             const checkpoint_options *options, weir_findings *findings,
                             weir_error *err) {
    WEIR_CLEANUP(checkpoint_free) checkpoint *model = NULL;
    WEIR_TRY(new_checkpoint(&model, name, err));
    model->is_folder = true;
    WEIR_CLEANUP(loader_release)
    loader state = {.model = model,
                    .options = options ? options : &default_options,
                    .findings = findings,
                    .directory = directory};
    WEIR_TRY(read_folder(&state, err));
    *out = WEIR_TAKE(model);
    return WEIR_OK;
}

/* `source` is freed on failure too. */
static weir_code open_one(checkpoint **out, loader *state, weir_source *source, const char *name,
                          weir_error *err) {
    WEIR_CLEANUP(weir_source_free) weir_source *owned = source;
    WEIR_CLEANUP(checkpoint_free) checkpoint *model = NULL;
    WEIR_TRY(new_checkpoint(&model, path_base(name), err));
    state->model = model;
    WEIR_TRY(loader_add_file(state, NULL, name, err));
    WEIR_TRY(read_file(state, WEIR_TAKE(owned), err));
    *out = WEIR_TAKE(model);
    return WEIR_OK;
}

weir_code checkpoint_open_source(checkpoint **out, weir_source *source,
                                 const checkpoint_options *options, weir_findings *findings,
                                 weir_error *err) {
    WEIR_CLEANUP(loader_release)
    loader state = {
        .options = options ? options : &default_options, .findings = findings, .directory = -1};
    return open_one(out, &state, source, weir_source_name(source), err);
}

/* The folder and the last component of a path to a file. */
static weir_code open_parent(int *out, const char *path, weir_error *err) {
    char parent[PATH_MAX];
    const char *base = path_base(path);
    const size_t len = (size_t)(base - path);
    if (len >= sizeof parent) {
        return weir_fail(err, WEIR_ERR_IO, base, NULL, NULL, "%s", strerror(ENAMETOOLONG));
    }
    memcpy(parent, path, len);
    parent[len] = '\0';
    *out = open(len > 0 ? parent : ".", O_PATH | O_DIRECTORY | O_CLOEXEC);
    return *out >= 0 ? WEIR_OK
                     : weir_fail(err, WEIR_ERR_IO, base, NULL, NULL, "%s", strerror(errno));
}

static weir_code open_file(checkpoint **out, const char *path, const checkpoint_options *options,
                           weir_findings *findings, weir_error *err) {
    WEIR_CLEANUP(close) int parent = -1;
    WEIR_TRY(open_parent(&parent, path, err));
    char shown[PATH_SHOWN_BYTES_MAX];
    text_escape(shown, sizeof shown, path_base(path), strlen(path_base(path)));
    weir_source *source = NULL;
    WEIR_TRY(weir_source_open_file(&source, parent, path_base(path), shown, err));
    WEIR_CLEANUP(loader_release)
    loader state = {
        .options = options ? options : &default_options, .findings = findings, .directory = parent};
    return open_one(out, &state, source, path_base(path), err);
}

/* The last component; "." and ".." are resolved, because a model called "." helps nobody. */
static void name_folder(char *out, size_t size, const char *path) {
    char plain[PATH_MAX];
    (void)snprintf(plain, sizeof plain, "%s", path);
    size_t len = strlen(plain);
    while (len > 1 && plain[len - 1] == '/') {
        plain[--len] = '\0';
    }
    const char *base = path_base(plain);
    char resolved[PATH_MAX];
    const bool is_dots = !strcmp(base, ".") || !strcmp(base, "..") || base[0] == '\0';
    if (is_dots && realpath(plain, resolved)) {
        base = path_base(resolved);
    }
    (void)snprintf(out, size, "%s", base[0] ? base : "/");
}

weir_code checkpoint_open(checkpoint **out, const char *path, const checkpoint_options *options,
                          weir_findings *findings, weir_error *err) {
    struct stat info;
    char name[PATH_MAX];
    if (!path[0]) {
        return weir_fail(err, WEIR_ERR_IO, NULL, NULL, "a file or a folder", "an empty path");
    }
    name_folder(name, sizeof name, path);
    if (stat(path, &info) != 0) {
        return weir_fail(err, WEIR_ERR_IO, name, NULL, "a file or a folder", "%s", strerror(errno));
    }
    if (!S_ISDIR(info.st_mode)) {
        return open_file(out, path, options, findings, err);
    }
    WEIR_CLEANUP(close) int directory = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (directory < 0) {
        return weir_fail(err, WEIR_ERR_IO, name, NULL, "a readable folder", "%s", strerror(errno));
    }
    return open_folder(out, directory, name, options, findings, err);
}

void checkpoint_free(checkpoint *model) {
    if (!model) {
        return;
    }
    release_contents(model);
    free(model);
}
