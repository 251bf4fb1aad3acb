/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Key-value pairs, one after the other, little-endian:
 *   key    string: u64 length, bytes
 *   type   u32, see gguf_value.h
 *   value  a number of that type; a string; or an array: u32 type, u64 count, elements
 * Only what somebody asks for is kept: the first elements of an array, token strings, the hash of
 * the merges, templates. Sources: ggml/docs/gguf.md "File Structure"; llama.cpp ggml/src/gguf.cpp.
 */
#include "format/gguf_metadata.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/checked.h"
#include "base/fail.h"
#include "base/limits.h"
#include "base/text.h"
#include "format/gguf_names.h"
#include "format/gguf_value.h"
#include "io/digest.h"

enum {
    LABEL_BYTES_MAX = 320,
    SHOWN_ELEMENTS = 3,
    SHOWN_STRING_BYTES = 64,
    COMPARED_ELEMENTS_MAX = 4096, /* longer arrays are not per-layer numbers */
    ARCHITECTURE_BYTES_MAX = 128,
    KEYS_BYTES_MAX = 16 << 20,
    TEMPLATE_COUNT_MAX = 256,
};

static const char template_key[] = "tokenizer.chat_template";

/* What every step of one call needs. */
typedef struct reading {
    gguf_metadata *out;
    checkpoint *model;
    byte_reader *bytes;
    const checkpoint_options *options;
    weir_findings *findings;
    const char *file; /* lives as long as the model */
    bool fills_vocabulary;
} reading;

typedef struct pair {
    gguf_name key;
    char label[LABEL_BYTES_MAX]; /* the key, printable */
    uint32_t kind;
} pair;

static bool key_is(const pair *item, const char *key) {
    return item->key.len == strlen(key) && memcmp(item->key.text, key, item->key.len) == 0;
}

static weir_code fail_at(const reading *in, uint64_t offset, const char *expected,
                         const char *found, weir_error *err) {
    return weir_fail(err, WEIR_ERR_FORMAT, in->file, at_byte(offset).text, expected, "%s", found);
}

static void remark(const reading *in, const pair *item, const char *id, weir_verdict verdict,
                   const char *message) {
    findings_add(in->findings,
                 &(weir_finding){.id = id,
                                 .severity = WEIR_SEVERITY_MEDIUM,
                                 .verdict = verdict,
                                 .file = in->file,
                                 .at = at_byte(item->key.offset).text},
                 "key %s: %s", item->label, message);
}

static weir_code add_claim(const reading *in, const pair *item, const char *value, size_t len,
                           weir_error *err) {
    char name[sizeof "gguf." + LABEL_BYTES_MAX];
    (void)snprintf(name, sizeof name, "gguf.%s", item->label);
    return claims_add(
        &in->model->claims,
        &(weir_claim){
            .name = name, .value = value, .file = in->file, .at = at_byte(item->key.offset).text},
        len, err);
}

/* A string's length, which was checked against what is left of the file. */
static weir_code read_length(uint64_t *out, const reading *in, const char *what, weir_error *err) {
    const uint64_t offset = byte_reader_offset(in->bytes);
    uint64_t len;
    WEIR_TRY(byte_reader_u64(&len, in->bytes, what, err));
    const uint64_t left = byte_reader_left(in->bytes);
    if (len > left || len > GGUF_STRING_BYTES_MAX) {
        return weir_fail(err, WEIR_ERR_FORMAT, in->file, at_byte(offset).text,
                         "a string that ends inside the file and is not over 1 GiB",
                         "%s of %" PRIu64 " bytes, %" PRIu64 " left", what, len, left);
    }
    *out = len;
    return WEIR_OK;
}

static weir_code keep_number(const reading *in, const pair *item, uint64_t value, weir_error *err) {
    gguf_metadata *out = in->out;
    void *numbers = out->numbers;
    if (!checked_grow(&numbers, &out->number_capacity, out->number_count, sizeof *out->numbers)) {
        return weir_fail_nomem(err);
    }
    out->numbers = numbers;
    out->numbers[out->number_count++] = (gguf_number){.key = item->key.text, .value = value};
    return WEIR_OK;
}

