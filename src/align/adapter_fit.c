/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Why this statistic: the gradient of A is a sum of the base's normalised hidden states, and that
 * of B of a module which writes to the residual stream is a sum of gradients in it; B starts at
 * zero, so nothing else is in it. Both carry the correlations between residual dimensions that the
 * base's own rows carry, having been trained by sums of the same vectors. The energies of single
 * columns say next to nothing, because Adam evens out their scale: docs/evidence.md has the
 * figures.
 *
 * At most COLUMNS_MAX dimensions are compared, evenly spaced, and evenly spaced rows of the base:
 * the choice looks at no number.
 */
#include "align/adapter_fit.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "align/readable.h"
#include "base/checked.h"
#include "base/fail.h"
#include "base/text.h"
#include "base/threads.h"
#include "kernel/gram.h"
#include "tensor/adapter.h"

enum {
    COLUMNS_MAX = 512,
    COLUMNS_MIN = 16, /* fewer have too few orders that matter */
    BASE_ROWS = 2048, /* of the embedding, and again of the matrices */
    BASE_LAYERS = 8,
    ADAPTER_ROWS = 8192,
    HIDDEN_MAX = 1 << 16,
    RANK_MAX = 1 << 12,
};

static const double fits_p = 1e-3;
static const uint64_t permutation_seed = 0x5EED;

typedef enum residual_side { SIDE_NONE, SIDE_READS, SIDE_WRITES } residual_side;

static residual_side side_of(weir_role role) {
    static const weir_role readers[] = {
        WEIR_ROLE_Q,
        WEIR_ROLE_K,
        WEIR_ROLE_V,
        WEIR_ROLE_Q_A,
        WEIR_ROLE_KV_A,
        WEIR_ROLE_GATE,
        WEIR_ROLE_UP,
        WEIR_ROLE_EXPERT_UP,
        WEIR_ROLE_EXPERT_GATE,
        WEIR_ROLE_SHARED_EXPERT_GATE,
        WEIR_ROLE_SHARED_EXPERT_UP,
    };
    static const weir_role writers[] = {WEIR_ROLE_O, WEIR_ROLE_DOWN, WEIR_ROLE_EXPERT_DOWN,
                                        WEIR_ROLE_SHARED_EXPERT_DOWN};
    for (size_t i = 0; i < sizeof readers / sizeof *readers; i++) {
        if (readers[i] == role) {
            return SIDE_READS;
        }
    }
    for (size_t i = 0; i < sizeof writers / sizeof *writers; i++) {
        if (writers[i] == role) {
            return SIDE_WRITES;
        }
    }
    return SIDE_NONE;
}

/* The dimensions that are compared, and what is summed up over them. */
typedef struct fit_work {
    size_t hidden;
    size_t n; /* compared dimensions */
    size_t columns[COLUMNS_MAX];
    double *embedding; /* Gram sums, [n, n] each */
    double *matrices;
    double *reads;
    double *writes;
    float *row; /* [hidden] */
    view_scratch scratch;
} fit_work;

static void fit_work_release_cleanup(fit_work *work) {
    free(work->embedding);
    free(work->matrices);
    free(work->reads);
    free(work->writes);
    free(work->row);
    view_scratch_release(&work->scratch);
}

static weir_code prepare_work(fit_work *work, size_t hidden, weir_error *err) {
    work->hidden = hidden;
    work->n = hidden < COLUMNS_MAX ? hidden : COLUMNS_MAX;
    for (size_t i = 0; i < work->n; i++) {
        work->columns[i] = i * hidden / work->n;
    }
    const size_t cells = work->n * work->n;
    work->embedding = calloc(cells, sizeof *work->embedding);
    work->matrices = calloc(cells, sizeof *work->matrices);
    work->reads = calloc(cells, sizeof *work->reads);
    work->writes = calloc(cells, sizeof *work->writes);
    work->row = checked_alloc(hidden, sizeof *work->row);
    const bool done = work->embedding && work->matrices && work->reads && work->writes && work->row;
    return done ? WEIR_OK : weir_fail_nomem(err);
}

/* --- Gram sums --- */

/* Add the compared dimensions of a vector; one that is not finite, or too large to square, is left
 * out. */
