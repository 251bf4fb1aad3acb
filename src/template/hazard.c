/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Hazard rules over the tokens of one template, a statement ({{ ... }} or {% ... %}) at a time.
 *
 *   names      an attribute, method, filter or first name that leads to the interpreter
 *   literals   the same names as a string, decoded, where a string can become an attribute
 *   spelling   the same names put together from pieces: see hazard_spell.h
 *   loops      ranges, and products of nested ranges, that no conversation needs
 *   shape      size, padding, encoded literals, lexing errors
 *
 * Text outside the statements is only text, except where {% set x %} or a macro turns it into a
 * value. Malicious is what has no honest use; what is only odd is suspicious.
 */
#include "template/hazard.h"

#include <stdio.h>
#include <string.h>

#include "base/checked.h"
#include "base/fail.h"
#include "base/limits.h"
#include "template/hazard_scan.h"
#include "template/hazard_words.h"

enum {
    FINDINGS_MAX = 16,          /* of each verdict */
    USUAL_BYTES_MAX = 48 << 10, /* three times the longest published template that we know */
    RUN_BYTES_MAX = 4096,
    CHARACTER_CALLS_MAX = 3,
};
static const double count_max = 1e6;

void hazard_add(hazard_scan *scan, const hazard_rule *rule, size_t token, const char *found) {
    /* Counted apart, so that many small findings cannot hide a grave one. */
    unsigned *count = &scan->finding_counts[rule->verdict == WEIR_VERDICT_MALICIOUS];
    if (*count == FINDINGS_MAX) {
        return;
    }
    ++*count;
    char at[160];
    const uint32_t line = hazard_token(scan, token)->line;
    (void)snprintf(at, sizeof at, "%s%sline %u", scan->at, scan->at[0] ? " " : "", line ? line : 1);
    const char *gap = strstr(rule->message, "%s"); /* every rule has one */
    findings_add(scan->findings,
                 &(weir_finding){.id = rule->id,
                                 .severity = rule->severity,
                                 .verdict = rule->verdict,
                                 .file = scan->file,
                                 .at = at},
                 "%.*s%s%s", (int)(gap - rule->message), rule->message, found, gap + 2);
}

static void add_token(hazard_scan *scan, const hazard_rule *rule, size_t index) {
    char name[64];
    const template_token *token = hazard_token(scan, index);
    text_escape(name, sizeof name, token->text, token->len);
    hazard_add(scan, rule, index, name);
}

#define MALICIOUS  .severity = WEIR_SEVERITY_CRITICAL, .verdict = WEIR_VERDICT_MALICIOUS
#define SUSPICIOUS .severity = WEIR_SEVERITY_MEDIUM, .verdict = WEIR_VERDICT_SUSPICIOUS

static const hazard_rule internal_name = {
    .id = "template-internal-attribute",
    MALICIOUS,
    .message = "the template reaches for %s, which leads from a value to the Python interpreter"};
static const hazard_rule underlined_name = {
    .id = "template-underlined-attribute",
    SUSPICIOUS,
    .message = "the template uses the attribute %s; names of this shape are the interpreter's own"};
static const hazard_rule command_name = {
    .id = "template-code-call",
    MALICIOUS,
    .message = "the template asks for %s, which runs, imports, opens or decodes something"};
static const hazard_rule module_name = {
    .id = "template-system-module",
    MALICIOUS,
    .message = "the template uses the module %s; a chat template has no modules"};
static const hazard_rule engine_object = {
    .id = "template-engine-object",
    MALICIOUS,
    .message = "the template opens %s, an object of the engine, instead of calling it"};
static const hazard_rule engine_alias = {
    .id = "template-engine-object",
    SUSPICIOUS,
    .message = "the template uses %s, which only attacks are known to need"};
static const hazard_rule web_object = {
    .id = "template-web-object",
    MALICIOUS,
    .message = "the template opens %s, an object of a web application that may render it"};
static const hazard_rule web_alias = {
    .id = "template-web-object",
    SUSPICIOUS,
    .message = "the template uses %s, an object of a web application that may render it"};
static const hazard_rule file_tag = {
    .id = "template-file-include",
    MALICIOUS,
    .message = "the tag %s loads another file; a chat template stands alone"};
static const hazard_rule debug_tag = {
    .id = "template-debug", SUSPICIOUS, .message = "the tag %s prints the engine's inside"};
static const hazard_rule dynamic_attribute = {
    .id = "template-dynamic-attribute",
    SUSPICIOUS,
    .message = "the filter %s gets a name that is known only when the template runs"};
