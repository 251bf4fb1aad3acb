/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The lexer's tokens as the parser wants them, and the parser's small helpers. White space goes as
 * in Jinja's lexer with trim_blocks and lstrip_blocks:
 *
 *     a mark "-"        takes all white space on its side
 *     %} and #}         take the line end behind them; +%} and +#} do not
 *     {% and {#         take the blanks before them on their line; {%+ and {#+ do not
 *     line ends         \r\n and \r count as \n; the last one of the template is dropped
 */
#include <string.h>

#include "base/checked.h"
#include "base/cleanup.h"
#include "base/fail.h"
#include "base/limits.h"
#include "template/characters.h"
#include "template/parser.h"

static weir_code fail_at_line(parser *in, weir_code code, uint32_t line, const char *expected,
                              const char *found) {
    return weir_fail(in->err, code, NULL, at_line(line).text, expected, "%s", found);
}

const template_token *parser_token(const parser *in) {
    return &in->tokens[in->cursor];
}

weir_code parser_fail(parser *in, weir_code code, const char *expected) {
    const template_token *token = parser_token(in);
    const size_t shown = token->len < 40 ? token->len : 40;
    if (token->kind == TEMPLATE_END) {
        return fail_at_line(in, code, token->line, expected, "the end of the template");
    }
    return weir_fail(in->err, code, NULL, at_line(token->line).text, expected, "%.*s", (int)shown,
                     token->text);
}

bool parser_is(const parser *in, size_t ahead, const char *text) {
    const template_token *token = parser_token(in);
    for (size_t i = 0; i < ahead && token->kind != TEMPLATE_END; i++) {
        token++;
    }
    return (token->kind == TEMPLATE_NAME || token->kind == TEMPLATE_OPERATOR) &&
           token->len == strlen(text) && memcmp(token->text, text, token->len) == 0;
}

bool parser_skip_if(parser *in, const char *text) {
    const bool is_it = parser_is(in, 0, text);
    in->cursor += is_it;
    return is_it;
}

weir_code parser_expect(parser *in, const char *text) {
    return parser_skip_if(in, text) ? WEIR_OK : parser_fail(in, WEIR_ERR_FORMAT, text);
}

weir_code parser_enter(parser *in) {
    if (in->nesting == TEMPLATE_DEPTH_MAX) {
        return fail_at_line(in, WEIR_ERR_LIMIT, parser_token(in)->line,
                            "less nesting than the limit", "a deeper one");
    }
    in->nesting++;
    return WEIR_OK;
}

void parser_leave(parser *in) {
    in->nesting--;
}

weir_code parser_node(parser *in, template_node_kind kind, template_node **out) {
    if (in->node_count == TEMPLATE_NODES_MAX) {
        return fail_at_line(in, WEIR_ERR_LIMIT, parser_token(in)->line,
                            "a template of fewer parts than the limit", "more");
    }
    in->node_count++;
    template_node *node = arena_alloc(in->memory, 1, sizeof *node);
    if (!node) {
        return weir_fail_nomem(in->err);
    }
    node->kind = kind;
    node->line = parser_token(in)->line;
    node->text = "";
    *out = node;
    return WEIR_OK;
}

weir_code parser_add(parser *in, template_node *parent, template_node *child) {
    if (child->depth + 1 > parent->depth) {
        parent->depth = child->depth + 1;
    }
    if (parent->depth > TEMPLATE_DEPTH_MAX) {
        return fail_at_line(in, WEIR_ERR_LIMIT, child->line, "less nesting than the limit",
                            "a deeper one");
    }
    if (parent->last) {
        parent->last->next = child;
    } else {
        parent->first = child;
    }
    parent->last = child;
    parent->count++;
    return WEIR_OK;
}

weir_code parser_add_absent(parser *in, template_node *parent) {
    template_node *absent;
    WEIR_TRY(parser_node(in, NODE_ABSENT, &absent));
    return parser_add(in, parent, absent);
}

const template_node *template_part(const template_node *node, size_t index) {
    const template_node *part = node->first;
    while (part && index > 0) {
        part = part->next;
        index--;
    }
    return part;
}

bool template_text_is(const template_node *node, const char *word) {
    return node->len == strlen(word) && memcmp(node->text, word, node->len) == 0;
}

/* The text with every line end as \n and the last one gone. */
static weir_code settle_line_ends(parser *in, const char *text, size_t len, char **out,
                                  size_t *out_len) {
    char *copy = arena_alloc(in->memory, len + 1, 1);
    if (!copy) {
        return weir_fail_nomem(in->err);
    }
    size_t used = 0;
    for (size_t i = 0; i < len; i++) {
        const bool is_return = text[i] == '\r';
        copy[used++] = is_return ? '\n' : text[i];
        i += is_return && i + 1 < len && text[i + 1] == '\n';
    }
    used -= used > 0 && copy[used - 1] == '\n';
    copy[used] = '\0';
    *out = copy;
    *out_len = used;
    return WEIR_OK;
}

static bool opens(const template_token *token) {
    return token->kind == TEMPLATE_BLOCK_BEGIN || token->kind == TEMPLATE_OUTPUT_BEGIN ||
           token->kind == TEMPLATE_COMMENT;
}

static bool closes(const template_token *token) {
    return token->kind == TEMPLATE_BLOCK_END || token->kind == TEMPLATE_OUTPUT_END ||
           token->kind == TEMPLATE_COMMENT;
}

/* The sign inside the mark that opens, or 0. */
static char opening_sign(const template_token *token) {
    const bool has_one = token->len > 2 && (token->text[2] == '-' || token->text[2] == '+') &&
                         (token->kind != TEMPLATE_COMMENT || token->len > 4);
    return has_one ? token->text[2] : '\0';
}

static char closing_sign(const template_token *token) {
    const size_t least = token->kind == TEMPLATE_COMMENT ? 5 : 3;
    if (token->len < least ||
        (token->len == 5 && token->kind == TEMPLATE_COMMENT && opening_sign(token) != '\0')) {
        return '\0';
    }
    const char sign = token->text[token->len - 3];
    return sign == '-' || (sign == '+' && token->kind != TEMPLATE_OUTPUT_END) ? sign : '\0';
}

/* What the tag before takes from the front of a text. @return whether the text begins a line */
static bool cut_front(template_token *text, const template_token *before, bool is_after_raw) {
    const char sign = closing_sign(before);
    size_t cut = 0;
    if (sign == '-') {
        cut = text_space_front(text->text, text->len);
    } else if (sign != '+' && before->kind != TEMPLATE_OUTPUT_END && !is_after_raw) {
        cut = text->len > 0 && text->text[0] == '\n';
    }
    const bool begins_line = cut > 0 && text->text[cut - 1] == '\n';
    text->text += cut;
    text->len -= cut;
    return begins_line;
}

/* What the tag behind takes from the end of a text. */
static void cut_back(template_token *text, const template_token *behind, bool begins_line) {
    const char sign = opening_sign(behind);
    if (sign == '-') {
        text->len -= text_space_back(text->text, text->len);
        return;
    }
    if (sign == '+' || behind->kind == TEMPLATE_OUTPUT_BEGIN) {
        return;
    }
    const char *line_end = memrchr(text->text, '\n', text->len);
    const size_t line = line_end ? (size_t)(line_end - text->text) + 1 : 0;
    if ((line > 0 || begins_line) &&
        text_space_front(text->text + line, text->len - line) == text->len - line) {
        text->len = line;
    }
}

/* Lex everything into a growing array, an empty text wherever two tags touch. */
static weir_code lex_all(template_token **out, size_t *out_count, template_lexer *lexer,
                         weir_error *err) {
    size_t capacity = 0;
    template_token token = {.kind = TEMPLATE_TEXT};
    do {
        WEIR_TRY(template_next(lexer, &token, err));
        void *items = *out;
        if (!checked_grow(&items, &capacity, *out_count, sizeof **out)) {
            return weir_fail_nomem(err);
        }
        *out = items;
        (*out)[(*out_count)++] = token;
    } while (token.kind != TEMPLATE_END);
    return WEIR_OK;
}

/* Whether the block that ends at `end` is {% raw %}; *out_is_end for {% endraw %}. */
static bool is_raw_tag(const template_token *tokens, size_t end, const char *name) {
    return end >= 2 && tokens[end].kind == TEMPLATE_BLOCK_END &&
           tokens[end - 1].kind == TEMPLATE_NAME && tokens[end - 1].len == strlen(name) &&
           memcmp(tokens[end - 1].text, name, strlen(name)) == 0 &&
           tokens[end - 2].kind == TEMPLATE_BLOCK_BEGIN;
}

static void settle_text(template_token *tokens, size_t i) {
    bool begins_line = i == 0;
    if (i > 0 && closes(&tokens[i - 1])) {
        begins_line = cut_front(&tokens[i], &tokens[i - 1], is_raw_tag(tokens, i - 1, "raw"));
    }
    if (opens(&tokens[i + 1])) {
        cut_back(&tokens[i], &tokens[i + 1], begins_line);
    }
}

static bool is_kept(const template_token *tokens, size_t i, size_t count) {
    const bool is_raw = is_raw_tag(tokens, i, "raw") || is_raw_tag(tokens, i, "endraw") ||
                        (i + 1 < count && (is_raw_tag(tokens, i + 1, "raw") ||
                                           is_raw_tag(tokens, i + 1, "endraw"))) ||
                        (i + 2 < count &&
                         (is_raw_tag(tokens, i + 2, "raw") || is_raw_tag(tokens, i + 2, "endraw")));
    return !is_raw && tokens[i].kind != TEMPLATE_COMMENT &&
           (tokens[i].kind != TEMPLATE_TEXT || tokens[i].len > 0);
}

weir_code parser_load(parser *in, const char *text, size_t len) {
    char *settled = NULL;
    template_lexer lexer = {0};
    if (len > TEMPLATE_BYTES_MAX) {
        return fail_at_line(in, WEIR_ERR_LIMIT, 1, "a template of at most 1 MiB", "a longer one");
    }
    WEIR_TRY(settle_line_ends(in, text, len, &settled, &lexer.len));
    lexer.text = settled;
    WEIR_CLEANUP(free) template_token *tokens = NULL;
    size_t count = 0;
    WEIR_TRY(lex_all(&tokens, &count, &lexer, in->err));
    in->tokens = arena_alloc(in->memory, count, sizeof *in->tokens);
    if (!in->tokens) {
        return weir_fail_nomem(in->err);
    }
    for (size_t i = 0; i + 1 < count; i++) {
        if (tokens[i].kind == TEMPLATE_TEXT) {
            settle_text(tokens, i);
        }
    }
    size_t used = 0;
    for (size_t i = 0; i < count; i++) {
        if (is_kept(tokens, i, count)) {
            in->tokens[used++] = tokens[i];
        }
    }
    return WEIR_OK;
}
