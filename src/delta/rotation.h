/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file rotation.h  A residual basis that was turned: x_model = x_base Q for an orthogonal Q.
 *
 * Q is estimated from the embeddings of tokens that both models have (orthogonal Procrustes [1]:
 * Q = U V^T of the singular value decomposition of E_base^T E_model), and checked on tokens that
 * had no part in it. Norms whose gain was folded into what reads through them are undone by
 * comparing rows times gains.
 *
 * [1] Schoenemann 1966.
 */
#ifndef WEIR_DELTA_ROTATION_H
#define WEIR_DELTA_ROTATION_H

#include <stdbool.h>
#include <stddef.h>

#include "base/arena.h"
#include "weir/error.h"

enum { ROTATION_HIDDEN_MAX = 4096 };

typedef struct rotation {
    bool is_found;
    size_t hidden;
    const float *q;        /**< [hidden of the base, hidden of the model], arena's */
    size_t tokens;         /**< that Q was estimated from */
    size_t tokens_held;    /**< that it was checked on */
    double token_error;    /**< ||E_model - E_base Q||^2 / ||E_model||^2 over the latter */
    size_t matrices;       /**< that were checked by sampled rows */
    size_t matrices_equal; /**< of them, those with the base's numbers up to rounding */
    double cosine;         /**< median over matrices, of their rows in the base's basis */
    double error;          /**< median over matrices, of the squared relative error */
} rotation;

/**
 * How far the rows of the same tokens hang together alike in both models: the correlation of their
 * inner products, off the diagonal, over at most 256 of them. A turned basis keeps it at 1. NaN
 * when there are too few, or when the rows are not finite.
 */
weir_code rotation_likeness(double *out, const float *base, const float *model, size_t tokens,
                            size_t hidden, weir_error *err);

/**
 * Estimate Q from rows of the same tokens, two of three, and check it on the others.
 *
 * @param base   [tokens, hidden]
 * @param model  [tokens, hidden]
 * @param[out] out  is_found says whether the held tokens agree
 * @return WEIR_OK, also when there are too few tokens or hidden is too wide (is_found false);
 *         WEIR_ERR_NOMEM
 *
 * Cost: a singular value decomposition of hidden^2 numbers.
 */
weir_code rotation_find(rotation *out, arena *memory, const float *base, const float *model,
                        size_t tokens, size_t hidden, weir_error *err);

#endif
