/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The order of the search: tokens, then the residual channels or basis that their embeddings show,
 * then layers, then within each layer experts, units and heads. Each step reads rows through what
 * the steps before it found.
 */
#include "delta/structure.h"

#include <math.h>
#include <string.h>

#include "base/cancel.h"
#include "base/checked.h"
#include "base/fail.h"
#include "base/text.h"
#include "delta/layer_units.h"
#include "delta/thresholds.h"
#include "delta/width_map.h"

enum {
    TOKENS_MIN = 32,
    FAILURES_MAX = 2, /* places that were searched in vain before the others are left alone */
    ROTATION_TOKEN_ELEMENTS = 1 << 25,
};

typedef struct structure_search {
    weir_diff *diff;
    structure_finding *found;
    residual_frame frame;
    bool is_stream_known; /* the frame is more than a guess */
    view_scratch scratch;
    const weir_callbacks *callbacks;
    size_t failures;
    size_t successes;
} structure_search;

static void release_search(structure_search *run) {
    view_scratch_release(&run->scratch);
}

static inline void release_search_cleanup(structure_search *run) {
    release_search(run);
}

/* --- the residual stream --- */

/* Columns of the embeddings as channels; and whether a turned basis is possible at all. */
static weir_code find_channels(structure_search *run, bool *is_found, bool *may_be_turned,
                               weir_error *err) {
    structure_finding *found = run->found;
    WEIR_CLEANUP(free) float *base = NULL;
    WEIR_CLEANUP(free) float *model = NULL;
    size_t tokens;
    WEIR_TRY(width_read_tokens(&base, &model, &tokens, run->diff->base, run->diff->model,
                               &found->vocabulary, WIDTH_TOKENS, err));
    *is_found = false;
    *may_be_turned = false;
    if (tokens < TOKENS_MIN) {
        return WEIR_OK;
    }
    const size_t hidden = (size_t)run->frame.base_hidden;
    WEIR_TRY(width_map_channels(&found->channels, is_found, &run->diff->memory, base, hidden, model,
                                (size_t)run->frame.model_hidden, tokens, err));
    found->has_channels = *is_found && !axis_map_is_same(&found->channels);
    if (*is_found) {
        frame_of_map(&run->frame, &found->channels);
    } else if (run->frame.base_hidden == run->frame.model_hidden) {
        double likeness;
        WEIR_TRY(rotation_likeness(&likeness, base, model, tokens, hidden, err));
        *may_be_turned = likeness >= THRESHOLD_ROWS_CLOSE;
    }
    return WEIR_OK;
}

static weir_code find_rotation(structure_search *run, weir_error *err) {
    structure_finding *found = run->found;
    const size_t hidden = (size_t)run->frame.base_hidden;
    WEIR_CLEANUP(free) float *base = NULL;
    WEIR_CLEANUP(free) float *model = NULL;
    size_t tokens;
    const size_t wanted = 2 * hidden > 2048 ? 2 * hidden : 2048;
    const size_t fitting = ROTATION_TOKEN_ELEMENTS / hidden;
    WEIR_TRY(width_read_tokens(&base, &model, &tokens, run->diff->base, run->diff->model,
                               &found->vocabulary, wanted < fitting ? wanted : fitting, err));
    if (tokens == 0) {
        return WEIR_OK;
    }
    WEIR_TRY(rotation_find(&found->turn, &run->diff->memory, base, model, tokens, hidden, err));
    return found->turn.is_found
               ? frame_of_rotation(&run->frame, &run->diff->memory, &found->turn, err)
               : WEIR_OK;
}

/* Whether embeddings are there, and are not alike as they stand. */
static bool is_stream_unclear(const structure_search *run) {
    const vocabulary_map *words = &run->found->vocabulary;
    const bool is_wider = run->frame.base_hidden != run->frame.model_hidden;
    return words->rows.shared > 0 && (is_wider || !(words->agreement >= THRESHOLD_ROWS_ALIKE));
}

static weir_code find_stream(structure_search *run, weir_error *err) {
    vocabulary_map *words = &run->found->vocabulary;
    WEIR_TRY(
        vocabulary_map_find(words, &run->diff->memory, run->diff->base, run->diff->model, err));
    frame_of_index(&run->frame, frame_hidden(run->diff->base), frame_hidden(run->diff->model));
    if (!is_stream_unclear(run)) {
        run->is_stream_known = true;
        return WEIR_OK;
    }
    bool has_channels;
    bool may_be_turned;
    WEIR_TRY(find_channels(run, &has_channels, &may_be_turned, err));
    if (may_be_turned) {
        WEIR_TRY(find_rotation(run, err));
    }
    run->is_stream_known = has_channels || run->found->turn.is_found;
    /* A map of rows that no number bears out is none. */
    words->is_found = words->is_found && run->is_stream_known;
    return WEIR_OK;
}

