/* SPDX-License-Identifier: Apache-2.0 */
#include "../testing.h"

#include "base/fail.h"
#include "base/findings.h"

static void an_error_names_place_expectation_and_find(void **state) {
    (void)state;
    weir_error err = {0};
    char line[512];

    const weir_code code = weir_fail(&err, WEIR_ERR_FORMAT, "m.gguf", at_byte(12).text,
                                     "version 2 or 3", "version %d", 9);

    assert_int_equal(code, WEIR_ERR_FORMAT);
    assert_string_equal(weir_error_format(&err, line, sizeof line),
                        "m.gguf: byte 12: expected version 2 or 3, found version 9");
}

static void text_of_a_hostile_file_cannot_reach_the_terminal(void **state) {
    (void)state;
    weir_error err = {0};

    (void)weir_fail(&err, WEIR_ERR_FORMAT, "a\x1b]0;x", at_tensor("\x07").text, "e", "f%s",
                    "\x1b[2J");

    assert_string_equal(err.file, "a\\x1B]0;x");
    assert_string_equal(err.at, "tensor \\x07");
    assert_string_equal(err.found, "f\\x1B[2J");
}

static void the_gravest_finding_of_a_file_is_its_verdict(void **state) {
    (void)state;
    weir_findings *findings = NULL;
    assert_int_equal(weir_findings_new(&findings, NULL), WEIR_OK);

    findings_add(findings,
                 &(weir_finding){.id = "a", .verdict = WEIR_VERDICT_MALICIOUS, .file = "x"}, "m");
    findings_add(findings,
                 &(weir_finding){.id = "b", .verdict = WEIR_VERDICT_SUSPICIOUS, .file = "y"}, "s");
    findings_add(findings, &(weir_finding){.id = "c", .file = "y"}, "remark %d", 1);

    assert_int_equal(weir_findings_count(findings), 3);
    assert_int_equal(findings_verdict(findings, "x", WEIR_VERDICT_CLEAN), WEIR_VERDICT_MALICIOUS);
    assert_int_equal(findings_verdict(findings, "y", WEIR_VERDICT_CLEAN), WEIR_VERDICT_SUSPICIOUS);
    assert_int_equal(findings_verdict(findings, "z", WEIR_VERDICT_NOT_ANALYSED),
                     WEIR_VERDICT_NOT_ANALYSED);
    assert_string_equal(weir_findings_get(findings, 2)->message, "remark 1");
    weir_findings_free(findings);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_error_names_place_expectation_and_find),
        cmocka_unit_test(text_of_a_hostile_file_cannot_reach_the_terminal),
        cmocka_unit_test(the_gravest_finding_of_a_file_is_its_verdict),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
