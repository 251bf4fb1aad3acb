/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Which files of a folder are its weights. transformers' order [1], then what else is common:
 *     model.safetensors
 *     the shards that one *.safetensors.index.json names
 *     adapter_model.safetensors beside an adapter_config.json
 *     all other *.safetensors, if no tensor stands in two of them
 *     the one GGUF model, split or whole; "mmproj*" belongs to another part of the program
 *     of a diffusers pipeline, those of its parts: pipeline.c
 * Several models in one folder are never chosen between. Weights that were not chosen, and all
 * weights below the top, are checked and then forgotten.
 *
 * [1] transformers, modeling_utils.py: SAFE_WEIGHTS_NAME before SAFE_WEIGHTS_INDEX_NAME.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/fail.h"
#include "base/limits.h"
#include "format/detect.h"
#include "format/gguf.h"
#include "format/loader.h"
#include "format/safetensors.h"

static bool is_format(const checkpoint_file *file, const char *format) {
    return strcmp(file->format, format) == 0;
}

bool weights_has_reader(const char *format) {
    return strcmp(format, "safetensors") == 0 || strcmp(format, "safetensors-index") == 0 ||
           strcmp(format, "gguf") == 0;
}

static bool is_at_top(const checkpoint_file *file) {
    return !strchr(file->path, '/');
}

/* The index of the file with this path, or the number of files. */
static size_t find_path(const checkpoint *model, const char *path) {
    size_t i = 0;
    while (i < model->file_count && strcmp(model->files[i].path, path) != 0) {
        i++;
    }
    return i;
}

/* Read the header of one weights file into `target`, the model itself or a scratch. */
static weir_code read_header(loader *state, checkpoint *target, size_t index, gguf_split *split,
                             weir_source *source, weir_error *err) {
    if (is_format(&state->model->files[index], "gguf")) {
        const part whole = {target, source, state->options, state->findings};
        return gguf_read(split, &whole, (uint32_t)index, err);
    }
    const safetensors_target into = {&target->tensors, &target->claims, state->findings,
                                     (uint32_t)index};
    return safetensors_read(&into, source, state->options->lenient, err);
}

static const char *malformed_id(const checkpoint_file *file) {
    return is_format(file, "gguf") ? "gguf-malformed" : "safetensors-malformed";
}

/* Take one file into the model, `source` included; *is_read tells whether its header was good. */
static weir_code keep_source(loader *state, size_t index, gguf_split *split, weir_source *source,
                             bool *is_read, weir_error *err) {
    WEIR_CLEANUP(weir_source_free) weir_source *owned = source;
    checkpoint *model = state->model;
    const size_t first_finding = weir_findings_count(state->findings);
    weir_error own = {0};
    model->files[index].bytes = weir_source_size(owned);
    state->files[index].is_tried = true;
    const weir_code code = read_header(state, model, index, split, owned, &own);
    *is_read = code == WEIR_OK;
    if (*is_read) {
        model->files[index].source = WEIR_TAKE(owned);
    }
    WEIR_TRY(loader_settle(state, index, malformed_id(&model->files[index]), code, &own, err));
    loader_judge(state, index, first_finding, *is_read);
    return WEIR_OK;
}

static weir_code keep_file(loader *state, size_t index, gguf_split *split, bool *is_read,
                           weir_error *err) {
    weir_source *source = NULL;
    weir_error own = {0};
    const size_t first_finding = weir_findings_count(state->findings);
    *is_read = false;
    state->files[index].is_tried = true;
    const weir_code code = loader_open(state, &source, index, &own);
    if (code != WEIR_OK) {
        WEIR_TRY(loader_settle(state, index, "file-unreadable", code, &own, err));
        loader_judge(state, index, first_finding, /* is_read= */ false);
        return WEIR_OK;
    }
    return keep_source(state, index, split, source, is_read, err);
}

weir_code weights_keep_file(loader *state, size_t index, weir_error *err) {
    bool is_read;
    return keep_file(state, index, NULL, &is_read, err);
}

