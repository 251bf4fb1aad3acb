/* SPDX-License-Identifier: Apache-2.0 */
/* The filters of Jinja 3.1 that work on one value; those over items are in filters_items.c. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "template/characters.h"
#include "template/filters.h"

static weir_code filter_default(machine *on, const datum *of, const arguments *with, datum *out) {
    static const char *const names[] = {"default_value", "boolean", NULL};
    WEIR_TRY(arguments_check(on, with, 0, 2, names, "default"));
    const datum *other = argument(with, 0, "default_value");
    const datum *strict = argument(with, 1, "boolean");
    const bool is_missing =
        of->kind == VALUE_UNDEFINED || (strict && value_is_true(strict) && !value_is_true(of));
    *out = !is_missing ? *of : other ? *other : value_string("", 0);
    return WEIR_OK;
}

static weir_code filter_length(machine *on, const datum *of, const arguments *with, datum *out) {
    WEIR_TRY(arguments_check(on, with, 0, 0, NULL, "length"));
    if (of->kind == VALUE_STRING) {
        WEIR_TRY(machine_count_bytes(on, of->len));
        *out = value_integer((int64_t)text_count(of->text, of->len));
    } else if (of->kind == VALUE_DICT) {
        *out = value_integer((int64_t)of->dict->count);
    } else if (value_has_items(of) && of->kind != VALUE_ITERATOR) {
        *out = value_integer((int64_t)of->list->count);
    } else if (of->kind == VALUE_UNDEFINED) {
        *out = value_integer(0);
    } else {
        return machine_stop(on, TEMPLATE_FAILED, "length of a value without one");
    }
    return WEIR_OK;
}

/* A text, or the value as one. */
static weir_code soft_text(machine *on, const datum *of, const char *name, datum *out) {
    WEIR_TRY(machine_str(on, out, of));
    return machine_needs_text(on, out, name);
}

static weir_code filter_case(machine *on, const datum *of, const arguments *with, const char *how,
                             datum *out) {
    datum text;
    WEIR_TRY(arguments_check(on, with, 0, 0, NULL, how));
    WEIR_TRY(soft_text(on, of, how, &text));
    return text_map(on, &text, how, out);
}

static weir_code filter_upper(machine *on, const datum *of, const arguments *with, datum *out) {
    return filter_case(on, of, with, "upper", out);
}
static weir_code filter_lower(machine *on, const datum *of, const arguments *with, datum *out) {
    return filter_case(on, of, with, "lower", out);
}
static weir_code filter_title(machine *on, const datum *of, const arguments *with, datum *out) {
    return filter_case(on, of, with, "title", out);
}
static weir_code filter_capitalize(machine *on, const datum *of, const arguments *with,
                                   datum *out) {
    return filter_case(on, of, with, "capitalize", out);
}

static weir_code filter_trim(machine *on, const datum *of, const arguments *with, datum *out) {
    static const char *const names[] = {"chars", NULL};
    datum text;
    WEIR_TRY(arguments_check(on, with, 0, 1, names, "trim"));
    WEIR_TRY(soft_text(on, of, "trim", &text));
    return text_strip(on, &text, argument(with, 0, "chars"), /* front= */ true, /* back= */ true,
                      out);
}

static weir_code filter_replace(machine *on, const datum *of, const arguments *with, datum *out) {
    static const char *const names[] = {"old", "new", "count", NULL};
    datum text;
    datum old;
    datum fresh;
    WEIR_TRY(arguments_check(on, with, 2, 3, names, "replace"));
    const datum *limit = argument(with, 2, "count");
    if (limit && limit->kind != VALUE_INTEGER && limit->kind != VALUE_NONE) {
        return machine_stop(on, TEMPLATE_FAILED, "a count that is no integer");
    }
    WEIR_TRY(soft_text(on, of, "replace", &text));
    WEIR_TRY(soft_text(on, argument(with, 0, "old"), "replace", &old));
    WEIR_TRY(soft_text(on, argument(with, 1, "new"), "replace", &fresh));
    return text_replace(on, &text, &old, &fresh,
                        limit && limit->kind == VALUE_INTEGER ? limit->integer : -1, out);
}

static weir_code filter_string(machine *on, const datum *of, const arguments *with, datum *out) {
    WEIR_TRY(arguments_check(on, with, 0, 0, NULL, "string"));
    return machine_str(on, out, of);
}

static weir_code filter_safe(machine *on, const datum *of, const arguments *with, datum *out) {
    WEIR_TRY(arguments_check(on, with, 0, 0, NULL, "safe"));
    WEIR_TRY(machine_str(on, out, of));
    out->is_safe = true;
    return WEIR_OK;
}

