/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Expressions, from the loosest to the tightest:
 *
 *     a if c else b    or    and    not    == != < <= > >= in, not in    + -    ~    * / // %    **
 *     -x +x            x.name x[i] x(...) x|filter x is test
 *
 * + and - bind looser than ~, and ** groups from the left, as in Jinja's parser.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/fail.h"
#include "template/characters.h"
#include "template/parser.h"

static weir_code parse_unary(parser *in, bool with_filter, template_node **out);

static void take_text(template_node *node, const template_token *token) {
    node->text = token->text;
    node->len = token->len;
}

weir_code parse_name(parser *in, template_node **out) {
    if (parser_token(in)->kind != TEMPLATE_NAME) {
        return parser_fail(in, WEIR_ERR_FORMAT, "a name");
    }
    WEIR_TRY(parser_node(in, NODE_NAME, out));
    take_text(*out, &in->tokens[in->cursor++]);
    return WEIR_OK;
}

static int hex_digit(char c) {
    return c >= '0' && c <= '9'                 ? c - '0'
           : (c | 32) >= 'a' && (c | 32) <= 'f' ? (c | 32) - 'a' + 10
                                                : -1;
}

/* A Python escape behind the backslash. @return bytes read, 0 for one that weir does not decode */
static size_t decode_escape(const char *text, size_t len, char out[4], size_t *out_len) {
    static const char from[] = "\\'\"abfnrtv";
    static const char to[] = "\\'\"\a\b\f\n\r\t\v";
    const char *plain = len > 0 && text[0] ? strchr(from, text[0]) : NULL;
    if (plain) {
        out[0] = to[plain - from];
        *out_len = 1;
        return 1;
    }
    if (len > 0 && text[0] == '\n') {
        *out_len = 0;
        return 1;
    }
    const size_t digits = len == 0         ? 0
                          : text[0] == 'x' ? 2
                          : text[0] == 'u' ? 4
                          : text[0] == 'U' ? 8
                                           : 0;
    if (digits == 0 || len < 1 + digits) {
        return 0;
    }
    uint32_t code = 0;
    for (size_t i = 1; i <= digits; i++) {
        if (hex_digit(text[i]) < 0) {
            return 0;
        }
        code = code << 4 | (uint32_t)hex_digit(text[i]);
    }
    if (code == 0 || code > 0x10FFFF || (code >= 0xD800 && code < 0xE000)) {
        return 0;
    }
    *out_len = text_encode(out, code);
    return 1 + digits;
}

/* Append what a quoted literal means. Its bytes are at most as many as the literal's. */
static weir_code decode_string(parser *in, char *out, size_t *used, const template_token *token) {
    for (size_t i = 1; i + 1 < token->len;) {
        if (token->text[i] != '\\') {
            out[(*used)++] = token->text[i++];
            continue;
        }
        size_t size = 0;
        const char next = token->text[i + 1];
        const bool is_special = next == 'x' || next == 'u' || next == 'U' || next == 'N' ||
                                (next >= '0' && next <= '7');
        const size_t read =
            decode_escape(token->text + i + 1, token->len - i - 2, out + *used, &size);
        if (read == 0 && is_special) {
            return parser_fail(in, WEIR_ERR_UNSUPPORTED, "an escape that weir decodes");
        }
        if (read == 0) {
            out[(*used)++] = token->text[i++]; /* Python keeps the backslash */
            continue;
        }
        *used += size;
        i += 1 + read;
    }
    return WEIR_OK;
}

/* Strings that touch are one. */
static weir_code parse_string(parser *in, template_node **out) {
    WEIR_TRY(parser_node(in, NODE_STRING, out));
    size_t bytes = 1;
    for (size_t i = in->cursor; in->tokens[i].kind == TEMPLATE_STRING; i++) {
        bytes += in->tokens[i].len;
    }
    char *text = arena_alloc(in->memory, bytes, 1);
    if (!text) {
        return weir_fail_nomem(in->err);
    }
    size_t used = 0;
    for (; parser_token(in)->kind == TEMPLATE_STRING; in->cursor++) {
        WEIR_TRY(decode_string(in, text, &used, parser_token(in)));
    }
    (*out)->text = text;
    (*out)->len = used;
    return WEIR_OK;
}

