/* SPDX-License-Identifier: Apache-2.0 */
#include "opened.h"

static void instructions_become_claims(void **state) {
    (void)state;
    WEIR_CLEANUP(opened_release)
    opened file =
        open_text("Modelfile", "# note\nFROM ./m.gguf\n\nparameter temperature 0.7\n"
                               "SYSTEM \"\"\"be\nbrief\"\"\"\nTEMPLATE \"{{ .Prompt }}\"\n");

    assert_file(&file, "modelfile", WEIR_VERDICT_CLEAN);
    assert_claim(&file, "modelfile.from", "./m.gguf");
    assert_claim(&file, "modelfile.parameter.temperature", "0.7");
    assert_claim(&file, "modelfile.system", "be\\x0Abrief");
    assert_claim(&file, "modelfile.template", "{{ .Prompt }}");
    assert_string_equal(file.model->claims.items[2].at, "line 5");
}

static void a_repeated_name_is_numbered(void **state) {
    (void)state;
    WEIR_CLEANUP(opened_release)
    opened file =
        open_text("Modelfile", "PARAMETER stop \"a\"\r\nPARAMETER stop b\nPARAMETER stop c");

    assert_claim(&file, "modelfile.parameter.stop", "a");
    assert_claim(&file, "modelfile.parameter.stop.2", "b");
    assert_claim(&file, "modelfile.parameter.stop.3", "c");
}

static void what_is_no_modelfile_is_refused_with_its_line(void **state) {
    (void)state;
    static const refusal rows[] = {
        {"FROM x\nRUN rm\n", "line 2", WEIR_VERDICT_MALFORMED},
        {"FROMx y\n", "line 1", WEIR_VERDICT_MALFORMED},
        {"FROM x\n\nSYSTEM \"\"\"no end\n\n", "line 3", WEIR_VERDICT_MALFORMED},
        {"= 3\n", "line 1", WEIR_VERDICT_MALFORMED},
        {"averyveryverylonginstruction x\n", "line 1", WEIR_VERDICT_MALFORMED},
    };

    assert_refused("Modelfile", rows, sizeof rows / sizeof *rows);
}

static void instructions_without_end_are_over_the_limit(void **state) {
    (void)state;
    enum { LINES = 300 };
    static const char line[] = "MESSAGE user a\n";
    char text[LINES * (sizeof line - 1) + 1];
    for (size_t i = 0; i < LINES; i++) {
        memcpy(text + i * (sizeof line - 1), line, sizeof line);
    }

    WEIR_CLEANUP(opened_release) opened file = open_text("Modelfile", text);

    assert_file(&file, "modelfile", WEIR_VERDICT_NOT_ANALYSED);
    assert_string_equal(weir_findings_get(file.findings, 0)->at, "line 257");
}

static void any_changed_byte_ends_in_an_answer(void **state) {
    (void)state;
    assert_survives_changes("Modelfile", "FROM x\nPARAMETER stop \"a\"\nSYSTEM \"\"\"b\nc\"\"\"\n");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(instructions_become_claims),
        cmocka_unit_test(a_repeated_name_is_numbered),
        cmocka_unit_test(what_is_no_modelfile_is_refused_with_its_line),
        cmocka_unit_test(instructions_without_end_are_over_the_limit),
        cmocka_unit_test(any_changed_byte_ends_in_an_answer),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
