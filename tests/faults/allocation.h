/* SPDX-License-Identifier: Apache-2.0 */
/** @file allocation.h  Memory that runs out on command. Link with -Wl,--wrap for each allocator. */
#ifndef WEIR_TESTS_FAULTS_ALLOCATION_H
#define WEIR_TESTS_FAULTS_ALLOCATION_H

#include <stdbool.h>

/** From now on let the `first`-th allocation fail, counted from 1; with `onward` every later one
 * too. */
void allocation_arm(long first, bool onward);

/** Let all allocations pass again. @return whether any was refused since allocation_arm(). */
bool allocation_disarm(void);

#endif