static bool add_vector(double *sums, const fit_work *work, const float *vector, double weight) {
    float picked[COLUMNS_MAX];
    double squares = 0;
    for (size_t i = 0; i < work->n; i++) {
        picked[i] = vector[work->columns[i]];
        squares += (double)picked[i] * (double)picked[i];
    }
    if (!isfinite(squares)) {
        return false;
    }
    gram_add(sums, picked, work->n, weight);
    return true;
}

static double squares_of(const float *values, size_t count) {
    double sum = 0;
    for (size_t i = 0; i < count; i++) {
        sum += (double)values[i] * (double)values[i];
    }
    return sum;
}

/* Evenly spaced rows of a view, each scaled to length 1: no row, and so no outlier, speaks for the
 * others. */
static weir_code add_rows(double *sums, fit_work *work, const tensor_view *view, uint64_t count_max,
                          size_t *added, weir_error *err) {
    const uint64_t rows = view->base.rows;
    const uint64_t count = rows < count_max ? rows : count_max;
    for (uint64_t i = 0; i < count; i++) {
        WEIR_TRY(tensor_view_read(view, i * rows / count, 1, work->row, &work->scratch, err));
        const double squares = squares_of(work->row, work->hidden);
        if (squares > 0 && isfinite(squares)) {
            *added += add_vector(sums, work, work->row, 1 / squares);
        }
    }
    return WEIR_OK;
}

/* --- the base --- */

static bool is_reader(const tensor_view *view, size_t hidden) {
    return side_of(view->base.role) == SIDE_READS && !view->base.is_bias &&
           view->base.cols == hidden && view->base.rows > 1 && view->base.expert <= 0 &&
           has_readable_rows(view);
}

/* Whether a layer is one of BASE_LAYERS evenly spaced ones. */
static bool is_sampled(int32_t layer, int32_t layers) {
    if (layers <= BASE_LAYERS) {
        return true;
    }
    const int64_t at = (int64_t)layer * BASE_LAYERS;
    return at / layers != (at + BASE_LAYERS) / layers;
}

static size_t count_readers(const weir_model *base, size_t hidden, int32_t *layers) {
    size_t count = 0;
    *layers = 0;
    for (size_t i = 0; i < weir_model_tensor_count(base); i++) {
        const tensor_view *const view = model_view(base, i);
        if (is_reader(view, hidden) && view->base.layer >= *layers) {
            *layers = view->base.layer + 1;
        }
    }
    for (size_t i = 0; i < weir_model_tensor_count(base); i++) {
        const tensor_view *const view = model_view(base, i);
        count += is_reader(view, hidden) && is_sampled(view->base.layer, *layers);
    }
    return count;
}

static weir_code add_base(fit_work *work, const weir_model *base, size_t *added, weir_error *err) {
    size_t index;
    int32_t layers;
    const size_t count = count_readers(base, work->hidden, &layers);
    if (count == 0 || !model_find(base, "embedding", &index)) {
        return WEIR_OK;
    }
    const tensor_view *const embedding = model_view(base, index);
    if (embedding->base.cols != work->hidden || !has_readable_rows(embedding)) {
        return WEIR_OK;
    }
    WEIR_TRY(add_rows(work->embedding, work, embedding, BASE_ROWS, added, err));
    const uint64_t share = BASE_ROWS / count > 0 ? BASE_ROWS / count : 1;
    for (size_t i = 0; i < weir_model_tensor_count(base); i++) {
        const tensor_view *const view = model_view(base, i);
        if (is_reader(view, work->hidden) && is_sampled(view->base.layer, layers)) {
            WEIR_TRY(add_rows(work->matrices, work, view, share, added, err));
        }
    }
    return WEIR_OK;
}

/* --- the adapter --- */

/* Of a module that is split into several tensors each has the whole A. */
static bool is_same_array(const tensor_view *a, const tensor_view *b) {
    return a->stored == b->stored && a->first_element == b->first_element;
}

/* Columns of B. It is read whole: [hidden, rank]. */
static weir_code add_writer(fit_work *work, const tensor_view *b, size_t count_max, size_t *added,
                            weir_error *err) {
    const size_t rank = (size_t)b->base.cols;
    const size_t count = rank < count_max ? rank : count_max;
    WEIR_CLEANUP(free) float *values = checked_alloc(work->hidden, rank * sizeof *values);
    if (!values) {
        return weir_fail_nomem(err);
    }
    WEIR_TRY(tensor_view_read(b, 0, work->hidden, values, &work->scratch, err));
    const double squares = squares_of(values, work->hidden * rank);
    if (!(squares > 0) || !isfinite(squares)) {
        return WEIR_OK;
    }
    for (size_t r = 0; r < count; r++) {
        const size_t column = r * rank / count;
        for (size_t i = 0; i < work->hidden; i++) {
            work->row[i] = values[i * rank + column];
        }
        *added += add_vector(work->writes, work, work->row, 1 / squares);
    }
    return WEIR_OK;
}

