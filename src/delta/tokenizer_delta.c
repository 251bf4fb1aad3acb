/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Two tokenizers, by token string and not by id: a string of the model that the base has not is
 * added, one that stands under another id is moved, two that stand under each other's are swapped.
 * A token that became special is left out of decoded text and is found in a user's own words; one
 * that lost it no longer ends or opens a turn.
 *
 * Between tokenizer.json and a GGUF only what both state the same way is compared: strings, merges
 * and the names of bos, eos and so on. llama.cpp's converter fills the vocabulary up with "[PAD7]"
 * [1], gives the control type to tokens that only look special [1], and rewrites every token of
 * WordPiece [2]; a SentencePiece model beside tokens of added_tokens.json alone is not read at all.
 *
 * [1] llama.cpp, conversion of BPE vocabularies, get_vocab_base. [2] The same, BertModel.set_vocab.
 */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/checked.h"
#include "base/fail.h"
#include "base/text.h"
#include "delta/file_delta.h"
#include "format/detect.h"
#include "format/name_set.h"

enum { LISTED_TOKENS = 4, NAME_BYTES = 128, VALUE_BYTES = 256 };

/* Examples of one kind of change, and how many there are. */
typedef struct tally {
    uint64_t count;
    text_buffer examples;
} tally;

static void tally_release_cleanup(tally *list) {
    text_buffer_release(&list->examples);
}

/* Where to write the next example; NULL when enough are listed. */
static text_buffer *next_example(tally *list) {
    list->count++;
    if (list->count > LISTED_TOKENS) {
        return NULL;
    }
    text_buffer_add(&list->examples, ", ", list->count > 1 ? 2 : 0);
    return &list->examples;
}

typedef struct token_side {
    const vocabulary *words;
    name_set ids;      /* of every token string */
    uint8_t *is_known; /* by id: 1 added, 2 added and special */
} token_side;

static void token_side_release_cleanup(token_side *side) {
    name_set_release(&side->ids);
    free(side->is_known);
}

static weir_code index_tokens(token_side *side, const vocabulary *words, weir_error *err) {
    side->words = words;
    side->is_known = calloc(words->count + 1, 1);
    if (!side->is_known) {
        return weir_fail_nomem(err);
    }
    uint32_t held;
    for (size_t i = 0; i < words->count; i++) {
        if (words->tokens[i]) {
            WEIR_TRY(name_set_add(&side->ids, &held, words->tokens[i], (uint32_t)i, err));
        }
    }
    for (size_t i = 0; i < words->added_count; i++) {
        if (words->added[i].id < words->count) {
            side->is_known[words->added[i].id] = words->added[i].is_special ? 2 : 1;
        }
    }
    return WEIR_OK;
}

static bool has_token(const vocabulary *words, size_t id, const char *token) {
    return id < words->count && words->tokens[id] && strcmp(words->tokens[id], token) == 0;
}

/* "[PAD7]" under 7, where the other side has nothing: what the converter fills up with. */
static bool is_filling(const vocabulary *words, size_t id, const vocabulary *other) {
    char filling[32];
    (void)snprintf(filling, sizeof filling, "[PAD%zu]", id);
    return strcmp(words->tokens[id], filling) == 0 && (id >= other->count || !other->tokens[id]);
}

/* ---- strings and ids ---- */

typedef struct token_changes {
    tally added, removed, moved, swapped;
} token_changes;

static void token_changes_release_cleanup(token_changes *found) {
    tally_release_cleanup(&found->added);
    tally_release_cleanup(&found->removed);
    tally_release_cleanup(&found->moved);
    tally_release_cleanup(&found->swapped);
}

static void note_moved(token_changes *found, const token_side *base, const token_side *model,
                       uint32_t was, uint32_t is) {
    const char *token = model->words->tokens[is];
    const char *other = is < base->words->count ? base->words->tokens[is] : NULL;
    text_buffer *text = next_example(&found->moved);
    if (other && has_token(model->words, was, other)) {
        text_buffer *pair = was < is ? next_example(&found->swapped) : NULL;
        if (pair) {
            text_buffer_format(pair, "%s and %s (%" PRIu32 ", %" PRIu32 ")", token, other, was, is);
        }
    }
    if (text) {
        text_buffer_format(text, "%s (%" PRIu32 " -> %" PRIu32 ")", token, was, is);
    }
}

