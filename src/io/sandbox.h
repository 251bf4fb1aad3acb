/* SPDX-License-Identifier: Apache-2.0 */
/** @file sandbox.h  weir/sandbox.h with the kernel as an argument, so that tests can be a lesser
 * kernel. */
#ifndef WEIR_IO_SANDBOX_H
#define WEIR_IO_SANDBOX_H

#include <stdint.h>

#include "weir/sandbox.h"

/** One system call: the result, or -1 and errno. */
typedef long (*sandbox_call)(long number, uintptr_t a, uintptr_t b, uintptr_t c, uintptr_t d);

/** The running kernel. */
long sandbox_kernel(long number, uintptr_t a, uintptr_t b, uintptr_t c, uintptr_t d);

weir_code sandbox_restrict(const weir_sandbox_options *options, sandbox_call kernel,
                           weir_sandbox_level *out, weir_error *err);
weir_sandbox_level sandbox_offered(sandbox_call kernel);

/** What differs between processors: sandbox_x86_64.c, sandbox_aarch64.c, sandbox_other.c. */
typedef struct sandbox_processor {
    uint32_t audit_arch;     /**< as seccomp reports it; 0: system calls are not filtered here */
    uint32_t foreign_bit;    /**< system calls with this bit belong to another ABI (x32); or 0 */
    const uint16_t *refused; /**< system calls that only this processor has */
    uint32_t refused_count;
} sandbox_processor;
extern const sandbox_processor sandbox_this_processor;

#endif
