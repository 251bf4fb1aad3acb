/* SPDX-License-Identifier: Apache-2.0 */
#include "template/normal.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/checked.h"
#include "base/fail.h"
#include "template/machine.h"

/* A name that the template sets, and what stands for it. */
typedef struct renaming {
    const char *name;
    size_t len;
    bool is_kept; /* it is read before it is set, or an argument is passed by it */
    struct renaming *next;
} renaming;

typedef struct writer {
    text_buffer *out;
    const renaming *names; /* NULL: no renaming */
} writer;

static void write_expression(const writer *to, const template_node *node);

static void add(const writer *to, const char *text) {
    text_buffer_add(to->out, text, strlen(text));
}

static bool is_called(const template_node *node, const char *name) {
    return node->len == strlen(name) && memcmp(node->text, name, node->len) == 0;
}

static void write_name(const writer *to, const template_node *node) {
    size_t number = 0;
    for (const renaming *at = to->names; at; at = at->next, number++) {
        if (!at->is_kept && at->len == node->len && memcmp(at->name, node->text, at->len) == 0) {
            text_buffer_format(to->out, "$%zu", number);
            return;
        }
    }
    text_buffer_add(to->out, node->text, node->len);
}

static void write_quoted(const writer *to, const char *text, size_t len) {
    add(to, "'");
    for (size_t i = 0; i < len; i++) {
        if (text[i] == '\n') {
            add(to, "\\n");
        } else {
            text_buffer_add(to->out, "\\", text[i] == '\'' || text[i] == '\\');
            text_buffer_add(to->out, text + i, 1);
        }
    }
    add(to, "'");
}

static void write_parts(const writer *to, const template_node *part, const char *between) {
    for (bool is_first = true; part; part = part->next, is_first = false) {
        add(to, is_first ? "" : between);
        write_expression(to, part);
    }
}

static void write_bracketed(const writer *to, const template_node *node) {
    const bool is_simple = node->kind >= NODE_NAME && node->kind <= NODE_CALL;
    add(to, is_simple ? "" : "(");
    write_expression(to, node);
    add(to, is_simple ? "" : ")");
}

/* Whether x['name'] is x.name: a plain name that no method has. */
static bool is_plain_member(const template_node *index) {
    static const value_kind kinds[] = {VALUE_STRING, VALUE_LIST, VALUE_DICT};
    const char *method;
    if (index->kind != NODE_STRING || index->len == 0) {
        return false;
    }
    for (size_t i = 0; i < index->len; i++) {
        const char c = index->text[i];
        const bool is_letter = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_';
        if (!is_letter && (i == 0 || c < '0' || c > '9')) {
            return false;
        }
    }
    for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++) {
        const datum holder = {.kind = kinds[i]};
        if (find_method(&holder, index->text, index->len, &method)) {
            return false;
        }
    }
    return true;
}

static void write_item(const writer *to, const template_node *node) {
    const template_node *index = node->first->next;
    write_bracketed(to, node->first);
    if (is_plain_member(index)) {
        text_buffer_format(to->out, ".%.*s", (int)index->len, index->text);
        return;
    }
    add(to, "[");
    if (index->kind == NODE_SLICE) {
        write_parts(to, index->first, ":");
    } else {
        write_expression(to, index);
    }
    add(to, "]");
}

/* One name for filters and tests that have several. */
static void write_canonical(const writer *to, const template_node *node) {
    static const char *const names[][2] = {
        {"count", "length"}, {"d", "default"}, {"equalto", "eq"},     {"==", "eq"},
        {"lessthan", "lt"},  {"!=", "ne"},     {"greaterthan", "gt"},
    };
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        if (is_called(node, names[i][0])) {
            add(to, names[i][1]);
            return;
        }
    }
    text_buffer_add(to->out, node->text, node->len);
}

static void write_arguments(const writer *to, const template_node *node) {
    if (node->count > 1) {
        add(to, "(");
        write_parts(to, node->first->next, ", ");
        add(to, ")");
    }
}

static void write_test(const writer *to, const template_node *node, bool is_negated) {
    write_bracketed(to, node->first);
    add(to, is_negated ? " is not " : " is ");
    write_canonical(to, node);
    write_arguments(to, node);
}

static void write_operands(const writer *to, const template_node *node, const char *between) {
    for (const template_node *part = node->first; part; part = part->next) {
        if (part != node->first) {
            add(to, between);
        }
        write_bracketed(to, part);
    }
}

