/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file pruning.h  Numbers set to zero: how many, by which rule, and whether the others were left
 * alone.
 *
 * The rules, for |w| of the base:
 *     N_OF_M       of every m consecutive inputs exactly m - n are zero (2:4, 4:8 ...)
 *     TENSOR       no number that was kept is smaller than one that was set to zero
 *     ROW          the same inside every row (output)
 *     COLUMNS_WEIGHED  the same inside every row, or every m inputs, for |w| a[column] with some
 *                  factor a for each input: Wanda, where a is the norm of the input's activation
 *     ROWS, COLUMNS    whole outputs or whole inputs
 *     OTHER        none of these
 * Survivors that are the base's bit for bit, as the stored dtype or a round-to-nearest block type
 * would have them beside the zeros, are the proof that nothing else happened; SparseGPT moves them.
 *
 * Sources: Han et al. 2015 (magnitude); Mishra et al. 2021 (2:4); Sun et al. 2024 (Wanda);
 * Frantar and Alistarh 2023 (SparseGPT).
 */
#ifndef WEIR_DELTA_PRUNING_H
#define WEIR_DELTA_PRUNING_H

#include "delta/matrix_look.h"

typedef enum pruning_rule {
    PRUNING_OTHER,
    PRUNING_TENSOR,
    PRUNING_ROW,
    PRUNING_GROUP, /**< the smallest of every m inputs: N_OF_M by magnitude */
    PRUNING_COLUMNS_WEIGHED,
    PRUNING_ROWS,
    PRUNING_COLUMNS,
} pruning_rule;

typedef struct pruning {
    uint64_t count;
    uint64_t zeros;           /**< of the model, where the base as stored would have none */
    uint64_t survivors;       /**< neither side is zero */
    uint64_t survivors_equal; /**< bit for bit, under the model's dtype */
    double sparsity;          /**< zeros of the model, of all */
    uint32_t group;           /**< m of n of m; 0: no such pattern */
    uint32_t kept;            /**< n */
    pruning_rule rule;
    double rule_share; /**< of decisions, zero or kept, that the rule explains, as if there were as
                          many of either kind: 0.5 or less for nothing */
    double size_ratio; /**< root mean square of the base's numbers that became zero, over that of
                          those that were kept: 1 for a choice at random */
    uint64_t zero_rows;
    uint64_t zero_cols;
    bool is_whole;
    bool is_pruned; /**< the survivors or the choice show it, or float numbers whose zeros are past
                       chance: at least THRESHOLD_ZEROS_PRUNED of them */
    bool is_survivors_proved; /**< whole, and survivors_equal >= THRESHOLD_REPLAY_PROVED */
    bool is_rule_proved;      /**< whole, and rule_share >= THRESHOLD_REPLAY_PROVED */
} pruning;

/** Whether a look has zeros that the base, and rounding to the model's dtype, do not explain. */
bool pruning_is_suspected(const matrix_look *look);

/**
 * Say by which rule a pair was pruned.
 *
 * @param look  of the pair: the factors of COLUMNS_WEIGHED are fitted on it
 * @param row   a row of diff->tensors in state TENSOR_COMPARED; every row of it is streamed
 * @return WEIR_OK; WEIR_ERR_LIMIT when a row does not fit; WEIR_ERR_IO; WEIR_ERR_NOMEM
 *
 * Cost: both sides are read once; the fit walks at most 2^20 numbers of the look FIT_ROUNDS times.
 */
weir_code pruning_measure(pruning *out, const matrix_look *look, const weir_diff *diff,
                          const tensor_delta *row, weir_error *err);

/** Take pruning off a look: where the model is zero, the change becomes 0. */
void pruning_mask(matrix_look *look);

/** @return "2:4", "magnitude in each row" ...; static for given numbers, into `text`. */
enum { PRUNING_TEXT_BYTES = 64 };
void pruning_format(const pruning *found, char text[PRUNING_TEXT_BYTES]);

#endif