static const hazard_rule built_attribute = {
    .id = "template-built-attribute",
    MALICIOUS,
    .message = "the filter %s gets a name that is put together from characters"};
static const hazard_rule indirect_format = {
    .id = "template-indirect-format",
    MALICIOUS,
    .message = "%s is taken as an attribute, which leads around a sandbox"};
static const hazard_rule large_range = {
    .id = "template-large-loop", SUSPICIOUS, .message = "%s repeats a million times or more"};
static const hazard_rule characters = {.id = "template-character-building",
                                       SUSPICIOUS,
                                       .message = "text is built from character numbers by %s"};
static const hazard_rule encoded_literal = {
    .id = "template-encoded-literal",
    SUSPICIOUS,
    .message = "a long string of base64 or hexadecimal digits: %s"};
static const hazard_rule padding = {
    .id = "template-padding", SUSPICIOUS, .message = "the same byte stands thousands of times: %s"};
static const hazard_rule oversized = {
    .id = "template-oversized", SUSPICIOUS, .message = "the template is unusually long: %s"};
static const hazard_rule malformed = {
    .id = "template-malformed", SUSPICIOUS, .message = "the template cannot be read: %s"};
static const hazard_rule codec = {
    .id = "template-decoder", MALICIOUS, .message = "the template decodes text by the codec %s"};

/* A text that names an attribute, method or filter. @return whether the word is one that no honest
 * template needs, reported or not */
static bool judge_word(hazard_scan *scan, size_t i, const char *text, size_t len, bool is_called) {
    switch (hazard_word_find(text, len)) {
    case HAZARD_WORD_INTERNAL:
        add_token(scan, &internal_name, i);
        return true;
    case HAZARD_WORD_UNDERLINED:
        add_token(scan, &underlined_name, i);
        return true;
    case HAZARD_WORD_COMMAND:
        add_token(scan, &command_name, i);
        return true;
    case HAZARD_WORD_CALL:
        if (is_called) {
            add_token(scan, &command_name, i);
        }
        return true;
    case HAZARD_WORD_PLAIN:
        return false;
    }
    return false;
}

/* The name as a member: attribute, method, filter. */
static void judge_member(hazard_scan *scan, size_t i, bool is_called) {
    const template_token *name = hazard_token(scan, i);
    (void)judge_word(scan, i, name->text, name->len, is_called);
}

/* Whether the value that ends at `i` is opened: an attribute, a key, or the filter attr. */
static bool is_opened(const hazard_scan *scan, size_t i) {
    return hazard_is(scan, i + 1, ".") || hazard_is(scan, i + 1, "[") ||
           (hazard_is(scan, i + 1, "|") &&
            (hazard_is(scan, i + 2, "attr") || hazard_is(scan, i + 2, "map")));
}

static bool is_one_of(const hazard_scan *scan, size_t i, const char *const *names, size_t count) {
    const template_token *token = hazard_token(scan, i);
    const size_t quote = token->kind == TEMPLATE_STRING;
    for (size_t k = 0; k < count; k++) {
        if (token->len == strlen(names[k]) + 2 * quote &&
            memcmp(token->text + quote, names[k], strlen(names[k])) == 0) {
            return true;
        }
    }
    return false;
}
#define IS_ONE_OF(scan, i, names) is_one_of(scan, i, names, sizeof(names) / sizeof *(names))

/* The token that names what `root` is opened for: root.NAME, root['NAME'], root|attr('NAME'). */
static size_t member_of(const hazard_scan *scan, size_t i) {
    return hazard_is(scan, i + 1, "|") ? i + 4 : i + 2;
}

static void judge_web(hazard_scan *scan, size_t i) {
    static const char *const inside[] = {"application", "environ", "args",     "cookies", "headers",
                                         "form",        "values",  "files",    "data",    "stream",
                                         "get_data",    "module",  "get_json", "json"};
    if (is_opened(scan, i)) {
        add_token(scan, IS_ONE_OF(scan, member_of(scan, i), inside) ? &web_object : &web_alias, i);
    }
}

static void judge_config(hazard_scan *scan, size_t i) {
    static const char *const inside[] = {"from_object", "from_pyfile", "from_envvar",
                                         "SECRET_KEY",  "root_path",   "get_namespace"};
    const bool is_dumped = hazard_is(scan, i + 1, "}}") || hazard_is(scan, i + 1, "-}}");
    if (is_opened(scan, i) && IS_ONE_OF(scan, member_of(scan, i), inside)) {
        add_token(scan, &web_object, i);
    } else if (is_dumped && hazard_token(scan, i - 1)->kind == TEMPLATE_OUTPUT_BEGIN) {
        add_token(scan, &web_alias, i);
    }
}

