/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Open addressing with linear probing, at most three quarters full. The hash is SipHash-1-3.
 * Source: J.-P. Aumasson, D. J. Bernstein, "SipHash: a fast short-input PRF", 2012.
 */
#include "format/name_set.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <time.h>

#include "base/fail.h"

enum { CAPACITY_MIN = 64 };

static uint64_t rotate(uint64_t value, unsigned bits) {
    return value << bits | value >> (64 - bits);
}

static void sip_round(uint64_t v[4]) {
    v[0] += v[1];
    v[1] = rotate(v[1], 13) ^ v[0];
    v[0] = rotate(v[0], 32);
    v[2] += v[3];
    v[3] = rotate(v[3], 16) ^ v[2];
    v[0] += v[3];
    v[3] = rotate(v[3], 21) ^ v[0];
    v[2] += v[1];
    v[1] = rotate(v[1], 17) ^ v[2];
    v[2] = rotate(v[2], 32);
}

static uint32_t hash_name(const uint64_t key[2], const char *name, size_t len) {
    uint64_t v[4] = {key[0] ^ UINT64_C(0x736f6d6570736575), key[1] ^ UINT64_C(0x646f72616e646f6d),
                     key[0] ^ UINT64_C(0x6c7967656e657261), key[1] ^ UINT64_C(0x7465646279746573)};
    const size_t whole = len & ~(size_t)7;
    uint64_t word;
    for (size_t i = 0; i < whole; i += sizeof word) {
        memcpy(&word, name + i, sizeof word);
        v[3] ^= word;
        sip_round(v);
        v[0] ^= word;
    }
    word = 0;
    memcpy(&word, name + whole, len - whole);
    word ^= (uint64_t)len << 56;
    v[3] ^= word;
    sip_round(v);
    v[0] ^= word;
    v[2] ^= 0xFF;
    for (int i = 0; i < 3; i++) {
        sip_round(v);
    }
    return (uint32_t)(v[0] ^ v[1] ^ v[2] ^ v[3]);
}

/* Without random bytes (an early boot, a filter) the clock and the heap's address have to do. */
static void draw_key(name_set *set) {
    if (getrandom(set->key, sizeof set->key, GRND_NONBLOCK) != (ssize_t)sizeof set->key) {
        struct timespec now = {0};
        (void)clock_gettime(CLOCK_MONOTONIC, &now);
        set->key[0] = (uint64_t)now.tv_nsec;
        set->key[1] = (uint64_t)(uintptr_t)set->slots;
    }
}

static struct name_slot *free_slot(const name_set *set, uint32_t hash) {
    size_t i = hash & (set->capacity - 1);
    while (set->slots[i].name) {
        i = (i + 1) & (set->capacity - 1);
    }
    return &set->slots[i];
}

static weir_code name_set_grow(name_set *set, weir_error *err) {
    name_set grown = *set;
    grown.capacity = set->capacity ? set->capacity * 2 : CAPACITY_MIN;
    grown.slots = calloc(grown.capacity, sizeof *grown.slots);
    if (!grown.slots) {
        return weir_fail_nomem(err);
    }
    if (set->capacity == 0) {
        draw_key(&grown);
    }
    for (size_t i = 0; i < set->capacity; i++) {
        if (set->slots[i].name) {
            *free_slot(&grown, set->slots[i].hash) = set->slots[i];
        }
    }
    free(set->slots);
    *set = grown;
    return WEIR_OK;
}

/* The slot of `name`, or the free one where it would stand. */
static struct name_slot *find_slot(const name_set *set, uint32_t hash, const char *name) {
    size_t i = hash & (set->capacity - 1);
    while (set->slots[i].name &&
           (set->slots[i].hash != hash || strcmp(set->slots[i].name, name) != 0)) {
        i = (i + 1) & (set->capacity - 1);
    }
    return &set->slots[i];
}

weir_code name_set_add(name_set *set, uint32_t *held, const char *name, uint32_t value,
                       weir_error *err) {
    if (set->count >= set->capacity / 4 * 3) {
        WEIR_TRY(name_set_grow(set, err));
    }
    const uint32_t hash = hash_name(set->key, name, strlen(name));
    struct name_slot *const slot = find_slot(set, hash, name);
    if (!slot->name) {
        *slot = (struct name_slot){.name = name, .hash = hash, .value = value};
        set->count++;
    }
    *held = slot->value;
    return WEIR_OK;
}

bool name_set_find(const name_set *set, const char *name, uint32_t *value) {
    if (set->count == 0) {
        return false;
    }
    const struct name_slot *slot = find_slot(set, hash_name(set->key, name, strlen(name)), name);
    if (slot->name) {
        *value = slot->value;
    }
    return slot->name != NULL;
}

bool name_set_has(const name_set *set, const char *name) {
    uint32_t value;
    return name_set_find(set, name, &value);
}

void name_set_release(name_set *set) {
    free(set->slots);
    *set = (name_set){0};
}
