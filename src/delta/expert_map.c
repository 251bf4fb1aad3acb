/* SPDX-License-Identifier: Apache-2.0 */
#include "delta/expert_map.h"

#include <math.h>
#include <string.h>

#include "base/checked.h"
#include "base/fail.h"
#include "base/limits.h"
#include "delta/layer_views.h"
#include "delta/thresholds.h"
#include "kernel/row_match.h"

enum { ROWS_EACH = 2, PARTS = 2 };

/* Sampled rows of up and gate of one feed-forward. */
typedef struct expert_look {
    int32_t number;
    uint64_t units;
} expert_look;

typedef struct expert_side {
    const weir_model *model;
    const layer_views *layer;
    expert_look *looks;
    float *samples; /* [count, PARTS * ROWS_EACH * cols] */
    size_t count;
    bool is_mixture;
} expert_side;

static void release_side(expert_side *side) {
    free(side->looks);
    free(side->samples);
}

static inline void release_side_cleanup(expert_side *side) {
    release_side(side);
}

static int by_number(const void *left, const void *right) {
    const expert_look *a = left;
    const expert_look *b = right;
    return (a->number > b->number) - (a->number < b->number);
}

/* The feed-forwards of a layer: its experts, or the one that it has. */
static weir_code list_experts(expert_side *side, weir_error *err) {
    const size_t most = side->layer->count;
    side->looks = checked_alloc(most, sizeof *side->looks);
    if (!side->looks) {
        return weir_fail_nomem(err);
    }
    for (size_t i = 0; i < most; i++) {
        const weir_tensor *tensor = &model_view(side->model, side->layer->first + i)->base;
        side->is_mixture = side->is_mixture || tensor->role == WEIR_ROLE_EXPERT_UP;
    }
    const weir_role wanted = side->is_mixture ? WEIR_ROLE_EXPERT_UP : WEIR_ROLE_UP;
    for (size_t i = 0; i < most && side->count < EXPERT_COUNT_MAX; i++) {
        const weir_tensor *tensor = &model_view(side->model, side->layer->first + i)->base;
        if (tensor->role == wanted && !tensor->is_bias) {
            side->looks[side->count++] = (expert_look){tensor->expert, tensor->rows};
        }
    }
    qsort(side->looks, side->count, sizeof *side->looks, by_number);
    return WEIR_OK;
}

static expert_look *find_look(const expert_side *side, int32_t number) {
    const expert_look key = {.number = number};
    return bsearch(&key, side->looks, side->count, sizeof key, by_number);
}

static weir_code sample_part(expert_side *side, const residual_frame *frame, frame_side which,
                             const tensor_view *view, size_t part, view_scratch *scratch,
                             weir_error *err) {
    const expert_look *look = find_look(side, view->base.expert);
    if (!look || view->base.rows != look->units || !frame_fits(frame, which, view)) {
        return WEIR_OK;
    }
    WEIR_CLEANUP(free) float *gain = NULL;
    WEIR_TRY(frame_read_gain(&gain, frame, side->model, side->layer, WEIR_ROLE_UP, err));
    float *out =
        side->samples + ((size_t)(look - side->looks) * PARTS + part) * ROWS_EACH * frame->cols;
    for (uint64_t i = 0; i < ROWS_EACH; i++) {
        WEIR_TRY(frame_read(out + i * frame->cols, frame, which, view, gain,
                            view->base.rows * (i + 1) / (ROWS_EACH + 1), 1, 1, scratch, err));
    }
    return WEIR_OK;
}

static weir_code sample_side(expert_side *side, const residual_frame *frame, frame_side which,
                             view_scratch *scratch, weir_error *err) {
    WEIR_TRY(list_experts(side, err));
    side->samples = calloc(side->count * PARTS * ROWS_EACH * frame->cols + 1, sizeof(float));
    if (!side->samples) {
        return weir_fail_nomem(err);
    }
    for (size_t i = 0; i < side->layer->count; i++) {
        const tensor_view *view = model_view(side->model, side->layer->first + i);
        const weir_role role = view->base.role;
        const bool is_up = role == (side->is_mixture ? WEIR_ROLE_EXPERT_UP : WEIR_ROLE_UP);
        const bool is_gate = role == (side->is_mixture ? WEIR_ROLE_EXPERT_GATE : WEIR_ROLE_GATE);
        if (!view->base.is_bias && (is_up || is_gate)) {
            WEIR_TRY(sample_part(side, frame, which, view, is_up ? 0 : 1, scratch, err));
        }
    }
    return WEIR_OK;
}

static double cosine_between(const expert_side *base, size_t b, const expert_side *model, size_t m,
                             size_t block) {
    if (base->looks[b].units != model->looks[m].units) {
        return (double)NAN;
    }
    return row_cosine(base->samples + b * block, model->samples + m * block, block);
}

