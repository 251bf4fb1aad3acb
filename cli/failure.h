/* SPDX-License-Identifier: Apache-2.0 */
/** @file failure.h  How a command says what went wrong: a line for a person, weir.error/1 for a
 * program. */
#ifndef WEIR_CLI_FAILURE_H
#define WEIR_CLI_FAILURE_H

#include <weir/error.h>

#include "command.h"

/** @return the status that a failed call ends the process with. */
exit_status failure_status(weir_code code);

/**
 * Report a failed call where the command line asked for it: on standard output as weir.error/1 when
 * JSON goes there, otherwise on standard error as one line. Nothing is said about a cancelled call.
 *
 * @return failure_status(err->code)
 */
exit_status failure_report(const invocation *call, const weir_error *err);

/** The same, on standard error in any case: for one of several inputs. */
exit_status failure_report_line(const weir_error *err);

/** failure_report() for a failure of the system that weir's own command line met: `what` and errno.
 */
exit_status failure_of_system(const invocation *call, const char *file, const char *expected,
                              int system_errno);

/** failure_report() for memory that ran out in weir's own command line. */
exit_status failure_of_memory(const invocation *call);

/** Say what is wrong with the command line, and where help is. @return EXIT_USAGE */
__attribute__((format(printf, 2, 3))) exit_status failure_of_usage(const cli_command *command,
                                                                   const char *format, ...);

#endif
