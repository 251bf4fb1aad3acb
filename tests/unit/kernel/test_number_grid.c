/* SPDX-License-Identifier: Apache-2.0 */
#include "../testing.h"

#include <math.h>
#include <stdlib.h>

#include "kernel/convert.h"
#include "kernel/number_grid.h"
#include "levels.h"

enum { NUMBERS = 256 * 24, STORED_MAX = NUMBERS / 32 * 40 };

static const weir_dtype coded[] = {
    WEIR_DTYPE_Q4_0,  WEIR_DTYPE_Q4_1,   WEIR_DTYPE_Q5_0,    WEIR_DTYPE_Q5_1,  WEIR_DTYPE_Q8_0,
    WEIR_DTYPE_Q8_1,  WEIR_DTYPE_Q2_K,   WEIR_DTYPE_Q3_K,    WEIR_DTYPE_Q4_K,  WEIR_DTYPE_Q5_K,
    WEIR_DTYPE_Q6_K,  WEIR_DTYPE_Q8_K,   WEIR_DTYPE_IQ1_S,   WEIR_DTYPE_IQ1_M, WEIR_DTYPE_IQ2_XXS,
    WEIR_DTYPE_IQ2_S, WEIR_DTYPE_IQ2_XS, WEIR_DTYPE_IQ3_XXS, WEIR_DTYPE_IQ3_S, WEIR_DTYPE_IQ4_NL,
    WEIR_DTYPE_TQ1_0, WEIR_DTYPE_IQ4_XS, WEIR_DTYPE_TQ2_0,   WEIR_DTYPE_MXFP4, WEIR_DTYPE_NVFP4,
    WEIR_DTYPE_Q1_0,
};

typedef struct blocks {
    number_grid grid;
    uint8_t stored[STORED_MAX];
    float model[NUMBERS];
    float scale[NUMBERS];
    float offset[NUMBERS];
    size_t count;
} blocks;

static void draw_blocks(blocks *out, weir_dtype dtype) {
    const weir_dtype_info *const info = weir_dtype_get(dtype);
    uint64_t seed = 77 + (uint64_t)dtype;
    out->count = NUMBERS / info->block_elements * info->block_elements;
    for (size_t i = 0; i < STORED_MAX; i++) {
        out->stored[i] = (uint8_t)(draw(&seed) >> 24);
    }
    assert_true(number_grid_of(&out->grid, dtype));
    convert_to_f32(out->model, dtype, out->stored, out->count);
    number_grid_read(out->scale, out->offset, dtype, out->stored, out->count);
}

/* Nearest level, by looking at all of them. */
static size_t level_of(const number_grid *grid, double value) {
    size_t nearest = 0;
    for (size_t k = 1; k < grid->level_count; k++) {
        if (fabs((double)grid->levels[k] - value) < fabs((double)grid->levels[nearest] - value)) {
            nearest = k;
        }
    }
    return nearest;
}

static void every_number_of_a_block_is_a_level_of_its_scale(void **state) {
    (void)state;
    blocks *const some = calloc(1, sizeof *some);
    assert_non_null(some);
    for (size_t t = 0; t < sizeof coded / sizeof *coded; t++) {
        draw_blocks(some, coded[t]);
        bool is_seen[256] = {false};

        for (size_t i = 0; i < some->count; i++) {
            const double scale = (double)some->scale[i];
            if (!isfinite(some->model[i]) || !isfinite(some->scale[i] * 1e3F) ||
                fabs(scale) < 1e-30 || fabs((double)some->offset[i]) > 1e3 * fabs(scale)) {
                continue; /* random bytes make scales that are no numbers, or vanish */
            }
            const double level = ((double)some->model[i] - (double)some->offset[i]) / scale;
            const size_t k = level_of(&some->grid, level);
            if (!(fabs(level - (double)some->grid.levels[k]) <= 1e-3)) {
                fail_msg("%s element %zu: level %.9g", weir_dtype_name(coded[t]), i, level);
            }
            is_seen[k] = true;
        }

        size_t seen = 0;
        for (size_t k = 0; k < some->grid.level_count; k++) {
            seen += is_seen[k];
        }
        assert_int_equal(seen, some->grid.level_count);
    }
    free(some);
}

static void dtypes_without_levels_have_no_grid(void **state) {
    (void)state;
    static const weir_dtype others[] = {WEIR_DTYPE_F32, WEIR_DTYPE_BF16, WEIR_DTYPE_I8,
                                        WEIR_DTYPE_C64, WEIR_DTYPE_F8_E4M3};
    number_grid grid;
    for (size_t i = 0; i < sizeof others / sizeof *others; i++) {
        assert_false(number_grid_of(&grid, others[i]));
    }
}