/* The role of the tensor of the base that an item changes. */
static weir_role role_of(const adapter_item *item, const weir_model *base) {
    size_t index;
    return model_find(base, item->name, &index) ? model_view(base, index)->base.role
                                                : WEIR_ROLE_UNKNOWN;
}

static weir_code add_adapter(fit_work *work, const adapter *from, const weir_model *base,
                             size_t *added, weir_error *err) {
    const size_t share = from->count < ADAPTER_ROWS ? ADAPTER_ROWS / from->count : 1;
    for (size_t i = 0; i < from->count && *added < ADAPTER_ROWS; i++) {
        const adapter_item *const item = &from->items[i];
        const residual_side side = side_of(role_of(item, base));
        const bool is_repeated = i > 0 && is_same_array(&item->a, &from->items[i - 1].a);
        if (side == SIDE_READS && item->a.base.cols == work->hidden && !is_repeated &&
            has_readable_rows(&item->a)) {
            WEIR_TRY(add_rows(work->reads, work, &item->a, share, added, err));
        } else if (side == SIDE_WRITES && item->b.base.rows == work->hidden &&
                   item->rank <= RANK_MAX && has_readable_rows(&item->b)) {
            WEIR_TRY(add_writer(work, &item->b, share, added, err));
        }
    }
    return WEIR_OK;
}

/* --- the test --- */

static bool is_positive(double value) {
    return isfinite(value) && value > 0;
}

/* Leave out dimensions that are zero throughout in the base, or in what there is of the adapter. */
static void drop_empty(fit_work *work, bool has_reads, bool has_writes) {
    double *const sums[] = {work->embedding, work->matrices, has_reads ? work->reads : NULL,
                            has_writes ? work->writes : NULL};
    const size_t n = work->n;
    size_t kept[COLUMNS_MAX];
    size_t count = 0;
    for (size_t i = 0; i < n; i++) {
        bool is_full = true;
        for (size_t k = 0; k < sizeof sums / sizeof *sums; k++) {
            is_full = is_full && (!sums[k] || is_positive(sums[k][i * n + i]));
        }
        if (is_full) {
            kept[count++] = i;
        }
    }
    /* In place: what is written stands before what is still to be read. */
    for (size_t k = 0; k < sizeof sums / sizeof *sums; k++) {
        for (size_t i = 0; sums[k] && i < count; i++) {
            for (size_t j = 0; j <= i; j++) {
                sums[k][i * count + j] = sums[k][kept[i] * n + kept[j]];
            }
        }
    }
    work->n = count;
}

static bool has_any(const double *sums, size_t n) {
    for (size_t i = 0; i < n; i++) {
        if (is_positive(sums[i * n + i])) {
            return true;
        }
    }
    return false;
}

/* Scores of the base and of the adapter, [n, n] each. */
typedef struct fit_scores {
    float *sums;
    int16_t *base;
    int16_t *adapter;
} fit_scores;

static void fit_scores_release_cleanup(fit_scores *scores) {
    free(scores->sums);
    free(scores->base);
    free(scores->adapter);
}

/* The sum of the scores of up to two Gram matrices. @return whether there was any */
static bool store_sum(int16_t *out, float *sums, const double *first, const double *second,
                      size_t n) {
    memset(sums, 0, n * n * sizeof *sums);
    const bool has_first = gram_add_scores(sums, first, n);
    const bool has_second = gram_add_scores(sums, second, n);
    gram_store_scores(out, sums, n);
    return has_first || has_second;
}