/* An integer written plainly; other spellings of numbers are not guessed at. */
static weir_code int_of_text(machine *on, const datum *of, const datum *otherwise, datum *out) {
    datum text;
    WEIR_TRY(text_strip(on, of, NULL, /* front= */ true, /* back= */ true, &text));
    const size_t sign = text.len > 0 && (text.text[0] == '-' || text.text[0] == '+');
    bool is_plain = text.len > sign && text.len < 19;
    bool is_numeric = false;
    for (size_t i = sign; i < text.len; i++) {
        const bool is_digit = text.text[i] >= '0' && text.text[i] <= '9';
        is_plain = is_plain && is_digit;
        is_numeric = is_numeric || is_digit || (text.text[i] & 0x80) != 0;
    }
    const bool is_word = text.len >= 3 && strchr("iInN", text.text[sign]); /* inf, nan */
    if (is_plain) {
        *out = value_integer(strtoll(text.text, NULL, 10));
    } else if (is_numeric || is_word) {
        return machine_stop(on, TEMPLATE_NOT_RENDERED, "int of such a text");
    } else {
        *out = *otherwise;
    }
    return WEIR_OK;
}

static weir_code filter_int(machine *on, const datum *of, const arguments *with, datum *out) {
    static const char *const names[] = {"default", NULL};
    WEIR_TRY(arguments_check(on, with, 0, 1, names, "int"));
    const datum zero = value_integer(0);
    const datum *given = argument(with, 0, "default");
    const datum *otherwise = given ? given : &zero;
    if (of->kind == VALUE_STRING) {
        return int_of_text(on, of, otherwise, out);
    }
    if (of->kind == VALUE_UNDEFINED) {
        return machine_stop(on, TEMPLATE_FAILED, "int of something undefined");
    }
    if (of->kind == VALUE_FLOAT && (!isfinite(of->real) || fabs(of->real) > 9e18)) {
        return machine_stop(on, TEMPLATE_NOT_RENDERED, "int of such a number");
    }
    *out = of->kind == VALUE_INTEGER ? *of
           : of->kind == VALUE_BOOL  ? value_integer(of->truth)
           : of->kind == VALUE_FLOAT ? value_integer((int64_t)of->real)
                                     : *otherwise;
    return WEIR_OK;
}

static weir_code filter_float(machine *on, const datum *of, const arguments *with, datum *out) {
    WEIR_TRY(arguments_check(on, with, 0, 0, NULL, "float"));
    if (!value_is_number(of)) {
        return machine_stop(on, TEMPLATE_NOT_RENDERED, "float of what is no number");
    }
    *out = value_float(value_real(of));
    return WEIR_OK;
}

static weir_code filter_abs(machine *on, const datum *of, const arguments *with, datum *out) {
    WEIR_TRY(arguments_check(on, with, 0, 0, NULL, "abs"));
    if (of->kind == VALUE_FLOAT) {
        *out = value_float(fabs(of->real));
    } else if (of->kind == VALUE_INTEGER && of->integer != INT64_MIN) {
        *out = value_integer(of->integer < 0 ? -of->integer : of->integer);
    } else {
        return machine_stop(on, TEMPLATE_NOT_RENDERED, "abs of such a value");
    }
    return WEIR_OK;
}

/* Where the line that begins at `at` ends, and the bytes of its end. */
static size_t line_end(const datum *text, size_t at, size_t *out_size) {
    for (size_t i = at; i < text->len;) {
        uint32_t c;
        const size_t size = text_character(text->text + i, text->len - i, &c);
        if ((c >= 0x0A && c <= 0x0D) || (c >= 0x1C && c <= 0x1E) || c == 0x85 || c == 0x2028 ||
            c == 0x2029) {
            const bool is_pair = c == '\r' && i + 1 < text->len && text->text[i + 1] == '\n';
            *out_size = size + is_pair;
            return i;
        }
        i += size;
    }
    *out_size = 0;
    return text->len;
}

static weir_code indent_lines(machine *on, const datum *text, const datum *by, bool first,
                              bool blank, datum *out) {
    WEIR_CLEANUP(text_buffer_release) text_buffer lines = {0};
    bool is_first = true;
    for (size_t at = 0;;) { /* what follows the last line end is a line, even when it is empty */
        size_t size;
        const size_t end = line_end(text, at, &size);
        WEIR_TRY(machine_count_bytes(on, by->len + end - at));
        if (lines.len > RENDER_OUTPUT_BYTES_MAX) {
            return machine_stop(on, TEMPLATE_TOO_LONG, "a text of more than %d bytes",
                                RENDER_OUTPUT_BYTES_MAX);
        }
        text_buffer_add(&lines, "\n", !is_first);
        if (is_first ? first : blank || end > at) {
            text_buffer_add(&lines, by->text, by->len);
        }
        text_buffer_add(&lines, text->text + at, end - at);
        is_first = false;
        if (size == 0) {
            break;
        }
        at = end + size;
    }
    return machine_take_buffer(on, out, &lines);
}

