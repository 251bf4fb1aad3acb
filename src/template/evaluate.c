/* SPDX-License-Identifier: Apache-2.0 */
/* Expressions. Names are looked up from the innermost scope outwards, then among the engine's
 * functions; what is nowhere is undefined, and says so only when it is opened. */
#include "template/machine.h"

#include <string.h>

#include "base/checked.h"

static weir_code evaluate_name(const scope *env, const template_node *node, datum *out) {
    for (const scope *in = env; in; in = in->parent) {
        for (const binding *at = in->bindings; at; at = at->next) {
            if (at->len == node->len && memcmp(at->name, node->text, at->len) == 0) {
                *out = at->held;
                return WEIR_OK;
            }
        }
    }
    if (!find_function(node->text, node->len, out)) {
        *out = (datum){.kind = VALUE_UNDEFINED, .text = node->text};
    }
    return WEIR_OK;
}

static weir_code evaluate_items(machine *on, scope *env, const template_node *node, datum *out) {
    WEIR_TRY(
        machine_list(on, out, node->kind == NODE_LIST ? VALUE_LIST : VALUE_TUPLE, node->count));
    for (const template_node *part = node->first; part; part = part->next) {
        datum item;
        WEIR_TRY(evaluate(on, env, part, &item));
        WEIR_TRY(machine_add(on, out, &item));
    }
    return WEIR_OK;
}

static weir_code evaluate_dict(machine *on, scope *env, const template_node *node, datum *out) {
    WEIR_TRY(machine_dict(on, out));
    for (const template_node *part = node->first; part; part = part->next->next) {
        datum key;
        datum item;
        WEIR_TRY(evaluate(on, env, part, &key));
        WEIR_TRY(evaluate(on, env, part->next, &item));
        WEIR_TRY(machine_set(on, out, &key, &item));
    }
    return WEIR_OK;
}

static weir_code evaluate_item(machine *on, scope *env, const template_node *node, datum *out) {
    datum object;
    datum index;
    WEIR_TRY(evaluate(on, env, node->first, &object));
    const template_node *at = node->first->next;
    if (at->kind != NODE_SLICE) {
        WEIR_TRY(evaluate(on, env, at, &index));
        return get_item(on, &object, &index, out);
    }
    datum bounds[3];
    size_t i = 0;
    for (const template_node *part = at->first; part && i < 3; part = part->next, i++) {
        bounds[i] = value_none();
        if (part->kind != NODE_ABSENT) {
            WEIR_TRY(evaluate(on, env, part, &bounds[i]));
        }
    }
    return get_slice(on, &object, bounds, out);
}

/* The arguments behind the first part. The arrays live in the arena. */
static weir_code evaluate_arguments(machine *on, scope *env, const template_node *node,
                                    arguments *out) {
    datum items;
    datum names;
    datum named;
    WEIR_TRY(machine_list(on, &items, VALUE_LIST, 0));
    WEIR_TRY(machine_list(on, &names, VALUE_LIST, 0));
    WEIR_TRY(machine_list(on, &named, VALUE_LIST, 0));
    for (const template_node *part = node->first->next; part; part = part->next) {
        datum item;
        if (part->kind == NODE_SPREAD) {
            return machine_stop(on, TEMPLATE_NOT_RENDERED, "arguments spread with %.2s",
                                part->len == 1 ? "*" : "**");
        }
        const bool is_named = part->kind == NODE_KEYWORD;
        WEIR_TRY(evaluate(on, env, is_named ? part->first : part, &item));
        WEIR_TRY(machine_add(on, is_named ? &named : &items, &item));
        if (is_named) {
            const datum name = value_string(part->text, part->len);
            WEIR_TRY(machine_add(on, &names, &name));
        }
    }
    *out = (arguments){.items = items.list->items,
                       .count = items.list->count,
                       .names = names.list->items,
                       .named = named.list->items,
                       .named_count = named.list->count};
    return WEIR_OK;
}

static weir_code evaluate_call(machine *on, scope *env, const template_node *node, datum *out) {
    datum callee;
    arguments with;
    WEIR_TRY(evaluate(on, env, node->first, &callee));
    WEIR_TRY(evaluate_arguments(on, env, node, &with));
    on->line = node->line;
    return call_value(on, &callee, &with, out);
}

weir_code evaluate_filled(machine *on, scope *env, const template_node *node, const datum *hole,
                          datum *out) {
    if (node->kind == NODE_HOLE) {
        *out = *hole;
        return WEIR_OK;
    }
    datum input;
    arguments with;
    WEIR_TRY(machine_enter(on, node));
    WEIR_TRY(evaluate_filled(on, env, node->first, hole, &input));
    WEIR_TRY(evaluate_arguments(on, env, node, &with));
    WEIR_TRY(apply_filter(on, node->text, node->len, &input, &with, out));
    machine_leave(on);
    return WEIR_OK;
}

static weir_code evaluate_filter(machine *on, scope *env, const template_node *node, datum *out) {
    datum input;
    arguments with;
    WEIR_TRY(evaluate(on, env, node->first, &input));
    WEIR_TRY(evaluate_arguments(on, env, node, &with));
    on->line = node->line;
    return apply_filter(on, node->text, node->len, &input, &with, out);
}

static weir_code evaluate_test(machine *on, scope *env, const template_node *node, datum *out) {
    datum input;
    arguments with;
    bool holds;
    WEIR_TRY(evaluate(on, env, node->first, &input));
    WEIR_TRY(evaluate_arguments(on, env, node, &with));
    WEIR_TRY(apply_test(on, node->text, node->len, &input, &with, &holds));
    *out = value_bool(holds);
    return WEIR_OK;
}

