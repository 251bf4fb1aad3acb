/* SPDX-License-Identifier: Apache-2.0 */
#include "delta/vocabulary_map.h"

#include <math.h>
#include <string.h>

#include "align/readable.h"
#include "base/checked.h"
#include "base/fail.h"
#include "base/hash.h"
#include "delta/layer_views.h"
#include "delta/thresholds.h"
#include "kernel/row_match.h"

enum {
    SAMPLE_ROWS = 128, /* of each question that is asked of the numbers */
    NEW_ROWS = 256,    /* added rows that are looked at */
    ROW_COLS = 64,     /* columns by which equal rows are found */
    ROW_MAX = 1 << 20,
    READ_ELEMENTS = 1 << 20,
};

typedef struct embeddings {
    const tensor_view *base;
    const tensor_view *model;
    const vocabulary *base_words;
    const vocabulary *model_words;
    bool is_one_width;
    view_scratch scratch;
} embeddings;

static void release_embeddings(embeddings *pair) {
    view_scratch_release(&pair->scratch);
}

static inline void release_embeddings_cleanup(embeddings *pair) {
    release_embeddings(pair);
}

/* --- by string --- */

typedef struct word_key {
    uint64_t hash;
    uint32_t id;
} word_key;

static int by_hash(const void *left, const void *right) {
    const word_key *a = left;
    const word_key *b = right;
    if (a->hash != b->hash) {
        return a->hash < b->hash ? -1 : 1;
    }
    return (a->id > b->id) - (a->id < b->id);
}

/* Ids from 0 on that may have a string: up to the last one that has, and has a row. */
static size_t word_end(const vocabulary *words, uint64_t rows) {
    size_t end = words->count < rows ? words->count : (size_t)rows;
    while (end > 0 && !words->tokens[end - 1]) {
        end--;
    }
    return end;
}

static weir_code sort_words(word_key **out, size_t *count, const vocabulary *words, size_t end,
                            weir_error *err) {
    word_key *keys = checked_alloc(end, sizeof *keys);
    if (!keys) {
        return weir_fail_nomem(err);
    }
    *out = keys;
    *count = 0;
    for (size_t i = 0; i < end; i++) {
        if (words->tokens[i]) {
            keys[(*count)++] =
                (word_key){hash_bytes(words->tokens[i], strlen(words->tokens[i])), (uint32_t)i};
        }
    }
    qsort(keys, *count, sizeof *keys, by_hash);
    return WEIR_OK;
}

static size_t group_end(const word_key *keys, size_t begin, size_t count) {
    size_t end = begin;
    while (end < count && keys[end].hash == keys[begin].hash) {
        end++;
    }
    return end;
}

/* Whether an id of the base stands among those of the model with the same string: then it is taken
 * already. `at` walks along. */
static bool is_own_place(size_t *at, const word_key *model, size_t count, uint32_t id) {
    while (*at < count && model[*at].id < id) {
        (*at)++;
    }
    return *at < count && model[*at].id == id;
}

/* Equal strings: those at one id first, the rest in order. Of different strings of one hash only
 * those that equal the first take part. */
static void join_words(uint32_t *partners, const embeddings *pair, const word_key *base,
                       size_t base_count, const word_key *model, size_t model_count) {
    const char *text = pair->base_words->tokens[base[0].id];
    size_t at = 0;
    for (size_t j = 0; j < base_count; j++) {
        if (is_own_place(&at, model, model_count, base[j].id)) {
            partners[base[j].id] = base[j].id;
        }
    }
    at = 0;
    size_t j = 0;
    for (size_t i = 0; i < model_count; i++) {
        const char *word = pair->model_words->tokens[model[i].id];
        if (partners[model[i].id] != AXIS_NONE || strcmp(word, text) != 0) {
            continue;
        }
        while (j < base_count && (is_own_place(&at, model, model_count, base[j].id) ||
                                  strcmp(pair->base_words->tokens[base[j].id], text) != 0)) {
            j++;
        }
        if (j < base_count) {
            partners[model[i].id] = base[j++].id;
        }
    }
}

/* Rows behind the last string are padding, and as far behind it in the base. */
static void join_padding(uint32_t *partners, const embeddings *pair, size_t base_end,
                         size_t model_end) {
    for (uint64_t i = model_end; i < pair->model->base.rows; i++) {
        const uint64_t partner = base_end + (i - model_end);
        if (partner < pair->base->base.rows) {
            partners[i] = (uint32_t)partner;
        }
    }
}

