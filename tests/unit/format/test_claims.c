/* SPDX-License-Identifier: Apache-2.0 */
#include "testing.h"

#include <stdlib.h>

#include "base/limits.h"
#include "format/claims.h"

static void add(claims *list, const char *name, const char *value) {
    assert_int_equal(claims_add(list, &(weir_claim){.name = name, .value = value, .file = "a.gguf"},
                                strlen(value), NULL),
                     WEIR_OK);
}

static void the_first_claim_of_a_name_is_found(void **state) {
    (void)state;
    claims list = {0};

    add(&list, "config.hidden_size", "576");
    add(&list, "card.license", "apache-2.0");
    add(&list, "card.license", "mit");

    assert_string_equal(claims_find(&list, "card.license"), "apache-2.0");
    assert_null(claims_find(&list, "card"));
    assert_int_equal(list.count, 3);
    assert_string_equal(list.items[0].file, "a.gguf");
    assert_string_equal(list.items[0].at, "");
    claims_release(&list);
}

static void only_plain_unsigned_integers_are_numbers(void **state) {
    (void)state;
    static const struct {
        const char *text;
        bool is_number;
        uint64_t number;
    } cases[] = {
        {"0", true, 0},
        {"49152", true, 49152},
        {"18446744073709551615", true, UINT64_MAX},
        {"18446744073709551616", false, 0},
        {"", false, 0},
        {"-1", false, 0},
        {"+1", false, 0},
        {"1.0", false, 0},
        {"1e3", false, 0},
        {" 1", false, 0},
        {"0x10", false, 0},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        claims list = {0};
        uint64_t number = 77;
        add(&list, "n", cases[i].text);

        const bool is_number = claims_find_u64(&list, "n", &number);

        assert_int_equal(is_number, cases[i].is_number);
        assert_int_equal(number, cases[i].is_number ? cases[i].number : 77);
        claims_release(&list);
    }
}

static void values_are_made_printable(void **state) {
    (void)state;
    claims list = {0};
    static const char value[] = {'a', '\0', '\x1b', '[', '\xff'};

    assert_int_equal(
        claims_add(&list,
                   &(weir_claim){.name = "k\n", .value = value, .file = "f\r", .at = "byte 1\t"},
                   sizeof value, NULL),
        WEIR_OK);

    assert_string_equal(list.items[0].value, "a\\x00\\x1B[\\xFF");
    assert_string_equal(list.items[0].name, "k\\x0A");
    assert_string_equal(list.items[0].file, "f\\x0D");
    assert_string_equal(list.items[0].at, "byte 1\\x09");
    claims_release(&list);
}

static void a_value_at_the_limit_is_whole_and_a_longer_one_says_it_was_cut(void **state) {
    (void)state;
    enum { LEN = CLAIM_VALUE_BYTES_MAX + 1 };
    claims list = {0};
    char *value = malloc(LEN);
    memset(value, 'v', LEN);

    assert_int_equal(claims_add(&list, &(weir_claim){.name = "whole", .value = value, .file = "f"},
                                LEN - 1, NULL),
                     WEIR_OK);
    assert_int_equal(
        claims_add(&list, &(weir_claim){.name = "cut", .value = value, .file = "f"}, LEN, NULL),
        WEIR_OK);

    assert_int_equal(strlen(list.items[0].value), CLAIM_VALUE_BYTES_MAX);
    assert_int_equal(list.items[1].value[CLAIM_VALUE_BYTES_MAX - 1], 'v');
    assert_non_null(strstr(list.items[1].value + CLAIM_VALUE_BYTES_MAX, " [cut; sha256 of "));
    free(value);
    claims_release(&list);
}

static void a_cut_splits_no_character(void **state) {
    (void)state;
    enum { LEN = CLAIM_VALUE_BYTES_MAX + 8 };
    claims list = {0};
    char *value = malloc(LEN);
    memset(value, 'v', LEN);
    memcpy(value + CLAIM_VALUE_BYTES_MAX - 1, "\xE2\x82\xAC", 3); /* the euro sign */

    assert_int_equal(
        claims_add(&list, &(weir_claim){.name = "cut", .value = value, .file = "f"}, LEN, NULL),
        WEIR_OK);

    assert_non_null(strstr(list.items[0].value + CLAIM_VALUE_BYTES_MAX - 1, " [cut; sha256 of "));
    free(value);
    claims_release(&list);
}

static void control_bytes_alone_still_fit(void **state) {
    (void)state;
    claims list = {0};
    char *value = calloc(1, CLAIM_VALUE_BYTES_MAX);

    assert_int_equal(claims_add(&list, &(weir_claim){.name = "nul", .value = value, .file = "f"},
                                CLAIM_VALUE_BYTES_MAX, NULL),
                     WEIR_OK);

    assert_int_equal(strlen(list.items[0].value), 4 * CLAIM_VALUE_BYTES_MAX);
    free(value);
    claims_release(&list);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_first_claim_of_a_name_is_found),
        cmocka_unit_test(only_plain_unsigned_integers_are_numbers),
        cmocka_unit_test(values_are_made_printable),
        cmocka_unit_test(a_value_at_the_limit_is_whole_and_a_longer_one_says_it_was_cut),
        cmocka_unit_test(a_cut_splits_no_character),
        cmocka_unit_test(control_bytes_alone_still_fit),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