/* self.title() calls a block; anything else opens the template object. */
static void judge_self(hazard_scan *scan, size_t i) {
    const bool is_block_call = hazard_is(scan, i + 1, ".") && hazard_is(scan, i + 3, "(");
    if (is_opened(scan, i) && !is_block_call) {
        add_token(scan, &engine_object, i);
    }
}

static void judge_root(hazard_scan *scan, size_t i) {
    unsigned index = 0;
    const template_token *name = hazard_token(scan, i);
    const hazard_root root = hazard_root_find(name->text, name->len, &index);
    if (root == HAZARD_ROOT_PLAIN || scan->is_bound[index]) {
        return;
    }
    switch (root) {
    case HAZARD_ROOT_MODULE:
        if (is_opened(scan, i)) {
            add_token(scan, &module_name, i);
        }
        return;
    case HAZARD_ROOT_FUNCTION:
        if (hazard_is(scan, i + 1, "(")) {
            add_token(scan, &command_name, i);
        }
        return;
    case HAZARD_ROOT_ENGINE:
        if (is_opened(scan, i)) {
            add_token(scan, &engine_object, i);
        } else if (hazard_is(scan, i, "lipsum")) {
            add_token(scan, &engine_alias, i);
        }
        return;
    case HAZARD_ROOT_WEB:
        judge_web(scan, i);
        return;
    case HAZARD_ROOT_CONFIG:
        judge_config(scan, i);
        return;
    case HAZARD_ROOT_SELF:
        judge_self(scan, i);
        return;
    case HAZARD_ROOT_PLAIN:
        return;
    }
}

/* The filter attr with anything but one literal, which is judged as a literal. */
static void judge_attr_filter(hazard_scan *scan, size_t i) {
    if (!hazard_is(scan, i + 1, "(")) {
        return;
    }
    const size_t end = hazard_closing(scan, i + 1);
    const bool is_literal = hazard_token(scan, i + 2)->kind == TEMPLATE_STRING && end == i + 3;
    bool is_known = true;
    bool is_built = false;
    for (size_t k = i + 2; k < end; k++) {
        const template_token *token = hazard_token(scan, k);
        is_known = is_known && (token->kind == TEMPLATE_STRING || hazard_is(scan, k, "~") ||
                                hazard_is(scan, k, "+"));
        is_built = is_built || (token->kind == TEMPLATE_OPERATOR && !hazard_is(scan, k, "."));
    }
    if (!is_literal && !is_known) {
        add_token(scan, is_built ? &built_attribute : &dynamic_attribute, i);
    }
}

static void judge_codec(hazard_scan *scan, size_t i) {
    static const char *const codecs[] = {
        "base64",         "base_64", "hex",          "hex_codec",      "rot13",
        "rot_13",         "zlib",    "bz2",          "unicode_escape", "uu",
        "unicode-escape", "utf-7",   "utf7",         "punycode",       "raw_unicode_escape",
        "base64_codec",   "utf_7",   "string_escape"};
    if (hazard_is(scan, i + 1, "(") && IS_ONE_OF(scan, i + 2, codecs)) {
        add_token(scan, &codec, i + 2);
    }
}

static bool is_key(const hazard_scan *scan, size_t i) {
    return hazard_is(scan, i + 1, "=") && !hazard_is(scan, i - 1, ".");
}

static void judge_name(hazard_scan *scan, size_t i) {
    const template_token *name = hazard_token(scan, i);
    const bool is_called = hazard_is(scan, i + 1, "(");
    if (hazard_is(scan, i - 1, ".") || hazard_is(scan, i - 1, "|")) {
        judge_member(scan, i, is_called);
        if (hazard_is(scan, i, "attr") && hazard_is(scan, i - 1, "|")) {
            judge_attr_filter(scan, i);
        }
        if (hazard_is(scan, i, "decode") || hazard_is(scan, i, "encode")) {
            judge_codec(scan, i);
        }
        return;
    }
    if (hazard_word_find(name->text, name->len) == HAZARD_WORD_INTERNAL && name->text[0] == '_') {
        add_token(scan, &internal_name, i);
    } else if (!is_key(scan, i)) {
        judge_root(scan, i);
    }
    scan->character_calls +=
        is_called && (hazard_is(scan, i, "chr") || hazard_is(scan, i, "unichr"));
    if (scan->character_calls == CHARACTER_CALLS_MAX + 1) {
        scan->character_calls++;
        add_token(scan, &characters, i);
    }
}

