/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Both sides are put into an order of what their units hold before they are matched, so that a tie
 * cannot be broken by the index. Units of equal content (copies, planted rows) are left out, all of
 * them: which of them stays would depend on the index.
 */
#include "sketch/link_match.h"

#include <math.h>
#include <string.h>

#include "base/hash.h"
#include "kernel/assignment.h"
#include "kernel/unit_code.h"

enum {
    CODE_BITS = 64 * UNIT_CODE_WORDS,
    TOKENS_MIN = 64,         /* shared tokens under which token codes say too little */
    PROMISING_IN_PLACE = 3,  /* units nearer than chance, for blocks of one number to be matched */
    PROMISING_ELSEWHERE = 5, /* fewer cannot win what another map costs */
    COST_NONE = 1024,
};

/* --- units --- */

static const uint64_t all_bits[TOKEN_CODE_WORDS] = {UINT64_MAX, UINT64_MAX, UINT64_MAX, UINT64_MAX};

static bool has_both_gates(const sketch_block *a, const sketch_block *b) {
    return a->has_gate && b->has_gate;
}

/* A unit whose up row and down column changed sign together is the same unit; its gate tells it
 * from a stranger. */
static int mirrored(int up) {
    return up < CODE_BITS - up ? up : CODE_BITS - up;
}

/* Bits in which unit i of a and unit j of b differ, for all pairs. */
static void measure_units(int32_t out[BLOCK_UNITS][BLOCK_UNITS], const link_frame *by,
                          const sketch_block *a, const sketch_block *b) {
    uint16_t first[BLOCK_UNITS][BLOCK_UNITS];
    uint16_t gate[BLOCK_UNITS][BLOCK_UNITS] = {{0}};
    const bool is_gated = by->codes == LINK_UNIT_CODES && has_both_gates(a, b);
    if (by->codes == LINK_TOKEN_CODES) {
        unit_code_distances(first, a->token[0], b->token[0], by->tokens, TOKEN_CODE_WORDS);
    } else {
        unit_code_distances(first, a->up[0], b->up[0], all_bits, UNIT_CODE_WORDS);
    }
    if (is_gated) {
        unit_code_distances(gate, a->gate[0], b->gate[0], all_bits, UNIT_CODE_WORDS);
    }
    for (size_t i = 0; i < BLOCK_UNITS; i++) {
        for (size_t j = 0; j < BLOCK_UNITS; j++) {
            out[i][j] = is_gated ? mirrored(first[i][j]) + gate[i][j] : first[i][j];
        }
    }
}

/* The same of unit i and unit i alone. */
static void measure_own(int32_t out[BLOCK_UNITS], const link_frame *by, const sketch_block *a,
                        const sketch_block *b) {
    uint16_t first[BLOCK_UNITS];
    uint16_t gate[BLOCK_UNITS] = {0};
    const bool is_gated = by->codes == LINK_UNIT_CODES && has_both_gates(a, b);
    if (by->codes == LINK_TOKEN_CODES) {
        unit_code_distances_own(first, a->token[0], b->token[0], by->tokens, TOKEN_CODE_WORDS);
    } else {
        unit_code_distances_own(first, a->up[0], b->up[0], all_bits, UNIT_CODE_WORDS);
    }
    if (is_gated) {
        unit_code_distances_own(gate, a->gate[0], b->gate[0], all_bits, UNIT_CODE_WORDS);
    }
    for (size_t i = 0; i < BLOCK_UNITS; i++) {
        out[i] = is_gated ? mirrored(first[i]) + gate[i] : first[i];
    }
}

int link_bits_compared(const link_frame *by, const sketch_block *a, const sketch_block *b) {
    return by->codes == LINK_TOKEN_CODES ? by->token_bits
           : has_both_gates(a, b)        ? 2 * CODE_BITS
                                         : CODE_BITS;
}

/* Units of a block that take part, in an order of their content. */
typedef struct units {
    uint8_t unit[BLOCK_UNITS];
    uint64_t key[BLOCK_UNITS];
    size_t count;
} units;

static uint64_t mix_words(uint64_t key, const uint64_t *words, size_t count) {
    for (size_t i = 0; i < count; i++) {
        key = hash_mix(key ^ words[i]);
    }
    return key;
}

static uint64_t content_key(const link_frame *by, const sketch_block *block, size_t u) {
    if (by->codes == LINK_TOKEN_CODES) {
        return mix_words(1, block->token[u], TOKEN_CODE_WORDS);
    }
    const uint64_t key = mix_words(2, block->up[u], UNIT_CODE_WORDS);
    return block->has_gate ? mix_words(key, block->gate[u], UNIT_CODE_WORDS) : key;
}

