/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The pass over the numbers. Pairs are taken in the order in which the model stores them and cut
 * into pieces; a window of pieces, from one pair or from many, is read, converted and measured by
 * all threads, then merged in index order: the sums are the same bytes for any number of threads.
 *
 *   window   WINDOW_PIECES pieces; between windows: merging, progress, cancel
 *   piece    PIECE_ELEMENTS elements of two stored ranges when both sides store them in one order;
 *            whole canonical rows otherwise
 *
 * With a digest, the window's stored bytes are kept while they are measured, and one more task of
 * the next window hashes them: hashing and measuring share one read.
 */
#include <math.h>
#include <stdatomic.h>
#include <string.h>

#include "base/checked.h"
#include "base/fail.h"
#include "delta/diff.h"
#include "io/file_digest.h"
#include "kernel/convert.h"

#ifdef _OPENMP
#include <omp.h>
#endif

enum {
    PIECE_ELEMENTS = 1 << 16,
    WINDOW_PIECES = 32,
    ROW_ELEMENTS_MAX = 1 << 20, /* a row that is read whole must fit here */
    RTN_BLOCK = 32,             /* block of every round-to-nearest ggml type */
    ELEMENT_BYTES_MAX = 8,
};

/* What one thread works with. */
typedef struct worker {
    float *base;
    float *model;
    float *replay;
    unsigned char *stored; /* bytes of a re-derivation */
    unsigned char *base_bytes;
    unsigned char *model_bytes;
    view_scratch scratch;
} worker;

typedef struct pair_job {
    tensor_delta *row;
    const tensor_view *base;
    const tensor_view *model;
    weir_dtype base_dtype;
    weir_dtype model_dtype;
    bool is_flat; /* both sides store the same order in one range */
    bool is_replayable;
    bool is_reversible; /* the base's dtype can be re-derived too, and would say which came first */
    atomic_bool is_one_way; /* set by the first piece that is not reversed: the rest need not try */
    uint64_t elements;
    uint64_t base_offset;
    uint64_t model_offset;
    uint64_t piece_elements; /* flat: PIECE_ELEMENTS; else whole rows */
} pair_job;

typedef struct piece {
    pair_job *job;
    uint64_t first; /* element of the pair */
    size_t count;
    pair_stats stats;
    bool bits_equal;
    bool is_varied; /* of the first piece of a pair */
    uint64_t replayed;
    bool is_reversed;
    double rounding_dd;
    weir_code code;
    weir_error err;
} piece;

/* Pieces that are measured together. A window holds at most as many pairs as pieces. */
typedef struct window {
    piece pieces[WINDOW_PIECES];
    pair_job jobs[WINDOW_PIECES];
    size_t piece_count;
    size_t job_count;
    unsigned char
        *bytes; /* stored bytes of the model's flat pieces, a slot each; NULL without a digest */
} window;

typedef struct comparison {
    weir_diff *diff;
    const weir_diff_options *options;
    worker *workers;
    int worker_count;
    window *now;          /* being filled, then measured */
    window *last;         /* measured; its bytes are being hashed */
    file_digest *digests; /* one per file of the model; NULL without a digest */
    uint64_t bytes_done;
    uint64_t bytes_total;
} comparison;

static uint64_t stored_bytes(weir_dtype dtype, uint64_t elements) {
    const weir_dtype_info *info = weir_dtype_get(dtype);
    return elements / info->block_elements * info->block_bytes;
}

static int mantissa_bits(weir_dtype dtype) {
    switch ((int)dtype) {
    case WEIR_DTYPE_F64:
        return 52;
    case WEIR_DTYPE_F32:
        return 23;
    case WEIR_DTYPE_F16:
        return 10;
    case WEIR_DTYPE_BF16:
        return 7;
    case WEIR_DTYPE_F8_E4M3:
    case WEIR_DTYPE_F8_E4M3FNUZ:
        return 3;
    case WEIR_DTYPE_F8_E5M2:
    case WEIR_DTYPE_F8_E5M2FNUZ:
        return 2;
    default:
        return -1;
    }
}

/* Step of a round-to-nearest ggml block, from the numbers themselves; 0 for other dtypes. */
static float block_step(weir_dtype dtype, const float *values) {
    float low = values[0];
    float high = values[0];
    for (size_t i = 1; i < RTN_BLOCK; i++) {
        low = values[i] < low ? values[i] : low;
        high = values[i] > high ? values[i] : high;
    }
    const float largest = -low > high ? -low : high;
    switch ((int)dtype) {
    case WEIR_DTYPE_Q8_0:
        return largest / 127.0F;
    case WEIR_DTYPE_Q4_0:
        return largest / 8.0F;
    case WEIR_DTYPE_Q5_0:
        return largest / 16.0F;
    case WEIR_DTYPE_Q4_1:
        return (high - low) / 15.0F;
    case WEIR_DTYPE_Q5_1:
        return (high - low) / 31.0F;
    default:
        return 0.0F;
    }
}

