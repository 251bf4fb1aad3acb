/* SPDX-License-Identifier: Apache-2.0 */
/** @file template_compare.h  The two halves of template_delta_find: what is seen, what is said. */
#ifndef WEIR_DELTA_TEMPLATE_COMPARE_H
#define WEIR_DELTA_TEMPLATE_COMPARE_H

#include "delta/template_delta.h"
#include "template/conversations.h"
#include "template/normal.h"

/** One of the two templates. */
typedef struct template_side {
    const template_node *tree;
    normal_form lines; /**< with the template's own names */
    taint_report taint;
    text_buffer literals; /**< all texts it may put out, raw, byte 1 between them */
    text_buffer words;    /**< their words, a space around each */
} template_side;

/** A text that only the model's template has. */
typedef struct added_text {
    const taint_text *from;
    const char *text; /**< the part that is new, in the tree */
    size_t len;
    size_t seen;       /**< renderings that hold it, where the base's does not */
    size_t seen_fixed; /**< of those, in the fixed grid */
    const char *role;  /**< where it was seen first; NULL when that cannot be told */
    bool is_prefill;   /**< it stood behind all messages, in the answer's place */
    const char *probe; /**< what was probed when it was seen first */
} added_text;

enum {
    DROPPED_SYSTEM,
    DROPPED_USER,
    DROPPED_ASSISTANT,
    DROPPED_TOOL,
    DROPPED_TOOLS,
    DROPPED_COUNT
};

typedef struct template_comparison {
    arena *memory; /**< until the comparison is over */
    arena *kept;   /**< of the result */
    template_side base;
    template_side model;
    conversation_grid grid;
    added_text *added;
    size_t added_count;
    size_t dropped[DROPPED_COUNT]; /**< conversations in which the model's text lacks it */
    size_t refused;                /**< conversations that only the model's template refuses */
    uint32_t refused_line;
    const char *refusal;
    bool is_endless; /**< the model's template passed a limit where the base's did not */
    uint32_t endless_line;
    const char *base_prompt; /**< what add_generation_prompt appends, or NULL when not seen */
    const char *model_prompt;
    size_t probes_differ;
    size_t fixed_differ;
    template_delta *out;
} template_comparison;

/** Find the texts that only the model's template has. */
weir_code template_find_added(template_comparison *in, weir_error *err);
/** Render the grid in both and note every difference. */
weir_code template_render_both(template_comparison *in, weir_error *err);
/** Say what was found. */
weir_code template_describe(template_comparison *in, weir_error *err);

#endif
