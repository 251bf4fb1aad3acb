/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Statements, and the rendering as a whole. Scopes as Jinja compiles them: a loop's round and every
 * block but an if have a scope of their own; what is set in there is gone behind it.
 */
#include <string.h>

#include "template/machine.h"

/* Bind a target to a value: a name, a tuple of targets, or a member of a namespace. */
static weir_code bind(machine *on, scope *env, const template_node *target, const datum *to) {
    if (target->kind == NODE_NAME) {
        return scope_set(on, env, target->text, target->len, to);
    }
    if (target->kind == NODE_ATTRIBUTE) {
        datum space;
        WEIR_TRY(evaluate(on, env, target->first, &space));
        if (space.kind != VALUE_NAMESPACE) {
            return machine_stop(on, TEMPLATE_FAILED, "a member set on what is no namespace");
        }
        const datum name = value_string(target->text, target->len);
        return machine_set(on, &space, &name, to);
    }
    datum items;
    WEIR_TRY(machine_items(on, &items, to, "unpacking"));
    if (items.list->count != target->count) {
        return machine_stop(on, TEMPLATE_FAILED, "%zu values for %u names", items.list->count,
                            (unsigned)target->count);
    }
    size_t i = 0;
    for (const template_node *part = target->first; part; part = part->next) {
        WEIR_TRY(bind(on, env, part, &items.list->items[i++]));
    }
    return WEIR_OK;
}

static weir_code execute_if(machine *on, scope *env, const template_node *node) {
    const template_node *part = node->first;
    while (part->next) {
        datum holds;
        WEIR_TRY(evaluate(on, env, part, &holds));
        if (value_is_true(&holds)) {
            return execute(on, env, part->next);
        }
        part = part->next->next;
        if (!part) {
            return WEIR_OK;
        }
    }
    return execute(on, env, part);
}

/* The items for which a loop's filter holds. */
static weir_code filter_items(machine *on, scope *env, const template_node *node, datum *items) {
    const template_node *target = node->first;
    const template_node *filter = target->next->next;
    if (filter->kind == NODE_ABSENT) {
        return WEIR_OK;
    }
    datum kept;
    WEIR_TRY(machine_list(on, &kept, VALUE_LIST, 0));
    on->filters_loop = true;
    for (size_t i = 0; i < items->list->count; i++) {
        datum holds;
        scope *round = machine_scope(on, env);
        if (!round) {
            return machine_nomem(on);
        }
        WEIR_TRY(bind(on, round, target, &items->list->items[i]));
        WEIR_TRY(evaluate(on, round, filter, &holds));
        if (value_is_true(&holds)) {
            WEIR_TRY(machine_add(on, &kept, &items->list->items[i]));
        }
    }
    on->filters_loop = false;
    *items = kept;
    return WEIR_OK;
}

static weir_code execute_round(machine *on, scope *env, const template_node *node,
                               const datum *loop) {
    scope *round = machine_scope(on, env);
    if (!round) {
        return machine_nomem(on);
    }
    const template_node *target = node->first;
    WEIR_TRY(machine_count(on, 1));
    WEIR_TRY(scope_set(on, round, "loop", 4, loop));
    WEIR_TRY(bind(on, round, target, &loop->loop->items->items[loop->loop->index]));
    return execute(on, round, target->next->next->next);
}

static weir_code execute_for(machine *on, scope *env, const template_node *node) {
    datum items;
    WEIR_TRY(evaluate(on, env, node->first->next, &items));
    WEIR_TRY(machine_items(on, &items, &items, "a loop"));
    WEIR_TRY(filter_items(on, env, node, &items));
    value_loop *state = arena_alloc(on->memory, 1, sizeof *state);
    if (!state) {
        return machine_nomem(on);
    }
    *state = (value_loop){.items = items.list};
    const datum loop = {.kind = VALUE_LOOP, .loop = state};
    const template_node *other = node->last;
    if (items.list->count == 0 && other->kind != NODE_ABSENT) {
        scope *apart = machine_scope(on, env);
        return apart ? execute(on, apart, other) : machine_nomem(on);
    }
    for (; state->index < items.list->count; state->index++) {
        WEIR_TRY(execute_round(on, env, node, &loop));
        const bool is_over = on->flow == FLOW_BREAK;
        on->flow = FLOW_ON;
        if (is_over) {
            break;
        }
    }
    return WEIR_OK;
}

