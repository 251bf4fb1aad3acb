/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file read_plain.h  Numbers that stand one after the other, read as float32.
 *
 * F64 and the wide integers round to nearest even, by the compiler's own conversion. A float of 8
 * bits is decoded by its parameters (OCP 8-bit Floating Point Specification 1.0; the FNUZ forms:
 * Noune et al. 2022, as in ml_dtypes):
 *
 *   FORM        EXPONENT  MANTISSA  BIAS  SPECIAL
 *   E5M2        5         2         15    exponent 31: infinity, NaN
 *   E4M3        4         3         7     0x7F and 0xFF: NaN; no infinity
 *   E5M2FNUZ    5         2         16    0x80: NaN; no infinity, no -0
 *   E4M3FNUZ    4         3         8     0x80: NaN; no infinity, no -0
 *   E8M0        8         0         127   2^(code - 127); 0xFF: NaN; no sign, no zero
 */
#ifndef WEIR_KERNEL_READ_PLAIN_H
#define WEIR_KERNEL_READ_PLAIN_H
#include "kernel/number.h"

static void read_f64(float *restrict out, const uint8_t *restrict stored, size_t count) {
    for (size_t i = 0; i < count; i++) {
        double value;
        const uint64_t bits = load_u64(stored + 8 * i);
        memcpy(&value, &bits, sizeof value);
        out[i] = (float)value;
    }
}

static void read_f32(float *restrict out, const uint8_t *restrict stored, size_t count) {
    for (size_t i = 0; i < count; i++) {
        out[i] = float_from_bits(load_u32(stored + 4 * i));
    }
}

static void read_f16(float *restrict out, const uint8_t *restrict stored, size_t count) {
    for (size_t i = 0; i < count; i++) {
        out[i] = float_from_half(load_u16(stored + 2 * i));
    }
}

static void read_bf16(float *restrict out, const uint8_t *restrict stored, size_t count) {
    for (size_t i = 0; i < count; i++) {
        out[i] = float_from_bf16(load_u16(stored + 2 * i));
    }
}

static void read_i64(float *restrict out, const uint8_t *restrict stored, size_t count) {
    for (size_t i = 0; i < count; i++) {
        out[i] = (float)(int64_t)load_u64(stored + 8 * i);
    }
}

static void read_i32(float *restrict out, const uint8_t *restrict stored, size_t count) {
    for (size_t i = 0; i < count; i++) {
        out[i] = (float)(int32_t)load_u32(stored + 4 * i);
    }
}

static void read_i16(float *restrict out, const uint8_t *restrict stored, size_t count) {
    for (size_t i = 0; i < count; i++) {
        out[i] = (float)(int16_t)load_u16(stored + 2 * i);
    }
}

static void read_i8(float *restrict out, const uint8_t *restrict stored, size_t count) {
    for (size_t i = 0; i < count; i++) {
        out[i] = (float)(int8_t)stored[i];
    }
}

static void read_u64(float *restrict out, const uint8_t *restrict stored, size_t count) {
    for (size_t i = 0; i < count; i++) {
        out[i] = (float)load_u64(stored + 8 * i);
    }
}

static void read_u32(float *restrict out, const uint8_t *restrict stored, size_t count) {
    for (size_t i = 0; i < count; i++) {
        out[i] = (float)load_u32(stored + 4 * i);
    }
}

static void read_u16(float *restrict out, const uint8_t *restrict stored, size_t count) {
    for (size_t i = 0; i < count; i++) {
        out[i] = (float)load_u16(stored + 2 * i);
    }
}

static void read_u8(float *restrict out, const uint8_t *restrict stored, size_t count) {
    for (size_t i = 0; i < count; i++) {
        out[i] = (float)stored[i];
    }
}

/** Any byte but 0 is true: safetensors does not say what else a byte may hold. */
static void read_bool(float *restrict out, const uint8_t *restrict stored, size_t count) {
    for (size_t i = 0; i < count; i++) {
        out[i] = stored[i] ? 1.0f : 0.0f;
    }
}

/** A finite float of 8 bits; exact, since every such value is a normal float32. */
static float float8_finite(uint8_t code, int mantissa_bits, int bias) {
    const int exponent = (code & 0x7F) >> mantissa_bits;
    const int fraction = code & ((1 << mantissa_bits) - 1);
    const int significand = exponent ? fraction + (1 << mantissa_bits) : fraction;
    const int power = (exponent ? exponent : 1) - bias - mantissa_bits;
    const float magnitude = (float)significand * float_power_of_two(power);
    return float_from_bits(float_bits(magnitude) | (uint32_t)(code & 0x80) << 24);
}

static const uint32_t quiet_nan = 0x7FC00000;

static void read_f8_e5m2(float *restrict out, const uint8_t *restrict stored, size_t count) {
    for (size_t i = 0; i < count; i++) { /* the upper byte of a half */
        out[i] = float_from_half((uint16_t)(stored[i] << 8));
    }
}

static void read_f8_e4m3(float *restrict out, const uint8_t *restrict stored, size_t count) {
    for (size_t i = 0; i < count; i++) {
        const uint8_t code = stored[i];
        out[i] = (code & 0x7F) == 0x7F ? float_from_bits(quiet_nan | (uint32_t)(code & 0x80) << 24)
                                       : float8_finite(code, 3, 7);
    }
}

static void read_f8_e8m0(float *restrict out, const uint8_t *restrict stored, size_t count) {
    for (size_t i = 0; i < count; i++) {
        const uint8_t code = stored[i];
        const uint32_t tiny = 0x00400000; /* 2^-127, a subnormal float32 */
        out[i] = float_from_bits(code == 0xFF ? quiet_nan : code ? (uint32_t)code << 23 : tiny);
    }
}

static void read_f8_e4m3fnuz(float *restrict out, const uint8_t *restrict stored, size_t count) {
    for (size_t i = 0; i < count; i++) {
        out[i] = stored[i] == 0x80 ? float_from_bits(quiet_nan | 0x80000000)
                                   : float8_finite(stored[i], 3, 8);
    }
}

static void read_f8_e5m2fnuz(float *restrict out, const uint8_t *restrict stored, size_t count) {
    for (size_t i = 0; i < count; i++) {
        out[i] = stored[i] == 0x80 ? float_from_bits(quiet_nan | 0x80000000)
                                   : float8_finite(stored[i], 2, 16);
    }
}

#endif
