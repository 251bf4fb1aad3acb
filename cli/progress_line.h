/* SPDX-License-Identifier: Apache-2.0 */
/** @file progress_line.h  One line on a terminal's standard error while long work runs. */
#ifndef WEIR_CLI_PROGRESS_LINE_H
#define WEIR_CLI_PROGRESS_LINE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <time.h>

#include "command.h"

typedef struct progress_line {
    bool is_live; /* standard error is a terminal, and the user did not ask for quiet */
    bool is_shown;
    struct timespec started;
    struct timespec written;
    const char *stage;
    uint64_t stage_begin; /* bytes that were done when the stage started */
    struct timespec stage_started;
} progress_line;

void progress_line_init(progress_line *line, const invocation *call);

/** A weir_callbacks.progress; `context` is the line. */
void progress_line_update(void *context, const char *stage, uint64_t done, uint64_t total);

/** The same of many models: `done` of `total`. */
void progress_line_count(progress_line *line, size_t done, size_t total);

/** Take the line off the terminal. */
void progress_line_clear(progress_line *line);

#endif
