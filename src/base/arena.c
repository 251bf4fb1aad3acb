/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A list of blocks, the newest first, each twice the last up to 1 MiB. Aligned allocations grow
 * from a block's front, packed text from its back, so that a million names cost no padding.
 */
#include "base/arena.h"

#include <stdalign.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include "base/checked.h"
#include "base/fail.h"

enum { BLOCK_BYTES_MIN = 4096, BLOCK_BYTES_MAX = 1 << 20 };

struct arena_block {
    struct arena_block *next;
    size_t front;
    size_t back;
    size_t capacity;
    alignas(max_align_t) unsigned char data[];
};

static struct arena_block *arena_room(arena *memory, size_t bytes) {
    struct arena_block *block = memory->blocks;
    if (block && block->back - block->front >= bytes) {
        return block;
    }
    size_t capacity =
        block && block->capacity < BLOCK_BYTES_MAX ? block->capacity * 2 : BLOCK_BYTES_MIN;
    if (block && block->capacity >= BLOCK_BYTES_MAX) {
        capacity = BLOCK_BYTES_MAX;
    }
    if (capacity < bytes) {
        capacity = bytes;
    }
    size_t total;
    if (__builtin_add_overflow(capacity, sizeof *block, &total)) {
        return NULL;
    }
    struct arena_block *fresh = malloc(total);
    if (!fresh) {
        return NULL;
    }
    *fresh = (struct arena_block){
        .next = memory->blocks, .front = 0, .back = capacity, .capacity = capacity};
    memory->blocks = fresh;
    memory->bytes += total;
    return fresh;
}

void *arena_alloc(arena *memory, size_t count, size_t size) {
    size_t bytes;
    if (!checked_mul_size(&bytes, count, size) || bytes > SIZE_MAX - alignof(max_align_t)) {
        return NULL;
    }
    bytes = (bytes + alignof(max_align_t) - 1) & ~(alignof(max_align_t) - 1);
    struct arena_block *block = arena_room(memory, bytes);
    if (!block) {
        return NULL;
    }
    void *start = block->data + block->front;
    block->front += bytes;
    return memset(start, 0, bytes);
}

char *arena_copy_text(arena *memory, const char *bytes, size_t len) {
    struct arena_block *block = len < SIZE_MAX ? arena_room(memory, len + 1) : NULL;
    if (!block) {
        return NULL;
    }
    block->back -= len + 1;
    char *copy = (char *)block->data + block->back;
    if (len > 0) {
        memcpy(copy, bytes, len);
    }
    copy[len] = '\0';
    return copy;
}

weir_code arena_keep_text(const char **out, arena *memory, const char *text, weir_error *err) {
    *out = text ? arena_copy_text(memory, text, strlen(text)) : NULL;
    return text && !*out ? weir_fail_nomem(err) : WEIR_OK;
}

void arena_release(arena *memory) {
    while (memory->blocks) {
        struct arena_block *next = memory->blocks->next;
        free(memory->blocks);
        memory->blocks = next;
    }
    memory->bytes = 0;
}
