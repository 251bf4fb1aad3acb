/* SPDX-License-Identifier: Apache-2.0 */
/** @file hazard_words.h  Names that a chat template never needs, and how they hide in a string. */
#ifndef WEIR_TEMPLATE_HAZARD_WORDS_H
#define WEIR_TEMPLATE_HAZARD_WORDS_H

#include <stdbool.h>
#include <stddef.h>

#include "base/text.h"

typedef enum hazard_word {
    HAZARD_WORD_PLAIN,
    HAZARD_WORD_INTERNAL, /**< leads from a value to the interpreter: __class__, gi_frame */
    HAZARD_WORD_UNDERLINED /**< has the shape of the above, but nobody knows it */,
    HAZARD_WORD_COMMAND, /**< runs, imports or decodes by itself: popen, b64decode */
    HAZARD_WORD_CALL,    /**< only when it is called: system, eval, open */
} hazard_word;

/** What `name` is as an attribute, a key or a method. Exact case. */
hazard_word hazard_word_find(const char *name, size_t len);

/** Find the first internal __name__ inside a text. @return false when there is none */
bool hazard_word_inside(const char *text, size_t len, size_t *out_begin, size_t *out_end);

/** Names that stand at the start of an expression. */
typedef enum hazard_root {
    HAZARD_ROOT_PLAIN,
    HAZARD_ROOT_MODULE,   /**< os, subprocess ...: a template has no modules */
    HAZARD_ROOT_FUNCTION, /**< eval, open, getattr ... */
    HAZARD_ROOT_ENGINE, /**< cycler, joiner, lipsum ...: called by honest templates, never opened */
    HAZARD_ROOT_WEB,    /**< request, session, url_for: a web application's, not a chat's */
    HAZARD_ROOT_CONFIG,
    HAZARD_ROOT_SELF,
} hazard_root;

/** @param[out] out_index  a small number for the name, below HAZARD_ROOT_COUNT_MAX; only for a hit
 */
hazard_root hazard_root_find(const char *name, size_t len, unsigned *out_index);
enum { HAZARD_ROOT_COUNT_MAX = 64 };

/**
 * Append what a quoted literal means: backslash escapes (\\x5f, \\u005f, \\137, \\N{LOW LINE}) and
 * numeric HTML entities (striptags undoes them) decoded. What is not ASCII becomes byte 0x1A.
 */
void hazard_literal_decode(text_buffer *out, const char *literal, size_t len);

/** @return whether the text is one long run of base64 or hexadecimal digits. */
bool hazard_is_encoded(const char *text, size_t len);

#endif
