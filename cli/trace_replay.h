/* SPDX-License-Identifier: Apache-2.0 */
/** @file trace_replay.h  weir trace --replay: does a bundle's verdict follow from the model? */
#ifndef WEIR_CLI_TRACE_REPLAY_H
#define WEIR_CLI_TRACE_REPLAY_H

#include "command.h"

/** @return EXIT_DONE when it does, EXIT_ANSWER_NO when not, EXIT_EVIDENCE when no bundle could
 * tell; or a reported failure */
exit_status trace_replay(const invocation *call);

#endif
