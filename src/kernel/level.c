/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Everything that runs at a SIMD level, as one unit: compiled once for each level with KERNEL_LEVEL
 * set to the name of its table, KERNEL_PAIR to the header with its statistics and KERNEL_HAMMING to
 * the one with its distances. Each function rounds every operation on its own, so the levels agree
 * to the bit.
 */
#include "kernel/level.h"

#include "kernel/read_blocks.h"
#include "kernel/read_iq.h"
#include "kernel/read_k.h"
#include "kernel/read_plain.h"
#include "kernel/read_small.h"
#include "kernel/unit_lanes.h"
#include "kernel/write_blocks.h"
#include "kernel/write_small.h"
#include KERNEL_HAMMING
#include KERNEL_PAIR

extern const kernel_level KERNEL_LEVEL;

const kernel_level KERNEL_LEVEL = {
    .pair_f32 = pair_f32,
    .pair_bf16 = pair_bf16,
    .squares = squares,
    .dots = dots,
    .hadamard = hadamard,
    .distances = distances,
    .distances_own = distances_own,
    .hamming = hamming,
    .readers =
        {
            [WEIR_DTYPE_F64] = read_f64,
            [WEIR_DTYPE_F32] = read_f32,
            [WEIR_DTYPE_F16] = read_f16,
            [WEIR_DTYPE_BF16] = read_bf16,
            [WEIR_DTYPE_I64] = read_i64,
            [WEIR_DTYPE_I32] = read_i32,
            [WEIR_DTYPE_I16] = read_i16,
            [WEIR_DTYPE_I8] = read_i8,
            [WEIR_DTYPE_U64] = read_u64,
            [WEIR_DTYPE_U32] = read_u32,
            [WEIR_DTYPE_U16] = read_u16,
            [WEIR_DTYPE_U8] = read_u8,
            [WEIR_DTYPE_BOOL] = read_bool,
            [WEIR_DTYPE_F8_E5M2] = read_f8_e5m2,
            [WEIR_DTYPE_F8_E4M3] = read_f8_e4m3,
            [WEIR_DTYPE_F8_E8M0] = read_f8_e8m0,
            [WEIR_DTYPE_F8_E4M3FNUZ] = read_f8_e4m3fnuz,
            [WEIR_DTYPE_F8_E5M2FNUZ] = read_f8_e5m2fnuz,
            [WEIR_DTYPE_Q4_0] = read_q4_0,
            [WEIR_DTYPE_Q4_1] = read_q4_1,
            [WEIR_DTYPE_Q5_0] = read_q5_0,
            [WEIR_DTYPE_Q5_1] = read_q5_1,
            [WEIR_DTYPE_Q8_0] = read_q8_0,
            [WEIR_DTYPE_Q8_1] = read_q8_1,
            [WEIR_DTYPE_Q2_K] = read_q2_k,
            [WEIR_DTYPE_Q3_K] = read_q3_k,
            [WEIR_DTYPE_Q4_K] = read_q4_k,
            [WEIR_DTYPE_Q5_K] = read_q5_k,
            [WEIR_DTYPE_Q6_K] = read_q6_k,
            [WEIR_DTYPE_Q8_K] = read_q8_k,
            [WEIR_DTYPE_IQ1_S] = read_iq1_s,
            [WEIR_DTYPE_IQ1_M] = read_iq1_m,
            [WEIR_DTYPE_IQ2_XXS] = read_iq2_xxs,
            [WEIR_DTYPE_IQ2_XS] = read_iq2_xs,
            [WEIR_DTYPE_IQ2_S] = read_iq2_s,
            [WEIR_DTYPE_IQ3_XXS] = read_iq3_xxs,
            [WEIR_DTYPE_IQ3_S] = read_iq3_s,
            [WEIR_DTYPE_IQ4_NL] = read_iq4_nl,
            [WEIR_DTYPE_IQ4_XS] = read_iq4_xs,
            [WEIR_DTYPE_TQ1_0] = read_tq1_0,
            [WEIR_DTYPE_TQ2_0] = read_tq2_0,
            [WEIR_DTYPE_MXFP4] = read_mxfp4,
            [WEIR_DTYPE_NVFP4] = read_nvfp4,
            [WEIR_DTYPE_Q1_0] = read_q1_0,
        },
    .writers =
        {
            [WEIR_DTYPE_F32] = write_f32,
            [WEIR_DTYPE_F16] = write_f16,
            [WEIR_DTYPE_BF16] = write_bf16,
            [WEIR_DTYPE_Q4_0] = write_q4_0,
            [WEIR_DTYPE_Q4_1] = write_q4_1,
            [WEIR_DTYPE_Q5_0] = write_q5_0,
            [WEIR_DTYPE_Q5_1] = write_q5_1,
            [WEIR_DTYPE_Q8_0] = write_q8_0,
            [WEIR_DTYPE_TQ1_0] = write_tq1_0,
            [WEIR_DTYPE_TQ2_0] = write_tq2_0,
            [WEIR_DTYPE_MXFP4] = write_mxfp4,
        },
};
