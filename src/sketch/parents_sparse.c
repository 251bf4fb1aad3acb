/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Subset decoding, and when to believe it.
 *
 * 2^k predicted values lie close together, so some value is always near: a number is explained
 * when its error is within tolerance (its rounding, and .02 of the change), and what matters is how
 * many are, against how many would be with the same coefficients if the rest belonged to other
 * numbers (the rests shifted by half of the rows). Only numbers that moved from the base count.
 * Found: explained_min of them are, and excess_min of those that chance leaves unexplained.
 */
#include "sketch/parents_sparse.h"

#include <math.h>

#include "base/checked.h"
#include "base/fail.h"

/* Numbers that moved, times 2^parents: coefficients of subsets grow so. */
static const size_t rows_needed = 15;
enum {
    SUBSETS_MAX = 1 << SPARSE_PARENTS_MAX,
    ROUNDS = 10,
    BASES_TRIED = 8,
    TRIAL_ROWS = 4096,
    GROW_ROWS = 1024
};
static const double explained_min = 0.9;
static const double explained_well = 0.98; /* no further start is tried */
static const double explained_loss = 0.02; /* that a parent less may cost */
static const double grow_min = 0.03;
static const double base_gain = 0.02; /* over a base that left more numbers as they are */
static const double excess_min = 0.75;
static const double tolerance_part = 0.02;
static const double fine_part = 0.08;

/* Deltas from one base: what decoding reads. */
typedef struct deltas {
    size_t parents;
    size_t count;
    double *change;  /* child - base */
    double *parent;  /* [count][parents] */
    double *shifted; /* change if the rests were another row's */
    double *tolerance;
    double *scale; /* of the piece */
} deltas;

static void deltas_release_cleanup(deltas *all) {
    free(all->change);
    free(all->parent);
    free(all->shifted);
    free(all->tolerance);
    free(all->scale);
}

typedef struct codebook {
    double weights[SUBSETS_MAX][SPARSE_PARENTS_MAX];
} codebook;

static double relative_at(const float *row, size_t relative) {
    return relative ? (double)row[1 + relative] : 0;
}

/* rms of child - base by piece, at least a quarter of the whole's. */
static void measure_scale(double *scale, const parents_rows *rows, size_t base, double *counts) {
    double sum = 0;
    for (size_t p = 0; p < rows->piece_count; p++) {
        scale[p] = 0;
        counts[p] = 0;
    }
    for (size_t r = 0; r < rows->count; r++) {
        const float *row = rows->values + r * rows->width;
        const double change = (double)row[0] - relative_at(row, base);
        scale[rows->piece[r]] += change * change;
        counts[rows->piece[r]] += 1;
        sum += change * change;
    }
    const double whole = sqrt(sum / (double)rows->count);
    for (size_t p = 0; p < rows->piece_count; p++) {
        scale[p] = counts[p] > 0 ? sqrt(scale[p] / counts[p]) : 0;
        scale[p] = scale[p] > whole / 4 ? scale[p] : whole / 4;
    }
}

static void fill_deltas(deltas *all, const parents_fit *fit, const parents_rows *rows,
                        const double *scale) {
    for (size_t r = 0; r < rows->count; r++) {
        const float *row = rows->values + r * rows->width;
        const double here = scale[rows->piece[r]];
        if ((double)rows->rounding[r] > fine_part * here) {
            continue;
        }
        const double at_base = relative_at(row, fit->members[0]);
        const size_t at = all->count++;
        all->change[at] = (double)row[0] - at_base;
        all->shifted[at] = parents_fit_predict(fit, row) - at_base;
        for (size_t j = 0; j < all->parents; j++) {
            all->parent[at * all->parents + j] = relative_at(row, fit->members[j + 1]) - at_base;
        }
        all->tolerance[at] = (double)rows->rounding[r] + tolerance_part * here;
        all->scale[at] = here;
    }
}

/* The rest of row i + count / 2 goes to row i, in units of the pieces' scales. */
static void shift_rests(deltas *all, double *rest) {
    for (size_t i = 0; i < all->count; i++) {
        rest[i] = (all->change[i] - all->shifted[i]) / all->scale[i];
    }
    for (size_t i = 0; i < all->count; i++) {
        all->shifted[i] += rest[(i + all->count / 2) % all->count] * all->scale[i];
    }
}

