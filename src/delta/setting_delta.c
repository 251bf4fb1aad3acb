/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Settings that differ, claim by claim. A kind of file is compared when both sides hold it and both
 * were read whole. Between two folders that hold it on one side only, generation_config.json and
 * Modelfile are compared with nothing, because a loader falls back on its defaults without them;
 * of every other kind, only what must not go unseen: safety checks, watermarks, system prompts,
 * code. In model_index.json the parts of a diffusers pipeline stand as "name": [library, class], or
 * [null, null] when one is left out [1].
 *
 * [1] diffusers, pipelines/pipeline_utils.py, DiffusionPipeline.save_pretrained, from_pretrained.
 */
#include "delta/setting_names.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/checked.h"
#include "base/fail.h"

enum { NAME_BYTES = 160, SENTENCE_BYTES = 256 };

/* A kind of file: the prefix of its claims, its format, and what a difference in it is. */
typedef struct setting_kind {
    const char *prefix;
    const char *format;
    weir_change_class change;
    file_kind kind;
    /* Between folders of which only one holds it: nothing, what must be seen, all. */
    enum { ALONE_NOTHING, ALONE_SEEN, ALONE_ALL } alone;
} setting_kind;

static const setting_kind kinds[] = {
    {"config.", "config", WEIR_CHANGE_CONFIG, FILE_KIND_CONFIG, ALONE_SEEN},
    {"generation_config.", "generation_config", WEIR_CHANGE_CONFIG, FILE_KIND_GENERATION,
     ALONE_ALL},
    {"tokenizer_config.", "tokenizer_config", WEIR_CHANGE_TOKENIZER, FILE_KIND_TOKENIZER_SETTING,
     ALONE_SEEN},
    {"tokenizer.", "tokenizer", WEIR_CHANGE_TOKENIZER, FILE_KIND_TOKENIZER_SETTING, ALONE_NOTHING},
    {"special_tokens.", "special_tokens", WEIR_CHANGE_TOKENIZER, FILE_KIND_SPECIAL_TOKENS,
     ALONE_NOTHING},
    {"model_index.", "model_index", WEIR_CHANGE_CONFIG, FILE_KIND_CONFIG, ALONE_NOTHING},
    {"modelfile.", "modelfile", WEIR_CHANGE_CONFIG, FILE_KIND_CONFIG, ALONE_ALL},
    {"gguf.", "gguf", WEIR_CHANGE_CONFIG, FILE_KIND_CONFIG, ALONE_NOTHING},
};

static bool has_prefix(const char *text, const char *prefix) {
    return strncmp(text, prefix, strlen(prefix)) == 0;
}

/* The claims of one kind of file, sorted by name. */
typedef struct claim_list {
    const weir_claim **items;
    size_t count;
} claim_list;

static void claim_list_release_cleanup(claim_list *list) {
    free(list->items);
}

static int by_name(const void *left, const void *right) {
    const weir_claim *a = *(const weir_claim *const *)left;
    const weir_claim *b = *(const weir_claim *const *)right;
    const int order = strcmp(a->name, b->name);
    return order != 0 ? order : (a > b) - (a < b);
}

/* Of a name that stands twice the last one counts, as it does for Python's JSON reader, which is
 * what loaders use. */
static weir_code sort_claims(claim_list *out, const claims *from, const char *prefix,
                             weir_error *err) {
    out->items = checked_alloc(from->count, sizeof *out->items);
    if (!out->items) {
        return weir_fail_nomem(err);
    }
    size_t found = 0;
    for (size_t i = 0; i < from->count; i++) {
        if (has_prefix(from->items[i].name, prefix)) {
            out->items[found++] = &from->items[i];
        }
    }
    if (found > 0) {
        qsort(out->items, found, sizeof *out->items, by_name);
    }
    for (size_t i = 0; i < found; i++) {
        const bool is_new =
            out->count == 0 || strcmp(out->items[out->count - 1]->name, out->items[i]->name) != 0;
        out->count += is_new;
        out->items[out->count - 1] = out->items[i];
    }
    return WEIR_OK;
}

static bool must_be_seen(file_kind kind) {
    return kind == FILE_KIND_SAFETY_COMPONENT || kind == FILE_KIND_WATERMARK_COMPONENT ||
           kind == FILE_KIND_AUTO_MAP || kind == FILE_KIND_SYSTEM_PROMPT;
}

static bool is_part(const file_delta *row) {
    return row->kind == FILE_KIND_SAFETY_COMPONENT || row->kind == FILE_KIND_WATERMARK_COMPONENT;
}

static bool is_true(const char *value) {
    return value && strcmp(value, "true") == 0;
}

