/* SPDX-License-Identifier: Apache-2.0 */
/* The differences of two templates in sentences, the gravest first. What a rendered text shows is
 * proved; a text that only stands in the template is strong; a branch without a seen effect is
 * weak. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/checked.h"
#include "base/fail.h"
#include "delta/template_compare.h"
#include "delta/template_words.h"

enum { SHOWN_BYTES = 96, STATEMENTS_MAX = 8 };

typedef struct shown {
    char text[SHOWN_BYTES + 8];
} shown;

/* A text made printable and cut. */
static shown show(const char *text, size_t len) {
    shown out;
    text_escape(out.text, SHOWN_BYTES, text, len);
    if (len >= SHOWN_BYTES) {
        (void)memcpy(out.text + strlen(out.text), " ...", sizeof " ...");
    }
    return out;
}

static weir_code say(template_comparison *in, template_finding_class kind, weir_grade grade,
                     uint32_t line, const text_buffer *text, weir_error *err) {
    template_delta *out = in->out;
    if (out->finding_count == out->finding_capacity) {
        const size_t capacity = out->finding_capacity ? 2 * out->finding_capacity : 16;
        template_finding *moved = arena_alloc(in->kept, capacity, sizeof *moved);
        if (!moved) {
            return weir_fail_nomem(err);
        }
        if (out->finding_count > 0) {
            memcpy(moved, out->findings, out->finding_count * sizeof *moved);
        }
        out->findings = moved;
        out->finding_capacity = capacity;
    }
    template_finding found = {.kind = kind, .grade = grade, .line = line};
    if (text->failed) {
        return weir_fail_nomem(err);
    }
    WEIR_TRY(arena_keep_text(&found.text, in->kept, text->data ? text->data : "", err));
    for (size_t i = 0; i < out->finding_count; i++) {
        if (out->findings[i].kind == kind && strcmp(out->findings[i].text, found.text) == 0) {
            return WEIR_OK; /* the same sentence for another place */
        }
    }
    size_t at = out->finding_count++;
    for (; at > 0 && out->findings[at - 1].kind > kind; at--) {
        out->findings[at] = out->findings[at - 1];
    }
    out->findings[at] = found;
    return WEIR_OK;
}

/* Whether a condition compares with something that has words, so that it can wait for them. */
static bool names_words(const template_node *node) {
    if (node->kind == NODE_STRING && template_has_words(node->text, node->len)) {
        return true;
    }
    for (const template_node *part = taint_first_compared(node); part; part = part->next) {
        if (names_words(part)) {
            return true;
        }
    }
    return false;
}

static bool has_constant(const template_node *node) {
    bool has = node->kind == NODE_STRING;
    for (const template_node *part = taint_first_compared(node); part && !has; part = part->next) {
        has = has_constant(part);
    }
    return has;
}

/* Whether a text waits for something to be said: its branch asks for content, it stays away from
 * every conversation of the fixed grid, and the branch does not ask for marks alone. */
static bool is_triggered(const added_text *added) {
    const bool asks_for_marks =
        added->from->test && has_constant(added->from->test) && !names_words(added->from->test);
    return added->from->test && (added->from->guards & TAINT_TESTED) && added->seen_fixed == 0 &&
           !asks_for_marks;
}

static const char *role_words_of(const added_text *added, char *out, size_t size) {
    const template_node *compared = added->from->role;
    if (added->role) {
        (void)snprintf(out, size, "to the %s role", added->role);
    } else if (added->seen == 0 && compared) {
        (void)snprintf(out, size, "to the %s role",
                       show(compared->text, compared->len < 24 ? compared->len : 24).text);
    } else {
        (void)snprintf(out, size, "between the turns");
    }
    return out;
}

static void add_condition(text_buffer *text, const template_node *test) {
    WEIR_CLEANUP(text_buffer_release) text_buffer condition = {0};
    normal_write(&condition, test);
    if (condition.failed) {
        text->failed = true;
        return;
    }
    text_buffer_format(text, "%s", show(condition.data, condition.len).text);
}

static void add_reason(text_buffer *text, const added_text *added) {
    if (added->seen > 0 && added->probe) {
        const bool is_count = strncmp(added->probe, "more than ", 10) == 0;
        text_buffer_format(
            text, is_count ? " in a conversation of %s" : " when a message contains \"%s\"",
            added->probe);
    } else if (added->from->test) {
        text_buffer_format(text, " under the condition ");
        add_condition(text, added->from->test);
    }
}

