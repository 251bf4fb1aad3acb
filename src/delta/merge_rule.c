/* SPDX-License-Identifier: Apache-2.0 */
#include "delta/merge_rule.h"

#include <math.h>

#include "delta/merge_arithmetic.h"
#include "kernel/number.h"

static const float tiny_divisor = 1e-8F;
static const float sce_divisor_least = 1e-6F;
static const float nearswap_divisor_least = 1e-6F;

float merge_round(float value, weir_dtype dtype) {
    if (dtype == WEIR_DTYPE_BF16) {
        return float_from_bf16(bf16_from_float(value));
    }
    return dtype == WEIR_DTYPE_F16 ? float_from_half(half_from_float(value)) : value;
}

static bool is_elected(merge_method method) {
    return method == MERGE_TIES || method == MERGE_BREADCRUMBS_TIES || method == MERGE_SCE;
}

static float apply_linear(const merge_recipe *recipe, const float *sources) {
    float sum = 0;
    float all = 0;
    for (size_t i = 0; i < recipe->count; i++) {
        const float weight = (float)recipe->weights[i];
        const float source = rounded(recipe, sources[i]);
        if (recipe->is_in_dtype) {
            const float narrow = rounded(recipe, weight);
            sum += rounded(recipe, narrow * source);
            all += narrow;
        } else {
            sum = fmaf(source, weight, sum);
            all += weight;
        }
    }
    sum = recipe->is_in_dtype ? rounded(recipe, sum) : sum;
    all = recipe->is_in_dtype ? rounded(recipe, all) : all;
    return recipe->is_normalised ? sum / all : sum;
}

static float apply_slerp(const merge_totals *totals, float base, const float *sources) {
    const merge_recipe *recipe = totals->recipe;
    float ends[2];
    for (size_t i = 0; i < 2; i++) {
        ends[i] =
            recipe->is_on_base ? task_of(recipe, sources[i], base) : rounded(recipe, sources[i]);
    }
    if (recipe->method == MERGE_SLERP) {
        return totals->scalars[0] * ends[0] + totals->scalars[1] * ends[1];
    }
    float sum = rounded(recipe, rounded(recipe, totals->scalars[0] * ends[0]) +
                                    rounded(recipe, totals->scalars[1] * ends[1]));
    sum = totals->scalar > 0 ? rounded(recipe, sum / totals->scalar) : sum;
    return recipe->is_on_base ? rounded(recipe, base) + sum : sum;
}

static float apply_stock(const merge_totals *totals, float base, const float *sources) {
    const merge_recipe *recipe = totals->recipe;
    float sum = 0;
    for (size_t i = 0; i < recipe->count; i++) {
        sum = rounded(recipe, sum + rounded(recipe, sources[i]));
    }
    const float mean = rounded(recipe, sum / (float)recipe->count);
    return rounded(recipe, totals->scalars[0] * mean) +
           rounded(recipe, totals->scalar * rounded(recipe, base));
}

/* Of `values`, clear those whose sign is not their sum's. */
static void elect(const merge_recipe *recipe, bool *is_in, const float *values) {
    float sum = 0;
    for (size_t i = 0; i < recipe->count; i++) {
        sum += values[i];
    }
    const bool is_positive = rounded(recipe, sum) >= 0;
    for (size_t i = 0; i < recipe->count; i++) {
        is_in[i] = is_positive ? values[i] > 0 : values[i] < 0;
    }
}

/* The sum of task vectors of which some may be left out. */
static float apply_tasks(const merge_totals *totals, float base, const float *tasks) {
    const merge_recipe *recipe = totals->recipe;
    float parts[MERGE_PARENTS_MAX] = {0};
    bool is_in[MERGE_PARENTS_MAX];
    float sum = 0;
    float all = 0;
    for (size_t i = 0; i < recipe->count; i++) {
        parts[i] = rounded(recipe, tasks[i] * rounded(recipe, (float)recipe->weights[i]));
        is_in[i] = true;
    }
    if (is_elected(recipe->method)) {
        elect(recipe, is_in, parts);
    }
    for (size_t i = 0; i < recipe->count; i++) {
        sum += is_in[i] ? parts[i] : 0;
        all += is_in[i] ? rounded(recipe, (float)recipe->weights[i]) : 0;
    }
    sum = rounded(recipe, sum);
    if (recipe->is_normalised) {
        all = rounded(recipe, all);
        sum = rounded(recipe, sum / (fabsf(all) < tiny_divisor ? 1 : all));
    }
    if (fabs(recipe->lambda - 1) > 0) {
        sum = rounded(recipe, sum * (float)recipe->lambda);
    }
    return rounded(recipe, base) + sum;
}

