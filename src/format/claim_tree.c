/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The walk keeps the dotted name of the place that it is in, and, for each open list, the scalars
 * seen so far. Recursion follows the document's depth, which both readers limit.
 */
#include "format/claim_tree.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/text.h"

enum { NAME_BYTES_MAX = 480 }; /* claims cut names at 511 */

typedef struct dotted_name {
    char text[NAME_BYTES_MAX + 32];
    size_t len;
} dotted_name;

/* A name that is full stays as it is; its claims are told apart by their place. */
static dotted_name join(const dotted_name *name, const char *part, size_t part_len) {
    dotted_name joined = *name;
    if (joined.len + part_len + 1 <= NAME_BYTES_MAX) {
        joined.text[joined.len++] = '.';
        memcpy(joined.text + joined.len, part, part_len);
        joined.len += part_len;
        joined.text[joined.len] = '\0';
    }
    return joined;
}

/* Where a claim stands, to give it to claims_add. */
typedef struct spot {
    const claim_tree *tree;
    size_t first_claim; /* of this document, in the target */
} spot;

static weir_code add(const spot *here, const dotted_name *name, const char *value, size_t len,
                     uint64_t offset, weir_error *err) {
    const claim_tree *tree = here->tree;
    const place at = document_place(tree->source, offset);
    if (tree->target->count - here->first_claim >= CLAIM_TREE_COUNT_MAX) {
        return weir_fail(err, WEIR_ERR_LIMIT, tree->source->file, at.text, "at most 65536 values",
                         "more");
    }
    return claims_add(
        tree->target,
        &(weir_claim){
            .name = name->text, .value = value, .file = tree->source->file, .at = at.text},
        len, err);
}

static const char *scalar_text(const json_token *token, size_t *len) {
    const char *text = token->text;
    *len = token->len;
    if (token->kind == JSON_TRUE || token->kind == JSON_FALSE || token->kind == JSON_NULL) {
        text = token->kind == JSON_TRUE ? "true" : token->kind == JSON_FALSE ? "false" : "null";
        *len = strlen(text);
    }
    return text;
}

static bool opens(const json_token *token) {
    return token->kind == JSON_OBJECT_BEGIN || token->kind == JSON_ARRAY_BEGIN;
}

static weir_code walk_value(const spot *here, const dotted_name *name, const json_token *first,
                            weir_error *err);

static weir_code walk_object(const spot *here, const dotted_name *name, uint64_t offset,
                             weir_error *err) {
    for (size_t count = 0;; count++) {
        json_token token;
        WEIR_TRY(document_next(here->tree->source, &token, err));
        if (token.kind != JSON_KEY) {
            return count > 0 ? WEIR_OK : add(here, name, "{}", 2, offset, err);
        }
        const dotted_name inner = join(name, token.text, token.len);
        WEIR_TRY(document_next(here->tree->source, &token, err));
        WEIR_TRY(walk_value(here, &inner, &token, err));
    }
}

/* The scalars of a list are one claim. */
static weir_code end_list(const spot *here, const dotted_name *name, const text_buffer *scalars,
                          bool is_empty, uint64_t offset, weir_error *err) {
    if (scalars->failed) {
        return weir_fail_nomem(err);
    }
    return add(here, name, is_empty ? "[]" : scalars->data, is_empty ? 2 : scalars->len, offset,
               err);
}

static weir_code walk_list(const spot *here, const dotted_name *name, uint64_t offset,
                           weir_error *err) {
    WEIR_CLEANUP(text_buffer_release) text_buffer scalars = {0};
    size_t scalar_count = 0;
    for (size_t index = 0;; index++) {
        json_token token;
        WEIR_TRY(document_next(here->tree->source, &token, err));
        if (token.kind == JSON_ARRAY_END) {
            return index > 0 && scalar_count == 0
                       ? WEIR_OK
                       : end_list(here, name, &scalars, index == 0, offset, err);
        }
        if (!opens(&token)) {
            size_t len;
            const char *text = scalar_text(&token, &len);
            text_buffer_add(&scalars, ", ", scalar_count++ > 0 ? 2 : 0);
            text_buffer_add(&scalars, text, len);
            continue;
        }
        char number[24];
        (void)snprintf(number, sizeof number, "%zu", index);
        const dotted_name inner = join(name, number, strlen(number));
        WEIR_TRY(walk_value(here, &inner, &token, err));
    }
}

