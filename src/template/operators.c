/* SPDX-License-Identifier: Apache-2.0 */
/* Operators by Python's rules, on integers of 64 bits; past those there is no answer. */
#include <math.h>
#include <string.h>

#include "template/characters.h"
#include "template/machine.h"

static bool is_whole(const datum *of) {
    return of->kind == VALUE_INTEGER || of->kind == VALUE_BOOL;
}

static int64_t whole(const datum *of) {
    return of->kind == VALUE_BOOL ? of->truth : of->integer;
}

static weir_code too_wide(machine *on) {
    return machine_stop(on, TEMPLATE_NOT_RENDERED, "an integer of more than 64 bits");
}

static weir_code by_zero(machine *on) {
    return machine_stop(on, TEMPLATE_FAILED, "a division by zero");
}

/* The quotient that is rounded down, and the rest, which has the divisor's sign. */
static weir_code divide(machine *on, int64_t a, int64_t b, bool wants_rest, datum *out) {
    if (b == 0) {
        return by_zero(on);
    }
    if (a == INT64_MIN && b == -1) {
        return too_wide(on);
    }
    int64_t quotient = a / b;
    int64_t rest = a % b;
    if (rest != 0 && (rest < 0) != (b < 0)) {
        quotient--;
        rest += b;
    }
    *out = value_integer(wants_rest ? rest : quotient);
    return WEIR_OK;
}

static weir_code raise_to(machine *on, int64_t base, int64_t exponent, datum *out) {
    int64_t product = 1;
    if (exponent < 0) {
        return machine_stop(on, TEMPLATE_NOT_RENDERED, "a negative power");
    }
    for (int64_t i = 0; i < exponent; i++) {
        if (__builtin_mul_overflow(product, base, &product)) {
            return too_wide(on);
        }
        WEIR_TRY(machine_count(on, 1));
    }
    *out = value_integer(product);
    return WEIR_OK;
}

static weir_code operate_whole(machine *on, const template_node *node, int64_t a, int64_t b,
                               datum *out) {
    int64_t result = 0;
    bool is_wide;
    if (template_text_is(node, "//") || template_text_is(node, "%")) {
        return divide(on, a, b, node->text[0] == '%', out);
    }
    if (template_text_is(node, "**")) {
        return raise_to(on, a, b, out);
    }
    if (template_text_is(node, "/")) {
        if (b == 0) {
            return by_zero(on);
        }
        *out = value_float((double)a / (double)b);
        return WEIR_OK;
    }
    if (node->text[0] == '+') {
        is_wide = __builtin_add_overflow(a, b, &result);
    } else if (node->text[0] == '-') {
        is_wide = __builtin_sub_overflow(a, b, &result);
    } else {
        is_wide = __builtin_mul_overflow(a, b, &result);
    }
    *out = value_integer(result);
    return is_wide ? too_wide(on) : WEIR_OK;
}

static weir_code operate_real(machine *on, const template_node *node, double a, double b,
                              datum *out) {
    const bool divides = node->text[0] == '/' || node->text[0] == '%';
    if (divides && b == 0) {
        return by_zero(on);
    }
    if (template_text_is(node, "**") || template_text_is(node, "//") || node->text[0] == '%') {
        return machine_stop(on, TEMPLATE_NOT_RENDERED, "%.*s of decimal numbers", (int)node->len,
                            node->text);
    }
    *out = value_float(node->text[0] == '+'   ? a + b
                       : node->text[0] == '-' ? a - b
                       : node->text[0] == '*' ? a * b
                                              : a / b);
    return WEIR_OK;
}

static weir_code join_texts(machine *on, const datum *a, const datum *b, datum *out) {
    if (a->is_safe || b->is_safe) {
        return machine_stop(on, TEMPLATE_NOT_RENDERED, "+ of a safe text");
    }
    WEIR_CLEANUP(text_buffer_release) text_buffer text = {0};
    WEIR_TRY(machine_count_bytes(on, a->len + b->len));
    text_buffer_add(&text, a->text, a->len);
    text_buffer_add(&text, b->text, b->len);
    return machine_take_buffer(on, out, &text);
}

