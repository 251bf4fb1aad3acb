/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file residual_writes.h  What a matrix writes to the residual stream: one vector for each input.
 *
 * The columns of o, down and the experts' downs [outputs, inputs], and the rows of the embedding
 * [words, hidden], are all vectors of the residual stream's width. An edit of that stream, as
 * W - lambda u u'W, changes each vector alone, so an even choice of the inputs shows it as well as
 * all of them do, and costs what is chosen.
 */
#ifndef WEIR_DELTA_RESIDUAL_WRITES_H
#define WEIR_DELTA_RESIDUAL_WRITES_H

#include "base/cleanup.h"
#include "delta/diff.h"

enum {
    WRITES_ELEMENTS = 1 << 22, /**< of one array of a pair: 16 MiB */
};

/** Zero-initialise; release with residual_writes_release(). Arrays are [count, width]. */
typedef struct residual_writes {
    float *base;   /**< of a pair: as the model's dtype would hold the base's numbers, where that is
                      a float dtype; of one model: its numbers */
    float *change; /**< the model's number less `base`; unset when one model is read */
    size_t count;  /**< inputs at hand, evenly spaced */
    size_t width;  /**< of the residual stream */
    uint64_t count_of; /**< inputs of the matrix */
    double rounding;   /**< mean square of the rounding error of one number of `change`; NaN when
                          the dtypes do not tell */
    bool is_rounding_exact; /**< a float dtype's; that of blocks is estimated */
    size_t not_finite;      /**< numbers of either side that are not finite; they count as 0 */
    size_t capacity;        /**< numbers that each array has room for */
} residual_writes;

/** Whether a matrix of this role writes to the residual stream: o, any down, the embedding. */
bool role_writes_residual(weir_role role);

/**
 * Read a pair. Rows of the stored matrix are read in order, once.
 *
 * @param[out] out       zero-initialised, or one that was read before: its memory is used again
 * @param row            in state TENSOR_COMPARED, of a role_writes_residual(), not a bias
 * @param elements_most  as many whole vectors as fit are kept
 * @return WEIR_OK; WEIR_ERR_LIMIT when not one vector fits; WEIR_ERR_IO; WEIR_ERR_NOMEM
 *
 * Thread-safe for distinct out.
 */
weir_code residual_writes_read(residual_writes *out, const weir_diff *diff, const tensor_delta *row,
                               size_t elements_most, weir_error *err);

/** Read one model's tensor; likewise. `change` and `rounding` are left alone. */
weir_code residual_writes_read_one(residual_writes *out, const weir_model *model, size_t index,
                                   size_t elements_most, weir_error *err);

void residual_writes_release(residual_writes *writes);
static inline void residual_writes_release_cleanup(residual_writes *writes) {
    residual_writes_release(writes);
}

#endif
