/* SPDX-License-Identifier: Apache-2.0 */
#include "../testing.h"

#include "format/name_set.h"

static void a_name_keeps_its_first_value(void **state) {
    (void)state;
    name_set set = {0};
    uint32_t held = 99;

    assert_int_equal(name_set_add(&set, &held, "a", 1, NULL), WEIR_OK);
    assert_int_equal(held, 1);
    assert_int_equal(name_set_add(&set, &held, "", 2, NULL), WEIR_OK);
    assert_int_equal(held, 2);
    assert_int_equal(name_set_add(&set, &held, "a", 3, NULL), WEIR_OK);
    assert_int_equal(held, 1);

    name_set_release(&set);
}

static void many_names_are_told_apart(void **state) {
    (void)state;
    enum { COUNT = 20000 };
    static char names[COUNT][24];
    name_set set = {0};
    uint32_t held;
    assert_false(name_set_has(&set, "layers.0.weight"));
    for (uint32_t i = 0; i < COUNT; i++) {
        (void)snprintf(names[i], sizeof names[i], "layers.%u.weight", i);
        assert_int_equal(name_set_add(&set, &held, names[i], i, NULL), WEIR_OK);
        assert_int_equal(held, i);
        assert_true(name_set_has(&set, names[i]));
    }
    assert_false(name_set_has(&set, "layers.20000.weight"));
    for (uint32_t i = 0; i < COUNT; i++) {
        char copy[24];
        memcpy(copy, names[i], sizeof copy);
        assert_int_equal(name_set_add(&set, &held, copy, COUNT, NULL), WEIR_OK);
        assert_int_equal(held, i);
    }
    assert_int_equal(set.count, COUNT);
    name_set_release(&set);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_name_keeps_its_first_value),
        cmocka_unit_test(many_names_are_told_apart),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