static void find_changes(token_changes *found, const token_side *base, const token_side *model) {
    for (size_t i = 0; i < model->words->count; i++) {
        const char *token = model->words->tokens[i];
        uint32_t was;
        if (!token || has_token(base->words, i, token) ||
            is_filling(model->words, i, base->words)) {
            continue;
        }
        if (name_set_find(&base->ids, token, &was)) {
            note_moved(found, base, model, was, (uint32_t)i);
            continue;
        }
        text_buffer *text = next_example(&found->added);
        if (text) {
            text_buffer_format(text, "%s (%zu)", token, i);
        }
    }
    for (size_t i = 0; i < base->words->count; i++) {
        const char *token = base->words->tokens[i];
        if (token && !name_set_has(&model->ids, token) &&
            !is_filling(base->words, i, model->words)) {
            text_buffer *text = next_example(&found->removed);
            if (text) {
                text_buffer_format(text, "%s (%zu)", token, i);
            }
        }
    }
}

static weir_code add_examples(text_buffer *out, const char *word, const tally *list,
                              weir_error *err) {
    if (list->count > 0) {
        text_buffer_format(out, "%s%s %s%s", out->len > 0 ? "; " : "", word, list->examples.data,
                           list->count > LISTED_TOKENS ? " ..." : "");
    }
    return out->failed || list->examples.failed ? weir_fail_nomem(err) : WEIR_OK;
}

static weir_code compare_strings(const file_pair *pair, const token_side *base,
                                 const token_side *model, weir_error *err) {
    WEIR_CLEANUP(token_changes_release) token_changes found = {0};
    find_changes(&found, base, model);
    if (found.added.count + found.removed.count + found.moved.count == 0) {
        return WEIR_OK;
    }
    char summary[160];
    WEIR_CLEANUP(text_buffer_release) text_buffer examples = {0};
    WEIR_TRY(add_examples(&examples, "added", &found.added, err));
    WEIR_TRY(add_examples(&examples, "removed", &found.removed, err));
    WEIR_TRY(add_examples(&examples, "swapped", &found.swapped, err));
    if (found.moved.count > 2 * found.swapped.count) {
        WEIR_TRY(add_examples(&examples, "moved", &found.moved, err));
    }
    (void)snprintf(summary, sizeof summary,
                   "token strings: %" PRIu64 " added, %" PRIu64 " removed, %" PRIu64 " moved",
                   found.added.count, found.removed.count, found.moved.count);
    const file_delta row = {.change = WEIR_CHANGE_TOKENIZER,
                            .kind = FILE_KIND_TOKENS,
                            .grade = WEIR_GRADE_PROVED,
                            .what = summary,
                            .model = examples.data,
                            .file = model->words->file};
    return file_delta_add(pair->diff, &row, err);
}

/* ---- flags ---- */

static weir_code compare_flags(const file_pair *pair, const token_side *base,
                               const token_side *model, weir_error *err) {
    WEIR_CLEANUP(tally_release) tally gained = {0};
    WEIR_CLEANUP(tally_release) tally lost = {0};
    for (size_t i = 0; i < model->words->count; i++) {
        const char *token = model->words->tokens[i];
        uint32_t was;
        if (!token || !name_set_find(&base->ids, token, &was) ||
            (base->is_known[was] == 2) == (model->is_known[i] == 2)) {
            continue;
        }
        text_buffer *text = next_example(model->is_known[i] == 2 ? &gained : &lost);
        if (text) {
            text_buffer_format(text, "%s (%zu)", token, i);
        }
    }
    if (gained.count + lost.count == 0) {
        return WEIR_OK;
    }
    char summary[160];
    WEIR_CLEANUP(text_buffer_release) text_buffer examples = {0};
    WEIR_TRY(add_examples(&examples, "became special", &gained, err));
    WEIR_TRY(add_examples(&examples, "no longer special", &lost, err));
    (void)snprintf(summary, sizeof summary,
                   "special flags: %" PRIu64 " became special, %" PRIu64 " no longer are",
                   gained.count, lost.count);
    const file_delta row = {.change = WEIR_CHANGE_TOKENIZER,
                            .kind = FILE_KIND_SPECIAL_TOKENS,
                            .grade = WEIR_GRADE_PROVED,
                            .what = summary,
                            .model = examples.data,
                            .file = model->words->file};
    return file_delta_add(pair->diff, &row, err);
}

/* ---- bos, eos, pad, unk ---- */

