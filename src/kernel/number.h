/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file number.h  Loads from stored bytes and the float formats of 16 bits, by integer arithmetic.
 *
 * Nothing here depends on the rounding mode, on F16C or on libm, so a value has the same bits
 * wherever it is computed. Multi-byte numbers are little-endian, at any alignment.
 */
#ifndef WEIR_KERNEL_NUMBER_H
#define WEIR_KERNEL_NUMBER_H

#include <endian.h>
#include <stdint.h>
#include <string.h>

enum { BLOCK = 32, HALF_BLOCK = 16, SUPER = 256 }; /* elements of ggml's blocks */

static inline uint16_t load_u16(const uint8_t *bytes) {
    uint16_t value;
    memcpy(&value, bytes, sizeof value);
    return le16toh(value);
}

static inline uint32_t load_u32(const uint8_t *bytes) {
    uint32_t value;
    memcpy(&value, bytes, sizeof value);
    return le32toh(value);
}

static inline uint64_t load_u64(const uint8_t *bytes) {
    uint64_t value;
    memcpy(&value, bytes, sizeof value);
    return le64toh(value);
}

static inline void store_u16(uint8_t *bytes, uint16_t value) {
    value = htole16(value);
    memcpy(bytes, &value, sizeof value);
}

static inline void store_u32(uint8_t *bytes, uint32_t value) {
    value = htole32(value);
    memcpy(bytes, &value, sizeof value);
}

static inline float float_from_bits(uint32_t bits) {
    float value;
    memcpy(&value, &bits, sizeof value);
    return value;
}

static inline uint32_t float_bits(float value) {
    uint32_t bits;
    memcpy(&bits, &value, sizeof bits);
    return bits;
}

static inline float float_magnitude(float value) {
    return float_from_bits(float_bits(value) & 0x7FFFFFFF);
}

/** 2^exponent, for -126 <= exponent <= 127. */
static inline float float_power_of_two(int exponent) {
    return float_from_bits((uint32_t)(exponent + 127) << 23);
}

/**
 * IEEE 754 binary16, exact; the mantissa of a NaN is kept. Without a branch: the bits moved to
 * their place are the value times 2^-112, subnormal or not, and only the exponent of infinity and
 * NaN needs a word.
 */
static inline float float_from_half(uint16_t half) {
    const uint32_t sign = (uint32_t)(half & 0x8000) << 16;
    const uint32_t magnitude = half & 0x7FFF;
    const uint32_t special = magnitude >= 0x7C00 ? 0x7F800000 : 0;
    const float value = float_from_bits(magnitude << 13) * 0x1p112f;
    return float_from_bits(float_bits(value) | special | sign);
}

static inline float float_from_half_at(const uint8_t *bytes) {
    return float_from_half(load_u16(bytes));
}

/**
 * Nearest binary16, ties to even. A NaN becomes the quiet NaN 0x7E00 with its sign, as ggml's
 * fp32-to-fp16 has it (numpy keeps the payload instead). Without a branch: below 2^-14 the steps of
 * binary16 are those of float32 at 0.5, so adding 0.5 rounds; above, the carry of an integer does.
 */
static inline uint16_t half_from_float(float value) {
    const uint32_t bits = float_bits(value);
    const uint32_t magnitude = bits & 0x7FFFFFFF;
    const uint32_t rounded = magnitude + 0xFFF + (magnitude >> 13 & 1) - ((127 - 15) << 23);
    const uint32_t subnormal = float_bits(float_from_bits(magnitude) + 0.5f) - 0x3F000000;
    const uint32_t finite = magnitude < 0x38800000 ? subnormal : rounded >> 13;
    const uint32_t special = magnitude > 0x7F800000 ? 0x7E00 : 0x7C00;
    const uint32_t half = magnitude < 0x477FF000 ? finite : special; /* from 65520: infinity */
    return (uint16_t)((bits >> 16 & 0x8000) | half);
}

static inline float float_from_bf16(uint16_t bits) {
    return float_from_bits((uint32_t)bits << 16);
}

/** Nearest bfloat16, ties to even. A NaN is made quiet and keeps its upper bits, as in ggml. */
static inline uint16_t bf16_from_float(float value) {
    const uint32_t bits = float_bits(value);
    if ((bits & 0x7FFFFFFF) > 0x7F800000) {
        return (uint16_t)(bits >> 16 | 0x40);
    }
    return (uint16_t)((bits + 0x7FFF + (bits >> 16 & 1)) >> 16);
}

#endif
