/* SPDX-License-Identifier: Apache-2.0 */
/* Filters over items. Jinja's generators are iterators here: made at once, used up by reading. */
#include <stdlib.h>
#include <string.h>

#include "template/characters.h"
#include "template/filters.h"

static weir_code filter_list(machine *on, const datum *of, const arguments *with, datum *out) {
    WEIR_TRY(arguments_check(on, with, 0, 0, NULL, "list"));
    return machine_items(on, out, of, "list");
}

static weir_code filter_first(machine *on, const datum *of, const arguments *with, datum *out) {
    datum items;
    WEIR_TRY(arguments_check(on, with, 0, 0, NULL, "first"));
    const bool is_iterator = of->kind == VALUE_ITERATOR && !of->list->is_used_up;
    WEIR_TRY(machine_items(on, &items, of, "first"));
    if (items.list->count == 0) {
        *out = (datum){.kind = VALUE_UNDEFINED, .text = "first"};
        return WEIR_OK;
    }
    *out = items.list->items[0];
    if (is_iterator) { /* the rest can still be read */
        of->list->is_used_up = false;
        of->list->items++;
        of->list->count--;
        of->list->capacity--;
    }
    return WEIR_OK;
}

static weir_code filter_last(machine *on, const datum *of, const arguments *with, datum *out) {
    datum items;
    WEIR_TRY(arguments_check(on, with, 0, 0, NULL, "last"));
    if (of->kind == VALUE_ITERATOR) {
        return machine_stop(on, TEMPLATE_FAILED, "last of an iterator");
    }
    WEIR_TRY(machine_items(on, &items, of, "last"));
    *out = items.list->count > 0 ? items.list->items[items.list->count - 1]
                                 : (datum){.kind = VALUE_UNDEFINED, .text = "last"};
    return WEIR_OK;
}

/* Follow "a.b.0" from an item; what is not there is `otherwise`, or undefined. */
static weir_code get_path(machine *on, const datum *item, const datum *path, const datum *otherwise,
                          datum *out) {
    *out = *item;
    if (path->kind == VALUE_INTEGER) {
        return get_item(on, item, path, out);
    }
    WEIR_TRY(machine_needs_text(on, path, "an attribute"));
    for (size_t at = 0; at <= path->len;) {
        const char *point = memchr(path->text + at, '.', path->len - at);
        const size_t len = (point ? (size_t)(point - path->text) : path->len) - at;
        const datum name = value_string(path->text + at, len);
        if (len > 0 && name.text[0] >= '0' && name.text[0] <= '9') {
            return machine_stop(on, TEMPLATE_NOT_RENDERED, "an attribute by number");
        }
        WEIR_TRY(get_item(on, out, &name, out));
        if (out->kind == VALUE_UNDEFINED && otherwise) {
            *out = *otherwise;
        }
        at += len + 1;
    }
    return WEIR_OK;
}

static weir_code filter_join(machine *on, const datum *of, const arguments *with, datum *out) {
    static const char *const names[] = {"d", "attribute", NULL};
    datum items;
    datum separator = value_string("", 0);
    WEIR_TRY(arguments_check(on, with, 0, 2, names, "join"));
    const datum *by = argument(with, 0, "d");
    const datum *attribute = argument(with, 1, "attribute");
    if (by) {
        WEIR_TRY(machine_str(on, &separator, by));
        WEIR_TRY(machine_needs_text(on, &separator, "join"));
    }
    WEIR_TRY(machine_items(on, &items, of, "join"));
    if (attribute && attribute->kind != VALUE_NONE) {
        datum mapped;
        WEIR_TRY(machine_list(on, &mapped, VALUE_LIST, items.list->count));
        for (size_t i = 0; i < items.list->count; i++) {
            datum item;
            WEIR_TRY(get_path(on, &items.list->items[i], attribute, NULL, &item));
            WEIR_TRY(machine_add(on, &mapped, &item));
        }
        items = mapped;
    }
    return text_join(on, &separator, &items, /* is_filter= */ true, out);
}

static weir_code reverse_text(machine *on, const datum *of, datum *out) {
    WEIR_CLEANUP(text_buffer_release) text_buffer text = {0};
    datum items;
    WEIR_TRY(machine_needs_text(on, of, "reverse"));
    WEIR_TRY(machine_items(on, &items, of, "reverse"));
    for (size_t i = items.list->count; i > 0; i--) {
        text_buffer_add(&text, items.list->items[i - 1].text, items.list->items[i - 1].len);
    }
    return machine_take_buffer(on, out, &text);
}

