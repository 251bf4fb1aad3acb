/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file token_basis.c  The same tokens out of every vocabulary, and where they stand in the
 * residual space.
 *
 * Of the hash of a token's bytes the upper 8 bits choose the bucket, the rest orders the tokens in
 * it, and the lower 8 bits are the tag. A token that stands at several ids counts at its lowest.
 * Ids beyond the embedding have no row and take no part; rows that hold a NaN or an infinity, or
 * only zeros, leave their bucket empty.
 *
 * The mean of the rows is taken away, because embeddings share a large common direction, and along
 * it all tokens would vote alike.
 */
#include "align/token_basis.h"

#include <assert.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "align/readable.h"
#include "base/checked.h"
#include "base/fail.h"
#include "base/hash.h"

enum {
    HIDDEN_MAX = 1 << 16, /* wider than any known model; 64 MiB of rows */
    BUCKET_SHIFT = 56,
};

static_assert(TOKEN_PICKS == 1 << (64 - BUCKET_SHIFT),
              "the upper bits of a hash choose the bucket");

/* The token that a bucket has taken so far. */
typedef struct pick {
    uint64_t hash;
    uint64_t id;
    bool filled;
} pick;

static uint8_t tag_of(uint64_t hash) {
    return (uint8_t)(1 + (hash & 0xFF) % 255);
}

/* The hashes of a vocabulary's tokens that have a row, sorted. Zero-initialise; free(items). */
typedef struct hash_list {
    uint64_t *items;
    size_t count;
} hash_list;

static void hash_list_release_cleanup(hash_list *list) {
    free(list->items);
}

static int compare_hashes(const void *a, const void *b) {
    const uint64_t x = *(const uint64_t *)a;
    const uint64_t y = *(const uint64_t *)b;
    return (x > y) - (x < y);
}

static bool is_listed(const hash_list *list, uint64_t hash) {
    return bsearch(&hash, list->items, list->count, sizeof hash, compare_hashes) != NULL;
}

/* Ids that have both a string and a row. */
static size_t usable_ids(const weir_model *model, const tensor_view *embedding) {
    const size_t count = model_checkpoint(model)->vocabulary.count;
    return count < embedding->base.rows ? count : (size_t)embedding->base.rows;
}

/* @return false for an id without a string */
static bool hash_token(uint64_t *hash, const weir_model *model, size_t id) {
    const char *const token = model_checkpoint(model)->vocabulary.tokens[id];
    const size_t len = token ? strlen(token) : 0;
    *hash = len > 0 ? hash_bytes(token, len) : 0;
    return len > 0;
}

static weir_code list_hashes(hash_list *out, const weir_model *model, const tensor_view *embedding,
                             weir_error *err) {
    const size_t end = usable_ids(model, embedding);
    out->items = checked_alloc(end, sizeof *out->items);
    if (!out->items) {
        return weir_fail_nomem(err);
    }
    for (size_t id = 0; id < end; id++) {
        out->count += hash_token(&out->items[out->count], model, id);
    }
    qsort(out->items, out->count, sizeof *out->items, compare_hashes);
    return WEIR_OK;
}

/* `among`: only tokens of this list; NULL for all. */
static void pick_tokens(pick picks[TOKEN_PICKS], const weir_model *model,
                        const tensor_view *embedding, const hash_list *among) {
    const size_t end = usable_ids(model, embedding);
    for (size_t id = 0; id < end; id++) {
        uint64_t hash;
        if (!hash_token(&hash, model, id)) {
            continue;
        }
        pick *const bucket = &picks[hash >> BUCKET_SHIFT];
        const bool is_lower = !bucket->filled || hash < bucket->hash;
        if (is_lower && (!among || is_listed(among, hash))) {
            *bucket = (pick){.hash = hash, .id = id, .filled = true};
        }
    }
}

static bool is_usable(const float *row, size_t cols) {
    bool is_zero = true;
    for (size_t i = 0; i < cols; i++) {
        if (!isfinite(row[i])) {
            return false;
        }
        is_zero = is_zero && fpclassify(row[i]) == FP_ZERO;
    }
    return !is_zero;
}

/* @return the view when its rows can be read one by one, else NULL */
static const tensor_view *find_embedding(const weir_model *model) {
    size_t index;
    if (!model_find(model, "embedding", &index)) {
        return NULL;
    }
    const tensor_view *const view = model_view(model, index);
    const bool fits = view->base.cols <= HIDDEN_MAX && !view->transposed && has_readable_rows(view);
    return fits ? view : NULL;
}

