/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file syntax.h  A chat template (Jinja) as a tree.
 *
 * The grammar is Jinja 3.1's [1], set up as transformers sets it up [2]: trim_blocks,
 * lstrip_blocks, the loop controls and the tag "generation". White space that the marks take away
 * is already gone from the tree, and comments are not in it, so two templates that differ in those
 * have equal trees.
 *
 * [1] jinja2, parser.py; [2] transformers, utils/chat_template_utils.py.
 */
#ifndef WEIR_TEMPLATE_SYNTAX_H
#define WEIR_TEMPLATE_SYNTAX_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/arena.h"

typedef enum template_node_kind {
    NODE_ABSENT, /**< an optional part that is not there */
    /* Statements; [parts] in order. */
    NODE_BODY,         /**< [statement ...] */
    NODE_DATA,         /**< text */
    NODE_OUTPUT,       /**< [expression] */
    NODE_IF,           /**< [condition, body, condition, body ..., else body or nothing] */
    NODE_FOR,          /**< [target, iterable, filter or absent, body, else body or absent] */
    NODE_SET,          /**< [target, value] */
    NODE_SET_BLOCK,    /**< [target, filters over NODE_HOLE or absent, body] */
    NODE_MACRO,        /**< text: name; [name, default or absent, ..., body] */
    NODE_CALL_BLOCK,   /**< [call, name, default or absent, ..., body] */
    NODE_FILTER_BLOCK, /**< [filters over NODE_HOLE, body] */
    NODE_WITH,         /**< [target, value, ..., body] */
    NODE_GENERATION,   /**< [body] */
    NODE_BREAK,
    NODE_CONTINUE,
    /* Expressions. */
    NODE_NAME,      /**< text */
    NODE_STRING,    /**< text: what the literal means, UTF-8 */
    NODE_INTEGER,   /**< integer */
    NODE_FLOAT,     /**< real */
    NODE_TRUE,      /**< true, True */
    NODE_FALSE,     /**< false, False */
    NODE_NONE,      /**< none, None */
    NODE_LIST,      /**< [item ...] */
    NODE_TUPLE,     /**< [item ...] */
    NODE_DICT,      /**< [key, value, ...] */
    NODE_ATTRIBUTE, /**< text: name; [object] */
    NODE_ITEM,      /**< [object, index] */
    NODE_SLICE,     /**< [start, stop, step], each or absent; only as an index */
    NODE_CALL,      /**< [callee, argument ...] */
    NODE_KEYWORD,   /**< text: name; [value]; only as an argument */
    NODE_SPREAD,    /**< text: * or **; [value]; only as an argument */
    NODE_FILTER,    /**< text: name; [input, argument ...] */
    NODE_TEST,      /**< text: name; [input, argument ...] */
    NODE_HOLE,      /**< what a block's text is put into */
    NODE_NOT,       /**< [operand] */
    NODE_AND,       /**< [left, right] */
    NODE_OR,        /**< [left, right] */
    NODE_NEGATIVE,  /**< [operand] */
    NODE_POSITIVE,  /**< [operand] */
    NODE_BINARY,    /**< text: + - * / // % or **; [left, right] */
    NODE_CONCAT,    /**< [operand, operand ...] of ~ */
    NODE_COMPARE,   /**< [first, operand ...] */
    NODE_OPERAND,   /**< text: == != < <= > >= in or "not in"; [right]; only in a comparison */
    NODE_CONDITION, /**< [condition, value, else value or absent] */
} template_node_kind;

typedef struct template_node {
    template_node_kind kind;
    uint32_t line;  /**< from 1; where it begins */
    uint32_t depth; /**< levels below it */
    uint32_t count; /**< of parts */
    const char *text;
    size_t len;
    int64_t integer;
    double real;
    struct template_node *first; /**< part */
    struct template_node *last;
    struct template_node *next; /**< part of the same parent */
} template_node;

/** @return part `index`, or NULL when there are fewer. */
const template_node *template_part(const template_node *node, size_t index);
/** @return whether the node's text is `word`. */
bool template_text_is(const template_node *node, const char *word);

/**
 * Parse a template.
 *
 * @param[out] out  a NODE_BODY in `memory`; its texts live there too
 * @return WEIR_OK; WEIR_ERR_FORMAT for what Jinja does not accept, WEIR_ERR_UNSUPPORTED for what
 *         weir does not read (include, import, extends, block, recursive loops ...),
 *         WEIR_ERR_LIMIT past TEMPLATE_BYTES_MAX, TEMPLATE_NODES_MAX or TEMPLATE_DEPTH_MAX (all
 *         three with the line in err->at); WEIR_ERR_NOMEM
 *
 * Cost: one pass, memory linear in `len`, C stack bounded by TEMPLATE_DEPTH_MAX.
 */
weir_code template_parse(const template_node **out, arena *memory, const char *text, size_t len,
                         weir_error *err);

#endif
