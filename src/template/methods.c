/* SPDX-License-Identifier: Apache-2.0 */
/* Methods of texts, dicts and lists, by Python's rules. What would change a list or dict is refused
 * by the sandbox; methods that exist but are not rendered here are in the tables too, so that none
 * of them reads as undefined. */
#include <string.h>

#include "template/characters.h"
#include "template/machine.h"

typedef weir_code method_call(machine *on, const datum *self, const arguments *with, datum *out);

typedef struct method {
    const char *name;
    method_call *call; /* NULL: not rendered */
    bool is_mutating;
} method;

static weir_code optional_count(machine *on, const datum *given, int64_t *out) {
    if (given && given->kind != VALUE_INTEGER && given->kind != VALUE_BOOL) {
        return machine_stop(on, TEMPLATE_FAILED, "a count that is no integer");
    }
    *out = !given ? -1 : given->kind == VALUE_BOOL ? given->truth : given->integer;
    return WEIR_OK;
}

static weir_code add_piece(machine *on, const datum *list, const char *text, size_t len) {
    const datum piece = value_string(text, len);
    return machine_add(on, list, &piece);
}

/* split() without a separator: at runs of white space, with nothing empty. */
static weir_code split_words(machine *on, const datum *self, int64_t limit, datum *out) {
    const char *at = self->text;
    size_t left = self->len;
    for (int64_t n = 0;; n++) {
        const size_t space = text_space_front(at, left);
        at += space;
        left -= space;
        if (left == 0) {
            return WEIR_OK;
        }
        if (limit >= 0 && n == limit) {
            return add_piece(on, out, at, left);
        }
        size_t len = 0;
        while (len < left && text_space_front(at + len, left - len) == 0) {
            uint32_t character;
            len += text_character(at + len, left - len, &character);
        }
        WEIR_TRY(add_piece(on, out, at, len));
        at += len;
        left -= len;
    }
}

static weir_code split_front(machine *on, const datum *self, const datum *by, int64_t limit,
                             datum *out) {
    size_t at = 0;
    for (int64_t n = 0; limit < 0 || n < limit; n++) {
        const char *found = memmem(self->text + at, self->len - at, by->text, by->len);
        if (!found) {
            break;
        }
        const size_t begin = (size_t)(found - self->text);
        WEIR_TRY(add_piece(on, out, self->text + at, begin - at));
        at = begin + by->len;
    }
    return add_piece(on, out, self->text + at, self->len - at);
}

/* The last place of `by` in text[0, end), or `end` when there is none. */
static size_t find_last(const char *text, size_t end, const datum *by) {
    for (size_t at = end >= by->len ? end - by->len + 1 : 0; at > 0; at--) {
        if (memcmp(text + at - 1, by->text, by->len) == 0) {
            return at - 1;
        }
    }
    return end;
}

/* Pieces from the back, then turned round. */
static weir_code split_back(machine *on, const datum *self, const datum *by, int64_t limit,
                            datum *out) {
    size_t end = self->len;
    for (int64_t n = 0; limit < 0 || n < limit; n++) {
        const size_t found = find_last(self->text, end, by);
        if (found == end) {
            break;
        }
        const size_t begin = found + by->len;
        WEIR_TRY(add_piece(on, out, self->text + begin, end - begin));
        end = found;
    }
    WEIR_TRY(add_piece(on, out, self->text, end));
    value_list *list = out->list;
    for (size_t i = 0; i < list->count / 2; i++) {
        const datum held = list->items[i];
        list->items[i] = list->items[list->count - 1 - i];
        list->items[list->count - 1 - i] = held;
    }
    return WEIR_OK;
}

static weir_code split(machine *on, const datum *self, const arguments *with, bool is_back,
                       datum *out) {
    static const char *const names[] = {"sep", "maxsplit", NULL};
    int64_t limit;
    WEIR_TRY(arguments_check(on, with, 0, 2, names, "split()"));
    WEIR_TRY(optional_count(on, argument(with, 1, "maxsplit"), &limit));
    const datum *by = argument(with, 0, "sep");
    WEIR_TRY(machine_list(on, out, VALUE_LIST, 0));
    WEIR_TRY(machine_count_bytes(on, self->len));
    if (!by || by->kind == VALUE_NONE) {
        return is_back && limit >= 0
                   ? machine_stop(on, TEMPLATE_NOT_RENDERED, "rsplit() at white space")
                   : split_words(on, self, limit, out);
    }
    WEIR_TRY(machine_needs_text(on, by, "split()"));
    if (by->len == 0) {
        return machine_stop(on, TEMPLATE_FAILED, "split() by an empty text");
    }
    return is_back ? split_back(on, self, by, limit, out) : split_front(on, self, by, limit, out);
}

