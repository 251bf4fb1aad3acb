/* SPDX-License-Identifier: Apache-2.0 */
/* Children made here by the formulas of the merge methods, from a base and fine-tunes of it. */
#include "../testing.h"

#include <math.h>
#include <stdlib.h>

#include "sketch/parents.h"

enum { LAYERS = 6, PER_LAYER = 2048, N = LAYERS * PER_LAYER, TUNED = 6, STRANGER = TUNED + 1 };
enum { CANDIDATES = TUNED + 2, SUMS = 32 };

static const double bf16 = 0x1p-8;

/* candidate 0 is the base, 1 to TUNED its fine-tunes, then a stranger. */
typedef struct family {
    double rounding;
    float numbers[CANDIDATES][N];
    float child[N];
    parents_piece pieces[LAYERS];
    const float *candidates[CANDIDATES];
} family;

static double draw(uint64_t *state) {
    *state = *state * 6364136223846793005u + 1442695040888963407u;
    return (double)(*state >> 11) * 0x1p-53;
}

/* Close to a normal number: the sum of twelve uniform ones. */
static double draw_normal(uint64_t *state) {
    double sum = -6;
    for (int i = 0; i < 12; i++) {
        sum += draw(state);
    }
    return sum;
}

static float rounded(double value, double rounding) {
    float out = (float)value;
    uint32_t bits;
    memcpy(&bits, &out, sizeof bits);
    if (rounding > 0) {
        bits = (bits + 0x7fff + (bits >> 16 & 1)) & 0xffff0000u;
    }
    memcpy(&out, &bits, sizeof out);
    return out;
}

/* Rows of 64 share a factor, as the rows of a low-rank change do. */
static double change(uint64_t *state, size_t i, double *row) {
    if (i % 64 == 0) {
        *row = 0.5 + draw(state);
    }
    return *row * draw_normal(state);
}

static family *make_family(double delta, double rounding) {
    family *all = calloc(1, sizeof *all);
    assert_non_null(all);
    all->rounding = rounding;
    uint64_t seed = 5;
    for (size_t j = 0; j < CANDIDATES; j++) {
        double row = 1;
        for (size_t i = 0; i < N; i++) {
            const double own = j == 0 || j == STRANGER ? 0.02 * draw_normal(&seed)
                                                       : 0.02 * delta * change(&seed, i, &row);
            const double base = j == 0 || j == STRANGER ? 0 : (double)all->numbers[0][i];
            all->numbers[j][i] = rounded(base + own, rounding);
        }
        all->candidates[j] = all->numbers[j];
    }
    for (size_t p = 0; p < LAYERS; p++) {
        all->pieces[p] = (parents_piece){p * PER_LAYER, PER_LAYER, (int32_t)p};
    }
    return all;
}

static double at(const family *all, size_t j, size_t i) {
    return (double)all->numbers[j][i];
}

static double tuned(const family *all, size_t j, size_t i) {
    return at(all, j, i) - at(all, 0, i);
}

static void set_child(family *all, size_t i, double value) {
    all->child[i] = rounded(value, all->rounding);
}

static parents_input input_of(const family *all) {
    return (parents_input){.child = all->child,
                           .candidates = all->candidates,
                           .candidate_count = CANDIDATES,
                           .pieces = all->pieces,
                           .piece_count = LAYERS,
                           .child_rounding = all->rounding};
}

static parents_result solve(const family *all) {
    const parents_input input = input_of(all);
    parents_result result;
    assert_int_equal(parents_solve(&result, &input, NULL), WEIR_OK);
    return result;
}

static const parents_share *share_of(const parents_result *result, size_t candidate) {
    for (size_t i = 0; i < result->share_count; i++) {
        if (result->shares[i].candidate == candidate) {
            return &result->shares[i];
        }
    }
    return NULL;
}

static void assert_share(const parents_result *result, size_t candidate, double truth) {
    const parents_share *share = share_of(result, candidate);
    assert_non_null(share);
    assert_true(fabs(share->share - truth) < 0.01);
    assert_true(share->low <= truth && truth <= share->high);
    assert_true(share->high - share->low < 0.04);
}

