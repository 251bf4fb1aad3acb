/* SPDX-License-Identifier: Apache-2.0 */
/** @file hazard_scan.h  The state of one scan, shared by the rules (hazard.c) and the spelling
 * (hazard_spell.c). */
#ifndef WEIR_TEMPLATE_HAZARD_SCAN_H
#define WEIR_TEMPLATE_HAZARD_SCAN_H

#include <stdbool.h>

#include "base/arena.h"
#include "base/findings.h"
#include "template/hazard_words.h"
#include "template/lexer.h"

enum {
    HAZARD_LOOPS_MAX = 32,
    HAZARD_AHEAD_MAX = 128,     /* tokens */
    HAZARD_VARIABLES_MAX = 256, /* the latest ones */
};

/** A name that the template gave a constant: a text, a number, or both. */
typedef struct hazard_variable {
    const char *name;
    size_t name_len;
    const char *text;
    size_t len;
    double number; /**< NAN when it is none */
} hazard_variable;

typedef struct hazard_rule {
    const char *id;
    weir_severity severity;
    weir_verdict verdict;
    const char *message; /**< one sentence; %s stands for what was found */
} hazard_rule;

typedef struct hazard_scan {
    template_token *tokens; /**< comments left out */
    size_t count;
    size_t capacity;
    weir_findings *findings;
    const char *file;
    const char *at;
    unsigned finding_counts[2]; /**< suspicious, malicious */
    unsigned character_calls;
    bool is_bound[HAZARD_ROOT_COUNT_MAX];
    double loops[HAZARD_LOOPS_MAX]; /**< product of the ranges around */
    size_t loop_depth;
    hazard_variable variables[HAZARD_VARIABLES_MAX];
    size_t variable_count; /**< ever set */
    arena memory;
    bool failed;
} hazard_scan;

/** One {{ ... }} or {% ... %}: the tokens [begin, end) between its marks. */
typedef struct hazard_statement {
    size_t begin;
    size_t end;
    bool is_output;
    bool has_format;
} hazard_statement;

void hazard_scan_release(hazard_scan *scan);
static inline void hazard_scan_release_cleanup(hazard_scan *scan) {
    hazard_scan_release(scan);
}

/** @return the token, or an empty one outside the template. */
const template_token *hazard_token(const hazard_scan *scan, size_t index);
/** @return whether the token is exactly this name, operator or mark; never for strings and text. */
bool hazard_is(const hazard_scan *scan, size_t index, const char *text);
/** @return whether the token is a string literal that means `text`, spelled plainly. */
bool hazard_is_literal(const hazard_scan *scan, size_t index, const char *text);
/** @return whether a value ends with this token, so that "[" behind it opens the value. */
bool hazard_ends_value(const hazard_scan *scan, size_t index);
/**
 * @return the index of the bracket that closes the one at `open`, or the end of the statement, or
 * where looking ahead ends: brackets within brackets must not cost their square
 */
size_t hazard_closing(const hazard_scan *scan, size_t open);

/** @return the value of + - * ** over numbers in [begin, end), or NAN. */
double hazard_number(const hazard_scan *scan, size_t begin, size_t end);
/** @return how often range(...) repeats, `open` its bracket; 0 when that is not known. */
double hazard_range_count(const hazard_scan *scan, size_t open);

void hazard_add(hazard_scan *scan, const hazard_rule *rule, size_t token, const char *found);

/*
 * Internal names that a statement spells from pieces. Every string, every number that may be a
 * character, every variable with a known text and every key of dict() is a piece; the pieces are
 * laid side by side in their order and in the reverse order, whatever operator stands between them
 * (~ + join format % and lists give the same text), with replace, split, strip, striptags, slices,
 * repetition and changes of case done. A name that only then appears was hidden on purpose.
 */
void hazard_spell(hazard_scan *scan, const hazard_statement *statement);
/** The same for the text between {% set x %} or {% macro x() %} and its end; before the statements.
 */
void hazard_spell_captures(hazard_scan *scan);

#endif