/* Where a literal is compared, searched for or cut out, it can only be text. */
static bool is_only_compared(const hazard_scan *scan, size_t i) {
    static const char *const searches[] = {"replace",  "split", "rsplit",    "startswith",
                                           "endswith", "count", "find",      "rfind",
                                           "index",    "strip", "partition", "raise_exception"};
    static const char *const comparisons[] = {"in", "==", "!=", "not"};
    return IS_ONE_OF(scan, i + 1, comparisons) || hazard_is(scan, i - 1, "==") ||
           hazard_is(scan, i - 1, "!=") ||
           (hazard_is(scan, i - 1, "(") && IS_ONE_OF(scan, i - 2, searches));
}

static bool is_subscript(const hazard_scan *scan, size_t i) {
    return hazard_is(scan, i - 1, "[") && hazard_ends_value(scan, i - 2);
}

/* attr('x'), map('attr', 'x'), map(attribute='x'), getattr(v, 'x'), v.__getattribute__('x') */
static bool is_attribute_name(const hazard_scan *scan, size_t i) {
    static const char *const takers[] = {"attr",    "__getattribute__", "__getattr__",
                                         "groupby", "selectattr",       "rejectattr"};
    return (hazard_is(scan, i - 1, "(") && IS_ONE_OF(scan, i - 2, takers)) ||
           (hazard_is(scan, i - 1, ",") && hazard_token(scan, i - 2)->kind == TEMPLATE_STRING &&
            hazard_is_literal(scan, i - 2, "attr")) ||
           (hazard_is(scan, i - 1, "=") && hazard_is(scan, i - 2, "attribute"));
}

static void judge_access(hazard_scan *scan, size_t i, const char *text, size_t len) {
    const bool is_named = is_attribute_name(scan, i);
    const bool is_called = is_named || hazard_is(scan, i + 2, "(");
    if (!judge_word(scan, i, text, len, is_called) && is_named &&
        (hazard_is_literal(scan, i, "format") || hazard_is_literal(scan, i, "format_map"))) {
        add_token(scan, &indirect_format, i);
    }
}

static bool is_word_byte(char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
}

/* Inside a longer word a name can only be reached by cutting it out. */
static bool is_embedded(const char *text, size_t begin, size_t end, size_t len) {
    return (begin > 0 && is_word_byte(text[begin - 1])) || (end < len && is_word_byte(text[end]));
}

static bool has_byte(const char *text, size_t len, const char *bytes) {
    for (size_t i = 0; i < len; i++) {
        if (strchr(bytes, text[i]) && text[i]) {
            return true;
        }
    }
    return false;
}

/* "{0.__class__}".format(x): a field of a format opens its value. */
static bool is_format_field(const char *text, size_t begin, size_t end, size_t len) {
    return memchr(text, '{', begin) && memchr(text + end, '}', len - end);
}

static void judge_literal_text(hazard_scan *scan, size_t i, const hazard_statement *statement,
                               bool is_nested, const char *text, size_t len) {
    size_t begin = 0;
    size_t end = 0;
    const bool is_access = is_subscript(scan, i) || is_attribute_name(scan, i);
    if (is_access) {
        judge_access(scan, i, text, len);
    }
    if (hazard_is_encoded(text, len)) {
        hazard_add(scan, &encoded_literal, i, "its content is not shown");
    }
    if (!hazard_word_inside(text, len, &begin, &end) ||
        (is_access && hazard_word_find(text, len) == HAZARD_WORD_INTERNAL)) {
        return;
    }
    const bool is_formatted = statement->has_format && is_format_field(text, begin, end, len);
    const bool is_output = statement->is_output && !is_nested;
    const bool is_safe = is_embedded(text, begin, end, len) && !hazard_is(scan, i + 1, "[");
    const bool is_prose = is_safe || has_byte(text, len, " \n/<`");
    if (is_formatted || (!is_output && !is_prose && !is_only_compared(scan, i))) {
        add_token(scan, &internal_name, i);
    }
}

static void judge_literal(hazard_scan *scan, size_t i, const hazard_statement *statement,
                          bool is_nested) {
    WEIR_CLEANUP(text_buffer_release) text_buffer text = {0};
    const template_token *token = hazard_token(scan, i);
    hazard_literal_decode(&text, token->text, token->len);
    scan->failed |= text.failed;
    if (text.len > 0 && !text.failed) {
        judge_literal_text(scan, i, statement, is_nested, text.data, text.len);
    }
}

