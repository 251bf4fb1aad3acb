/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Values as text. str() and repr() as Python's; JSON as json.dumps() writes it, with the arguments
 * that transformers' tojson has. A character that Python may call unprintable is not guessed at.
 */
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/fail.h"
#include "base/limits.h"
#include "template/characters.h"
#include "template/value.h"

typedef struct writer {
    text_buffer *out;
    value_style style;
    const value_json_style *json;
    const char **what;
    uint32_t depth;
} writer;

static weir_code write_value(writer *to, const datum *of, bool is_inside);

static weir_code fail(const writer *to, weir_code code, const char *what) {
    *to->what = what;
    return code;
}

static void add(const writer *to, const char *text) {
    text_buffer_add(to->out, text, strlen(text));
}

/* The fewest digits that read back as the same number, laid out as repr() does. */
static void write_float(const writer *to, double real) {
    if (!isfinite(real)) {
        const bool is_json = to->style == VALUE_JSON;
        add(to, isnan(real) ? (is_json ? "NaN" : "nan")
                : real > 0  ? (is_json ? "Infinity" : "inf")
                            : (is_json ? "-Infinity" : "-inf"));
        return;
    }
    char digits[40];
    int precision = 0;
    do {
        (void)snprintf(digits, sizeof digits, "%.*e", precision, real);
    } while (strtod(digits, NULL) != real && ++precision < 17);
    const int exponent = (int)strtol(strchr(digits, 'e') + 1, NULL, 10);
    if (exponent < -4 || exponent >= 16) {
        (void)snprintf(digits, sizeof digits, "%.*e", precision, real);
        add(to, digits); /* C's exponent has two digits at least, as Python's */
        return;
    }
    const int decimals = precision - exponent;
    text_buffer_format(to->out, "%.*f", decimals > 1 ? decimals : 1, real);
}

/* Blocks whose assigned characters Python prints as they are. */
static bool is_surely_printable(uint32_t c) {
    return (c >= 0xA1 && c <= 0x377 && c != 0xAD) || (c >= 0x391 && c <= 0x3A1) ||
           (c >= 0x3A3 && c <= 0x52F) || (c >= 0x2010 && c <= 0x2027) ||
           (c >= 0x2030 && c <= 0x205E) || (c >= 0x20A0 && c <= 0x20BF) ||
           (c >= 0x2100 && c <= 0x218B) || (c >= 0x2190 && c <= 0x2426) ||
           (c >= 0x2460 && c <= 0x2B73) || (c >= 0x3001 && c <= 0x303F) ||
           (c >= 0x3041 && c <= 0x3096) || (c >= 0x30A0 && c <= 0x30FF) ||
           (c >= 0x4E00 && c <= 0x9FEF) || (c >= 0xAC00 && c <= 0xD7A3) ||
           (c >= 0xFF01 && c <= 0xFF5E) || (c >= 0x1F300 && c <= 0x1F64F);
}

static weir_code write_quoted(const writer *to, const datum *of) {
    const bool has_single = memchr(of->text, '\'', of->len);
    const char quote = has_single && !memchr(of->text, '"', of->len) ? '"' : '\'';
    text_buffer_add(to->out, &quote, 1);
    for (size_t i = 0; i < of->len;) {
        uint32_t c;
        const size_t size = text_character(of->text + i, of->len - i, &c);
        if (c == (unsigned char)quote || c == '\\') {
            text_buffer_format(to->out, "\\%c", (char)c);
        } else if (c == '\n' || c == '\r' || c == '\t') {
            add(to, c == '\n' ? "\\n" : c == '\r' ? "\\r" : "\\t");
        } else if (c < 0x20 || (c >= 0x7F && c < 0xA1)) {
            text_buffer_format(to->out, "\\x%02x", (unsigned)c);
        } else if (c < 0x7F || is_surely_printable(c)) {
            text_buffer_add(to->out, of->text + i, size);
        } else {
            return fail(to, WEIR_ERR_UNSUPPORTED, "repr() of this character");
        }
        i += size;
    }
    text_buffer_add(to->out, &quote, 1);
    return WEIR_OK;
}

