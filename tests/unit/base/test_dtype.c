/* SPDX-License-Identifier: Apache-2.0 */
#include "../testing.h"

#include "base/dtype.h"

static void every_dtype_has_a_row_and_is_found_by_its_own_name(void **state) {
    (void)state;
    size_t safetensors_count = 0;
    for (size_t i = 0; i < WEIR_DTYPE_COUNT; i++) {
        const weir_dtype_info *info = weir_dtype_get((weir_dtype)i);
        weir_dtype found;
        assert_non_null(info->name);
        assert_true(info->block_elements > 0 && info->block_bytes > 0);
        if (info->in_safetensors) {
            safetensors_count++;
            assert_true(dtype_find_safetensors(&found, info->name, strlen(info->name)));
            assert_int_equal(found, i);
        }
        if (info->ggml_type >= 0) {
            assert_true(dtype_find_ggml(&found, (uint32_t)info->ggml_type));
            assert_int_equal(found, i);
        }
    }
    assert_int_equal(safetensors_count, 22);
}

static void removed_ggml_types_are_not_found(void **state) {
    (void)state;
    static const uint32_t removed[] = {4, 5, 31, 32, 33, 36, 37, 38, 42, 99, UINT32_MAX};
    for (size_t i = 0; i < sizeof removed / sizeof *removed; i++) {
        weir_dtype found;
        assert_false(dtype_find_ggml(&found, removed[i]));
    }
}

static void sizes_that_wrap_or_break_a_block_are_refused(void **state) {
    (void)state;
    uint64_t bytes = 7;

    assert_true(dtype_bytes(&bytes, WEIR_DTYPE_Q4_K, 512));
    assert_int_equal(bytes, 288);
    assert_true(dtype_bytes(&bytes, WEIR_DTYPE_F6_E2M3, 8));
    assert_int_equal(bytes, 6);
    assert_false(dtype_bytes(&bytes, WEIR_DTYPE_Q4_K, 255));
    assert_false(dtype_bytes(&bytes, WEIR_DTYPE_F4, 3));
    assert_false(dtype_bytes(&bytes, WEIR_DTYPE_F64, UINT64_MAX / 4));
    assert_int_equal(bytes, 6);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_dtype_has_a_row_and_is_found_by_its_own_name),
        cmocka_unit_test(removed_ggml_types_are_not_found),
        cmocka_unit_test(sizes_that_wrap_or_break_a_block_are_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
