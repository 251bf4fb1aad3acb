/* SPDX-License-Identifier: Apache-2.0 */
/* Readers come from the SIMD level in use. A dtype without one is opaque (C64, F6, F4). */
#include "kernel/convert.h"

#include "kernel/level.h"
#include "kernel/writers.h"

static number_writer *const writers[WEIR_DTYPE_COUNT] = {
    [WEIR_DTYPE_F32] = write_f32,     [WEIR_DTYPE_F16] = write_f16,
    [WEIR_DTYPE_BF16] = write_bf16,   [WEIR_DTYPE_Q4_0] = write_q4_0,
    [WEIR_DTYPE_Q4_1] = write_q4_1,   [WEIR_DTYPE_Q5_0] = write_q5_0,
    [WEIR_DTYPE_Q5_1] = write_q5_1,   [WEIR_DTYPE_Q8_0] = write_q8_0,
    [WEIR_DTYPE_TQ1_0] = write_tq1_0, [WEIR_DTYPE_TQ2_0] = write_tq2_0,
    [WEIR_DTYPE_MXFP4] = write_mxfp4,
};

bool convert_can_read(weir_dtype dtype) {
    return kernel_level_current()->readers[dtype] != NULL;
}

void convert_to_f32(float *out, weir_dtype dtype, const void *stored, size_t count) {
    kernel_level_current()->readers[dtype](out, stored, count);
}

bool convert_can_write(weir_dtype dtype) {
    return writers[dtype] != NULL;
}

void convert_from_f32(void *out, weir_dtype dtype, const float *values, size_t count) {
    writers[dtype](out, values, count);
}
