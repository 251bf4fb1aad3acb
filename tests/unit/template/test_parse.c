/* SPDX-License-Identifier: Apache-2.0 */
/* What the parser refuses, with the line; and that nesting costs no C stack without bound. */
#include "../testing.h"

#include <stdlib.h>

#include "base/limits.h"
#include "template/syntax.h"

static weir_code parse(const char *text, size_t len, weir_error *err) {
    arena memory = {0};
    const template_node *tree = NULL;
    const weir_code code = template_parse(&tree, &memory, text, len, err);
    assert_true((code == WEIR_OK) == (tree != NULL));
    arena_release(&memory);
    return code;
}

static void what_jinja_does_not_accept_is_refused_with_its_line(void **state) {
    (void)state;
    static const struct {
        const char *text;
        weir_code code;
        const char *at;
    } rows[] = {
        {"{{ }}", WEIR_ERR_FORMAT, "line 1"},
        {"\n{% if a %}", WEIR_ERR_FORMAT, "line 2"},
        {"{% if %}{% endif %}", WEIR_ERR_FORMAT, "line 1"},
        {"{% if a %}\n{% endfor %}", WEIR_ERR_FORMAT, "line 2"},
        {"{% for a %}{% endfor %}", WEIR_ERR_FORMAT, "line 1"},
        {"{% for a in b %}", WEIR_ERR_FORMAT, "line 1"},
        {"{% endif %}", WEIR_ERR_FORMAT, "line 1"},
        {"{% set a %}", WEIR_ERR_FORMAT, "line 1"},
        {"{% set none = 1 %}", WEIR_ERR_FORMAT, "line 1"},
        {"{% macro m(a=1, b) %}{% endmacro %}", WEIR_ERR_FORMAT, "line 1"},
        {"{% call 1 %}{% endcall %}", WEIR_ERR_FORMAT, "line 1"},
        {"{% break %}", WEIR_ERR_FORMAT, "line 1"},
        {"{% for a in b %}{% macro m() %}{% break %}{% endmacro %}{% endfor %}", WEIR_ERR_FORMAT,
         "line 1"},
        {"{{ a.}}", WEIR_ERR_FORMAT, "line 1"},
        {"{{ a| }}", WEIR_ERR_FORMAT, "line 1"},
        {"{{ a is }}", WEIR_ERR_FORMAT, "line 1"},
        {"{{ f(a=1, 2) }}", WEIR_ERR_FORMAT, "line 1"},
        {"{{ [1 2] }}", WEIR_ERR_FORMAT, "line 1"},
        {"{{ {1} }}", WEIR_ERR_FORMAT, "line 1"},
        {"{{ 1 + }}", WEIR_ERR_FORMAT, "line 1"},
        {"{{ a b }}", WEIR_ERR_FORMAT, "line 1"},
        {"{% nothing %}", WEIR_ERR_FORMAT, "line 1"},
        {"{{ 'a", WEIR_ERR_FORMAT, "line 1"},
        {"{{ 99999999999999999999 }}", WEIR_ERR_UNSUPPORTED, "line 1"},
        {"{{ '\\N{DIGIT ONE}' }}", WEIR_ERR_UNSUPPORTED, "line 1"},
        {"{{ '\\ud83d' }}", WEIR_ERR_UNSUPPORTED, "line 1"},
        {"\n\n{% include 'a' %}", WEIR_ERR_UNSUPPORTED, "line 3"},
        {"{% for a in b recursive %}{% endfor %}", WEIR_ERR_UNSUPPORTED, "line 1"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        weir_error err = {0};

        assert_int_equal(parse(rows[i].text, strlen(rows[i].text), &err), rows[i].code);

        assert_string_equal(err.at, rows[i].at);
        assert_true(err.expected[0] && err.found[0]);
    }
}

/* `count` times `open`, then `inner`, then `count` times `close`. */
static char *nest(const char *open, const char *inner, const char *close, size_t count) {
    const size_t size = count * (strlen(open) + strlen(close)) + strlen(inner) + 1;
    char *text = calloc(size, 1);
    assert_non_null(text);
    char *at = text;
    for (size_t i = 0; i < count; i++) {
        at = stpcpy(at, open);
    }
    at = stpcpy(at, inner);
    for (size_t i = 0; i < count; i++) {
        at = stpcpy(at, close);
    }
    return text;
}

static void deep_nesting_is_refused_at_the_limit(void **state) {
    (void)state;
    static const struct {
        const char *open;
        const char *inner;
        const char *close;
    } rows[] = {
        {"{% if a %}", "x", "{% endif %}"},
        {"{% set a %}", "x", "{% endset %}"},
        {"{% macro m() %}", "x", "{% endmacro %}"},
    };
    static const struct {
        const char *before;
        const char *unit;
        const char *inner;
        const char *close;
        const char *after;
    } inside[] = {
        {"{{ ", "(", "1", ")", " }}"},
        {"{{ ", "[", "1", "]", " }}"},
        {"{{ ", "{1:", "1", "}", " }}"},
        {"{{ ", "not ", "1", "", " }}"},
        {"{{ ", "-", "1", "", " }}"},
        {"{{ a", ".b", "", "", " }}"},
        {"{{ 1", " + 1", "", "", " }}"},
        {"{{ a", "|trim", "", "", " }}"},
        {"{{ ", "1 if 1 else ", "1", "", " }}"},
        {"{{ ", "f(", "1", ")", " }}"},
    };
    enum { COUNT = 20000 };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        char *text = nest(rows[i].open, rows[i].inner, rows[i].close, COUNT);
        weir_error err = {0};

        assert_int_equal(parse(text, strlen(text), &err), WEIR_ERR_LIMIT);

        assert_string_equal(err.at, "line 1");
        free(text);
    }
    for (size_t i = 0; i < sizeof inside / sizeof *inside; i++) {
        char *middle = nest(inside[i].unit, inside[i].inner, inside[i].close, COUNT);
        char *text = calloc(strlen(middle) + 32, 1);
        assert_non_null(text);
        (void)stpcpy(stpcpy(stpcpy(text, inside[i].before), middle), inside[i].after);
        weir_error err = {0};

        assert_int_equal(parse(text, strlen(text), &err), WEIR_ERR_LIMIT);

        free(text);
        free(middle);
    }
}

