/* SPDX-License-Identifier: Apache-2.0 */
#include "delta/template_delta.h"

#include <stdio.h>
#include <string.h>

#include "base/fail.h"
#include "base/limits.h"
#include "delta/template_compare.h"
#include "delta/template_words.h"

enum { ADDED_MAX = 64, SEPARATOR = 1 };

static void release_side(template_side *side) {
    normal_form_release(&side->lines);
    taint_release(&side->taint);
    text_buffer_release(&side->literals);
    text_buffer_release(&side->words);
}

static void comparison_release_cleanup(template_comparison *in) {
    release_side(&in->base);
    release_side(&in->model);
}

static weir_code analyse(template_side *side, arena *memory, weir_error *err) {
    WEIR_TRY(normal_form_make(&side->lines, memory, side->tree, /* renames= */ false, err));
    WEIR_TRY(taint_find(&side->taint, memory, side->tree, err));
    text_buffer_add(&side->words, " ", 1);
    for (size_t i = 0; i < side->taint.text_count; i++) {
        const template_node *node = side->taint.texts[i].node;
        text_buffer_add(&side->literals, node->text, node->len);
        text_buffer_add(&side->literals, &(char){SEPARATOR}, 1);
        template_words(&side->words, node->text, node->len);
    }
    text_buffer_add(&side->words, " ", 1);
    return side->words.failed || side->literals.failed ? weir_fail_nomem(err) : WEIR_OK;
}

static bool is_equal_form(const normal_form *a, const normal_form *b) {
    if (a->count != b->count) {
        return false;
    }
    for (size_t i = 0; i < a->count; i++) {
        if (a->lines[i].depth != b->lines[i].depth ||
            strcmp(a->lines[i].text, b->lines[i].text) != 0) {
            return false;
        }
    }
    return true;
}

static weir_code is_cosmetic(bool *out, const template_comparison *in, weir_error *err) {
    WEIR_CLEANUP(normal_form_release) normal_form base = {0};
    WEIR_CLEANUP(normal_form_release) normal_form model = {0};
    WEIR_TRY(normal_form_make(&base, in->memory, in->base.tree, /* renames= */ true, err));
    WEIR_TRY(normal_form_make(&model, in->memory, in->model.tree, /* renames= */ true, err));
    *out = is_equal_form(&base, &model);
    return WEIR_OK;
}

static bool pool_holds(const text_buffer *pool, const char *text, size_t len) {
    return len == 0 || (pool->len > 0 && memmem(pool->data, pool->len, text, len));
}

/* The most bytes from the front (or the back) that stand in the pool in one piece. If n do, so do
 * fewer, so bisection finds them. */
static size_t known_bytes(const text_buffer *pool, const template_node *node, bool from_back) {
    size_t low = 0;
    size_t high = node->len;
    while (low < high) {
        const size_t middle = low + (high - low + 1) / 2;
        const char *begin = from_back ? node->text + node->len - middle : node->text;
        if (pool_holds(pool, begin, middle)) {
            low = middle;
        } else {
            high = middle - 1;
        }
    }
    return low;
}

static bool is_space(char c) {
    return c == ' ' || c == '\n' || c == '\t';
}

/* The part of a text that the base has nowhere, in whole words. @return whether it has words */
static bool new_part(const template_side *base, const template_node *node, const char **out,
                     size_t *out_len) {
    size_t begin = known_bytes(&base->literals, node, /* from_back= */ false);
    size_t end = node->len - known_bytes(&base->literals, node, /* from_back= */ true);
    if (begin >= node->len || end == 0) {
        return false;
    }
    if (begin >= end) { /* a text that was cut, or doubled: nothing that the base has not */
        return false;
    }
    /* Out to the ends of words and marks. */
    const char *text = node->text;
    while (begin > 0 && !is_space(text[begin]) && !is_space(text[begin - 1]) &&
           text[begin - 1] != '>' && text[begin] != '<') {
        begin--;
    }
    while (end < node->len && !is_space(text[end - 1]) && !is_space(text[end]) &&
           text[end - 1] != '>' && text[end] != '<') {
        end++;
    }
    *out = text + begin;
    *out_len = end - begin;
    template_trim_marks(out, out_len);
    return template_has_words(*out, *out_len);
}

/* Whether the base has the same words in the same order, however it spells what is between them. */
static weir_code are_known_words(bool *out, const template_side *base, const char *text, size_t len,
                                 weir_error *err) {
    WEIR_CLEANUP(text_buffer_release) text_buffer words = {0};
    text_buffer_add(&words, " ", 1);
    template_words(&words, text, len);
    text_buffer_add(&words, " ", 1);
    if (words.failed) {
        return weir_fail_nomem(err);
    }
    /* template_words() puts a space before a word that follows one, so there may be two in front.
     */
    const size_t skipped = words.len > 1 && words.data[1] == ' ';
    *out = pool_holds(&base->words, words.data + skipped, words.len - skipped);
    return WEIR_OK;
}