static weir_code parse_number(parser *in, template_node **out) {
    const template_token *token = parser_token(in);
    char digits[64];
    size_t used = 0;
    for (size_t i = 0; i < token->len && used < sizeof digits - 1; i++) {
        if (token->text[i] != '_') {
            digits[used++] = token->text[i];
        }
    }
    digits[used] = '\0';
    const char prefix = used > 1 && digits[0] == '0' ? (char)(digits[1] | 32) : '\0';
    const int base = prefix == 'x' ? 16 : prefix == 'o' ? 8 : prefix == 'b' ? 2 : 10;
    const bool is_float = base == 10 && strpbrk(digits, ".eE");
    WEIR_TRY(parser_node(in, is_float ? NODE_FLOAT : NODE_INTEGER, out));
    char *end = NULL;
    errno = 0;
    if (is_float) {
        (*out)->real = strtod(digits, &end);
    } else {
        (*out)->integer = strtoll(digits + (base == 10 ? 0 : 2), &end, base);
    }
    if (errno == ERANGE || used == sizeof digits - 1) {
        return parser_fail(in, WEIR_ERR_UNSUPPORTED, "a number of 64 bits");
    }
    if (*end || end == digits) {
        return parser_fail(in, WEIR_ERR_FORMAT, "a number");
    }
    in->cursor++;
    return WEIR_OK;
}

static weir_code parse_list(parser *in, template_node **out) {
    WEIR_TRY(parser_node(in, NODE_LIST, out));
    WEIR_TRY(parser_expect(in, "["));
    while (!parser_skip_if(in, "]")) {
        if ((*out)->count > 0) {
            WEIR_TRY(parser_expect(in, ","));
            if (parser_skip_if(in, "]")) {
                break;
            }
        }
        template_node *item;
        WEIR_TRY(parse_expression(in, &item));
        WEIR_TRY(parser_add(in, *out, item));
    }
    return WEIR_OK;
}

static weir_code parse_dict(parser *in, template_node **out) {
    WEIR_TRY(parser_node(in, NODE_DICT, out));
    WEIR_TRY(parser_expect(in, "{"));
    while (!parser_skip_if(in, "}")) {
        if ((*out)->count > 0) {
            WEIR_TRY(parser_expect(in, ","));
            if (parser_skip_if(in, "}")) {
                break;
            }
        }
        template_node *part;
        WEIR_TRY(parse_expression(in, &part));
        WEIR_TRY(parser_add(in, *out, part));
        WEIR_TRY(parser_expect(in, ":"));
        WEIR_TRY(parse_expression(in, &part));
        WEIR_TRY(parser_add(in, *out, part));
    }
    return WEIR_OK;
}

static weir_code parse_parenthesis(parser *in, template_node **out) {
    WEIR_TRY(parser_expect(in, "("));
    if (parser_skip_if(in, ")")) {
        return parser_node(in, NODE_TUPLE, out);
    }
    WEIR_TRY(parse_tuple(in, /* with_condition= */ true, out));
    return parser_expect(in, ")");
}

static weir_code parse_primary(parser *in, template_node **out) {
    static const struct {
        const char *word;
        template_node_kind kind;
    } constants[] = {{"true", NODE_TRUE},   {"True", NODE_TRUE}, {"false", NODE_FALSE},
                     {"False", NODE_FALSE}, {"none", NODE_NONE}, {"None", NODE_NONE}};
    switch (parser_token(in)->kind) {
    case TEMPLATE_NAME:
        for (size_t i = 0; i < sizeof constants / sizeof *constants; i++) {
            if (parser_is(in, 0, constants[i].word)) {
                WEIR_TRY(parser_node(in, constants[i].kind, out));
                in->cursor++;
                return WEIR_OK;
            }
        }
        return parse_name(in, out);
    case TEMPLATE_STRING:
        return parse_string(in, out);
    case TEMPLATE_NUMBER:
        return parse_number(in, out);
    case TEMPLATE_OPERATOR:
        if (parser_is(in, 0, "(")) {
            return parse_parenthesis(in, out);
        }
        if (parser_is(in, 0, "[")) {
            return parse_list(in, out);
        }
        if (parser_is(in, 0, "{")) {
            return parse_dict(in, out);
        }
        break;
    case TEMPLATE_TEXT:
    case TEMPLATE_BLOCK_BEGIN:
    case TEMPLATE_BLOCK_END:
    case TEMPLATE_OUTPUT_BEGIN:
    case TEMPLATE_OUTPUT_END:
    case TEMPLATE_COMMENT:
    case TEMPLATE_END:
        break;
    }
    return parser_fail(in, WEIR_ERR_FORMAT, "an expression");
}

