/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Blocks are read and coded by several threads, each block by one of them, so that the result does
 * not depend on their number. What a thread needs fits in a few megabytes at a width of 4096.
 */
#include "sketch/fingerprint.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "align/token_basis.h"
#include "base/cancel.h"
#include "base/checked.h"
#include "base/fail.h"
#include "base/hash.h"
#include "base/threads.h"
#include "io/digest.h"
#include "io/source.h"
#include "kernel/convert.h"
#include "kernel/unit_code.h"
#include "sketch/blocks.h"

#ifdef _OPENMP
#include <omp.h>
#endif

enum { NUMBERS_PER_THREAD = 1 << 15 };
enum { SORTED_INVERSIONS_MAX = 20 }; /* of 120 pairs: under exchangeability 1 in 3,000 blocks */

const weir_dtype grid_types[GRID_TYPES] = {
    WEIR_DTYPE_F16,  WEIR_DTYPE_BF16, WEIR_DTYPE_Q8_0, WEIR_DTYPE_Q4_0,
    WEIR_DTYPE_Q4_1, WEIR_DTYPE_Q5_0, WEIR_DTYPE_Q5_1, WEIR_DTYPE_MXFP4,
};

const weir_role grid_roles[GRID_ROLES] = {
    WEIR_ROLE_Q,
    WEIR_ROLE_K,
    WEIR_ROLE_V,
    WEIR_ROLE_O,
    WEIR_ROLE_GATE,
    WEIR_ROLE_UP,
    WEIR_ROLE_DOWN,
    WEIR_ROLE_ATTENTION_NORM,
    WEIR_ROLE_FEED_FORWARD_NORM,
};

/* What one thread works with. Zero-initialise; release with worker_release(). */
typedef struct worker {
    float *up;      /* [BLOCK_UNITS, cols] as stored */
    float *gate;    /* the same of gate */
    float *work;    /* normalised, centred */
    float *norm;    /* [cols] */
    float *project; /* scratch of unit_project */
    digest *hash;
    view_scratch view;
} worker;

typedef struct making {
    const weir_model *model;
    fingerprint *sketch;
    const feed_forward *views;
    token_basis tokens;
    float gain_offset; /* of stored gains to what rows are multiplied with */
    size_t cols_max;
    const weir_callbacks *callbacks;
    weir_code code; /* of the failed block with the lowest index */
    size_t failed_at;
    weir_error failure;
} making;

static void worker_release(worker *own) {
    free(own->up);
    free(own->gate);
    free(own->work);
    free(own->norm);
    free(own->project);
    digest_free(own->hash);
    view_scratch_release(&own->view);
}

static inline void worker_release_cleanup(worker *own) {
    worker_release(own);
}

static weir_code worker_init(worker *own, size_t cols_max, weir_error *err) {
    const size_t row_bytes = cols_max * sizeof(float);
    own->up = checked_alloc(BLOCK_UNITS, row_bytes);
    own->gate = checked_alloc(BLOCK_UNITS, row_bytes);
    own->work = checked_alloc(BLOCK_UNITS, row_bytes);
    own->norm = checked_alloc(1, row_bytes);
    own->project = checked_alloc(unit_scratch_floats(cols_max), sizeof(float));
    if (!own->up || !own->gate || !own->work || !own->norm || !own->project) {
        return weir_fail_nomem(err);
    }
    return digest_new(&own->hash, err);
}

/* --- numbers as they are --- */

/* Little-endian float32, as every machine that weir runs on has them in memory. 0 is kept for
 * "none". */
static uint64_t hash_values(digest *hash, const float *values, size_t count) {
    uint8_t bytes[DIGEST_BYTES];
    uint64_t head;
    digest_update(hash, values, count * sizeof *values);
    digest_finish(hash, bytes);
    memcpy(&head, bytes, sizeof head);
    head = le64toh(head);
    return head ? head : 1;
}

/* Row u of up enters sum k with a sign of its own, so that the units' order matters. */
static void sum_projections(sketch_block *block, float (*projected)[UNIT_PROJECTIONS]) {
    for (size_t k = 0; k < PROJECTION_COUNT; k++) {
        float sum = 0;
        for (size_t u = 0; u < BLOCK_UNITS; u++) {
            const bool is_negative = hash_mix(u * PROJECTION_COUNT + k + 1) & 1;
            sum += is_negative ? -projected[u][k] : projected[u][k];
        }
        block->projection[k] = sum;
    }
}

