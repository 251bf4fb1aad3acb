/* SPDX-License-Identifier: Apache-2.0 */
#include "delta/merge_atoms.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/checked.h"
#include "base/fail.h"

enum { BINS = 240, TURNS = 10 };
static const double bin_width = 0.02;
static const double ratio_least = 0.1; /* nearer to 0 a number counts as left out */
static const double units_told = 4;

static double unit_of(float value, int bits) {
    int exponent;
    (void)frexpf(value, &exponent);
    return ldexp(1.0, exponent - 1 - bits);
}

typedef struct number {
    double change;
    double tasks[ATOM_PARENTS_MAX];
    double unit;
} number;

static number number_at(const merge_sample *sample, size_t parents, size_t i, int bits) {
    number out = {.change = (double)sample->model[i] - (double)sample->base[i],
                  .unit = unit_of(sample->model[i], bits)};
    for (size_t j = 0; j < parents; j++) {
        out.tasks[j] = (double)sample->parents[j][i] - (double)sample->base[i];
    }
    return out;
}

/* The ratio (C - B) / T_j that most numbers show, where T_j is large. */
static double find_ratio(const merge_sample *sample, size_t parents, size_t j, int bits) {
    size_t counts[BINS] = {0};
    double sums[BINS] = {0};
    for (size_t i = 0; i < sample->count; i++) {
        const number at = number_at(sample, parents, i, bits);
        const double ratio = at.change / at.tasks[j];
        if (fabs(at.tasks[j]) >= 2 * units_told * at.unit && ratio > ratio_least &&
            ratio < BINS * bin_width) {
            const size_t bin = (size_t)(ratio / bin_width);
            counts[bin]++;
            sums[bin] += ratio;
        }
    }
    size_t best = 0;
    for (size_t b = 1; b < BINS; b++) {
        best = counts[b] > counts[best] ? b : best;
    }
    return counts[best] ? sums[best] / (double)counts[best] : 1;
}

static double sum_of(const merge_atoms *atoms, size_t subset, const number *at) {
    double sum = 0;
    for (size_t j = 0; j < atoms->parents; j++) {
        sum += atoms->parts[subset][j] * at->tasks[j];
    }
    return sum;
}

static size_t nearest_subset(double *left, const merge_atoms *atoms, const number *at) {
    size_t best = 0;
    *left = INFINITY;
    for (size_t s = 0; s < (size_t)1 << atoms->parents; s++) {
        const double error = fabs(at->change - sum_of(atoms, s, at));
        if (error < *left) {
            *left = error;
            best = s;
        }
    }
    return best;
}

typedef struct normal {
    double left[ATOM_PARENTS_MAX][ATOM_PARENTS_MAX];
    double right[ATOM_PARENTS_MAX];
    size_t count;
} normal;

/* Solve the members of a subset by elimination; nothing changes when they are not told. */
static void solve_subset(double *parts, normal sums, size_t subset, size_t parents) {
    for (size_t j = 0; j < parents; j++) {
        if (!(subset >> j & 1)) {
            memset(sums.left[j], 0, sizeof sums.left[j]);
            sums.left[j][j] = 1;
            sums.right[j] = 0;
            for (size_t k = 0; k < parents; k++) {
                sums.left[k][j] = k == j ? 1 : 0;
            }
        }
    }
    for (size_t j = 0; j < parents; j++) {
        if (!(fabs(sums.left[j][j]) > 0)) {
            return;
        }
        for (size_t k = 0; k < parents; k++) {
            const double factor = k == j ? 0 : sums.left[k][j] / sums.left[j][j];
            for (size_t m = 0; m < parents; m++) {
                sums.left[k][m] -= factor * sums.left[j][m];
            }
            sums.right[k] -= factor * sums.right[j];
        }
    }
    for (size_t j = 0; j < parents; j++) {
        const double part = sums.right[j] / sums.left[j][j];
        if (!isfinite(part)) {
            return;
        }
        parts[j] = part;
    }
}

/* One turn: subsets by the coefficients, coefficients by the subsets. */
static void turn(merge_atoms *atoms, const merge_sample *sample, int bits) {
    normal sums[ATOM_SUBSETS] = {{.count = 0}};
    for (size_t i = 0; i < sample->count; i++) {
        const number at = number_at(sample, atoms->parents, i, bits);
        double left;
        const size_t s = nearest_subset(&left, atoms, &at);
        if (!(left <= units_told * at.unit) || !isfinite(at.change)) {
            continue;
        }
        const double weight = 1 / (at.unit * at.unit);
        for (size_t j = 0; j < atoms->parents; j++) {
            for (size_t k = 0; k < atoms->parents; k++) {
                sums[s].left[j][k] += weight * at.tasks[j] * at.tasks[k];
            }
            sums[s].right[j] += weight * at.tasks[j] * at.change;
        }
        sums[s].count++;
    }
    for (size_t s = 1; s < (size_t)1 << atoms->parents; s++) {
        if (sums[s].count >= 50) {
            solve_subset(atoms->parts[s], sums[s], s, atoms->parents);
        }
    }
}