static weir_code map_by_string(uint32_t *partners, const embeddings *pair, weir_error *err) {
    WEIR_CLEANUP(free) word_key *base = NULL;
    WEIR_CLEANUP(free) word_key *model = NULL;
    size_t base_count = 0;
    size_t model_count = 0;
    const size_t base_end = word_end(pair->base_words, pair->base->base.rows);
    const size_t model_end = word_end(pair->model_words, pair->model->base.rows);
    WEIR_TRY(sort_words(&base, &base_count, pair->base_words, base_end, err));
    WEIR_TRY(sort_words(&model, &model_count, pair->model_words, model_end, err));
    for (uint64_t i = 0; i < pair->model->base.rows; i++) {
        partners[i] = AXIS_NONE;
    }
    for (size_t i = 0, j = 0; i < model_count && j < base_count;) {
        if (model[i].hash < base[j].hash) {
            i++;
        } else if (model[i].hash > base[j].hash) {
            j++;
        } else {
            const size_t i_end = group_end(model, i, model_count);
            const size_t j_end = group_end(base, j, base_count);
            join_words(partners, pair, base + j, j_end - j, model + i, i_end - i);
            i = i_end;
            j = j_end;
        }
    }
    join_padding(partners, pair, base_end, model_end);
    return WEIR_OK;
}

/* --- what the numbers say --- */

/* Ids of the model to look at: of those that have a partner, only such with another index where
 * `only_moved`, at most SAMPLE_ROWS evenly spaced. */
static size_t sample_ids(uint32_t *out, const uint32_t *partners, uint64_t rows, bool only_moved) {
    uint64_t fitting = 0;
    for (uint64_t i = 0; i < rows; i++) {
        fitting += partners[i] != AXIS_NONE && (!only_moved || partners[i] != i);
    }
    const uint64_t step = fitting / SAMPLE_ROWS + 1;
    uint64_t seen = 0;
    size_t count = 0;
    for (uint64_t i = 0; i < rows && count < SAMPLE_ROWS; i++) {
        if (partners[i] != AXIS_NONE && (!only_moved || partners[i] != i) && seen++ % step == 0) {
            out[count++] = (uint32_t)i;
        }
    }
    return count;
}

/* Ids that have a partner, or none, evenly spaced. */
static size_t pick_ids(uint32_t *out, size_t most, const uint32_t *partners, uint64_t rows,
                       bool has_partner) {
    uint64_t fitting = 0;
    for (uint64_t i = 0; i < rows; i++) {
        fitting += (partners[i] != AXIS_NONE) == has_partner;
    }
    const uint64_t step = fitting / most + 1;
    uint64_t seen = 0;
    size_t count = 0;
    for (uint64_t i = 0; i < rows && count < most; i++) {
        if ((partners[i] != AXIS_NONE) == has_partner && seen++ % step == 0) {
            out[count++] = (uint32_t)i;
        }
    }
    return count;
}

static weir_code read_row(float *out, const tensor_view *view, uint64_t row, embeddings *pair,
                          weir_error *err) {
    return tensor_view_read(view, row, 1, out, &pair->scratch, err);
}

/* Mean cosine of rows of the model to their partners; to those at their own index where `partners`
 * is NULL. NaN when there are none. */
static weir_code mean_cosine(double *out, embeddings *pair, const uint32_t *ids, size_t count,
                             const uint32_t *partners, weir_error *err) {
    const size_t cols = (size_t)pair->model->base.cols;
    WEIR_CLEANUP(free) float *base = checked_alloc(cols, sizeof *base);
    WEIR_CLEANUP(free) float *model = checked_alloc(cols, sizeof *model);
    if (!base || !model) {
        return weir_fail_nomem(err);
    }
    double sum = 0;
    size_t seen = 0;
    for (size_t i = 0; i < count; i++) {
        const uint64_t partner = partners ? partners[ids[i]] : ids[i];
        if (partner >= pair->base->base.rows) {
            continue;
        }
        WEIR_TRY(read_row(base, pair->base, partner, pair, err));
        WEIR_TRY(read_row(model, pair->model, ids[i], pair, err));
        const double cosine = row_cosine(base, model, cols);
        if (isfinite(cosine)) {
            sum += cosine;
            seen++;
        }
    }
    *out = seen > 0 ? sum / (double)seen : (double)NAN;
    return WEIR_OK;
}

static double row_norm(const float *row, size_t cols) {
    double square = 0;
    for (size_t i = 0; i < cols; i++) {
        square += (double)row[i] * (double)row[i];
    }
    return sqrt(square);
}

