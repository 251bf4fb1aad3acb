/* SPDX-License-Identifier: Apache-2.0 */
#include "io/json_writer.h"

#include <assert.h>
#include <errno.h>
#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/fail.h"
#include "base/text.h"

static void put_indent(json_writer *json) {
    if (json->is_compact) {
        return;
    }
    (void)fputc('\n', json->stream);
    for (unsigned i = 0; i < json->depth; i++) {
        (void)fputs("  ", json->stream);
    }
}

/* A value stands behind its key, or on a line of its own in an array. */
static void begin_value(json_writer *json) {
    if (json->after_key) {
        json->after_key = false;
        return;
    }
    if (json->depth > 0) {
        (void)fputs(json->has_items[json->depth] ? "," : "", json->stream);
        json->has_items[json->depth] = true;
        put_indent(json);
    }
}

static void open_bracket(json_writer *json, char bracket) {
    begin_value(json);
    (void)fputc(bracket, json->stream);
    json->depth++;
    assert(json->depth < JSON_WRITER_DEPTH_MAX);
    json->has_items[json->depth] = false;
}

static void close_bracket(json_writer *json, char bracket) {
    assert(json->depth > 0);
    const bool had_items = json->has_items[json->depth];
    json->depth--;
    if (had_items) {
        put_indent(json);
    }
    (void)fputc(bracket, json->stream);
}

void json_object_begin(json_writer *json) {
    open_bracket(json, '{');
}

void json_object_end(json_writer *json) {
    close_bracket(json, '}');
}

void json_array_begin(json_writer *json) {
    open_bracket(json, '[');
}

void json_array_end(json_writer *json) {
    close_bracket(json, ']');
}

static void put_escaped(FILE *stream, unsigned char byte) {
    switch (byte) {
    case '"':
        (void)fputs("\\\"", stream);
        return;
    case '\\':
        (void)fputs("\\\\", stream);
        return;
    case '\n':
        (void)fputs("\\n", stream);
        return;
    case '\r':
        (void)fputs("\\r", stream);
        return;
    case '\t':
        (void)fputs("\\t", stream);
        return;
    default:
        if (byte < 0x20 || byte == 0x7F) {
            (void)fprintf(stream, "\\u%04x", byte);
        } else {
            (void)fputc(byte, stream);
        }
    }
}

static void put_text(FILE *stream, const char *text) {
    const size_t len = strlen(text);
    const bool is_utf8 = text_is_utf8(text, len);
    (void)fputc('"', stream);
    for (size_t i = 0; i < len; i++) {
        const unsigned char byte = (unsigned char)text[i];
        if (!is_utf8 && byte >= 0x80) {
            (void)fputs("\\ufffd", stream);
        } else {
            put_escaped(stream, byte);
        }
    }
    (void)fputc('"', stream);
}

void json_key(json_writer *json, const char *key) {
    begin_value(json);
    put_text(json->stream, key);
    (void)fputs(json->is_compact ? ":" : ": ", json->stream);
    json->after_key = true;
}

void json_string(json_writer *json, const char *value) {
    if (!value) {
        json_null(json);
        return;
    }
    begin_value(json);
    put_text(json->stream, value);
}

void json_uint(json_writer *json, uint64_t value) {
    begin_value(json);
    (void)fprintf(json->stream, "%" PRIu64, value);
}

void json_int(json_writer *json, int64_t value) {
    begin_value(json);
    (void)fprintf(json->stream, "%" PRId64, value);
}

void json_double(json_writer *json, double value) {
    if (!isfinite(value)) {
        json_null(json);
        return;
    }
    begin_value(json);
    (void)fprintf(json->stream, "%.6g", value == 0 ? 0.0 : value); /* no "-0" */
}

void json_float(json_writer *json, float value) {
    enum { DIGITS_ENOUGH = 9 };
    char text[32] = "0"; /* no "-0" */
    if (!isfinite(value)) {
        json_null(json);
        return;
    }
    begin_value(json);
    for (int digits = 6; value != 0 && digits <= DIGITS_ENOUGH; digits++) {
        (void)snprintf(text, sizeof text, "%.*g", digits, (double)value);
        if (strtof(text, NULL) == value) {
            break;
        }
    }
    (void)fputs(text, json->stream);
}

void json_double_exact(json_writer *json, double value) {
    enum { DIGITS_ENOUGH = 17 };
    char text[40] = "0"; /* no "-0" */
    if (!isfinite(value)) {
        json_null(json);
        return;
    }
    begin_value(json);
    for (int digits = 6; value != 0 && digits <= DIGITS_ENOUGH; digits++) {
        (void)snprintf(text, sizeof text, "%.*g", digits, value);
        if (strtod(text, NULL) == value) {
            break;
        }
    }
    (void)fputs(text, json->stream);
}

void json_bool(json_writer *json, bool value) {
    begin_value(json);
    (void)fputs(value ? "true" : "false", json->stream);
}

void json_null(json_writer *json) {
    begin_value(json);
    (void)fputs("null", json->stream);
}

weir_code json_writer_finish(json_writer *json, weir_error *err) {
    assert(json->depth == 0);
    (void)fputc('\n', json->stream);
    if (fflush(json->stream) != 0 || ferror(json->stream)) {
        return weir_fail(err, WEIR_ERR_IO, NULL, NULL, NULL, "output: %s", strerror(errno));
    }
    return WEIR_OK;
}
