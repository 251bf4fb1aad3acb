/* SPDX-License-Identifier: Apache-2.0 */
#include "opened.h"

static void the_front_matter_becomes_claims(void **state) {
    (void)state;
    WEIR_CLEANUP(opened_release)
    opened file = open_text("README.md", "---\nlicense: apache-2.0\nbase_model:\n- a/b\n- c/d\n"
                                         "base_model_relation: merge\ntags: [x, y]\n"
                                         "model-index:\n- name: z\n---\n# Title\nlicense: mit\n");

    assert_file(&file, "card", WEIR_VERDICT_CLEAN);
    assert_claim(&file, "card.license", "apache-2.0");
    assert_claim(&file, "card.base_model", "a/b, c/d");
    assert_claim(&file, "card.base_model_relation", "merge");
    assert_claim(&file, "card.tags", "x, y");
    assert_int_equal(file.model->claims.count, 4);
    assert_string_equal(file.model->claims.items[0].at, "line 2");
}

static void a_base_may_be_one_text(void **state) {
    (void)state;
    WEIR_CLEANUP(opened_release)
    opened file = open_text("README.md", "---\r\nbase_model: a/b\r\n---\r\n");

    assert_claim(&file, "card.base_model", "a/b");
}

static void a_card_without_front_matter_claims_nothing(void **state) {
    (void)state;
    static const char *const texts[] = {
        "", "# Title\n", "---", "---\n", "---\na: 1\n", "---\n\n---\n", "text\n---\na: 1\n---\n"};
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
        WEIR_CLEANUP(opened_release) opened file = open_text("README.md", texts[i]);

        assert_file(&file, "card", WEIR_VERDICT_CLEAN);
        assert_int_equal(file.model->claims.count, 0);
    }
}

static void broken_front_matter_is_refused_with_its_line(void **state) {
    (void)state;
    static const refusal rows[] = {
        {"---\na: 1\n b: 2\n---\n", "line 3", WEIR_VERDICT_MALFORMED},
        {"---\njust text\n---\n", "line 2", WEIR_VERDICT_MALFORMED},
        {"---\na: &x 1\nb: *x\n---\n", "line 2", WEIR_VERDICT_NOT_ANALYSED},
        {"---\na: &a [x,x]\nb: &b [*a,*a]\nc: [*b,*b]\n---\n", "line 2", WEIR_VERDICT_NOT_ANALYSED},
        {"---\nb: 1\na: !!python/object/apply:os.getcwd []\n---\n", "line 3",
         WEIR_VERDICT_NOT_ANALYSED},
    };
    assert_refused("README.md", rows, sizeof rows / sizeof *rows);
}

static void a_merge_recipe_becomes_claims(void **state) {
    (void)state;
    const char *recipe = "merge_method: ties\nbase_model: o/base\ndtype: bfloat16\nmodels:\n"
                         "  - model: o/a\n    parameters: {weight: 0.5}\n  - model: o/b\n";
    static const char *const names[] = {"mergekit_config.yml", "anything.yaml"};
    for (size_t i = 0; i < 2; i++) {
        WEIR_CLEANUP(opened_release) opened file = open_text(names[i], recipe);

        assert_file(&file, "mergekit_config", WEIR_VERDICT_CLEAN);
        assert_claim(&file, "merge.merge_method", "ties");
        assert_claim(&file, "merge.models.0.parameters.weight", "0.5");
        assert_claim(&file, "merge.models.1.model", "o/b");
        assert_claim(&file, "merge.dtype", "bfloat16");
    }
}

static void other_yaml_is_not_analysed(void **state) {
    (void)state;
    WEIR_CLEANUP(opened_release) opened plain = open_text("x.yaml", "a: 1\n");
    WEIR_CLEANUP(opened_release) opened broken = open_text("x.yaml", "a: [\n");

    assert_file(&plain, "yaml", WEIR_VERDICT_NOT_ANALYSED);
    assert_file(&broken, "yaml", WEIR_VERDICT_NOT_ANALYSED);
}

static void every_change_to_a_card_ends_in_an_answer(void **state) {
    (void)state;
    assert_survives_changes("README.md", "---\na: [b, {c: d}]\nlicense: |\n  x\n---\ntext\n");
    assert_survives_changes("mergekit_config.yml", "models:\n- {model: a, weight: 1}\n");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_front_matter_becomes_claims),
        cmocka_unit_test(a_base_may_be_one_text),
        cmocka_unit_test(a_card_without_front_matter_claims_nothing),
        cmocka_unit_test(broken_front_matter_is_refused_with_its_line),
        cmocka_unit_test(a_merge_recipe_becomes_claims),
        cmocka_unit_test(other_yaml_is_not_analysed),
        cmocka_unit_test(every_change_to_a_card_ends_in_an_answer),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
