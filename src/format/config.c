/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Small JSON files that are nothing but claims. config.json also says the numbers of the
 * architecture, under names that differ by model family; multimodal models keep those of the
 * language model one level deeper. Names: transformers, configuration_*.py of each family.
 */
#include <stdio.h>
#include <string.h>

#include "base/limits.h"
#include "format/claim_tree.h"
#include "format/parts.h"

/* What a config asks of the program that loads it. */
typedef struct code_request {
    bool is_made;
    place at;
} code_request;

static weir_code note_code(void *context, document *source, const json_token *key, bool *taken,
                           weir_error *err) {
    (void)err;
    *taken = false; /* it is a claim as well */
    code_request *request = context;
    if (json_token_is(key, "auto_map")) {
        *request = (code_request){.is_made = true, .at = document_place(source, key->offset)};
    }
    return WEIR_OK;
}

static void report_code(const part *in, const code_request *request) {
    if (!request->is_made) {
        return;
    }
    findings_add(
        in->findings,
        &(weir_finding){.id = "custom-code",
                        .severity = WEIR_SEVERITY_MEDIUM,
                        .verdict = WEIR_VERDICT_CLEAN,
                        .file = weir_source_name(in->source),
                        .at = request->at.text},
        "auto_map names Python code that a loader runs when it is told to trust the model; "
        "weir does not analyse that code");
}

/* `size_max` and `scalars_only` are what the small JSON files differ in, besides the prefix. */
static weir_code read_claims(const part *in, const char *prefix, uint64_t size_max,
                             bool scalars_only, weir_error *err) {
    WEIR_CLEANUP(document_close) document source = {0};
    WEIR_TRY(document_open_json(&source, in->source, size_max, err));
    code_request request = {.is_made = false};
    const claim_tree tree = {.target = &in->model->claims,
                             .source = &source,
                             .findings = in->findings,
                             .prefix = prefix,
                             .scalars_only = scalars_only,
                             .on_key = note_code,
                             .context = &request};
    const weir_code code = claim_tree_read(&tree, err);
    report_code(in, &request);
    return code;
}

/* The first of several names that stands in the config, at its top or in its language model. */
static uint64_t find_number(const claims *list, const char *const *names) {
    static const char *const places[] = {"config.", "config.text_config.", "config.llm_config.",
                                         "config.language_config."};
    for (size_t i = 0; i < sizeof places / sizeof *places; i++) {
        for (size_t k = 0; names[k]; k++) {
            char name[96];
            (void)snprintf(name, sizeof name, "%s%s", places[i], names[k]);
            uint64_t value;
            if (claims_find_u64(list, name, &value)) {
                return value;
            }
        }
    }
    return 0;
}

static bool is_true(const claims *list, const char *name) {
    const char *value = claims_find(list, name);
    return value && strcmp(value, "true") == 0;
}

static void fill_heads(hyperparameters *shape, const claims *list) {
    static const char *const heads[] = {"num_attention_heads", "n_head", "num_heads", "n_heads",
                                        NULL};
    static const char *const kv_heads[] = {"num_key_value_heads", "num_kv_heads", "n_head_kv",
                                           "multi_query_group_num", NULL};
    static const char *const head_dim[] = {"head_dim", "kv_channels", NULL};
    shape->heads = find_number(list, heads);
    shape->new_decoder = is_true(list, "config.new_decoder_architecture");
    shape->multi_query = is_true(list, "config.multi_query");
    shape->kv_heads = find_number(list, kv_heads);
    if (shape->multi_query && !shape->new_decoder) {
        shape->kv_heads = 1; /* falcon 7B states 71 heads and shares one key and value */
    } else if (shape->kv_heads == 0) {
        shape->kv_heads = shape->heads;
    }
    shape->head_dim = find_number(list, head_dim);
    if (shape->head_dim == 0 && shape->heads > 0 && shape->hidden % shape->heads == 0) {
        shape->head_dim = shape->hidden / shape->heads;
    }
}

static void fill_tied_head(hyperparameters *shape, const claims *list) {
    const char *tied = claims_find(list, "config.tie_word_embeddings");
    tied = tied ? tied : claims_find(list, "config.text_config.tie_word_embeddings");
    if (tied) {
        shape->tied_head = strcmp(tied, "true") == 0 ? TIED_YES : TIED_NO;
    }
}

static weir_code fill_shape(checkpoint *model, weir_error *err) {
    static const char *const layers[] = {"num_hidden_layers", "n_layer", "num_layers", "n_layers",
                                         NULL};
    static const char *const hidden[] = {"hidden_size", "n_embd", "d_model", "dim", NULL};
    static const char *const feed_forward[] = {"intermediate_size", "n_inner", "ffn_hidden_size",
                                               "ffn_dim",           "d_ff",    NULL};
    static const char *const experts[] = {"num_local_experts", "num_experts", "n_routed_experts",
                                          "moe_num_experts", NULL};
    static const char *const vocabulary_size[] = {"vocab_size", NULL};
    const claims *list = &model->claims;
    hyperparameters shape = {.layers = find_number(list, layers),
                             .hidden = find_number(list, hidden),
                             .feed_forward = find_number(list, feed_forward),
                             .experts = find_number(list, experts),
                             .vocabulary = find_number(list, vocabulary_size)};
    fill_heads(&shape, list);
    fill_tied_head(&shape, list);
    const char *type = claims_find(list, "config.model_type");
    if (type) {
        shape.architecture = arena_copy_text(&model->memory, type, strlen(type));
        if (!shape.architecture) {
            return weir_fail_nomem(err);
        }
        if (strcmp(type, "gpt2") == 0 && shape.feed_forward == 0 && shape.hidden < UINT64_MAX / 4) {
            shape.feed_forward = 4 * shape.hidden; /* n_inner: null */
        }
    }
    model->shape = shape;
    return WEIR_OK;
}

weir_code config_read(const part *in, weir_error *err) {
    WEIR_TRY(read_claims(in, "config", SMALL_JSON_BYTES_MAX, false, err));
    return fill_shape(in->model, err);
}

weir_code generation_config_read(const part *in, weir_error *err) {
    return read_claims(in, "generation_config", SMALL_JSON_BYTES_MAX, false, err);
}

weir_code preprocessor_config_read(const part *in, weir_error *err) {
    return read_claims(in, "preprocessor_config", SMALL_JSON_BYTES_MAX, false, err);
}

weir_code quantize_config_read(const part *in, weir_error *err) {
    return read_claims(in, "quantize_config", SMALL_JSON_BYTES_MAX, false, err);
}

weir_code model_index_read(const part *in, weir_error *err) {
    return read_claims(in, "model_index", SMALL_JSON_BYTES_MAX, false, err);
}

weir_code special_tokens_read(const part *in, weir_error *err) {
    return read_claims(in, "special_tokens", SMALL_JSON_BYTES_MAX, false, err);
}

/* The log of a long training makes this file large; it is streamed past. */
weir_code trainer_state_read(const part *in, weir_error *err) {
    return read_claims(in, "trainer", TOKENIZER_BYTES_MAX, true, err);
}
