/* SPDX-License-Identifier: Apache-2.0 */
/** @file parser.h  What the two halves of the parser, statements and expressions, share. */
#ifndef WEIR_TEMPLATE_PARSER_H
#define WEIR_TEMPLATE_PARSER_H

#include "template/lexer.h"
#include "template/syntax.h"

typedef struct parser {
    arena *memory;
    template_token
        *tokens; /* comments dropped, white space of text settled; ends in TEMPLATE_END */
    size_t cursor;
    size_t node_count;
    uint32_t nesting; /* of the call in progress */
    uint32_t loops;   /* around the statement at hand, inside its macro */
    weir_error *err;
} parser;

/** Settle white space and drop comments; fills in->tokens. */
weir_code parser_load(parser *in, const char *text, size_t len);

const template_token *parser_token(const parser *in);
/** Whether the token `ahead` is this operator or name. */
bool parser_is(const parser *in, size_t ahead, const char *text);
bool parser_skip_if(parser *in, const char *text);
weir_code parser_expect(parser *in, const char *text);
weir_code parser_fail(parser *in, weir_code code, const char *expected);
weir_code parser_enter(parser *in);
void parser_leave(parser *in);

/** A node of this kind at the current token's line. */
weir_code parser_node(parser *in, template_node_kind kind, template_node **out);
weir_code parser_add(parser *in, template_node *parent, template_node *child);
weir_code parser_add_absent(parser *in, template_node *parent);

/* Each is Jinja's method of that name. */
weir_code parse_expression(parser *in, template_node **out);
weir_code parse_tuple(parser *in, bool with_condition, template_node **out);
weir_code parse_for_target(parser *in, template_node **out);
weir_code parse_set_target(parser *in, template_node **out);
weir_code parse_filters(parser *in, template_node *input, bool starts_inline, template_node **out);
weir_code parse_arguments(parser *in, template_node *call);
weir_code parse_name(parser *in, template_node **out);
weir_code parse_postfix_of(parser *in, template_node **node);

#endif
