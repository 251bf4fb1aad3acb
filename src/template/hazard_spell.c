/* SPDX-License-Identifier: Apache-2.0 */
/* Internal names put together from pieces; see hazard_scan.h. */
#include <ctype.h>
#include <math.h>
#include <string.h>

#include "base/checked.h"
#include "template/hazard_scan.h"

enum {
    SPELLING_BYTES_MAX = 1 << 16, /* of one statement */
    VARIABLE_BYTES_MAX = 256,
    REPEAT_MAX = 64,
    CHANGES_MAX = 512, /* of one statement; each moves the rest of the spelling */
    CAPTURE_TOKENS_MAX = 256,
    PLACEHOLDER_BYTES_MAX = 5,
};

/** Where one piece lies in the spelling. */
typedef struct piece {
    size_t begin;
    size_t end;
    bool had_name; /**< held an internal name as it was written: a literal, and judged as one */
} piece;

typedef struct spelling {
    text_buffer text;
    piece *pieces;
    size_t count;
    size_t capacity;
    size_t
        placeholders; /**< of a format that was not filled yet: where it waits, see fill_format */
    unsigned changes; /**< done so far */
    unsigned calls;   /**< of filters that change it, so far */
    bool has_numbers; /**< numbers are characters: chr, %c */
    bool failed;
} spelling;

static void spelling_release(spelling *spelled) {
    text_buffer_release(&spelled->text);
    free(spelled->pieces);
}
static void spelling_release_cleanup(spelling *spelled) {
    spelling_release(spelled);
}

static const hazard_rule spelled_name = {
    .id = "template-spelled-attribute",
    .severity = WEIR_SEVERITY_CRITICAL,
    .verdict = WEIR_VERDICT_MALICIOUS,
    .message = "the template puts %s together from pieces, which leads to the Python interpreter"};
static const hazard_rule captured_name = {
    .id = "template-spelled-attribute",
    .severity = WEIR_SEVERITY_CRITICAL,
    .verdict = WEIR_VERDICT_MALICIOUS,
    .message = "the template keeps %s as a value, which leads to the Python interpreter"};

/* Where a boundary of a piece comes to stand when [begin, begin + len) becomes `count` bytes. One
 * inside the replaced bytes goes to their new `edge`, so that a piece never reaches past the text.
 */
static size_t moved_boundary(size_t at, size_t begin, size_t len, size_t count, size_t edge) {
    if (at <= begin) {
        return at;
    }
    return at >= begin + len ? at - len + count : edge;
}

/* Replace the bytes [begin, begin + len) of the text, and move what lies behind. */
static void splice(spelling *spelled, size_t begin, size_t len, const char *bytes, size_t count) {
    spelled->changes++;
    text_buffer changed = {0};
    text_buffer_add(&changed, spelled->text.data, begin);
    text_buffer_add(&changed, bytes, count);
    text_buffer_add(&changed, spelled->text.data + begin + len, spelled->text.len - begin - len);
    text_buffer_release(&spelled->text);
    spelled->text = changed;
    if (changed.failed) {
        spelled->failed = true;
        spelled->count = 0; /* what is left of the text is not what the pieces speak of */
        return;
    }
    for (size_t i = 0; i < spelled->count; i++) {
        piece *it = &spelled->pieces[i];
        it->begin = moved_boundary(it->begin, begin, len, count, begin);
        it->end = moved_boundary(it->end, begin, len, count, begin + count);
    }
}

/* @return the first %s, %c, %d, {} or {N} at or behind `from`, its length in *out_len; or the end.
 */
