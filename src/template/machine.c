/* SPDX-License-Identifier: Apache-2.0 */
/* The bounds of a rendering, and values made within them. */
#include "template/machine.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

enum { BYTES_PER_STEP = 64 };

void machine_note(machine *on, template_outcome outcome, const char *message, ...) {
    char raw[sizeof on->message];
    va_list args;
    va_start(args, message);
    (void)vsnprintf(raw, sizeof raw, message, args);
    va_end(args);
    text_escape(on->message, sizeof on->message, raw, strlen(raw));
    on->outcome = outcome;
}

weir_code machine_count(machine *on, uint64_t steps) {
    on->steps += steps;
    if (on->steps > RENDER_STEPS_MAX) {
        return machine_stop(on, TEMPLATE_TOO_LONG, "more than %d steps", RENDER_STEPS_MAX);
    }
    if (on->memory->bytes > on->memory_bytes_max) {
        return machine_stop(on, TEMPLATE_TOO_LONG, "more than %d bytes of values",
                            RENDER_MEMORY_BYTES_MAX);
    }
    return WEIR_OK;
}

/* Before `bytes` are made, so that no single value can break the bound by much. */
weir_code machine_count_bytes(machine *on, size_t bytes) {
    if (bytes > RENDER_MEMORY_BYTES_MAX) {
        return machine_stop(on, TEMPLATE_TOO_LONG, "more than %d bytes of values",
                            RENDER_MEMORY_BYTES_MAX);
    }
    return machine_count(on, 1 + bytes / BYTES_PER_STEP);
}

weir_code machine_enter(machine *on, const template_node *node) {
    if (on->depth == RENDER_DEPTH_MAX) {
        return machine_stop(on, TEMPLATE_TOO_LONG, "more than %d nested evaluations",
                            RENDER_DEPTH_MAX);
    }
    on->line = node->line;
    on->depth++;
    return machine_count(on, 1);
}

void machine_leave(machine *on) {
    on->depth--;
}

weir_code machine_text(machine *on, datum *out, const char *bytes, size_t len) {
    WEIR_TRY(machine_count_bytes(on, len));
    const char *copy = arena_copy_text(on->memory, bytes, len);
    if (!copy) {
        return machine_nomem(on);
    }
    *out = value_string(copy, len);
    return WEIR_OK;
}

weir_code machine_take_buffer(machine *on, datum *out, const text_buffer *text) {
    return text->failed ? machine_nomem(on)
                        : machine_text(on, out, text->data ? text->data : "", text->len);
}

weir_code machine_list(machine *on, datum *out, value_kind kind, size_t capacity) {
    WEIR_TRY(machine_count_bytes(on, capacity * sizeof(datum)));
    return value_list_new(on->memory, out, kind, capacity) ? WEIR_OK : machine_nomem(on);
}

static weir_code check_depth(machine *on, const datum *of) {
    return value_depth(of) <= JSON_DEPTH_MAX
               ? WEIR_OK
               : machine_stop(on, TEMPLATE_TOO_LONG, "values nested more than %d deep",
                              JSON_DEPTH_MAX);
}

weir_code machine_add(machine *on, const datum *list, const datum *item) {
    WEIR_TRY(machine_count(on, 1));
    return value_list_add(on->memory, list->list, item) ? check_depth(on, list) : machine_nomem(on);
}

weir_code machine_dict(machine *on, datum *out) {
    WEIR_TRY(machine_count(on, 1));
    return value_dict_new(on->memory, out) ? WEIR_OK : machine_nomem(on);
}

static bool is_hashable(const datum *key) {
    if (key->kind == VALUE_TUPLE) {
        for (size_t i = 0; i < key->list->count; i++) {
            if (!is_hashable(&key->list->items[i])) {
                return false;
            }
        }
        return true;
    }
    return key->kind < VALUE_LIST || key->kind == VALUE_RANGE;
}

weir_code machine_set(machine *on, const datum *dict, const datum *key, const datum *item) {
    if (!is_hashable(key)) {
        return machine_stop(on, TEMPLATE_FAILED, "a key of a dict that cannot be hashed");
    }
    WEIR_TRY(machine_count(on, 1));
    if (!value_dict_set(on->memory, dict->dict, key, item, &on->steps)) {
        return machine_nomem(on);
    }
    return dict->kind == VALUE_DICT ? check_depth(on, dict) : WEIR_OK;
}

static weir_code stop_writing(machine *on, weir_code code, const char *what) {
    if (code == WEIR_ERR_NOMEM) {
        return machine_nomem(on);
    }
    return machine_stop(on,
                        code == WEIR_ERR_LIMIT    ? TEMPLATE_TOO_LONG
                        : code == WEIR_ERR_FORMAT ? TEMPLATE_FAILED
                                                  : TEMPLATE_NOT_RENDERED,
                        "%s", what);
}

weir_code machine_str(machine *on, datum *out, const datum *of) {
    if (of->kind == VALUE_STRING) {
        *out = *of;
        return WEIR_OK;
    }
    WEIR_CLEANUP(text_buffer_release) text_buffer text = {0};
    const char *what = "";
    const weir_code code = value_write(&text, of, VALUE_STR, NULL, &what);
    return code == WEIR_OK ? machine_take_buffer(on, out, &text) : stop_writing(on, code, what);
}

