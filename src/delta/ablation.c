/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Two passes over the write matrices. The first finds the strongest directions of each change; out
 * of these come the directions that matrices share. The second fits each matrix with them. Results
 * are put together in the order of the rows, so they do not depend on the threads.
 */
#include "delta/ablation.h"

#include <math.h>
#include <string.h>

#include "base/checked.h"
#include "base/fail.h"
#include "delta/ablation_eigen.h"
#include "delta/ablation_evidence.h"
#include "delta/pair_rows.h"
#include "delta/thresholds.h"
#include "kernel/smallest_values.h"
#include "kernel/spectrum.h"

enum {
    OWN_DIRECTIONS = 4, /* kept of each matrix */
    REFITS = 2,
    MATRICES_MAX = 1024, /* examined; of more, an even choice */
    K_MAX = ABLATION_DIRECTIONS_MAX,
};

/* The strongest directions of one matrix's change in one form, longest first; the squared length of
 * each is its share of |W|^2 above what a structureless change would have. */
typedef struct own_directions {
    float *vectors; /* [OWN_DIRECTIONS, width] */
} own_directions;

typedef struct shared_directions {
    float *vectors; /* [count, width], orthonormal */
    size_t count;
} shared_directions;

/* Everything of one run. */
typedef struct examination {
    const weir_diff *diff;
    ablation_pool pool;
    size_t width;
    own_directions *own;                           /* [pool.count][form] */
    shared_directions global[ABLATION_FORM_COUNT]; /* up to K_MAX, strongest first */
    shared_directions *by_layer;                   /* [layer_count][form] */
    size_t layer_count;
    float *eigen; /* one direction; NULL until it is looked for */
} examination;

static void examination_release(examination *run) {
    for (size_t i = 0; run->own && i < run->pool.count * ABLATION_FORM_COUNT; i++) {
        free(run->own[i].vectors);
    }
    for (size_t i = 0; run->by_layer && i < run->layer_count * ABLATION_FORM_COUNT; i++) {
        free(run->by_layer[i].vectors);
    }
    for (size_t i = 0; i < ABLATION_FORM_COUNT; i++) {
        free(run->global[i].vectors);
    }
    free(run->own);
    free(run->by_layer);
    free(run->eigen);
    free(run->pool.items);
}

static inline void examination_release_cleanup(examination *run) {
    examination_release(run);
}

/* What one thread needs. */
typedef struct workplace {
    residual_writes writes;
    ablation_workspace fit;
    spectrum_scratch spectrum;
    float *left;
    size_t left_capacity;
} workplace;

static inline void workplace_release_cleanup(workplace *desk) {
    residual_writes_release(&desk->writes);
    ablation_workspace_release(&desk->fit);
    spectrum_scratch_release(&desk->spectrum);
    free(desk->left);
}

static bool is_write(const weir_diff *diff, const tensor_delta *row) {
    if (row->state != TENSOR_COMPARED) {
        return false;
    }
    const weir_tensor *tensor = weir_model_tensor(diff->model, (size_t)row->model_index);
    return role_writes_residual(tensor->role) && !tensor->is_bias && tensor->rows > 1 &&
           tensor->cols > 1;
}

static weir_role role_of(const weir_diff *diff, const tensor_delta *row) {
    return weir_model_tensor(diff->model, (size_t)row->model_index)->role;
}

static size_t width_of(const weir_diff *diff, const tensor_delta *row) {
    return (size_t)(role_of(diff, row) == WEIR_ROLE_EMBEDDING ? pair_col_count(diff, row)
                                                              : pair_row_count(diff, row));
}