static size_t find_placeholder(const spelling *spelled, size_t from, size_t *out_len) {
    for (size_t i = from; i + 1 < spelled->text.len; i++) {
        const char *text = spelled->text.data + i;
        const size_t left = spelled->text.len - i;
        if (text[0] == '%' && strchr("scdr", text[1]) && text[1]) {
            *out_len = 2;
            return i;
        }
        const char *close =
            text[0] == '{'
                ? memchr(text, '}', left < PLACEHOLDER_BYTES_MAX ? left : PLACEHOLDER_BYTES_MAX)
                : NULL;
        if (close) {
            *out_len = (size_t)(close - text) + 1;
            return i;
        }
    }
    return spelled->text.len;
}

static void add_piece(spelling *spelled, const char *text, size_t len) {
    void *pieces = spelled->pieces;
    if (spelled->text.len + len > SPELLING_BYTES_MAX || len == 0) {
        return;
    }
    if (spelled->placeholders < spelled->text.len && spelled->changes < CHANGES_MAX) {
        size_t hole_len = 0;
        const size_t hole = find_placeholder(spelled, spelled->placeholders, &hole_len);
        if (hole < spelled->text.len) {
            splice(spelled, hole, hole_len, text, len);
            spelled->placeholders = hole + len;
            return;
        }
    }
    if (!checked_grow(&pieces, &spelled->capacity, spelled->count, sizeof *spelled->pieces)) {
        spelled->failed = true;
        return;
    }
    spelled->pieces = pieces;
    size_t begin;
    size_t end;
    spelled->pieces[spelled->count++] = (piece){spelled->text.len, spelled->text.len + len,
                                                hazard_word_inside(text, len, &begin, &end)};
    text_buffer_add(&spelled->text, text, len);
    spelled->failed |= spelled->text.failed;
}

static const hazard_variable *find_variable(const hazard_scan *scan, const char *name, size_t len) {
    const size_t count =
        scan->variable_count < HAZARD_VARIABLES_MAX ? scan->variable_count : HAZARD_VARIABLES_MAX;
    for (size_t i = 0; i < count; i++) {
        if (scan->variables[i].name_len == len && memcmp(scan->variables[i].name, name, len) == 0) {
            return &scan->variables[i];
        }
    }
    return NULL;
}

static void set_variable(hazard_scan *scan, const char *name, size_t name_len, const char *text,
                         size_t len, double number) {
    const hazard_variable *known = find_variable(scan, name, name_len);
    const size_t used = len < VARIABLE_BYTES_MAX ? len : VARIABLE_BYTES_MAX;
    const char *copy = arena_copy_text(&scan->memory, text, used);
    if (!copy) {
        scan->failed = true;
        return;
    }
    const size_t slot =
        known ? (size_t)(known - scan->variables) : scan->variable_count++ % HAZARD_VARIABLES_MAX;
    scan->variables[slot] = (hazard_variable){name, name_len, copy, used, number};
}

/* Do .replace(a, b), .split(a), .strip(a) and |striptags to what was spelled so far. */
static void remove_all(spelling *spelled, const text_buffer *from, const text_buffer *to) {
    for (size_t i = 0; from->len > 0 && i + from->len <= spelled->text.len &&
                       spelled->text.len < SPELLING_BYTES_MAX && spelled->changes < CHANGES_MAX;) {
        if (memcmp(spelled->text.data + i, from->data, from->len) == 0) {
            splice(spelled, i, from->len, to->data ? to->data : "", to->len);
            i += to->len;
        } else {
            i++;
        }
    }
}

static void strip_tags(spelling *spelled) {
    for (size_t i = 0; i < spelled->text.len && spelled->changes < CHANGES_MAX; i++) {
        const char *text = spelled->text.data + i;
        const char *close = text[0] == '<' ? memchr(text, '>', spelled->text.len - i) : NULL;
        if (close) {
            splice(spelled, i, (size_t)(close - text) + 1, "", 0);
            i--;
        } else if (text[0] == '<') {
            return; /* no tag ends behind here */
        }
    }
}

static void decode_token(const hazard_scan *scan, size_t i, text_buffer *out) {
    const template_token *token = hazard_token(scan, i);
    if (token->kind == TEMPLATE_STRING) {
        hazard_literal_decode(out, token->text, token->len);
    }
}

