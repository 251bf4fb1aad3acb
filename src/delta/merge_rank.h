/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file merge_rank.h  Which numbers of a tensor lie between two ranks of their size, found by
 * streaming: a count of magnitudes by the upper half of their bits, then, where those do not hold
 * the whole number, of the boundaries' by the lower half.
 *
 * Task vectors of 16-bit models hold few distinct numbers, and a fifth of a tensor may share the
 * size at a boundary. Which of those a sort put inside depends on the machine: they may be either.
 */
#ifndef WEIR_DELTA_MERGE_RANK_H
#define WEIR_DELTA_MERGE_RANK_H

#include <stdbool.h>
#include <stdint.h>

typedef enum rank_place { RANK_OUTSIDE, RANK_INSIDE, RANK_EITHER } rank_place;

/** One end of a range of ranks. */
typedef struct rank_bound {
    uint64_t rank;  /**< numbers below it */
    uint32_t value; /**< bits of the magnitude that has this rank */
    uint64_t below; /**< numbers smaller than that */
    uint64_t equal; /**< numbers of that size */
} rank_bound;

/** Zero-initialised, then begun. Numbers with first.rank <= rank < last.rank are inside. */
typedef struct rank_table {
    uint64_t high[1 << 16];
    uint64_t low[2][1 << 16];
    uint32_t least; /**< bins of `high` in use: least .. most */
    uint32_t most;
    rank_bound first;
    rank_bound last;
    bool is_fine; /**< lower halves count; else numbers of one upper half are equal */
} rank_table;

/** Empty a table for other numbers; costs only what was used. */
void rank_table_begin(rank_table *table);
void rank_table_add(rank_table *table, int pass, float value);
void rank_table_settle(rank_table *table, int pass);
rank_place rank_table_place(const rank_table *table, float value);
/** Share of the numbers at `first` that are inside. */
double rank_table_share(const rank_table *table);

#endif
