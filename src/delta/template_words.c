/* SPDX-License-Identifier: Apache-2.0 */
#include "delta/template_words.h"

#include <string.h>
#include <strings.h>

#include "delta/thresholds.h"

enum { MARK_BYTES_MAX = 64 };

/* Words by which templates name a role, and the role. */
static const char *const role_words[][2] = {
    {"system", "system"},       {"user", "user"},         {"human", "user"},
    {"assistant", "assistant"}, {"model", "assistant"},   {"bot", "assistant"},
    {"gpt", "assistant"},       {"tool", "tool"},         {"ipython", "tool"},
    {"observation", "tool"},    {"function", "tool"},     {"developer", "system"},
    {"instruction", "user"},    {"response", "assistant"}};
/* Marks that name none, but belong to one. */
static const char *const role_marks[][2] = {
    {"[/INST]", "assistant"}, {"[INST]", "user"}, {"<<SYS>>", "system"}, {"<</SYS>>", "user"}};

static bool is_letter(char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (unsigned char)c >= 0x80;
}

static const char *role_of_word(const char *word, size_t len) {
    for (size_t i = 0; i < sizeof role_words / sizeof *role_words; i++) {
        if (strlen(role_words[i][0]) == len && strncasecmp(role_words[i][0], word, len) == 0) {
            return role_words[i][1];
        }
    }
    return NULL;
}

/* @return the bytes of the mark that starts here, or 0. */
static size_t mark_len(const char *text, size_t len) {
    static const char pairs[][2] = {{'<', '>'}, {'[', ']'}};
    for (size_t k = 0; k < sizeof pairs / sizeof *pairs; k++) {
        if (text[0] != pairs[k][0]) {
            continue;
        }
        size_t i = 1;
        for (; i < len && i < MARK_BYTES_MAX; i++) {
            if (text[i] == ' ' || text[i] == '\n') {
                return 0;
            }
            if (text[i] == pairs[k][1]) {
                const bool is_doubled = i + 1 < len && text[i + 1] == pairs[k][1];
                return i + 1 + is_doubled;
            }
        }
        if (i == len && text[0] == '<') {
            return len; /* the rest of the mark is computed */
        }
    }
    return 0;
}

/* @return the bytes of "name": or 'name': here, or 0. */
static size_t key_len(const char *text, size_t len) {
    if (text[0] != '"' && text[0] != '\'') {
        return 0;
    }
    size_t i = 1;
    while (i < len && i < MARK_BYTES_MAX && (is_letter(text[i]) || text[i] == '_')) {
        i++;
    }
    if (i == len || text[i] != text[0]) {
        return 0;
    }
    for (i++; i < len && text[i] == ' '; i++) {
    }
    return i < len && text[i] == ':' ? i + 1 : 0;
}

/* The next word that is no mark, key or role. @return whether there is one in [*begin, *end) */
static bool next_word(const char *text, size_t len, size_t *begin, size_t *end) {
    for (size_t i = *end; i < len;) {
        const size_t mark = mark_len(text + i, len - i);
        const size_t key = mark ? mark : key_len(text + i, len - i);
        size_t stop = i + key;
        while (key == 0 && stop < len &&
               (is_letter(text[stop]) || (stop > i && text[stop] == '-'))) {
            stop++;
        }
        if (key == 0 && stop > i && !role_of_word(text + i, stop - i)) {
            *begin = i;
            *end = stop;
            return true;
        }
        i = stop > i ? stop : i + 1;
    }
    return false;
}

void template_words(text_buffer *out, const char *text, size_t len) {
    size_t begin;
    size_t end = 0;
    while (next_word(text, len, &begin, &end)) {
        text_buffer_add(out, " ", out->len > 0);
        for (size_t i = begin; i < end; i++) {
            const char c = text[i];
            text_buffer_add(out, &(char){c >= 'A' && c <= 'Z' ? (char)(c + 32) : c}, 1);
        }
    }
}

bool template_has_words(const char *text, size_t len) {
    size_t begin;
    size_t end = 0;
    while (next_word(text, len, &begin, &end)) {
        if (end - begin >= THRESHOLD_WORD_LETTERS) {
            return true;
        }
    }
    return false;
}

static bool is_space(char c) {
    return c == ' ' || c == '\n' || c == '\t';
}

/* @return the bytes of a role's name and the line end or colon behind it, or 0. */
static size_t heading_len(const char *text, size_t len) {
    size_t end = 0;
    while (end < len && is_letter(text[end])) {
        end++;
    }
    const bool is_role = end > 0 && role_of_word(text, end);
    return is_role && end < len && (text[end] == '\n' || text[end] == ':') ? end + 1 : 0;
}

