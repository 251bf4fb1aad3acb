/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Modelfile of Ollama [1]: lines "INSTRUCTION arguments", in letters of either case, and comments
 * behind "#". An argument may stand in quotes, and in three of them over several lines. Read as
 * text: nothing is fetched, built or rendered. Claims:
 *
 *     FROM x             modelfile.from = x            PARAMETER stop "a" modelfile.parameter.stop
 * = a SYSTEM """..."""   modelfile.system = ...        TEMPLATE """..."""   modelfile.template =
 * ...
 *
 * The second of one name is "modelfile.parameter.stop.2". What begins no instruction is refused
 * with its line, as Ollama does.
 *
 * [1] Ollama, docs/modelfile.md; parser/parser.go.
 */
#include <ctype.h>
#include <stdio.h>
#include <string.h>

#include "base/fail.h"
#include "base/limits.h"
#include "base/text.h"
#include "format/document.h"
#include "format/parts.h"

enum {
    INSTRUCTION_COUNT_MAX = 256, /* real ones have under thirty */
    NAME_BYTES_MAX = 96,
    WORD_BYTES_MAX = 16,
};

/* The rest of the text, and where it stands. */
typedef struct rest {
    const part *in;
    const char *text;
    size_t len;
    uint64_t line; /* from 1 */
    size_t count;  /* instructions so far */
    size_t first_claim;
} rest;

/* A value inside the text. */
typedef struct span {
    const char *text;
    size_t len;
} span;

static weir_code fail_line(const rest *left, uint64_t line, weir_code code, const char *expected,
                           const char *found, weir_error *err) {
    return weir_fail(err, code, weir_source_name(left->in->source), at_line(line).text, expected,
                     "%s", found);
}

static void advance(rest *left, size_t bytes) {
    for (size_t i = 0; i < bytes; i++) {
        left->line += left->text[i] == '\n';
    }
    left->text += bytes;
    left->len -= bytes;
}

static bool is_blank(char byte) {
    return byte == ' ' || byte == '\t' || byte == '\r';
}

static void skip_blanks(rest *left) {
    while (left->len > 0 && is_blank(left->text[0])) {
        advance(left, 1);
    }
}

static size_t line_len(const rest *left) {
    const char *end = memchr(left->text, '\n', left->len);
    return end ? (size_t)(end - left->text) : left->len;
}

/* The word at the front, in small letters; "" when it is longer than any instruction. */
static void take_word(char out[WORD_BYTES_MAX], rest *left) {
    size_t len = 0;
    while (len < left->len && isalpha((unsigned char)left->text[len])) {
        len++;
    }
    out[0] = '\0';
    if (len < WORD_BYTES_MAX) {
        for (size_t i = 0; i < len; i++) {
            out[i] = (char)tolower((unsigned char)left->text[i]);
        }
        out[len] = '\0';
    }
    advance(left, len);
}

/* The argument up to the end of the line, or of its quotes. */
static weir_code take_value(span *out, rest *left, weir_error *err) {
    static const char three[] = "\"\"\"";
    skip_blanks(left);
    if (left->len >= 3 && memcmp(left->text, three, 3) == 0) {
        const uint64_t line = left->line;
        advance(left, 3);
        const char *end = left->len ? memmem(left->text, left->len, three, 3) : NULL;
        if (!end) {
            return fail_line(left, line, WEIR_ERR_FORMAT, "three quotes that end the value",
                             "the end of the file", err);
        }
        *out = (span){.text = left->text, .len = (size_t)(end - left->text)};
        advance(left, out->len + 3);
        return WEIR_OK;
    }
    *out = (span){.text = left->text, .len = line_len(left)};
    advance(left, out->len);
    while (out->len > 0 && is_blank(out->text[out->len - 1])) {
        out->len--;
    }
    if (out->len >= 2 && out->text[0] == '"' && out->text[out->len - 1] == '"') {
        *out = (span){.text = out->text + 1, .len = out->len - 2};
    }
    return WEIR_OK;
}

/* A name that no claim of this file has yet: the first of its kind has no number. */
static void number_name(char *name, size_t size, const rest *left) {
    const claims *list = &left->in->model->claims;
    const size_t len = strlen(name);
    for (size_t number = 2;; number++) {
        bool is_used = false;
        for (size_t i = left->first_claim; i < list->count && !is_used; i++) {
            is_used = strcmp(list->items[i].name, name) == 0;
        }
        if (!is_used) {
            return;
        }
        (void)snprintf(name + len, size - len, ".%zu", number);
    }
}

/* "parameter" with the name of the parameter, which is the word before the value. */
static void name_parameter(char *name, size_t size, rest *left) {
    skip_blanks(left);
    size_t len = 0;
    while (len < left->len && left->text[len] != '\n' && !is_blank(left->text[len])) {
        len++;
    }
    const size_t used = strlen(name);
    name[used] = '.';
    text_escape(name + used + 1, size - used - 1 - 8, left->text, len);
    advance(left, len);
}

static bool is_instruction(const char *word) {
    static const char *const words[] = {"from",    "parameter", "template",  "system",
                                        "adapter", "license",   "message",   "renderer",
                                        "parser",  "requires",  "capability"};
    for (size_t i = 0; i < sizeof words / sizeof *words; i++) {
        if (strcmp(word, words[i]) == 0) {
            return true;
        }
    }
    return false;
}

static weir_code take_instruction(rest *left, weir_error *err) {
    const uint64_t line = left->line;
    char word[WORD_BYTES_MAX];
    char name[NAME_BYTES_MAX];
    span value;
    take_word(word, left);
    if (!is_instruction(word) ||
        (left->len > 0 && !is_blank(left->text[0]) && left->text[0] != '\n')) {
        return fail_line(left, line, WEIR_ERR_FORMAT, "an instruction of a Modelfile",
                         "something else", err);
    }
    if (left->count++ == INSTRUCTION_COUNT_MAX) {
        return fail_line(left, line, WEIR_ERR_LIMIT, "at most 256 instructions", "more", err);
    }
    (void)snprintf(name, sizeof name, "modelfile.%s", word);
    if (strcmp(word, "parameter") == 0) {
        name_parameter(name, sizeof name, left);
    }
    WEIR_TRY(take_value(&value, left, err));
    number_name(name, sizeof name, left);
    return claims_add(&left->in->model->claims,
                      &(weir_claim){.name = name,
                                    .value = value.text,
                                    .file = weir_source_name(left->in->source),
                                    .at = at_line(line).text},
                      value.len, err);
}

weir_code modelfile_read(const part *in, weir_error *err) {
    WEIR_CLEANUP(free) char *text = NULL;
    rest left = {.in = in, .line = 1, .first_claim = in->model->claims.count};
    WEIR_TRY(source_read_text(&text, &left.len, in->source, TEMPLATE_BYTES_MAX, err));
    if (!text_is_utf8(text, left.len)) {
        return weir_fail(err, WEIR_ERR_FORMAT, weir_source_name(in->source), NULL, "UTF-8",
                         "other bytes");
    }
    left.text = text;
    while (left.len > 0) {
        skip_blanks(&left);
        if (left.len == 0) {
            break;
        }
        if (left.text[0] == '\n') {
            advance(&left, 1);
        } else if (left.text[0] == '#') {
            advance(&left, line_len(&left));
        } else {
            WEIR_TRY(take_instruction(&left, err));
        }
    }
    return WEIR_OK;
}
