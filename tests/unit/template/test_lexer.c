/* SPDX-License-Identifier: Apache-2.0 */
/* Tokens expected by reading Jinja's documentation; the forms were tried in Jinja itself. */
#include "../testing.h"

#include "template/lexer.h"

/* The tokens as "kind:text|kind:text", or "error:AT". */
static const char *tokens_of(const char *text) {
    static const char letters[] = "tbeoEc"
                                  "nsdp";
    static char out[2048];
    template_lexer lexer = {.text = text, .len = strlen(text)};
    out[0] = '\0';
    for (;;) {
        template_token token;
        weir_error err = {0};
        const size_t used = strlen(out);
        if (template_next(&lexer, &token, &err) != WEIR_OK) {
            assert_true(err.expected[0] && err.found[0]);
            snprintf(out + used, sizeof out - used, "error:%s", err.at);
            return out;
        }
        if (token.kind == TEMPLATE_END) {
            return out;
        }
        assert_ptr_equal(token.text, text + token.offset);
        snprintf(out + used, sizeof out - used, "%c:%.*s|", letters[token.kind], (int)token.len,
                 token.text);
    }
}

typedef struct row {
    const char *text;
    const char *tokens;
} row;

static void templates_become_their_tokens(void **state) {
    (void)state;
    static const row rows[] = {
        {"", ""},
        {"plain { text } #}", "t:plain { text } #}|"},
        {"{{ a }}", "o:{{|n:a|E:}}|"},
        {"x{{-a-}}y", "t:x|o:{{-|n:a|E:-}}|t:y|"},
        {"{%+ if a -%}b{%- endif +%}", "b:{%+|n:if|n:a|e:-%}|t:b|b:{%-|n:endif|e:+%}|"},
        {"{# {{ a }} {% b %} #}c", "c:{# {{ a }} {% b %} #}|t:c|"},
        {"{{ 'it\\'s }}' }}", "o:{{|s:'it\\'s }}'|E:}}|"},
        {"{{ \"a\nb\" }}", "o:{{|s:\"a\nb\"|E:}}|"},
        {"{{ {'a': {'b': 1}}['a'] }}",
         "o:{{|p:{|s:'a'|p::|p:{|s:'b'|p::|d:1|p:}|p:}|p:[|s:'a'|p:]|E:}}|"},
        {"{{ [1, 2.5, 1e-9, 0xFF, 1_000] }}",
         "o:{{|p:[|d:1|p:,|d:2.5|p:,|d:1e-9|p:,|d:0xFF|p:,|d:1_000|p:]|E:}}|"},
        {"{{ a[0].b }}", "o:{{|n:a|p:[|d:0|p:]|p:.|n:b|E:}}|"},
        {"{{ a.0.b }}", "o:{{|n:a|p:.|d:0|p:.|n:b|E:}}|"},
        {"{{ a // b ** c != d <= e }}", "o:{{|n:a|p://|n:b|p:**|n:c|p:!=|n:d|p:<=|n:e|E:}}|"},
        {"{{ a - b }}", "o:{{|n:a|p:-|n:b|E:}}|"},
        {"{{ a|b(-1) }}", "o:{{|n:a|p:||n:b|p:(|p:-|d:1|p:)|E:}}|"},
        {"{% raw %}{{ a }} {% b %}{% endraw %}c",
         "b:{%|n:raw|e:%}|t:{{ a }} {% b %}|b:{%|n:endraw|e:%}|t:c|"},
        {"{%- raw -%}x{%- endraw -%}", "b:{%-|n:raw|e:-%}|t:x|b:{%-|n:endraw|e:-%}|"},
        {"{% rawer %}{{ a }}", "b:{%|n:rawer|e:%}|o:{{|n:a|E:}}|"},
        {"{{ \xC3\xA9t\xC3\xA9 }}", "o:{{|n:\xC3\xA9t\xC3\xA9|E:}}|"},
        {"{%%}", "b:{%|e:%}|"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        assert_string_equal(tokens_of(rows[i].text), rows[i].tokens);
    }
}

static void what_no_engine_reads_is_refused_with_its_line(void **state) {
    (void)state;
    static const row rows[] = {
        {"{{ a", "o:{{|n:a|error:line 1"},
        {"\n\n{% if", "t:\n\n|b:{%|n:if|error:line 3"},
        {"{{ 'a }}", "o:{{|error:line 1"},
        {"{{ 'a\\", "o:{{|error:line 1"},
        {"\n{# never", "t:\n|error:line 2"},
        {"{% raw %}\n{{ a }}", "b:{%|n:raw|e:%}|error:line 1"},
        {"{{ a) }}", "o:{{|n:a|error:line 1"},
        {"{{ (a }}", "o:{{|p:(|n:a|p:}|error:line 1"},
        {"{{ a ? b }}", "o:{{|n:a|error:line 1"},
        {"{{ a\\ }}", "o:{{|n:a|error:line 1"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        assert_string_equal(tokens_of(rows[i].text), rows[i].tokens);
    }
}

static void lines_are_counted_through_every_kind_of_token(void **state) {
    (void)state;
    static const char text[] = "a\n{# \n #}{% raw %}\n{% endraw %}{{ 'x\ny'\n+ b }}";
    template_lexer lexer = {.text = text, .len = sizeof text - 1};
    template_token token;

    do {
        assert_int_equal(template_next(&lexer, &token, NULL), WEIR_OK);
    } while (token.len != 1 || token.text[0] != 'b');

    assert_int_equal(token.line, 6);
}

static void every_truncation_ends_with_a_token_or_a_refusal(void **state) {
    (void)state;
    static const char text[] =
        "{%- if a['b\\n'] -%}{# c #}{% raw %}{{{% endraw %}{{ {'d': 1.5} }}{% endif %}";
    for (size_t len = 0; len < sizeof text; len++) {
        template_lexer lexer = {.text = text, .len = len};
        template_token token = {0};
        weir_code code;
        size_t count = 0;
        do {
            code = template_next(&lexer, &token, NULL);
            count++;
        } while (code == WEIR_OK && token.kind != TEMPLATE_END && count < 100);
        assert_in_range(count, 1, 99);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(templates_become_their_tokens),
        cmocka_unit_test(what_no_engine_reads_is_refused_with_its_line),
        cmocka_unit_test(lines_are_counted_through_every_kind_of_token),
        cmocka_unit_test(every_truncation_ends_with_a_token_or_a_refusal),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