/* --- units and heads of one layer --- */

static weir_code add_axis(structure_search *run, const layer_axis *what, weir_error *err) {
    structure_finding *found = run->found;
    void *items = found->axes;
    if (!checked_grow(&items, &found->axis_capacity, found->axis_count, sizeof *found->axes)) {
        return weir_fail_nomem(err);
    }
    found->axes = items;
    found->axes[found->axis_count++] = *what;
    return WEIR_OK;
}

static bool is_given_up(const structure_search *run) {
    return run->successes == 0 && run->failures >= FAILURES_MAX;
}

static weir_code find_units(structure_search *run, const width_place *at, int32_t expert,
                            const width_units *units, bool *is_found, weir_error *err) {
    bool is_alike;
    *is_found = false;
    if (!units->base_up || !units->model_up) {
        return WEIR_OK;
    }
    WEIR_TRY(width_units_alike(&is_alike, at, units, err));
    if (is_alike || is_given_up(run)) {
        return WEIR_OK;
    }
    layer_axis axis = {
        .layer = at->model_layer->number, .expert = expert, .kind = LAYER_AXIS_UNITS};
    WEIR_TRY(width_map_units(&axis.map, is_found, at, units, err));
    run->successes += *is_found;
    run->failures += !*is_found;
    axis.rows = axis.map;
    return *is_found && !axis_map_is_same(&axis.map) ? add_axis(run, &axis, err) : WEIR_OK;
}

static width_heads heads_of(const weir_diff *diff) {
    const hyperparameters *base = &model_checkpoint(diff->base)->shape;
    const hyperparameters *model = &model_checkpoint(diff->model)->shape;
    return (width_heads){.base_heads = base->heads,
                         .base_kv_heads = base->kv_heads,
                         .model_heads = model->heads,
                         .model_kv_heads = model->kv_heads,
                         .head_dim = base->head_dim == model->head_dim ? base->head_dim : 0};
}

static weir_code find_heads(structure_search *run, const width_place *at, bool *is_found,
                            weir_error *err) {
    const width_heads heads = heads_of(run->diff);
    bool is_alike;
    *is_found = false;
    WEIR_TRY(width_heads_alike(&is_alike, at, &heads, err));
    if (is_alike || is_given_up(run)) {
        return WEIR_OK;
    }
    layer_axis q = {.layer = at->model_layer->number,
                    .expert = FEED_FORWARD_OWN,
                    .kind = LAYER_AXIS_HEADS,
                    .base_groups = heads.base_kv_heads,
                    .model_groups = heads.model_kv_heads};
    layer_axis kv = {
        .layer = at->model_layer->number, .expert = FEED_FORWARD_OWN, .kind = LAYER_AXIS_KV_HEADS};
    WEIR_TRY(width_map_heads(&q.map, &kv.map, is_found, at, &heads, err));
    run->successes += *is_found;
    run->failures += !*is_found;
    if (!*is_found) {
        return WEIR_OK;
    }
    arena *memory = &run->diff->memory;
    WEIR_TRY(axis_map_spread(&q.rows, memory, &q.map, (size_t)heads.head_dim, err));
    WEIR_TRY(axis_map_spread(&kv.rows, memory, &kv.map, (size_t)heads.head_dim, err));
    if (!axis_map_is_same(&q.map)) {
        WEIR_TRY(add_axis(run, &q, err));
    }
    return axis_map_is_same(&kv.map) ? WEIR_OK : add_axis(run, &kv, err);
}

/* --- experts --- */

static weir_code add_experts(structure_search *run, const expert_map *what, weir_error *err) {
    structure_finding *found = run->found;
    void *items = found->experts;
    if (!checked_grow(&items, &found->expert_capacity, found->expert_count,
                      sizeof *found->experts)) {
        return weir_fail_nomem(err);
    }
    found->experts = items;
    found->experts[found->expert_count++] = *what;
    return WEIR_OK;
}

/* The feed-forward of one side: of an expert, or the layer's own. */
static void take_parts(const tensor_view **up, const tensor_view **gate, const weir_model *model,
                       const layer_views *layer, int32_t expert) {
    const bool is_expert = expert >= 0;
    *up = layer_view(model, layer, is_expert ? WEIR_ROLE_EXPERT_UP : WEIR_ROLE_UP, expert);
    *gate = layer_view(model, layer, is_expert ? WEIR_ROLE_EXPERT_GATE : WEIR_ROLE_GATE, expert);
}