static void write_comparison(const writer *to, const template_node *node, const char *instead) {
    write_bracketed(to, node->first);
    for (const template_node *part = node->first->next; part; part = part->next) {
        if (instead) {
            text_buffer_format(to->out, " %s ", instead);
        } else {
            text_buffer_format(to->out, " %.*s ", (int)part->len, part->text);
        }
        write_bracketed(to, part->first);
    }
}

/* not (a in b) is a not in b, and so on. */
static void write_not(const writer *to, const template_node *node) {
    static const char *const opposite[][2] = {
        {"in", "not in"}, {"not in", "in"}, {"==", "!="}, {"!=", "=="}};
    const template_node *inner = node->first;
    if (inner->kind == NODE_TEST) {
        write_test(to, inner, /* is_negated= */ true);
        return;
    }
    if (inner->kind == NODE_COMPARE && inner->count == 2) {
        for (size_t i = 0; i < sizeof opposite / sizeof *opposite; i++) {
            if (is_called(inner->last, opposite[i][0])) {
                write_comparison(to, inner, opposite[i][1]);
                return;
            }
        }
    }
    add(to, "not ");
    write_bracketed(to, inner);
}

static void write_dict(const writer *to, const template_node *node) {
    add(to, "{");
    for (const template_node *part = node->first; part; part = part->next->next) {
        add(to, part == node->first ? "" : ", ");
        write_expression(to, part);
        add(to, ": ");
        write_expression(to, part->next);
    }
    add(to, "}");
}

static void write_compound(const writer *to, const template_node *node) {
    switch ((int)node->kind) {
    case NODE_TEST:
        write_test(to, node, /* is_negated= */ false);
        break;
    case NODE_NOT:
        write_not(to, node);
        break;
    case NODE_AND:
        write_operands(to, node, " and ");
        break;
    case NODE_OR:
        write_operands(to, node, " or ");
        break;
    case NODE_NEGATIVE:
    case NODE_POSITIVE:
        add(to, node->kind == NODE_NEGATIVE ? "-" : "+");
        write_bracketed(to, node->first);
        break;
    case NODE_BINARY: {
        char between[8];
        (void)snprintf(between, sizeof between, " %.*s ", (int)node->len, node->text);
        write_operands(to, node, between);
        break;
    }
    case NODE_CONCAT:
        write_operands(to, node, " ~ ");
        break;
    case NODE_COMPARE:
        write_comparison(to, node, NULL);
        break;
    case NODE_CONDITION:
        write_bracketed(to, node->first->next);
        add(to, " if ");
        write_bracketed(to, node->first);
        if (node->last->kind != NODE_ABSENT) {
            add(to, " else ");
            write_bracketed(to, node->last);
        }
        break;
    default:
        break;
    }
}

static void write_expression(const writer *to, const template_node *node) {
    switch ((int)node->kind) {
    case NODE_NAME:
        write_name(to, node);
        break;
    case NODE_STRING:
        write_quoted(to, node->text, node->len);
        break;
    case NODE_INTEGER:
        text_buffer_format(to->out, "%" PRId64, node->integer);
        break;
    case NODE_FLOAT:
        text_buffer_format(to->out, "%.17g", node->real);
        break;
    case NODE_TRUE:
    case NODE_FALSE:
        add(to, node->kind == NODE_TRUE ? "true" : "false");
        break;
    case NODE_NONE:
        add(to, "none");
        break;
    case NODE_LIST:
    case NODE_TUPLE:
        add(to, node->kind == NODE_LIST ? "[" : "(");
        write_parts(to, node->first, ", ");
        add(to, node->kind == NODE_LIST ? "]" : node->count == 1 ? ",)" : ")");
        break;
    case NODE_DICT:
        write_dict(to, node);
        break;
    case NODE_ATTRIBUTE:
        write_bracketed(to, node->first);
        text_buffer_format(to->out, ".%.*s", (int)node->len, node->text);
        break;
    case NODE_ITEM:
        write_item(to, node);
        break;
    case NODE_CALL:
        write_bracketed(to, node->first);
        add(to, "(");
        write_parts(to, node->first->next, ", ");
        add(to, ")");
        break;
    case NODE_KEYWORD:
        text_buffer_format(to->out, "%.*s=", (int)node->len, node->text);
        write_expression(to, node->first);
        break;
    case NODE_SPREAD:
        text_buffer_add(to->out, node->text, node->len);
        write_bracketed(to, node->first);
        break;
    case NODE_FILTER:
        write_bracketed(to, node->first);
        add(to, "|");
        write_canonical(to, node);
        write_arguments(to, node);
        break;
    case NODE_HOLE:
        add(to, "...");
        break;
    default:
        write_compound(to, node);
        break;
    }
}