/* How often the value before `i` stands there: value * 2. */
static double find_repeats(const hazard_scan *scan, size_t i) {
    const double repeats = hazard_is(scan, i, "*") ? hazard_number(scan, i + 1, i + 2) : 1;
    return isnan(repeats) ? 1 : repeats;
}

/* @return the index of the last token that belongs to the change, or `i` when it is none. */
static size_t spell_change(spelling *spelled, const hazard_scan *scan, size_t i) {
    if (spelled->calls == CHANGES_MAX) {
        return i;
    }
    static const char *const removers[] = {"replace", "split",  "strip",
                                           "rsplit",  "lstrip", "rstrip"};
    if (hazard_is(scan, i, "striptags")) {
        spelled->calls++;
        strip_tags(spelled);
        return i;
    }
    for (size_t k = 0; k < sizeof removers / sizeof *removers; k++) {
        if (hazard_is(scan, i, removers[k]) && hazard_is(scan, i + 1, "(")) {
            WEIR_CLEANUP(text_buffer_release) text_buffer from = {0};
            WEIR_CLEANUP(text_buffer_release) text_buffer to = {0};
            spelled->calls++;
            const bool has_two = hazard_is(scan, i + 3, ",");
            decode_token(scan, i + 2, &from);
            decode_token(scan, has_two ? i + 4 : scan->count, &to);
            remove_all(spelled, &from, &to);
            return hazard_closing(scan, i + 1);
        }
    }
    return i;
}

/* 'xyz'[a:b:c] with plain numbers. */
static size_t spell_slice(text_buffer *text, const hazard_scan *scan, size_t i) {
    double bounds[3] = {NAN, NAN, NAN};
    const size_t end = hazard_is(scan, i + 1, "[") ? hazard_closing(scan, i + 1) : 0;
    size_t colons = 0;
    for (size_t k = i + 2; k < end; k++) {
        const bool is_minus = hazard_is(scan, k, "-");
        if (hazard_is(scan, k, ":") && colons < 2) {
            colons++;
        } else if (hazard_token(scan, k + is_minus)->kind == TEMPLATE_NUMBER) {
            bounds[colons] = hazard_number(scan, k, k + 1 + is_minus);
            k += is_minus;
        }
    }
    const double len = (double)text->len;
    const double step = isnan(bounds[2]) ? 1 : bounds[2];
    if (colons == 0 || step < 1 || step > len) {
        return i;
    }
    for (size_t k = 0; k < 2; k++) {
        bounds[k] = isnan(bounds[k]) ? (k == 0 ? 0 : len) : bounds[k];
        bounds[k] = fmin(fmax(bounds[k] < 0 ? bounds[k] + len : bounds[k], 0), len);
    }
    size_t used = 0;
    for (size_t k = (size_t)bounds[0]; k < (size_t)bounds[1]; k += (size_t)step) {
        text->data[used++] = text->data[k];
    }
    text->len = used;
    return end;
}

static bool is_format_operator(const hazard_scan *scan, size_t i) {
    return hazard_is(scan, i, "%") || ((hazard_is(scan, i, "|") || hazard_is(scan, i, ".")) &&
                                       hazard_is(scan, i + 1, "format"));
}

/* @return the last token used. */
static size_t spell_literal(spelling *spelled, const hazard_scan *scan, size_t i) {
    WEIR_CLEANUP(text_buffer_release) text_buffer text = {0};
    decode_token(scan, i, &text);
    spelled->failed |= text.failed;
    if (text.len == 0 || text.failed) {
        return i;
    }
    const size_t last = spell_slice(&text, scan, i);
    const double repeats = find_repeats(scan, last + 1);
    const size_t begin = spelled->text.len;
    for (size_t k = 0; k < REPEAT_MAX && (double)k < repeats; k++) {
        add_piece(spelled, text.data, text.len);
    }
    spelled->has_numbers |= memmem(text.data, text.len, "%c", 2) != NULL ||
                            memmem(text.data, text.len, ":c", 2) != NULL;
    if (is_format_operator(scan, last + 1)) {
        spelled->placeholders = begin;
    }
    return last;
}