/* Rows are zero where the bucket is empty. */
static weir_code read_picks(token_basis *out, const pick picks[TOKEN_PICKS],
                            const tensor_view *view, weir_error *err) {
    WEIR_CLEANUP(view_scratch_release) view_scratch scratch = {0};
    out->hidden = (size_t)view->base.cols;
    out->rows = calloc(TOKEN_PICKS * out->hidden, sizeof *out->rows);
    if (!out->rows) {
        return weir_fail_nomem(err);
    }
    for (size_t i = 0; i < TOKEN_PICKS; i++) {
        float *const row = out->rows + i * out->hidden;
        if (!picks[i].filled) {
            continue;
        }
        WEIR_TRY(tensor_view_read(view, picks[i].id, 1, row, &scratch, err));
        if (is_usable(row, out->hidden)) {
            out->tags[i] = tag_of(picks[i].hash);
            out->count++;
        } else {
            memset(row, 0, out->hidden * sizeof *row);
        }
    }
    return WEIR_OK;
}

static void center(token_basis *basis) {
    for (size_t column = 0; column < basis->hidden; column++) {
        double sum = 0;
        for (size_t i = 0; i < TOKEN_PICKS; i++) {
            sum += (double)basis->rows[i * basis->hidden + column];
        }
        const double mean = sum / (double)basis->count;
        for (size_t i = 0; i < TOKEN_PICKS; i++) {
            if (basis->tags[i]) {
                float *const number = &basis->rows[i * basis->hidden + column];
                *number = (float)((double)*number - mean);
            }
        }
    }
}

/* An embedding that turns out to be unreadable is as good as none: *out is left without rows. */
static weir_code read_basis(token_basis *out, const pick picks[TOKEN_PICKS],
                            const tensor_view *view, weir_error *err) {
    WEIR_CLEANUP(token_basis_release) token_basis basis = {0};
    const weir_code code = read_picks(&basis, picks, view, err);
    const bool is_unreadable = code == WEIR_ERR_UNSUPPORTED || code == WEIR_ERR_FORMAT;
    if (code != WEIR_OK) {
        return is_unreadable ? WEIR_OK : code;
    }
    if (basis.count > 0) {
        *out = basis;
        basis.rows = NULL;
    }
    return WEIR_OK;
}

weir_code token_basis_read(token_basis *out, const weir_model *model, weir_error *err) {
    pick picks[TOKEN_PICKS] = {0};
    const tensor_view *const view = find_embedding(model);
    if (!view) {
        return WEIR_OK;
    }
    pick_tokens(picks, model, view, NULL);
    WEIR_TRY(read_basis(out, picks, view, err));
    if (out->rows) {
        center(out);
    }
    return WEIR_OK;
}

static void empty_bucket(token_basis *basis, size_t i) {
    basis->count -= basis->tags[i] != 0;
    basis->tags[i] = 0;
    memset(basis->rows + i * basis->hidden, 0, basis->hidden * sizeof *basis->rows);
}

/* Keep the buckets that both have; none at all is the same as no rows. */
static void keep_common(token_basis *a, token_basis *b) {
    for (size_t i = 0; a->rows && b->rows && i < TOKEN_PICKS; i++) {
        if (a->tags[i] != b->tags[i]) {
            empty_bucket(a, i);
            empty_bucket(b, i);
        }
    }
    if (!a->rows || !b->rows || a->count == 0) {
        token_basis_release(a);
        token_basis_release(b);
        return;
    }
    center(a);
    center(b);
}

weir_code token_basis_read_common(token_basis *mine, token_basis *theirs, const weir_model *model,
                                  const weir_model *other, weir_error *err) {
    pick picks[TOKEN_PICKS] = {0};
    pick other_picks[TOKEN_PICKS] = {0};
    WEIR_CLEANUP(hash_list_release) hash_list listed = {0};
    WEIR_CLEANUP(hash_list_release) hash_list other_listed = {0};
    const tensor_view *const view = find_embedding(model);
    const tensor_view *const other_view = find_embedding(other);
    if (!view || !other_view) {
        return WEIR_OK;
    }
    WEIR_TRY(list_hashes(&listed, model, view, err));
    WEIR_TRY(list_hashes(&other_listed, other, other_view, err));
    pick_tokens(picks, model, view, &other_listed);
    pick_tokens(other_picks, other, other_view, &listed);
    WEIR_CLEANUP(token_basis_release) token_basis first = {0};
    WEIR_CLEANUP(token_basis_release) token_basis second = {0};
    WEIR_TRY(read_basis(&first, picks, view, err));
    WEIR_TRY(read_basis(&second, other_picks, other_view, err));
    keep_common(&first, &second);
    *mine = first;
    *theirs = second;
    first = second = (token_basis){0};
    return WEIR_OK;
}

void token_basis_release(token_basis *basis) {
    free(basis->rows);
    *basis = (token_basis){0};
}
