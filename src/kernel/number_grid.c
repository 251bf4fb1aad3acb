/* SPDX-License-Identifier: Apache-2.0 */
#include "kernel/number_grid.h"

#include <math.h>

#include "kernel/block_scales.h"
#include "kernel/convert.h"
#include "kernel/e2m1.h"

enum { WHOLE_LOW = -128, WHOLE_COUNT = 384, BORDER_STRIPS = 16 };

/* Whole numbers from WHOLE_LOW on: ten to a line of the table. */
#define TEN(n) (n), (n) + 1, (n) + 2, (n) + 3, (n) + 4, (n) + 5, (n) + 6, (n) + 7, (n) + 8, (n) + 9
static const float whole[] = {
    TEN(-128), TEN(-118), TEN(-108), TEN(-98), TEN(-88), TEN(-78), TEN(-68), TEN(-58), TEN(-48),
    TEN(-38),  TEN(-28),  TEN(-18),  TEN(-8),  TEN(2),   TEN(12),  TEN(22),  TEN(32),  TEN(42),
    TEN(52),   TEN(62),   TEN(72),   TEN(82),  TEN(92),  TEN(102), TEN(112), TEN(122), TEN(132),
    TEN(142),  TEN(152),  TEN(162),  TEN(172), TEN(182), TEN(192), TEN(202), TEN(212), TEN(222),
    TEN(232),  TEN(242),  252,       253,      254,      255};
_Static_assert(sizeof whole / sizeof *whole == WHOLE_COUNT, "from -128 to 255");

static const float iq4_levels[] = {-127, -104, -83, -65, -49, -35, -22, -10,
                                   1,    13,   25,  38,  53,  69,  89,  113};
static const float e2m1_levels[] = {-12, -8, -6, -4, -3, -2, -1, 0, 1, 2, 3, 4, 6, 8, 12};
static const float sign_levels[] = {-1, 1};
static const float iq2_levels[] = {-43, -25, -8, 8, 25, 43};
static const float iq3_xxs_levels[] = {-62, -52, -44, -36, -28, -20, -12, -4,
                                       4,   12,  20,  28,  36,  44,  52,  62};
static const float iq3_s_levels[] = {-15, -13, -11, -9, -7, -5, -3, -1, 1, 3, 5, 7, 9, 11, 13, 15};

#define LEVELS(table)    .levels = (table), .level_count = sizeof(table) / sizeof *(table)
#define WHOLE(low, high) .levels = whole - WHOLE_LOW + (low), .level_count = (high) - (low) + 1

/* Encoders of K types, MXFP4 and NVFP4 round with the scale that they store; the others with one
 * that is rounded to binary16 after, which moves borders by half a unit of its last place. */
#define EXACT 0x1p-21F
#define HALF  0x1p-11F

/* Spread: IQ1 has 2048 of 3^8 rows; IQ2 256, 512 and 1024 of 3^8, the first two with 7 signs of 8;
 * IQ3 256 of 8^4 with 7 signs of 8, and 512. */
