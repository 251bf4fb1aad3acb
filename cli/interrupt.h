/* SPDX-License-Identifier: Apache-2.0 */
/** @file interrupt.h  Signals: ctrl-C and SIGTERM stop the work soon and clean up, a failed assert
 * says so. */
#ifndef WEIR_CLI_INTERRUPT_H
#define WEIR_CLI_INTERRUPT_H

#include <stdbool.h>

#include "command.h"

/** Install the handlers. */
void interrupt_install(void);

/** @return whether the work shall stop. A cancel callback of the library; `context` is unused. */
bool interrupt_requested(void *context);

/** @return EXIT_INTERRUPTED, EXIT_TERMINATED, or EXIT_DONE when no signal came. */
exit_status interrupt_status(void);

/** A file to remove if a signal ends the process; borrowed until forgotten. @return a slot, or -1
 */
int interrupt_remember_file(const char *path);
void interrupt_forget_file(int slot);

#endif
