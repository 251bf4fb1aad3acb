/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file active_text.h  Text that is there to be run, in places where only a description belongs.
 *
 * Nothing in a model's metadata is executed by a reader of weights, so such text is never more than
 * suspicious: it waits for a page, a log or a script that trusts it. What honest metadata holds
 * must pass: tags and captions with angle brackets, HTML descriptions, links, pictures as data
 * addresses, command lines of trainers, paths of data sets, optimiser names with arguments.
 */
#ifndef WEIR_FORMAT_ACTIVE_TEXT_H
#define WEIR_FORMAT_ACTIVE_TEXT_H

#include <stdbool.h>
#include <stddef.h>

typedef struct active_text {
    const char *what; /**< "an HTML script element"; static */
    size_t offset;    /**< into the text */
} active_text;

/**
 * Find the first active place of a metadata value.
 * @param key  NUL-terminated; an address under a key like "callback_url" is judged by its key
 * Cost: O(len), a bounded look ahead at each candidate.
 */
bool active_text_find(active_text *out, const char *key, const char *text, size_t len);

#endif