static weir_code parse_argument(parser *in, template_node *call) {
    template_node *value;
    template_node *wrapped = NULL;
    if (parser_is(in, 0, "*") || parser_is(in, 0, "**")) {
        WEIR_TRY(parser_node(in, NODE_SPREAD, &wrapped));
        take_text(wrapped, &in->tokens[in->cursor++]);
    } else if (parser_token(in)->kind == TEMPLATE_NAME && parser_is(in, 1, "=")) {
        WEIR_TRY(parser_node(in, NODE_KEYWORD, &wrapped));
        take_text(wrapped, &in->tokens[in->cursor]);
        in->cursor += 2;
    }
    WEIR_TRY(parse_expression(in, &value));
    if (!wrapped) {
        const bool is_late = call->last && call->last->kind == NODE_KEYWORD;
        return is_late ? parser_fail(in, WEIR_ERR_FORMAT, "an argument with a name")
                       : parser_add(in, call, value);
    }
    WEIR_TRY(parser_add(in, wrapped, value));
    return parser_add(in, call, wrapped);
}

weir_code parse_arguments(parser *in, template_node *call) {
    WEIR_TRY(parser_expect(in, "("));
    bool is_first = true;
    while (!parser_skip_if(in, ")")) {
        if (!is_first) {
            WEIR_TRY(parser_expect(in, ","));
            if (parser_skip_if(in, ")")) {
                break;
            }
        }
        WEIR_TRY(parse_argument(in, call));
        is_first = false;
    }
    return WEIR_OK;
}

static weir_code parse_call(parser *in, template_node **node) {
    template_node *call;
    WEIR_TRY(parser_node(in, NODE_CALL, &call));
    WEIR_TRY(parser_add(in, call, *node));
    WEIR_TRY(parse_arguments(in, call));
    *node = call;
    return WEIR_OK;
}

static bool ends_slice_part(const parser *in) {
    return parser_is(in, 0, ":") || parser_is(in, 0, "]") || parser_is(in, 0, ",");
}

/* What stands between [ and ]: an index or a slice. */
static weir_code parse_index(parser *in, template_node **out) {
    template_node *part = NULL;
    template_node *slice;
    if (!parser_is(in, 0, ":")) {
        WEIR_TRY(parse_expression(in, &part));
        if (!parser_is(in, 0, ":")) {
            *out = part;
            return WEIR_OK;
        }
    }
    WEIR_TRY(parser_node(in, NODE_SLICE, &slice));
    WEIR_TRY(part ? parser_add(in, slice, part) : parser_add_absent(in, slice));
    for (size_t i = 0; i < 2; i++) {
        if (parser_skip_if(in, ":") && !ends_slice_part(in)) {
            WEIR_TRY(parse_expression(in, &part));
            WEIR_TRY(parser_add(in, slice, part));
        } else {
            WEIR_TRY(parser_add_absent(in, slice));
        }
    }
    *out = slice;
    return WEIR_OK;
}

static weir_code parse_subscript(parser *in, template_node **node) {
    template_node *access;
    template_node *index;
    WEIR_TRY(parser_node(in, NODE_ITEM, &access));
    WEIR_TRY(parser_add(in, access, *node));
    if (parser_skip_if(in, ".")) {
        if (parser_token(in)->kind == TEMPLATE_NAME) {
            access->kind = NODE_ATTRIBUTE;
            take_text(access, &in->tokens[in->cursor++]);
        } else if (parser_token(in)->kind == TEMPLATE_NUMBER) {
            WEIR_TRY(parse_number(in, &index));
            WEIR_TRY(parser_add(in, access, index));
        } else {
            return parser_fail(in, WEIR_ERR_FORMAT, "a name");
        }
    } else {
        WEIR_TRY(parser_expect(in, "["));
        WEIR_TRY(parse_index(in, &index));
        WEIR_TRY(parser_add(in, access, index));
        if (parser_is(in, 0, ",")) {
            return parser_fail(in, WEIR_ERR_UNSUPPORTED, "one index");
        }
        WEIR_TRY(parser_expect(in, "]"));
    }
    *node = access;
    return WEIR_OK;
}

