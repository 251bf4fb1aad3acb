/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A pull tokenizer over a window that slides along the source.
 *
 * A string without escapes that lies inside the window is handed out in place: its closing quote,
 * which is read by then, becomes the NUL. Everything else (escapes, strings that cross the window's
 * end, numbers) is gathered in one growing buffer. Runs of plain ASCII are skipped eight bytes at a
 * time; every other character is checked by itself, so that a failure has its exact byte.
 *
 * Sources: RFC 8259; RFC 3629 section 4 for well-formed UTF-8; for the test of eight bytes at once,
 * S. E. Anderson, "Bit Twiddling Hacks", "Determine if a word has a byte less than n".
 */
#include "io/json_reader.h"

#include <inttypes.h>
#include <locale.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/fail.h"
#include "base/limits.h"

enum {
    WINDOW_BYTES = 256 << 10,
    CHARACTER_BYTES_MAX = 4,
    STRING_BYTES_DEFAULT = 16 << 20,
    NUMBER_BYTES_MAX = 4096,
};

/* What may come next. A colon is read with the value after it, so that the key's text stays valid.
 */
typedef enum expectation {
    EXPECT_DOCUMENT,
    EXPECT_VALUE,
    EXPECT_VALUE_OR_END,
    EXPECT_KEY,
    EXPECT_KEY_OR_END,
    EXPECT_COLON,
    EXPECT_COMMA_OR_END,
    EXPECT_NOTHING,
} expectation;

struct json_reader {
    weir_source *source;
    json_options options;
    uint64_t end;           /* of the document, in the source */
    uint64_t window_offset; /* of window[0], in the source */
    char *window;
    size_t window_capacity;
    size_t filled;
    size_t cursor;
    char *text;
    size_t text_len;
    size_t text_capacity;
    size_t text_limit;
    bool text_may_be_cut;
    bool text_is_cut;
    expectation expect;
    uint32_t depth;   /* containers that are open */
    bool is_object[]; /* of each */
};

weir_code json_reader_open(json_reader **out, weir_source *source, uint64_t begin, uint64_t end,
                           const json_options *options, weir_error *err) {
    json_options chosen = options ? *options : (json_options){.leading_space = true};
    if (chosen.depth_max == 0) {
        chosen.depth_max = JSON_DEPTH_MAX;
    }
    if (chosen.string_bytes_max == 0) {
        chosen.string_bytes_max = STRING_BYTES_DEFAULT;
    }
    WEIR_CLEANUP(json_reader_free)
    json_reader *reader = calloc(1, sizeof *reader + chosen.depth_max * sizeof(bool));
    if (!reader) {
        return weir_fail_nomem(err);
    }
    reader->source = source;
    reader->options = chosen;
    reader->end = end;
    reader->window_offset = begin;
    const uint64_t bytes = end > begin ? end - begin : 0;
    reader->window_capacity = bytes < WINDOW_BYTES ? (size_t)bytes : WINDOW_BYTES;
    if (reader->window_capacity < CHARACTER_BYTES_MAX) {
        reader->window_capacity = CHARACTER_BYTES_MAX;
    }
    reader->window = malloc(reader->window_capacity);
    if (!reader->window) {
        return weir_fail_nomem(err);
    }
    *out = WEIR_TAKE(reader);
    return WEIR_OK;
}

void json_reader_free(json_reader *reader) {
    if (!reader) {
        return;
    }
    free(reader->window);
    free(reader->text);
    free(reader);
}

static uint64_t here(const json_reader *reader) {
    return reader->window_offset + reader->cursor;
}

/* Slide the window so that it starts at the cursor, and fill it up. At the document's end it stays.
 */
static weir_code slide(json_reader *reader, weir_error *err) {
    const size_t kept = reader->filled - reader->cursor;
    memmove(reader->window, reader->window + reader->cursor, kept);
    reader->window_offset += reader->cursor;
    reader->cursor = 0;
    reader->filled = kept;
    const uint64_t next = reader->window_offset + kept;
    const uint64_t left = reader->end > next ? reader->end - next : 0;
    const size_t room = reader->window_capacity - kept;
    const size_t wanted = left < room ? (size_t)left : room;
    WEIR_TRY(weir_source_read(reader->source, next, reader->window + kept, wanted, err));
    reader->filled += wanted;
    return WEIR_OK;
}

