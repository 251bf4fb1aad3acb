/* SPDX-License-Identifier: Apache-2.0 */
/* x.name, x[i] and x[a:b:c]. As in Jinja, .name asks for an attribute first and then for an item,
 * ['name'] the other way round, and what is not there is undefined. */
#include <string.h>

#include "template/characters.h"
#include "template/machine.h"

static datum undefined(const char *name) {
    return (datum){.kind = VALUE_UNDEFINED, .text = name};
}

/* Names with two underscores lead to the interpreter; the sandbox refuses most of them. */
static bool is_internal(const char *name, size_t len) {
    return len > 0 && name[0] == '_';
}

static weir_code loop_member(machine *on, value_loop *loop, const char *name, size_t len,
                             datum *out) {
    const size_t count = loop->items->count;
    const struct {
        const char *name;
        datum held;
    } members[] = {
        {"index", value_integer((int64_t)loop->index + 1)},
        {"index0", value_integer((int64_t)loop->index)},
        {"revindex", value_integer((int64_t)(count - loop->index))},
        {"revindex0", value_integer((int64_t)(count - loop->index) - 1)},
        {"first", value_bool(loop->index == 0)},
        {"last", value_bool(loop->index + 1 == count)},
        {"length", value_integer((int64_t)count)},
        {"depth", value_integer(1)},
        {"depth0", value_integer(0)},
        {"previtem", loop->index > 0 ? loop->items->items[loop->index - 1] : undefined("previtem")},
        {"nextitem",
         loop->index + 1 < count ? loop->items->items[loop->index + 1] : undefined("nextitem")},
    };
    for (size_t i = 0; i < sizeof members / sizeof *members; i++) {
        if (strlen(members[i].name) == len && memcmp(members[i].name, name, len) == 0) {
            *out = members[i].held;
            return WEIR_OK;
        }
    }
    const bool is_method = (len == 5 && memcmp(name, "cycle", 5) == 0) ||
                           (len == 7 && memcmp(name, "changed", 7) == 0);
    if (!is_method) {
        *out = undefined(name);
        return WEIR_OK;
    }
    datum *receiver = arena_alloc(on->memory, 1, sizeof *receiver);
    if (!receiver) {
        return machine_nomem(on);
    }
    *receiver = (datum){.kind = VALUE_LOOP, .loop = loop};
    *out =
        (datum){.kind = VALUE_METHOD, .text = len == 5 ? "cycle" : "changed", .receiver = receiver};
    return WEIR_OK;
}

/* A method of a text, dict or list. @return whether there is one in *out */
static weir_code bound_method(machine *on, const datum *object, const char *name, size_t len,
                              datum *out, bool *out_has) {
    const char *method;
    *out_has = find_method(object, name, len, &method);
    if (!*out_has) {
        return WEIR_OK;
    }
    datum *receiver = arena_alloc(on->memory, 1, sizeof *receiver);
    if (!receiver) {
        return machine_nomem(on);
    }
    *receiver = *object;
    *out = (datum){.kind = VALUE_METHOD, .text = method, .receiver = receiver};
    return WEIR_OK;
}

static bool dict_member(machine *on, const datum *object, const char *name, size_t len,
                        datum *out) {
    const datum key = value_string(name, len);
    const size_t at = value_dict_find(object->dict, &key, &on->steps);
    if (at < object->dict->count) {
        *out = object->dict->values[at];
    }
    return at < object->dict->count;
}

static weir_code stop_at_undefined(machine *on, const datum *object) {
    char shown[64];
    const size_t len = strnlen(object->text, 200);
    text_escape(shown, sizeof shown, object->text, len);
    const size_t end = strcspn(shown, " .|,()[]{}%~+-*/=<>!'\"\\:");
    return machine_stop(on, TEMPLATE_FAILED, "a member of something undefined%s%.*s",
                        end > 0 ? ": " : "", (int)end, shown);
}

