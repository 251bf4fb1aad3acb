/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Lines are found by their ends, then each is read as one JSON document: an object whose member
 * "schema" is weir.trace/1 or weir.error/1 and whose member "model" is a name, or an object that
 * has one. Names are kept sorted, equal ones once with their number.
 */
#include "weir/trace_lines.h"

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>

#include "base/arena.h"
#include "base/checked.h"
#include "base/fail.h"
#include "io/json_reader.h"

enum { PIECE_BYTES = 1 << 18, LINE_BYTES_MAX = 16 << 20, HEAD_BYTES = 24 };

static const char *const heads[] = {"{\"schema\":\"weir.trace/1\"", "{\"schema\":\"weir.error/1\""};
static const char expected_line[] = "a line of weir.trace/1 or weir.error/1 that names its model";

typedef struct line_name {
    const char *text;
    size_t left; /* lines that were not taken */
} line_name;

struct weir_trace_lines {
    arena memory;
    line_name *names; /* sorted, once all are read */
    size_t name_count;
    size_t capacity;
    size_t line_count;
    uint64_t bytes;
};
WEIR_DEFINE_CLEANUP(weir_trace_lines *, weir_trace_lines_free)

/* --- one line --- */

static weir_code refuse(const weir_source *source, size_t line, const char *found,
                        weir_error *err) {
    return weir_fail(err, WEIR_ERR_FORMAT, weir_source_name(source), at_line(line).text,
                     expected_line, "%s", found);
}

static weir_code add_name(weir_trace_lines *to, const json_token *name, weir_error *err) {
    void *items = to->names;
    if (!checked_grow(&items, &to->capacity, to->name_count, sizeof *to->names)) {
        return weir_fail_nomem(err);
    }
    to->names = items;
    const char *const text = arena_copy_text(&to->memory, name->text, strlen(name->text));
    if (!text) {
        return weir_fail_nomem(err);
    }
    to->names[to->name_count++] = (line_name){.text = text, .left = 1};
    return WEIR_OK;
}

/* What one line has said so far. */
typedef struct line_reading {
    json_reader *json;
    bool has_schema;
    bool has_name;
} line_reading;

static void line_reading_release_cleanup(line_reading *line) {
    json_reader_free(line->json);
}

/* The value of "model": a name, or {..., "name": a name, ...}. */
static weir_code read_model(weir_trace_lines *to, line_reading *line, weir_error *err) {
    json_token token;
    WEIR_TRY(json_reader_next(line->json, &token, err));
    if (token.kind == JSON_STRING) {
        line->has_name = true;
        return add_name(to, &token, err);
    }
    if (token.kind != JSON_OBJECT_BEGIN) {
        return json_reader_skip(line->json, &token, err);
    }
    for (;;) {
        WEIR_TRY(json_reader_next(line->json, &token, err));
        if (token.kind == JSON_OBJECT_END) {
            return WEIR_OK;
        }
        if (json_token_is(&token, "name") && !line->has_name) {
            WEIR_TRY(json_reader_next(line->json, &token, err));
            line->has_name = token.kind == JSON_STRING;
            if (line->has_name) {
                WEIR_TRY(add_name(to, &token, err));
                continue;
            }
        }
        WEIR_TRY(json_reader_skip(line->json, &token, err));
    }
}

static weir_code read_member(weir_trace_lines *to, line_reading *line, const json_token *key,
                             weir_error *err) {
    json_token value;
    if (json_token_is(key, "schema") && !line->has_schema) {
        WEIR_TRY(json_reader_next(line->json, &value, err));
        line->has_schema = value.kind == JSON_STRING && (json_token_is(&value, "weir.trace/1") ||
                                                         json_token_is(&value, "weir.error/1"));
        return line->has_schema ? WEIR_OK : json_reader_skip(line->json, &value, err);
    }
    if (json_token_is(key, "model") && !line->has_name) {
        return read_model(to, line, err);
    }
    return json_reader_skip(line->json, key, err);
}

