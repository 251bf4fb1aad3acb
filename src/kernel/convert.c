/* SPDX-License-Identifier: Apache-2.0 */
/* Readers and writers come from the SIMD level in use. A dtype without one is opaque (C64, F6, F4).
 */
#include "kernel/convert.h"

#include "kernel/level.h"

bool convert_can_read(weir_dtype dtype) {
    return kernel_level_current()->readers[dtype] != NULL;
}

void convert_to_f32(float *out, weir_dtype dtype, const void *stored, size_t count) {
    kernel_level_current()->readers[dtype](out, stored, count);
}

bool convert_can_write(weir_dtype dtype) {
    return kernel_level_current()->writers[dtype] != NULL;
}

void convert_from_f32(void *out, weir_dtype dtype, const float *values, size_t count) {
    kernel_level_current()->writers[dtype](out, values, count);
}
