/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file render.h  A chat template rendered as transformers renders it, within hard bounds.
 *
 * What comes out equals what jinja2's ImmutableSandboxedEnvironment gives with transformers'
 * settings, or there is no text but the reason: nothing is guessed. There is no input or output,
 * no clock and no chance; the date is an argument.
 */
#ifndef WEIR_TEMPLATE_RENDER_H
#define WEIR_TEMPLATE_RENDER_H

#include "template/value.h"

/** What strftime_now() says. */
typedef struct template_date {
    int year, month, day; /**< month and day from 1 */
    int hour, minute, second;
} template_date;

typedef enum template_outcome {
    TEMPLATE_RENDERED,
    TEMPLATE_REFUSED,      /**< the template called raise_exception */
    TEMPLATE_FAILED,       /**< Jinja fails here too: a wrong type, an undefined object opened */
    TEMPLATE_NOT_RENDERED, /**< something that weir does not render */
    TEMPLATE_TOO_LONG,     /**< more steps, bytes, memory or depth than the limits allow */
} template_outcome;

typedef struct template_rendering {
    template_outcome outcome;
    const char *text; /**< in the arena; "" unless RENDERED; NUL-terminated */
    size_t len;
    uint32_t line;     /**< where it stopped; 0 when RENDERED */
    char message[192]; /**< printable; "" when RENDERED */
    uint64_t steps;    /**< work done, in units of one evaluated part or 64 bytes moved */
} template_rendering;

/**
 * Render a parsed template.
 *
 * @param[out] out   filled whatever the outcome; untouched on failure
 * @param memory     holds the text and everything on the way; limits count its growth
 * @param tree       from template_parse()
 * @param variables  a VALUE_DICT with text keys: messages, add_generation_prompt, tools ...
 * @param date       NULL: strftime_now() is not rendered
 * @return WEIR_OK; WEIR_ERR_NOMEM
 *
 * Cost: at most RENDER_STEPS_MAX steps, RENDER_OUTPUT_BYTES_MAX of text, RENDER_MEMORY_BYTES_MAX of
 * values and a C stack for RENDER_DEPTH_MAX nested evaluations.
 */
weir_code template_render(template_rendering *out, arena *memory, const template_node *tree,
                          const datum *variables, const template_date *date, weir_error *err);

/** @return "rendered", "refused", "failed", "not rendered", "too long". */
const char *template_outcome_words(template_outcome outcome);

#endif
