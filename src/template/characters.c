/* SPDX-License-Identifier: Apache-2.0 */
/* The classes are those of Python's str.isspace(), which its \s in a pattern shares. */
#include "template/characters.h"

size_t text_character(const char *text, size_t len, uint32_t *out) {
    const unsigned char *bytes = (const unsigned char *)text;
    const size_t size = bytes[0] < 0xC0 ? 1 : bytes[0] < 0xE0 ? 2 : bytes[0] < 0xF0 ? 3 : 4;
    uint32_t code = size == 1 ? bytes[0] : bytes[0] & (0x7Fu >> size);
    if (size > len) {
        *out = bytes[0];
        return 1;
    }
    for (size_t i = 1; i < size; i++) {
        if ((bytes[i] & 0xC0) != 0x80) {
            *out = bytes[0];
            return 1;
        }
        code = code << 6 | (bytes[i] & 0x3Fu);
    }
    *out = code;
    return size;
}

size_t text_count(const char *text, size_t len) {
    size_t count = 0;
    for (size_t i = 0; i < len; count++) {
        uint32_t character;
        i += text_character(text + i, len - i, &character);
    }
    return count;
}

size_t text_offset(const char *text, size_t len, size_t index) {
    size_t at = 0;
    for (; index > 0 && at < len; index--) {
        uint32_t character;
        at += text_character(text + at, len - at, &character);
    }
    return at;
}

size_t text_encode(char out[4], uint32_t character) {
    if (character < 0x80) {
        out[0] = (char)character;
        return 1;
    }
    const size_t size = character < 0x800 ? 2 : character < 0x10000 ? 3 : 4;
    for (size_t i = size - 1; i > 0; i--) {
        out[i] = (char)(0x80 | (character & 0x3F));
        character >>= 6;
    }
    out[0] = (char)((0xF00u >> size & 0xFF) | character);
    return size;
}

bool text_is_space(uint32_t c) {
    return (c >= 0x09 && c <= 0x0D) || (c >= 0x1C && c <= 0x20) || c == 0x85 || c == 0xA0 ||
           c == 0x1680 || (c >= 0x2000 && c <= 0x200A) || c == 0x2028 || c == 0x2029 ||
           c == 0x202F || c == 0x205F || c == 0x3000;
}

size_t text_space_front(const char *text, size_t len) {
    size_t at = 0;
    while (at < len) {
        uint32_t character;
        const size_t size = text_character(text + at, len - at, &character);
        if (!text_is_space(character)) {
            break;
        }
        at += size;
    }
    return at;
}

size_t text_space_back(const char *text, size_t len) {
    size_t end = len;
    while (end > 0) {
        size_t begin = end - 1;
        while (begin > 0 && end - begin < 4 && ((unsigned char)text[begin] & 0xC0) == 0x80) {
            begin--;
        }
        uint32_t character;
        if (text_character(text + begin, end - begin, &character) != end - begin ||
            !text_is_space(character)) {
            break;
        }
        end = begin;
    }
    return len - end;
}

bool text_is_wide(const char *text, size_t len) {
    for (size_t i = 0; i < len; i++) {
        if ((unsigned char)text[i] >= 0x80) {
            return true;
        }
    }
    return false;
}