static weir_code evaluate_logic(machine *on, scope *env, const template_node *node, datum *out) {
    WEIR_TRY(evaluate(on, env, node->first, out));
    if (node->kind == NODE_NOT) {
        *out = value_bool(!value_is_true(out));
        return WEIR_OK;
    }
    return value_is_true(out) == (node->kind == NODE_AND)
               ? evaluate(on, env, node->first->next, out)
               : WEIR_OK;
}

static weir_code evaluate_sign(machine *on, scope *env, const template_node *node, datum *out) {
    datum operand;
    WEIR_TRY(evaluate(on, env, node->first, &operand));
    if (!value_is_number(&operand)) {
        return machine_stop(on, TEMPLATE_FAILED, "a sign before what is no number");
    }
    const bool is_negative = node->kind == NODE_NEGATIVE;
    if (operand.kind == VALUE_FLOAT) {
        *out = value_float(is_negative ? -operand.real : operand.real);
        return WEIR_OK;
    }
    const int64_t whole = operand.kind == VALUE_BOOL ? operand.truth : operand.integer;
    if (is_negative && whole == INT64_MIN) {
        return machine_stop(on, TEMPLATE_NOT_RENDERED, "an integer of more than 64 bits");
    }
    *out = value_integer(is_negative ? -whole : whole);
    return WEIR_OK;
}

static weir_code evaluate_concat(machine *on, scope *env, const template_node *node, datum *out) {
    WEIR_CLEANUP(text_buffer_release) text_buffer text = {0};
    for (const template_node *part = node->first; part; part = part->next) {
        datum item;
        WEIR_TRY(evaluate(on, env, part, &item));
        WEIR_TRY(machine_str(on, &item, &item));
        WEIR_TRY(machine_count_bytes(on, text.len + item.len));
        text_buffer_add(&text, item.text, item.len);
    }
    return machine_take_buffer(on, out, &text);
}

static weir_code evaluate_comparison(machine *on, scope *env, const template_node *node,
                                     datum *out) {
    datum left;
    bool holds = true;
    WEIR_TRY(evaluate(on, env, node->first, &left));
    for (const template_node *part = node->first->next; part && holds; part = part->next) {
        datum right;
        WEIR_TRY(evaluate(on, env, part->first, &right));
        on->line = part->line;
        WEIR_TRY(compare_values(on, part->text, part->len, &left, &right, &holds));
        left = right;
    }
    *out = value_bool(holds);
    return WEIR_OK;
}

static weir_code evaluate_condition(machine *on, scope *env, const template_node *node,
                                    datum *out) {
    datum holds;
    WEIR_TRY(evaluate(on, env, node->first, &holds));
    const template_node *chosen = node->first->next;
    chosen = value_is_true(&holds) ? chosen : chosen->next;
    if (chosen->kind == NODE_ABSENT) {
        *out = (datum){.kind = VALUE_UNDEFINED, .text = ""};
        return WEIR_OK;
    }
    return evaluate(on, env, chosen, out);
}

static weir_code evaluate_part(machine *on, scope *env, const template_node *node, datum *out) {
    datum left;
    datum right;
    switch ((int)node->kind) {
    case NODE_NAME:
        return evaluate_name(env, node, out);
    case NODE_STRING:
        *out = value_string(node->text, node->len);
        return WEIR_OK;
    case NODE_INTEGER:
        *out = value_integer(node->integer);
        return WEIR_OK;
    case NODE_FLOAT:
        *out = value_float(node->real);
        return WEIR_OK;
    case NODE_TRUE:
    case NODE_FALSE:
        *out = value_bool(node->kind == NODE_TRUE);
        return WEIR_OK;
    case NODE_NONE:
        *out = value_none();
        return WEIR_OK;
    case NODE_LIST:
    case NODE_TUPLE:
        return evaluate_items(on, env, node, out);
    case NODE_DICT:
        return evaluate_dict(on, env, node, out);
    case NODE_ATTRIBUTE:
        WEIR_TRY(evaluate(on, env, node->first, &left));
        on->line = node->line;
        return get_attribute(on, &left, node->text, node->len, out);
    case NODE_ITEM:
        return evaluate_item(on, env, node, out);
    case NODE_CALL:
        return evaluate_call(on, env, node, out);
    case NODE_FILTER:
        return evaluate_filter(on, env, node, out);
    case NODE_TEST:
        return evaluate_test(on, env, node, out);
    case NODE_NOT:
    case NODE_AND:
    case NODE_OR:
        return evaluate_logic(on, env, node, out);
    case NODE_NEGATIVE:
    case NODE_POSITIVE:
        return evaluate_sign(on, env, node, out);
    case NODE_BINARY:
        WEIR_TRY(evaluate(on, env, node->first, &left));
        WEIR_TRY(evaluate(on, env, node->first->next, &right));
        on->line = node->line;
        return operate(on, node, &left, &right, out);
    case NODE_CONCAT:
        return evaluate_concat(on, env, node, out);
    case NODE_COMPARE:
        return evaluate_comparison(on, env, node, out);
    case NODE_CONDITION:
        return evaluate_condition(on, env, node, out);
    default: /* statements and parts of other nodes */
        break;
    }
    return machine_stop(on, TEMPLATE_NOT_RENDERED, "a statement in place of an expression");
}

weir_code evaluate(machine *on, scope *env, const template_node *node, datum *out) {
    WEIR_TRY(machine_enter(on, node));
    WEIR_TRY(evaluate_part(on, env, node, out));
    machine_leave(on);
    return WEIR_OK;
}
