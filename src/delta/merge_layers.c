/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Models put together from whole layers of several, perhaps at other places: every tensor of the
 * model is looked for among the tensors of the base and of all parents that play the same part, by
 * a few numbers as the model's dtype holds them. Tensors of one layer come from one source where
 * they can. Each find is then compared number by number.
 */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/cancel.h"
#include "base/checked.h"
#include "base/fail.h"
#include "delta/measure.h"
#include "delta/merge_run.h"
#include "kernel/convert.h"

enum { GLIMPSE = 64, CHUNK = 1 << 15, PAIRS_MAX = 1 << 28 };

/* Some numbers of one tensor. */
typedef struct glimpse {
    ptrdiff_t parent; /* VIEW_NONE: the base */
    const tensor_view *view;
    size_t count;
    float numbers[GLIMPSE];
} glimpse;

typedef struct catalogue {
    glimpse *items;
    size_t count;
    view_scratch scratch;
    float *row;
} catalogue;

static void catalogue_release_cleanup(catalogue *list) {
    free(list->items);
    free(list->row);
    view_scratch_release(&list->scratch);
}

static bool is_readable(const tensor_view *view) {
    return convert_can_read(view->base.dtype) && view->base.rows > 0 && view->base.cols > 0 &&
           view->base.cols <= ROW_ELEMENTS_MAX;
}

/* The beginning of the row in the middle. */
static weir_code glance(glimpse *out, catalogue *list, const tensor_view *view, weir_error *err) {
    const size_t cols = (size_t)view->base.cols;
    WEIR_TRY(tensor_view_read(view, view->base.rows / 2, 1, list->row, &list->scratch, err));
    out->view = view;
    out->count = cols < GLIMPSE ? cols : GLIMPSE;
    memcpy(out->numbers, list->row, out->count * sizeof *out->numbers);
    return WEIR_OK;
}

static weir_code add_model(catalogue *list, const weir_model *model, ptrdiff_t parent,
                           weir_error *err) {
    for (size_t i = 0; i < weir_model_tensor_count(model); i++) {
        const tensor_view *view = model_view(model, i);
        if (is_readable(view)) {
            list->items[list->count].parent = parent;
            WEIR_TRY(glance(&list->items[list->count], list, view, err));
            list->count++;
        }
    }
    return WEIR_OK;
}

static weir_code make_catalogue(catalogue *list, const merge_run *run, weir_error *err) {
    size_t most = weir_model_tensor_count(run->diff->base);
    for (size_t j = 0; j < run->asked_count; j++) {
        most += weir_model_tensor_count(run->diff->parents[run->asked[j]].model);
    }
    list->items = checked_alloc(most + 1, sizeof *list->items);
    list->row = checked_alloc(ROW_ELEMENTS_MAX, sizeof *list->row);
    if (!list->items || !list->row) {
        return weir_fail_nomem(err);
    }
    for (size_t j = 0; j < run->asked_count; j++) {
        WEIR_TRY(add_model(list, run->diff->parents[run->asked[j]].model, run->asked[j], err));
    }
    return add_model(list, run->diff->base, VIEW_NONE, err);
}

static bool plays_same_part(const weir_tensor *a, const weir_tensor *b) {
    return a->role == b->role && a->is_bias == b->is_bias && a->expert == b->expert &&
           a->rows == b->rows && a->cols == b->cols && (a->layer < 0) == (b->layer < 0) &&
           (a->role != WEIR_ROLE_UNKNOWN || strcmp(a->name, b->name) == 0);
}

/* `values` as a dtype holds them; whole blocks only. */
static void store(float *values, weir_dtype dtype, size_t count, unsigned char *stored) {
    if (dtype != WEIR_DTYPE_F32 && convert_can_write(dtype)) {
        convert_from_f32(stored, dtype, values, count);
        convert_to_f32(values, dtype, stored, count);
    }
}

static bool looks_equal(const glimpse *mine, const glimpse *other) {
    float numbers[GLIMPSE];
    unsigned char stored[GLIMPSE * sizeof(float)];
    const weir_dtype dtype = mine->view->base.dtype;
    if (mine->count % weir_dtype_get(dtype)->block_elements != 0) {
        return false;
    }
    memcpy(numbers, other->numbers, sizeof numbers);
    store(numbers, dtype, mine->count, stored);
    return memcmp(numbers, mine->numbers, mine->count * sizeof *numbers) == 0;
}