weir_code parse_postfix_of(parser *in, template_node **node) {
    for (;;) {
        if (parser_is(in, 0, ".") || parser_is(in, 0, "[")) {
            WEIR_TRY(parse_subscript(in, node));
        } else if (parser_is(in, 0, "(")) {
            WEIR_TRY(parse_call(in, node));
        } else {
            return WEIR_OK;
        }
    }
}

/* A dotted name, as filters and tests may have one. */
static weir_code take_dotted_name(parser *in, template_node *node) {
    if (parser_token(in)->kind != TEMPLATE_NAME) {
        return parser_fail(in, WEIR_ERR_FORMAT, "a name");
    }
    take_text(node, &in->tokens[in->cursor++]);
    return parser_is(in, 0, ".") ? parser_fail(in, WEIR_ERR_UNSUPPORTED, "a name without points")
                                 : WEIR_OK;
}

weir_code parse_filters(parser *in, template_node *input, bool starts_inline, template_node **out) {
    *out = input;
    while (starts_inline || parser_is(in, 0, "|")) {
        in->cursor += !starts_inline;
        starts_inline = false;
        template_node *filter;
        WEIR_TRY(parser_node(in, NODE_FILTER, &filter));
        WEIR_TRY(take_dotted_name(in, filter));
        WEIR_TRY(parser_add(in, filter, *out));
        if (parser_is(in, 0, "(")) {
            WEIR_TRY(parse_arguments(in, filter));
        }
        *out = filter;
    }
    return WEIR_OK;
}

static bool begins_test_argument(const parser *in) {
    const template_kind kind = parser_token(in)->kind;
    if (kind == TEMPLATE_NAME) {
        return !parser_is(in, 0, "else") && !parser_is(in, 0, "or") && !parser_is(in, 0, "and");
    }
    return kind == TEMPLATE_STRING || kind == TEMPLATE_NUMBER || parser_is(in, 0, "[") ||
           parser_is(in, 0, "{");
}

/* Behind "is". */
static weir_code parse_test(parser *in, template_node **node) {
    template_node *test;
    template_node *argument;
    const bool is_negated = parser_skip_if(in, "not");
    WEIR_TRY(parser_node(in, NODE_TEST, &test));
    WEIR_TRY(take_dotted_name(in, test));
    WEIR_TRY(parser_add(in, test, *node));
    if (parser_is(in, 0, "(")) {
        WEIR_TRY(parse_arguments(in, test));
    } else if (parser_is(in, 0, "is")) {
        return parser_fail(in, WEIR_ERR_FORMAT, "one test, not a chain of them");
    } else if (begins_test_argument(in)) {
        WEIR_TRY(parse_primary(in, &argument));
        WEIR_TRY(parse_postfix_of(in, &argument));
        WEIR_TRY(parser_add(in, test, argument));
    }
    *node = test;
    if (is_negated) {
        WEIR_TRY(parser_node(in, NODE_NOT, node));
        return parser_add(in, *node, test);
    }
    return WEIR_OK;
}

static weir_code parse_filters_and_tests(parser *in, template_node **node) {
    for (;;) {
        if (parser_is(in, 0, "|")) {
            WEIR_TRY(parse_filters(in, *node, /* starts_inline= */ false, node));
        } else if (parser_skip_if(in, "is")) {
            WEIR_TRY(parse_test(in, node));
        } else if (parser_is(in, 0, "(")) {
            WEIR_TRY(parse_call(in, node));
        } else {
            return WEIR_OK;
        }
    }
}

static weir_code parse_sign(parser *in, template_node_kind kind, template_node **out) {
    template_node *operand;
    WEIR_TRY(parser_node(in, kind, out));
    in->cursor++;
    WEIR_TRY(parser_enter(in));
    WEIR_TRY(parse_unary(in, /* with_filter= */ false, &operand));
    parser_leave(in);
    return parser_add(in, *out, operand);
}

static weir_code parse_unary(parser *in, bool with_filter, template_node **out) {
    if (parser_is(in, 0, "-")) {
        WEIR_TRY(parse_sign(in, NODE_NEGATIVE, out));
    } else if (parser_is(in, 0, "+")) {
        WEIR_TRY(parse_sign(in, NODE_POSITIVE, out));
    } else {
        WEIR_TRY(parse_primary(in, out));
    }
    WEIR_TRY(parse_postfix_of(in, out));
    return with_filter ? parse_filters_and_tests(in, out) : WEIR_OK;
}

