/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file detour.h  Float numbers that went through a coarser type on their way and came back.
 *
 * A model stored as F32 whose numbers are all the base's rounded to BF16; a model merged into
 * weights that had been quantised to 4 bits, stored as BF16: the stored dtype says nothing of it.
 * The way is walked again: base -> coarser type -> stored dtype, and compared bit for bit.
 *
 * Where something was changed on the coarse numbers (an adapter merged into 4 bits), the way
 * explains not every bit but most of the change's energy, which no other change does: the
 * difference to the base holds the way's own rounding, to which a change of another kind only adds
 * it.
 *
 * nf4, fp4 and int8 of bitsandbytes scale blocks by the largest magnitude; with nested scales the
 * stored scale is near it. There the codes are re-derived from the base, and one scale a block must
 * give all of the block's stored numbers.
 */
#ifndef WEIR_DELTA_DETOUR_H
#define WEIR_DELTA_DETOUR_H

#include "delta/matrix_look.h"

typedef enum detour_kind {
    DETOUR_NONE,
    DETOUR_FLOAT,  /**< F16, BF16, 8-bit floats without a scale: a cast and back */
    DETOUR_BLOCKS, /**< a round-to-nearest ggml type */
    DETOUR_NF4,    /**< 64 numbers a block */
    DETOUR_FP4,    /**< of bitsandbytes, 64 numbers a block */
    DETOUR_INT8,   /**< a scale a row */
} detour_kind;

typedef struct detour {
    detour_kind kind;
    weir_dtype via; /**< FLOAT and BLOCKS */
    uint64_t count;
    uint64_t replayed;    /**< numbers that come out bit for bit */
    uint64_t changed;     /**< of them, those that are not the base's as the stored dtype has it */
    double change_square; /**< sum of (model - base as stored)^2 */
    double left_square;   /**< sum of (model - base after the way)^2 */
    bool is_whole;
    bool is_proved; /**< whole, and replayed >= THRESHOLD_REPLAY_PROVED */
} detour;

/** Share of the change's energy that the way takes away; below 0 where it adds. NaN without any. */
double detour_explained(const detour *found);

/** @return "F16", "Q4_0", "NF4", "INT8 by rows" ...; static */
const char *detour_name(const detour *found);

/**
 * Look for a detour on a sample of rows. kind is NONE when no way gives every number, or takes away
 * at least THRESHOLD_DETOUR_ENERGY of the change.
 * @param row  a row of diff->tensors in state TENSOR_COMPARED whose model side is F32, F16 or BF16
 * @return WEIR_OK; WEIR_ERR_IO; WEIR_ERR_NOMEM
 */
weir_code detour_find(detour *out, const weir_diff *diff, const tensor_delta *row,
                      size_t elements_most, weir_error *err);

/** Let a look's base go the way too, so that only what was changed after it is left.
 * @return WEIR_OK; WEIR_ERR_NOMEM */
weir_code detour_take_off(matrix_look *look, const detour *way, weir_dtype stored, weir_error *err);

/** Walk the way of `out` again over every row. @return as above */
weir_code detour_prove(detour *out, const weir_diff *diff, const tensor_delta *row,
                       weir_error *err);

#endif
