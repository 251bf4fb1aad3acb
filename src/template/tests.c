/* SPDX-License-Identifier: Apache-2.0 */
/* The tests of Jinja 3.1: "x is NAME". */
#include <string.h>

#include "template/machine.h"

typedef struct named_test {
    const char *name;
    size_t arguments;
    weir_code (*holds)(machine *on, const datum *of, const datum *by, bool *out);
} named_test;

static bool is_kind(const datum *of, value_kind kind) {
    return of->kind == kind;
}

#define KIND_TEST(function, expression)                                                            \
    static weir_code function(machine *on, const datum *of, const datum *by, bool *out) {          \
        (void)by;                                                                                  \
        (void)on;                                                                                  \
        *out = (expression);                                                                       \
        return WEIR_OK;                                                                            \
    }
KIND_TEST(test_defined, !is_kind(of, VALUE_UNDEFINED))
KIND_TEST(test_undefined, is_kind(of, VALUE_UNDEFINED))
KIND_TEST(test_none, is_kind(of, VALUE_NONE))
KIND_TEST(test_boolean, is_kind(of, VALUE_BOOL))
KIND_TEST(test_true, is_kind(of, VALUE_BOOL) && of->truth)
KIND_TEST(test_false, is_kind(of, VALUE_BOOL) && !of->truth)
KIND_TEST(test_integer, is_kind(of, VALUE_INTEGER))
KIND_TEST(test_float, is_kind(of, VALUE_FLOAT))
KIND_TEST(test_number, value_is_number(of))
KIND_TEST(test_string, is_kind(of, VALUE_STRING))
KIND_TEST(test_mapping, is_kind(of, VALUE_DICT))
KIND_TEST(test_sequence, is_kind(of, VALUE_STRING) || is_kind(of, VALUE_LIST) ||
                             is_kind(of, VALUE_TUPLE) || is_kind(of, VALUE_RANGE) ||
                             is_kind(of, VALUE_DICT) || is_kind(of, VALUE_UNDEFINED))
KIND_TEST(test_iterable, is_kind(of, VALUE_STRING) || value_has_items(of) ||
                             is_kind(of, VALUE_DICT) || is_kind(of, VALUE_UNDEFINED) ||
                             is_kind(of, VALUE_LOOP))
KIND_TEST(test_callable, is_kind(of, VALUE_MACRO) || is_kind(of, VALUE_FUNCTION) ||
                             is_kind(of, VALUE_METHOD) || is_kind(of, VALUE_UNDEFINED) ||
                             is_kind(of, VALUE_LOOP))
KIND_TEST(test_escaped, of->is_safe)

static weir_code test_equal(machine *on, const datum *of, const datum *by, bool *out) {
    return compare_values(on, "==", 2, of, by, out);
}
static weir_code test_unequal(machine *on, const datum *of, const datum *by, bool *out) {
    return compare_values(on, "!=", 2, of, by, out);
}
static weir_code test_less(machine *on, const datum *of, const datum *by, bool *out) {
    return compare_values(on, "<", 1, of, by, out);
}
static weir_code test_less_equal(machine *on, const datum *of, const datum *by, bool *out) {
    return compare_values(on, "<=", 2, of, by, out);
}
static weir_code test_greater(machine *on, const datum *of, const datum *by, bool *out) {
    return compare_values(on, ">", 1, of, by, out);
}
static weir_code test_greater_equal(machine *on, const datum *of, const datum *by, bool *out) {
    return compare_values(on, ">=", 2, of, by, out);
}
static weir_code test_in(machine *on, const datum *of, const datum *by, bool *out) {
    return is_inside(on, of, by, out);
}

/* Identity, which is certain only for the values that exist once. */
static weir_code test_same(machine *on, const datum *of, const datum *by, bool *out) {
    const bool is_single = of->kind == VALUE_NONE || of->kind == VALUE_BOOL;
    const bool is_other = by->kind == VALUE_NONE || by->kind == VALUE_BOOL;
    if (!is_single && !is_other) {
        return machine_stop(on, TEMPLATE_NOT_RENDERED, "the test sameas of such values");
    }
    *out = of->kind == by->kind && (of->kind == VALUE_NONE || of->truth == by->truth);
    return WEIR_OK;
}

static weir_code divides(machine *on, const datum *of, const datum *by, bool *out) {
    if (of->kind != VALUE_INTEGER || by->kind != VALUE_INTEGER || by->integer == 0) {
        return machine_stop(on, TEMPLATE_NOT_RENDERED, "divisibility of such values");
    }
    *out = by->integer == -1 || of->integer % by->integer == 0;
    return WEIR_OK;
}

static weir_code test_even(machine *on, const datum *of, const datum *by, bool *out) {
    (void)by;
    const datum two = value_integer(2);
    return divides(on, of, &two, out);
}

static weir_code test_odd(machine *on, const datum *of, const datum *by, bool *out) {
    WEIR_TRY(test_even(on, of, by, out));
    *out = !*out;
    return WEIR_OK;
}

static const named_test named_tests[] = {
    {"defined", 0, test_defined},   {"undefined", 0, test_undefined},
    {"none", 0, test_none},         {"boolean", 0, test_boolean},
    {"true", 0, test_true},         {"false", 0, test_false},
    {"integer", 0, test_integer},   {"float", 0, test_float},
    {"number", 0, test_number},     {"string", 0, test_string},
    {"mapping", 0, test_mapping},   {"sequence", 0, test_sequence},
    {"iterable", 0, test_iterable}, {"callable", 0, test_callable},
    {"escaped", 0, test_escaped},   {"odd", 0, test_odd},
    {"even", 0, test_even},         {"divisibleby", 1, divides},
    {"sameas", 1, test_same},       {"in", 1, test_in},
    {"eq", 1, test_equal},          {"equalto", 1, test_equal},
    {"==", 1, test_equal},          {"ne", 1, test_unequal},
    {"!=", 1, test_unequal},        {"lt", 1, test_less},
    {"lessthan", 1, test_less},     {"<", 1, test_less},
    {"le", 1, test_less_equal},     {"<=", 1, test_less_equal},
    {"gt", 1, test_greater},        {"greaterthan", 1, test_greater},
    {">", 1, test_greater},         {"ge", 1, test_greater_equal},
    {">=", 1, test_greater_equal},
};

weir_code apply_test(machine *on, const char *name, size_t len, const datum *input,
                     const arguments *with, bool *out) {
    for (size_t i = 0; i < sizeof named_tests / sizeof *named_tests; i++) {
        const named_test *at = &named_tests[i];
        if (strlen(at->name) == len && memcmp(at->name, name, len) == 0) {
            if (with->count != at->arguments || with->named_count > 0) {
                return machine_stop(on, TEMPLATE_FAILED, "the test %s with such arguments",
                                    at->name);
            }
            return at->holds(on, input, with->items, out);
        }
    }
    return machine_stop(on, TEMPLATE_NOT_RENDERED, "the test %.*s", (int)(len < 40 ? len : 40),
                        name);
}
