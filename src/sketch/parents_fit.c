/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Normal equations of at most PARENTS_MAX unknowns in double, by Cholesky on columns scaled to
 * length 1; a pivot below pivot_min says that a column follows from the others.
 *
 * The errors of the weights come from clusters: with s_c the sum over cluster c of rest times
 * regressor, V = G^-1 (sum_c s_c s_c^T) G^-1 C / (C - k) [1]. Neighbouring numbers of a change are
 * not independent (rows and columns of a low-rank change share factors), so errors over single
 * numbers would be too small. [1] Liang and Zeger 1986.
 */
#include "sketch/parents_fit.h"

#include <math.h>
#include <string.h>

#include "base/checked.h"
#include "base/fail.h"
#include "kernel/statistics.h"

static const double pivot_min = 1e-8;
/* The least part of the squared change that a step must explain: that of a share of about .015. */
static const double explained_min = 3e-4;

static double weight_of(const parents_rows *rows, bool is_even, size_t r) {
    if (is_even) {
        return 1;
    }
    const double fine = 0.03 * rows->scale[rows->piece[r]];
    const double rounding = (double)rows->rounding[r];
    return fine * fine / (fine * fine + rounding * rounding);
}

weir_code parents_gram_make(parents_gram *out, bool is_even, const parents_rows *rows,
                            weir_error *err) {
    const size_t width = rows->width;
    parents_gram gram = {.is_even = is_even, .width = width, .piece_count = rows->piece_count};
    gram.sums = calloc((rows->piece_count + 1) * width, width * sizeof *gram.sums);
    gram.squares = calloc(rows->cluster_count * width, sizeof *gram.squares);
    if (!gram.sums || !gram.squares) {
        parents_gram_release(&gram);
        return weir_fail_nomem(err);
    }
    for (size_t r = 0; r < rows->count; r++) {
        const float *row = rows->values + r * width;
        double *sums = gram.sums + rows->piece[r] * width * width;
        double *squares = gram.squares + rows->cluster[r] * width;
        const double weight = weight_of(rows, is_even, r);
        for (size_t a = 0; a < width; a++) {
            const double x = weight * (double)row[a];
            squares[a] += x * (double)row[a];
            for (size_t b = 0; b < width; b++) {
                sums[a * width + b] += x * (double)row[b];
            }
        }
    }
    double *total = gram.sums + rows->piece_count * width * width;
    for (size_t p = 0; p < rows->piece_count; p++) {
        for (size_t k = 0; k < width * width; k++) {
            total[k] += gram.sums[p * width * width + k];
        }
    }
    *out = gram;
    return WEIR_OK;
}

void parents_gram_release(parents_gram *gram) {
    free(gram->sums);
    free(gram->squares);
    *gram = (parents_gram){0};
}

/* A vector that is one column less another; column NONE is 0. */
enum { CHANGE = 0, SCALE = 1, NONE = -1 };
typedef struct difference {
    int plus, minus;
} difference;

static int column_of(size_t relative) {
    return relative ? (int)relative + 1 : NONE;
}

static double product(const double *sums, size_t width, int a, int b) {
    return a == NONE || b == NONE ? 0 : sums[(size_t)a * width + (size_t)b];
}

static double inner(const double *sums, size_t width, difference u, difference v) {
    return product(sums, width, u.plus, v.plus) - product(sums, width, u.plus, v.minus) -
           product(sums, width, u.minus, v.plus) + product(sums, width, u.minus, v.minus);
}

/* Regressor i: the reference (scale), then the other members less the first. */
static difference regressor(const parents_fit *fit, size_t i) {
    if (i == 0) {
        return (difference){SCALE, NONE};
    }
    return (difference){column_of(fit->members[i]), column_of(fit->members[0])};
}

typedef struct normal {
    size_t count;
    double length[PARENTS_MAX]; /* of each regressor */
    double factor[PARENTS_MAX][PARENTS_MAX];
} normal;

static bool factorise(normal *out, const parents_fit *fit, const double *sums, size_t width) {
    out->count = fit->count;
    for (size_t i = 0; i < fit->count; i++) {
        const difference u = regressor(fit, i);
        out->length[i] = sqrt(inner(sums, width, u, u));
        if (!(out->length[i] > 0)) {
            return false;
        }
    }
    for (size_t i = 0; i < fit->count; i++) {
        for (size_t j = 0; j <= i; j++) {
            double sum = inner(sums, width, regressor(fit, i), regressor(fit, j)) /
                         (out->length[i] * out->length[j]);
            for (size_t k = 0; k < j; k++) {
                sum -= out->factor[i][k] * out->factor[j][k];
            }
            if (i == j && !(sum > pivot_min)) {
                return false;
            }
            out->factor[i][j] = i == j ? sqrt(sum) : sum / out->factor[j][j];
        }
    }
    return true;
}

