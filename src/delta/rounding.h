/* SPDX-License-Identifier: Apache-2.0 */
/** @file rounding.h  What storing numbers in a dtype does to them: the error that is nobody's edit.
 *
 * Rounding to steps of s leaves an error that is uniform in one step: mean square s^2 / 12.
 */
#ifndef WEIR_DELTA_ROUNDING_H
#define WEIR_DELTA_ROUNDING_H

#include <stdbool.h>
#include <stddef.h>

#include "tensor/model.h"
#include "weir/dtype.h"

/** Stored mantissa bits of a float dtype; -1 for others. */
int rounding_mantissa_bits(weir_dtype dtype);

/**
 * Sum of squared rounding errors of numbers stored in a float dtype, from the sum of their squared
 * binades (pair_stats.sum_ulp2). NaN for other dtypes.
 */
double rounding_float_dd(weir_dtype dtype, double sum_ulp2);

/**
 * Sum of squared rounding errors of whole blocks stored in a round-to-nearest ggml type, from the
 * numbers themselves. 0 for other dtypes.
 * @param count  numbers; a rest that fills no block is left out
 */
double rounding_block_dd(weir_dtype dtype, const float *values, size_t count);

/**
 * Mean square of the error of one number when `values` are stored in a dtype: both of the above.
 * 0 for F32 and F64, whose rounding is far below any change; NaN for a dtype whose steps the
 * numbers do not tell (K and IQ types, packed codes).
 */
double rounding_mean_square(weir_dtype dtype, const float *values, size_t count);

/**
 * How far each number may lie from what it was before it was stored: half a step of its dtype, a
 * little more where ggml's stored scale is itself rounded, and a whole step where Q4_0 and Q5_0 cut
 * a block's opposite end.
 *
 * @param values  as stored; of a block dtype whole blocks, in order
 * @return false for a dtype whose steps the numbers do not tell (as above)
 */
bool rounding_half_steps(float *out, weir_dtype dtype, const float *values, size_t count);

/**
 * Mean square of the error of one number of a tensor that is coded in levels with scales of its own
 * (K and IQ types, packed weights): what numbers spread evenly over the cells of its codes have, on
 * evenly spaced rows. ggml's encoders leave 0.7 to 1.1 of it; GPTQ, which moves numbers, up to 3.
 *
 * @param[out] out  NaN when the tensor is not coded in levels
 * @return as tensor_view_read()
 */
weir_code rounding_of_codes(double *out, const tensor_view *view, weir_error *err);

#endif