void template_trim_marks(const char **text, size_t *len) {
    for (size_t cut = 1; cut > 0 && *len > 0;) {
        const size_t mark = mark_len(*text, *len);
        cut = mark ? mark : heading_len(*text, *len);
        cut = cut ? cut : is_space(**text);
        *text += cut;
        *len -= cut;
    }
    for (size_t at = *len; at > 0;) {
        at--;
        const char c = (*text)[at];
        const bool begins_last_mark =
            (c == '<' || c == '[') && mark_len(*text + at, *len - at) == *len - at;
        if (begins_last_mark || (at + 1 == *len && is_space(c))) {
            *len = at;
        } else if (*len - at > MARK_BYTES_MAX) {
            break;
        }
    }
}

/* Whether a word stands as a heading does, and not in a sentence: in a mark or behind one, at the
 * start of a line of its own, or before a colon. */
static bool is_heading(const char *text, size_t len, size_t begin, size_t end) {
    const char before = begin > 0 ? text[begin - 1] : '\n';
    const char behind = end < len ? text[end] : '\n';
    const bool is_titled = before == ' ' && begin > 1 && text[begin - 2] == '#';
    if (behind == '=') {
        return false;
    }
    return behind == ':' || strchr("<|>[/", before) ||
           ((before == '\n' || is_titled) && strchr("\n|>]<", behind));
}

/* The role that is named last in a text, or NULL. */
static const char *last_role(const char *text, size_t len) {
    const char *role = NULL;
    for (size_t i = 0; i < len;) {
        size_t used = 0;
        for (size_t k = 0; k < sizeof role_marks / sizeof *role_marks && used == 0; k++) {
            const size_t size = strlen(role_marks[k][0]);
            if (len - i >= size && memcmp(text + i, role_marks[k][0], size) == 0) {
                role = role_marks[k][1];
                used = size;
            }
        }
        size_t end = i;
        while (end < len && (is_letter(text[end]) || text[end] == '_')) {
            end++; /* tool_call names no role */
        }
        if (used == 0 && end > i) {
            const char *named =
                is_heading(text, len, i, end) ? role_of_word(text + i, end - i) : NULL;
            role = named ? named : role;
            used = end - i;
        }
        i += used ? used : 1;
    }
    return role;
}

bool template_names_role(const char *text, size_t len) {
    return last_role(text, len) != NULL;
}

static const datum *member(const datum *message, const char *name) {
    for (size_t i = 0; i < message->dict->count; i++) {
        if (value_is_text(&message->dict->keys[i], name)) {
            return &message->dict->values[i];
        }
    }
    return NULL;
}

static const char *role_name(const datum *message) {
    const datum *role = message ? member(message, "role") : NULL;
    return role && role->kind == VALUE_STRING ? role->text : NULL;
}

static bool is_between_marks(const char *text, size_t len) {
    for (size_t i = 0; i < len; i++) {
        if (text[i] != ' ' && text[i] != '\n' && text[i] != '\t') {
            return false;
        }
    }
    return true;
}

const char *template_role_at(const char *rendered, size_t rendered_len, size_t at, size_t len,
                             const conversation *of, bool *out_is_end) {
    /* A text of several lines may begin with the heading that it stands under. */
    const char *line_end = memchr(rendered + at, '\n', len);
    const size_t heading = line_end ? (size_t)(line_end - rendered) + 1 - at : 0;
    const datum *before = NULL;
    size_t begin = 0;
    size_t searched = 0;
    *out_is_end = true;
    for (size_t i = 0; i < of->messages->list->count; i++) {
        const datum *message = &of->messages->list->items[i];
        const datum *content = member(message, "content");
        if (!content || content->kind != VALUE_STRING || content->len == 0) {
            continue;
        }
        const char *found =
            memmem(rendered + searched, rendered_len - searched, content->text, content->len);
        if (!found) {
            continue;
        }
        const size_t start = (size_t)(found - rendered);
        if (start >= at + len) { /* the first message behind the place */
            *out_is_end = false;
            const char *named = last_role(rendered + begin, at - begin + heading);
            if (named) {
                return named;
            }
            const bool touches_last = before && is_between_marks(rendered + begin, at - begin);
            const bool touches_next = is_between_marks(rendered + at + len, start - at - len);
            return touches_last ? role_name(before) : touches_next ? role_name(message) : NULL;
        }
        searched = start + content->len;
        begin = searched < at ? searched : begin;
        before = message;
    }
    const char *named = last_role(rendered + begin, at > begin ? at - begin + heading : 0);
    return named ? named : before ? role_name(before) : NULL;
}
