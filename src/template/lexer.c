/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Jinja's lexical grammar with its default delimiters, as a walk over bytes.
 *
 *     text      up to {{ {% {#                 comment   {# ... #}, not nested
 *     block     {% [-+] tokens [-+] %}         output    {{ [-+] tokens [-] }}
 *     raw       {% raw %} text {% endraw %}
 *     string    '...' or "...", backslash escapes the next byte
 *     number    123 1_000 0x1F 0b1 0o7 1.5 1e9 name      letters, digits, _ and every byte >= 0x80
 *
 * Source: Jinja documentation, "Template Designer Documentation"; the order of its lexer's rules.
 */
#include "template/lexer.h"

#include <string.h>

#include "base/fail.h"

static bool is_space(char c) {
    return c == ' ' || (c >= '\t' && c <= '\r');
}

static bool is_digit(char c) {
    return c >= '0' && c <= '9';
}

static bool is_name_byte(char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || is_digit(c) || c == '_' ||
           (unsigned char)c >= 0x80;
}

/* The byte `ahead` of the cursor, or NUL. */
static char peek(const template_lexer *lexer, size_t ahead) {
    return ahead < lexer->len - lexer->cursor ? lexer->text[lexer->cursor + ahead] : '\0';
}

static bool starts_with(const template_lexer *lexer, size_t at, const char *mark) {
    const size_t len = strlen(mark);
    return at <= lexer->len && lexer->len - at >= len && memcmp(lexer->text + at, mark, len) == 0;
}

static weir_code fail_at(const template_lexer *lexer, const char *expected, const char *found,
                         weir_error *err) {
    return weir_fail(err, WEIR_ERR_FORMAT, NULL, at_line(lexer->line).text, expected, "%s", found);
}

/* Move the cursor over `len` bytes and make a token of them. */
static weir_code take(template_lexer *lexer, template_kind kind, size_t len, template_token *out) {
    const char *text = lexer->text + lexer->cursor;
    *out = (template_token){kind, text, len, lexer->line, lexer->cursor};
    for (size_t i = 0; i < len; i++) {
        lexer->line += text[i] == '\n';
    }
    lexer->cursor += len;
    return WEIR_OK;
}

/* @return where `mark` stands at or behind `from`, or the end of the text. */
static size_t find_mark(const template_lexer *lexer, size_t from, const char *mark) {
    const char *at = from < lexer->len
                         ? memmem(lexer->text + from, lexer->len - from, mark, strlen(mark))
                         : NULL;
    return at ? (size_t)(at - lexer->text) : lexer->len;
}

/* @return the end of "{% word %}" that starts at `at`, or 0 when that is something else. */
static size_t match_tag(const template_lexer *lexer, size_t at, const char *word) {
    if (!starts_with(lexer, at, "{%")) {
        return 0;
    }
    size_t i = at + 2;
    i += i < lexer->len && (lexer->text[i] == '-' || lexer->text[i] == '+');
    for (; i < lexer->len && is_space(lexer->text[i]); i++) {
    }
    if (!starts_with(lexer, i, word)) {
        return 0;
    }
    i += strlen(word);
    for (; i < lexer->len && is_space(lexer->text[i]); i++) {
    }
    i += i < lexer->len && (lexer->text[i] == '-' || lexer->text[i] == '+');
    return starts_with(lexer, i, "%}") ? i + 2 : 0;
}

static weir_code next_raw_text(template_lexer *lexer, template_token *out, weir_error *err) {
    size_t at = find_mark(lexer, lexer->cursor, "{%");
    while (at < lexer->len && match_tag(lexer, at, "endraw") == 0) {
        at = find_mark(lexer, at + 2, "{%");
    }
    if (at == lexer->len) {
        return fail_at(lexer, "{% endraw %}", "the end of the template", err);
    }
    lexer->in_raw = false;
    return take(lexer, TEMPLATE_TEXT, at - lexer->cursor, out);
}

static weir_code next_comment(template_lexer *lexer, template_token *out, weir_error *err) {
    const size_t end = find_mark(lexer, lexer->cursor + 2, "#}");
    if (end == lexer->len) {
        return fail_at(lexer, "#}", "the end of the template", err);
    }
    return take(lexer, TEMPLATE_COMMENT, end + 2 - lexer->cursor, out);
}

static weir_code next_begin(template_lexer *lexer, template_token *out) {
    const bool is_block = peek(lexer, 1) == '%';
    const bool has_sign = peek(lexer, 2) == '-' || peek(lexer, 2) == '+';
    lexer->raw_begins = is_block && match_tag(lexer, lexer->cursor, "raw") != 0;
    lexer->state = is_block ? LEXER_BLOCK : LEXER_OUTPUT;
    lexer->nesting = 0;
    return take(lexer, is_block ? TEMPLATE_BLOCK_BEGIN : TEMPLATE_OUTPUT_BEGIN, has_sign ? 3 : 2,
                out);
}

static bool is_opening(const template_lexer *lexer, size_t at) {
    return starts_with(lexer, at, "{%") || starts_with(lexer, at, "{{") ||
           starts_with(lexer, at, "{#");
}

static weir_code next_outside(template_lexer *lexer, template_token *out, weir_error *err) {
    if (lexer->in_raw) {
        return next_raw_text(lexer, out, err);
    }
    if (lexer->cursor == lexer->len) {
        return take(lexer, TEMPLATE_END, 0, out);
    }
    if (starts_with(lexer, lexer->cursor, "{#")) {
        return next_comment(lexer, out, err);
    }
    if (is_opening(lexer, lexer->cursor)) {
        return next_begin(lexer, out);
    }
    size_t end = find_mark(lexer, lexer->cursor, "{");
    while (end < lexer->len && !is_opening(lexer, end)) {
        end = find_mark(lexer, end + 1, "{");
    }
    return take(lexer, TEMPLATE_TEXT, end - lexer->cursor, out);
}

/* @return the bytes of the mark that ends this block or output here, or 0. */
static size_t closing_len(const template_lexer *lexer) {
    const char *mark = lexer->state == LEXER_BLOCK ? "%}" : "}}";
    if (lexer->nesting > 0) {
        return 0;
    }
    if (starts_with(lexer, lexer->cursor, mark)) {
        return 2;
    }
    const bool has_sign =
        peek(lexer, 0) == '-' || (peek(lexer, 0) == '+' && lexer->state == LEXER_BLOCK);
    return has_sign && starts_with(lexer, lexer->cursor + 1, mark) ? 3 : 0;
}

static weir_code next_end(template_lexer *lexer, size_t len, template_token *out) {
    const bool is_block = lexer->state == LEXER_BLOCK;
    lexer->state = LEXER_TEXT;
    lexer->in_raw = lexer->raw_begins;
    lexer->raw_begins = false;
    return take(lexer, is_block ? TEMPLATE_BLOCK_END : TEMPLATE_OUTPUT_END, len, out);
}

static weir_code next_string(template_lexer *lexer, template_token *out, weir_error *err) {
    const char quote = peek(lexer, 0);
    for (size_t i = lexer->cursor + 1; i < lexer->len; i++) {
        if (lexer->text[i] == '\\') {
            i++;
        } else if (lexer->text[i] == quote) {
            return take(lexer, TEMPLATE_STRING, i + 1 - lexer->cursor, out);
        }
    }
    return fail_at(lexer, "the closing quote of a string", "the end of the template", err);
}

/* Digits, letters and _ in one run; a point or a signed exponent only where a float has one. */
static size_t number_len(const template_lexer *lexer) {
    size_t i = 0;
    bool has_point = false;
    const bool has_base =
        peek(lexer, 0) == '0' && (peek(lexer, 1) | 0x20) >= 'b' && (peek(lexer, 1) | 0x20) <= 'x';
    while (is_name_byte(peek(lexer, i))) {
        const bool is_exponent = !has_base && (peek(lexer, i) | 0x20) == 'e';
        i++;
        if (is_exponent && (peek(lexer, i) == '-' || peek(lexer, i) == '+') &&
            is_digit(peek(lexer, i + 1))) {
            i++;
        }
        if (!has_point && !has_base && peek(lexer, i) == '.' && is_digit(peek(lexer, i + 1))) {
            has_point = true;
            i++;
        }
    }
    return i;
}

static size_t name_len(const template_lexer *lexer) {
    size_t i = 0;
    while (is_name_byte(peek(lexer, i))) {
        i++;
    }
    return i;
}

static weir_code next_operator(template_lexer *lexer, template_token *out, weir_error *err) {
    static const char *const doubles[] = {"//", "**", "==", "!=", ">=", "<="};
    for (size_t i = 0; i < sizeof doubles / sizeof *doubles; i++) {
        if (starts_with(lexer, lexer->cursor, doubles[i])) {
            return take(lexer, TEMPLATE_OPERATOR, 2, out);
        }
    }
    const char c = peek(lexer, 0);
    if (c == '\0' || !strchr("+-*/%~<>=.:|,;()[]{}", c)) {
        return fail_at(lexer, "an expression", "a byte that starts no token", err);
    }
    if (strchr("([{", c)) {
        lexer->nesting++;
    } else if (strchr(")]}", c)) {
        if (lexer->nesting == 0) {
            return fail_at(lexer, "an opening bracket", "only the closing one", err);
        }
        lexer->nesting--;
    }
    return take(lexer, TEMPLATE_OPERATOR, 1, out);
}

static weir_code next_inside(template_lexer *lexer, template_token *out, weir_error *err) {
    template_token space;
    while (is_space(peek(lexer, 0))) {
        (void)take(lexer, TEMPLATE_TEXT, 1, &space);
    }
    if (lexer->cursor == lexer->len) {
        return fail_at(lexer, lexer->state == LEXER_BLOCK ? "%}" : "}}", "the end of the template",
                       err);
    }
    const size_t closing = closing_len(lexer);
    const char c = peek(lexer, 0);
    if (closing > 0) {
        return next_end(lexer, closing, out);
    }
    if (c == '\'' || c == '"') {
        return next_string(lexer, out, err);
    }
    if (is_digit(c)) {
        return take(lexer, TEMPLATE_NUMBER, number_len(lexer), out);
    }
    if (is_name_byte(c)) {
        return take(lexer, TEMPLATE_NAME, name_len(lexer), out);
    }
    return next_operator(lexer, out, err);
}

weir_code template_next(template_lexer *lexer, template_token *out, weir_error *err) {
    if (lexer->line == 0) {
        lexer->line = 1;
    }
    return lexer->state == LEXER_TEXT ? next_outside(lexer, out, err)
                                      : next_inside(lexer, out, err);
}