static void solve(double *out, const normal *system, const double *right) {
    const size_t n = system->count;
    for (size_t i = 0; i < n; i++) {
        double sum = right[i] / system->length[i];
        for (size_t k = 0; k < i; k++) {
            sum -= system->factor[i][k] * out[k];
        }
        out[i] = sum / system->factor[i][i];
    }
    for (size_t i = n; i-- > 0;) {
        double sum = out[i];
        for (size_t k = i + 1; k < n; k++) {
            sum -= system->factor[k][i] * out[k];
        }
        out[i] = sum / system->factor[i][i];
    }
    for (size_t i = 0; i < n; i++) {
        out[i] /= system->length[i];
    }
}

bool parents_fit_solve(parents_fit *fit, const parents_gram *gram, size_t piece) {
    const double *sums = parents_gram_of(gram, piece);
    const difference target = {CHANGE, column_of(fit->members[0])};
    normal system;
    if (!factorise(&system, fit, sums, gram->width)) {
        return false;
    }
    double right[PARENTS_MAX] = {0};
    double found[PARENTS_MAX];
    for (size_t i = 0; i < fit->count; i++) {
        right[i] = inner(sums, gram->width, regressor(fit, i), target);
    }
    solve(found, &system, right);
    fit->scale = found[0];
    fit->weights[0] = 1;
    fit->rest = inner(sums, gram->width, target, target);
    for (size_t i = 0; i < fit->count; i++) {
        fit->rest -= found[i] * right[i];
        if (i > 0) {
            fit->weights[i] = found[i];
            fit->weights[0] -= found[i];
        }
    }
    fit->rest = fit->rest > 0 ? fit->rest : 0;
    return true;
}

double parents_fit_predict(const parents_fit *fit, const float *row) {
    double sum = fit->scale * (double)row[SCALE];
    for (size_t i = 0; i < fit->count; i++) {
        if (fit->members[i]) {
            sum += fit->weights[i] * (double)row[1 + fit->members[i]];
        }
    }
    return sum;
}

/* scores[cluster][column]: sums of rest times column. */
static double *score_clusters(const parents_fit *fit, const parents_gram *gram,
                              const parents_rows *rows) {
    double *scores = calloc(rows->cluster_count * rows->width, sizeof *scores);
    for (size_t r = 0; scores && r < rows->count; r++) {
        const float *row = rows->values + r * rows->width;
        const double rest = weight_of(rows, gram->is_even, r) *
                            ((double)row[CHANGE] - parents_fit_predict(fit, row));
        double *into = scores + rows->cluster[r] * rows->width;
        for (size_t a = 0; a < rows->width; a++) {
            into[a] += rest * (double)row[a];
        }
    }
    return scores;
}

static double score_of(const double *scores, difference u) {
    return (u.plus == NONE ? 0 : scores[u.plus]) - (u.minus == NONE ? 0 : scores[u.minus]);
}

static size_t count_filled(const parents_gram *gram, const parents_rows *rows) {
    size_t filled = 0;
    for (size_t c = 0; c < rows->cluster_count; c++) {
        filled += gram->squares[c * gram->width + SCALE] > 0;
    }
    return filled;
}

/* Rounding that follows the change moves a weight by at most about its squared share in it. */
static double rounding_square(const parents_gram *gram, const parents_rows *rows) {
    double sum = 0;
    for (size_t r = 0; r < rows->count; r++) {
        const double most = (double)rows->rounding[r];
        sum += weight_of(rows, gram->is_even, r) * most * most /
               (rows->is_projected ? 1 : 3 * ROUNDINGS * ROUNDINGS);
    }
    return sum;
}

static void add_meat(double meat[PARENTS_MAX], const normal *system, const double *scores,
                     const parents_fit *fit) {
    double right[PARENTS_MAX] = {0};
    double moved[PARENTS_MAX];
    for (size_t i = 0; i < fit->count; i++) {
        right[i] = score_of(scores, regressor(fit, i));
    }
    solve(moved, system, right);
    double first = 0;
    for (size_t i = 1; i < fit->count; i++) {
        meat[i] += moved[i] * moved[i];
        first -= moved[i];
    }
    meat[0] += first * first;
}