/* How far the lengths of rows go together: a turned or permuted basis keeps them. */
static weir_code norm_agreement(double *out, embeddings *pair, const uint32_t *ids, size_t count,
                                const uint32_t *partners, weir_error *err) {
    const size_t cols =
        (size_t)(pair->model->base.cols > pair->base->base.cols ? pair->model->base.cols
                                                                : pair->base->base.cols);
    WEIR_CLEANUP(free) float *row = checked_alloc(cols, sizeof *row);
    float base[SAMPLE_ROWS];
    float model[SAMPLE_ROWS];
    double sums[2] = {0};
    size_t seen = 0;
    if (!row) {
        return weir_fail_nomem(err);
    }
    for (size_t i = 0; i < count; i++) {
        const uint64_t partner = partners ? partners[ids[i]] : ids[i];
        if (partner >= pair->base->base.rows) {
            continue;
        }
        WEIR_TRY(read_row(row, pair->base, partner, pair, err));
        base[seen] = (float)row_norm(row, (size_t)pair->base->base.cols);
        WEIR_TRY(read_row(row, pair->model, ids[i], pair, err));
        model[seen] = (float)row_norm(row, (size_t)pair->model->base.cols);
        sums[0] += (double)base[seen];
        sums[1] += (double)model[seen++];
    }
    for (size_t i = 0; i < seen; i++) {
        base[i] -= (float)(sums[0] / (double)seen);
        model[i] -= (float)(sums[1] / (double)seen);
    }
    *out = row_cosine(base, model, seen);
    return WEIR_OK;
}

/* Whether tokens that lost their string lost their row too, while those that kept it are alike. */
static weir_code renamed_are_new(bool *out, double *agreement, embeddings *pair,
                                 const uint32_t *partners, weir_error *err) {
    uint32_t ids[SAMPLE_ROWS];
    double of_renamed = (double)NAN;
    double of_kept = (double)NAN;
    const uint64_t fewer = pair->base->base.rows < pair->model->base.rows ? pair->base->base.rows
                                                                          : pair->model->base.rows;
    *out = false;
    if (!pair->is_one_width) {
        return WEIR_OK;
    }
    size_t count = pick_ids(ids, SAMPLE_ROWS, partners, fewer, /* has_partner= */ false);
    WEIR_TRY(mean_cosine(&of_renamed, pair, ids, count, NULL, err));
    count = pick_ids(ids, SAMPLE_ROWS, partners, pair->model->base.rows, /* has_partner= */ true);
    WEIR_TRY(mean_cosine(&of_kept, pair, ids, count, partners, err));
    *out = of_renamed < THRESHOLD_ROWS_ALIKE && of_kept >= THRESHOLD_ROWS_ALIKE;
    *agreement = of_kept;
    return WEIR_OK;
}

/* Whether rows that strings say were moved are more like the rows of their strings than like those
 * of their index. */
static weir_code strings_hold(bool *out, double *agreement, embeddings *pair,
                              const uint32_t *partners, weir_error *err) {
    uint32_t ids[SAMPLE_ROWS];
    const size_t count = sample_ids(ids, partners, pair->model->base.rows, /* only_moved= */ true);
    double of_string = (double)NAN;
    double of_index = (double)NAN;
    *out = false;
    *agreement = (double)NAN;
    if (count == 0) {
        return renamed_are_new(out, agreement, pair, partners, err);
    }
    if (pair->is_one_width) {
        WEIR_TRY(mean_cosine(&of_string, pair, ids, count, partners, err));
        WEIR_TRY(mean_cosine(&of_index, pair, ids, count, NULL, err));
        *agreement = of_string;
        if (of_string >= THRESHOLD_ROWS_ALIKE || of_index >= THRESHOLD_ROWS_ALIKE) {
            *out = !(of_index >= of_string - THRESHOLD_PLACE_MARGIN);
            return WEIR_OK;
        }
    }
    WEIR_TRY(norm_agreement(&of_string, pair, ids, count, partners, err));
    WEIR_TRY(norm_agreement(&of_index, pair, ids, count, NULL, err));
    *out = of_string >= THRESHOLD_ROWS_ALIKE && !(of_index >= of_string);
    return WEIR_OK;
}

/* --- by row --- */

