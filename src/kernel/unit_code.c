/* SPDX-License-Identifier: Apache-2.0 */
#include "kernel/unit_code.h"

#include <math.h>
#include <string.h>

#include "kernel/level.h"
#include "kernel/number.h"

enum { SIGN_SEED_BEFORE = 1, SIGN_SEED_AFTER = 2 };

/* --- rows --- */

/* 2^-e for the largest magnitude 2^e..2^(e+1), so that squares neither overflow nor vanish; 0 for a
 * row that is zero or not finite. */
static float row_scale(const float *row, size_t cols) {
    uint32_t largest = 0;
    for (size_t i = 0; i < cols; i++) {
        const uint32_t magnitude = float_bits(row[i]) & 0x7FFFFFFF;
        largest = magnitude > largest ? magnitude : largest;
    }
    const int exponent = (int)(largest >> 23);
    if (largest == 0 || exponent == 255) {
        return 0.0F;
    }
    const int wanted = 127 - exponent;
    return float_power_of_two(wanted > 127 ? 127 : wanted < -126 ? -126 : wanted);
}

static void multiply(float *row, size_t cols, float factor) {
    for (size_t i = 0; i < cols; i++) {
        row[i] *= factor;
    }
}

static bool normalise_row(float *row, size_t cols, const float *gain) {
    float scale = row_scale(row, cols);
    multiply(row, cols, scale);
    if (gain && scale > 0) {
        for (size_t i = 0; i < cols; i++) {
            row[i] *= gain[i];
        }
        scale = row_scale(row, cols);
        multiply(row, cols, scale);
    }
    const float length = scale > 0 ? sqrtf(kernel_level_current()->squares(row, cols)) : 0.0F;
    if (!(length > 0)) {
        memset(row, 0, cols * sizeof *row);
        return false;
    }
    multiply(row, cols, 1.0F / length);
    return true;
}

void unit_rows_normalise(float *rows, size_t row_count, size_t cols, const float *gain,
                         bool *usable) {
    for (size_t r = 0; r < row_count; r++) {
        const bool is_usable = normalise_row(rows + r * cols, cols, gain);
        if (usable && !is_usable) {
            usable[r] = false;
        }
    }
}

void unit_rows_center(float *rows, size_t row_count, size_t cols, const bool *usable) {
    size_t count = 0;
    for (size_t r = 0; r < row_count; r++) {
        count += !usable || usable[r];
    }
    if (count == 0) {
        return;
    }
    const float share = 1.0F / (float)count;
    for (size_t i = 0; i < cols; i++) {
        float sum = 0;
        for (size_t r = 0; r < row_count; r++) {
            sum += usable && !usable[r] ? 0.0F : rows[r * cols + i];
        }
        for (size_t r = 0; r < row_count; r++) {
            rows[r * cols + i] -= usable && !usable[r] ? rows[r * cols + i] : sum * share;
        }
    }
}

/* --- projections --- */

/* 64 fixed random signs (splitmix64, Steele, Lea, Flood 2014). */
static uint64_t sign_word(uint64_t seed, uint64_t index) {
    uint64_t z = (seed << 56) + (index + 1) * 0x9E3779B97F4A7C15U;
    z = (z ^ z >> 30) * 0xBF58476D1CE4E5B9U;
    z = (z ^ z >> 27) * 0x94D049BB133111EBU;
    return z ^ z >> 31;
}

static float sign_at(uint64_t seed, size_t i) {
    return sign_word(seed, i / 64) >> (i % 64) & 1 ? -1.0F : 1.0F;
}

static size_t padded_size(size_t cols) {
    size_t n = UNIT_PROJECTIONS;
    while (n < cols) {
        n *= 2;
    }
    return n;
}

size_t unit_scratch_floats(size_t cols) {
    return (padded_size(cols) + UNIT_PROJECTIONS) * UNIT_BATCH;
}

