/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One short code for all blocks of a model, whatever their order and number.
 *
 * Let a derivative's rows have cosine c with those they come from. A bit of a unit code then agrees
 * with probability 1 - acos(c) / pi, that is with correlation r = 1 - 2 acos(c) / pi. Over L blocks
 * the votes add up to about normal sums; two models' sums have correlation
 *     R = r K / sqrt(L L')      when they have K blocks in common, of L and L'
 * (of blocks that stand w times: r sum w / sqrt(L sum w^2)). Their signs have correlation
 * (2/pi) asin R; the sign of one and the sum of the other have sqrt(2/pi) R. So over n bits a
 * relative stands above chance, in standard deviations of unrelated codes, by
 *     (2/pi) asin(R) sqrt(n)    signs against signs
 *     .78 R sqrt(n)             signs against sums of four weights, for small R
 * Therefore the code that is searched with has weights: worth half as many bits again. With
 * n = 4096 (up and gate, 16 units of 128 bits):
 *     heavy continued pretraining, c = .3, all layers         R .194    9.7
 *     the same with half of the layers pruned                 R .137    6.9
 *     c = .3 without gate (n = 2048)                          R .194    6.9
 *     half of the layers from each of two parents, c = 1      R .50     25
 *     one of eight unlike experts made a dense model, c = 1   R .35     18
 * Of 300,000 unrelated codes of one width the 64th stands at 3.5, the best at 4.6.
 *
 * All experts vote: copies of one layer count as that layer, and a dense model made from some
 * experts still has those among the votes. The order of layers does not enter but for ties: a bit
 * on which as many blocks say yes as no takes the first block's, because any bit that does not
 * depend on the model would make unrelated models agree. For the same reason a unit that no block
 * has, and a token that the vocabulary lacks, get bits that unrelated models do not share.
 */
#include <string.h>

#include "base/hash.h"
#include "sketch/search_index.h"

enum { VOTE_PLANES = 16, BLOCKS_MAX = (1 << VOTE_PLANES) - 1, WEIGHTS = 4 };

/* 64 counters, bit p of counter i in bit i of planes[p]. */
typedef struct votes {
    uint64_t planes[VOTE_PLANES];
    uint64_t first;
    uint32_t count;
} votes;

static void vote(votes *on, uint64_t bits) {
    on->first = on->count ? on->first : bits;
    on->count++;
    for (size_t p = 0; bits; p++) {
        const uint64_t carry = on->planes[p] & bits;
        on->planes[p] ^= bits;
        bits = carry;
    }
}

/* Which counters are at least `least`. */
static uint64_t counted(const votes *on, uint32_t least) {
    uint64_t more = 0;
    uint64_t equal = ~(uint64_t)0;
    for (size_t p = VOTE_PLANES; p-- > 0;) {
        const uint64_t wanted = least >> p & 1 ? ~(uint64_t)0 : 0;
        more |= equal & on->planes[p] & ~wanted;
        equal &= ~(on->planes[p] ^ wanted);
    }
    return more | equal;
}

static uint64_t majority(const votes *on) {
    const uint64_t more = counted(on, on->count / 2 + 1);
    const uint64_t tied = on->count % 2 == 0 ? counted(on, on->count / 2) & ~more : 0;
    return more | (tied & on->first);
}

/**
 * Which counters have a majority, yes less no or no less yes, of at least t sqrt(count).
 * @param squared  t^2 in ten-thousandths
 */
static uint64_t decided(const votes *on, uint32_t squared) {
    uint64_t margin = on->count % 2; /* as odd as the count, as every difference is */
    while (margin * margin * 10000 < (uint64_t)squared * on->count) {
        margin += 2;
    }
    if (margin > on->count) {
        return 0;
    }
    const uint32_t yes = (on->count + (uint32_t)margin) / 2;
    const uint32_t no = (on->count - (uint32_t)margin) / 2;
    return counted(on, yes) | ~counted(on, no + 1);
}

/* The weight is round(|sum| / (.651 sqrt(count))), at most 3: the best uniform quantiser of seven
 * levels for a normal distribution [Max 1960], which loses 5% of the variance. */
static void take_result(uint64_t *code, uint64_t *low, uint64_t *high, const votes *on) {
    static const uint32_t steps[WEIGHTS - 1] = {1060, 9536, 26488}; /* (.651 (k + 1/2))^2 */
    const uint64_t one = decided(on, steps[0]);
    const uint64_t two = decided(on, steps[1]);
    const uint64_t three = decided(on, steps[2]);
    *code = majority(on);
    *low = (one & ~two) | three;
    *high = two;
}

static size_t voting_blocks(const fingerprint *from) {
    return from->block_count < BLOCKS_MAX ? from->block_count : BLOCKS_MAX;
}

static bool takes_part(const sketch_block *block, size_t unit) {
    return block->valid >> unit & 1;
}

/* Words 2 unit and 2 unit + 1 of one half of unit. @return whether any block voted */
static bool take_unit(hot_code *out, const fingerprint *from, size_t unit, bool is_gate) {
    votes on[UNIT_CODE_WORDS] = {0};
    for (size_t i = 0; i < voting_blocks(from); i++) {
        const sketch_block *block = &from->blocks[i];
        if (takes_part(block, unit) && (!is_gate || block->has_gate)) {
            const uint64_t *bits = is_gate ? block->gate[unit] : block->up[unit];
            vote(&on[0], bits[0]);
            vote(&on[1], bits[1]);
        }
    }
    const size_t at = (is_gate ? HOT_UNIT_WORDS / 2 : 0) + UNIT_CODE_WORDS * unit;
    for (size_t i = 0; i < UNIT_CODE_WORDS && on[i].count > 0; i++) {
        take_result(&out->unit[at + i], &out->unit_low[at + i], &out->unit_high[at + i], &on[i]);
    }
    return on[0].count > 0;
}

static bool take_tokens(hot_code *out, const fingerprint *from, size_t unit) {
    votes on[2] = {0};
    for (size_t i = 0; i < voting_blocks(from); i++) {
        const sketch_block *block = &from->blocks[i];
        if (takes_part(block, unit) && block->has_tokens) {
            vote(&on[0], block->token[unit][0]);
            vote(&on[1], block->token[unit][1]);
        }
    }
    for (size_t i = 0; i < 2 && on[i].count > 0; i++) {
        const size_t at = 2 * unit + i;
        take_result(&out->token[at], &out->token_low[at], &out->token_high[at], &on[i]);
    }
    return on[0].count > 0;
}

/* Bits that depend on all others. `have`: of which units words were taken. */
static void fill_unit(uint64_t *words, size_t unit_count, uint32_t have, uint64_t seed) {
    for (size_t unit = 0; unit < unit_count; unit++) {
        for (size_t i = 0; i < 2 && !(have >> unit & 1); i++) {
            words[2 * unit + i] = hash_next(&seed);
        }
    }
}

/* The code bits of tokens that the vocabulary lacks are 0 in every unit of every model that lacks
 * them. */
static void fill_lacking_tokens(hot_code *out, const fingerprint *from, uint64_t seed) {
    uint64_t there[2] = {0};
    for (size_t i = 0; i < 128; i++) {
        there[i / 64] |= (uint64_t)(from->token_tags[i] != 0) << i % 64;
    }
    for (size_t i = 0; i < HOT_TOKEN_WORDS; i++) {
        out->token[i] = (out->token[i] & there[i % 2]) | (hash_next(&seed) & ~there[i % 2]);
        out->token_low[i] &= there[i % 2];
        out->token_high[i] &= there[i % 2];
    }
}

void hot_code_make(hot_code *out, const fingerprint *from) {
    *out = (hot_code){.hidden = from->hidden};
    uint32_t up = 0;
    uint32_t gate = 0;
    uint32_t tokens = 0;
    for (size_t unit = 0; unit < BLOCK_UNITS; unit++) {
        up |= (uint32_t)take_unit(out, from, unit, /* is_gate= */ false) << unit;
        gate |= (uint32_t)take_unit(out, from, unit, /* is_gate= */ true) << unit;
        tokens |= (uint32_t)take_tokens(out, from, unit) << unit;
    }
    out->has_unit = up != 0;
    out->has_gate = gate != 0;
    out->has_token = tokens != 0;
    const uint64_t seed =
        hash_bytes(out->unit, sizeof out->unit) ^ hash_bytes(out->token, sizeof out->token);
    if (out->has_unit) {
        fill_unit(out->unit, BLOCK_UNITS, up, seed);
    }
    if (out->has_gate) {
        fill_unit(out->unit + HOT_UNIT_WORDS / 2, BLOCK_UNITS, gate, seed + 1);
    }
    if (out->has_token) {
        fill_unit(out->token, BLOCK_UNITS, tokens, seed + 2);
        fill_lacking_tokens(out, from, seed + 3);
    }
}