static weir_code check_alignment(const reading *in, const pair *item, const gguf_value *value,
                                 uint64_t offset, weir_error *err) {
    if (item->kind != GGUF_KIND_U32) {
        return fail_at(in, item->key.offset, "general.alignment of type u32",
                       gguf_kinds[item->kind].name, err);
    }
    if (value->value == 0 || (value->value & (value->value - 1)) != 0) {
        return weir_fail(err, WEIR_ERR_FORMAT, in->file, at_byte(offset).text,
                         "general.alignment that is a power of two", "%" PRIu64, value->value);
    }
    in->out->alignment = value->value;
    return WEIR_OK;
}

static void remark_truth(const reading *in, const pair *item) {
    remark(in, item, "gguf-bool-value", WEIR_VERDICT_SUSPICIOUS,
           "a bool is neither 0 nor 1, which readers take differently");
}

static weir_code read_scalar(const reading *in, const pair *item, weir_error *err) {
    const uint64_t offset = byte_reader_offset(in->bytes);
    gguf_value value;
    WEIR_TRY(gguf_value_read(&value, in->bytes, (gguf_kind)item->kind, err));
    if (key_is(item, "general.alignment")) {
        WEIR_TRY(check_alignment(in, item, &value, offset, err));
    }
    if (value.kind == GGUF_KIND_BOOL && value.value > 1) {
        remark_truth(in, item);
    }
    if (value.is_whole) {
        WEIR_TRY(keep_number(in, item, value.value, err));
    }
    char text[GGUF_VALUE_TEXT_BYTES];
    gguf_value_format(text, &value);
    return add_claim(in, item, text, strlen(text), err);
}

/* "tokenizer.chat_template" is the default one, "tokenizer.chat_template.NAME" is NAME. */
static const char *find_template_name(const pair *item) {
    const size_t prefix = strlen(template_key);
    if (key_is(item, template_key)) {
        return "default";
    }
    const bool is_named = item->key.len > prefix + 1 &&
                          memcmp(item->key.text, template_key, prefix) == 0 &&
                          item->key.text[prefix] == '.';
    return is_named ? item->label + prefix + 1 : NULL;
}

static weir_code read_template(const reading *in, const pair *item, const char *name, uint64_t len,
                               weir_error *err) {
    if (len > TEMPLATE_BYTES_MAX || in->model->template_count >= TEMPLATE_COUNT_MAX) {
        remark(in, item, "gguf-template-limit", WEIR_VERDICT_NOT_ANALYSED,
               "the chat template is over 1 MiB, or one of over 256, and was not read");
        return byte_reader_skip(in->bytes, len, "a template", err);
    }
    checkpoint *model = in->model;
    char at[sizeof "key " + LABEL_BYTES_MAX];
    (void)snprintf(at, sizeof at, "key %s", item->label);
    checkpoint_template *grown =
        arena_alloc(&model->memory, model->template_count + 1, sizeof *grown);
    char *text = arena_alloc(&model->memory, len + 1, 1);
    const checkpoint_template added = {.name = arena_copy_text(&model->memory, name, strlen(name)),
                                       .text = text,
                                       .len = len,
                                       .file = in->file,
                                       .at = arena_copy_text(&model->memory, at, strlen(at))};
    if (!grown || !text || !added.name || !added.at) {
        return weir_fail_nomem(err);
    }
    WEIR_TRY(byte_reader_copy(text, in->bytes, len, "a template", err));
    if (model->template_count > 0) {
        memcpy(grown, model->templates, model->template_count * sizeof *grown);
    }
    grown[model->template_count] = added;
    model->templates = grown;
    model->template_count++;
    return WEIR_OK;
}