/* Check one file that is not the model's, and forget all of it but its templates. */
static weir_code check_file(loader *state, size_t index, weir_error *err) {
    WEIR_CLEANUP(weir_source_free) weir_source *source = NULL;
    checkpoint scratch = {0};
    gguf_split split;
    weir_error own = {0};
    const size_t first_finding = weir_findings_count(state->findings);
    weir_code code = loader_open(state, &source, index, &own);
    if (code == WEIR_OK) {
        code = read_header(state, &scratch, index, &split, source, &own);
    }
    const weir_code moved = loader_take_scratch(state, &scratch, err);
    const char *id = malformed_id(&state->model->files[index]);
    WEIR_TRY(loader_settle(state, index, id, code, &own, err));
    if (is_at_top(&state->model->files[index])) {
        loader_report(state, index,
                      &(weir_finding){.id = "not-in-model", .severity = WEIR_SEVERITY_INFO},
                      "these weights are not part of the model that was read; name the file to "
                      "read it");
    }
    loader_judge(state, index, first_finding, code == WEIR_OK);
    return moved;
}

/* ---- an index and its shards ---- */

static int compare_entry_names(const void *a, const void *b) {
    const struct index_entry *left = a;
    const struct index_entry *right = b;
    return strcmp(left->tensor, right->tensor);
}

static int compare_tensor_names(const void *a, const void *b) {
    const stored_tensor *left = *(const stored_tensor *const *)a;
    const stored_tensor *right = *(const stored_tensor *const *)b;
    const int order = strcmp(left->name, right->name);
    return order != 0 ? order : (left->file > right->file) - (left->file < right->file);
}

/* Pointers to the tensors from `first` on, sorted by name; NULL without memory. Release with
 * free(). */
static const stored_tensor **sort_tensors(const tensor_table *table, size_t first) {
    const size_t count = table->count - first;
    const stored_tensor **sorted = calloc(count ? count : 1, sizeof *sorted);
    for (size_t i = 0; sorted && i < count; i++) {
        sorted[i] = &table->items[first + i];
    }
    if (sorted && count > 0) {
        qsort(sorted, count, sizeof *sorted, compare_tensor_names);
    }
    return sorted;
}

/* What an index and its shards say differently: how often, and the first time. */
typedef struct differences {
    size_t missing; /* listed, and in no shard */
    const char *first_missing;
    size_t elsewhere; /* listed, and in another shard than the listed one */
    const char *first_elsewhere;
    size_t unlisted; /* in a shard, and not listed */
    const char *first_unlisted;
} differences;

static void count_one(size_t *count, const char **first, const char *name) {
    if ((*count)++ == 0) {
        *first = name;
    }
}

/* Both lists are sorted by name; `shard_files` gives the file of each shard of the index. */
static differences compare_lists(const safetensors_index *index, const size_t *shard_files,
                                 const stored_tensor *const *tensors, size_t tensor_count) {
    differences found = {0};
    size_t t = 0;
    for (size_t e = 0; e < index->entry_count; e++) {
        const struct index_entry *entry = &index->entries[e];
        while (t < tensor_count && strcmp(tensors[t]->name, entry->tensor) < 0) {
            count_one(&found.unlisted, &found.first_unlisted, tensors[t++]->name);
        }
        bool is_there = false;
        bool is_anywhere = false;
        for (; t < tensor_count && strcmp(tensors[t]->name, entry->tensor) == 0; t++) {
            is_anywhere = true;
            is_there = is_there || tensors[t]->file == shard_files[entry->shard];
        }
        if (!is_anywhere) {
            count_one(&found.missing, &found.first_missing, entry->tensor);
        } else if (!is_there) {
            count_one(&found.elsewhere, &found.first_elsewhere, entry->tensor);
        }
    }
    while (t < tensor_count) {
        count_one(&found.unlisted, &found.first_unlisted, tensors[t++]->name);
    }
    return found;
}

static void report_difference(loader *state, size_t index, const weir_finding *what, size_t count,
                              const char *name, const char *text) {
    if (count > 0) {
        weir_finding placed = *what;
        const place at = at_tensor(name);
        placed.at = at.text;
        loader_report(state, index, &placed, "%zu of the tensors %s, this one first", count, text);
    }
}

static void report_differences(loader *state, size_t index, const differences *found,
                               bool all_shards_read) {
    if (all_shards_read) {
        report_difference(state, index,
                          &(weir_finding){.id = "index-tensor-missing",
                                          .severity = WEIR_SEVERITY_HIGH,
                                          .verdict = WEIR_VERDICT_MALFORMED},
                          found->missing, found->first_missing, "listed are in no shard");
    }
    report_difference(state, index,
                      &(weir_finding){.id = "index-wrong-shard",
                                      .severity = WEIR_SEVERITY_HIGH,
                                      .verdict = WEIR_VERDICT_MALFORMED},
                      found->elsewhere, found->first_elsewhere,
                      "listed are in another shard than the index says");
    report_difference(state, index,
                      &(weir_finding){.id = "index-tensor-unlisted",
                                      .severity = WEIR_SEVERITY_LOW,
                                      .verdict = WEIR_VERDICT_CLEAN},
                      found->unlisted, found->first_unlisted, "in the shards are not in the index");
}

