/* SPDX-License-Identifier: Apache-2.0 */
/* Statements: what stands between {% and %}, and the text and output around them. */
#include <string.h>

#include "base/fail.h"
#include "template/parser.h"

static weir_code parse_body(parser *in, const char *const *ends, template_node **out);

static weir_code expect_kind(parser *in, template_kind kind, const char *expected) {
    if (parser_token(in)->kind != kind) {
        return parser_fail(in, WEIR_ERR_FORMAT, expected);
    }
    in->cursor++;
    return WEIR_OK;
}

/* The rest of a tag that opens a body, the body, and the name of the tag that ends it. */
static weir_code parse_block_body(parser *in, const char *const *ends, template_node *parent) {
    template_node *body;
    WEIR_TRY(expect_kind(in, TEMPLATE_BLOCK_END, "%}"));
    WEIR_TRY(parse_body(in, ends, &body));
    return parser_add(in, parent, body);
}

static weir_code parse_if(parser *in, template_node **out) {
    static const char *const ends[] = {"elif", "else", "endif", NULL};
    static const char *const end[] = {"endif", NULL};
    template_node *condition;
    WEIR_TRY(parser_node(in, NODE_IF, out));
    do {
        in->cursor++;
        WEIR_TRY(parse_tuple(in, /* with_condition= */ false, &condition));
        WEIR_TRY(parser_add(in, *out, condition));
        WEIR_TRY(parse_block_body(in, ends, *out));
    } while (parser_is(in, 0, "elif"));
    if (parser_skip_if(in, "else")) {
        WEIR_TRY(parse_block_body(in, end, *out));
    }
    return parser_expect(in, "endif");
}

static weir_code parse_for(parser *in, template_node **out) {
    static const char *const ends[] = {"else", "endfor", NULL};
    static const char *const end[] = {"endfor", NULL};
    template_node *part;
    WEIR_TRY(parser_node(in, NODE_FOR, out));
    in->cursor++;
    WEIR_TRY(parse_for_target(in, &part));
    WEIR_TRY(parser_add(in, *out, part));
    WEIR_TRY(parser_expect(in, "in"));
    WEIR_TRY(parse_tuple(in, /* with_condition= */ false, &part));
    WEIR_TRY(parser_add(in, *out, part));
    if (parser_skip_if(in, "if")) {
        WEIR_TRY(parse_expression(in, &part));
        WEIR_TRY(parser_add(in, *out, part));
    } else {
        WEIR_TRY(parser_add_absent(in, *out));
    }
    if (parser_is(in, 0, "recursive")) {
        return parser_fail(in, WEIR_ERR_UNSUPPORTED, "a loop that is not recursive");
    }
    in->loops++;
    WEIR_TRY(parse_block_body(in, ends, *out));
    in->loops--;
    if (parser_skip_if(in, "else")) {
        WEIR_TRY(parse_block_body(in, end, *out));
    } else {
        WEIR_TRY(parser_add_absent(in, *out));
    }
    return parser_expect(in, "endfor");
}

static weir_code parse_set(parser *in, template_node **out) {
    static const char *const ends[] = {"endset", NULL};
    template_node *part;
    WEIR_TRY(parser_node(in, NODE_SET, out));
    in->cursor++;
    WEIR_TRY(parse_set_target(in, &part));
    WEIR_TRY(parser_add(in, *out, part));
    if (parser_skip_if(in, "=")) {
        WEIR_TRY(parse_tuple(in, /* with_condition= */ true, &part));
        return parser_add(in, *out, part);
    }
    (*out)->kind = NODE_SET_BLOCK;
    if (parser_is(in, 0, "|")) {
        template_node *hole;
        WEIR_TRY(parser_node(in, NODE_HOLE, &hole));
        WEIR_TRY(parse_filters(in, hole, /* starts_inline= */ false, &part));
        WEIR_TRY(parser_add(in, *out, part));
    } else {
        WEIR_TRY(parser_add_absent(in, *out));
    }
    WEIR_TRY(parse_block_body(in, ends, *out));
    return parser_expect(in, "endset");
}

