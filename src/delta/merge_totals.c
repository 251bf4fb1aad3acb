/* SPDX-License-Identifier: Apache-2.0 */
/* What merge methods take of a whole tensor before they compute its numbers. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/fail.h"
#include "delta/merge_arithmetic.h"

static const double slerp_linear_cosine = 0.9995; /* mergekit's slerp is linear above it */
static const float nuslerp_norm_least = 1e-7F;
static const float sce_weight_tiny = 1e-6F;
static const float ram_gain = 0.1F;
static const float ram_gain_cap = 0.2F;
enum { KARCHER_STEPS = 10 };
static const double karcher_tolerance = 1e-5;

/* Whether numbers of one source are ranked. */
static bool needs_ranks(const merge_recipe *recipe) {
    bool any = false;
    for (size_t i = 0; i < recipe->count; i++) {
        any |= is_sparse(recipe->method) && recipe->densities[i] < 1;
    }
    return any || (recipe->method == MERGE_SCE && recipe->densities[0] < 1);
}

static bool needs_sums(const merge_recipe *recipe) {
    const merge_method method = recipe->method;
    return method == MERGE_SLERP || method == MERGE_NUSLERP || method == MERGE_MODEL_STOCK ||
           method == MERGE_SCE || method == MERGE_KARCHER || method == MERGE_MULTISLERP ||
           method == MERGE_RAM_PLUS;
}

/* A second look is needed where the upper half of the bits is not the whole number. */
static int rank_passes(const merge_totals *totals) {
    const bool is_whole = totals->recipe->computed == WEIR_DTYPE_BF16 || totals->is_rough;
    return !needs_ranks(totals->recipe) ? 0 : is_whole ? 1 : 2;
}

int merge_totals_passes(const merge_totals *totals) {
    /* sce weighs what its ranks leave; nuslerp takes the cosine of vectors that it rounds. */
    const int sums = totals->recipe->method == MERGE_NUSLERP ? 2 : needs_sums(totals->recipe);
    return rank_passes(totals) + sums;
}

/* Which ranks a source keeps, of `count` numbers. */
static void bound_ranks(rank_table *table, const merge_recipe *recipe, size_t source,
                        uint64_t count) {
    const double density = recipe->densities[source];
    uint64_t kept = (uint64_t)(density * (double)count);
    uint64_t top = 0;
    if (recipe->method == MERGE_TIES) {
        kept = kept > 0 ? kept : 1;
    } else if (recipe->method != MERGE_SCE) {
        top = (uint64_t)(recipe->gamma * (double)count);
    }
    const uint64_t left = count > kept ? count - kept : 0;
    table->first.rank = left > top ? left - top : 0;
    table->last.rank = table->first.rank + kept;
}

weir_code merge_totals_begin(merge_totals *out, const merge_recipe *recipe, uint64_t count,
                             weir_error *err) {
    rank_table *ranks = out->ranks;
    if (needs_ranks(recipe)) {
        ranks = ranks ? ranks : calloc(MERGE_PARENTS_MAX, sizeof *ranks);
        if (!ranks) {
            return weir_fail_nomem(err);
        }
    }
    *out =
        (merge_totals){.recipe = recipe, .count = count, .ranks = ranks, .is_rough = out->is_rough};
    for (size_t i = 0; i < recipe->count && needs_ranks(recipe); i++) {
        ranks[i].is_fine = recipe->computed != WEIR_DTYPE_BF16 && !out->is_rough;
        rank_table_begin(&ranks[i]);
        bound_ranks(&ranks[i], recipe, i, count);
    }
    return WEIR_OK;
}

void merge_totals_release(merge_totals *totals) {
    free(totals->ranks);
    *totals = (merge_totals){0};
}

static void add_inner(merge_totals *out, const float *values) {
    const size_t count = out->recipe->count;
    for (size_t i = 0; i < count; i++) {
        for (size_t j = i; j < count; j++) {
            const float product = values[i] * values[j];
            const bool is_rounded = out->recipe->method == MERGE_MODEL_STOCK && i != j;
            out->inner[i][j] += is_rounded ? (double)rounded(out->recipe, product)
                                           : (double)values[i] * (double)values[j];
        }
    }
}

