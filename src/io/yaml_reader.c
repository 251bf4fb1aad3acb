/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A thin layer over libyaml's event parser [1], which holds one event at a time. This layer keeps
 * the stack of open containers, so that it can tell keys from values.
 *
 * [1] libyaml 0.2.5, include/yaml.h: yaml_parser_parse.
 */
#include "io/yaml_reader.h"

#include <string.h>
#include <yaml.h>

#include "base/fail.h"
#include "base/limits.h"

/* What the innermost container waits for. */
typedef enum awaited { AWAIT_ITEM, AWAIT_KEY, AWAIT_VALUE } awaited;

struct yaml_reader {
    yaml_parser_t parser;
    yaml_event_t event; /* lends its text to the last token */
    const char *name;
    uint64_t first_line;
    uint32_t depth;
    awaited stack[YAML_DEPTH_MAX];
    bool is_over;
};

weir_code yaml_reader_open(yaml_reader **out, const char *text, size_t len, const char *name,
                           uint64_t first_line, weir_error *err) {
    yaml_reader *reader = calloc(1, sizeof *reader);
    if (!reader) {
        return weir_fail_nomem(err);
    }
    if (!yaml_parser_initialize(&reader->parser)) {
        free(reader);
        return weir_fail_nomem(err);
    }
    yaml_parser_set_encoding(&reader->parser, YAML_UTF8_ENCODING);
    yaml_parser_set_input_string(&reader->parser, (const unsigned char *)text, len);
    reader->name = name;
    reader->first_line = first_line;
    *out = reader;
    return WEIR_OK;
}

static uint64_t file_line(const yaml_reader *reader, size_t line) {
    return reader->first_line + line;
}

static weir_code fail_at(const yaml_reader *reader, weir_code code, const char *expected,
                         const char *found, weir_error *err) {
    const place at = at_line(file_line(reader, reader->event.start_mark.line));
    return weir_fail(err, code, reader->name, at.text, expected, "%s", found);
}

static weir_code parse_event(yaml_reader *reader, weir_error *err) {
    yaml_event_delete(&reader->event);
    if (yaml_parser_parse(&reader->parser, &reader->event)) {
        return WEIR_OK;
    }
    const yaml_parser_t *parser = &reader->parser;
    if (parser->error == YAML_MEMORY_ERROR) {
        return weir_fail_nomem(err);
    }
    /* The decoder knows a byte, the scanner and the parser know a line. */
    const place at = parser->error == YAML_READER_ERROR
                         ? at_byte(parser->problem_offset)
                         : at_line(file_line(reader, parser->problem_mark.line));
    return weir_fail(err, WEIR_ERR_FORMAT, reader->name, at.text, "YAML 1.1", "%s",
                     parser->problem ? parser->problem : "something else");
}

/* A tag that libyaml made up itself is "implicit"; what remains was written by the author. */
static weir_code refuse_extras(const yaml_reader *reader, weir_error *err) {
    const yaml_event_t *event = &reader->event;
    const yaml_char_t *anchor = NULL;
    const yaml_char_t *tag = NULL;
    if (event->type == YAML_ALIAS_EVENT) {
        return fail_at(reader, WEIR_ERR_UNSUPPORTED, "no aliases", "an alias", err);
    }
    if (event->type == YAML_SCALAR_EVENT) {
        anchor = event->data.scalar.anchor;
        tag = event->data.scalar.tag;
    } else if (event->type == YAML_MAPPING_START_EVENT) {
        anchor = event->data.mapping_start.anchor;
        tag = event->data.mapping_start.tag;
    } else if (event->type == YAML_SEQUENCE_START_EVENT) {
        anchor = event->data.sequence_start.anchor;
        tag = event->data.sequence_start.tag;
    }
    if (anchor) {
        return fail_at(reader, WEIR_ERR_UNSUPPORTED, "no anchors", (const char *)anchor, err);
    }
    if (tag) {
        return fail_at(reader, WEIR_ERR_UNSUPPORTED, "no tags", (const char *)tag, err);
    }
    return WEIR_OK;
}

/* The value, or the key, that just ended changes what its container waits for. */
static void step(yaml_reader *reader) {
    if (reader->depth > 0 && reader->stack[reader->depth - 1] != AWAIT_ITEM) {
        awaited *top = &reader->stack[reader->depth - 1];
        *top = *top == AWAIT_KEY ? AWAIT_VALUE : AWAIT_KEY;
    }
}

