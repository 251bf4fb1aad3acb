/* SPDX-License-Identifier: Apache-2.0 */
/** @file document.h  A JSON or YAML document of a model folder, read token by token in one way. */
#ifndef WEIR_FORMAT_DOCUMENT_H
#define WEIR_FORMAT_DOCUMENT_H

#include "base/fail.h"
#include "io/json_reader.h"
#include "io/yaml_reader.h"

/** Zero-initialise; release with document_close(). */
typedef struct document {
    const char *file;
    json_reader *json; /**< one of the two is set */
    yaml_reader *yaml;
    char *text; /**< what `yaml` reads, when it is the document's own */
} document;

/** Strings past this many bytes end there; a chat template's own limit is the largest one needed.
 */
enum { DOCUMENT_STRING_BYTES_MAX = (1 << 20) + 1 };

/**
 * Open a whole source as JSON.
 * @return WEIR_OK; WEIR_ERR_LIMIT past size_max; WEIR_ERR_NOMEM
 */
weir_code document_open_json(document *out, weir_source *source, uint64_t size_max,
                             weir_error *err);

/** Open a whole source as YAML. @return WEIR_OK; WEIR_ERR_LIMIT past CARD_BYTES_MAX; WEIR_ERR_IO
 * ... */
weir_code document_open_yaml_source(document *out, weir_source *source, weir_error *err);

/** Open borrowed text as YAML; it begins on line `first_line` of `file`. */
weir_code document_open_yaml(document *out, const char *text, size_t len, const char *file,
                             uint64_t first_line, weir_error *err);

/** The next token, as json_reader_next() and yaml_reader_next() give it. */
weir_code document_next(document *source, json_token *out, weir_error *err);

/** Read on to the end of the value that `begun` is or (a key) names. */
weir_code document_skip(document *source, const json_token *begun, weir_error *err);

/** @return "byte 12" in JSON, "line 3" in YAML. */
place document_place(const document *source, uint64_t offset);

void document_close(document *source);
static inline void document_close_cleanup(document *source) {
    document_close(source);
}

/**
 * Read a whole small file as text.
 * @param[out] out  NUL-terminated; release with free()
 * @return WEIR_OK; WEIR_ERR_LIMIT past size_max; WEIR_ERR_IO; WEIR_ERR_NOMEM
 */
weir_code source_read_text(char **out, size_t *len, weir_source *source, uint64_t size_max,
                           weir_error *err);

#endif
