/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The value is read once, token by token, into its canonical text. An object's members are gathered
 * and then sorted; of two members of one key the later one follows, as it was read. Recursion
 * follows the depth of the value, which the reader limits.
 */
#include "format/canonical_json.h"

#include <stdlib.h>
#include <string.h>

#include "base/checked.h"
#include "base/fail.h"
#include "base/text.h"
#include "io/json_reader.h"

typedef struct writing {
    json_reader *reader;
    const char *file;
    uint64_t bytes; /* of all texts made so far */
} writing;

/* One member of an object: "key":value, of which the first key_len bytes are the key's. */
typedef struct member {
    text_buffer key;
    text_buffer text;
    size_t index;
} member;

typedef struct member_list {
    member *items;
    size_t count;
    size_t capacity;
} member_list;

static void member_list_release_cleanup(member_list *list) {
    for (size_t i = 0; i < list->count; i++) {
        text_buffer_release(&list->items[i].key);
        text_buffer_release(&list->items[i].text);
    }
    free(list->items);
}

static int by_key(const void *left, const void *right) {
    const member *a = left;
    const member *b = right;
    const size_t len = a->key.len < b->key.len ? a->key.len : b->key.len;
    const int order = len > 0 ? memcmp(a->key.data, b->key.data, len) : 0;
    if (order != 0 || a->key.len != b->key.len) {
        return order != 0 ? order : a->key.len < b->key.len ? -1 : 1;
    }
    return a->index < b->index ? -1 : a->index > b->index;
}

static weir_code add(writing *to, text_buffer *out, const char *bytes, size_t len,
                     weir_error *err) {
    to->bytes += len;
    if (to->bytes > CANONICAL_BYTES_MAX) {
        return weir_fail(err, WEIR_ERR_LIMIT, to->file, NULL,
                         "a step of the tokenizer of at most 16 MiB", "a longer one");
    }
    text_buffer_add(out, bytes, len);
    return out->failed ? weir_fail_nomem(err) : WEIR_OK;
}

static weir_code add_text(writing *to, text_buffer *out, const char *text, weir_error *err) {
    return add(to, out, text, strlen(text), err);
}

static weir_code add_string(writing *to, text_buffer *out, const json_token *token,
                            weir_error *err) {
    static const char *const names[32] = {
        ['\b'] = "\\b", ['\t'] = "\\t", ['\n'] = "\\n", ['\f'] = "\\f", ['\r'] = "\\r"};
    static const char hex[] = "0123456789abcdef";
    WEIR_TRY(add_text(to, out, "\"", err));
    size_t plain = 0; /* first byte not yet written */
    for (size_t i = 0; i < token->len; i++) {
        const unsigned char byte = (unsigned char)token->text[i];
        const bool is_quoted = byte == '"' || byte == '\\';
        if (!is_quoted && byte >= 0x20) {
            continue;
        }
        const char code[] = {'\\', 'u', '0', '0', hex[(byte >> 4) & 15], hex[byte & 15], '\0'};
        const char *escape = byte == '"' ? "\\\"" : byte == '\\' ? "\\\\" : names[byte];
        WEIR_TRY(add(to, out, token->text + plain, i - plain, err));
        WEIR_TRY(add_text(to, out, escape ? escape : code, err));
        plain = i + 1;
    }
    WEIR_TRY(add(to, out, token->text + plain, token->len - plain, err));
    return add_text(to, out, "\"", err);
}

static weir_code add_value(writing *to, text_buffer *out, const json_token *first, weir_error *err);

static weir_code read_member(writing *to, member_list *list, const json_token *key,
                             weir_error *err) {
    void *items = list->items;
    if (!checked_grow(&items, &list->capacity, list->count, sizeof *list->items)) {
        return weir_fail_nomem(err);
    }
    list->items = items;
    member *own = &list->items[list->count];
    *own = (member){.index = list->count};
    list->count++;
    WEIR_TRY(add(to, &own->key, key->text, key->len, err));
    WEIR_TRY(add_string(to, &own->text, key, err));
    WEIR_TRY(add_text(to, &own->text, ":", err));
    json_token value;
    WEIR_TRY(json_reader_next(to->reader, &value, err));
    return add_value(to, &own->text, &value, err);
}

/* An object whose opening brace was read. */
static weir_code add_object(writing *to, text_buffer *out, weir_error *err) {
    WEIR_CLEANUP(member_list_release) member_list list = {0};
    for (;;) {
        json_token token;
        WEIR_TRY(json_reader_next(to->reader, &token, err));
        if (token.kind != JSON_KEY) {
            break;
        }
        WEIR_TRY(read_member(to, &list, &token, err));
    }
    if (list.count > 0) {
        qsort(list.items, list.count, sizeof *list.items, by_key);
    }
    WEIR_TRY(add_text(to, out, "{", err));
    for (size_t i = 0; i < list.count; i++) {
        WEIR_TRY(add_text(to, out, i > 0 ? "," : "", err));
        WEIR_TRY(add(to, out, list.items[i].text.data, list.items[i].text.len, err));
    }
    return add_text(to, out, "}", err);
}

/* An array whose opening bracket was read. */
static weir_code add_array(writing *to, text_buffer *out, weir_error *err) {
    WEIR_TRY(add_text(to, out, "[", err));
    for (size_t i = 0;; i++) {
        json_token token;
        WEIR_TRY(json_reader_next(to->reader, &token, err));
        if (token.kind == JSON_ARRAY_END) {
            return add_text(to, out, "]", err);
        }
        WEIR_TRY(add_text(to, out, i > 0 ? "," : "", err));
        WEIR_TRY(add_value(to, out, &token, err));
    }
}

static weir_code add_value(writing *to, text_buffer *out, const json_token *first,
                           weir_error *err) {
    switch (first->kind) {
    case JSON_OBJECT_BEGIN:
        return add_object(to, out, err);
    case JSON_ARRAY_BEGIN:
        return add_array(to, out, err);
    case JSON_STRING:
        return add_string(to, out, first, err);
    case JSON_NUMBER:
        return add(to, out, first->text, first->len, err);
    case JSON_TRUE:
        return add_text(to, out, "true", err);
    case JSON_FALSE:
        return add_text(to, out, "false", err);
    case JSON_NULL:
        return add_text(to, out, "null", err);
    case JSON_OBJECT_END:
    case JSON_ARRAY_END:
    case JSON_KEY:
    case JSON_END:
        break;
    }
    return weir_fail(err, WEIR_ERR_FORMAT, to->file, at_byte(first->offset).text, "a value",
                     "something else");
}

weir_code canonical_json_hash(uint8_t out[static DIGEST_BYTES], weir_source *source, uint64_t begin,
                              weir_error *err) {
    WEIR_CLEANUP(json_reader_free) json_reader *reader = NULL;
    const json_options options = {.leading_space = true, .python_numbers = true};
    WEIR_TRY(json_reader_open(&reader, source, begin, weir_source_size(source), &options, err));
    writing to = {.reader = reader, .file = weir_source_name(source)};
    WEIR_CLEANUP(text_buffer_release) text_buffer text = {0};
    json_token first;
    WEIR_TRY(json_reader_next(reader, &first, err));
    WEIR_TRY(add_value(&to, &text, &first, err));
    WEIR_CLEANUP(digest_free) digest *hash = NULL;
    WEIR_TRY(digest_new(&hash, err));
    digest_update(hash, text.data, text.len);
    digest_finish(hash, out);
    return WEIR_OK;
}
