/* SPDX-License-Identifier: Apache-2.0 */
/** @file arguments.h  A verb's words on the command line become an invocation, by the command
 * table. */
#ifndef WEIR_CLI_ARGUMENTS_H
#define WEIR_CLI_ARGUMENTS_H

#include "command.h"

/**
 * Parse what follows the verb. Options may stand before, between and after the operands; "--" ends
 * them.
 *
 * @param[out] call  filled; borrows from argv, and from memory that lives as long as the process
 * @param argv       argv[0] is the verb
 * @return EXIT_DONE; EXIT_USAGE or EXIT_ENVIRONMENT after a message
 */
exit_status arguments_parse(invocation *call, const cli_command *command, int argc,
                            const char *const *argv);

#endif
