/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Two tokenizers, by token string and not by id: a string of the model that the base has not is
 * added, one that stands under another id is moved.
 */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/fail.h"
#include "base/text.h"
#include "delta/file_delta.h"
#include "format/name_set.h"

enum { LISTED_TOKENS = 8 };

typedef struct token_counts {
    uint64_t added;
    uint64_t removed;
    uint64_t moved; /* the same string under another id */
    const char *examples[LISTED_TOKENS];
    size_t example_count;
} token_counts;

static void note_example(token_counts *counts, const char *text) {
    if (counts->example_count < LISTED_TOKENS) {
        counts->examples[counts->example_count++] = text;
    }
}

static weir_code index_tokens(name_set *known, const vocabulary *words, weir_error *err) {
    uint32_t held;
    for (size_t i = 0; i < words->count; i++) {
        if (words->tokens[i]) {
            WEIR_TRY(name_set_add(known, &held, words->tokens[i], (uint32_t)i, err));
        }
    }
    return WEIR_OK;
}

static void count_tokens(token_counts *counts, const name_set *base_tokens, const vocabulary *base,
                         const vocabulary *model) {
    uint64_t found = 0;
    for (size_t i = 0; i < model->count; i++) {
        if (!model->tokens[i] || (i < base->count && base->tokens[i] &&
                                  strcmp(base->tokens[i], model->tokens[i]) == 0)) {
            found += model->tokens[i] != NULL;
            continue;
        }
        const bool is_known = name_set_has(base_tokens, model->tokens[i]);
        counts->moved += is_known;
        counts->added += !is_known;
        found += is_known;
        note_example(counts, model->tokens[i]);
    }
    counts->removed = base_tokens->count > found ? base_tokens->count - found : 0;
}

static weir_code describe_tokens(weir_diff *diff, const token_counts *counts, weir_error *err) {
    char summary[160];
    WEIR_CLEANUP(text_buffer_release) text_buffer examples = {0};
    for (size_t i = 0; i < counts->example_count; i++) {
        text_buffer_format(&examples, "%s%s", i ? " " : "", counts->examples[i]);
    }
    if (examples.failed) {
        return weir_fail_nomem(err);
    }
    (void)snprintf(summary, sizeof summary,
                   "token strings: %" PRIu64 " added, %" PRIu64 " removed, %" PRIu64 " moved",
                   counts->added, counts->removed, counts->moved);
    const file_delta row = {.change = WEIR_CHANGE_TOKENIZER,
                            .kind = FILE_KIND_TOKENS,
                            .grade = WEIR_GRADE_PROVED,
                            .what = summary,
                            .model = examples.data};
    return file_delta_add(diff, &row, err);
}

weir_code compare_tokenizers(const file_pair *pair, weir_error *err) {
    const vocabulary *base = &pair->base.files->vocabulary;
    const vocabulary *model = &pair->model.files->vocabulary;
    if (!base->file || !model->file) {
        return WEIR_OK;
    }
    WEIR_CLEANUP(name_set_release) name_set base_tokens = {0};
    token_counts counts = {0};
    WEIR_TRY(index_tokens(&base_tokens, base, err));
    count_tokens(&counts, &base_tokens, base, model);
    if (counts.added + counts.removed + counts.moved > 0) {
        WEIR_TRY(describe_tokens(pair->diff, &counts, err));
    }
    const bool has_merges = base->merges > 0 && model->merges > 0;
    if (has_merges && memcmp(base->merges_sha256, model->merges_sha256, DIGEST_BYTES) != 0) {
        const file_delta row = {.change = WEIR_CHANGE_TOKENIZER,
                                .kind = FILE_KIND_MERGES,
                                .grade = WEIR_GRADE_PROVED,
                                .what = "BPE merges",
                                .file = model->file};
        WEIR_TRY(file_delta_add(pair->diff, &row, err));
    }
    return WEIR_OK;
}