static weir_code read_line(weir_trace_lines *to, weir_source *source, uint64_t end,
                           weir_error *err) {
    WEIR_CLEANUP(line_reading_release) line_reading line = {0};
    const size_t number = to->line_count + 1;
    json_token token;
    if (end - to->bytes > LINE_BYTES_MAX) {
        return weir_fail(err, WEIR_ERR_LIMIT, weir_source_name(source), at_line(number).text,
                         "a line of at most 16 MiB", "a longer one");
    }
    WEIR_TRY(json_reader_open(&line.json, source, to->bytes, end, NULL, err));
    WEIR_TRY(json_reader_next(line.json, &token, err));
    if (token.kind != JSON_OBJECT_BEGIN) {
        return refuse(source, number, "another value", err);
    }
    for (;;) {
        WEIR_TRY(json_reader_next(line.json, &token, err));
        if (token.kind == JSON_OBJECT_END) {
            break;
        }
        WEIR_TRY(read_member(to, &line, &token, err));
    }
    WEIR_TRY(json_reader_next(line.json, &token, err)); /* nothing stands behind it */
    if (!line.has_schema || !line.has_name) {
        return refuse(source, number, line.has_schema ? "no name" : "another schema", err);
    }
    to->line_count = number;
    to->bytes = end + 1;
    return WEIR_OK;
}

/* --- the file --- */

static weir_code read_piece(weir_trace_lines *to, weir_source *source, uint64_t begin, char *piece,
                            weir_error *err) {
    const uint64_t left = weir_source_size(source) - begin;
    const size_t len = left < PIECE_BYTES ? (size_t)left : PIECE_BYTES;
    WEIR_TRY(weir_source_read(source, begin, piece, len, err));
    for (const char *at = piece; (at = memchr(at, '\n', len - (size_t)(at - piece))); at++) {
        WEIR_TRY(read_line(to, source, begin + (uint64_t)(at - piece), err));
        if (at + 1 == piece + len) {
            break;
        }
    }
    return WEIR_OK;
}

/* What stands behind the last whole line was begun by weir, or the file is somebody else's. */
static weir_code check_rest(const weir_trace_lines *from, weir_source *source, weir_error *err) {
    char rest[HEAD_BYTES];
    const uint64_t left = weir_source_size(source) - from->bytes;
    const size_t len = left < sizeof rest ? (size_t)left : sizeof rest;
    bool is_ours = false;
    WEIR_TRY(weir_source_read(source, from->bytes, rest, len, err));
    for (size_t i = 0; i < sizeof heads / sizeof *heads; i++) {
        is_ours |= memcmp(rest, heads[i], len) == 0;
    }
    return is_ours ? WEIR_OK : refuse(source, from->line_count + 1, "something else", err);
}

static int by_text(const void *left, const void *right) {
    return strcmp(((const line_name *)left)->text, ((const line_name *)right)->text);
}

static void sort_names(weir_trace_lines *of) {
    size_t kept = 0;
    if (of->name_count > 1) {
        qsort(of->names, of->name_count, sizeof *of->names, by_text);
    }
    for (size_t i = 0; i < of->name_count; i++) {
        if (kept > 0 && by_text(&of->names[kept - 1], &of->names[i]) == 0) {
            of->names[kept - 1].left++;
        } else {
            of->names[kept++] = of->names[i];
        }
    }
    of->name_count = kept;
}

weir_code weir_trace_lines_open(weir_trace_lines **out, const char *path, weir_error *err) {
    WEIR_CLEANUP(weir_trace_lines_free) weir_trace_lines *lines = calloc(1, sizeof *lines);
    WEIR_CLEANUP(weir_source_free) weir_source *source = NULL;
    WEIR_CLEANUP(free) char *piece = malloc(PIECE_BYTES);
    const char *const slash = strrchr(path, '/');
    if (!lines || !piece) {
        return weir_fail_nomem(err);
    }
    WEIR_TRY(weir_source_open_file(&source, AT_FDCWD, path, slash ? slash + 1 : path, err));
    for (uint64_t at = 0; at < weir_source_size(source); at += PIECE_BYTES) {
        WEIR_TRY(read_piece(lines, source, at, piece, err));
    }
    WEIR_TRY(check_rest(lines, source, err));
    sort_names(lines);
    *out = WEIR_TAKE(lines);
    return WEIR_OK;
}

uint64_t weir_trace_lines_bytes(const weir_trace_lines *lines) {
    return lines->bytes;
}

size_t weir_trace_lines_count(const weir_trace_lines *lines) {
    return lines->line_count;
}

bool weir_trace_lines_take(weir_trace_lines *lines, const char *name) {
    const line_name wanted = {.text = name};
    line_name *const found =
        lines->name_count > 0
            ? bsearch(&wanted, lines->names, lines->name_count, sizeof *lines->names, by_text)
            : NULL;
    if (!found || found->left == 0) {
        return false;
    }
    found->left--;
    return true;
}

void weir_trace_lines_free(weir_trace_lines *lines) {
    if (lines) {
        arena_release(&lines->memory);
        free(lines->names);
        free(lines);
    }
}
