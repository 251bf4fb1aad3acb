/* SPDX-License-Identifier: Apache-2.0 */
#include "delta/measure.h"

#include <math.h>
#include <string.h>

#include "base/checked.h"
#include "base/fail.h"
#include "delta/pair_rows.h"
#include "delta/rounding.h"
#include "kernel/convert.h"

uint64_t stored_bytes(weir_dtype dtype, uint64_t elements) {
    const weir_dtype_info *info = weir_dtype_get(dtype);
    return elements / info->block_elements * info->block_bytes;
}

/* Masks and other constants are equal in unrelated models. Their numbers come in runs: a tensor
 * where nine of ten numbers repeat the one before says nothing of where it comes from. */
static bool is_varied_f32(const float *values, size_t count) {
    size_t repeats = 0;
    for (size_t i = 1; i < count; i++) {
        repeats += values[i] == values[i - 1];
    }
    return repeats < count / 10 * 9;
}

static bool is_varied_bf16(const uint16_t *values, size_t count) {
    size_t repeats = 0;
    for (size_t i = 1; i < count; i++) {
        repeats += values[i] == values[i - 1];
    }
    return repeats < count / 10 * 9;
}

static void measure_floats(piece *out, const float *base, const float *model, size_t count) {
    for (size_t i = 0; i < count; i += PAIR_BLOCK) {
        const size_t left = count - i;
        pair_stats block;
        pair_stats_block_f32(&block, base + i, model + i, left < PAIR_BLOCK ? left : PAIR_BLOCK);
        pair_stats_merge(&out->stats, &block);
    }
}

static void measure_bf16(piece *out, const uint16_t *base, const uint16_t *model, size_t count) {
    for (size_t i = 0; i < count; i += PAIR_BLOCK) {
        const size_t left = count - i;
        pair_stats block;
        pair_stats_block_bf16(&block, base + i, model + i, left < PAIR_BLOCK ? left : PAIR_BLOCK);
        pair_stats_merge(&out->stats, &block);
    }
    out->bits_equal = memcmp(base, model, count * sizeof *base) == 0;
}

/* Numbers that `from` becomes when stored as `dtype`, in replay. */
static void rederive(worker *work, weir_dtype dtype, const float *from, size_t count) {
    convert_from_f32(work->stored, dtype, from, count);
    convert_to_f32(work->replay, dtype, work->stored, count);
}

static uint64_t count_equal_bits(const float *a, const float *b, size_t count) {
    uint64_t equal = 0;
    for (size_t i = 0; i < count; i++) {
        uint32_t bits_a;
        uint32_t bits_b;
        memcpy(&bits_a, a + i, sizeof bits_a);
        memcpy(&bits_b, b + i, sizeof bits_b);
        equal += bits_a == bits_b;
    }
    return equal;
}

/* Whether the base's own dtype, re-derived from the model, gives the base's bits back. */
static bool is_piece_reversed(pair_job *job, worker *work, size_t count) {
    if (!job->is_reversible || atomic_load(&job->is_one_way)) {
        return false;
    }
    rederive(work, job->base_dtype, work->model, count);
    const bool is_reversed = count_equal_bits(work->replay, work->base, count) == count;
    if (!is_reversed) {
        atomic_store(&job->is_one_way, true);
    }
    return is_reversed;
}

static void measure_replay(piece *out, worker *work) {
    pair_job *job = out->job;
    const size_t count = out->count;
    out->is_varied = out->first == 0 && is_varied_f32(work->base, count);
    if (!job->is_replayable) {
        const bool is_block = weir_dtype_get(job->model_dtype)->kind == WEIR_DTYPE_KIND_BLOCK;
        out->rounding_dd = is_block ? rounding_block_dd(job->model_dtype, work->base, count) : 0;
        return;
    }
    rederive(work, job->model_dtype, work->base, count);
    out->replayed = count_equal_bits(work->replay, work->model, count);
    if (out->replayed == count) {
        out->rounding_dd = out->stats.sum_dd; /* the whole difference is rounding */
        out->is_reversed = is_piece_reversed(job, work, count);
    } else {
        piece rounding = {0};
        measure_floats(&rounding, work->base, work->replay, count);
        out->rounding_dd = rounding.stats.sum_dd;
        atomic_store(&job->is_one_way, true);
    }
}

