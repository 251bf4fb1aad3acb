/* SPDX-License-Identifier: Apache-2.0 */
/* Known answers from scipy.stats.t. */
#include "../testing.h"

#include <math.h>

#include "kernel/statistics.h"

static const struct {
    double t;
    size_t df;
    double tail;
} tails[] = {
    {0.5, 2, 0.6666666666666667},     {2, 4, 0.11611652351681556},
    {5.0, 10, 0.0005373336027564527}, {4.3, 30, 0.00016645097482126785},
    {3.0, 62, 0.0038843799069839475}, {1.96, 1000, 0.050273184955748736},
    {12, 8, 2.143866747688769e-06},   {0, 6, 1.0},
};

static const struct {
    double tail;
    size_t df;
    double t;
} quantiles[] = {
    {0.05, 2, 4.302652729749464},        {0.05, 16, 2.1199052992212546},
    {1.5625e-05, 30, 5.141434013702622}, {0.01, 100, 2.6258905214380173},
    {0.05, 1000, 1.9623390808264085},    {1e-06, 20, 6.927031381423296},
};

static void tails_are_those_of_scipy(void **state) {
    (void)state;
    for (size_t k = 0; k < sizeof tails / sizeof *tails; k++) {
        const double mine = student_two_sided(tails[k].t, tails[k].df);

        assert_true(fabs(mine - tails[k].tail) <= 1e-9 * tails[k].tail);
        assert_true(student_two_sided(-tails[k].t, tails[k].df) == mine);
    }
}

static void quantiles_are_those_of_scipy(void **state) {
    (void)state;
    for (size_t k = 0; k < sizeof quantiles / sizeof *quantiles; k++) {
        const double mine = student_quantile(quantiles[k].tail, quantiles[k].df);

        assert_true(fabs(mine - quantiles[k].t) <= 1e-8 * quantiles[k].t);
    }
}

static void odd_and_large_degrees_are_on_the_safe_side(void **state) {
    (void)state;
    assert_true(student_two_sided(3, 7) == student_two_sided(3, 6));
    assert_true(student_two_sided(3, 5000) == student_two_sided(3, STUDENT_DF_MAX));
}

static void too_few_degrees_say_nothing(void **state) {
    (void)state;
    assert_true(student_two_sided(100, 1) == 1);
    assert_true(student_two_sided((double)NAN, 10) == 1);
    assert_true(isinf(student_quantile(0.05, 0)));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(tails_are_those_of_scipy),
        cmocka_unit_test(quantiles_are_those_of_scipy),
        cmocka_unit_test(odd_and_large_degrees_are_on_the_safe_side),
        cmocka_unit_test(too_few_degrees_say_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
