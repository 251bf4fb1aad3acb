/* SPDX-License-Identifier: Apache-2.0 */
/** @file threads.h  How many threads this machine lets the process have. */
#ifndef WEIR_BASE_THREADS_H
#define WEIR_BASE_THREADS_H

enum { THREADS_MAX = 256 };

/** @return the threads that `jobs` asks for: 0 is one for each core that the process may use; at
 * most THREADS_MAX. */
int threads_wanted(unsigned jobs);

/**
 * Start up to `wanted` - 1 threads, let them end, and say how many could run beside the caller.
 * libgomp ends the process when it cannot start one (a limit of processes or of memory).
 *
 * @param wanted  cut to THREADS_MAX
 * @return 1 to `wanted`
 */
int threads_startable(int wanted);

#endif