/* The write matrices as wide as those of the layers: a factorised embedding is not. */
static weir_code choose_matrices(examination *run, weir_error *err) {
    const weir_diff *const diff = run->diff;
    size_t count = 0;
    for (size_t i = 0; i < diff->tensor_count; i++) {
        if (is_write(diff, &diff->tensors[i])) {
            count++;
            run->width = run->width == 0 || role_of(diff, &diff->tensors[i]) != WEIR_ROLE_EMBEDDING
                             ? width_of(diff, &diff->tensors[i])
                             : run->width;
        }
    }
    const size_t step = (count + MATRICES_MAX - 1) / MATRICES_MAX;
    run->pool.items = calloc(count > 0 ? count : 1, sizeof *run->pool.items);
    if (!run->pool.items) {
        return weir_fail_nomem(err);
    }
    size_t seen = 0;
    for (size_t i = 0; i < diff->tensor_count; i++) {
        const tensor_delta *const row = &diff->tensors[i];
        if (is_write(diff, row) && seen++ % step == 0 && width_of(diff, row) == run->width) {
            const int32_t layer = weir_model_tensor(diff->model, (size_t)row->model_index)->layer;
            run->pool.items[run->pool.count++] =
                (ablation_evidence){.row = i, .layer = layer, .width = run->width};
            run->layer_count = layer >= 0 && (size_t)layer >= run->layer_count ? (size_t)layer + 1
                                                                               : run->layer_count;
        }
    }
    return WEIR_OK;
}

static weir_code read_matrix(workplace *desk, const examination *run, const ablation_evidence *item,
                             weir_error *err) {
    WEIR_TRY(residual_writes_read(&desk->writes, run->diff, &run->diff->tensors[item->row],
                                  WRITES_ELEMENTS, err));
    if (desk->writes.capacity > desk->left_capacity) {
        free(desk->left);
        desk->left = checked_alloc(desk->writes.capacity, sizeof *desk->left);
        desk->left_capacity = desk->left ? desk->writes.capacity : 0;
    }
    return desk->left ? WEIR_OK : weir_fail_nomem(err);
}

/* Divide each dimension by the norm of its row of W, so that both forms are fitted alike.
 * @return what one number's rounding becomes, over what it was: the mean of the squared factors */
static double normalise_rows(residual_writes *writes, double *norms) {
    memset(norms, 0, writes->width * sizeof *norms);
    for (size_t j = 0; j < writes->count; j++) {
        for (size_t i = 0; i < writes->width; i++) {
            const float number = writes->base[j * writes->width + i];
            norms[i] += (double)(number * number);
        }
    }
    double mean = 0;
    for (size_t i = 0; i < writes->width; i++) {
        const double factor = norms[i] > 0 ? 1 / norms[i] : 0;
        norms[i] = sqrt(factor * (double)writes->count);
        mean += factor * (double)writes->count / (double)writes->width;
    }
    for (size_t j = 0; j < writes->count; j++) {
        for (size_t i = 0; i < writes->width; i++) {
            writes->base[j * writes->width + i] *= (float)norms[i];
            writes->change[j * writes->width + i] *= (float)norms[i];
        }
    }
    return mean;
}

static weir_code enter_form(workplace *desk, ablation_evidence *item, int form, weir_error *err) {
    const double elements = (double)desk->writes.count * (double)desk->writes.width;
    double factor = 1;
    if (form == ABLATION_FORM_ROW_NORMS) {
        WEIR_CLEANUP(free)
        double *norms = checked_alloc(desk->writes.width, sizeof *norms);
        if (!norms) {
            return weir_fail_nomem(err);
        }
        factor = normalise_rows(&desk->writes, norms);
    }
    item->count = desk->writes.count;
    item->is_rounding_exact = desk->writes.is_rounding_exact;
    item->rounding[form] = factor * elements * desk->writes.rounding;
    return WEIR_OK;
}

/* Squared singular values of a structureless change with the energy of what is not in the first
 * ones: the edge of Marchenko and Pastur. */
static double edge_square(const spectrum *found, size_t count, size_t width) {
    double rest = found->square;
    for (size_t i = 0; i < found->count; i++) {
        rest -= found->values[i] * found->values[i];
    }
    const double sides = sqrt((double)count) + sqrt((double)width);
    return fmax(rest, 0) / ((double)count * (double)width) * sides * sides;
}

