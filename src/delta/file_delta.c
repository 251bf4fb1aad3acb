/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What differs beside the weights: configuration, generation settings, chat templates, token
 * strings, code. Claims are compared by name, so only kinds of files that both sides hold are
 * compared; a GGUF file against a folder compares what both state: the architecture's numbers, the
 * templates, the tokens.
 */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/checked.h"
#include "base/fail.h"
#include "base/text.h"
#include "delta/diff.h"
#include "format/name_set.h"

enum { SHOWN_BYTES = 80, LISTED_TOKENS = 8 };
static const char cut_mark[] = " ...";

static const char *keep_text(weir_diff *diff, const char *text) {
    const size_t len = text ? strlen(text) : 0;
    char shown[SHOWN_BYTES + sizeof cut_mark];
    text_escape(shown, SHOWN_BYTES, text ? text : "", len);
    if (len >= SHOWN_BYTES) {
        memcpy(shown + strlen(shown), cut_mark, sizeof cut_mark);
    }
    return arena_copy_text(&diff->memory, shown, strlen(shown));
}

static weir_code add_file_delta(weir_diff *diff, weir_change_class change, const char *what,
                                const char *base, const char *model, weir_error *err) {
    void *items = diff->files;
    if (!checked_grow(&items, &diff->file_capacity, diff->file_count, sizeof *diff->files)) {
        return weir_fail_nomem(err);
    }
    diff->files = items;
    const file_delta row = {.change = change,
                            .what = keep_text(diff, what),
                            .base = keep_text(diff, base),
                            .model = keep_text(diff, model)};
    if (!row.what || !row.base || !row.model) {
        return weir_fail_nomem(err);
    }
    diff->files[diff->file_count++] = row;
    return WEIR_OK;
}

static bool has_prefix(const char *text, const char *prefix) {
    return strncmp(text, prefix, strlen(prefix)) == 0;
}

static bool has_claims(const claims *list, const char *prefix) {
    for (size_t i = 0; i < list->count; i++) {
        if (has_prefix(list->items[i].name, prefix)) {
            return true;
        }
    }
    return false;
}

/* Settings that say how a file was written, not how the model behaves. */
static bool is_bookkeeping(const char *name) {
    static const char *const names[] = {"config.transformers_version",
                                        "config._name_or_path",
                                        "generation_config.transformers_version",
                                        "config.torch_dtype",
                                        "config.dtype",
                                        "gguf.general.name",
                                        "gguf.general.file_type",
                                        "gguf.general.quantization_version",
                                        "gguf.general.basename",
                                        "gguf.general.finetune",
                                        "gguf.general.size_label",
                                        "gguf.general.version",
                                        "gguf.general.description"};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        if (strcmp(name, names[i]) == 0) {
            return true;
        }
    }
    return has_prefix(name, "gguf.tokenizer.") || has_prefix(name, "gguf.split.") ||
           has_prefix(name, "gguf.quantize.") || has_prefix(name, "gguf.general.base_model") ||
           has_prefix(name, "gguf.general.tags") || has_prefix(name, "gguf.general.languages") ||
           has_prefix(name, "gguf.general.license") ||
           has_prefix(name, "gguf.general.organization");
}

static weir_code compare_claim(weir_diff *diff, const char *name, const char *base,
                               const char *model, weir_error *err) {
    if (is_bookkeeping(name) || (base && model && strcmp(base, model) == 0)) {
        return WEIR_OK;
    }
    return add_file_delta(diff, WEIR_CHANGE_CONFIG, name, base, model, err);
}

