/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file fingerprint.h  What is kept of a model so that its upstream can be found: at most 40 KB for
 * 32 layers, read from under 0.1% of its bytes.
 *
 * A block is the first BLOCK_UNITS hidden units of one feed-forward: of a layer's own, or of one of
 * the first BLOCK_EXPERTS experts. Of each unit u, whose input row of `up` is w and whose row of
 * `gate` is v, both times the gain g of the norm before them, scaled to length 1, and with the mean
 * of the block's rows taken away:
 *     up[u], gate[u]  signs of 128 fixed random projections of w and of v (SimHash [1]); they
 *                     compare only at equal width
 *     token[u]        signs of v E^T over 256 tokens chosen by the hashes of their bytes; E the
 *                     embedding less its mean: unchanged when the residual basis is rotated,
 * permuted or mirrored, and comparable across widths and of the whole block PROJECTION_COUNT signed
 * sums of the numbers as they are (linear in them, so that merges can be solved for), and a hash of
 * these numbers.
 *
 * The fingerprint holds no name, path, config or card. [1] Charikar 2002.
 */
#ifndef WEIR_SKETCH_FINGERPRINT_H
#define WEIR_SKETCH_FINGERPRINT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "align/feed_forward.h"
#include "align/token_basis.h"
#include "base/cleanup.h"
#include "tensor/model.h"
#include "weir/progress.h"

enum {
    FINGERPRINT_VERSION = 1,
    BLOCK_UNITS = 16,
    BLOCK_EXPERTS = 8,      /* per layer; further experts are not looked at */
    BLOCK_COUNT_MAX = 2048, /* the deepest models have a few hundred layers */
    UNIT_CODE_WORDS = 2,
    TOKEN_CODE_WORDS = 4,
    TOKEN_CODE_BITS = 64 * TOKEN_CODE_WORDS,
    PROJECTION_COUNT = 32,
    GRAM_TOKENS = 64,
    GRAM_WORDS = 32, /* 64 x 63 / 2 = 2016 bits */
    GRID_BLOCKS = 3,
    GRID_ROWS = 4,
    GRID_ROLES = 9,
    GRID_TYPES = 8,
    TOKENIZER_HASHES = 32,
};

/** sum x^4 n / (sum x^2)^2 is the kurtosis; 3 for normal numbers. */
enum { PROFILE_UP_RMS, PROFILE_UP_KURTOSIS, PROFILE_GATE_RMS, PROFILE_GAIN_RMS, PROFILE_COUNT };

enum { EXPERT_NONE = FEED_FORWARD_OWN, EXPERT_SHARED = FEED_FORWARD_SHARED };

/** One feed-forward's first units. */
typedef struct sketch_block {
    int32_t layer;
    int32_t expert; /**< EXPERT_NONE: the layer's own; EXPERT_SHARED; else the expert's number */
    uint16_t valid; /**< bit u: unit u takes part; not set for zero, NaN, one-hot and equal rows */
    bool has_gate;
    bool has_tokens;
    bool is_sorted; /**< the norms rise or fall with the index: the units are not exchangeable */
    float profile[PROFILE_COUNT]; /**< for screening only */
    uint64_t up[BLOCK_UNITS][UNIT_CODE_WORDS];
    uint64_t gate[BLOCK_UNITS][UNIT_CODE_WORDS];
    uint64_t token[BLOCK_UNITS][TOKEN_CODE_WORDS];
    float projection[PROJECTION_COUNT];
    uint64_t values_hash; /**< of the rows of up as float32; 0 when they could not be read */
} sketch_block;

/** The types in which a block is hashed. */
extern const weir_dtype grid_types[GRID_TYPES];

/** The projections of a layer whose first GRID_ROWS rows are hashed: q, k, v, o, gate, up, down;
 * those of experts with the block's. */
extern const weir_role grid_roles[GRID_ROLES];

/**
 * Hashes of a layer's projections as they are, and as they would be once stored in each of
 * grid_types: what says that one model is another, rounded. More than the feed-forward, because
 * fine-tuning often leaves it alone.
 */
typedef struct sketch_grid {
    uint32_t block;           /**< index into blocks */
    uint32_t own[GRID_ROLES]; /**< 0: not there, not read, or all equal */
    uint32_t hashes[GRID_ROLES]
                   [GRID_TYPES]; /**< 0: the type does not fit the width, or makes all equal */
} sketch_grid;

typedef struct fingerprint {
    uint64_t parameters;
    uint32_t tensors;
    uint32_t hidden;       /**< width of the residual stream: columns of up */
    uint32_t feed_forward; /**< rows of up in the first block */
    uint32_t layers;
    uint32_t vocabulary;     /**< rows of the embedding, 0 without one */
    uint8_t shapes_hash[32]; /**< SHA-256 over the sorted canonical names and shapes */
    sketch_block *blocks;    /**< sorted by layer, then expert */
    size_t block_count;
    sketch_grid grids[GRID_BLOCKS];
    uint32_t grid_count;
    bool has_tokens;                 /**< embedding and token strings were there */
    uint8_t token_tags[TOKEN_PICKS]; /**< which token each bit of a token code belongs to; 0 none */
    uint64_t gram[GRAM_WORDS];       /**< signs of the inner products of 64 tokens' embeddings */
    uint32_t token_count;            /**< strings of the tokenizer */
    uint64_t tokenizer[TOKENIZER_HASHES]; /**< MinHash of the token strings; all ones without any */
    uint64_t merges_hash;
} fingerprint;

/** What reading cost; not part of the fingerprint. */
typedef struct fingerprint_cost {
    uint64_t bytes_read; /**< of weights, besides headers and tokenizer */
    uint64_t ranges_read;
    uint64_t bytes_stored; /**< of the weights' files */
} fingerprint_cost;

typedef struct fingerprint_options {
    unsigned jobs; /**< threads; 0 for one per core; the result is the same */
    const weir_callbacks *callbacks;
} fingerprint_options;

/**
 * Read what the fingerprint needs and compute it.
 *
 * @param[out] out   release with fingerprint_free(); untouched on failure
 * @param options    NULL for defaults
 * @param[out] cost  may be NULL
 * @return WEIR_OK, also when no block could be read (block_count 0); WEIR_ERR_IO;
 * WEIR_ERR_CANCELLED; WEIR_ERR_NOMEM
 */
weir_code fingerprint_make(fingerprint **out, const weir_model *model,
                           const fingerprint_options *options, fingerprint_cost *cost,
                           weir_error *err);

/** Write as docs/formats/fingerprint.md has it; *out is malloc'ed, its bytes the same on every
 * machine. */
weir_code fingerprint_encode(uint8_t **out, size_t *len, const fingerprint *from, weir_error *err);

/**
 * Read it back. Hostile bytes are refused with their offset.
 * @param name  how errors call it
 * @return WEIR_OK; WEIR_ERR_FORMAT; WEIR_ERR_UNSUPPORTED for a newer version; WEIR_ERR_NOMEM
 */
weir_code fingerprint_decode(fingerprint **out, const uint8_t *bytes, size_t len, const char *name,
                             weir_error *err);

/** A copy of its own. @return NULL without memory */
fingerprint *fingerprint_copy(const fingerprint *from);

void fingerprint_free(fingerprint *sketch);
WEIR_DEFINE_CLEANUP(fingerprint *, fingerprint_free)

#endif
