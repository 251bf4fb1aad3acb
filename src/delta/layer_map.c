/* SPDX-License-Identifier: Apache-2.0 */
#include "delta/layer_map.h"

#include <math.h>
#include <string.h>

#include "base/checked.h"
#include "base/fail.h"
#include "base/hash.h"
#include "delta/thresholds.h"
#include "kernel/row_match.h"

enum { ROWS_EACH = 2 };

/* What reads the residual stream, so that its columns are the frame's. */
static const weir_role readers[] = {WEIR_ROLE_Q,    WEIR_ROLE_K,    WEIR_ROLE_V, WEIR_ROLE_Q_A,
                                    WEIR_ROLE_KV_A, WEIR_ROLE_GATE, WEIR_ROLE_UP};
enum { READER_COUNT = sizeof readers / sizeof *readers };

/* Sampled rows of one layer. */
typedef struct layer_look {
    int32_t number;
    uint64_t rows[READER_COUNT]; /* of the whole projection; 0: none that can be read */
    uint64_t hashes[READER_COUNT];
    bool is_telling[READER_COUNT]; /* not all one number */
    float *samples;                /* [READER_COUNT, ROWS_EACH * cols]; NULL unless kept */
} layer_look;

typedef struct layer_search {
    const residual_frame *frame;
    layer_list base;
    layer_list model;
    layer_look *base_looks;
    layer_look *model_looks;
    layer_pair *pairs;
    bool base_repeats;
    bool *is_taken; /* [base.count] */
    size_t block;   /* numbers of one projection's sample */
} layer_search;

static bool is_constant(const float *values, size_t count) {
    for (size_t i = 1; i < count; i++) {
        if (values[i] < values[0] || values[i] > values[0]) {
            return false;
        }
    }
    return true;
}

static uint64_t hash_numbers(const float *values, size_t count) {
    uint64_t hash = count;
    for (size_t i = 0; i < count; i++) {
        const float value = values[i] + 0.0F;
        uint32_t bits;
        memcpy(&bits, &value, sizeof bits);
        hash = hash_mix(hash ^ bits);
    }
    return hash;
}

/* Read the sample of one layer into `samples`. */
static weir_code look_at(layer_look *out, float *samples, const layer_search *run, frame_side side,
                         size_t index, view_scratch *scratch, weir_error *err) {
    const layer_list *list = side == FRAME_BASE ? &run->base : &run->model;
    const layer_views *layer = &list->items[index];
    memset(samples, 0, READER_COUNT * run->block * sizeof *samples);
    *out = (layer_look){.number = layer->number};
    for (size_t i = 0; i < READER_COUNT; i++) {
        const tensor_view *view = layer_view(list->model, layer, readers[i], -1);
        if (!frame_fits(run->frame, side, view)) {
            continue;
        }
        WEIR_CLEANUP(free) float *gain = NULL;
        WEIR_TRY(frame_read_gain(&gain, run->frame, list->model, layer, readers[i], err));
        float *block = samples + i * run->block;
        for (uint64_t j = 0; j < ROWS_EACH; j++) {
            const uint64_t row = view->base.rows * (j + 1) / (ROWS_EACH + 1);
            WEIR_TRY(frame_read(block + j * run->frame->cols, run->frame, side, view, gain, row, 1,
                                1, scratch, err));
        }
        out->rows[i] = view->base.rows;
        out->hashes[i] = hash_numbers(block, run->block);
        out->is_telling[i] = !is_constant(block, run->block);
    }
    return WEIR_OK;
}

static bool are_equal(const layer_look *a, const layer_look *b) {
    bool is_telling = false;
    for (size_t i = 0; i < READER_COUNT; i++) {
        if (a->rows[i] != b->rows[i] || (a->rows[i] > 0 && a->hashes[i] != b->hashes[i])) {
            return false;
        }
        is_telling = is_telling || a->is_telling[i];
    }
    return is_telling;
}

/* Mean over the projections that both have with as many rows; NaN without any. */
static double cosine_of(const layer_look *a, const float *a_samples, const layer_look *b,
                        const float *b_samples, size_t block) {
    double sum = 0;
    size_t count = 0;
    for (size_t i = 0; i < READER_COUNT; i++) {
        if (a->rows[i] == 0 || a->rows[i] != b->rows[i]) {
            continue;
        }
        const double cosine = row_cosine(a_samples + i * block, b_samples + i * block, block);
        if (isfinite(cosine)) {
            sum += cosine;
            count++;
        }
    }
    return count > 0 ? sum / (double)count : (double)NAN;
}

