/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file unit_map.c  Which units of one model are units of another, whatever their order and basis.
 *
 * A unit of a gated feed-forward reads the residual stream twice, by its row v of gate and its row
 * w of up. Times the gain g of the norm before them, and against the embeddings E of tokens that
 * both models have, both give 256 signs, sign(E (g v)) and sign(E (g w)). Permuting, mirroring or
 * rotating the residual basis, folding the gain into the rows and scaling a row leave these as they
 * are, and a permutation of the units only reorders them; up may change its sign together with
 * down, so its code is compared up to that.
 *
 * A unit agrees with one of the other model when each is the single nearest of the other, by gate
 * and by up alike. Unrelated models agree in few units: by chance in about one of m, and in more
 * because both learn from like text what tokens belong together. How many more is no theorem. It
 * was measured on models trained independently, and the law that is used here, p = P(Binomial(n,
 * STRANGER_RATE + STRANGER_UNITS / m) >= agreeing units), has a rate far above the largest that was
 * seen; docs/evidence.md has the figures. p is multiplied by the number of layer pairs that were
 * tried. What is printed never falls below UNIT_MAP_LOG10_P_MIN, which is as far as such a
 * measurement carries.
 */
#include "align/unit_map.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "align/feed_forward.h"
#include "align/token_basis.h"
#include "base/cancel.h"
#include "base/checked.h"
#include "base/fail.h"
#include "base/threads.h"
#include "kernel/nearest.h"
#include "kernel/unit_code.h"

enum {
    LAYERS_TRIED = 4,
    TOKENS_MIN = 64, /* fewer signs do not tell thousands of units apart */
    UNITS_MIN = 16,
    SAMPLE_UNITS = 1024, /* of mine, in runs */
    RUN_UNITS = 64,
    CHUNK_FLOATS = 1 << 22,
    SPOT_CHECKS = 32, /* matched units whose rows are compared in the stored basis */
    PAIRS_TRIED_MAX = 64,
};

static const uint64_t allowed_bytes_min = (uint64_t)64 << 20;
static const uint64_t allowed_share = 32; /* of a model's weights, one part in 32 */

static const double stranger_rate = 0.05;
static const double stranger_units = 4;
static const double p_least = 1e-300; /* a logarithm of 0 is none */
static const double p_found = 1e-4;   /* a layer that is found is not looked for elsewhere */

/* One of the two models. */
typedef struct side {
    const weir_model *model;
    const weir_callbacks *callbacks;
    token_basis basis;
    feed_forward *items; /* those as wide as the basis */
    size_t count;
    uint64_t bytes_left;
    uint64_t bytes_read;
    view_scratch scratch;
    float *rows; /* [CHUNK_FLOATS] */
    float *gain; /* [hidden] */
    code_frame frame;
} side;

static void side_release(side *model) {
    token_basis_release(&model->basis);
    view_scratch_release(&model->scratch);
    free(model->items);
    free(model->rows);
    free(model->gain);
}

/* Some units of a feed-forward, coded. */
typedef struct coded_units {
    const feed_forward *of;
    uint32_t *index; /* which they are */
    size_t count;
    code_list gate;
    code_list up;
} coded_units;

static void coded_units_release(coded_units *units) {
    free(units->index);
    free(units->gate.codes);
    free(units->gate.usable);
    free(units->up.codes);
    free(units->up.usable);
    *units = (coded_units){0};
}

static void coded_units_release_cleanup(coded_units *units) {
    coded_units_release(units);
}

/* A layer of mine, and the layer of theirs that it was found in or last compared with. */
typedef struct layer_try {
    coded_units units;
    const feed_forward *found;
    unit_map_layer result;
    double p; /* of the best layer, not yet multiplied by the tries */
    double stored_cosine;
    bool is_found;
} layer_try;

typedef struct unit_search {
    side mine;
    side theirs;
    int threads;
    uint32_t pairs_tried;
    layer_try tries[LAYERS_TRIED];
    size_t try_count;
} unit_search;

static void unit_search_release_cleanup(unit_search *search) {
    for (size_t i = 0; i < search->try_count; i++) {
        coded_units_release(&search->tries[i].units);
    }
    side_release(&search->mine);
    side_release(&search->theirs);
}