static weir_code walk_value(const spot *here, const dotted_name *name, const json_token *first,
                            weir_error *err) {
    const uint64_t offset = first->offset;
    if (first->kind == JSON_OBJECT_BEGIN) {
        return walk_object(here, name, offset, err);
    }
    if (first->kind == JSON_ARRAY_BEGIN) {
        return walk_list(here, name, offset, err);
    }
    size_t len;
    const char *text = scalar_text(first, &len);
    return add(here, name, text, len, offset, err);
}

static dotted_name name_of(const char *text) {
    dotted_name name = {.len = 0};
    (void)snprintf(name.text, NAME_BYTES_MAX, "%s", text);
    name.len = strlen(name.text);
    return name;
}

weir_code claim_tree_add_value(const claim_tree *tree, const char *name, const json_token *value,
                               weir_error *err) {
    const spot here = {.tree = tree, .first_claim = tree->target->count};
    const dotted_name whole = name_of(name);
    return walk_value(&here, &whole, value, err);
}

weir_code claim_tree_add_scalar(const claim_tree *tree, const char *name, const json_token *value,
                                weir_error *err) {
    return opens(value) ? document_skip(tree->source, value, err)
                        : claim_tree_add_value(tree, name, value, err);
}

/* One member of the top object; its key was just read. */
static weir_code walk_member(const spot *here, const json_token *key, weir_error *err) {
    const claim_tree *tree = here->tree;
    const dotted_name top = name_of(tree->prefix);
    const dotted_name name = join(&top, key->text, key->len);
    bool taken = false;
    if (tree->on_key) {
        WEIR_TRY(tree->on_key(tree->context, tree->source, key, &taken, err));
    }
    if (taken) {
        return WEIR_OK;
    }
    json_token token;
    WEIR_TRY(document_next(tree->source, &token, err));
    if (tree->scalars_only && opens(&token)) {
        return document_skip(tree->source, &token, err);
    }
    return walk_value(here, &name, &token, err);
}

static int compare_names(const void *a, const void *b) {
    const weir_claim *left = *(const weir_claim *const *)a;
    const weir_claim *right = *(const weir_claim *const *)b;
    const int order = strcmp(left->name, right->name);
    return order != 0 ? order : (left > right) - (left < right);
}

static weir_code report_duplicates(const spot *here, weir_error *err) {
    const claims *list = here->tree->target;
    const size_t count = list->count - here->first_claim;
    if (count < 2) {
        return WEIR_OK;
    }
    WEIR_CLEANUP(free) const weir_claim **sorted = calloc(count, sizeof *sorted);
    if (!sorted) {
        return weir_fail_nomem(err);
    }
    for (size_t i = 0; i < count; i++) {
        sorted[i] = &list->items[here->first_claim + i];
    }
    qsort(sorted, count, sizeof *sorted, compare_names);
    for (size_t i = 1; i < count; i++) {
        const weir_claim *again = sorted[i];
        const bool is_full = strlen(again->name) + 32 >= NAME_BYTES_MAX;
        if (!is_full && strcmp(sorted[i - 1]->name, again->name) == 0) {
            findings_add(here->tree->findings,
                         &(weir_finding){.id = "json-duplicate-key",
                                         .severity = WEIR_SEVERITY_LOW,
                                         .verdict = WEIR_VERDICT_SUSPICIOUS,
                                         .file = again->file,
                                         .at = again->at},
                         "%s stands here a second time; readers disagree on which value counts",
                         again->name);
        }
    }
    return WEIR_OK;
}

weir_code claim_tree_read(const claim_tree *tree, weir_error *err) {
    const spot here = {.tree = tree, .first_claim = tree->target->count};
    json_token token;
    WEIR_TRY(document_next(tree->source, &token, err));
    if (token.kind != JSON_OBJECT_BEGIN) {
        return weir_fail(err, WEIR_ERR_FORMAT, tree->source->file,
                         document_place(tree->source, token.offset).text, "an object of keys",
                         "something else");
    }
    for (;;) {
        WEIR_TRY(document_next(tree->source, &token, err));
        if (token.kind != JSON_KEY) {
            break;
        }
        WEIR_TRY(walk_member(&here, &token, err));
    }
    WEIR_TRY(document_next(tree->source, &token, err)); /* nothing may follow */
    return report_duplicates(&here, err);
}