/* Mean square of rounding in steps of s is s^2 / 12. */
static double block_rounding_dd(weir_dtype dtype, const float *values, size_t count) {
    double sum = 0;
    for (size_t i = 0; i + RTN_BLOCK <= count; i += RTN_BLOCK) {
        const double step = (double)block_step(dtype, values + i);
        sum += step * step * (RTN_BLOCK / 12.0);
    }
    return sum;
}

/* Masks and other constants are equal in unrelated models. Their numbers come in runs: a tensor
 * where nine of ten numbers repeat the one before says nothing of where it comes from. */
static bool is_varied_f32(const float *values, size_t count) {
    size_t repeats = 0;
    for (size_t i = 1; i < count; i++) {
        repeats += memcmp(values + i, values + i - 1, sizeof *values) == 0;
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
        out->rounding_dd = is_block ? block_rounding_dd(job->model_dtype, work->base, count) : 0;
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
    const uint64_t cols = job->model->base.cols;
    WEIR_TRY(tensor_view_read(job->base, out->first / cols, out->count / cols, work->base,
                              &work->scratch, &out->err));
    WEIR_TRY(tensor_view_read(job->model, out->first / cols, out->count / cols, work->model,
                              &work->scratch, &out->err));
    measure_floats(out, work->base, work->model, out->count);
    out->bits_equal = count_equal_bits(work->base, work->model, out->count) == out->count;
    measure_replay(out, work);
    return WEIR_OK;
}

static unsigned char *kept_bytes(const window *pieces, size_t index) {
    const size_t slot_bytes = (size_t)PIECE_ELEMENTS * ELEMENT_BYTES_MAX;
    return pieces->bytes ? pieces->bytes + index * slot_bytes : NULL;
}

static void run_piece(comparison *run, size_t index) {
#ifdef _OPENMP
    worker *work = &run->workers[omp_get_thread_num()];
#else
    worker *work = &run->workers[0];
#endif
    piece *out = &run->now->pieces[index];
    out->code = out->job->is_flat ? read_flat(out, work, kept_bytes(run->now, index))
                                  : read_rows(out, work);
}

/* Hash what the last window kept. Pieces that were not flat leave a gap, which is read again. */
static weir_code hash_last(comparison *run, weir_error *err) {
    window *last = run->last;
    for (size_t i = 0; run->digests && i < last->piece_count; i++) {
        const piece *done = &last->pieces[i];
        const pair_job *job = done->job;
        if (job->is_flat) {
            WEIR_TRY(file_digest_feed(
                &run->digests[job->model->stored->file],
                job->model_offset + stored_bytes(job->model_dtype, done->first),
                kept_bytes(last, i), (size_t)stored_bytes(job->model_dtype, done->count), err));
        }
    }
    last->piece_count = 0;
    return WEIR_OK;
}

static bool is_cancelled(const weir_callbacks *callbacks) {
    return callbacks && callbacks->is_cancelled && callbacks->is_cancelled(callbacks->context);
}

static void tell_progress(comparison *run, uint64_t bytes) {
    const weir_callbacks *callbacks = run->options->callbacks;
    run->bytes_done += bytes;
    if (callbacks && callbacks->progress) {
        callbacks->progress(callbacks->context, "comparing", run->bytes_done, run->bytes_total);
    }
}

static void merge_piece(const piece *next) {
    tensor_delta *row = next->job->row;
    pair_stats_merge(&row->stats, &next->stats);
    row->bits_equal = row->bits_equal && next->bits_equal;
    row->is_varied = row->is_varied || next->is_varied;
    row->replayed += next->replayed;
    row->is_reversed = row->is_reversed && next->is_reversed;
    row->rounding_dd += next->rounding_dd;
}

/* What rounding to a float dtype does, from the sum of squared binades: error is uniform in one
 * ulp. */
static double ulp_rounding_dd(const tensor_delta *row, weir_dtype dtype) {
    const int bits = mantissa_bits(dtype);
    return bits < 0 ? (double)NAN : ldexp(row->stats.sum_ulp2, -2 * bits) / 12.0;
}

static void classify(const pair_job *job) {
    tensor_delta *row = job->row;
    const weir_dtype_kind kind = weir_dtype_get(job->model_dtype)->kind;
    const bool is_whole_replay = job->is_replayable && row->replayed == row->stats.count;
    if (job->base_dtype == job->model_dtype) {
        row->change = row->bits_equal ? WEIR_CHANGE_IDENTICAL : WEIR_CHANGE_UNKNOWN;
    } else if (is_whole_replay || (row->bits_equal && kind == WEIR_DTYPE_KIND_FLOAT)) {
        row->change = kind == WEIR_DTYPE_KIND_BLOCK ? WEIR_CHANGE_QUANTISED : WEIR_CHANGE_CAST;
    } else {
        row->change = WEIR_CHANGE_UNKNOWN;
    }
    if (kind != WEIR_DTYPE_KIND_BLOCK && row->rounding_dd == 0) {
        row->rounding_dd = ulp_rounding_dd(row, job->model_dtype);
    } else if (kind == WEIR_DTYPE_KIND_BLOCK && !convert_can_write(job->model_dtype)) {
        row->rounding_dd = (double)NAN;
    }
}

/* Measure the pieces of the window with all threads, hash the window before, merge in order. */
static weir_code flush_window(comparison *run, weir_error *err) {
    window *now = run->now;
    weir_code hash_code = WEIR_OK;
    const int64_t count = (int64_t)now->piece_count;
    if (is_cancelled(run->options->callbacks)) {
        return weir_fail(err, WEIR_ERR_CANCELLED, NULL, NULL, NULL, "cancelled");
    }
#pragma omp parallel for schedule(dynamic) num_threads(run->worker_count)
    for (int64_t i = -1; i < count; i++) {
        if (i < 0) {
            hash_code = hash_last(run, err);
        } else {
            run_piece(run, (size_t)i);
        }
    }
    WEIR_TRY(hash_code);
    uint64_t bytes = 0;
    for (size_t i = 0; i < now->piece_count; i++) {
        const piece *done = &now->pieces[i];
        if (done->code != WEIR_OK) {
            if (err) {
                *err = done->err;
            }
            return done->code;
        }
        merge_piece(done);
        bytes += stored_bytes(done->job->model_dtype, done->count) +
                 stored_bytes(done->job->base_dtype, done->count);
    }
    tell_progress(run, bytes);
    run->now = run->last;
    run->last = now;
    run->now->piece_count = 0;
    run->now->job_count = 0;
    return WEIR_OK;
}

static pair_job *add_job(window *now, const pair_job *job) {
    now->jobs[now->job_count] = *job;
    return &now->jobs[now->job_count++];
}

/* Queue the pieces of one pair; full windows are measured on the way. */
static weir_code compare_numbers(comparison *run, const pair_job *job, weir_error *err) {
    job->row->bits_equal = true;
    job->row->is_reversed = job->is_reversible;
    job->row->is_replayable = job->is_replayable;
    pair_job *queued = NULL;
    for (uint64_t first = 0; first < job->elements; first += job->piece_elements) {
        if (run->now->piece_count == WINDOW_PIECES) {
            WEIR_TRY(flush_window(run, err));
            queued = NULL;
        }
        if (!queued) {
            queued = add_job(run->now, job);
        }
        const uint64_t left = job->elements - first;
        run->now->pieces[run->now->piece_count++] =
            (piece){.job = queued,
                    .first = first,
                    .count = (size_t)(left < job->piece_elements ? left : job->piece_elements)};
    }
    return WEIR_OK;
}

/* Numbers that weir cannot read are still bytes that can be equal. */
static weir_code compare_bytes(comparison *run, const pair_job *job, weir_error *err) {
    tensor_delta *row = job->row;
    row->state = TENSOR_OPAQUE;
    const stored_tensor *base = job->base->stored;
    const stored_tensor *model = job->model->stored;
    bool is_equal = base->bytes == model->bytes && job->base_dtype == job->model_dtype &&
                    tensor_view_same_order(job->base, job->model);
    worker *work = &run->workers[0];
    const uint64_t chunk = (uint64_t)PIECE_ELEMENTS * ELEMENT_BYTES_MAX;
    for (uint64_t done = 0; is_equal && done < model->bytes; done += chunk) {
        const uint64_t left = model->bytes - done;
        const size_t len = (size_t)(left < chunk ? left : chunk);
        WEIR_TRY(
            weir_source_read(job->base->source, base->offset + done, work->base_bytes, len, err));
        WEIR_TRY(weir_source_read(job->model->source, model->offset + done, work->model_bytes, len,
                                  err));
        is_equal = memcmp(work->base_bytes, work->model_bytes, len) == 0;
    }
    row->bits_equal = is_equal;
    row->change = is_equal ? WEIR_CHANGE_IDENTICAL : WEIR_CHANGE_UNKNOWN;
    return WEIR_OK;
}

static pair_job job_of(const weir_diff *diff, tensor_delta *row) {
    const tensor_view *base = model_view(diff->base, (size_t)row->base_index);
    const tensor_view *model = model_view(diff->model, (size_t)row->model_index);
    pair_job job = {.row = row,
                    .base = base,
                    .model = model,
                    .base_dtype = base->base.dtype,
                    .model_dtype = model->base.dtype,
                    .elements = model->base.rows * model->base.cols};
    const bool is_opaque = weir_dtype_get(job.base_dtype)->kind == WEIR_DTYPE_KIND_OPAQUE ||
                           weir_dtype_get(job.model_dtype)->kind == WEIR_DTYPE_KIND_OPAQUE;
    job.is_replayable =
        job.base_dtype != job.model_dtype && convert_can_write(job.model_dtype) && !is_opaque;
    job.is_reversible = job.is_replayable && convert_can_write(job.base_dtype);
    job.is_flat = tensor_view_is_plain(base) && tensor_view_is_plain(model) && base->offset == 0 &&
                  model->offset == 0;
    if (job.is_flat) {
        uint64_t bytes;
        tensor_view_range(base, 0, base->base.rows, &job.base_offset, &bytes);
        tensor_view_range(model, 0, model->base.rows, &job.model_offset, &bytes);
        job.piece_elements = PIECE_ELEMENTS;
    } else {
        const uint64_t cols = model->base.cols ? model->base.cols : 1;
        const uint64_t rows = PIECE_ELEMENTS / cols;
        job.piece_elements = cols * (rows ? rows : 1);
    }
    return job;
}

static weir_code compare_pair(comparison *run, tensor_delta *row, weir_error *err) {
    const pair_job job = job_of(run->diff, row);
    const bool is_readable = convert_can_read(job.base_dtype) &&
                             convert_can_read(job.model_dtype) &&
                             (job.is_flat || job.model->base.cols <= ROW_ELEMENTS_MAX);
    return is_readable ? compare_numbers(run, &job, err) : compare_bytes(run, &job, err);
}

static void release_workers(worker *workers, int count) {
    for (int i = 0; workers && i < count; i++) {
        free(workers[i].base);
        free(workers[i].model);
        free(workers[i].replay);
        free(workers[i].stored);
        free(workers[i].base_bytes);
        free(workers[i].model_bytes);
        view_scratch_release(&workers[i].scratch);
    }
    free(workers);
}

static void free_window(window *old) {
    if (old) {
        free(old->bytes);
        free(old);
    }
}

static void release_comparison(comparison *run) {
    release_workers(run->workers, run->worker_count);
    free_window(run->now);
    free_window(run->last);
    const size_t file_count = model_checkpoint(run->diff->model)->file_count;
    for (size_t i = 0; run->digests && i < file_count; i++) {
        file_digest_release(&run->digests[i]);
    }
    free(run->digests);
}

static inline void release_comparison_cleanup(comparison *run) {
    release_comparison(run);
}

/* The longest row that a pair reads whole, at least a piece: what a worker's arrays must hold. */
static size_t worker_elements(weir_diff *diff) {
    uint64_t most = PIECE_ELEMENTS;
    for (size_t i = 0; i < diff->tensor_count; i++) {
        if (diff->tensors[i].state == TENSOR_COMPARED) {
            const pair_job job = job_of(diff, &diff->tensors[i]);
            if (!job.is_flat && job.piece_elements > most &&
                job.model->base.cols <= ROW_ELEMENTS_MAX) {
                most = job.piece_elements;
            }
        }
    }
    return (size_t)most;
}

static weir_code make_workers(comparison *run, weir_error *err) {
#ifdef _OPENMP
    const int threads = run->options->jobs ? (int)run->options->jobs : omp_get_num_procs();
#else
    const int threads = 1;
#endif
    const size_t elements = worker_elements(run->diff);
    run->workers = calloc((size_t)threads, sizeof *run->workers);
    run->now = calloc(1, sizeof *run->now);
    run->last = calloc(1, sizeof *run->last);
    if (!run->workers || !run->now || !run->last) {
        return weir_fail_nomem(err);
    }
    run->worker_count = threads;
    for (int i = 0; i < threads; i++) {
        worker *work = &run->workers[i];
        work->base = checked_alloc(elements, sizeof *work->base);
        work->model = checked_alloc(elements, sizeof *work->model);
        work->replay = checked_alloc(elements, sizeof *work->replay);
        work->stored = checked_alloc(elements, sizeof(float));
        work->base_bytes = checked_alloc(PIECE_ELEMENTS, ELEMENT_BYTES_MAX);
        work->model_bytes = checked_alloc(PIECE_ELEMENTS, ELEMENT_BYTES_MAX);
        if (!work->base || !work->model || !work->replay || !work->stored || !work->base_bytes ||
            !work->model_bytes) {
            return weir_fail_nomem(err);
        }
    }
    return WEIR_OK;
}

static weir_code make_digests(comparison *run, weir_error *err) {
    const checkpoint *files = model_checkpoint(run->diff->model);
    const size_t window_bytes = (size_t)WINDOW_PIECES * PIECE_ELEMENTS * ELEMENT_BYTES_MAX;
    run->digests = calloc(files->file_count, sizeof *run->digests);
    run->now->bytes = malloc(window_bytes);
    run->last->bytes = malloc(window_bytes);
    run->diff->sha256 = calloc(files->file_count, sizeof *run->diff->sha256);
    if (!run->digests || !run->now->bytes || !run->last->bytes || !run->diff->sha256) {
        return weir_fail_nomem(err);
    }
    for (size_t i = 0; i < files->file_count; i++) {
        run->digests[i].source = files->files[i].source;
    }
    return WEIR_OK;
}

static weir_code finish_digests(comparison *run, weir_error *err) {
    const checkpoint *files = model_checkpoint(run->diff->model);
    WEIR_TRY(hash_last(run, err));
    for (size_t i = 0; i < files->file_count; i++) {
        if (files->files[i].source) {
            uint8_t hash[DIGEST_BYTES];
            WEIR_TRY(file_digest_finish(&run->digests[i], hash, run->options->callbacks, err));
            digest_format(run->diff->sha256[i], hash);
        }
    }
    return WEIR_OK;
}

typedef struct stored_order {
    uint32_t file;
    uint64_t offset;
    size_t row;
} stored_order;

static int by_place(const void *left, const void *right) {
    const stored_order *a = left;
    const stored_order *b = right;
    if (a->file != b->file) {
        return a->file < b->file ? -1 : 1;
    }
    if (a->offset != b->offset) {
        return a->offset < b->offset ? -1 : 1;
    }
    return (a->row > b->row) - (a->row < b->row);
}

/* Rows to compare, in the order in which the model stores them; sums the bytes on the way. */
static weir_code order_rows(comparison *run, stored_order **out, size_t *count, weir_error *err) {
    weir_diff *diff = run->diff;
    stored_order *order = checked_alloc(diff->tensor_count, sizeof *order);
    if (!order) {
        return weir_fail_nomem(err);
    }
    *count = 0;
    for (size_t i = 0; i < diff->tensor_count; i++) {
        if (diff->tensors[i].state != TENSOR_COMPARED) {
            continue;
        }
        const pair_job job = job_of(diff, &diff->tensors[i]);
        order[(*count)++] =
            (stored_order){.file = job.model->stored->file,
                           .offset = job.model->stored->offset + job.model->row_begin,
                           .row = i};
        run->bytes_total += stored_bytes(job.base_dtype, job.elements) +
                            stored_bytes(job.model_dtype, job.elements);
    }
    qsort(order, *count, sizeof *order, by_place);
    *out = order;
    return WEIR_OK;
}

weir_code diff_compare(weir_diff *diff, const weir_diff_options *options, weir_error *err) {
    WEIR_CLEANUP(release_comparison) comparison run = {.diff = diff, .options = options};
    WEIR_TRY(make_workers(&run, err));
    if (options->digest) {
        WEIR_TRY(make_digests(&run, err));
    }
    WEIR_CLEANUP(free) stored_order *order = NULL;
    size_t count = 0;
    WEIR_TRY(order_rows(&run, &order, &count, err));
    for (size_t i = 0; i < count; i++) {
        WEIR_TRY(compare_pair(&run, &diff->tensors[order[i].row], err));
    }
    WEIR_TRY(flush_window(&run, err));
    for (size_t i = 0; i < count; i++) {
        tensor_delta *row = &diff->tensors[order[i].row];
        if (row->state == TENSOR_COMPARED) {
            const pair_job job = job_of(diff, row);
            classify(&job);
        }
    }
    if (options->digest) {
        WEIR_TRY(finish_digests(&run, err));
    }
    diff->bytes_compared = run.bytes_done;
    return WEIR_OK;
}