/* A variable, or its repetition: name * 2. */
static void spell_variable(spelling *spelled, const hazard_scan *scan, size_t i,
                           const hazard_variable *variable) {
    const double repeats = find_repeats(scan, i + 1);
    for (size_t k = 0; k < REPEAT_MAX && (double)k < repeats; k++) {
        add_piece(spelled, variable->text, variable->len);
    }
}

static void spell_number(spelling *spelled, const hazard_scan *scan, size_t i) {
    const double number = hazard_number(scan, i, i + 1);
    if (spelled->has_numbers && number >= 32 && number < 127) {
        const char character = (char)number;
        add_piece(spelled, &character, 1);
    }
}

static void spell_statement(spelling *spelled, const hazard_scan *scan,
                            const hazard_statement *statement) {
    bool in_dict = false;
    for (size_t i = statement->begin; i < statement->end; i++) {
        const template_token *token = hazard_token(scan, i);
        if (token->kind == TEMPLATE_STRING) {
            i = spell_literal(spelled, scan, i);
        } else if (token->kind == TEMPLATE_NUMBER) {
            spell_number(spelled, scan, i);
        } else if (token->kind == TEMPLATE_NAME) {
            const hazard_variable *variable = find_variable(scan, token->text, token->len);
            in_dict = in_dict || hazard_is(scan, i, "dict");
            if (hazard_is(scan, i + 1, "=") && in_dict) {
                add_piece(spelled, token->text, token->len);
            } else if (variable && !hazard_is(scan, i + 1, "=") && !hazard_is(scan, i + 1, ".")) {
                spell_variable(spelled, scan, i, variable);
            }
            i = spell_change(spelled, scan, i);
        }
    }
}

static void find_features(spelling *spelled, const hazard_scan *scan,
                          const hazard_statement *statement, bool *out_changes_case) {
    static const char *const cases[] = {"lower", "casefold",   "swapcase",
                                        "upper", "capitalize", "title"};
    for (size_t i = statement->begin; i < statement->end; i++) {
        spelled->has_numbers |= hazard_is(scan, i, "chr") || hazard_is(scan, i, "unichr") ||
                                hazard_is_literal(scan, i, "chr") ||
                                hazard_is_literal(scan, i, "c");
        for (size_t k = 0; k < sizeof cases / sizeof *cases; k++) {
            *out_changes_case |=
                hazard_is(scan, i, cases[k]) || hazard_is_literal(scan, i, cases[k]);
        }
    }
}

/* Whether a name was not spelled but written: inside one piece, which no change made. */
static bool is_written(const spelling *spelled, bool was_changed, size_t begin, size_t end) {
    for (size_t i = 0; i < spelled->count; i++) {
        const piece *it = &spelled->pieces[i];
        if (it->begin <= begin && end <= it->end) {
            return it->had_name || !was_changed;
        }
    }
    return false;
}

/* @param written  NULL when nothing in the text was written so */
static bool find_spelled(const text_buffer *text, const spelling *written, bool was_changed,
                         char *out, size_t size) {
    size_t from = 0;
    size_t begin;
    size_t end;
    while (text->data && from < text->len &&
           hazard_word_inside(text->data + from, text->len - from, &begin, &end)) {
        if (!written || !is_written(written, was_changed, from + begin, from + end)) {
            text_escape(out, size, text->data + from + begin, end - begin);
            return true;
        }
        from += begin + 1;
    }
    return false;
}

