/* SPDX-License-Identifier: Apache-2.0 */
#include "sketch/direction.h"

/* What the hashed blocks of `from` say about `to` being `from` stored as one type. */
typedef struct rounding {
    size_t explained; /* blocks of `to` that are those of `from`, rounded or equal */
    size_t rounded;   /* of these, not equal */
    size_t refuted;   /* other numbers */
} rounding;

static const sketch_grid *grid_of(const fingerprint *from, size_t block) {
    for (size_t i = 0; i < from->grid_count; i++) {
        if (from->grids[i].block == block) {
            return &from->grids[i];
        }
    }
    return NULL;
}

static void add_block(rounding *sum, const fingerprint *from, size_t from_block,
                      const sketch_block *to, size_t type) {
    const sketch_grid *const grid = grid_of(from, from_block);
    if (!grid || to->values_hash == 0) {
        return;
    }
    const bool is_equal = from->blocks[from_block].values_hash == to->values_hash;
    if (is_equal || grid->hashes[type] == to->values_hash) {
        sum->explained++;
        sum->rounded += !is_equal;
    } else {
        sum->refuted++;
    }
}

/* The type in which one side holds the other's numbers, GRID_TYPES when in none. `mine_is_child`:
 * mine is looked at as the rounded one. */
static size_t find_grid(const trace_candidate *candidate, const fingerprint *mine,
                        bool mine_is_child) {
    const link_result *const link = &candidate->link;
    for (size_t type = 0; type < GRID_TYPES; type++) {
        rounding sum = {0};
        for (size_t i = 0; i < link->pair_count; i++) {
            const size_t my_block = link->pairs[i].mine;
            const size_t their_block = link->pairs[i].theirs;
            if (mine_is_child) {
                add_block(&sum, candidate->sketch, their_block, &mine->blocks[my_block], type);
            } else {
                add_block(&sum, mine, my_block, &candidate->sketch->blocks[their_block], type);
            }
        }
        if (sum.rounded > 0 && sum.refuted == 0) {
            return type;
        }
    }
    return GRID_TYPES;
}

/* --- duplicates --- */

/* Blocks of one model whose units stand in one order: several descend from one. */
static size_t count_copies(const fingerprint *of, const uint32_t *blocks, size_t count) {
    size_t copies = 0;
    for (size_t i = 0; i < count; i++) {
        for (size_t j = 0; j < i; j++) {
            if (link_fixed_points(&of->blocks[blocks[i]], &of->blocks[blocks[j]], LINK_UNIT_CODES,
                                  NULL) >= BLOCK_UNITS - 2) {
                copies++;
                break;
            }
        }
    }
    return copies;
}

/* How many blocks of each side copy another of the same side, among those that are linked. */
static void count_both(const trace_candidate *candidate, const fingerprint *mine, size_t *my_copies,
                       size_t *their_copies) {
    const link_result *const link = &candidate->link;
    uint32_t my_blocks[BLOCK_COUNT_MAX];
    uint32_t their_blocks[BLOCK_COUNT_MAX];
    size_t their_count = 0;
    for (size_t i = 0; i < link->pair_count; i++) {
        my_blocks[i] = link->pairs[i].mine;
        bool is_new = true;
        for (size_t j = 0; j < their_count && is_new; j++) {
            is_new = their_blocks[j] != link->pairs[i].theirs;
        }
        if (is_new) {
            their_blocks[their_count++] = link->pairs[i].theirs;
        }
    }
    *my_copies = count_copies(mine, my_blocks, link->pair_count);
    *their_copies = count_copies(candidate->sketch, their_blocks, their_count);
}

void direction_decide(trace_candidate *candidate, const fingerprint *mine) {
    const size_t from = find_grid(candidate, mine, /* mine_is_child= */ true);
    const size_t to = find_grid(candidate, mine, /* mine_is_child= */ false);
    candidate->direction = TRACE_DIRECTION_UNKNOWN;
    candidate->why = TRACE_WHY_NONE;
    if ((from < GRID_TYPES) != (to < GRID_TYPES)) {
        candidate->direction = from < GRID_TYPES ? TRACE_FROM : TRACE_TO;
        candidate->why = TRACE_WHY_GRID;
        candidate->grid = grid_types[from < GRID_TYPES ? from : to];
        return;
    }
    if (candidate->link.codes != LINK_UNIT_CODES || from < GRID_TYPES ||
        candidate->link.equal_blocks == 0) {
        return; /* copies of a relative's layer look alike: only the very numbers name this one */
    }
    size_t my_copies = 0;
    size_t their_copies = 0;
    count_both(candidate, mine, &my_copies, &their_copies);
    if (my_copies > 0 && their_copies == 0) {
        candidate->direction = TRACE_FROM;
        candidate->why = TRACE_WHY_DUPLICATES;
    }
}
