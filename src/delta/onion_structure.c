/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The layers of the onion that say where things stand: layers, words, widths, orders, experts.
 */
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "base/fail.h"
#include "delta/onion.h"
#include "delta/structure.h"

static weir_code keep(const char **out, weir_diff *diff, const char *text, weir_error *err) {
    *out = arena_copy_text(&diff->memory, text, strlen(text));
    return *out ? WEIR_OK : weir_fail_nomem(err);
}

static diff_change change_of(weir_change_class class, const structure_proof *proof) {
    diff_change found = onion_change(class, proof->grade);
    found.tensors = proof->tensors;
    found.tensors_of = proof->tensors;
    found.rederived = proof->explained;
    found.elements = proof->elements;
    return found;
}

static weir_code add_layers(weir_diff *diff, weir_change_class class, const structure_proof *proof,
                            weir_error *err) {
    const layer_map *layers = &diff->structure->layers;
    if (proof->grade == WEIR_GRADE_UNKNOWN) {
        return WEIR_OK;
    }
    diff_change found = change_of(class, proof);
    int32_t *map = arena_alloc(&diff->memory, layers->count + 1, sizeof *map);
    if (!map) {
        return weir_fail_nomem(err);
    }
    for (size_t i = 0; i < layers->count; i++) {
        map[i] = layers->pairs[i].base;
    }
    found.map = map;
    found.map_count = layers->count;
    char detail[160];
    (void)snprintf(detail, sizeof detail,
                   "The base has %zu layers, the model %zu; %zu were left out, %zu added",
                   layers->base_count, layers->count, layers->dropped_count, layers->added);
    return onion_add_detailed(diff, found, detail, err);
}

/* New rows of the embedding, as they are and not as what they might mean. */
static void describe_new_rows(char *out, size_t size, const vocabulary_map *words) {
    if (words->new_rows == 0) {
        out[0] = '\0';
    } else if (words->new_zero == words->new_rows) {
        (void)snprintf(out, size, "The new rows are zero");
    } else {
        (void)snprintf(
            out, size,
            "The new rows have %.2g times the norm of the old ones, and a cosine of %.2f "
            "to their mean (the old ones: %.2f)",
            words->new_norm, words->new_mean_cosine, words->old_mean_cosine);
    }
}

static weir_code add_vocabulary(weir_diff *diff, weir_error *err) {
    const structure_finding *structure = diff->structure;
    if (structure->vocab.grade == WEIR_GRADE_UNKNOWN) {
        return WEIR_OK;
    }
    const vocabulary_map *words = &structure->vocabulary;
    diff_change found = change_of(WEIR_CHANGE_VOCABULARY, &structure->vocab);
    found.added = words->added;
    found.removed = words->removed;
    found.moved = words->moved;
    char detail[200];
    describe_new_rows(detail, sizeof detail, words);
    return detail[0] ? onion_add_detailed(diff, found, detail, err) : onion_add(diff, &found, err);
}

static void list_width(char *out, size_t size, const char *what, uint64_t from, uint64_t to) {
    const size_t len = strlen(out);
    (void)snprintf(out + len, size - len, "%s%s %" PRIu64 " to %" PRIu64, len ? ", " : "", what,
                   from, to);
}

static weir_code add_width(weir_diff *diff, weir_error *err) {
    const structure_finding *structure = diff->structure;
    if (structure->width.grade == WEIR_GRADE_UNKNOWN) {
        return WEIR_OK;
    }
    char axes[200] = "";
    if (structure->width_channels) {
        list_width(axes, sizeof axes, "channels", structure->channels.base_count,
                   structure->channels.model_count);
    }
    if (structure->width_units) {
        list_width(axes, sizeof axes, "units", structure->units_from, structure->units_to);
    }
    if (structure->width_heads) {
        list_width(axes, sizeof axes, "heads", structure->heads_from, structure->heads_to);
    }
    diff_change found = change_of(WEIR_CHANGE_WIDTH, &structure->width);
    WEIR_TRY(keep(&found.axes, diff, axes, err));
    return onion_add(diff, &found, err);
}