/* What nothing tried puts out and no word in its condition explains: the branch is all there is. */
static weir_code say_branch_text(template_comparison *in, const added_text *added,
                                 weir_error *err) {
    WEIR_CLEANUP(text_buffer_release) text_buffer text = {0};
    text_buffer_format(&text,
                       "puts out the text \"%s\" under a condition that depends on what messages "
                       "say: %s",
                       show(added->text, added->len).text,
                       added->from->is_otherwise ? "otherwise than " : "");
    add_condition(&text, added->from->test);
    return say(in, TEMPLATE_FINDING_CONTENT_BRANCH, WEIR_GRADE_WEAK, added->from->node->line, &text,
               err);
}

static weir_code say_added(template_comparison *in, const added_text *added, weir_error *err) {
    WEIR_CLEANUP(text_buffer_release) text_buffer text = {0};
    char role[160];
    const shown quoted = show(added->text, added->len);
    const bool is_date = added->from->guards & TAINT_DATED;
    const weir_grade grade = added->seen > 0 ? WEIR_GRADE_PROVED : WEIR_GRADE_STRONG;
    const uint32_t line = added->from->node->line;
    if (is_triggered(added) && added->seen == 0 &&
        (added->from->is_otherwise || !has_constant(added->from->test))) {
        return say_branch_text(in, added, err);
    }
    if (is_triggered(added)) {
        if (added->is_prefill) {
            text_buffer_format(&text, "begins the answer with the text \"%s\"", quoted.text);
        } else {
            text_buffer_format(&text, "adds the text \"%s\" %s", quoted.text,
                               role_words_of(added, role, sizeof role));
        }
        add_reason(&text, added);
        return say(in, TEMPLATE_FINDING_CONTENT_TRIGGER, grade, line, &text, err);
    }
    if (is_date) {
        text_buffer_format(&text, "adds the text \"%s\" %s, depending on the date", quoted.text,
                           role_words_of(added, role, sizeof role));
        if (added->from->test) {
            text_buffer_format(&text, ": ");
            add_condition(&text, added->from->test);
        }
        return say(in, TEMPLATE_FINDING_DATE_TRIGGER, grade, line, &text, err);
    }
    if (added->seen == 0) {
        return WEIR_OK; /* a text that nothing tried puts out is listed as a statement */
    }
    if (added->is_prefill) {
        text_buffer_format(&text, "begins the answer with the text \"%s\"", quoted.text);
        return say(in, TEMPLATE_FINDING_PREFILL, grade, line, &text, err);
    }
    text_buffer_format(&text, "adds the text \"%s\" %s, in %zu of %zu conversations", quoted.text,
                       role_words_of(added, role, sizeof role), added->seen, in->out->rendered_n);
    if (added->seen_fixed == 0) {
        add_reason(&text, added);
    }
    return say(in, TEMPLATE_FINDING_TEXT_ADDED, grade, line, &text, err);
}

static weir_code say_dropped(template_comparison *in, weir_error *err) {
    static const char *const parts[] = {"what the system message says", "what the user says",
                                        "what the assistant said", "what a tool answered",
                                        "the descriptions of the tools"};
    for (size_t i = 0; i < DROPPED_COUNT; i++) {
        WEIR_CLEANUP(text_buffer_release) text_buffer text = {0};
        if (in->dropped[i] > 0) {
            text_buffer_format(&text, "leaves out %s, in %zu of %zu conversations", parts[i],
                               in->dropped[i], in->out->rendered_n);
            WEIR_TRY(say(in, TEMPLATE_FINDING_DROPPED, WEIR_GRADE_PROVED, 0, &text, err));
        }
    }
    if (in->refused > 0) {
        WEIR_CLEANUP(text_buffer_release) text_buffer text = {0};
        text_buffer_format(&text, "refuses %zu of %zu conversations that the base's renders: %s",
                           in->refused, in->out->rendered_n, in->refusal);
        return say(in, TEMPLATE_FINDING_REFUSES, WEIR_GRADE_PROVED, in->refused_line, &text, err);
    }
    return WEIR_OK;
}

