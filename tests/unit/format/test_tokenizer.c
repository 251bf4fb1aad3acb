/* SPDX-License-Identifier: Apache-2.0 */
#include "opened.h"

#include "io/digest.h"

/* printf 'h e\nl l\n' | sha256sum */
static const char MERGES_HASH[] =
    "76a39c63ec5ba7d63d4365dfb76e50f72eabc158e620e09592454df9c339c117";

static void assert_merges(const opened *file) {
    char text[DIGEST_TEXT_BYTES];
    digest_format(text, file->model->vocabulary.merges_sha256);
    assert_int_equal(file->model->vocabulary.merges, 2);
    assert_string_equal(text, MERGES_HASH);
}

static void assert_token(const opened *file, size_t id, const char *token) {
    assert_true(id < file->model->vocabulary.count);
    assert_string_equal(file->model->vocabulary.tokens[id], token);
}

static void both_spellings_of_merges_are_the_same_merges(void **state) {
    (void)state;
    WEIR_CLEANUP(opened_release)
    opened joined = open_text("tokenizer.json",
                              "{\"model\": {\"type\": \"BPE\", \"vocab\": {\"h\": 0, \"he\": 2},"
                              "\"merges\": [\"h e\", \"l l\"]}}");
    WEIR_CLEANUP(opened_release)
    opened paired =
        open_text("tokenizer.json", "{\"model\": {\"merges\": [[\"h\", \"e\"], [\"l\", \"l\"]],"
                                    "\"vocab\": {\"h\": 0, \"he\": 2}}}");
    WEIR_CLEANUP(opened_release)
    opened lines = open_text("merges.txt", "#version: 0.2\nh e\nl l\n");

    assert_file(&joined, "tokenizer", WEIR_VERDICT_CLEAN);
    assert_merges(&joined);
    assert_merges(&paired);
    assert_merges(&lines);
    assert_string_equal(joined.model->vocabulary.model, "BPE");
    assert_string_equal(paired.model->vocabulary.model, "BPE");
    assert_token(&joined, 2, "he");
    assert_int_equal(joined.model->vocabulary.count, 3);
    assert_null(joined.model->vocabulary.tokens[1]);
    assert_string_equal(joined.model->vocabulary.file, "tokenizer.json");
}

static void unigram_counts_ids_by_place(void **state) {
    (void)state;
    WEIR_CLEANUP(opened_release)
    opened file =
        open_text("tokenizer.json", "{\"model\": {\"type\": \"Unigram\", \"unk_id\": 0,"
                                    "\"vocab\": [[\"<unk>\", 0.0], [\"\\u2581a\", -1.5]]}}");

    assert_string_equal(file.model->vocabulary.model, "Unigram");
    assert_token(&file, 0, "<unk>");
    assert_token(&file, 1,
                 "\xE2\x96\x81"
                 "a");
    assert_claim(&file, "tokenizer.model.unk_id", "0");
    assert_int_equal(file.model->vocabulary.merges, 0);
}

static void added_tokens_win_over_the_model(void **state) {
    (void)state;
    WEIR_CLEANUP(opened_release)
    opened file =
        open_text("tokenizer.json",
                  "{\"added_tokens\": [{\"id\": 1, \"content\": \"<s>\", \"special\": true},"
                  "{\"content\": \"</s>\", \"id\": 3}], \"normalizer\": {\"type\": \"NFC\"},"
                  "\"model\": {\"vocab\": {\"a\": 0, \"b\": 1, \"</s>\": 3}}}");

    assert_token(&file, 0, "a");
    assert_token(&file, 1, "<s>");
    assert_token(&file, 3, "</s>");
    assert_claim(&file, "tokenizer.normalizer.type", "NFC");
    assert_claim(&file, "tokenizer.tokens", "4");
    assert_non_null(find_finding(&file, "tokenizer-two-tokens-one-id"));
    assert_file(&file, "tokenizer", WEIR_VERDICT_CLEAN);
}

static void a_nul_inside_a_token_is_spelled_out(void **state) {
    (void)state;
    WEIR_CLEANUP(opened_release)
    opened file = open_text("tokenizer.json", "{\"model\": {\"vocab\": {\"a\\u0000b\": 0}}}");

    assert_token(&file, 0, "a\\x00b");
}