/* (a, b=1): names with their defaults, added to the macro. */
static weir_code parse_signature(parser *in, template_node *macro) {
    template_node *part;
    bool is_first = true;
    bool has_default = false;
    WEIR_TRY(parser_expect(in, "("));
    while (!parser_skip_if(in, ")")) {
        if (!is_first) {
            WEIR_TRY(parser_expect(in, ","));
        }
        is_first = false;
        WEIR_TRY(parse_name(in, &part));
        WEIR_TRY(parser_add(in, macro, part));
        if (parser_skip_if(in, "=")) {
            has_default = true;
            WEIR_TRY(parse_expression(in, &part));
            WEIR_TRY(parser_add(in, macro, part));
        } else if (has_default) {
            return parser_fail(in, WEIR_ERR_FORMAT, "a default, as the argument before has one");
        } else {
            WEIR_TRY(parser_add_absent(in, macro));
        }
    }
    return WEIR_OK;
}

/* Loops around a macro are none inside it. */
static weir_code parse_apart(parser *in, const char *const *ends, template_node *parent) {
    const uint32_t loops = in->loops;
    in->loops = 0;
    WEIR_TRY(parse_block_body(in, ends, parent));
    in->loops = loops;
    return parser_expect(in, ends[0]);
}

static weir_code parse_macro(parser *in, template_node **out) {
    static const char *const ends[] = {"endmacro", NULL};
    template_node *name;
    WEIR_TRY(parser_node(in, NODE_MACRO, out));
    in->cursor++;
    WEIR_TRY(parse_name(in, &name));
    (*out)->text = name->text;
    (*out)->len = name->len;
    WEIR_TRY(parse_signature(in, *out));
    return parse_apart(in, ends, *out);
}

static weir_code parse_call_block(parser *in, template_node **out) {
    static const char *const ends[] = {"endcall", NULL};
    template_node *signature;
    template_node *call;
    WEIR_TRY(parser_node(in, NODE_CALL_BLOCK, out));
    WEIR_TRY(parser_node(in, NODE_CALL_BLOCK, &signature));
    in->cursor++;
    if (parser_is(in, 0, "(")) {
        WEIR_TRY(parse_signature(in, signature));
    }
    WEIR_TRY(parse_expression(in, &call));
    if (call->kind != NODE_CALL) {
        return parser_fail(in, WEIR_ERR_FORMAT, "a call");
    }
    WEIR_TRY(parser_add(in, *out, call));
    for (template_node *part = signature->first; part;) {
        template_node *next = part->next;
        part->next = NULL;
        WEIR_TRY(parser_add(in, *out, part));
        part = next;
    }
    return parse_apart(in, ends, *out);
}

static weir_code parse_filter_block(parser *in, template_node **out) {
    static const char *const ends[] = {"endfilter", NULL};
    template_node *hole;
    template_node *filters;
    WEIR_TRY(parser_node(in, NODE_FILTER_BLOCK, out));
    WEIR_TRY(parser_node(in, NODE_HOLE, &hole));
    in->cursor++;
    WEIR_TRY(parse_filters(in, hole, /* starts_inline= */ true, &filters));
    WEIR_TRY(parser_add(in, *out, filters));
    WEIR_TRY(parse_block_body(in, ends, *out));
    return parser_expect(in, "endfilter");
}

static weir_code parse_with(parser *in, template_node **out) {
    static const char *const ends[] = {"endwith", NULL};
    template_node *part;
    WEIR_TRY(parser_node(in, NODE_WITH, out));
    in->cursor++;
    while (parser_token(in)->kind != TEMPLATE_BLOCK_END) {
        if ((*out)->count > 0) {
            WEIR_TRY(parser_expect(in, ","));
        }
        WEIR_TRY(parse_name(in, &part));
        WEIR_TRY(parser_add(in, *out, part));
        WEIR_TRY(parser_expect(in, "="));
        WEIR_TRY(parse_expression(in, &part));
        WEIR_TRY(parser_add(in, *out, part));
    }
    WEIR_TRY(parse_block_body(in, ends, *out));
    return parser_expect(in, "endwith");
}

static weir_code parse_generation(parser *in, template_node **out) {
    static const char *const ends[] = {"endgeneration", NULL};
    WEIR_TRY(parser_node(in, NODE_GENERATION, out));
    in->cursor++;
    return parse_apart(in, ends, *out);
}

static weir_code parse_jump(parser *in, template_node **out) {
    if (in->loops == 0) {
        return parser_fail(in, WEIR_ERR_FORMAT, "a loop around it");
    }
    WEIR_TRY(parser_node(in, parser_is(in, 0, "break") ? NODE_BREAK : NODE_CONTINUE, out));
    in->cursor++;
    return WEIR_OK;
}