/* After this, `count` bytes stand in the window unless the document ends before. count <= 8. */
static weir_code look_ahead(json_reader *reader, size_t count, weir_error *err) {
    return reader->filled - reader->cursor >= count ? WEIR_OK : slide(reader, err);
}

static bool at_end(const json_reader *reader) {
    return reader->cursor == reader->filled;
}

static unsigned char peek(const json_reader *reader) {
    return (unsigned char)reader->window[reader->cursor];
}

static weir_code fail_expected(const json_reader *reader, const char *expected, weir_error *err) {
    const char *file = weir_source_name(reader->source);
    const place at = at_byte(here(reader));
    if (at_end(reader)) {
        return weir_fail(err, WEIR_ERR_FORMAT, file, at.text, expected, "the end of the document");
    }
    const unsigned char byte = peek(reader);
    if (byte > 0x20 && byte < 0x7F) {
        return weir_fail(err, WEIR_ERR_FORMAT, file, at.text, expected, "'%c'", byte);
    }
    return weir_fail(err, WEIR_ERR_FORMAT, file, at.text, expected, "byte 0x%02X", byte);
}

static bool is_space(unsigned char byte) {
    return byte == ' ' || byte == '\n' || byte == '\r' || byte == '\t';
}

static weir_code skip_space(json_reader *reader, weir_error *err) {
    for (;;) {
        while (!at_end(reader) && is_space(peek(reader))) {
            reader->cursor++;
        }
        if (!at_end(reader)) {
            return WEIR_OK;
        }
        WEIR_TRY(slide(reader, err));
        if (at_end(reader)) {
            return WEIR_OK;
        }
    }
}

/* --- the gathered text --- */

static weir_code reserve_text(json_reader *reader, size_t extra, weir_error *err) {
    const size_t needed = reader->text_len + extra + 1; /* both are far below SIZE_MAX / 2 */
    if (needed <= reader->text_capacity) {
        return WEIR_OK;
    }
    const size_t doubled = reader->text_capacity * 2;
    const size_t capacity = needed > doubled ? needed + 64 : doubled;
    char *moved = realloc(reader->text, capacity);
    if (!moved) {
        return weir_fail_nomem(err);
    }
    reader->text = moved;
    reader->text_capacity = capacity;
    return WEIR_OK;
}

static weir_code fail_too_long(const json_reader *reader, weir_error *err) {
    return weir_fail(err, WEIR_ERR_LIMIT, weir_source_name(reader->source),
                     at_byte(here(reader)).text, "a shorter value", "more than %zu bytes",
                     reader->text_limit);
}

/*
 * Add `len` bytes to the text. Past the limit: fail, or keep what fits of a string that may be cut;
 * a character of several bytes (is_whole) is kept whole or not at all, and nothing is kept after a
 * cut.
 */
static weir_code gather(json_reader *reader, const char *bytes, size_t len, bool is_whole,
                        weir_error *err) {

    if (reader->text_is_cut) {
        return WEIR_OK;
    }
    const size_t room = reader->text_limit - reader->text_len;
    if (len > room) {
        if (!reader->text_may_be_cut) {
            return fail_too_long(reader, err);
        }
        len = is_whole ? 0 : room;
        reader->text_is_cut = true;
    }
    WEIR_TRY(reserve_text(reader, len, err));
    if (len > 0) {
        memcpy(reader->text + reader->text_len, bytes, len);
    }
    reader->text_len += len;
    reader->text[reader->text_len] = '\0';
    return WEIR_OK;
}

static weir_code begin_text(json_reader *reader, size_t limit, bool may_be_cut, weir_error *err) {
    reader->text_len = 0;
    reader->text_limit = limit;
    reader->text_may_be_cut = may_be_cut;
    reader->text_is_cut = false;
    return gather(reader, "", 0, /* is_whole= */ true, err);
}

/* --- strings --- */