static weir_code make_deltas(deltas *out, const parents_fit *fit, const parents_rows *rows,
                             weir_error *err) {
    const size_t pieces = rows->piece_count;
    WEIR_CLEANUP(free) double *work = checked_alloc(2 * pieces + rows->count, sizeof *work);
    out->parents = fit->count - 1;
    out->change = checked_alloc(rows->count, sizeof *out->change);
    out->parent = checked_alloc(rows->count, out->parents * sizeof *out->parent);
    out->shifted = checked_alloc(rows->count, sizeof *out->shifted);
    out->tolerance = checked_alloc(rows->count, sizeof *out->tolerance);
    out->scale = checked_alloc(rows->count, sizeof *out->scale);
    if (!work || !out->change || !out->parent || !out->shifted || !out->tolerance || !out->scale) {
        return weir_fail_nomem(err);
    }
    measure_scale(work, rows, fit->members[0], work + pieces);
    fill_deltas(out, fit, rows, work);
    shift_rests(out, work + 2 * pieces);
    return WEIR_OK;
}

static double value_of(const codebook *book, size_t subset, const double *parent, size_t parents) {
    double sum = 0;
    for (size_t j = 0; j < parents; j++) {
        sum += book->weights[subset][j] * parent[j];
    }
    return sum;
}

static size_t nearest_subset(double *error, const codebook *book, double change,
                             const double *parent, size_t parents) {
    size_t best = 0;
    *error = fabs(change);
    for (size_t s = 1; s < (size_t)1 << parents; s++) {
        const double miss = fabs(change - value_of(book, s, parent, parents));
        if (miss < *error) {
            *error = miss;
            best = s;
        }
    }
    return best;
}

typedef struct tally {
    size_t moved, explained;
} tally;

static tally count_explained(const deltas *all, const codebook *book, const double *change,
                             size_t step) {
    tally out = {0};
    for (size_t i = 0; i < all->count; i += step) {
        if (fabs(change[i]) <= all->tolerance[i]) {
            continue;
        }
        double error;
        (void)nearest_subset(&error, book, change[i], all->parent + i * all->parents, all->parents);
        out.moved++;
        out.explained += error <= all->tolerance[i];
    }
    return out;
}

/* Normal equations of a few unknowns; by elimination with a small pivot refused. */
static bool solve_few(double *out, double sums[SPARSE_PARENTS_MAX][SPARSE_PARENTS_MAX + 1],
                      size_t n) {
    for (size_t i = 0; i < n; i++) {
        if (!(sums[i][i] > 0)) {
            return false;
        }
    }
    for (size_t i = 0; i < n; i++) {
        const double pivot = sums[i][i];
        if (!(pivot > 0)) {
            return false;
        }
        for (size_t k = i + 1; k < n; k++) {
            const double part = sums[k][i] / pivot;
            for (size_t j = i; j < n; j++) {
                sums[k][j] -= part * sums[i][j];
            }
            sums[k][n] -= part * sums[i][n];
        }
    }
    for (size_t i = n; i-- > 0;) {
        double sum = sums[i][n];
        for (size_t k = i + 1; k < n; k++) {
            sum -= sums[i][k] * out[k];
        }
        out[i] = sum / sums[i][i];
    }
    return true;
}

typedef struct assignment {
    uint8_t *subset; /* [count]; SUBSETS_MAX: not explained */
    size_t step;
} assignment;