static const number_grid grids[WEIR_DTYPE_COUNT] = {
    [WEIR_DTYPE_Q4_0] = {WHOLE(-8, 7), .group = 32, .spread = 1, .slack = HALF},
    [WEIR_DTYPE_Q4_1] = {WHOLE(0, 15), .group = 32, .spread = 1, .slack = HALF},
    [WEIR_DTYPE_Q5_0] = {WHOLE(-16, 15), .group = 32, .spread = 1, .slack = HALF},
    [WEIR_DTYPE_Q5_1] = {WHOLE(0, 31), .group = 32, .spread = 1, .slack = HALF},
    [WEIR_DTYPE_Q8_0] = {WHOLE(-128, 127), .group = 32, .spread = 1, .slack = HALF},
    [WEIR_DTYPE_Q8_1] = {WHOLE(-128, 127), .group = 32, .spread = 1, .slack = HALF},
    [WEIR_DTYPE_Q2_K] = {WHOLE(0, 3), .group = 16, .spread = 1, .slack = EXACT},
    [WEIR_DTYPE_Q3_K] = {WHOLE(-4, 3), .group = 16, .spread = 1, .slack = EXACT},
    [WEIR_DTYPE_Q4_K] = {WHOLE(0, 15), .group = 32, .spread = 1, .slack = EXACT},
    [WEIR_DTYPE_Q5_K] = {WHOLE(0, 31), .group = 32, .spread = 1, .slack = EXACT},
    [WEIR_DTYPE_Q6_K] = {WHOLE(-32, 31), .group = 16, .spread = 1, .slack = EXACT},
    [WEIR_DTYPE_Q8_K] = {WHOLE(-128, 127), .group = 256, .spread = 1, .slack = HALF},
    [WEIR_DTYPE_IQ1_S] = {WHOLE(-1, 1), .group = 8, .spread = 1.157F, .slack = HALF},
    [WEIR_DTYPE_IQ1_M] = {WHOLE(-1, 1), .group = 8, .spread = 1.157F, .slack = HALF},
    [WEIR_DTYPE_IQ2_XXS] = {LEVELS(iq2_levels), .group = 32, .spread = 1.636F, .slack = HALF},
    [WEIR_DTYPE_IQ2_XS] = {LEVELS(iq2_levels), .group = 16, .spread = 1.500F, .slack = HALF},
    [WEIR_DTYPE_IQ2_S] = {LEVELS(iq2_levels), .group = 16, .spread = 1.261F, .slack = HALF},
    [WEIR_DTYPE_IQ3_XXS] = {LEVELS(iq3_xxs_levels), .group = 32, .spread = 2.181F, .slack = HALF},
    [WEIR_DTYPE_IQ3_S] = {LEVELS(iq3_s_levels), .group = 32, .spread = 1.682F, .slack = HALF},
    [WEIR_DTYPE_IQ4_NL] = {LEVELS(iq4_levels), .group = 32, .spread = 1, .slack = HALF},
    [WEIR_DTYPE_IQ4_XS] = {LEVELS(iq4_levels), .group = 32, .spread = 1, .slack = HALF},
    [WEIR_DTYPE_TQ1_0] = {WHOLE(-1, 1), .group = 256, .spread = 1, .slack = HALF},
    [WEIR_DTYPE_TQ2_0] = {WHOLE(-1, 2), .group = 256, .spread = 1, .slack = HALF},
    [WEIR_DTYPE_MXFP4] = {LEVELS(e2m1_levels), .group = 32, .spread = 1, .slack = EXACT},
    [WEIR_DTYPE_NVFP4] = {LEVELS(e2m1_levels), .group = 16, .spread = 1, .slack = EXACT},
    [WEIR_DTYPE_Q1_0] = {LEVELS(sign_levels), .group = 128, .spread = 1, .slack = HALF},
};

number_grid number_grid_whole(int low, int high) {
    return (number_grid){.levels = whole - WHOLE_LOW + low,
                         .level_count = (size_t)(high - low) + 1,
                         .spread = 1,
                         .slack = HALF};
}

bool number_grid_of(number_grid *out, weir_dtype dtype) {
    if (grids[dtype].level_count == 0) {
        return false;
    }
    *out = grids[dtype];
    return true;
}

/* --- scales and offsets of one block --- */

/* Fills the numbers of one group. */
static void put_group(float *scale, float *offset, size_t first, size_t count, float step,
                      float start) {
    for (size_t i = first; i < first + count; i++) {
        scale[i] = step;
        offset[i] = start;
    }
}

/* Numbers of IQ1's rows of 8 are shifted by an eighth of the scale. */
static void put_shifted_row(float *scale, float *offset, size_t row, float step, bool is_minus) {
    put_group(scale, offset, 8 * row, 8, step, is_minus ? -0.125F * step : 0.125F * step);
}

static void read_one_scale(float *scale, float *offset, weir_dtype dtype, const uint8_t *block) {
    const weir_dtype_info *const info = weir_dtype_get(dtype);
    float d;
    float m = 0;
    switch ((int)dtype) {
    case WEIR_DTYPE_Q4_1:
    case WEIR_DTYPE_Q5_1:
        d = float_from_half_at(block);
        m = float_from_half_at(block + 2);
        break;
    case WEIR_DTYPE_Q8_K:
        d = float_from_bits(load_u32(block));
        break;
    case WEIR_DTYPE_TQ1_0:
        d = float_from_half_at(block + 52);
        break;
    case WEIR_DTYPE_TQ2_0:
        d = float_from_half_at(block + 64);
        break;
    case WEIR_DTYPE_MXFP4:
        d = mxfp4_scale(block[0]);
        break;
    default:
        d = float_from_half_at(block);
        break;
    }
    put_group(scale, offset, 0, info->block_elements, d, m);
}

