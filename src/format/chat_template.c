/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Where chat templates stand in a model folder [1]: as "chat_template" in tokenizer_config.json (a
 * text, or a list of {name, template}), in chat_template.json, in chat_template.jinja, and by name
 * in additional_chat_templates/NAME.jinja. Nothing is rendered here.
 *
 * [1] transformers, utils/hub.py and tokenization_utils_base.py: CHAT_TEMPLATE_FILE,
 * CHAT_TEMPLATE_DIR.
 */
#include <stdio.h>
#include <string.h>

#include "base/limits.h"
#include "base/text.h"
#include "format/claim_tree.h"
#include "format/detect.h"
#include "format/parts.h"

enum { TEMPLATE_COUNT_MAX = 256, TEMPLATE_NAME_BYTES_MAX = 128 };

static const char template_key[] = "chat_template";
static const char at_template_key[] = "key chat_template";

static void report_limit(weir_findings *findings, const checkpoint_template *from,
                         const char *what) {
    findings_add(findings,
                 &(weir_finding){.id = "template-limit",
                                 .severity = WEIR_SEVERITY_HIGH,
                                 .verdict = WEIR_VERDICT_NOT_ANALYSED,
                                 .file = from->file,
                                 .at = from->at},
                 "%s; it was not analysed", what);
}

weir_code checkpoint_keep_template(checkpoint *model, const checkpoint_template *from,
                                   weir_findings *findings, weir_error *err) {
    if (from->len > TEMPLATE_BYTES_MAX) {
        report_limit(findings, from, "the chat template is longer than 1 MiB");
        return WEIR_OK;
    }
    if (model->template_count >= TEMPLATE_COUNT_MAX) {
        report_limit(findings, from, "this is one of more than 256 chat templates");
        return WEIR_OK;
    }
    char name[TEMPLATE_NAME_BYTES_MAX];
    text_escape(name, sizeof name, from->name, strlen(from->name));
    arena *memory = &model->memory;
    /* The arena has no realloc, and there are few templates. */
    checkpoint_template *items = arena_alloc(memory, model->template_count + 1, sizeof *items);
    const checkpoint_template added = {.name = arena_copy_text(memory, name, strlen(name)),
                                       .text = arena_copy_text(memory, from->text, from->len),
                                       .len = from->len,
                                       .file =
                                           arena_copy_text(memory, from->file, strlen(from->file)),
                                       .at = arena_copy_text(memory, from->at, strlen(from->at))};
    if (!items || !added.name || !added.text || !added.file || !added.at) {
        return weir_fail_nomem(err);
    }
    if (model->template_count > 0) {
        memcpy(items, model->templates, model->template_count * sizeof *items);
    }
    items[model->template_count++] = added;
    model->templates = items;
    return WEIR_OK;
}

/* Keep one template of the part at hand; `at` is at_template_key, or "" for a file of its own. */
static weir_code add_template(const part *in, const char *name, const char *text, size_t len,
                              const char *at, weir_error *err) {
    const checkpoint_template added = {
        .name = name, .text = text, .len = len, .file = weir_source_name(in->source), .at = at};
    return checkpoint_keep_template(in->model, &added, in->findings, err);
}

/* The name or the text of a named template, kept until both are known. */
typedef struct named_template {
    text_buffer name;
    text_buffer text;
    bool has_text;
} named_template;

static void named_template_release_cleanup(named_template *named) {
    text_buffer_release(&named->name);
    text_buffer_release(&named->text);
}

static weir_code read_named_member(named_template *out, document *source, const json_token *key,
                                   weir_error *err) {
    const bool is_name = json_token_is(key, "name");
    const bool is_text = json_token_is(key, "template");
    json_token value;
    WEIR_TRY(document_next(source, &value, err));
    if (value.kind != JSON_STRING || (!is_name && !is_text)) {
        return document_skip(source, &value, err);
    }
    text_buffer *target = is_name ? &out->name : &out->text;
    text_buffer_release(target);
    text_buffer_add(target, value.text, value.len);
    out->has_text = out->has_text || is_text;
    return target->failed ? weir_fail_nomem(err) : WEIR_OK;
}

/* {"name": ..., "template": ...}, whose opening brace was read. */
static weir_code read_named(const part *in, document *source, weir_error *err) {
    WEIR_CLEANUP(named_template_release) named_template named = {.has_text = false};
    for (;;) {
        json_token key;
        WEIR_TRY(document_next(source, &key, err));
        if (key.kind != JSON_KEY) {
            break;
        }
        WEIR_TRY(read_named_member(&named, source, &key, err));
    }
    const char *name = named.name.data ? named.name.data : "unnamed";
    return named.has_text
               ? add_template(in, name, named.text.data, named.text.len, at_template_key, err)
               : WEIR_OK;
}

/* {"NAME": "TEMPLATE", ...}, whose opening brace was read. */
static weir_code read_dictionary(const part *in, document *source, weir_error *err) {
    for (;;) {
        json_token token;
        WEIR_TRY(document_next(source, &token, err));
        if (token.kind != JSON_KEY) {
            return WEIR_OK;
        }
        char name[TEMPLATE_NAME_BYTES_MAX];
        text_escape(name, sizeof name, token.text, token.len);
        WEIR_TRY(document_next(source, &token, err));
        if (token.kind == JSON_STRING) {
            WEIR_TRY(add_template(in, name, token.text, token.len, at_template_key, err));
        } else {
            WEIR_TRY(document_skip(source, &token, err));
        }
    }
}