static weir_code add_orders(weir_diff *diff, weir_error *err) {
    const structure_finding *structure = diff->structure;
    if (structure->permuted.grade != WEIR_GRADE_UNKNOWN) {
        char axes[64] = "";
        const struct {
            const char *name;
            bool is_there;
        } names[] = {{"channels", structure->permuted_channels},
                     {"units", structure->permuted_units},
                     {"heads", structure->permuted_heads}};
        for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
            const size_t len = strlen(axes);
            if (names[i].is_there) {
                (void)snprintf(axes + len, sizeof axes - len, "%s%s", len ? ", " : "",
                               names[i].name);
            }
        }
        diff_change found = change_of(WEIR_CHANGE_PERMUTED, &structure->permuted);
        found.is_function_preserving = structure->is_function_preserving;
        WEIR_TRY(keep(&found.axes, diff, axes, err));
        WEIR_TRY(onion_add(diff, &found, err));
    }
    if (structure->rotated.grade != WEIR_GRADE_UNKNOWN) {
        const rotation *turn = &structure->turn;
        diff_change found = change_of(WEIR_CHANGE_ROTATED, &structure->rotated);
        found.axes = "residual";
        found.is_function_preserving = turn->matrices_equal == turn->matrices;
        char detail[160];
        (void)snprintf(detail, sizeof detail,
                       "Turned back, %zu of %zu matrices hold the base's numbers up to rounding",
                       turn->matrices_equal, turn->matrices);
        WEIR_TRY(onion_add_detailed(diff, found, detail, err));
    }
    return WEIR_OK;
}

/* Experts that are not the base's of the same number, in any layer. */
static weir_code list_experts(diff_change *out, weir_diff *diff, weir_error *err) {
    const structure_finding *structure = diff->structure;
    size_t most = 0;
    for (size_t i = 0; i < structure->expert_count; i++) {
        most += structure->experts[i].count;
    }
    int32_t *experts = arena_alloc(&diff->memory, most + 1, sizeof *experts);
    if (!experts) {
        return weir_fail_nomem(err);
    }
    size_t count = 0;
    for (size_t i = 0; i < structure->expert_count; i++) {
        const expert_map *map = &structure->experts[i];
        for (size_t j = 0; j < map->count; j++) {
            if (map->pairs[j].model >= 0 && map->pairs[j].model != map->pairs[j].base) {
                experts[count++] = map->pairs[j].model;
            }
        }
    }
    out->experts = experts;
    out->expert_count = onion_sort_distinct(experts, count);
    return WEIR_OK;
}

static weir_code add_experts(weir_diff *diff, weir_error *err) {
    const structure_finding *structure = diff->structure;
    if (structure->experts_changed.grade == WEIR_GRADE_UNKNOWN) {
        return WEIR_OK;
    }
    diff_change found = change_of(WEIR_CHANGE_EXPERTS, &structure->experts_changed);
    WEIR_TRY(list_experts(&found, diff, err));
    bool is_upcycled = structure->expert_count > 0;
    for (size_t i = 0; i < structure->expert_count; i++) {
        is_upcycled = is_upcycled && structure->experts[i].is_upcycled;
    }
    found.detail = is_upcycled ? "Upcycled: every expert is the base's dense feed-forward" : NULL;
    for (size_t i = 0; i < diff->tensor_count; i++) {
        const tensor_delta *row = &diff->tensors[i];
        const bool is_router = tensor_delta_shown(diff, row)->role == WEIR_ROLE_ROUTER;
        found.is_router_changed =
            found.is_router_changed ||
            (is_router && (!tensor_delta_is_paired(row) || !tensor_delta_is_explained(row)));
    }
    return onion_add(diff, &found, err);
}

weir_code onion_add_structure(weir_diff *diff, weir_error *err) {
    if (!diff->structure) {
        return WEIR_OK;
    }
    WEIR_TRY(add_layers(diff, WEIR_CHANGE_LAYERS_DUPLICATED, &diff->structure->duplicated, err));
    WEIR_TRY(add_layers(diff, WEIR_CHANGE_DEPTH, &diff->structure->depth, err));
    WEIR_TRY(add_width(diff, err));
    WEIR_TRY(add_vocabulary(diff, err));
    WEIR_TRY(add_orders(diff, err));
    return add_experts(diff, err);
}
