/* SPDX-License-Identifier: Apache-2.0 */
/*
 * How well the numbers bear out what was found. A class is proved when every shared number of the
 * tensors that it concerns is the base's, bit for bit or re-derived; else it stands on the rows
 * that were alike, which is strong. Layers that only their number puts in place say nothing.
 */
#include <math.h>
#include <string.h>

#include "base/fail.h"
#include "delta/rotation_check.h"
#include "delta/structure.h"
#include "delta/thresholds.h"

static void add_pair(structure_proof *of, const tensor_delta *row) {
    of->tensors++;
    of->explained += tensor_delta_is_explained(row);
    of->elements += row->stats.count;
    of->unchanged += row->stats.equal;
}

static void grade(structure_proof *of, bool is_found) {
    if (is_found) {
        of->grade =
            of->tensors > 0 && of->explained == of->tensors ? WEIR_GRADE_PROVED : WEIR_GRADE_STRONG;
    }
}

/* --- which classes there are --- */

static bool has_linked_layers(const layer_map *layers) {
    return layers->count > 0 &&
           (double)layers->linked >= THRESHOLD_MATCHED_SHARE * (double)layers->count;
}

static bool is_depth_changed(const layer_map *layers) {
    return has_linked_layers(layers) && (layers->dropped_count > 0 || layers->added > 0 ||
                                         (layers->is_reordered && layers->duplicated == 0));
}

static bool is_narrowed(const axis_map *map) {
    return map->shared != map->base_count || map->shared != map->model_count;
}

static bool is_permuted(const axis_map *map) {
    return map->is_reordered || map->mirrored > 0;
}

static void note_axis(structure_finding *found, const layer_axis *axis) {
    const axis_map *map = &axis->map;
    const bool is_units = axis->kind == LAYER_AXIS_UNITS;
    found->permuted_units = found->permuted_units || (is_units && is_permuted(map));
    found->permuted_heads = found->permuted_heads || (!is_units && is_permuted(map));
    if (!is_narrowed(map)) {
        return;
    }
    uint64_t *from = is_units                         ? &found->units_from
                     : axis->kind == LAYER_AXIS_HEADS ? &found->heads_from
                                                      : &found->kv_heads_from;
    uint64_t *to = is_units                         ? &found->units_to
                   : axis->kind == LAYER_AXIS_HEADS ? &found->heads_to
                                                    : &found->kv_heads_to;
    found->width_units = found->width_units || is_units;
    found->width_heads = found->width_heads || !is_units;
    if (*from == 0) {
        *from = map->base_count;
        *to = map->model_count;
    }
}

static void note_axes(structure_finding *found) {
    for (size_t i = 0; i < found->axis_count; i++) {
        note_axis(found, &found->axes[i]);
    }
    if (found->has_channels) {
        found->width_channels = is_narrowed(&found->channels);
        found->permuted_channels = is_permuted(&found->channels);
    }
}

static uint64_t at_or_same(const uint32_t *list, uint64_t i) {
    return list ? list[i] : i;
}

/* Each head of q must still use the head of k that it used in the base; `kv` NULL: k was not moved.
 */
static bool heads_fit_groups(const layer_axis *q, const layer_axis *kv) {
    const axis_map *map = &q->map;
    if (q->base_groups == 0 || q->model_groups == 0 || (kv && kv->map.model)) {
        return false;
    }
    const uint64_t each_base = map->base_count / q->base_groups;
    const uint64_t each_model = map->model_count / q->model_groups;
    for (uint64_t i = 0; i < map->shared; i++) {
        const uint64_t group = each_model ? at_or_same(map->model, i) / each_model : 0;
        if (each_base == 0 || (kv && group >= kv->map.shared) ||
            (kv ? at_or_same(kv->map.base, group) : group) !=
                at_or_same(map->base, i) / each_base) {
            return false;
        }
    }
    return true;
}

static bool heads_fit(const structure_finding *found) {
    for (size_t i = 0; i < found->axis_count; i++) {
        const layer_axis *axis = &found->axes[i];
        const layer_axis *next = i + 1 < found->axis_count ? axis + 1 : NULL;
        const bool has_kv = next && next->layer == axis->layer && next->kind == LAYER_AXIS_KV_HEADS;
        const bool is_alone =
            axis->kind == LAYER_AXIS_KV_HEADS &&
            (i == 0 || axis[-1].layer != axis->layer || axis[-1].kind != LAYER_AXIS_HEADS);
        if (is_alone ||
            (axis->kind == LAYER_AXIS_HEADS && !heads_fit_groups(axis, has_kv ? next : NULL))) {
            return false;
        }
    }
    return true;
}

