/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file containment.h  Whether a tensor is a quantisation of the base, where the encoder's choice
 * of scales cannot be re-derived: K and IQ types, types with an importance matrix, packed weights.
 *
 * The file has the scales. Each base number is coded anew with them: an encoder that rounds to the
 * nearest level gives the very code that is stored (ggml's K types and IQ4, bitsandbytes,
 * compressed-tensors, FP8, NVFP4). ggml's Q4_0 and Q5_0 with an importance matrix and bitsandbytes
 * with nested scales round with another scale than they store: there one factor a group explains
 * all of its codes. Encoders that move numbers on purpose (GPTQ) or choose rows of a list (IQ1 to
 * IQ3) leave the base within some steps of the code, and no more can be said.
 *
 * What could hide: a change of root mean square e, spread over the tensor, makes about
 * 0.8 e / width of the numbers leave their cells, so the share that left bounds e; and no change is
 * larger than the whole residual.
 */
#ifndef WEIR_DELTA_CONTAINMENT_H
#define WEIR_DELTA_CONTAINMENT_H

#include "delta/diff.h"
#include "kernel/number_grid.h"

typedef enum containment_verdict {
    CONTAINMENT_NO,         /**< not of these numbers: of a changed base, or of another model */
    CONTAINMENT_CONSISTENT, /**< within the steps; a change below hidden_most could hide in them */
    CONTAINMENT_STRONG,     /**< the same, and what could hide is below a light fine-tune */
    CONTAINMENT_PROVED,     /**< the codes are those of the base's numbers with the file's scales */
} containment_verdict;

typedef struct containment {
    cell_stats cells;
    uint64_t worst_row_left; /**< numbers of one row that are outside their cells, at most */
    uint64_t row_count;      /**< rows that were read */
    uint64_t cols;
    weir_dtype via; /**< the float dtype that the base was rounded to before; else the base's own */
    double equal_share;     /**< of cells.count; NaN when nothing was counted */
    double explained_share; /**< equal, or of a group that one factor explains where the type's
                               encoders round with another scale than they store */
    bool is_by_factor; /**< the latter: a common factor of all numbers, of the size of the residual
                          squared, could hide */
    double near_share;
    double excess;        /**< residual_square / expected_square: 1 for rounding */
    double correlation;   /**< between the residual and the base */
    double hidden_likely; /**< size of a change, relative to the base's norm and spread evenly over
                             the tensor, that would make as many numbers leave their cells as did;
                             NaN where codes are chosen together */
    double hidden_most; /**< the largest change of the base, relative to its norm, that could hide,
                           were it spread evenly over the tensor */
    bool is_whole;      /**< every row was read: only then is the verdict PROVED */
    containment_verdict verdict;
} containment;

/** Whether the model's side of a row is coded in levels, and the base's numbers can be read. */
bool containment_applies(const weir_diff *diff, const tensor_delta *row);

/**
 * Hold the base's numbers against the model's codes.
 *
 * @param row            a row of diff->tensors in state TENSOR_COMPARED that containment_applies()
 * to
 * @param elements_most  LOOK_SAMPLE_ELEMENTS for a suspicion, from evenly spaced pieces; SIZE_MAX
 * for all rows, streamed
 * @return WEIR_OK; WEIR_ERR_LIMIT when a row does not fit; WEIR_ERR_IO; WEIR_ERR_NOMEM
 *
 * Thread-safe for distinct out. Cost: the rows are read once on the base's side, twice on the
 * model's, in pieces of 2^16 numbers or a row.
 */
weir_code containment_measure(containment *out, const weir_diff *diff, const tensor_delta *row,
                              size_t elements_most, weir_error *err);

#endif