static void assert_nearest(const parents_result *result, size_t candidate) {
    assert_int_equal(result->kind, PARENTS_NEAREST);
    assert_false(result->missing_parent);
    assert_int_equal(result->share_count, 1);
    assert_int_equal(result->shares[0].candidate, candidate);
}

static void linear_merge_gets_its_parents_and_shares(void **state) {
    (void)state;
    const double deltas[] = {0.003, 0.01, 0.03};
    for (size_t k = 0; k < 6; k++) {
        family *all = make_family(deltas[k / 2], k % 2 ? bf16 : 0);
        for (size_t i = 0; i < N; i++) {
            set_child(all, i, .5 * at(all, 2, i) + .3 * at(all, 4, i) + .2 * at(all, 5, i));
        }

        const parents_result result = solve(all);

        assert_int_equal(result.kind, PARENTS_MERGE);
        assert_int_equal(result.share_count, 3);
        assert_int_equal(result.shares[0].candidate, 2);
        assert_share(&result, 2, .5);
        assert_share(&result, 4, .3);
        assert_share(&result, 5, .2);
        free(all);
    }
}

static void task_arithmetic_gives_the_base_what_is_left(void **state) {
    (void)state;
    family *all = make_family(0.01, bf16);
    for (size_t i = 0; i < N; i++) {
        set_child(all, i, at(all, 0, i) + .8 * tuned(all, 1, i) + .6 * tuned(all, 3, i));
    }

    const parents_result result = solve(all);

    assert_int_equal(result.kind, PARENTS_MERGE);
    assert_share(&result, 1, .8);
    assert_share(&result, 3, .6);
    assert_share(&result, 0, -.4);
    free(all);
}

static void slerp_scale_does_not_disturb_shares(void **state) {
    (void)state;
    family *all = make_family(0.03, 0);
    for (size_t i = 0; i < N; i++) {
        set_child(all, i, 1.0003 * (.7 * at(all, 1, i) + .3 * at(all, 2, i)));
    }

    const parents_result result = solve(all);

    assert_int_equal(result.kind, PARENTS_MERGE);
    assert_share(&result, 1, .7);
    assert_share(&result, 2, .3);
    free(all);
}

static void fine_tune_is_no_merge(void **state) {
    (void)state;
    for (size_t from = 0; from < 4; from++) {
        family *all = make_family(0.01, from % 2 ? bf16 : 0);
        uint64_t seed = 77 + from;
        double row = 1;
        for (size_t i = 0; i < N; i++) {
            set_child(all, i, at(all, from, i) + 0.02 * 0.012 * change(&seed, i, &row));
        }

        const parents_result result = solve(all);

        assert_nearest(&result, from);
        assert_true(result.shares[0].share == 1);
        assert_true(result.residual > 0.9);
        free(all);
    }
}

static void unknown_parent_is_missed_and_shares_withheld(void **state) {
    (void)state;
    for (size_t k = 0; k < 2; k++) {
        family *all = make_family(0.01, k ? bf16 : 0);
        for (size_t i = 0; i < N; i++) {
            set_child(all, i, .5 * at(all, 2, i) + .5 * at(all, 4, i));
        }
        all->candidates[4] = NULL;

        const parents_result result = solve(all);

        assert_int_equal(result.kind, PARENTS_MISSING);
        assert_true(result.missing_parent);
        assert_non_null(share_of(&result, 2));
        for (size_t i = 0; i < result.share_count; i++) {
            assert_true(isnan(result.shares[i].share));
            assert_true(isnan(result.shares[i].low));
        }
        assert_true(result.residual > 0.5);
        free(all);
    }
}

static void dare_is_decoded(void **state) {
    (void)state;
    family *all = make_family(0.01, bf16);
    uint64_t seed = 9;
    for (size_t i = 0; i < N; i++) {
        const double one = draw(&seed) < .6 ? tuned(all, 1, i) / .6 : 0;
        const double two = draw(&seed) < .6 ? tuned(all, 5, i) / .6 : 0;
        set_child(all, i, at(all, 0, i) + .5 * one + .5 * two);
    }

    const parents_result result = solve(all);

    assert_int_equal(result.kind, PARENTS_MERGE_SPARSE);
    assert_false(result.missing_parent);
    assert_int_equal(result.share_count, 3);
    assert_non_null(share_of(&result, 0));
    assert_true(fabs(share_of(&result, 1)->share - .5) < .06);
    assert_true(fabs(share_of(&result, 5)->share - .5) < .06);
    free(all);
}