static void read_k_block(float *scale, float *offset, weir_dtype dtype, const uint8_t *block) {
    if (dtype == WEIR_DTYPE_Q4_K || dtype == WEIR_DTYPE_Q5_K) {
        const k_scales of = get_k_scales(block);
        for (size_t g = 0; g < 8; g++) {
            put_group(scale, offset, 32 * g, 32, of.scale[g], -of.min[g]);
        }
        return;
    }
    for (size_t g = 0; g < 16; g++) {
        float step;
        float start = 0;
        if (dtype == WEIR_DTYPE_Q2_K) {
            step = float_from_half_at(block + 80) * (float)(block[g] & 15);
            start = -(float_from_half_at(block + 82) * (float)(block[g] >> 4));
        } else if (dtype == WEIR_DTYPE_Q3_K) {
            step = float_from_half_at(block + 108) * (float)q3_k_scale(block + 96, g);
        } else {
            step = float_from_half_at(block + 208) * (float)(int8_t)block[192 + g];
        }
        put_group(scale, offset, 16 * g, 16, step, start);
    }
}

static void read_iq1_block(float *scale, float *offset, weir_dtype dtype, const uint8_t *block) {
    for (size_t row = 0; row < 32; row++) {
        if (dtype == WEIR_DTYPE_IQ1_S) {
            const unsigned high = load_u16(block + 34 + 2 * (row / 4));
            const float step = float_from_half_at(block) * (float)(2 * (high >> 12 & 7) + 1);
            put_shifted_row(scale, offset, row, step, high >> 15);
        } else {
            const unsigned high = block[32 + row / 2] >> 4 * (row % 2) & 15;
            const unsigned s = load_u16(block + 48 + 2 * (row / 8)) >> 3 * (row / 2 % 4) & 7;
            put_shifted_row(scale, offset, row, iq1_m_scale(block + 48) * (float)(2 * s + 1),
                            high >> 3);
        }
    }
}

/* Scale of a group of 16 numbers of IQ2, or of 32 of IQ3 and IQ4_XS. */
static float iq_group_scale(weir_dtype dtype, const uint8_t *block, size_t group) {
    const float d = float_from_half_at(block);
    switch ((int)dtype) {
    case WEIR_DTYPE_IQ2_XXS:
        return iq2_scale(d, load_u32(block + 2 + 8 * (group / 2) + 4) >> 28);
    case WEIR_DTYPE_IQ2_XS:
        return iq2_scale(d, block[66 + group / 2] >> 4 * (group % 2) & 15);
    case WEIR_DTYPE_IQ2_S:
        return iq2_scale(d, block[74 + group / 2] >> 4 * (group % 2) & 15);
    case WEIR_DTYPE_IQ3_XXS:
        return d * (0.5F + (float)(load_u32(block + 66 + 4 * group) >> 28)) * 0.5F;
    case WEIR_DTYPE_IQ3_S:
        return d * (float)(1 + 2 * (block[106 + group / 2] >> 4 * (group % 2) & 15));
    default:
        return d * (float)iq4_xs_scale(block, group);
    }
}

static void read_iq_block(float *scale, float *offset, weir_dtype dtype, const uint8_t *block) {
    const bool is_iq2 =
        dtype == WEIR_DTYPE_IQ2_XXS || dtype == WEIR_DTYPE_IQ2_XS || dtype == WEIR_DTYPE_IQ2_S;
    const size_t size = is_iq2 ? 16 : 32;
    for (size_t g = 0; g < SUPER / size; g++) {
        put_group(scale, offset, size * g, size, iq_group_scale(dtype, block, g), 0);
    }
}

static void read_nvfp4_block(float *scale, float *offset, const uint8_t *block) {
    for (size_t g = 0; g < 4; g++) {
        put_group(scale, offset, 16 * g, 16, nvfp4_scale(block[g]), 0);
    }
}