/* --- reading --- */

static uint64_t unit_bytes(const side *from, const feed_forward *item, uint64_t units) {
    const uint64_t numbers = units * from->basis.hidden;
    return tensor_view_bytes(item->gate, numbers) + tensor_view_bytes(item->up, numbers);
}

static weir_code read_rows(side *from, const tensor_view *view, uint64_t begin, uint64_t count,
                           float *out, weir_error *err) {
    const weir_callbacks *const callbacks = from->callbacks;
    if (is_cancelled(callbacks)) {
        return weir_fail(err, WEIR_ERR_CANCELLED, NULL, NULL, "to go on", "a request to stop");
    }
    const uint64_t bytes = tensor_view_bytes(view, count * view->base.cols);
    from->bytes_read += bytes;
    from->bytes_left -= bytes < from->bytes_left ? bytes : from->bytes_left;
    return tensor_view_read(view, begin, count, out, &from->scratch, err);
}

/* Set the gain that the rows of a feed-forward are multiplied with. */
static weir_code read_gain(side *from, const feed_forward *item, weir_error *err) {
    from->frame.gain = NULL;
    if (!item->norm) {
        return WEIR_OK;
    }
    WEIR_TRY(read_rows(from, item->norm, 0, 1, from->gain, err));
    const float offset = feed_forward_gain_offset(from->model);
    for (size_t i = 0; i < from->basis.hidden; i++) {
        from->gain[i] += offset;
    }
    from->frame.gain = from->gain;
    return WEIR_OK;
}

/* Code the units from `first` on that follow each other in the file, at most a chunk of them. */
static weir_code code_run(code_list *out, size_t *first, side *from, const coded_units *units,
                          const tensor_view *view, weir_error *err) {
    const uint32_t *const index = units->index + *first;
    const size_t rows_max = CHUNK_FLOATS / from->frame.cols;
    size_t count = 1;
    while (*first + count < units->count && count < rows_max && index[count] == *index + count) {
        count++;
    }
    WEIR_TRY(read_rows(from, view, *index, count, from->rows, err));
    code_list_fill(out, *first, from->rows, count, &from->frame);
    *first += count;
    return WEIR_OK;
}

static weir_code code_view(code_list *out, side *from, const coded_units *units,
                           const tensor_view *view, weir_error *err) {
    out->codes = checked_alloc(units->count, sizeof *out->codes);
    out->usable = calloc(units->count + 1, sizeof *out->usable);
    out->count = units->count;
    if (!out->codes || !out->usable) {
        return weir_fail_nomem(err);
    }
    for (size_t first = 0; first < units->count;) {
        WEIR_TRY(code_run(out, &first, from, units, view, err));
    }
    return WEIR_OK;
}

/* All units, or evenly spaced runs when there are more than `count_max`. */
static bool choose_units(coded_units *out, size_t rows, size_t count_max) {
    out->count = rows < count_max ? rows : count_max;
    out->index = checked_alloc(out->count, sizeof *out->index);
    for (size_t i = 0; out->index && i < out->count; i++) {
        const size_t run = i / RUN_UNITS;
        const size_t gaps = count_max / RUN_UNITS - 1;
        const size_t begin = rows > count_max ? run * (rows - RUN_UNITS) / gaps : run * RUN_UNITS;
        out->index[i] = (uint32_t)(begin + i % RUN_UNITS);
    }
    return out->index != NULL;
}

static weir_code code_units(coded_units *out, side *from, const feed_forward *item,
                            size_t count_max, weir_error *err) {
    out->of = item;
    if (!choose_units(out, (size_t)item->up->base.rows, count_max)) {
        return weir_fail_nomem(err);
    }
    WEIR_TRY(read_gain(from, item, err));
    WEIR_TRY(code_view(&out->gate, from, out, item->gate, err));
    WEIR_TRY(code_view(&out->up, from, out, item->up, err));
    for (size_t i = 0; i < out->count; i++) {
        const bool usable = out->gate.usable[i] && out->up.usable[i];
        out->gate.usable[i] = usable;
        out->up.usable[i] = usable;
    }
    return WEIR_OK;
}