void normal_write(text_buffer *out, const template_node *expression) {
    write_expression(&(writer){.out = out}, expression);
}

/* Statements become lines. */
typedef struct lines {
    normal_form *form;
    arena *memory;
    writer to; /* into `line` */
    text_buffer line;
    text_buffer text; /* literal text that has no line yet */
    uint32_t text_line;
    uint32_t depth;
    bool failed;
} lines;

static void write_body(lines *in, const template_node *body);

static void end_line(lines *in, uint32_t line) {
    void *items = in->form->lines;
    const char *text =
        in->line.failed
            ? NULL
            : arena_copy_text(in->memory, in->line.data ? in->line.data : "", in->line.len);
    if (!text ||
        !checked_grow(&items, &in->form->capacity, in->form->count, sizeof *in->form->lines)) {
        in->failed = true;
        return;
    }
    in->form->lines = items;
    in->form->lines[in->form->count++] =
        (normal_line){.text = text, .line = line, .depth = in->depth};
    in->line.len = 0;
}

static void flush_text(lines *in) {
    if (in->text.len == 0) {
        return;
    }
    add(&in->to, "text ");
    write_quoted(&in->to, in->text.data, in->text.len);
    in->text.len = 0;
    end_line(in, in->text_line);
}

static void add_text(lines *in, const template_node *node) {
    if (in->text.len == 0) {
        in->text_line = node->line;
    }
    text_buffer_add(&in->text, node->text, node->len);
    in->failed = in->failed || in->text.failed;
}

static void write_output(lines *in, const template_node *value) {
    if (value->kind == NODE_STRING) {
        add_text(in, value);
        return;
    }
    if (value->kind == NODE_CONCAT) {
        for (const template_node *part = value->first; part; part = part->next) {
            write_output(in, part);
        }
        return;
    }
    flush_text(in);
    add(&in->to, "output ");
    write_expression(&in->to, value);
    end_line(in, value->line);
}

static void write_if(lines *in, const template_node *node) {
    const template_node *part = node->first;
    const char *word = "if ";
    while (part) {
        if (!part->next && part->count == 1 && part->first->kind == NODE_IF) {
            part = part->first->first; /* else + if is elif */
            continue;
        }
        const bool is_else = !part->next;
        add(&in->to, is_else ? "else" : word);
        if (!is_else) {
            write_expression(&in->to, part);
        }
        end_line(in, part->line);
        word = "elif ";
        const template_node *body = is_else ? part : part->next;
        in->depth++;
        write_body(in, body);
        in->depth--;
        part = body->next;
    }
}

static void write_for(lines *in, const template_node *node) {
    const template_node *items = node->first->next;
    add(&in->to, "for ");
    write_expression(&in->to, node->first);
    add(&in->to, " in ");
    write_expression(&in->to, items);
    if (items->next->kind != NODE_ABSENT) {
        add(&in->to, " if ");
        write_expression(&in->to, items->next);
    }
    end_line(in, node->line);
    in->depth++;
    write_body(in, items->next->next);
    in->depth--;
    if (node->last->kind != NODE_ABSENT) {
        add(&in->to, "else");
        end_line(in, node->last->line);
        in->depth++;
        write_body(in, node->last);
        in->depth--;
    }
}

/* A block whose head is a word and the parts before its body. */
static void write_block(lines *in, const template_node *node, const char *word) {
    text_buffer_format(in->to.out, "%s", word);
    if (node->kind == NODE_MACRO) {
        add(&in->to, " ");
        write_name(&in->to, node);
    }
    for (const template_node *part = node->first; part != node->last; part = part->next) {
        add(&in->to, " ");
        if (part->kind == NODE_ABSENT) {
            add(&in->to, "-");
        } else {
            write_bracketed(&in->to, part);
        }
    }
    end_line(in, node->line);
    in->depth++;
    write_body(in, node->last);
    in->depth--;
}

