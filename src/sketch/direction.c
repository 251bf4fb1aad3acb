/* SPDX-License-Identifier: Apache-2.0 */
#include "sketch/direction.h"

/* How projections of one model stand to those of another, over the layers that both have hashed. */
typedef struct comparison {
    size_t equal;
    size_t rounded; /* the child's are the parent's, as a type holds them */
    size_t different;
    size_t type; /* of the last rounded one */
} comparison;

static const sketch_grid *grid_of(const fingerprint *from, size_t block) {
    for (size_t i = 0; i < from->grid_count; i++) {
        if (from->grids[i].block == block) {
            return &from->grids[i];
        }
    }
    return NULL;
}

static void compare_role(comparison *sum, const sketch_grid *parent, const sketch_grid *child,
                         size_t role) {
    if (parent->own[role] == 0 && child->own[role] == 0) {
        return;
    }
    if (parent->own[role] == child->own[role]) {
        sum->equal++;
        return;
    }
    for (size_t type = 0; type < GRID_TYPES && child->own[role] != 0; type++) {
        if (parent->hashes[role][type] == child->own[role]) {
            sum->rounded++;
            sum->type = type;
            return;
        }
    }
    sum->different++;
}

static comparison compare_grids(const trace_candidate *candidate, const fingerprint *mine,
                                bool mine_is_child) {
    comparison sum = {0};
    for (size_t i = 0; i < candidate->link.pair_count; i++) {
        const sketch_grid *const my_grid = grid_of(mine, candidate->link.pairs[i].mine);
        const sketch_grid *const their_grid =
            grid_of(candidate->sketch, candidate->link.pairs[i].theirs);
        for (size_t role = 0; my_grid && their_grid && role < GRID_ROLES; role++) {
            compare_role(&sum, mine_is_child ? their_grid : my_grid,
                         mine_is_child ? my_grid : their_grid, role);
        }
    }
    return sum;
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

static bool is_rounded(const comparison *sum) {
    return sum->rounded > 0 && sum->different == 0;
}

void direction_decide(trace_candidate *candidate, const fingerprint *mine) {
    const comparison from = compare_grids(candidate, mine, /* mine_is_child= */ true);
    const comparison to = compare_grids(candidate, mine, /* mine_is_child= */ false);
    candidate->direction = TRACE_DIRECTION_UNKNOWN;
    candidate->why = TRACE_WHY_NONE;
    if (is_rounded(&from) != is_rounded(&to)) {
        candidate->direction = is_rounded(&from) ? TRACE_FROM : TRACE_TO;
        candidate->why = TRACE_WHY_GRID;
        candidate->grid = grid_types[is_rounded(&from) ? from.type : to.type];
        return;
    }
    if (from.rounded > 0 && to.rounded == 0) {
        candidate->why = TRACE_WHY_GRID_IN_PART;
        candidate->grid = grid_types[from.type];
        return;
    }
    if (candidate->link.codes != LINK_UNIT_CODES || from.equal == 0 ||
        from.different + from.rounded > 0) {
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
