/* SPDX-License-Identifier: Apache-2.0 */
#include "opened.h"

#include "base/limits.h"

static void assert_template(const opened *file, size_t index, const char *name, const char *text) {
    assert_true(index < file->model->template_count);
    assert_string_equal(file->model->templates[index].name, name);
    assert_string_equal(file->model->templates[index].text, text);
    assert_int_equal(file->model->templates[index].len, strlen(text));
}

static void a_tokenizer_config_holds_one_template(void **state) {
    (void)state;
    WEIR_CLEANUP(opened_release)
    opened file = open_text("tokenizer_config.json",
                            "{\"chat_template\": \"{{ a }}\\n\", \"tokenizer_class\": \"X\","
                            "\"bos_token\": {\"content\": \"<s>\"}}");

    assert_file(&file, "tokenizer_config", WEIR_VERDICT_CLEAN);
    assert_int_equal(file.model->template_count, 1);
    assert_template(&file, 0, "default", "{{ a }}\n");
    assert_string_equal(file.model->templates[0].at, "key chat_template");
    assert_claim(&file, "tokenizer_config.tokenizer_class", "X");
    assert_claim(&file, "tokenizer_config.bos_token.content", "<s>");
    assert_claim(&file, "tokenizer_config.chat_template", NULL);
}

static void a_tokenizer_config_may_hold_several_by_name(void **state) {
    (void)state;
    WEIR_CLEANUP(opened_release)
    opened file = open_text("tokenizer_config.json",
                            "{\"chat_template\": [{\"name\": \"default\", \"template\": \"A\"},"
                            "{\"template\": \"B\", \"extra\": [1], \"name\": \"tool_use\"},"
                            "{\"name\": \"no text\"}, 3]}");

    assert_int_equal(file.model->template_count, 2);
    assert_template(&file, 0, "default", "A");
    assert_template(&file, 1, "tool_use", "B");
}

static void any_document_with_the_key_holds_a_template(void **state) {
    (void)state;
    WEIR_CLEANUP(opened_release)
    opened json =
        open_text("other.json", "{\"x\": {\"y\": 1}, \"chat_template\": \"J\", \"z\": 1}");
    WEIR_CLEANUP(opened_release)
    opened yaml = open_text("model.yaml", "chat_template: 'Y'\nother: 1\n");
    WEIR_CLEANUP(opened_release)
    opened plain = open_text("chat_template.json", "{\"chat_template\": {\"tool\": \"D\"}}");

    assert_template(&json, 0, "default", "J");
    assert_template(&yaml, 0, "default", "Y");
    assert_template(&plain, 0, "tool", "D");
    assert_int_equal(json.model->claims.count, 0);
    assert_file(&json, "chat_template", WEIR_VERDICT_CLEAN);
}

static void a_template_file_is_a_template(void **state) {
    (void)state;
    static const char *const rows[][2] = {{"chat_template.jinja", "default"},
                                          {"additional_chat_templates/rag.jinja", "rag"},
                                          {"x.j2", "x"},
                                          {"y.template", "y"}};
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        WEIR_CLEANUP(opened_release) opened file = open_text(rows[i][0], "{% if a %}b{% endif %}");

        assert_file(&file, "chat_template", WEIR_VERDICT_CLEAN);
        assert_template(&file, 0, rows[i][1], "{% if a %}b{% endif %}");
    }
}

static void a_nul_does_not_hide_the_rest_of_a_template(void **state) {
    (void)state;
    WEIR_CLEANUP(opened_release)
    opened file = open_text("chat_template.json", "{\"chat_template\": \"a\\u0000b\"}");

    assert_int_equal(file.model->templates[0].len, 3);
    assert_memory_equal(file.model->templates[0].text, "a\0b", 4);
}

static void a_template_that_is_not_text_is_malformed_and_still_kept(void **state) {
    (void)state;
    WEIR_CLEANUP(opened_release) opened file = open_text("chat_template.jinja", "a\xff");

    assert_file(&file, "chat_template", WEIR_VERDICT_MALFORMED);
    assert_int_equal(file.model->template_count, 1);
}

