/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Settings that differ, claim by claim. A kind of file is compared when both sides hold it and both
 * were read whole. Between two folders that hold it on one side only, generation_config.json and
 * Modelfile are compared with nothing, because a loader falls back on its defaults without them;
 * of every other kind, only what must not go unseen: safety checks, watermarks, system prompts,
 * code.
 *
 * What a setting is about is told by its name: watermarking_config [1], auto_map, the keys that
 * hold a system prompt, what generate() reads [1], and in model_index.json the parts of a diffusers
 * pipeline, each "name": [library, class], or [null, null] when it is left out [2].
 *
 * [1] transformers, generation/configuration_utils.py, GenerationConfig.
 * [2] diffusers, pipelines/pipeline_utils.py, DiffusionPipeline.save_pretrained, from_pretrained.
 */
#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/checked.h"
#include "base/fail.h"
#include "delta/file_delta.h"

enum { NAME_BYTES = 160, SENTENCE_BYTES = 256 };

/* A kind of file: the prefix of its claims, its format, and the class of what differs in it. */
typedef struct setting_kind {
    const char *prefix;
    const char *format;
    const char *file; /* NULL: as the claim says */
    weir_change_class change;
    file_kind kind;
    bool counts_alone; /* compared between folders of which only one holds it */
} setting_kind;

static const setting_kind kinds[] = {
    {"config.", "config", "config.json", WEIR_CHANGE_CONFIG, FILE_KIND_CONFIG, false},
    {"generation_config.", "generation_config", "generation_config.json", WEIR_CHANGE_CONFIG,
     FILE_KIND_GENERATION, true},
    {"tokenizer_config.", "tokenizer_config", "tokenizer_config.json", WEIR_CHANGE_TOKENIZER,
     FILE_KIND_TOKENIZER_SETTING, false},
    {"tokenizer.", "tokenizer", "tokenizer.json", WEIR_CHANGE_TOKENIZER,
     FILE_KIND_TOKENIZER_SETTING, false},
    {"model_index.", "model_index", "model_index.json", WEIR_CHANGE_CONFIG, FILE_KIND_CONFIG,
     false},
    {"modelfile.", "modelfile", NULL, WEIR_CHANGE_CONFIG, FILE_KIND_GENERATION, true},
    {"gguf.", "gguf", NULL, WEIR_CHANGE_CONFIG, FILE_KIND_CONFIG, false},
};

static bool has_prefix(const char *text, const char *prefix) {
    return strncmp(text, prefix, strlen(prefix)) == 0;
}

static bool is_one_of(const char *text, const char *const *names) {
    for (; *names; names++) {
        if (strcmp(text, *names) == 0) {
            return true;
        }
    }
    return false;
}

static bool starts_with_any(const char *text, const char *const *prefixes) {
    for (; *prefixes; prefixes++) {
        if (has_prefix(text, *prefixes)) {
            return true;
        }
    }
    return false;
}

/* Settings that say how a file was written, not how the model behaves, and those that
 * tokenizer_delta.c compares. */
static bool is_left_out(const char *name) {
    static const char *const names[] = {"config.transformers_version",
                                        "config._name_or_path",
                                        "generation_config.transformers_version",
                                        "config.torch_dtype",
                                        "config.dtype",
                                        "model_index._diffusers_version",
                                        "model_index._name_or_path",
                                        "tokenizer_config.name_or_path",
                                        "tokenizer_config.special_tokens_map_file",
                                        "tokenizer_config.tokenizer_file",
                                        "tokenizer_config.is_local",
                                        "tokenizer.version",
                                        "tokenizer.tokens",
                                        "tokenizer.merges",
                                        "gguf.general.name",
                                        "gguf.general.file_type",
                                        "gguf.general.quantization_version",
                                        "gguf.general.basename",
                                        "gguf.general.finetune",
                                        "gguf.general.size_label",
                                        "gguf.general.version",
                                        "gguf.general.description",
                                        NULL};
    static const char *const prefixes[] = {"gguf.tokenizer.",
                                           "gguf.split.",
                                           "gguf.quantize.",
                                           "gguf.general.base_model",
                                           "gguf.general.tags",
                                           "gguf.general.languages",
                                           "gguf.general.license",
                                           "gguf.general.organization",
                                           "modelfile.license",
                                           "tokenizer.normalizer",
                                           "tokenizer.pre_tokenizer",
                                           "tokenizer.post_processor",
                                           "tokenizer.decoder",
                                           "tokenizer_config.additional_special_tokens",
                                           NULL};
    static const char *const tokens[] = {"bos", "eos", "unk", "sep", "pad", "mask", "cls", NULL};
    if (has_prefix(name, "tokenizer_config.")) {
        const char *key = name + strlen("tokenizer_config.");
        for (size_t i = 0; tokens[i]; i++) {
            const size_t len = strlen(tokens[i]);
            if (has_prefix(key, tokens[i]) && has_prefix(key + len, "_token") &&
                (key[len + 6] == '\0' || key[len + 6] == '.')) {
                return true;
            }
        }
    }
    return is_one_of(name, names) || starts_with_any(name, prefixes);
}