static double squares_of(const float *row, size_t cols) {
    double sum = 0;
    for (size_t i = 0; i < cols; i++) {
        sum += (double)row[i] * (double)row[i];
    }
    return sum;
}

static double fourths_of(const float *row, size_t cols) {
    double sum = 0;
    for (size_t i = 0; i < cols; i++) {
        const double square = (double)row[i] * (double)row[i];
        sum += square * square;
    }
    return sum;
}

static float rms_of(const float *values, size_t count) {
    return (float)sqrt(squares_of(values, count) / (double)count);
}

/* Screening only: unrelated models have much the same. */
static void profile_block(sketch_block *block, const worker *own, size_t cols, const float *gain) {
    const size_t count = BLOCK_UNITS * cols;
    const double squares = squares_of(own->up, count);
    block->profile[PROFILE_UP_RMS] = rms_of(own->up, count);
    block->profile[PROFILE_UP_KURTOSIS] =
        squares > 0 ? (float)(fourths_of(own->up, count) * (double)count / (squares * squares))
                    : 0.0F;
    block->profile[PROFILE_GATE_RMS] = block->has_gate ? rms_of(own->gate, count) : 0.0F;
    block->profile[PROFILE_GAIN_RMS] = gain ? rms_of(gain, cols) : 0.0F;
}

/* Whether lengths rise, or fall, with the index so steadily that chance does not explain it. */
static bool are_sorted(const float *rows, size_t cols) {
    double lengths[BLOCK_UNITS];
    int falls = 0;
    int rises = 0;
    for (size_t u = 0; u < BLOCK_UNITS; u++) {
        lengths[u] = squares_of(rows + u * cols, cols);
        for (size_t before = 0; before < u; before++) {
            falls += lengths[u] < lengths[before];
            rises += lengths[u] > lengths[before];
        }
    }
    const int pairs = BLOCK_UNITS * (BLOCK_UNITS - 1) / 2;
    return pairs - falls <= SORTED_INVERSIONS_MAX || pairs - rises <= SORTED_INVERSIONS_MAX;
}

/* Rows that are nearly one number are built, not learned: an identity matrix names its own order.
 * At least 4 numbers must carry a row: (sum x^2)^2 >= 4 sum x^4. */
static bool is_spread(const float *row, size_t cols) {
    const double squares = squares_of(row, cols);
    return squares * squares >= 4 * fourths_of(row, cols);
}

/* --- codes --- */

/* Rows of up or gate into `work`: scaled to length 1, less their mean. */
static void prepare(worker *own, const float *rows, size_t cols, const float *gain, bool *usable) {
    memcpy(own->work, rows, BLOCK_UNITS * cols * sizeof *rows);
    unit_rows_normalise(own->work, BLOCK_UNITS, cols, gain, usable);
    unit_rows_center(own->work, BLOCK_UNITS, cols, usable);
}

static void code_rows(worker *own, uint64_t (*out)[UNIT_CODE_WORDS], const float *rows, size_t cols,
                      bool *usable) {
    float projected[BLOCK_UNITS][UNIT_PROJECTIONS];
    prepare(own, rows, cols, NULL, usable);
    unit_project(projected, own->work, BLOCK_UNITS, cols, own->project);
    for (size_t u = 0; u < BLOCK_UNITS; u++) {
        unit_signs(out[u], projected[u], UNIT_PROJECTIONS);
    }
}

static weir_code read_gain(const float **out, worker *own, const making *run,
                           const tensor_view *norm, weir_error *err) {
    *out = NULL;
    if (norm) {
        WEIR_TRY(tensor_view_read(norm, 0, 1, own->norm, &own->view, err));
        for (size_t i = 0; i < norm->base.cols; i++) {
            own->norm[i] += run->gain_offset;
        }
        *out = own->norm;
    }
    return WEIR_OK;
}

/* The rows as the residual stream meets them, times the gain, against the tokens. */
static void code_tokens(worker *own, const making *run, sketch_block *block,
                        const feed_forward *views, const float *gain) {
    const size_t cols = (size_t)views->up->base.cols;
    if (!run->tokens.rows || run->tokens.hidden != cols) {
        return;
    }
    prepare(own, block->has_gate ? own->gate : own->up, cols, gain, NULL);
    unit_token_codes(block->token, own->work, BLOCK_UNITS, cols, run->tokens.rows);
    block->has_tokens = true;
}

