/* SPDX-License-Identifier: Apache-2.0 */
#include "template/taint.h"

#include <stdlib.h>
#include <string.h>

#include "base/checked.h"
#include "base/fail.h"

enum { NAMES_MAX = 128, MACROS_MAX = 64, PASSES_MAX = 8, LISTED_MAX = 4096 };

/* A variable, or a member of a namespace. */
typedef struct tainted_name {
    const char *name, *member;
    size_t len, member_len;
    uint32_t mask;
    struct tainted_name *next;
} tainted_name;

typedef struct analysis {
    arena *memory;
    tainted_name *names;
    size_t name_count;
    const template_node *macros[MACROS_MAX];
    size_t macro_count;
    bool is_changed;
    taint_report *out; /* NULL while masks still grow */
    uint32_t guards;
    const template_node *role;
    const template_node *test;
    bool is_otherwise;
    bool failed;
} analysis;

static uint32_t mask_of(analysis *in, const template_node *node);
static void walk(analysis *in, const template_node *node);

static bool is_same(const char *a, size_t a_len, const char *b, size_t b_len) {
    return a_len == b_len && memcmp(a, b, a_len) == 0;
}

static tainted_name *find_name(const analysis *in, const template_node *name,
                               const template_node *member) {
    tainted_name *at = in->names;
    while (at && !(is_same(at->name, at->len, name->text, name->len) &&
                   is_same(at->member, at->member_len, member ? member->text : "",
                           member ? member->len : 0))) {
        at = at->next;
    }
    return at;
}

static void add_mask(analysis *in, const template_node *name, const template_node *member,
                     uint32_t mask) {
    tainted_name *at = find_name(in, name, member);
    if (!at) {
        if (in->name_count == NAMES_MAX || !(at = arena_alloc(in->memory, 1, sizeof *at))) {
            in->failed = in->failed || in->name_count < NAMES_MAX;
            return;
        }
        *at = (tainted_name){.name = name->text,
                             .len = name->len,
                             .member = member ? member->text : "",
                             .member_len = member ? member->len : 0,
                             .next = in->names};
        in->names = at;
        in->name_count++;
        in->is_changed = true;
    }
    in->is_changed = in->is_changed || (at->mask | mask) != at->mask;
    at->mask |= mask;
}

static uint32_t mask_of_name(const analysis *in, const template_node *node) {
    static const struct {
        const char *name;
        uint32_t mask;
    } known[] = {{"messages", TAINT_MESSAGES},
                 {"conversation", TAINT_MESSAGES},
                 {"tools", TAINT_TOOLS},
                 {"documents", TAINT_TOOLS},
                 {"strftime_now", TAINT_DATE},
                 {"date_string", TAINT_DATE},
                 {"add_generation_prompt", TAINT_PROMPT}};
    const tainted_name *at = find_name(in, node, NULL);
    uint32_t mask = at ? at->mask : 0;
    for (size_t i = 0; i < sizeof known / sizeof *known; i++) {
        mask |= template_text_is(node, known[i].name) ? known[i].mask : 0;
    }
    return mask;
}

/* The mask of a member called `name` of something. */
static uint32_t member_mask(uint32_t object, const template_node *name) {
    static const char *const contents[] = {
        "content", "reasoning_content", "text", "thinking", "values", "items", "reasoning"};
    static const char *const calls[] = {"tool_calls", "function", "arguments", "name", "id"};
    if (template_text_is(name, "type")) { /* what kind of part it is, not what it says */
        return object & ~(uint32_t)(TAINT_CONTENT | TAINT_TESTED);
    }
    if (!(object & TAINT_MESSAGES)) {
        return object;
    }
    for (size_t i = 0; i < sizeof calls / sizeof *calls; i++) {
        if (template_text_is(name, calls[i])) {
            return (object & ~(uint32_t)TAINT_MESSAGES) | TAINT_TOOLS;
        }
    }
    for (size_t i = 0; i < sizeof contents / sizeof *contents; i++) {
        if (template_text_is(name, contents[i])) {
            return (object & ~(uint32_t)TAINT_MESSAGES) | TAINT_CONTENT;
        }
    }
    return template_text_is(name, "role") ? (object & ~(uint32_t)TAINT_MESSAGES) | TAINT_ROLE
                                          : object;
}

static uint32_t mask_of_parts(analysis *in, const template_node *part) {
    uint32_t mask = 0;
    for (; part; part = part->next) {
        mask |= mask_of(in, part);
    }
    return mask;
}