static float apply_sce(const merge_totals *totals, float base, const float *tasks) {
    const merge_recipe *recipe = totals->recipe;
    bool is_in[MERGE_PARENTS_MAX] = {false};
    float sum = 0;
    float all = 0;
    elect(recipe, is_in, tasks);
    for (size_t i = 0; i < recipe->count; i++) {
        sum += is_in[i] ? rounded(recipe, tasks[i] * totals->scalars[i]) : 0;
        all += is_in[i] ? totals->scalars[i] : 0;
    }
    const float divisor = fmaxf(rounded(recipe, all), rounded(recipe, sce_divisor_least));
    return rounded(recipe, base) + rounded(recipe, rounded(recipe, sum) / divisor);
}

static float apply_ranked(const merge_totals *totals, float base, const float *tasks) {
    const merge_recipe *recipe = totals->recipe;
    const float value = recipe->method == MERGE_SCE ? apply_sce(totals, base, tasks)
                                                    : apply_tasks(totals, base, tasks);
    return merge_round(rounded(recipe, value), recipe->stored);
}

/* Where a source stands in its ranks: what all of sce's share, one for each elsewhere. */
static size_t place_tasks(rank_place *places, float *tasks, const merge_totals *totals) {
    const merge_recipe *recipe = totals->recipe;
    const bool is_sce = recipe->method == MERGE_SCE;
    const size_t groups = is_sce ? 1 : recipe->count;
    for (size_t g = 0; g < groups; g++) {
        const bool is_ranked = totals->ranks && recipe->densities[g] < 1;
        const float size = is_sce ? variance(recipe, tasks) : tasks[g];
        places[g] = is_ranked ? rank_table_place(&totals->ranks[g], size) : RANK_INSIDE;
    }
    return groups;
}

/* Numbers at a boundary may be in or out: of all choices, the one nearest to what is wanted. */
static float apply_nearest(merge_totals *totals, float base, const float *sources, float wanted) {
    const merge_recipe *recipe = totals->recipe;
    float tasks[MERGE_PARENTS_MAX] = {0};
    rank_place places[MERGE_PARENTS_MAX];
    for (size_t i = 0; i < recipe->count; i++) {
        tasks[i] = task_of(recipe, sources[i], base);
    }
    const size_t groups = place_tasks(places, tasks, totals);
    size_t open[MERGE_PARENTS_MAX];
    size_t open_count = 0;
    for (size_t g = 0; g < groups; g++) {
        if (places[g] == RANK_EITHER) {
            open[open_count++] = g;
        }
    }
    float best = 0;
    size_t best_choice = 0;
    bool is_told = false;
    for (size_t choice = 0; choice < (size_t)1 << open_count; choice++) {
        float taken[MERGE_PARENTS_MAX] = {0};
        for (size_t i = 0; i < recipe->count; i++) {
            const size_t g = groups == 1 ? 0 : i;
            bool is_in = places[g] == RANK_INSIDE;
            for (size_t k = 0; k < open_count; k++) {
                is_in = open[k] == g ? choice >> k & 1 : is_in;
            }
            taken[i] = is_in ? tasks[i] : 0;
        }
        const float value = apply_ranked(totals, base, taken);
        is_told = is_told || (choice > 0 && value != best);
        if (choice == 0 || fabsf(value - wanted) < fabsf(best - wanted)) {
            best = value;
            best_choice = choice;
        }
    }
    for (size_t k = 0; k < open_count && is_told; k++) {
        totals->open[open[k]]++;
        totals->taken[open[k]] += best_choice >> k & 1;
    }
    return best;
}

double merge_totals_density(const merge_totals *totals, size_t source) {
    const merge_recipe *recipe = totals->recipe;
    if (!totals->ranks || !(recipe->densities[source] < 1)) {
        return recipe->densities[source];
    }
    const rank_bound *first = &totals->ranks[source].first;
    const rank_bound *last = &totals->ranks[source].last;
    if (first->rank <= first->below || totals->open[source] == 0) {
        return recipe->densities[source];
    }
    const double taken = (double)totals->taken[source] / (double)totals->open[source];
    const double above = (double)(last->rank - first->below - first->equal);
    return (above + taken * (double)first->equal) / (double)totals->count;
}