static void add_shared(merge_totals *out, const float *tasks) {
    size_t standing = 0;
    for (size_t i = 0; i < out->recipe->count; i++) {
        standing += fabsf(tasks[i]) > ram_epsilon;
    }
    for (size_t i = 0; i < out->recipe->count; i++) {
        if (fabsf(tasks[i]) > ram_epsilon) {
            out->inner[i][standing > 1] += 1; /* [i][0]: alone, [i][1]: shared */
        }
    }
}

static void add_to_sce(merge_totals *out, int pass, const float *tasks) {
    const merge_recipe *recipe = out->recipe;
    const int ranking = rank_passes(out);
    if (pass < ranking) {
        rank_table_add(out->ranks, pass, variance(recipe, tasks));
        return;
    }
    double share = 1;
    if (ranking > 0) {
        const rank_place where = rank_table_place(out->ranks, variance(recipe, tasks));
        share = where == RANK_OUTSIDE ? 0 : where == RANK_EITHER ? rank_table_share(out->ranks) : 1;
    }
    for (size_t i = 0; i < recipe->count; i++) {
        out->squares[i] += share * (double)rounded(recipe, tasks[i] * tasks[i]);
    }
}

static void add_number(merge_totals *out, int pass, float base, const float *sources) {
    const merge_recipe *recipe = out->recipe;
    float tasks[MERGE_PARENTS_MAX] = {0};
    float values[MERGE_PARENTS_MAX] = {0};
    for (size_t i = 0; i < recipe->count; i++) {
        tasks[i] = task_of(recipe, sources[i], base);
        values[i] = rounded(recipe, sources[i]);
    }
    if (is_sparse(recipe->method)) {
        for (size_t i = 0; i < recipe->count; i++) {
            rank_table_add(&out->ranks[i], pass, tasks[i]);
        }
    } else if (recipe->method == MERGE_SCE) {
        add_to_sce(out, pass, tasks);
    } else if (recipe->method == MERGE_RAM_PLUS) {
        add_shared(out, tasks);
    } else if (recipe->method == MERGE_NUSLERP && pass > 0) {
        const float *ends = recipe->is_on_base ? tasks : values;
        out->squares[0] += (double)rounded(recipe, rounded(recipe, ends[0] / out->scalars[0]) *
                                                       rounded(recipe, ends[1] / out->scalars[1]));
    } else {
        const bool of_tasks = recipe->is_on_base || recipe->method == MERGE_MODEL_STOCK;
        add_inner(out, of_tasks ? tasks : values);
    }
}

void merge_totals_add(merge_totals *out, int pass, const float *base, const float *const *sources,
                      size_t count) {
    float numbers[MERGE_PARENTS_MAX];
    for (size_t n = 0; n < count; n++) {
        for (size_t i = 0; i < out->recipe->count; i++) {
            numbers[i] = sources[i][n];
        }
        add_number(out, pass, base[n], numbers);
    }
}

static double cosine_of(const merge_totals *totals, size_t i, size_t j) {
    const double inner = i < j ? totals->inner[i][j] : totals->inner[j][i];
    const double norms = sqrt(totals->inner[i][i]) * sqrt(totals->inner[j][j]);
    const double cosine = norms > 0 ? inner / norms : 0;
    return cosine > 1 ? 1 : cosine < -1 ? -1 : cosine;
}

static double share_of_second(const merge_recipe *recipe) {
    const double sum = recipe->weights[0] + recipe->weights[1];
    return fabs(sum) < 1e-6 ? 0.5 : recipe->weights[1] / sum;
}

static void settle_slerp(merge_totals *out) {
    const double t = share_of_second(out->recipe);
    const double cosine = cosine_of(out, 0, 1);
    const bool is_linear = fabs(cosine) > slerp_linear_cosine;
    const double theta = acos(cosine);
    out->scalars[0] = (float)(is_linear ? 1 - t : sin((1 - t) * theta) / sin(theta));
    out->scalars[1] = (float)(is_linear ? t : sin(t * theta) / sin(theta));
}

