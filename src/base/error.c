/* SPDX-License-Identifier: Apache-2.0 */
#include "weir/error.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/fail.h"
#include "base/text.h"

place at_byte(uint64_t offset) {
    place here;
    (void)snprintf(here.text, sizeof here.text, "byte %" PRIu64, offset);
    return here;
}

place at_line(uint64_t line) {
    place here;
    (void)snprintf(here.text, sizeof here.text, "line %" PRIu64, line);
    return here;
}

place at_tensor(const char *name) {
    place here = {"tensor "};
    text_escape(here.text + strlen("tensor "), sizeof here.text - strlen("tensor "), name,
                strlen(name));
    return here;
}

static void copy_printable(char *out, size_t size, const char *text) {
    text_escape(out, size, text ? text : "", text ? strlen(text) : 0);
}

void record_failure(weir_error *err, weir_code code, const char *file, const char *at,
                    const char *expected, const char *found, ...) {
    if (!err) {
        return;
    }
    char raw[sizeof err->found];
    va_list args;
    va_start(args, found);
    (void)vsnprintf(raw, sizeof raw, found, args);
    va_end(args);
    err->code = code;
    copy_printable(err->file, sizeof err->file, file);
    copy_printable(err->at, sizeof err->at, at);
    copy_printable(err->expected, sizeof err->expected, expected);
    copy_printable(err->found, sizeof err->found, raw[0] ? raw : "an empty text");
}

const char *weir_code_name(weir_code code) {
    switch (code) {
    case WEIR_OK:
        return "ok";
    case WEIR_ERR_ARG:
        return "argument";
    case WEIR_ERR_IO:
        return "io";
    case WEIR_ERR_FORMAT:
        return "format";
    case WEIR_ERR_LIMIT:
        return "limit";
    case WEIR_ERR_UNSUPPORTED:
        return "unsupported";
    case WEIR_ERR_NOMEM:
        return "memory";
    case WEIR_ERR_CANCELLED:
        return "cancelled";
    case WEIR_ERR_ENVIRONMENT:
        return "environment";
    }
    return "unknown";
}

const char *weir_error_format(const weir_error *err, char *out, size_t size) {
    const char *file_colon = err->file[0] ? ": " : "";
    const char *at_colon = err->at[0] ? ": " : "";
    if (err->expected[0]) {
        (void)snprintf(out, size, "%s%s%s%sexpected %s, found %s", err->file, file_colon, err->at,
                       at_colon, err->expected, err->found);
    } else {
        (void)snprintf(out, size, "%s%s%s%s%s", err->file, file_colon, err->at, at_colon,
                       err->found);
    }
    return out;
}