/* @return whether a name stands in two files, which no reader can resolve. */
static bool report_twins(loader *state, size_t index, const stored_tensor *const *tensors,
                         size_t count) {
    size_t twins = 0;
    const char *first = NULL;
    for (size_t i = 1; i < count; i++) {
        if (strcmp(tensors[i - 1]->name, tensors[i]->name) == 0) {
            count_one(&twins, &first, tensors[i]->name);
        }
    }
    report_difference(state, index,
                      &(weir_finding){.id = "tensor-in-two-shards",
                                      .severity = WEIR_SEVERITY_HIGH,
                                      .verdict = WEIR_VERDICT_MALFORMED},
                      twins, first, "stand in two shards");
    return twins > 0;
}

static weir_code compare_with_index(loader *state, size_t index, safetensors_index *list,
                                    const size_t *shard_files, bool all_shards_read,
                                    weir_error *err) {
    const tensor_table *table = &state->model->tensors;
    WEIR_CLEANUP(free) const stored_tensor **sorted = sort_tensors(table, 0);
    if (!sorted) {
        return weir_fail_nomem(err);
    }
    if (list->entry_count > 0) {
        qsort(list->entries, list->entry_count, sizeof *list->entries, compare_entry_names);
    }
    const differences found = compare_lists(list, shard_files, sorted, table->count);
    report_differences(state, index, &found, all_shards_read);
    (void)report_twins(state, index, sorted, table->count);
    return WEIR_OK;
}

/* The path of a file that another one names: beside it. @return false when it is too long. */
static bool join_beside(char *out, size_t size, const char *path, const char *name) {
    const int folder_len = (int)(path_base(path) - path);
    const int len = snprintf(out, size, "%.*s%s", folder_len, path, name);
    return len > 0 && (size_t)len < size;
}

/* Find a file that another one names; of a checkpoint of one file, it is added if it exists. */
static weir_code find_beside(loader *state, size_t index, const char *name, size_t *out,
                             weir_error *err) {
    checkpoint *model = state->model;
    char path[256];
    *out = SIZE_MAX;
    if (!join_beside(path, sizeof path, model->files[index].path, name)) {
        return WEIR_OK;
    }
    const size_t known = find_path(model, path);
    if (known < model->file_count) {
        *out = state->files[known].raw_path ? known : SIZE_MAX;
        return WEIR_OK;
    }
    if (model->is_folder || state->directory < 0) {
        return WEIR_OK;
    }
    weir_source *probe = NULL;
    if (weir_source_open_file(&probe, state->directory, path, path, NULL) != WEIR_OK) {
        return WEIR_OK;
    }
    weir_source_free(probe);
    return loader_add_file(state, out, path, err);
}

static void report_missing(loader *state, size_t index, const char *id, const char *name) {
    const bool is_alone = state->directory < 0;
    char at[160];
    (void)snprintf(at, sizeof at, "file %s", name);
    loader_report(
        state, index,
        &(weir_finding){.id = id,
                        .severity = WEIR_SEVERITY_HIGH,
                        .verdict = is_alone ? WEIR_VERDICT_NOT_ANALYSED : WEIR_VERDICT_MALFORMED,
                        .at = at},
        is_alone ? "this file needs others, which were not given"
                 : "this file needs another one, which is not there");
}

/* Identify a file that was not listed before, as far as weights need it. */
static weir_code keep_shard(loader *state, size_t shard, const char *format, gguf_split *split,
                            bool *is_read, weir_error *err) {
    checkpoint_file *file = &state->model->files[shard];
    *is_read = false;
    if (is_format(file, "unknown") && !state->model->is_folder) {
        WEIR_CLEANUP(weir_source_free) weir_source *source = NULL;
        detection found = {.format = format};
        if (loader_open(state, &source, shard, NULL) == WEIR_OK) {
            WEIR_TRY(detect_format(&found, source, err));
        }
        file->format = found.format;
    }
    if (!is_format(file, format)) {
        loader_report(state, shard,
                      &(weir_finding){.id = "shard-of-another-format",
                                      .severity = WEIR_SEVERITY_HIGH,
                                      .verdict = WEIR_VERDICT_MALFORMED},
                      "this should be a part of a %s model, and is %s", format, file->format);
        file->verdict =
            file->verdict > WEIR_VERDICT_MALFORMED ? file->verdict : WEIR_VERDICT_MALFORMED;
        return WEIR_OK;
    }
    return file->source ? WEIR_OK : keep_file(state, shard, split, is_read, err);
}