static weir_code read_string(const reading *in, const pair *item, weir_error *err) {
    uint64_t len;
    WEIR_TRY(read_length(&len, in, "a string", err));
    const char *template_name = find_template_name(item);
    if (template_name) {
        return read_template(in, item, template_name, len, err);
    }
    /* More than a claim keeps, so that a cut is seen, and what stands behind it hashed. */
    const size_t shown = len <= BYTE_READER_VIEW_MAX ? (size_t)len : BYTE_READER_VIEW_MAX;
    const char *text;
    WEIR_TRY(byte_reader_view(&text, in->bytes, shown, "a string", err));
    WEIR_TRY(add_claim(in, item, text, shown, err));
    if (key_is(item, "general.architecture") && len <= ARCHITECTURE_BYTES_MAX) {
        in->out->architecture = arena_copy_text(&in->out->memory, text, shown);
        if (!in->out->architecture) {
            return weir_fail_nomem(err);
        }
    }
    if (in->fills_vocabulary && key_is(item, "tokenizer.ggml.model")) {
        in->model->vocabulary.model = arena_copy_text(&in->model->memory, text, shown);
        if (!in->model->vocabulary.model) {
            return weir_fail_nomem(err);
        }
    }
    return byte_reader_skip(in->bytes, len - shown, "a string", err);
}

/* What becomes of the strings of one array. */
typedef struct string_sink {
    text_buffer shown;
    const char **tokens; /* NULL when they are not kept */
    digest *merges;      /* NULL when they are not hashed */
    uint64_t bytes;      /* kept or hashed so far */
} string_sink;

static void string_sink_release_cleanup(string_sink *sink) {
    text_buffer_release(&sink->shown);
    digest_free(sink->merges);
}

static void show_string(string_sink *sink, uint64_t index, const char *text, size_t len) {
    if (index >= SHOWN_ELEMENTS) {
        return;
    }
    size_t shown = len < SHOWN_STRING_BYTES ? len : SHOWN_STRING_BYTES;
    while (shown < len && shown > 0 && ((unsigned char)text[shown] & 0xC0u) == 0x80u) {
        shown--; /* no character is split */
    }
    text_buffer_add(&sink->shown, index ? ", " : " ", index ? 2 : 1);
    text_buffer_add(&sink->shown, text, shown);
}

/* The whole vocabulary is dropped when a part of it is too long, and the file is read on. */
static void drop_vocabulary(const reading *in, const pair *item, string_sink *sink) {
    remark(in, item, "gguf-vocabulary-limit", WEIR_VERDICT_NOT_ANALYSED,
           "a string is over 64 KiB, or all together are over 128 MiB; they were not kept");
    sink->tokens = NULL;
    digest_free(sink->merges);
    sink->merges = NULL;
}

static weir_code read_element(const reading *in, const pair *item, string_sink *sink,
                              uint64_t index, weir_error *err) {
    uint64_t len;
    WEIR_TRY(read_length(&len, in, "a string", err));
    const size_t seen = len < BYTE_READER_VIEW_MAX ? (size_t)len : BYTE_READER_VIEW_MAX;
    const char *text;
    WEIR_TRY(byte_reader_view(&text, in->bytes, seen, "a string", err));
    show_string(sink, index, text, seen);
    sink->bytes += seen;
    if ((sink->tokens || sink->merges) && (seen < len || sink->bytes > VOCABULARY_BYTES_MAX)) {
        drop_vocabulary(in, item, sink);
    }
    if (sink->tokens) {
        sink->tokens[index] = arena_copy_text(&in->model->memory, text, seen);
        if (!sink->tokens[index]) {
            return weir_fail_nomem(err);
        }
    }
    if (sink->merges) {
        digest_update(sink->merges, text, seen);
        digest_update(sink->merges, "\n", 1);
    }
    return byte_reader_skip(in->bytes, len - seen, "a string", err);
}

