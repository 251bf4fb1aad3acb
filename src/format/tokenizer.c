/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Token strings by id, streamed: memory is what is kept (the strings and one pointer an id), not
 * the document. Shapes of tokenizer.json, from huggingface/tokenizers, src/models/ *
 * /serialization.rs:
 *
 *     {"added_tokens": [{"id": 5, "content": "<s>", ...}], "normalizer": ..., "pre_tokenizer": ...,
 *      "model": {"type": "BPE", "vocab": {"a": 0, ...}, "merges": ["a b", ...] or [["a", "b"],
 * ...]}}
 *
 * Unigram has "vocab": [["a", -1.5], ...], where the place is the id. Added tokens come before the
 * model in the file and win over it, as they do in the library.
 */
#include <stdio.h>
#include <string.h>

#include "base/checked.h"
#include "base/limits.h"
#include "base/text.h"
#include "format/canonical_json.h"
#include "format/claim_tree.h"
#include "format/parts.h"
#include "io/digest.h"

enum {
    TOKEN_BYTES_MAX = 1 << 16,
    KEPT_BYTES_MAX = 96 << 20, /* of all token strings; the largest vocabularies have 4 MiB */
    LINES_BYTES_MAX = 64 << 20,
};

/* A vocabulary that grows. */
typedef struct token_table {
    const part *in;
    const char **tokens;
    size_t count;
    size_t capacity;
    uint64_t given;     /* how many tokens the file gave */
    uint64_t conflicts; /* ids that were given two different tokens */
} token_table;

static void token_table_release_cleanup(token_table *table) {
    free(table->tokens);
}

static weir_code fail_at(const part *in, weir_code code, const place *at, const char *expected,
                         const char *found, weir_error *err) {
    return weir_fail(err, code, weir_source_name(in->source), at->text, expected, "%s", found);
}

static weir_code reserve(token_table *table, uint64_t id, const place *at, weir_error *err) {
    if (id >= VOCABULARY_COUNT_MAX) {
        return fail_at(table->in, WEIR_ERR_LIMIT, at, "ids below 4194304", "a larger one", err);
    }
    if (id < table->capacity) {
        return WEIR_OK;
    }
    const size_t doubled = table->capacity * 2;
    const size_t capacity = doubled > id ? doubled : (size_t)id + 1024;
    size_t bytes;
    const char **moved =
        checked_mul_size(&bytes, capacity, sizeof *moved) ? realloc(table->tokens, bytes) : NULL;
    if (!moved) {
        return weir_fail_nomem(err);
    }
    memset(moved + table->capacity, 0, (capacity - table->capacity) * sizeof *moved);
    table->tokens = moved;
    table->capacity = capacity;
    return WEIR_OK;
}

/* A C string of the token; a NUL inside is spelled out, because it would end the string. */
static const char *keep_token(arena *memory, const char *text, size_t len) {
    if (!memchr(text, '\0', len)) {
        return arena_copy_text(memory, text, len);
    }
    WEIR_CLEANUP(text_buffer_release) text_buffer spelled = {0};
    for (size_t i = 0; i < len; i++) {
        text_buffer_add(&spelled, text[i] ? text + i : "\\x00", text[i] ? 1 : 4);
    }
    return spelled.failed ? NULL : arena_copy_text(memory, spelled.data, spelled.len);
}

static weir_code check_token(const part *in, size_t len, const place *at, weir_error *err) {
    if (in->model->memory.bytes > KEPT_BYTES_MAX) {
        return fail_at(in, WEIR_ERR_LIMIT, at, "tokens up to 96 MiB together", "more", err);
    }
    return len <= TOKEN_BYTES_MAX
               ? WEIR_OK
               : fail_at(in, WEIR_ERR_LIMIT, at, "tokens up to 65536 bytes", "a longer one", err);
}