/* Whether two whole tensors are equal, as the model's dtype holds them. */
static weir_code compare_whole(bool *is_equal, uint64_t *count, const merge_run *run,
                               const tensor_view *mine, const tensor_view *other, weir_error *err) {
    WEIR_CLEANUP(view_scratch_release) view_scratch scratch = {0};
    const size_t cols = (size_t)mine->base.cols;
    const size_t rows_at_once = CHUNK / cols ? CHUNK / cols : 1;
    WEIR_CLEANUP(free) float *memory = checked_alloc(3 * rows_at_once * cols, sizeof *memory);
    if (!memory) {
        return weir_fail_nomem(err);
    }
    float *const a = memory;
    float *const b = memory + rows_at_once * cols;
    unsigned char *stored = (unsigned char *)(memory + 2 * rows_at_once * cols);
    *is_equal = true;
    for (uint64_t first = 0; first < mine->base.rows && *is_equal; first += rows_at_once) {
        const uint64_t left = mine->base.rows - first;
        const uint64_t rows = left < rows_at_once ? left : rows_at_once;
        if (is_cancelled(run->options->callbacks)) {
            return weir_fail(err, WEIR_ERR_CANCELLED, NULL, NULL, NULL, "cancelled");
        }
        WEIR_TRY(tensor_view_read(mine, first, rows, a, &scratch, err));
        WEIR_TRY(tensor_view_read(other, first, rows, b, &scratch, err));
        store(b, mine->base.dtype, (size_t)rows * cols, stored);
        *is_equal = memcmp(a, b, (size_t)rows * cols * sizeof *a) == 0;
        *count += rows * cols;
    }
    return WEIR_OK;
}

/* How well a find suits: the source of the tensor before it in the same layer first, then the same
 * layer. */
static int suits(const glimpse *found, const weir_tensor *mine, const glimpse *before) {
    const bool is_neighbour = before && before->parent == found->parent &&
                              before->view->base.layer == found->view->base.layer;
    return 2 * is_neighbour + (found->view->base.layer == mine->layer);
}

static weir_code find_source(const glimpse **found, const catalogue *list, const glimpse *mine,
                             const glimpse *before, const merge_run *run, uint64_t *count,
                             weir_error *err) {
    *found = NULL;
    for (int wanted = 3; wanted >= 0 && !*found; wanted--) {
        for (size_t k = 0; k < list->count && !*found; k++) {
            const glimpse *other = &list->items[k];
            bool is_equal = false;
            if (plays_same_part(&mine->view->base, &other->view->base) &&
                suits(other, &mine->view->base, before) == wanted && looks_equal(mine, other)) {
                WEIR_TRY(compare_whole(&is_equal, count, run, mine->view, other->view, err));
            }
            *found = is_equal ? other : NULL;
        }
    }
    return WEIR_OK;
}

static weir_code tell_layers(merge_run *run, const glimpse *const *sources, uint64_t count,
                             weir_error *err) {
    merge_finding *out = run->out;
    for (size_t i = 0; i < run->diff->tensor_count; i++) {
        tensor_delta *pair = &run->diff->tensors[i];
        const glimpse *source = sources[i];
        if (!source || out->parent_count == MERGE_PARENTS_MAX) {
            continue;
        }
        const size_t from = merge_place_of(out, source->parent);
        merge_row *row = &out->rows[i];
        *row = (merge_row){.is_fitted = true,
                           .is_explained = true,
                           .is_proved = true,
                           .source = (ptrdiff_t)from,
                           .source_layer = source->view->base.layer};
        row->weights[from] = 1;
        out->parents[from].tensors++;
        out->tensors++;
        out->tensors_of++;
        if (pair->change != WEIR_CHANGE_IDENTICAL) {
            pair->change = WEIR_CHANGE_MERGED;
        }
    }
    out->method = MERGE_PASSTHROUGH;
    out->grade = WEIR_GRADE_PROVED;
    out->rest = 0;
    out->lambda = 1;
    out->replayed = out->replayed_of = count;
    out->computed = run->effective;
    return merge_tell(run,
                      "every tensor is one source's own, number by number; layers may stand"
                      " elsewhere",
                      err);
}

weir_code merge_try_layers(bool *is_found, merge_run *run, weir_error *err) {
    WEIR_CLEANUP(catalogue_release) catalogue list = {0};
    WEIR_CLEANUP(free)
    const glimpse **sources = calloc(run->diff->tensor_count + 1, sizeof *sources);
    if (!sources) {
        return weir_fail_nomem(err);
    }
    *is_found = false;
    WEIR_TRY(make_catalogue(&list, run, err));
    if (list.count > PAIRS_MAX / (run->diff->tensor_count + 1)) {
        return WEIR_OK; /* every tensor is held against every other: not of so many */
    }
    const glimpse *before = NULL;
    int32_t layer = -1;
    uint64_t count = 0;
    size_t from_parents = 0;
    for (size_t i = 0; i < run->diff->tensor_count; i++) {
        if (run->diff->tensors[i].model_index == VIEW_NONE) {
            continue;
        }
        const tensor_view *view =
            model_view(run->diff->model, (size_t)run->diff->tensors[i].model_index);
        glimpse mine = {.parent = VIEW_NONE};
        if (!is_readable(view)) {
            return WEIR_OK;
        }
        WEIR_TRY(glance(&mine, &list, view, err));
        before = view->base.layer == layer ? before : NULL;
        layer = view->base.layer;
        WEIR_TRY(find_source(&sources[i], &list, &mine, before, run, &count, err));
        if (!sources[i]) {
            return WEIR_OK;
        }
        before = sources[i];
        from_parents += sources[i]->parent != VIEW_NONE;
    }
    *is_found = from_parents > 0;
    return *is_found ? tell_layers(run, sources, count, err) : WEIR_OK;
}