static weir_code open_sink(string_sink *sink, const reading *in, const pair *item, uint64_t count,
                           weir_error *err) {
    if (in->fills_vocabulary && key_is(item, "tokenizer.ggml.merges")) {
        return digest_new(&sink->merges, err);
    }
    if (!key_is(item, "tokenizer.ggml.tokens")) {
        return WEIR_OK;
    }
    in->out->tokens = count;
    if (!in->fills_vocabulary || in->options->skip_vocabulary) {
        return WEIR_OK;
    }
    if (count > VOCABULARY_COUNT_MAX) {
        remark(in, item, "gguf-vocabulary-limit", WEIR_VERDICT_NOT_ANALYSED,
               "over 4194304 tokens; they were not kept");
        return WEIR_OK;
    }
    sink->tokens = arena_alloc(&in->model->memory, count, sizeof *sink->tokens);
    return sink->tokens ? WEIR_OK : weir_fail_nomem(err);
}

static weir_code read_strings(const reading *in, const pair *item, uint64_t count,
                              weir_error *err) {
    WEIR_CLEANUP(string_sink_release) string_sink sink = {0};
    WEIR_TRY(open_sink(&sink, in, item, count, err));
    text_buffer_format(&sink.shown, "[%" PRIu64 "]", count);
    for (uint64_t i = 0; i < count; i++) {
        WEIR_TRY(read_element(in, item, &sink, i, err));
    }
    if (count > SHOWN_ELEMENTS) {
        text_buffer_format(&sink.shown, " ...");
    }
    if (sink.shown.failed) {
        return weir_fail_nomem(err);
    }
    vocabulary *words = &in->model->vocabulary;
    if (sink.tokens) {
        words->tokens = sink.tokens;
        words->count = count;
    }
    if (sink.merges) {
        words->merges = count;
        if (count > 0) {
            digest_finish(sink.merges, words->merges_sha256);
        }
    }
    return add_claim(in, item, sink.shown.data, sink.shown.len, err);
}

/* Numbers are shown up to SHOWN_ELEMENTS and compared while there may be one per layer; strings and
   bools are all looked at. What is not needed is not read. */
static uint64_t looked_at_elements(gguf_kind kind, uint64_t count) {
    const bool is_skipped =
        kind != GGUF_KIND_STRING && kind != GGUF_KIND_BOOL && count > COMPARED_ELEMENTS_MAX;
    return is_skipped ? SHOWN_ELEMENTS : count;
}

/* The types of tokens are all kept, with the vocabulary that they belong to. */
static bool is_token_types(const reading *in, const pair *item, gguf_kind kind, uint64_t count) {
    return in->fills_vocabulary && !in->options->skip_vocabulary && count > 0 &&
           count <= VOCABULARY_COUNT_MAX && (kind == GGUF_KIND_I32 || kind == GGUF_KIND_U32) &&
           key_is(item, "tokenizer.ggml.token_type");
}

/* Types of tokens: 3 is control, 4 user-defined (llama.cpp, llama.h, llama_token_type). */
static void note_token_type(added_token *added, size_t *added_count, uint64_t id, uint64_t type) {
    if (added && (type == 3 || type == 4)) {
        added[(*added_count)++] = (added_token){.id = (uint32_t)id, .is_special = type == 3};
    }
}