static weir_code say_loops(template_comparison *in, weir_error *err) {
    WEIR_CLEANUP(text_buffer_release) text_buffer text = {0};
    const template_node *range = in->model.taint.large_range;
    if (in->is_endless) {
        text_buffer_format(&text, "does not come to an end within the limits of a rendering");
        return say(in, TEMPLATE_FINDING_LARGE_LOOP, WEIR_GRADE_PROVED, in->endless_line, &text,
                   err);
    }
    if (range && !in->base.taint.large_range) {
        text_buffer_format(&text, "loops over ");
        add_condition(&text, range);
        return say(in, TEMPLATE_FINDING_LARGE_LOOP, WEIR_GRADE_STRONG, range->line, &text, err);
    }
    return WEIR_OK;
}

static bool compares_with(const taint_report *in, const template_node *constant) {
    for (size_t i = 0; i < in->probe_count; i++) {
        const template_node *other = in->probes[i];
        if (other->kind == constant->kind && other->len == constant->len &&
            memcmp(other->text, constant->text, other->len) == 0) {
            return true;
        }
    }
    return false;
}

/* A constant with words, below a node, with which the base compares nothing. */
static const template_node *new_constant(const taint_report *base, const template_node *node) {
    if (node->kind == NODE_STRING && template_has_words(node->text, node->len) &&
        !compares_with(base, node)) {
        return node;
    }
    const template_node *found = NULL;
    for (const template_node *part = taint_first_compared(node); part && !found;
         part = part->next) {
        found = new_constant(base, part);
    }
    return found;
}

/* Whether a text was already said to hang on this condition. */
static bool is_said(const template_comparison *in, const template_node *condition) {
    for (size_t i = 0; i < in->added_count; i++) {
        const added_text *added = &in->added[i];
        if (added->from->test == condition &&
            (is_triggered(added) || (added->from->guards & TAINT_DATED))) {
            return true;
        }
    }
    return false;
}

static bool has_date_branch(const taint_report *in) {
    for (size_t i = 0; i < in->branch_count; i++) {
        if (in->branches[i].mask & TAINT_DATED) {
            return true;
        }
    }
    return false;
}

static weir_code say_branches(template_comparison *in, weir_error *err) {
    const taint_report *model = &in->model.taint;
    const taint_report *base = &in->base.taint;
    const bool base_has_date = has_date_branch(base);
    for (size_t i = 0; i < model->branch_count; i++) {
        WEIR_CLEANUP(text_buffer_release) text_buffer text = {0};
        const taint_branch *branch = &model->branches[i];
        const template_node *condition = branch->condition;
        if ((branch->mask & TAINT_TESTED) && new_constant(base, condition) &&
            !is_said(in, condition)) {
            text_buffer_format(&text, "branches on what a message says: ");
            add_condition(&text, condition);
            const bool is_seen = in->probes_differ > 0 && in->fixed_differ == 0;
            WEIR_TRY(say(in, TEMPLATE_FINDING_CONTENT_BRANCH,
                         is_seen ? WEIR_GRADE_STRONG : WEIR_GRADE_WEAK, condition->line, &text,
                         err));
        } else if ((branch->mask & TAINT_DATED) && !base_has_date && !is_said(in, condition)) {
            text_buffer_format(&text, "branches on the date: ");
            add_condition(&text, condition);
            WEIR_TRY(say(in, TEMPLATE_FINDING_DATE_BRANCH, WEIR_GRADE_STRONG, condition->line,
                         &text, err));
        }
    }
    return WEIR_OK;
}

static weir_code say_prompt(template_comparison *in, weir_error *err) {
    WEIR_CLEANUP(text_buffer_release) text_buffer text = {0};
    const char *base = in->base_prompt;
    const char *model = in->model_prompt;
    if (!base || !model || strcmp(base, model) == 0) {
        return WEIR_OK;
    }
    const size_t len = strlen(base);
    const bool is_longer = len > 0 && strncmp(base, model, len) == 0;
    if (is_longer && template_has_words(model + len, strlen(model + len))) {
        for (size_t i = 0; i < in->added_count; i++) {
            if (in->added[i].is_prefill) {
                return WEIR_OK; /* said with its line */
            }
        }
        text_buffer_format(&text, "begins the answer with the text \"%s\"",
                           show(model + len, strlen(model + len)).text);
        return say(in, TEMPLATE_FINDING_PREFILL, WEIR_GRADE_PROVED, 0, &text, err);
    }
    text_buffer_format(&text, "asks for an answer with \"%s\"", show(model, strlen(model)).text);
    text_buffer_format(&text, " instead of \"%s\"", show(base, len).text);
    return say(in, TEMPLATE_FINDING_PROMPT, WEIR_GRADE_PROVED, 0, &text, err);
}