/* Whether any of eight bytes is a quote, a backslash, a control or not ASCII. */
static bool has_special(uint64_t bytes) {
    const uint64_t ones = UINT64_C(0x0101010101010101);
    const uint64_t highs = UINT64_C(0x8080808080808080);
    const uint64_t quote = bytes ^ (ones * '"');
    const uint64_t backslash = bytes ^ (ones * '\\');
    const uint64_t below_space = (bytes - ones * 0x20) & ~bytes;
    const uint64_t is_quote = (quote - ones) & ~quote;
    const uint64_t is_backslash = (backslash - ones) & ~backslash;
    return ((bytes | below_space | is_quote | is_backslash) & highs) != 0;
}

static bool is_plain(unsigned char byte) {
    return byte >= 0x20 && byte < 0x80 && byte != '"' && byte != '\\';
}

/* Where the run of plain ASCII that starts at the cursor stops, at most at the window's end. */
static size_t plain_end(const json_reader *reader) {
    size_t i = reader->cursor;
    while (reader->filled - i >= sizeof(uint64_t)) {
        uint64_t bytes;
        memcpy(&bytes, reader->window + i, sizeof bytes);
        if (has_special(bytes)) {
            break;
        }
        i += sizeof bytes;
    }
    while (i < reader->filled && is_plain((unsigned char)reader->window[i])) {
        i++;
    }
    return i;
}

static bool is_between(unsigned value, unsigned least, unsigned most) {
    return value >= least && value <= most;
}

/* The bytes of a character of more than one that begins with `lead`; 0 when none does. */
static size_t character_bytes_of(unsigned lead) {
    return is_between(lead, 0xC2, 0xDF)   ? 2
           : is_between(lead, 0xE0, 0xEF) ? 3
           : is_between(lead, 0xF0, 0xF4) ? 4
                                          : 0;
}

/* The length of the well-formed character of 2 to 4 bytes at the cursor; 0 when it is none. */
static size_t character_bytes(const json_reader *reader) {
    const unsigned char *c = (const unsigned char *)reader->window + reader->cursor;
    const size_t left = reader->filled - reader->cursor;
    const unsigned lead = c[0];
    const size_t len = character_bytes_of(lead);
    if (len == 0 || left < len) {
        return 0;
    }
    const unsigned least = lead == 0xE0 ? 0xA0 : lead == 0xF0 ? 0x90 : 0x80;
    const unsigned most = lead == 0xED ? 0x9F : lead == 0xF4 ? 0x8F : 0xBF;
    if (!is_between(c[1], least, most)) {
        return 0;
    }
    for (size_t i = 2; i < len; i++) {
        if (!is_between(c[i], 0x80, 0xBF)) {
            return 0;
        }
    }
    return len;
}

static bool hex_digit(unsigned *out, unsigned char byte) {
    if (byte >= '0' && byte <= '9') {
        *out = byte - (unsigned)'0';
        return true;
    }
    const unsigned lower = byte | 0x20u;
    if (lower >= 'a' && lower <= 'f') {
        *out = lower - 'a' + 10;
        return true;
    }
    return false;
}

/* The four digits of \uXXXX; the cursor stands after the 'u'. */
static weir_code read_hex4(json_reader *reader, uint32_t *out, weir_error *err) {
    WEIR_TRY(look_ahead(reader, 4, err));
    uint32_t unit = 0;
    for (int i = 0; i < 4; i++) {
        unsigned digit;
        if (at_end(reader) || !hex_digit(&digit, peek(reader))) {
            return fail_expected(reader, "a hexadecimal digit", err);
        }
        unit = unit << 4 | digit;
        reader->cursor++;
    }
    *out = unit;
    return WEIR_OK;
}

static size_t encode_utf8(char out[CHARACTER_BYTES_MAX], uint32_t code) {
    if (code < 0x80) {
        out[0] = (char)code;
        return 1;
    }
    if (code < 0x800) {
        out[0] = (char)(0xC0u | code >> 6);
        out[1] = (char)(0x80u | (code & 0x3Fu));
        return 2;
    }
    if (code < 0x10000) {
        out[0] = (char)(0xE0u | code >> 12);
        out[1] = (char)(0x80u | (code >> 6 & 0x3Fu));
        out[2] = (char)(0x80u | (code & 0x3Fu));
        return 3;
    }
    out[0] = (char)(0xF0u | code >> 18);
    out[1] = (char)(0x80u | (code >> 12 & 0x3Fu));
    out[2] = (char)(0x80u | (code >> 6 & 0x3Fu));
    out[3] = (char)(0x80u | (code & 0x3Fu));
    return 4;
}

