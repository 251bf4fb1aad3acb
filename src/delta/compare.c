/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The pass over the numbers. Pairs are taken in the order in which the model stores them and cut
 * into pieces. Every thread takes the next piece, reads, converts and measures it; finished pieces
 * are merged strictly in order, by whichever thread finds the oldest one done, so that the sums are
 * the same bytes for any number of threads. No thread waits for another unless it is a whole ring
 * ahead: on a busy machine a barrier would cost more than the work.
 *
 *   piece    PIECE_ELEMENTS elements of two stored ranges when both sides store them in one order;
 *            whole canonical rows otherwise
 *   ring     pieces handed out and not merged yet, at most RING_PIECES
 *
 * With a digest, a piece keeps its stored bytes until it is merged, and is hashed then: hashing and
 * measuring share one read.
 */
#include <pthread.h>
#include <string.h>

#include "base/cancel.h"
#include "base/checked.h"
#include "base/fail.h"
#include "base/threads.h"
#include "delta/measure.h"
#include "io/file_digest.h"

#ifdef _OPENMP
#include <omp.h>
#endif

enum { RING_PIECES = 32 };

typedef struct stored_order {
    uint32_t file;
    uint64_t offset;
    size_t row;
} stored_order;

/* How far one side has been announced to the system. */
typedef struct reach {
    weir_source *source;
    uint64_t begin;
    uint64_t end;
} reach;

typedef struct comparison {
    weir_diff *diff;
    const weir_diff_options *options;
    worker *workers;
    int worker_count;
    int thread_count;    /* workers that have a thread */
    stored_order *order; /* rows to compare */
    size_t order_count;

    /* What the threads share, under the lock; `now` and `first` say which piece is next. */
    pthread_mutex_t lock;
    pthread_cond_t moved;
    piece ring[RING_PIECES];
    pair_job jobs[RING_PIECES]; /* a ring too: pieces in flight belong to at most so many pairs */
    uint64_t handed_out;
    uint64_t merged;
    size_t rows_begun;
    pair_job *now;
    uint64_t first;
    bool is_merging;
    reach base_reach;
    reach model_reach;
    weir_code code; /* of the first piece, in order, that failed */
    weir_error err;

    unsigned char
        *kept; /* stored bytes of the model's flat pieces, a slot each; NULL without a digest */
    file_digest *digests; /* one per file of the model; NULL without a digest */
    uint64_t bytes_done;
    uint64_t bytes_total;
} comparison;

static unsigned char *kept_bytes(const comparison *run, const piece *of) {
    return run->kept ? run->kept + (size_t)(of - run->ring) * PIECE_BYTES_MAX : NULL;
}

