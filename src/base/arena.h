/* SPDX-License-Identifier: Apache-2.0 */
/** @file arena.h  Memory that is freed once, all together; nothing inside has a destructor. */
#ifndef WEIR_BASE_ARENA_H
#define WEIR_BASE_ARENA_H

#include <stddef.h>

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

void arena_release(arena *memory);
static inline void arena_release_cleanup(arena *memory) {
    arena_release(memory);
}

#endif