/* --- comparing two layers --- */

/* P(X >= k) of a binomial X; n and r are small enough here for (1 - r)^n to be a normal double. */
static double binomial_tail(size_t n, size_t k, double r) {
    double exactly = 1;
    double below = 0;
    for (size_t i = 0; i < n; i++) {
        exactly *= 1 - r;
    }
    for (size_t i = 0; i < k; i++) {
        below += exactly;
        exactly *= (double)(n - i) / (double)(i + 1) * (r / (1 - r));
    }
    return below < 1 ? 1 - below : 0;
}

/* Nearest units there and back, by gate and by up; indices into the two lists of units. */
typedef struct nearest_units {
    uint32_t *gate;
    uint32_t *up;
    uint32_t *gate_back;
    uint32_t *up_back;
} nearest_units;

static void nearest_units_release_cleanup(nearest_units *nearest) {
    free(nearest->gate);
    free(nearest->up);
    free(nearest->gate_back);
    free(nearest->up_back);
}

static weir_code find_nearest(nearest_units *out, const unit_search *search,
                              const coded_units *mine, const coded_units *theirs, weir_error *err) {
    const uint32_t bits = (uint32_t)search->mine.basis.count;
    out->gate = checked_alloc(mine->count, sizeof *out->gate);
    out->up = checked_alloc(mine->count, sizeof *out->up);
    out->gate_back = checked_alloc(theirs->count, sizeof *out->gate_back);
    out->up_back = checked_alloc(theirs->count, sizeof *out->up_back);
    if (!out->gate || !out->up || !out->gate_back || !out->up_back) {
        return weir_fail_nomem(err);
    }
    nearest_codes(out->gate, &mine->gate, &theirs->gate, 0, search->threads);
    nearest_codes(out->up, &mine->up, &theirs->up, bits, search->threads);
    nearest_codes(out->gate_back, &theirs->gate, &mine->gate, 0, search->threads);
    nearest_codes(out->up_back, &theirs->up, &mine->up, bits, search->threads);
    return WEIR_OK;
}

/* Units of mine and theirs that name each other, in mine's order. */
typedef struct agreement {
    uint32_t mine[SAMPLE_UNITS];
    uint32_t theirs[SAMPLE_UNITS];
    size_t count;
} agreement;

static void collect_agreement(agreement *out, const nearest_units *nearest,
                              const coded_units *mine) {
    out->count = 0;
    for (size_t i = 0; i < mine->count; i++) {
        const uint32_t other = nearest->gate[i];
        if (other != NEAREST_NONE && nearest->up[i] == other && nearest->gate_back[other] == i &&
            nearest->up_back[other] == i) {
            out->mine[out->count] = (uint32_t)i;
            out->theirs[out->count++] = other;
        }
    }
}

/* In nearly all places the next agreeing unit stands later in theirs too. Half would, were the
 * order lost. */
static bool are_in_order(const agreement *pairs) {
    size_t later = 0;
    for (size_t i = 1; i < pairs->count; i++) {
        later += pairs->theirs[i] > pairs->theirs[i - 1];
    }
    return pairs->count > 1 && 10 * later >= 9 * (pairs->count - 1);
}

/* The angle of two rows from the share of signs in which they differ (Goemans and Williamson 1995).
 */
static double median_cosine(const agreement *pairs, const coded_units *mine,
                            const coded_units *theirs, size_t bits) {
    size_t histogram[CODE_BITS + 1] = {0};
    size_t seen = 0;
    for (size_t i = 0; i < pairs->count; i++) {
        histogram[code_distance(mine->gate.codes[pairs->mine[i]],
                                theirs->gate.codes[pairs->theirs[i]])]++;
    }
    for (size_t distance = 0; distance <= bits; distance++) {
        seen += histogram[distance];
        if (2 * seen >= pairs->count && seen > 0) {
            return cos(acos(-1.0) * (double)distance / (double)bits);
        }
    }
    return 0;
}