static weir_code code_block(worker *own, const making *run, sketch_block *block,
                            const feed_forward *views, weir_error *err) {
    const size_t cols = (size_t)views->up->base.cols;
    bool usable[BLOCK_UNITS];
    WEIR_TRY(tensor_view_read(views->up, 0, BLOCK_UNITS, own->up, &own->view, err));
    if (views->gate) {
        WEIR_TRY(tensor_view_read(views->gate, 0, BLOCK_UNITS, own->gate, &own->view, err));
    }
    const float *gain = NULL;
    WEIR_TRY(read_gain(&gain, own, run, views->norm, err));
    block->has_gate = views->gate != NULL;
    for (size_t u = 0; u < BLOCK_UNITS; u++) {
        usable[u] = is_spread(own->up + u * cols, cols) &&
                    (!views->gate || is_spread(own->gate + u * cols, cols));
    }
    if (views->gate) {
        code_rows(own, block->gate, own->gate, cols, usable);
    }
    code_rows(own, block->up, own->up, cols, usable);
    code_tokens(own, run, block, views, gain);
    profile_block(block, own, cols, gain);
    for (size_t u = 0; u < BLOCK_UNITS; u++) {
        block->valid = (uint16_t)(block->valid | usable[u] << u);
    }
    float projected[BLOCK_UNITS][UNIT_PROJECTIONS];
    unit_project(projected, own->up, BLOCK_UNITS, cols, own->project);
    sum_projections(block, projected);
    block->is_sorted = are_sorted(own->up, cols) || (views->gate && are_sorted(own->gate, cols));
    block->values_hash = hash_values(own->hash, own->up, BLOCK_UNITS * cols);
    return WEIR_OK;
}

/* The role among grid_roles that a projection has, GRID_ROLES for others. */
static size_t grid_role_of(weir_role role) {
    static const struct {
        weir_role of;
        weir_role as;
    } experts[] = {
        {WEIR_ROLE_EXPERT_GATE, WEIR_ROLE_GATE},    {WEIR_ROLE_EXPERT_UP, WEIR_ROLE_UP},
        {WEIR_ROLE_EXPERT_DOWN, WEIR_ROLE_DOWN},    {WEIR_ROLE_SHARED_EXPERT_GATE, WEIR_ROLE_GATE},
        {WEIR_ROLE_SHARED_EXPERT_UP, WEIR_ROLE_UP}, {WEIR_ROLE_SHARED_EXPERT_DOWN, WEIR_ROLE_DOWN},
    };
    for (size_t i = 0; i < sizeof experts / sizeof *experts; i++) {
        role = experts[i].of == role ? experts[i].as : role;
    }
    size_t index = 0;
    while (index < GRID_ROLES && grid_roles[index] != role) {
        index++;
    }
    return index;
}

static bool is_shared_expert(weir_role role) {
    return role == WEIR_ROLE_SHARED_EXPERT_GATE || role == WEIR_ROLE_SHARED_EXPERT_UP ||
           role == WEIR_ROLE_SHARED_EXPERT_DOWN;
}

/* Attention and norms are the layer's; a feed-forward's projection has to be of the block's expert.
 */
static bool is_of_block(const weir_tensor *tensor, size_t role, const sketch_block *block) {
    const bool is_of_layer = grid_roles[role] != WEIR_ROLE_GATE &&
                             grid_roles[role] != WEIR_ROLE_UP && grid_roles[role] != WEIR_ROLE_DOWN;
    const int32_t expert = is_shared_expert(tensor->role) ? EXPERT_SHARED
                           : tensor->expert >= 0          ? tensor->expert
                                                          : EXPERT_NONE;
    return tensor->layer == block->layer && (is_of_layer || expert == block->expert);
}

static bool is_hashable(const weir_tensor *tensor) {
    return !tensor->is_bias && tensor->rows >= 1 && tensor->cols > 1 &&
           tensor->cols <= UNIT_COLS_MAX && convert_can_read(tensor->dtype) &&
           tensor->cols % weir_dtype_get(tensor->dtype)->block_elements == 0;
}

