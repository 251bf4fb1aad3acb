/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The dtype table. safetensors' 22 names and sizes: huggingface/safetensors,
 * safetensors/src/tensor.rs, `enum Dtype`. ggml's ids and block sizes: ggml.h `enum ggml_type` and
 * gguf-py constants.py GGML_QUANT_SIZES. Q8_1 is ggml's C struct of 36 bytes (two f16 and 32
 * codes); gguf-py's table says 40, a leftover of two f32: the type is an intermediate of dot
 * products and no writer stores it.
 */
#include "base/dtype.h"

#include <string.h>

#include "base/checked.h"

#define FLOAT   WEIR_DTYPE_KIND_FLOAT
#define INTEGER WEIR_DTYPE_KIND_INTEGER
#define BLOCK   WEIR_DTYPE_KIND_BLOCK
#define OPAQUE  WEIR_DTYPE_KIND_OPAQUE

static const weir_dtype_info table[WEIR_DTYPE_COUNT] = {
    [WEIR_DTYPE_F64] = {"F64", FLOAT, 1, 8, true, 28},
    [WEIR_DTYPE_F32] = {"F32", FLOAT, 1, 4, true, 0},
    [WEIR_DTYPE_F16] = {"F16", FLOAT, 1, 2, true, 1},
    [WEIR_DTYPE_BF16] = {"BF16", FLOAT, 1, 2, true, 30},
    [WEIR_DTYPE_I64] = {"I64", INTEGER, 1, 8, true, 27},
    [WEIR_DTYPE_I32] = {"I32", INTEGER, 1, 4, true, 26},
    [WEIR_DTYPE_I16] = {"I16", INTEGER, 1, 2, true, 25},
    [WEIR_DTYPE_I8] = {"I8", INTEGER, 1, 1, true, 24},
    [WEIR_DTYPE_U64] = {"U64", INTEGER, 1, 8, true, -1},
    [WEIR_DTYPE_U32] = {"U32", INTEGER, 1, 4, true, -1},
    [WEIR_DTYPE_U16] = {"U16", INTEGER, 1, 2, true, -1},
    [WEIR_DTYPE_U8] = {"U8", INTEGER, 1, 1, true, -1},
    [WEIR_DTYPE_BOOL] = {"BOOL", INTEGER, 1, 1, true, -1},
    [WEIR_DTYPE_C64] = {"C64", OPAQUE, 1, 8, true, -1},
    [WEIR_DTYPE_F8_E5M2] = {"F8_E5M2", FLOAT, 1, 1, true, -1},
    [WEIR_DTYPE_F8_E4M3] = {"F8_E4M3", FLOAT, 1, 1, true, -1},
    [WEIR_DTYPE_F8_E8M0] = {"F8_E8M0", FLOAT, 1, 1, true, -1},
    [WEIR_DTYPE_F8_E4M3FNUZ] = {"F8_E4M3FNUZ", FLOAT, 1, 1, true, -1},
    [WEIR_DTYPE_F8_E5M2FNUZ] = {"F8_E5M2FNUZ", FLOAT, 1, 1, true, -1},
    [WEIR_DTYPE_F6_E2M3] = {"F6_E2M3", OPAQUE, 4, 3, true, -1},
    [WEIR_DTYPE_F6_E3M2] = {"F6_E3M2", OPAQUE, 4, 3, true, -1},
    [WEIR_DTYPE_F4] = {"F4", OPAQUE, 2, 1, true, -1},
    [WEIR_DTYPE_Q4_0] = {"Q4_0", BLOCK, 32, 18, false, 2},
    [WEIR_DTYPE_Q4_1] = {"Q4_1", BLOCK, 32, 20, false, 3},
    [WEIR_DTYPE_Q5_0] = {"Q5_0", BLOCK, 32, 22, false, 6},
    [WEIR_DTYPE_Q5_1] = {"Q5_1", BLOCK, 32, 24, false, 7},
    [WEIR_DTYPE_Q8_0] = {"Q8_0", BLOCK, 32, 34, false, 8},
    [WEIR_DTYPE_Q8_1] = {"Q8_1", BLOCK, 32, 36, false, 9},
    [WEIR_DTYPE_Q2_K] = {"Q2_K", BLOCK, 256, 84, false, 10},
    [WEIR_DTYPE_Q3_K] = {"Q3_K", BLOCK, 256, 110, false, 11},
    [WEIR_DTYPE_Q4_K] = {"Q4_K", BLOCK, 256, 144, false, 12},
    [WEIR_DTYPE_Q5_K] = {"Q5_K", BLOCK, 256, 176, false, 13},
    [WEIR_DTYPE_Q6_K] = {"Q6_K", BLOCK, 256, 210, false, 14},
    [WEIR_DTYPE_Q8_K] = {"Q8_K", BLOCK, 256, 292, false, 15},
    [WEIR_DTYPE_IQ2_XXS] = {"IQ2_XXS", BLOCK, 256, 66, false, 16},
    [WEIR_DTYPE_IQ2_XS] = {"IQ2_XS", BLOCK, 256, 74, false, 17},
    [WEIR_DTYPE_IQ3_XXS] = {"IQ3_XXS", BLOCK, 256, 98, false, 18},
    [WEIR_DTYPE_IQ1_S] = {"IQ1_S", BLOCK, 256, 50, false, 19},
    [WEIR_DTYPE_IQ4_NL] = {"IQ4_NL", BLOCK, 32, 18, false, 20},
    [WEIR_DTYPE_IQ3_S] = {"IQ3_S", BLOCK, 256, 110, false, 21},
    [WEIR_DTYPE_IQ2_S] = {"IQ2_S", BLOCK, 256, 82, false, 22},
    [WEIR_DTYPE_IQ4_XS] = {"IQ4_XS", BLOCK, 256, 136, false, 23},
    [WEIR_DTYPE_IQ1_M] = {"IQ1_M", BLOCK, 256, 56, false, 29},
    [WEIR_DTYPE_TQ1_0] = {"TQ1_0", BLOCK, 256, 54, false, 34},
    [WEIR_DTYPE_TQ2_0] = {"TQ2_0", BLOCK, 256, 66, false, 35},
    [WEIR_DTYPE_MXFP4] = {"MXFP4", BLOCK, 32, 17, false, 39},
    [WEIR_DTYPE_NVFP4] = {"NVFP4", BLOCK, 64, 36, false, 40},
    [WEIR_DTYPE_Q1_0] = {"Q1_0", BLOCK, 128, 18, false, 41},
};

const weir_dtype_info *weir_dtype_get(weir_dtype dtype) {
    return &table[dtype];
}

const char *weir_dtype_name(weir_dtype dtype) {
    return table[dtype].name;
}

bool dtype_find_safetensors(weir_dtype *out, const char *name, size_t len) {
    for (size_t i = 0; i < WEIR_DTYPE_COUNT; i++) {
        if (table[i].in_safetensors && strlen(table[i].name) == len &&
            memcmp(table[i].name, name, len) == 0) {
            *out = (weir_dtype)i;
            return true;
        }
    }
    return false;
}

bool dtype_find_ggml(weir_dtype *out, uint32_t ggml_type) {
    for (size_t i = 0; i < WEIR_DTYPE_COUNT; i++) {
        if (table[i].ggml_type >= 0 && (uint32_t)table[i].ggml_type == ggml_type) {
            *out = (weir_dtype)i;
            return true;
        }
    }
    return false;
}

bool dtype_bytes(uint64_t *out, weir_dtype dtype, uint64_t count) {
    const weir_dtype_info *info = &table[dtype];
    return count % info->block_elements == 0 &&
           checked_mul_u64(out, count / info->block_elements, info->block_bytes);
}
