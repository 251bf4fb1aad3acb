/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What keeps the test honest:
 *   - Units are matched by what they hold, never by their index: link_match.c.
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
#include "sketch/bet.h"
#include "sketch/link_match.h"

enum {
    SELF_LINK_POINTS = 7, /* of 16 by chance: 1 in 5,000 pairs */
    LOG10_E_DECIDED = 20, /* of one kind of codes: the other need not be asked */
};

static const double ln2 = 0.69314718055994531;

/* --- maps of blocks --- */

typedef struct candidate {
    uint32_t mine;
    uint32_t theirs;
    link_match found;
    double e;
} candidate;

typedef struct testing {
    const fingerprint *mine;
    const fingerprint *theirs;
    link_frame by;
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

static weir_code gather_candidates(testing *run, weir_error *err) {
    for (uint32_t i = 0; i < run->mine->block_count; i++) {
        for (uint32_t j = 0; j < run->theirs->block_count; j++) {
            const sketch_block *const a = &run->mine->blocks[i];
            const sketch_block *const b = &run->theirs->blocks[j];
            if (!link_is_comparable(&run->by, a, b)) {
                continue;
            }
            const link_match found = link_match_blocks(&run->by, a, b);
            const double e = bet_on_points(run->by.is_chain, found.of, found.points);
            if (e <= 0 && !link_is_same_place(a, b)) {
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
                         const bool *matters) {
    link_frame by = run->by;
    by.is_chain = false;
    for (uint32_t i = 0; i < of->block_count; i++) {
        for (uint32_t j = 0; j < i; j++) {
            const sketch_block *const a = &of->blocks[i];
            const sketch_block *const b = &of->blocks[j];
            if (matters[i] && matters[j] && link_is_promising(&by, a, b) &&
                link_match_places(&by, a, b).points >= SELF_LINK_POINTS) {
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
        if (link_is_same_place(&run->mine->blocks[item->mine],
                               &run->theirs->blocks[item->theirs]) &&
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
    const int bits = link_bits_compared(&run->by, &run->mine->blocks[item->mine],
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
            is_one = link_is_comparable(&run->by, &run->mine->blocks[i], &run->theirs->blocks[j]);
        }
        count += is_one;
    }
    return count;
}

/* One of the two kinds of codes; *log10_e is of all maps together. */
static weir_code test_by(link_result *out, double *log10_e, const fingerprint *mine,
                         const fingerprint *theirs, const link_frame *by, weir_error *err) {
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

weir_code link_test(link_result *out, const fingerprint *mine, const fingerprint *theirs,
                    uint64_t entries, weir_error *err) {
    WEIR_CLEANUP(link_result_release) link_result rows = {.cosine = (double)NAN};
    WEIR_CLEANUP(link_result_release) link_result tokens = {.cosine = (double)NAN};
    const bool is_chain = mine->feed_forward != theirs->feed_forward;
    link_frame by = {.codes = LINK_TOKEN_CODES, .is_chain = is_chain};
    double rows_log10_e = -HUGE_VAL;
    double tokens_log10_e = -HUGE_VAL;
    if (mine->hidden == theirs->hidden) {
        const link_frame as_stored = {.codes = LINK_UNIT_CODES, .is_chain = is_chain};
        WEIR_TRY(test_by(&rows, &rows_log10_e, mine, theirs, &as_stored, err));
    }
    /* Where the rows have decided, the other half of the stake may as well be lost. */
    if (rows_log10_e < LOG10_E_DECIDED && link_share_tokens(&by, mine, theirs)) {
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