static weir_code filter_reverse(machine *on, const datum *of, const arguments *with, datum *out) {
    datum items;
    WEIR_TRY(arguments_check(on, with, 0, 0, NULL, "reverse"));
    if (of->kind == VALUE_STRING) {
        return reverse_text(on, of, out);
    }
    const bool is_iterator = of->kind == VALUE_ITERATOR || of->kind == VALUE_UNDEFINED;
    WEIR_TRY(machine_items(on, &items, of, "reverse"));
    WEIR_TRY(machine_list(on, out, is_iterator ? VALUE_LIST : VALUE_ITERATOR, items.list->count));
    for (size_t i = items.list->count; i > 0; i--) {
        WEIR_TRY(machine_add(on, out, &items.list->items[i - 1]));
    }
    return WEIR_OK;
}

/* What Jinja sorts by: texts in lower case unless told otherwise. */
static weir_code sort_key(machine *on, const datum *of, bool with_case, datum *out) {
    *out = *of;
    return of->kind == VALUE_STRING && !with_case ? text_map(on, of, "lower", out) : WEIR_OK;
}

/* A stable sort by insertion; the count of steps bounds it. */
static weir_code sort_items(machine *on, const datum *items, const datum *keys, bool is_reversed) {
    datum *const item = items->list->items;
    datum *const key = keys->list->items;
    for (size_t i = 1; i < items->list->count; i++) {
        for (size_t k = i; k > 0; k--) {
            int order;
            WEIR_TRY(order_values(on, &key[k - 1], &key[k], &order));
            if (is_reversed ? order >= 0 : order <= 0) {
                break;
            }
            const datum held = item[k];
            const datum held_key = key[k];
            item[k] = item[k - 1];
            key[k] = key[k - 1];
            item[k - 1] = held;
            key[k - 1] = held_key;
        }
    }
    return WEIR_OK;
}

/* A copy of the items, sorted by an attribute of theirs (NULL: themselves). */
static weir_code sorted(machine *on, const datum *items, const datum *attribute, bool with_case,
                        bool is_reversed, datum *out) {
    datum keys;
    WEIR_TRY(machine_list(on, out, VALUE_LIST, items->list->count));
    WEIR_TRY(machine_list(on, &keys, VALUE_LIST, items->list->count));
    for (size_t i = 0; i < items->list->count; i++) {
        const datum *item = &items->list->items[i];
        datum key = *item;
        if (attribute) {
            WEIR_TRY(get_path(on, item, attribute, NULL, &key));
        }
        WEIR_TRY(sort_key(on, &key, with_case, &key));
        WEIR_TRY(machine_add(on, out, item));
        WEIR_TRY(machine_add(on, &keys, &key));
    }
    return sort_items(on, out, &keys, is_reversed);
}

static bool is_set(const datum *given) {
    return given && value_is_true(given);
}

static weir_code filter_sort(machine *on, const datum *of, const arguments *with, datum *out) {
    static const char *const names[] = {"reverse", "case_sensitive", "attribute", NULL};
    datum items;
    WEIR_TRY(arguments_check(on, with, 0, 3, names, "sort"));
    const datum *attribute = argument(with, 2, "attribute");
    attribute = attribute && attribute->kind != VALUE_NONE ? attribute : NULL;
    if (attribute && attribute->kind == VALUE_STRING &&
        memchr(attribute->text, ',', attribute->len)) {
        return machine_stop(on, TEMPLATE_NOT_RENDERED, "sort by several attributes");
    }
    WEIR_TRY(machine_items(on, &items, of, "sort"));
    return sorted(on, &items, attribute, is_set(argument(with, 1, "case_sensitive")),
                  is_set(argument(with, 0, "reverse")), out);
}