static void write_statement(lines *in, const template_node *node) {
    if (node->kind == NODE_DATA) {
        add_text(in, node);
        return;
    }
    if (node->kind == NODE_OUTPUT) {
        write_output(in, node->first);
        return;
    }
    flush_text(in);
    switch ((int)node->kind) {
    case NODE_IF:
        write_if(in, node);
        break;
    case NODE_FOR:
        write_for(in, node);
        break;
    case NODE_SET:
        add(&in->to, "set ");
        write_expression(&in->to, node->first);
        add(&in->to, " = ");
        write_expression(&in->to, node->last);
        end_line(in, node->line);
        break;
    case NODE_SET_BLOCK:
        write_block(in, node, "set");
        break;
    case NODE_MACRO:
        write_block(in, node, "macro");
        break;
    case NODE_CALL_BLOCK:
        write_block(in, node, "call");
        break;
    case NODE_FILTER_BLOCK:
        write_block(in, node, "filter");
        break;
    case NODE_WITH:
        write_block(in, node, "with");
        break;
    case NODE_GENERATION:
        write_block(in, node, "generation");
        break;
    default:
        add(&in->to, node->kind == NODE_BREAK ? "break" : "continue");
        end_line(in, node->line);
        break;
    }
}

static void write_body(lines *in, const template_node *body) {
    for (const template_node *part = body->first; part; part = part->next) {
        write_statement(in, part);
    }
    flush_text(in);
}

/* Which names the template sets, in the order of the text. */
typedef struct collector {
    arena *memory;
    renaming *first;
    renaming **end;
    size_t count;
    bool failed;
} collector;

/* More names than any template has; the rest keep theirs. */
enum { RENAMED_MAX = 256 };

static renaming *find_renaming(const collector *in, const template_node *node) {
    renaming *at = in->first;
    while (at && (at->len != node->len || memcmp(at->name, node->text, at->len) != 0)) {
        at = at->next;
    }
    return at;
}

static renaming *add_renaming(collector *in, const template_node *node, bool is_kept) {
    renaming *at = find_renaming(in, node);
    if (!at && in->count < RENAMED_MAX) {
        in->count++;
        at = arena_alloc(in->memory, 1, sizeof *at);
        if (!at) {
            in->failed = true;
            return NULL;
        }
        *at = (renaming){.name = node->text, .len = node->len, .is_kept = is_kept};
        *in->end = at;
        in->end = &at->next;
    }
    return at;
}

static void bind_names(collector *in, const template_node *target) {
    if (target->kind == NODE_NAME) {
        (void)add_renaming(in, target, /* is_kept= */ false);
        return;
    }
    for (const template_node *part = target->first; part && target->kind == NODE_TUPLE;
         part = part->next) {
        bind_names(in, part);
    }
}

/* A name that is read where nothing set it before comes from outside, and keeps its name. */
static void collect(collector *in, const template_node *node) {
    if (node->kind == NODE_NAME) {
        (void)add_renaming(in, node, /* is_kept= */ true);
        return;
    }
    if (node->kind == NODE_KEYWORD) {
        renaming *at = add_renaming(in, node, /* is_kept= */ true);
        if (at) {
            at->is_kept = true;
        }
    }
    const template_node *part = node->first;
    if (node->kind == NODE_SET || node->kind == NODE_FOR) {
        collect(in, part->next);
        bind_names(in, part);
    } else if (node->kind == NODE_SET_BLOCK) {
        bind_names(in, part);
    } else if (node->kind == NODE_MACRO || node->kind == NODE_CALL_BLOCK ||
               node->kind == NODE_WITH) {
        if (node->kind == NODE_MACRO) {
            (void)add_renaming(in, node, /* is_kept= */ false);
        }
        if (node->kind == NODE_CALL_BLOCK) {
            collect(in, part);
            part = part->next;
        }
        for (; part != node->last; part = part->next->next) {
            collect(in, part->next);
            bind_names(in, part);
        }
    }
    for (part = node->first; part; part = part->next) {
        collect(in, part);
    }
}

weir_code normal_form_make(normal_form *out, arena *memory, const template_node *tree, bool renames,
                           weir_error *err) {
    collector names = {.memory = memory};
    names.end = &names.first;
    if (renames) {
        collect(&names, tree);
    }
    lines in = {.form = out, .memory = memory};
    in.to = (writer){.out = &in.line, .names = names.first};
    write_body(&in, tree);
    const bool has_failed = in.failed || in.line.failed || in.text.failed || names.failed;
    text_buffer_release(&in.line);
    text_buffer_release(&in.text);
    return has_failed ? weir_fail_nomem(err) : WEIR_OK;
}

void normal_form_release(normal_form *form) {
    free(form->lines);
    *form = (normal_form){0};
}
