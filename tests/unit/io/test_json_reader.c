/* SPDX-License-Identifier: Apache-2.0 */
/* The grammar is RFC 8259's; every expected token was written by hand from it. */
#include "../testing.h"

#include <stdlib.h>

#include "io/json_reader.h"

/* Write every token as text: structure as itself, "k:TEXT " keys, "s:TEXT " strings, "n:TEXT ". */
static weir_code trace_with(char *out, const char *json, size_t len, const json_options *options,
                            weir_error *err) {
    static const char *const marks[] = {"{", "}", "[", "]", "k:", "s:", "n:", "t", "f", "0", "."};
    weir_source *source = NULL;
    json_reader *reader = NULL;
    assert_int_equal(weir_source_open_memory(&source, json, len, "doc.json", err), WEIR_OK);
    assert_int_equal(json_reader_open(&reader, source, 0, len, options, err), WEIR_OK);
    json_token token = {0};
    weir_code code = WEIR_OK;
    *out = '\0';
    do {
        code = json_reader_next(reader, &token, err);
        if (code == WEIR_OK) {
            strcat(out, marks[token.kind]);
            assert_int_equal(strlen(token.text) <= token.len, 1);
            strcat(out, token.text);
            strcat(out, token.len > 0 ? " " : "");
        }
    } while (code == WEIR_OK && token.kind != JSON_END);
    json_reader_free(reader);
    weir_source_free(source);
    return code;
}

static weir_code trace(char *out, const char *json, weir_error *err) {
    return trace_with(out, json, strlen(json), NULL, err);
}

static void documents_become_tokens(void **state) {
    (void)state;
    static const struct {
        const char *json;
        const char *tokens;
    } table[] = {
        {"{}", "{}."},
        {" [ ] ", "[]."},
        {"\"a\"", "s:a ."},
        {"0", "n:0 ."},
        {"-0.5e+10", "n:-0.5e+10 ."},
        {"1E2", "n:1E2 ."},
        {"[true,false,null]", "[tf0]."},
        {"{\"a\":1,\"b\":[2,{\"c\":\"d\"}]}", "{k:a n:1 k:b [n:2 {k:c s:d }]}."},
        {"\t\r\n{ \"a\" : 1 , \"b\" : [ ] }\n", "{k:a n:1 k:b []}."},
        {"[\"\",\"\"]", "[s:s:]."},
        {"\"\\\"\\\\\\/\\b\\f\\n\\r\\t\"", "s:\"\\/\b\f\n\r\t ."},
        {"\"\\u0041\\u00e9\\u20AC\\ud83d\\uDE00\"", "s:A\xC3\xA9\xE2\x82\xAC\xF0\x9F\x98\x80 ."},
        {"\"\xC3\xA9\xE2\x82\xAC\xF0\x9F\x98\x80\"", "s:\xC3\xA9\xE2\x82\xAC\xF0\x9F\x98\x80 ."},
        {"\"\x7F\"", "s:\x7F ."},
    };
    for (size_t i = 0; i < sizeof table / sizeof *table; i++) {
        char tokens[256];
        weir_error err = {0};

        assert_int_equal(trace(tokens, table[i].json, &err), WEIR_OK);

        assert_string_equal(tokens, table[i].tokens);
    }
}

