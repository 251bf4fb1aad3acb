/* SPDX-License-Identifier: Apache-2.0 */
/** @file lexer.h  A chat template (Jinja) as tokens. Nothing is evaluated. */
#ifndef WEIR_TEMPLATE_LEXER_H
#define WEIR_TEMPLATE_LEXER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "weir/error.h"

typedef enum template_kind {
    TEMPLATE_TEXT,        /**< literal output */
    TEMPLATE_BLOCK_BEGIN, /**< {% or {%- */
    TEMPLATE_BLOCK_END,
    TEMPLATE_OUTPUT_BEGIN, /**< {{ or {{- */
    TEMPLATE_OUTPUT_END,
    TEMPLATE_COMMENT,
    TEMPLATE_NAME,
    TEMPLATE_STRING, /**< quotes included; escapes not decoded */
    TEMPLATE_NUMBER,
    TEMPLATE_OPERATOR,
    TEMPLATE_END,
} template_kind;

typedef struct template_token {
    template_kind kind;
    const char *text; /**< borrowed from the template */
    size_t len;
    uint32_t line; /**< from 1 */
    size_t offset;
} template_token;

/** Zero-initialise with the text; advance with template_next(). */
typedef struct template_lexer {
    const char *text;
    size_t len;
    size_t cursor;
    uint32_t line;
    enum { LEXER_TEXT, LEXER_BLOCK, LEXER_OUTPUT } state;
    uint32_t nesting; /**< open brackets inside the block */
    bool in_raw;      /**< behind {% raw %}: everything up to {% endraw %} is text */
    bool raw_begins;  /**< inside a {% raw %} */
} template_lexer;

/**
 * Read the next token; TEMPLATE_END at the end, and from then on. White-space marks (-, +) belong
 * to the token that they stand in. Inside brackets "}}" and "%}" are brackets and operators, as in
 * Jinja.
 *
 * @return WEIR_OK; WEIR_ERR_FORMAT (place in err->at as a line) for an unclosed block,
 *         comment, raw part or string, a bracket without partner, a byte that starts no token
 */
weir_code template_next(template_lexer *lexer, template_token *out, weir_error *err);

#endif
