/* SPDX-License-Identifier: Apache-2.0 */
/** @file assignment.h  The cheapest one-to-one assignment of a few rows to columns. */
#ifndef WEIR_KERNEL_ASSIGNMENT_H
#define WEIR_KERNEL_ASSIGNMENT_H

#include <stddef.h>
#include <stdint.h>

enum { ASSIGNMENT_MAX = 16 };

/**
 * Choose column_of[row] so that the sum of cost[row][column_of[row]] is least.
 *
 * Of several best assignments the result is one that depends on the order of rows and columns:
 * whoever needs independence of the order puts them into an order of their content first.
 *
 * @param n  at most ASSIGNMENT_MAX; costs below 2^24
 *
 * Cost: O(n^3). Source: Kuhn 1955; the shortest augmenting path form of Jonker and Volgenant 1987.
 */
void assignment_solve(uint8_t column_of[ASSIGNMENT_MAX],
                      int32_t cost[ASSIGNMENT_MAX][ASSIGNMENT_MAX], size_t n);

#endif