static weir_code read_numbers(const reading *in, const pair *item, gguf_kind kind, uint64_t count,
                              weir_error *err) {
    WEIR_CLEANUP(text_buffer_release) text_buffer shown = {0};
    text_buffer_format(&shown, "[%" PRIu64 "]", count);
    const bool are_types = is_token_types(in, item, kind, count);
    added_token *added = are_types ? arena_alloc(&in->model->memory, count, sizeof *added) : NULL;
    size_t added_count = 0;
    if (are_types && !added) {
        return weir_fail_nomem(err);
    }
    const uint64_t looked_at = are_types ? count : looked_at_elements(kind, count);
    bool is_constant = looked_at == count && count > 0;
    bool has_odd_truth = false;
    uint64_t first = 0;
    for (uint64_t i = 0; i < looked_at; i++) {
        gguf_value value;
        WEIR_TRY(gguf_value_read(&value, in->bytes, kind, err));
        first = i == 0 ? value.value : first;
        is_constant = is_constant && value.is_whole && value.value == first;
        has_odd_truth = has_odd_truth || (kind == GGUF_KIND_BOOL && value.value > 1);
        note_token_type(added, &added_count, i, value.value);
        if (i < SHOWN_ELEMENTS) {
            char text[GGUF_VALUE_TEXT_BYTES];
            gguf_value_format(text, &value);
            text_buffer_format(&shown, "%s%s", i ? ", " : " ", text);
        }
    }
    WEIR_TRY(
        byte_reader_skip(in->bytes, (count - looked_at) * gguf_kinds[kind].bytes, "an array", err));
    if (count > SHOWN_ELEMENTS) {
        text_buffer_format(&shown, " ...");
    }
    if (shown.failed) {
        return weir_fail_nomem(err);
    }
    if (has_odd_truth) {
        remark_truth(in, item);
    }
    if (are_types) {
        in->model->vocabulary.added = added;
        in->model->vocabulary.added_count = added_count;
    }
    if (is_constant) {
        WEIR_TRY(keep_number(in, item, first, err));
    }
    return add_claim(in, item, shown.data, shown.len, err);
}

static weir_code read_array(const reading *in, const pair *item, weir_error *err) {
    const uint64_t offset = byte_reader_offset(in->bytes);
    uint32_t element;
    uint64_t count;
    WEIR_TRY(byte_reader_u32(&element, in->bytes, "an array's type", err));
    WEIR_TRY(byte_reader_u64(&count, in->bytes, "an array's length", err));
    if (element >= GGUF_KIND_COUNT || element == GGUF_KIND_ARRAY) {
        return weir_fail(err, WEIR_ERR_FORMAT, in->file, at_byte(offset).text,
                         "an array of numbers, bools or strings",
                         element == GGUF_KIND_ARRAY ? "an array of arrays (type %" PRIu32 ")"
                                                    : "type %" PRIu32,
                         element);
    }
    const uint64_t left = byte_reader_left(in->bytes);
    if (count > GGUF_ARRAY_COUNT_MAX || count > left / gguf_kinds[element].bytes) {
        return weir_fail(err, WEIR_ERR_FORMAT, in->file, at_byte(offset + sizeof element).text,
                         "an array that ends inside the file and has at most 2^30 elements",
                         "%" PRIu64 " elements of type %s, %" PRIu64 " bytes left", count,
                         gguf_kinds[element].name, left);
    }
    if (key_is(item, "general.alignment")) {
        return fail_at(in, item->key.offset, "general.alignment of type u32", "an array", err);
    }
    in->out->elements += is_token_types(in, item, (gguf_kind)element, count)
                             ? count
                             : looked_at_elements((gguf_kind)element, count);
    if (in->out->elements > GGUF_ELEMENTS_MAX) {
        return weir_fail(err, WEIR_ERR_LIMIT, in->file, at_byte(offset).text,
                         "arrays of at most 33554432 strings and bools together",
                         "%" PRIu64 " with this one", in->out->elements);
    }
    if (element == GGUF_KIND_STRING) {
        return read_strings(in, item, count, err);
    }
    return read_numbers(in, item, (gguf_kind)element, count, err);
}

static bool has_control_bytes(const char *text, size_t len) {
    for (size_t i = 0; i < len; i++) {
        const unsigned char byte = (unsigned char)text[i];
        if (byte < 0x20 || byte == 0x7F) {
            return true;
        }
    }
    return false;
}