static void insert_unit(units *list, uint8_t unit, uint64_t key) {
    size_t at = list->count++;
    for (; at > 0 && list->key[at - 1] > key; at--) {
        list->unit[at] = list->unit[at - 1];
        list->key[at] = list->key[at - 1];
    }
    list->unit[at] = unit;
    list->key[at] = key;
}

static void drop_equal_units(units *list) {
    size_t kept = 0;
    for (size_t i = 0; i < list->count;) {
        size_t end = i + 1;
        while (end < list->count && list->key[end] == list->key[i]) {
            end++;
        }
        if (end == i + 1) {
            list->unit[kept] = list->unit[i];
            list->key[kept++] = list->key[i];
        }
        i = end;
    }
    list->count = kept;
}

static units list_units(const link_frame *by, const sketch_block *block) {
    units list = {0};
    for (size_t u = 0; u < BLOCK_UNITS; u++) {
        if (block->valid >> u & 1) {
            insert_unit(&list, (uint8_t)u, content_key(by, block, u));
        }
    }
    drop_equal_units(&list);
    return list;
}

/* --- one pair of blocks --- */

/* Distances of the units that take part, in their order. */
static void fill_costs(int32_t cost[ASSIGNMENT_MAX][ASSIGNMENT_MAX],
                       int32_t apart[BLOCK_UNITS][BLOCK_UNITS], const units *of_a,
                       const units *of_b) {
    const size_t n = of_a->count > of_b->count ? of_a->count : of_b->count;
    for (size_t i = 0; i < n; i++) {
        for (size_t j = 0; j < n; j++) {
            cost[i][j] = i < of_a->count && j < of_b->count ? apart[of_a->unit[i]][of_b->unit[j]]
                                                            : COST_NONE;
        }
    }
}

link_match link_match_places(const link_frame *by, const sketch_block *a, const sketch_block *b) {
    int32_t apart[BLOCK_UNITS][BLOCK_UNITS] = {{0}};
    int32_t cost[ASSIGNMENT_MAX][ASSIGNMENT_MAX] = {{0}};
    uint8_t column_of[ASSIGNMENT_MAX];
    const units of_a = list_units(by, a);
    const units of_b = list_units(by, b);
    const size_t n = of_a.count > of_b.count ? of_a.count : of_b.count;
    link_match found = {.of = (unsigned)(of_a.count < of_b.count ? of_a.count : of_b.count)};
    if (found.of == 0) {
        return found;
    }
    measure_units(apart, by, a, b);
    fill_costs(cost, apart, &of_a, &of_b);
    assignment_solve(column_of, cost, n);
    for (size_t i = 0; i < of_a.count; i++) {
        const size_t j = column_of[i];
        if (j < of_b.count && of_a.unit[i] == of_b.unit[j]) {
            found.points++;
            found.differ += cost[i][j];
        }
    }
    return found;
}

static size_t nearest_in_row(int32_t cost[ASSIGNMENT_MAX][ASSIGNMENT_MAX], size_t row,
                             size_t count) {
    size_t nearest = 0;
    for (size_t j = 1; j < count; j++) {
        nearest = cost[row][j] < cost[row][nearest] ? j : nearest;
    }
    return nearest;
}

static size_t nearest_in_column(int32_t cost[ASSIGNMENT_MAX][ASSIGNMENT_MAX], size_t column,
                                size_t count) {
    size_t nearest = 0;
    for (size_t i = 1; i < count; i++) {
        nearest = cost[i][column] < cost[nearest][column] ? i : nearest;
    }
    return nearest;
}

/* Of every unit of a, the unit of b that is mutually nearest, BLOCK_UNITS for none; and how far it
 * is. */
typedef struct mutual {
    uint8_t partner[BLOCK_UNITS];
    int32_t apart[BLOCK_UNITS];
} mutual;

/* The longest chain of units of a, in order, whose partners rise. */
static void longest_chain(link_match *found, const mutual *nearest) {
    unsigned length[BLOCK_UNITS] = {0};
    int before[BLOCK_UNITS];
    int best = -1;
    for (int u = 0; u < BLOCK_UNITS; u++) {
        before[u] = -1;
        if (nearest->partner[u] == BLOCK_UNITS) {
            continue;
        }
        length[u] = 1;
        for (int v = 0; v < u; v++) {
            if (nearest->partner[v] < nearest->partner[u] && length[v] + 1 > length[u]) {
                length[u] = length[v] + 1;
                before[u] = v;
            }
        }
        best = best < 0 || length[u] > length[best] ? u : best;
    }
    found->points = best < 0 ? 0 : length[best];
    for (int u = best; u >= 0; u = before[u]) {
        found->differ += nearest->apart[u];
    }
}

/* A distance some deviations below that of strangers. Of two mirrored
 * halves the nearer one counts, which brings strangers 4.5 bits nearer and narrows their spread. */