static void every_prefix_of_a_template_is_read_or_refused(void **state) {
    (void)state;
    static const char text[] =
        "{%- set ns = namespace(a=[1, 2.5]) -%}{% macro m(a, b='x') %}{{ a ~ b|trim }}{% endmacro "
        "%}"
        "{% for k, v in d.items() if v is not none %}{% if k[1:] == 'a' and v not in (1, 2) %}"
        "{{ m(k, b=v) if v else -1 }}{% break %}{% elif k %}{# c #}{% else %}{% raw %}{{{% endraw "
        "%}"
        "{% endif %}{% else %}{% set x | upper %}y{% endset %}{% endfor %}";
    for (size_t len = 0; len < sizeof text; len++) {
        weir_error err = {0};

        const weir_code code = parse(text, len, &err);

        assert_true(code == WEIR_OK || (code == WEIR_ERR_FORMAT && err.at[0]));
    }
}

static void a_template_of_too_many_parts_is_refused(void **state) {
    (void)state;
    char *text = nest("{{a}}", "", "", TEMPLATE_NODES_MAX / 2 + 1);
    weir_error err = {0};

    const weir_code code = parse(text, strlen(text), &err);

    assert_int_equal(code, WEIR_ERR_LIMIT);
    free(text);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_jinja_does_not_accept_is_refused_with_its_line),
        cmocka_unit_test(deep_nesting_is_refused_at_the_limit),
        cmocka_unit_test(every_prefix_of_a_template_is_read_or_refused),
        cmocka_unit_test(a_template_of_too_many_parts_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