static double dot_normalised(const float *a, const float *b, size_t n) {
    double sum = 0;
    for (size_t i = 0; i < n; i++) {
        sum += (double)a[i] * (double)b[i];
    }
    return sum;
}

static int compare_doubles(const void *a, const void *b) {
    const double x = *(const double *)a;
    const double y = *(const double *)b;
    return (x > y) - (x < y);
}

/* One row of gate, times the gain, as long as 1, at the start of the side's rows. */
static weir_code read_unit(side *from, const feed_forward *item, uint64_t unit, weir_error *err) {
    WEIR_TRY(read_rows(from, item->gate, unit, 1, from->rows, err));
    unit_rows_normalise(from->rows, 1, from->frame.cols, from->frame.gain, NULL);
    return WEIR_OK;
}

/* Median cosine of agreeing units' rows of gate as they are stored; 0 when the widths differ. */
static weir_code compare_stored(double *out, unit_search *search, const agreement *pairs,
                                const coded_units *mine, const coded_units *theirs,
                                weir_error *err) {
    double cosines[SPOT_CHECKS] = {0};
    const size_t count = pairs->count < SPOT_CHECKS ? pairs->count : SPOT_CHECKS;
    *out = 0;
    if (search->mine.frame.cols != search->theirs.frame.cols || count == 0) {
        return WEIR_OK;
    }
    WEIR_TRY(read_gain(&search->mine, mine->of, err));
    WEIR_TRY(read_gain(&search->theirs, theirs->of, err));
    for (size_t i = 0; i < count; i++) {
        const size_t pair = i * pairs->count / count;
        WEIR_TRY(read_unit(&search->mine, mine->of, mine->index[pairs->mine[pair]], err));
        WEIR_TRY(read_unit(&search->theirs, theirs->of, theirs->index[pairs->theirs[pair]], err));
        cosines[i] =
            dot_normalised(search->mine.rows, search->theirs.rows, search->mine.frame.cols);
    }
    qsort(cosines, count, sizeof *cosines, compare_doubles);
    *out = cosines[count / 2];
    return WEIR_OK;
}

static uint32_t count_usable(const code_list *list) {
    uint32_t count = 0;
    for (size_t i = 0; i < list->count; i++) {
        count += list->usable[i];
    }
    return count;
}

/* Compare a layer of mine with one of theirs; keep the result when it is the best so far. */
static weir_code try_pair(layer_try *best, unit_search *search, const feed_forward *item,
                          weir_error *err) {
    WEIR_CLEANUP(coded_units_release) coded_units theirs = {0};
    WEIR_CLEANUP(nearest_units_release) nearest_units nearest = {0};
    WEIR_CLEANUP(free) agreement *pairs = checked_alloc(1, sizeof *pairs);
    const size_t units = (size_t)item->up->base.rows;
    if (!pairs) {
        return weir_fail_nomem(err);
    }
    WEIR_TRY(code_units(&theirs, &search->theirs, item, units, err));
    WEIR_TRY(find_nearest(&nearest, search, &best->units, &theirs, err));
    collect_agreement(pairs, &nearest, &best->units);
    search->pairs_tried++;
    const uint32_t of = count_usable(&best->units.gate);
    const uint32_t fewest = of < units ? of : (uint32_t)units;
    const double rate = stranger_rate + stranger_units / (double)fewest;
    const double p =
        of >= UNITS_MIN && fewest >= UNITS_MIN ? binomial_tail(of, pairs->count, rate) : 1;
    if (best->found && p >= best->p) {
        return WEIR_OK;
    }
    best->found = item;
    best->p = p;
    best->is_found = p <= p_found;
    best->result = (unit_map_layer){
        .mine = best->units.of->layer,
        .theirs = item->layer,
        .agree = (uint32_t)pairs->count,
        .of = of,
        .in_order = are_in_order(pairs),
        .cosine = median_cosine(pairs, &best->units, &theirs, search->mine.basis.count),
    };
    return best->is_found
               ? compare_stored(&best->stored_cosine, search, pairs, &best->units, &theirs, err)
               : WEIR_OK;
}

/* --- which layers --- */

/* A feed-forward of theirs, and how soon it is tried. */
typedef struct candidate {
    const feed_forward *item;
    uint32_t rank;
} candidate;

