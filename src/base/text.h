/* SPDX-License-Identifier: Apache-2.0 */
/** @file text.h  Text from hostile files: checked, made printable, gathered. */
#ifndef WEIR_BASE_TEXT_H
#define WEIR_BASE_TEXT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/cleanup.h"

/** @return whether the bytes are well-formed UTF-8 (no surrogates, no overlong forms). */
bool text_is_utf8(const char *bytes, size_t len);

/**
 * Copy text so that a terminal can show it: control bytes, bidirectional marks and broken UTF-8
 * become \xNN or \u{NNNN}. Cuts at a character boundary, and always ends with a NUL.
 */
void text_escape(char *out, size_t size, const char *bytes, size_t len);

/** A growing string. Zero-initialise; release with text_buffer_release(). */
typedef struct text_buffer {
    char *data; /**< NUL-terminated once anything was added, else NULL */
    size_t len;
    size_t capacity;
    bool failed; /**< memory ran out; what follows was dropped */
} text_buffer;

void text_buffer_add(text_buffer *text, const char *bytes, size_t len);
__attribute__((format(printf, 2, 3))) void text_buffer_format(text_buffer *text, const char *format,
                                                              ...);
void text_buffer_release(text_buffer *text);
static inline void text_buffer_release_cleanup(text_buffer *text) {
    text_buffer_release(text);
}

#endif