static weir_code filter_indent(machine *on, const datum *of, const arguments *with, datum *out) {
    static const char *const names[] = {"width", "first", "blank", NULL};
    static const char blanks[] = "                                                                ";
    WEIR_TRY(arguments_check(on, with, 0, 3, names, "indent"));
    WEIR_TRY(machine_needs_text(on, of, "indent"));
    const datum *width = argument(with, 0, "width");
    const datum *first = argument(with, 1, "first");
    const datum *blank = argument(with, 2, "blank");
    datum by = value_string(blanks, 4);
    if (width && width->kind == VALUE_STRING) {
        by = *width;
    } else if (width && width->kind == VALUE_INTEGER && width->integer >= 0 &&
               width->integer < (int64_t)sizeof blanks) {
        by.len = (size_t)width->integer;
    } else if (width) {
        return machine_stop(on, TEMPLATE_NOT_RENDERED, "indent by such a width");
    }
    if (of->len > 0 && of->text[of->len - 1] == '\r') {
        return machine_stop(on, TEMPLATE_NOT_RENDERED, "indent of a text that ends in \\r");
    }
    return indent_lines(on, of, &by, first && value_is_true(first), blank && value_is_true(blank),
                        out);
}

static weir_code json_separators(machine *on, const datum *given, value_json_style *style) {
    if (!given || given->kind == VALUE_NONE) {
        return WEIR_OK;
    }
    const bool is_pair = (given->kind == VALUE_TUPLE || given->kind == VALUE_LIST) &&
                         given->list->count == 2 && given->list->items[0].kind == VALUE_STRING &&
                         given->list->items[1].kind == VALUE_STRING;
    if (!is_pair) {
        return machine_stop(on, TEMPLATE_NOT_RENDERED, "tojson with such separators");
    }
    datum item;
    datum key;
    WEIR_TRY(machine_text(on, &item, given->list->items[0].text, given->list->items[0].len));
    WEIR_TRY(machine_text(on, &key, given->list->items[1].text, given->list->items[1].len));
    style->item_separator = item.text;
    style->key_separator = key.text;
    return WEIR_OK;
}

static weir_code filter_tojson(machine *on, const datum *of, const arguments *with, datum *out) {
    static const char *const names[] = {"ensure_ascii", "indent", "separators", "sort_keys", NULL};
    WEIR_CLEANUP(text_buffer_release) text_buffer text = {0};
    value_json_style style = {.indent = -1};
    WEIR_TRY(arguments_check(on, with, 0, 4, names, "tojson"));
    const datum *ascii = argument(with, 0, "ensure_ascii");
    const datum *indent = argument(with, 1, "indent");
    const datum *sort = argument(with, 3, "sort_keys");
    WEIR_TRY(json_separators(on, argument(with, 2, "separators"), &style));
    if (indent && indent->kind != VALUE_NONE) {
        if (indent->kind != VALUE_INTEGER || indent->integer < 0 || indent->integer > 64) {
            return machine_stop(on, TEMPLATE_NOT_RENDERED, "tojson with such an indent");
        }
        style.indent = (int)indent->integer;
    }
    style.is_ascii = ascii && value_is_true(ascii);
    style.sorts_keys = sort && value_is_true(sort);
    const char *what = "";
    const weir_code code = value_write(&text, of, VALUE_JSON, &style, &what);
    if (code == WEIR_ERR_NOMEM) {
        return machine_nomem(on);
    }
    if (code != WEIR_OK) {
        return machine_stop(on, code == WEIR_ERR_FORMAT ? TEMPLATE_FAILED : TEMPLATE_NOT_RENDERED,
                            "tojson of %s", what);
    }
    return machine_take_buffer(on, out, &text);
}

static const named_filter filters[] = {
    {"default", filter_default}, {"d", filter_default},
    {"length", filter_length},   {"count", filter_length},
    {"upper", filter_upper},     {"lower", filter_lower},
    {"title", filter_title},     {"capitalize", filter_capitalize},
    {"trim", filter_trim},       {"replace", filter_replace},
    {"string", filter_string},   {"safe", filter_safe},
    {"int", filter_int},         {"float", filter_float},
    {"abs", filter_abs},         {"indent", filter_indent},
    {"tojson", filter_tojson},   {NULL, NULL},
};

static const named_filter *find_filter(const named_filter *at, const char *name, size_t len) {
    while (at->name && (strlen(at->name) != len || memcmp(at->name, name, len) != 0)) {
        at++;
    }
    return at->name ? at : NULL;
}

weir_code apply_filter(machine *on, const char *name, size_t len, const datum *input,
                       const arguments *with, datum *out) {
    const named_filter *filter = find_filter(filters, name, len);
    filter = filter ? filter : find_filter(item_filters, name, len);
    if (!filter) {
        return machine_stop(on, TEMPLATE_NOT_RENDERED, "the filter %.*s",
                            (int)(len < 40 ? len : 40), name);
    }
    const datum held = *input; /* *out may be *input */
    return filter->apply(on, &held, with, out);
}