static bool is_high_surrogate(uint32_t unit) {
    return unit >= 0xD800 && unit <= 0xDBFF;
}

static bool is_low_surrogate(uint32_t unit) {
    return unit >= 0xDC00 && unit <= 0xDFFF;
}

/* One or, for a surrogate pair, two \uXXXX; the cursor stands after the first 'u'. */
static weir_code read_unicode_escape(json_reader *reader, weir_error *err) {
    const uint64_t start = here(reader) - 2;
    uint32_t code = 0;
    WEIR_TRY(read_hex4(reader, &code, err));
    uint32_t low = 0;
    if (is_high_surrogate(code)) {
        WEIR_TRY(look_ahead(reader, 2, err));
        const bool has_second = reader->filled - reader->cursor >= 2 &&
                                memcmp(reader->window + reader->cursor, "\\u", 2) == 0;
        if (has_second) {
            reader->cursor += 2;
            WEIR_TRY(read_hex4(reader, &low, err));
        }
    }
    if (is_low_surrogate(code) || (is_high_surrogate(code) && !is_low_surrogate(low))) {
        return weir_fail(err, WEIR_ERR_FORMAT, weir_source_name(reader->source),
                         at_byte(start).text, "a surrogate pair", "the lone surrogate U+%04" PRIX32,
                         code);
    }
    if (is_high_surrogate(code)) {
        code = 0x10000 + ((code - 0xD800) << 10) + (low - 0xDC00);
    }
    char bytes[CHARACTER_BYTES_MAX];
    const size_t len = encode_utf8(bytes, code);
    return gather(reader, bytes, len, /* is_whole= */ true, err);
}

/* The cursor stands on the backslash. */
static weir_code read_escape(json_reader *reader, weir_error *err) {
    WEIR_TRY(look_ahead(reader, 2, err));
    reader->cursor++;
    static const char letters[] = "\"\\/bfnrtu";
    static const char meanings[] = "\"\\/\b\f\n\r\t";
    const char *letter =
        at_end(reader) || peek(reader) == '\0' ? NULL : strchr(letters, peek(reader));
    if (!letter) {
        return fail_expected(reader, "an escape of JSON", err);
    }
    reader->cursor++;
    if (*letter == 'u') {
        return read_unicode_escape(reader, err);
    }
    return gather(reader, &meanings[letter - letters], 1, /* is_whole= */ true, err);
}

static weir_code gather_character(json_reader *reader, weir_error *err) {
    const size_t len = character_bytes(reader);
    if (len == 0) {
        return fail_expected(reader, "UTF-8", err);
    }
    WEIR_TRY(gather(reader, reader->window + reader->cursor, len, /* is_whole= */ true, err));
    reader->cursor += len;
    return WEIR_OK;
}

/* What is not plain: an escape, a character of several bytes, or what no string may hold. */
static weir_code gather_special(json_reader *reader, weir_error *err) {
    if (at_end(reader)) {
        return fail_expected(reader, "'\"'", err);
    }
    const unsigned char byte = peek(reader);
    return byte == '\\'   ? read_escape(reader, err)
           : byte >= 0x80 ? gather_character(reader, err)
           : byte < 0x20  ? fail_expected(reader, "a control character written as an escape", err)
                          : WEIR_OK;
}

static weir_code gather_plain(json_reader *reader, weir_error *err) {
    const size_t stop = plain_end(reader);
    WEIR_TRY(gather(reader, reader->window + reader->cursor, stop - reader->cursor,
                    /* is_whole= */ false, err));
    reader->cursor = stop;
    return look_ahead(reader, CHARACTER_BYTES_MAX, err);
}

/* The rest of a string that cannot be handed out in place; what was read of it is in the text. */
static weir_code gather_string(json_reader *reader, weir_error *err) {
    WEIR_TRY(gather_plain(reader, err));
    while (at_end(reader) || peek(reader) != '"') {
        WEIR_TRY(gather_special(reader, err));
        WEIR_TRY(gather_plain(reader, err));
    }
    reader->cursor++;
    return WEIR_OK;
}

