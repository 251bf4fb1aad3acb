/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file link.h  Do two models share weights? A test of two fingerprints whose p-value holds for any
 * sample.
 *
 * H0: the order of the hidden units of at least one of the two models comes from a random
 * initialisation of its own. Then, whatever was learned and whatever else the models share (data,
 * tokenizer, shape, embeddings), matching the units of a block of one with those of a block of the
 * other by what they hold gives a uniformly random permutation [1]. Units found in their own place
 * are evidence against it.
 *
 * For one pair of blocks with F units in their place, of 16:
 *     e = sum over t of w_t [F >= t] / P(F >= t)         sum of w_t = 1
 * is a bet whose mean under H0 is at most 1 (an e-value [2]). Blocks of one model whose units stand
 * in the same order (copied layers, experts of an upcycled model) count once. Over blocks, bets
 * multiply; over the ways in which layers may correspond, they are averaged: half of the stake goes
 * to each block with the one of the same number, half to all other ways, every pair of which costs
 * ln 2 / (blocks x blocks): E = 1/2 prod_i (1/10 + 9/10 e_ii) + 1/2 sum over maps M of prod_(i,j in
 * M) e_ij ln 2 / (n m) of which sum the best map alone is counted. p = entries searched / E: valid
 * for any number of layers and entries, by Markov's inequality and the union bound.
 *
 * [1] Zhu et al. 2025 (Independence Tests for Language Models); [2] Vovk and Wang 2021.
 */
#ifndef WEIR_SKETCH_LINK_H
#define WEIR_SKETCH_LINK_H

#include "sketch/fingerprint.h"

/** By which codes units were matched. */
typedef enum link_codes {
    LINK_UNIT_CODES,  /**< rows as they are stored */
    LINK_TOKEN_CODES, /**< rows as the tokens' embeddings see them: whatever the residual basis */
} link_codes;

/** One block of mine and the block of theirs that it matches. */
typedef struct link_pair {
    uint32_t mine; /**< index into blocks */
    uint32_t theirs;
    uint8_t matched;  /**< units in their own place; in a rising chain when the widths differ */
    uint8_t of;       /**< units that could be matched */
    double log10_e;   /**< of this pair alone */
    double agreement; /**< share of equal bits over the matched units */
} link_pair;

/** Zero-initialise; release with link_result_release(). */
typedef struct link_result {
    double log10_p;   /**< at most 0 */
    link_codes codes; /**< the stronger ones */
    double cosine;    /**< of the matched units' rows, from their codes; NaN without any */
    link_pair *pairs; /**< the map: every block of mine that has a partner, in order of mine */
    size_t pair_count;
    size_t comparable;   /**< blocks of mine that could be compared at all */
    bool same_numbers;   /**< every block was found with exactly the same numbers */
    size_t equal_blocks; /**< pairs whose numbers are exactly the same */
} link_result;

/**
 * Test two fingerprints.
 *
 * @param[out] out   zero-initialised; untouched on failure
 * @param entries    how many fingerprints were searched for this one; at least 1
 * @return WEIR_OK; WEIR_ERR_NOMEM
 *
 * Thread-safe. Cost: some .14 ms for strangers of 32 layers, .25 ms for relatives, 1 ms where
 * widths differ.
 */
weir_code link_test(link_result *out, const fingerprint *mine, const fingerprint *theirs,
                    uint64_t entries, weir_error *err);

void link_result_release(link_result *result);
static inline void link_result_release_cleanup(link_result *result) {
    link_result_release(result);
}

/** Units in their own place for one pair of blocks, matched whatever the distance: the statistic
 * whose law is known. @param of  receives the units that could be matched, may be NULL */
unsigned link_fixed_points(const sketch_block *mine, const sketch_block *theirs, link_codes codes,
                           unsigned *of);

/** Units of a block that can be told from each other: neither left out nor equal to another. */
unsigned link_distinct_units(const sketch_block *block);

/**
 * The least cosine between the rows of a child and its ancestor at which this fingerprint would be
 * linked with probability .95 if `entries` are searched, from the law of the codes' bits; 1 when
 * none would do.
 */
double link_power(const fingerprint *mine, uint64_t entries, double log10_p_limit);

#endif