static bool are_equal(const expert_side *base, size_t b, const expert_side *model, size_t m,
                      size_t block) {
    return base->looks[b].units == model->looks[m].units &&
           memcmp(base->samples + b * block, model->samples + m * block, block * sizeof(float)) ==
               0;
}

/* The feed-forward of the same number where it is as good as any; else the nearest, clearly. */
static expert_pair pair_expert(const expert_side *base, const expert_side *model, size_t m,
                               size_t block) {
    const int32_t number = model->looks[m].number;
    const expert_look *same = find_look(base, number);
    expert_pair pair = {.model = number, .base = EXPERT_NONE, .cosine = (double)NAN};
    if (same) {
        pair.base = number;
        pair.cosine = cosine_between(base, (size_t)(same - base->looks), model, m, block);
        if (pair.cosine >= THRESHOLD_ROWS_CLOSE) {
            pair.is_equal = are_equal(base, (size_t)(same - base->looks), model, m, block);
            return pair;
        }
    }
    size_t best = 0;
    double cosine = -2;
    double next = -2;
    for (size_t b = 0; b < base->count; b++) {
        const double value = cosine_between(base, b, model, m, block);
        if (value > cosine) {
            next = cosine;
            cosine = value;
            best = b;
        } else if (value > next) {
            next = value;
        }
    }
    const bool is_clear = cosine >= THRESHOLD_ROWS_CLOSE || cosine - next >= THRESHOLD_PLACE_MARGIN;
    const bool is_better = !(pair.cosine > cosine - THRESHOLD_PLACE_MARGIN);
    if (cosine >= THRESHOLD_ROWS_ALIKE && is_clear && is_better) {
        pair.base = base->looks[best].number;
        pair.cosine = cosine;
        pair.is_equal = are_equal(base, best, model, m, block);
    }
    return pair;
}

static weir_code count_pairs(expert_map *out, arena *memory, const expert_side *base,
                             weir_error *err) {
    WEIR_CLEANUP(free) uint32_t *partners = checked_alloc(out->count, sizeof *partners);
    WEIR_CLEANUP(free) bool *is_used = calloc(base->count + 1, sizeof *is_used);
    if (!partners || !is_used) {
        return weir_fail_nomem(err);
    }
    for (size_t i = 0; i < out->count; i++) {
        const expert_pair *pair = &out->pairs[i];
        partners[i] = AXIS_NONE;
        if (pair->base == EXPERT_NONE) {
            out->added++;
            continue;
        }
        const size_t b = (size_t)(find_look(base, pair->base) - base->looks);
        is_used[b] = true;
        partners[i] = (uint32_t)b;
        out->kept++;
        out->alike += pair->cosine >= THRESHOLD_ROWS_ALIKE;
        out->moved += pair->base != pair->model;
    }
    for (size_t b = 0; b < base->count; b++) {
        out->removed += !is_used[b];
    }
    out->is_same = out->added == 0 && out->removed == 0 && out->moved == 0;
    return out->base_count > 0 && out->model_count > 0 && !out->is_same
               ? axis_map_build(&out->router, memory, partners, NULL, out->count, base->count, err)
               : WEIR_OK;
}

weir_code expert_map_find(expert_map *out, arena *memory, const weir_model *base,
                          int32_t base_layer, const weir_model *model, int32_t model_layer,
                          const residual_frame *frame, weir_error *err) {
    WEIR_CLEANUP(view_scratch_release) view_scratch scratch = {0};
    layer_views base_views;
    layer_views model_views;
    WEIR_CLEANUP(release_side) expert_side theirs = {.model = base};
    WEIR_CLEANUP(release_side) expert_side mine = {.model = model};
    *out = (expert_map){.layer = model_layer, .base_layer = base_layer, .is_same = true};
    if (!layer_views_find(&base_views, base, base_layer) ||
        !layer_views_find(&model_views, model, model_layer) || frame->cols == 0) {
        return WEIR_OK;
    }
    theirs.layer = &base_views;
    mine.layer = &model_views;
    WEIR_TRY(sample_side(&theirs, frame, FRAME_BASE, &scratch, err));
    WEIR_TRY(sample_side(&mine, frame, FRAME_MODEL, &scratch, err));
    expert_pair *pairs = arena_alloc(memory, mine.count + 1, sizeof *pairs);
    if (!pairs) {
        return weir_fail_nomem(err);
    }
    const size_t block = (size_t)PARTS * ROWS_EACH * frame->cols;
    for (size_t i = 0; i < mine.count; i++) {
        pairs[i] = pair_expert(&theirs, &mine, i, block);
    }
    out->pairs = pairs;
    out->count = mine.count;
    out->base_count = theirs.is_mixture ? theirs.count : 0;
    out->model_count = mine.is_mixture ? mine.count : 0;
    WEIR_TRY(count_pairs(out, memory, &theirs, err));
    out->is_upcycled = mine.is_mixture && !theirs.is_mixture && out->kept > 0;
    out->is_extracted = !mine.is_mixture && theirs.is_mixture && out->kept > 0;
    return WEIR_OK;
}
