/* SPDX-License-Identifier: Apache-2.0 */
#include "../testing.h"

#include "base/arena.h"

static void allocations_are_aligned_zeroed_and_apart(void **state) {
    (void)state;
    arena memory = {0};
    unsigned char *last = NULL;
    for (size_t i = 1; i < 2000; i++) {
        unsigned char *bytes = arena_alloc(&memory, i, 1);
        assert_non_null(bytes);
        assert_int_equal((uintptr_t)bytes % _Alignof(max_align_t), 0);
        for (size_t j = 0; j < i; j++) {
            assert_int_equal(bytes[j], 0);
        }
        char *text = arena_copy_text(&memory, "abc", 3);
        memset(bytes, 0xAA, i);
        assert_string_equal(text, "abc");
        assert_ptr_not_equal(bytes, last);
        last = bytes;
    }
    arena_release(&memory);
}

static void a_product_that_wraps_is_refused(void **state) {
    (void)state;
    arena memory = {0};

    assert_null(arena_alloc(&memory, SIZE_MAX / 2, 3));
    assert_null(arena_alloc(&memory, SIZE_MAX, 1));

    arena_release(&memory);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(allocations_are_aligned_zeroed_and_apart),
        cmocka_unit_test(a_product_that_wraps_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
