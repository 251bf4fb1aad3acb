/* SPDX-License-Identifier: Apache-2.0 */
/** @file usage.h  Help texts, written from the command table. */
#ifndef WEIR_CLI_USAGE_H
#define WEIR_CLI_USAGE_H

#include <stdio.h>

#include "command.h"
#include "topics.h"

/** What weir is, its verbs and topics. */
void usage_write_all(FILE *stream);

/** One verb: question, examples, arguments, options, exit codes. */
void usage_write_command(FILE *stream, const cli_command *command);

/** One topic. */
void usage_write_topic(FILE *stream, const cli_topic *topic);

/** One sentence on what weir does; also for the man page. */
extern const char usage_purpose[];

/** "-o, --output FORMAT[=FILE]" @return `out` */
const char *usage_option_head(const option_spec *option, char *out, size_t size);

#endif
