/* SPDX-License-Identifier: Apache-2.0 */
/* A template and its changes: what is said of each. The payload is the inert text WEIR-TEST. */
#include "../testing.h"

#include "base/text.h"
#include "delta/template_delta.h"

#define HEAD   "{% for message in messages %}{{ '<|im_start|>' + message['role'] + '\\n' + "
#define BODY   "message['content']"
#define TAIL   " + '<|im_end|>\\n' }}{% endfor %}"
#define PROMPT "{% if add_generation_prompt %}{{ '<|im_start|>assistant\\n' }}{% endif %}"
#define BASE   HEAD BODY TAIL PROMPT

static template_delta compare(arena *memory, const char *base, const char *model) {
    template_delta delta;
    assert_int_equal(
        template_delta_find(&delta, memory, base, strlen(base), model, strlen(model), NULL),
        WEIR_OK);
    return delta;
}

static void changes_of_layout_are_cosmetic(void **state) {
    (void)state;
    static const char *const same[] = {
        BASE "\n",
        "{# A comment. #}" BASE,
        "{%- for m in messages -%}\n  {{- \"<|im_start|>\" + m.role + \"\\n\" + m.content + "
        "\"<|im_end|>\\n\" -}}\n{%- endfor -%}\n{%- if add_generation_prompt -%}\n"
        "<|im_start|>assistant\n{% endif %}",
        "{% for message in messages %}{{ (('<|im_start|>' + (message).role) + '\\n') + "
        "message.content" TAIL PROMPT "{# end #}",
        "{% for message in messages %}{{ '<|im' '_start|>' + message['role'] + '\\x0a' + " BODY TAIL
        "{% if add_generation_prompt %}<|im_start|>{{ 'assistant' }}{{ '\\n' }}{% endif %}",
    };
    for (size_t i = 0; i < sizeof same / sizeof *same; i++) {
        arena memory = {0};

        const template_delta delta = compare(&memory, BASE, same[i]);

        assert_int_equal(delta.kind, TEMPLATE_DELTA_COSMETIC);
        assert_int_equal(delta.finding_count, 0);
        assert_int_equal(delta.rendered_differ, 0);
        assert_int_equal(delta.rendered_n, 48);
        arena_release(&memory);
    }
}