static void broken_tokenizers_are_refused_with_their_place(void **state) {
    (void)state;
    static const refusal rows[] = {
        {"{\"model\": {\"vocab\": {\"a\": -1}}}", "byte 26", WEIR_VERDICT_MALFORMED},
        {"{\"model\": {\"vocab\": {\"a\": 1.0}}}", "byte 26", WEIR_VERDICT_MALFORMED},
        {"{\"model\": {\"vocab\": {\"a\": \"1\"}}}", "byte 26", WEIR_VERDICT_MALFORMED},
        {"{\"model\": {\"vocab\": {\"a\": 4194304}}}", "byte 21", WEIR_VERDICT_NOT_ANALYSED},
        {"{\"model\": {\"vocab\": [\"a\"]}}", "byte 21", WEIR_VERDICT_MALFORMED},
        {"{\"model\": {\"vocab\": [[\"a\"]]}}", "byte 25", WEIR_VERDICT_MALFORMED},
        {"{\"model\": {\"vocab\": [[\"a\", 1, 2]]}}", "byte 30", WEIR_VERDICT_MALFORMED},
        {"{\"model\": {\"merges\": [\"ab\"]}}", "byte 22", WEIR_VERDICT_MALFORMED},
        {"{\"model\": {\"merges\": [[\"a\"]]}}", "byte 26", WEIR_VERDICT_MALFORMED},
        {"{\"model\": {\"merges\": [[\"a\", \"b\", \"c\"]]}}", "byte 33", WEIR_VERDICT_MALFORMED},
        {"{\"model\": []}", "byte 10", WEIR_VERDICT_MALFORMED},
        {"{\"added_tokens\": [{\"id\": 1}]}", "byte 18", WEIR_VERDICT_MALFORMED},
        {"{\"added_tokens\": [1]}", "byte 18", WEIR_VERDICT_MALFORMED},
        {"{\"model\": {\"vocab\": {\"a\": 0}}", "byte 29", WEIR_VERDICT_MALFORMED},
    };
    assert_refused("tokenizer.json", rows, sizeof rows / sizeof *rows);
}

static void a_refused_tokenizer_leaves_no_vocabulary(void **state) {
    (void)state;
    WEIR_CLEANUP(opened_release)
    opened file = open_text("tokenizer.json", "{\"model\": {\"vocab\": {\"a\": 0}}");

    assert_int_equal(file.model->vocabulary.count, 0);
    assert_null(file.model->vocabulary.tokens);
}

static void a_huge_token_is_over_the_limit(void **state) {
    (void)state;
    enum { LEN = 70000 };
    char *text = test_malloc(LEN + 64);
    const size_t len = (size_t)sprintf(text, "{\"model\": {\"vocab\": {\"%*s\": 0}}}", LEN, "x");

    WEIR_CLEANUP(opened_release) opened file = open_bytes("tokenizer.json", text, len);

    assert_file(&file, "tokenizer", WEIR_VERDICT_NOT_ANALYSED);
    assert_non_null(find_finding(&file, "over-limit"));
    test_free(text);
}

static void the_older_files_hold_a_vocabulary_too(void **state) {
    (void)state;
    WEIR_CLEANUP(opened_release) opened json = open_text("vocab.json", "{\"b\": 1, \"a\": 0}");
    WEIR_CLEANUP(opened_release) opened list = open_text("vocab.txt", "[PAD]\r\na\n##b");

    assert_token(&json, 1, "b");
    assert_file(&json, "vocabulary", WEIR_VERDICT_CLEAN);
    assert_int_equal(list.model->vocabulary.count, 3);
    assert_token(&list, 0, "[PAD]");
    assert_token(&list, 2, "##b");
    assert_string_equal(list.model->vocabulary.model, "WordPiece");
}

static void broken_older_files_are_refused_with_their_place(void **state) {
    (void)state;
    static const refusal merges[] = {{"#version: 0.2\na b\nab\n", "line 3", WEIR_VERDICT_MALFORMED},
                                     {"a b\n\xff c\n", "line 2", WEIR_VERDICT_MALFORMED}};
    static const refusal object[] = {{"[]", "byte 0", WEIR_VERDICT_MALFORMED},
                                     {"{\"a\": 0", "byte 7", WEIR_VERDICT_MALFORMED},
                                     {"{\"a\": 0}x", "byte 8", WEIR_VERDICT_MALFORMED}};
    static const refusal list[] = {{"a\n\xff\n", "line 2", WEIR_VERDICT_MALFORMED}};
    assert_refused("merges.txt", merges, sizeof merges / sizeof *merges);
    assert_refused("vocab.json", object, sizeof object / sizeof *object);
    assert_refused("vocab.txt", list, 1);
}

static void every_change_to_a_tokenizer_ends_in_an_answer(void **state) {
    (void)state;
    assert_survives_changes(
        "tokenizer.json",
        "{\"added_tokens\":[{\"id\":2,\"content\":\"<s>\"}],\"model\":{\"type\":"
        "\"BPE\",\"vocab\":{\"a\":0,\"b\":1},\"merges\":[\"a b\",[\"a\",\"b\"]]}}");
    assert_survives_changes("tokenizer.json", "{\"model\":{\"vocab\":[[\"a\",-1.5],[\"b\",0]]}}");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(both_spellings_of_merges_are_the_same_merges),
        cmocka_unit_test(unigram_counts_ids_by_place),
        cmocka_unit_test(added_tokens_win_over_the_model),
        cmocka_unit_test(a_nul_inside_a_token_is_spelled_out),
        cmocka_unit_test(broken_tokenizers_are_refused_with_their_place),
        cmocka_unit_test(a_refused_tokenizer_leaves_no_vocabulary),
        cmocka_unit_test(a_huge_token_is_over_the_limit),
        cmocka_unit_test(the_older_files_hold_a_vocabulary_too),
        cmocka_unit_test(broken_older_files_are_refused_with_their_place),
        cmocka_unit_test(every_change_to_a_tokenizer_ends_in_an_answer),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