/* `token` is the arena's; a later one for the same id replaces it only when `wins`. */
static weir_code put_token(token_table *table, uint64_t id, const char *token, bool wins,
                           const place *at, weir_error *err) {
    WEIR_TRY(reserve(table, id, at, err));
    const char **slot = &table->tokens[id];
    table->given++;
    if (*slot && strcmp(*slot, token) != 0) {
        table->conflicts++;
    }
    if (!*slot || wins) {
        *slot = token;
    }
    if (id >= table->count) {
        table->count = (size_t)id + 1;
    }
    return WEIR_OK;
}

static weir_code copy_token(const char **out, const part *in, const char *text, size_t len,
                            weir_error *err) {
    *out = in->options->skip_vocabulary ? "" : keep_token(&in->model->memory, text, len);
    return *out ? WEIR_OK : weir_fail_nomem(err);
}

/* Start from what earlier files of the same tokenizer gave. */
static weir_code begin_table(token_table *table, const part *in, weir_error *err) {
    const vocabulary *known = &in->model->vocabulary;
    *table = (token_table){.in = in};
    if (known->count > 0) {
        WEIR_TRY(reserve(table, known->count - 1, &(place){.text = ""}, err));
        memcpy(table->tokens, known->tokens, known->count * sizeof *known->tokens);
        table->count = known->count;
    }
    return WEIR_OK;
}

static void report_conflicts(const token_table *table) {
    if (table->conflicts == 0) {
        return;
    }
    findings_add(table->in->findings,
                 &(weir_finding){.id = "tokenizer-two-tokens-one-id",
                                 .severity = WEIR_SEVERITY_LOW,
                                 .verdict = WEIR_VERDICT_CLEAN,
                                 .file = weir_source_name(table->in->source)},
                 "%llu ids are given to two different tokens; the added token is taken",
                 (unsigned long long)table->conflicts);
}

/* Hand the table over to the checkpoint. */
static weir_code end_table(token_table *table, weir_error *err) {
    checkpoint *model = table->in->model;
    vocabulary *target = &model->vocabulary;
    const char *file = weir_source_name(table->in->source);
    target->file = arena_copy_text(&model->memory, file, strlen(file));
    if (!target->file) {
        return weir_fail_nomem(err);
    }
    if (!table->in->options->skip_vocabulary) {
        report_conflicts(table);
        const char **tokens = arena_alloc(&model->memory, table->count, sizeof *tokens);
        if (!tokens) {
            return weir_fail_nomem(err);
        }
        if (table->count > 0) {
            memcpy(tokens, table->tokens, table->count * sizeof *tokens);
        }
        target->tokens = tokens;
        target->count = table->count;
    }
    return WEIR_OK;
}

/* One JSON document on its way into a table. */
typedef struct tokenizer_file {
    token_table table;
    claim_tree tree;
    digest *merges;
    uint64_t merge_count;
    char model[32];
    added_token *added;
    size_t added_count;
    size_t added_capacity;
    uint64_t step_offsets[TOKENIZER_STEP_COUNT]; /* of their values; 0: not there, or null */
} tokenizer_file;

static void tokenizer_file_release_cleanup(tokenizer_file *file) {
    free(file->table.tokens);
    free(file->added);
    digest_free(file->merges);
}

static weir_code fail_token(const tokenizer_file *file, const json_token *token,
                            const char *expected, weir_error *err) {
    const place at = at_byte(token->offset);
    return fail_at(file->table.in, WEIR_ERR_FORMAT, &at, expected, "something else", err);
}

/* {"token": id, ...}, whose opening brace was read. */
static weir_code read_vocabulary_object(tokenizer_file *file, bool wins, weir_error *err) {
    const part *in = file->table.in;
    for (;;) {
        json_token token;
        WEIR_TRY(document_next(file->tree.source, &token, err));
        if (token.kind != JSON_KEY) {
            return WEIR_OK;
        }
        const place at = at_byte(token.offset);
        WEIR_TRY(check_token(in, token.len, &at, err));
        const char *text;
        WEIR_TRY(copy_token(&text, in, token.text, token.len, err));
        WEIR_TRY(document_next(file->tree.source, &token, err));
        uint64_t id;
        if (token.kind != JSON_NUMBER || !json_token_u64(&token, &id)) {
            return fail_token(file, &token, "the id of a token", err);
        }
        WEIR_TRY(put_token(&file->table, id, text, wins, &at, err));
    }
}

