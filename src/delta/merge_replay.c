/* SPDX-License-Identifier: Apache-2.0 */
#include "delta/merge_replay.h"

#include <math.h>
#include <string.h>

#include "base/cancel.h"
#include "base/checked.h"
#include "base/fail.h"
#include "delta/measure.h"
#include "delta/rounding.h"
#include "kernel/convert.h"
#include "kernel/number.h"

enum { CHUNK_ELEMENTS = 1 << 15 };

double merge_score_share(const merge_score *score) {
    if (score->moved > 0) {
        return (double)score->hit / (double)score->moved;
    }
    return score->count > 0 ? (double)score->equal / (double)score->count : (double)NAN;
}

void merge_score_add(merge_score *into, const merge_score *from) {
    into->count += from->count;
    into->equal += from->equal;
    into->moved += from->moved;
    into->hit += from->hit;
    into->near += from->near;
    into->rest += from->rest;
    into->change += from->change;
    for (size_t i = 0; i < MERGE_PARENTS_MAX; i++) {
        into->densities[i] += from->densities[i];
    }
}

/* What the model's dtype makes of numbers, in place. */
static void store(float *values, weir_dtype dtype, size_t count, unsigned char *stored) {
    if (dtype != WEIR_DTYPE_F32 && convert_can_write(dtype)) {
        convert_from_f32(stored, dtype, values, count);
        convert_to_f32(values, dtype, stored, count);
    }
}

/* A step of the dtype at a number: its last place, or what blocks have for one. */
static float unit_at(float value, weir_dtype dtype, float block_unit) {
    const int bits = rounding_mantissa_bits(dtype);
    int exponent;
    if (bits < 0 || value == 0 || !isfinite(value)) {
        return block_unit;
    }
    (void)frexpf(value, &exponent);
    return ldexpf(1.0F, exponent - 1 - bits);
}

typedef struct comparison {
    const float *told; /* re-computed */
    const float *model;
    const float *base; /* as the model's dtype has it */
    size_t count;
    weir_dtype dtype;
    float block_unit;
} comparison;

static void compare(merge_score *score, const comparison *run) {
    for (size_t i = 0; i < run->count; i++) {
        const float model = run->model[i];
        const float told = run->told[i];
        const float base = run->base[i];
        /* -0 and 0 are one number here: torch's sums lose the sign in ways of their own. */
        const bool is_equal = model == told || (isnan(model) && isnan(told));
        const bool is_moved = model != base || told != base;
        const double error = (double)model - (double)told;
        const double change = (double)model - (double)base;
        score->count++;
        score->equal += is_equal;
        score->rest += isfinite(error) ? error * error : 0;
        score->change += isfinite(change) ? change * change : 0;
        if (is_moved) {
            const double units = error / (double)unit_at(model, run->dtype, run->block_unit);
            score->moved++;
            score->hit += is_equal;
            score->near += isfinite(units) ? 1 / (1 + units * units) : 0;
        }
    }
}

static void note_densities(merge_score *score, const merge_totals *totals) {
    for (size_t i = 0; i < totals->recipe->count; i++) {
        score->densities[i] += merge_totals_density(totals, i) * (double)totals->count;
    }
}

static float block_unit_of(weir_dtype dtype, const float *values, size_t count) {
    const double square = rounding_mean_square(dtype, values, count);
    return square > 0 ? (float)sqrt(12 * square) : 1e-6F;
}

weir_code merge_replay_sample(merge_score *score, const merge_recipe *recipe,
                              const merge_sample *sample, const size_t *sources, weir_dtype dtype,
                              merge_totals *totals, float *out, weir_error *err) {
    const float *sides[MERGE_PARENTS_MAX];
    for (size_t i = 0; i < recipe->count; i++) {
        sides[i] = sample->parents[sources[i]];
    }
    WEIR_CLEANUP(free) float *base = checked_alloc(sample->count, 2 * sizeof *base);
    if (!base) {
        return weir_fail_nomem(err);
    }
    unsigned char *stored = (unsigned char *)(base + sample->count);
    totals->is_rough = true;
    WEIR_TRY(merge_totals_begin(totals, recipe, sample->count, err));
    for (int pass = 0; pass < merge_totals_passes(totals); pass++) {
        merge_totals_add(totals, pass, sample->base, sides, sample->count);
        merge_totals_settle(totals, pass);
    }
    merge_rule_apply(out, totals, sample->base, sides, sample->model, sample->count);
    note_densities(score, totals);
    store(out, dtype, sample->count, stored);
    memcpy(base, sample->base, sample->count * sizeof *base);
    store(base, dtype, sample->count, stored);
    const comparison run = {.told = out,
                            .model = sample->model,
                            .base = base,
                            .count = sample->count,
                            .dtype = dtype,
                            .block_unit = block_unit_of(dtype, sample->model, sample->count)};
    compare(score, &run);
    return WEIR_OK;
}

/* --- whole tensors --- */

typedef struct stream {
    const weir_diff *diff;
    const tensor_view *model;
    const tensor_view *base;
    const tensor_view *sources[MERGE_PARENTS_MAX];
    size_t source_count;
    size_t chunk_rows;
    float *memory; /* model, base, told, sources: a chunk each, then a chunk of stored bytes */
    view_scratch scratch;
} stream;