weir_code machine_write_bytes(machine *on, const char *bytes, size_t len) {
    on->written += len;
    if (on->written > RENDER_OUTPUT_BYTES_MAX) {
        return machine_stop(on, TEMPLATE_TOO_LONG, "more than %d bytes of text",
                            RENDER_OUTPUT_BYTES_MAX);
    }
    WEIR_TRY(machine_count_bytes(on, len));
    text_buffer_add(on->out, bytes, len);
    return on->out->failed ? machine_nomem(on) : WEIR_OK;
}

weir_code machine_write(machine *on, const datum *of) {
    datum text = value_string("", 0);
    WEIR_TRY(machine_str(on, &text, of));
    return machine_write_bytes(on, text.text, text.len);
}

/* The characters of a text as texts. */
static weir_code split_characters(machine *on, datum *out, const datum *of) {
    WEIR_TRY(machine_list(on, out, VALUE_LIST, 0));
    for (size_t i = 0; i < of->len;) {
        size_t size = 1;
        while (i + size < of->len && ((unsigned char)of->text[i + size] & 0xC0) == 0x80) {
            size++;
        }
        const datum character = value_string(of->text + i, size);
        WEIR_TRY(machine_add(on, out, &character));
        i += size;
    }
    return WEIR_OK;
}

weir_code machine_items(machine *on, datum *out, const datum *from, const char *reader) {
    const datum held = *from; /* *out may be *from */
    const datum *of = &held;
    switch (of->kind) {
    case VALUE_UNDEFINED:
        return machine_list(on, out, VALUE_LIST, 0);
    case VALUE_STRING:
        return split_characters(on, out, of);
    case VALUE_LIST:
    case VALUE_TUPLE:
    case VALUE_RANGE:
    case VALUE_VIEW:
        *out = (datum){.kind = VALUE_LIST, .list = of->list};
        return WEIR_OK;
    case VALUE_ITERATOR:
        if (of->list->is_used_up) {
            return machine_list(on, out, VALUE_LIST, 0);
        }
        of->list->is_used_up = true;
        *out = (datum){.kind = VALUE_LIST, .list = of->list};
        return WEIR_OK;
    case VALUE_DICT:
        WEIR_TRY(machine_list(on, out, VALUE_LIST, of->dict->count));
        for (size_t i = 0; i < of->dict->count; i++) {
            WEIR_TRY(machine_add(on, out, &of->dict->keys[i]));
        }
        return WEIR_OK;
    case VALUE_NONE:
    case VALUE_BOOL:
    case VALUE_INTEGER:
    case VALUE_FLOAT:
    case VALUE_NAMESPACE:
    case VALUE_MACRO:
    case VALUE_FUNCTION:
    case VALUE_METHOD:
        return machine_stop(on, TEMPLATE_FAILED, "%s over a value without items", reader);
    case VALUE_LOOP:
        break;
    }
    return machine_stop(on, TEMPLATE_NOT_RENDERED, "%s over this value", reader);
}

weir_code machine_needs_text(machine *on, const datum *of, const char *reader) {
    if (of->kind != VALUE_STRING) {
        return machine_stop(on, TEMPLATE_FAILED, "%s of what is no text", reader);
    }
    return of->is_safe ? machine_stop(on, TEMPLATE_NOT_RENDERED, "%s of a safe text", reader)
                       : WEIR_OK;
}

scope *machine_scope(machine *on, scope *parent) {
    scope *fresh = arena_alloc(on->memory, 1, sizeof *fresh);
    if (fresh) {
        fresh->parent = parent;
    }
    return fresh;
}

weir_code scope_set(machine *on, scope *in, const char *name, size_t len, const datum *to) {
    for (binding *at = in->bindings; at; at = at->next) {
        if (at->len == len && memcmp(at->name, name, len) == 0) {
            at->held = *to;
            return WEIR_OK;
        }
    }
    WEIR_TRY(machine_count(on, 1));
    binding *fresh = arena_alloc(on->memory, 1, sizeof *fresh);
    if (!fresh) {
        return machine_nomem(on);
    }
    *fresh = (binding){.name = name, .len = len, .held = *to, .next = in->bindings};
    in->bindings = fresh;
    return WEIR_OK;
}

const datum *argument(const arguments *of, size_t index, const char *name) {
    if (index < of->count) {
        return &of->items[index];
    }
    for (size_t i = 0; name && i < of->named_count; i++) {
        if (value_is_text(&of->names[i], name)) {
            return &of->named[i];
        }
    }
    return NULL;
}

weir_code arguments_check(machine *on, const arguments *of, size_t least, size_t most,
                          const char *const *names, const char *callee) {
    if (of->count > most) {
        return machine_stop(on, TEMPLATE_FAILED, "%s with too many arguments", callee);
    }
    for (size_t i = 0; i < of->named_count; i++) {
        size_t at = 0;
        while (names && names[at] && !value_is_text(&of->names[i], names[at])) {
            at++;
        }
        if (!names || !names[at] || at < of->count) {
            return machine_stop(on, TEMPLATE_FAILED, "%s with an argument %.*s", callee,
                                (int)(of->names[i].len < 40 ? of->names[i].len : 40),
                                of->names[i].text);
        }
    }
    for (size_t i = 0; i < least; i++) {
        if (!argument(of, i, names ? names[i] : NULL)) {
            return machine_stop(on, TEMPLATE_FAILED, "%s without an argument that it needs",
                                callee);
        }
    }
    return WEIR_OK;
}