/* Pieces that are not flat leave a gap in the file, which is read again. */
static weir_code hash_piece(comparison *run, const piece *done, weir_error *err) {
    const pair_job *job = done->job;
    if (!run->digests || !job->is_flat) {
        return WEIR_OK;
    }
    return file_digest_feed(&run->digests[job->model->stored->file],
                            job->model_offset + stored_bytes(job->model_dtype, done->first),
                            kept_bytes(run, done),
                            (size_t)stored_bytes(job->model_dtype, done->count), err);
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

/* The oldest piece joins its pair. */
static weir_code merge_oldest(comparison *run, piece *oldest, weir_error *err) {
    const weir_callbacks *callbacks = run->options->callbacks;
    if (oldest->code != WEIR_OK) {
        *err = oldest->err;
        return oldest->code;
    }
    if (is_cancelled(callbacks)) {
        return weir_fail(err, WEIR_ERR_CANCELLED, NULL, NULL, NULL, "cancelled");
    }
    merge_piece(oldest);
    WEIR_TRY(hash_piece(run, oldest, err));
    tell_progress(run, tensor_view_bytes(oldest->job->model, oldest->count) +
                           tensor_view_bytes(oldest->job->base, oldest->count));
    return WEIR_OK;
}

/* Merge what is done, in order. One thread at a time, the lock held but while it merges. */
static void merge_done(comparison *run) {
    while (!run->is_merging && run->merged < run->handed_out && run->code == WEIR_OK) {
        piece *oldest = &run->ring[run->merged % RING_PIECES];
        if (!oldest->is_done) {
            return;
        }
        weir_error err = {0};
        run->is_merging = true;
        (void)pthread_mutex_unlock(&run->lock);
        const weir_code code = merge_oldest(run, oldest, &err);
        (void)pthread_mutex_lock(&run->lock);
        run->is_merging = false;
        run->merged++;
        if (code != WEIR_OK) {
            run->code = code;
            run->err = err;
        }
        (void)pthread_cond_broadcast(&run->moved);
    }
}

/* The pair that the next piece belongs to; NULL after the last. */
static pair_job *next_job(comparison *run) {
    while (!run->now || run->first >= run->now->elements) {
        if (run->rows_begun == run->order_count) {
            return NULL;
        }
        tensor_delta *row = &run->diff->tensors[run->order[run->rows_begun].row];
        run->now = &run->jobs[run->rows_begun % RING_PIECES];
        *run->now = pair_job_of(run->diff, row);
        run->first = 0;
        run->rows_begun++;
    }
    return run->now;
}

/* Keep a stretch of the file in flight ahead of what the threads read: with one read at a time a
 * disk would idle while they compute. */
static void announce(reach *ahead, weir_source *source, uint64_t offset) {
    enum { AHEAD_BYTES = 16 << 20 };
    const bool is_inside =
        ahead->source == source && offset >= ahead->begin && offset <= ahead->end;
    if (is_inside && ahead->end - offset > AHEAD_BYTES / 2) {
        return;
    }
    const uint64_t from = is_inside ? ahead->end : offset;
    source_expect(source, from, AHEAD_BYTES);
    *ahead = (reach){source, is_inside ? ahead->begin : offset, from + AHEAD_BYTES};
}

/* Hand out the next piece, when the ring has room for it; NULL when there is no more to do. */
static piece *take_piece(comparison *run) {
    while (run->code == WEIR_OK && run->handed_out - run->merged == RING_PIECES) {
        (void)pthread_cond_wait(&run->moved, &run->lock);
    }
    pair_job *job = run->code == WEIR_OK ? next_job(run) : NULL;
    if (!job) {
        return NULL;
    }
    const uint64_t left = job->elements - run->first;
    piece *out = &run->ring[run->handed_out % RING_PIECES];
    *out = (piece){.job = job,
                   .first = run->first,
                   .count = (size_t)(left < job->piece_elements ? left : job->piece_elements)};
    if (job->is_flat) {
        announce(&run->base_reach, job->base->source,
                 job->base_offset + stored_bytes(job->base_dtype, out->first));
        announce(&run->model_reach, job->model->source,
                 job->model_offset + stored_bytes(job->model_dtype, out->first));
    }
    run->first += out->count;
    run->handed_out++;
    return out;
}

static void work_on_pieces(comparison *run, worker *work) {
    (void)pthread_mutex_lock(&run->lock);
    for (piece *out = take_piece(run); out; out = take_piece(run)) {
        (void)pthread_mutex_unlock(&run->lock);
        piece_measure(out, work, kept_bytes(run, out));
        (void)pthread_mutex_lock(&run->lock);
        out->is_done = true;
        merge_done(run);
    }
    (void)pthread_mutex_unlock(&run->lock);
}

static weir_code compare_numbers(comparison *run, weir_error *err) {
#pragma omp parallel num_threads(run->thread_count)
    {
#ifdef _OPENMP
        work_on_pieces(run, &run->workers[omp_get_thread_num()]);
#else
        work_on_pieces(run, &run->workers[0]);
#endif
    }
    if (run->code != WEIR_OK && err) {
        *err = run->err;
    }
    return run->code;
}

/* Numbers that weir cannot read are still bytes that can be equal. */
static weir_code compare_bytes(const pair_job *job, weir_error *err) {
    tensor_delta *row = job->row;
    const stored_tensor *base = job->base->stored;
    const stored_tensor *model = job->model->stored;
    row->state = TENSOR_OPAQUE;
    bool is_equal = base->bytes == model->bytes && job->base_dtype == job->model_dtype &&
                    tensor_view_same_order(job->base, job->model);
    WEIR_CLEANUP(free) unsigned char *base_bytes = malloc(PIECE_BYTES_MAX);
    WEIR_CLEANUP(free) unsigned char *model_bytes = malloc(PIECE_BYTES_MAX);
    if (!base_bytes || !model_bytes) {
        return weir_fail_nomem(err);
    }
    for (uint64_t done = 0; is_equal && done < model->bytes; done += PIECE_BYTES_MAX) {
        const uint64_t left = model->bytes - done;
        const size_t len = (size_t)(left < PIECE_BYTES_MAX ? left : PIECE_BYTES_MAX);
        WEIR_TRY(weir_source_read(job->base->source, base->offset + done, base_bytes, len, err));
        WEIR_TRY(weir_source_read(job->model->source, model->offset + done, model_bytes, len, err));
        is_equal = memcmp(base_bytes, model_bytes, len) == 0;
    }
    row->bits_equal = is_equal;
    row->change = is_equal ? WEIR_CHANGE_IDENTICAL : WEIR_CHANGE_UNKNOWN;
    return WEIR_OK;
}

static void release_comparison(comparison *run) {
    for (int i = 0; run->workers && i < run->worker_count; i++) {
        worker_release(&run->workers[i]);
    }
    free(run->workers);
    free(run->order);
    free(run->kept);
    const size_t file_count = model_checkpoint(run->diff->model)->file_count;
    for (size_t i = 0; run->digests && i < file_count; i++) {
        file_digest_release(&run->digests[i]);
    }
    free(run->digests);
    (void)pthread_cond_destroy(&run->moved);
    (void)pthread_mutex_destroy(&run->lock);
}

static inline void release_comparison_cleanup(comparison *run) {
    release_comparison(run);
}

/* The longest row that a pair reads whole, at least a piece: what a worker's arrays must hold. */
static size_t worker_elements(const comparison *run) {
    uint64_t most = PIECE_ELEMENTS;
    for (size_t i = 0; i < run->order_count; i++) {
        const pair_job job = pair_job_of(run->diff, &run->diff->tensors[run->order[i].row]);
        most = !job.is_flat && job.piece_elements > most ? job.piece_elements : most;
    }
    return (size_t)most;
}

static weir_code make_workers(comparison *run, weir_error *err) {
    const int threads = threads_wanted(run->options->jobs);
    const size_t elements = worker_elements(run);
    run->workers = calloc((size_t)threads, sizeof *run->workers);
    if (!run->workers) {
        return weir_fail_nomem(err);
    }
    run->worker_count = threads;
    for (int i = 0; i < threads; i++) {
        WEIR_TRY(worker_init(&run->workers[i], elements, err));
    }
    run->thread_count = threads_startable(threads);
    return WEIR_OK;
}

static weir_code make_digests(comparison *run, weir_error *err) {
    const checkpoint *files = model_checkpoint(run->diff->model);
    run->digests = calloc(files->file_count, sizeof *run->digests);
    run->kept = checked_alloc(RING_PIECES, PIECE_BYTES_MAX);
    run->diff->sha256 = calloc(files->file_count, sizeof *run->diff->sha256);
    if (!run->digests || !run->kept || !run->diff->sha256) {
        return weir_fail_nomem(err);
    }
    for (size_t i = 0; i < files->file_count; i++) {
        run->digests[i].source = files->files[i].source;
    }
    return WEIR_OK;
}

static weir_code finish_digests(comparison *run, weir_error *err) {
    const checkpoint *files = model_checkpoint(run->diff->model);
    for (size_t i = 0; i < files->file_count; i++) {
        if (files->files[i].source) {
            uint8_t hash[DIGEST_BYTES];
            WEIR_TRY(file_digest_finish(&run->digests[i], hash, run->options->callbacks, err));
            digest_format(run->diff->sha256[i], hash);
        }
    }
    return WEIR_OK;
}

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

/* Rows whose numbers are compared, in the order in which the model stores them; the others, whose
 * bytes are compared or which have no numbers at all, are done here. */
static weir_code order_rows(comparison *run, weir_error *err) {
    weir_diff *diff = run->diff;
    run->order = checked_alloc(diff->tensor_count, sizeof *run->order);
    if (!run->order) {
        return weir_fail_nomem(err);
    }
    for (size_t i = 0; i < diff->tensor_count; i++) {
        tensor_delta *row = &diff->tensors[i];
        if (row->state != TENSOR_COMPARED) {
            continue;
        }
        const pair_job job = pair_job_of(diff, row);
        row->bits_equal = true;
        row->is_reversed = job.is_reversible;
        row->is_replayable = job.is_replayable;
        if (!pair_job_is_readable(&job)) {
            WEIR_TRY(compare_bytes(&job, err));
        } else if (job.elements > 0) {
            run->order[run->order_count++] =
                (stored_order){.file = job.model->stored->file,
                               .offset = job.model->stored->offset + job.model->row_begin,
                               .row = i};
            run->bytes_total += tensor_view_bytes(job.base, job.elements) +
                                tensor_view_bytes(job.model, job.elements);
        }
    }
    qsort(run->order, run->order_count, sizeof *run->order, by_place);
    return WEIR_OK;
}

weir_code diff_compare(weir_diff *diff, const weir_diff_options *options, weir_error *err) {
    WEIR_CLEANUP(release_comparison)
    comparison run = {.diff = diff,
                      .options = options,
                      .lock = PTHREAD_MUTEX_INITIALIZER,
                      .moved = PTHREAD_COND_INITIALIZER};
    WEIR_TRY(order_rows(&run, err));
    WEIR_TRY(make_workers(&run, err));
    if (options->digest) {
        WEIR_TRY(make_digests(&run, err));
    }
    WEIR_TRY(compare_numbers(&run, err));
    for (size_t i = 0; i < diff->tensor_count; i++) {
        if (diff->tensors[i].state == TENSOR_COMPARED) {
            const pair_job job = pair_job_of(diff, &diff->tensors[i]);
            pair_job_classify(&job);
        }
    }
    if (options->digest) {
        WEIR_TRY(finish_digests(&run, err));
    }
    diff->bytes_compared = run.bytes_done;
    return WEIR_OK;
}