static bool names_content(const template_node *part) {
    for (; part; part = part->next) {
        if ((part->kind == NODE_STRING && template_text_is(part, "content")) ||
            (part->kind == NODE_KEYWORD && names_content(part->first))) {
            return true;
        }
    }
    return false;
}

/* Filters after which a message, or a list of them, is text. */
static bool makes_text(const template_node *node) {
    return template_text_is(node, "tojson") || template_text_is(node, "string") ||
           template_text_is(node, "join") || template_text_is(node, "pprint");
}

/* Tests of what kind a value is. */
static bool is_shape_test(const template_node *node) {
    static const char *const names[] = {"defined", "undefined", "none",   "string",  "iterable",
                                        "mapping", "sequence",  "number", "boolean", "integer",
                                        "float",   "callable",  "filter", "true",    "false"};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        if (template_text_is(node, names[i])) {
            return true;
        }
    }
    return false;
}

static uint32_t tested(uint32_t mask) {
    return mask | (mask & TAINT_CONTENT ? TAINT_TESTED : 0) | (mask & TAINT_DATE ? TAINT_DATED : 0);
}

/* Methods that ask something of a text instead of making one of it. */
static bool is_question(const template_node *callee) {
    static const char *const names[] = {"startswith", "endswith", "find",    "rfind",
                                        "index",      "count",    "isdigit", "isalpha",
                                        "isalnum",    "isupper",  "islower", "rindex"};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        if (callee->kind == NODE_ATTRIBUTE && template_text_is(callee, names[i])) {
            return true;
        }
    }
    return false;
}

/* Whether the node is '', none, 0 or an empty list: comparing with it asks for the shape. */
static bool is_empty_constant(const template_node *node) {
    return node->kind == NODE_NONE || (node->kind == NODE_STRING && node->len == 0) ||
           (node->kind == NODE_INTEGER && node->integer == 0) ||
           (node->kind == NODE_LIST && node->count == 0) || node->kind == NODE_TRUE ||
           node->kind == NODE_FALSE;
}

static void list_node(analysis *in, const template_node ***items, size_t *count, size_t *capacity,
                      const template_node *node) {
    void *grown = *items;
    if (*count >= LISTED_MAX) {
        return;
    }
    if (!checked_grow(&grown, capacity, *count, sizeof(const template_node *))) {
        in->failed = true;
        return;
    }
    *items = grown;
    (*items)[(*count)++] = node;
}

const template_node *taint_first_compared(const template_node *node) {
    if (node->kind == NODE_ITEM && node->last->kind == NODE_STRING) {
        return NULL;
    }
    const bool gets = node->kind == NODE_CALL && node->first->kind == NODE_ATTRIBUTE &&
                      template_text_is(node->first, "get");
    const bool dates = node->kind == NODE_CALL && node->first->kind == NODE_NAME &&
                       template_text_is(node->first, "strftime_now");
    return gets || dates ? NULL : node->first;
}

/* Whether a comparison asks if a part of a message has a member, as templates for pictures do. */
static bool asks_for_part(const template_node *node) {
    static const char *const parts[] = {"text",  "image",       "image_url", "video", "video_url",
                                        "audio", "input_audio", "audio_url", "type",  "content"};
    const bool is_membership =
        node->count == 2 && node->first->kind == NODE_STRING &&
        (template_text_is(node->last, "in") || template_text_is(node->last, "not in"));
    for (size_t i = 0; is_membership && i < sizeof parts / sizeof *parts; i++) {
        if (template_text_is(node->first, parts[i])) {
            return true;
        }
    }
    return false;
}

/* List the constants below a node as what content or the date is compared with. */
static void list_constants(analysis *in, const template_node *node, uint32_t mask) {
    taint_report *out = in->out;
    if (!out) {
        return;
    }
    if ((node->kind == NODE_STRING && node->len > 0) || node->kind == NODE_INTEGER) {
        if (mask & (TAINT_CONTENT | TAINT_MESSAGES)) {
            list_node(in, &out->probes, &out->probe_count, &out->probe_capacity, node);
        }
        if (mask & TAINT_DATE) {
            list_node(in, &out->dates, &out->date_count, &out->date_capacity, node);
        }
    }
    for (const template_node *part = taint_first_compared(node); part; part = part->next) {
        list_constants(in, part, mask);
    }
}

static uint32_t mask_of_comparison(analysis *in, const template_node *node) {
    uint32_t mask = mask_of_parts(in, node->first);
    bool is_shape = is_empty_constant(node->first);
    for (const template_node *part = node->first->next; part; part = part->next) {
        is_shape = is_shape || is_empty_constant(part->first);
    }
    if (!is_shape && (mask & (TAINT_CONTENT | TAINT_DATE | TAINT_MESSAGES))) {
        list_constants(in, node, mask);
    }
    return is_shape || asks_for_part(node) ? mask : tested(mask);
}

