/* SPDX-License-Identifier: Apache-2.0 */
/** @file terminal.h  What the standard streams can show. The environment is read here and in
 * main.c. */
#ifndef WEIR_CLI_TERMINAL_H
#define WEIR_CLI_TERMINAL_H

#include <stdbool.h>
#include <stdio.h>

#include <weir/report.h>

#include "command.h"

/** How to write for a person on `stream`: colour only on a terminal that did not decline it. */
weir_style terminal_style(FILE *stream, const invocation *call);

/** @return whether `stream` is a terminal that can rewrite a line. */
bool terminal_is_live(FILE *stream);

/** @return whether `stream` is a pipe whose reader has gone: it has seen enough, and that is no
 * failure. */
bool terminal_is_closed_pipe(FILE *stream);

#endif
