/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Directions are drawn from a fixed generator; W has no meaning. Exact answers: what the edit was.
 */
#include "testing.h"

#include <math.h>
#include <stdlib.h>

#include "delta/ablation_evidence.h"
#include "delta/matrix_look.h"

enum { COUNT = 96, WIDTH = 40, NUMBERS = COUNT * WIDTH, MATRICES = 8 };

typedef struct fixture {
    float base[NUMBERS];
    float change[NUMBERS];
    float directions[2 * WIDTH];
    ablation_workspace work;
} fixture;

/* Uniform in [-1, 1), a linear congruential generator's upper bits. */
static float draw(uint32_t *seed) {
    *seed = *seed * 1664525U + 1013904223U;
    return (float)(*seed >> 8) / 8388608.0F - 1.0F;
}

static void make_directions(float *directions, uint32_t *seed) {
    for (size_t k = 0; k < 2; k++) {
        float *const own = directions + k * WIDTH;
        float along = 0;
        float square = 0;
        for (size_t i = 0; i < WIDTH; i++) {
            own[i] = draw(seed);
            along += k > 0 ? own[i] * directions[i] : 0;
        }
        for (size_t i = 0; i < WIDTH; i++) {
            own[i] -= along * directions[i] * (float)(k > 0);
            square += own[i] * own[i];
        }
        for (size_t i = 0; i < WIDTH; i++) {
            own[i] /= sqrtf(square);
        }
    }
}

static int setup(void **state) {
    fixture *at = calloc(1, sizeof *at);
    uint32_t seed = 7;
    assert_non_null(at);
    for (size_t i = 0; i < NUMBERS; i++) {
        /* Dimensions of unequal size, or every direction were nearly a singular vector. */
        at->base[i] = draw(&seed) * (1.0F + (float)(i % WIDTH) / 10.0F);
    }
    make_directions(at->directions, &seed);
    *state = at;
    return 0;
}

static int teardown(void **state) {
    fixture *at = *state;
    ablation_workspace_release(&at->work);
    free(at);
    return 0;
}

/* change = scale of inputs and dimensions on the base, less its parts along the directions. */
static void edit(fixture *at, const double *strengths, size_t k, float input_step,
                 float dimension_step) {
    for (size_t j = 0; j < COUNT; j++) {
        const float *const row = at->base + j * WIDTH;
        double model[WIDTH];
        for (size_t i = 0; i < WIDTH; i++) {
            model[i] = (double)row[i];
        }
        for (size_t l = 0; l < k; l++) {
            double along = 0;
            for (size_t i = 0; i < WIDTH; i++) {
                along += (double)row[i] * (double)at->directions[l * WIDTH + i];
            }
            for (size_t i = 0; i < WIDTH; i++) {
                model[i] -= strengths[l] * along * (double)at->directions[l * WIDTH + i];
            }
        }
        for (size_t i = 0; i < WIDTH; i++) {
            const double scale = (1 + (double)input_step * (double)(j % 5)) *
                                 (1 + (double)dimension_step * (double)(i % 7));
            at->change[j * WIDTH + i] = (float)(model[i] * scale - (double)row[i]);
        }
    }
}

static ablation_fit fit(fixture *at, size_t k) {
    ablation_fit found;
    assert_int_equal(ablation_fit_pair(&found, at->base, at->change, COUNT, WIDTH, at->directions,
                                       k, NULL, &at->work, NULL),
                     WEIR_OK);
    return found;
}

static void strength_of_a_projection_is_exact(void **state) {
    fixture *at = *state;
    edit(at, (const double[]){0.3}, 1, 0, 0);

    const ablation_fit found = fit(at, 1);

    assert_float_equal(found.strength, 0.3, 1e-4);
    assert_true(found.rest_square < 1e-6 * found.left_square);
    assert_float_equal(found.along_fitted / found.along_square, 1, 1e-6);
}

static void scales_beside_a_projection_are_fitted_out(void **state) {
    fixture *at = *state;
    edit(at, (const double[]){0.8}, 1, 0.02F, 0.01F);

    const ablation_fit found = fit(at, 1);

    assert_float_equal(found.strength, 0.8, 5e-3);
    assert_true(found.rest_square < 1e-3 * found.left_square);
}

static void scaling_leaves_nothing_to_explain(void **state) {
    fixture *at = *state;
    edit(at, NULL, 0, 0.03F, -0.02F);

    const ablation_fit found = fit(at, 1);

    assert_true(found.scales_square < 1e-9 * found.base_square);
    assert_float_equal(found.strength, 0, 1e-3);
}

static void two_directions_have_their_mean_strength(void **state) {
    fixture *at = *state;
    edit(at, (const double[]){0.9, 0.5}, 2, 0, 0);

    const ablation_fit found = fit(at, 2);

    assert_float_equal(found.strength, 0.7, 1e-4);
    assert_true(found.rest_square < 1e-6 * found.left_square);
}