static weir_code read_some_cols(float **out, const tensor_view *view, embeddings *pair,
                                weir_error *err) {
    const size_t cols = (size_t)view->base.cols;
    const size_t kept = cols < ROW_COLS ? cols : ROW_COLS;
    const size_t most = READ_ELEMENTS / cols ? READ_ELEMENTS / cols : 1;
    WEIR_CLEANUP(free) float *rows = checked_alloc(most * cols, sizeof *rows);
    size_t elements;
    WEIR_CLEANUP(free)
    float *samples = checked_mul_size(&elements, (size_t)view->base.rows, kept)
                         ? checked_alloc(elements, sizeof *samples)
                         : NULL;
    if (!rows || !samples) {
        return weir_fail_nomem(err);
    }
    for (uint64_t i = 0; i < view->base.rows; i += most) {
        const uint64_t left = view->base.rows - i;
        const uint64_t count = left < most ? left : most;
        WEIR_TRY(tensor_view_read(view, i, count, rows, &pair->scratch, err));
        for (uint64_t j = 0; j < count; j++) {
            for (size_t k = 0; k < kept; k++) {
                samples[(i + j) * kept + k] = rows[j * cols + k * cols / kept];
            }
        }
    }
    *out = WEIR_TAKE(samples);
    return WEIR_OK;
}

static weir_code map_by_row(uint32_t *partners, bool *is_found, embeddings *pair, weir_error *err) {
    WEIR_CLEANUP(free) float *base = NULL;
    WEIR_CLEANUP(free) float *model = NULL;
    const size_t cols = (size_t)pair->model->base.cols;
    const row_match_options options = {.only_equal = true};
    row_match_count count;
    WEIR_TRY(read_some_cols(&base, pair->base, pair, err));
    WEIR_TRY(read_some_cols(&model, pair->model, pair, err));
    WEIR_TRY(row_match_find(partners, NULL, &count, model, (size_t)pair->model->base.rows, base,
                            (size_t)pair->base->base.rows, cols < ROW_COLS ? cols : ROW_COLS,
                            &options, err));
    const uint64_t fewer = pair->base->base.rows < pair->model->base.rows ? pair->base->base.rows
                                                                          : pair->model->base.rows;
    *is_found = (double)count.telling >= THRESHOLD_MATCHED_SHARE * (double)fewer;
    return WEIR_OK;
}

/* --- rows that the base does not have --- */

static int by_value(const void *left, const void *right) {
    const double a = *(const double *)left;
    const double b = *(const double *)right;
    return (a > b) - (a < b);
}

static double median(double *values, size_t count) {
    qsort(values, count, sizeof *values, by_value);
    return count > 0 ? values[count / 2] : (double)NAN;
}

typedef struct row_figures {
    double norm; /* medians */
    double cosine;
    uint64_t zero;
} row_figures;

static weir_code measure_rows(row_figures *out, embeddings *pair, const uint32_t *ids, size_t count,
                              const float *mean, weir_error *err) {
    const size_t cols = (size_t)pair->model->base.cols;
    double norms[NEW_ROWS];
    double cosines[NEW_ROWS];
    size_t cosine_count = 0;
    WEIR_CLEANUP(free) float *row = checked_alloc(cols, sizeof *row);
    if (!row) {
        return weir_fail_nomem(err);
    }
    *out = (row_figures){0};
    for (size_t i = 0; i < count; i++) {
        WEIR_TRY(read_row(row, pair->model, ids[i], pair, err));
        const double cosine = row_cosine(row, mean, cols);
        norms[i] = row_norm(row, cols);
        out->zero += !(norms[i] > 0) && !isnan(norms[i]);
        if (isfinite(cosine)) {
            cosines[cosine_count++] = cosine;
        }
    }
    out->norm = median(norms, count);
    out->cosine = median(cosines, cosine_count);
    return WEIR_OK;
}

static weir_code look_at_new(vocabulary_map *out, embeddings *pair, const uint32_t *partners,
                             weir_error *err) {
    const size_t cols = (size_t)pair->model->base.cols;
    uint32_t old_ids[NEW_ROWS];
    uint32_t new_ids[NEW_ROWS];
    const uint64_t rows = pair->model->base.rows;
    const size_t old_count = pick_ids(old_ids, NEW_ROWS, partners, rows, /* has_partner= */ true);
    const size_t new_count = pick_ids(new_ids, NEW_ROWS, partners, rows, /* has_partner= */ false);
    out->new_norm = (double)NAN;
    out->new_mean_cosine = (double)NAN;
    out->old_mean_cosine = (double)NAN;
    if (old_count == 0 || new_count == 0) {
        return WEIR_OK;
    }
    WEIR_CLEANUP(free) float *mean = calloc(cols, sizeof *mean);
    WEIR_CLEANUP(free) float *row = checked_alloc(cols, sizeof *row);
    if (!mean || !row) {
        return weir_fail_nomem(err);
    }
    for (size_t i = 0; i < old_count; i++) {
        WEIR_TRY(read_row(row, pair->model, old_ids[i], pair, err));
        for (size_t j = 0; j < cols; j++) {
            mean[j] += row[j] / (float)old_count;
        }
    }
    row_figures old;
    row_figures new;
    WEIR_TRY(measure_rows(&old, pair, old_ids, old_count, mean, err));
    WEIR_TRY(measure_rows(&new, pair, new_ids, new_count, mean, err));
    out->new_rows = new_count;
    out->new_zero = new.zero;
    out->new_norm = old.norm > 0 ? new.norm / old.norm : (double)NAN;
    out->new_mean_cosine = new.cosine;
    out->old_mean_cosine = old.cosine;
    return WEIR_OK;
}

