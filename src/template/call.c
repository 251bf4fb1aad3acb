/* SPDX-License-Identifier: Apache-2.0 */
/* Calls: macros, and the functions that transformers gives a template. */
#include <string.h>

#include "template/machine.h"

static const char *const function_names[] = {
    "range", "dict", "namespace", "raise_exception", "strftime_now", "lipsum", "cycler", "joiner"};

bool find_function(const char *name, size_t len, datum *out) {
    for (size_t i = 0; i < sizeof function_names / sizeof *function_names; i++) {
        if (strlen(function_names[i]) == len && memcmp(function_names[i], name, len) == 0) {
            *out = (datum){.kind = VALUE_FUNCTION, .text = function_names[i]};
            return true;
        }
    }
    return false;
}

static weir_code whole_argument(machine *on, const datum *of, int64_t *out) {
    if (of->kind != VALUE_INTEGER && of->kind != VALUE_BOOL) {
        return machine_stop(on, TEMPLATE_FAILED, "range() of what is no integer");
    }
    *out = of->kind == VALUE_BOOL ? of->truth : of->integer;
    return WEIR_OK;
}

/* The sandbox lets no range be longer. */
enum { RANGE_MAX = 100000 };

static weir_code call_range(machine *on, const arguments *with, datum *out) {
    int64_t bounds[3] = {0, 0, 1};
    WEIR_TRY(arguments_check(on, with, 1, 3, NULL, "range()"));
    for (size_t i = 0; i < with->count; i++) {
        WEIR_TRY(whole_argument(on, &with->items[i], &bounds[with->count == 1 ? 1 : i]));
    }
    const int64_t step = bounds[2];
    if (step == 0) {
        return machine_stop(on, TEMPLATE_FAILED, "range() in steps of zero");
    }
    __extension__ typedef __int128 wide;
    const wide distance = (wide)bounds[1] - bounds[0];
    const wide count = step > 0 ? (distance + step - 1) / step : (distance + step + 1) / step;
    if (count > RANGE_MAX) {
        return machine_stop(on, TEMPLATE_FAILED, "range() of more than %d numbers", RANGE_MAX);
    }
    WEIR_TRY(machine_list(on, out, VALUE_RANGE, 0));
    for (int64_t i = 0; i < (int64_t)count; i++) {
        const datum number = value_integer(bounds[0] + i * step);
        WEIR_TRY(machine_add(on, out, &number));
    }
    return WEIR_OK;
}

/* dict() and namespace(): at most one dict or list of pairs, and names. */
static weir_code call_dict(machine *on, const arguments *with, datum *out) {
    WEIR_TRY(machine_dict(on, out));
    if (with->count > 1) {
        return machine_stop(on, TEMPLATE_FAILED, "dict() with too many arguments");
    }
    if (with->count == 1) {
        const datum *from = &with->items[0];
        if (from->kind != VALUE_DICT) {
            return machine_stop(on, TEMPLATE_NOT_RENDERED, "dict() of what is no dict");
        }
        for (size_t i = 0; i < from->dict->count; i++) {
            WEIR_TRY(machine_set(on, out, &from->dict->keys[i], &from->dict->values[i]));
        }
    }
    for (size_t i = 0; i < with->named_count; i++) {
        WEIR_TRY(machine_set(on, out, &with->names[i], &with->named[i]));
    }
    return WEIR_OK;
}

static weir_code raise(machine *on, const arguments *with) {
    const datum *message = argument(with, 0, "message");
    datum text = value_string("", 0);
    if (message) {
        WEIR_TRY(machine_str(on, &text, message));
    }
    return machine_stop(on, TEMPLATE_REFUSED, "%.*s", (int)(text.len < 180 ? text.len : 180),
                        text.text);
}

weir_code call_function(machine *on, const char *name, const arguments *with, datum *out) {
    static const char *const format_name[] = {"format", NULL};
    if (strcmp(name, "range") == 0) {
        return call_range(on, with, out);
    }
    if (strcmp(name, "dict") == 0) {
        return call_dict(on, with, out);
    }
    if (strcmp(name, "namespace") == 0) {
        WEIR_TRY(call_dict(on, with, out));
        out->kind = VALUE_NAMESPACE;
        return WEIR_OK;
    }
    if (strcmp(name, "raise_exception") == 0) {
        return raise(on, with);
    }
    if (strcmp(name, "strftime_now") == 0) {
        WEIR_TRY(arguments_check(on, with, 1, 1, format_name, "strftime_now()"));
        return format_date(on, argument(with, 0, "format"), out);
    }
    return machine_stop(on, TEMPLATE_NOT_RENDERED, "the function %s()", name);
}