static void change_that_does_not_follow_the_base_is_not_along_it(void **state) {
    fixture *at = *state;
    uint32_t seed = 99;
    for (size_t j = 0; j < COUNT; j++) {
        const float own = draw(&seed);
        for (size_t i = 0; i < WIDTH; i++) {
            at->change[j * WIDTH + i] = own * at->directions[i];
        }
    }

    const ablation_fit found = fit(at, 1);

    assert_true(found.along_fitted < 0.1 * found.along_square);
}

static void a_singular_vector_of_the_base_is_its_own(void **state) {
    (void)state;
    /* W'W is diagonal, so axes are its singular vectors. */
    const float base[3 * 3] = {1, 0, 0, 0, 2, 0, 0, 0, 4};
    const float axis[3] = {0, 1, 0};
    const float other[3] = {0.6F, 0, 0.8F};
    double own;

    assert_int_equal(ablation_own_cosine(&own, base, 3, 3, axis, NULL), WEIR_OK);
    assert_float_equal(own, 1, 1e-6);

    /* (.6, 12.8) to (.6, .8): 10.6 / 12.814 */
    assert_int_equal(ablation_own_cosine(&own, base, 3, 3, other, NULL), WEIR_OK);
    assert_float_equal(own, 0.827216, 1e-5);
}

static void axes_and_the_mean_are_told(void **state) {
    fixture *at = *state;
    edit(at, (const double[]){0.5}, 1, 0, 0);
    for (size_t i = 0; i < WIDTH; i++) {
        at->directions[i] = 1 / sqrtf(WIDTH);
    }
    assert_float_equal(fit(at, 1).mean, 1, 1e-6);
    assert_float_equal(fit(at, 1).axis, 3.0 / WIDTH, 1e-6);

    for (size_t i = 0; i < WIDTH; i++) {
        at->directions[i] = i == 3 ? 1 : 0;
    }
    assert_float_equal(fit(at, 1).axis, 1, 1e-6);
}

/* Eight matrices of four layers that lost one direction; rounding known and small. */
static void fill_pool(ablation_pool *pool, ablation_evidence *items) {
    *pool = (ablation_pool){.items = items, .count = MATRICES, .eigen_ratio = NAN};
    pool->directions[ABLATION_FORM_PLAIN][ABLATION_CANDIDATE_ONE] = 1;
    for (size_t i = 0; i < MATRICES; i++) {
        items[i] = (ablation_evidence){.row = i,
                                       .layer = (int32_t)i / 2,
                                       .count = 1000,
                                       .width = 100,
                                       .rounding = {0.01, 0.01},
                                       .is_rounding_exact = true,
                                       .own = {0.6, 0.6}};
        items[i].fits[ABLATION_FORM_PLAIN][ABLATION_CANDIDATE_ONE] =
            (ablation_fit){.base_square = 100,
                           .scales_square = 0.8,
                           .rest_square = 0.01,
                           .left_square = 0.8,
                           .along_square = 0.8,
                           .along_fitted = 0.79,
                           .strength = 0.9,
                           .axis = 0.2,
                           .mean = 0.1};
    }
}

static ablation_verdict decide(const ablation_pool *pool) {
    static ablation_matrix matrices[MATRICES];
    ablation_verdict verdict = {.matrices = matrices};
    assert_int_equal(ablation_decide(&verdict, pool, NULL), WEIR_OK);
    return verdict;
}

static void the_whole_conjunction_is_ablated(void **state) {
    (void)state;
    ablation_evidence items[MATRICES];
    ablation_pool pool;
    fill_pool(&pool, items);

    const ablation_verdict verdict = decide(&pool);

    assert_int_equal(verdict.answer, ABLATION_YES);
    assert_int_equal(verdict.scope, ABLATION_SCOPE_GLOBAL);
    assert_int_equal(verdict.edited_count, MATRICES);
    assert_float_equal(verdict.share, 1, 1e-6);
    assert_float_equal(verdict.matrices[3].lambda, 0.9, 1e-12);
    assert_null(verdict.why);
}

typedef struct spoiled {
    const char *name;
    void (*spoil)(ablation_evidence *item, ablation_fit *fit);
    ablation_answer answer;
} spoiled;