static weir_code call_split(machine *on, const datum *self, const arguments *with, datum *out) {
    return split(on, self, with, /* is_back= */ false, out);
}
static weir_code call_rsplit(machine *on, const datum *self, const arguments *with, datum *out) {
    return split(on, self, with, /* is_back= */ true, out);
}

static weir_code strip(machine *on, const datum *self, const arguments *with, bool front, bool back,
                       datum *out) {
    WEIR_TRY(arguments_check(on, with, 0, 1, NULL, "strip()"));
    return text_strip(on, self, argument(with, 0, NULL), front, back, out);
}

static weir_code call_strip(machine *on, const datum *self, const arguments *with, datum *out) {
    return strip(on, self, with, /* front= */ true, /* back= */ true, out);
}
static weir_code call_lstrip(machine *on, const datum *self, const arguments *with, datum *out) {
    return strip(on, self, with, /* front= */ true, /* back= */ false, out);
}
static weir_code call_rstrip(machine *on, const datum *self, const arguments *with, datum *out) {
    return strip(on, self, with, /* front= */ false, /* back= */ true, out);
}

static bool begins_with(const datum *self, const datum *part) {
    return self->len >= part->len && memcmp(self->text, part->text, part->len) == 0;
}
static bool ends_with(const datum *self, const datum *part) {
    return self->len >= part->len &&
           memcmp(self->text + self->len - part->len, part->text, part->len) == 0;
}

/* startswith() and endswith(): one text or a tuple of them. */
static weir_code match_end(machine *on, const datum *self, const arguments *with,
                           bool (*holds)(const datum *, const datum *), datum *out) {
    if (with->count != 1 || with->named_count > 0) {
        return machine_stop(on, TEMPLATE_NOT_RENDERED, "startswith() with such arguments");
    }
    const datum *part = &with->items[0];
    const size_t count = part->kind == VALUE_TUPLE ? part->list->count : 1;
    bool is_found = false;
    for (size_t i = 0; i < count; i++) {
        const datum *one = part->kind == VALUE_TUPLE ? &part->list->items[i] : part;
        WEIR_TRY(machine_needs_text(on, one, "startswith()"));
        is_found = is_found || holds(self, one);
    }
    *out = value_bool(is_found);
    return WEIR_OK;
}

static weir_code call_startswith(machine *on, const datum *self, const arguments *with,
                                 datum *out) {
    return match_end(on, self, with, begins_with, out);
}
static weir_code call_endswith(machine *on, const datum *self, const arguments *with, datum *out) {
    return match_end(on, self, with, ends_with, out);
}

/* The one text that a method takes. */
static weir_code only_text(machine *on, const arguments *with, const char *callee,
                           const datum **out) {
    if (with->count != 1 || with->named_count > 0) {
        return machine_stop(on, TEMPLATE_NOT_RENDERED, "%s with such arguments", callee);
    }
    *out = &with->items[0];
    return machine_needs_text(on, *out, callee);
}

static weir_code call_removeprefix(machine *on, const datum *self, const arguments *with,
                                   datum *out) {
    const datum *part;
    WEIR_TRY(only_text(on, with, "removeprefix()", &part));
    const size_t cut = begins_with(self, part) ? part->len : 0;
    *out = value_string(self->text + cut, self->len - cut);
    return WEIR_OK;
}

static weir_code call_removesuffix(machine *on, const datum *self, const arguments *with,
                                   datum *out) {
    const datum *part;
    WEIR_TRY(only_text(on, with, "removesuffix()", &part));
    *out = value_string(self->text, self->len - (ends_with(self, part) ? part->len : 0));
    return WEIR_OK;
}

static weir_code find(machine *on, const datum *self, const arguments *with, bool is_back,
                      datum *out) {
    const datum *part;
    WEIR_TRY(only_text(on, with, "find()", &part));
    WEIR_TRY(machine_count_bytes(on, self->len));
    size_t at = self->len;
    bool is_found;
    if (is_back) {
        at = find_last(self->text, self->len, part);
        is_found = at < self->len || part->len == 0;
    } else {
        const char *found =
            part->len ? memmem(self->text, self->len, part->text, part->len) : self->text;
        is_found = found;
        at = found ? (size_t)(found - self->text) : 0;
    }
    *out = value_integer(is_found ? (int64_t)text_count(self->text, at) : -1);
    return WEIR_OK;
}