static void a_huge_template_is_not_analysed(void **state) {
    (void)state;
    enum { HUGE_BYTES = TEMPLATE_BYTES_MAX + 64 };
    char *text = test_malloc(HUGE_BYTES);
    memset(text, 'x', HUGE_BYTES);
    WEIR_CLEANUP(opened_release) opened plain = open_bytes("a.jinja", text, HUGE_BYTES);
    memcpy(text, "{\"chat_template\":\"", 18);
    memcpy(text + HUGE_BYTES - 2, "\"}", 2);
    WEIR_CLEANUP(opened_release) opened json = open_bytes("a.json", text, HUGE_BYTES);

    assert_file(&plain, "chat_template", WEIR_VERDICT_NOT_ANALYSED);
    assert_file(&json, "chat_template", WEIR_VERDICT_NOT_ANALYSED);
    assert_int_equal(json.model->template_count, 0);
    assert_non_null(find_finding(&json, "template-limit"));
    test_free(text);
}

static void too_many_templates_are_not_analysed(void **state) {
    (void)state;
    char *text = test_malloc(300 * 16);
    size_t len = (size_t)sprintf(text, "{\"chat_template\":{");
    for (int i = 0; i < 300; i++) {
        len += (size_t)sprintf(text + len, "%s\"%d\":\"t\"", i ? "," : "", i);
    }
    strcpy(text + len, "}}");

    WEIR_CLEANUP(opened_release) opened file = open_text("chat_template.json", text);

    assert_int_equal(file.model->template_count, 256);
    assert_file(&file, "chat_template", WEIR_VERDICT_NOT_ANALYSED);
    test_free(text);
}

static void broken_holders_are_refused_with_their_place(void **state) {
    (void)state;
    static const refusal rows[] = {
        {"", "byte 0", WEIR_VERDICT_MALFORMED},
        {"{\"chat_template\": ", "byte 18", WEIR_VERDICT_MALFORMED},
        {"{\"chat_template\": \"\\ud800\"}", "byte 19", WEIR_VERDICT_MALFORMED},
        {"{\"chat_template\": [{\"name\": \"x\"", "byte 31", WEIR_VERDICT_MALFORMED},
        {"{\"chat_template\": \"a\"", "byte 21", WEIR_VERDICT_MALFORMED},
        {"{\"chat_template\": \"a\", \"chat_template\": \"b\",}", "byte 44",
         WEIR_VERDICT_MALFORMED},
    };
    assert_refused("tokenizer_config.json", rows, sizeof rows / sizeof *rows);
    assert_refused("chat_template.json", rows, sizeof rows / sizeof *rows);
}

static void both_of_two_templates_under_one_key_are_kept(void **state) {
    (void)state;
    WEIR_CLEANUP(opened_release)
    opened file = open_text("a.json", "{\"chat_template\": \"a\", \"chat_template\": \"b\"}");

    assert_template(&file, 0, "default", "a");
    assert_template(&file, 1, "default", "b");
}

static void every_change_to_a_holder_ends_in_an_answer(void **state) {
    (void)state;
    assert_survives_changes("tokenizer_config.json",
                            "{\"chat_template\":[{\"name\":\"n\",\"template\":\"t\"}],\"a\":1}");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_tokenizer_config_holds_one_template),
        cmocka_unit_test(a_tokenizer_config_may_hold_several_by_name),
        cmocka_unit_test(any_document_with_the_key_holds_a_template),
        cmocka_unit_test(a_template_file_is_a_template),
        cmocka_unit_test(a_nul_does_not_hide_the_rest_of_a_template),
        cmocka_unit_test(a_template_that_is_not_text_is_malformed_and_still_kept),
        cmocka_unit_test(a_huge_template_is_not_analysed),
        cmocka_unit_test(too_many_templates_are_not_analysed),
        cmocka_unit_test(broken_holders_are_refused_with_their_place),
        cmocka_unit_test(both_of_two_templates_under_one_key_are_kept),
        cmocka_unit_test(every_change_to_a_holder_ends_in_an_answer),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
