/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file trace_many.h  weir trace --jsonl: one line for every model of folders, and a file of lines
 * that a later call goes on with.
 */
#ifndef WEIR_CLI_TRACE_MANY_H
#define WEIR_CLI_TRACE_MANY_H

#include <stdio.h>

#include <weir/trace.h>

#include "session.h"

/** @return whether many models are asked for: --jsonl, -o jsonl=FILE or --resume. */
bool trace_many_is_asked(const invocation *call);

/** @return EXIT_DONE, or a reported misuse of what goes with many models. */
exit_status trace_many_check(const invocation *call);

/**
 * Open the file of --resume, before the process restricts itself.
 * @param[out] out  NULL without --resume; close it with fclose()
 * @return EXIT_DONE or a reported failure
 */
exit_status trace_many_open(FILE **out, const invocation *call);

/**
 * Trace every model of the operands. A model that cannot be analysed has a line that says why.
 *
 * @param kept  from trace_many_open()
 * @return the worst of what came: EXIT_DONE, EXIT_INPUT, EXIT_ENVIRONMENT; reported
 */
exit_status trace_many_run(cli_session *session, const weir_trace_options *options, FILE *kept);

#endif
