/* SPDX-License-Identifier: Apache-2.0 */
/** @file characters.h  UTF-8 text by characters, as Python counts and sorts them. */
#ifndef WEIR_TEMPLATE_CHARACTERS_H
#define WEIR_TEMPLATE_CHARACTERS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/** The character that starts at `text`, 1 to 4 bytes. A byte that starts none counts as one.
 * @param len  at least 1 @return its bytes */
size_t text_character(const char *text, size_t len, uint32_t *out);
/** @return how many characters the text has. */
size_t text_count(const char *text, size_t len);
/** @return the byte at which character `index` starts, or `len`. */
size_t text_offset(const char *text, size_t len, size_t index);
/** Append a character's UTF-8 to `out`. @return its bytes */
size_t text_encode(char out[4], uint32_t character);
/** Whether str.isspace() holds. */
bool text_is_space(uint32_t character);
/** @return bytes of white space at the front, at the back. */
size_t text_space_front(const char *text, size_t len);
size_t text_space_back(const char *text, size_t len);
/** Whether the text has a byte beyond ASCII. */
bool text_is_wide(const char *text, size_t len);

#endif
