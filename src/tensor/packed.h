/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file packed.h  Weights that several stored tensors make together: codes, scales, zero points.
 *
 * A packed tensor stands for one matrix [rows, cols] = [outputs, inputs]:
 *
 *     value[r][c] = (code[r][c] - zero[r][g]) * scale[r][g]        g: the group of input c
 *
 * Words are 32 bits, little-endian. "Stream" means that value k of a run of b-bit codes begins at
 * bit k b of the words of that run, the lowest bit first.
 *     INPUTS    GPTQ: codes are words [cols b/32, rows], a stream down each column; scales
 *               [groups, rows]; zeros words [groups, rows b/32], a stream along each row
 *     OUTPUTS   AWQ, GEMM: codes are words [cols, rows/8], of eight outputs number j in nibble
 *               0 4 1 5 2 6 3 7 [j]; scales [groups, rows]; zeros as the codes, [groups, rows/8]
 *     ROWS      compressed-tensors, packed: codes are words [rows, cols b/32], a stream along each
 *               row of code + 2^(b-1); scales a grid; zeros a stream down the rows, or int8
 *     CODEBOOK  bitsandbytes nf4 and fp4: nibbles, the high one first, over the matrix as one run;
 *               each names one of 16 values; a scale a block of the run, itself coded when nested
 *     SCALED    FP8 and int8: a byte a number; scales a grid of blocks
 *     MX        MXFP4 of gpt-oss: nibbles, the low one first; E8M0 scales of 32 inputs
 *
 * Everything here comes from a file: sizes are checked against each other before a packed tensor
 * exists, and each read is checked against its stored tensor again.
 * Sources: qlinear_cuda.py of AutoGPTQ and utils/model.py of GPTQModel (zero points of v1 and v2);
 * packing_utils.py of AutoAWQ; functional.py of bitsandbytes (QuantState); pack_quantized and
 * forward_helpers.py of compressed-tensors; mxfp4.py of transformers.
 */
#ifndef WEIR_TENSOR_PACKED_H
#define WEIR_TENSOR_PACKED_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/arena.h"
#include "format/checkpoint.h"
#include "weir/error.h"

enum { PACKED_CODES_MAX = 256 };

typedef enum packed_kind {
    PACKED_INPUTS,
    PACKED_OUTPUTS,
    PACKED_ROWS,
    PACKED_CODEBOOK,
    PACKED_SCALED,
    PACKED_MX,
} packed_kind;

/** A stored tensor and where its bytes are; `stored` is NULL for what is not there. */
typedef struct packed_part {
    const stored_tensor *stored;
    weir_source *source;
} packed_part;

/** The values behind the codes of bitsandbytes, and behind the codes of its scales. */
typedef struct packed_codebook {
    float values[16];
    bool is_nested;
    uint64_t scale_block; /**< scales that share a scale of their own */
    float scale_offset;
    float scale_values[PACKED_CODES_MAX];
} packed_codebook;

/** Borrowed from the checkpoint and the arena that it was made with. */
typedef struct packed_tensor {
    const char
        *name; /**< as an unpacked weight would be stored: "model.layers.0.mlp.up_proj.weight" */
    packed_kind kind;
    uint8_t bits;
    bool zero_is_less_one; /**< GPTQ v1: one was taken off the zero points */
    uint64_t experts;      /**< MX: of the `rows` outputs; else 1 */
    uint64_t rows;
    uint64_t cols;
    uint64_t row_block; /**< outputs that share scales; CODEBOOK: numbers that share one */
    uint64_t col_block; /**< inputs that share a scale */
    uint64_t groups;    /**< scales along the inputs */
    float factor;       /**< of every scale: 1, or 1/127 beside SCB */
    packed_part codes;
    packed_part scales;
    packed_part zeros;
    packed_part order; /**< group of each input, where it is not c / col_block */
    packed_part nested_scales;
    const packed_codebook *codebook;
    const stored_tensor *members[8]; /**< all that the matrix is made of, the codes first */
    size_t member_count;
} packed_tensor;

/** What packed tensors are looked for in. */
typedef struct packed_search {
    const checkpoint *from;
    const stored_tensor *const *by_name; /**< all tensors of the checkpoint, sorted by name */
    arena *memory;
} packed_search;

/**
 * Whether `stored` holds the codes of a packed tensor, and which.
 *
 * Reads the small tables that say how the rest is meant (group orders, code books, shapes), and no
 * codes.
 *
 * @param[out] out  NULL when it is none, or cannot be read as one
 * @param[out] why  NULL, or in a few words why codes of a known kind cannot be read; static
 * @return WEIR_OK; WEIR_ERR_IO when a table cannot be read; WEIR_ERR_NOMEM
 */
weir_code packed_find(const packed_tensor **out, const char **why, const packed_search *in,
                      const stored_tensor *stored, weir_error *err);

/**
 * Whether config.json or quantize_config.json state other bits or another group size than the
 * tensor has. False where they say nothing, or speak of single modules.
 */
bool packed_contradicts(const packed_tensor *packed, const claims *said);

/**
 * Read rows as float32, each (code - zero) scale rounded to nearest even; only bytes of these rows,
 * and holes that are smaller than a read is worth, are read.
 * @return WEIR_OK; WEIR_ERR_FORMAT; WEIR_ERR_IO; WEIR_ERR_NOMEM
 */
weir_code packed_read(const packed_tensor *packed, uint64_t row, uint64_t count, float *out,
                      weir_error *err);

/** What a code stands for, apart: value = scale * code + offset. */
typedef enum packed_aspect {
    PACKED_NUMBERS, /**< what packed_read() gives */
    PACKED_SCALES,
    PACKED_OFFSETS, /**< -zero * scale */
} packed_aspect;

/** packed_read() of one aspect of the numbers. */
weir_code packed_read_aspect(const packed_tensor *packed, packed_aspect aspect, uint64_t row,
                             uint64_t count, float *out, weir_error *err);

/** Rows that are read at once without waste: where codes stand in columns, more are cheaper. */
uint64_t packed_rows_at_once(const packed_tensor *packed, uint64_t elements_max);

/** What bitsandbytes stores beside its codes as JSON. */
typedef struct quant_state {
    uint64_t rows;
    uint64_t cols;
    uint64_t block;
    uint64_t nested_block; /**< 0 when it is not said */
    double nested_offset;
    bool is_nf4; /**< else fp4 */
    bool has_offset;
} quant_state;

/**
 * Read the JSON of a stored tensor's bytes: {"quant_type", "blocksize", "shape": [rows, cols],
 * "dtype", "nested_blocksize", "nested_offset", "nested_dtype"}.
 * @return WEIR_OK; WEIR_ERR_FORMAT; WEIR_ERR_LIMIT; WEIR_ERR_IO; WEIR_ERR_NOMEM
 */
weir_code quant_state_read(quant_state *out, const packed_part *from, weir_error *err);

#endif