static void judge_padding(hazard_scan *scan, size_t i) {
    const template_token *token = hazard_token(scan, i);
    size_t run = 0;
    for (size_t k = 1; k < token->len; k++) {
        run = token->text[k] == token->text[k - 1] ? run + 1 : 0;
        if (run == RUN_BYTES_MAX) {
            hazard_add(scan, &padding, i, "it hides what stands behind it, or fills memory");
            return;
        }
    }
}

static void judge_tag(hazard_scan *scan, const hazard_statement *statement) {
    static const char *const files[] = {"include", "import", "extends", "from"};
    const size_t tag = statement->begin;
    if (IS_ONE_OF(scan, tag, files)) {
        add_token(scan, &file_tag, tag);
    } else if (hazard_is(scan, tag, "debug")) {
        add_token(scan, &debug_tag, tag);
    }
}

/* 'x' * 100000000, and text padded to a width of a million. */
static void judge_repetition(hazard_scan *scan, size_t i) {
    static const char *const wideners[] = {"center", "ljust", "rjust", "zfill", "indent", "lipsum"};
    const bool is_product =
        (hazard_token(scan, i)->kind == TEMPLATE_STRING && hazard_is(scan, i + 1, "*"));
    const bool is_wide = IS_ONE_OF(scan, i, wideners) && hazard_is(scan, i + 1, "(") &&
                         hazard_token(scan, i + 2)->kind == TEMPLATE_NUMBER;
    if ((is_product || is_wide) && hazard_number(scan, i + 2, i + 3) >= count_max) {
        add_token(scan, &large_range, i);
    }
}

/* The counts of the ranges in a statement, multiplied. */
static double multiply_ranges(const hazard_scan *scan, const hazard_statement *statement) {
    double product = 1;
    for (size_t i = statement->begin; i < statement->end; i++) {
        if (hazard_is(scan, i, "range") && hazard_is(scan, i + 1, "(")) {
            const double count = hazard_range_count(scan, i + 1);
            product *= count > 1 ? count : 1;
        }
    }
    return product;
}

static void judge_loops(hazard_scan *scan, const hazard_statement *statement) {
    const double product = multiply_ranges(scan, statement);
    const bool is_for = !statement->is_output && hazard_is(scan, statement->begin, "for");
    if (!statement->is_output && hazard_is(scan, statement->begin, "endfor") &&
        scan->loop_depth > 0) {
        scan->loop_depth--;
    }
    const size_t level = scan->loop_depth < HAZARD_LOOPS_MAX ? scan->loop_depth : HAZARD_LOOPS_MAX;
    const double around = level > 0 ? scan->loops[level - 1] : 1;
    if (product > 1 && (product >= count_max || (is_for && product * around >= count_max))) {
        hazard_add(scan, &large_range, statement->begin,
                   product >= count_max ? "a range" : "a nested range");
    }
    if (is_for) {
        if (scan->loop_depth < HAZARD_LOOPS_MAX) {
            scan->loops[scan->loop_depth] = around * product;
        }
        scan->loop_depth++;
    }
}

static void judge_statement(hazard_scan *scan, const hazard_statement *statement) {
    size_t nesting = 0;
    for (size_t i = statement->begin; i < statement->end; i++) {
        const template_token *token = hazard_token(scan, i);
        if (token->kind == TEMPLATE_NAME) {
            judge_name(scan, i);
        } else if (token->kind == TEMPLATE_STRING) {
            judge_literal(scan, i, statement, nesting > 0);
            judge_padding(scan, i);
        } else if (hazard_is(scan, i, "(") || hazard_is(scan, i, "[") || hazard_is(scan, i, "{")) {
            nesting++;
        } else if (hazard_is(scan, i, ")") || hazard_is(scan, i, "]") || hazard_is(scan, i, "}")) {
            nesting--;
        }
        judge_repetition(scan, i);
    }
    if (!statement->is_output) {
        judge_tag(scan, statement);
    }
    judge_loops(scan, statement);
    hazard_spell(scan, statement);
}