static weir_code join_lists(machine *on, const datum *a, const datum *b, datum *out) {
    WEIR_TRY(machine_list(on, out, a->kind, a->list->count + b->list->count));
    for (size_t i = 0; i < a->list->count; i++) {
        WEIR_TRY(machine_add(on, out, &a->list->items[i]));
    }
    for (size_t i = 0; i < b->list->count; i++) {
        WEIR_TRY(machine_add(on, out, &b->list->items[i]));
    }
    return WEIR_OK;
}

static weir_code repeat_text(machine *on, const datum *of, int64_t times, datum *out) {
    WEIR_CLEANUP(text_buffer_release) text_buffer text = {0};
    if (of->is_safe) {
        return machine_stop(on, TEMPLATE_NOT_RENDERED, "* of a safe text");
    }
    if (of->len == 0) {
        times = 0;
    }
    if (times > RENDER_OUTPUT_BYTES_MAX ||
        (times > 0 && of->len > RENDER_OUTPUT_BYTES_MAX / (size_t)times)) {
        return machine_stop(on, TEMPLATE_TOO_LONG, "a text repeated %lld times", (long long)times);
    }
    for (int64_t i = 0; i < times; i++) {
        WEIR_TRY(machine_count(on, 1));
        text_buffer_add(&text, of->text, of->len);
    }
    return machine_take_buffer(on, out, &text);
}

static weir_code repeat_list(machine *on, const datum *of, int64_t times, datum *out) {
    WEIR_TRY(machine_list(on, out, of->kind, 0));
    for (int64_t i = 0; i < times && of->list->count > 0; i++) {
        for (size_t k = 0; k < of->list->count; k++) {
            WEIR_TRY(machine_add(on, out, &of->list->items[k]));
        }
    }
    return WEIR_OK;
}

static weir_code operate_other(machine *on, const template_node *node, const datum *left,
                               const datum *right, datum *out) {
    const bool is_sum = template_text_is(node, "+");
    const bool are_texts = left->kind == VALUE_STRING && right->kind == VALUE_STRING;
    const bool are_lists =
        left->kind == right->kind && (left->kind == VALUE_LIST || left->kind == VALUE_TUPLE);
    if (is_sum && are_texts) {
        return join_texts(on, left, right, out);
    }
    if (is_sum && are_lists) {
        return join_lists(on, left, right, out);
    }
    const datum *times = is_whole(right) ? right : left;
    const datum *of = times == right ? left : right;
    if (template_text_is(node, "*") && is_whole(times)) {
        if (of->kind == VALUE_STRING) {
            return repeat_text(on, of, whole(times), out);
        }
        if (of->kind == VALUE_LIST || of->kind == VALUE_TUPLE) {
            return repeat_list(on, of, whole(times), out);
        }
    }
    if (node->text[0] == '%' && left->kind == VALUE_STRING) {
        return machine_stop(on, TEMPLATE_NOT_RENDERED, "%% formatting");
    }
    return machine_stop(on, TEMPLATE_FAILED, "%.*s of values that have none", (int)node->len,
                        node->text);
}

weir_code operate(machine *on, const template_node *node, const datum *left, const datum *right,
                  datum *out) {
    if (is_whole(left) && is_whole(right)) {
        return operate_whole(on, node, whole(left), whole(right), out);
    }
    if (value_is_number(left) && value_is_number(right)) {
        return operate_real(on, node, value_real(left), value_real(right), out);
    }
    return operate_other(on, node, left, right, out);
}

static int order_texts(const datum *a, const datum *b) {
    /* UTF-8 sorts as its characters do. */
    const size_t least = a->len < b->len ? a->len : b->len;
    const int order = memcmp(a->text, b->text, least);
    return order != 0 ? order : (a->len > b->len) - (a->len < b->len);
}