/* Fit the weights of the members of `subset` to the rows that were given it (ties). */
static void refit_subset(codebook *book, size_t subset, const deltas *all,
                         const assignment *given) {
    double sums[SPARSE_PARENTS_MAX][SPARSE_PARENTS_MAX + 1] = {0};
    size_t which[SPARSE_PARENTS_MAX];
    size_t n = 0;
    for (size_t j = 0; j < all->parents; j++) {
        if (subset >> j & 1) {
            which[n++] = j;
        }
    }
    size_t rows = 0;
    for (size_t i = 0; i < all->count; i += given->step) {
        if (given->subset[i] != subset) {
            continue;
        }
        const double *parent = all->parent + i * all->parents;
        rows++;
        for (size_t a = 0; a < n; a++) {
            for (size_t b = 0; b < n; b++) {
                sums[a][b] += parent[which[a]] * parent[which[b]];
            }
            sums[a][n] += parent[which[a]] * all->change[i];
        }
    }
    double found[SPARSE_PARENTS_MAX];
    if (rows >= 4 * n + 4 && solve_few(found, sums, n)) {
        for (size_t a = 0; a < n; a++) {
            book->weights[subset][which[a]] = found[a];
        }
    }
}

static void tie_subsets(codebook *book, const double *weights, size_t parents) {
    for (size_t s = 0; s < (size_t)1 << parents; s++) {
        for (size_t j = 0; j < parents; j++) {
            book->weights[s][j] = s >> j & 1 ? weights[j] : 0;
        }
    }
}

/* Fit one weight a parent, the same in all subsets (dare). */
static void refit_tied(codebook *book, const deltas *all, const assignment *given) {
    double sums[SPARSE_PARENTS_MAX][SPARSE_PARENTS_MAX + 1] = {0};
    const size_t n = all->parents;
    for (size_t i = 0; i < all->count; i += given->step) {
        const size_t subset = given->subset[i];
        const double *parent = all->parent + i * n;
        for (size_t a = 0; subset < SUBSETS_MAX && a < n; a++) {
            for (size_t b = 0; b < n; b++) {
                sums[a][b] += subset >> a & subset >> b & 1 ? parent[a] * parent[b] : 0;
            }
            sums[a][n] += subset >> a & 1 ? parent[a] * all->change[i] : 0;
        }
    }
    double found[SPARSE_PARENTS_MAX];
    if (solve_few(found, sums, n)) {
        tie_subsets(book, found, n);
    }
}

static void assign_rows(assignment *given, const deltas *all, const codebook *book, double reach) {
    for (size_t i = 0; i < all->count; i += given->step) {
        double error;
        const size_t subset = nearest_subset(&error, book, all->change[i],
                                             all->parent + i * all->parents, all->parents);
        const bool is_near = error <= all->tolerance[i] + reach * all->scale[i];
        given->subset[i] = is_near ? (uint8_t)subset : (uint8_t)SUBSETS_MAX;
    }
}

static void refine(codebook *book, bool is_tied, const deltas *all, assignment *given) {
    static const double reach[ROUNDS] = {.3, .3, .2, .15, .1, .07, .05, .03, .01, 0};
    for (int round = 0; round < ROUNDS; round++) {
        assign_rows(given, all, book, reach[round]);
        if (is_tied) {
            refit_tied(book, all, given);
            continue;
        }
        for (size_t s = 1; s < (size_t)1 << all->parents; s++) {
            refit_subset(book, s, all, given);
        }
    }
}

/* Ties: a subset's parents share `whole` by their weights. */
static void mean_subsets(codebook *book, const double *weights, double whole, size_t parents) {
    for (size_t s = 0; s < (size_t)1 << parents; s++) {
        double sum = 0;
        for (size_t j = 0; j < parents; j++) {
            sum += s >> j & 1 ? weights[j] : 0;
        }
        for (size_t j = 0; j < parents; j++) {
            book->weights[s][j] = s >> j & 1 && sum > 0 ? whole * weights[j] / sum : 0;
        }
    }
}

enum { TIED_STARTS = 8, MEAN_STARTS = 8, STARTS = TIED_STARTS + MEAN_STARTS };

static void make_start(codebook *book, size_t start, const parents_fit *fit) {
    static const double densities[TIED_STARTS] = {1, .9, .8, .7, .6, .5, .4, .3};
    static const double wholes[MEAN_STARTS / 2] = {1, .7, .5, 1.4};
    const size_t parents = fit->count - 1;
    double weights[SPARSE_PARENTS_MAX];
    for (size_t j = 0; j < parents; j++) {
        weights[j] = fit->weights[j + 1];
        if (start < TIED_STARTS) {
            weights[j] /= densities[start];
        } else if (start % 2) {
            weights[j] = 1;
        } else {
            weights[j] = weights[j] > .05 ? weights[j] : .05;
        }
    }
    if (start < TIED_STARTS) {
        tie_subsets(book, weights, parents);
    } else {
        mean_subsets(book, weights, wholes[(start - TIED_STARTS) / 2], parents);
    }
}