/* --- which pairs bear on which class --- */

static bool is_expert_role(weir_role role) {
    return role == WEIR_ROLE_EXPERT_GATE || role == WEIR_ROLE_EXPERT_UP ||
           role == WEIR_ROLE_EXPERT_DOWN || role == WEIR_ROLE_GATE || role == WEIR_ROLE_UP ||
           role == WEIR_ROLE_DOWN;
}

static bool has_experts(const structure_finding *found, int32_t layer) {
    for (size_t i = 0; i < found->expert_count; i++) {
        if (found->experts[i].layer == layer) {
            return true;
        }
    }
    return false;
}

static bool is_in_linked_layer(const structure_finding *found, const weir_tensor *tensor) {
    const layer_pair *pair =
        tensor->layer >= 0 ? layer_map_get(&found->layers, tensor->layer) : NULL;
    return pair && (pair->link == LAYER_LINK_EQUAL || pair->link == LAYER_LINK_NEAR);
}

static bool is_word_role(weir_role role) {
    return role == WEIR_ROLE_EMBEDDING || role == WEIR_ROLE_HEAD;
}

static void take_pair(structure_finding *found, const weir_diff *diff, const tensor_delta *row) {
    const weir_tensor *tensor = tensor_delta_shown(diff, row);
    if (is_in_linked_layer(found, tensor)) {
        add_pair(&found->depth, row);
        add_pair(&found->duplicated, row);
        if (is_expert_role(tensor->role) && has_experts(found, tensor->layer)) {
            add_pair(&found->experts_changed, row);
        }
    }
    if (is_word_role(tensor->role) && row->map) {
        add_pair(&found->vocab, row);
    }
    const bool is_by_words_only = is_word_role(tensor->role) && !found->has_channels;
    if (row->map && !is_by_words_only) {
        add_pair(&found->width, row);
        add_pair(&found->permuted, row);
    }
}

static void grade_rotation(structure_finding *found) {
    const rotation *turn = &found->turn;
    if (!turn->is_found) {
        return;
    }
    found->rotated.tensors = turn->matrices;
    found->rotated.explained = turn->matrices_equal;
    /* The basis is an estimate, so that even agreement everywhere is no replay. */
    found->rotated.grade = turn->matrices > 0 && turn->cosine >= THRESHOLD_ROWS_CLOSE
                               ? WEIR_GRADE_STRONG
                               : WEIR_GRADE_WEAK;
}

bool structure_shows_copies(const structure_finding *found) {
    if (!found || found->layers.base_repeats) {
        return false;
    }
    bool is_upcycled = found->experts_changed.grade == WEIR_GRADE_PROVED;
    for (size_t i = 0; i < found->expert_count; i++) {
        is_upcycled = is_upcycled && found->experts[i].is_upcycled && found->experts[i].kept > 1;
    }
    return found->duplicated.grade == WEIR_GRADE_PROVED || is_upcycled;
}

weir_code structure_grade(weir_diff *diff, weir_error *err) {
    structure_finding *found = diff->structure;
    if (!found) {
        return WEIR_OK;
    }
    WEIR_TRY(rotation_check(diff, err));
    note_axes(found);
    for (size_t i = 0; i < diff->tensor_count; i++) {
        if (tensor_delta_is_paired(&diff->tensors[i])) {
            take_pair(found, diff, &diff->tensors[i]);
        }
    }
    grade(&found->depth, is_depth_changed(&found->layers));
    grade(&found->duplicated, has_linked_layers(&found->layers) && found->layers.duplicated > 0);
    grade(&found->vocab, found->vocabulary.is_found);
    grade(&found->width, found->width_units || found->width_heads || found->width_channels);
    grade(&found->permuted,
          found->permuted_units || found->permuted_heads || found->permuted_channels);
    grade(&found->experts_changed, found->expert_count > 0);
    grade_rotation(found);
    found->is_function_preserving = found->permuted.grade == WEIR_GRADE_PROVED &&
                                    heads_fit(found) && !found->width_units &&
                                    !found->width_heads && !found->width_channels;
    return WEIR_OK;
}
