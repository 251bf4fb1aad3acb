/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file yaml_reader.h  The tokens of one small YAML document, spelled as the JSON reader spells
 * them.
 *
 * Anchors, aliases, tags, keys that are not scalars and a second document are refused: a model's
 * card needs none of them, and an alias can make a kilobyte stand for a terabyte. Scalars are never
 * converted: 1e-5 and "1e-5" are the same text. An absent or plain null value is JSON_NULL.
 */
#ifndef WEIR_IO_YAML_READER_H
#define WEIR_IO_YAML_READER_H

#include <stddef.h>
#include <stdint.h>

#include "base/cleanup.h"
#include "io/json_reader.h"

typedef struct yaml_reader yaml_reader;

/**
 * Start reading `len` bytes of UTF-8 text.
 *
 * @param text        borrowed; must outlive the reader
 * @param name        how failures call the file; borrowed
 * @param first_line  line of the file on which the text begins, from 1
 * @return WEIR_OK; WEIR_ERR_NOMEM
 */
weir_code yaml_reader_open(yaml_reader **out, const char *text, size_t len, const char *name,
                           uint64_t first_line, weir_error *err);

/**
 * Read the next token; `offset` of a token is its line, from 1. An empty document is JSON_END at
 * once.
 * @return WEIR_OK; WEIR_ERR_FORMAT with the line; WEIR_ERR_UNSUPPORTED for what is refused;
 *         WEIR_ERR_LIMIT past YAML_DEPTH_MAX; WEIR_ERR_NOMEM
 */
weir_code yaml_reader_next(yaml_reader *reader, json_token *out, weir_error *err);

void yaml_reader_free(yaml_reader *reader);
WEIR_DEFINE_CLEANUP(yaml_reader *, yaml_reader_free)

#endif
