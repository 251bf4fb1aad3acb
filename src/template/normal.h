/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file normal.h  A template's tree written in one way, whatever way it was written in.
 *
 * Gone are: white space that no text needs, comments, the marks' signs, the style of quotes,
 * brackets that change nothing, the names of variables that the template itself sets, x['role']
 * for x.role, {{ 'text' }} for text, {{ a ~ b }} for {{ a }}{{ b }}, else + if for elif, other
 * names of the same filter or test. Templates of equal normal form render the same.
 */
#ifndef WEIR_TEMPLATE_NORMAL_H
#define WEIR_TEMPLATE_NORMAL_H

#include "base/text.h"
#include "template/syntax.h"

/** One statement without its body: "if message.role == 'user'", "text 'Hello'", "else" ... */
typedef struct normal_line {
    const char *text; /**< UTF-8, not made printable */
    uint32_t line;    /**< in the template */
    uint32_t depth;   /**< of bodies around it */
} normal_line;

typedef struct normal_form {
    normal_line *lines;
    size_t count;
    size_t capacity;
} normal_form;

/**
 * @param out      zeroed; its array is allocated, its texts lie in `memory`
 * @param renames  false keeps the names of variables, for a person to read
 * @return WEIR_OK or WEIR_ERR_NOMEM
 */
weir_code normal_form_make(normal_form *out, arena *memory, const template_node *tree, bool renames,
                           weir_error *err);
void normal_form_release(normal_form *form);
static inline void normal_form_release_cleanup(normal_form *form) {
    normal_form_release(form);
}

/** Append an expression in the normal form, with the template's own names. */
void normal_write(text_buffer *out, const template_node *expression);

#endif