static weir_code filter_dictsort(machine *on, const datum *of, const arguments *with, datum *out) {
    static const char *const names[] = {"case_sensitive", "by", "reverse", NULL};
    WEIR_TRY(arguments_check(on, with, 0, 3, names, "dictsort"));
    if (of->kind != VALUE_DICT) {
        return machine_stop(on, TEMPLATE_FAILED, "dictsort of what is no dict");
    }
    const datum *by = argument(with, 1, "by");
    const bool by_value = by && value_is_text(by, "value");
    datum pairs;
    WEIR_TRY(machine_list(on, &pairs, VALUE_LIST, of->dict->count));
    for (size_t i = 0; i < of->dict->count; i++) {
        datum pair;
        WEIR_TRY(machine_list(on, &pair, VALUE_TUPLE, 2));
        WEIR_TRY(machine_add(on, &pair, &of->dict->keys[i]));
        WEIR_TRY(machine_add(on, &pair, &of->dict->values[i]));
        WEIR_TRY(machine_add(on, &pairs, &pair));
    }
    const datum which = value_integer(by_value);
    return sorted(on, &pairs, &which, is_set(argument(with, 0, "case_sensitive")),
                  is_set(argument(with, 2, "reverse")), out);
}

static weir_code filter_items(machine *on, const datum *of, const arguments *with, datum *out) {
    static const arguments none = {0};
    WEIR_TRY(arguments_check(on, with, 0, 0, NULL, "items"));
    if (of->kind == VALUE_UNDEFINED) {
        return machine_list(on, out, VALUE_ITERATOR, 0);
    }
    if (of->kind != VALUE_DICT) {
        return machine_stop(on, TEMPLATE_FAILED, "items of what is no dict");
    }
    WEIR_TRY(call_method(on, of, "items", &none, out));
    out->kind = VALUE_ITERATOR;
    return WEIR_OK;
}

static weir_code filter_unique(machine *on, const datum *of, const arguments *with, datum *out) {
    static const char *const names[] = {"case_sensitive", NULL};
    datum items;
    datum keys;
    WEIR_TRY(arguments_check(on, with, 0, 1, names, "unique"));
    WEIR_TRY(machine_items(on, &items, of, "unique"));
    WEIR_TRY(machine_list(on, &keys, VALUE_LIST, 0));
    WEIR_TRY(machine_list(on, out, VALUE_ITERATOR, 0));
    for (size_t i = 0; i < items.list->count; i++) {
        datum key;
        bool is_known;
        WEIR_TRY(sort_key(on, &items.list->items[i], is_set(argument(with, 0, names[0])), &key));
        WEIR_TRY(is_inside(on, &key, &keys, &is_known));
        if (!is_known) {
            WEIR_TRY(machine_add(on, &keys, &key));
            WEIR_TRY(machine_add(on, out, &items.list->items[i]));
        }
    }
    return WEIR_OK;
}

static weir_code filter_sum(machine *on, const datum *of, const arguments *with, datum *out) {
    datum items;
    int64_t sum = 0;
    WEIR_TRY(arguments_check(on, with, 0, 0, NULL, "sum"));
    WEIR_TRY(machine_items(on, &items, of, "sum"));
    for (size_t i = 0; i < items.list->count; i++) {
        const datum *item = &items.list->items[i];
        if (item->kind != VALUE_INTEGER || __builtin_add_overflow(sum, item->integer, &sum)) {
            return machine_stop(on, TEMPLATE_NOT_RENDERED, "sum of what are no integers");
        }
    }
    *out = value_integer(sum);
    return WEIR_OK;
}

static weir_code extreme(machine *on, const datum *of, const arguments *with, int wanted,
                         datum *out) {
    datum items;
    WEIR_TRY(arguments_check(on, with, 0, 0, NULL, "max"));
    WEIR_TRY(machine_items(on, &items, of, "max"));
    *out = (datum){.kind = VALUE_UNDEFINED, .text = "max"};
    for (size_t i = 0; i < items.list->count; i++) {
        const datum *item = &items.list->items[i];
        int order = wanted;
        if (!value_is_number(item)) {
            return machine_stop(on, TEMPLATE_NOT_RENDERED, "max of what are no numbers");
        }
        if (i > 0) {
            WEIR_TRY(order_values(on, item, out, &order));
        }
        if (order == wanted) {
            *out = *item;
        }
    }
    return WEIR_OK;
}

static weir_code filter_max(machine *on, const datum *of, const arguments *with, datum *out) {
    return extreme(on, of, with, 1, out);
}
static weir_code filter_min(machine *on, const datum *of, const arguments *with, datum *out) {
    return extreme(on, of, with, -1, out);
}

