/* SPDX-License-Identifier: Apache-2.0 */
/* Two templates over one grid: which texts differ, and what the differing text shows. */
#include <stdio.h>
#include <string.h>

#include "base/fail.h"
#include "base/limits.h"
#include "delta/template_compare.h"
#include "delta/template_words.h"

/* How many conversations may go past a limit before the rest is left out. */
enum { TOO_LONG_MAX = 2, SNIPPET_BYTES = 100 };

typedef struct pair {
    template_rendering base;
    template_rendering model;
    const conversation *of;
} pair;

static bool holds(const template_rendering *in, const char *text, size_t len) {
    return memmem(in->text, in->len, text, len) != NULL;
}

static void note_added(template_comparison *in, const pair *at) {
    for (size_t i = 0; i < in->added_count; i++) {
        added_text *added = &in->added[i];
        const bool is_probe =
            at->of->probe && memmem(at->of->probe, strlen(at->of->probe), added->text, added->len);
        if (is_probe || !holds(&at->model, added->text, added->len) ||
            holds(&at->base, added->text, added->len)) {
            continue;
        }
        added->seen++;
        added->seen_fixed += !at->of->probe;
        if (added->seen > 1) {
            continue;
        }
        const char *found = memmem(at->model.text, at->model.len, added->text, added->len);
        bool is_end;
        added->role =
            template_role_at(at->model.text, at->model.len, (size_t)(found - at->model.text),
                             added->len, at->of, &is_end);
        const value_list *messages = at->of->messages->list;
        bool answers = false;
        if (messages->count > 0) {
            const value_dict *last = messages->items[messages->count - 1].dict;
            answers = value_is_text(&last->values[0], "assistant"); /* "role" comes first */
        }
        added->is_prefill =
            is_end && !answers && added->role && strcmp(added->role, "assistant") == 0;
        added->probe = at->of->probe;
    }
}

static size_t dropped_index(const datum *role) {
    static const char *const roles[] = {"system", "user", "assistant", "tool"};
    size_t i = 0;
    while (i < DROPPED_TOOLS && !value_is_text(role, roles[i])) {
        i++;
    }
    return i;
}

/* Messages whose text the base's rendering holds and the model's does not. Text with marks in it is
 * left out: templates cut thoughts away. */
static void note_dropped(template_comparison *in, const pair *at) {
    static const char description[] = "When the library is open";
    bool is_counted[DROPPED_COUNT] = {false};
    for (size_t i = 0; i < at->of->messages->list->count; i++) {
        const value_dict *message = at->of->messages->list->items[i].dict;
        const datum *content = &message->values[message->count > 1 ? 1 : 0];
        for (size_t k = 0; k < message->count; k++) {
            content = value_is_text(&message->keys[k], "content") ? &message->values[k] : content;
        }
        const bool is_plain = content->kind == VALUE_STRING && content->len > 0 &&
                              !memchr(content->text, '<', content->len) &&
                              !memchr(content->text, '\n', content->len);
        const size_t role = dropped_index(&message->values[0]);
        if (is_plain && role < DROPPED_TOOLS && !is_counted[role] &&
            holds(&at->base, content->text, content->len) &&
            !holds(&at->model, content->text, content->len)) {
            in->dropped[role]++;
            is_counted[role] = true;
        }
    }
    in->dropped[DROPPED_TOOLS] += holds(&at->base, description, sizeof description - 1) &&
                                  !holds(&at->model, description, sizeof description - 1);
}

/* Where two texts part, backed up to the start of a word. */
static size_t parting(const template_rendering *a, const template_rendering *b) {
    size_t at = 0;
    while (at < a->len && at < b->len && a->text[at] == b->text[at]) {
        at++;
    }
    const size_t parted = at;
    while (at > 0 && parted - at < 24 && a->text[at - 1] != ' ' && a->text[at - 1] != '\n') {
        at--;
    }
    return parted - at < 24 ? at : parted;
}

static void add_snippet(text_buffer *out, const template_rendering *of, size_t at) {
    char shown[SNIPPET_BYTES + 8];
    if (of->outcome != TEMPLATE_RENDERED) {
        text_buffer_format(out, "%s (%s)", template_outcome_words(of->outcome), of->message);
        return;
    }
    const size_t rest = of->len - at;
    const size_t taken = rest < SNIPPET_BYTES ? rest : SNIPPET_BYTES;
    text_escape(shown, sizeof shown, of->text + at, taken);
    text_buffer_format(out, "\"%s%s\"", shown, strlen(shown) < taken || taken < rest ? " ..." : "");
}

