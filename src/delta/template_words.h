/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file template_words.h  Words in a template's text, apart from the marks around turns.
 *
 * Marks are <|...|>, </...> and the like, [INST] and its kin, the keys of JSON, and the names of
 * roles: what tells turns apart and says nothing to the model.
 */
#ifndef WEIR_DELTA_TEMPLATE_WORDS_H
#define WEIR_DELTA_TEMPLATE_WORDS_H

#include "base/text.h"
#include "template/conversations.h"

/** Append the words, lower case, one space between. */
void template_words(text_buffer *out, const char *text, size_t len);
/** @return whether the text holds a word of three letters or more beside marks. */
bool template_has_words(const char *text, size_t len);

/** Cut marks, and headings such as "system" on a line of its own, off the front and the back. */
void template_trim_marks(const char **text, size_t *len);

/** @return whether a heading in the text names a role. */
bool template_names_role(const char *text, size_t len);

/**
 * Which role a place in a rendered conversation belongs to: the role that is named last before it,
 * or, between a message and its mark, that message's.
 *
 * @param at, len    the place
 * @param out_is_end set to whether every message stands before it
 * @return "system", "user", "assistant", "tool", or NULL when it cannot be told
 */
const char *template_role_at(const char *rendered, size_t rendered_len, size_t at, size_t len,
                             const conversation *of, bool *out_is_end);

#endif