static weir_code call_find(machine *on, const datum *self, const arguments *with, datum *out) {
    return find(on, self, with, /* is_back= */ false, out);
}
static weir_code call_rfind(machine *on, const datum *self, const arguments *with, datum *out) {
    return find(on, self, with, /* is_back= */ true, out);
}

static weir_code call_index(machine *on, const datum *self, const arguments *with, datum *out) {
    WEIR_TRY(find(on, self, with, /* is_back= */ false, out));
    return out->integer < 0 ? machine_stop(on, TEMPLATE_FAILED, "index() of what is not there")
                            : WEIR_OK;
}

static weir_code call_count(machine *on, const datum *self, const arguments *with, datum *out) {
    const datum *part;
    WEIR_TRY(only_text(on, with, "count()", &part));
    WEIR_TRY(machine_count_bytes(on, self->len));
    if (part->len == 0) {
        *out = value_integer((int64_t)text_count(self->text, self->len) + 1);
        return WEIR_OK;
    }
    int64_t count = 0;
    const char *at = self->text;
    const char *end = self->text + self->len;
    while ((at = memmem(at, (size_t)(end - at), part->text, part->len))) {
        at += part->len;
        count++;
    }
    *out = value_integer(count);
    return WEIR_OK;
}

static weir_code call_replace(machine *on, const datum *self, const arguments *with, datum *out) {
    static const char *const names[] = {"old", "new", "count", NULL};
    int64_t limit;
    WEIR_TRY(arguments_check(on, with, 2, 3, names, "replace()"));
    const datum *old = argument(with, 0, "old");
    const datum *fresh = argument(with, 1, "new");
    WEIR_TRY(machine_needs_text(on, old, "replace()"));
    WEIR_TRY(machine_needs_text(on, fresh, "replace()"));
    WEIR_TRY(optional_count(on, argument(with, 2, "count"), &limit));
    return text_replace(on, self, old, fresh, limit, out);
}

static weir_code call_join(machine *on, const datum *self, const arguments *with, datum *out) {
    datum items;
    WEIR_TRY(arguments_check(on, with, 1, 1, NULL, "join()"));
    WEIR_TRY(machine_items(on, &items, &with->items[0], "join()"));
    return text_join(on, self, &items, /* is_filter= */ false, out);
}

static weir_code mapped(machine *on, const datum *self, const arguments *with, const char *how,
                        datum *out) {
    WEIR_TRY(arguments_check(on, with, 0, 0, NULL, how));
    return text_map(on, self, how, out);
}

static weir_code call_upper(machine *on, const datum *self, const arguments *with, datum *out) {
    return mapped(on, self, with, "upper", out);
}
static weir_code call_lower(machine *on, const datum *self, const arguments *with, datum *out) {
    return mapped(on, self, with, "lower", out);
}
static weir_code call_title(machine *on, const datum *self, const arguments *with, datum *out) {
    return mapped(on, self, with, "title()", out);
}
static weir_code call_capitalize(machine *on, const datum *self, const arguments *with,
                                 datum *out) {
    return mapped(on, self, with, "capitalize", out);
}

/* Whether every character is of a class, and there is one. */
static weir_code all_of(machine *on, const datum *self, const arguments *with, const char *name,
                        bool (*holds)(char), datum *out) {
    WEIR_TRY(arguments_check(on, with, 0, 0, NULL, name));
    if (text_is_wide(self->text, self->len)) {
        return machine_stop(on, TEMPLATE_NOT_RENDERED, "%s of a text beyond ASCII", name);
    }
    bool do_hold = self->len > 0;
    for (size_t i = 0; i < self->len && do_hold; i++) {
        do_hold = holds(self->text[i]);
    }
    *out = value_bool(do_hold);
    return WEIR_OK;
}

static bool is_digit(char c) {
    return c >= '0' && c <= '9';
}
static bool is_alpha(char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}
static bool is_alnum(char c) {
    return is_digit(c) || is_alpha(c);
}
static bool is_space(char c) {
    return text_is_space((unsigned char)c);
}