weir_code parents_fit_errors(parents_fit *fit, const parents_gram *gram, const parents_rows *rows,
                             weir_error *err) {
    normal system;
    WEIR_CLEANUP(free) double *scores = score_clusters(fit, gram, rows);
    if (!scores) {
        return weir_fail_nomem(err);
    }
    double meat[PARENTS_MAX] = {0};
    const double filled = (double)count_filled(gram, rows);
    const double spare = filled - (double)fit->count;
    if (!(spare > 0) ||
        !factorise(&system, fit, parents_gram_of(gram, gram->piece_count), gram->width)) {
        for (size_t i = 0; i < fit->count; i++) {
            fit->errors[i] = (double)INFINITY;
            fit->slack[i] = 0;
        }
        return WEIR_OK;
    }
    for (size_t c = 0; c < rows->cluster_count; c++) {
        add_meat(meat, &system, scores + c * rows->width, fit);
    }
    const double rounding = rounding_square(gram, rows);
    fit->slack[0] = 0;
    for (size_t i = 0; i < fit->count; i++) {
        fit->errors[i] = sqrt(meat[i] * filled / spare);
        double unit[PARENTS_MAX] = {0};
        unit[i] = 1;
        double inverse[PARENTS_MAX];
        solve(inverse, &system, unit);
        if (i > 0) {
            fit->slack[i] = rounding * inverse[i];
            fit->slack[0] += fit->slack[i];
        }
    }
    return WEIR_OK;
}

typedef struct step {
    const parents_gram *gram;
    const parents_rows *rows;
    const parents_fit *fit;
    const normal *system;
    double *sums; /* [cluster_count][2] */
    double level;
} step;

/* One relative that could be added: what the members say of it, its weight, what it explains. */
typedef struct trial {
    size_t relative;
    double by[PARENTS_MAX];
    double weight, explained;
} trial;

static bool try_relative(trial *out, const step *now, size_t relative) {
    const parents_fit *fit = now->fit;
    const size_t width = now->gram->width;
    const double *sums = parents_gram_of(now->gram, now->gram->piece_count);
    const difference added = {column_of(relative), column_of(fit->members[0])};
    const difference target = {CHANGE, column_of(fit->members[0])};
    const double whole = inner(sums, width, added, added);
    double right[PARENTS_MAX] = {0};
    for (size_t i = 0; i < fit->count; i++) {
        right[i] = inner(sums, width, regressor(fit, i), added);
    }
    out->relative = relative;
    solve(out->by, now->system, right);
    double own = whole;
    double score = inner(sums, width, added, target);
    for (size_t i = 0; i < fit->count; i++) {
        own -= out->by[i] * right[i];
        score -= out->by[i] * inner(sums, width, regressor(fit, i), target);
    }
    if (!(own > pivot_min * whole)) {
        return false;
    }
    out->weight = score / own;
    out->explained = score * score / own;
    return true;
}

static double value_at(const float *row, difference u) {
    return (u.plus == NONE ? 0 : (double)row[u.plus]) -
           (u.minus == NONE ? 0 : (double)row[u.minus]);
}

/* Standard error of the relative's weight, by clusters: with d what the members leave of it, and
 * the rest once it is in, V = sum_c (sum of rest d)^2 / (sum d^2)^2. Infinite without spare
 * clusters. */
static double error_of(size_t *spare, double *square, const trial *from, const step *now) {
    const parents_rows *rows = now->rows;
    const parents_fit *fit = now->fit;
    const difference added = {column_of(from->relative), column_of(fit->members[0])};
    *square = 0;
    memset(now->sums, 0, rows->cluster_count * 2 * sizeof *now->sums);
    for (size_t r = 0; r < rows->count; r++) {
        const float *row = rows->values + r * rows->width;
        double own = value_at(row, added);
        for (size_t i = 0; i < fit->count; i++) {
            own -= from->by[i] * value_at(row, regressor(fit, i));
        }
        const double rest = (double)row[CHANGE] - parents_fit_predict(fit, row);
        double *into = now->sums + (size_t)rows->cluster[r] * 2;
        const double weighed = weight_of(rows, now->gram->is_even, r) * own;
        into[0] += (rest - from->weight * own) * weighed;
        into[1] += own * weighed;
        *square += own * weighed;
    }
    double variance = 0;
    size_t filled = 0;
    for (size_t c = 0; c < rows->cluster_count; c++) {
        variance += now->sums[c * 2] * now->sums[c * 2];
        filled += now->sums[c * 2 + 1] > 0;
    }
    const size_t unknowns = fit->count + 1;
    *spare = filled > unknowns ? filled - unknowns : 0;
    if (*spare == 0) {
        return (double)INFINITY;
    }
    return sqrt(variance * (double)filled / (double)*spare) / *square;
}

static bool is_significant(const trial *from, const step *now) {
    size_t spare;
    double square;
    const double error = error_of(&spare, &square, from, now);
    const size_t others = now->rows->relative_count - 1;
    return spare > 0 &&
           fabs(from->weight) >= student_quantile(now->level / (double)others, spare) * error;
}

