/* SPDX-License-Identifier: Apache-2.0 */
#include "kernel/scaled_code.h"

#include <math.h>

/* Quantiles of the normal distribution, as bitsandbytes stores them. */
static const float nf4_levels[] = {-1.0F,
                                   -0.6961928009986877F,
                                   -0.5250730514526367F,
                                   -0.39491748809814453F,
                                   -0.28444138169288635F,
                                   -0.18477343022823334F,
                                   -0.09105003625154495F,
                                   0.0F,
                                   0.07958029955625534F,
                                   0.16093020141124725F,
                                   0.24611230194568634F,
                                   0.33791524171829224F,
                                   0.44070982933044434F,
                                   0.5626170039176941F,
                                   0.7229568362236023F,
                                   1.0F};

/* 0, 1/192, 1/6, 1/4, 1/3, 1/2, 2/3 and 1, of both signs. */
static const float fp4_levels[] = {-1.0F,        -0.6666666865F, -0.5F,         -0.3333333433F,
                                   -0.25F,       -0.1666666716F, -0.005208333F, 0.0F,
                                   0.005208333F, 0.1666666716F,  0.25F,         0.3333333433F,
                                   0.5F,         0.6666666865F,  1.0F};

#define LEVELS(table) .levels = (table), .level_count = sizeof(table) / sizeof *(table)
static const scaled_code codes[] = {
    [SCALED_CODE_NF4] = {LEVELS(nf4_levels)},
    [SCALED_CODE_FP4] = {LEVELS(fp4_levels)},
    [SCALED_CODE_INT8] = {.levels = NULL, .level_count = 255},
};

static const float SCALE_TOLERANCE = 0.1F;
static const float BORDER_TOLERANCE = 0x1p-20F;

const scaled_code *scaled_code_of(scaled_code_kind kind) {
    return &codes[kind];
}

static float level_at(const scaled_code *code, size_t k) {
    return code->levels ? code->levels[k] : ((float)k - 127.0F) / 127.0F;
}

/* The level that x, of [-1, 1], is nearest to. */
static size_t nearest_code(const scaled_code *code, float x) {
    if (!code->levels) {
        return (size_t)(int)(127.5F + x * 127.0F);
    }
    size_t k = 0;
    while (k + 1 < code->level_count && x > 0.5F * (code->levels[k] + code->levels[k + 1])) {
        k++;
    }
    return k;
}

void scaled_code_apply(const scaled_code *code, float *out, const float *values, size_t count) {
    float largest = 0;
    for (size_t i = 0; i < count; i++) {
        const float size = fabsf(values[i]);
        largest = isfinite(size) && size > largest ? size : largest;
    }
    for (size_t i = 0; i < count; i++) {
        const bool is_known = largest > 0.0F && isfinite(values[i]);
        const float level =
            is_known ? level_at(code, nearest_code(code, values[i] / largest)) : 0.0F;
        out[i] = level * largest;
    }
}

/* Scales that give a number when they are multiplied by a level and rounded. */
typedef struct scale_range {
    double low;
    double high;
} scale_range;

/* |x| as numbers of its own binade round to it: half a step to both sides. */
static scale_range scales_of(float x, float level, int mantissa_bits) {
    int exponent;
    (void)frexpf(x, &exponent);
    const double half = ldexp(0.5, exponent - 1 - mantissa_bits);
    const double low = (fabs((double)x) - half) * (1.0 - 0x1p-22) / fabs((double)level);
    const double high = (fabs((double)x) + half) * (1.0 + 0x1p-22) / fabs((double)level);
    return (scale_range){.low = low, .high = high};
}

/* Whether level k can stand for a number, and narrows the scales if so. */
static bool takes_level(const scaled_code *code, size_t k, float x, scale_range *range,
                        int mantissa_bits) {
    const float level = level_at(code, k);
    if (!(level < 0.0F || level > 0.0F)) {
        return !(x < 0.0F || x > 0.0F);
    }
    if ((level > 0.0F) != (x > 0.0F) || !(x < 0.0F || x > 0.0F)) {
        return false;
    }
    const scale_range found = scales_of(x, level, mantissa_bits);
    const scale_range both = {.low = found.low > range->low ? found.low : range->low,
                              .high = found.high < range->high ? found.high : range->high};
    if (both.low > both.high) {
        return false;
    }
    *range = both;
    return true;
}

/* The numbers of a block that have one code, or those that lie at a border and have two. The latter
 * come last: only then is the scale known well enough to tell which. */
static bool takes_codes(const scaled_code *code, const float *base, const float *model,
                        size_t count, float unit, scale_range *range, int mantissa_bits,
                        bool at_borders) {
    for (size_t i = 0; i < count; i++) {
        const float x = base[i] / unit;
        const size_t below = nearest_code(code, fmaxf(x - BORDER_TOLERANCE, -1.0F));
        const size_t above = nearest_code(code, fminf(x + BORDER_TOLERANCE, 1.0F));
        if ((below != above) != at_borders) {
            continue;
        }
        if (!takes_level(code, below, model[i], range, mantissa_bits) &&
            !takes_level(code, above, model[i], range, mantissa_bits)) {
            return false;
        }
    }
    return true;
}

bool scaled_code_fits(const scaled_code *code, const float *base, const float *model, size_t count,
                      int mantissa_bits) {
    float largest = 0;
    for (size_t i = 0; i < count; i++) {
        if (!isfinite(base[i]) || !isfinite(model[i])) {
            return false;
        }
        largest = fabsf(base[i]) > largest ? fabsf(base[i]) : largest;
    }
    const float unit = largest > 0.0F ? largest : 1.0F;
    scale_range range = {.low = (double)unit * (double)(1.0F - SCALE_TOLERANCE),
                         .high = (double)unit * (double)(1.0F + SCALE_TOLERANCE)};
    return takes_codes(code, base, model, count, unit, &range, mantissa_bits, false) &&
           takes_codes(code, base, model, count, unit, &range, mantissa_bits, true);
}