static weir_code call_isdigit(machine *on, const datum *self, const arguments *with, datum *out) {
    return all_of(on, self, with, "isdigit()", is_digit, out);
}
static weir_code call_isalpha(machine *on, const datum *self, const arguments *with, datum *out) {
    return all_of(on, self, with, "isalpha()", is_alpha, out);
}
static weir_code call_isalnum(machine *on, const datum *self, const arguments *with, datum *out) {
    return all_of(on, self, with, "isalnum()", is_alnum, out);
}
static weir_code call_isspace(machine *on, const datum *self, const arguments *with, datum *out) {
    return all_of(on, self, with, "isspace()", is_space, out);
}

static weir_code call_splitlines(machine *on, const datum *self, const arguments *with,
                                 datum *out) {
    static const char *const names[] = {"keepends", NULL};
    WEIR_TRY(arguments_check(on, with, 0, 1, names, "splitlines()"));
    const datum *given = argument(with, 0, "keepends");
    const bool keeps = given && value_is_true(given);
    WEIR_TRY(machine_list(on, out, VALUE_LIST, 0));
    WEIR_TRY(machine_count_bytes(on, self->len));
    size_t line = 0;
    for (size_t i = 0; i < self->len;) {
        uint32_t c;
        size_t size = text_character(self->text + i, self->len - i, &c);
        const bool ends = (c >= 0x0A && c <= 0x0D) || (c >= 0x1C && c <= 0x1E) || c == 0x85 ||
                          c == 0x2028 || c == 0x2029;
        size += c == '\r' && i + 1 < self->len && self->text[i + 1] == '\n';
        if (ends) {
            WEIR_TRY(add_piece(on, out, self->text + line, i + (keeps ? size : 0) - line));
            line = i + size;
        }
        i += size;
    }
    return line < self->len ? add_piece(on, out, self->text + line, self->len - line) : WEIR_OK;
}

static const method text_methods[] = {
    {"split", call_split, false},
    {"rsplit", call_rsplit, false},
    {"strip", call_strip, false},
    {"lstrip", call_lstrip, false},
    {"rstrip", call_rstrip, false},
    {"startswith", call_startswith, false},
    {"endswith", call_endswith, false},
    {"removeprefix", call_removeprefix, false},
    {"removesuffix", call_removesuffix, false},
    {"find", call_find, false},
    {"rfind", call_rfind, false},
    {"index", call_index, false},
    {"count", call_count, false},
    {"replace", call_replace, false},
    {"join", call_join, false},
    {"upper", call_upper, false},
    {"lower", call_lower, false},
    {"title", call_title, false},
    {"capitalize", call_capitalize, false},
    {"isdigit", call_isdigit, false},
    {"isalpha", call_isalpha, false},
    {"isalnum", call_isalnum, false},
    {"isspace", call_isspace, false},
    {"splitlines", call_splitlines, false},
    {"format", NULL, false},
    {"casefold", NULL, false},
    {"center", NULL, false},
    {"encode", NULL, false},
    {"expandtabs", NULL, false},
    {"format_map", NULL, false},
    {"isascii", NULL, false},
    {"isdecimal", NULL, false},
    {"isidentifier", NULL, false},
    {"islower", NULL, false},
    {"isnumeric", NULL, false},
    {"isprintable", NULL, false},
    {"istitle", NULL, false},
    {"isupper", NULL, false},
    {"ljust", NULL, false},
    {"maketrans", NULL, false},
    {"partition", NULL, false},
    {"rindex", NULL, false},
    {"rjust", NULL, false},
    {"rpartition", NULL, false},
    {"swapcase", NULL, false},
    {"translate", NULL, false},
    {"zfill", NULL, false},
    {NULL, NULL, false},
};

static weir_code call_get(machine *on, const datum *self, const arguments *with, datum *out) {
    WEIR_TRY(arguments_check(on, with, 1, 2, NULL, "get()"));
    const datum *key = &with->items[0];
    if (key->kind == VALUE_LIST || key->kind == VALUE_DICT) {
        return machine_stop(on, TEMPLATE_FAILED, "a key of a dict that cannot be hashed");
    }
    const size_t at = value_dict_find(self->dict, key, &on->steps);
    *out = at < self->dict->count ? self->dict->values[at]
           : with->count > 1      ? with->items[1]
                                  : value_none();
    return machine_count(on, 1);
}