static double trimmed(double value, double least) {
    return fabs(value) >= least ? value : 0;
}

static void ties_are_decoded(void **state) {
    (void)state;
    family *all = make_family(0.01, bf16);
    for (size_t i = 0; i < N; i++) {
        const double one = .6 * trimmed(tuned(all, 1, i), .00013);
        const double two = .4 * trimmed(tuned(all, 5, i), .00013);
        const double sign = one + two >= 0 ? 1 : -1;
        const double whole = (one * sign > 0 ? .6 : 0) + (two * sign > 0 ? .4 : 0);
        const double sum = (one * sign > 0 ? one : 0) + (two * sign > 0 ? two : 0);
        set_child(all, i, at(all, 0, i) + (whole > 0 ? sum / whole : 0));
    }

    const parents_result result = solve(all);

    assert_int_equal(result.kind, PARENTS_MERGE_SPARSE);
    assert_int_equal(result.share_count, 3);
    assert_non_null(share_of(&result, 0));
    assert_non_null(share_of(&result, 1));
    assert_non_null(share_of(&result, 5));
    free(all);
}

static void whole_layers_are_counted(void **state) {
    (void)state;
    family *all = make_family(0.01, bf16);
    for (size_t i = 0; i < N; i++) {
        set_child(all, i, at(all, i < 4 * PER_LAYER ? 3 : 6, i));
    }

    const parents_result result = solve(all);

    assert_int_equal(result.kind, PARENTS_PASSTHROUGH);
    assert_int_equal(result.share_count, 2);
    assert_int_equal(result.shares[0].candidate, 3);
    assert_true(fabs(result.shares[0].share - 4. / 6) < 1e-9);
    assert_int_equal(result.shares[1].candidate, 6);
    free(all);
}

static void weights_that_change_by_layer_are_averaged(void **state) {
    (void)state;
    family *all = make_family(0.01, bf16);
    for (size_t i = 0; i < N; i++) {
        const double part = .1 + .15 * (double)(i / PER_LAYER);
        set_child(all, i, part * at(all, 3, i) + (1 - part) * at(all, 4, i));
    }

    const parents_result result = solve(all);

    assert_int_equal(result.kind, PARENTS_MERGE_LAYERED);
    assert_int_equal(result.share_count, 2);
    assert_share(&result, 3, .475);
    assert_share(&result, 4, .525);
    free(all);
}

static void mirror_in_another_dtype_is_one_candidate(void **state) {
    (void)state;
    family *all = make_family(0.01, 0);
    for (size_t i = 0; i < N; i++) {
        all->numbers[6][i] = rounded(at(all, 2, i), bf16);
        set_child(all, i, .6 * at(all, 2, i) + .4 * at(all, 3, i));
    }

    const parents_result result = solve(all);

    assert_int_equal(result.kind, PARENTS_MERGE);
    assert_int_equal(result.stands_for[6], 2);
    assert_int_equal(result.stands_for[2], 2);
    assert_null(share_of(&result, 6));
    assert_share(&result, 2, .6);
    free(all);
}

static void copy_is_all_of_one(void **state) {
    (void)state;
    family *all = make_family(0.01, 0);
    all->rounding = bf16;
    for (size_t i = 0; i < N; i++) {
        set_child(all, i, at(all, 4, i));
    }

    const parents_result result = solve(all);

    assert_nearest(&result, 4);
    assert_true(result.shares[0].share == 1);
    free(all);
}

static void some_of_a_stranger_makes_no_merge(void **state) {
    (void)state;
    family *all = make_family(0.01, bf16);
    for (size_t i = 0; i < N; i++) {
        set_child(all, i, .97 * at(all, 2, i) + .03 * at(all, STRANGER, i));
    }

    const parents_result result = solve(all);

    assert_nearest(&result, 2);
    free(all);
}