/* 0 for numbers that are all equal: many models round to ones. */
static uint32_t short_hash(digest *hash, const float *values, size_t count) {
    size_t equal = 1;
    while (equal < count && !(values[equal] < values[0] || values[equal] > values[0])) {
        equal++;
    }
    if (equal == count) {
        return 0;
    }
    const uint32_t head = (uint32_t)hash_values(hash, values, count);
    return head ? head : 1;
}

/* One projection as it is, and as each type would hold it. */
static weir_code hash_projection(worker *own, sketch_grid *grid, size_t role,
                                 const tensor_view *view, weir_error *err) {
    const size_t cols = (size_t)view->base.cols;
    const size_t row_count = view->base.rows < GRID_ROWS ? (size_t)view->base.rows : GRID_ROWS;
    const size_t count = row_count * cols;
    WEIR_CLEANUP(free) float *rows = checked_alloc(count, 2 * sizeof *rows);
    WEIR_CLEANUP(free) unsigned char *stored = checked_alloc(count, sizeof *rows);
    if (!rows || !stored) {
        return weir_fail_nomem(err);
    }
    const weir_code code = tensor_view_read(view, 0, row_count, rows, &own->view, err);
    if (code != WEIR_OK) {
        return code == WEIR_ERR_UNSUPPORTED || code == WEIR_ERR_FORMAT ? WEIR_OK : code;
    }
    grid->own[role] = short_hash(own->hash, rows, count);
    for (size_t i = 0; i < GRID_TYPES; i++) {
        if (cols % weir_dtype_get(grid_types[i])->block_elements == 0) {
            convert_from_f32(stored, grid_types[i], rows, count);
            convert_to_f32(rows + count, grid_types[i], stored, count);
            grid->hashes[role][i] = short_hash(own->hash, rows + count, count);
        }
    }
    return WEIR_OK;
}

static weir_code hash_grid(worker *own, const making *run, sketch_grid *grid, weir_error *err) {
    const sketch_block *const block = &run->sketch->blocks[grid->block];
    for (size_t i = 0; i < weir_model_tensor_count(run->model); i++) {
        const tensor_view *const view = model_view(run->model, i);
        const size_t role = grid_role_of(view->base.role);
        if (role < GRID_ROLES && grid->own[role] == 0 && is_hashable(&view->base) &&
            is_of_block(&view->base, role, block)) {
            WEIR_TRY(hash_projection(own, grid, role, view, err));
        }
    }
    return WEIR_OK;
}

static weir_code make_block(worker *own, making *run, size_t index, weir_error *err) {
    sketch_block *const block = &run->sketch->blocks[index];
    const feed_forward *const views = &run->views[index];
    const weir_code code = code_block(own, run, block, views, err);
    if (code == WEIR_ERR_UNSUPPORTED || code == WEIR_ERR_FORMAT) {
        *block = (sketch_block){.layer = views->layer, .expert = views->expert};
        return WEIR_OK; /* a block that cannot be read takes no part */
    }
    WEIR_TRY(code);
    for (size_t i = 0; i < run->sketch->grid_count; i++) {
        if (run->sketch->grids[i].block == index) {
            WEIR_TRY(hash_grid(own, run, &run->sketch->grids[i], err));
        }
    }
    return WEIR_OK;
}

/* --- all blocks --- */

static void keep_failure(making *run, size_t index, weir_code code, const weir_error *failure) {
#pragma omp critical
    if (run->code == WEIR_OK || index < run->failed_at) {
        run->code = code;
        run->failed_at = index;
        run->failure = *failure;
    }
}

static void make_blocks(making *run, int threads) {
    const size_t count = run->sketch->block_count;
#pragma omp parallel num_threads(threads)
    {
        WEIR_CLEANUP(worker_release) worker own = {0};
        weir_error failure = {0};
        weir_code ready = worker_init(&own, run->cols_max, &failure);
        if (ready != WEIR_OK) {
            keep_failure(run, 0, ready, &failure);
        }
#pragma omp for schedule(dynamic, 1)
        for (size_t i = 0; i < count; i++) {
            if (ready == WEIR_OK && is_cancelled(run->callbacks)) {
                ready = weir_fail(&failure, WEIR_ERR_CANCELLED, NULL, NULL, NULL, "stopped");
                keep_failure(run, i, ready, &failure);
            }
            const weir_code code = ready == WEIR_OK ? make_block(&own, run, i, &failure) : WEIR_OK;
            if (code != WEIR_OK) {
                keep_failure(run, i, code, &failure);
            }
        }
    }
}