static void write_json_escape(const writer *to, uint32_t c) {
    if (c >= 0x10000) {
        const uint32_t high = 0xD800 + ((c - 0x10000) >> 10);
        text_buffer_format(to->out, "\\u%04x\\u%04x", (unsigned)high,
                           (unsigned)(0xDC00 + (c & 0x3FF)));
    } else {
        text_buffer_format(to->out, "\\u%04x", (unsigned)c);
    }
}

static void write_json_string(const writer *to, const char *text, size_t len) {
    static const char from[] = "\"\\\b\f\n\r\t";
    static const char into[] = "\"\\bfnrt";
    add(to, "\"");
    for (size_t i = 0; i < len;) {
        uint32_t c;
        const size_t size = text_character(text + i, len - i, &c);
        const char *named = c > 0 && c < 0x80 ? strchr(from, (int)c) : NULL;
        if (named) {
            text_buffer_format(to->out, "\\%c", into[named - from]);
        } else if (c < 0x20 || (to->json->is_ascii && c >= 0x7F)) {
            write_json_escape(to, c);
        } else {
            text_buffer_add(to->out, text + i, size);
        }
        i += size;
    }
    add(to, "\"");
}

static weir_code write_string(const writer *to, const datum *of, bool is_inside) {
    if (to->style == VALUE_JSON) {
        write_json_string(to, of->text, of->len);
    } else if (to->style == VALUE_STR && !is_inside) {
        text_buffer_add(to->out, of->text, of->len);
    } else if (of->is_safe) {
        return fail(to, WEIR_ERR_UNSUPPORTED, "repr() of a safe text");
    } else {
        return write_quoted(to, of);
    }
    return WEIR_OK;
}

/* Where an item of a list or dict begins. */
static void separate(const writer *to, bool is_first) {
    const bool is_json = to->style == VALUE_JSON;
    const bool is_indented = is_json && to->json->indent >= 0;
    if (!is_first) {
        const char *given = is_json ? to->json->item_separator : NULL;
        add(to, given ? given : is_indented ? "," : ", ");
    }
    if (is_indented) {
        text_buffer_format(to->out, "\n%*s", to->json->indent * (int)to->depth, "");
    }
}

static void close_items(const writer *to, bool is_empty, const char *mark) {
    if (to->style == VALUE_JSON && to->json->indent >= 0 && !is_empty) {
        text_buffer_format(to->out, "\n%*s", to->json->indent * (int)(to->depth - 1), "");
    }
    add(to, mark);
}

static weir_code write_items(writer *to, const datum *of) {
    const bool is_tuple = of->kind == VALUE_TUPLE && to->style != VALUE_JSON;
    add(to, is_tuple ? "(" : "[");
    to->depth++;
    for (size_t i = 0; i < of->list->count; i++) {
        separate(to, i == 0);
        WEIR_TRY(write_value(to, &of->list->items[i], /* is_inside= */ true));
    }
    if (is_tuple && of->list->count == 1) {
        add(to, ",");
    }
    close_items(to, of->list->count == 0, is_tuple ? ")" : "]");
    to->depth--;
    return WEIR_OK;
}

static int by_text(const void *left, const void *right, void *context) {
    const datum *keys = context;
    const datum *a = &keys[*(const size_t *)left];
    const datum *b = &keys[*(const size_t *)right];
    const size_t least = a->len < b->len ? a->len : b->len;
    const int order = memcmp(a->text, b->text, least);
    return order != 0 ? order : (a->len > b->len) - (a->len < b->len);
}

static weir_code write_key(writer *to, const datum *key) {
    const bool is_text = key->kind == VALUE_STRING;
    if (to->style == VALUE_JSON && !is_text) {
        if (!value_is_number(key) && key->kind != VALUE_NONE) {
            return fail(to, WEIR_ERR_FORMAT, "a key that JSON has not");
        }
        add(to, "\"");
        WEIR_TRY(write_value(to, key, /* is_inside= */ true));
        add(to, "\"");
        return WEIR_OK;
    }
    return write_value(to, key, /* is_inside= */ true);
}