/* The pieces in the reverse order; one that holds a name by itself is left out. */
static void reverse_pieces(const spelling *spelled, text_buffer *out) {
    for (size_t i = spelled->count; i > 0; i--) {
        const piece *it = &spelled->pieces[i - 1];
        if (!it->had_name) {
            text_buffer_add(out, spelled->text.data + it->begin, it->end - it->begin);
        }
    }
}

static void reverse_bytes(const spelling *spelled, text_buffer *out) {
    for (size_t i = spelled->text.len; i > 0; i--) {
        text_buffer_add(out, spelled->text.data + i - 1, 1);
    }
}

static void judge_spelling(hazard_scan *scan, spelling *spelled, size_t token, bool changes_case,
                           bool was_changed) {
    char found[64];
    WEIR_CLEANUP(text_buffer_release) text_buffer backward = {0};
    WEIR_CLEANUP(text_buffer_release) text_buffer mirrored = {0};
    if (spelled->text.len == 0 || spelled->failed) {
        return;
    }
    if (changes_case) {
        for (size_t i = 0; i < spelled->text.len; i++) {
            const char c = spelled->text.data[i];
            spelled->text.data[i] = c >= 'A' && c <= 'Z' ? (char)(c | 0x20) : c;
        }
    }
    reverse_pieces(spelled, &backward);
    reverse_bytes(spelled, &mirrored);
    spelled->failed |= backward.failed || mirrored.failed;
    if (!spelled->failed &&
        (find_spelled(&spelled->text, spelled, was_changed, found, sizeof found) ||
         find_spelled(&backward, NULL, was_changed, found, sizeof found) ||
         find_spelled(&mirrored, NULL, was_changed, found, sizeof found))) {
        hazard_add(scan, &spelled_name, token, found);
    }
}

/* Remember NAME = 'text', 'key': 'text', and the whole of {% set name = ... %}. */
static void remember_texts(hazard_scan *scan, const hazard_statement *statement) {
    for (size_t i = statement->begin; i + 2 < statement->end; i++) {
        const template_token *name = hazard_token(scan, i);
        const bool is_key = name->kind == TEMPLATE_STRING && hazard_is(scan, i + 1, ":");
        const bool is_name = name->kind == TEMPLATE_NAME && hazard_is(scan, i + 1, "=");
        if ((is_key || is_name) && hazard_token(scan, i + 2)->kind == TEMPLATE_STRING) {
            WEIR_CLEANUP(text_buffer_release) text_buffer text = {0};
            decode_token(scan, i + 2, &text);
            set_variable(scan, name->text + is_key, name->len - (is_key ? 2 : 0),
                         text.data ? text.data : "", text.len, NAN);
        }
    }
}

/* {% set a, b = 'x', 'y' %}: each name gets the piece at its place. */
static void remember_set(hazard_scan *scan, const hazard_statement *statement,
                         const spelling *spelled) {
    size_t equals = statement->begin;
    size_t names = 0;
    while (equals < statement->end && !hazard_is(scan, equals, "=")) {
        equals++;
        names += hazard_is(scan, equals, ",");
    }
    if (equals == statement->end || !spelled->text.data) {
        const double number = hazard_number(scan, equals + 1, statement->end);
        const template_token *name = hazard_token(scan, equals - 1);
        if (equals < statement->end && !isnan(number)) {
            set_variable(scan, name->text, name->len, "", 0, number);
        }
        return;
    }
    size_t index = 0;
    for (size_t i = statement->begin + 1; i < equals; i++) {
        const template_token *name = hazard_token(scan, i);
        const bool is_last_part = name->kind == TEMPLATE_NAME && !hazard_is(scan, i + 1, ".");
        if (is_last_part && names == 0) {
            set_variable(scan, name->text, name->len, spelled->text.data, spelled->text.len, NAN);
        } else if (is_last_part && index < spelled->count) {
            const piece *it = &spelled->pieces[index++];
            set_variable(scan, name->text, name->len, spelled->text.data + it->begin,
                         it->end - it->begin, NAN);
        }
    }
}

