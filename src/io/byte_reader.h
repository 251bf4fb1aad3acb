/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file byte_reader.h  A little-endian cursor over a range of a source.
 *
 * The only code that takes numbers out of a binary file's bytes. Every read is checked against the
 * end of the range first and fails with the byte offset, what was to be read and how much is left.
 * Memory is one buffer whatever the range's size. `what` names the thing read, for the message:
 * "the key's length".
 */
#ifndef WEIR_IO_BYTE_READER_H
#define WEIR_IO_BYTE_READER_H

#include <stddef.h>
#include <stdint.h>

#include "io/source.h"

enum { BYTE_READER_VIEW_MAX = 64 << 10 };

/** Release with byte_reader_release(). `source` may be read, the rest is private. Not for two
 * threads at once. */
typedef struct byte_reader {
    weir_source *source;
    unsigned char *buffer;
    size_t capacity;
    size_t filled;   /**< bytes in the buffer */
    size_t cursor;   /**< next byte in the buffer, <= filled */
    uint64_t window; /**< offset in the source of the buffer's first byte */
    uint64_t end;    /**< of the range */
} byte_reader;

/**
 * Start at `begin`; nothing is read before the first call that needs bytes.
 * @param source  borrowed; must outlive the reader
 * @return WEIR_OK; WEIR_ERR_FORMAT when [begin, end) is not inside the source; WEIR_ERR_NOMEM
 */
weir_code byte_reader_init(byte_reader *out, weir_source *source, uint64_t begin, uint64_t end,
                           weir_error *err);

/** Offset of the next byte, from the start of the source. */
uint64_t byte_reader_offset(const byte_reader *reader);

/** Bytes between the cursor and the end of the range. */
uint64_t byte_reader_left(const byte_reader *reader);

/* Each returns WEIR_OK; WEIR_ERR_FORMAT past the end, the cursor unmoved; or what the source
 * returned. */
weir_code byte_reader_u8(uint8_t *out, byte_reader *reader, const char *what, weir_error *err);
weir_code byte_reader_u16(uint16_t *out, byte_reader *reader, const char *what, weir_error *err);
weir_code byte_reader_u32(uint32_t *out, byte_reader *reader, const char *what, weir_error *err);
weir_code byte_reader_u64(uint64_t *out, byte_reader *reader, const char *what, weir_error *err);

/** IEEE 754 numbers. */
weir_code byte_reader_f32(float *out, byte_reader *reader, const char *what, weir_error *err);
weir_code byte_reader_f64(double *out, byte_reader *reader, const char *what, weir_error *err);

/**
 * See the next `len` bytes in place and step over them.
 * @param[out] out  valid until the next call on the reader
 * @return as above; WEIR_ERR_LIMIT for more than BYTE_READER_VIEW_MAX
 */
weir_code byte_reader_view(const char **out, byte_reader *reader, size_t len, const char *what,
                           weir_error *err);

/** Copy the next `len` bytes, any number of them. */
weir_code byte_reader_copy(void *out, byte_reader *reader, size_t len, const char *what,
                           weir_error *err);

/** Step over `len` bytes; what lies outside the buffer is not read. */
weir_code byte_reader_skip(byte_reader *reader, uint64_t len, const char *what, weir_error *err);

void byte_reader_release(byte_reader *reader);
static inline void byte_reader_release_cleanup(byte_reader *reader) {
    byte_reader_release(reader);
}

#endif