static bool is_system_prompt(const char *last) {
    static const char *const names[] = {"system",
                                        "system_prompt",
                                        "default_system_prompt",
                                        "system_message",
                                        "default_system_message",
                                        "system_instruction",
                                        "default_system_instruction",
                                        NULL};
    return is_one_of(last, names);
}

/* Keys of config.json that generate() reads where there is no generation_config.json. */
static bool is_generation(const char *key) {
    static const char *const names[] = {"temperature",
                                        "top_k",
                                        "top_p",
                                        "min_p",
                                        "typical_p",
                                        "do_sample",
                                        "num_beams",
                                        "max_length",
                                        "max_new_tokens",
                                        "min_length",
                                        "repetition_penalty",
                                        "no_repeat_ngram_size",
                                        "length_penalty",
                                        "bad_words_ids",
                                        "suppress_tokens",
                                        "begin_suppress_tokens",
                                        "forced_bos_token_id",
                                        "forced_eos_token_id",
                                        "forced_decoder_ids",
                                        NULL};
    return is_one_of(key, names);
}

static bool names_token_id(const char *last) {
    const size_t len = strlen(last);
    static const char end[] = "_token_id";
    return len >= sizeof end - 1 && strcmp(last + len - (sizeof end - 1), end) == 0;
}

/* What a claim is about: a row without its values. */
static file_delta describe(const setting_kind *from, const char *name) {
    const char *dot = strrchr(name, '.');
    const char *last = dot ? dot + 1 : name;
    file_delta row = {.change = from->change, .kind = from->kind, .grade = WEIR_GRADE_PROVED};
    if (component_is_named(&row.kind, name + strlen(from->prefix))) {
        row.change = WEIR_CHANGE_CONFIG;
    } else if (strcmp(last, "auto_map") == 0 || strstr(name, ".auto_map.")) {
        row.change = WEIR_CHANGE_CODE;
        row.kind = FILE_KIND_AUTO_MAP;
    } else if (is_system_prompt(last) || has_prefix(name, "modelfile.system")) {
        row.change = WEIR_CHANGE_CONFIG;
        row.kind = FILE_KIND_SYSTEM_PROMPT;
    } else if (has_prefix(name, "modelfile.template")) {
        row.change = WEIR_CHANGE_TEMPLATE;
        row.kind = FILE_KIND_CHAT_TEMPLATE;
    } else if (has_prefix(name, "modelfile.") && !has_prefix(name, "modelfile.parameter.")) {
        row.kind = FILE_KIND_CONFIG;
    } else if (row.kind == FILE_KIND_CONFIG && is_generation(last)) {
        row.kind = FILE_KIND_GENERATION;
    } else if (row.kind == FILE_KIND_CONFIG && names_token_id(last)) {
        row.kind = FILE_KIND_SPECIAL_TOKENS;
    }
    return row;
}

static bool must_be_seen(file_kind kind) {
    return kind == FILE_KIND_SAFETY_COMPONENT || kind == FILE_KIND_WATERMARK_COMPONENT ||
           kind == FILE_KIND_AUTO_MAP || kind == FILE_KIND_SYSTEM_PROMPT;
}

/* "the safety checker" of "model_index.safety_checker". */
static void name_part(char *out, size_t size, const char *name, const setting_kind *from) {
    if (!has_prefix(name, "model_index.") || strchr(name + strlen(from->prefix), '.')) {
        (void)snprintf(out, size, "%s", name);
        return;
    }
    (void)snprintf(out, size, "the %s", name + strlen(from->prefix));
    for (char *at = out; *at; at++) {
        *at = (char)(*at == '_' ? ' ' : *at);
    }
}