/* All claims of one kind of file, when both sides have that kind. */
static weir_code compare_claims(weir_diff *diff, const char *prefix, weir_error *err) {
    const claims *base = &model_checkpoint(diff->base)->claims;
    const claims *model = &model_checkpoint(diff->model)->claims;
    if (!has_claims(base, prefix) || !has_claims(model, prefix)) {
        return WEIR_OK;
    }
    for (size_t i = 0; i < model->count; i++) {
        const char *name = model->items[i].name;
        if (has_prefix(name, prefix)) {
            WEIR_TRY(
                compare_claim(diff, name, claims_find(base, name), model->items[i].value, err));
        }
    }
    for (size_t i = 0; i < base->count; i++) {
        const char *name = base->items[i].name;
        if (has_prefix(name, prefix) && !claims_find(model, name)) {
            WEIR_TRY(compare_claim(diff, name, base->items[i].value, NULL, err));
        }
    }
    return WEIR_OK;
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
        return WEIR_OK; /* compare_claims saw them */
    }
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        if (rows[i].base && rows[i].model && rows[i].base != rows[i].model) {
            char was[24];
            char is[24];
            (void)snprintf(was, sizeof was, "%" PRIu64, rows[i].base);
            (void)snprintf(is, sizeof is, "%" PRIu64, rows[i].model);
            WEIR_TRY(add_file_delta(diff, WEIR_CHANGE_CONFIG, rows[i].what, was, is, err));
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

static weir_code compare_templates(weir_diff *diff, weir_error *err) {
    const checkpoint *base = model_checkpoint(diff->base);
    const checkpoint *model = model_checkpoint(diff->model);
    for (size_t i = 0; i < model->template_count; i++) {
        const checkpoint_template *is = &model->templates[i];
        const checkpoint_template *was = find_template(base, is->name);
        char what[64];
        (void)snprintf(what, sizeof what, "chat template %.40s", is->name);
        if (base->template_count > 0 && (!was || !is_same_template(was, is))) {
            WEIR_TRY(add_file_delta(diff, WEIR_CHANGE_TEMPLATE, what, was ? was->text : "",
                                    is->text, err));
        }
    }
    for (size_t i = 0; i < base->template_count; i++) {
        const checkpoint_template *was = &base->templates[i];
        char what[64];
        (void)snprintf(what, sizeof what, "chat template %.40s", was->name);
        if (model->template_count > 0 && !find_template(model, was->name)) {
            WEIR_TRY(add_file_delta(diff, WEIR_CHANGE_TEMPLATE, what, was->text, "", err));
        }
    }
    return WEIR_OK;
}

typedef struct token_counts {
    uint64_t added;
    uint64_t removed;
    uint64_t moved; /* the same string under another id */
    const char *examples[LISTED_TOKENS];
    size_t example_count;
} token_counts;

static void note_example(token_counts *counts, const char *text) {
    if (counts->example_count < LISTED_TOKENS) {
        counts->examples[counts->example_count++] = text;
    }
}

static weir_code index_tokens(name_set *known, const vocabulary *words, weir_error *err) {
    uint32_t held;
    for (size_t i = 0; i < words->count; i++) {
        if (words->tokens[i]) {
            WEIR_TRY(name_set_add(known, &held, words->tokens[i], (uint32_t)i, err));
        }
    }
    return WEIR_OK;
}

static void count_tokens(token_counts *counts, const name_set *base_tokens, const vocabulary *base,
                         const vocabulary *model) {
    uint64_t found = 0;
    for (size_t i = 0; i < model->count; i++) {
        if (!model->tokens[i] || (i < base->count && base->tokens[i] &&
                                  strcmp(base->tokens[i], model->tokens[i]) == 0)) {
            found += model->tokens[i] != NULL;
            continue;
        }
        const bool is_known = name_set_has(base_tokens, model->tokens[i]);
        counts->moved += is_known;
        counts->added += !is_known;
        found += is_known;
        note_example(counts, model->tokens[i]);
    }
    counts->removed = base_tokens->count > found ? base_tokens->count - found : 0;
}

static weir_code describe_tokens(weir_diff *diff, const token_counts *counts, weir_error *err) {
    char summary[160];
    WEIR_CLEANUP(text_buffer_release) text_buffer examples = {0};
    for (size_t i = 0; i < counts->example_count; i++) {
        text_buffer_format(&examples, "%s%s", i ? " " : "", counts->examples[i]);
    }
    if (examples.failed) {
        return weir_fail_nomem(err);
    }
    (void)snprintf(summary, sizeof summary,
                   "token strings: %" PRIu64 " added, %" PRIu64 " removed, %" PRIu64 " moved",
                   counts->added, counts->removed, counts->moved);
    return add_file_delta(diff, WEIR_CHANGE_TOKENIZER, summary, "", examples.data, err);
}

static weir_code compare_tokens(weir_diff *diff, weir_error *err) {
    const vocabulary *base = &model_checkpoint(diff->base)->vocabulary;
    const vocabulary *model = &model_checkpoint(diff->model)->vocabulary;
    if (!base->file || !model->file) {
        return WEIR_OK;
    }
    WEIR_CLEANUP(name_set_release) name_set base_tokens = {0};
    token_counts counts = {0};
    WEIR_TRY(index_tokens(&base_tokens, base, err));
    count_tokens(&counts, &base_tokens, base, model);
    if (counts.added + counts.removed + counts.moved > 0) {
        WEIR_TRY(describe_tokens(diff, &counts, err));
    }
    const bool has_merges = base->merges > 0 && model->merges > 0;
    if (has_merges && memcmp(base->merges_sha256, model->merges_sha256, DIGEST_BYTES) != 0) {
        WEIR_TRY(add_file_delta(diff, WEIR_CHANGE_TOKENIZER, "BPE merges", "", "", err));
    }
    return WEIR_OK;
}

/* Python files by name and size; their content is the concern of inspect. */
static weir_code compare_code(weir_diff *diff, weir_error *err) {
    const checkpoint *base = model_checkpoint(diff->base);
    const checkpoint *model = model_checkpoint(diff->model);
    for (size_t i = 0; i < model->file_count; i++) {
        const checkpoint_file *file = &model->files[i];
        if (strcmp(file->format, "python") != 0) {
            continue;
        }
        const checkpoint_file *was = NULL;
        for (size_t j = 0; j < base->file_count; j++) {
            was = strcmp(base->files[j].path, file->path) == 0 ? &base->files[j] : was;
        }
        if (!was || was->bytes != file->bytes) {
            WEIR_TRY(add_file_delta(diff, WEIR_CHANGE_CODE, file->path, was ? "another size" : "",
                                    "present", err));
        }
    }
    return WEIR_OK;
}

weir_code diff_files(weir_diff *diff, weir_error *err) {
    if (diff_is_adapter(diff->model)) {
        return WEIR_OK; /* an adapter's own files describe the adapter */
    }
    static const char *const kinds[] = {"config.", "generation_config.", "gguf."};
    for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++) {
        WEIR_TRY(compare_claims(diff, kinds[i], err));
    }
    WEIR_TRY(compare_shape(diff, err));
    WEIR_TRY(compare_templates(diff, err));
    WEIR_TRY(compare_tokens(diff, err));
    return compare_code(diff, err);
}
