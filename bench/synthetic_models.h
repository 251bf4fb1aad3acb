/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file synthetic_models.h  Fingerprints of a made-up population of models, any one of which can be
 * made again from its number: for measuring searches at sizes for which there are no real models at
 * hand.
 *
 * Families have sizes by a power law (the r-th largest has about N / (r ln F) of N models in F
 * families), an architecture of their own (width, number of layers, gate or none, tokens or none),
 * and a root with random bits: SimHash bits of a random initialisation are independent coin flips.
 * A row whose cosine with its origin is c has each bit flipped with probability acos(c) / pi [1],
 * so a member is made by flipping bits. Token bits of a unit are made of 32 coin flips, each seen
 * by four tokens which get it wrong one time in five: tokens are alike, so that token codes say
 * less than they have bits. Numbers, hashes and grids are not made.
 *
 * Members: of 100, 3 are exact copies of the root, 35 casts and quantised copies (cosine .995 to
 * 1), 45 fine-tunes (.998 to 1), 12 heavier ones (.9 to .99), 3 continued pretrainings (.3 to .9),
 * 2 lost up to half of their layers. Half of all were made from another member of that family, not
 * from its root. [1] Charikar 2002.
 */
#ifndef WEIR_BENCH_SYNTHETIC_MODELS_H
#define WEIR_BENCH_SYNTHETIC_MODELS_H

#include "sketch/search_index.h"

enum { SYNTHETIC_BLOCKS_MAX = 512 };

typedef struct population {
    uint64_t seed;
    uint64_t entries;
    uint64_t
        families; /**< 0: every model is a stranger of one width, the worst case for a search */
} population;

/** A fingerprint with room for blocks; release with synthetic_free(). */
fingerprint *synthetic_new(void);
void synthetic_free(fingerprint *model);

uint64_t synthetic_family(const population *of, uint64_t entry);
void synthetic_entry(fingerprint *out, const population *of, uint64_t entry);

/**
 * The hot code of an entry without its blocks, for sizes at which making them would take hours: the
 * sums of votes of two models are normal with the correlation R of src/sketch/hot_code.c, so a bit
 * of a member's code differs from its origin's with probability acos(R) / pi. Not the code of
 * synthetic_entry().
 */
void synthetic_code(hot_code *out, const population *of, uint64_t entry);

/** A code whose sums have correlation R with one parent's, or with each of two: R^2 of both is
 * below 1. */
void synthetic_code_derive(hot_code *out, const hot_code *parent, const hot_code *second, double r,
                           uint64_t seed);

typedef enum derivative {
    DERIVATIVE_CAST,           /**< cosine .99999 */
    DERIVATIVE_QUANTISED,      /**< .995 */
    DERIVATIVE_FINE_TUNED,     /**< .95 */
    DERIVATIVE_PRETRAINED,     /**< .7 */
    DERIVATIVE_PRETRAINED_FAR, /**< .3 */
    DERIVATIVE_PRUNED,         /**< every other layer, .95 */
    DERIVATIVE_PRUNED_FAR,     /**< every other layer, .3 */
    DERIVATIVE_SHUFFLED,       /**< layers in random order, .95 */
    DERIVATIVE_UPSCALED,       /**< the middle half of the layers twice, .95 */
    DERIVATIVE_MERGED,         /**< mean of two members of the family */
    DERIVATIVE_PASSTHROUGH,    /**< half of the layers of each of two families of equal width */
    DERIVATIVE_UPCYCLED,       /**< every layer as four experts, .9 each */
    DERIVATIVE_ROTATED,        /**< another residual basis: only token codes agree, .95 */
    DERIVATIVE_NARROWED,       /**< another width: only token codes agree, .8 */
    DERIVATIVE_COUNT,
} derivative;

extern const char *const derivative_names[DERIVATIVE_COUNT];

/** Of an entry; of two for merges and passthroughs, whose second parent is found here.
 * @return whether this entry can have such a derivative */
bool synthetic_derive(fingerprint *out, uint64_t *second_parent, derivative kind,
                      const population *of, uint64_t parent, uint64_t seed);

/** An entry of another family with the same architecture. @return false when there is none */
bool synthetic_second(uint64_t *out, const population *of, uint64_t parent, uint64_t seed);

#endif
