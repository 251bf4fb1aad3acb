/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file out_file.h  Where results go: standard output, or a file that appears only when it is
 * whole.
 *
 * A file is written under a temporary name beside its place and renamed at the end, so that a full
 * disk or a signal leaves what was there before. What is not a regular file (a pipe, /dev/null) is
 * written directly.
 */
#ifndef WEIR_CLI_OUT_FILE_H
#define WEIR_CLI_OUT_FILE_H

#include <stdbool.h>
#include <stdio.h>

#include "command.h"

typedef struct out_file {
    FILE *stream;
    const char *path;     /* NULL: standard output */
    char temporary[4096]; /* "": written directly */
    int slot;             /* of interrupt.h */
} out_file;

/** Open the place of `spec`; before the process restricts itself. @return EXIT_DONE or a reported
 * failure */
exit_status out_file_open(out_file *file, const invocation *call, const output_spec *spec);

/** Flush, check and put in place. @return EXIT_DONE, also for a closed pipe, or a reported failure
 */
exit_status out_file_commit(out_file *file, const invocation *call);

/** Close and remove what was not committed; a no-op after a commit. */
void out_file_discard(out_file *file);

#endif
