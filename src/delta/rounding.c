/* SPDX-License-Identifier: Apache-2.0 */
#include "delta/rounding.h"

#include <float.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/checked.h"
#include "base/fail.h"
#include "tensor/view_grid.h"

enum {
    RTN_BLOCK = 32,   /* of every round-to-nearest ggml type */
    CODED_PIECES = 8, /* of adjacent rows, evenly spaced */
    CODED_ELEMENTS = 1 << 15,
};

int rounding_mantissa_bits(weir_dtype dtype) {
    switch ((int)dtype) {
    case WEIR_DTYPE_F64:
        return 52;
    case WEIR_DTYPE_F32:
        return 23;
    case WEIR_DTYPE_F16:
        return 10;
    case WEIR_DTYPE_BF16:
        return 7;
    case WEIR_DTYPE_F8_E4M3:
    case WEIR_DTYPE_F8_E4M3FNUZ:
        return 3;
    case WEIR_DTYPE_F8_E5M2:
    case WEIR_DTYPE_F8_E5M2FNUZ:
        return 2;
    default:
        return -1;
    }
}

double rounding_float_dd(weir_dtype dtype, double sum_ulp2) {
    const int bits = rounding_mantissa_bits(dtype);
    return bits < 0 ? (double)NAN : ldexp(sum_ulp2, -2 * bits) / 12.0;
}

/* Step of a round-to-nearest ggml block, from the numbers themselves; 0 for other dtypes. */
static float block_step(weir_dtype dtype, const float *values) {
    float low = values[0];
    float high = values[0];
    for (size_t i = 1; i < RTN_BLOCK; i++) {
        low = values[i] < low ? values[i] : low;
        high = values[i] > high ? values[i] : high;
    }
    const float largest = -low > high ? -low : high;
    switch ((int)dtype) {
    case WEIR_DTYPE_Q8_0:
        return largest / 127.0F;
    case WEIR_DTYPE_Q4_0:
        return largest / 8.0F;
    case WEIR_DTYPE_Q5_0:
        return largest / 16.0F;
    case WEIR_DTYPE_Q4_1:
        return (high - low) / 15.0F;
    case WEIR_DTYPE_Q5_1:
        return (high - low) / 31.0F;
    default:
        return 0.0F;
    }
}

double rounding_block_dd(weir_dtype dtype, const float *values, size_t count) {
    double sum = 0;
    for (size_t i = 0; i + RTN_BLOCK <= count; i += RTN_BLOCK) {
        const double step = (double)block_step(dtype, values + i);
        sum += step * step * (RTN_BLOCK / 12.0);
    }
    return sum;
}

/* Square of the binade that a number lies in, as pair_stats counts it: 2^(2 floor(log2 |x|)). */
static double squared_binade(float value) {
    int exponent;
    if (value == 0.0F || !isfinite(value)) {
        return 0;
    }
    (void)frexpf(value, &exponent);
    return ldexp(1.0, 2 * (exponent - 1));
}

double rounding_mean_square(weir_dtype dtype, const float *values, size_t count) {
    if (count == 0 || dtype == WEIR_DTYPE_F32 || dtype == WEIR_DTYPE_F64) {
        return 0;
    }
    if (rounding_mantissa_bits(dtype) >= 0) {
        double sum = 0;
        for (size_t i = 0; i < count; i++) {
            sum += squared_binade(values[i]);
        }
        return rounding_float_dd(dtype, sum) / (double)count;
    }
    const double sum = rounding_block_dd(dtype, values, count);
    return sum > 0 ? sum / (double)count : (double)NAN;
}

/* What is stored as float32 was computed in it, by several operations. */
static const float float32_reach = 16.0F;

/* The binade of a float32 is its exponent bits alone. */
static void half_steps_of_floats(float *out, weir_dtype dtype, const float *values, size_t count) {
    const int stored_bits = rounding_mantissa_bits(dtype);
    const int mantissa_bits = stored_bits < FLT_MANT_DIG ? stored_bits : FLT_MANT_DIG - 1;
    const float least = dtype == WEIR_DTYPE_F16 ? 0x1p-14F : FLT_MIN; /* below, steps stay */
    const float half_ulp =
        ldexpf(dtype == WEIR_DTYPE_F32 ? float32_reach : 1.0F, -mantissa_bits - 1);
    for (size_t i = 0; i < count; i++) {
        uint32_t bits;
        float binade;
        memcpy(&bits, values + i, sizeof bits);
        bits &= 0x7F800000u;
        memcpy(&binade, &bits, sizeof binade);
        out[i] = (binade > least ? binade : least) * half_ulp;
    }
}