weir_code get_attribute(machine *on, const datum *object, const char *name, size_t len,
                        datum *out) {
    bool has = false;
    if (object->kind == VALUE_UNDEFINED) {
        return stop_at_undefined(on, object);
    }
    if (is_internal(name, len)) {
        return machine_stop(on, TEMPLATE_NOT_RENDERED, "an internal attribute");
    }
    WEIR_TRY(machine_count(on, 1));
    switch (object->kind) {
    case VALUE_STRING:
    case VALUE_LIST:
    case VALUE_TUPLE:
    case VALUE_DICT:
        WEIR_TRY(bound_method(on, object, name, len, out, &has));
        if (!has && object->kind == VALUE_DICT) {
            has = dict_member(on, object, name, len, out);
        }
        break;
    case VALUE_NAMESPACE:
        if (on->filters_loop) {
            return machine_stop(on, TEMPLATE_NOT_RENDERED, "a namespace in a loop's filter");
        }
        has = dict_member(on, object, name, len, out);
        break;
    case VALUE_LOOP:
        return loop_member(on, object->loop, name, len, out);
    case VALUE_UNDEFINED:
    case VALUE_NONE:
        break;
    case VALUE_BOOL:
    case VALUE_INTEGER:
    case VALUE_FLOAT:
        if (memmem("real imag numerator denominator", 31, name, len)) {
            return machine_stop(on, TEMPLATE_NOT_RENDERED, "an attribute of a number");
        }
        break;
    case VALUE_RANGE:
    case VALUE_VIEW:
    case VALUE_ITERATOR:
    case VALUE_MACRO:
    case VALUE_FUNCTION:
    case VALUE_METHOD:
        return machine_stop(on, TEMPLATE_NOT_RENDERED, "an attribute of an object");
    }
    if (!has) {
        *out = undefined(name);
    }
    return WEIR_OK;
}

/* Item `index` of `count`, from the end when negative. @return whether there is one */
static bool find_place(const datum *index, size_t count, size_t *out) {
    const int64_t at = index->kind == VALUE_BOOL ? index->truth : index->integer;
    const int64_t from_front = at < 0 ? at + (int64_t)count : at;
    *out = (size_t)from_front;
    return from_front >= 0 && from_front < (int64_t)count;
}

static weir_code character_at(machine *on, const datum *object, const datum *index, datum *out) {
    size_t at;
    WEIR_TRY(machine_count_bytes(on, object->len));
    if (!find_place(index, text_count(object->text, object->len), &at)) {
        *out = undefined("item");
        return WEIR_OK;
    }
    const size_t begin = text_offset(object->text, object->len, at);
    uint32_t character;
    *out = value_string(object->text + begin,
                        text_character(object->text + begin, object->len - begin, &character));
    return WEIR_OK;
}

weir_code get_item(machine *on, const datum *object, const datum *index, datum *out) {
    size_t at;
    const bool is_whole = index->kind == VALUE_INTEGER || index->kind == VALUE_BOOL;
    if (object->kind == VALUE_UNDEFINED) {
        return stop_at_undefined(on, object);
    }
    WEIR_TRY(machine_count(on, 1));
    if (object->kind == VALUE_DICT) {
        at = index->kind == VALUE_LIST || index->kind == VALUE_DICT
                 ? object->dict->count
                 : value_dict_find(object->dict, index, &on->steps);
        if (at < object->dict->count) {
            *out = object->dict->values[at];
            return WEIR_OK;
        }
    } else if (object->kind == VALUE_STRING && is_whole) {
        return character_at(on, object, index, out);
    } else if (is_whole && (object->kind == VALUE_LIST || object->kind == VALUE_TUPLE ||
                            object->kind == VALUE_RANGE)) {
        const bool has = find_place(index, object->list->count, &at);
        *out = has ? object->list->items[at] : undefined("item");
        return WEIR_OK;
    }
    if (index->kind == VALUE_STRING) {
        return get_attribute(on, object, index->text, index->len, out);
    }
    *out = undefined("item");
    return WEIR_OK;
}