/* [["token", score], ...], whose opening bracket was read. */
static weir_code read_vocabulary_list(tokenizer_file *file, weir_error *err) {
    const part *in = file->table.in;
    for (uint64_t id = 0;; id++) {
        json_token pair;
        WEIR_TRY(document_next(file->tree.source, &pair, err));
        if (pair.kind == JSON_ARRAY_END) {
            return WEIR_OK;
        }
        if (pair.kind != JSON_ARRAY_BEGIN) {
            return fail_token(file, &pair, "a pair of token and score", err);
        }
        json_token token;
        WEIR_TRY(document_next(file->tree.source, &token, err));
        if (token.kind != JSON_STRING) {
            return fail_token(file, &token, "a token", err);
        }
        const place at = at_byte(token.offset);
        WEIR_TRY(check_token(in, token.len, &at, err));
        const char *text;
        WEIR_TRY(copy_token(&text, in, token.text, token.len, err));
        WEIR_TRY(put_token(&file->table, id, text, false, &at, err));
        WEIR_TRY(document_next(file->tree.source, &token, err));
        if (token.kind != JSON_NUMBER) {
            return fail_token(file, &token, "a score", err);
        }
        WEIR_TRY(document_next(file->tree.source, &token, err));
        if (token.kind != JSON_ARRAY_END) {
            return fail_token(file, &token, "the end of a pair", err);
        }
    }
}

/* The two halves of ["a", "b"], whose opening bracket was read. */
static weir_code read_merge_pair(tokenizer_file *file, weir_error *err) {
    json_token token;
    for (int half = 0; half < 2; half++) {
        WEIR_TRY(document_next(file->tree.source, &token, err));
        if (token.kind != JSON_STRING) {
            return fail_token(file, &token, "half of a merge", err);
        }
        digest_update(file->merges, token.text, token.len);
        digest_update(file->merges, half == 0 ? " " : "\n", 1);
    }
    WEIR_TRY(document_next(file->tree.source, &token, err));
    return token.kind == JSON_ARRAY_END ? WEIR_OK
                                        : fail_token(file, &token, "two halves of a merge", err);
}

static weir_code read_merges(tokenizer_file *file, weir_error *err) {
    for (;; file->merge_count++) {
        json_token token;
        WEIR_TRY(document_next(file->tree.source, &token, err));
        if (token.kind == JSON_ARRAY_END) {
            return WEIR_OK;
        }
        if (token.kind == JSON_ARRAY_BEGIN) {
            WEIR_TRY(read_merge_pair(file, err));
        } else if (token.kind == JSON_STRING && memchr(token.text, ' ', token.len)) {
            digest_update(file->merges, token.text, token.len);
            digest_update(file->merges, "\n", 1);
        } else {
            return fail_token(file, &token, "a merge of two tokens", err);
        }
    }
}

static weir_code read_model_member(tokenizer_file *file, const json_token *key, weir_error *err) {
    document *source = file->tree.source;
    const bool is_type = json_token_is(key, "type");
    const bool is_vocabulary = json_token_is(key, "vocab");
    const bool is_merges = json_token_is(key, "merges");
    char name[96] = "tokenizer.model.";
    text_escape(name + strlen(name), sizeof name - strlen(name), key->text, key->len);
    json_token value;
    WEIR_TRY(document_next(source, &value, err));
    if (is_type && value.kind == JSON_STRING) {
        text_escape(file->model, sizeof file->model, value.text, value.len);
    }
    if (is_vocabulary && value.kind == JSON_OBJECT_BEGIN) {
        return read_vocabulary_object(file, /* wins= */ false, err);
    }
    if (is_vocabulary && value.kind == JSON_ARRAY_BEGIN) {
        return read_vocabulary_list(file, err);
    }
    if (is_merges && value.kind == JSON_ARRAY_BEGIN) {
        return read_merges(file, err);
    }
    return claim_tree_add_scalar(&file->tree, name, &value, err);
}

