/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file token_basis.h  The embeddings of 256 tokens that every vocabulary agrees on: a frame of
 * reference that turns with the residual basis.
 *
 * Tokens are chosen by their bytes: each falls into one of TOKEN_PICKS buckets by a hash, and each
 * bucket takes the token with the lowest hash. Extending, trimming or reordering a vocabulary
 * changes few picks. A tag of 8 bits a bucket (0: empty) tells whether two models picked the same
 * token.
 */
#ifndef WEIR_ALIGN_TOKEN_BASIS_H
#define WEIR_ALIGN_TOKEN_BASIS_H

#include <stddef.h>
#include <stdint.h>

#include "tensor/model.h"

enum { TOKEN_PICKS = 256 };

/** Zero-initialise; release with token_basis_release(). */
typedef struct token_basis {
    float *rows; /**< [TOKEN_PICKS, hidden], less their mean; zero rows for empty buckets; NULL:
                    none */
    size_t hidden;
    uint8_t tags[TOKEN_PICKS];
    size_t count; /**< buckets that are filled */
} token_basis;

/**
 * Pick the tokens and read their rows of the embedding, one range of one row each.
 *
 * @param[out] out  zero-initialised; left alone when there are no rows
 * @return WEIR_OK, also when the model has no embedding, none that can be read by rows, or no token
 * strings (rows NULL); WEIR_ERR_IO; WEIR_ERR_NOMEM
 *
 * Values are the same at every SIMD level. Cost: a hash of every token string; at most TOKEN_PICKS
 * rows.
 */
weir_code token_basis_read(token_basis *out, const weir_model *model, weir_error *err);

/**
 * The same for two models at hand, over the tokens that both have: every filled bucket holds the
 * same token in both, however the one vocabulary was trimmed, extended or reordered.
 *
 * @param[out] mine, theirs  zero-initialised; both with rows, or both without
 */
weir_code token_basis_read_common(token_basis *mine, token_basis *theirs, const weir_model *model,
                                  const weir_model *other, weir_error *err);

void token_basis_release(token_basis *basis);
static inline void token_basis_release_cleanup(token_basis *basis) {
    token_basis_release(basis);
}

#endif
