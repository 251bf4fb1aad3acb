/* SPDX-License-Identifier: Apache-2.0 */
/** @file sandbox_filter.h  The system-call filter of the sandbox, as a program for the kernel. */
#ifndef WEIR_IO_SANDBOX_FILTER_H
#define WEIR_IO_SANDBOX_FILTER_H

#include <linux/filter.h>
#include <stdbool.h>

#include "io/sandbox.h"

enum { SANDBOX_FILTER_INSTRUCTIONS_MAX = 224 };

typedef struct sandbox_filter {
    struct sock_filter instructions[SANDBOX_FILTER_INSTRUCTIONS_MAX];
    unsigned short count;
} sandbox_filter;

/** @param leak_checked  a sanitizer build, whose leak checker traces its own process at exit */
void sandbox_filter_build(sandbox_filter *out, const sandbox_processor *processor,
                          bool allow_network, bool leak_checked);

#endif