/* Four levels 0 1 2 3 with a scale of 2 and an offset of -1: numbers -1 1 3 5. */
static void cells_end_half_way_and_are_open_at_the_ends(void **state) {
    (void)state;
    number_grid grid = number_grid_whole(0, 3);
    grid.slack = 0;
    grid.group = 8;
    const float model[8] = {-1, 1, 1, 3, 5, 5, 3, 1};
    const float base[8] = {-70, 0, 1.9F, 4, 90, 4.1F, 4.5F, -0.5F};
    const float scale[8] = {2, 2, 2, 2, 2, 2, 2, 2};
    const float offset[8] = {-1, -1, -1, -1, -1, -1, -1, -1};
    cell_stats sum = {0};

    cell_stats_add(&sum, &grid, base, model, scale, offset, 8, /* reach= */ 1.0F);

    assert_int_equal(sum.count, 8);
    assert_int_equal(sum.equal, 6); /* 4.5 belongs to 5, -0.5 to -1 */
    assert_int_equal(sum.near, 6);  /* -70 and 90 lie far beyond the ends */
    assert_int_equal(sum.one_step, 0);
}

static void a_scale_of_zero_says_nothing(void **state) {
    (void)state;
    const number_grid grid = number_grid_whole(0, 3);
    const float model[3] = {0, 0, 0};
    const float base[3] = {5, (float)NAN, 1};
    const float scale[3] = {0, 1, (float)INFINITY};
    const float offset[3] = {0, 0, 0};
    cell_stats sum = {0};

    cell_stats_add(&sum, &grid, base, model, scale, offset, 3, 1.0F);

    assert_int_equal(sum.count, 0);
    assert_int_equal(sum.mute, 3);
    assert_true(isnan(cell_noise(&grid, model, scale, offset, 1)));
}

/* Codes made with a scale a tenth larger than the stored one. */
static void one_factor_of_the_scale_explains_a_group(void **state) {
    (void)state;
    number_grid grid = number_grid_whole(-8, 7);
    grid.group = 32;
    float base[64];
    float model[64];
    float scale[64];
    float offset[64] = {0};
    uint64_t seed = 5;
    for (size_t i = 0; i < 64; i++) {
        base[i] = ((float)(draw(&seed) % 14001) - 7000.0F) / 1000.0F;
        model[i] = nearbyintf(base[i] / 1.1F);
        scale[i] = 1.0F;
    }
    model[40] += 1; /* no factor explains the second group */
    cell_stats sum = {0};

    cell_stats_add(&sum, &grid, base, model, scale, offset, 64, 1.0F);

    assert_true(sum.equal < 60);
    assert_int_equal(sum.one_step, 32);
}

/* A step of 1/2 leaves 1/48; of cells with sides a and b, (a^3 + b^3) / (12 (a + b)). */
static void noise_is_that_of_numbers_spread_over_their_cells(void **state) {
    (void)state;
    static const float uneven[3] = {0, 1, 4};
    const number_grid even = number_grid_whole(0, 15);
    const number_grid odd = {.levels = uneven, .level_count = 3, .spread = 1};
    const float middle[1] = {3.0F};
    const float half[1] = {0.5F};
    const float one[1] = {1.0F};
    const float zero[1] = {0};

    assert_float_equal(cell_noise(&even, middle, half, zero, 1), 1.0 / 48, 1e-9);
    assert_float_equal(cell_noise(&odd, one, one, zero, 1), 28.0 / 48, 1e-6);
}

/* A change of mean size e moves e * flips numbers. */
static void flips_say_how_many_codes_a_change_moves(void **state) {
    (void)state;
    enum { COUNT = 1 << 16 };
    number_grid grid = number_grid_whole(-128, 127);
    grid.slack = 0;
    float *const base = calloc(5 * COUNT, sizeof *base);
    assert_non_null(base);
    float *const model = base + COUNT;
    float *const scale = model + COUNT;
    float *const offset = scale + COUNT;
    float *const moved = offset + COUNT;
    uint64_t seed = 9;
    for (size_t i = 0; i < COUNT; i++) {
        base[i] = ((float)(draw(&seed) % 200001) - 100000.0F) / 1000.0F;
        model[i] = nearbyintf(base[i]);
        scale[i] = 1;
        moved[i] = base[i] + (draw(&seed) % 2 ? 0.01F : -0.01F);
    }
    cell_stats still = {0};
    cell_stats after = {0};

    cell_stats_add(&still, &grid, base, model, scale, offset, COUNT, 1.0F);
    cell_stats_add(&after, &grid, moved, model, scale, offset, COUNT, 1.0F);

    const double left = (double)(after.count - after.strict);
    assert_float_equal(left / (0.01 * still.flips), 1.0, 0.15);
    free(base);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_number_of_a_block_is_a_level_of_its_scale),
        cmocka_unit_test(dtypes_without_levels_have_no_grid),
        cmocka_unit_test(cells_end_half_way_and_are_open_at_the_ends),
        cmocka_unit_test(a_scale_of_zero_says_nothing),
        cmocka_unit_test(one_factor_of_the_scale_explains_a_group),
        cmocka_unit_test(noise_is_that_of_numbers_spread_over_their_cells),
        cmocka_unit_test(flips_say_how_many_codes_a_change_moves),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
