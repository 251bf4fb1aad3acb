/* SPDX-License-Identifier: Apache-2.0 */
#include <stdio.h>

#include "failure.h"
#include "topics.h"
#include "usage.h"

exit_status cmd_help(const invocation *call) {
    if (call->operand_count == 0) {
        usage_write_all(stdout);
        return EXIT_DONE;
    }
    const char *word = call->operands[0];
    const cli_command *command = command_find(word);
    const cli_topic *topic = topic_find(word);
    if (command) {
        usage_write_command(stdout, command);
    } else if (topic) {
        usage_write_topic(stdout, topic);
    } else {
        return failure_of_usage(NULL, "no verb or topic '%s'", word);
    }
    return EXIT_DONE;
}
