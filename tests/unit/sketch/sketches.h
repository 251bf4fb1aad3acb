/* SPDX-License-Identifier: Apache-2.0 */
/** @file sketches.h  Fingerprints made of random codes, and what is done to them. */
#ifndef WEIR_TESTS_SKETCHES_H
#define WEIR_TESTS_SKETCHES_H

#include "../testing.h"

#include <math.h>
#include <stdlib.h>

#include "base/hash.h"
#include "sketch/fingerprint.h"

static inline uint64_t random_word(uint64_t *seed) {
    return hash_next(seed);
}

static inline void random_words(uint64_t *words, size_t count, uint64_t *seed) {
    for (size_t i = 0; i < count; i++) {
        words[i] = random_word(seed);
    }
}

/** A model of `layers` dense layers whose units point nowhere in particular. */
static inline fingerprint *sketch_new(size_t layers, uint64_t seed) {
    fingerprint *sketch = calloc(1, sizeof *sketch);
    sketch->block_count = layers;
    sketch->layers = layers;
    sketch->hidden = 256;
    sketch->feed_forward = 512;
    sketch->blocks = calloc(layers + 1, sizeof *sketch->blocks);
    memset(sketch->tokenizer, 0xFF, sizeof sketch->tokenizer);
    for (size_t i = 0; i < layers; i++) {
        sketch_block *block = &sketch->blocks[i];
        *block = (sketch_block){
            .layer = i, .expert = EXPERT_NONE, .valid = UINT16_MAX, .has_gate = true};
        random_words(block->up[0], BLOCK_UNITS * UNIT_CODE_WORDS, &seed);
        random_words(block->gate[0], BLOCK_UNITS * UNIT_CODE_WORDS, &seed);
        random_words(block->token[0], BLOCK_UNITS * TOKEN_CODE_WORDS, &seed);
        block->values_hash = random_word(&seed) | 1;
        for (size_t k = 0; k < PROJECTION_COUNT; k++) {
            block->projection[k] = (float)(int32_t)random_word(&seed) * 0x1p-31f;
        }
    }
    return sketch;
}

/** Give it token codes that are compared. */
static inline void sketch_give_tokens(fingerprint *sketch) {
    sketch->has_tokens = true;
    memset(sketch->token_tags, 7, sizeof sketch->token_tags);
    for (size_t i = 0; i < sketch->block_count; i++) {
        sketch->blocks[i].has_tokens = true;
    }
}

/** Turn each bit over with the probability that rows of this cosine have. */
static inline void words_drift(uint64_t *words, size_t count, double cosine, uint64_t *seed) {
    const double share = acos(cosine) / acos(-1.0);
    for (size_t i = 0; i < count * 64; i++) {
        if ((double)(random_word(seed) >> 11) * 0x1p-53 < share) {
            words[i / 64] ^= UINT64_C(1) << (i % 64);
        }
    }
}

static inline void sketch_drift(fingerprint *sketch, double cosine, uint64_t seed) {
    for (size_t i = 0; i < sketch->block_count; i++) {
        sketch_block *block = &sketch->blocks[i];
        words_drift(block->up[0], BLOCK_UNITS * UNIT_CODE_WORDS, cosine, &seed);
        words_drift(block->gate[0], BLOCK_UNITS * UNIT_CODE_WORDS, cosine, &seed);
        words_drift(block->token[0], BLOCK_UNITS * TOKEN_CODE_WORDS, cosine, &seed);
        block->values_hash ^= random_word(&seed);
    }
}

static inline void swap_units(sketch_block *block, size_t a, size_t b) {
    uint64_t kept[UNIT_CODE_WORDS];
    uint64_t kept_token[TOKEN_CODE_WORDS];
    memcpy(kept, block->up[a], sizeof kept);
    memcpy(block->up[a], block->up[b], sizeof kept);
    memcpy(block->up[b], kept, sizeof kept);
    memcpy(kept, block->gate[a], sizeof kept);
    memcpy(block->gate[a], block->gate[b], sizeof kept);
    memcpy(block->gate[b], kept, sizeof kept);
    memcpy(kept_token, block->token[a], sizeof kept_token);
    memcpy(block->token[a], block->token[b], sizeof kept_token);
    memcpy(block->token[b], kept_token, sizeof kept_token);
    const unsigned bit_a = block->valid >> a & 1;
    const unsigned bit_b = block->valid >> b & 1;
    block->valid &= ~(1U << a | 1U << b);
    block->valid |= bit_b << a | bit_a << b;
}

/** Put the units of every block into an order drawn at random: what H0 says of one model. */
static inline void sketch_shuffle_units(fingerprint *sketch, uint64_t seed) {
    for (size_t i = 0; i < sketch->block_count; i++) {
        for (size_t u = BLOCK_UNITS - 1; u > 0; u--) {
            swap_units(&sketch->blocks[i], u, random_word(&seed) % (u + 1));
        }
    }
}

#endif
