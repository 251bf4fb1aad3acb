/* SPDX-License-Identifier: Apache-2.0 */
/** @file arena.h  Memory that is freed once, all together; nothing inside has a destructor. */
#ifndef WEIR_BASE_ARENA_H
#define WEIR_BASE_ARENA_H

#include <stddef.h>

#include "weir/error.h"

/** Zero-initialise; release with arena_release(). Not for two threads at once. */
typedef struct arena {
    struct arena_block *blocks;
    size_t bytes; /**< taken from the system so far */
} arena;

/** @return `count * size` zeroed bytes aligned for any type, or NULL (wrapped, or no memory). */
void *arena_alloc(arena *memory, size_t count, size_t size);

/** @return a NUL-terminated copy of `len` bytes, unaligned and tightly packed; NULL without memory.
 */
char *arena_copy_text(arena *memory, const char *bytes, size_t len);

/**
 * Set *out to a copy of a NUL-terminated text, or to NULL for NULL.
 *
 * @return WEIR_OK or WEIR_ERR_NOMEM
 */
weir_code arena_keep_text(const char **out, arena *memory, const char *text, weir_error *err);

void arena_release(arena *memory);
static inline void arena_release_cleanup(arena *memory) {
    arena_release(memory);
}

#endif
