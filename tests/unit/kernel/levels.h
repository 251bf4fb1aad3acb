/* SPDX-License-Identifier: Apache-2.0 */
/** @file levels.h  Random material, and going through the SIMD levels of this machine. */
#ifndef WEIR_TESTS_KERNEL_LEVELS_H
#define WEIR_TESTS_KERNEL_LEVELS_H

#include <stdbool.h>

#include "weir/system.h"

/** Use the next level that this machine has. Starts and ends at the best: `level` begins at BASE.
 */
static inline bool next_level(weir_simd *level) {
    if (weir_simd_force(*level, NULL) == WEIR_OK) {
        *level = (weir_simd)(*level + 1);
        return true;
    }
    return false;
}

/** splitmix64 (Steele, Lea, Flood 2014), cut to 32 bits; make_known_answers.py has the same. */
static inline uint32_t draw(uint64_t *state) {
    uint64_t z = *state += 0x9E3779B97F4A7C15u;
    z = (z ^ z >> 30) * 0xBF58476D1CE4E5B9u;
    z = (z ^ z >> 27) * 0x94D049BB133111EBu;
    return (uint32_t)((z ^ z >> 31) >> 32);
}

static inline uint64_t fnv1a(const void *data, size_t len) {
    const uint8_t *bytes = data;
    uint64_t hash = 0xCBF29CE484222325u;
    for (size_t i = 0; i < len; i++) {
        hash = (hash ^ bytes[i]) * 0x100000001B3u;
    }
    return hash;
}

#endif