static weir_code read_flat(piece *out, worker *work, unsigned char *kept) {
    const pair_job *job = out->job;
    const size_t base_bytes = (size_t)stored_bytes(job->base_dtype, out->count);
    const size_t model_bytes = (size_t)stored_bytes(job->model_dtype, out->count);
    unsigned char *model_data = kept ? kept : work->model_bytes;
    WEIR_TRY(weir_source_read(job->base->source,
                              job->base_offset + stored_bytes(job->base_dtype, out->first),
                              work->base_bytes, base_bytes, &out->err));
    WEIR_TRY(weir_source_read(job->model->source,
                              job->model_offset + stored_bytes(job->model_dtype, out->first),
                              model_data, model_bytes, &out->err));
    if (job->base_dtype == WEIR_DTYPE_BF16 && job->model_dtype == WEIR_DTYPE_BF16) {
        measure_bf16(out, (const uint16_t *)(const void *)work->base_bytes,
                     (const uint16_t *)(const void *)model_data, out->count);
        out->is_varied =
            out->first == 0 &&
            is_varied_bf16((const uint16_t *)(const void *)work->base_bytes, out->count);
        return WEIR_OK;
    }
    convert_to_f32(work->base, job->base_dtype, work->base_bytes, out->count);
    convert_to_f32(work->model, job->model_dtype, model_data, out->count);
    measure_floats(out, work->base, work->model, out->count);
    out->bits_equal = job->base_dtype == job->model_dtype
                          ? memcmp(work->base_bytes, model_data, model_bytes) == 0
                          : count_equal_bits(work->base, work->model, out->count) == out->count;
    measure_replay(out, work);
    return WEIR_OK;
}

static weir_code read_rows(piece *out, worker *work) {
    const pair_job *job = out->job;
    WEIR_TRY(pair_rows_read(work->base, work->model, job->diff, job->row, out->first / job->cols,
                            out->count / job->cols, &work->scratch, &out->err));
    measure_floats(out, work->base, work->model, out->count);
    out->bits_equal = count_equal_bits(work->base, work->model, out->count) == out->count;
    measure_replay(out, work);
    return WEIR_OK;
}

void piece_measure(piece *out, worker *work, unsigned char *kept) {
    out->code = out->job->is_flat ? read_flat(out, work, kept) : read_rows(out, work);
}

void pair_job_classify(const pair_job *job) {
    tensor_delta *row = job->row;
    const weir_dtype_kind kind = weir_dtype_get(job->model_dtype)->kind;
    const bool is_whole_replay = job->is_replayable && row->replayed == row->stats.count;
    const bool is_exact = kind == WEIR_DTYPE_KIND_FLOAT || job->is_packed;
    if (job->base_dtype == job->model_dtype) {
        row->change = row->bits_equal ? WEIR_CHANGE_IDENTICAL : WEIR_CHANGE_UNKNOWN;
    } else if (is_whole_replay || (row->bits_equal && is_exact)) {
        row->change = kind == WEIR_DTYPE_KIND_BLOCK ? WEIR_CHANGE_QUANTISED : WEIR_CHANGE_CAST;
    } else {
        row->change = WEIR_CHANGE_UNKNOWN;
    }
    const bool is_block = kind == WEIR_DTYPE_KIND_BLOCK;
    if (job->model->packed || (is_block && !convert_can_write(job->model_dtype))) {
        row->rounding_dd = (double)NAN;
    } else if (!is_block && row->rounding_dd == 0) {
        row->rounding_dd = rounding_float_dd(job->model_dtype, row->stats.sum_ulp2);
    }
}

/* Whether rows of a pair are cheaper by the many: a side keeps them as columns or as packed codes,
 * of which a few rows would take slivers. */
static uint64_t rows_at_once(const tensor_view *view, const pair_map *map, uint64_t cols) {
    if (view->transposed && map) {
        return ROW_ELEMENTS_MAX / cols;
    }
    return view->packed ? packed_rows_at_once(view->packed, ROW_ELEMENTS_MAX) : 1;
}