/* The share of a row's numbers that are smaller, from 0 to 1. */
static void rank_row(float *ranks, const merge_sample *sample, size_t j, size_t row) {
    const float *task = sample->parents[j] + row * sample->cols;
    const float *base = sample->base + row * sample->cols;
    enum { STEPS = 64 };
    for (size_t i = 0; i < sample->cols; i++) {
        const float size = fabsf(task[i] - base[i]);
        const size_t step = sample->cols / STEPS + 1;
        size_t smaller = 0;
        size_t seen = 0;
        for (size_t k = i % step; k < sample->cols; k += step) {
            smaller += fabsf(task[k] - base[k]) < size;
            seen++;
        }
        ranks[i] = (float)smaller / (float)seen;
    }
}

static bool is_telling(const merge_atoms *atoms, const number *at) {
    const size_t all = ((size_t)1 << atoms->parents) - 1;
    for (size_t j = 0; j < atoms->parents; j++) {
        const double alone = atoms->parts[(size_t)1 << j][j] * at->tasks[j];
        const double shared = atoms->parts[all][j] * at->tasks[j];
        if (!(fabs(alone) >= units_told * at->unit && fabs(shared) >= units_told * at->unit)) {
            return false;
        }
    }
    return true;
}

typedef struct line {
    double n, x, y, xx, xy;
} line;

static double slope_of(const line *of) {
    const double spread = of->xx - of->x * of->x / of->n;
    return of->n > 1 && spread > 0 ? (of->xy - of->x * of->y / of->n) / spread : 0;
}

static void judge(merge_atoms *atoms, const merge_sample *sample, int bits, float *ranks) {
    line lines[ATOM_PARENTS_MAX] = {{.n = 0}};
    atoms->telling = atoms->hit = 0;
    atoms->rest = atoms->change = 0;
    memset(atoms->taken, 0, sizeof atoms->taken);
    for (size_t row = 0; row < sample->count / sample->cols; row++) {
        for (size_t j = 0; j < atoms->parents && ranks; j++) {
            rank_row(ranks + j * sample->cols, sample, j, row);
        }
        for (size_t i = 0; i < sample->cols; i++) {
            const number at = number_at(sample, atoms->parents, row * sample->cols + i, bits);
            double left;
            const size_t s = nearest_subset(&left, atoms, &at);
            if (!isfinite(left)) {
                continue;
            }
            atoms->rest += left * left;
            atoms->change += at.change * at.change;
            if (!is_telling(atoms, &at)) {
                continue;
            }
            atoms->telling++;
            atoms->hit += left <= at.unit;
            for (size_t j = 0; j < atoms->parents; j++) {
                const double x = ranks ? (double)ranks[j * sample->cols + i] : 0;
                const double y = (double)(s >> j & 1);
                atoms->taken[j] += s >> j & 1;
                lines[j].n++;
                lines[j].x += x;
                lines[j].y += y;
                lines[j].xx += x * x;
                lines[j].xy += x * y;
            }
        }
    }
    for (size_t j = 0; j < atoms->parents; j++) {
        atoms->slope[j] = slope_of(&lines[j]);
    }
}

/* Added parts, or parts normalised by the weights of those that were kept. */
static void begin(merge_atoms *atoms, const double *ratios, bool is_normalised) {
    for (size_t s = 0; s < (size_t)1 << atoms->parents; s++) {
        int members = 0;
        for (size_t j = 0; j < atoms->parents; j++) {
            members += (int)(s >> j & 1);
        }
        for (size_t j = 0; j < atoms->parents; j++) {
            const double share = is_normalised && members > 0 ? 1.0 / members : 1;
            atoms->parts[s][j] = s >> j & 1 ? ratios[j] * share : 0;
        }
    }
}

weir_code merge_atoms_fit(merge_atoms *out, const merge_sample *sample, size_t parents,
                          int unit_bits, weir_error *err) {
    WEIR_CLEANUP(free) float *ranks = checked_alloc(sample->cols * parents, sizeof *ranks);
    if (!ranks) {
        return weir_fail_nomem(err);
    }
    double ratios[ATOM_PARENTS_MAX];
    for (size_t j = 0; j < parents; j++) {
        ratios[j] = find_ratio(sample, parents, j, unit_bits);
    }
    for (int way = 0; way < 2; way++) {
        merge_atoms next = {.parents = parents};
        begin(&next, ratios, way > 0);
        for (int i = 0; i < TURNS; i++) {
            turn(&next, sample, unit_bits);
        }
        judge(&next, sample, unit_bits, NULL);
        if (way == 0 || next.hit * out->telling > out->hit * next.telling) {
            *out = next;
        }
    }
    judge(out, sample, unit_bits, ranks);
    return WEIR_OK;
}

void merge_mosaic_add(merge_mosaic *out, const merge_sample *sample, size_t columns) {
    for (size_t i = 0; i < sample->count; i++) {
        bool is_telling_here = true;
        size_t found = columns;
        for (size_t j = 0; j < columns && is_telling_here; j++) {
            for (size_t k = 0; k < j; k++) {
                is_telling_here = is_telling_here && sample->parents[j][i] != sample->parents[k][i];
            }
            found = sample->parents[j][i] == sample->model[i] ? j : found;
        }
        if (is_telling_here) {
            out->telling++;
            out->hit += found < columns;
            if (found < columns) {
                out->of[found]++;
            }
        }
    }
}