static bool has_change(const hazard_scan *scan, const hazard_statement *statement) {
    static const char *const changes[] = {"replace", "split",  "strip",
                                          "lstrip",  "rstrip", "striptags"};
    for (size_t i = statement->begin; i < statement->end; i++) {
        for (size_t k = 0; k < sizeof changes / sizeof *changes; k++) {
            if (hazard_is(scan, i, changes[k])) {
                return true;
            }
        }
    }
    return false;
}

void hazard_spell(hazard_scan *scan, const hazard_statement *statement) {
    WEIR_CLEANUP(spelling_release) spelling spelled = {.placeholders = SIZE_MAX};
    bool changes_case = false;
    find_features(&spelled, scan, statement, &changes_case);
    spell_statement(&spelled, scan, statement);
    judge_spelling(scan, &spelled, statement->begin, changes_case,
                   changes_case || has_change(scan, statement));
    if (!statement->is_output) {
        remember_texts(scan, statement);
        if (hazard_is(scan, statement->begin, "set")) {
            remember_set(scan, statement, &spelled);
        }
    }
    scan->failed |= spelled.failed;
}

/* {% set NAME %} or {% macro NAME(...) %}; @return the name's index or 0. */
static size_t find_capture(const hazard_scan *scan, size_t i) {
    if (hazard_token(scan, i)->kind != TEMPLATE_BLOCK_BEGIN) {
        return 0;
    }
    const bool is_set = hazard_is(scan, i + 1, "set");
    if (is_set) {
        for (size_t k = i + 2; hazard_token(scan, k)->kind != TEMPLATE_BLOCK_END; k++) {
            if (hazard_is(scan, k, "=") || k >= scan->count) {
                return 0;
            }
        }
    }
    return is_set || hazard_is(scan, i + 1, "macro") ? i + 2 : 0;
}

/* A value that is exactly an internal name has one use. Prose around it stays prose. */
static void judge_capture(hazard_scan *scan, size_t name, const text_buffer *value) {
    size_t begin = 0;
    size_t end = value->len;
    size_t word_begin;
    size_t word_end;
    while (begin < end && isspace((unsigned char)value->data[begin])) {
        begin++;
    }
    while (end > begin && isspace((unsigned char)value->data[end - 1])) {
        end--;
    }
    if (end > begin &&
        hazard_word_inside(value->data + begin, end - begin, &word_begin, &word_end) &&
        word_begin == 0 && word_end == end - begin) {
        char found[64];
        text_escape(found, sizeof found, value->data + begin, end - begin);
        hazard_add(scan, &captured_name, name, found);
    }
}

void hazard_spell_captures(hazard_scan *scan) {
    for (size_t i = 0; i < scan->count; i++) {
        const size_t name = find_capture(scan, i);
        if (name == 0) {
            continue;
        }
        WEIR_CLEANUP(text_buffer_release) text_buffer value = {0};
        size_t k = hazard_closing(scan, name);
        while (k < scan->count && hazard_token(scan, k)->kind != TEMPLATE_BLOCK_END) {
            k++;
        }
        for (; k < scan->count && k - name < CAPTURE_TOKENS_MAX && value.len < VARIABLE_BYTES_MAX &&
               !hazard_is(scan, k, "endset") && !hazard_is(scan, k, "endmacro");
             k++) {
            const template_token *token = hazard_token(scan, k);
            if (token->kind == TEMPLATE_TEXT) {
                text_buffer_add(&value, token->text, token->len);
            }
            decode_token(scan, k, &value);
        }
        scan->failed |= value.failed;
        judge_capture(scan, name, &value);
        if (value.data && !value.failed) {
            const template_token *named = hazard_token(scan, name);
            set_variable(scan, named->text, named->len, value.data, value.len, NAN);
        }
        i = name;
    }
}