static void stream_release_cleanup(stream *run) {
    free(run->memory);
    view_scratch_release(&run->scratch);
}

static weir_code stream_begin(stream *run, const weir_diff *diff, size_t row,
                              const ptrdiff_t *parents, size_t count, weir_error *err) {
    const tensor_delta *pair = &diff->tensors[row];
    run->diff = diff;
    run->model = model_view(diff->model, (size_t)pair->model_index);
    run->base = model_view(diff->base, (size_t)pair->base_index);
    run->source_count = count;
    for (size_t i = 0; i < count; i++) {
        const ptrdiff_t view =
            parents[i] == VIEW_NONE ? VIEW_NONE : diff->parents[parents[i]].views[row];
        run->sources[i] = view == VIEW_NONE
                              ? run->base
                              : model_view(diff->parents[parents[i]].model, (size_t)view);
    }
    const uint64_t cols = run->model->base.cols;
    if (cols == 0 || cols > ROW_ELEMENTS_MAX) {
        return weir_fail(err, WEIR_ERR_LIMIT, NULL, at_tensor(run->model->base.name).text,
                         "a row that fits in memory", "a longer one, or none");
    }
    run->chunk_rows = CHUNK_ELEMENTS / cols ? (size_t)(CHUNK_ELEMENTS / cols) : 1;
    run->memory = checked_alloc(run->chunk_rows * (size_t)cols * (count + 4), sizeof *run->memory);
    return run->memory ? WEIR_OK : weir_fail_nomem(err);
}

static float *array_of(const stream *run, size_t index) {
    return run->memory + index * run->chunk_rows * (size_t)run->model->base.cols;
}

enum { ARRAY_MODEL, ARRAY_BASE, ARRAY_TOLD, ARRAY_STORED, ARRAY_SOURCES };

static weir_code read_chunk(stream *run, uint64_t first, uint64_t rows, bool with_model,
                            weir_error *err) {
    if (with_model) {
        WEIR_TRY(tensor_view_read(run->model, first, rows, array_of(run, ARRAY_MODEL),
                                  &run->scratch, err));
    }
    WEIR_TRY(
        tensor_view_read(run->base, first, rows, array_of(run, ARRAY_BASE), &run->scratch, err));
    for (size_t i = 0; i < run->source_count; i++) {
        WEIR_TRY(tensor_view_read(run->sources[i], first, rows, array_of(run, ARRAY_SOURCES + i),
                                  &run->scratch, err));
    }
    return WEIR_OK;
}

static void score_chunk(merge_score *score, stream *run, merge_totals *totals,
                        const float *const *sides, size_t count) {
    float *told = array_of(run, ARRAY_TOLD);
    float *base = array_of(run, ARRAY_BASE);
    unsigned char *stored = (unsigned char *)array_of(run, ARRAY_STORED);
    const weir_dtype dtype = run->model->base.dtype;
    merge_rule_apply(told, totals, base, sides, array_of(run, ARRAY_MODEL), count);
    store(told, dtype, count, stored);
    store(base, dtype, count, stored);
    const comparison what = {.told = told,
                             .model = array_of(run, ARRAY_MODEL),
                             .base = base,
                             .count = count,
                             .dtype = dtype,
                             .block_unit = 1};
    compare(score, &what);
}

weir_code merge_replay_whole(merge_score *score, const merge_recipe *recipe, const weir_diff *diff,
                             size_t row, const ptrdiff_t *parents, const weir_callbacks *callbacks,
                             weir_error *err) {
    WEIR_CLEANUP(stream_release) stream run = {0};
    WEIR_CLEANUP(merge_totals_release) merge_totals totals = {0};
    const float *sides[MERGE_PARENTS_MAX];
    WEIR_TRY(stream_begin(&run, diff, row, parents, recipe->count, err));
    for (size_t i = 0; i < recipe->count; i++) {
        sides[i] = array_of(&run, ARRAY_SOURCES + i);
    }
    const uint64_t rows = run.model->base.rows;
    const size_t cols = (size_t)run.model->base.cols;
    WEIR_TRY(merge_totals_begin(&totals, recipe, rows * cols, err));
    const int passes = merge_totals_passes(&totals);
    for (int pass = 0; pass <= passes; pass++) {
        for (uint64_t first = 0; first < rows; first += run.chunk_rows) {
            const uint64_t left = rows - first;
            const uint64_t taken = left < run.chunk_rows ? left : run.chunk_rows;
            if (is_cancelled(callbacks)) {
                return weir_fail(err, WEIR_ERR_CANCELLED, NULL, NULL, NULL, "cancelled");
            }
            WEIR_TRY(read_chunk(&run, first, taken, pass == passes, err));
            if (pass < passes) {
                merge_totals_add(&totals, pass, array_of(&run, ARRAY_BASE), sides,
                                 (size_t)taken * cols);
            } else {
                score_chunk(score, &run, &totals, sides, (size_t)taken * cols);
            }
        }
        if (pass < passes) {
            merge_totals_settle(&totals, pass);
        }
    }
    note_densities(score, &totals);
    return WEIR_OK;
}