/* Two operands under `operation`, a token already seen. */
static weir_code join(parser *in, template_node_kind kind, const template_token *operation,
                      template_node *left, template_node *right, template_node **out) {
    template_node *node;
    WEIR_TRY(parser_node(in, kind, &node));
    node->line = operation->line;
    if (kind == NODE_BINARY) {
        take_text(node, operation);
    }
    WEIR_TRY(parser_add(in, node, left));
    WEIR_TRY(parser_add(in, node, right));
    *out = node;
    return WEIR_OK;
}

static bool is_one_of(const parser *in, const char *const *words) {
    for (; *words; words++) {
        if (parser_is(in, 0, *words)) {
            return true;
        }
    }
    return false;
}

static weir_code parse_power(parser *in, template_node **out) {
    WEIR_TRY(parse_unary(in, /* with_filter= */ true, out));
    while (parser_is(in, 0, "**")) {
        const template_token *operation = &in->tokens[in->cursor++];
        template_node *right;
        WEIR_TRY(parse_unary(in, /* with_filter= */ true, &right));
        WEIR_TRY(join(in, NODE_BINARY, operation, *out, right, out));
    }
    return WEIR_OK;
}

static weir_code parse_product(parser *in, template_node **out) {
    static const char *const operations[] = {"*", "/", "//", "%", NULL};
    WEIR_TRY(parse_power(in, out));
    while (is_one_of(in, operations)) {
        const template_token *operation = &in->tokens[in->cursor++];
        template_node *right;
        WEIR_TRY(parse_power(in, &right));
        WEIR_TRY(join(in, NODE_BINARY, operation, *out, right, out));
    }
    return WEIR_OK;
}

static weir_code parse_concat(parser *in, template_node **out) {
    template_node *part;
    WEIR_TRY(parse_product(in, &part));
    if (!parser_is(in, 0, "~")) {
        *out = part;
        return WEIR_OK;
    }
    WEIR_TRY(parser_node(in, NODE_CONCAT, out));
    WEIR_TRY(parser_add(in, *out, part));
    while (parser_skip_if(in, "~")) {
        WEIR_TRY(parse_product(in, &part));
        WEIR_TRY(parser_add(in, *out, part));
    }
    return WEIR_OK;
}

static weir_code parse_sum(parser *in, template_node **out) {
    WEIR_TRY(parse_concat(in, out));
    while (parser_is(in, 0, "+") || parser_is(in, 0, "-")) {
        const template_token *operation = &in->tokens[in->cursor++];
        template_node *right;
        WEIR_TRY(parse_concat(in, &right));
        WEIR_TRY(join(in, NODE_BINARY, operation, *out, right, out));
    }
    return WEIR_OK;
}

/* Add one "== x" or "not in x" to a comparison. */
static weir_code parse_operand(parser *in, template_node *compare) {
    template_node *operand;
    template_node *right;
    WEIR_TRY(parser_node(in, NODE_OPERAND, &operand));
    take_text(operand, parser_token(in));
    if (parser_skip_if(in, "not")) {
        operand->text = "not in";
        operand->len = strlen("not in");
    }
    in->cursor++;
    WEIR_TRY(parse_sum(in, &right));
    WEIR_TRY(parser_add(in, operand, right));
    return parser_add(in, compare, operand);
}

static weir_code parse_comparison(parser *in, template_node **out) {
    static const char *const operations[] = {"==", "!=", "<", "<=", ">", ">=", "in", NULL};
    WEIR_TRY(parse_sum(in, out));
    template_node *compare = NULL;
    while (is_one_of(in, operations) || (parser_is(in, 0, "not") && parser_is(in, 1, "in"))) {
        if (!compare) {
            WEIR_TRY(parser_node(in, NODE_COMPARE, &compare));
            WEIR_TRY(parser_add(in, compare, *out));
            *out = compare;
        }
        WEIR_TRY(parse_operand(in, compare));
    }
    return WEIR_OK;
}

static weir_code parse_not(parser *in, template_node **out) {
    if (!parser_is(in, 0, "not")) {
        return parse_comparison(in, out);
    }
    template_node *operand;
    WEIR_TRY(parser_node(in, NODE_NOT, out));
    in->cursor++;
    WEIR_TRY(parser_enter(in));
    WEIR_TRY(parse_not(in, &operand));
    parser_leave(in);
    return parser_add(in, *out, operand);
}