/* The items of a generator's input: one that is false has none, whatever it is. */
static weir_code generator_items(machine *on, datum *out, const datum *of, const char *reader) {
    return value_is_true(of) ? machine_items(on, out, of, reader)
                             : machine_list(on, out, VALUE_LIST, 0);
}

/* map(attribute=...), or map('filter', argument ...). */
static weir_code filter_map(machine *on, const datum *of, const arguments *with, datum *out) {
    datum items;
    const datum *attribute = argument(with, SIZE_MAX, "attribute");
    const datum *otherwise = argument(with, SIZE_MAX, "default");
    if (with->count == 0 && !attribute) {
        return machine_stop(on, TEMPLATE_FAILED, "map without an argument that it needs");
    }
    if (attribute ? with->count > 0 || with->named_count > 1 + (otherwise != NULL)
                  : with->items[0].kind != VALUE_STRING) {
        return machine_stop(on, TEMPLATE_NOT_RENDERED, "map with such arguments");
    }
    WEIR_TRY(generator_items(on, &items, of, "map"));
    WEIR_TRY(machine_list(on, out, VALUE_ITERATOR, items.list->count));
    arguments rest = *with;
    rest.items += !attribute;
    rest.count -= !attribute;
    for (size_t i = 0; i < items.list->count; i++) {
        datum mapped;
        const datum *item = &items.list->items[i];
        WEIR_TRY(attribute ? get_path(on, item, attribute, otherwise, &mapped)
                           : apply_filter(on, with->items[0].text, with->items[0].len, item, &rest,
                                          &mapped));
        WEIR_TRY(machine_add(on, out, &mapped));
    }
    return WEIR_OK;
}

/* select, reject, selectattr, rejectattr: keep items for which a test says `wanted`. */
static weir_code keep_items(machine *on, const datum *of, const arguments *with, bool by_attribute,
                            bool wanted, datum *out) {
    datum items;
    const size_t test = by_attribute;
    if (with->named_count > 0 || with->count < test ||
        (with->count > test && with->items[test].kind != VALUE_STRING)) {
        return machine_stop(on, TEMPLATE_NOT_RENDERED, "select with such arguments");
    }
    WEIR_TRY(generator_items(on, &items, of, "select"));
    WEIR_TRY(machine_list(on, out, VALUE_ITERATOR, 0));
    for (size_t i = 0; i < items.list->count; i++) {
        datum tested = items.list->items[i];
        bool holds;
        if (by_attribute) {
            WEIR_TRY(get_path(on, &items.list->items[i], &with->items[0], NULL, &tested));
        }
        if (with->count > test) {
            const arguments rest = {.items = with->items + test + 1,
                                    .count = with->count - test - 1};
            WEIR_TRY(apply_test(on, with->items[test].text, with->items[test].len, &tested, &rest,
                                &holds));
        } else {
            holds = value_is_true(&tested);
        }
        if (holds == wanted) {
            WEIR_TRY(machine_add(on, out, &items.list->items[i]));
        }
    }
    return WEIR_OK;
}

static weir_code filter_select(machine *on, const datum *of, const arguments *with, datum *out) {
    return keep_items(on, of, with, /* by_attribute= */ false, /* wanted= */ true, out);
}
static weir_code filter_reject(machine *on, const datum *of, const arguments *with, datum *out) {
    return keep_items(on, of, with, /* by_attribute= */ false, /* wanted= */ false, out);
}
static weir_code filter_selectattr(machine *on, const datum *of, const arguments *with,
                                   datum *out) {
    return keep_items(on, of, with, /* by_attribute= */ true, /* wanted= */ true, out);
}
static weir_code filter_rejectattr(machine *on, const datum *of, const arguments *with,
                                   datum *out) {
    return keep_items(on, of, with, /* by_attribute= */ true, /* wanted= */ false, out);
}

const named_filter item_filters[] = {
    {"list", filter_list},
    {"first", filter_first},
    {"last", filter_last},
    {"join", filter_join},
    {"reverse", filter_reverse},
    {"sort", filter_sort},
    {"dictsort", filter_dictsort},
    {"items", filter_items},
    {"unique", filter_unique},
    {"sum", filter_sum},
    {"max", filter_max},
    {"min", filter_min},
    {"map", filter_map},
    {"select", filter_select},
    {"reject", filter_reject},
    {"selectattr", filter_selectattr},
    {"rejectattr", filter_rejectattr},
    {NULL, NULL},
};
