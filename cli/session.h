/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file session.h  What every analysing verb does around its one call of the library.
 *
 * session_begin() opens the outputs, restricts the process and prepares progress; the verb calls
 * the library with session.callbacks; session_write() hands each output to the verb's writer;
 * session_end() commits.
 */
#ifndef WEIR_CLI_SESSION_H
#define WEIR_CLI_SESSION_H

#include <weir/progress.h>
#include <weir/report.h>
#include <weir/sandbox.h>

#include "command.h"
#include "out_file.h"
#include "progress_line.h"

typedef struct cli_session {
    const invocation *call;
    out_file outputs[OUTPUTS_MAX];
    size_t opened;
    bool is_written; /* every output holds the whole result */
    progress_line progress;
    weir_sandbox_level level; /* the restriction that holds since session_begin() */
    weir_callbacks callbacks; /* points into this session: it must not move */
} cli_session;

/** Writes one result; `result` is what the verb gave to session_write(). */
typedef weir_code (*session_writer)(FILE *stream, weir_format format, const weir_style *style,
                                    const void *result, weir_error *err);

/** What the library will touch, besides the outputs. Paths are borrowed for the call. */
typedef struct session_places {
    const char *const *inputs; /* files and folders to read */
    size_t input_count;
    const char *readable; /* one more; NULL for none */
    const char *writable; /* a folder to write in; NULL for none */
    const char *file; /* a file that is opened and will be renamed in its folder; NULL for none */
} session_places;

/** session_begin() for a verb that writes more than its outputs. */
exit_status session_begin_in(cli_session *session, const invocation *call,
                             const session_places *places);

/**
 * @param inputs  paths that the library will read
 * @return EXIT_DONE, or a reported failure after which nothing is left to end
 */
exit_status session_begin(cli_session *session, const invocation *call, const char *const *inputs,
                          size_t input_count);

/** Write the result to every output. @return EXIT_DONE or a reported failure */
exit_status session_write(cli_session *session, session_writer writer, const void *result);

/** Report a failed call of the library. @return its status */
exit_status session_fail(cli_session *session, const weir_error *err);

/** Put the outputs in place when they were written whole. @return `status`, or what made that fail
 */
exit_status session_end(cli_session *session, exit_status status);

/** Tell a person at a terminal what to type next; standard error. */
__attribute__((format(printf, 2, 3))) void session_hint(const cli_session *session,
                                                        const char *format, ...);

#endif
