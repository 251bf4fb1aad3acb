/* SPDX-License-Identifier: Apache-2.0 */
#include "delta/merge_rank.h"

#include <string.h>

#include "kernel/number.h"

enum { BINS = 1 << 16 };

static uint32_t bits_of(const rank_table *table, float value) {
    return float_bits(value) & (table->is_fine ? 0x7FFFFFFF : 0x7FFF0000);
}

void rank_table_begin(rank_table *table) {
    const bool is_used = table->least <= table->most;
    if (is_used) {
        memset(table->high + table->least, 0,
               (table->most - table->least + 1) * sizeof *table->high);
    }
    if (table->is_fine) {
        memset(table->low, 0, sizeof table->low);
    }
    table->least = BINS - 1;
    table->most = 0;
    table->first = (rank_bound){0};
    table->last = (rank_bound){0};
}

void rank_table_add(rank_table *table, int pass, float value) {
    const uint32_t bits = bits_of(table, value);
    const uint32_t high = bits >> 16;
    const uint32_t low = bits & 0xFFFF;
    if (pass == 0) {
        table->high[high]++;
        table->least = high < table->least ? high : table->least;
        table->most = high > table->most ? high : table->most;
        return;
    }
    table->low[0][low] += high == table->first.value >> 16;
    table->low[1][low] += high == table->last.value >> 16;
}

/* Walk up to the bin that holds the bound's rank; numbers in bins passed are below it. */
static uint32_t walk(rank_bound *bound, const uint64_t *bins, uint32_t from, uint32_t to) {
    for (uint32_t bin = from; bin <= to; bin++) {
        if (bins[bin] > 0 && bound->rank < bound->below + bins[bin]) {
            bound->equal = bins[bin];
            return bin;
        }
        bound->below += bins[bin];
    }
    bound->equal = 0;
    return BINS - 1; /* beyond the last number */
}

void rank_table_settle(rank_table *table, int pass) {
    if (pass == 0) {
        table->first.value = walk(&table->first, table->high, table->least, table->most) << 16;
        table->last.value = walk(&table->last, table->high, table->least, table->most) << 16;
    } else if (pass == 1 && table->is_fine) {
        table->first.value |= walk(&table->first, table->low[0], 0, BINS - 1);
        table->last.value |= walk(&table->last, table->low[1], 0, BINS - 1);
    }
}

rank_place rank_table_place(const rank_table *table, float value) {
    const uint32_t bits = bits_of(table, value);
    if (bits < table->first.value || bits > table->last.value) {
        return RANK_OUTSIDE;
    }
    if (bits == table->first.value && table->first.rank > table->first.below) {
        return RANK_EITHER;
    }
    if (bits == table->last.value) {
        return table->last.rank > table->last.below ? RANK_EITHER : RANK_OUTSIDE;
    }
    return RANK_INSIDE;
}

double rank_table_share(const rank_table *table) {
    const rank_bound *first = &table->first;
    return first->equal ? (double)(first->below + first->equal - first->rank) / (double)first->equal
                        : 0;
}