static void unrelated_child_gets_nothing(void **state) {
    (void)state;
    family *all = make_family(0.01, bf16);
    uint64_t seed = 31;
    for (size_t i = 0; i < N; i++) {
        set_child(all, i, 0.02 * draw_normal(&seed));
    }

    const parents_result result = solve(all);

    assert_int_equal(result.kind, PARENTS_NONE);
    assert_int_equal(result.share_count, 0);
    free(all);
}

/* Steps of a third of the numbers' size, in blocks of 32. */
static void quantised_child_is_never_a_merge(void **state) {
    (void)state;
    for (int is_merge = 0; is_merge < 2; is_merge++) {
        family *all = make_family(0.01, 0);
        for (size_t i = 0; i < N; i++) {
            const double value = is_merge ? .5 * at(all, 2, i) + .5 * at(all, 3, i) : at(all, 2, i);
            all->child[i] = (float)(floor(value / .0066 + .5) * .0066);
        }
        parents_input input = input_of(all);
        input.child_noise = .1;
        parents_result result;

        assert_int_equal(parents_solve(&result, &input, NULL), WEIR_OK);

        assert_int_equal(result.kind, PARENTS_NEAREST);
        assert_true(!is_merge || isnan(result.shares[0].share));
        free(all);
    }
}

/* SUMS signed sums of each layer of each model. */
static void project(float *out, const float *numbers) {
    for (size_t p = 0; p < LAYERS; p++) {
        uint64_t seed = 3;
        for (size_t k = 0; k < SUMS; k++) {
            double sum = 0;
            for (size_t i = 0; i < PER_LAYER; i++) {
                const double x = (double)numbers[p * PER_LAYER + i];
                sum += draw(&seed) < .5 ? x : -x;
            }
            out[p * SUMS + k] = (float)sum;
        }
    }
}

static parents_result solve_projected(const family *all) {
    static float sums[CANDIDATES + 1][LAYERS * SUMS];
    const float *candidates[CANDIDATES];
    parents_piece pieces[LAYERS];
    for (size_t j = 0; j < CANDIDATES; j++) {
        project(sums[j], all->numbers[j]);
        candidates[j] = all->candidates[j] ? sums[j] : NULL;
    }
    project(sums[CANDIDATES], all->child);
    for (size_t p = 0; p < LAYERS; p++) {
        pieces[p] = (parents_piece){p * SUMS, SUMS, (int32_t)p};
    }
    const parents_input input = {.child = sums[CANDIDATES],
                                 .candidates = candidates,
                                 .candidate_count = CANDIDATES,
                                 .pieces = pieces,
                                 .piece_count = LAYERS,
                                 .is_projected = true,
                                 .child_rounding = all->rounding};
    parents_result result;
    assert_int_equal(parents_solve(&result, &input, NULL), WEIR_OK);
    return result;
}

static void sums_solve_a_linear_merge(void **state) {
    (void)state;
    family *all = make_family(0.01, 0);
    for (size_t i = 0; i < N; i++) {
        set_child(all, i, .7 * at(all, 2, i) + .3 * at(all, 4, i));
    }

    const parents_result result = solve_projected(all);

    assert_int_equal(result.kind, PARENTS_MERGE);
    assert_share(&result, 2, .7);
    assert_share(&result, 4, .3);
    free(all);
}

static void sums_do_not_tell_a_missing_parent_from_a_sparse_merge(void **state) {
    (void)state;
    family *all = make_family(0.01, 0);
    for (size_t i = 0; i < N; i++) {
        set_child(all, i, .5 * at(all, 2, i) + .5 * at(all, 4, i));
    }
    all->candidates[4] = NULL;

    const parents_result result = solve_projected(all);

    assert_int_equal(result.kind, PARENTS_UNSETTLED);
    assert_false(result.missing_parent);
    assert_true(isnan(result.shares[0].share));
    free(all);
}

/* What sums round to hides a change of 1%: nothing is claimed. */
static void sums_of_coarse_numbers_name_only_the_nearest(void **state) {
    (void)state;
    family *all = make_family(0.003, bf16);
    for (size_t i = 0; i < N; i++) {
        set_child(all, i, .7 * at(all, 2, i) + .3 * at(all, 4, i));
    }

    const parents_result result = solve_projected(all);

    assert_nearest(&result, 2);
    assert_true(isnan(result.shares[0].share));
    free(all);
}

