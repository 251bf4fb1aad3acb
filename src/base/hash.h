/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file hash.h  A 64-bit hash of bytes that is the same on every machine and will not change: what
 * is kept of a model depends on it.
 *
 * FNV-1a [1] over the bytes, then the finaliser of splitmix64 [2], because the upper bits of FNV-1a
 * are weak for short strings. Not for secrets: whoever wants two strings of equal hash can make
 * them.
 *
 * [1] Fowler, Noll and Vo, draft-eastlake-fnv; [2] Steele, Lea and Flood 2014.
 */
#ifndef WEIR_BASE_HASH_H
#define WEIR_BASE_HASH_H

#include <stddef.h>
#include <stdint.h>

static inline uint64_t hash_fnv1a(const void *bytes, size_t len) {
    const uint8_t *const data = bytes;
    uint64_t hash = 0xCBF29CE484222325u;
    for (size_t i = 0; i < len; i++) {
        hash = (hash ^ data[i]) * 0x100000001B3u;
    }
    return hash;
}

/** A bijection of 64 bits after which every bit depends on every other. */
static inline uint64_t hash_mix(uint64_t bits) {
    bits = (bits ^ bits >> 30) * 0xBF58476D1CE4E5B9u;
    bits = (bits ^ bits >> 27) * 0x94D049BB133111EBu;
    return bits ^ bits >> 31;
}

static inline uint64_t hash_bytes(const void *bytes, size_t len) {
    return hash_mix(hash_fnv1a(bytes, len));
}

/** The next of a sequence of pseudo-random numbers (splitmix64); `state` is the seed at first. */
static inline uint64_t hash_next(uint64_t *state) {
    *state += 0x9E3779B97F4A7C15u;
    return hash_mix(*state);
}

#endif