/* Starting a thread costs more than small blocks do: of thousands of models that shows. */
static int threads_useful(const making *run, unsigned jobs) {
    const int wanted = threads_wanted(jobs);
    const size_t numbers = run->sketch->block_count * BLOCK_UNITS * run->cols_max;
    const size_t useful = numbers / NUMBERS_PER_THREAD + 1;
    return threads_startable(useful < (size_t)wanted ? (int)useful : wanted);
}

static weir_code list_blocks(making *run, feed_forward **views, weir_error *err) {
    fingerprint *const sketch = run->sketch;
    WEIR_TRY(blocks_list(views, &sketch->block_count, run->model, err));
    run->views = *views;
    sketch->blocks = calloc(sketch->block_count + 1, sizeof *sketch->blocks);
    if (!sketch->blocks) {
        return weir_fail_nomem(err);
    }
    for (size_t i = 0; i < sketch->block_count; i++) {
        const weir_tensor *const up = &run->views[i].up->base;
        sketch->blocks[i].layer = run->views[i].layer;
        sketch->blocks[i].expert = run->views[i].expert;
        run->cols_max = up->cols > run->cols_max ? (size_t)up->cols : run->cols_max;
        sketch->layers += i == 0 || run->views[i].layer != run->views[i - 1].layer;
    }
    if (sketch->block_count > 0) {
        sketch->hidden = (uint32_t)run->views[0].up->base.cols;
        sketch->feed_forward = (uint32_t)run->views[0].up->base.rows;
    }
    sketch->grid_count =
        sketch->block_count < GRID_BLOCKS ? (uint32_t)sketch->block_count : GRID_BLOCKS;
    for (size_t i = 0; i < sketch->grid_count; i++) {
        sketch->grids[i].block = (uint32_t)(i * sketch->block_count / sketch->grid_count);
    }
    return WEIR_OK;
}

/* --- the model as a whole --- */

static int by_name(const void *left, const void *right) {
    return strcmp((*(const weir_tensor *const *)left)->name,
                  (*(const weir_tensor *const *)right)->name);
}

static void add_number(digest *hash, uint64_t number) {
    number = htole64(number);
    digest_update(hash, &number, sizeof number);
}

static weir_code hash_shapes(fingerprint *sketch, const weir_model *model, weir_error *err) {
    const size_t count = weir_model_tensor_count(model);
    WEIR_CLEANUP(free) const weir_tensor **sorted = checked_alloc(count, sizeof *sorted);
    WEIR_CLEANUP(digest_free) digest *hash = NULL;
    if (!sorted) {
        return weir_fail_nomem(err);
    }
    WEIR_TRY(digest_new(&hash, err));
    for (size_t i = 0; i < count; i++) {
        sorted[i] = weir_model_tensor(model, i);
        sketch->parameters += sorted[i]->rows * sorted[i]->cols;
        if (sorted[i]->role == WEIR_ROLE_EMBEDDING && !sorted[i]->is_bias &&
            sorted[i]->rows <= UINT32_MAX) {
            sketch->vocabulary = (uint32_t)sorted[i]->rows;
        }
    }
    qsort(sorted, count, sizeof *sorted, by_name);
    for (size_t i = 0; i < count; i++) {
        digest_update(hash, sorted[i]->name, strlen(sorted[i]->name) + 1);
        add_number(hash, sorted[i]->rows);
        add_number(hash, sorted[i]->cols);
    }
    digest_finish(hash, sketch->shapes_hash);
    sketch->tensors = (uint32_t)count;
    return WEIR_OK;
}

/* The first 64 picked tokens, each with each: bit of (i, j), j < i, at i (i - 1) / 2 + j. */
static void sign_gram(fingerprint *sketch, const token_basis *tokens) {
    size_t bit = 0;
    for (size_t i = 1; i < GRAM_TOKENS; i++) {
        for (size_t j = 0; j < i; j++, bit++) {
            const float *const a = tokens->rows + i * tokens->hidden;
            const float *const b = tokens->rows + j * tokens->hidden;
            double product = 0;
            for (size_t k = 0; k < tokens->hidden; k++) {
                product += (double)a[k] * (double)b[k];
            }
            sketch->gram[bit / 64] |= (uint64_t)(product > 0) << (bit % 64);
        }
    }
}