void number_grid_read(float *scale, float *offset, weir_dtype dtype, const void *stored,
                      size_t count) {
    const weir_dtype_info *const info = weir_dtype_get(dtype);
    const uint8_t *block = stored;
    for (; count; count -= info->block_elements, block += info->block_bytes) {
        switch ((int)dtype) {
        case WEIR_DTYPE_Q2_K:
        case WEIR_DTYPE_Q3_K:
        case WEIR_DTYPE_Q4_K:
        case WEIR_DTYPE_Q5_K:
        case WEIR_DTYPE_Q6_K:
            read_k_block(scale, offset, dtype, block);
            break;
        case WEIR_DTYPE_IQ1_S:
        case WEIR_DTYPE_IQ1_M:
            read_iq1_block(scale, offset, dtype, block);
            break;
        case WEIR_DTYPE_IQ2_XXS:
        case WEIR_DTYPE_IQ2_XS:
        case WEIR_DTYPE_IQ2_S:
        case WEIR_DTYPE_IQ3_XXS:
        case WEIR_DTYPE_IQ3_S:
        case WEIR_DTYPE_IQ4_XS:
            read_iq_block(scale, offset, dtype, block);
            break;
        case WEIR_DTYPE_NVFP4:
            read_nvfp4_block(scale, offset, block);
            break;
        default:
            read_one_scale(scale, offset, dtype, block);
            break;
        }
        scale += info->block_elements;
        offset += info->block_elements;
    }
}

/* --- cells --- */

/* Levels that are whole numbers one apart: the number of distinct ones says so. */
static inline bool is_even(const number_grid *grid) {
    return grid->levels[grid->level_count - 1] - grid->levels[0] ==
               (float)(grid->level_count - 1) &&
           grid->levels[1] - grid->levels[0] == 1.0F;
}

/* The level that `value` is nearest to: by rounding where levels are one apart, else by bisection
 * of the borders between them. */
