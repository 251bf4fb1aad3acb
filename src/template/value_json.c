/* SPDX-License-Identifier: Apache-2.0 */
/* JSON text as values, as Python's json.loads() reads it. Nothing recurses: what is open lies on a
 * stack of JSON_DEPTH_MAX values. */
#include <stdlib.h>
#include <string.h>

#include "base/fail.h"
#include "base/limits.h"
#include "io/json_reader.h"
#include "io/source.h"
#include "template/value.h"

typedef struct open_value {
    datum container;
    datum key; /* of a dict, until its value comes */
} open_value;

static datum keep_string(arena *memory, const json_token *token, bool *is_kept) {
    const char *copy = arena_copy_text(memory, token->text, token->len);
    *is_kept = copy;
    return value_string(copy ? copy : "", token->len);
}

static datum read_number(const json_token *token, bool *is_kept) {
    const bool is_float = strpbrk(token->text, ".eE");
    char *end = NULL;
    *is_kept = true;
    return is_float ? value_float(strtod(token->text, &end))
                    : value_integer(strtoll(token->text, &end, 10));
}

/* The value that a token is or begins. */
static weir_code make(datum *out, arena *memory, const json_token *token, weir_error *err) {
    bool is_made = true;
    switch (token->kind) {
    case JSON_OBJECT_BEGIN:
        is_made = value_dict_new(memory, out);
        break;
    case JSON_ARRAY_BEGIN:
        is_made = value_list_new(memory, out, VALUE_LIST, 0);
        break;
    case JSON_STRING:
        *out = keep_string(memory, token, &is_made);
        break;
    case JSON_NUMBER:
        *out = read_number(token, &is_made);
        break;
    case JSON_TRUE:
    case JSON_FALSE:
        *out = value_bool(token->kind == JSON_TRUE);
        break;
    case JSON_NULL:
    case JSON_OBJECT_END:
    case JSON_ARRAY_END:
    case JSON_KEY:
    case JSON_END:
        *out = value_none();
        break;
    }
    return is_made ? WEIR_OK : weir_fail_nomem(err);
}

/* Put a value where it belongs: into what is open, or as the whole. */
static weir_code place_value(datum *whole, arena *memory, open_value *stack, size_t open,
                             const datum *made, weir_error *err) {
    uint64_t steps = 0;
    if (open == 0) {
        *whole = *made;
        return WEIR_OK;
    }
    open_value *into = &stack[open - 1];
    const bool is_kept =
        into->container.kind == VALUE_DICT
            ? value_dict_set(memory, into->container.dict, &into->key, made, &steps)
            : value_list_add(memory, into->container.list, made);
    return is_kept ? WEIR_OK : weir_fail_nomem(err);
}

static weir_code read_value(datum *out, arena *memory, json_reader *reader, weir_error *err) {
    open_value stack[JSON_DEPTH_MAX + 1];
    size_t open = 0;
    for (;;) {
        json_token token;
        WEIR_TRY(json_reader_next(reader, &token, err));
        if (token.kind == JSON_END) {
            return WEIR_OK;
        }
        if (token.kind == JSON_OBJECT_END || token.kind == JSON_ARRAY_END) {
            open--;
            continue;
        }
        if (token.kind == JSON_KEY) {
            bool is_kept;
            stack[open - 1].key = keep_string(memory, &token, &is_kept);
            if (!is_kept) {
                return weir_fail_nomem(err);
            }
            continue;
        }
        datum made;
        WEIR_TRY(make(&made, memory, &token, err));
        WEIR_TRY(place_value(out, memory, stack, open, &made, err));
        if (token.kind == JSON_OBJECT_BEGIN || token.kind == JSON_ARRAY_BEGIN) {
            stack[open++] = (open_value){.container = made};
        }
    }
}

weir_code value_from_json(datum *out, arena *memory, const char *text, size_t len,
                          weir_error *err) {
    WEIR_CLEANUP(weir_source_free) weir_source *source = NULL;
    WEIR_CLEANUP(json_reader_free) json_reader *reader = NULL;
    WEIR_TRY(weir_source_open_memory(&source, text, len, "JSON", err));
    WEIR_TRY(json_reader_open(&reader, source, 0, len, NULL, err));
    datum whole = value_none();
    WEIR_TRY(read_value(&whole, memory, reader, err));
    *out = whole;
    return WEIR_OK;
}