static weir_code keep_first_difference(template_comparison *in, const pair *at, weir_error *err) {
    WEIR_CLEANUP(text_buffer_release) text_buffer text = {0};
    const bool are_texts =
        at->base.outcome == TEMPLATE_RENDERED && at->model.outcome == TEMPLATE_RENDERED;
    const size_t from = are_texts ? parting(&at->base, &at->model) : 0;
    add_snippet(&text, &at->base, from);
    text_buffer_format(&text, " -> ");
    add_snippet(&text, &at->model, from);
    if (text.failed) {
        return weir_fail_nomem(err);
    }
    return arena_keep_text(&in->out->first_difference, in->kept, text.data, err);
}

static weir_code note_difference(template_comparison *in, const pair *at, weir_error *err) {
    if (in->out->rendered_differ++ == 0) {
        WEIR_TRY(keep_first_difference(in, at, err));
    }
    in->probes_differ += at->of->probe != NULL;
    in->fixed_differ += at->of->probe == NULL;
    if (at->base.outcome == TEMPLATE_RENDERED && at->model.outcome == TEMPLATE_RENDERED) {
        note_added(in, at);
        note_dropped(in, at);
    } else if (at->base.outcome == TEMPLATE_RENDERED) {
        in->refused_line = in->refused++ ? in->refused_line : at->model.line;
        if (!in->refusal) {
            WEIR_TRY(arena_keep_text(&in->refusal, in->memory, at->model.message, err));
        }
    }
    return WEIR_OK;
}

static bool is_unanswered(const template_rendering *of) {
    return of->outcome == TEMPLATE_NOT_RENDERED || of->outcome == TEMPLATE_TOO_LONG;
}

static bool is_equal(const pair *at) {
    return at->base.outcome == at->model.outcome && at->base.len == at->model.len &&
           memcmp(at->base.text, at->model.text, at->base.len) == 0;
}

static weir_code render_pair(template_comparison *in, arena *scratch, const conversation *of,
                             pair *out, weir_error *err) {
    out->of = of;
    WEIR_TRY(template_render(&out->base, scratch, in->base.tree, &of->variables, &of->date, err));
    return template_render(&out->model, scratch, in->model.tree, &of->variables, &of->date, err);
}

/* What the prompt for an answer appends: the grid's first two conversations differ in it alone. */
static weir_code keep_prompt(template_comparison *in, const template_rendering *with,
                             const template_rendering *without, const char **out, weir_error *err) {
    if (with->outcome != TEMPLATE_RENDERED || without->outcome != TEMPLATE_RENDERED ||
        with->len < without->len || memcmp(with->text, without->text, without->len) != 0) {
        return WEIR_OK;
    }
    return arena_keep_text(out, in->memory, with->text + without->len, err);
}

static weir_code compare_prompts(template_comparison *in, weir_error *err) {
    WEIR_CLEANUP(arena_release) arena scratch = {0};
    pair with;
    pair without;
    WEIR_TRY(render_pair(in, &scratch, &in->grid.items[0], &with, err));
    WEIR_TRY(render_pair(in, &scratch, &in->grid.items[1], &without, err));
    WEIR_TRY(keep_prompt(in, &with.base, &without.base, &in->base_prompt, err));
    return keep_prompt(in, &with.model, &without.model, &in->model_prompt, err);
}

weir_code template_render_both(template_comparison *in, weir_error *err) {
    uint64_t steps = 0;
    size_t too_long = 0;
    WEIR_TRY(compare_prompts(in, err));
    for (size_t i = 0; i < in->grid.count; i++) {
        WEIR_CLEANUP(arena_release) arena scratch = {0};
        pair at;
        if (steps > TEMPLATE_DELTA_STEPS_MAX || too_long == TOO_LONG_MAX) {
            in->out->unrendered_n += in->grid.count - i;
            break;
        }
        WEIR_TRY(render_pair(in, &scratch, &in->grid.items[i], &at, err));
        steps += at.base.steps + at.model.steps;
        too_long += at.base.outcome == TEMPLATE_TOO_LONG || at.model.outcome == TEMPLATE_TOO_LONG;
        if (at.model.outcome == TEMPLATE_TOO_LONG && at.base.outcome != TEMPLATE_TOO_LONG) {
            in->is_endless = true;
            in->endless_line = at.model.line;
        }
        if (is_unanswered(&at.base) || is_unanswered(&at.model)) {
            in->out->unrendered_n++;
            continue;
        }
        in->out->rendered_n++;
        if (!is_equal(&at)) {
            WEIR_TRY(note_difference(in, &at, err));
        }
    }
    return WEIR_OK;
}