/* The cursor stands on the opening quote. */
static weir_code read_string(json_reader *reader, json_token *out, weir_error *err) {
    out->offset = here(reader);
    const size_t start = ++reader->cursor;
    size_t stop = plain_end(reader);
    reader->cursor = stop;
    while (stop < reader->filled && peek(reader) >= 0x80) {
        const size_t len = character_bytes(reader);
        if (len == 0) {
            break; /* broken, or across the window's end: gathering tells */
        }
        reader->cursor += len;
        stop = plain_end(reader);
        reader->cursor = stop;
    }
    const size_t len = stop - start;
    if (stop < reader->filled && reader->window[stop] == '"' &&
        len <= reader->options.string_bytes_max) {
        reader->window[stop] = '\0';
        reader->cursor++;
        out->text = reader->window + start;
        out->len = len;
        return WEIR_OK;
    }
    reader->cursor = start;
    WEIR_TRY(begin_text(reader, reader->options.string_bytes_max, reader->options.cut_long_strings,
                        err));
    WEIR_TRY(gather_string(reader, err));
    out->text = reader->text;
    out->len = reader->text_len;
    return WEIR_OK;
}

/* --- numbers and words --- */

static bool is_digit(char byte) {
    return byte >= '0' && byte <= '9';
}

static const char *skip_digits(const char *cursor) {
    while (is_digit(*cursor)) {
        cursor++;
    }
    return cursor;
}

/* number = [ "-" ] ( "0" / 1-9 *digit ) [ "." 1*digit ] [ ( "e" / "E" ) [ "+" / "-" ] 1*digit ] */
static bool is_number(const char *text) {
    const char *cursor = text + (*text == '-');
    if (!is_digit(*cursor)) {
        return false;
    }
    cursor = *cursor == '0' ? cursor + 1 : skip_digits(cursor);
    if (*cursor == '.') {
        if (!is_digit(*++cursor)) {
            return false;
        }
        cursor = skip_digits(cursor);
    }
    if (*cursor == 'e' || *cursor == 'E') {
        cursor++;
        cursor += *cursor == '+' || *cursor == '-';
        if (!is_digit(*cursor)) {
            return false;
        }
        cursor = skip_digits(cursor);
    }
    return *cursor == '\0';
}

static bool is_number_byte(char byte) {
    return is_digit(byte) || byte == '-' || byte == '+' || byte == '.' || byte == 'e' ||
           byte == 'E';
}

static weir_code read_number(json_reader *reader, json_token *out, weir_error *err) {
    WEIR_TRY(begin_text(reader, NUMBER_BYTES_MAX, /* may_be_cut= */ false, err));
    do {
        size_t stop = reader->cursor;
        while (stop < reader->filled && is_number_byte(reader->window[stop])) {
            stop++;
        }
        WEIR_TRY(gather(reader, reader->window + reader->cursor, stop - reader->cursor,
                        /* is_whole= */ true, err));
        reader->cursor = stop;
        WEIR_TRY(look_ahead(reader, 1, err));
    } while (!at_end(reader) && is_number_byte(reader->window[reader->cursor]));
    if (!is_number(reader->text)) {
        return weir_fail(err, WEIR_ERR_FORMAT, weir_source_name(reader->source),
                         at_byte(out->offset).text, "a number of JSON", "%.60s", reader->text);
    }
    out->kind = JSON_NUMBER;
    out->text = reader->text;
    out->len = reader->text_len;
    return WEIR_OK;
}

/* Whether `word` stands at the cursor. It is taken if it does. */
static bool take_word(json_reader *reader, const char *word) {
    const size_t len = strlen(word);
    if (reader->filled - reader->cursor < len ||
        memcmp(reader->window + reader->cursor, word, len) != 0) {
        return false;
    }
    reader->cursor += len;
    return true;
}