typedef struct statement {
    const char *name;
    weir_code (*parse)(parser *in, template_node **out);
} statement;

static weir_code parse_tag(parser *in, template_node **out) {
    static const statement statements[] = {
        {"if", parse_if},           {"for", parse_for},
        {"set", parse_set},         {"macro", parse_macro},
        {"call", parse_call_block}, {"filter", parse_filter_block},
        {"with", parse_with},       {"generation", parse_generation},
        {"break", parse_jump},      {"continue", parse_jump},
    };
    for (size_t i = 0; i < sizeof statements / sizeof *statements; i++) {
        if (parser_is(in, 0, statements[i].name)) {
            WEIR_TRY(statements[i].parse(in, out));
            return expect_kind(in, TEMPLATE_BLOCK_END, "%}");
        }
    }
    static const char *const others[] = {"include", "import", "from",  "extends",
                                         "block",   "print",  "do",    "autoescape",
                                         "trans",   "debug",  "scoped"};
    for (size_t i = 0; i < sizeof others / sizeof *others; i++) {
        if (parser_is(in, 0, others[i])) {
            return parser_fail(in, WEIR_ERR_UNSUPPORTED, "a tag that weir reads");
        }
    }
    return parser_fail(in, WEIR_ERR_FORMAT, "a tag of Jinja");
}

static weir_code parse_output(parser *in, template_node **out) {
    template_node *value;
    WEIR_TRY(parser_node(in, NODE_OUTPUT, out));
    in->cursor++;
    WEIR_TRY(parse_tuple(in, /* with_condition= */ true, &value));
    WEIR_TRY(parser_add(in, *out, value));
    return expect_kind(in, TEMPLATE_OUTPUT_END, "}}");
}

static weir_code parse_data(parser *in, template_node **out) {
    WEIR_TRY(parser_node(in, NODE_DATA, out));
    const template_token *token = &in->tokens[in->cursor++];
    (*out)->text = token->text;
    (*out)->len = token->len;
    return WEIR_OK;
}

static bool is_end(const parser *in, const char *const *ends) {
    for (; *ends; ends++) {
        if (parser_is(in, 0, *ends)) {
            return true;
        }
    }
    return false;
}

/* One text, output or tag. *out stays NULL at the tag that ends the body, which stays unread. */
static weir_code parse_statement(parser *in, const char *const *ends, template_node **out) {
    *out = NULL;
    switch (parser_token(in)->kind) {
    case TEMPLATE_TEXT:
        return parse_data(in, out);
    case TEMPLATE_OUTPUT_BEGIN:
        return parse_output(in, out);
    case TEMPLATE_BLOCK_BEGIN:
        in->cursor++;
        return is_end(in, ends) ? WEIR_OK : parse_tag(in, out);
    case TEMPLATE_END:
        return *ends ? parser_fail(in, WEIR_ERR_FORMAT, *ends) : WEIR_OK;
    case TEMPLATE_BLOCK_END:
    case TEMPLATE_OUTPUT_END:
    case TEMPLATE_COMMENT:
    case TEMPLATE_NAME:
    case TEMPLATE_STRING:
    case TEMPLATE_NUMBER:
    case TEMPLATE_OPERATOR:
        break;
    }
    return parser_fail(in, WEIR_ERR_FORMAT, "text or a tag");
}

static weir_code parse_body(parser *in, const char *const *ends, template_node **out) {
    WEIR_TRY(parser_enter(in));
    WEIR_TRY(parser_node(in, NODE_BODY, out));
    for (;;) {
        template_node *part;
        WEIR_TRY(parse_statement(in, ends, &part));
        if (!part) {
            parser_leave(in);
            return WEIR_OK;
        }
        WEIR_TRY(parser_add(in, *out, part));
    }
}

weir_code template_parse(const template_node **out, arena *memory, const char *text, size_t len,
                         weir_error *err) {
    static const char *const ends[] = {NULL};
    parser in = {.memory = memory, .err = err};
    template_node *root;
    WEIR_TRY(parser_load(&in, text, len));
    WEIR_TRY(parse_body(&in, ends, &root));
    *out = root;
    return WEIR_OK;
}