/* A macro's arguments are what any call gives them. */
static void bind_arguments(analysis *in, const template_node *call, const template_node *macro) {
    const template_node *name = macro->first;
    for (const template_node *part = call->first->next; part; part = part->next) {
        if (part->kind == NODE_KEYWORD) {
            add_mask(in, part, NULL, mask_of(in, part->first));
        } else if (name != macro->last) {
            add_mask(in, name, NULL, mask_of(in, part));
            name = name->next->next;
        }
    }
}

static void bind_call(analysis *in, const template_node *call) {
    for (size_t i = 0; i < in->macro_count && call->first->kind == NODE_NAME; i++) {
        const template_node *macro = in->macros[i];
        if (is_same(macro->text, macro->len, call->first->text, call->first->len)) {
            bind_arguments(in, call, macro);
        }
    }
}

static uint32_t mask_of_call(analysis *in, const template_node *node) {
    const template_node *callee = node->first;
    uint32_t mask = mask_of_parts(in, callee);
    bind_call(in, node);
    if (callee->kind == NODE_ATTRIBUTE && template_text_is(callee, "get") && callee->next) {
        mask = member_mask(mask_of(in, callee->first), callee->next);
    }
    if (is_question(callee) && (mask & (TAINT_CONTENT | TAINT_DATE))) {
        list_constants(in, node, mask);
        return tested(mask);
    }
    return mask;
}

static uint32_t mask_of_test(analysis *in, const template_node *node) {
    const uint32_t mask = mask_of_parts(in, node->first);
    if (is_shape_test(node)) {
        return mask & ~(uint32_t)(TAINT_CONTENT | TAINT_TESTED | TAINT_DATE | TAINT_DATED);
    }
    list_constants(in, node, mask);
    return tested(mask);
}

static uint32_t mask_of_filter(analysis *in, const template_node *node) {
    uint32_t mask = mask_of_parts(in, node->first);
    const bool reads_content =
        (mask & TAINT_MESSAGES) && (makes_text(node) || names_content(node->first->next));
    mask |= reads_content ? TAINT_CONTENT : 0;
    const bool selects = node->count > 2 && (template_text_is(node, "selectattr") ||
                                             template_text_is(node, "rejectattr"));
    if (selects && reads_content) {
        list_constants(in, node, mask);
        return tested(mask);
    }
    return mask;
}

static uint32_t mask_of(analysis *in, const template_node *node) {
    switch ((int)node->kind) {
    case NODE_NAME:
        if (in->out && template_text_is(node, "strftime_now")) {
            in->out->reads_date = true;
        }
        return mask_of_name(in, node);
    case NODE_ATTRIBUTE:
        if (node->first->kind == NODE_NAME) {
            const tainted_name *member = find_name(in, node->first, node);
            if (member) {
                return member->mask;
            }
        }
        return member_mask(mask_of(in, node->first), node);
    case NODE_ITEM:
        return node->first->next->kind == NODE_STRING
                   ? member_mask(mask_of(in, node->first), node->first->next)
                   : mask_of(in, node->first);
    case NODE_CALL:
        return mask_of_call(in, node);
    case NODE_TEST:
        return mask_of_test(in, node);
    case NODE_FILTER:
        return mask_of_filter(in, node);
    case NODE_COMPARE:
        return mask_of_comparison(in, node);
    default:
        return mask_of_parts(in, node->first);
    }
}

/* Give a target what its value, and the branches around it, depend on. */
static void bind(analysis *in, const template_node *target, uint32_t mask) {
    /* A flag that is set in a branch tells what the branch asked; a message that is kept does not.
     */
    const bool is_data = mask & (TAINT_MESSAGES | TAINT_CONTENT | TAINT_ROLE | TAINT_TOOLS);
    mask |= is_data ? 0 : in->guards & (TAINT_TESTED | TAINT_DATED);
    if (target->kind == NODE_NAME) {
        add_mask(in, target, NULL, mask);
    } else if (target->kind == NODE_ATTRIBUTE) {
        add_mask(in, target->first, target, mask);
    } else {
        for (const template_node *part = target->first; part; part = part->next) {
            bind(in, part, mask);
        }
    }
}

/* set ns = namespace(x=...): every member by itself. */
static void bind_namespace(analysis *in, const template_node *target, const template_node *call) {
    for (const template_node *part = call->first->next; part; part = part->next) {
        if (part->kind == NODE_KEYWORD) {
            add_mask(in, target, part, mask_of(in, part->first));
        }
    }
}