typedef struct named_token {
    const char *name;     /* in tokenizer_config.json, before "_token" */
    const char *gguf_key; /* the spelling is the format's */
} named_token;

static const named_token named_tokens[] = {
    {"bos", "bos_token_id"},     {"eos", "eos_token_id"},       {"unk", "unknown_token_id"},
    {"pad", "padding_token_id"}, {"sep", "seperator_token_id"}, {"cls", "cls_token_id"},
    {"mask", "mask_token_id"},
};

/* The string of one named token, and where it is said; NULL when the side does not say. */
static const char *find_named(const checkpoint *files, const named_token *token,
                              const char **where) {
    const claims *list = &files->claims;
    char key[NAME_BYTES];
    uint64_t id;
    (void)snprintf(key, sizeof key, "gguf.tokenizer.ggml.%s", token->gguf_key);
    if (strcmp(files->format, "gguf") == 0) {
        *where = files->vocabulary.file;
        return claims_find_u64(list, key, &id) && id < files->vocabulary.count
                   ? files->vocabulary.tokens[id]
                   : NULL;
    }
    static const char *const places[][2] = {{"tokenizer_config", "tokenizer_config.json"},
                                            {"special_tokens", "special_tokens_map.json"}};
    for (size_t i = 0; i < sizeof places / sizeof *places; i++) {
        (void)snprintf(key, sizeof key, "%s.%s_token", places[i][0], token->name);
        const char *text = claims_find(list, key);
        if (!text) {
            (void)snprintf(key, sizeof key, "%s.%s_token.content", places[i][0], token->name);
            text = claims_find(list, key);
        }
        if (text && strcmp(text, "null") != 0) {
            *where = places[i][1];
            return text;
        }
    }
    *where = "";
    return NULL;
}

static void show_named(char out[VALUE_BYTES], const token_side *side, const char *token) {
    uint32_t id;
    if (!token) {
        out[0] = '\0';
    } else if (name_set_find(&side->ids, token, &id)) {
        (void)snprintf(out, VALUE_BYTES, "%.200s (%" PRIu32 ")", token, id);
    } else {
        (void)snprintf(out, VALUE_BYTES, "%.200s", token);
    }
}

static weir_code compare_named(const file_pair *pair, const token_side *base,
                               const token_side *model, bool is_same_kind, weir_error *err) {
    for (size_t i = 0; i < sizeof named_tokens / sizeof *named_tokens; i++) {
        const char *base_file;
        const char *model_file;
        const char *was = find_named(pair->base.files, &named_tokens[i], &base_file);
        const char *is = find_named(pair->model.files, &named_tokens[i], &model_file);
        const bool is_equal = was && is && strcmp(was, is) == 0;
        if (is_equal || (!was && !is) || ((!was || !is) && !is_same_kind)) {
            continue;
        }
        char what[NAME_BYTES];
        char old[VALUE_BYTES];
        char new[VALUE_BYTES];
        (void)snprintf(what, sizeof what, "%s token", named_tokens[i].name);
        show_named(old, base, was);
        show_named(new, model, is);
        const file_delta row = {.change = WEIR_CHANGE_TOKENIZER,
                                .kind = FILE_KIND_SPECIAL_TOKENS,
                                .grade = WEIR_GRADE_PROVED,
                                .what = what,
                                .base = old,
                                .model = new,
                                .file = is ? model_file : base_file};
        WEIR_TRY(file_delta_add(pair->diff, &row, err));
    }
    return WEIR_OK;
}

/* ---- the steps around the model ---- */

/* "Sequence, sha256 0123..." of a step; "" without it. */
static void show_step(char out[VALUE_BYTES], const checkpoint *files, size_t step,
                      const char *name) {
    const vocabulary *words = &files->vocabulary;
    char key[NAME_BYTES];
    char hash[DIGEST_TEXT_BYTES];
    out[0] = '\0';
    if (words->has_step[step]) {
        (void)snprintf(key, sizeof key, "tokenizer.%s.type", name);
        const char *type = claims_find(&files->claims, key);
        digest_format(hash, words->step_sha256[step]);
        (void)snprintf(out, VALUE_BYTES, "%.40s%ssha256 %.32s", type ? type : "", type ? ", " : "",
                       hash);
    }
}

