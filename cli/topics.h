/* SPDX-License-Identifier: Apache-2.0 */
/** @file topics.h  What `weir help TOPIC` explains; generate.c makes a man page section of each. */
#ifndef WEIR_CLI_TOPICS_H
#define WEIR_CLI_TOPICS_H

#include <stddef.h>

/** One paragraph: a word and its meaning; a NULL word opens with plain text. */
typedef struct topic_entry {
    const char *word;
    const char *text;
} topic_entry;

typedef struct cli_topic {
    const char *name;
    const char *title;
    const topic_entry *entries; /* ends with {NULL, NULL} */
} cli_topic;

/** @return the `index`-th topic, or NULL past the end. The entries of exit-codes are
 * exit_status_at(). */
const cli_topic *topic_at(size_t index);

/** @return the topic of that name, or NULL. */
const cli_topic *topic_find(const char *name);

#endif