/* Not JSON; Python's json module writes and reads them all the same. */
static weir_code read_python_number(json_reader *reader, json_token *out, bool *taken,
                                    weir_error *err) {
    static const char *const words[] = {"NaN", "Infinity", "-Infinity"};
    *taken = false;
    if (!reader->options.python_numbers) {
        return WEIR_OK;
    }
    WEIR_TRY(look_ahead(reader, strlen("-Infinity"), err));
    for (size_t i = 0; i < sizeof words / sizeof *words && !*taken; i++) {
        if (take_word(reader, words[i])) {
            *taken = true;
            out->kind = JSON_NUMBER;
            out->text = words[i];
            out->len = strlen(words[i]);
        }
    }
    return WEIR_OK;
}

static weir_code read_word(json_reader *reader, json_token *out, weir_error *err) {
    static const struct {
        const char *text;
        json_kind kind;
    } words[] = {{"true", JSON_TRUE}, {"false", JSON_FALSE}, {"null", JSON_NULL}};
    WEIR_TRY(look_ahead(reader, strlen("false"), err));
    for (size_t i = 0; i < sizeof words / sizeof *words; i++) {
        if (take_word(reader, words[i].text)) {
            out->kind = words[i].kind;
            return WEIR_OK;
        }
    }
    return fail_expected(reader, "a value", err);
}

/* --- structure --- */

static void expect_after_value(json_reader *reader) {
    reader->expect = reader->depth == 0 ? EXPECT_NOTHING : EXPECT_COMMA_OR_END;
}

static weir_code open_container(json_reader *reader, json_token *out, weir_error *err) {
    if (reader->depth == reader->options.depth_max) {
        return weir_fail(err, WEIR_ERR_LIMIT, weir_source_name(reader->source),
                         at_byte(here(reader)).text, "a shallower document",
                         "more than %" PRIu32 " levels", reader->options.depth_max);
    }
    const bool is_object = peek(reader) == '{';
    reader->cursor++;
    reader->is_object[reader->depth++] = is_object;
    reader->expect = is_object ? EXPECT_KEY_OR_END : EXPECT_VALUE_OR_END;
    out->kind = is_object ? JSON_OBJECT_BEGIN : JSON_ARRAY_BEGIN;
    return WEIR_OK;
}

static bool closes(const json_reader *reader) {
    return !at_end(reader) && reader->depth > 0 &&
           peek(reader) == (reader->is_object[reader->depth - 1] ? '}' : ']');
}

static void close_container(json_reader *reader, json_token *out) {
    reader->cursor++;
    reader->depth--;
    out->kind = reader->is_object[reader->depth] ? JSON_OBJECT_END : JSON_ARRAY_END;
    out->depth = reader->depth;
    expect_after_value(reader);
}

static weir_code read_value(json_reader *reader, json_token *out, weir_error *err) {
    if (at_end(reader)) {
        return fail_expected(reader, "a value", err);
    }
    const unsigned char byte = peek(reader);
    if (byte == '{' || byte == '[') {
        return open_container(reader, out, err);
    }
    bool taken = false;
    WEIR_TRY(read_python_number(reader, out, &taken, err));
    if (taken) {
        expect_after_value(reader);
        return WEIR_OK;
    }
    if (byte == '"') {
        out->kind = JSON_STRING;
        WEIR_TRY(read_string(reader, out, err));
    } else if (byte == '-' || is_digit((char)byte)) {
        WEIR_TRY(read_number(reader, out, err));
    } else {
        WEIR_TRY(read_word(reader, out, err));
    }
    expect_after_value(reader);
    return WEIR_OK;
}

static weir_code read_key(json_reader *reader, json_token *out, weir_error *err) {
    if (at_end(reader) || peek(reader) != '"') {
        return fail_expected(reader, "a key", err);
    }
    out->kind = JSON_KEY;
    WEIR_TRY(read_string(reader, out, err));
    reader->expect = EXPECT_COLON;
    return WEIR_OK;
}

/* Read the colon or comma that stands before the next token. A container may end instead of a
 * comma. */
static weir_code read_separator(json_reader *reader, weir_error *err) {
    const bool is_colon = reader->expect == EXPECT_COLON;
    if (reader->expect != EXPECT_COMMA_OR_END && !is_colon) {
        return WEIR_OK;
    }
    if (!is_colon && closes(reader)) {
        return WEIR_OK;
    }
    const bool in_object = reader->is_object[reader->depth - 1];
    if (at_end(reader) || peek(reader) != (is_colon ? ':' : ',')) {
        return fail_expected(reader,
                             is_colon    ? "':'"
                             : in_object ? "',' or '}'"
                                         : "',' or ']'",
                             err);
    }
    reader->cursor++;
    reader->expect = is_colon || !in_object ? EXPECT_VALUE : EXPECT_KEY;
    return skip_space(reader, err);
}