static bool awaits_key(const yaml_reader *reader) {
    return reader->depth > 0 && reader->stack[reader->depth - 1] == AWAIT_KEY;
}

static weir_code begin_container(yaml_reader *reader, json_token *out, weir_error *err) {
    const bool is_mapping = reader->event.type == YAML_MAPPING_START_EVENT;
    if (awaits_key(reader)) {
        return fail_at(reader, WEIR_ERR_UNSUPPORTED, "keys that are text",
                       is_mapping ? "a mapping as a key" : "a list as a key", err);
    }
    if (reader->depth >= YAML_DEPTH_MAX) {
        return fail_at(reader, WEIR_ERR_LIMIT, "at most 32 nested values", "more", err);
    }
    out->kind = is_mapping ? JSON_OBJECT_BEGIN : JSON_ARRAY_BEGIN;
    out->depth = reader->depth;
    reader->stack[reader->depth++] = is_mapping ? AWAIT_KEY : AWAIT_ITEM;
    return WEIR_OK;
}

static void end_container(yaml_reader *reader, json_token *out) {
    reader->depth--;
    out->kind = reader->event.type == YAML_MAPPING_END_EVENT ? JSON_OBJECT_END : JSON_ARRAY_END;
    out->depth = reader->depth;
    step(reader);
}

static bool is_plain_null(const yaml_event_t *event) {
    const char *text = (const char *)event->data.scalar.value;
    const size_t len = event->data.scalar.length;
    return event->data.scalar.style == YAML_PLAIN_SCALAR_STYLE &&
           (len == 0 || (len == 1 && text[0] == '~') || (len == 4 && !strcasecmp(text, "null")));
}

static void take_scalar(yaml_reader *reader, json_token *out) {
    const bool is_null = !awaits_key(reader) && is_plain_null(&reader->event);
    out->kind = awaits_key(reader) ? JSON_KEY : is_null ? JSON_NULL : JSON_STRING;
    out->depth = reader->depth;
    out->text = (const char *)reader->event.data.scalar.value;
    out->len = reader->event.data.scalar.length;
    step(reader);
}

/* @return whether the event gave a token; document and stream marks give none. */
static weir_code take_event(yaml_reader *reader, json_token *out, bool *is_token, weir_error *err) {
    *is_token = true;
    switch (reader->event.type) {
    case YAML_MAPPING_START_EVENT:
    case YAML_SEQUENCE_START_EVENT:
        return begin_container(reader, out, err);
    case YAML_MAPPING_END_EVENT:
    case YAML_SEQUENCE_END_EVENT:
        end_container(reader, out);
        return WEIR_OK;
    case YAML_SCALAR_EVENT:
        take_scalar(reader, out);
        return WEIR_OK;
    case YAML_STREAM_END_EVENT:
        out->kind = JSON_END;
        reader->is_over = true;
        return WEIR_OK;
    case YAML_DOCUMENT_START_EVENT:
        if (reader->is_over) {
            return fail_at(reader, WEIR_ERR_UNSUPPORTED, "one document", "a second one", err);
        }
        break;
    case YAML_DOCUMENT_END_EVENT:
        reader->is_over = true;
        break;
    case YAML_NO_EVENT:
    case YAML_STREAM_START_EVENT:
    case YAML_ALIAS_EVENT:
        break;
    }
    *is_token = false;
    return WEIR_OK;
}

weir_code yaml_reader_next(yaml_reader *reader, json_token *out, weir_error *err) {
    json_token token = {.text = "", .kind = JSON_END};
    bool is_token = false;
    while (!is_token) {
        WEIR_TRY(parse_event(reader, err));
        WEIR_TRY(refuse_extras(reader, err));
        WEIR_TRY(take_event(reader, &token, &is_token, err));
    }
    token.offset = file_line(reader, reader->event.start_mark.line);
    *out = token;
    return WEIR_OK;
}

void yaml_reader_free(yaml_reader *reader) {
    if (!reader) {
        return;
    }
    yaml_event_delete(&reader->event);
    yaml_parser_delete(&reader->parser);
    free(reader);
}
