/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file sandbox.h  The restriction under which a program reads files that it does not trust.
 *
 * One call, before any thread starts, gives away for good what reading a model never needs: other
 * files, other programs, the network. It cannot be undone and is inherited by every thread.
 */
#ifndef WEIR_SANDBOX_H
#define WEIR_SANDBOX_H

#include <stdbool.h>
#include <stddef.h>

#include "weir/error.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct weir_sandbox_options {
    const char *const *read_paths; /**< files and folders that stay readable */
    size_t read_count;
    const char *const *write_paths; /**< files and folders that stay writable; each exists */
    size_t write_count;
    bool allow_network; /**< the user gave an address */
} weir_sandbox_options;
#define WEIR_SANDBOX_OPTIONS_INIT                                                                  \
    { 0 }

/** What holds, or what the kernel offers. */
typedef struct weir_sandbox_level {
    int landlock_abi;  /**< 0 without Landlock; files from 1, TCP from 4, signals from 6 */
    bool seccomp;      /**< system calls are filtered */
    bool no_new_privs; /**< set-user-id programs give no rights */
} weir_sandbox_level;

/**
 * Restrict the calling process. What the kernel lacks is left out, and *out says so.
 *
 * Readable afterwards: beneath the read paths, the regular files that symbolic links inside them
 * lead to (the cache folders of model hubs are made of such links; links to folders are not
 * followed), and the few system files that the C library, OpenSSL and OpenMP open late. Writable:
 * beneath the write paths. Descriptors that are open already keep what they can do. A read path
 * that is missing is left out, so that opening it later tells the user so.
 *
 * Refused with EPERM afterwards: programs, processes (threads are fine), tracing, mounts, modules,
 * keys, BPF, io_uring; sockets unless the network is allowed. Signals reach only the process
 * itself.
 *
 * @param options   NULL for no paths and no network
 * @param[out] out  what holds now; may be NULL; untouched on failure
 * @return WEIR_OK; WEIR_ERR_ARG when threads run already; WEIR_ERR_IO for a write path that cannot
 * be opened; WEIR_ERR_ENVIRONMENT when the kernel refuses what it says it offers
 */
WEIR_API weir_code weir_sandbox_restrict(const weir_sandbox_options *options,
                                         weir_sandbox_level *out, weir_error *err);

/** @return what this kernel offers; restricts nothing. */
WEIR_API weir_sandbox_level weir_sandbox_offered(void);

#ifdef __cplusplus
}
#endif
#endif
