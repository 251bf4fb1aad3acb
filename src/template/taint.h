/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file taint.h  What a template's text and branches depend on, read from its tree.
 *
 * Every name gets the set of things that its value may come from, over all assignments and
 * whatever their order, until nothing is added. A branch depends on what its condition is computed
 * from and on what the branches around it depend on. Whether a value has a kind (is string, is
 * defined) or is empty is its shape, not its content: every template asks that.
 */
#ifndef WEIR_TEMPLATE_TAINT_H
#define WEIR_TEMPLATE_TAINT_H

#include "base/text.h"
#include "template/syntax.h"

enum {
    TAINT_MESSAGES = 1 << 0, /**< the list, its length, a message as a whole */
    TAINT_CONTENT = 1 << 1,  /**< what somebody wrote */
    TAINT_ROLE = 1 << 2,
    TAINT_TOOLS = 1 << 3,
    TAINT_DATE = 1 << 4,
    TAINT_PROMPT = 1 << 5, /**< add_generation_prompt */
    TAINT_TESTED = 1 << 6, /**< content was compared with something, or measured */
    TAINT_DATED = 1 << 7,  /**< the date was compared with something */
};

/** A text that the template may put out. */
typedef struct taint_text {
    const template_node *node; /**< NODE_DATA or NODE_STRING */
    uint32_t guards;           /**< what the branches around it depend on */
    const template_node *role; /**< the text that the nearest role around it is compared with */
    const template_node *test; /**< the nearest condition around it that tests content or date */
    bool is_otherwise;         /**< it stands where that condition does not hold */
} taint_text;

/** A condition that depends on content or on the date. */
typedef struct taint_branch {
    const template_node *condition;
    uint32_t mask; /**< TAINT_TESTED, TAINT_DATED or both */
} taint_branch;

typedef struct taint_report {
    taint_text *texts;
    size_t text_count;
    size_t text_capacity;
    taint_branch *branches;
    size_t branch_count;
    size_t branch_capacity;
    const template_node **probes; /**< NODE_STRING and NODE_INTEGER that content, its length or the
                                     number of messages is compared with */
    size_t probe_count;
    size_t probe_capacity;
    const template_node **dates; /**< NODE_STRING and NODE_INTEGER that the date is compared with */
    size_t date_count;
    size_t date_capacity;
    const template_node *large_range; /**< of RANGE_LARGE_MIN rounds or more, or NULL */
    bool reads_date;
} taint_report;

enum { RANGE_LARGE_MIN = 10000 };

/** @return the part at which to look for what a value is compared with: not the name of a member.
 */
const template_node *taint_first_compared(const template_node *node);

/**
 * @param out     zeroed; its arrays are allocated, what they point to is in the tree
 * @return WEIR_OK or WEIR_ERR_NOMEM
 */
weir_code taint_find(taint_report *out, arena *memory, const template_node *tree, weir_error *err);
void taint_release(taint_report *report);
static inline void taint_release_cleanup(taint_report *report) {
    taint_release(report);
}

#endif