static weir_code read_shards(loader *state, size_t index, safetensors_index *list,
                             weir_error *err) {
    WEIR_CLEANUP(free) size_t *files = calloc(list->shard_count + 1, sizeof *files);
    if (!files) {
        return weir_fail_nomem(err);
    }
    bool all_read = true;
    for (size_t i = 0; i < list->shard_count; i++) {
        bool is_read = false;
        WEIR_TRY(find_beside(state, index, list->shards[i], &files[i], err));
        if (files[i] == SIZE_MAX) {
            report_missing(state, index, "index-shard-missing", list->shards[i]);
        } else {
            WEIR_TRY(keep_shard(state, files[i], "safetensors", NULL, &is_read, err));
        }
        all_read = all_read && is_read;
    }
    return compare_with_index(state, index, list, files, all_read, err);
}

/* Read an index; its shards too, unless it is only checked. */
static weir_code read_index(loader *state, size_t index, weir_source *source, bool with_shards,
                            weir_error *err) {
    safetensors_index list = {0};
    weir_error own = {0};
    state->files[index].is_tried = true;
    const size_t first_finding = weir_findings_count(state->findings);
    const weir_code code = safetensors_index_read(&list, source, state->findings, &own);
    weir_code result = loader_settle(state, index, "safetensors-index-malformed", code, &own, err);
    if (result == WEIR_OK && code == WEIR_OK && with_shards) {
        result = read_shards(state, index, &list, err);
    }
    safetensors_index_release(&list);
    loader_judge(state, index, first_finding, code == WEIR_OK);
    return result;
}

static weir_code open_index(loader *state, size_t index, bool with_shards, weir_error *err) {
    WEIR_CLEANUP(weir_source_free) weir_source *source = NULL;
    weir_error own = {0};
    const weir_code code = loader_open(state, &source, index, &own);
    if (code != WEIR_OK) {
        return loader_settle(state, index, "file-unreadable", code, &own, err);
    }
    return read_index(state, index, source, with_shards, err);
}

/* ---- GGUF and its parts ---- */

static void report_split(loader *state, size_t index, const char *id, const char *text) {
    loader_report(state, index,
                  &(weir_finding){
                      .id = id, .severity = WEIR_SEVERITY_HIGH, .verdict = WEIR_VERDICT_MALFORMED},
                  "%s", text);
}

/* Read part 0, which holds the metadata, then the others; `index` is any of them. */
static weir_code read_parts(loader *state, size_t index, const gguf_split_name *name,
                            weir_error *err) {
    const char *path = state->model->files[index].path;
    const size_t first_finding = weir_findings_count(state->findings);
    gguf_split first = {0};
    const uint32_t count = name->count < SHARD_COUNT_MAX ? name->count : SHARD_COUNT_MAX;
    bool all_read = name->count <= SHARD_COUNT_MAX;
    for (uint32_t i = 0; i < count; i++) {
        char part_path[256];
        size_t file = SIZE_MAX;
        bool is_read = false;
        if (gguf_split_name_format(part_path, sizeof part_path, path, name->prefix_len, i,
                                   name->count)) {
            WEIR_TRY(find_beside(state, index, path_base(part_path), &file, err));
        }
        if (file == SIZE_MAX) {
            report_missing(state, index, "split-part-missing", path_base(part_path));
        } else {
            gguf_split split = {0};
            WEIR_TRY(keep_shard(state, file, "gguf", &split, &is_read, err));
            first = i == 0 ? split : first;
        }
        all_read = all_read && is_read;
    }
    if (all_read && first.count != name->count) {
        report_split(state, index, "split-count",
                     "the metadata of the first part states another number of parts than its name");
    } else if (all_read && first.tensors != 0 && first.tensors != state->model->tensors.count) {
        report_split(state, index, "split-tensors",
                     "the parts hold another number of tensors than the first one states");
    }
    loader_judge(state, index, first_finding, /* is_read= */ false);
    return WEIR_OK;
}