static weir_code compare_steps(const file_pair *pair, weir_error *err) {
    static const struct {
        const char *name;
        file_kind kind;
    } steps[TOKENIZER_STEP_COUNT] = {
        [TOKENIZER_NORMALIZER] = {"normalizer", FILE_KIND_NORMALIZER},
        [TOKENIZER_PRE_TOKENIZER] = {"pre_tokenizer", FILE_KIND_PRE_TOKENIZER},
        [TOKENIZER_POST_PROCESSOR] = {"post_processor", FILE_KIND_POST_PROCESSOR},
        [TOKENIZER_DECODER] = {"decoder", FILE_KIND_DECODER},
    };
    const vocabulary *base = &pair->base.files->vocabulary;
    const vocabulary *model = &pair->model.files->vocabulary;
    for (size_t i = 0; i < TOKENIZER_STEP_COUNT; i++) {
        if (base->has_step[i] == model->has_step[i] &&
            memcmp(base->step_sha256[i], model->step_sha256[i], DIGEST_BYTES) == 0) {
            continue;
        }
        char old[VALUE_BYTES];
        char new[VALUE_BYTES];
        show_step(old, pair->base.files, i, steps[i].name);
        show_step(new, pair->model.files, i, steps[i].name);
        const file_delta row = {.change = WEIR_CHANGE_TOKENIZER,
                                .kind = steps[i].kind,
                                .grade = WEIR_GRADE_PROVED,
                                .what = steps[i].name,
                                .base = old,
                                .model = new,
                                .file = model->file};
        WEIR_TRY(file_delta_add(pair->diff, &row, err));
    }
    return WEIR_OK;
}

static weir_code compare_merges(const file_pair *pair, weir_error *err) {
    const vocabulary *base = &pair->base.files->vocabulary;
    const vocabulary *model = &pair->model.files->vocabulary;
    if (base->merges == 0 || model->merges == 0 ||
        memcmp(base->merges_sha256, model->merges_sha256, DIGEST_BYTES) == 0) {
        return WEIR_OK;
    }
    char old[48];
    char new[48];
    (void)snprintf(old, sizeof old, "%" PRIu64 " merges", base->merges);
    (void)snprintf(new, sizeof new, "%" PRIu64 " merges", model->merges);
    const file_delta row = {.change = WEIR_CHANGE_TOKENIZER,
                            .kind = FILE_KIND_MERGES,
                            .grade = WEIR_GRADE_PROVED,
                            .what = "BPE merges",
                            .base = old,
                            .model = new,
                            .file = model->file};
    return file_delta_add(pair->diff, &row, err);
}

/* Only the tokens that were added to a model which stands in a file that weir does not read. */
static bool is_partial(const vocabulary *words) {
    return words->file && strcmp(path_base(words->file), "added_tokens.json") == 0;
}

static bool is_word_piece(const vocabulary *words) {
    return words->model &&
           (strcmp(words->model, "bert") == 0 || strcmp(words->model, "WordPiece") == 0);
}

weir_code compare_tokenizers(const file_pair *pair, weir_error *err) {
    const vocabulary *base = &pair->base.files->vocabulary;
    const vocabulary *model = &pair->model.files->vocabulary;
    const bool is_base_gguf = base->file && path_has_suffix(base->file, ".gguf");
    const bool is_same_kind =
        is_base_gguf == (model->file && path_has_suffix(model->file, ".gguf"));
    if (!base->file || !model->file || is_partial(base) != is_partial(model) ||
        (!is_same_kind && (is_word_piece(base) || is_word_piece(model))) ||
        file_side_is_broken(&pair->base, "tokenizer") ||
        file_side_is_broken(&pair->model, "tokenizer")) {
        return WEIR_OK;
    }
    WEIR_CLEANUP(token_side_release) token_side was = {0};
    WEIR_CLEANUP(token_side_release) token_side is = {0};
    WEIR_TRY(index_tokens(&was, base, err));
    WEIR_TRY(index_tokens(&is, model, err));
    WEIR_TRY(compare_strings(pair, &was, &is, err));
    WEIR_TRY(compare_named(pair, &was, &is, is_same_kind, err));
    WEIR_TRY(compare_merges(pair, err));
    if (!is_same_kind) {
        return WEIR_OK;
    }
    if (base->added_count > 0 && model->added_count > 0) {
        WEIR_TRY(compare_flags(pair, &was, &is, err));
    }
    return is_base_gguf ? WEIR_OK : compare_steps(pair, err);
}