static weir_code read_list(const part *in, document *source, weir_error *err) {
    for (;;) {
        json_token token;
        WEIR_TRY(document_next(source, &token, err));
        if (token.kind == JSON_ARRAY_END) {
            return WEIR_OK;
        }
        if (token.kind == JSON_OBJECT_BEGIN) {
            WEIR_TRY(read_named(in, source, err));
        } else {
            WEIR_TRY(document_skip(source, &token, err));
        }
    }
}

/* The value of a key "chat_template"; what is none of the known shapes is passed over. */
static weir_code take_template(void *context, document *source, const json_token *key, bool *taken,
                               weir_error *err) {
    if (!json_token_is(key, template_key)) {
        return WEIR_OK;
    }
    const part *in = context;
    *taken = true;
    json_token value;
    WEIR_TRY(document_next(source, &value, err));
    switch (value.kind) {
    case JSON_STRING:
        return add_template(in, "default", value.text, value.len, at_template_key, err);
    case JSON_ARRAY_BEGIN:
        return read_list(in, source, err);
    case JSON_OBJECT_BEGIN:
        return read_dictionary(in, source, err);
    case JSON_OBJECT_END:
    case JSON_ARRAY_END:
    case JSON_KEY:
    case JSON_NUMBER:
    case JSON_TRUE:
    case JSON_FALSE:
    case JSON_NULL:
    case JSON_END:
        break;
    }
    return WEIR_OK;
}

static weir_code read_tree(const part *in, document *source, claims *target, weir_error *err) {
    part own = *in;
    const claim_tree tree = {.target = target,
                             .source = source,
                             .findings = in->findings,
                             .prefix = "tokenizer_config",
                             .on_key = take_template,
                             .context = &own};
    return claim_tree_read(&tree, err);
}

/* The keys of the top object are read; everything but the template is passed over. */
static weir_code read_only_templates(const part *in, document *source, weir_error *err) {
    claims unused = {0};
    const weir_code code = read_tree(in, source, &unused, err);
    claims_release(&unused);
    return code;
}

static bool has_auto_map(const claims *list, size_t first) {
    static const char name[] = "tokenizer_config.auto_map";
    for (size_t i = first; i < list->count; i++) {
        if (strncmp(list->items[i].name, name, sizeof name - 1) == 0) {
            return true;
        }
    }
    return false;
}

weir_code tokenizer_config_read(const part *in, weir_error *err) {
    WEIR_CLEANUP(document_close) document source = {0};
    WEIR_TRY(document_open_json(&source, in->source, SMALL_JSON_BYTES_MAX, err));
    claims *list = &in->model->claims;
    const size_t first = list->count;
    WEIR_TRY(read_tree(in, &source, list, err));
    if (has_auto_map(list, first)) {
        findings_add(in->findings,
                     &(weir_finding){.id = "custom-code",
                                     .severity = WEIR_SEVERITY_MEDIUM,
                                     .verdict = WEIR_VERDICT_CLEAN,
                                     .file = weir_source_name(in->source),
                                     .at = "key auto_map"},
                     "auto_map names Python code that a loader runs when it is told to trust the "
                     "model; weir does not analyse that code");
    }
    return WEIR_OK;
}

/* "default" for chat_template.jinja, else the file's name without its last ending. */
static void name_template(char *out, size_t size, const char *path) {
    const char *base = path_base(path);
    const char *dot = strrchr(base, '.');
    const size_t len = dot && dot > base ? (size_t)(dot - base) : strlen(base);
    const bool is_default = len == sizeof template_key - 1 && memcmp(base, template_key, len) == 0;
    (void)snprintf(out, size, "%.*s",
                   (int)(is_default  ? 7
                         : len < 100 ? len
                                     : 100),
                   is_default ? "default" : base);
}

static weir_code read_template_file(const part *in, weir_error *err) {
    WEIR_CLEANUP(free) char *text = NULL;
    size_t len = 0;
    WEIR_TRY(source_read_text(&text, &len, in->source, TEMPLATE_BYTES_MAX, err));
    char name[TEMPLATE_NAME_BYTES_MAX];
    const char *path = weir_source_name(in->source);
    name_template(name, sizeof name, path);
    WEIR_TRY(add_template(in, name, text, len, "", err));
    return text_is_utf8(text, len)
               ? WEIR_OK
               : weir_fail(err, WEIR_ERR_FORMAT, path, NULL, "UTF-8", "other bytes");
}

weir_code chat_template_read(const part *in, weir_error *err) {
    static const char *const plain[] = {".jinja", ".jinja2", ".j2", ".template"};
    const char *path = weir_source_name(in->source);
    for (size_t i = 0; i < sizeof plain / sizeof *plain; i++) {
        if (path_has_suffix(path, plain[i])) {
            return read_template_file(in, err);
        }
    }
    const bool is_yaml = path_has_suffix(path, ".yml") || path_has_suffix(path, ".yaml");
    WEIR_CLEANUP(document_close) document source = {0};
    WEIR_TRY(is_yaml ? document_open_yaml_source(&source, in->source, err)
                     : document_open_json(&source, in->source, SMALL_JSON_BYTES_MAX, err));
    return read_only_templates(in, &source, err);
}
