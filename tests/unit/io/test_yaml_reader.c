/* SPDX-License-Identifier: Apache-2.0 */
#include "../testing.h"

#include <stdlib.h>

#include "base/limits.h"
#include "io/yaml_reader.h"

static const char *kind_letter(json_kind kind) {
    static const char *const letters[] = {"{", "}", "[", "]", "k", "s", "n", "t", "f", "0", "."};
    return letters[kind];
}

/* One letter a token, texts in angle brackets; or the failure. */
static weir_code spell(char *out, size_t size, const char *text, size_t len, weir_error *err) {
    WEIR_CLEANUP(yaml_reader_free) yaml_reader *reader = NULL;
    assert_int_equal(yaml_reader_open(&reader, text, len, "x.yml", 1, NULL), WEIR_OK);
    size_t used = 0;
    out[0] = '\0';
    for (;;) {
        json_token token;
        const weir_code code = yaml_reader_next(reader, &token, err);
        if (code != WEIR_OK) {
            return code;
        }
        const bool has_text = token.kind == JSON_KEY || token.kind == JSON_STRING;
        const int added = snprintf(out + used, size - used, "%s%s%.*s%s", kind_letter(token.kind),
                                   has_text ? "<" : "", (int)(has_text ? token.len : 0), token.text,
                                   has_text ? ">" : "");
        assert_in_range(added, 1, size - used - 1);
        used += (size_t)added;
        if (token.kind == JSON_END) {
            return WEIR_OK;
        }
    }
}

static void maps_lists_and_scalars_are_told_in_order(void **state) {
    (void)state;
    char out[256];
    const char *text = "base_model:\n- a/b\n- 'c'\nr: 1e-5\nempty:\nq: \"null\"\n";

    assert_int_equal(spell(out, sizeof out, text, strlen(text), NULL), WEIR_OK);

    assert_string_equal(out, "{k<base_model>[s<a/b>s<c>]k<r>s<1e-5>k<empty>0k<q>s<null>}.");
}

static void a_token_knows_its_line_in_the_file(void **state) {
    (void)state;
    WEIR_CLEANUP(yaml_reader_free) yaml_reader *reader = NULL;
    const char *text = "a: 1\nb:\n  c: 2\n";
    assert_int_equal(yaml_reader_open(&reader, text, strlen(text), "README.md", 2, NULL), WEIR_OK);

    json_token token = {0};
    while (!(token.kind == JSON_STRING && strcmp(token.text, "2") == 0)) {
        assert_int_equal(yaml_reader_next(reader, &token, NULL), WEIR_OK);
    }

    assert_int_equal(token.offset, 4);
    assert_int_equal(token.depth, 2);
}

static void an_empty_document_ends_at_once(void **state) {
    (void)state;
    char out[16];
    assert_int_equal(spell(out, sizeof out, "", 0, NULL), WEIR_OK);
    assert_string_equal(out, ".");
}

static void what_a_card_does_not_need_is_refused(void **state) {
    (void)state;
    static const struct {
        const char *text;
        weir_code code;
        const char *at;
    } rows[] = {
        {"a: &x 1\nb: *x\n", WEIR_ERR_UNSUPPORTED, "line 1"},
        {"a: 1\nb: *x\n", WEIR_ERR_UNSUPPORTED, "line 2"},
        {"a: &a [x, x]\nb: &b [*a, *a]\nc: [*b, *b]\n", WEIR_ERR_UNSUPPORTED, "line 1"},
        {"a: !!python/object/apply:os.getcwd []\n", WEIR_ERR_UNSUPPORTED, "line 1"},
        {"a: !x 1\n", WEIR_ERR_UNSUPPORTED, "line 1"},
        {"? [a]\n: 1\n", WEIR_ERR_UNSUPPORTED, "line 1"},
        {"? {a: 1}\n: 1\n", WEIR_ERR_UNSUPPORTED, "line 1"},
        {"a: 1\n---\nb: 2\n", WEIR_ERR_UNSUPPORTED, "line 2"},
        {"a: 1\n b: 2\n", WEIR_ERR_FORMAT, "line 2"},
        {"a: [1\n", WEIR_ERR_FORMAT, NULL},
        {"a: \"x\n", WEIR_ERR_FORMAT, NULL},
        {"\ta: 1\n", WEIR_ERR_FORMAT, "line 1"},
        {"a: \x01\n", WEIR_ERR_FORMAT, "byte 3"},
        {"a: \xff\n", WEIR_ERR_FORMAT, "byte 3"},
        {"a: @x\n", WEIR_ERR_FORMAT, "line 1"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        weir_error err = {0};
        char out[256];

        const weir_code code = spell(out, sizeof out, rows[i].text, strlen(rows[i].text), &err);

        if (code != rows[i].code || (rows[i].at && strcmp(err.at, rows[i].at) != 0)) {
            fail_msg("row %zu: %s at \"%s\", expected %s", i, weir_code_name(code), err.at,
                     weir_code_name(rows[i].code));
        }
        assert_string_equal(err.file, "x.yml");
    }
}

static void depth_is_limited(void **state) {
    (void)state;
    char text[200];
    char out[512];
    weir_error err = {0};

    memset(text, '[', YAML_DEPTH_MAX);
    memset(text + YAML_DEPTH_MAX, ']', YAML_DEPTH_MAX);
    assert_int_equal(spell(out, sizeof out, text, 2 * YAML_DEPTH_MAX, NULL), WEIR_OK);
    memset(text, '[', sizeof text);
    assert_int_equal(spell(out, sizeof out, text, sizeof text, &err), WEIR_ERR_LIMIT);

    assert_string_equal(err.at, "line 1");
}

static void every_prefix_and_every_changed_byte_ends_in_an_answer(void **state) {
    (void)state;
    const char text[] = "a:\n- {b: 'c', d: \"\\u00e9\"}\n- |\n  x\n- >-\n  y\n# z\ne: ~\n";
    const size_t size = sizeof text - 1;
    char out[512];
    for (size_t len = 0; len < size; len++) {
        (void)spell(out, sizeof out, text, len, NULL);
    }
    static const char swaps[] = {'\0', '\xff', '&', '*', ':', '\n', '{', '!'};
    for (size_t i = 0; i < size * sizeof swaps; i++) {
        char changed[sizeof text];
        memcpy(changed, text, sizeof text);
        changed[i / sizeof swaps] = swaps[i % sizeof swaps];
        (void)spell(out, sizeof out, changed, size, NULL);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(maps_lists_and_scalars_are_told_in_order),
        cmocka_unit_test(a_token_knows_its_line_in_the_file),
        cmocka_unit_test(an_empty_document_ends_at_once),
        cmocka_unit_test(what_a_card_does_not_need_is_refused),
        cmocka_unit_test(depth_is_limited),
        cmocka_unit_test(every_prefix_and_every_changed_byte_ends_in_an_answer),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