/* One GGUF that is no part by its name. */
static weir_code read_whole_gguf(loader *state, size_t index, weir_source *source,
                                 weir_error *err) {
    bool is_read;
    gguf_split split = {0};
    WEIR_TRY(source ? keep_source(state, index, &split, source, &is_read, err)
                    : keep_file(state, index, &split, &is_read, err));
    if (split.count > 1) {
        const size_t first_finding = weir_findings_count(state->findings);
        report_split(state, index, "split-part-missing",
                     "this is a part of a split model, and its name does not tell the other parts");
        loader_judge(state, index, first_finding, /* is_read= */ false);
    }
    return WEIR_OK;
}

static weir_code read_gguf(loader *state, size_t index, weir_error *err) {
    gguf_split_name name;
    return gguf_split_name_parse(&name, state->model->files[index].path)
               ? read_parts(state, index, &name, err)
               : read_whole_gguf(state, index, NULL, err);
}

/* ---- the choice ---- */

static void name_format(checkpoint *model) {
    bool has_safetensors = false;
    bool has_gguf = false;
    for (size_t i = 0; i < model->file_count; i++) {
        const bool is_kept = model->files[i].source != NULL;
        has_gguf = has_gguf || (is_kept && is_format(&model->files[i], "gguf"));
        has_safetensors =
            has_safetensors || (is_kept && is_format(&model->files[i], "safetensors"));
    }
    model->format = has_safetensors && has_gguf ? "mixed"
                    : has_safetensors           ? "safetensors"
                    : has_gguf                  ? "gguf"
                                                : "none";
}

weir_code weights_read_file(loader *state, weir_source *source, weir_error *err) {
    WEIR_CLEANUP(weir_source_free) weir_source *owned = source;
    checkpoint *model = state->model;
    gguf_split_name name;
    if (is_format(&model->files[0], "safetensors-index")) {
        WEIR_TRY(read_index(state, 0, owned, /* with_shards= */ true, err));
    } else if (is_format(&model->files[0], "safetensors")) {
        bool is_read;
        WEIR_TRY(keep_source(state, 0, NULL, WEIR_TAKE(owned), &is_read, err));
    } else if (state->directory >= 0 && gguf_split_name_parse(&name, model->files[0].path)) {
        WEIR_TRY(read_parts(state, 0, &name, err));
    } else {
        WEIR_TRY(read_whole_gguf(state, 0, WEIR_TAKE(owned), err));
    }
    name_format(model);
    return WEIR_OK;
}

/* Candidates at the top of a folder. SIZE_MAX: none. */
typedef struct candidates {
    size_t single; /* model.safetensors */
    size_t index;  /* the index that counts */
    size_t index_count;
    size_t adapter; /* adapter_model.safetensors of an adapter */
    size_t safetensors_count;
    size_t gguf;        /* the first file of the first GGUF model */
    size_t gguf_models; /* a split counts once */
} candidates;

static bool is_same_split(const char *a, const char *b) {
    gguf_split_name left;
    gguf_split_name right;
    return gguf_split_name_parse(&left, a) && gguf_split_name_parse(&right, b) &&
           left.count == right.count && left.prefix_len == right.prefix_len &&
           memcmp(a, b, left.prefix_len) == 0;
}

static void add_gguf(candidates *found, const checkpoint *model, size_t i) {
    if (strncmp(model->files[i].path, "mmproj", 6) == 0) {
        return;
    }
    if (found->gguf_models == 0) {
        found->gguf = i;
    }
    if (found->gguf_models != 1 ||
        !is_same_split(model->files[found->gguf].path, model->files[i].path)) {
        found->gguf_models++;
    }
}

static candidates find_candidates(const checkpoint *model) {
    candidates found = {
        .single = SIZE_MAX, .index = SIZE_MAX, .adapter = SIZE_MAX, .gguf = SIZE_MAX};
    for (size_t i = 0; i < model->file_count; i++) {
        const checkpoint_file *file = &model->files[i];
        if (!is_at_top(file)) {
            continue;
        }
        if (is_format(file, "safetensors-index")) {
            const bool is_main = strcmp(file->path, "model.safetensors.index.json") == 0;
            found.index = found.index == SIZE_MAX || is_main ? i : found.index;
            found.index_count++;
        } else if (is_format(file, "safetensors")) {
            found.safetensors_count++;
            found.single = strcmp(file->path, "model.safetensors") == 0 ? i : found.single;
            found.adapter =
                strcmp(file->path, "adapter_model.safetensors") == 0 ? i : found.adapter;
        } else if (is_format(file, "gguf")) {
            add_gguf(&found, model, i);
        }
    }
    return found;
}

