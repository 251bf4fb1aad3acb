/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file json_writer.h  JSON to a stream, member by member.
 *
 * Deterministic: two-space indent, or a whole document in one line, members in the order given,
 * doubles as the shortest text that keeps the stated significant digits, NaN and infinities as
 * null. Text that is not UTF-8 is escaped to U+FFFD. A write error is remembered and told by
 * json_writer_finish().
 */
#ifndef WEIR_IO_JSON_WRITER_H
#define WEIR_IO_JSON_WRITER_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#include "weir/error.h"

enum { JSON_WRITER_DEPTH_MAX = 32 };

typedef struct json_writer {
    FILE *stream;
    bool has_items[JSON_WRITER_DEPTH_MAX];
    bool after_key;
    bool is_compact; /**< no line breaks and no spaces */
    unsigned depth;
} json_writer;

static inline json_writer json_writer_init(FILE *stream) {
    return (json_writer){.stream = stream};
}

/** One document, one line: for JSON Lines. */
static inline json_writer json_writer_init_compact(FILE *stream) {
    return (json_writer){.stream = stream, .is_compact = true};
}

void json_object_begin(json_writer *json);
void json_object_end(json_writer *json);
void json_array_begin(json_writer *json);
void json_array_end(json_writer *json);
void json_key(json_writer *json, const char *key);
void json_string(json_writer *json, const char *value); /**< NULL writes null */
void json_uint(json_writer *json, uint64_t value);
void json_int(json_writer *json, int64_t value);
void json_double(json_writer *json, double value); /**< 6 significant digits */
void json_float(json_writer *json, float value);   /**< as many as bring back the same float */
/** As many digits as bring back the same double: for what is computed with again. */
void json_double_exact(json_writer *json, double value);
void json_bool(json_writer *json, bool value);
void json_null(json_writer *json);

/** End the document with a newline. @return WEIR_OK or WEIR_ERR_IO when any write failed. */
weir_code json_writer_finish(json_writer *json, weir_error *err);

#endif
