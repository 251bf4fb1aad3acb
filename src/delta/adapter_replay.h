/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file adapter_replay.h  Whether a matrix is its base with one given adapter merged in, number by
 * number.
 *
 *     W' = store(W + lambda s B A)                   LoRA; s = alpha / r, or alpha / sqrt(r)
 *     W' = store(m_i / |W_i + s B A_i| (W_i + s B A_i))                  DoRA, m its magnitudes
 * PEFT forms B A in float32 and, where the adapter itself is kept in fewer bits, rounds it to these
 * before it is added; both ways are tried, and the better is kept. Its sums run in another order
 * than ours, so that a number at a tie of rounding may come out one step away.
 *
 * Source: huggingface/peft, src/peft/tuners/lora/layer.py (get_delta_weight, merge), variants.py
 * (DoraLinearVariant.merge_safe), dora.py (get_weight_norm).
 */
#ifndef WEIR_DELTA_ADAPTER_REPLAY_H
#define WEIR_DELTA_ADAPTER_REPLAY_H

#include <stdbool.h>
#include <stdint.h>

#include "delta/matrix_look.h"
#include "tensor/adapter.h"

typedef struct adapter_replay {
    uint64_t moved;   /**< numbers at hand that the model or the replay has moved */
    double equal;     /**< share of them that come out bit for bit */
    double near;      /**< and at most one step away; in F32 at most a millionth of |W| + |s B A| */
    double all_equal; /**< share of all numbers that come out bit for bit */
    double lambda;    /**< of the merge, times s: least squares over numbers that the adapter moves
                         by several steps, snapped to twentieths where that replays as well */
    double explained; /**< share of the change's square that lambda s B A takes away */
    bool is_proved;   /**< by THRESHOLD_REPLAY_PROVED and THRESHOLD_REPLAY_EQUAL */
} adapter_replay;

/**
 * Replay one adapter on one pair.
 *
 * @param look       of the base and the model, rows whole or sampled
 * @param item       the adapter's pair for this tensor, by adapter_resolve(). Its scale may be NaN:
 *                   then lambda is alpha / r too
 * @param magnitude  DoRA's vector of the module [1, rows of the pair], or NULL
 * @return WEIR_OK; WEIR_ERR_ARG when the adapter does not fit the look; WEIR_ERR_LIMIT for a
 *         rank over 1024 or factors too large to hold; WEIR_ERR_IO; WEIR_ERR_NOMEM
 *
 * Cost: a few products of 2 rows cols rank flops; memory of one array of the look.
 */
weir_code adapter_replay_run(adapter_replay *out, const matrix_look *look, const adapter_item *item,
                             const tensor_view *magnitude, weir_error *err);

#endif