static void what_the_grammar_forbids_is_refused_at_its_byte(void **state) {
    (void)state;
    static const struct {
        const char *json;
        const char *at;
    } table[] = {
        {"", "byte 0"},
        {"  ", "byte 2"},
        {"{", "byte 1"},
        {"[", "byte 1"},
        {"[1", "byte 2"},
        {"[1,", "byte 3"},
        {"[1,]", "byte 3"},
        {"[,1]", "byte 1"},
        {"[1 2]", "byte 3"},
        {"{\"a\"}", "byte 4"},
        {"{\"a\":}", "byte 5"},
        {"{\"a\":1,}", "byte 7"},
        {"{\"a\" 1}", "byte 5"},
        {"{a:1}", "byte 1"},
        {"{1:1}", "byte 1"},
        {"{\"a\":1]", "byte 6"},
        {"[1}", "byte 2"},
        {"]", "byte 0"},
        {"1 2", "byte 2"},
        {"{}{}", "byte 2"},
        {"{},", "byte 2"},
        {"01", "byte 0"},
        {"-", "byte 0"},
        {"+1", "byte 0"},
        {".5", "byte 0"},
        {"1.", "byte 0"},
        {"1e", "byte 0"},
        {"1e+", "byte 0"},
        {"1.2.3", "byte 0"},
        {"0x10", "byte 1"},
        {"--1", "byte 0"},
        {"NaN", "byte 0"},
        {"Infinity", "byte 0"},
        {"-Infinity", "byte 0"},
        {"True", "byte 0"},
        {"tru", "byte 0"},
        {"truex", "byte 4"},
        {"nul", "byte 0"},
        {"'a'", "byte 0"},
        {"\"a", "byte 2"},
        {"\"a\\", "byte 3"},
        {"\"\\x\"", "byte 2"},
        {"\"\\u12\"", "byte 5"},
        {"\"\\u12g4\"", "byte 5"},
        {"\"\\ud800\"", "byte 1"},
        {"\"\\ud800\\n\"", "byte 1"},
        {"\"\\ud800\\ud800\"", "byte 1"},
        {"\"\\udc00\"", "byte 1"},
        {"\"a\nb\"", "byte 2"},
        {"\"a\tb\"", "byte 2"},
        {"\"a\x80\"", "byte 2"},
        {"\"a\xC3\"", "byte 2"},
        {"\"\xC0\x80\"", "byte 1"},
        {"\"\xE0\x80\x80\"", "byte 1"},
        {"\"\xED\xA0\x80\"", "byte 1"},
        {"\"\xF0\x80\x80\x80\"", "byte 1"},
        {"\"\xF4\x90\x80\x80\"", "byte 1"},
        {"\"\xF5\x80\x80\x80\"", "byte 1"},
        {"\xEF\xBB\xBF{}", "byte 0"},
        {"/**/1", "byte 0"},
        {"{\"a\":1 /*x*/}", "byte 7"},
    };
    for (size_t i = 0; i < sizeof table / sizeof *table; i++) {
        char tokens[256];
        weir_error err = {0};

        assert_int_equal(trace(tokens, table[i].json, &err), WEIR_ERR_FORMAT);

        assert_string_equal(err.file, "doc.json");
        assert_string_equal(err.at, table[i].at);
        assert_true(err.found[0] != '\0');
    }
}

static void every_prefix_of_a_document_is_refused(void **state) {
    (void)state;
    static const char json[] =
        "{\"a\\u00e9\xE2\x82\xAC\":[1.5e3,true,null,{\"b\":\"c\"}],\"d\":{}}";
    for (size_t len = 0; len < sizeof json - 1; len++) {
        char tokens[256];
        weir_error err = {0};

        assert_int_equal(trace_with(tokens, json, len, NULL, &err), WEIR_ERR_FORMAT);
    }
}

static void nul_bytes_are_refused_raw_and_kept_when_escaped(void **state) {
    (void)state;
    char tokens[64];
    weir_error err = {0};
    assert_int_equal(trace_with(tokens, "\"a\0b\"", 5, NULL, &err), WEIR_ERR_FORMAT);
    assert_string_equal(err.at, "byte 2");

    weir_source *source = NULL;
    json_reader *reader = NULL;
    static const char json[] = "\"a\\u0000b\"";
    assert_int_equal(weir_source_open_memory(&source, json, sizeof json - 1, "n", NULL), WEIR_OK);
    assert_int_equal(json_reader_open(&reader, source, 0, sizeof json - 1, NULL, NULL), WEIR_OK);
    json_token token;
    assert_int_equal(json_reader_next(reader, &token, NULL), WEIR_OK);

    assert_int_equal(token.len, 3);
    assert_memory_equal(token.text, "a\0b", 4);

    json_reader_free(reader);
    weir_source_free(source);
}

static void nesting_past_the_limit_is_refused(void **state) {
    (void)state;
    char json[128];
    char tokens[256];
    weir_error err = {0};
    memset(json, '[', 64);
    memset(json + 64, ']', 64);
    assert_int_equal(trace_with(tokens, json, 128, NULL, &err), WEIR_OK);

    const json_options options = {.depth_max = 63};
    assert_int_equal(trace_with(tokens, json, 128, &options, &err), WEIR_ERR_LIMIT);
    assert_string_equal(err.at, "byte 63");
}

static void leading_space_is_refused_when_asked(void **state) {
    (void)state;
    const json_options options = {.leading_space = false};
    char tokens[64];
    weir_error err = {0};
    assert_int_equal(trace_with(tokens, " {}", 3, &options, &err), WEIR_ERR_FORMAT);
    assert_string_equal(err.at, "byte 0");
    assert_int_equal(trace_with(tokens, "{ }", 3, &options, &err), WEIR_OK);
}