/* Codes on one side of a block's largest number; the other side has one less. 0: symmetric. */
static float block_levels(weir_dtype dtype) {
    switch ((int)dtype) {
    case WEIR_DTYPE_Q4_0:
        return 8.0F;
    case WEIR_DTYPE_Q5_0:
        return 16.0F;
    default:
        return 0.0F;
    }
}

static float largest_of(const float *values) {
    float largest = 0;
    for (size_t i = 0; i < RTN_BLOCK; i++) {
        largest = fabsf(values[i]) > fabsf(largest) ? values[i] : largest;
    }
    return largest;
}

static void half_steps_of_block(float *out, weir_dtype dtype, const float *values) {
    const float step = block_step(dtype, values);
    const float largest = largest_of(values);
    const float levels = block_levels(dtype);
    /* ggml picks codes by the scale before it is rounded to 11 bits. */
    const float half = 0.5F * step + fabsf(largest) * 0x1p-11F;
    for (size_t i = 0; i < RTN_BLOCK; i++) {
        const bool is_cut =
            levels > 0 && values[i] * largest < 0 && fabsf(values[i]) > (levels - 1.5F) * step;
        out[i] = is_cut ? half + 0.5F * step : half;
    }
}

bool rounding_half_steps(float *out, weir_dtype dtype, const float *values, size_t count) {
    if (rounding_mantissa_bits(dtype) >= 0) {
        half_steps_of_floats(out, dtype, values, count);
        return true;
    }
    const float probe[RTN_BLOCK] = {1.0F};
    if (count % RTN_BLOCK != 0 || !(block_step(dtype, probe) > 0)) {
        return false;
    }
    for (size_t i = 0; i < count; i += RTN_BLOCK) {
        half_steps_of_block(out + i, dtype, values + i);
    }
    return true;
}

/* The rows of one piece, at least one. */
static uint64_t coded_rows(const tensor_view *view) {
    const uint64_t fitting = CODED_ELEMENTS / view->base.cols;
    const uint64_t rows = fitting > 0 ? fitting : 1;
    return rows < view->base.rows ? rows : view->base.rows;
}

weir_code rounding_of_codes(double *out, const tensor_view *view, weir_error *err) {
    view_grid levels;
    if (view->base.rows == 0 || view->base.cols == 0 || !tensor_view_grid(&levels, view)) {
        *out = (double)NAN;
        return WEIR_OK;
    }
    WEIR_CLEANUP(view_scratch_release) view_scratch scratch = {0};
    const uint64_t together = coded_rows(view);
    size_t elements;
    if (!checked_mul_size(&elements, (size_t)together, (size_t)view->base.cols)) {
        return weir_fail_nomem(err);
    }
    WEIR_CLEANUP(free) float *model = checked_alloc(elements, sizeof *model);
    WEIR_CLEANUP(free) float *scale = checked_alloc(elements, sizeof *scale);
    WEIR_CLEANUP(free) float *offset = checked_alloc(elements, sizeof *offset);
    if (!model || !scale || !offset) {
        return weir_fail_nomem(err);
    }
    double sum = 0;
    size_t pieces = 0;
    const uint64_t last = view->base.rows - together;
    const uint64_t step = last / CODED_PIECES > together ? last / CODED_PIECES : together;
    for (uint64_t row = 0; row <= last; row += step) {
        WEIR_TRY(tensor_view_read(view, row, together, model, &scratch, err));
        WEIR_TRY(tensor_view_read_grid(view, row, together, scale, offset, &scratch, err));
        const double noise = cell_noise(&levels.grid, model, scale, offset, elements);
        sum += isnan(noise) ? 0 : noise;
        pieces += isnan(noise) ? 0 : 1;
    }
    *out = pieces > 0 ? sum / (double)pieces : (double)NAN;
    return WEIR_OK;
}