/* A part that stops nothing any more is said in words; any other change by its name alone. */
static void name_change(char *out, size_t size, const file_delta *row, const char *name,
                        const setting_kind *from, const char *was, const char *is) {
    const bool is_part =
        row->kind == FILE_KIND_SAFETY_COMPONENT || row->kind == FILE_KIND_WATERMARK_COMPONENT;
    char part[NAME_BYTES];
    name_part(part, sizeof part, name, from);
    const bool is_truth = (was && strcmp(was, "true") == 0) || (is && strcmp(is, "true") == 0);
    const char *verb = NULL;
    if (is_part && !component_is_off(was) && component_is_off(is)) {
        verb = is && is_truth ? "turned off" : "removed";
    } else if (is_part && component_is_off(was) && !component_is_off(is)) {
        verb = was && is_truth ? "turned on" : "added";
    }
    if (verb) {
        (void)snprintf(out, size, "%s is %s", is_truth ? name : part, verb);
    } else {
        (void)snprintf(out, size, "%s", name);
    }
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
    const char *name = model ? model->name : base->name;
    const char *was = base ? base->value : NULL;
    const char *is = model ? model->value : NULL;
    if ((was && is && strcmp(was, is) == 0)) {
        return WEIR_OK;
    }
    file_delta row = describe(from, name);
    if (!must_be_seen(row.kind) && (is_left_out(name) || (is_alone && !from->counts_alone))) {
        return WEIR_OK;
    }
    char what[SENTENCE_BYTES];
    name_change(what, sizeof what, &row, name, from, was, is);
    if (serves_checker(pair, name, was, is)) {
        row.kind = FILE_KIND_SAFETY_COMPONENT;
        (void)snprintf(what, sizeof what,
                       "the feature extractor, which feeds the safety checker, is removed");
    }
    row.what = what;
    row.base = was;
    row.model = is;
    row.file = model ? model->file : base->file;
    return file_delta_add(pair->diff, &row, err);
}

/* Flags of tokens that tokenizer_config.json restates one by one: counted, not listed. */
static const char decoder_prefix[] = "tokenizer_config.added_tokens_decoder.";

typedef struct decoder_tally {
    size_t special; /* "special" flags that differ */
    size_t other;
    const weir_claim *first_was, *first_is;
} decoder_tally;

static bool has_decoder(const weir_claim **sorted, size_t count) {
    for (size_t i = 0; i < count; i++) {
        if (has_prefix(sorted[i]->name, decoder_prefix)) {
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

static int by_name(const void *left, const void *right) {
    const weir_claim *a = *(const weir_claim *const *)left;
    const weir_claim *b = *(const weir_claim *const *)right;
    const int order = strcmp(a->name, b->name);
    return order != 0 ? order : (a > b) - (a < b);
}

/* The claims of one kind, sorted by name; NULL without memory. Of a name that stands twice the last
 * one counts, as it does for Python's JSON reader, which is what loaders use. */
static const weir_claim **sort_claims(size_t *count, const claims *list, const char *prefix) {
    const weir_claim **sorted = checked_alloc(list->count, sizeof *sorted);
    size_t found = 0;
    for (size_t i = 0; sorted && i < list->count; i++) {
        if (has_prefix(list->items[i].name, prefix)) {
            sorted[found++] = &list->items[i];
        }
    }
    if (found > 0) {
        qsort(sorted, found, sizeof *sorted, by_name);
    }
    size_t kept = 0;
    for (size_t i = 0; i < found; i++) {
        kept += kept == 0 || strcmp(sorted[kept - 1]->name, sorted[i]->name) != 0;
        sorted[kept - 1] = sorted[i];
    }
    *count = kept;
    return sorted;
}

static weir_code compare_kind(const file_pair *pair, const setting_kind *kind, weir_error *err) {
    size_t base_count;
    size_t model_count;
    WEIR_CLEANUP(free)
    const weir_claim **base = sort_claims(&base_count, &pair->base.files->claims, kind->prefix);
    WEIR_CLEANUP(free)
    const weir_claim **model = sort_claims(&model_count, &pair->model.files->claims, kind->prefix);
    if (!base || !model) {
        return weir_fail_nomem(err);
    }
    const bool is_alone = base_count == 0 || model_count == 0;
    const bool are_folders = pair->base.files->is_folder && pair->model.files->is_folder;
    if ((is_alone && (!are_folders || strcmp(kind->format, "gguf") == 0 ||
                      strcmp(kind->format, "model_index") == 0)) ||
        file_side_is_broken(&pair->base, kind->format) ||
        file_side_is_broken(&pair->model, kind->format)) {
        return WEIR_OK;
    }
    const bool has_decoders = has_decoder(base, base_count) && has_decoder(model, model_count);
    decoder_tally decoders = {0};
    size_t i = 0;
    size_t k = 0;
    while (i < base_count || k < model_count) {
        const int order = i == base_count    ? 1
                          : k == model_count ? -1
                                             : strcmp(base[i]->name, model[k]->name);
        const weir_claim *was = order <= 0 ? base[i] : NULL;
        const weir_claim *is = order >= 0 ? model[k] : NULL;
        if (!has_prefix(was ? was->name : is->name, decoder_prefix)) {
            WEIR_TRY(compare_claim(pair, kind, was, is, is_alone, err));
        } else if (has_decoders) {
            count_decoder(&decoders, was, is);
        }
        i += order <= 0;
        k += order >= 0;
    }
    return report_decoder(pair, &decoders, err);
}

weir_code compare_settings(const file_pair *pair, weir_error *err) {
    for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++) {
        WEIR_TRY(compare_kind(pair, &kinds[i], err));
    }
    return WEIR_OK;
}