static inline size_t nearest_level(const number_grid *grid, bool even, float value) {
    if (even) {
        const float top = (float)(grid->level_count - 1);
        const float place = value - grid->levels[0] + 0.5F;
        return (size_t)(int)(place > 0.0F ? (place < top ? place : top) : 0.0F);
    }
    size_t low = 0;
    size_t high = grid->level_count - 1;
    while (low < high) {
        const size_t middle = (low + high) / 2;
        const float border = 0.5F * (grid->levels[middle] + grid->levels[middle + 1]);
        if (value > border) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    return low;
}

/* A code's cell in levels: the gaps to its neighbours, infinite past the ends. */
typedef struct cell {
    float level;
    float below;
    float above;
} cell;

static inline cell cell_of(const number_grid *grid, bool even, float value) {
    const size_t k = nearest_level(grid, even, value);
    const float *const levels = grid->levels;
    const bool has_above = k + 1 < grid->level_count;
    return (cell){.level = levels[k],
                  .below = k > 0 ? levels[k] - levels[k - 1] : INFINITY,
                  .above = has_above ? levels[k + 1] - levels[k] : INFINITY};
}

/* Mean square, in levels, of the distance of evenly spread numbers from the level. An end is taken
 * to reach as far out as in. */
static inline float cell_variance(cell of) {
    const float below = isinf(of.below) ? of.above : of.below;
    const float above = isinf(of.above) ? of.below : of.above;
    return (below * below * below + above * above * above) / (12.0F * (below + above));
}

/* Factors of a group's scale that leave every number in its cell. */
typedef struct factor_range {
    float low;
    float high;
    bool is_empty;
} factor_range;

/* Number `base` against a cell from `low` to `high`, in numbers: base / t must lie in it. */
static inline void narrow_factor(factor_range *range, float base, float low, float high) {
    if (base < 0.0F) {
        const float turned = -high;
        high = -low;
        low = turned;
        base = -base;
    }
    const float more = base * (1.0F + 0x1p-21F);
    const float less = base * (1.0F - 0x1p-21F);
    if (high < 0.0F || (high <= 0.0F && base > 0.0F)) {
        range->is_empty = true;
        return;
    }
    const float least = isinf(high) || high <= 0.0F ? 0.0F : less / high;
    const float most = low > 0.0F ? more / low : INFINITY;
    range->low = least > range->low ? least : range->low;
    range->high = most < range->high ? most : range->high;
}

/* One number, of which `spot` is the place in levels from the level of its code. */
static inline void add_number(cell_stats *sum, const number_grid *grid, cell of, float spot,
                              float size, float width, float reach) {
    const float slack = grid->slack * size / width;
    const float past_below = -0.5F * of.below - spot; /* positive outside */
    const float past_above = spot - 0.5F * of.above;
    const float past = past_below > past_above ? past_below : past_above;
    const float gap = past_below > past_above ? of.below : of.above;
    const float toward = spot < 0.0F ? of.below : of.above;
    const float inner = isinf(toward) ? (spot < 0.0F ? of.above : of.below) : toward;
    sum->strict += past <= 0.0F;
    sum->equal += past <= slack;
    sum->near += fabsf(spot) <= reach * inner;
    const float strip = gap / BORDER_STRIPS;
    if (past <= 0.0F && past >= -strip) {
        sum->flips += 0.5 / (double)(strip * width);
    }
}

static inline void add_sums(cell_stats *sum, const number_grid *grid, cell of, float base,
                            float residual, float width) {
    const double side = (double)(grid->spread * width);
    sum->residual_square += (double)residual * (double)residual;
    sum->residual_base += (double)residual * (double)base;
    sum->base_square += (double)base * (double)base;
    sum->expected_square += (double)cell_variance(of) * side * side;
}

static inline bool is_told(float base, float model, float scale, float offset) {
    return isfinite(base) && isfinite(model) && isfinite(offset) && isfinite(1.0F / scale) &&
           isfinite(scale);
}

static void add_group(cell_stats *sum, const number_grid *grid, const float *base,
                      const float *model, const float *scale, const float *offset, size_t count,
                      float reach) {
    factor_range range = {.low = 1.0F / CELL_FACTOR_MOST, .high = CELL_FACTOR_MOST};
    const bool even = is_even(grid);
    size_t told = 0;
    for (size_t i = 0; i < count; i++) {
        if (!is_told(base[i], model[i], scale[i], offset[i])) {
            continue;
        }
        const float width = fabsf(scale[i]);
        const float residual = model[i] - base[i];
        const cell of = cell_of(grid, even, (model[i] - offset[i]) / scale[i]);
        const float spot = (base[i] - offset[i]) / scale[i] - of.level;
        const float low = offset[i] + scale[i] * (of.level - 0.5F * of.below);
        const float high = offset[i] + scale[i] * (of.level + 0.5F * of.above);
        const bool is_turned = scale[i] < 0.0F;
        add_number(sum, grid, of, spot, fabsf(base[i]) + fabsf(residual), width, reach);
        add_sums(sum, grid, of, base[i], residual, width);
        narrow_factor(&range, base[i], is_turned ? high : low, is_turned ? low : high);
        told++;
    }
    sum->count += told;
    sum->mute += count - told;
    if (grid->group > 0 && !range.is_empty && range.low <= range.high) {
        sum->one_step += told;
    }
}

void cell_stats_add(cell_stats *sum, const number_grid *grid, const float *base, const float *model,
                    const float *scale, const float *offset, size_t count, float reach) {
    const size_t together = grid->group > 0 ? grid->group : 256;
    for (size_t i = 0; i < count; i += together) {
        const size_t some = count - i < together ? count - i : together;
        add_group(sum, grid, base + i, model + i, scale + i, offset + i, some, reach);
    }
}

double cell_noise(const number_grid *grid, const float *model, const float *scale,
                  const float *offset, size_t count) {
    const bool even = is_even(grid);
    double sum = 0;
    size_t told = 0;
    for (size_t i = 0; i < count; i++) {
        if (is_told(0.0F, model[i], scale[i], offset[i])) {
            const double side = (double)(grid->spread * fabsf(scale[i]));
            const cell of = cell_of(grid, even, (model[i] - offset[i]) / scale[i]);
            sum += (double)cell_variance(of) * side * side;
            told++;
        }
    }
    return told > 0 ? sum / (double)told : (double)NAN;
}