/* The arguments of a macro by the names in its signature; `first` is the first of those. */
static weir_code bind_arguments(machine *on, scope *inner, const template_node *first,
                                const template_node *body, const arguments *with) {
    size_t index = 0;
    size_t used = 0;
    for (const template_node *name = first; name != body; name = name->next->next, index++) {
        const datum *given = index < with->count ? &with->items[index] : NULL;
        for (size_t i = 0; !given && i < with->named_count; i++) {
            if (with->names[i].len == name->len &&
                memcmp(with->names[i].text, name->text, name->len) == 0) {
                given = &with->named[i];
                used++;
            }
        }
        datum held = {.kind = VALUE_UNDEFINED, .text = name->text};
        if (given) {
            held = *given;
        } else if (name->next->kind != NODE_ABSENT) {
            WEIR_TRY(evaluate(on, inner, name->next, &held));
        }
        WEIR_TRY(scope_set(on, inner, name->text, name->len, &held));
    }
    for (size_t i = 0; i < with->named_count; i++) {
        if (value_is_text(&with->names[i], "caller")) {
            WEIR_TRY(scope_set(on, inner, "caller", 6, &with->named[i]));
            used++;
        }
    }
    return with->count > index || used < with->named_count
               ? machine_stop(on, TEMPLATE_NOT_RENDERED, "a macro with arguments it does not name")
               : WEIR_OK;
}

weir_code call_macro(machine *on, const value_macro *macro, const arguments *with, datum *out) {
    scope *inner = machine_scope(on, macro->scope);
    if (!inner) {
        return machine_nomem(on);
    }
    const template_node *node = macro->node;
    const datum none = {.kind = VALUE_UNDEFINED, .text = "caller"};
    if (node->kind == NODE_MACRO) {
        WEIR_TRY(scope_set(on, inner, "caller", 6, &none));
    }
    const template_node *first = node->kind == NODE_MACRO ? node->first : node->first->next;
    WEIR_TRY(machine_enter(on, node));
    WEIR_TRY(bind_arguments(on, inner, first, node->last, with));
    WEIR_TRY(execute_to_text(on, inner, node->last, out));
    machine_leave(on);
    return WEIR_OK;
}

static weir_code call_loop(machine *on, const datum *callee, const arguments *with, datum *out) {
    value_loop *loop = callee->receiver->loop;
    if (with->named_count > 0 || with->count == 0) {
        return machine_stop(on, TEMPLATE_FAILED, "loop.%s() with such arguments", callee->text);
    }
    if (strcmp(callee->text, "cycle") == 0) {
        *out = with->items[loop->index % with->count];
        return WEIR_OK;
    }
    datum now;
    WEIR_TRY(machine_list(on, &now, VALUE_TUPLE, with->count));
    for (size_t i = 0; i < with->count; i++) {
        WEIR_TRY(machine_add(on, &now, &with->items[i]));
    }
    *out = value_bool(!loop->changed || !value_is_equal(loop->changed, &now, &on->steps));
    datum *kept = arena_alloc(on->memory, 1, sizeof *kept);
    if (!kept) {
        return machine_nomem(on);
    }
    *kept = now;
    loop->changed = kept;
    return WEIR_OK;
}

weir_code call_value(machine *on, const datum *callee, const arguments *with, datum *out) {
    switch (callee->kind) {
    case VALUE_MACRO:
        return call_macro(on, callee->macro, with, out);
    case VALUE_FUNCTION:
        return call_function(on, callee->text, with, out);
    case VALUE_METHOD:
        return callee->receiver->kind == VALUE_LOOP
                   ? call_loop(on, callee, with, out)
                   : call_method(on, callee->receiver, callee->text, with, out);
    case VALUE_UNDEFINED:
    case VALUE_NONE:
    case VALUE_BOOL:
    case VALUE_INTEGER:
    case VALUE_FLOAT:
    case VALUE_STRING:
    case VALUE_LIST:
    case VALUE_TUPLE:
    case VALUE_RANGE:
    case VALUE_VIEW:
    case VALUE_ITERATOR:
    case VALUE_DICT:
    case VALUE_NAMESPACE:
    case VALUE_LOOP:
        break;
    }
    return machine_stop(on, TEMPLATE_FAILED, "a call of what cannot be called");
}