static weir_code view_of(machine *on, const datum *self, const arguments *with, bool keys,
                         bool values, datum *out) {
    WEIR_TRY(arguments_check(on, with, 0, 0, NULL, "items()"));
    WEIR_TRY(machine_list(on, out, VALUE_VIEW, self->dict->count));
    for (size_t i = 0; i < self->dict->count; i++) {
        datum pair;
        if (keys && values) {
            WEIR_TRY(machine_list(on, &pair, VALUE_TUPLE, 2));
            WEIR_TRY(machine_add(on, &pair, &self->dict->keys[i]));
            WEIR_TRY(machine_add(on, &pair, &self->dict->values[i]));
        } else {
            pair = keys ? self->dict->keys[i] : self->dict->values[i];
        }
        WEIR_TRY(machine_add(on, out, &pair));
    }
    return WEIR_OK;
}

static weir_code call_items(machine *on, const datum *self, const arguments *with, datum *out) {
    return view_of(on, self, with, /* keys= */ true, /* values= */ true, out);
}
static weir_code call_keys(machine *on, const datum *self, const arguments *with, datum *out) {
    return view_of(on, self, with, /* keys= */ true, /* values= */ false, out);
}
static weir_code call_values(machine *on, const datum *self, const arguments *with, datum *out) {
    return view_of(on, self, with, /* keys= */ false, /* values= */ true, out);
}

/* Values never change, so a copy is the value. */
static weir_code call_copy(machine *on, const datum *self, const arguments *with, datum *out) {
    *out = *self;
    return arguments_check(on, with, 0, 0, NULL, "copy()");
}

static const method dict_methods[] = {
    {"get", call_get, false},   {"items", call_items, false},
    {"keys", call_keys, false}, {"values", call_values, false},
    {"copy", call_copy, false}, {"fromkeys", NULL, false},
    {"pop", NULL, true},        {"popitem", NULL, true},
    {"update", NULL, true},     {"clear", NULL, true},
    {"setdefault", NULL, true}, {NULL, NULL, false},
};

static weir_code seek_item(machine *on, const datum *self, const arguments *with, size_t *out_first,
                           int64_t *out_count) {
    WEIR_TRY(arguments_check(on, with, 1, 1, NULL, "index()"));
    *out_first = self->list->count;
    *out_count = 0;
    for (size_t i = 0; i < self->list->count; i++) {
        if (value_is_equal(&self->list->items[i], &with->items[0], &on->steps)) {
            *out_first = *out_count == 0 ? i : *out_first;
            ++*out_count;
        }
    }
    return machine_count(on, 1);
}

static weir_code call_list_index(machine *on, const datum *self, const arguments *with,
                                 datum *out) {
    size_t first;
    int64_t count;
    WEIR_TRY(seek_item(on, self, with, &first, &count));
    *out = value_integer((int64_t)first);
    return count == 0 ? machine_stop(on, TEMPLATE_FAILED, "index() of what is not there") : WEIR_OK;
}

static weir_code call_list_count(machine *on, const datum *self, const arguments *with,
                                 datum *out) {
    size_t first;
    int64_t count;
    WEIR_TRY(seek_item(on, self, with, &first, &count));
    *out = value_integer(count);
    return WEIR_OK;
}

static const method list_methods[] = {
    {"index", call_list_index, false},
    {"count", call_list_count, false},
    {"copy", call_copy, false},
    {"append", NULL, true},
    {"extend", NULL, true},
    {"insert", NULL, true},
    {"pop", NULL, true},
    {"remove", NULL, true},
    {"reverse", NULL, true},
    {"sort", NULL, true},
    {"clear", NULL, true},
    {NULL, NULL, false},
};

static const method *methods_of(const datum *receiver) {
    return receiver->kind == VALUE_STRING ? text_methods
           : receiver->kind == VALUE_DICT ? dict_methods
                                          : list_methods;
}

bool find_method(const datum *receiver, const char *name, size_t len, const char **out) {
    const bool is_tuple = receiver->kind == VALUE_TUPLE;
    for (const method *at = methods_of(receiver); at->name; at++) {
        const bool has_it = !is_tuple || (!at->is_mutating && at->call != call_copy);
        if (has_it && strlen(at->name) == len && memcmp(at->name, name, len) == 0) {
            *out = at->name;
            return true;
        }
    }
    return false;
}

weir_code call_method(machine *on, const datum *receiver, const char *name, const arguments *with,
                      datum *out) {
    const method *at = methods_of(receiver);
    while (strcmp(at->name, name) != 0) {
        at++;
    }
    if (at->is_mutating) {
        return machine_stop(on, TEMPLATE_FAILED, "%s(), which the sandbox refuses", name);
    }
    if (!at->call || receiver->is_safe) {
        return machine_stop(on, TEMPLATE_NOT_RENDERED, "the method %s()", name);
    }
    return at->call(on, receiver, with, out);
}
