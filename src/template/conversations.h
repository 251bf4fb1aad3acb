/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file conversations.h  The conversations in which two templates are compared.
 *
 * CONVERSATION_COUNT of them are always the same: with and without a system message, one turn and
 * several, tools and their results, the assistant last, empty and long content, other scripts, with
 * and without the prompt for an answer, thinking on and off, two dates. Every text in them is
 * plain and means no harm. Probes are made from what a template compares content or the date with,
 * so that a branch that waits for a word is taken.
 */
#ifndef WEIR_TEMPLATE_CONVERSATIONS_H
#define WEIR_TEMPLATE_CONVERSATIONS_H

#include "template/render.h"
#include "template/taint.h"

enum { CONVERSATION_COUNT = 48, PROBED_MAX = 12, PROBES_MAX = 160 };

typedef struct conversation {
    datum variables;       /**< a VALUE_DICT */
    const datum *messages; /**< its list of messages */
    template_date date;
    bool has_prompt;   /**< add_generation_prompt */
    const char *probe; /**< what was put into it, printable and cut; NULL in the fixed grid */
    bool probes_date;  /**< `probe` is a date */
} conversation;

typedef struct conversation_grid {
    conversation *items; /**< in the arena */
    size_t count;
} conversation_grid;

/**
 * Make the grid and the probes that two reports ask for.
 * @param a, b  of the two templates
 * @return WEIR_OK or WEIR_ERR_NOMEM
 */
weir_code conversations_make(conversation_grid *out, arena *memory, const taint_report *a,
                             const taint_report *b, weir_error *err);

#endif
