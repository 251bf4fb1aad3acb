/* SPDX-License-Identifier: Apache-2.0 */
/* Outcomes and bounds of a rendering. What templates render to is compared with Jinja itself in
 * tests/peer/test_template_peer.py; the few known answers here were taken from it. */
#include "../testing.h"

#include "base/limits.h"
#include "template/render.h"

typedef struct row {
    const char *text;
    template_outcome outcome;
    const char *answer; /* the text, or the message */
    uint32_t line;
} row;

static void check(const row *wanted) {
    static const char json[] =
        "{\"messages\":[{\"role\":\"user\",\"content\":\"a\\nb\"}],\"tools\":null}";
    static const template_date date = {2024, 2, 29, 0, 5, 9};
    arena memory = {0};
    const template_node *tree;
    datum variables;
    template_rendering done;
    assert_int_equal(value_from_json(&variables, &memory, json, sizeof json - 1, NULL), WEIR_OK);
    assert_int_equal(template_parse(&tree, &memory, wanted->text, strlen(wanted->text), NULL),
                     WEIR_OK);

    assert_int_equal(template_render(&done, &memory, tree, &variables, &date, NULL), WEIR_OK);

    assert_int_equal(done.outcome, wanted->outcome);
    assert_string_equal(done.outcome == TEMPLATE_RENDERED ? done.text : done.message,
                        wanted->answer);
    assert_int_equal(done.line, wanted->line);
    assert_true(done.steps <= RENDER_STEPS_MAX + RENDER_MEMORY_BYTES_MAX / 64);
    arena_release(&memory);
}

static void templates_render_as_in_jinja(void **state) {
    (void)state;
    static const row rows[] = {
        {"  {% if true %}\n a\n  {%- endif %}\n", TEMPLATE_RENDERED, " a", 0},
        {"{% for m in messages %}{{ loop.index }}{{ m.content|tojson }}{% endfor %}",
         TEMPLATE_RENDERED, "1\"a\\nb\"", 0},
        {"{{ 1 ~ 2 * 3 }} {{ -7 // 2 }} {{ 1e16 }} {{ 0.1 + 0.2 }} {{ [none, 'it\\'s'] }}",
         TEMPLATE_RENDERED, "16 -4 1e+16 0.30000000000000004 [None, \"it's\"]", 0},
        {"{{ strftime_now('%A %d %b %Y %I%p %j') }}", TEMPLATE_RENDERED,
         "Thursday 29 Feb 2024 12AM 060", 0},
        {"{{ '\\u6f22\\u5b57'[::-1] }}{{ '\\u6f22\\u5b57'|length }}", TEMPLATE_RENDERED,
         "\xE5\xAD\x97\xE6\xBC\xA2"
         "2",
         0},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        check(&rows[i]);
    }
}

static void what_stops_a_template_is_said_with_its_line(void **state) {
    (void)state;
    static const row rows[] = {
        {"\n{{ raise_exception('no \x1B tools') }}", TEMPLATE_REFUSED, "no \\x1B tools", 2},
        {"{{ nothing.member }}", TEMPLATE_FAILED, "a member of something undefined: nothing", 1},
        {"{{ 'a' + 1 }}", TEMPLATE_FAILED, "+ of values that have none", 1},
        {"{{ 1 % 0 }}", TEMPLATE_FAILED, "a division by zero", 1},
        {"{% set x = [] %}\n{{ x.append(1) }}", TEMPLATE_FAILED,
         "append(), which the sandbox refuses", 2},
        {"{{ messages|groupby('role') }}", TEMPLATE_NOT_RENDERED, "the filter groupby", 1},
        {"{{ 1 is upper }}", TEMPLATE_NOT_RENDERED, "the test upper", 1},
        {"{{ 2 ** 64 }}", TEMPLATE_NOT_RENDERED, "an integer of more than 64 bits", 1},
        {"{{ '\\u00e9'|upper }}", TEMPLATE_NOT_RENDERED, "upper of a text beyond ASCII", 1},
        {"{{ ''.__class__ }}", TEMPLATE_NOT_RENDERED, "an internal attribute", 1},
        {"{{ '<'|safe + '>' }}", TEMPLATE_NOT_RENDERED, "+ of a safe text", 1},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        check(&rows[i]);
    }
}

static void a_bomb_meets_a_limit(void **state) {
    (void)state;
    static const char *const texts[] = {
        "{% for a in range(99999) %}{% for b in range(99999) %}{% endfor %}{% endfor %}",
        "{% for a in range(99999) %}{{ 'x' * 999 }}{% endfor %}",
        "{% set n = namespace(x='aaaaaaaa') %}{% for a in range(64) %}{% set n.x = n.x ~ n.x %}"
        "{% endfor %}",
        "{% set n = namespace(x=[0]) %}{% for a in range(64) %}{% set n.x = n.x + n.x %}{% endfor "
        "%}",
        "{{ 'a' * 99999999999 }}",
        "{{ [1] * 99999999999 }}",
        "{{ ('a' * 999999)|replace('a', 'b' * 999999) }}",
        "{{ ('a\\n' * 99999)|indent('a' * 99999) }}",
        "{% macro m() %}{{ m() }}{% endmacro %}{{ m() }}",
        "{% macro m(n) %}{% if n %}{{ m(n - 1) }}{{ m(n - 1) }}{% endif %}{% endmacro %}{{ m(60) "
        "}}",
        "{% set n = namespace(x=[]) %}{% for a in range(999) %}{% set n.x = [n.x] %}{% endfor %}",
        "{{ range(99999)|sort(reverse=true) }}",
        "{{ range(99999)|map('string')|unique|list }}",
        "{% set n = namespace(s='') %}{% for a in range(99999) %}{% set n.s = n.s ~ 'abcdefgh' %}"
        "{% endfor %}",
    };
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
        arena memory = {0};
        const template_node *tree;
        datum variables;
        template_rendering done;
        assert_int_equal(value_from_json(&variables, &memory, "{\"messages\":[1]}", 16, NULL),
                         WEIR_OK);
        assert_int_equal(template_parse(&tree, &memory, texts[i], strlen(texts[i]), NULL), WEIR_OK);

        assert_int_equal(template_render(&done, &memory, tree, &variables, NULL, NULL), WEIR_OK);

        assert_int_equal(done.outcome, TEMPLATE_TOO_LONG);
        assert_true(done.line == 1 && done.message[0]);
        assert_true(memory.bytes <= 3 * (size_t)RENDER_MEMORY_BYTES_MAX);
        arena_release(&memory);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(templates_render_as_in_jinja),
        cmocka_unit_test(what_stops_a_template_is_said_with_its_line),
        cmocka_unit_test(a_bomb_meets_a_limit),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