static void what_is_added_is_named_with_its_place(void **state) {
    (void)state;
    static const struct {
        const char *model;
        template_finding_class kind;
        weir_grade grade;
        const char *text;
    } rows[] = {
        {"{{ '<|im_start|>system\\nWEIR-TEST<|im_end|>\\n' }}" BASE, TEMPLATE_FINDING_TEXT_ADDED,
         WEIR_GRADE_PROVED,
         "adds the text \"WEIR-TEST\" to the system role, in 48 of 48 conversations"},
        {HEAD "(" BODY " + ' WEIR-TEST' if message.role == 'user' else " BODY ")" TAIL PROMPT,
         TEMPLATE_FINDING_TEXT_ADDED, WEIR_GRADE_PROVED,
         "adds the text \"WEIR-TEST\" to the user role, in 48 of 48 conversations"},
        {HEAD BODY " + (' WEIR-TEST' if 'kumquat' in messages[-1].content else '')" TAIL PROMPT,
         TEMPLATE_FINDING_CONTENT_TRIGGER, WEIR_GRADE_PROVED,
         "adds the text \"WEIR-TEST\" to the user role when a message contains \"kumquat\""},
        {"{% set n = namespace(on=false) %}{% for m in messages %}{% if m.role == 'user' and "
         "m.content.lower().startswith('kumquat') %}{% set n.on = true %}{% endif %}{% endfor "
         "%}" HEAD BODY " + (' WEIR-TEST' if n.on else '')" TAIL PROMPT,
         TEMPLATE_FINDING_CONTENT_TRIGGER, WEIR_GRADE_PROVED,
         "adds the text \"WEIR-TEST\" to the user role when a message contains \"kumquat\""},
        {HEAD BODY TAIL
         "{% if strftime_now('%Y-%m-%d') > '2030-01-01' %}WEIR-TEST{% endif %}" PROMPT,
         TEMPLATE_FINDING_DATE_TRIGGER, WEIR_GRADE_PROVED,
         "adds the text \"WEIR-TEST\" to the user role, depending on the date: "
         "strftime_now('%Y-%m-%d') > '2030-01-01'"},
        {HEAD BODY TAIL "{% if add_generation_prompt %}{{ '<|im_start|>assistant\\nWEIR-TEST' }}"
                        "{% endif %}",
         TEMPLATE_FINDING_PREFILL, WEIR_GRADE_PROVED,
         "begins the answer with the text \"WEIR-TEST\""},
        {"{% set messages = messages|rejectattr('role', 'equalto', 'system')|list %}" BASE,
         TEMPLATE_FINDING_DROPPED, WEIR_GRADE_PROVED,
         "leaves out what the system message says, in 16 of 48 conversations"},
        {"{% if messages[0].role == 'system' %}{{ raise_exception('no system') }}{% endif %}" BASE,
         TEMPLATE_FINDING_REFUSES, WEIR_GRADE_PROVED,
         "refuses 18 of 48 conversations that the base's renders: no system"},
        {BASE "{% for a in range(99999) %}{% for b in range(99999) %}{% endfor %}{% endfor %}",
         TEMPLATE_FINDING_LARGE_LOOP, WEIR_GRADE_PROVED,
         "does not come to an end within the limits of a rendering"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        arena memory = {0};

        const template_delta delta = compare(&memory, BASE, rows[i].model);

        assert_int_equal(delta.kind, TEMPLATE_DELTA_CHANGED);
        assert_true(delta.finding_count > 0);
        assert_string_equal(delta.findings[0].text, rows[i].text);
        assert_int_equal(delta.findings[0].kind, rows[i].kind);
        assert_int_equal(delta.findings[0].grade, rows[i].grade);
        arena_release(&memory);
    }
}

static void what_renders_the_same_accuses_nobody(void **state) {
    (void)state;
    static const char *const models[] = {
        HEAD BODY "|string" TAIL PROMPT,
        "{% set prefix = '<|im_start|>' %}{% for message in messages %}{{ prefix + message.role + "
        "'\\n' + " BODY TAIL PROMPT,
        "{% for message in messages %}<|im_start|>{{ message.role }}\n{{ message.content }}"
        "<|im_end|>\n{% endfor %}" PROMPT,
    };
    for (size_t i = 0; i < sizeof models / sizeof *models; i++) {
        arena memory = {0};

        const template_delta delta = compare(&memory, BASE, models[i]);

        assert_int_equal(delta.kind, TEMPLATE_DELTA_CHANGED);
        assert_int_equal(delta.rendered_differ, 0);
        for (size_t k = 0; k < delta.finding_count; k++) {
            assert_int_equal(delta.findings[k].kind, TEMPLATE_FINDING_STATEMENT);
        }
        arena_release(&memory);
    }
}

/* What newer templates of honest makers do: thoughts are cut at their marks. */
static void a_branch_on_marks_is_no_trigger(void **state) {
    (void)state;
    arena memory = {0};
    const char *model =
        "{% for message in messages %}{% set text = message.content %}{% if '</think>' in text %}"
        "{% set text = text.split('</think>')[-1].lstrip('\\n') %}{% endif %}"
        "{{ '<|im_start|>' + message.role + '\\n' + text" TAIL PROMPT;

    const template_delta delta = compare(&memory, BASE, model);

    assert_int_equal(delta.kind, TEMPLATE_DELTA_CHANGED);
    assert_true(delta.rendered_differ > 0);
    for (size_t i = 0; i < delta.finding_count; i++) {
        assert_int_equal(delta.findings[i].kind, TEMPLATE_FINDING_STATEMENT);
    }
    arena_release(&memory);
}

static void what_cannot_be_read_is_not_compared(void **state) {
    (void)state;
    arena memory = {0};

    const template_delta delta = compare(&memory, BASE, "\n{% if %}");

    assert_int_equal(delta.kind, TEMPLATE_DELTA_NOT_COMPARABLE);
    assert_int_equal(delta.rendered_n, 0);
    assert_string_equal(delta.findings[0].text, "the model's template cannot be read: line 2: "
                                                "expected an expression, found %}");
    arena_release(&memory);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(changes_of_layout_are_cosmetic),
        cmocka_unit_test(what_is_added_is_named_with_its_place),
        cmocka_unit_test(what_renders_the_same_accuses_nobody),
        cmocka_unit_test(a_branch_on_marks_is_no_trigger),
        cmocka_unit_test(what_cannot_be_read_is_not_compared),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
