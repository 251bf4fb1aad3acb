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

/* read_blocks.c: ggml's blocks of 32 with one or two scales. */
number_reader read_q4_0, read_q4_1, read_q5_0, read_q5_1, read_q8_0, read_q8_1;

/* read_k.c: ggml's K blocks of 256. */
number_reader read_q2_k, read_q3_k, read_q4_k, read_q5_k, read_q6_k, read_q8_k;

/* read_iq.c: ggml's blocks that point into grids, and IQ4_XS. */
number_reader read_iq1_s, read_iq1_m, read_iq2_xxs, read_iq2_xs, read_iq2_s, read_iq3_xxs,
    read_iq3_s;
number_reader read_iq4_xs;

/* read_small.c: ggml's blocks whose codes stand for few values. */
number_reader read_iq4_nl, read_mxfp4, read_nvfp4, read_tq1_0, read_tq2_0, read_q1_0;

/* write.c and write_small.c */
number_writer write_f32, write_f16, write_bf16;
number_writer write_q4_0, write_q4_1, write_q5_0, write_q5_1, write_q8_0;
number_writer write_tq1_0, write_tq2_0, write_mxfp4;

/** What the codes of IQ4_NL and IQ4_XS, and twice what those of E2M1, stand for. */
extern const int8_t iq4_values[16];
extern const int8_t e2m1_values[16];

/** The scale of an MXFP4 block, halved because its values are doubled. */
float mxfp4_scale(uint8_t exponent);

/**
 * d s and m t of one group of 32 of a Q4_K or Q5_K block. s and t have 6 bits each in 12 bytes:
 * groups 0 .. 3 in the low 6 bits of bytes 0 .. 3 and 4 .. 7; groups 4 .. 7 in the halves of bytes
 * 8 .. 11, with their upper 2 bits in the upper bits of bytes 0 .. 3 and 4 .. 7.
 */
void k_scale_min(float *scale, float *min, const uint8_t *block, size_t group);

#endif