static weir_code look_at_base(layer_search *run, float *samples, view_scratch *scratch,
                              weir_error *err) {
    for (size_t i = 0; i < run->base.count; i++) {
        WEIR_TRY(look_at(&run->base_looks[i], samples, run, FRAME_BASE, i, scratch, err));
    }
    return WEIR_OK;
}

static void link_layers(layer_search *run, size_t model, size_t base, layer_link link,
                        double cosine) {
    run->pairs[model].base = run->base.items[base].number;
    run->pairs[model].link = link;
    run->pairs[model].cosine = cosine;
}

/* Each layer of the model against the base's of the same number. */
static weir_code link_by_number(layer_search *run, view_scratch *scratch, weir_error *err) {
    const size_t elements = READER_COUNT * run->block;
    WEIR_CLEANUP(free) float *mine = checked_alloc(elements, sizeof *mine);
    WEIR_CLEANUP(free) float *theirs = checked_alloc(elements, sizeof *theirs);
    if (!mine || !theirs) {
        return weir_fail_nomem(err);
    }
    WEIR_TRY(look_at_base(run, theirs, scratch, err));
    for (size_t i = 0; i < run->model.count; i++) {
        WEIR_TRY(look_at(&run->model_looks[i], mine, run, FRAME_MODEL, i, scratch, err));
        run->pairs[i] = (layer_pair){
            .model = run->model.items[i].number, .base = LAYER_NONE, .cosine = (double)NAN};
        const layer_views *same = layer_list_find(&run->base, run->model.items[i].number);
        if (!same) {
            continue;
        }
        const size_t at = (size_t)(same - run->base.items);
        if (are_equal(&run->model_looks[i], &run->base_looks[at])) {
            link_layers(run, i, at, LAYER_LINK_EQUAL, 1);
            continue;
        }
        WEIR_TRY(look_at(&run->base_looks[at], theirs, run, FRAME_BASE, at, scratch, err));
        const double cosine =
            cosine_of(&run->model_looks[i], mine, &run->base_looks[at], theirs, run->block);
        run->pairs[i].cosine = cosine;
        if (cosine >= THRESHOLD_ROWS_CLOSE) {
            link_layers(run, i, at, LAYER_LINK_NEAR, cosine);
        }
    }
    return WEIR_OK;
}

/* --- equal layers of another number: better than a like one of the same --- */

typedef struct look_key {
    uint64_t hash;
    size_t index;
} look_key;

static uint64_t hash_look(const layer_look *look) {
    uint64_t hash = 0;
    for (size_t i = 0; i < READER_COUNT; i++) {
        hash = hash_mix(hash ^ look->rows[i]) + look->hashes[i];
    }
    return hash_mix(hash);
}

static int by_hash(const void *left, const void *right) {
    const look_key *a = left;
    const look_key *b = right;
    if (a->hash != b->hash) {
        return a->hash < b->hash ? -1 : 1;
    }
    return (a->index > b->index) - (a->index < b->index);
}

