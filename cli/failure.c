/* SPDX-License-Identifier: Apache-2.0 */
#include "failure.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <weir/report.h>

enum { LINE_BYTES = 1024 };

exit_status failure_status(weir_code code) {
    switch (code) {
    case WEIR_OK:
        return EXIT_DONE;
    case WEIR_ERR_ARG:
        return EXIT_USAGE;
    case WEIR_ERR_FORMAT:
    case WEIR_ERR_LIMIT:
    case WEIR_ERR_UNSUPPORTED:
        return EXIT_INPUT;
    case WEIR_ERR_IO:
    case WEIR_ERR_NOMEM:
    case WEIR_ERR_ENVIRONMENT:
        return EXIT_ENVIRONMENT;
    case WEIR_ERR_CANCELLED:
        return EXIT_INTERRUPTED;
    }
    return EXIT_BUG;
}

static bool wants_json(const invocation *call) {
    for (size_t i = 0; i < call->output_count; i++) {
        if (call->outputs[i].format == WEIR_FORMAT_JSON && !call->outputs[i].path) {
            return true;
        }
    }
    return false;
}

exit_status failure_report_line(const weir_error *err) {
    if (err->code != WEIR_ERR_CANCELLED) {
        char line[LINE_BYTES];
        (void)fprintf(stderr, "weir: %s\n", weir_error_format(err, line, sizeof line));
    }
    return failure_status(err->code);
}

exit_status failure_report(const invocation *call, const weir_error *err) {
    if (err->code != WEIR_ERR_CANCELLED && wants_json(call)) {
        (void)weir_report_error(stdout, err, NULL); /* a broken pipe is found at the end */
        return failure_status(err->code);
    }
    return failure_report_line(err);
}

/* A path of the command line may hold anything; a message holds only what is printable. */
static void copy_printable(char *out, size_t size, const char *text) {
    size_t length = 0;
    for (; text[length] && length + 1 < size; length++) {
        const char c = text[length];
        out[length] = '?';
        if (c >= ' ' && c < 0x7f) {
            out[length] = c;
        }
    }
    out[length] = '\0';
}

exit_status failure_of_system(const invocation *call, const char *file, const char *expected,
                              int system_errno) {
    weir_error err = {.code = WEIR_ERR_IO};
    copy_printable(err.file, sizeof err.file, file);
    copy_printable(err.expected, sizeof err.expected, expected);
    copy_printable(err.found, sizeof err.found, strerror(system_errno));
    return failure_report(call, &err);
}

exit_status failure_of_memory(const invocation *call) {
    weir_error err = {.code = WEIR_ERR_NOMEM};
    copy_printable(err.expected, sizeof err.expected, "memory");
    copy_printable(err.found, sizeof err.found, "none left");
    return failure_report(call, &err);
}

exit_status failure_of_usage(const cli_command *command, const char *format, ...) {
    char raw[LINE_BYTES];
    char line[LINE_BYTES];
    va_list arguments;
    va_start(arguments, format);
    (void)vsnprintf(raw, sizeof raw, format, arguments);
    va_end(arguments);
    copy_printable(line, sizeof line, raw);
    (void)fprintf(stderr, "weir: %s", line);
    if (command) {
        (void)fprintf(stderr, "\nsee: weir %s --help\n", command->name);
    } else {
        (void)fputs("\nsee: weir help\n", stderr);
    }
    return EXIT_USAGE;
}
