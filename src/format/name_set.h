/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file name_set.h  Names from hostile files, each with a number; finds the second use of a name.
 *
 * The hash is keyed by random bytes of the system, so that no file can be made whose names collide.
 * Nothing that weir reports depends on the key.
 */
#ifndef WEIR_FORMAT_NAME_SET_H
#define WEIR_FORMAT_NAME_SET_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "weir/error.h"

/** Zero-initialise; release with name_set_release(). Names are borrowed. */
typedef struct name_set {
    struct name_slot {
        const char *name; /* NULL: free */
        uint32_t hash;
        uint32_t value;
    } * slots;
    size_t capacity; /**< 0 or a power of two */
    size_t count;
    uint64_t key[2];
} name_set;

/**
 * Give `name` a value, unless it has one.
 *
 * @param[out] held  the value that the name has now; `value` itself when it was new and values
 * differ
 * @param name       NUL-terminated, must outlive the set
 * @return WEIR_OK; WEIR_ERR_NOMEM
 */
weir_code name_set_add(name_set *set, uint32_t *held, const char *name, uint32_t value,
                       weir_error *err);

/** @return whether the set holds `name` */
bool name_set_has(const name_set *set, const char *name);

/** @param[out] value  of `name`; untouched when the set does not hold it, which is false */
bool name_set_find(const name_set *set, const char *name, uint32_t *value);

void name_set_release(name_set *set);
static inline void name_set_release_cleanup(name_set *set) {
    name_set_release(set);
}

#endif
