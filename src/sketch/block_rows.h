/* SPDX-License-Identifier: Apache-2.0 */
/** @file block_rows.h  The numbers that a fingerprint was taken from, for models that are at hand.
 */
#ifndef WEIR_SKETCH_BLOCK_ROWS_H
#define WEIR_SKETCH_BLOCK_ROWS_H

#include "sketch/fingerprint.h"

/** Rows of up of some blocks, block after block. Zero-initialise; release with
 * block_rows_release(). */
typedef struct block_rows {
    float *numbers; /**< NULL: not at hand */
    size_t count;
    double rounding; /**< as parents_input.child_rounding, of the type that most blocks are stored
                        in */
    double noise;    /**< as parents_input.child_noise */
} block_rows;

/**
 * Read the rows of up of blocks of a model.
 *
 * @param[out] out  untouched on failure
 * @param model     the one that `sketch` was taken from
 * @param blocks    `block_count` indexes into sketch->blocks, in the order wanted
 * @return WEIR_OK; WEIR_ERR_ARG when the model is not the one of the fingerprint; WEIR_ERR_IO;
 * WEIR_ERR_UNSUPPORTED; WEIR_ERR_NOMEM
 */
weir_code block_rows_read(block_rows *out, const weir_model *model, const fingerprint *sketch,
                          const uint32_t *blocks, size_t block_count, weir_error *err);

void block_rows_release(block_rows *rows);

#endif