/* --- the three ways in turn --- */

static void map_by_index(uint32_t *partners, const embeddings *pair) {
    for (uint64_t i = 0; i < pair->model->base.rows; i++) {
        partners[i] = i < pair->base->base.rows ? (uint32_t)i : AXIS_NONE;
    }
}

static bool has_words(const embeddings *pair) {
    return pair->base_words->count > 0 && pair->model_words->count > 0;
}

static weir_code choose_way(vocabulary_map *out, uint32_t *partners, embeddings *pair,
                            weir_error *err) {
    uint32_t ids[SAMPLE_ROWS];
    if (has_words(pair)) {
        bool holds;
        WEIR_TRY(map_by_string(partners, pair, err));
        WEIR_TRY(strings_hold(&holds, &out->agreement, pair, partners, err));
        if (holds) {
            out->way = VOCABULARY_BY_STRING;
            return WEIR_OK;
        }
    }
    map_by_index(partners, pair);
    out->way = VOCABULARY_BY_INDEX;
    out->agreement = (double)NAN;
    if (!pair->is_one_width) {
        return WEIR_OK;
    }
    const size_t count = sample_ids(ids, partners, pair->model->base.rows, /* only_moved= */ false);
    WEIR_TRY(mean_cosine(&out->agreement, pair, ids, count, NULL, err));
    if (out->agreement >= THRESHOLD_ROWS_ALIKE) {
        return WEIR_OK;
    }
    bool is_found;
    WEIR_TRY(map_by_row(partners, &is_found, pair, err));
    if (is_found) {
        out->way = VOCABULARY_BY_ROW;
        const size_t some =
            sample_ids(ids, partners, pair->model->base.rows, /* only_moved= */ false);
        return mean_cosine(&out->agreement, pair, ids, some, partners, err);
    }
    map_by_index(partners, pair);
    return WEIR_OK;
}

weir_code vocabulary_map_find(vocabulary_map *out, arena *memory, const weir_model *base,
                              const weir_model *model, weir_error *err) {
    WEIR_CLEANUP(release_embeddings)
    embeddings pair = {.base = model_role_view(base, WEIR_ROLE_EMBEDDING),
                       .model = model_role_view(model, WEIR_ROLE_EMBEDDING),
                       .base_words = &model_checkpoint(base)->vocabulary,
                       .model_words = &model_checkpoint(model)->vocabulary};
    *out = (vocabulary_map){.agreement = (double)NAN,
                            .new_norm = (double)NAN,
                            .new_mean_cosine = (double)NAN,
                            .old_mean_cosine = (double)NAN};
    if (!pair.base || !pair.model || !has_readable_rows(pair.base) ||
        !has_readable_rows(pair.model) || pair.base->base.cols > ROW_MAX ||
        pair.model->base.cols > ROW_MAX || pair.base->base.rows >= AXIS_NONE ||
        pair.model->base.rows >= AXIS_NONE) {
        return WEIR_OK;
    }
    pair.is_one_width = pair.base->base.cols == pair.model->base.cols;
    const size_t rows = (size_t)pair.model->base.rows;
    WEIR_CLEANUP(free) uint32_t *partners = checked_alloc(rows, sizeof *partners);
    if (!partners) {
        return weir_fail_nomem(err);
    }
    WEIR_TRY(choose_way(out, partners, &pair, err));
    WEIR_TRY(axis_map_build(&out->rows, memory, partners, NULL, rows, (size_t)pair.base->base.rows,
                            err));
    out->moved = out->rows.moved;
    out->added = rows - out->rows.shared;
    out->removed = out->rows.base_count - out->rows.shared;
    out->is_found = !axis_map_is_same(&out->rows);
    return out->added > 0 ? look_at_new(out, &pair, partners, err) : WEIR_OK;
}
