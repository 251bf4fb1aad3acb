/* SPDX-License-Identifier: Apache-2.0 */
#include "delta/layer_units.h"

#include <string.h>

#include "base/checked.h"
#include "base/fail.h"
#include "delta/thresholds.h"
#include "kernel/row_match.h"

enum {
    PROBE_ROWS = 16,
    PROBED_FIRST = 4, /* layers that are looked for before all are */
    PROBED_MAX = 512,
    ROWS_ELEMENTS_MAX = 1 << 26,
};

/* A layer without a link, and the layer of the base with most of its rows. */
typedef struct probe {
    layer_pair *pair;
    float *rows; /* [PROBE_ROWS, cols] */
    size_t row_count;
    int32_t best;
    size_t hits;
    size_t next_hits;
} probe;

static const tensor_view *rows_of(const weir_model *model, const layer_views *layer) {
    static const weir_role roles[] = {WEIR_ROLE_UP, WEIR_ROLE_EXPERT_UP, WEIR_ROLE_K};
    for (size_t i = 0; i < sizeof roles / sizeof *roles; i++) {
        const tensor_view *view =
            layer_view(model, layer, roles[i], roles[i] == WEIR_ROLE_EXPERT_UP ? 0 : -1);
        if (view) {
            return view;
        }
    }
    return NULL;
}

static weir_code read_rows(float *out, const residual_frame *frame, frame_side side,
                           const weir_model *model, const layer_views *layer,
                           const tensor_view *view, uint64_t step, size_t count,
                           view_scratch *scratch, weir_error *err) {
    WEIR_CLEANUP(free) float *gain = NULL;
    WEIR_TRY(frame_read_gain(&gain, frame, model, layer, view->base.role, err));
    return frame_read(out, frame, side, view, gain, step / 2, step, count, scratch, err);
}

static bool is_unlinked(const layer_pair *pair) {
    return pair->link == LAYER_LINK_INDEX || pair->link == LAYER_LINK_NONE;
}

static weir_code make_probe(probe *out, layer_pair *pair, const weir_model *model,
                            const residual_frame *frame, view_scratch *scratch, weir_error *err) {
    layer_views layer;
    *out = (probe){.pair = pair, .best = LAYER_NONE};
    if (!layer_views_find(&layer, model, pair->model)) {
        return WEIR_OK;
    }
    const tensor_view *view = rows_of(model, &layer);
    if (!frame_fits(frame, FRAME_MODEL, view)) {
        return WEIR_OK;
    }
    const uint64_t rows = view->base.rows;
    out->row_count = rows < PROBE_ROWS ? (size_t)rows : PROBE_ROWS;
    out->rows = checked_alloc(PROBE_ROWS * frame->cols, sizeof *out->rows);
    return out->rows ? read_rows(out->rows, frame, FRAME_MODEL, model, &layer, view,
                                 rows / out->row_count, out->row_count, scratch, err)
                     : weir_fail_nomem(err);
}

/* A layer of the same number wins what is equal. */
static void take_hits(probe *of, int32_t layer, size_t hits) {
    const bool is_better =
        hits > of->hits || (hits == of->hits && hits > 0 && layer == of->pair->model);
    if (is_better) {
        of->next_hits = of->hits < hits ? of->hits : of->next_hits;
        of->hits = hits;
        of->best = layer;
    } else if (hits < of->hits && hits > of->next_hits) {
        of->next_hits = hits;
    }
}

static weir_code probe_layer(probe *probes, size_t count, const weir_model *base,
                             const layer_views *layer, const residual_frame *frame,
                             view_scratch *scratch, weir_error *err) {
    const tensor_view *view = rows_of(base, layer);
    if (!frame_fits(frame, FRAME_BASE, view) || view->base.rows > ROWS_ELEMENTS_MAX / frame->cols) {
        return WEIR_OK;
    }
    const size_t rows = (size_t)view->base.rows;
    WEIR_CLEANUP(free) float *theirs = checked_alloc(rows * frame->cols, sizeof *theirs);
    if (!theirs) {
        return weir_fail_nomem(err);
    }
    WEIR_TRY(read_rows(theirs, frame, FRAME_BASE, base, layer, view, 1, rows, scratch, err));
    const row_match_options options = {
        .cosine_min = THRESHOLD_ROWS_ALIKE, .nearness = THRESHOLD_ROW_NEARNESS, .keep_mean = true};
    for (size_t i = 0; i < count; i++) {
        uint32_t partners[PROBE_ROWS];
        row_match_count found;
        if (probes[i].row_count == 0) {
            continue;
        }
        WEIR_TRY(row_match_find(partners, NULL, &found, probes[i].rows, probes[i].row_count, theirs,
                                rows, frame->cols, &options, err));
        take_hits(&probes[i], layer->number, found.telling + found.near);
    }
    return WEIR_OK;
}

static size_t settle(probe *probes, size_t count) {
    size_t settled = 0;
    for (size_t i = 0; i < count; i++) {
        const probe *of = &probes[i];
        if (2 * of->hits > of->row_count && of->hits >= 2 * of->next_hits) {
            of->pair->base = of->best;
            of->pair->link = LAYER_LINK_NEAR;
            settled++;
        }
    }
    return settled;
}

static void release_probes(probe **probes) {
    for (size_t i = 0; *probes && i < PROBED_MAX; i++) {
        free((*probes)[i].rows);
    }
    free(*probes);
}

static inline void release_probes_cleanup(probe **probes) {
    release_probes(probes);
}

/* Look for at most `most` of the unlinked layers, those from *at on. */
static weir_code probe_some(size_t *settled, size_t *at, size_t most, layer_map *map,
                            const layer_list *base, const weir_model *model,
                            const residual_frame *frame, weir_error *err) {
    WEIR_CLEANUP(view_scratch_release) view_scratch scratch = {0};
    WEIR_CLEANUP(release_probes) probe *probes = calloc(PROBED_MAX, sizeof *probes);
    if (!probes) {
        return weir_fail_nomem(err);
    }
    size_t count = 0;
    for (; *at < map->count && count < most; (*at)++) {
        if (is_unlinked(&map->pairs[*at])) {
            WEIR_TRY(make_probe(&probes[count++], &map->pairs[*at], model, frame, &scratch, err));
        }
    }
    for (size_t j = 0; count > 0 && j < base->count; j++) {
        WEIR_TRY(probe_layer(probes, count, base->model, &base->items[j], frame, &scratch, err));
    }
    *settled = settle(probes, count);
    return WEIR_OK;
}

weir_code layer_map_by_units(layer_map *map, arena *memory, const weir_model *base,
                             const weir_model *model, const residual_frame *frame,
                             weir_error *err) {
    WEIR_CLEANUP(layer_list_release) layer_list layers = {0};
    size_t unlinked = 0;
    for (size_t i = 0; i < map->count; i++) {
        unlinked += is_unlinked(&map->pairs[i]);
    }
    if (unlinked == 0 || frame->cols == 0) {
        return WEIR_OK;
    }
    WEIR_TRY(layer_list_make(&layers, base, err));
    if (layers.count > LAYER_SEARCH_MAX) {
        return WEIR_OK;
    }
    size_t at = 0;
    size_t settled;
    WEIR_TRY(probe_some(&settled, &at, PROBED_FIRST, map, &layers, model, frame, err));
    if (settled > 0) {
        WEIR_TRY(probe_some(&settled, &at, PROBED_MAX, map, &layers, model, frame, err));
    }
    return layer_map_count(map, memory, base, err);
}