static void long_strings_fail_or_are_cut_at_a_character(void **state) {
    (void)state;
    char tokens[64];
    weir_error err = {0};
    static const char *const json[] = {"\"abcd\"", "\"abc\xC3\xA9\"", "\"abc\\u00e9e\"",
                                       "\"a\\u0062c\xE2\x82\xAC\""};
    for (size_t i = 0; i < sizeof json / sizeof *json; i++) {
        const json_options refuse = {.string_bytes_max = 3};
        assert_int_equal(trace_with(tokens, json[i], strlen(json[i]), &refuse, &err),
                         WEIR_ERR_LIMIT);
        const json_options cut = {.string_bytes_max = 3, .cut_long_strings = true};
        assert_int_equal(trace_with(tokens, json[i], strlen(json[i]), &cut, &err), WEIR_OK);
        assert_string_equal(tokens, "s:abc .");
    }
    const json_options tiny = {.string_bytes_max = 3, .cut_long_strings = true};
    assert_int_equal(trace_with(tokens, "12345678", 8, &tiny, &err), WEIR_OK);
    assert_string_equal(tokens, "n:12345678 .");
    const json_options exact = {.string_bytes_max = 5};
    assert_int_equal(trace_with(tokens, json[1], strlen(json[1]), &exact, &err), WEIR_OK);
    const json_options in_character = {.string_bytes_max = 4, .cut_long_strings = true};
    assert_int_equal(trace_with(tokens, json[1], strlen(json[1]), &in_character, &err), WEIR_OK);
    assert_string_equal(tokens, "s:abc .");
}

/* A string is laid over the window's end at every distance, so that every path that refills is
 * taken. */
static void tokens_across_the_window_are_whole(void **state) {
    (void)state;
    enum { WINDOW = 256 << 10 };
    static const char tail[] = "\"x\xF0\x9F\x98\x80\\ud83d\\ude00\\ny\",-12.5e3,true,false,null]";
    char *json = malloc(WINDOW + 256);
    assert_non_null(json);
    for (size_t back = 0; back < sizeof tail; back++) {
        const size_t pad = WINDOW - back - 1;
        json[0] = '[';
        memset(json + 1, ' ', pad);
        memcpy(json + 1 + pad, tail, sizeof tail);
        char tokens[256];
        weir_error err = {0};

        assert_int_equal(trace_with(tokens, json, pad + sizeof tail, NULL, &err), WEIR_OK);

        assert_string_equal(tokens, "[s:x\xF0\x9F\x98\x80\xF0\x9F\x98\x80\ny n:-12.5e3 tf0].");
    }
    free(json);
}

static void strings_longer_than_the_window_are_whole(void **state) {
    (void)state;
    enum { LEN = 1000000 };
    char *json = malloc(LEN + 2);
    assert_non_null(json);
    memset(json, 'a', LEN + 2);
    json[0] = '"';
    json[LEN + 1] = '"';
    weir_source *source = NULL;
    json_reader *reader = NULL;
    assert_int_equal(weir_source_open_memory(&source, json, LEN + 2, "n", NULL), WEIR_OK);
    assert_int_equal(json_reader_open(&reader, source, 0, LEN + 2, NULL, NULL), WEIR_OK);
    json_token token;

    assert_int_equal(json_reader_next(reader, &token, NULL), WEIR_OK);

    assert_int_equal(token.len, LEN);
    assert_memory_equal(token.text, json + 1, LEN);
    assert_int_equal(token.text[LEN], 0);
    json_reader_free(reader);
    weir_source_free(source);
    free(json);
}

static void tokens_carry_depth_and_offset(void **state) {
    (void)state;
    static const char json[] = "xx{\"a\":[1]}yy";
    static const struct {
        json_kind kind;
        uint32_t depth;
        uint64_t offset;
    } expected[] = {{JSON_OBJECT_BEGIN, 0, 2}, {JSON_KEY, 1, 3},       {JSON_ARRAY_BEGIN, 1, 7},
                    {JSON_NUMBER, 2, 8},       {JSON_ARRAY_END, 1, 9}, {JSON_OBJECT_END, 0, 10},
                    {JSON_END, 0, 11}};
    weir_source *source = NULL;
    json_reader *reader = NULL;
    assert_int_equal(weir_source_open_memory(&source, json, sizeof json - 1, "n", NULL), WEIR_OK);
    assert_int_equal(json_reader_open(&reader, source, 2, 11, NULL, NULL), WEIR_OK);
    for (size_t i = 0; i < sizeof expected / sizeof *expected; i++) {
        json_token token;
        assert_int_equal(json_reader_next(reader, &token, NULL), WEIR_OK);
        assert_int_equal(token.kind, expected[i].kind);
        assert_int_equal(token.depth, expected[i].depth);
        assert_int_equal(token.offset, expected[i].offset);
    }
    json_reader_free(reader);
    weir_source_free(source);
}

