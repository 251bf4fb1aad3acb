/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What differs beside the weights. Only kinds of files that both sides hold are compared; a GGUF
 * file against a folder compares what both state: the architecture's numbers, the templates, the
 * tokens. The rows are put in the order of their kinds, most worrying first.
 */
#include "delta/file_delta.h"

#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/checked.h"
#include "base/fail.h"
#include "base/text.h"
#include "delta/template_delta.h"

enum { SHOWN_BYTES = 120, LEAD_BYTES = 24, WHAT_BYTES = 320 };
static const char cut_mark[] = " ...";
static const char skip_mark[] = "... ";

const char *file_kind_name(file_kind kind) {
    switch (kind) {
    case FILE_KIND_SAFETY_COMPONENT:
        return "safety_component";
    case FILE_KIND_WATERMARK_COMPONENT:
        return "watermark_component";
    case FILE_KIND_CHAT_TEMPLATE_PLACES:
        return "chat_template_places";
    case FILE_KIND_CHAT_TEMPLATE:
        return "chat_template";
    case FILE_KIND_SYSTEM_PROMPT:
        return "system_prompt";
    case FILE_KIND_AUTO_MAP:
        return "auto_map";
    case FILE_KIND_CODE_FILE:
        return "code_file";
    case FILE_KIND_SPECIAL_TOKENS:
        return "special_tokens";
    case FILE_KIND_NORMALIZER:
        return "normalizer";
    case FILE_KIND_PRE_TOKENIZER:
        return "pre_tokenizer";
    case FILE_KIND_POST_PROCESSOR:
        return "post_processor";
    case FILE_KIND_DECODER:
        return "decoder";
    case FILE_KIND_TOKENS:
        return "tokens";
    case FILE_KIND_MERGES:
        return "merges";
    case FILE_KIND_TOKENIZER_SETTING:
        return "tokenizer_setting";
    case FILE_KIND_GENERATION:
        return "generation";
    case FILE_KIND_CONFIG:
        return "config";
    }
    return "config";
}

static const char *keep_text(weir_diff *diff, const char *text, size_t shown_bytes) {
    const size_t len = text ? strlen(text) : 0;
    char shown[WHAT_BYTES + sizeof cut_mark];
    text_escape(shown, shown_bytes, text ? text : "", len);
    if (len >= shown_bytes) {
        memcpy(shown + strlen(shown), cut_mark, sizeof cut_mark);
    }
    return arena_copy_text(&diff->memory, shown, strlen(shown));
}

/* How much of two long values is left out at their beginnings, so that the difference is shown. */
static size_t skipped_bytes(const char *base, const char *model) {
    size_t same = 0;
    while (base && model && base[same] && base[same] == model[same]) {
        same++;
    }
    if (same < SHOWN_BYTES - LEAD_BYTES) {
        return 0;
    }
    same -= LEAD_BYTES;
    while (same > 0 && ((unsigned char)base[same] & 0xC0u) == 0x80u) {
        same--; /* no character is split */
    }
    return same;
}

static const char *keep_value(weir_diff *diff, const char *text, size_t skipped) {
    if (skipped == 0) {
        return keep_text(diff, text, SHOWN_BYTES);
    }
    char tail[SHOWN_BYTES * 2];
    (void)snprintf(tail, sizeof tail, "%s%s", skip_mark, text + skipped);
    return keep_text(diff, tail, SHOWN_BYTES);
}

weir_code file_delta_add(weir_diff *diff, const file_delta *row, weir_error *err) {
    void *items = diff->files;
    if (!checked_grow(&items, &diff->file_capacity, diff->file_count, sizeof *diff->files)) {
        return weir_fail_nomem(err);
    }
    diff->files = items;
    file_delta kept = *row;
    kept.what = keep_text(diff, row->what, WHAT_BYTES);
    const size_t skipped = skipped_bytes(row->base, row->model);
    kept.base = keep_value(diff, row->base, skipped);
    kept.model = keep_value(diff, row->model, skipped);
    kept.file = keep_text(diff, row->file, WHAT_BYTES);
    if (!kept.what || !kept.base || !kept.model || !kept.file) {
        return weir_fail_nomem(err);
    }
    diff->files[diff->file_count++] = kept;
    return WEIR_OK;
}

/* Reading the file ended early: not only a part of it, as a template over the limit is. */
static bool ended_early(const weir_finding *finding) {
    static const char *const ids[] = {"over-limit", "file-unreadable", "unsupported"};
    for (size_t i = 0; i < sizeof ids / sizeof *ids; i++) {
        if (strcmp(finding->id, ids[i]) == 0) {
            return true;
        }
    }
    return finding->verdict == WEIR_VERDICT_MALFORMED;
}

bool file_side_is_broken(const file_side *side, const char *format) {
    for (size_t i = 0; i < weir_findings_count(side->findings); i++) {
        const weir_finding *finding = weir_findings_get(side->findings, i);
        if (!ended_early(finding) || strchr(finding->file, '/')) {
            continue;
        }
        for (size_t k = 0; k < side->files->file_count; k++) {
            if (strcmp(side->files->files[k].format, format) == 0 &&
                strcmp(side->files->files[k].path, finding->file) == 0) {
                return true;
            }
        }
    }
    return false;
}

