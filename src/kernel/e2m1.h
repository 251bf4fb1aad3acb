/* SPDX-License-Identifier: Apache-2.0 */
/** @file e2m1.h  The floats of 4 bits and their E8M0 scale, shared by reading and writing. */
#ifndef WEIR_KERNEL_E2M1_H
#define WEIR_KERNEL_E2M1_H

#include "kernel/number.h"

/** Twice the value of each code, so that all are whole. */
static const int8_t e2m1_values[16] = {0, 1, 2, 3, 4, 6, 8, 12, 0, -1, -2, -3, -4, -6, -8, -12};

/** 2^(exponent - 128): the scale of an MXFP4 block, halved because its values are doubled. */
static inline float mxfp4_scale(uint8_t exponent) {
    return float_from_bits(exponent < 2 ? 0x00200000u << exponent : (exponent - 1u) << 23);
}

#endif