/* MinHash with one permutation: each string falls into one of the buckets, which keeps the least
 * hash. */
static void hash_tokenizer(fingerprint *sketch, const vocabulary *words) {
    memset(sketch->tokenizer, 0xFF, sizeof sketch->tokenizer);
    for (size_t i = 0; i < words->count; i++) {
        if (words->tokens[i]) {
            const uint64_t hash = hash_bytes(words->tokens[i], strlen(words->tokens[i]));
            uint64_t *const least = &sketch->tokenizer[hash % TOKENIZER_HASHES];
            const uint64_t rest = hash / TOKENIZER_HASHES;
            *least = rest < *least ? rest : *least;
            sketch->token_count++;
        }
    }
    if (words->merges > 0) {
        uint64_t head;
        memcpy(&head, words->merges_sha256, sizeof head);
        sketch->merges_hash = le64toh(head);
    }
}

static weir_code describe(making *run, weir_error *err) {
    fingerprint *const sketch = run->sketch;
    WEIR_TRY(hash_shapes(sketch, run->model, err));
    hash_tokenizer(sketch, &model_checkpoint(run->model)->vocabulary);
    WEIR_TRY(token_basis_read(&run->tokens, run->model, err));
    sketch->has_tokens = run->tokens.rows != NULL;
    if (sketch->has_tokens) {
        memcpy(sketch->token_tags, run->tokens.tags, sizeof sketch->token_tags);
        sign_gram(sketch, &run->tokens);
    }
    return WEIR_OK;
}

static fingerprint_cost cost_of(const weir_model *model) {
    const checkpoint *const files = model_checkpoint(model);
    fingerprint_cost cost = {0};
    for (size_t i = 0; i < files->file_count; i++) {
        if (files->files[i].source) {
            cost.bytes_read += weir_source_bytes_read(files->files[i].source);
            cost.ranges_read += weir_source_ranges_read(files->files[i].source);
            cost.bytes_stored += files->files[i].bytes;
        }
    }
    return cost;
}

weir_code fingerprint_make(fingerprint **out, const weir_model *model,
                           const fingerprint_options *options, fingerprint_cost *cost,
                           weir_error *err) {
    WEIR_CLEANUP(fingerprint_free) fingerprint *sketch = calloc(1, sizeof *sketch);
    WEIR_CLEANUP(free) feed_forward *views = NULL;
    if (!sketch) {
        return weir_fail_nomem(err);
    }
    const fingerprint_cost before = cost_of(model);
    making run = {.model = model,
                  .sketch = sketch,
                  .gain_offset = feed_forward_gain_offset(model),
                  .callbacks = options ? options->callbacks : NULL};
    WEIR_TRY(list_blocks(&run, &views, err));
    weir_code code = describe(&run, err);
    if (code == WEIR_OK && sketch->block_count > 0) {
        make_blocks(&run, threads_useful(&run, options ? options->jobs : 0));
        code = run.code;
        if (code != WEIR_OK && err) {
            *err = run.failure;
        }
    }
    token_basis_release(&run.tokens);
    WEIR_TRY(code);
    if (cost) {
        *cost = cost_of(model);
        cost->bytes_read -= before.bytes_read;
        cost->ranges_read -= before.ranges_read;
    }
    *out = WEIR_TAKE(sketch);
    return WEIR_OK;
}

fingerprint *fingerprint_copy(const fingerprint *from) {
    WEIR_CLEANUP(fingerprint_free) fingerprint *copy = malloc(sizeof *copy);
    if (!copy) {
        return NULL;
    }
    *copy = *from;
    copy->blocks = checked_alloc(from->block_count, sizeof *copy->blocks);
    if (!copy->blocks) {
        return NULL;
    }
    memcpy(copy->blocks, from->blocks, from->block_count * sizeof *copy->blocks);
    return WEIR_TAKE(copy);
}

void fingerprint_free(fingerprint *sketch) {
    if (sketch) {
        free(sketch->blocks);
        free(sketch);
    }
}