static void skipping_ends_after_the_value(void **state) {
    (void)state;
    static const char json[] = "{\"a\":{\"b\":[1,{}]},\"c\":2,\"d\":[[]],\"e\":3}";
    weir_source *source = NULL;
    json_reader *reader = NULL;
    assert_int_equal(weir_source_open_memory(&source, json, sizeof json - 1, "n", NULL), WEIR_OK);
    assert_int_equal(json_reader_open(&reader, source, 0, sizeof json - 1, NULL, NULL), WEIR_OK);
    json_token token;
    assert_int_equal(json_reader_next(reader, &token, NULL), WEIR_OK);
    static const char *const keys[] = {"a", "c", "d"};
    for (size_t i = 0; i < 3; i++) {
        assert_int_equal(json_reader_next(reader, &token, NULL), WEIR_OK);
        assert_true(json_token_is(&token, keys[i]));
        if (i == 0) { /* from the value's own token, too */
            assert_int_equal(json_reader_next(reader, &token, NULL), WEIR_OK);
        }

        assert_int_equal(json_reader_skip(reader, &token, NULL), WEIR_OK);
    }
    assert_int_equal(json_reader_next(reader, &token, NULL), WEIR_OK);
    assert_true(json_token_is(&token, "e"));
    json_reader_free(reader);
    weir_source_free(source);
}

static json_token number(const char *text) {
    return (json_token){.kind = JSON_NUMBER, .text = text, .len = strlen(text)};
}

static void numbers_are_integers_only_when_plain(void **state) {
    (void)state;
    uint64_t value = 7;
    json_token token = number("18446744073709551615");
    assert_true(json_token_u64(&token, &value));
    assert_true(value == UINT64_MAX);
    token = number("0");
    assert_true(json_token_u64(&token, &value));
    assert_int_equal(value, 0);
    static const char *const refused[] = {
        "18446744073709551616", "99999999999999999999", "-1", "-0", "1.0", "1e2"};
    for (size_t i = 0; i < sizeof refused / sizeof *refused; i++) {
        token = number(refused[i]);
        assert_false(json_token_u64(&token, &value));
    }
    assert_false(json_token_u64(&(json_token){.kind = JSON_STRING, .text = "1", .len = 1}, &value));
}

static void numbers_are_doubles_when_finite(void **state) {
    (void)state;
    double value = 0;
    json_token token = number("-1.5e-3");
    assert_true(json_token_double(&token, &value));
    assert_true(value == -1.5e-3);
    token = number("1e999");
    assert_false(json_token_double(&token, &value));
    token = number("0e999");
    assert_true(json_token_double(&token, &value));
    assert_true(value == 0);
}

static void a_range_outside_the_source_is_refused(void **state) {
    (void)state;
    weir_source *source = NULL;
    json_reader *reader = NULL;
    assert_int_equal(weir_source_open_memory(&source, "{}", 2, "n", NULL), WEIR_OK);
    assert_int_equal(json_reader_open(&reader, source, 0, 99, NULL, NULL), WEIR_OK);
    json_token token;
    assert_int_equal(json_reader_next(reader, &token, NULL), WEIR_ERR_FORMAT);
    json_reader_free(reader);
    weir_source_free(source);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(documents_become_tokens),
        cmocka_unit_test(what_the_grammar_forbids_is_refused_at_its_byte),
        cmocka_unit_test(every_prefix_of_a_document_is_refused),
        cmocka_unit_test(nul_bytes_are_refused_raw_and_kept_when_escaped),
        cmocka_unit_test(nesting_past_the_limit_is_refused),
        cmocka_unit_test(leading_space_is_refused_when_asked),
        cmocka_unit_test(long_strings_fail_or_are_cut_at_a_character),
        cmocka_unit_test(tokens_across_the_window_are_whole),
        cmocka_unit_test(strings_longer_than_the_window_are_whole),
        cmocka_unit_test(tokens_carry_depth_and_offset),
        cmocka_unit_test(skipping_ends_after_the_value),
        cmocka_unit_test(numbers_are_integers_only_when_plain),
        cmocka_unit_test(numbers_are_doubles_when_finite),
        cmocka_unit_test(a_range_outside_the_source_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
