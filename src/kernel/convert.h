/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file convert.h  Stored numbers to float32 and back.
 *
 * Reading is exact: integers up to 2^24, every 8- and 16-bit float and every ggml block become the
 * very float32 that ggml's reference (dequantize_row_*) computes. F64 and wide integers round to
 * nearest even. NaN stays NaN, infinities stay. Nothing here uses the environment's rounding mode
 * or libm.
 */
#ifndef WEIR_KERNEL_CONVERT_H
#define WEIR_KERNEL_CONVERT_H

#include <stdbool.h>
#include <stddef.h>

#include "weir/dtype.h"

/** @return whether convert_to_f32 can read this dtype (opaque ones it cannot). */
bool convert_can_read(weir_dtype dtype);

/**
 * Read `count` stored elements as float32.
 *
 * @param[out] out  `count` floats
 * @param dtype     one that convert_can_read()
 * @param stored    little-endian, any alignment, a whole number of blocks
 * @param count     a multiple of the dtype's block_elements
 */
void convert_to_f32(float *out, weir_dtype dtype, const void *stored, size_t count);

/**
 * @return whether convert_from_f32 can write this dtype: F32, F16, BF16 (round to nearest even, as
 * torch does), and the round-to-nearest ggml types as ggml's quantize_row_*_ref and gguf-py compute
 * them: Q4_0, Q4_1, Q5_0, Q5_1, Q8_0,
 * TQ1_0, TQ2_0, MXFP4.
 */
bool convert_can_write(weir_dtype dtype);

/** Write `count` float32 in a stored form; the counterpart of convert_to_f32(). */
void convert_from_f32(void *out, weir_dtype dtype, const float *values, size_t count);

#endif