/* All in the dtype, the angle and its sines too. scalar: the sine, or 0 for a line. */
static void settle_nuslerp(merge_totals *out) {
    const merge_recipe *recipe = out->recipe;
    const double t = share_of_second(recipe);
    const float cosine = fmaxf(-1, fminf(1, rounded(recipe, (float)out->squares[0])));
    const bool is_linear = 1 - (double)rounded(recipe, cosine * cosine) <= 1e-16;
    const float theta = rounded(recipe, acosf(cosine));
    const float first = rounded(recipe, (float)(1 - t) * theta);
    const float second = rounded(recipe, (float)t * theta);
    out->scalar = is_linear ? 0 : rounded(recipe, sinf(theta));
    out->scalars[0] = is_linear ? (float)(1 - t) : rounded(recipe, sinf(first));
    out->scalars[1] = is_linear ? (float)t : rounded(recipe, sinf(second));
}

static void settle_stock(merge_totals *out) {
    const merge_recipe *recipe = out->recipe;
    double sum = 0;
    size_t pairs = 0;
    for (size_t i = 0; i < recipe->count; i++) {
        for (size_t j = i + 1; j < recipe->count; j++) {
            const float norms = rounded(recipe, rounded(recipe, (float)sqrt(out->inner[i][i])) *
                                                    rounded(recipe, (float)sqrt(out->inner[j][j])));
            const float least = rounded(recipe, 1e-6F);
            const float inner = rounded(recipe, (float)out->inner[i][j]);
            const float cosine = rounded(recipe, inner / (norms > least ? norms : least));
            sum += (double)(cosine > 1 ? 1 : cosine < -1 ? -1 : cosine);
            pairs++;
        }
    }
    const float cosine = rounded(recipe, (float)(sum / (double)(pairs ? pairs : 1)));
    const float n = (float)recipe->count;
    const float below = rounded(recipe, 1 + rounded(recipe, (n - 1) * cosine));
    const bool is_singular = fabsf(below) < 1e-6F;
    out->scalars[0] = is_singular ? 0 : rounded(recipe, rounded(recipe, n * cosine) / below);
    out->scalar = rounded(recipe, 1 - out->scalars[0]);
}

static void settle_sce(merge_totals *out) {
    const merge_recipe *recipe = out->recipe;
    double sum = 0;
    for (size_t i = 0; i < recipe->count; i++) {
        out->scalars[i] = rounded(recipe, (float)(out->squares[i] / (double)out->count));
        sum += (double)out->scalars[i];
    }
    const float all = rounded(recipe, (float)sum);
    for (size_t i = 0; i < recipe->count; i++) {
        out->scalars[i] = fabsf(all) < sce_weight_tiny
                              ? rounded(recipe, 1.0F / (float)recipe->count)
                              : rounded(recipe, out->scalars[i] / all);
    }
}

static void settle_ram(merge_totals *out) {
    for (size_t i = 0; i < out->recipe->count; i++) {
        const double alone = out->inner[i][0] > 0 ? out->inner[i][0] : (double)ram_epsilon;
        const float rho = (float)(out->inner[i][1] / alone);
        out->scalars[i] = 1 + ram_gain * (rho > ram_gain_cap ? ram_gain_cap : rho);
    }
}

/* Inner product of two sums of unit vectors. */
static double inner_of(const merge_totals *totals, const double *a, const double *b) {
    double sum = 0;
    for (size_t i = 0; i < totals->recipe->count; i++) {
        for (size_t j = 0; j < totals->recipe->count; j++) {
            sum += a[i] * b[j] * (i == j ? 1 : cosine_of(totals, i, j));
        }
    }
    return sum;
}

static void normalise(const merge_totals *totals, double *sum) {
    const double norm = sqrt(inner_of(totals, sum, sum));
    for (size_t i = 0; i < totals->recipe->count && norm > 0; i++) {
        sum[i] /= norm;
    }
}

