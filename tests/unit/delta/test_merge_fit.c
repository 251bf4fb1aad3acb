/* SPDX-License-Identifier: Apache-2.0 */
/* Sums of changes with known weights, rounded to bf16, among candidates that took no part. */
#include "../testing.h"

#include <math.h>
#include <stdlib.h>

#include "delta/merge_fit.h"
#include "delta/merge_rule.h"

enum { N = 1 << 16, PARENTS = 22, BF16_BITS = 7 };

static double draw_normal(uint64_t *state) {
    double sum = -6;
    for (int i = 0; i < 12; i++) {
        *state = *state * 6364136223846793005u + 1442695040888963407u;
        sum += (double)(*state >> 11) * 0x1p-53;
    }
    return sum;
}

/* A base and fine-tunes whose changes have a cosine of .6 with each other, of relative size
 * `delta`; all in bf16. */
static merge_sample *make_family(double delta) {
    merge_sample *out = calloc(1, sizeof *out);
    uint64_t state = 5;
    out->count = N;
    out->cols = 256;
    out->parent_count = PARENTS;
    out->memory = malloc((PARENTS + 2) * sizeof(float) * N);
    out->model = out->memory;
    out->base = out->memory + N;
    for (size_t j = 0; j < PARENTS; j++) {
        out->parents[j] = out->memory + (2 + j) * (size_t)N;
    }
    for (size_t i = 0; i < N; i++) {
        const double base = (double)merge_round((float)draw_normal(&state), WEIR_DTYPE_BF16);
        const double common = sqrt(0.6) * draw_normal(&state);
        out->base[i] = (float)base;
        for (size_t j = 0; j < PARENTS; j++) {
            const double change = delta * (common + sqrt(0.4) * draw_normal(&state));
            out->parents[j][i] = merge_round((float)(base + change), WEIR_DTYPE_BF16);
        }
    }
    return out;
}

static void free_family(merge_sample *family) {
    free(family->memory);
    free(family);
}

static void merge_two(merge_sample *family, double first, double second) {
    for (size_t i = 0; i < N; i++) {
        const double base = (double)family->base[i];
        const double sum = base + first * ((double)family->parents[3][i] - base) +
                           second * ((double)family->parents[8][i] - base);
        family->model[i] = merge_round((float)sum, WEIR_DTYPE_BF16);
    }
}

static merge_fit select_of(const merge_sample *family) {
    static merge_gram gram; /* large: not on the stack */
    merge_fit fit;
    gram = (merge_gram){0};
    assert_int_equal(merge_gram_add(&gram, family, BF16_BITS, NULL), WEIR_OK);
    merge_fit_select(&fit, &gram);
    return fit;
}

static void two_parents_are_found_among_twenty_decoys(void **state) {
    (void)state;
    merge_sample *family = make_family(0.01);

    merge_two(family, 0.7, 0.3);
    const merge_fit fit = select_of(family);

    assert_int_equal(fit.count, 2);
    assert_int_equal(fit.members[0], 3);
    assert_int_equal(fit.members[1], 8);
    assert_true(fabs(fit.weights[0] - 0.7) < 0.01);
    assert_true(fabs(fit.weights[1] - 0.3) < 0.01);
    free_family(family);
}

static void weights_beyond_one_are_found(void **state) {
    (void)state;
    merge_sample *family = make_family(0.01);

    merge_two(family, 0.9, 0.5);
    const merge_fit fit = select_of(family);

    assert_int_equal(fit.count, 2);
    assert_true(fabs(merge_fit_weight(&fit, 3) - 0.9) < 0.01);
    assert_true(fabs(merge_fit_weight(&fit, 8) - 0.5) < 0.01);
    assert_true(merge_fit_weight(&fit, 4) == 0);
    free_family(family);
}

static void a_stranger_needs_no_parent(void **state) {
    (void)state;
    merge_sample *family = make_family(0.01);
    uint64_t seed = 99;

    for (size_t i = 0; i < N; i++) {
        family->model[i] = merge_round((float)draw_normal(&seed), WEIR_DTYPE_BF16);
    }
    const merge_fit fit = select_of(family);

    for (size_t i = 0; i < fit.count; i++) {
        assert_int_equal(fit.members[i], PARENTS); /* the base, scaled */
    }
    free_family(family);
}

static void a_repeated_parent_counts_once(void **state) {
    (void)state;
    merge_sample *family = make_family(0.01);

    memcpy(family->parents[9], family->parents[3], N * sizeof(float));
    merge_two(family, 0.7, 0.3);
    const merge_fit fit = select_of(family);

    assert_int_equal(fit.count, 2);
    assert_int_equal(fit.members[0], 3);
    free_family(family);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(two_parents_are_found_among_twenty_decoys),
        cmocka_unit_test(weights_beyond_one_are_found),
        cmocka_unit_test(a_stranger_needs_no_parent),
        cmocka_unit_test(a_repeated_parent_counts_once),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
