/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What keeps the test honest:
 *   - Both sides are put into an order of what their units hold before they are matched, so that a
 * tie cannot be broken by the index. Units of equal content (copies, planted rows) are left out,
 * all of them: which of them stays would depend on the index.
 *   - Blocks whose norms rise or fall with the index on both sides are left out: such units were
 * sorted, and sorting is no inheritance.
 *   - A pair that is passed over because it looks hopeless counts as a lost bet, which only raises
 * p.
 *   - Where the number of units differs, some were dropped or added: then the longest rising chain
 * of mutually nearest units takes the place of the fixed points. The shapes choose, not the
 * outcome.
 */
#include "sketch/link.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/checked.h"
#include "base/fail.h"
#include "base/hash.h"
#include "kernel/assignment.h"
#include "kernel/unit_code.h"
#include "sketch/bet.h"

enum {
    CODE_BITS = 64 * UNIT_CODE_WORDS,
    TOKENS_MIN = 64,         /* shared tokens under which token codes say too little */
    SELF_LINK_POINTS = 7,    /* of 16 by chance: 1 in 5,000 pairs */
    PROMISING_IN_PLACE = 3,  /* units nearer than chance, for blocks of one number to be matched */
    PROMISING_ELSEWHERE = 5, /* fewer cannot win what another map costs */
    COST_NONE = 1024,
    LOG10_E_DECIDED = 20,
};

static const double ln2 = 0.69314718055994531;