static weir_code read_model(tokenizer_file *file, weir_error *err) {
    json_token token;
    WEIR_TRY(document_next(file->tree.source, &token, err));
    if (token.kind != JSON_OBJECT_BEGIN) {
        return fail_token(file, &token, "an object that is the tokenizer's model", err);
    }
    for (;;) {
        WEIR_TRY(document_next(file->tree.source, &token, err));
        if (token.kind != JSON_KEY) {
            return WEIR_OK;
        }
        WEIR_TRY(read_model_member(file, &token, err));
    }
}

static weir_code keep_added(tokenizer_file *file, uint64_t id, bool is_special, weir_error *err) {
    void *items = file->added;
    if (!checked_grow(&items, &file->added_capacity, file->added_count, sizeof *file->added)) {
        return weir_fail_nomem(err);
    }
    file->added = items;
    file->added[file->added_count++] = (added_token){.id = (uint32_t)id, .is_special = is_special};
    return WEIR_OK;
}

/* {"id": 5, "content": "<s>", "special": true, ...}, whose opening brace was read. */
static weir_code read_added_token(tokenizer_file *file, uint64_t offset, weir_error *err) {
    document *source = file->tree.source;
    const char *text = NULL;
    uint64_t id = UINT64_MAX;
    bool is_special = false;
    for (;;) {
        json_token token;
        WEIR_TRY(document_next(source, &token, err));
        if (token.kind != JSON_KEY) {
            break;
        }
        const bool is_id = json_token_is(&token, "id");
        const bool is_content = json_token_is(&token, "content");
        const bool is_flag = json_token_is(&token, "special");
        WEIR_TRY(document_next(source, &token, err));
        is_special = is_flag ? token.kind == JSON_TRUE : is_special;
        if (is_id && token.kind == JSON_NUMBER) {
            (void)json_token_u64(&token, &id);
        } else if (is_content && token.kind == JSON_STRING) {
            const place at = at_byte(token.offset);
            WEIR_TRY(check_token(file->table.in, token.len, &at, err));
            WEIR_TRY(copy_token(&text, file->table.in, token.text, token.len, err));
        } else {
            WEIR_TRY(document_skip(source, &token, err));
        }
    }
    const place at = at_byte(offset);
    if (!text || id == UINT64_MAX) {
        return fail_at(file->table.in, WEIR_ERR_FORMAT, &at, "an added token with id and content",
                       "one without", err);
    }
    WEIR_TRY(put_token(&file->table, id, text, /* wins= */ true, &at, err));
    return keep_added(file, id, is_special, err);
}

static weir_code read_added_tokens(tokenizer_file *file, weir_error *err) {
    json_token token;
    WEIR_TRY(document_next(file->tree.source, &token, err));
    if (token.kind != JSON_ARRAY_BEGIN) {
        return document_skip(file->tree.source, &token, err);
    }
    for (;;) {
        WEIR_TRY(document_next(file->tree.source, &token, err));
        if (token.kind == JSON_ARRAY_END) {
            return WEIR_OK;
        }
        if (token.kind != JSON_OBJECT_BEGIN) {
            return fail_token(file, &token, "an added token", err);
        }
        WEIR_TRY(read_added_token(file, token.offset, err));
    }
}

/* The value is claimed here, and hashed when the document is known to be whole. */
static weir_code read_step(tokenizer_file *file, tokenizer_step step, weir_error *err) {
    static const char *const names[] = {"tokenizer.normalizer", "tokenizer.pre_tokenizer",
                                        "tokenizer.post_processor", "tokenizer.decoder"};
    json_token value;
    WEIR_TRY(document_next(file->tree.source, &value, err));
    file->step_offsets[step] = value.kind == JSON_NULL ? 0 : value.offset;
    return claim_tree_add_value(&file->tree, names[step], &value, err);
}