/* As many elements of whole rows as make a piece. */
static uint64_t whole_rows(const pair_job *job, uint64_t row_count) {
    const uint64_t cols = job->cols ? job->cols : 1;
    uint64_t rows = PIECE_ELEMENTS / cols ? PIECE_ELEMENTS / cols : 1;
    const tensor_view *const sides[] = {job->base, job->model};
    for (size_t i = 0; i < 2; i++) {
        const uint64_t wanted = rows_at_once(sides[i], job->row->map, cols);
        rows = wanted > rows ? wanted : rows;
    }
    rows = rows < row_count || row_count == 0 ? rows : row_count;
    return cols * rows;
}

/* Blocks are re-derived whole: neither may a side's columns stand in another order than its blocks
 * were made in, nor may some of them be missing. */
static bool keeps_blocks(const pair_job *job) {
    const pair_map *map = job->row->map;
    if (!map) {
        return true;
    }
    const bool is_base_block = weir_dtype_get(job->base_dtype)->kind == WEIR_DTYPE_KIND_BLOCK;
    const bool is_model_block = weir_dtype_get(job->model_dtype)->kind == WEIR_DTYPE_KIND_BLOCK;
    const bool is_base_moved = map->base_cols || map->cols != job->base->base.cols;
    const bool is_model_moved = map->model_cols || map->cols != job->model->base.cols;
    return !(is_base_block && (is_base_moved || map->col_signs)) &&
           !(is_model_block && is_model_moved);
}

pair_job pair_job_of(weir_diff *diff, tensor_delta *row) {
    const tensor_view *base = model_view(diff->base, (size_t)row->base_index);
    const tensor_view *model = model_view(diff->model, (size_t)row->model_index);
    pair_job job = {.diff = diff,
                    .row = row,
                    .base = base,
                    .model = model,
                    .base_dtype = base->base.dtype,
                    .model_dtype = model->base.dtype,
                    .cols = pair_col_count(diff, row),
                    .elements = pair_row_count(diff, row) * pair_col_count(diff, row)};
    const bool is_opaque = weir_dtype_get(job.base_dtype)->kind == WEIR_DTYPE_KIND_OPAQUE ||
                           weir_dtype_get(job.model_dtype)->kind == WEIR_DTYPE_KIND_OPAQUE;
    /* Packers choose scales by rules of their own, so packing is not re-derived. Nor is anything
     * from a packed base: whether that base could be re-derived in turn, which would leave the
     * direction open, is not known. */
    job.is_packed = base->packed || model->packed;
    job.is_replayable = job.base_dtype != job.model_dtype && convert_can_write(job.model_dtype) &&
                        !is_opaque && !job.is_packed && keeps_blocks(&job);
    job.is_reversible = job.is_replayable && convert_can_write(job.base_dtype);
    job.is_flat = !row->map && tensor_view_is_plain(base) && tensor_view_is_plain(model) &&
                  base->offset == 0 && model->offset == 0;
    if (job.is_flat) {
        uint64_t bytes;
        tensor_view_range(base, 0, base->base.rows, &job.base_offset, &bytes);
        tensor_view_range(model, 0, model->base.rows, &job.model_offset, &bytes);
        job.piece_elements = PIECE_ELEMENTS;
    } else {
        job.piece_elements = whole_rows(&job, pair_row_count(diff, row));
    }
    return job;
}

bool pair_job_is_readable(const pair_job *job) {
    return convert_can_read(job->base_dtype) && convert_can_read(job->model_dtype) &&
           (job->is_flat || (job->model->base.cols <= ROW_ELEMENTS_MAX &&
                             job->base->base.cols <= ROW_ELEMENTS_MAX));
}

weir_code worker_init(worker *work, size_t elements, weir_error *err) {
    work->base = checked_alloc(elements, sizeof *work->base);
    work->model = checked_alloc(elements, sizeof *work->model);
    work->replay = checked_alloc(elements, sizeof *work->replay);
    work->stored = checked_alloc(elements, sizeof(float));
    work->base_bytes = malloc(PIECE_BYTES_MAX);
    work->model_bytes = malloc(PIECE_BYTES_MAX);
    const bool has_all = work->base && work->model && work->replay && work->stored &&
                         work->base_bytes && work->model_bytes;
    return has_all ? WEIR_OK : weir_fail_nomem(err);
}

void worker_release(worker *work) {
    free(work->base);
    free(work->model);
    free(work->replay);
    free(work->stored);
    free(work->base_bytes);
    free(work->model_bytes);
    view_scratch_release(&work->scratch);
}