/* What happened to a part, in a word; NULL when it is there before and after, or neither. */
static const char *find_verb(const char *was, const char *is) {
    const bool was_off = component_is_off(was);
    if (was_off == component_is_off(is)) {
        return NULL;
    }
    if (was_off) {
        return is_true(is) && was ? "turned on" : "added";
    }
    return is_true(was) && is ? "turned off" : "removed";
}

/* "the safety checker" of "model_index.safety_checker"; of all else the name itself. */
static void name_part(char *out, size_t size, const char *name, bool is_truth) {
    static const char prefix[] = "model_index.";
    const char *key = name + sizeof prefix - 1;
    if (is_truth || !has_prefix(name, prefix) || strchr(key, '.')) {
        (void)snprintf(out, size, "%s", name);
        return;
    }
    (void)snprintf(out, size, "the %s", key);
    for (char *at = out; *at; at++) {
        *at = (char)(*at == '_' ? ' ' : *at);
    }
}

/* A part that is gone or came is said in words; any other change by its name alone. */
static void name_change(char *out, size_t size, const file_delta *row, const char *name) {
    const char *verb = is_part(row) ? find_verb(row->base, row->model) : NULL;
    char part[NAME_BYTES];
    name_part(part, sizeof part, name, is_true(row->base) || is_true(row->model));
    (void)snprintf(out, size, "%s%s%s", verb ? part : name, verb ? " is " : "", verb ? verb : "");
}

/* The feature extractor hands the images to the safety checker: without it the check cannot run. */
static bool serves_checker(const file_pair *pair, const char *name, const char *was,
                           const char *is) {
    return strcmp(name, "model_index.feature_extractor") == 0 && !component_is_off(was) &&
           component_is_off(is) &&
           !component_is_off(claims_find(&pair->base.files->claims, "model_index.safety_checker"));
}

static weir_code compare_claim(const file_pair *pair, const setting_kind *from,
                               const weir_claim *base, const weir_claim *model, bool is_alone,
                               weir_error *err) {
    const weir_claim *shown = model ? model : base;
    file_delta row = {.change = from->change,
                      .kind = from->kind,
                      .grade = WEIR_GRADE_PROVED,
                      .base = base ? base->value : NULL,
                      .model = model ? model->value : NULL,
                      .file = shown->file};
    if (base && model && strcmp(row.base, row.model) == 0) {
        return WEIR_OK;
    }
    setting_describe(&row, shown->name);
    const bool counts =
        !setting_is_left_out(shown->name) && (!is_alone || from->alone == ALONE_ALL);
    const bool is_seen = must_be_seen(row.kind);
    const bool is_nothing = component_is_off(row.base) && component_is_off(row.model);
    if ((!counts && !is_seen) || (is_seen && is_nothing)) {
        return WEIR_OK; /* null and absent are the same nothing */
    }
    char what[SENTENCE_BYTES];
    name_change(what, sizeof what, &row, shown->name);
    if (serves_checker(pair, shown->name, row.base, row.model)) {
        row.kind = FILE_KIND_SAFETY_COMPONENT;
        (void)snprintf(what, sizeof what,
                       "the feature extractor, which feeds the safety checker, is removed");
    }
    row.what = what;
    return file_delta_add(pair->diff, &row, err);
}

/* Flags of tokens that tokenizer_config.json restates one by one: counted, not listed. */
static const char decoder_prefix[] = "tokenizer_config.added_tokens_decoder.";

typedef struct decoder_tally {
    size_t special; /* "special" flags that differ */
    size_t other;
    const weir_claim *first_was, *first_is;
} decoder_tally;

static bool has_decoder(const claim_list *list) {
    for (size_t i = 0; i < list->count; i++) {
        if (has_prefix(list->items[i]->name, decoder_prefix)) {
            return true;
        }
    }
    return false;
}

/* Both sides have the list; a token that only one of them lists is a matter of tokenizer.json. */
static void count_decoder(decoder_tally *found, const weir_claim *was, const weir_claim *is) {
    if (!was || !is || strcmp(was->value, is->value) == 0) {
        return;
    }
    const char *last = strrchr(is->name, '.');
    const bool is_special = strcmp(last, ".special") == 0;
    if (found->special + found->other == 0 || (is_special && found->special == 0)) {
        found->first_was = was;
        found->first_is = is;
    }
    found->special += is_special;
    found->other += !is_special;
}

static weir_code report_decoder(const file_pair *pair, const decoder_tally *found,
                                weir_error *err) {
    if (found->special + found->other == 0) {
        return WEIR_OK;
    }
    char what[SENTENCE_BYTES];
    (void)snprintf(what, sizeof what, "added_tokens_decoder: %zu settings of tokens, first %s",
                   found->special + found->other,
                   found->first_is->name + sizeof decoder_prefix - 1);
    const file_delta row = {.change = WEIR_CHANGE_TOKENIZER,
                            .kind = found->special > 0 ? FILE_KIND_SPECIAL_TOKENS
                                                       : FILE_KIND_TOKENIZER_SETTING,
                            .grade = WEIR_GRADE_PROVED,
                            .what = what,
                            .base = found->first_was->value,
                            .model = found->first_is->value,
                            .file = found->first_is->file};
    return file_delta_add(pair->diff, &row, err);
}