/* How well one set of parents decodes with one base. */
typedef struct decoding {
    double part;   /* of the numbers that moved, explained */
    double excess; /* of those that chance leaves unexplained, explained */
} decoding;

static bool is_enough(decoding how) {
    return how.part >= explained_min && how.excess >= excess_min;
}

static decoding judge(tally found, tally chance) {
    decoding out = {0};
    if (found.moved > 0 && chance.moved > 0) {
        const double by_chance = (double)chance.explained / (double)chance.moved;
        out.part = (double)found.explained / (double)found.moved;
        out.excess = by_chance < 1 ? (out.part - by_chance) / (1 - by_chance) : 0;
    }
    return out;
}

/* Decode with the base and the parents of `fit`, over at most `rows_max` rows; the best start. */
static weir_code decode(decoding *out, const parents_fit *fit, const parents_rows *rows,
                        size_t rows_max, weir_error *err) {
    *out = (decoding){0};
    WEIR_CLEANUP(deltas_release) deltas all = {0};
    WEIR_TRY(make_deltas(&all, fit, rows, err));
    const codebook nothing = {0};
    if (count_explained(&all, &nothing, all.change, 1).moved < rows_needed << all.parents) {
        return WEIR_OK;
    }
    WEIR_CLEANUP(free) uint8_t *subset = checked_alloc(all.count, 1);
    if (!subset) {
        return weir_fail_nomem(err);
    }
    assignment given = {.subset = subset, .step = all.count / rows_max + 1};
    for (size_t start = 0; start < STARTS && out->part < explained_well; start++) {
        codebook book;
        make_start(&book, start, fit);
        refine(&book, start < TIED_STARTS, &all, &given);
        const decoding mine = judge(count_explained(&all, &book, all.change, given.step),
                                    count_explained(&all, &book, all.shifted, given.step));
        *out = mine.excess > out->excess ? mine : *out;
    }
    return WEIR_OK;
}

/* Numbers that a relative left as the child has them: most at the base. */
static size_t count_unmoved(const parents_rows *rows, size_t relative) {
    size_t count = 0;
    for (size_t r = 0; r < rows->count; r++) {
        const float *row = rows->values + r * rows->width;
        const double change = (double)row[0] - relative_at(row, relative);
        const double rounding = (double)rows->rounding[r];
        count +=
            fabs(change) <= rounding && rounding <= fine_part / 2 * rows->scale[rows->piece[r]];
    }
    return count;
}

typedef struct unmoved_order {
    size_t relatives[PARENT_CANDIDATES_MAX]; /* most first */
    size_t counts[PARENT_CANDIDATES_MAX];
    size_t count;
} unmoved_order;

static void order_bases(unmoved_order *out, const parents_rows *rows) {
    out->count = 0;
    for (size_t j = 0; j < rows->relative_count; j++) {
        const size_t mine = count_unmoved(rows, j);
        size_t at = out->count++;
        for (; at > 0 && out->counts[at - 1] < mine; at--) {
            out->counts[at] = out->counts[at - 1];
            out->relatives[at] = out->relatives[at - 1];
        }
        out->counts[at] = mine;
        out->relatives[at] = j;
    }
}

/* The base first, then the other members. */
static parents_fit with_base(const parents_fit *fit, size_t base) {
    parents_fit out = {.count = 1, .members = {base}};
    for (size_t i = 0; i < fit->count; i++) {
        if (fit->members[i] != base && out.count < PARENTS_MAX) {
            out.members[out.count++] = fit->members[i];
        }
    }
    return out;
}

