/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file empty_direction.h  Whether a model writes nothing along one direction of its residual
 * stream: what full ablation leaves, seen without the base.
 *
 * For the vectors x of width n that all write matrices add to the stream, G = sum x x'/|W|^2 over
 * the matrices, made a correlation matrix (each dimension by its own norm; dead ones left out).
 * Where a direction was projected out everywhere, the smallest eigenvalue of G is rounding, and the
 * second is not. Only ablation at full strength in nearly all matrices shows.
 */
#ifndef WEIR_DELTA_EMPTY_DIRECTION_H
#define WEIR_DELTA_EMPTY_DIRECTION_H

#include "tensor/model.h"

typedef enum empty_direction_answer {
    EMPTY_DIRECTION_NONE,
    EMPTY_DIRECTION_FOUND,
    EMPTY_DIRECTION_CANNOT_DECIDE, /**< `why` says what is missing */
} empty_direction_answer;

typedef struct empty_direction {
    empty_direction_answer answer;
    const char *why;     /**< a static sentence */
    double ratio;        /**< smallest eigenvalue over the second; NaN when unmeasured */
    size_t matrix_count; /**< write matrices read */
    size_t width;
    size_t dead; /**< dimensions that hardly anything writes to, left out */
    double axis; /**< energy of the emptiest direction on its two largest coordinates */
    double mean; /**< its cosine to the vector of ones */
} empty_direction;

/**
 * Look for a direction that no write matrix writes to.
 *
 * @param threads  at least 1; the figures are the same for any
 * @return WEIR_OK, also when nothing can be decided; WEIR_ERR_IO; WEIR_ERR_NOMEM
 *
 * Cost: the write matrices are read once, 4 to 8 width vectors of them are used; width^2 doubles of
 * memory; width^3 (4 to 8 + 1/3) flops: 24 s of one core at width
 * 4096 where BLAS has SSE2 alone.
 */
weir_code empty_direction_find(empty_direction *out, const weir_model *model, unsigned threads,
                               weir_error *err);

#endif