static float apply_nearswap(const merge_recipe *recipe, const float *sources) {
    const float a = rounded(recipe, sources[0]);
    const float b = rounded(recipe, sources[1]);
    const float apart = fmaxf(fabsf(rounded(recipe, a - b)), nearswap_divisor_least);
    const float weight = fminf(rounded(recipe, (float)recipe->lambda / rounded(recipe, apart)), 1);
    return rounded(recipe, weight * b) + rounded(recipe, rounded(recipe, 1 - weight) * a);
}

static float apply_ram(const merge_totals *totals, float base, const float *sources) {
    const merge_recipe *recipe = totals->recipe;
    float tasks[MERGE_PARENTS_MAX] = {0};
    size_t standing = 0;
    float sum = 0;
    const bool is_plus = recipe->method == MERGE_RAM_PLUS; /* its factors make it float32 */
    for (size_t i = 0; i < recipe->count; i++) {
        tasks[i] = task_of(recipe, sources[i], base);
        tasks[i] = fabsf(tasks[i]) > ram_epsilon ? tasks[i] : 0;
        standing += fabsf(tasks[i]) > 0;
    }
    for (size_t i = 0; i < recipe->count; i++) {
        const float alone = is_plus ? tasks[i] * totals->scalars[i] : tasks[i];
        sum += standing > 1 ? rounded(recipe, tasks[i] / (float)standing) : alone;
    }
    return rounded(recipe, base) + (is_plus ? sum : rounded(recipe, sum));
}

static float apply_mean(const merge_totals *totals, float base, const float *sources) {
    const merge_recipe *recipe = totals->recipe;
    float sum = recipe->is_on_base ? rounded(recipe, base) : 0;
    for (size_t i = 0; i < recipe->count; i++) {
        const float value =
            recipe->is_on_base ? task_of(recipe, sources[i], base) : rounded(recipe, sources[i]);
        sum += totals->scalars[i] * value;
    }
    return sum;
}

static float apply_one(merge_totals *totals, float base, const float *sources) {
    const merge_recipe *recipe = totals->recipe;
    switch (recipe->method) {
    case MERGE_LINEAR:
        return apply_linear(recipe, sources);
    case MERGE_SLERP:
    case MERGE_NUSLERP:
        return apply_slerp(totals, base, sources);
    case MERGE_MODEL_STOCK:
        return apply_stock(totals, base, sources);
    case MERGE_KARCHER:
    case MERGE_MULTISLERP:
        return apply_mean(totals, base, sources);
    case MERGE_NEARSWAP:
        return apply_nearswap(recipe, sources);
    case MERGE_RAM:
    case MERGE_RAM_PLUS:
        return apply_ram(totals, base, sources);
    case MERGE_COPY:
    case MERGE_PASSTHROUGH:
        return sources[0];
    case MERGE_NONE:
    case MERGE_NEAREST:
    case MERGE_UNKNOWN:
    case MERGE_MOSAIC:
    case MERGE_DARE:
    case MERGE_TASK_ARITHMETIC:
    case MERGE_TIES:
    case MERGE_BREADCRUMBS:
    case MERGE_BREADCRUMBS_TIES:
    case MERGE_SCE:
        break;
    }
    return base;
}

void merge_rule_apply(float *out, merge_totals *totals, const float *base,
                      const float *const *sources, const float *wanted, size_t count) {
    const merge_recipe *recipe = totals->recipe;
    const bool is_of_tasks = is_sparse(recipe->method) || recipe->method == MERGE_SCE ||
                             recipe->method == MERGE_TASK_ARITHMETIC;
    float numbers[MERGE_PARENTS_MAX];
    for (size_t n = 0; n < count; n++) {
        for (size_t i = 0; i < recipe->count; i++) {
            numbers[i] = sources[i][n];
        }
        if (is_of_tasks) {
            out[n] = apply_nearest(totals, base[n], numbers, wanted[n]);
            continue;
        }
        const float value = apply_one(totals, base[n], numbers);
        const bool is_wide = recipe->method == MERGE_RAM_PLUS;
        out[n] = merge_round(is_wide ? value : rounded(recipe, value), recipe->stored);
    }
}
