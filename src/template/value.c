/* SPDX-License-Identifier: Apache-2.0 */
/* Values by Python's rules of truth, equality and keys: 1 == 1.0 == True, and each finds the same
 * key. */
#include "template/value.h"

#include <string.h>

enum { BYTES_PER_STEP = 64 };

bool value_has_items(const datum *of) {
    return of->kind >= VALUE_LIST && of->kind <= VALUE_ITERATOR;
}

bool value_is_number(const datum *of) {
    return of->kind == VALUE_BOOL || of->kind == VALUE_INTEGER || of->kind == VALUE_FLOAT;
}

double value_real(const datum *of) {
    return of->kind == VALUE_FLOAT  ? of->real
           : of->kind == VALUE_BOOL ? (double)of->truth
                                    : (double)of->integer;
}

bool value_is_text(const datum *of, const char *text) {
    return of->kind == VALUE_STRING && of->len == strlen(text) &&
           memcmp(of->text, text, of->len) == 0;
}

bool value_is_true(const datum *of) {
    switch (of->kind) {
    case VALUE_UNDEFINED:
    case VALUE_NONE:
        return false;
    case VALUE_BOOL:
        return of->truth;
    case VALUE_INTEGER:
        return of->integer != 0;
    case VALUE_FLOAT:
        return of->real < 0 || of->real > 0 || of->real != of->real;
    case VALUE_STRING:
        return of->len > 0;
    case VALUE_LIST:
    case VALUE_TUPLE:
    case VALUE_RANGE:
    case VALUE_VIEW:
        return of->list->count > 0;
    case VALUE_DICT:
        return of->dict->count > 0;
    case VALUE_ITERATOR:
    case VALUE_NAMESPACE:
    case VALUE_LOOP:
    case VALUE_MACRO:
    case VALUE_FUNCTION:
    case VALUE_METHOD:
        break;
    }
    return true;
}

static int64_t whole(const datum *of) {
    return of->kind == VALUE_BOOL ? of->truth : of->integer;
}

static bool is_equal_number(const datum *a, const datum *b) {
    if (a->kind == VALUE_FLOAT || b->kind == VALUE_FLOAT) {
        return value_real(a) == value_real(b); /* exact below 2^53, as templates count */
    }
    return whole(a) == whole(b);
}

static bool is_equal_list(const value_list *a, const value_list *b, uint64_t *steps) {
    if (a->count != b->count) {
        return false;
    }
    for (size_t i = 0; i < a->count; i++) {
        if (!value_is_equal(&a->items[i], &b->items[i], steps)) {
            return false;
        }
    }
    return true;
}

static bool is_equal_dict(const value_dict *a, const value_dict *b, uint64_t *steps) {
    if (a->count != b->count) {
        return false;
    }
    for (size_t i = 0; i < a->count; i++) {
        const size_t at = value_dict_find(b, &a->keys[i], steps);
        if (at == b->count || !value_is_equal(&a->values[i], &b->values[at], steps)) {
            return false;
        }
    }
    return true;
}

bool value_is_equal(const datum *a, const datum *b, uint64_t *steps) {
    ++*steps;
    if (value_is_number(a) && value_is_number(b)) {
        return is_equal_number(a, b);
    }
    if (a->kind != b->kind) {
        return false;
    }
    switch (a->kind) {
    case VALUE_UNDEFINED:
    case VALUE_NONE:
        return true;
    case VALUE_STRING:
        *steps += a->len / BYTES_PER_STEP;
        return a->len == b->len && memcmp(a->text, b->text, a->len) == 0;
    case VALUE_LIST:
    case VALUE_TUPLE:
    case VALUE_RANGE:
        return is_equal_list(a->list, b->list, steps);
    case VALUE_DICT:
        return is_equal_dict(a->dict, b->dict, steps);
    case VALUE_FUNCTION:
        return strcmp(a->text, b->text) == 0;
    case VALUE_VIEW:
    case VALUE_ITERATOR:
        return a->list == b->list;
    case VALUE_NAMESPACE:
        return a->dict == b->dict;
    case VALUE_LOOP:
        return a->loop == b->loop;
    case VALUE_MACRO:
        return a->macro == b->macro;
    case VALUE_BOOL:
    case VALUE_INTEGER:
    case VALUE_FLOAT:
    case VALUE_METHOD:
        break;
    }
    return false;
}

size_t value_dict_find(const value_dict *dict, const datum *key, uint64_t *steps) {
    size_t at = 0;
    while (at < dict->count && !value_is_equal(&dict->keys[at], key, steps)) {
        at++;
    }
    return at;
}

uint32_t value_depth(const datum *of) {
    return value_has_items(of)      ? of->list->depth + 1
           : of->kind == VALUE_DICT ? of->dict->depth + 1
                                    : 0;
}

static uint32_t deeper(uint32_t depth, const datum *item) {
    const uint32_t inside = value_depth(item);
    return inside > depth ? inside : depth;
}

bool value_list_new(arena *memory, datum *out, value_kind kind, size_t capacity) {
    value_list *list = arena_alloc(memory, 1, sizeof *list);
    if (!list) {
        return false;
    }
    list->items = capacity ? arena_alloc(memory, capacity, sizeof *list->items) : NULL;
    list->capacity = list->items ? capacity : 0;
    *out = (datum){.kind = kind, .list = list};
    return capacity == 0 || list->items;
}

/* An array of twice the room with the old one's values in it; the arena keeps the old one too. */
static datum *grow(arena *memory, const datum *items, size_t count, size_t capacity) {
    datum *moved = arena_alloc(memory, capacity, sizeof *moved);
    if (moved && count > 0) {
        memcpy(moved, items, count * sizeof *moved);
    }
    return moved;
}

bool value_list_add(arena *memory, value_list *list, const datum *item) {
    if (list->count == list->capacity) {
        const size_t capacity = list->capacity ? list->capacity * 2 : 4;
        datum *moved = grow(memory, list->items, list->count, capacity);
        if (!moved) {
            return false;
        }
        list->items = moved;
        list->capacity = capacity;
    }
    list->items[list->count++] = *item;
    list->depth = deeper(list->depth, item);
    return true;
}

bool value_dict_new(arena *memory, datum *out) {
    value_dict *dict = arena_alloc(memory, 1, sizeof *dict);
    *out = (datum){.kind = VALUE_DICT, .dict = dict};
    return dict;
}

bool value_dict_set(arena *memory, value_dict *dict, const datum *key, const datum *item,
                    uint64_t *steps) {
    const size_t at = value_dict_find(dict, key, steps);
    dict->depth = deeper(deeper(dict->depth, item), key);
    if (at < dict->count) {
        dict->values[at] = *item;
        return true;
    }
    if (dict->count == dict->capacity) {
        const size_t capacity = dict->capacity ? dict->capacity * 2 : 4;
        datum *keys = grow(memory, dict->keys, dict->count, capacity);
        datum *values = grow(memory, dict->values, dict->count, capacity);
        if (!keys || !values) {
            return false;
        }
        dict->keys = keys;
        dict->values = values;
        dict->capacity = capacity;
    }
    dict->keys[dict->count] = *key;
    dict->values[dict->count++] = *item;
    return true;
}

bool value_dict_set_name(arena *memory, value_dict *dict, const char *name, datum item) {
    uint64_t steps = 0;
    const datum key = value_string(name, strlen(name));
    return value_dict_set(memory, dict, &key, &item, &steps);
}
