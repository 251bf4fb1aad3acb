/* SPDX-License-Identifier: Apache-2.0 */
#include "format/gguf_names.h"

#include <stdlib.h>
#include <string.h>

#include "base/checked.h"

bool gguf_names_add(gguf_names *names, gguf_name name) {
    void *items = names->items;
    if (!checked_grow(&items, &names->capacity, names->count, sizeof *names->items)) {
        return false;
    }
    names->items = items;
    names->items[names->count++] = name;
    return true;
}

static int compare_texts(const gguf_name *a, const gguf_name *b) {
    if (a->len != b->len) {
        return a->len < b->len ? -1 : 1;
    }
    return memcmp(a->text, b->text, a->len);
}

/* Equal names in the order in which they stand. */
static int compare_names(const void *left, const void *right) {
    const gguf_name *a = left;
    const gguf_name *b = right;
    const int order = compare_texts(a, b);
    if (order != 0) {
        return order;
    }
    return a->offset < b->offset ? -1 : a->offset > b->offset;
}

bool gguf_names_find_repeated(gguf_names *names, gguf_name *out) {
    if (names->count < 2) {
        return false;
    }
    qsort(names->items, names->count, sizeof *names->items, compare_names);
    bool found = false;
    for (size_t i = 1; i < names->count; i++) {
        const gguf_name *again = &names->items[i];
        if (compare_texts(again - 1, again) == 0 && (!found || again->offset < out->offset)) {
            *out = *again;
            found = true;
        }
    }
    return found;
}

void gguf_names_release(gguf_names *names) {
    free(names->items);
    *names = (gguf_names){0};
}