static int by_text(const void *left, const void *right) {
    const normal_line *a = *(const normal_line *const *)left;
    const normal_line *b = *(const normal_line *const *)right;
    const int order = strcmp(a->text, b->text);
    return order != 0 ? order : (a->line > b->line) - (a->line < b->line);
}

static const normal_line **sorted_lines(const normal_form *form) {
    const normal_line **out = checked_alloc(form->count, sizeof(const normal_line *));
    for (size_t i = 0; out && i < form->count; i++) {
        out[i] = &form->lines[i];
    }
    if (out && form->count > 0) {
        qsort(out, form->count, sizeof(const normal_line *), by_text);
    }
    return out;
}

/* Lines that `of` has more often than `other`, told in the order of the template. */
static weir_code say_lines(template_comparison *in, const normal_form *of, const normal_form *other,
                           const char *verb, weir_error *err) {
    WEIR_CLEANUP(free) const normal_line **mine = sorted_lines(of);
    WEIR_CLEANUP(free) const normal_line **theirs = sorted_lines(other);
    WEIR_CLEANUP(free) bool *is_new = calloc(of->count + 1, sizeof *is_new);
    if (!mine || !theirs || !is_new) {
        return weir_fail_nomem(err);
    }
    size_t k = 0;
    for (size_t i = 0; i < of->count; i++) {
        int order = -1;
        while (k < other->count && (order = strcmp(theirs[k]->text, mine[i]->text)) < 0) {
            k++;
        }
        const bool is_shared = k < other->count && order == 0;
        k += is_shared;
        is_new[mine[i] - of->lines] = !is_shared;
    }
    size_t said = 0;
    for (size_t i = 0; i < of->count && said < STATEMENTS_MAX; i++) {
        WEIR_CLEANUP(text_buffer_release) text_buffer text = {0};
        if (is_new[i]) {
            said++;
            text_buffer_format(&text, "%s %s", verb,
                               show(of->lines[i].text, strlen(of->lines[i].text)).text);
            WEIR_TRY(say(in, TEMPLATE_FINDING_STATEMENT, WEIR_GRADE_PROVED, of->lines[i].line,
                         &text, err));
        }
    }
    return WEIR_OK;
}

static weir_code say_statements(template_comparison *in, weir_error *err) {
    const size_t before = in->out->finding_count;
    WEIR_TRY(say_lines(in, &in->model.lines, &in->base.lines, "has", err));
    WEIR_TRY(say_lines(in, &in->base.lines, &in->model.lines, "no longer has", err));
    if (in->out->finding_count > before) {
        return WEIR_OK;
    }
    WEIR_CLEANUP(text_buffer_release) text_buffer text = {0};
    text_buffer_format(&text, "has the same statements in another order");
    return say(in, TEMPLATE_FINDING_STATEMENT, WEIR_GRADE_PROVED, 0, &text, err);
}

/* A text in the prompt for an answer begins that answer, unless it is the heading above it. */
static void mark_prefills(template_comparison *in) {
    const char *prompt = in->model_prompt;
    const size_t len = prompt ? strlen(prompt) : 0;
    for (size_t i = 0; i < in->added_count && prompt; i++) {
        added_text *added = &in->added[i];
        const char *found = memmem(prompt, len, added->text, added->len);
        if (found && !(in->base_prompt && strstr(in->base_prompt, found)) &&
            !template_names_role(found, len - (size_t)(found - prompt))) {
            added->is_prefill = true;
        }
    }
}

weir_code template_describe(template_comparison *in, weir_error *err) {
    mark_prefills(in);
    for (size_t i = 0; i < in->added_count; i++) {
        WEIR_TRY(say_added(in, &in->added[i], err));
    }
    WEIR_TRY(say_dropped(in, err));
    WEIR_TRY(say_loops(in, err));
    WEIR_TRY(say_branches(in, err));
    WEIR_TRY(say_prompt(in, err));
    return say_statements(in, err);
}