static void list_text(analysis *in, const template_node *node) {
    void *items = in->out->texts;
    if (node->len == 0 || in->out->text_count >= LISTED_MAX) {
        return;
    }
    if (!checked_grow(&items, &in->out->text_capacity, in->out->text_count,
                      sizeof *in->out->texts)) {
        in->failed = true;
        return;
    }
    in->out->texts = items;
    in->out->texts[in->out->text_count++] = (taint_text){.node = node,
                                                         .guards = in->guards,
                                                         .role = in->role,
                                                         .test = in->test,
                                                         .is_otherwise = in->is_otherwise};
}

static void list_texts(analysis *in, const template_node *node);

/* Of a call: texts that a method puts into what it gives. */
static void list_call_texts(analysis *in, const template_node *node) {
    static const char *const makers[] = {"replace", "join", "format", "get"};
    const template_node *skipped = NULL;
    const template_node *callee = node->first;
    bool makes = callee->kind == NODE_NAME && !template_text_is(callee, "raise_exception") &&
                 !template_text_is(callee, "strftime_now");
    for (size_t i = 0; i < sizeof makers / sizeof *makers; i++) {
        makes = makes || (callee->kind == NODE_ATTRIBUTE && template_text_is(callee, makers[i]));
    }
    if (callee->kind == NODE_ATTRIBUTE &&
        (template_text_is(callee, "replace") || template_text_is(callee, "get"))) {
        skipped = callee->next; /* what is taken away, or asked for */
    }
    list_texts(in, callee);
    for (const template_node *part = callee->next; makes && part; part = part->next) {
        if (part != skipped) {
            list_texts(in, part);
        }
    }
}

/* Texts that are part of what an expression gives, not of how it is found. */
static void list_texts(analysis *in, const template_node *node) {
    if (!in->out) {
        return;
    }
    switch ((int)node->kind) {
    case NODE_STRING:
        list_text(in, node);
        break;
    case NODE_CONDITION: {
        const uint32_t guards = in->guards;
        const template_node *test = in->test;
        const uint32_t mask = mask_of(in, node->first);
        in->guards |= mask;
        in->test = mask & (TAINT_TESTED | TAINT_DATED) ? node->first : test;
        list_texts(in, node->first->next);
        if (node->last->kind != NODE_ABSENT) {
            list_texts(in, node->last);
        }
        in->guards = guards;
        in->test = test;
        break;
    }
    case NODE_CALL:
        list_call_texts(in, node);
        break;
    case NODE_COMPARE:
    case NODE_TEST:
    case NODE_NOT:
    case NODE_ABSENT:
        break;
    case NODE_FILTER:
        list_texts(in, node->first);
        if (template_text_is(node, "default") || template_text_is(node, "d") ||
            template_text_is(node, "join")) {
            for (const template_node *part = node->first->next; part; part = part->next) {
                list_texts(in, part);
            }
        } else if (template_text_is(node, "replace") && node->count > 2) {
            list_texts(in, node->first->next->next);
        }
        break;
    case NODE_ITEM:
    case NODE_ATTRIBUTE:
        list_texts(in, node->first);
        break;
    default:
        for (const template_node *part = node->first; part; part = part->next) {
            list_texts(in, part);
        }
        break;
    }
}

/* The text that a role is compared with, somewhere in a condition. */
static const template_node *compared_role(analysis *in, const template_node *node) {
    if (node->kind == NODE_COMPARE && (mask_of(in, node) & TAINT_ROLE)) {
        for (const template_node *part = node->first; part; part = part->next) {
            const template_node *side = part->kind == NODE_OPERAND ? part->first : part;
            if (side->kind == NODE_STRING) {
                return side;
            }
        }
    }
    const template_node *found = NULL;
    for (const template_node *part = node->first; part && !found && node->kind != NODE_COMPARE;
         part = part->next) {
        found = compared_role(in, part);
    }
    return found;
}

static void list_branch(analysis *in, const template_node *condition, uint32_t mask) {
    taint_report *out = in->out;
    void *items = out ? out->branches : NULL;
    if (!out || !(mask & (TAINT_TESTED | TAINT_DATED)) || out->branch_count >= LISTED_MAX) {
        return;
    }
    if (!checked_grow(&items, &out->branch_capacity, out->branch_count, sizeof *out->branches)) {
        in->failed = true;
        return;
    }
    out->branches = items;
    out->branches[out->branch_count++] =
        (taint_branch){.condition = condition, .mask = mask & (TAINT_TESTED | TAINT_DATED)};
}

