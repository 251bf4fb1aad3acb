/* SPDX-License-Identifier: Apache-2.0 */
/** @file claim_tree.h  A JSON or YAML tree as flat claims: "config.rope_scaling.factor" = "8.0". */
#ifndef WEIR_FORMAT_CLAIM_TREE_H
#define WEIR_FORMAT_CLAIM_TREE_H

#include "base/findings.h"
#include "format/claims.h"
#include "format/document.h"

/** How claims are made of one document. */
typedef struct claim_tree {
    claims *target;
    document *source;
    weir_findings *findings;
    const char *prefix; /**< "config" */
    bool scalars_only;  /**< leave out lists and objects under the top */
    /**
     * Called for each key at the top, before its value is read; may be NULL. Whoever reads the
     * value sets *taken; a value that is not taken becomes claims.
     */
    weir_code (*on_key)(void *context, document *source, const json_token *key, bool *taken,
                        weir_error *err);
    void *context;
} claim_tree;

/** How many claims one document may make. */
enum { CLAIM_TREE_COUNT_MAX = 1 << 16 };

/**
 * Read a whole document, whose value must be an object, into claims. Nested keys are joined by
 * dots, lists of scalars by ", "; objects inside lists are numbered from 0. Two claims of one name
 * are a finding ("json-duplicate-key", verdict suspicious), because readers disagree on which one
 * counts.
 *
 * @return WEIR_OK; WEIR_ERR_FORMAT; WEIR_ERR_LIMIT past CLAIM_TREE_COUNT_MAX; WEIR_ERR_IO;
 * WEIR_ERR_NOMEM
 */
weir_code claim_tree_read(const claim_tree *tree, weir_error *err);

/** Claim a value whose first token was read, if it is a scalar; pass over a list or an object. */
weir_code claim_tree_add_scalar(const claim_tree *tree, const char *name, const json_token *value,
                                weir_error *err);

/** Claim a value whose first token was read, whole: `name` and what is inside it. */
weir_code claim_tree_add_value(const claim_tree *tree, const char *name, const json_token *value,
                               weir_error *err);

#endif
