/* SPDX-License-Identifier: Apache-2.0 */
/*
 * UTF-8 as in RFC 3629:
 *   1 byte   00..7F
 *   2 bytes  C2..DF 80..BF
 *   3 bytes  E0 A0..BF 80..BF | E1..EC,EE..EF 80..BF 80..BF | ED 80..9F 80..BF
 *   4 bytes  F0 90..BF ... | F1..F3 80..BF ... | F4 80..8F ...
 */
#include "base/text.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static bool is_continuation(unsigned char byte) {
    return (byte & 0xC0u) == 0x80u;
}

/* The length of the well-formed character that starts here, or 0; its code point in *code. */
static size_t decode_character(const unsigned char *bytes, size_t len, uint32_t *code) {
    const unsigned char lead = bytes[0];
    if (lead < 0x80) {
        *code = lead;
        return 1;
    }
    if (lead >= 0xC2 && lead <= 0xDF && len >= 2 && is_continuation(bytes[1])) {
        *code = ((uint32_t)(lead & 0x1Fu) << 6) | (bytes[1] & 0x3Fu);
        return 2;
    }
    if (lead >= 0xE0 && lead <= 0xEF && len >= 3 && is_continuation(bytes[1]) &&
        is_continuation(bytes[2])) {
        *code = ((uint32_t)(lead & 0x0Fu) << 12) | ((uint32_t)(bytes[1] & 0x3Fu) << 6) |
                (bytes[2] & 0x3Fu);
        const bool is_surrogate = *code >= 0xD800 && *code <= 0xDFFF;
        return *code >= 0x800 && !is_surrogate ? 3 : 0;
    }
    if (lead >= 0xF0 && lead <= 0xF4 && len >= 4 && is_continuation(bytes[1]) &&
        is_continuation(bytes[2]) && is_continuation(bytes[3])) {
        *code = ((uint32_t)(lead & 0x07u) << 18) | ((uint32_t)(bytes[1] & 0x3Fu) << 12) |
                ((uint32_t)(bytes[2] & 0x3Fu) << 6) | (bytes[3] & 0x3Fu);
        return *code >= 0x10000 && *code <= 0x10FFFF ? 4 : 0;
    }
    return 0;
}

bool text_is_utf8(const char *bytes, size_t len) {
    const unsigned char *cursor = (const unsigned char *)bytes;
    while (len > 0) {
        uint32_t code;
        const size_t used = decode_character(cursor, len, &code);
        if (used == 0) {
            return false;
        }
        cursor += used;
        len -= used;
    }
    return true;
}

/* Controls, and the invisible marks that reorder or hide text on a screen. */
static bool is_printable(uint32_t code) {
    const bool is_control = code < 0x20 || (code >= 0x7F && code < 0xA0);
    const bool is_mark = (code >= 0x200B && code <= 0x200F) || (code >= 0x2028 && code <= 0x202E) ||
                         (code >= 0x2060 && code <= 0x206F) || code == 0xFEFF ||
                         (code >= 0xFFF9 && code <= 0xFFFB) ||
                         (code >= 0xE0000 && code <= 0xE007F) || code == 0x061C;
    return !is_control && !is_mark;
}

void text_escape(char *out, size_t size, const char *bytes, size_t len) {
    if (size == 0) {
        return;
    }
    const unsigned char *cursor = (const unsigned char *)bytes;
    size_t used_out = 0;
    while (len > 0) {
        uint32_t code = 0;
        char piece[16];
        const size_t used = decode_character(cursor, len, &code);
        if (used > 0 && is_printable(code)) {
            memcpy(piece, cursor, used);
            piece[used] = '\0';
        } else if (used > 1) {
            (void)snprintf(piece, sizeof piece, "\\u{%X}", (unsigned)code);
        } else {
            (void)snprintf(piece, sizeof piece, "\\x%02X", (unsigned)cursor[0]);
        }
        const size_t piece_len = strlen(piece);
        if (used_out + piece_len >= size) {
            break;
        }
        memcpy(out + used_out, piece, piece_len);
        used_out += piece_len;
        cursor += used ? used : 1;
        len -= used ? used : 1;
    }
    out[used_out] = '\0';
}

static bool reserve(text_buffer *text, size_t extra) {
    size_t needed;
    if (text->failed || __builtin_add_overflow(text->len, extra, &needed) ||
        __builtin_add_overflow(needed, (size_t)1, &needed)) {
        text->failed = true;
        return false;
    }
    if (needed <= text->capacity) {
        return true;
    }
    size_t capacity = text->capacity ? text->capacity : 64;
    while (capacity < needed && !__builtin_mul_overflow(capacity, (size_t)2, &capacity)) {
    }
    char *moved = capacity < needed ? NULL : realloc(text->data, capacity);
    if (!moved) {
        text->failed = true;
        return false;
    }
    text->data = moved;
    text->capacity = capacity;
    return true;
}

void text_buffer_add(text_buffer *text, const char *bytes, size_t len) {
    if (!reserve(text, len)) {
        return;
    }
    if (len > 0) {
        memcpy(text->data + text->len, bytes, len);
    }
    text->len += len;
    text->data[text->len] = '\0';
}

void text_buffer_format(text_buffer *text, const char *format, ...) {
    va_list args;
    va_list again;
    va_start(args, format);
    va_copy(again, args);
    const int len = vsnprintf(NULL, 0, format, args);
    va_end(args);
    if (len >= 0 && reserve(text, (size_t)len)) {
        (void)vsnprintf(text->data + text->len, (size_t)len + 1, format, again);
        text->len += (size_t)len;
    }
    va_end(again);
}

void text_buffer_release(text_buffer *text) {
    free(text->data);
    *text = (text_buffer){0};
}