static void report_several(loader *state, size_t index, const char *what) {
    loader_report(state, index,
                  &(weir_finding){.id = "several-models",
                                  .severity = WEIR_SEVERITY_MEDIUM,
                                  .verdict = WEIR_VERDICT_CLEAN},
                  "the folder holds %s; name one file to have it analysed", what);
}

static void forget_weights(checkpoint *model) {
    tensor_table_release(&model->tensors);
    for (size_t i = 0; i < model->file_count; i++) {
        weir_source_free(model->files[i].source);
        model->files[i].source = NULL;
    }
}

/* Every safetensors at the top; if they are rivals, none. */
static weir_code read_all_safetensors(loader *state, weir_error *err) {
    checkpoint *model = state->model;
    size_t first = SIZE_MAX;
    for (size_t i = 0; i < model->file_count; i++) {
        if (is_at_top(&model->files[i]) && is_format(&model->files[i], "safetensors")) {
            bool is_read;
            first = first == SIZE_MAX ? i : first;
            WEIR_TRY(keep_file(state, i, NULL, &is_read, err));
        }
    }
    WEIR_CLEANUP(free) const stored_tensor **sorted = sort_tensors(&model->tensors, 0);
    if (!sorted) {
        return weir_fail_nomem(err);
    }
    bool are_rivals = false;
    for (size_t i = 1; i < model->tensors.count; i++) {
        are_rivals = are_rivals || strcmp(sorted[i - 1]->name, sorted[i]->name) == 0;
    }
    if (are_rivals) {
        report_several(state, first, "several safetensors files with the same tensors");
        forget_weights(model);
    }
    return WEIR_OK;
}

static weir_code read_chosen(loader *state, const candidates *found, weir_error *err) {
    bool is_read;
    if (found->single != SIZE_MAX) {
        return keep_file(state, found->single, NULL, &is_read, err);
    }
    if (found->index_count > 1 &&
        strcmp(state->model->files[found->index].path, "model.safetensors.index.json") != 0) {
        report_several(state, found->index, "several indexes of shards");
        return WEIR_OK;
    }
    if (found->index != SIZE_MAX) {
        return open_index(state, found->index, /* with_shards= */ true, err);
    }
    if (found->adapter != SIZE_MAX && state->model->adapter.present) {
        return keep_file(state, found->adapter, NULL, &is_read, err);
    }
    if (found->safetensors_count > 0) {
        return read_all_safetensors(state, err);
    }
    if (found->gguf_models > 1) {
        report_several(state, found->gguf, "several GGUF models");
        return WEIR_OK;
    }
    return found->gguf_models == 1 ? read_gguf(state, found->gguf, err) : WEIR_OK;
}

static bool has_pipeline(const checkpoint *model) {
    for (size_t i = 0; i < model->file_count; i++) {
        if (is_format(&model->files[i], "model_index") && is_at_top(&model->files[i])) {
            return true;
        }
    }
    return false;
}

/* Two shards of one part may hold one name, which no reader can resolve. */
static weir_code read_pipeline(loader *state, weir_error *err) {
    checkpoint *model = state->model;
    WEIR_TRY(pipeline_read(state, err));
    WEIR_CLEANUP(free) const stored_tensor **sorted = sort_tensors(&model->tensors, 0);
    if (!sorted) {
        return weir_fail_nomem(err);
    }
    for (size_t i = 1; i < model->tensors.count; i++) {
        if (strcmp(sorted[i - 1]->name, sorted[i]->name) == 0) {
            (void)report_twins(state, sorted[i]->file, sorted, model->tensors.count);
            break;
        }
    }
    return WEIR_OK;
}

weir_code weights_read_folder(loader *state, weir_error *err) {
    checkpoint *model = state->model;
    const candidates found = find_candidates(model);
    WEIR_TRY(read_chosen(state, &found, err));
    if (model->tensors.count == 0 && has_pipeline(model)) {
        WEIR_TRY(read_pipeline(state, err));
    }
    for (size_t i = 0; i < model->file_count; i++) {
        const checkpoint_file *file = &model->files[i];
        if (state->files[i].is_tried || !state->files[i].raw_path ||
            !weights_has_reader(file->format)) {
            continue;
        }
        WEIR_TRY(is_format(file, "safetensors-index")
                     ? open_index(state, i, /* with_shards= */ false, err)
                     : check_file(state, i, err));
    }
    name_format(model);
    return WEIR_OK;
}
