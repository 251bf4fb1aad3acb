/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file readers.h  One function a stored form: what convert.c puts into its table.
 *
 * A reader fills `count` floats from `stored`; a writer does the reverse. `count` is a whole number
 * of blocks. The block layouts stand above each function.
 */
#ifndef WEIR_KERNEL_READERS_H
#define WEIR_KERNEL_READERS_H

#include <stddef.h>
#include <stdint.h>

typedef void number_reader(float *out, const uint8_t *stored, size_t count);
typedef void number_writer(uint8_t *out, const float *values, size_t count);

/* read_plain.c: one number after the other. */
number_reader read_f64, read_f32, read_f16, read_bf16;
number_reader read_i64, read_i32, read_i16, read_i8, read_u64, read_u32, read_u16, read_u8,
    read_bool;
number_reader read_f8_e5m2, read_f8_e4m3, read_f8_e8m0, read_f8_e4m3fnuz, read_f8_e5m2fnuz;

/* read_blocks.c: ggml's blocks with one or two scales. */
number_reader read_q4_0, read_q4_1, read_q5_0, read_q5_1, read_q8_0, read_q8_1;

/* write.c */
number_writer write_f32, write_f16, write_bf16;
number_writer write_q4_0, write_q4_1, write_q5_0, write_q5_1, write_q8_0;

#endif