static weir_code read_key(pair *out, const reading *in, weir_error *err) {
    const uint64_t offset = byte_reader_offset(in->bytes);
    uint64_t len;
    WEIR_TRY(read_length(&len, in, "a key", err));
    if (len == 0 || len > GGUF_KEY_BYTES_MAX) {
        return weir_fail(err, WEIR_ERR_FORMAT, in->file, at_byte(offset).text,
                         "a key of 1 to 65535 bytes", "%" PRIu64 " bytes", len);
    }
    const char *text;
    WEIR_TRY(byte_reader_view(&text, in->bytes, (size_t)len, "a key", err));
    if (in->out->memory.bytes > KEYS_BYTES_MAX) {
        return weir_fail(err, WEIR_ERR_LIMIT, in->file, at_byte(offset).text,
                         "keys of at most 16 MiB together", "more");
    }
    const char *copy = arena_copy_text(&in->out->memory, text, (size_t)len);
    if (!copy) {
        return weir_fail_nomem(err);
    }
    out->key = (gguf_name){.text = copy, .len = (size_t)len, .offset = offset};
    text_escape(out->label, sizeof out->label, copy, (size_t)len);
    if (has_control_bytes(copy, (size_t)len)) {
        remark(in, out, "gguf-key-control", WEIR_VERDICT_SUSPICIOUS,
               "it holds control bytes, where readers may see another key");
    }
    return WEIR_OK;
}

static weir_code read_pair(const reading *in, gguf_names *keys, weir_error *err) {
    pair item;
    WEIR_TRY(read_key(&item, in, err));
    if (!gguf_names_add(keys, item.key)) {
        return weir_fail_nomem(err);
    }
    const uint64_t offset = byte_reader_offset(in->bytes);
    WEIR_TRY(byte_reader_u32(&item.kind, in->bytes, "a value's type", err));
    if (item.kind >= GGUF_KIND_COUNT) {
        return weir_fail(err, WEIR_ERR_FORMAT, in->file, at_byte(offset).text,
                         "a value type from 0 to 12", "%" PRIu32, item.kind);
    }
    if (item.kind == GGUF_KIND_ARRAY) {
        return read_array(in, &item, err);
    }
    if (item.kind != GGUF_KIND_STRING) {
        return read_scalar(in, &item, err);
    }
    if (key_is(&item, "general.alignment")) {
        return fail_at(in, item.key.offset, "general.alignment of type u32", "string", err);
    }
    return read_string(in, &item, err);
}

weir_code gguf_metadata_read(gguf_metadata *out, const part *whole, byte_reader *bytes,
                             uint64_t count, weir_error *err) {
    checkpoint *model = whole->model;
    const char *name = weir_source_name(bytes->source);
    if (count > GGUF_KEY_COUNT_MAX) {
        return weir_fail(err, WEIR_ERR_LIMIT, name, at_byte(byte_reader_offset(bytes)).text,
                         "at most 8192 keys", "%" PRIu64, count);
    }
    reading in = {.out = out,
                  .model = model,
                  .bytes = bytes,
                  .options = whole->options,
                  .findings = whole->findings,
                  .file = arena_copy_text(&model->memory, name, strlen(name)),
                  .fills_vocabulary = model->vocabulary.file == NULL};
    if (!in.file) {
        return weir_fail_nomem(err);
    }
    WEIR_CLEANUP(gguf_names_release) gguf_names keys = {0};
    out->alignment = 32; /* ggml/docs/gguf.md, "general.alignment" */
    for (uint64_t i = 0; i < count; i++) {
        WEIR_TRY(read_pair(&in, &keys, err));
    }
    gguf_name again;
    if (gguf_names_find_repeated(&keys, &again)) {
        return weir_fail(err, WEIR_ERR_FORMAT, in.file, at_byte(again.offset).text, "each key once",
                         "%s again", again.text);
    }
    if (in.fills_vocabulary && out->tokens > 0) {
        model->vocabulary.file = in.file;
    }
    return WEIR_OK;
}

bool gguf_metadata_find(const gguf_metadata *metadata, const char *key, uint64_t *out) {
    for (size_t i = 0; i < metadata->number_count; i++) {
        if (strcmp(metadata->numbers[i].key, key) == 0) {
            *out = metadata->numbers[i].value;
            return true;
        }
    }
    return false;
}

void gguf_metadata_release(gguf_metadata *metadata) {
    arena_release(&metadata->memory);
    free(metadata->numbers);
    *metadata = (gguf_metadata){0};
}
