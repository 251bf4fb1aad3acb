/* SPDX-License-Identifier: Apache-2.0 */
/** @file dtype.h  How the numbers of a tensor are stored: one table for safetensors and ggml. */
#ifndef WEIR_DTYPE_H
#define WEIR_DTYPE_H

#include <stdbool.h>
#include <stdint.h>

#include "weir/error.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef enum weir_dtype {
    /* One number after the other. */
    WEIR_DTYPE_F64,
    WEIR_DTYPE_F32,
    WEIR_DTYPE_F16,
    WEIR_DTYPE_BF16,
    WEIR_DTYPE_I64,
    WEIR_DTYPE_I32,
    WEIR_DTYPE_I16,
    WEIR_DTYPE_I8,
    WEIR_DTYPE_U64,
    WEIR_DTYPE_U32,
    WEIR_DTYPE_U16,
    WEIR_DTYPE_U8,
    WEIR_DTYPE_BOOL,
    WEIR_DTYPE_C64,
    WEIR_DTYPE_F8_E5M2,
    WEIR_DTYPE_F8_E4M3,
    WEIR_DTYPE_F8_E8M0,
    WEIR_DTYPE_F8_E4M3FNUZ,
    WEIR_DTYPE_F8_E5M2FNUZ,
    WEIR_DTYPE_F6_E2M3,
    WEIR_DTYPE_F6_E3M2,
    WEIR_DTYPE_F4,
    /* ggml blocks: scales and codes together. */
    WEIR_DTYPE_Q4_0,
    WEIR_DTYPE_Q4_1,
    WEIR_DTYPE_Q5_0,
    WEIR_DTYPE_Q5_1,
    WEIR_DTYPE_Q8_0,
    WEIR_DTYPE_Q8_1,
    WEIR_DTYPE_Q2_K,
    WEIR_DTYPE_Q3_K,
    WEIR_DTYPE_Q4_K,
    WEIR_DTYPE_Q5_K,
    WEIR_DTYPE_Q6_K,
    WEIR_DTYPE_Q8_K,
    WEIR_DTYPE_IQ1_S,
    WEIR_DTYPE_IQ1_M,
    WEIR_DTYPE_IQ2_XXS,
    WEIR_DTYPE_IQ2_XS,
    WEIR_DTYPE_IQ2_S,
    WEIR_DTYPE_IQ3_XXS,
    WEIR_DTYPE_IQ3_S,
    WEIR_DTYPE_IQ4_NL,
    WEIR_DTYPE_IQ4_XS,
    WEIR_DTYPE_TQ1_0,
    WEIR_DTYPE_TQ2_0,
    WEIR_DTYPE_MXFP4,
    WEIR_DTYPE_NVFP4,
    WEIR_DTYPE_Q1_0,
    WEIR_DTYPE_COUNT,
} weir_dtype;

typedef enum weir_dtype_kind {
    WEIR_DTYPE_KIND_FLOAT,   /**< floating point, one number after the other */
    WEIR_DTYPE_KIND_INTEGER, /**< integers and booleans */
    WEIR_DTYPE_KIND_BLOCK,   /**< ggml blocks */
    WEIR_DTYPE_KIND_OPAQUE,  /**< sub-byte or complex: bytes are compared, numbers are not read */
} weir_dtype_kind;

/** One row of the table. A "block" of an unblocked dtype is the smallest whole number of bytes. */
typedef struct weir_dtype_info {
    const char *name; /**< as the format itself spells it: "BF16", "Q4_K" */
    weir_dtype_kind kind;
    uint16_t block_elements; /**< 1, 2 (F4), 4 (F6), 32, 64, 128, 256 */
    uint16_t block_bytes;
    bool in_safetensors;
    int32_t ggml_type; /**< id in a GGUF file, or -1 */
} weir_dtype_info;

/** @return the row of `dtype`; static. */
WEIR_API const weir_dtype_info *weir_dtype_get(weir_dtype dtype);

/** @return "BF16", "Q4_K" ...; static. */
WEIR_API const char *weir_dtype_name(weir_dtype dtype);

#ifdef __cplusplus
}
#endif
#endif