/* One step of the mean on the sphere, as a sum of unit vectors. @return the step's length */
static double karcher_step(const merge_totals *totals, double *mean) {
    const size_t count = totals->recipe->count;
    double tangent[MERGE_PARENTS_MAX] = {0};
    for (size_t i = 0; i < count; i++) {
        double unit[MERGE_PARENTS_MAX] = {0};
        unit[i] = 1;
        double dot = inner_of(totals, mean, unit);
        dot = dot > 1 ? 1 : dot < -1 ? -1 : dot;
        const double theta = acos(dot);
        if (theta < karcher_tolerance) {
            continue;
        }
        for (size_t j = 0; j < count; j++) {
            tangent[j] += theta / sin(theta) / (double)count * (unit[j] - dot * mean[j]);
        }
    }
    const double length = sqrt(fmax(0, inner_of(totals, tangent, tangent)));
    for (size_t j = 0; j < count && length >= karcher_tolerance; j++) {
        mean[j] = cos(length) * mean[j] + sin(length) / length * tangent[j];
    }
    normalise(totals, mean);
    return length;
}

/* karcher and multislerp: a sum of unit vectors, times a mean norm. The tangent step of multislerp
 * is zero but for rounding: its mean is the weighted sum of the units itself. */
static void settle_mean(merge_totals *out) {
    const merge_recipe *recipe = out->recipe;
    const bool is_karcher = recipe->method == MERGE_KARCHER;
    double mean[MERGE_PARENTS_MAX] = {0};
    double all = 0;
    double scale = 0;
    for (size_t i = 0; i < recipe->count; i++) {
        mean[i] = is_karcher ? 1 : recipe->weights[i];
        all += mean[i];
    }
    for (size_t i = 0; i < recipe->count; i++) {
        mean[i] /= all;
        scale += mean[i] * sqrt(out->inner[i][i]);
    }
    normalise(out, mean);
    for (int step = 0; is_karcher && step < KARCHER_STEPS; step++) {
        if (karcher_step(out, mean) < karcher_tolerance) {
            break;
        }
    }
    for (size_t i = 0; i < recipe->count; i++) {
        const double norm = sqrt(out->inner[i][i]);
        out->scalars[i] = norm > 0 ? (float)(scale * mean[i] / norm) : 0;
    }
}

/* sce takes its share of what varies at all. */
static void bound_variance(rank_table *table, double density, uint64_t count) {
    const uint64_t kept = (uint64_t)((double)(count - table->high[0]) * density);
    table->first.rank = count - kept;
    table->last.rank = count;
}

void merge_totals_settle(merge_totals *out, int pass) {
    const merge_method method = out->recipe->method;
    const size_t tables = method == MERGE_SCE ? 1 : out->recipe->count;
    const int ranking = rank_passes(out);
    if (method == MERGE_SCE && pass == 0 && ranking > 0) {
        bound_variance(out->ranks, out->recipe->densities[0], out->count);
    }
    for (size_t i = 0; i < tables && ranking > 0; i++) {
        rank_table_settle(&out->ranks[i], pass < ranking ? pass : ranking);
    }
    if (pass < ranking) {
        return;
    }
    if (method == MERGE_NUSLERP && pass == 0) {
        for (size_t i = 0; i < 2; i++) {
            out->scalars[i] =
                fmaxf(rounded(out->recipe, (float)sqrt(out->inner[i][i])), nuslerp_norm_least);
        }
        return;
    }
    if (method == MERGE_SLERP) {
        settle_slerp(out);
    } else if (method == MERGE_NUSLERP) {
        settle_nuslerp(out);
    } else if (method == MERGE_MODEL_STOCK) {
        settle_stock(out);
    } else if (method == MERGE_SCE) {
        settle_sce(out);
    } else if (method == MERGE_RAM_PLUS) {
        settle_ram(out);
    } else if (method == MERGE_KARCHER || method == MERGE_MULTISLERP) {
        settle_mean(out);
    }
}