static weir_code keep_own(own_directions *own, ablation_evidence *item, int form,
                          const spectrum *found, double base_square, weir_error *err) {
    own->vectors = calloc(OWN_DIRECTIONS * item->width, sizeof *own->vectors);
    if (!own->vectors) {
        return weir_fail_nomem(err);
    }
    const double edge = edge_square(found, item->count, item->width);
    item->structured[form] = 0;
    for (size_t k = 0; found->right && k < found->count && base_square > 0; k++) {
        const double square = found->values[k] * found->values[k];
        /* A little below the edge too: what many matrices share adds up. */
        const double weight = fmax(square - 0.7 * edge, 0) / base_square;
        item->structured[form] += fmax(square - edge, 0);
        for (size_t i = 0; i < item->width; i++) {
            own->vectors[k * item->width + i] =
                (float)sqrt(weight) * found->right[k * item->width + i];
        }
    }
    return WEIR_OK;
}

/* The scales of the first fit take a part of what a heavy coordinate of the direction holds; beside
 * the directions found, they do so no more. */
static weir_code find_beside_scales(spectrum *found, double *base_square, workplace *desk,
                                    weir_error *err) {
    const residual_writes *const writes = &desk->writes;
    const spectrum_options options = {
        .count = OWN_DIRECTIONS, .oversample = 8, .power_iterations = 3, .with_vectors = true};
    WEIR_CLEANUP(free) float *known = checked_alloc(OWN_DIRECTIONS, writes->width * sizeof *known);
    if (!known) {
        return weir_fail_nomem(err);
    }
    size_t k = 0;
    for (int refit = 0; refit <= REFITS; refit++) {
        ablation_fit fit;
        WEIR_TRY(ablation_fit_pair(&fit, writes->base, writes->change, writes->count, writes->width,
                                   known, k, desk->left, &desk->fit, err));
        *base_square = fit.base_square;
        WEIR_TRY(spectrum_find(found, desk->left, writes->count, writes->width, &options,
                               &desk->spectrum, err));
        k = found->right ? found->count : 0;
        for (size_t i = 0; i < k * writes->width; i++) {
            known[i] = found->right[i];
        }
    }
    return WEIR_OK;
}

/* Pass one. */
static weir_code find_own(examination *run, size_t at, workplace *desk, weir_error *err) {
    ablation_evidence *const item = &run->pool.items[at];
    WEIR_TRY(read_matrix(desk, run, item, err));
    const residual_writes *const writes = &desk->writes;
    for (int form = 0; form < ABLATION_FORM_COUNT; form++) {
        WEIR_TRY(enter_form(desk, item, form, err));
        spectrum found;
        double base_square;
        WEIR_TRY(find_beside_scales(&found, &base_square, desk, err));
        WEIR_TRY(keep_own(&run->own[at * ABLATION_FORM_COUNT + (size_t)form], item, form, &found,
                          base_square, err));
        item->own[form] = 1;
        if (found.right && found.count > 0) {
            WEIR_TRY(ablation_own_cosine(&item->own[form], writes->base, writes->count,
                                         writes->width, found.right, err));
        }
    }
    return WEIR_OK;
}

/* The strongest directions of several matrices' own ones together. */
static weir_code pool_directions(shared_directions *out, const examination *run, int form,
                                 int32_t layer, bool is_any_layer, size_t most, weir_error *err) {
    const size_t width = run->width;
    WEIR_CLEANUP(free)
    float *rows = checked_alloc(run->pool.count * OWN_DIRECTIONS, width * sizeof *rows);
    if (!rows) {
        return weir_fail_nomem(err);
    }
    size_t count = 0;
    for (size_t i = 0; i < run->pool.count; i++) {
        if (is_any_layer || run->pool.items[i].layer == layer) {
            memcpy(rows + count * width, run->own[i * ABLATION_FORM_COUNT + (size_t)form].vectors,
                   OWN_DIRECTIONS * width * sizeof *rows);
            count += OWN_DIRECTIONS;
        }
    }
    WEIR_CLEANUP(spectrum_scratch_release) spectrum_scratch scratch = {0};
    const spectrum_options options = {
        .count = most, .oversample = 16, .power_iterations = 4, .with_vectors = true};
    spectrum found;
    WEIR_TRY(spectrum_find(&found, rows, count, width, &options, &scratch, err));
    /* Weaker ones than a tenth of the first are no part of the edit. */
    size_t kept = 0;
    while (found.right && kept < found.count && found.values[kept] > 0 &&
           found.values[kept] * found.values[kept] >= 0.1 * found.values[0] * found.values[0]) {
        kept++;
    }
    out->vectors = checked_alloc(kept, width * sizeof *out->vectors);
    if (!out->vectors) {
        return weir_fail_nomem(err);
    }
    if (kept > 0) {
        memcpy(out->vectors, found.right, kept * width * sizeof *out->vectors);
    }
    out->count = kept;
    return WEIR_OK;
}