static weir_code take_member(void *context, document *source, const json_token *key, bool *taken,
                             weir_error *err) {
    (void)source;
    static const char *const steps[] = {"normalizer", "pre_tokenizer", "post_processor", "decoder"};
    tokenizer_file *file = context;
    for (int step = 0; step < TOKENIZER_STEP_COUNT; step++) {
        if (json_token_is(key, steps[step])) {
            *taken = true;
            return read_step(file, (tokenizer_step)step, err);
        }
    }
    const bool is_model = json_token_is(key, "model");
    *taken = is_model || json_token_is(key, "added_tokens");
    if (!*taken) {
        return WEIR_OK;
    }
    return is_model ? read_model(file, err) : read_added_tokens(file, err);
}

static weir_code claim_number(const part *in, const char *name, uint64_t number, weir_error *err) {
    char text[24];
    const int len = snprintf(text, sizeof text, "%llu", (unsigned long long)number);
    return claims_add(
        &in->model->claims,
        &(weir_claim){.name = name, .value = text, .file = weir_source_name(in->source)},
        (size_t)len, err);
}

static weir_code set_model(vocabulary *target, arena *memory, const char *name, weir_error *err) {
    target->model = arena_copy_text(memory, name, strlen(name));
    return target->model ? WEIR_OK : weir_fail_nomem(err);
}

/* Hand the added tokens and the hashes of the steps over to the checkpoint. */
static weir_code end_steps(tokenizer_file *file, weir_error *err) {
    const part *in = file->table.in;
    vocabulary *target = &in->model->vocabulary;
    if (file->added_count > 0) {
        added_token *added = arena_alloc(&in->model->memory, file->added_count, sizeof *added);
        if (!added) {
            return weir_fail_nomem(err);
        }
        memcpy(added, file->added, file->added_count * sizeof *added);
        target->added = added;
        target->added_count = file->added_count;
    }
    for (size_t step = 0; step < TOKENIZER_STEP_COUNT; step++) {
        if (file->step_offsets[step] > 0) {
            WEIR_TRY(canonical_json_hash(target->step_sha256[step], in->source,
                                         file->step_offsets[step], err));
            target->has_step[step] = true;
        }
    }
    return WEIR_OK;
}

static weir_code end_tokenizer(tokenizer_file *file, weir_error *err) {
    const part *in = file->table.in;
    vocabulary *target = &in->model->vocabulary;
    WEIR_TRY(end_table(&file->table, err));
    target->merges = file->merge_count;
    if (file->merge_count > 0) {
        digest_finish(file->merges, target->merges_sha256);
    }
    /* Files of before the key "type" was written have merges exactly when they are BPE. */
    const char *model = file->model[0] ? file->model : file->merge_count > 0 ? "BPE" : NULL;
    if (model) {
        WEIR_TRY(set_model(target, &in->model->memory, model, err));
    }
    WEIR_TRY(claim_number(in, "tokenizer.tokens", file->table.count, err));
    WEIR_TRY(claim_number(in, "tokenizer.merges", file->merge_count, err));
    return end_steps(file, err);
}

weir_code tokenizer_read(const part *in, weir_error *err) {
    WEIR_CLEANUP(document_close) document source = {0};
    WEIR_TRY(document_open_json(&source, in->source, TOKENIZER_BYTES_MAX, err));
    WEIR_CLEANUP(tokenizer_file_release)
    tokenizer_file file = {.table = {.in = in},
                           .tree = {.target = &in->model->claims,
                                    .source = &source,
                                    .findings = in->findings,
                                    .prefix = "tokenizer",
                                    .on_key = take_member}};
    file.tree.context = &file;
    in->model->vocabulary = (vocabulary){0};
    WEIR_TRY(digest_new(&file.merges, err));
    WEIR_TRY(claim_tree_read(&file.tree, err));
    return end_tokenizer(&file, err);
}