weir_code template_find_added(template_comparison *in, weir_error *err) {
    const taint_report *taint = &in->model.taint;
    in->added = arena_alloc(in->memory, ADDED_MAX, sizeof *in->added);
    if (!in->added) {
        return weir_fail_nomem(err);
    }
    for (size_t i = 0; i < taint->text_count && in->added_count < ADDED_MAX; i++) {
        added_text added = {.from = &taint->texts[i]};
        bool is_known;
        if (!new_part(&in->base, added.from->node, &added.text, &added.len)) {
            continue;
        }
        WEIR_TRY(are_known_words(&is_known, &in->base, added.text, added.len, err));
        if (!is_known) {
            in->added[in->added_count++] = added;
        }
    }
    return WEIR_OK;
}

static weir_code say_unread(template_delta *out, arena *memory, const char *side,
                            const weir_error *why, weir_error *err) {
    char line[640];
    char text[720];
    (void)weir_error_format(why, line, sizeof line);
    (void)snprintf(text, sizeof text, "the %s's template cannot be read: %s", side, line);
    out->kind = TEMPLATE_DELTA_NOT_COMPARABLE;
    out->findings = arena_alloc(memory, 1, sizeof *out->findings);
    if (!out->findings) {
        return weir_fail_nomem(err);
    }
    out->finding_count = 1;
    out->findings[0] =
        (template_finding){.kind = TEMPLATE_FINDING_UNREAD, .grade = WEIR_GRADE_UNKNOWN};
    return arena_keep_text(&out->findings[0].text, memory, text, err);
}

/* Parse one side. *out_is_read stays false, with the reason said, for what cannot be read. */
static weir_code read_side(template_comparison *in, template_side *side, const char *name,
                           const char *text, size_t len, bool *out_is_read, weir_error *err) {
    weir_error why = {0};
    const weir_code code = template_parse(&side->tree, in->memory, text, len, &why);
    *out_is_read = code == WEIR_OK;
    if (code == WEIR_ERR_NOMEM) {
        return weir_fail_nomem(err);
    }
    return code == WEIR_OK ? WEIR_OK : say_unread(in->out, in->kept, name, &why, err);
}

weir_code template_delta_find(template_delta *out, arena *memory, const char *base, size_t base_len,
                              const char *model, size_t model_len, weir_error *err) {
    *out = (template_delta){.kind = TEMPLATE_DELTA_SAME, .first_difference = ""};
    if (base_len == model_len && memcmp(base, model, base_len) == 0) {
        return WEIR_OK;
    }
    WEIR_CLEANUP(arena_release) arena scratch = {0};
    WEIR_CLEANUP(comparison_release)
    template_comparison in = {.memory = &scratch, .kept = memory, .out = out};
    bool is_read;
    bool is_alike;
    WEIR_TRY(read_side(&in, &in.base, "base", base, base_len, &is_read, err));
    if (is_read) {
        WEIR_TRY(read_side(&in, &in.model, "model", model, model_len, &is_read, err));
    }
    if (!is_read) {
        return WEIR_OK;
    }
    WEIR_TRY(analyse(&in.base, &scratch, err));
    WEIR_TRY(analyse(&in.model, &scratch, err));
    WEIR_TRY(conversations_make(&in.grid, &scratch, &in.base.taint, &in.model.taint, err));
    WEIR_TRY(template_find_added(&in, err));
    WEIR_TRY(template_render_both(&in, err));
    WEIR_TRY(is_cosmetic(&is_alike, &in, err));
    if (is_alike && out->rendered_differ == 0) {
        out->kind = TEMPLATE_DELTA_COSMETIC;
        return WEIR_OK;
    }
    out->kind = TEMPLATE_DELTA_CHANGED;
    return template_describe(&in, err);
}

const char *template_delta_kind_name(template_delta_kind kind) {
    switch (kind) {
    case TEMPLATE_DELTA_SAME:
        return "same";
    case TEMPLATE_DELTA_COSMETIC:
        return "cosmetic";
    case TEMPLATE_DELTA_CHANGED:
        return "changed";
    case TEMPLATE_DELTA_NOT_COMPARABLE:
        return "not_comparable";
    }
    return "";
}

const char *template_finding_class_name(template_finding_class kind) {
    switch (kind) {
    case TEMPLATE_FINDING_CONTENT_TRIGGER:
        return "content_trigger";
    case TEMPLATE_FINDING_DATE_TRIGGER:
        return "date_trigger";
    case TEMPLATE_FINDING_PREFILL:
        return "prefill";
    case TEMPLATE_FINDING_TEXT_ADDED:
        return "text_added";
    case TEMPLATE_FINDING_DROPPED:
        return "dropped";
    case TEMPLATE_FINDING_REFUSES:
        return "refuses";
    case TEMPLATE_FINDING_LARGE_LOOP:
        return "large_loop";
    case TEMPLATE_FINDING_CONTENT_BRANCH:
        return "content_branch";
    case TEMPLATE_FINDING_DATE_BRANCH:
        return "date_branch";
    case TEMPLATE_FINDING_PROMPT:
        return "prompt";
    case TEMPLATE_FINDING_STATEMENT:
        return "statement";
    case TEMPLATE_FINDING_UNREAD:
        return "unread";
    }
    return "";
}