static size_t matrices_of_layer(const examination *run, size_t layer) {
    size_t count = 0;
    for (size_t i = 0; i < run->pool.count; i++) {
        count += run->pool.items[i].layer == (int32_t)layer;
    }
    return count;
}

static weir_code share_directions(examination *run, weir_error *err) {
    for (int form = 0; form < ABLATION_FORM_COUNT; form++) {
        size_t *const kept = run->pool.directions[form];
        shared_directions *const global = &run->global[form];
        WEIR_TRY(pool_directions(global, run, form, 0, /* is_any_layer= */ true, K_MAX, err));
        kept[ABLATION_CANDIDATE_ONE] = global->count > 0;
        kept[ABLATION_CANDIDATE_FEW] = global->count > 1 ? global->count : 0;
        for (size_t layer = 0; layer < run->layer_count; layer++) {
            /* A direction that one matrix has alone is not shared. */
            if (matrices_of_layer(run, layer) < 2) {
                continue;
            }
            shared_directions *const own =
                &run->by_layer[layer * ABLATION_FORM_COUNT + (size_t)form];
            WEIR_TRY(
                pool_directions(own, run, form, (int32_t)layer, /* is_any_layer= */ false, 1, err));
            kept[ABLATION_CANDIDATE_LAYER] |= own->count;
        }
    }
    return WEIR_OK;
}

/* The candidate's directions for a matrix; none when it has none there. */
static shared_directions directions_for(const examination *run, const ablation_evidence *item,
                                        int form, int candidate) {
    const shared_directions *const global = &run->global[form];
    switch ((ablation_candidate)candidate) {
    case ABLATION_CANDIDATE_ONE:
        return (shared_directions){global->vectors, global->count > 0};
    case ABLATION_CANDIDATE_FEW:
        return (shared_directions){global->vectors, global->count > 1 ? global->count : 0};
    case ABLATION_CANDIDATE_LAYER:
        return item->layer >= 0
                   ? run->by_layer[(size_t)item->layer * ABLATION_FORM_COUNT + (size_t)form]
                   : (shared_directions){0};
    case ABLATION_CANDIDATE_EIGEN:
        return (shared_directions){run->eigen, form == ABLATION_FORM_PLAIN};
    case ABLATION_CANDIDATE_COUNT:
        break;
    }
    return (shared_directions){0};
}

/* Pass two; the candidate that the eigenvalues bring has a pass of its own. */
static weir_code fit_matrix(examination *run, size_t at, workplace *desk, weir_error *err) {
    ablation_evidence *const item = &run->pool.items[at];
    WEIR_TRY(read_matrix(desk, run, item, err));
    const residual_writes *const writes = &desk->writes;
    const int first = run->eigen ? ABLATION_CANDIDATE_EIGEN : 0;
    const int end = run->eigen ? ABLATION_CANDIDATE_COUNT : ABLATION_CANDIDATE_EIGEN;
    const int forms = run->eigen ? ABLATION_FORM_ROW_NORMS : ABLATION_FORM_COUNT;
    for (int form = 0; form < forms; form++) {
        WEIR_TRY(enter_form(desk, item, form, err));
        for (int candidate = first; candidate < end; candidate++) {
            const shared_directions own = directions_for(run, item, form, candidate);
            WEIR_TRY(ablation_fit_pair(&item->fits[form][candidate], writes->base, writes->change,
                                       writes->count, writes->width, own.vectors, own.count, NULL,
                                       &desk->fit, err));
        }
    }
    return WEIR_OK;
}

