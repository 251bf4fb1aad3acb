/* SPDX-License-Identifier: Apache-2.0 */
#include "../testing.h"

#include <stdlib.h>

#include "delta/merge_rank.h"

static rank_table table; /* large: not on the stack */

static void take(const float *values, size_t count, uint64_t first, uint64_t last, bool is_fine) {
    table.is_fine = is_fine;
    rank_table_begin(&table);
    table.first.rank = first;
    table.last.rank = last;
    for (int pass = 0; pass < (is_fine ? 2 : 1); pass++) {
        for (size_t i = 0; i < count; i++) {
            rank_table_add(&table, pass, values[i]);
        }
        rank_table_settle(&table, pass);
    }
}

static void numbers_between_two_ranks_are_inside(void **state) {
    (void)state;
    const float values[] = {-5, 1, 4, -2, 3, 0};

    take(values, 6, 2, 5, /* is_fine= */ true);

    const rank_place expected[] = {RANK_OUTSIDE, RANK_OUTSIDE, RANK_INSIDE,
                                   RANK_INSIDE,  RANK_INSIDE,  RANK_OUTSIDE};
    for (size_t i = 0; i < 6; i++) {
        assert_int_equal(rank_table_place(&table, values[i]), expected[i]);
    }
}

static void equal_numbers_at_a_boundary_may_be_either(void **state) {
    (void)state;
    const float values[] = {1, 2, 2, -2, 2, 3};

    take(values, 6, 4, 6, /* is_fine= */ true);

    assert_int_equal(rank_table_place(&table, 2), RANK_EITHER);
    assert_int_equal(rank_table_place(&table, -2), RANK_EITHER);
    assert_int_equal(rank_table_place(&table, 3), RANK_INSIDE);
    assert_int_equal(rank_table_place(&table, 1), RANK_OUTSIDE);
    assert_true(rank_table_share(&table) == 0.25);
}

static void numbers_that_differ_in_the_lower_half_are_told_apart(void **state) {
    (void)state;
    const float values[] = {1.0F, 1.000001F, 1.000002F, 1.000003F};

    take(values, 4, 2, 4, /* is_fine= */ true);
    assert_int_equal(rank_table_place(&table, values[1]), RANK_OUTSIDE);
    assert_int_equal(rank_table_place(&table, values[2]), RANK_INSIDE);

    take(values, 4, 2, 4, /* is_fine= */ false);
    assert_int_equal(rank_table_place(&table, values[1]), RANK_EITHER);
}

static void a_range_of_all_holds_all(void **state) {
    (void)state;
    const float values[] = {0, 1, -1, 7};

    take(values, 4, 0, 4, /* is_fine= */ false);

    for (size_t i = 0; i < 4; i++) {
        assert_int_equal(rank_table_place(&table, values[i]), RANK_INSIDE);
    }
}

static void a_table_is_empty_after_it_begins_again(void **state) {
    (void)state;
    const float many[] = {1, 2, 3, 4, 5, 6, 7, 8};
    const float few[] = {9, 10};

    take(many, 8, 4, 8, /* is_fine= */ true);
    take(few, 2, 1, 2, /* is_fine= */ true);

    assert_int_equal(rank_table_place(&table, 9), RANK_OUTSIDE);
    assert_int_equal(rank_table_place(&table, 10), RANK_INSIDE);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(numbers_between_two_ranks_are_inside),
        cmocka_unit_test(equal_numbers_at_a_boundary_may_be_either),
        cmocka_unit_test(numbers_that_differ_in_the_lower_half_are_told_apart),
        cmocka_unit_test(a_range_of_all_holds_all),
        cmocka_unit_test(a_table_is_empty_after_it_begins_again),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
