/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The buffer holds [window, window + filled) of the source. Bytes that were already taken are
 * dropped when more are needed, so that what is left moves to the front and the rest is filled by
 * one read.
 */
#include "io/byte_reader.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/fail.h"

weir_code byte_reader_init(byte_reader *out, weir_source *source, uint64_t begin, uint64_t end,
                           weir_error *err) {
    const uint64_t size = weir_source_size(source);
    if (begin > end || end > size) {
        return weir_fail(err, WEIR_ERR_FORMAT, weir_source_name(source), at_byte(begin).text,
                         "a range inside the file", "bytes %" PRIu64 " to %" PRIu64 " of %" PRIu64,
                         begin, end, size);
    }
    const uint64_t len = end - begin;
    const size_t capacity = len < BYTE_READER_VIEW_MAX ? (size_t)len : BYTE_READER_VIEW_MAX;
    unsigned char *buffer = malloc(capacity ? capacity : 1);
    if (!buffer) {
        return weir_fail_nomem(err);
    }
    *out = (byte_reader){
        .source = source, .buffer = buffer, .capacity = capacity, .window = begin, .end = end};
    return WEIR_OK;
}

uint64_t byte_reader_offset(const byte_reader *reader) {
    return reader->window + reader->cursor;
}

uint64_t byte_reader_left(const byte_reader *reader) {
    return reader->end - byte_reader_offset(reader);
}

static weir_code need_left(const byte_reader *reader, uint64_t len, const char *what,
                           weir_error *err) {
    const uint64_t left = byte_reader_left(reader);
    if (len > left) {
        char expected[sizeof err->expected];
        (void)snprintf(expected, sizeof expected, "%" PRIu64 " bytes of %s", len, what);
        return weir_fail(err, WEIR_ERR_FORMAT, weir_source_name(reader->source),
                         at_byte(byte_reader_offset(reader)).text, expected,
                         "%" PRIu64 " bytes before the end", left);
    }
    return WEIR_OK;
}

/* Make the next `len` bytes, at most BYTE_READER_VIEW_MAX and inside the range, stand in the
 * buffer. */
static weir_code fill(byte_reader *reader, size_t len, weir_error *err) {
    const size_t kept = reader->filled - reader->cursor;
    if (kept >= len) {
        return WEIR_OK;
    }
    memmove(reader->buffer, reader->buffer + reader->cursor, kept);
    reader->window += reader->cursor;
    reader->cursor = 0;
    reader->filled = kept;
    const uint64_t unread = reader->end - reader->window - kept;
    const size_t room = reader->capacity - kept;
    const size_t wanted = unread < room ? (size_t)unread : room;
    WEIR_TRY(weir_source_read(reader->source, reader->window + kept, reader->buffer + kept, wanted,
                              err));
    reader->filled += wanted;
    return WEIR_OK;
}

weir_code byte_reader_view(const char **out, byte_reader *reader, size_t len, const char *what,
                           weir_error *err) {
    WEIR_TRY(need_left(reader, len, what, err));
    if (len > BYTE_READER_VIEW_MAX) {
        return weir_fail(err, WEIR_ERR_LIMIT, weir_source_name(reader->source),
                         at_byte(byte_reader_offset(reader)).text, "at most 65536 bytes at once",
                         "%zu bytes of %s", len, what);
    }
    WEIR_TRY(fill(reader, len, err));
    *out = (const char *)reader->buffer + reader->cursor;
    reader->cursor += len;
    return WEIR_OK;
}

/* The next `size` bytes as a number, the least significant byte first. */
static weir_code take_number(uint64_t *out, byte_reader *reader, size_t size, const char *what,
                             weir_error *err) {
    WEIR_TRY(need_left(reader, size, what, err));
    WEIR_TRY(fill(reader, size, err));
    const unsigned char *bytes = reader->buffer + reader->cursor;
    uint64_t number = 0;
    for (size_t i = 0; i < size; i++) {
        number |= (uint64_t)bytes[i] << (8 * i);
    }
    reader->cursor += size;
    *out = number;
    return WEIR_OK;
}

weir_code byte_reader_u8(uint8_t *out, byte_reader *reader, const char *what, weir_error *err) {
    uint64_t number;
    WEIR_TRY(take_number(&number, reader, sizeof *out, what, err));
    *out = (uint8_t)number;
    return WEIR_OK;
}

weir_code byte_reader_u16(uint16_t *out, byte_reader *reader, const char *what, weir_error *err) {
    uint64_t number;
    WEIR_TRY(take_number(&number, reader, sizeof *out, what, err));
    *out = (uint16_t)number;
    return WEIR_OK;
}

weir_code byte_reader_u32(uint32_t *out, byte_reader *reader, const char *what, weir_error *err) {
    uint64_t number;
    WEIR_TRY(take_number(&number, reader, sizeof *out, what, err));
    *out = (uint32_t)number;
    return WEIR_OK;
}

weir_code byte_reader_u64(uint64_t *out, byte_reader *reader, const char *what, weir_error *err) {
    return take_number(out, reader, sizeof *out, what, err);
}

weir_code byte_reader_f32(float *out, byte_reader *reader, const char *what, weir_error *err) {
    uint32_t bits;
    WEIR_TRY(byte_reader_u32(&bits, reader, what, err));
    memcpy(out, &bits, sizeof bits);
    return WEIR_OK;
}

weir_code byte_reader_f64(double *out, byte_reader *reader, const char *what, weir_error *err) {
    uint64_t bits;
    WEIR_TRY(byte_reader_u64(&bits, reader, what, err));
    memcpy(out, &bits, sizeof bits);
    return WEIR_OK;
}

weir_code byte_reader_copy(void *out, byte_reader *reader, size_t len, const char *what,
                           weir_error *err) {
    WEIR_TRY(need_left(reader, len, what, err));
    unsigned char *target = out;
    const size_t buffered = reader->filled - reader->cursor;
    const size_t near = len < buffered ? len : buffered;
    if (len > near) {
        WEIR_TRY(weir_source_read(reader->source, byte_reader_offset(reader) + near, target + near,
                                  len - near, err));
    }
    if (near > 0) {
        memcpy(target, reader->buffer + reader->cursor, near);
    }
    return byte_reader_skip(reader, len, what, err);
}

weir_code byte_reader_skip(byte_reader *reader, uint64_t len, const char *what, weir_error *err) {
    WEIR_TRY(need_left(reader, len, what, err));
    if (len <= reader->filled - reader->cursor) {
        reader->cursor += (size_t)len;
        return WEIR_OK;
    }
    reader->window = byte_reader_offset(reader) + len;
    reader->cursor = 0;
    reader->filled = 0;
    return WEIR_OK;
}

void byte_reader_release(byte_reader *reader) {
    free(reader->buffer);
    *reader = (byte_reader){0};
}