weir_code order_values(machine *on, const datum *left, const datum *right, int *out) {
    WEIR_TRY(machine_count(on, 1));
    if (value_is_number(left) && value_is_number(right)) {
        if (is_whole(left) && is_whole(right)) {
            *out = (whole(left) > whole(right)) - (whole(left) < whole(right));
            return WEIR_OK;
        }
        const double a = value_real(left);
        const double b = value_real(right);
        *out = (a > b) - (a < b);
        return isnan(a) || isnan(b) ? machine_stop(on, TEMPLATE_NOT_RENDERED, "the order of a NaN")
                                    : WEIR_OK;
    }
    if (left->kind == VALUE_STRING && right->kind == VALUE_STRING) {
        *out = order_texts(left, right);
        return WEIR_OK;
    }
    const bool are_lists =
        left->kind == right->kind && (left->kind == VALUE_LIST || left->kind == VALUE_TUPLE);
    if (!are_lists) {
        return machine_stop(on, TEMPLATE_FAILED, "an order of values that have none");
    }
    for (size_t i = 0; i < left->list->count && i < right->list->count; i++) {
        if (!value_is_equal(&left->list->items[i], &right->list->items[i], &on->steps)) {
            return order_values(on, &left->list->items[i], &right->list->items[i], out);
        }
    }
    *out = (left->list->count > right->list->count) - (left->list->count < right->list->count);
    return WEIR_OK;
}

weir_code is_inside(machine *on, const datum *item, const datum *container, bool *out) {
    if (container->kind == VALUE_STRING) {
        if (item->kind != VALUE_STRING) {
            return machine_stop(on, TEMPLATE_FAILED, "what is no text sought in a text");
        }
        WEIR_TRY(machine_count_bytes(on, container->len));
        *out = item->len == 0 ||
               memmem(container->text, container->len, item->text, item->len) != NULL;
        return WEIR_OK;
    }
    if (container->kind == VALUE_DICT) {
        if (item->kind == VALUE_LIST || item->kind == VALUE_DICT) {
            return machine_stop(on, TEMPLATE_FAILED, "a key of a dict that cannot be hashed");
        }
        *out = value_dict_find(container->dict, item, &on->steps) < container->dict->count;
        return machine_count(on, 1);
    }
    if (container->kind == VALUE_ITERATOR) {
        return machine_stop(on, TEMPLATE_NOT_RENDERED, "a search in an iterator");
    }
    datum items;
    WEIR_TRY(machine_items(on, &items, container, "a search"));
    *out = false;
    for (size_t i = 0; i < items.list->count && !*out; i++) {
        *out = value_is_equal(item, &items.list->items[i], &on->steps);
    }
    return machine_count(on, 1);
}

weir_code compare_values(machine *on, const char *operation, size_t len, const datum *left,
                         const datum *right, bool *out) {
    const bool is_membership = operation[len - 1] == 'n';
    if (is_membership) {
        WEIR_TRY(is_inside(on, left, right, out));
        *out = *out == (len == 2);
        return WEIR_OK;
    }
    if (operation[0] == '=' || operation[0] == '!') {
        const bool is_vague = (left->kind == VALUE_VIEW && right->kind == VALUE_VIEW) ||
                              left->kind == VALUE_METHOD || right->kind == VALUE_METHOD;
        if (is_vague) {
            return machine_stop(on, TEMPLATE_NOT_RENDERED, "== of views or methods");
        }
        *out = value_is_equal(left, right, &on->steps) == (operation[0] == '=');
        return machine_count(on, 1);
    }
    int order;
    WEIR_TRY(order_values(on, left, right, &order));
    const bool or_equal = len == 2;
    *out = operation[0] == '<' ? order < 0 || (or_equal && order == 0)
                               : order > 0 || (or_equal && order == 0);
    return WEIR_OK;
}