/* Names that the template itself gives a meaning: {% set %}, {% for %}, {% macro %}, {% with %}. */
static void bind_names(hazard_scan *scan, const hazard_statement *statement) {
    static const char *const binders[] = {"set", "for", "macro", "with", "call"};
    if (statement->is_output || !IS_ONE_OF(scan, statement->begin, binders)) {
        return;
    }
    const bool is_signature = hazard_is(scan, statement->begin, "macro") ||
                              hazard_is(scan, statement->begin, "call") ||
                              hazard_is(scan, statement->begin, "with");
    for (size_t i = statement->begin + 1; i < statement->end; i++) {
        unsigned index;
        const template_token *name = hazard_token(scan, i);
        if (!is_signature && (hazard_is(scan, i, "=") || hazard_is(scan, i, "in"))) {
            return;
        }
        const bool is_bound = name->kind == TEMPLATE_NAME && !hazard_is(scan, i - 1, ".") &&
                              !hazard_is(scan, i + 1, ".") && !hazard_is(scan, i + 1, "[") &&
                              (!is_signature || !hazard_is(scan, i - 1, "="));
        if (is_bound && hazard_root_find(name->text, name->len, &index) != HAZARD_ROOT_PLAIN) {
            scan->is_bound[index] = true;
        }
    }
}

static bool next_statement(const hazard_scan *scan, size_t from, hazard_statement *out) {
    for (size_t i = from; i < scan->count; i++) {
        const template_kind kind = scan->tokens[i].kind;
        if (kind == TEMPLATE_BLOCK_BEGIN || kind == TEMPLATE_OUTPUT_BEGIN) {
            *out = (hazard_statement){
                .begin = i + 1, .end = i + 1, .is_output = kind == TEMPLATE_OUTPUT_BEGIN};
            while (out->end < scan->count && scan->tokens[out->end].kind != TEMPLATE_BLOCK_END &&
                   scan->tokens[out->end].kind != TEMPLATE_OUTPUT_END) {
                out->has_format |= hazard_is(scan, out->end, "format") ||
                                   hazard_is(scan, out->end, "format_map") ||
                                   hazard_is(scan, out->end, "vformat");
                out->end++;
            }
            return true;
        }
    }
    return false;
}

static weir_code read_tokens(hazard_scan *scan, const char *text, size_t len, bool is_cut,
                             weir_error *err) {
    template_lexer lexer = {.text = text, .len = len};
    for (;;) {
        weir_error failure = {0};
        void *grown = scan->tokens;
        if (!checked_grow(&grown, &scan->capacity, scan->count, sizeof *scan->tokens)) {
            return weir_fail_nomem(err);
        }
        scan->tokens = grown;
        template_token *token = &scan->tokens[scan->count];
        if (template_next(&lexer, token, &failure) != WEIR_OK) {
            scan->tokens[scan->count++] =
                (template_token){.kind = TEMPLATE_END, .text = "", .line = lexer.line};
            char found[400];
            (void)snprintf(found, sizeof found, "expected %s, found %s", failure.expected,
                           failure.found);
            if (!is_cut) {
                hazard_add(scan, &malformed, scan->count - 1, found);
            }
            return WEIR_OK;
        }
        if (token->kind == TEMPLATE_END) {
            return WEIR_OK;
        }
        scan->count += token->kind != TEMPLATE_COMMENT;
    }
}

static void judge_tokens(hazard_scan *scan) {
    hazard_statement statement;
    for (size_t i = 0; next_statement(scan, i, &statement); i = statement.end) {
        bind_names(scan, &statement);
    }
    hazard_spell_captures(scan);
    for (size_t i = 0; next_statement(scan, i, &statement); i = statement.end) {
        judge_statement(scan, &statement);
    }
    for (size_t i = 0; i < scan->count; i++) {
        if (scan->tokens[i].kind == TEMPLATE_TEXT) {
            judge_padding(scan, i);
        }
    }
}

weir_code template_scan(const char *text, size_t len, const char *file, const char *at,
                        weir_findings *findings, weir_error *err) {
    WEIR_CLEANUP(hazard_scan_release)
    hazard_scan scan = {.findings = findings, .file = file, .at = at ? at : ""};
    const size_t used = len < TEMPLATE_BYTES_MAX ? len : TEMPLATE_BYTES_MAX;
    if (len > USUAL_BYTES_MAX) {
        char found[64];
        (void)snprintf(found, sizeof found, "%zu bytes", len);
        hazard_add(&scan, &oversized, 0, found);
    }
    WEIR_TRY(read_tokens(&scan, text, used, used < len, err));
    judge_tokens(&scan);
    return scan.failed || findings_failed(findings) ? weir_fail_nomem(err) : WEIR_OK;
}
