/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file json_reader.h  A strict streaming JSON reader over a range of a source.
 *
 * RFC 8259 without extensions: UTF-8 only, no lone surrogate, no leading zero, no trailing comma,
 * no NaN. Memory is one buffer and one token, whatever the document's size; nothing recurses.
 */
#ifndef WEIR_IO_JSON_READER_H
#define WEIR_IO_JSON_READER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "io/source.h"

typedef enum json_kind {
    JSON_OBJECT_BEGIN,
    JSON_OBJECT_END,
    JSON_ARRAY_BEGIN,
    JSON_ARRAY_END,
    JSON_KEY,
    JSON_STRING,
    JSON_NUMBER,
    JSON_TRUE,
    JSON_FALSE,
    JSON_NULL,
    JSON_END, /**< the document is whole and nothing but white space follows */
} json_kind;

typedef struct json_token {
    json_kind kind;
    uint32_t depth;  /**< 0 for the document's own value, 1 for its members ... */
    uint64_t offset; /**< of the token's first byte, from the start of the source */
    const char
        *text;  /**< keys and strings: decoded; numbers: as written. NUL-terminated; until next */
    size_t len; /**< bytes of text; a decoded string may hold NULs inside */
} json_token;

typedef struct json_options {
    uint32_t depth_max;      /**< 0 for JSON_DEPTH_MAX */
    size_t string_bytes_max; /**< longer keys and strings fail with WEIR_ERR_LIMIT; 0 for 16 MiB */
    bool leading_space;      /**< accept white space before the value (RFC 8259 does) */
    bool cut_long_strings;   /**< give the first string_bytes_max bytes instead of failing */
    bool python_numbers;     /**< accept NaN, Infinity and -Infinity, as Python writes them */
} json_options;

typedef struct json_reader json_reader;

/**
 * Start reading the bytes [begin, end) of a source as one JSON document.
 * @param source   borrowed; must outlive the reader
 * @param options  NULL for defaults, which accept leading space
 * @return WEIR_OK; WEIR_ERR_NOMEM
 */
weir_code json_reader_open(json_reader **out, weir_source *source, uint64_t begin, uint64_t end,
                           const json_options *options, weir_error *err);

/**
 * Read the next token. Memory of the last one is reused.
 * @return WEIR_OK; WEIR_ERR_FORMAT with the byte offset; WEIR_ERR_LIMIT; WEIR_ERR_IO;
 * WEIR_ERR_NOMEM
 */
weir_code json_reader_next(json_reader *reader, json_token *out, weir_error *err);

/** Read on to the end of the value that `begun` opened (a key: its value); a scalar is already
 * over. */
weir_code json_reader_skip(json_reader *reader, const json_token *begun, weir_error *err);

/** @return whether a number token is a plain unsigned integer that fits: no sign, fraction,
 * exponent. */
bool json_token_u64(const json_token *token, uint64_t *out);

/** @return whether a number token is a finite double. Locale-free. */
bool json_token_double(const json_token *token, double *out);

/** @return whether a key or string is exactly `text`. */
bool json_token_is(const json_token *token, const char *text);

void json_reader_free(json_reader *reader);
WEIR_DEFINE_CLEANUP(json_reader *, json_reader_free)

#endif
