/* SPDX-License-Identifier: Apache-2.0 */
/** @file writers.h  One function a stored form that can be written: what convert.c puts into its
 * table. */
#ifndef WEIR_KERNEL_WRITERS_H
#define WEIR_KERNEL_WRITERS_H

#include <stddef.h>
#include <stdint.h>

/** Writes `count` values, a whole number of blocks. */
typedef void number_writer(uint8_t *out, const float *values, size_t count);

/* write.c */
number_writer write_f32, write_f16, write_bf16;
number_writer write_q4_0, write_q4_1, write_q5_0, write_q5_1, write_q8_0;

/* write_small.c */
number_writer write_tq1_0, write_tq2_0, write_mxfp4;

#endif