/* A container that may end here ends, or its first item starts. */
static weir_code read_first(json_reader *reader, json_token *out, weir_error *err) {
    if (closes(reader)) {
        close_container(reader, out);
        return WEIR_OK;
    }
    return reader->expect == EXPECT_KEY_OR_END ? read_key(reader, out, err)
                                               : read_value(reader, out, err);
}

static weir_code read_end(const json_reader *reader, json_token *out, weir_error *err) {
    out->kind = JSON_END;
    return at_end(reader) ? WEIR_OK : fail_expected(reader, "nothing after the document", err);
}

static weir_code read_expected(json_reader *reader, json_token *out, weir_error *err) {
    switch (reader->expect) {
    case EXPECT_NOTHING:
        return read_end(reader, out, err);
    case EXPECT_COMMA_OR_END: /* no comma, says read_separator */
        close_container(reader, out);
        return WEIR_OK;
    case EXPECT_KEY_OR_END:
    case EXPECT_VALUE_OR_END:
        return read_first(reader, out, err);
    case EXPECT_KEY:
        return read_key(reader, out, err);
    case EXPECT_DOCUMENT:
    case EXPECT_VALUE:
    case EXPECT_COLON: /* read_separator made it EXPECT_VALUE */
        break;
    }
    return read_value(reader, out, err);
}

static weir_code check_leading_space(const json_reader *reader, weir_error *err) {
    const bool is_refused = reader->expect == EXPECT_DOCUMENT && !reader->options.leading_space &&
                            !at_end(reader) && is_space(peek(reader));
    return is_refused ? fail_expected(reader, "a value without space before it", err) : WEIR_OK;
}

weir_code json_reader_next(json_reader *reader, json_token *out, weir_error *err) {
    WEIR_TRY(look_ahead(reader, 1, err));
    WEIR_TRY(check_leading_space(reader, err));
    WEIR_TRY(skip_space(reader, err));
    WEIR_TRY(read_separator(reader, err));
    json_token token = {.depth = reader->depth, .offset = here(reader), .text = ""};
    WEIR_TRY(read_expected(reader, &token, err));
    *out = token;
    return WEIR_OK;
}

weir_code json_reader_skip(json_reader *reader, const json_token *begun, weir_error *err) {
    json_token token = *begun;
    if (begun->kind == JSON_KEY) {
        WEIR_TRY(json_reader_next(reader, &token, err));
    }
    if (token.kind != JSON_OBJECT_BEGIN && token.kind != JSON_ARRAY_BEGIN) {
        return WEIR_OK;
    }
    const uint32_t depth = token.depth;
    do {
        WEIR_TRY(json_reader_next(reader, &token, err));
    } while (token.depth != depth);
    return WEIR_OK;
}

bool json_token_u64(const json_token *token, uint64_t *out) {
    if (token->kind != JSON_NUMBER) {
        return false;
    }
    uint64_t value = 0;
    for (size_t i = 0; i < token->len; i++) {
        if (!is_digit(token->text[i]) || __builtin_mul_overflow(value, UINT64_C(10), &value) ||
            __builtin_add_overflow(value, (uint64_t)(token->text[i] - '0'), &value)) {
            return false;
        }
    }
    *out = value;
    return true;
}

bool json_token_double(const json_token *token, double *out) {
    if (token->kind != JSON_NUMBER) {
        return false;
    }
    const locale_t plain = newlocale(LC_ALL_MASK, "C", (locale_t)0);
    if (plain == (locale_t)0) {
        return false;
    }
    const double value = strtod_l(token->text, NULL, plain);
    freelocale(plain);
    if (!isfinite(value)) {
        return false;
    }
    *out = value;
    return true;
}

bool json_token_is(const json_token *token, const char *text) {
    return (token->kind == JSON_KEY || token->kind == JSON_STRING) && strlen(text) == token->len &&
           memcmp(token->text, text, token->len) == 0;
}
