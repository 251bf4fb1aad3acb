/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file template_delta.h  What was changed between two chat templates, and what that does.
 *
 * Both are parsed and brought to a normal form; equal forms are a cosmetic change. Otherwise both
 * are rendered over a grid of conversations and over probes made from what they compare messages
 * and the date with, and every difference of the two texts is traced to the part of the template
 * that makes it. What is said is what was seen: a text that was added is named as that, whoever
 * added it and why.
 */
#ifndef WEIR_DELTA_TEMPLATE_DELTA_H
#define WEIR_DELTA_TEMPLATE_DELTA_H

#include <stddef.h>
#include <stdint.h>

#include "base/arena.h"
#include "weir/relation.h"

typedef enum template_delta_kind {
    TEMPLATE_DELTA_SAME,     /**< the same bytes */
    TEMPLATE_DELTA_COSMETIC, /**< other bytes, equal normal form: renders the same */
    TEMPLATE_DELTA_CHANGED,
    TEMPLATE_DELTA_NOT_COMPARABLE, /**< one of them cannot be read */
} template_delta_kind;

typedef enum template_finding_class {
    TEMPLATE_FINDING_CONTENT_TRIGGER, /**< text added only when a message says something */
    TEMPLATE_FINDING_DATE_TRIGGER,    /**< text added only on some dates */
    TEMPLATE_FINDING_PREFILL,         /**< the answer is begun with text */
    TEMPLATE_FINDING_TEXT_ADDED,      /**< text added to a role */
    TEMPLATE_FINDING_DROPPED,         /**< a role, or the tools, no longer reach the model */
    TEMPLATE_FINDING_REFUSES,         /**< conversations that the base renders are refused */
    TEMPLATE_FINDING_LARGE_LOOP,
    TEMPLATE_FINDING_CONTENT_BRANCH, /**< a new branch on what messages say */
    TEMPLATE_FINDING_DATE_BRANCH,
    TEMPLATE_FINDING_PROMPT,    /**< the marks that ask for an answer changed */
    TEMPLATE_FINDING_STATEMENT, /**< a statement that only one of them has */
    TEMPLATE_FINDING_UNREAD,    /**< why they cannot be compared */
} template_finding_class;

typedef struct template_finding {
    template_finding_class kind;
    weir_grade grade; /**< PROVED: seen in a rendered text, or read from both; STRONG: it stands in
                         the template, and no conversation tried shows it; WEAK: a branch whose
                         effect was not seen */
    uint32_t line;    /**< in the model's template, in the base's for what is gone; 0 for none */
    const char *text; /**< a sentence without its full stop; printable */
} template_finding;

typedef struct template_delta {
    template_delta_kind kind;
    template_finding *findings; /**< the gravest first */
    size_t finding_count;
    size_t finding_capacity;
    size_t rendered_n;            /**< conversations that both templates answered */
    size_t rendered_differ;       /**< of those, with another text or outcome */
    size_t unrendered_n;          /**< conversations that weir could not render in both */
    const char *first_difference; /**< "" without one; printable, cut */
} template_delta;

/**
 * Compare two chat templates.
 *
 * @param[out] out  everything lives in `memory`
 * @param base, model  texts, not NUL-terminated
 * @return WEIR_OK, also when they cannot be compared; WEIR_ERR_NOMEM
 *
 * Cost: two renderings of at most CONVERSATION_COUNT + PROBES_MAX conversations, and all together
 * at most TEMPLATE_DELTA_STEPS_MAX steps.
 */
weir_code template_delta_find(template_delta *out, arena *memory, const char *base, size_t base_len,
                              const char *model, size_t model_len, weir_error *err);

/** @return "same", "cosmetic", "changed", "not_comparable". */
const char *template_delta_kind_name(template_delta_kind kind);
/** @return "content_trigger", "date_trigger", "prefill", "text_added" ... */
const char *template_finding_class_name(template_finding_class kind);

#endif