weir_code vocabulary_json_read(const part *in, weir_error *err) {
    WEIR_CLEANUP(document_close) document source = {0};
    WEIR_TRY(document_open_json(&source, in->source, TOKENIZER_BYTES_MAX, err));
    WEIR_CLEANUP(tokenizer_file_release) tokenizer_file file = {.tree = {.source = &source}};
    WEIR_TRY(begin_table(&file.table, in, err));
    json_token token;
    WEIR_TRY(document_next(&source, &token, err));
    if (token.kind != JSON_OBJECT_BEGIN) {
        return fail_token(&file, &token, "an object of tokens and ids", err);
    }
    WEIR_TRY(read_vocabulary_object(&file, /* wins= */ false, err));
    WEIR_TRY(document_next(&source, &token, err)); /* nothing may follow */
    return end_table(&file.table, err);
}

/* One line of a text, without its end. */
typedef struct text_lines {
    const char *text;
    size_t len;
    size_t at;
    uint64_t number; /* of the line that was read last, from 1 */
} text_lines;

static bool next_line(text_lines *lines, const char **line, size_t *len) {
    if (lines->at >= lines->len) {
        return false;
    }
    *line = lines->text + lines->at;
    const char *end = memchr(*line, '\n', lines->len - lines->at);
    *len = end ? (size_t)(end - *line) : lines->len - lines->at;
    lines->at += *len + 1;
    lines->number++;
    if (*len > 0 && (*line)[*len - 1] == '\r') {
        (*len)--;
    }
    return true;
}

static weir_code fail_line(const part *in, weir_code code, const text_lines *lines,
                           const char *expected, weir_error *err) {
    const place at = at_line(lines->number);
    return fail_at(in, code, &at, expected, "something else", err);
}

weir_code vocabulary_list_read(const part *in, weir_error *err) {
    WEIR_CLEANUP(free) char *text = NULL;
    text_lines lines = {0};
    WEIR_TRY(source_read_text(&text, &lines.len, in->source, LINES_BYTES_MAX, err));
    lines.text = text;
    WEIR_CLEANUP(token_table_release) token_table table = {0};
    WEIR_TRY(begin_table(&table, in, err));
    const char *line;
    size_t len;
    while (next_line(&lines, &line, &len)) {
        const place at = at_line(lines.number);
        if (!text_is_utf8(line, len)) {
            return fail_line(in, WEIR_ERR_FORMAT, &lines, "UTF-8", err);
        }
        WEIR_TRY(check_token(in, len, &at, err));
        const char *token;
        WEIR_TRY(copy_token(&token, in, line, len, err));
        WEIR_TRY(put_token(&table, lines.number - 1, token, /* wins= */ false, &at, err));
    }
    WEIR_TRY(end_table(&table, err));
    return set_model(&in->model->vocabulary, &in->model->memory, "WordPiece", err);
}

weir_code merges_read(const part *in, weir_error *err) {
    WEIR_CLEANUP(free) char *text = NULL;
    text_lines lines = {0};
    WEIR_TRY(source_read_text(&text, &lines.len, in->source, LINES_BYTES_MAX, err));
    lines.text = text;
    WEIR_CLEANUP(digest_free) digest *hash = NULL;
    WEIR_TRY(digest_new(&hash, err));
    uint64_t count = 0;
    const char *line;
    size_t len;
    while (next_line(&lines, &line, &len)) {
        const bool is_version = lines.number == 1 && len >= 8 && memcmp(line, "#version", 8) == 0;
        if (is_version || len == 0) {
            continue;
        }
        if (!text_is_utf8(line, len) || !memchr(line, ' ', len)) {
            return fail_line(in, WEIR_ERR_FORMAT, &lines, "two tokens with a space between", err);
        }
        digest_update(hash, line, len);
        digest_update(hash, "\n", 1);
        count++;
    }
    vocabulary *target = &in->model->vocabulary;
    target->merges = count;
    if (count == 0) {
        return WEIR_OK;
    }
    digest_finish(hash, target->merges_sha256);
    return set_model(target, &in->model->memory, "BPE", err);
}
