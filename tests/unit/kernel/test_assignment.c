/* SPDX-License-Identifier: Apache-2.0 */
#include "../testing.h"

#include "kernel/assignment.h"
#include "levels.h"

static int32_t total(int32_t cost[ASSIGNMENT_MAX][ASSIGNMENT_MAX], const uint8_t *column_of,
                     size_t n) {
    int32_t sum = 0;
    for (size_t i = 0; i < n; i++) {
        sum += cost[i][column_of[i]];
    }
    return sum;
}

/* Every permutation, by Heap's method. */
static int32_t least_of_all(int32_t cost[ASSIGNMENT_MAX][ASSIGNMENT_MAX], size_t n) {
    uint8_t order[ASSIGNMENT_MAX];
    size_t counter[ASSIGNMENT_MAX] = {0};
    for (size_t i = 0; i < n; i++) {
        order[i] = i;
    }
    int32_t least = total(cost, order, n);
    for (size_t i = 0; i < n;) {
        if (counter[i] < i) {
            const size_t other = i % 2 ? counter[i] : 0;
            const uint8_t kept = order[other];
            order[other] = order[i];
            order[i] = kept;
            const int32_t sum = total(cost, order, n);
            least = sum < least ? sum : least;
            counter[i]++;
            i = 0;
        } else {
            counter[i++] = 0;
        }
    }
    return least;
}

static void is_as_cheap_as_the_best_of_all_permutations(void **state) {
    (void)state;
    uint64_t seed = 3;
    for (size_t n = 1; n <= 7; n++) {
        for (int trial = 0; trial < 40; trial++) {
            int32_t cost[ASSIGNMENT_MAX][ASSIGNMENT_MAX];
            uint8_t column_of[ASSIGNMENT_MAX];
            for (size_t i = 0; i < n * ASSIGNMENT_MAX; i++) {
                cost[i / ASSIGNMENT_MAX][i % ASSIGNMENT_MAX] = draw(&seed) % 50;
            }

            assignment_solve(column_of, cost, n);

            unsigned seen = 0;
            for (size_t i = 0; i < n; i++) {
                seen |= 1U << column_of[i];
            }
            assert_int_equal(seen, (1U << n) - 1);
            assert_int_equal(total(cost, column_of, n), least_of_all(cost, n));
        }
    }
}

/* scipy.optimize.linear_sum_assignment of cost[i][j] = (i * 37 + j * 101 + i * j * 17) % 257. */
static void sixteen_rows_cost_what_scipy_finds(void **state) {
    (void)state;
    int32_t cost[ASSIGNMENT_MAX][ASSIGNMENT_MAX];
    uint8_t column_of[ASSIGNMENT_MAX];
    for (int i = 0; i < ASSIGNMENT_MAX; i++) {
        for (int j = 0; j < ASSIGNMENT_MAX; j++) {
            cost[i][j] = (i * 37 + j * 101 + i * j * 17) % 257;
        }
    }

    assignment_solve(column_of, cost, ASSIGNMENT_MAX);

    assert_int_equal(total(cost, column_of, ASSIGNMENT_MAX), 272);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(is_as_cheap_as_the_best_of_all_permutations),
        cmocka_unit_test(sixteen_rows_cost_what_scipy_finds),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