static weir_code write_pairs(writer *to, const value_dict *dict, const size_t *order) {
    const char *given = to->style == VALUE_JSON ? to->json->key_separator : NULL;
    add(to, "{");
    to->depth++;
    for (size_t i = 0; i < dict->count; i++) {
        const size_t at = order ? order[i] : i;
        separate(to, i == 0);
        WEIR_TRY(write_key(to, &dict->keys[at]));
        add(to, given ? given : ": ");
        WEIR_TRY(write_value(to, &dict->values[at], /* is_inside= */ true));
    }
    close_items(to, dict->count == 0, "}");
    to->depth--;
    return WEIR_OK;
}

static weir_code write_dict(writer *to, const value_dict *dict) {
    if (to->style != VALUE_JSON || !to->json->sorts_keys || dict->count < 2) {
        return write_pairs(to, dict, NULL);
    }
    WEIR_CLEANUP(free) size_t *order = calloc(dict->count, sizeof *order);
    if (!order) {
        return fail(to, WEIR_ERR_NOMEM, "memory");
    }
    for (size_t i = 0; i < dict->count; i++) {
        if (dict->keys[i].kind != VALUE_STRING) {
            return fail(to, WEIR_ERR_UNSUPPORTED, "sorting keys that are no texts");
        }
        order[i] = i;
    }
    qsort_r(order, dict->count, sizeof *order, by_text, dict->keys);
    return write_pairs(to, dict, order);
}

static weir_code write_scalar(const writer *to, const datum *of) {
    const bool is_json = to->style == VALUE_JSON;
    if (of->kind == VALUE_NONE) {
        add(to, is_json ? "null" : "None");
    } else if (of->kind == VALUE_BOOL) {
        add(to, is_json ? (of->truth ? "true" : "false") : (of->truth ? "True" : "False"));
    } else if (of->kind == VALUE_INTEGER) {
        text_buffer_format(to->out, "%" PRId64, of->integer);
    } else {
        write_float(to, of->real);
    }
    return WEIR_OK;
}

static weir_code write_other(const writer *to, const datum *of, bool is_inside) {
    if (to->style == VALUE_JSON) {
        return fail(to, WEIR_ERR_FORMAT, "a value that JSON has not");
    }
    if (of->kind == VALUE_UNDEFINED) {
        add(to, is_inside || to->style == VALUE_REPR ? "Undefined" : "");
        return WEIR_OK;
    }
    return fail(to, WEIR_ERR_UNSUPPORTED, "the text of an object");
}

static weir_code write_value(writer *to, const datum *of, bool is_inside) {
    if (to->depth > JSON_DEPTH_MAX) {
        return fail(to, WEIR_ERR_LIMIT, "so deep a value");
    }
    switch (of->kind) {
    case VALUE_NONE:
    case VALUE_BOOL:
    case VALUE_INTEGER:
    case VALUE_FLOAT:
        return write_scalar(to, of);
    case VALUE_STRING:
        return write_string(to, of, is_inside);
    case VALUE_LIST:
    case VALUE_TUPLE:
        return write_items(to, of);
    case VALUE_DICT:
        return write_dict(to, of->dict);
    case VALUE_UNDEFINED:
    case VALUE_RANGE:
    case VALUE_VIEW:
    case VALUE_ITERATOR:
    case VALUE_NAMESPACE:
    case VALUE_LOOP:
    case VALUE_MACRO:
    case VALUE_FUNCTION:
    case VALUE_METHOD:
        break;
    }
    return write_other(to, of, is_inside);
}

weir_code value_write(text_buffer *out, const datum *of, value_style style,
                      const value_json_style *json, const char **what) {
    writer to = {.out = out, .style = style, .json = json, .what = what};
    WEIR_TRY(write_value(&to, of, /* is_inside= */ style != VALUE_STR));
    return out->failed ? fail(&to, WEIR_ERR_NOMEM, "memory") : WEIR_OK;
}