static int near_distance(const link_frame *by, const sketch_block *a, const sketch_block *b,
                         double deviations) {
    const int bits = link_bits_compared(by, a, b);
    const int nearer = by->codes == LINK_UNIT_CODES && has_both_gates(a, b) ? 2 : 0;
    return bits / 2 - (int)(deviations * sqrt((double)bits) / 2) - nearer;
}

/* Whether enough units have anyone near. */
static bool is_chain_promising(int32_t apart[BLOCK_UNITS][BLOCK_UNITS], int near) {
    int units_near = 0;
    for (size_t i = 0; i < BLOCK_UNITS; i++) {
        int32_t least = apart[i][0];
        for (size_t j = 1; j < BLOCK_UNITS; j++) {
            least = apart[i][j] < least ? apart[i][j] : least;
        }
        units_near += least <= near;
    }
    return units_near >= PROMISING_ELSEWHERE;
}

static link_match match_chain(const link_frame *by, const sketch_block *a, const sketch_block *b) {
    int32_t apart[BLOCK_UNITS][BLOCK_UNITS] = {{0}};
    int32_t cost[ASSIGNMENT_MAX][ASSIGNMENT_MAX] = {{0}};
    mutual nearest = {0};
    link_match found = {0};
    measure_units(apart, by, a, b);
    if (!is_chain_promising(apart, near_distance(by, a, b, 2.5))) {
        return found;
    }
    const units of_a = list_units(by, a);
    const units of_b = list_units(by, b);
    memset(nearest.partner, BLOCK_UNITS, sizeof nearest.partner);
    if (of_a.count == 0 || of_b.count == 0) {
        return found;
    }
    fill_costs(cost, apart, &of_a, &of_b);
    for (size_t i = 0; i < of_a.count; i++) {
        const size_t j = nearest_in_row(cost, i, of_b.count);
        if (nearest_in_column(cost, j, of_a.count) == i) {
            nearest.partner[of_a.unit[i]] = of_b.unit[j];
            nearest.apart[of_a.unit[i]] = cost[i][j];
            found.of++;
        }
    }
    longest_chain(&found, &nearest);
    return found;
}

bool link_is_same_place(const sketch_block *a, const sketch_block *b) {
    return a->layer == b->layer && a->expert == b->expert;
}

bool link_is_comparable(const link_frame *by, const sketch_block *a, const sketch_block *b) {
    return !(a->is_sorted && b->is_sorted) && a->valid && b->valid &&
           (by->codes == LINK_UNIT_CODES || (a->has_tokens && b->has_tokens));
}

/* Whether enough units stand near their own place that a full match may pay. Elsewhere only many
 * pay. */
bool link_is_promising(const link_frame *by, const sketch_block *a, const sketch_block *b) {
    int32_t own[BLOCK_UNITS];
    const bool is_in_place = link_is_same_place(a, b);
    const int near = near_distance(by, a, b, is_in_place ? 1.5 : 2.0);
    const unsigned both = (unsigned)(a->valid & b->valid);
    int units_near = 0;
    measure_own(own, by, a, b);
    for (size_t u = 0; u < BLOCK_UNITS; u++) {
        units_near += (both >> u & 1) && own[u] <= near;
    }
    return units_near >= (is_in_place ? PROMISING_IN_PLACE : PROMISING_ELSEWHERE);
}

unsigned link_fixed_points(const sketch_block *mine, const sketch_block *theirs, link_codes codes,
                           unsigned *of) {
    const link_frame by = {.codes = codes,
                           .tokens = {UINT64_MAX, UINT64_MAX, UINT64_MAX, UINT64_MAX},
                           .token_bits = TOKEN_CODE_BITS};
    const link_match found = link_is_comparable(&by, mine, theirs)
                                 ? link_match_places(&by, mine, theirs)
                                 : (link_match){0};
    if (of) {
        *of = found.of;
    }
    return found.points;
}

unsigned link_distinct_units(const sketch_block *block) {
    const link_frame by = {.codes = LINK_UNIT_CODES};
    return (unsigned)list_units(&by, block).count;
}

/* What a pair of blocks shows; nothing for one that looks hopeless. */
link_match link_match_blocks(const link_frame *by, const sketch_block *a, const sketch_block *b) {
    if (by->is_chain) {
        return match_chain(by, a, b);
    }
    return link_is_promising(by, a, b) ? link_match_places(by, a, b) : (link_match){0};
}

bool link_share_tokens(link_frame *by, const fingerprint *mine, const fingerprint *theirs) {
    by->token_bits = 0;
    for (size_t t = 0; t < TOKEN_PICKS; t++) {
        const bool is_shared =
            mine->token_tags[t] != 0 && mine->token_tags[t] == theirs->token_tags[t];
        by->tokens[t / 64] |= (uint64_t)is_shared << (t % 64);
        by->token_bits += is_shared;
    }
    return mine->has_tokens && theirs->has_tokens && by->token_bits >= TOKENS_MIN;
}