/* The architecture's numbers, when the two sides state them in different kinds of files. */
static weir_code compare_shape(weir_diff *diff, weir_error *err) {
    const hyperparameters *base = &model_checkpoint(diff->base)->shape;
    const hyperparameters *model = &model_checkpoint(diff->model)->shape;
    const struct {
        const char *what;
        uint64_t base, model;
    } rows[] = {
        {"layers", base->layers, model->layers},
        {"hidden size", base->hidden, model->hidden},
        {"attention heads", base->heads, model->heads},
        {"key-value heads", base->kv_heads, model->kv_heads},
        {"feed-forward size", base->feed_forward, model->feed_forward},
        {"experts", base->experts, model->experts},
    };
    if (strcmp(weir_model_format(diff->base), weir_model_format(diff->model)) == 0) {
        return WEIR_OK; /* compare_settings saw them */
    }
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        if (rows[i].base && rows[i].model && rows[i].base != rows[i].model) {
            char was[24];
            char is[24];
            (void)snprintf(was, sizeof was, "%" PRIu64, rows[i].base);
            (void)snprintf(is, sizeof is, "%" PRIu64, rows[i].model);
            const file_delta row = {.change = WEIR_CHANGE_CONFIG,
                                    .kind = FILE_KIND_CONFIG,
                                    .grade = WEIR_GRADE_PROVED,
                                    .what = rows[i].what,
                                    .base = was,
                                    .model = is};
            WEIR_TRY(file_delta_add(diff, &row, err));
        }
    }
    return WEIR_OK;
}

static const checkpoint_template *find_template(const checkpoint *files, const char *name) {
    for (size_t i = 0; i < files->template_count; i++) {
        if (strcmp(files->templates[i].name, name) == 0) {
            return &files->templates[i];
        }
    }
    return NULL;
}

static bool is_same_template(const checkpoint_template *a, const checkpoint_template *b) {
    return a->len == b->len && memcmp(a->text, b->text, a->len) == 0;
}

static weir_code add_template(weir_diff *diff, const checkpoint_template *was,
                              const checkpoint_template *is, weir_error *err) {
    char what[64];
    template_delta *found = NULL;
    (void)snprintf(what, sizeof what, "chat template %.40s", is ? is->name : was->name);
    if (was && is) {
        found = arena_alloc(&diff->memory, 1, sizeof *found);
        if (!found) {
            return weir_fail_nomem(err);
        }
        WEIR_TRY(
            template_delta_find(found, &diff->memory, was->text, was->len, is->text, is->len, err));
    }
    const file_delta row = {.change = WEIR_CHANGE_TEMPLATE,
                            .kind = FILE_KIND_CHAT_TEMPLATE,
                            .grade = WEIR_GRADE_PROVED,
                            .what = what,
                            .base = was ? was->text : "",
                            .model = is ? is->text : "",
                            .file = is ? is->file : was->file,
                            .template = found};
    return file_delta_add(diff, &row, err);
}

static weir_code compare_templates(weir_diff *diff, weir_error *err) {
    const checkpoint *base = model_checkpoint(diff->base);
    const checkpoint *model = model_checkpoint(diff->model);
    for (size_t i = 0; i < model->template_count; i++) {
        const checkpoint_template *is = &model->templates[i];
        const checkpoint_template *was = find_template(base, is->name);
        if (find_template(model, is->name) != is) {
            continue; /* another place of the same name: template_places.c */
        }
        if (base->template_count > 0 && (!was || !is_same_template(was, is))) {
            WEIR_TRY(add_template(diff, was, is, err));
        }
    }
    for (size_t i = 0; i < base->template_count; i++) {
        const checkpoint_template *was = &base->templates[i];
        if (model->template_count > 0 && !find_template(model, was->name)) {
            WEIR_TRY(add_template(diff, was, NULL, err));
        }
    }
    return WEIR_OK;
}

static weir_code compare_all(const file_pair *pair, weir_error *err) {
    WEIR_TRY(compare_settings(pair, err));
    WEIR_TRY(compare_shape(pair->diff, err));
    WEIR_TRY(compare_templates(pair->diff, err));
    WEIR_TRY(compare_template_places(pair, err));
    WEIR_TRY(compare_tokenizers(pair, err));
    WEIR_TRY(compare_code(pair, err));
    return compare_components(pair, err);
}

/* In the order of kinds; within one, as they were found. */
static weir_code sort_rows(weir_diff *diff, weir_error *err) {
    WEIR_CLEANUP(free) file_delta *sorted = checked_alloc(diff->file_count, sizeof *sorted);
    if (!sorted) {
        return weir_fail_nomem(err);
    }
    size_t count = 0;
    for (int kind = 0; kind <= FILE_KIND_CONFIG; kind++) {
        for (size_t i = 0; i < diff->file_count; i++) {
            if ((int)diff->files[i].kind == kind) {
                sorted[count++] = diff->files[i];
            }
        }
    }
    if (count > 0) {
        memcpy(diff->files, sorted, count * sizeof *sorted);
    }
    return WEIR_OK;
}

weir_code diff_files(weir_diff *diff, const char *base_path, const char *model_path,
                     weir_error *err) {
    if (diff_is_adapter(diff->model)) {
        return WEIR_OK; /* an adapter's own files describe the adapter */
    }
    file_pair pair = {.diff = diff,
                      .base = {.files = model_checkpoint(diff->base),
                               .findings = diff->base_findings,
                               .directory = -1},
                      .model = {.files = model_checkpoint(diff->model),
                                .findings = diff->findings,
                                .directory = -1}};
    WEIR_CLEANUP(close) int base_folder = -1;
    WEIR_CLEANUP(close) int model_folder = -1;
    if (pair.base.files->is_folder && pair.model.files->is_folder) {
        base_folder = open(base_path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        model_folder = open(model_path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        pair.base.directory = base_folder;
        pair.model.directory = model_folder;
    }
    WEIR_TRY(compare_all(&pair, err));
    return sort_rows(diff, err);
}