weir_code execute_to_text(machine *on, scope *env, const template_node *body, datum *out) {
    WEIR_CLEANUP(text_buffer_release) text_buffer text = {0};
    text_buffer *outer = on->out;
    on->out = &text;
    const weir_code code = execute(on, env, body);
    on->out = outer;
    WEIR_TRY(code);
    return machine_take_buffer(on, out, &text);
}

static weir_code execute_set_block(machine *on, scope *env, const template_node *node) {
    datum text;
    const template_node *filters = node->first->next;
    scope *inner = machine_scope(on, env); /* Jinja gives the block a frame of its own */
    if (!inner) {
        return machine_nomem(on);
    }
    WEIR_TRY(execute_to_text(on, inner, node->last, &text));
    if (filters->kind != NODE_ABSENT) {
        WEIR_TRY(evaluate_filled(on, env, filters, &text, &text));
    }
    return bind(on, env, node->first, &text);
}

static weir_code execute_filter_block(machine *on, scope *env, const template_node *node) {
    datum text;
    scope *inner = machine_scope(on, env);
    if (!inner) {
        return machine_nomem(on);
    }
    WEIR_TRY(execute_to_text(on, inner, node->last, &text));
    WEIR_TRY(evaluate_filled(on, env, node->first, &text, &text));
    return machine_write(on, &text);
}

static weir_code execute_with(machine *on, scope *env, const template_node *node) {
    scope *inner = machine_scope(on, env);
    if (!inner) {
        return machine_nomem(on);
    }
    const template_node *part = node->first;
    for (; part != node->last; part = part->next->next) {
        datum to;
        WEIR_TRY(evaluate(on, env, part->next, &to));
        WEIR_TRY(bind(on, inner, part, &to));
    }
    return execute(on, inner, part);
}

static weir_code new_macro(machine *on, scope *env, const template_node *node, datum *out) {
    value_macro *macro = arena_alloc(on->memory, 1, sizeof *macro);
    if (!macro) {
        return machine_nomem(on);
    }
    *macro = (value_macro){.node = node, .scope = env};
    *out = (datum){.kind = VALUE_MACRO, .macro = macro};
    return WEIR_OK;
}

static weir_code execute_generation(machine *on, scope *env, const template_node *node) {
    scope *inner = machine_scope(on, env);
    return inner ? execute(on, inner, node->first) : machine_nomem(on);
}

/* The call of a call block, with the block as its `caller`. */
static weir_code execute_call_block(machine *on, scope *env, const template_node *node) {
    datum caller;
    datum callee;
    datum items;
    datum text;
    const template_node *call = node->first;
    WEIR_TRY(new_macro(on, env, node, &caller));
    WEIR_TRY(evaluate(on, env, call->first, &callee));
    WEIR_TRY(machine_list(on, &items, VALUE_LIST, call->count));
    for (const template_node *part = call->first->next; part; part = part->next) {
        datum item;
        if (part->kind == NODE_KEYWORD || part->kind == NODE_SPREAD) {
            return machine_stop(on, TEMPLATE_NOT_RENDERED, "a call block with named arguments");
        }
        WEIR_TRY(evaluate(on, env, part, &item));
        WEIR_TRY(machine_add(on, &items, &item));
    }
    const datum name = value_string("caller", 6);
    const arguments with = {.items = items.list->items,
                            .count = items.list->count,
                            .names = &name,
                            .named = &caller,
                            .named_count = 1};
    WEIR_TRY(call_value(on, &callee, &with, &text));
    return machine_write(on, &text);
}

