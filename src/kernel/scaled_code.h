/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file scaled_code.h  Codes of blocks that are scaled by their largest magnitude, and whether a
 * block of floats could be such codes with one scale.
 *
 *     code = the level nearest to x / max |x|        number = round(scale * level)
 *
 * NF4 and FP4 are those of bitsandbytes; INT8 has levels k / 127. The scale is not asked to be
 * max |x|: nested scales are themselves coded, and a float16 pass rounds them.
 *
 * Source: Dettmers et al. 2023 (QLoRA), section 3 and appendix E; functional.py of bitsandbytes.
 */
#ifndef WEIR_KERNEL_SCALED_CODE_H
#define WEIR_KERNEL_SCALED_CODE_H

#include <stdbool.h>
#include <stddef.h>

typedef enum scaled_code_kind {
    SCALED_CODE_NF4,
    SCALED_CODE_FP4,
    SCALED_CODE_INT8,
} scaled_code_kind;

typedef struct scaled_code {
    const float *levels; /**< ascending; NULL: k / 127 */
    size_t level_count;
} scaled_code;

/** @return static */
const scaled_code *scaled_code_of(scaled_code_kind kind);

/** Code a block and read it again, with max |values| as its scale. Not finite ones become 0. */
void scaled_code_apply(const scaled_code *code, float *out, const float *values, size_t count);

/**
 * Whether `model` holds the codes of `base` with one scale, each number rounded to a float of
 * `mantissa_bits` stored bits. A number between two levels, to within 2^-20, may have either code;
 * the scale must lie within a tenth of max |base|.
 *
 * A block of zeros fits zeros. Numbers that are not finite fit nothing.
 */
bool scaled_code_fits(const scaled_code *code, const float *base, const float *model, size_t count,
                      int mantissa_bits);

#endif