static bool is_member(const parents_fit *fit, size_t relative) {
    for (size_t i = 0; i < fit->count; i++) {
        if (fit->members[i] == relative) {
            return true;
        }
    }
    return false;
}

/* Add the relative that explains most, among those with a significant weight.
 * @return whether one was added */
static bool add_best(parents_fit *fit, const step *now) {
    const double *sums = parents_gram_of(now->gram, now->gram->piece_count);
    trial trials[PARENT_CANDIDATES_MAX];
    size_t count = 0;
    for (size_t j = 1; j < now->rows->relative_count; j++) {
        trial this = {0};
        if (is_member(fit, j) || !try_relative(&this, now, j) ||
            fabs(this.weight) < PARENTS_SHARE_MIN ||
            this.explained < explained_min * sums[CHANGE]) {
            continue;
        }
        size_t at = count++;
        for (; at > 0 && trials[at - 1].explained < this.explained; at--) {
            trials[at] = trials[at - 1];
        }
        trials[at] = this;
    }
    for (size_t k = 0; k < count; k++) {
        if (is_significant(&trials[k], now)) {
            fit->members[fit->count++] = trials[k].relative;
            return true;
        }
    }
    return false;
}

static void drop_member(parents_fit *fit, size_t at) {
    fit->count--;
    for (size_t i = at; i < fit->count; i++) {
        fit->members[i] = fit->members[i + 1];
    }
}

weir_code parents_fit_prune(parents_fit *fit, const parents_gram *gram, const parents_rows *rows,
                            weir_error *err) {
    while (fit->count > 1) {
        WEIR_TRY(parents_fit_errors(fit, gram, rows, err));
        size_t least = SIZE_MAX;
        double smallest = 1;
        for (size_t i = 0; i < fit->count; i++) {
            const double bound = 3 * fit->errors[i];
            const double needed = bound > PARENTS_SHARE_MIN ? bound : PARENTS_SHARE_MIN;
            const double part = fabs(parents_fit_share(fit, i)) / needed;
            if (part < smallest) {
                smallest = part;
                least = i;
            }
        }
        if (least == SIZE_MAX) {
            break;
        }
        drop_member(fit, least);
        if (!parents_fit_solve(fit, gram, gram->piece_count)) {
            break;
        }
    }
    return parents_fit_errors(fit, gram, rows, err);
}

weir_code parents_fit_select(parents_fit *out, double level, const parents_gram *gram,
                             const parents_rows *rows, weir_error *err) {
    parents_fit fit = {.count = 1, .weights = {1}};
    fit.rest = parents_gram_of(gram, gram->piece_count)[CHANGE];
    WEIR_CLEANUP(free) double *sums = checked_alloc(rows->cluster_count, 2 * sizeof *sums);
    if (!sums) {
        return weir_fail_nomem(err);
    }
    normal system;
    while (fit.count < PARENTS_MAX && parents_fit_solve(&fit, gram, gram->piece_count) &&
           factorise(&system, &fit, parents_gram_of(gram, gram->piece_count), gram->width)) {
        const step now = {gram, rows, &fit, &system, sums, level};
        parents_fit next = fit;
        if (!add_best(&next, &now)) {
            break;
        }
        fit = next;
    }
    (void)parents_fit_solve(&fit, gram, gram->piece_count);
    WEIR_TRY(parents_fit_prune(&fit, gram, rows, err));
    *out = fit;
    return WEIR_OK;
}

weir_code parents_fit_bound(double *out, const parents_fit *fit, const parents_gram *gram,
                            const parents_rows *rows, weir_error *err) {
    WEIR_CLEANUP(free) double *sums = checked_alloc(rows->cluster_count, 2 * sizeof *sums);
    if (!sums) {
        return weir_fail_nomem(err);
    }
    normal system;
    *out = 0;
    if (!factorise(&system, fit, parents_gram_of(gram, gram->piece_count), gram->width)) {
        *out = (double)INFINITY;
        return WEIR_OK;
    }
    const double rounding = rounding_square(gram, rows);
    const step now = {gram, rows, fit, &system, sums, 0};
    for (size_t j = 1; j < rows->relative_count; j++) {
        trial this = {0};
        if (is_member(fit, j) || !try_relative(&this, &now, j)) {
            continue;
        }
        size_t spare;
        double square;
        const double error = error_of(&spare, &square, &this, &now);
        const double bound =
            fabs(this.weight) + student_quantile(0.05, spare) * error + rounding / square;
        *out = bound > *out ? bound : *out;
    }
    return WEIR_OK;
}