static weir_code execute_statement(machine *on, scope *env, const template_node *node) {
    datum held;
    switch (node->kind) {
    case NODE_DATA:
        return machine_write_bytes(on, node->text, node->len);
    case NODE_OUTPUT:
        WEIR_TRY(evaluate(on, env, node->first, &held));
        return machine_write(on, &held);
    case NODE_IF:
        return execute_if(on, env, node);
    case NODE_FOR:
        return execute_for(on, env, node);
    case NODE_SET:
        WEIR_TRY(evaluate(on, env, node->first->next, &held));
        return bind(on, env, node->first, &held);
    case NODE_SET_BLOCK:
        return execute_set_block(on, env, node);
    case NODE_MACRO:
        WEIR_TRY(new_macro(on, env, node, &held));
        return scope_set(on, env, node->text, node->len, &held);
    case NODE_CALL_BLOCK:
        return execute_call_block(on, env, node);
    case NODE_FILTER_BLOCK:
        return execute_filter_block(on, env, node);
    case NODE_WITH:
        return execute_with(on, env, node);
    case NODE_GENERATION:
        return execute_generation(on, env, node);
    case NODE_BREAK:
        on->flow = FLOW_BREAK;
        return WEIR_OK;
    case NODE_CONTINUE:
        on->flow = FLOW_CONTINUE;
        return WEIR_OK;
    case NODE_BODY:
        return execute(on, env, node);
    case NODE_ABSENT:
    case NODE_NAME:
    case NODE_STRING:
    case NODE_INTEGER:
    case NODE_FLOAT:
    case NODE_TRUE:
    case NODE_FALSE:
    case NODE_NONE:
    case NODE_LIST:
    case NODE_TUPLE:
    case NODE_DICT:
    case NODE_ATTRIBUTE:
    case NODE_ITEM:
    case NODE_SLICE:
    case NODE_CALL:
    case NODE_KEYWORD:
    case NODE_SPREAD:
    case NODE_FILTER:
    case NODE_TEST:
    case NODE_HOLE:
    case NODE_NOT:
    case NODE_AND:
    case NODE_OR:
    case NODE_NEGATIVE:
    case NODE_POSITIVE:
    case NODE_BINARY:
    case NODE_CONCAT:
    case NODE_COMPARE:
    case NODE_OPERAND:
    case NODE_CONDITION:
        break;
    }
    return machine_stop(on, TEMPLATE_NOT_RENDERED, "an expression in place of a statement");
}

weir_code execute(machine *on, scope *env, const template_node *body) {
    for (const template_node *part = body->first; part && on->flow == FLOW_ON; part = part->next) {
        WEIR_TRY(machine_enter(on, part));
        WEIR_TRY(execute_statement(on, env, part));
        machine_leave(on);
    }
    return WEIR_OK;
}

static weir_code bind_variables(machine *on, scope *env, const datum *variables) {
    for (size_t i = 0; i < variables->dict->count; i++) {
        const datum *name = &variables->dict->keys[i];
        WEIR_TRY(scope_set(on, env, name->text, name->len, &variables->dict->values[i]));
    }
    return WEIR_OK;
}

weir_code template_render(template_rendering *out, arena *memory, const template_node *tree,
                          const datum *variables, const template_date *date, weir_error *err) {
    WEIR_CLEANUP(text_buffer_release) text_buffer text = {0};
    machine on = {.memory = memory,
                  .memory_bytes_max = memory->bytes + RENDER_MEMORY_BYTES_MAX,
                  .date = date,
                  .out = &text};
    datum whole = value_string("", 0);
    scope *globals = machine_scope(&on, NULL);
    scope *env = machine_scope(&on, globals);
    weir_code code = globals && env ? bind_variables(&on, globals, variables) : WEIR_ERR_NOMEM;
    code = code == WEIR_OK ? execute(&on, env, tree) : code;
    code = code == WEIR_OK ? machine_take_buffer(&on, &whole, &text) : code;
    if (code == WEIR_ERR_NOMEM) {
        return weir_fail_nomem(err);
    }
    *out = (template_rendering){.outcome = code == WEIR_OK ? TEMPLATE_RENDERED : on.outcome,
                                .text = whole.text,
                                .len = whole.len,
                                .line = code == WEIR_OK ? 0 : on.line,
                                .steps = on.steps};
    memcpy(out->message, on.message, sizeof on.message);
    return WEIR_OK;
}

const char *template_outcome_words(template_outcome outcome) {
    switch (outcome) {
    case TEMPLATE_RENDERED:
        return "rendered";
    case TEMPLATE_REFUSED:
        return "refused";
    case TEMPLATE_FAILED:
        return "failed";
    case TEMPLATE_NOT_RENDERED:
        return "not rendered";
    case TEMPLATE_TOO_LONG:
        return "too long";
    }
    return "";
}