static void numbers_that_are_not_finite_are_left_out(void **state) {
    (void)state;
    family *all = make_family(0.01, bf16);
    for (size_t i = 0; i < N; i++) {
        set_child(all, i, .5 * at(all, 2, i) + .5 * at(all, 4, i));
    }
    all->child[17] = NAN;
    all->child[18] = INFINITY;
    all->numbers[1][40] = NAN;

    const parents_result result = solve(all);

    assert_int_equal(result.kind, PARENTS_MERGE);
    assert_share(&result, 2, .5);
    assert_share(&result, 4, .5);
    free(all);
}

static void same_input_gives_same_bytes(void **state) {
    (void)state;
    family *all = make_family(0.01, bf16);
    for (size_t i = 0; i < N; i++) {
        set_child(all, i, .5 * at(all, 2, i) + .5 * at(all, 4, i));
    }

    const parents_result one = solve(all);
    const parents_result two = solve(all);

    assert_memory_equal(one.shares, two.shares, one.share_count * sizeof *one.shares);
    assert_true(one.residual == two.residual);
    free(all);
}

static void nothing_to_compare_with_is_no_error(void **state) {
    (void)state;
    const float zeros[64] = {0};
    const float *const candidates[2] = {zeros, NULL};
    const parents_piece pieces[2] = {{0, 64, 0}, {64, 0, 1}};
    const parents_input inputs[] = {
        {.child = zeros},
        {.child = zeros, .candidates = candidates, .candidate_count = 2},
        {.child = zeros,
         .candidates = candidates,
         .candidate_count = 2,
         .pieces = pieces,
         .piece_count = 2},
    };
    for (size_t k = 0; k < sizeof inputs / sizeof *inputs; k++) {
        parents_result result;

        assert_int_equal(parents_solve(&result, &inputs[k], NULL), WEIR_OK);

        assert_int_equal(result.kind, PARENTS_NONE);
    }
}

static void more_than_the_limits_are_refused(void **state) {
    (void)state;
    const parents_input many = {.candidate_count = PARENT_CANDIDATES_MAX + 1};
    const parents_input long_one = {.piece_count = PARENT_PIECES_MAX + 1};
    parents_result result = {.share_count = 3};

    assert_int_equal(parents_solve(&result, &many, NULL), WEIR_ERR_ARG);
    assert_int_equal(parents_solve(&result, &long_one, NULL), WEIR_ERR_ARG);

    assert_int_equal(result.share_count, 3);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(linear_merge_gets_its_parents_and_shares),
        cmocka_unit_test(task_arithmetic_gives_the_base_what_is_left),
        cmocka_unit_test(slerp_scale_does_not_disturb_shares),
        cmocka_unit_test(fine_tune_is_no_merge),
        cmocka_unit_test(unknown_parent_is_missed_and_shares_withheld),
        cmocka_unit_test(dare_is_decoded),
        cmocka_unit_test(ties_are_decoded),
        cmocka_unit_test(whole_layers_are_counted),
        cmocka_unit_test(weights_that_change_by_layer_are_averaged),
        cmocka_unit_test(mirror_in_another_dtype_is_one_candidate),
        cmocka_unit_test(copy_is_all_of_one),
        cmocka_unit_test(some_of_a_stranger_makes_no_merge),
        cmocka_unit_test(unrelated_child_gets_nothing),
        cmocka_unit_test(quantised_child_is_never_a_merge),
        cmocka_unit_test(sums_solve_a_linear_merge),
        cmocka_unit_test(sums_do_not_tell_a_missing_parent_from_a_sparse_merge),
        cmocka_unit_test(sums_of_coarse_numbers_name_only_the_nearest),
        cmocka_unit_test(numbers_that_are_not_finite_are_left_out),
        cmocka_unit_test(same_input_gives_same_bytes),
        cmocka_unit_test(nothing_to_compare_with_is_no_error),
        cmocka_unit_test(more_than_the_limits_are_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
