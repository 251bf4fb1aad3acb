/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The linker sends the allocations of every object that is linked in here: --wrap=malloc makes
 * `malloc` mean __wrap_malloc, and __real_malloc the C library's own (ld(1)). Shared libraries keep
 * theirs, so only weir's own calls fail.
 */
#include "allocation.h"

#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

static atomic_long count;
static atomic_long fail_first; /* 0: never */
static atomic_bool fail_onward;
static atomic_bool has_failed;

void allocation_arm(long first, bool onward) {
    atomic_store(&count, 0);
    atomic_store(&has_failed, false);
    atomic_store(&fail_onward, onward);
    atomic_store(&fail_first, first);
}

bool allocation_disarm(void) {
    atomic_store(&fail_first, 0);
    return atomic_load(&has_failed);
}

static bool is_refused(void) {
    const long first = atomic_load(&fail_first);
    if (first == 0) {
        return false;
    }
    const long number = atomic_fetch_add(&count, 1) + 1;
    const bool refused = number == first || (number > first && atomic_load(&fail_onward));
    if (refused) {
        atomic_store(&has_failed, true);
    }
    return refused;
}

void *__real_malloc(size_t size);
void *__real_calloc(size_t items, size_t size);
void *__real_realloc(void *old, size_t size);
char *__real_strdup(const char *text);
void *__wrap_malloc(size_t size);
void *__wrap_calloc(size_t items, size_t size);
void *__wrap_realloc(void *old, size_t size);
char *__wrap_strdup(const char *text);

void *__wrap_malloc(size_t size) {
    return is_refused() ? NULL : __real_malloc(size);
}

void *__wrap_calloc(size_t items, size_t size) {
    return is_refused() ? NULL : __real_calloc(items, size);
}

void *__wrap_realloc(void *old, size_t size) {
    return is_refused() ? NULL : __real_realloc(old, size);
}

char *__wrap_strdup(const char *text) {
    return is_refused() ? NULL : __real_strdup(text);
}
