/* SPDX-License-Identifier: Apache-2.0 */
/* Work on texts that Python's methods and Jinja's filters share. Letters beyond ASCII have no case
 * here: where that could matter, the text is not rendered. */
#include <string.h>

#include "template/characters.h"
#include "template/machine.h"

static bool is_member(const datum *characters, uint32_t character) {
    for (size_t i = 0; i < characters->len;) {
        uint32_t one;
        i += text_character(characters->text + i, characters->len - i, &one);
        if (one == character) {
            return true;
        }
    }
    return false;
}

static bool is_stripped(const datum *characters, uint32_t character) {
    return characters ? is_member(characters, character) : text_is_space(character);
}

/* The byte at which the last character of text[0, end) begins. */
static size_t last_character(const char *text, size_t end) {
    size_t begin = end - 1;
    while (begin > 0 && end - begin < 4 && ((unsigned char)text[begin] & 0xC0) == 0x80) {
        begin--;
    }
    return begin;
}

weir_code text_strip(machine *on, const datum *of, const datum *characters, bool front, bool back,
                     datum *out) {
    if (characters && characters->kind == VALUE_NONE) {
        characters = NULL;
    }
    if (characters) {
        WEIR_TRY(machine_needs_text(on, characters, "strip()"));
        WEIR_TRY(machine_count(on, characters->len));
    }
    WEIR_TRY(machine_count_bytes(on, of->len));
    size_t begin = 0;
    size_t end = of->len;
    uint32_t character;
    while (front && begin < end) {
        const size_t size = text_character(of->text + begin, end - begin, &character);
        if (!is_stripped(characters, character)) {
            break;
        }
        begin += size;
    }
    while (back && end > begin) {
        const size_t last = last_character(of->text, end);
        (void)text_character(of->text + last, end - last, &character);
        if (!is_stripped(characters, character)) {
            break;
        }
        end = last;
    }
    *out = value_string(of->text + begin, end - begin);
    return WEIR_OK;
}

weir_code text_replace(machine *on, const datum *of, const datum *old, const datum *fresh,
                       int64_t limit, datum *out) {
    WEIR_CLEANUP(text_buffer_release) text_buffer text = {0};
    if (old->len == 0) {
        return machine_stop(on, TEMPLATE_NOT_RENDERED, "replace() of an empty text");
    }
    WEIR_TRY(machine_count_bytes(on, of->len));
    size_t at = 0;
    for (int64_t n = 0; limit < 0 || n < limit; n++) {
        const char *found = memmem(of->text + at, of->len - at, old->text, old->len);
        if (!found) {
            break;
        }
        const size_t begin = (size_t)(found - of->text);
        WEIR_TRY(machine_count_bytes(on, fresh->len));
        if (text.len > RENDER_OUTPUT_BYTES_MAX) {
            return machine_stop(on, TEMPLATE_TOO_LONG, "a text of more than %d bytes",
                                RENDER_OUTPUT_BYTES_MAX);
        }
        text_buffer_add(&text, of->text + at, begin - at);
        text_buffer_add(&text, fresh->text, fresh->len);
        at = begin + old->len;
    }
    text_buffer_add(&text, of->text + at, of->len - at);
    return machine_take_buffer(on, out, &text);
}

static bool is_letter(char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}
static char to_upper(char c) {
    return c >= 'a' && c <= 'z' ? (char)(c - 32) : c;
}
static char to_lower(char c) {
    return c >= 'A' && c <= 'Z' ? (char)(c + 32) : c;
}

/* Where Jinja's filter title begins a word: behind white space, - ( { [ <. */
static bool splits_words(char c) {
    return text_is_space((unsigned char)c) || (c && strchr("-({[<", c));
}

weir_code text_map(machine *on, const datum *of, const char *how, datum *out) {
    WEIR_TRY(machine_needs_text(on, of, how));
    if (text_is_wide(of->text, of->len)) {
        return machine_stop(on, TEMPLATE_NOT_RENDERED, "%s of a text beyond ASCII", how);
    }
    WEIR_TRY(machine_count_bytes(on, of->len));
    datum copy;
    WEIR_TRY(machine_text(on, &copy, of->text, of->len));
    char *to = (char *)(uintptr_t)copy.text;
    for (size_t i = 0; i < of->len; i++) {
        const char c = of->text[i];
        bool raises = strcmp(how, "upper") == 0;
        if (strcmp(how, "capitalize") == 0) {
            raises = i == 0;
        } else if (strcmp(how, "title()") == 0) {
            raises = i == 0 || !is_letter(of->text[i - 1]);
        } else if (strcmp(how, "title") == 0) {
            raises = i == 0 || splits_words(of->text[i - 1]);
        }
        to[i] = raises ? to_upper(c) : to_lower(c);
    }
    *out = copy;
    return WEIR_OK;
}

weir_code text_join(machine *on, const datum *separator, const datum *list, bool is_filter,
                    datum *out) {
    WEIR_CLEANUP(text_buffer_release) text_buffer text = {0};
    for (size_t i = 0; i < list->list->count; i++) {
        datum item = list->list->items[i];
        if (is_filter) {
            WEIR_TRY(machine_str(on, &item, &item));
        } else if (item.kind != VALUE_STRING) {
            return machine_stop(on, TEMPLATE_FAILED, "join() of what is no text");
        }
        if (item.is_safe) {
            return machine_stop(on, TEMPLATE_NOT_RENDERED, "join of a safe text");
        }
        WEIR_TRY(machine_count_bytes(on, text.len + item.len + separator->len));
        if (i > 0) {
            text_buffer_add(&text, separator->text, separator->len);
        }
        text_buffer_add(&text, item.text, item.len);
    }
    return machine_take_buffer(on, out, &text);
}
