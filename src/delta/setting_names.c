/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What generate() reads, and watermarking_config: transformers, generation/configuration_utils.py,
 * GenerationConfig. Keys of system prompts are those seen in configs; no library defines them.
 */
#include "delta/setting_names.h"

#include <string.h>

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
bool setting_is_left_out(const char *name) {
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
    static const char *const prefixes[] = {"gguf.tokenizer.",         "gguf.split.",
                                           "gguf.quantize.",          "gguf.general.base_model",
                                           "gguf.general.tags",       "gguf.general.languages",
                                           "gguf.general.license",    "gguf.general.organization",
                                           "modelfile.license",       "tokenizer.normalizer",
                                           "tokenizer.pre_tokenizer", "tokenizer.post_processor",
                                           "tokenizer.decoder",       NULL};
    static const char *const tokens[] = {"bos", "eos", "unk", "sep", "pad", "mask", "cls", NULL};
    if (has_prefix(name, "tokenizer_config.") || has_prefix(name, "special_tokens.")) {
        const char *key = strchr(name, '.') + 1;
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

/* How a pattern is held against a name. */
typedef enum rule_kind {
    RULE_LAST,       /* the last part of the name */
    RULE_PREFIX,     /* how it begins */
    RULE_INSIDE,     /* anywhere */
    RULE_CONFIG_KEY, /* the last part of a name of config.json */
    RULE_CONFIG_END, /* how a name of config.json ends */
} rule_kind;

typedef struct name_rule {
    rule_kind how;
    const char *pattern;
    weir_change_class change;
    file_kind kind;
} name_rule;

/* The first that fits counts. */
static const name_rule rules[] = {
    {RULE_LAST, "auto_map", WEIR_CHANGE_CODE, FILE_KIND_AUTO_MAP},
    {RULE_INSIDE, ".auto_map.", WEIR_CHANGE_CODE, FILE_KIND_AUTO_MAP},
    {RULE_LAST, "system", WEIR_CHANGE_CONFIG, FILE_KIND_SYSTEM_PROMPT},
    {RULE_LAST, "system_prompt", WEIR_CHANGE_CONFIG, FILE_KIND_SYSTEM_PROMPT},
    {RULE_LAST, "default_system_prompt", WEIR_CHANGE_CONFIG, FILE_KIND_SYSTEM_PROMPT},
    {RULE_LAST, "system_message", WEIR_CHANGE_CONFIG, FILE_KIND_SYSTEM_PROMPT},
    {RULE_LAST, "default_system_message", WEIR_CHANGE_CONFIG, FILE_KIND_SYSTEM_PROMPT},
    {RULE_LAST, "system_instruction", WEIR_CHANGE_CONFIG, FILE_KIND_SYSTEM_PROMPT},
    {RULE_LAST, "default_system_instruction", WEIR_CHANGE_CONFIG, FILE_KIND_SYSTEM_PROMPT},
    {RULE_PREFIX, "modelfile.system", WEIR_CHANGE_CONFIG, FILE_KIND_SYSTEM_PROMPT},
    {RULE_PREFIX, "modelfile.template", WEIR_CHANGE_TEMPLATE, FILE_KIND_CHAT_TEMPLATE},
    {RULE_PREFIX, "modelfile.parameter.", WEIR_CHANGE_CONFIG, FILE_KIND_GENERATION},
    {RULE_PREFIX, "gguf.general.sampling.", WEIR_CHANGE_CONFIG, FILE_KIND_GENERATION},
    {RULE_LAST, "additional_special_tokens", WEIR_CHANGE_TOKENIZER, FILE_KIND_SPECIAL_TOKENS},
    {RULE_CONFIG_KEY, "temperature", WEIR_CHANGE_CONFIG, FILE_KIND_GENERATION},
    {RULE_CONFIG_KEY, "top_k", WEIR_CHANGE_CONFIG, FILE_KIND_GENERATION},
    {RULE_CONFIG_KEY, "top_p", WEIR_CHANGE_CONFIG, FILE_KIND_GENERATION},
    {RULE_CONFIG_KEY, "min_p", WEIR_CHANGE_CONFIG, FILE_KIND_GENERATION},
    {RULE_CONFIG_KEY, "typical_p", WEIR_CHANGE_CONFIG, FILE_KIND_GENERATION},
    {RULE_CONFIG_KEY, "do_sample", WEIR_CHANGE_CONFIG, FILE_KIND_GENERATION},
    {RULE_CONFIG_KEY, "num_beams", WEIR_CHANGE_CONFIG, FILE_KIND_GENERATION},
    {RULE_CONFIG_KEY, "max_length", WEIR_CHANGE_CONFIG, FILE_KIND_GENERATION},
    {RULE_CONFIG_KEY, "max_new_tokens", WEIR_CHANGE_CONFIG, FILE_KIND_GENERATION},
    {RULE_CONFIG_KEY, "min_length", WEIR_CHANGE_CONFIG, FILE_KIND_GENERATION},
    {RULE_CONFIG_KEY, "repetition_penalty", WEIR_CHANGE_CONFIG, FILE_KIND_GENERATION},
    {RULE_CONFIG_KEY, "no_repeat_ngram_size", WEIR_CHANGE_CONFIG, FILE_KIND_GENERATION},
    {RULE_CONFIG_KEY, "length_penalty", WEIR_CHANGE_CONFIG, FILE_KIND_GENERATION},
    {RULE_CONFIG_KEY, "bad_words_ids", WEIR_CHANGE_CONFIG, FILE_KIND_GENERATION},
    {RULE_CONFIG_KEY, "suppress_tokens", WEIR_CHANGE_CONFIG, FILE_KIND_GENERATION},
    {RULE_CONFIG_KEY, "begin_suppress_tokens", WEIR_CHANGE_CONFIG, FILE_KIND_GENERATION},
    {RULE_CONFIG_KEY, "forced_bos_token_id", WEIR_CHANGE_CONFIG, FILE_KIND_GENERATION},
    {RULE_CONFIG_KEY, "forced_eos_token_id", WEIR_CHANGE_CONFIG, FILE_KIND_GENERATION},
    {RULE_CONFIG_KEY, "forced_decoder_ids", WEIR_CHANGE_CONFIG, FILE_KIND_GENERATION},
    {RULE_CONFIG_END, "_token_id", WEIR_CHANGE_CONFIG, FILE_KIND_SPECIAL_TOKENS},
};

static bool has_suffix(const char *text, const char *suffix) {
    const size_t len = strlen(text);
    const size_t end = strlen(suffix);
    return len >= end && strcmp(text + len - end, suffix) == 0;
}

static bool fits(const name_rule *rule, const char *name) {
    const char *dot = strrchr(name, '.');
    const char *last = dot ? dot + 1 : name;
    const bool is_config = has_prefix(name, "config.");
    switch (rule->how) {
    case RULE_LAST:
        return strcmp(last, rule->pattern) == 0;
    case RULE_PREFIX:
        return has_prefix(name, rule->pattern);
    case RULE_INSIDE:
        return strstr(name, rule->pattern) != NULL;
    case RULE_CONFIG_KEY:
        return is_config && strcmp(last, rule->pattern) == 0;
    case RULE_CONFIG_END:
        return is_config && has_suffix(name, rule->pattern);
    }
    return false;
}

void setting_describe(file_delta *row, const char *name) {
    const char *dot = strchr(name, '.');
    const bool is_label = strstr(name, ".label2id.") != NULL; /* a class that a model tells */
    if (!is_label && component_is_named(&row->kind, dot ? dot + 1 : name)) {
        row->change = WEIR_CHANGE_CONFIG;
        return;
    }
    for (size_t i = 0; i < sizeof rules / sizeof *rules; i++) {
        if (fits(&rules[i], name)) {
            row->change = rules[i].change;
            row->kind = rules[i].kind;
            return;
        }
    }
}
