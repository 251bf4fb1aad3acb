/* SPDX-License-Identifier: Apache-2.0 */
#include "kernel/assignment.h"

#include <stdbool.h>

/* Rows and columns count from 1; 0 is none. A column's potential and a row's bound each cost from
 * below. */
typedef struct potentials {
    int32_t row[ASSIGNMENT_MAX + 1];
    int32_t column[ASSIGNMENT_MAX + 1];
    size_t row_of[ASSIGNMENT_MAX + 1]; /* of a column; 0 when it is free */
} potentials;

/* One search for a shortest path from a free row. */
typedef struct search {
    int32_t least[ASSIGNMENT_MAX + 1]; /* reduced length of the best way to a column */
    size_t before[ASSIGNMENT_MAX + 1]; /* the column before it on that way */
    bool seen[ASSIGNMENT_MAX + 1];
} search;

/* Reach every column from the row of `at`; return the unseen one that is nearest. */
static size_t reach(search *way, potentials *now, int32_t cost[ASSIGNMENT_MAX][ASSIGNMENT_MAX],
                    size_t n, size_t at) {
    const size_t row = now->row_of[at];
    int32_t shortest = INT32_MAX;
    size_t next = 0;
    for (size_t j = 1; j <= n; j++) {
        if (way->seen[j]) {
            continue;
        }
        const int32_t reduced = cost[row - 1][j - 1] - now->row[row] - now->column[j];
        if (reduced < way->least[j]) {
            way->least[j] = reduced;
            way->before[j] = at;
        }
        if (way->least[j] < shortest) {
            shortest = way->least[j];
            next = j;
        }
    }
    for (size_t j = 0; j <= n; j++) {
        if (way->seen[j]) {
            now->row[now->row_of[j]] += shortest;
            now->column[j] -= shortest;
        } else {
            way->least[j] -= shortest;
        }
    }
    return next;
}

static void add_row(potentials *now, int32_t cost[ASSIGNMENT_MAX][ASSIGNMENT_MAX], size_t n,
                    size_t row) {
    search way = {0};
    for (size_t j = 0; j <= n; j++) {
        way.least[j] = INT32_MAX;
    }
    size_t at = 0;
    now->row_of[0] = row;
    while (now->row_of[at] != 0) {
        way.seen[at] = true;
        at = reach(&way, now, cost, n, at);
    }
    while (at != 0) {
        const size_t previous = way.before[at];
        now->row_of[at] = now->row_of[previous];
        at = previous;
    }
}

void assignment_solve(uint8_t column_of[ASSIGNMENT_MAX],
                      int32_t cost[ASSIGNMENT_MAX][ASSIGNMENT_MAX], size_t n) {
    potentials now = {0};
    for (size_t row = 1; row <= n; row++) {
        add_row(&now, cost, n, row);
    }
    for (size_t j = 1; j <= n; j++) {
        column_of[now.row_of[j] - 1] = (uint8_t)(j - 1);
    }
}