static int compare_ranks(const void *left, const void *right) {
    const candidate *const a = left;
    const candidate *const b = right;
    if (a->rank != b->rank) {
        return a->rank < b->rank ? -1 : 1;
    }
    return (a->item > b->item) - (a->item < b->item);
}

static int32_t last_layer(const side *model) {
    return model->items[model->count - 1].layer;
}

/* The same layer; the one as far from the end; then the nearer the sooner. */
static uint32_t rank_of(const unit_search *search, int32_t mine, int32_t theirs) {
    const int64_t from_end =
        (int64_t)last_layer(&search->theirs) - last_layer(&search->mine) + mine;
    const int64_t away = (int64_t)theirs - mine;
    return away == 0 ? 0 : theirs == from_end ? 1 : (uint32_t)(away < 0 ? -away : away) + 1;
}

static bool can_read(const side *from, const feed_forward *item, uint64_t units) {
    return unit_bytes(from, item, units) <= from->bytes_left;
}

/* Try the candidates of rank [rank_min, rank_max] until the layer is found or too much was read. */
static weir_code try_candidates(layer_try *layer, unit_search *search, uint32_t rank_min,
                                uint32_t rank_max, weir_error *err) {
    const side *const theirs = &search->theirs;
    WEIR_CLEANUP(free) candidate *list = checked_alloc(theirs->count, sizeof *list);
    if (!list) {
        return weir_fail_nomem(err);
    }
    for (size_t i = 0; i < theirs->count; i++) {
        list[i].item = &theirs->items[i];
        list[i].rank = rank_of(search, layer->units.of->layer, theirs->items[i].layer);
    }
    qsort(list, theirs->count, sizeof *list, compare_ranks);
    for (size_t i = 0; i < theirs->count && !layer->is_found; i++) {
        const bool is_asked = list[i].rank >= rank_min && list[i].rank <= rank_max;
        if (is_asked && search->pairs_tried < PAIRS_TRIED_MAX &&
            can_read(theirs, list[i].item, list[i].item->up->base.rows)) {
            WEIR_TRY(try_pair(layer, search, list[i].item, err));
        }
    }
    return WEIR_OK;
}

/* The first feed-forward of each layer. */
static size_t first_of_layers(const feed_forward **out, const side *from) {
    size_t count = 0;
    for (size_t i = 0; i < from->count; i++) {
        if (i == 0 || from->items[i].layer != from->items[i - 1].layer) {
            out[count++] = &from->items[i];
        }
    }
    return count;
}

/* Code up to LAYERS_TRIED evenly spaced layers of mine, the one in the middle first. */
static weir_code code_my_layers(unit_search *search, weir_error *err) {
    static const size_t eighths[LAYERS_TRIED] = {4, 2, 6, 1};
    side *const mine = &search->mine;
    WEIR_CLEANUP(free) const feed_forward **layers = checked_alloc(mine->count, sizeof *layers);
    if (!layers) {
        return weir_fail_nomem(err);
    }
    const size_t count = first_of_layers(layers, mine);
    const size_t wanted = count < LAYERS_TRIED ? count : LAYERS_TRIED;
    for (size_t i = 0; i < wanted; i++) {
        const size_t spot = count < LAYERS_TRIED ? (count / 2 + i) % count : eighths[i] * count / 8;
        if (!can_read(mine, layers[spot], SAMPLE_UNITS)) {
            break;
        }
        layer_try *const layer = &search->tries[search->try_count++];
        WEIR_TRY(code_units(&layer->units, mine, layers[spot], SAMPLE_UNITS, err));
    }
    return WEIR_OK;
}

static weir_code try_layers(unit_search *search, weir_error *err) {
    for (size_t i = 0; i < search->try_count; i++) {
        WEIR_TRY(try_candidates(&search->tries[i], search, 0, 0, err));
    }
    for (size_t i = 0; i < search->try_count; i++) {
        WEIR_TRY(try_candidates(&search->tries[i], search, 1, UINT32_MAX, err));
    }
    return WEIR_OK;
}

/* --- the two sides --- */