static size_t first_of_hash(const look_key *keys, size_t count, uint64_t hash) {
    size_t low = 0;
    size_t high = count;
    while (low < high) {
        const size_t middle = low + (high - low) / 2;
        if (keys[middle].hash < hash) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    return low;
}

/* The layer of the base after the one that the model's layer before is, or SIZE_MAX. */
static size_t next_in_base(const layer_search *run, size_t model) {
    if (model == 0 || run->pairs[model - 1].base == LAYER_NONE) {
        return SIZE_MAX;
    }
    const layer_views *before = layer_list_find(&run->base, run->pairs[model - 1].base);
    return (size_t)(before - run->base.items) + 1;
}

static weir_code link_equal(layer_search *run, weir_error *err) {
    WEIR_CLEANUP(free) look_key *keys = checked_alloc(run->base.count, sizeof *keys);
    if (!keys) {
        return weir_fail_nomem(err);
    }
    for (size_t i = 0; i < run->base.count; i++) {
        keys[i] = (look_key){hash_look(&run->base_looks[i]), i};
    }
    qsort(keys, run->base.count, sizeof *keys, by_hash);
    for (size_t i = 1; i < run->base.count; i++) {
        run->base_repeats = run->base_repeats || keys[i].hash == keys[i - 1].hash;
    }
    for (size_t i = 0; i < run->model.count; i++) {
        if (run->pairs[i].link == LAYER_LINK_EQUAL) {
            continue;
        }
        const layer_look *look = &run->model_looks[i];
        const uint64_t hash = hash_look(look);
        const size_t first = first_of_hash(keys, run->base.count, hash);
        const size_t wanted = next_in_base(run, i);
        size_t found = SIZE_MAX;
        /* Of equal layers the first, or the one that goes on in the base's order. */
        if (first < run->base.count && keys[first].hash == hash) {
            found = keys[first].index;
            if (wanted < run->base.count && hash_look(&run->base_looks[wanted]) == hash) {
                found = wanted;
            }
        }
        if (found != SIZE_MAX && are_equal(look, &run->base_looks[found])) {
            link_layers(run, i, found, LAYER_LINK_EQUAL, 1);
        }
    }
    return WEIR_OK;
}

/* --- like layers of another number --- */

static void link_nearest(layer_search *run, size_t model, const float *mine, const float *theirs) {
    const size_t elements = READER_COUNT * run->block;
    size_t best = 0;
    double cosine = -2;
    double next = -2;
    for (size_t j = 0; j < run->base.count; j++) {
        const double value = cosine_of(&run->model_looks[model], mine, &run->base_looks[j],
                                       theirs + j * elements, run->block);
        if (value > cosine) {
            next = cosine;
            cosine = value;
            best = j;
        } else if (value > next) {
            next = value;
        }
    }
    const double here = run->pairs[model].cosine;
    const bool is_clear = cosine >= THRESHOLD_ROWS_CLOSE || cosine - next >= THRESHOLD_PLACE_MARGIN;
    const layer_views *same = layer_list_find(&run->base, run->model.items[model].number);
    if (same && here >= THRESHOLD_ROWS_ALIKE && here > cosine - THRESHOLD_PLACE_MARGIN) {
        link_layers(run, model, (size_t)(same - run->base.items), LAYER_LINK_NEAR, here);
    } else if (cosine >= THRESHOLD_ROWS_ALIKE && is_clear) {
        link_layers(run, model, best, LAYER_LINK_NEAR, cosine);
    }
}

static size_t count_unlinked(const layer_search *run) {
    size_t count = 0;
    for (size_t i = 0; i < run->model.count; i++) {
        count += run->pairs[i].link == LAYER_LINK_NONE;
    }
    return count;
}

static weir_code link_near(layer_search *run, view_scratch *scratch, weir_error *err) {
    const size_t unlinked = count_unlinked(run);
    if (unlinked == 0 || unlinked > LAYER_SEARCH_MAX || run->base.count > LAYER_SEARCH_MAX) {
        return WEIR_OK;
    }
    const size_t elements = READER_COUNT * run->block;
    WEIR_CLEANUP(free) float *mine = checked_alloc(elements, sizeof *mine);
    WEIR_CLEANUP(free)
    float *theirs = checked_alloc(run->base.count * elements, sizeof *theirs);
    if (!mine || !theirs) {
        return weir_fail_nomem(err);
    }
    for (size_t j = 0; j < run->base.count; j++) {
        WEIR_TRY(
            look_at(&run->base_looks[j], theirs + j * elements, run, FRAME_BASE, j, scratch, err));
    }
    for (size_t i = 0; i < run->model.count; i++) {
        if (run->pairs[i].link == LAYER_LINK_NONE) {
            WEIR_TRY(look_at(&run->model_looks[i], mine, run, FRAME_MODEL, i, scratch, err));
            link_nearest(run, i, mine, theirs);
        }
    }
    return WEIR_OK;
}

/* What no row speaks for stays where its number puts it, unless that layer is known to be another.
 */
static void link_by_place(layer_search *run) {
    for (size_t i = 0; i < run->model.count; i++) {
        if (run->pairs[i].base != LAYER_NONE) {
            run->is_taken[layer_list_find(&run->base, run->pairs[i].base) - run->base.items] = true;
        }
    }
    for (size_t i = 0; i < run->model.count; i++) {
        const layer_views *same = layer_list_find(&run->base, run->model.items[i].number);
        const bool is_free = same && !run->is_taken[same - run->base.items];
        if (run->pairs[i].link == LAYER_LINK_NONE && is_free) {
            run->pairs[i].base = same->number;
            run->pairs[i].link = LAYER_LINK_INDEX;
        }
    }
}

weir_code layer_map_count(layer_map *map, arena *memory, const weir_model *base, weir_error *err) {
    WEIR_CLEANUP(layer_list_release) layer_list layers = {0};
    WEIR_TRY(layer_list_make(&layers, base, err));
    int32_t *dropped = arena_alloc(memory, layers.count + 1, sizeof *dropped);
    WEIR_CLEANUP(free) size_t *uses = calloc(layers.count + 1, sizeof *uses);
    if (!dropped || !uses) {
        return weir_fail_nomem(err);
    }
    *map = (layer_map){.base_repeats = map->base_repeats,
                       .pairs = map->pairs,
                       .count = map->count,
                       .base_count = layers.count,
                       .dropped = dropped};
    int32_t before = LAYER_NONE;
    for (size_t i = 0; i < map->count; i++) {
        const layer_pair *pair = &map->pairs[i];
        map->linked += pair->link == LAYER_LINK_EQUAL || pair->link == LAYER_LINK_NEAR;
        if (pair->base == LAYER_NONE) {
            map->added++;
            continue;
        }
        map->moved += pair->base != pair->model;
        map->is_reordered = map->is_reordered || pair->base < before;
        before = pair->base;
        uses[layer_list_find(&layers, pair->base) - layers.items]++;
    }
    for (size_t j = 0; j < layers.count; j++) {
        map->duplicated += uses[j] > 1 ? uses[j] - 1 : 0;
        if (uses[j] == 0) {
            dropped[map->dropped_count++] = layers.items[j].number;
        }
    }
    map->is_same = map->moved == 0 && map->added == 0 && map->dropped_count == 0;
    return WEIR_OK;
}

static void release_search(layer_search *run) {
    layer_list_release(&run->base);
    layer_list_release(&run->model);
    free(run->base_looks);
    free(run->model_looks);
    free(run->is_taken);
}

static inline void release_search_cleanup(layer_search *run) {
    release_search(run);
}

static weir_code begin_search(layer_search *run, arena *memory, const weir_model *base,
                              const weir_model *model, weir_error *err) {
    WEIR_TRY(layer_list_make(&run->base, base, err));
    WEIR_TRY(layer_list_make(&run->model, model, err));
    run->block = ROWS_EACH * run->frame->cols;
    run->base_looks = checked_alloc(run->base.count, sizeof *run->base_looks);
    run->model_looks = checked_alloc(run->model.count, sizeof *run->model_looks);
    run->is_taken = calloc(run->base.count + 1, sizeof *run->is_taken);
    run->pairs = arena_alloc(memory, run->model.count + 1, sizeof *run->pairs);
    return run->base_looks && run->model_looks && run->is_taken && run->pairs
               ? WEIR_OK
               : weir_fail_nomem(err);
}

weir_code layer_map_find(layer_map *out, arena *memory, const weir_model *base,
                         const weir_model *model, const residual_frame *frame, weir_error *err) {
    WEIR_CLEANUP(view_scratch_release) view_scratch scratch = {0};
    residual_frame same;
    if (!frame) {
        frame_of_index(&same, frame_hidden(base), frame_hidden(model));
    }
    WEIR_CLEANUP(release_search) layer_search run = {.frame = frame ? frame : &same};
    WEIR_TRY(begin_search(&run, memory, base, model, err));
    WEIR_TRY(link_by_number(&run, &scratch, err));
    WEIR_TRY(link_equal(&run, err));
    WEIR_TRY(link_near(&run, &scratch, err));
    link_by_place(&run);
    *out =
        (layer_map){.pairs = run.pairs, .count = run.model.count, .base_repeats = run.base_repeats};
    return layer_map_count(out, memory, base, err);
}

const layer_pair *layer_map_get(const layer_map *map, int32_t model_layer) {
    size_t low = 0;
    size_t high = map->count;
    while (low < high) {
        const size_t middle = low + (high - low) / 2;
        if (map->pairs[middle].model < model_layer) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    return low < map->count && map->pairs[low].model == model_layer ? &map->pairs[low] : NULL;
}