static weir_code compare_scores(adapter_fit *out, const fit_work *work, unsigned jobs,
                                weir_error *err) {
    WEIR_CLEANUP(fit_scores_release) fit_scores scores = {0};
    const size_t n = work->n;
    const size_t cells = n * n;
    scores.sums = checked_alloc(cells, sizeof *scores.sums);
    scores.base = checked_alloc(cells, sizeof *scores.base);
    scores.adapter = checked_alloc(cells, sizeof *scores.adapter);
    if (!scores.sums || !scores.base || !scores.adapter) {
        return weir_fail_nomem(err);
    }
    if (!store_sum(scores.base, scores.sums, work->embedding, work->matrices, n) ||
        !store_sum(scores.adapter, scores.sums, work->reads, work->writes, n)) {
        return WEIR_OK;
    }
    const int threads = threads_startable(threads_wanted(jobs));
    const size_t as_large = gram_permuted_agreements(
        scores.adapter, scores.base, n, ADAPTER_PERMUTATIONS, permutation_seed, threads);
    out->is_tested = true;
    out->columns = n;
    out->p = (double)(1 + as_large) / (1 + ADAPTER_PERMUTATIONS);
    return WEIR_OK;
}

static weir_code test_weights(adapter_fit *out, const adapter *from, const weir_model *base,
                              unsigned jobs, weir_error *err) {
    WEIR_CLEANUP(fit_work_release) fit_work work = {0};
    size_t index;
    const bool has_embedding = model_find(base, "embedding", &index);
    const uint64_t hidden = has_embedding ? model_view(base, index)->base.cols : 0;
    if (from->count == 0 || hidden < COLUMNS_MIN || hidden > HIDDEN_MAX) {
        return WEIR_OK;
    }
    WEIR_TRY(prepare_work(&work, (size_t)hidden, err));
    WEIR_TRY(add_adapter(&work, from, base, &out->adapter_rows, err));
    if (out->adapter_rows > 0) {
        WEIR_TRY(add_base(&work, base, &out->base_rows, err));
    }
    const bool has_base = has_any(work.embedding, work.n) && has_any(work.matrices, work.n);
    if (out->adapter_rows == 0 || !has_base) {
        return WEIR_OK;
    }
    drop_empty(&work, has_any(work.reads, work.n), has_any(work.writes, work.n));
    return work.n < COLUMNS_MIN ? WEIR_OK : compare_scores(out, &work, jobs, err);
}

/* --- shapes --- */

/* Whether all that the base says it has is there, in shapes that mean something: with a part
 * missing, or codes of an unknown packing, a module that is not found contradicts nothing. */
static bool is_whole(const weir_model *base) {
    const hyperparameters *const shape = &model_checkpoint(base)->shape;
    uint64_t layers = 0;
    for (size_t i = 0; i < weir_model_tensor_count(base); i++) {
        const tensor_view *const view = model_view(base, i);
        const bool is_matrix = view->base.rows > 1 && !view->base.is_bias;
        if (view->base.layer >= 0 && is_matrix && !has_readable_rows(view)) {
            return false;
        }
        if (view->base.layer >= 0 && (uint64_t)view->base.layer + 1 > layers) {
            layers = (uint64_t)view->base.layer + 1;
        }
    }
    return layers > 0 && layers >= shape->layers && weir_model_has_known_roles(base);
}

static adapter_verdict judge(const adapter_fit *fit, bool is_contradicted) {
    return is_contradicted                      ? ADAPTER_CONTRADICTED
           : fit->is_tested && fit->p <= fits_p ? ADAPTER_FITS
                                                : ADAPTER_CLAIMED;
}

weir_code adapter_fit_test(adapter_fit *out, const weir_model *from, const weir_model *base,
                           const adapter_fit_options *options, weir_error *err) {
    WEIR_CLEANUP(adapter_release) adapter resolved = {0};
    adapter_fit fit = {.p = 1};
    for (size_t i = 0; i < weir_model_tensor_count(from); i++) {
        fit.modules += weir_model_tensor(from, i)->role == WEIR_ROLE_ADAPTER_A;
    }
    if (fit.modules == 0) {
        return weir_fail(err, WEIR_ERR_ARG, weir_model_name(from), NULL, "a LoRA adapter",
                         "no tensor of one");
    }
    WEIR_TRY(adapter_resolve(&resolved, from, base, err));
    fit.fitting = fit.modules - resolved.unresolved;
    if (resolved.first_misfit) {
        text_escape(fit.first_unfitting, sizeof fit.first_unfitting, resolved.first_misfit,
                    strlen(resolved.first_misfit));
    }
    WEIR_TRY(test_weights(&fit, &resolved, base, options ? options->jobs : 0, err));
    fit.verdict = judge(&fit, resolved.misfits > 0 && is_whole(base));
    *out = fit;
    return WEIR_OK;
}