static weir_code find_feed_forwards(structure_search *run, const width_place *at,
                                    const layer_pair *pair, bool *is_linked, weir_error *err) {
    expert_map experts;
    WEIR_TRY(expert_map_find(&experts, &run->diff->memory, at->base, at->base_layer->number,
                             at->model, at->model_layer->number, at->frame, err));
    /* Experts beside a feed-forward of a stranger are no change of it. */
    const bool has_link = pair->link == LAYER_LINK_EQUAL || pair->link == LAYER_LINK_NEAR;
    if (!experts.is_same && (has_link || experts.alike > 0)) {
        WEIR_TRY(add_experts(run, &experts, err));
    }
    for (size_t i = 0; i < experts.count; i++) {
        const expert_pair *expert = &experts.pairs[i];
        width_units units = {0};
        bool is_found;
        if (expert->base == EXPERT_NONE) {
            continue;
        }
        take_parts(&units.base_up, &units.base_gate, at->base, at->base_layer, expert->base);
        take_parts(&units.model_up, &units.model_gate, at->model, at->model_layer, expert->model);
        WEIR_TRY(find_units(run, at, expert->model, &units, &is_found, err));
        *is_linked = *is_linked || is_found;
    }
    return WEIR_OK;
}

static weir_code find_in_layer(structure_search *run, layer_pair *pair, weir_error *err) {
    weir_diff *diff = run->diff;
    layer_views base;
    layer_views model;
    if (is_cancelled(run->callbacks)) {
        return weir_fail(err, WEIR_ERR_CANCELLED, NULL, NULL, NULL, "cancelled");
    }
    if (pair->base == LAYER_NONE || !layer_views_find(&base, diff->base, pair->base) ||
        !layer_views_find(&model, diff->model, pair->model)) {
        return WEIR_OK;
    }
    const width_place at = {.memory = &diff->memory,
                            .frame = &run->frame,
                            .base = diff->base,
                            .model = diff->model,
                            .base_layer = &base,
                            .model_layer = &model,
                            .scratch = &run->scratch};
    bool has_units = false;
    bool has_heads = false;
    WEIR_TRY(find_feed_forwards(run, &at, pair, &has_units, err));
    WEIR_TRY(find_heads(run, &at, &has_heads, err));
    if (pair->link == LAYER_LINK_INDEX && (has_units || has_heads)) {
        pair->link = LAYER_LINK_NEAR;
    }
    return WEIR_OK;
}

static int by_place(const void *left, const void *right) {
    const layer_axis *a = left;
    const layer_axis *b = right;
    if (a->layer != b->layer) {
        return a->layer < b->layer ? -1 : 1;
    }
    if (a->expert != b->expert) {
        return a->expert < b->expert ? -1 : 1;
    }
    return (a->kind > b->kind) - (a->kind < b->kind);
}

static void note_plainness(structure_finding *found) {
    found->is_plain = found->layers.is_same && !found->vocabulary.is_found &&
                      !found->has_channels && !found->turn.is_found && found->axis_count == 0 &&
                      found->expert_count == 0;
}

weir_code diff_structure(weir_diff *diff, const weir_diff_options *options, weir_error *err) {
    structure_finding *found = arena_alloc(&diff->memory, 1, sizeof *found);
    if (!found) {
        return weir_fail_nomem(err);
    }
    diff->structure = found;
    WEIR_CLEANUP(release_search)
    structure_search run = {.diff = diff, .found = found, .callbacks = options->callbacks};
    WEIR_TRY(find_stream(&run, err));
    WEIR_TRY(
        layer_map_find(&found->layers, &diff->memory, diff->base, diff->model, &run.frame, err));
    if (run.is_stream_known) {
        WEIR_TRY(layer_map_by_units(&found->layers, &diff->memory, diff->base, diff->model,
                                    &run.frame, err));
    }
    for (size_t i = 0; i < found->layers.count; i++) {
        WEIR_TRY(find_in_layer(&run, &found->layers.pairs[i], err));
    }
    WEIR_TRY(layer_map_count(&found->layers, &diff->memory, diff->base, err));
    if (found->axis_count > 0) {
        qsort(found->axes, found->axis_count, sizeof *found->axes, by_place);
    }
    note_plainness(found);
    return WEIR_OK;
}

void structure_release(structure_finding *found) {
    if (found) {
        free(found->axes);
        free(found->experts);
    }
}