static weir_code parse_and(parser *in, template_node **out) {
    WEIR_TRY(parse_not(in, out));
    while (parser_is(in, 0, "and")) {
        const template_token *operation = &in->tokens[in->cursor++];
        template_node *right;
        WEIR_TRY(parse_not(in, &right));
        WEIR_TRY(join(in, NODE_AND, operation, *out, right, out));
    }
    return WEIR_OK;
}

static weir_code parse_or(parser *in, template_node **out) {
    WEIR_TRY(parse_and(in, out));
    while (parser_is(in, 0, "or")) {
        const template_token *operation = &in->tokens[in->cursor++];
        template_node *right;
        WEIR_TRY(parse_and(in, &right));
        WEIR_TRY(join(in, NODE_OR, operation, *out, right, out));
    }
    return WEIR_OK;
}

static weir_code parse_condition(parser *in, template_node **out) {
    WEIR_TRY(parse_or(in, out));
    while (parser_is(in, 0, "if")) {
        const template_token *operation = &in->tokens[in->cursor++];
        template_node *condition;
        template_node *other;
        WEIR_TRY(parse_or(in, &condition));
        WEIR_TRY(join(in, NODE_CONDITION, operation, condition, *out, out));
        if (parser_skip_if(in, "else")) {
            WEIR_TRY(parse_expression(in, &other));
            WEIR_TRY(parser_add(in, *out, other));
        } else {
            WEIR_TRY(parser_add_absent(in, *out));
        }
    }
    return WEIR_OK;
}

weir_code parse_expression(parser *in, template_node **out) {
    WEIR_TRY(parser_enter(in));
    WEIR_TRY(parse_condition(in, out));
    parser_leave(in);
    return WEIR_OK;
}

static bool ends_tuple(const parser *in) {
    const template_kind kind = parser_token(in)->kind;
    return kind == TEMPLATE_BLOCK_END || kind == TEMPLATE_OUTPUT_END || kind == TEMPLATE_END ||
           parser_is(in, 0, ")") || parser_is(in, 0, "in") || parser_is(in, 0, "recursive") ||
           parser_is(in, 0, "=");
}

/* One or more of `parse_item`; more than one, or a comma behind it, make a tuple. */
static weir_code parse_items(parser *in, weir_code (*parse_item)(parser *, template_node **),
                             template_node **out) {
    template_node *tuple = NULL;
    WEIR_TRY(parser_enter(in));
    WEIR_TRY(parse_item(in, out));
    while (parser_is(in, 0, ",")) {
        if (!tuple) {
            WEIR_TRY(parser_node(in, NODE_TUPLE, &tuple));
            WEIR_TRY(parser_add(in, tuple, *out));
        }
        in->cursor++;
        if (ends_tuple(in)) {
            break;
        }
        template_node *item;
        WEIR_TRY(parse_item(in, &item));
        WEIR_TRY(parser_add(in, tuple, item));
    }
    parser_leave(in);
    *out = tuple ? tuple : *out;
    return WEIR_OK;
}

weir_code parse_tuple(parser *in, bool with_condition, template_node **out) {
    return parse_items(in, with_condition ? parse_expression : parse_or, out);
}

/* A name to bind; true, false and none are none. */
static weir_code parse_bound_name(parser *in, template_node **out) {
    static const char *const constants[] = {"true", "True", "false", "False", "none", "None", NULL};
    if (is_one_of(in, constants)) {
        return parser_fail(in, WEIR_ERR_FORMAT, "a name that can be assigned to");
    }
    if (!parser_skip_if(in, "(")) {
        return parse_name(in, out);
    }
    WEIR_TRY(parse_for_target(in, out));
    return parser_expect(in, ")");
}

weir_code parse_for_target(parser *in, template_node **out) {
    return parse_items(in, parse_bound_name, out);
}

weir_code parse_set_target(parser *in, template_node **out) {
    if (!parser_is(in, 1, ".")) {
        return parse_for_target(in, out);
    }
    template_node *space;
    WEIR_TRY(parse_name(in, &space));
    in->cursor++;
    WEIR_TRY(parser_node(in, NODE_ATTRIBUTE, out));
    if (parser_token(in)->kind != TEMPLATE_NAME) {
        return parser_fail(in, WEIR_ERR_FORMAT, "a name");
    }
    take_text(*out, &in->tokens[in->cursor++]);
    return parser_add(in, *out, space);
}