typedef struct bounds {
    int64_t start, stop, step;
} bounds;

static int64_t clamp(const datum *given, int64_t otherwise, int64_t count, int64_t least,
                     int64_t most) {
    if (given->kind == VALUE_NONE) {
        return otherwise;
    }
    const int64_t raw = given->kind == VALUE_BOOL ? given->truth : given->integer;
    const int64_t at = raw < 0 ? raw + count : raw;
    return at < least ? least : at > most ? most : at;
}

/* As Python's slice.indices(). */
static weir_code settle_bounds(machine *on, const datum given[3], int64_t count, bounds *out) {
    for (size_t i = 0; i < 3; i++) {
        if (given[i].kind != VALUE_NONE && given[i].kind != VALUE_INTEGER &&
            given[i].kind != VALUE_BOOL) {
            return machine_stop(on, TEMPLATE_NOT_RENDERED, "a slice by what is no integer");
        }
    }
    out->step = given[2].kind == VALUE_NONE   ? 1
                : given[2].kind == VALUE_BOOL ? given[2].truth
                                              : given[2].integer;
    if (out->step == 0) {
        return machine_stop(on, TEMPLATE_FAILED, "a slice in steps of zero");
    }
    const bool is_back = out->step < 0;
    const int64_t least = is_back ? -1 : 0;
    const int64_t most = is_back ? count - 1 : count;
    out->start = clamp(&given[0], is_back ? most : least, count, least, most);
    out->stop = clamp(&given[1], is_back ? least : most, count, least, most);
    if (out->step > count) {
        out->step = count + 1;
    } else if (out->step < -count) {
        out->step = -count - 1;
    }
    return WEIR_OK;
}

static weir_code slice_text(machine *on, const datum *object, const datum given[3], datum *out) {
    bounds of;
    WEIR_TRY(machine_count_bytes(on, object->len));
    WEIR_TRY(settle_bounds(on, given, (int64_t)text_count(object->text, object->len), &of));
    if (of.step == 1) {
        const size_t begin = text_offset(object->text, object->len, (size_t)of.start);
        const size_t count = of.stop > of.start ? (size_t)(of.stop - of.start) : 0;
        *out = value_string(object->text + begin,
                            text_offset(object->text + begin, object->len - begin, count));
        return WEIR_OK;
    }
    datum characters;
    WEIR_TRY(machine_items(on, &characters, object, "a slice"));
    WEIR_CLEANUP(text_buffer_release) text_buffer text = {0};
    for (int64_t i = of.start; of.step > 0 ? i < of.stop : i > of.stop; i += of.step) {
        const datum *item = &characters.list->items[i];
        text_buffer_add(&text, item->text, item->len);
    }
    return machine_take_buffer(on, out, &text);
}

weir_code get_slice(machine *on, const datum *object, const datum given[3], datum *out) {
    bounds of;
    if (object->kind == VALUE_UNDEFINED) {
        return stop_at_undefined(on, object);
    }
    if (object->kind == VALUE_STRING) {
        return object->is_safe ? machine_stop(on, TEMPLATE_NOT_RENDERED, "a slice of a safe text")
                               : slice_text(on, object, given, out);
    }
    if (object->kind == VALUE_RANGE) {
        return machine_stop(on, TEMPLATE_NOT_RENDERED, "a slice of a range");
    }
    if (object->kind != VALUE_LIST && object->kind != VALUE_TUPLE) {
        *out = undefined("slice");
        return WEIR_OK;
    }
    WEIR_TRY(settle_bounds(on, given, (int64_t)object->list->count, &of));
    WEIR_TRY(machine_list(on, out, object->kind, 0));
    for (int64_t i = of.start; of.step > 0 ? i < of.stop : i > of.stop; i += of.step) {
        WEIR_TRY(machine_add(on, out, &object->list->items[i]));
    }
    return WEIR_OK;
}
