/* SPDX-License-Identifier: Apache-2.0 */
#include "../testing.h"

#include "base/text.h"

static void overlong_and_surrogate_forms_are_not_utf8(void **state) {
    (void)state;
    static const char *const bad[] = {
        "\xC0\x80",         "\xC1\xBF",         "\xE0\x80\x80",     "\xED\xA0\x80", "\xED\xBF\xBF",
        "\xF0\x80\x80\x80", "\xF4\x90\x80\x80", "\xF5\x80\x80\x80", "\x80",         "\xE2\x82"};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        assert_false(text_is_utf8(bad[i], strlen(bad[i])));
    }
}

static void boundary_characters_are_utf8(void **state) {
    (void)state;
    static const char *const good[] = {"",
                                       "a",
                                       "\xC2\x80",
                                       "\xDF\xBF",
                                       "\xE0\xA0\x80",
                                       "\xED\x9F\xBF",
                                       "\xEE\x80\x80",
                                       "\xF0\x90\x80\x80",
                                       "\xF4\x8F\xBF\xBF"};
    for (size_t i = 0; i < sizeof good / sizeof *good; i++) {
        assert_true(text_is_utf8(good[i], strlen(good[i])));
    }
}

static void terminal_controls_and_hidden_marks_are_escaped(void **state) {
    (void)state;
    char out[128];
    const char text[] = "a\x1b[31mb\n\xE2\x80\xAE"
                        "c\xFF";

    text_escape(out, sizeof out, text, sizeof text - 1);

    assert_string_equal(out, "a\\x1B[31mb\\x0A\\u{202E}c\\xFF");
}

static void escaping_cuts_at_a_character_boundary(void **state) {
    (void)state;
    char out[4];

    text_escape(out, sizeof out, "ab\xC3\xA9", 4);

    assert_string_equal(out, "ab");
}

static void buffer_gathers_formatted_pieces(void **state) {
    (void)state;
    text_buffer text = {0};

    text_buffer_add(&text, "x=", 2);
    text_buffer_format(&text, "%d%s", 42, "!");

    assert_string_equal(text.data, "x=42!");
    assert_int_equal(text.len, 5);
    assert_false(text.failed);
    text_buffer_release(&text);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(overlong_and_surrogate_forms_are_not_utf8),
        cmocka_unit_test(boundary_characters_are_utf8),
        cmocka_unit_test(terminal_controls_and_hidden_marks_are_escaped),
        cmocka_unit_test(escaping_cuts_at_a_character_boundary),
        cmocka_unit_test(buffer_gathers_formatted_pieces),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
