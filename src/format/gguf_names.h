/* SPDX-License-Identifier: Apache-2.0 */
/** @file gguf_names.h  Which name stands twice: keys and tensors of a GGUF file. */
#ifndef WEIR_FORMAT_GGUF_NAMES_H
#define WEIR_FORMAT_GGUF_NAMES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef struct gguf_name {
    const char *text; /**< borrowed; may hold NULs */
    size_t len;
    uint64_t offset; /**< where it stands in the file */
} gguf_name;

/** Zero-initialise; release with gguf_names_release(). */
typedef struct gguf_names {
    gguf_name *items;
    size_t count;
    size_t capacity;
} gguf_names;

/** @return false when memory is exhausted */
bool gguf_names_add(gguf_names *names, gguf_name name);

/**
 * Find the first place in the file where an earlier name stands again. Sorts the list.
 * O(n log n) whatever the names are, which no unkeyed hash is for names chosen by an attacker.
 * @return false when all differ
 */
bool gguf_names_find_repeated(gguf_names *names, gguf_name *out);

void gguf_names_release(gguf_names *names);
static inline void gguf_names_release_cleanup(gguf_names *names) {
    gguf_names_release(names);
}

#endif
