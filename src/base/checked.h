/* SPDX-License-Identifier: Apache-2.0 */
/** @file checked.h  Arithmetic on sizes that come from files: every step says whether it wrapped.
 */
#ifndef WEIR_BASE_CHECKED_H
#define WEIR_BASE_CHECKED_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

/* Each returns false, and leaves *out alone, when the exact result does not fit. */

static inline bool checked_add_u64(uint64_t *out, uint64_t a, uint64_t b) {
    uint64_t sum;
    if (__builtin_add_overflow(a, b, &sum)) {
        return false;
    }
    *out = sum;
    return true;
}

static inline bool checked_mul_u64(uint64_t *out, uint64_t a, uint64_t b) {
    uint64_t product;
    if (__builtin_mul_overflow(a, b, &product)) {
        return false;
    }
    *out = product;
    return true;
}

static inline bool checked_mul_size(size_t *out, size_t a, size_t b) {
    size_t product;
    if (__builtin_mul_overflow(a, b, &product)) {
        return false;
    }
    *out = product;
    return true;
}

/** Round up to a multiple of `alignment`, a power of two. */
static inline bool checked_align_u64(uint64_t *out, uint64_t value, uint64_t alignment) {
    uint64_t padded;
    if (!checked_add_u64(&padded, value, alignment - 1)) {
        return false;
    }
    *out = padded & ~(alignment - 1);
    return true;
}

/** malloc of count * size bytes; NULL when that wraps or memory is exhausted. Release with free().
 */
static inline void *checked_alloc(size_t count, size_t size) {
    size_t bytes;
    return checked_mul_size(&bytes, count, size) ? malloc(bytes ? bytes : 1) : NULL;
}

/**
 * Make room for one more item in a growing array.
 *
 * @param items     NULL or the array; replaced when it moves
 * @param capacity  in items; doubled as needed
 * @return false when memory is exhausted; *items stays valid
 */
static inline bool checked_grow(void **items, size_t *capacity, size_t count, size_t item_bytes) {
    if (count < *capacity) {
        return true;
    }
    size_t wanted;
    size_t bytes;
    if (!checked_mul_size(&wanted, *capacity ? *capacity : 8, 2) ||
        !checked_mul_size(&bytes, wanted, item_bytes)) {
        return false;
    }
    void *moved = realloc(*items, bytes);
    if (!moved) {
        return false;
    }
    *items = moved;
    *capacity = wanted;
    return true;
}

#endif