/* Take away parents without which the numbers are explained as well, the last taken first. */
static weir_code prune(parents_sparse *out, double part, const parents_gram *gram,
                       const parents_rows *rows, weir_error *err) {
    for (size_t i = out->fit.count - 1; i > 0 && out->fit.count > 2; i--) {
        parents_fit fewer = {0};
        for (size_t k = 0; k < out->fit.count; k++) {
            if (k != i) {
                fewer.members[fewer.count++] = out->fit.members[k];
            }
        }
        decoding less = {0};
        if (parents_fit_solve(&fewer, gram, gram->piece_count)) {
            WEIR_TRY(decode(&less, &fewer, rows, TRIAL_ROWS, err));
        }
        if (is_enough(less) && less.part >= part - explained_loss) {
            out->fit = fewer;
        }
    }
    return WEIR_OK;
}

static bool has_member(const parents_fit *fit, size_t relative) {
    for (size_t i = 0; i < fit->count; i++) {
        if (fit->members[i] == relative) {
            return true;
        }
    }
    return false;
}

/* Add the parent with which most more is explained, one after the other, until that is enough or
 * little is gained. What the others' subsets leave out hides a small parent from least squares, but
 * not from decoding. */
static weir_code grow(decoding *how, parents_fit *fit, const parents_gram *gram,
                      const parents_rows *rows, weir_error *err) {
    while (!is_enough(*how) && fit->count <= SPARSE_PARENTS_MAX) {
        decoding best = *how;
        parents_fit with = *fit;
        for (size_t j = 0; j < rows->relative_count; j++) {
            parents_fit more = *fit;
            more.members[more.count++] = j;
            decoding mine = {0};
            if (!has_member(fit, j) && parents_fit_solve(&more, gram, gram->piece_count)) {
                WEIR_TRY(decode(&mine, &more, rows, GROW_ROWS, err));
            }
            if (mine.excess > best.excess) {
                best = mine;
                with = more;
            }
        }
        if (best.excess < how->excess + grow_min) {
            break;
        }
        *how = best;
        *fit = with;
    }
    return WEIR_OK;
}

/* Rows that decoding can use and that moved from the nearest. */
static size_t count_decodable(const parents_rows *rows) {
    size_t count = 0;
    for (size_t r = 0; r < rows->count; r++) {
        const double scale = rows->scale[rows->piece[r]];
        const double rounding = (double)rows->rounding[r];
        count += rounding <= fine_part * scale &&
                 fabs((double)rows->values[r * rows->width]) > rounding + tolerance_part * scale;
    }
    return count;
}

/* Whether a base left many more numbers as the child has them than relatives usually do. */
static bool stands_out(const parents_rows *rows, const unmoved_order *order) {
    if (order->count == 0) {
        return false;
    }
    const size_t usual = order->counts[order->count / 2];
    return order->counts[0] > 2 * usual + rows->count / 100;
}

weir_code parents_sparse_find(parents_sparse *out, const parents_fit *fit, const parents_gram *gram,
                              const parents_rows *rows, weir_error *err) {
    unmoved_order order = {0};
    order_bases(&order, rows);
    decoding how = {0};
    for (size_t k = 0; k < order.count && k < BASES_TRIED && how.part < explained_well; k++) {
        parents_fit with = with_base(fit, order.relatives[k]);
        decoding mine = {0};
        if (with.count < 2 || with.count > SPARSE_PARENTS_MAX + 1 ||
            !parents_fit_solve(&with, gram, gram->piece_count)) {
            continue;
        }
        WEIR_TRY(decode(&mine, &with, rows, TRIAL_ROWS, err));
        if (mine.excess > how.excess + base_gain) {
            how = mine;
            out->fit = with;
        }
    }
    out->had_power = fit->count > 0 && count_decodable(rows) >= rows_needed << (fit->count - 1);
    if (!is_enough(how) && stands_out(rows, &order)) {
        out->fit = with_base(fit, order.relatives[0]);
        how = (decoding){0};
        WEIR_TRY(grow(&how, &out->fit, gram, rows, err));
    }
    out->is_found = is_enough(how);
    if (out->is_found) {
        WEIR_TRY(prune(out, how.part, gram, rows, err));
        (void)parents_fit_solve(&out->fit, gram, gram->piece_count);
        WEIR_TRY(parents_fit_errors(&out->fit, gram, rows, err));
    }
    return WEIR_OK;
}