static void walk_if(analysis *in, const template_node *node) {
    const analysis outer = *in;
    for (const template_node *part = node->first; part; part = part->next) {
        if (!part->next) {
            in->is_otherwise = in->is_otherwise || in->test != outer.test;
            walk(in, part); /* else: what the conditions before it depend on guards it too */
            break;
        }
        const uint32_t mask = mask_of(in, part);
        list_branch(in, part, mask);
        in->guards |= mask;
        in->role = compared_role(in, part);
        in->role = in->role ? in->role : outer.role;
        const bool is_tested = mask & (TAINT_TESTED | TAINT_DATED);
        in->is_otherwise = !is_tested && (in->is_otherwise || in->test != outer.test);
        in->test = is_tested ? part : in->test;
        part = part->next;
        walk(in, part);
        in->role = outer.role;
    }
    in->guards = outer.guards;
    in->role = outer.role;
    in->test = outer.test;
    in->is_otherwise = outer.is_otherwise;
}

static bool is_large_range(const template_node *node) {
    if (node->kind != NODE_CALL || node->first->kind != NODE_NAME ||
        !template_text_is(node->first, "range")) {
        return false;
    }
    for (const template_node *part = node->first->next; part; part = part->next) {
        if (part->kind == NODE_INTEGER && part->integer >= RANGE_LARGE_MIN) {
            return true;
        }
    }
    return false;
}

static void walk_for(analysis *in, const template_node *node) {
    const template_node *items = node->first->next;
    const uint32_t guards = in->guards;
    const uint32_t mask = mask_of(in, items);
    if (in->out && !in->out->large_range && is_large_range(items)) {
        in->out->large_range = items;
    }
    bind(in, node->first, mask);
    if (items->next->kind != NODE_ABSENT) {
        const uint32_t filter = mask_of(in, items->next);
        list_branch(in, items->next, filter);
        in->guards |= filter;
    }
    walk(in, items->next->next);
    walk(in, node->last);
    in->guards = guards;
}

static void walk_set(analysis *in, const template_node *node) {
    const template_node *target = node->first;
    const template_node *held = node->last;
    const bool is_namespace = held->kind == NODE_CALL && held->first->kind == NODE_NAME &&
                              template_text_is(held->first, "namespace") &&
                              target->kind == NODE_NAME;
    if (is_namespace) {
        bind_namespace(in, target, held);
    } else {
        bind(in, target, mask_of(in, held));
    }
    list_texts(in, held);
}

static void note_macro(analysis *in, const template_node *node) {
    for (size_t i = 0; i < in->macro_count; i++) {
        if (in->macros[i] == node) {
            return;
        }
    }
    in->macros[in->macro_count++] = node;
    in->is_changed = true;
}

static void walk(analysis *in, const template_node *node) {
    switch ((int)node->kind) {
    case NODE_DATA:
        if (in->out) {
            list_text(in, node);
        }
        break;
    case NODE_OUTPUT:
        (void)mask_of(in, node->first);
        list_texts(in, node->first);
        break;
    case NODE_IF:
        walk_if(in, node);
        break;
    case NODE_FOR:
        walk_for(in, node);
        break;
    case NODE_SET:
        walk_set(in, node);
        break;
    case NODE_SET_BLOCK:
        bind(in, node->first, TAINT_MESSAGES & in->guards);
        walk(in, node->last);
        break;
    case NODE_MACRO:
    case NODE_CALL_BLOCK:
        if (node->kind == NODE_MACRO && !in->out && in->macro_count < MACROS_MAX) {
            note_macro(in, node);
        }
        for (const template_node *part = node->first; part != node->last; part = part->next) {
            (void)mask_of(in, part);
            list_texts(in, part);
        }
        walk(in, node->last);
        break;
    default:
        for (const template_node *part = node->first; part; part = part->next) {
            walk(in, part);
        }
        break;
    }
}

weir_code taint_find(taint_report *out, arena *memory, const template_node *tree, weir_error *err) {
    analysis in = {.memory = memory};
    for (size_t i = 0; i < PASSES_MAX && (i == 0 || in.is_changed); i++) {
        in.is_changed = false;
        walk(&in, tree);
    }
    in.out = out;
    walk(&in, tree);
    return in.failed ? weir_fail_nomem(err) : WEIR_OK;
}

void taint_release(taint_report *report) {
    free(report->texts);
    free(report->branches);
    free(report->probes);
    free(report->dates);
    *report = (taint_report){0};
}