static void spoil_identity(ablation_evidence *item, ablation_fit *fit) {
    (void)item;
    fit->along_fitted = 0.8 * 0.6;
}
static void spoil_share(ablation_evidence *item, ablation_fit *fit) {
    (void)item;
    fit->rest_square = 0.3;
}
static void spoil_structure(ablation_evidence *item, ablation_fit *fit) {
    (void)fit;
    item->structured[ABLATION_FORM_PLAIN] = 1.2;
}
static void spoil_own(ablation_evidence *item, ablation_fit *fit) {
    (void)fit;
    item->own[ABLATION_FORM_PLAIN] = 0.99;
}
static void spoil_axis(ablation_evidence *item, ablation_fit *fit) {
    (void)item;
    fit->axis = 0.99;
}
static void spoil_mean(ablation_evidence *item, ablation_fit *fit) {
    (void)item;
    fit->mean = 0.99;
}
static void spoil_sign(ablation_evidence *item, ablation_fit *fit) {
    (void)item;
    fit->strength = -0.9;
}
static void spoil_reflection(ablation_evidence *item, ablation_fit *fit) {
    (void)item;
    fit->strength = 2;
}
static void spoil_count(ablation_evidence *item, ablation_fit *fit) {
    if (item->row >= 3) {
        fit->scales_square = fit->left_square = fit->rest_square = 0.01;
        fit->along_square = fit->along_fitted = fit->strength = 0;
    }
}

static void what_misses_one_part_is_not_ablated(void **state) {
    (void)state;
    static const spoiled cases[] = {
        {"identity", spoil_identity, ABLATION_NO},
        {"share", spoil_share, ABLATION_NO},
        {"structure elsewhere", spoil_structure, ABLATION_NO},
        {"own singular vectors", spoil_own, ABLATION_NO},
        {"axis", spoil_axis, ABLATION_NO},
        {"mean", spoil_mean, ABLATION_NO},
        {"strengthened", spoil_sign, ABLATION_NO},
        {"reflected", spoil_reflection, ABLATION_NO},
        {"few matrices", spoil_count, ABLATION_CANNOT_DECIDE},
    };
    for (size_t c = 0; c < sizeof cases / sizeof *cases; c++) {
        ablation_evidence items[MATRICES];
        ablation_pool pool;
        fill_pool(&pool, items);
        for (size_t i = 0; i < MATRICES; i++) {
            cases[c].spoil(&items[i], &items[i].fits[ABLATION_FORM_PLAIN][ABLATION_CANDIDATE_ONE]);
        }

        const ablation_verdict verdict = decide(&pool);

        if (verdict.answer != cases[c].answer || !verdict.why) {
            fail_msg("%s: %d", cases[c].name, (int)verdict.answer);
        }
    }
}

static void no_write_matrix_is_no(void **state) {
    (void)state;
    const ablation_pool pool = {.eigen_ratio = NAN};

    assert_int_equal(decide(&pool).answer, ABLATION_NO);
}

static bool suspect(fixture *at) {
    matrix_look look = {.base = at->base,
                        .change = at->change,
                        .rows = COUNT,
                        .cols = WIDTH,
                        .rows_of = COUNT,
                        .row_step = 1};
    for (size_t i = 0; i < NUMBERS; i++) {
        look.change_square += (double)(at->change[i] * at->change[i]);
        look.base_square += (double)(at->base[i] * at->base[i]);
    }
    bool is_suspect;
    assert_int_equal(ablation_suspect(&is_suspect, &look, NULL), WEIR_OK);
    return is_suspect;
}

static void a_projection_is_suspected_and_noise_or_scale_is_not(void **state) {
    fixture *at = *state;
    uint32_t seed = 5;

    edit(at, (const double[]){0.5}, 1, 0, 0);
    assert_true(suspect(at));

    edit(at, NULL, 0, 0, 0);
    assert_false(suspect(at));

    for (size_t i = 0; i < NUMBERS; i++) {
        at->change[i] = draw(&seed);
    }
    assert_false(suspect(at));

    for (size_t i = 0; i < NUMBERS; i++) {
        at->change[i] = -0.03F * at->base[i] + 1e-4F * draw(&seed);
    }
    assert_false(suspect(at));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(strength_of_a_projection_is_exact, setup, teardown),
        cmocka_unit_test_setup_teardown(scales_beside_a_projection_are_fitted_out, setup, teardown),
        cmocka_unit_test_setup_teardown(scaling_leaves_nothing_to_explain, setup, teardown),
        cmocka_unit_test_setup_teardown(two_directions_have_their_mean_strength, setup, teardown),
        cmocka_unit_test_setup_teardown(change_that_does_not_follow_the_base_is_not_along_it, setup,
                                        teardown),
        cmocka_unit_test(a_singular_vector_of_the_base_is_its_own),
        cmocka_unit_test_setup_teardown(axes_and_the_mean_are_told, setup, teardown),
        cmocka_unit_test(the_whole_conjunction_is_ablated),
        cmocka_unit_test(what_misses_one_part_is_not_ablated),
        cmocka_unit_test(no_write_matrix_is_no),
        cmocka_unit_test_setup_teardown(a_projection_is_suspected_and_noise_or_scale_is_not, setup,
                                        teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
