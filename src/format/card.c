/* SPDX-License-Identifier: Apache-2.0 */
/*
 * README.md of a model repository: YAML between a first line "---" and the next line "---" [1],
 * then prose, which is not read. A merge made with mergekit keeps its recipe in mergekit_config.yml
 * [2].
 *
 * [1] huggingface_hub, repocard.py: REGEX_YAML_BLOCK. [2] mergekit, config.py.
 */
#include <string.h>

#include "base/checked.h"
#include "base/limits.h"
#include "format/claim_tree.h"
#include "format/parts.h"

/* The line that begins at `text`, without its end; *next is where the following one begins. */
static size_t line_len(const char *text, size_t len, size_t *next) {
    const char *end = memchr(text, '\n', len);
    size_t line = end ? (size_t)(end - text) : len;
    *next = end ? line + 1 : len;
    return line > 0 && text[line - 1] == '\r' ? line - 1 : line;
}

static bool is_fence(const char *text, size_t len) {
    while (len > 3 && (text[len - 1] == ' ' || text[len - 1] == '\t')) {
        len--;
    }
    return len == 3 && memcmp(text, "---", 3) == 0;
}

/* @return whether there is a front matter that is not blank; its range in the text. */
static bool find_front_matter(const char *text, size_t len, size_t *begin, size_t *end) {
    size_t at;
    if (!is_fence(text, line_len(text, len, &at))) {
        return false;
    }
    *begin = at;
    bool is_blank = true;
    while (at < len) {
        size_t next;
        const size_t line = line_len(text + at, len - at, &next);
        if (is_fence(text + at, line)) {
            *end = at;
            return !is_blank;
        }
        is_blank = is_blank && line == 0;
        at += next;
    }
    return false;
}

/* Numbers of evaluations and example prompts are no claims about the model's making. */
static weir_code leave_out(void *context, document *source, const json_token *key, bool *taken,
                           weir_error *err) {
    (void)context;
    static const char *const names[] = {"model-index", "widget", "dataset_info",
                                        "extra_gated_fields"};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        if (json_token_is(key, names[i])) {
            *taken = true;
            return document_skip(source, key, err);
        }
    }
    return WEIR_OK;
}

weir_code card_read(const part *in, weir_error *err) {
    const uint64_t size = weir_source_size(in->source);
    const size_t len = size < CARD_BYTES_MAX ? (size_t)size : CARD_BYTES_MAX;
    WEIR_CLEANUP(free) char *text = checked_alloc(len, 1);
    if (!text) {
        return weir_fail_nomem(err);
    }
    WEIR_TRY(weir_source_read(in->source, 0, text, len, err));
    static const char mark[] = "\xEF\xBB\xBF";
    const size_t skipped = len >= 3 && memcmp(text, mark, 3) == 0 ? 3 : 0;
    size_t begin;
    size_t end;
    if (!find_front_matter(text + skipped, len - skipped, &begin, &end)) {
        return WEIR_OK;
    }
    WEIR_CLEANUP(document_close) document source = {0};
    WEIR_TRY(document_open_yaml(&source, text + skipped + begin, end - begin,
                                weir_source_name(in->source), /* first_line= */ 2, err));
    const claim_tree tree = {.target = &in->model->claims,
                             .source = &source,
                             .findings = in->findings,
                             .prefix = "card",
                             .on_key = leave_out};
    return claim_tree_read(&tree, err);
}

weir_code mergekit_read(const part *in, weir_error *err) {
    WEIR_CLEANUP(document_close) document source = {0};
    WEIR_TRY(document_open_yaml_source(&source, in->source, err));
    const claim_tree tree = {.target = &in->model->claims,
                             .source = &source,
                             .findings = in->findings,
                             .prefix = "merge"};
    return claim_tree_read(&tree, err);
}
