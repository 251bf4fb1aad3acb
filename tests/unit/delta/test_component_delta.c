/* SPDX-License-Identifier: Apache-2.0 */
#include "../testing.h"

#include "delta/file_delta.h"

static void parts_are_known_by_whole_words(void **state) {
    (void)state;
    static const struct {
        const char *name;
        const char *kind; /* NULL: none */
    } rows[] = {
        {"safety_checker", "safety_component"},
        {"requires_safety_checker", "safety_component"},
        {"model.Guard-Head.weight", "safety_component"},
        {"moderation_head", "safety_component"},
        {"watermarking_config.bias", "watermark_component"},
        {"watermarker", "watermark_component"},
        {"model.layers.0.mlp.up_proj.weight", NULL},
        {"safe_serialization", NULL},
        {"vanguard_head.weight", NULL},
        {"guardian.weight", NULL},
        {"safetylike.weight", NULL},
        {"", NULL},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        file_kind kind = FILE_KIND_CONFIG;
        const bool is_named = component_is_named(&kind, rows[i].name);
        if (is_named != (rows[i].kind != NULL)) {
            fail_msg("%s is %s", rows[i].name, is_named ? file_kind_name(kind) : "no part");
        }
        if (is_named) {
            assert_string_equal(file_kind_name(kind), rows[i].kind);
        }
    }
}

static void only_what_says_nothing_is_off(void **state) {
    (void)state;
    assert_true(component_is_off(NULL));
    assert_true(component_is_off("null"));
    assert_true(component_is_off("null, null"));
    assert_true(component_is_off("false"));
    assert_true(component_is_off("{}"));
    assert_true(component_is_off(""));
    assert_true(component_is_off(", "));
    assert_true(component_is_off("null, null, null"));
    assert_false(component_is_off("null, x"));
    assert_false(component_is_off("nullx"));
    assert_false(component_is_off("true"));
    assert_false(component_is_off("stable_diffusion, StableDiffusionSafetyChecker"));
    assert_false(component_is_off("0"));
}

static void every_kind_has_a_name_of_its_own(void **state) {
    (void)state;
    for (int a = 0; a <= FILE_KIND_CONFIG; a++) {
        for (int b = 0; b < a; b++) {
            assert_string_not_equal(file_kind_name((file_kind)a), file_kind_name((file_kind)b));
        }
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(parts_are_known_by_whole_words),
        cmocka_unit_test(only_what_says_nothing_is_off),
        cmocka_unit_test(every_kind_has_a_name_of_its_own),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
