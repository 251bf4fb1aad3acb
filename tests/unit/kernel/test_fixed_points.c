/* SPDX-License-Identifier: Apache-2.0 */
#include "../testing.h"

#include <math.h>

#include "kernel/fixed_points.h"

enum { N = 7 };

/* What all 5040 permutations of 7 have. */
typedef struct tally {
    double fixed[N + 1];         /* with exactly so many fixed points */
    double first_five[N + 1];    /* so many among the first five places */
    double longest_chain[N + 1]; /* with a longest rising chain of exactly so many */
    double count;
} tally;

static int chain_of(const int *order) {
    int length[N];
    int best = 0;
    for (int i = 0; i < N; i++) {
        length[i] = 1;
        for (int j = 0; j < i; j++) {
            length[i] =
                order[j] < order[i] && length[j] + 1 > length[i] ? length[j] + 1 : length[i];
        }
        best = length[i] > best ? length[i] : best;
    }
    return best;
}

static void count_all(tally *out, int *order, int begin) {
    if (begin == N) {
        int fixed = 0;
        int first = 0;
        for (int i = 0; i < N; i++) {
            fixed += order[i] == i;
            first += i < 5 && order[i] == i;
        }
        out->fixed[fixed]++;
        out->first_five[first]++;
        out->longest_chain[chain_of(order)]++;
        out->count++;
        return;
    }
    for (int i = begin; i < N; i++) {
        const int kept = order[begin];
        order[begin] = order[i];
        order[i] = kept;
        count_all(out, order, begin + 1);
        order[i] = order[begin];
        order[begin] = kept;
    }
}

static tally all_permutations(void) {
    tally out = {0};
    int order[N];
    for (int i = 0; i < N; i++) {
        order[i] = i;
    }
    count_all(&out, order, 0);
    return out;
}

static double at_least(const double *counts, int k, double all) {
    double sum = 0;
    for (int i = k; i <= N; i++) {
        sum += counts[i];
    }
    return sum / all;
}

static void the_tail_is_that_of_all_permutations(void **state) {
    (void)state;
    const tally all = all_permutations();

    for (int k = 0; k <= N; k++) {
        assert_true(fabs(fixed_points_tail(N, k) - at_least(all.fixed, k, all.count)) < 1e-12);
    }
}

static void the_bound_holds_when_only_some_places_can_match(void **state) {
    (void)state;
    const tally all = all_permutations();

    for (int k = 1; k <= 5; k++) {
        assert_true(fixed_points_bound(N, 5, k) >= at_least(all.first_five, k, all.count) - 1e-12);
    }
    assert_true(fixed_points_bound(N, 5, 6) <= 0);
}

static void the_chain_bound_holds(void **state) {
    (void)state;
    const tally all = all_permutations();

    for (int k = 1; k <= N; k++) {
        assert_true(rising_chain_bound(N, k) >= at_least(all.longest_chain, k, all.count) - 1e-12);
    }
    assert_true(fabs(rising_chain_bound(N, N) - 1 / 5040.0) < 1e-12);
}

/* 1 / 16! */
static void sixteen_in_place_are_one_of_all_orders(void **state) {
    (void)state;

    assert_true(fabs(fixed_points_tail(16, 16) * 20922789888000.0 - 1) < 1e-12);
    assert_true(fabs(fixed_points_bound(16, 16, 16) * 20922789888000.0 - 1) < 1e-12);
    assert_true(fabs(fixed_points_tail(16, 0) - 1) < 1e-12);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_tail_is_that_of_all_permutations),
        cmocka_unit_test(the_bound_holds_when_only_some_places_can_match),
        cmocka_unit_test(the_chain_bound_holds),
        cmocka_unit_test(sixteen_in_place_are_one_of_all_orders),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