typedef weir_code (*matrix_step)(examination *, size_t, workplace *, weir_error *);

/* Run a pass; the failure told is that of the first matrix that fails. */
static weir_code for_each_matrix(examination *run, matrix_step work, unsigned threads,
                                 weir_error *err) {
    weir_code first = WEIR_OK;
    size_t first_at = SIZE_MAX;
#pragma omp parallel num_threads((int)threads)
    {
        WEIR_CLEANUP(workplace_release) workplace desk = {0};
#pragma omp for schedule(dynamic)
        for (size_t i = 0; i < run->pool.count; i++) {
            weir_error own = {0};
            const weir_code code = work(run, i, &desk, &own);
#pragma omp critical
            if (code != WEIR_OK && i < first_at) {
                first_at = i;
                first = code;
                if (err) {
                    *err = own;
                }
            }
        }
    }
    return first;
}

/* How much of the emptiest direction lies among the strongest ones of the change. */
static double share_in_change(const examination *run) {
    const shared_directions *const global = &run->global[ABLATION_FORM_PLAIN];
    double share = 0;
    for (size_t k = 0; k < global->count; k++) {
        double product = 0;
        for (size_t i = 0; i < run->width; i++) {
            product += (double)global->vectors[k * run->width + i] * (double)run->eigen[i];
        }
        share += product * product;
    }
    return share;
}

/* What the shares do not show, the eigenvalues may: an edit under or over other training. */
static weir_code try_eigenvalues(ablation_verdict *verdict, examination *run, unsigned threads,
                                 weir_error *err) {
    if (verdict->answer == ABLATION_YES || run->pool.count == 0 || run->width == 0) {
        return WEIR_OK;
    }
    run->eigen = checked_alloc(run->width, sizeof *run->eigen);
    if (!run->eigen) {
        return weir_fail_nomem(err);
    }
    WEIR_TRY(ablation_eigen_find(&run->pool, run->eigen, run->diff, run->width, threads, err));
    if (run->pool.eigen_ratio < THRESHOLD_ABLATION_EIGEN_RATIO) {
        run->pool.directions[ABLATION_FORM_PLAIN][ABLATION_CANDIDATE_EIGEN] = 1;
        run->pool.eigen_in_change = share_in_change(run);
        WEIR_TRY(for_each_matrix(run, fit_matrix, threads, err));
    }
    return ablation_decide(verdict, &run->pool, err);
}

weir_code ablation_examine(ablation_verdict *out, const weir_diff *diff, unsigned threads,
                           weir_error *err) {
    WEIR_CLEANUP(examination_release) examination run = {.diff = diff};
    run.pool.eigen_ratio = (double)NAN;
    WEIR_TRY(choose_matrices(&run, err));
    run.own = calloc(run.pool.count * ABLATION_FORM_COUNT + 1, sizeof *run.own);
    run.by_layer = calloc(run.layer_count * ABLATION_FORM_COUNT + 1, sizeof *run.by_layer);
    ablation_verdict verdict = {.matrices = calloc(run.pool.count + 1, sizeof *verdict.matrices)};
    if (!run.own || !run.by_layer || !verdict.matrices) {
        free(verdict.matrices);
        return weir_fail_nomem(err);
    }
    weir_code code = for_each_matrix(&run, find_own, threads, err);
    code = code == WEIR_OK ? share_directions(&run, err) : code;
    code = code == WEIR_OK ? for_each_matrix(&run, fit_matrix, threads, err) : code;
    code = code == WEIR_OK ? ablation_decide(&verdict, &run.pool, err) : code;
    code = code == WEIR_OK ? try_eigenvalues(&verdict, &run, threads, err) : code;
    if (code != WEIR_OK) {
        free(verdict.matrices);
        return code;
    }
    ablation_verdict_release(out);
    *out = verdict;
    return WEIR_OK;
}

void ablation_verdict_release(ablation_verdict *verdict) {
    free(verdict->matrices);
    *verdict = (ablation_verdict){0};
}