/* ---- the watermark of generated text, which is one setting of several keys ---- */

static const char mark_prefix[] = "generation_config.watermarking_config";

static const weir_claim *find_mark(const claim_list *list) {
    for (size_t i = 0; i < list->count; i++) {
        if (has_prefix(list->items[i]->name, mark_prefix) &&
            !component_is_off(list->items[i]->value)) {
            return list->items[i];
        }
    }
    return NULL;
}

static weir_code report_mark(const file_pair *pair, const weir_claim *was, const weir_claim *is,
                             weir_error *err) {
    const file_delta row = {
        .change = WEIR_CHANGE_CONFIG,
        .kind = FILE_KIND_WATERMARK_COMPONENT,
        .grade = WEIR_GRADE_PROVED,
        .what = was ? "the watermark of generated text, watermarking_config, is removed"
                    : "a watermark of generated text, watermarking_config, is added",
        .base = was ? "present" : "",
        .model = is ? "present" : "",
        .file = was ? was->file : is->file};
    return file_delta_add(pair->diff, &row, err);
}

/* ---- one kind of file ---- */

typedef struct kind_pair {
    const file_pair *pair;
    const setting_kind *kind;
    const claim_list *base;
    const claim_list *model;
    bool is_alone;     /* only one side makes claims of this kind */
    bool has_decoders; /* both sides restate the flags of tokens */
    bool has_one_mark; /* said as a whole */
    decoder_tally decoders;
} kind_pair;

/* The setting `name` of both sides, of which one may be NULL. */
static weir_code compare_two(kind_pair *work, const char *name, const weir_claim *was,
                             const weir_claim *is, weir_error *err) {
    if (work->has_one_mark && has_prefix(name, mark_prefix)) {
        return WEIR_OK;
    }
    if (!has_prefix(name, decoder_prefix)) {
        return compare_claim(work->pair, work->kind, was, is, work->is_alone, err);
    }
    if (work->has_decoders) {
        count_decoder(&work->decoders, was, is);
    }
    return WEIR_OK;
}

static weir_code compare_lists(kind_pair *work, weir_error *err) {
    const claim_list *base = work->base;
    const claim_list *model = work->model;
    const weir_claim *base_mark = find_mark(base);
    const weir_claim *model_mark = find_mark(model);
    work->has_decoders = has_decoder(base) && has_decoder(model);
    work->has_one_mark = !base_mark != !model_mark;
    if (work->has_one_mark) {
        WEIR_TRY(report_mark(work->pair, base_mark, model_mark, err));
    }
    size_t i = 0;
    size_t k = 0;
    while (i < base->count || k < model->count) {
        const int order = i == base->count    ? 1
                          : k == model->count ? -1
                                              : strcmp(base->items[i]->name, model->items[k]->name);
        const char *name = order <= 0 ? base->items[i]->name : model->items[k]->name;
        WEIR_TRY(compare_two(work, name, order <= 0 ? base->items[i] : NULL,
                             order >= 0 ? model->items[k] : NULL, err));
        i += order <= 0;
        k += order >= 0;
    }
    return report_decoder(work->pair, &work->decoders, err);
}

static weir_code compare_kind(const file_pair *pair, const setting_kind *kind, weir_error *err) {
    WEIR_CLEANUP(claim_list_release) claim_list base = {0};
    WEIR_CLEANUP(claim_list_release) claim_list model = {0};
    WEIR_TRY(sort_claims(&base, &pair->base.files->claims, kind->prefix, err));
    WEIR_TRY(sort_claims(&model, &pair->model.files->claims, kind->prefix, err));
    kind_pair work = {.pair = pair,
                      .kind = kind,
                      .base = &base,
                      .model = &model,
                      .is_alone = base.count == 0 || model.count == 0};
    const bool are_folders = pair->base.files->is_folder && pair->model.files->is_folder;
    const bool counts_alone = are_folders && kind->alone != ALONE_NOTHING;
    if ((work.is_alone && !counts_alone) || file_side_is_broken(&pair->base, kind->format) ||
        file_side_is_broken(&pair->model, kind->format)) {
        return WEIR_OK;
    }
    return compare_lists(&work, err);
}

weir_code compare_settings(const file_pair *pair, weir_error *err) {
    for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++) {
        WEIR_TRY(compare_kind(pair, &kinds[i], err));
    }
    return WEIR_OK;
}