static uint64_t weight_bytes(const weir_model *model) {
    const checkpoint *const from = model_checkpoint(model);
    uint64_t sum = 0;
    for (size_t i = 0; i < from->tensors.count; i++) {
        sum += from->tensors.items[i].bytes; /* tensors of a file share no byte: no overflow */
    }
    return sum;
}

/* A share of the file, but enough for one feed-forward of any model and all of a small one. */
static uint64_t allowed_bytes(const side *from) {
    const uint64_t share = weight_bytes(from->model) / allowed_share;
    const uint64_t one =
        from->count > 0 ? unit_bytes(from, &from->items[0], from->items[0].up->base.rows) : 0;
    const uint64_t least = one > allowed_bytes_min ? one : allowed_bytes_min;
    return share > least ? share : least;
}

static weir_code prepare_side(side *out, const unit_search *search, weir_error *err) {
    feed_forward *items = NULL;
    WEIR_TRY(feed_forward_list(&items, &out->count, out->model, err));
    size_t kept = 0;
    for (size_t i = 0; i < out->count; i++) {
        if (items[i].gate && items[i].up->base.cols == out->basis.hidden) {
            items[kept++] = items[i];
        }
    }
    out->items = items;
    out->count = kept;
    out->bytes_left = allowed_bytes(out);
    out->rows = checked_alloc(CHUNK_FLOATS, sizeof *out->rows);
    out->gain = checked_alloc(out->basis.hidden, sizeof *out->gain);
    out->frame = (code_frame){
        .tokens = out->basis.rows, .cols = out->basis.hidden, .threads = search->threads};
    return out->rows && out->gain ? WEIR_OK : weir_fail_nomem(err);
}

/* @return whether there is anything to compare */
static weir_code prepare(unit_search *search, bool *is_possible, weir_error *err) {
    side *const mine = &search->mine;
    side *const theirs = &search->theirs;
    *is_possible = false;
    WEIR_TRY(
        token_basis_read_common(&mine->basis, &theirs->basis, mine->model, theirs->model, err));
    if (mine->basis.count < TOKENS_MIN) {
        return WEIR_OK;
    }
    WEIR_TRY(prepare_side(mine, search, err));
    WEIR_TRY(prepare_side(theirs, search, err));
    *is_possible = mine->count > 0 && theirs->count > 0;
    return WEIR_OK;
}

static void add_layer(unit_map *out, const layer_try *layer, double *p) {
    if (!layer->found) {
        return;
    }
    out->layers[out->layer_count++] = layer->result;
    *p = layer->p < *p ? layer->p : *p;
    if (layer->is_found) {
        const double stored =
            layer->stored_cosine < 0 ? -layer->stored_cosine : layer->stored_cosine;
        out->units_permuted = out->units_permuted || !layer->result.in_order;
        out->basis_changed = out->basis_changed || stored < layer->result.cosine / 2;
    }
}

static unit_map conclude(const unit_search *search) {
    unit_map map = {.bytes_read = search->mine.bytes_read + search->theirs.bytes_read};
    double p = 1;
    for (size_t i = 0; i < search->try_count; i++) {
        add_layer(&map, &search->tries[i], &p);
    }
    p *= (double)search->pairs_tried;
    map.log10_p = map.layer_count == 0 || p >= 1 ? 0 : log10(p > p_least ? p : p_least);
    return map;
}

weir_code unit_map_find(unit_map *out, const weir_model *mine, const weir_model *theirs,
                        const unit_map_options *options, weir_error *err) {
    WEIR_CLEANUP(unit_search_release)
    unit_search search = {.mine.model = mine, .theirs.model = theirs};
    bool is_possible;
    search.threads = threads_startable(threads_wanted(options ? options->jobs : 0));
    search.mine.callbacks = options ? options->callbacks : NULL;
    search.theirs.callbacks = search.mine.callbacks;
    WEIR_TRY(prepare(&search, &is_possible, err));
    if (is_possible) {
        WEIR_TRY(code_my_layers(&search, err));
        WEIR_TRY(try_layers(&search, err));
    }
    *out = conclude(&search);
    return WEIR_OK;
}
