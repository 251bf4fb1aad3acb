/* SPDX-License-Identifier: Apache-2.0 */
#include "delta/axis_map.h"

#include "base/fail.h"

typedef struct axis_lists {
    uint32_t *base;
    uint32_t *model;
    int8_t *signs;
} axis_lists;

static weir_code make_lists(axis_lists *out, arena *memory, size_t count, weir_error *err) {
    out->base = arena_alloc(memory, count + 1, sizeof *out->base);
    out->model = arena_alloc(memory, count + 1, sizeof *out->model);
    out->signs = arena_alloc(memory, count + 1, sizeof *out->signs);
    return out->base && out->model && out->signs ? WEIR_OK : weir_fail_nomem(err);
}

/* Leave out the lists that say nothing, and count. */
static void finish_map(axis_map *out, const axis_lists *lists) {
    bool is_base_plain = true;
    bool is_model_plain = true;
    for (uint64_t i = 0; i < out->shared; i++) {
        is_base_plain = is_base_plain && lists->base[i] == i;
        is_model_plain = is_model_plain && lists->model[i] == i;
        out->moved += lists->base[i] != lists->model[i];
        out->mirrored += lists->signs[i] < 0;
        out->is_reordered = out->is_reordered || (i > 0 && lists->base[i] < lists->base[i - 1]);
    }
    out->base = is_base_plain ? NULL : lists->base;
    out->model = is_model_plain ? NULL : lists->model;
    out->signs = out->mirrored ? lists->signs : NULL;
}

weir_code axis_map_build(axis_map *out, arena *memory, const uint32_t *partners,
                         const int8_t *signs, size_t model_count, size_t base_count,
                         weir_error *err) {
    axis_lists lists;
    WEIR_TRY(make_lists(&lists, memory, model_count, err));
    *out = (axis_map){.base_count = base_count, .model_count = model_count};
    for (size_t i = 0; i < model_count; i++) {
        if (partners[i] != AXIS_NONE && partners[i] < base_count) {
            lists.base[out->shared] = partners[i];
            lists.model[out->shared] = (uint32_t)i;
            lists.signs[out->shared++] = signs ? signs[i] : 1;
        }
    }
    finish_map(out, &lists);
    return WEIR_OK;
}

weir_code axis_map_spread(axis_map *out, arena *memory, const axis_map *of, size_t each,
                          weir_error *err) {
    axis_lists lists;
    WEIR_TRY(make_lists(&lists, memory, of->shared * each, err));
    *out = (axis_map){.base_count = of->base_count * each,
                      .model_count = of->model_count * each,
                      .shared = of->shared * each,
                      .equal = of->equal * each};
    for (uint64_t i = 0; i < of->shared; i++) {
        for (size_t j = 0; j < each; j++) {
            const uint64_t base = of->base ? of->base[i] : i;
            const uint64_t model = of->model ? of->model[i] : i;
            lists.base[i * each + j] = (uint32_t)(base * each + j);
            lists.model[i * each + j] = (uint32_t)(model * each + j);
            lists.signs[i * each + j] = of->signs ? of->signs[i] : 1;
        }
    }
    finish_map(out, &lists);
    return WEIR_OK;
}

bool axis_map_is_same(const axis_map *map) {
    return map->base_count == map->model_count && map->shared == map->model_count && !map->base &&
           !map->model && !map->signs;
}
