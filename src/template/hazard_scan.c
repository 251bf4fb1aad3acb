/* SPDX-License-Identifier: Apache-2.0 */
/* Looking around among the tokens of a template, and the numbers in them. */
#include "template/hazard_scan.h"

#include <math.h>
#include <string.h>

void hazard_scan_release(hazard_scan *scan) {
    free(scan->tokens);
    arena_release(&scan->memory);
}

const template_token *hazard_token(const hazard_scan *scan, size_t index) {
    static const template_token none = {.kind = TEMPLATE_END, .text = ""};
    return index < scan->count ? &scan->tokens[index] : &none;
}

bool hazard_is(const hazard_scan *scan, size_t index, const char *text) {
    const template_token *token = hazard_token(scan, index);
    return token->kind != TEMPLATE_STRING && token->kind != TEMPLATE_TEXT &&
           token->len == strlen(text) && memcmp(token->text, text, token->len) == 0;
}

bool hazard_is_literal(const hazard_scan *scan, size_t index, const char *text) {
    const template_token *token = hazard_token(scan, index);
    return token->kind == TEMPLATE_STRING && token->len == strlen(text) + 2 &&
           memcmp(token->text + 1, text, token->len - 2) == 0;
}

bool hazard_ends_value(const hazard_scan *scan, size_t index) {
    static const char *const keywords[] = {"in", "not", "and", "or", "is", "if", "else", "elif"};
    const template_token *token = hazard_token(scan, index);
    for (size_t i = 0; i < sizeof keywords / sizeof *keywords; i++) {
        if (hazard_is(scan, index, keywords[i])) {
            return false;
        }
    }
    return token->kind == TEMPLATE_NAME || token->kind == TEMPLATE_STRING ||
           token->kind == TEMPLATE_NUMBER || hazard_is(scan, index, ")") ||
           hazard_is(scan, index, "]") || hazard_is(scan, index, "}");
}

static bool is_bracket(const template_token *token, const char *brackets) {
    return token->kind == TEMPLATE_OPERATOR && token->len == 1 && strchr(brackets, token->text[0]);
}

size_t hazard_closing(const hazard_scan *scan, size_t open) {
    size_t depth = 0;
    size_t i = open;
    for (; i < scan->count && i - open < HAZARD_AHEAD_MAX; i++) {
        const template_token *token = &scan->tokens[i];
        depth += is_bracket(token, "([{");
        depth -= is_bracket(token, ")]}");
        const bool is_end = token->kind == TEMPLATE_BLOCK_END || token->kind == TEMPLATE_OUTPUT_END;
        if (depth == 0 || is_end) {
            return i;
        }
    }
    return i;
}

static double literal_number(const template_token *token) {
    enum { DIGITS_MAX = 63 };
    char digits[DIGITS_MAX + 1];
    size_t len = 0;
    int base = 0;
    for (size_t i = 0; i < token->len && len < DIGITS_MAX; i++) {
        if (token->text[i] != '_') {
            digits[len++] = token->text[i];
        }
    }
    digits[len] = '\0';
    if (digits[0] == '0') {
        const char mark = (char)(digits[1] | 0x20);
        base = mark == 'b' ? 2 : mark == 'o' ? 8 : 0;
    }
    return base ? (double)strtoull(digits + 2, NULL, base) : strtod(digits, NULL);
}

static double variable_number(const hazard_scan *scan, const template_token *name) {
    const size_t count =
        scan->variable_count < HAZARD_VARIABLES_MAX ? scan->variable_count : HAZARD_VARIABLES_MAX;
    for (size_t i = 0; i < count; i++) {
        const hazard_variable *variable = &scan->variables[i];
        if (variable->name_len == name->len && memcmp(variable->name, name->text, name->len) == 0) {
            return variable->number;
        }
    }
    return NAN;
}

/* Powers bind stronger than products, products stronger than sums; brackets are not looked into. */
double hazard_number(const hazard_scan *scan, size_t begin, size_t end) {
    double sum = 0;
    double product = 0;
    double sign = 1;
    for (size_t i = begin; i < end; i++) {
        const template_token *token = hazard_token(scan, i);
        const bool is_power = hazard_is(scan, i + 1, "**");
        double value = NAN;
        if (token->kind == TEMPLATE_NUMBER) {
            value = literal_number(token);
        } else if (token->kind == TEMPLATE_NAME) {
            value = variable_number(scan, token);
        } else if (is_bracket(token, "+-")) {
            sum += product;
            product = 0;
            sign = token->text[0] == '-' ? -1 : 1;
            continue;
        } else if (is_bracket(token, "*")) {
            continue;
        }
        if (is_power) {
            value = pow(value, literal_number(hazard_token(scan, i + 2)));
            i += 2;
        }
        product = i > begin && product != 0 ? product * value : sign * value;
    }
    return sum + product;
}

static size_t argument_end(const hazard_scan *scan, size_t begin, size_t end) {
    size_t depth = 0;
    for (size_t i = begin; i < end; i++) {
        depth += is_bracket(hazard_token(scan, i), "([{");
        depth -= is_bracket(hazard_token(scan, i), ")]}");
        if (depth == 0 && hazard_is(scan, i, ",")) {
            return i;
        }
    }
    return end;
}

double hazard_range_count(const hazard_scan *scan, size_t open) {
    enum { ARGUMENTS_MAX = 3 };
    double arguments[ARGUMENTS_MAX] = {0, 0, 1};
    const size_t end = hazard_closing(scan, open);
    size_t count = 0;
    for (size_t begin = open + 1; begin < end && count < ARGUMENTS_MAX; count++) {
        const size_t argument = argument_end(scan, begin, end);
        arguments[count] = hazard_number(scan, begin, argument);
        begin = argument + 1;
    }
    if (count == 1) {
        arguments[1] = arguments[0];
        arguments[0] = 0;
    }
    const double repeats = (arguments[1] - arguments[0]) / arguments[2];
    return repeats > 0 ? repeats : 0; /* also for NAN */
}