/* What two models have in common to compare by. */
typedef struct frame {
    link_codes codes;
    uint64_t tokens[TOKEN_CODE_WORDS]; /* bits of the tokens that both picked */
    int token_bits;
    bool is_chain; /* rising chains instead of fixed points */
} frame;

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
static void measure_units(int32_t out[BLOCK_UNITS][BLOCK_UNITS], const frame *by,
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
static void measure_own(int32_t out[BLOCK_UNITS], const frame *by, const sketch_block *a,
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

static int bits_compared(const frame *by, const sketch_block *a, const sketch_block *b) {
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

static uint64_t content_key(const frame *by, const sketch_block *block, size_t u) {
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

static units list_units(const frame *by, const sketch_block *block) {
    units list = {0};
    for (uint8_t u = 0; u < BLOCK_UNITS; u++) {
        if (block->valid >> u & 1) {
            insert_unit(&list, u, content_key(by, block, u));
        }
    }
    drop_equal_units(&list);
    return list;
}

/* --- one pair of blocks --- */

/* What a pair of blocks showed. */
typedef struct match {
    unsigned points; /* in their own place, or in the chain */
    unsigned of;
    int32_t differ; /* bits in which these units and their partners differ, in all */
} match;

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

static match match_places(const frame *by, const sketch_block *a, const sketch_block *b) {
    int32_t apart[BLOCK_UNITS][BLOCK_UNITS];
    int32_t cost[ASSIGNMENT_MAX][ASSIGNMENT_MAX];
    uint8_t column_of[ASSIGNMENT_MAX];
    const units of_a = list_units(by, a);
    const units of_b = list_units(by, b);
    const size_t n = of_a.count > of_b.count ? of_a.count : of_b.count;
    match found = {.of = (unsigned)(of_a.count < of_b.count ? of_a.count : of_b.count)};
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
static void longest_chain(match *found, const mutual *nearest) {
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
static int near_distance(const frame *by, const sketch_block *a, const sketch_block *b,
                         double deviations) {
    const int bits = bits_compared(by, a, b);
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

static match match_chain(const frame *by, const sketch_block *a, const sketch_block *b) {
    int32_t apart[BLOCK_UNITS][BLOCK_UNITS];
    int32_t cost[ASSIGNMENT_MAX][ASSIGNMENT_MAX];
    mutual nearest = {0};
    match found = {0};
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

static bool is_same_place(const sketch_block *a, const sketch_block *b) {
    return a->layer == b->layer && a->expert == b->expert;
}

static bool is_comparable(const frame *by, const sketch_block *a, const sketch_block *b) {
    return !(a->is_sorted && b->is_sorted) && a->valid && b->valid &&
           (by->codes == LINK_UNIT_CODES || (a->has_tokens && b->has_tokens));
}

/* Whether enough units stand near their own place that a full match may pay. Elsewhere only many
 * pay. */
static bool is_promising(const frame *by, const sketch_block *a, const sketch_block *b) {
    int32_t own[BLOCK_UNITS];
    const bool is_in_place = is_same_place(a, b);
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
    const frame by = {.codes = codes,
                      .tokens = {UINT64_MAX, UINT64_MAX, UINT64_MAX, UINT64_MAX},
                      .token_bits = TOKEN_CODE_BITS};
    const match found =
        is_comparable(&by, mine, theirs) ? match_places(&by, mine, theirs) : (match){0};
    if (of) {
        *of = found.of;
    }
    return found.points;
}

unsigned link_distinct_units(const sketch_block *block) {
    const frame by = {.codes = LINK_UNIT_CODES};
    return (unsigned)list_units(&by, block).count;
}

/* --- maps of blocks --- */

typedef struct candidate {
    uint32_t mine;
    uint32_t theirs;
    match found;
    double e;
} candidate;

typedef struct testing {
    const fingerprint *mine;
    const fingerprint *theirs;
    frame by;
    candidate *items;
    size_t count;
    size_t capacity;
    uint32_t *group_of_mine; /* blocks whose units stand in one order have one group */
    uint32_t *group_of_theirs;
    bool *mine_used; /* by group */
    bool *theirs_used;
} testing;

static void testing_release_cleanup(testing *run) {
    free(run->items);
    free(run->group_of_mine);
    free(run->group_of_theirs);
    free(run->mine_used);
    free(run->theirs_used);
}

/* What a pair of blocks shows; nothing for one that looks hopeless. */
static match match_blocks(const frame *by, const sketch_block *a, const sketch_block *b) {
    if (by->is_chain) {
        return match_chain(by, a, b);
    }
    return is_promising(by, a, b) ? match_places(by, a, b) : (match){0};
}

static weir_code gather_candidates(testing *run, weir_error *err) {
    for (uint32_t i = 0; i < run->mine->block_count; i++) {
        for (uint32_t j = 0; j < run->theirs->block_count; j++) {
            const sketch_block *const a = &run->mine->blocks[i];
            const sketch_block *const b = &run->theirs->blocks[j];
            if (!is_comparable(&run->by, a, b)) {
                continue;
            }
            const match found = match_blocks(&run->by, a, b);
            const double e = bet_on_points(run->by.is_chain, found.of, found.points);
            if (e <= 0 && !is_same_place(a, b)) {
                continue;
            }
            if (!checked_grow((void **)&run->items, &run->capacity, run->count,
                              sizeof *run->items)) {
                return weir_fail_nomem(err);
            }
            run->items[run->count++] = (candidate){.mine = i, .theirs = j, .found = found, .e = e};
        }
    }
    return WEIR_OK;
}

static uint32_t root_of(uint32_t *group_of, uint32_t block) {
    while (group_of[block] != block) {
        group_of[block] = group_of[group_of[block]];
        block = group_of[block];
    }
    return block;
}

/* Blocks of one model that hold the same order of units join. Only those that a bet was won on
 * matter. */
static void group_blocks(const testing *run, const fingerprint *of, uint32_t *group_of,
                         bool *matters) {
    frame by = run->by;
    by.is_chain = false;
    for (uint32_t i = 0; i < of->block_count; i++) {
        for (uint32_t j = 0; j < i; j++) {
            const sketch_block *const a = &of->blocks[i];
            const sketch_block *const b = &of->blocks[j];
            if (matters[i] && matters[j] && is_promising(&by, a, b) &&
                match_places(&by, a, b).points >= SELF_LINK_POINTS) {
                group_of[root_of(group_of, i)] = root_of(group_of, j);
            }
        }
    }
}

static uint32_t *new_groups(size_t count) {
    uint32_t *const group_of = checked_alloc(count, sizeof *group_of);
    for (uint32_t i = 0; group_of && i < count; i++) {
        group_of[i] = i;
    }
    return group_of;
}

static weir_code make_groups(testing *run, weir_error *err) {
    run->group_of_mine = new_groups(run->mine->block_count);
    run->group_of_theirs = new_groups(run->theirs->block_count);
    run->mine_used = calloc(run->mine->block_count, sizeof(bool));
    run->theirs_used = calloc(run->theirs->block_count, sizeof(bool));
    if (!run->group_of_mine || !run->group_of_theirs || !run->mine_used || !run->theirs_used) {
        return weir_fail_nomem(err);
    }
    for (size_t i = 0; i < run->count; i++) {
        run->mine_used[run->items[i].mine] |= run->items[i].e > 0;
        run->theirs_used[run->items[i].theirs] |= run->items[i].e > 0;
    }
    group_blocks(run, run->mine, run->group_of_mine, run->mine_used);
    group_blocks(run, run->theirs, run->group_of_theirs, run->theirs_used);
    return WEIR_OK;
}

static void forget_used(testing *run) {
    memset(run->mine_used, 0, run->mine->block_count * sizeof(bool));
    memset(run->theirs_used, 0, run->theirs->block_count * sizeof(bool));
}

/* Whether neither group has had its bet; then both have. */
static bool take_groups(testing *run, const candidate *item) {
    bool *const mine = &run->mine_used[root_of(run->group_of_mine, item->mine)];
    bool *const theirs = &run->theirs_used[root_of(run->group_of_theirs, item->theirs)];
    if (*mine || *theirs) {
        return false;
    }
    *mine = true;
    *theirs = true;
    return true;
}

/* log10 of the product over blocks with the one of the same number. */
static double bet_on_places(testing *run) {
    double log10_e = 0;
    forget_used(run);
    for (size_t i = 0; i < run->count; i++) {
        const candidate *const item = &run->items[i];
        if (is_same_place(&run->mine->blocks[item->mine], &run->theirs->blocks[item->theirs]) &&
            take_groups(run, item)) {
            log10_e += log10_bet_of_layer(item->e);
        }
    }
    return log10_e;
}

static int by_bet(const void *left, const void *right) {
    const candidate *const a = left;
    const candidate *const b = right;
    if (a->e > b->e || a->e < b->e) {
        return a->e > b->e ? -1 : 1;
    }
    if (a->mine != b->mine) {
        return a->mine < b->mine ? -1 : 1;
    }
    return (a->theirs > b->theirs) - (a->theirs < b->theirs);
}

/* log10 of the best map's term; sorts the candidates by what they won. */
static double bet_on_maps(testing *run) {
    const double price =
        log10(ln2 / ((double)run->mine->block_count * (double)run->theirs->block_count));
    double log10_e = 0;
    forget_used(run);
    qsort(run->items, run->count, sizeof *run->items, by_bet);
    for (size_t i = 0; i < run->count && run->items[i].e > 0; i++) {
        const double gain = log10(run->items[i].e) + price;
        if (gain > 0 && take_groups(run, &run->items[i])) {
            log10_e += gain;
        }
    }
    return log10_e;
}

/* --- the result --- */

/* The rows' cosine from a share of differing bits: cos(pi d) [Charikar 2002]. */
static double cosine_of(double agreement) {
    return cos(acos(-1.0) * (1 - agreement));
}

static double agreement_of(const testing *run, const candidate *item) {
    const int bits = bits_compared(&run->by, &run->mine->blocks[item->mine],
                                   &run->theirs->blocks[item->theirs]) *
                     (int)item->found.points;
    return bits > 0 ? 1 - item->found.differ / (double)bits : 0;
}

/* Sorts after `best` the worse of two partners of one block. */
static bool is_better(const testing *run, const candidate *item, const link_pair *best) {
    if (item->found.points != best->matched) {
        return item->found.points > best->matched;
    }
    const double agreement = agreement_of(run, item);
    if (agreement > best->agreement || agreement < best->agreement) {
        return agreement > best->agreement;
    }
    const int32_t layer = run->mine->blocks[item->mine].layer;
    return run->theirs->blocks[item->theirs].layer == layer;
}

/* Chance would give one such pair in a thousand searches of all of their blocks. */
static bool is_partner(const testing *run, const candidate *item) {
    return bet_tail(run->by.is_chain, item->found.of, item->found.points) *
               (double)run->theirs->block_count <=
           1e-3;
}

static weir_code make_pairs(link_result *out, const testing *run, weir_error *err) {
    const size_t count = run->mine->block_count;
    WEIR_CLEANUP(free) link_pair *pairs = calloc(count, sizeof *pairs);
    if (!pairs) {
        return weir_fail_nomem(err);
    }
    for (size_t i = 0; i < run->count; i++) {
        const candidate *const item = &run->items[i];
        link_pair *const pair = &pairs[item->mine];
        if (is_partner(run, item) && is_better(run, item, pair)) {
            *pair = (link_pair){.mine = item->mine,
                                .theirs = item->theirs,
                                .matched = (uint8_t)item->found.points,
                                .of = (uint8_t)item->found.of,
                                .log10_e = log10(item->e),
                                .agreement = agreement_of(run, item)};
        }
    }
    for (size_t i = 0; i < count; i++) {
        if (pairs[i].matched > 0) {
            pairs[out->pair_count++] = pairs[i];
        }
    }
    out->pairs = WEIR_TAKE(pairs);
    return WEIR_OK;
}

static void describe_pairs(link_result *out, const testing *run) {
    double agreement = 0;
    double weight = 0;
    for (size_t i = 0; i < out->pair_count; i++) {
        const link_pair *const pair = &out->pairs[i];
        const uint64_t mine = run->mine->blocks[pair->mine].values_hash;
        agreement += pair->agreement * pair->matched;
        weight += pair->matched;
        out->equal_blocks += mine != 0 && mine == run->theirs->blocks[pair->theirs].values_hash;
    }
    out->cosine = weight > 0 ? cosine_of(agreement / weight) : (double)NAN;
    out->same_numbers = out->equal_blocks > 0 && out->equal_blocks == run->mine->block_count;
}

static size_t count_comparable(const testing *run) {
    size_t count = 0;
    for (size_t i = 0; i < run->mine->block_count; i++) {
        bool is_one = false;
        for (size_t j = 0; j < run->theirs->block_count && !is_one; j++) {
            is_one = is_comparable(&run->by, &run->mine->blocks[i], &run->theirs->blocks[j]);
        }
        count += is_one;
    }
    return count;
}

/* One of the two kinds of codes; *log10_e is of all maps together. */
static weir_code test_by(link_result *out, double *log10_e, const fingerprint *mine,
                         const fingerprint *theirs, const frame *by, weir_error *err) {
    WEIR_CLEANUP(testing_release) testing run = {.mine = mine, .theirs = theirs, .by = *by};
    *out = (link_result){.codes = by->codes, .cosine = (double)NAN};
    out->comparable = count_comparable(&run);
    *log10_e = 0;
    WEIR_TRY(gather_candidates(&run, err));
    if (run.count == 0) {
        return WEIR_OK;
    }
    WEIR_TRY(make_groups(&run, err));
    const double places = bet_on_places(&run);
    const double maps = bet_on_maps(&run);
    const double larger = places > maps ? places : maps;
    *log10_e = larger + log10(0.5 * (pow(10, places - larger) + pow(10, maps - larger)));
    WEIR_TRY(make_pairs(out, &run, err));
    describe_pairs(out, &run);
    return WEIR_OK;
}

static bool share_tokens(frame *by, const fingerprint *mine, const fingerprint *theirs) {
    by->token_bits = 0;
    for (size_t t = 0; t < TOKEN_PICKS; t++) {
        const bool is_shared =
            mine->token_tags[t] != 0 && mine->token_tags[t] == theirs->token_tags[t];
        by->tokens[t / 64] |= (uint64_t)is_shared << (t % 64);
        by->token_bits += is_shared;
    }
    return mine->has_tokens && theirs->has_tokens && by->token_bits >= TOKENS_MIN;
}

weir_code link_test(link_result *out, const fingerprint *mine, const fingerprint *theirs,
                    uint64_t entries, weir_error *err) {
    WEIR_CLEANUP(link_result_release) link_result rows = {.cosine = (double)NAN};
    WEIR_CLEANUP(link_result_release) link_result tokens = {.cosine = (double)NAN};
    const bool is_chain = mine->feed_forward != theirs->feed_forward;
    frame by = {.codes = LINK_TOKEN_CODES, .is_chain = is_chain};
    double rows_log10_e = -HUGE_VAL;
    double tokens_log10_e = -HUGE_VAL;
    if (mine->hidden == theirs->hidden) {
        const frame as_stored = {.codes = LINK_UNIT_CODES, .is_chain = is_chain};
        WEIR_TRY(test_by(&rows, &rows_log10_e, mine, theirs, &as_stored, err));
    }
    /* Where the rows have decided, the other half of the stake may as well be lost. */
    if (rows_log10_e < LOG10_E_DECIDED && share_tokens(&by, mine, theirs)) {
        WEIR_TRY(test_by(&tokens, &tokens_log10_e, mine, theirs, &by, err));
    }
    /* Half of the stake on each kind of codes; the larger is counted. */
    const bool by_tokens = tokens_log10_e > rows_log10_e && tokens.pair_count > rows.pair_count;
    const double larger = rows_log10_e > tokens_log10_e ? rows_log10_e : tokens_log10_e;
    *out = by_tokens ? tokens : rows;
    out->pairs = by_tokens ? WEIR_TAKE(tokens.pairs) : WEIR_TAKE(rows.pairs);
    out->comparable = rows.comparable > tokens.comparable ? rows.comparable : tokens.comparable;
    const double log10_p = log10((double)entries) + log10(2.0) - larger;
    out->log10_p = log10_p < 0 ? log10_p : 0;
    return WEIR_OK;
}

void link_result_release(link_result *result) {
    free(result->pairs);
    *result = (link_result){0};
}