/* D1 x of every row, row r in lane r. */
static void interleave(float (*to)[UNIT_BATCH], const float *rows, size_t row_count, size_t cols,
                       size_t n) {
    memset(to, 0, n * sizeof *to);
    for (size_t i = 0; i < cols; i++) {
        const float sign = sign_at(SIGN_SEED_BEFORE, i);
        for (size_t r = 0; r < row_count; r++) {
            to[i][r] = sign * rows[r * cols + i];
        }
    }
}

/*
 * The first 128 coordinates of H y need no whole transform: their rows of H repeat every 128
 * columns, so that y can be folded to 128 numbers first.
 */
static void fold(float (*to)[UNIT_BATCH], float (*from)[UNIT_BATCH], size_t n) {
    memset(to, 0, UNIT_PROJECTIONS * sizeof *to);
    for (size_t i = 0; i < n; i++) {
        const float sign = sign_at(SIGN_SEED_AFTER, i);
        float *const sums = to[i % UNIT_PROJECTIONS];
        for (size_t r = 0; r < UNIT_BATCH; r++) {
            sums[r] += sign * from[i][r];
        }
    }
}

void unit_project(float (*out)[UNIT_PROJECTIONS], const float *rows, size_t row_count, size_t cols,
                  float *scratch) {
    const kernel_level *const level = kernel_level_current();
    const size_t n = padded_size(cols);
    float(*const folded)[UNIT_BATCH] = (float(*)[UNIT_BATCH])(void *)scratch;
    float(*const values)[UNIT_BATCH] = folded + UNIT_PROJECTIONS;
    interleave(values, rows, row_count, cols, n);
    level->hadamard(values, n);
    fold(folded, values, n);
    level->hadamard(folded, UNIT_PROJECTIONS);
    float scale = 1;
    for (size_t i = 1; i < n; i *= 2) {
        scale *= 0.5F; /* each of the two transforms scales lengths by the root of n */
    }
    for (size_t r = 0; r < row_count; r++) {
        for (size_t i = 0; i < UNIT_PROJECTIONS; i++) {
            out[r][i] = folded[i][r] * scale;
        }
    }
}

/* --- codes --- */

void unit_signs(uint64_t *out, const float *values, size_t count) {
    for (size_t word = 0; word * 64 < count; word++) {
        uint64_t bits = 0;
        for (size_t i = word * 64; i < count && i < word * 64 + 64; i++) {
            bits |= (uint64_t)(values[i] > 0) << (i % 64);
        }
        out[word] = bits;
    }
}

/* Rows in groups, so that a token row is loaded once for each group. */
void unit_token_codes(uint64_t (*out)[4], const float *rows, size_t row_count, size_t cols,
                      const float *tokens) {
    const kernel_level *const level = kernel_level_current();
    for (size_t r = 0; r < row_count; r += UNIT_GROUP) {
        float products[UNIT_GROUP][TOKEN_CODE_ROWS];
        const float *group[UNIT_GROUP];
        for (size_t k = 0; k < UNIT_GROUP; k++) {
            group[k] = rows + (r + k < row_count ? r + k : r) * cols;
        }
        for (size_t t = 0; t < TOKEN_CODE_ROWS; t++) {
            float dots[UNIT_GROUP];
            level->dots(dots, group, tokens + t * cols, cols);
            for (size_t k = 0; k < UNIT_GROUP; k++) {
                products[k][t] = dots[k];
            }
        }
        for (size_t k = 0; k < UNIT_GROUP && r + k < row_count; k++) {
            unit_signs(out[r + k], products[k], TOKEN_CODE_ROWS);
        }
    }
}

void unit_code_distances(uint16_t out[UNIT_BATCH][UNIT_BATCH], const uint64_t *a, const uint64_t *b,
                         const uint64_t *mask, size_t words) {
    kernel_level_current()->distances(out, a, b, mask, words);
}

void unit_code_distances_own(uint16_t out[UNIT_BATCH], const uint64_t *a, const uint64_t *b,
                             const uint64_t *mask, size_t words) {
    kernel_level_current()->distances_own(out, a, b, mask, words);
}
