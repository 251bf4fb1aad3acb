/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file layout.c  The layouts of role_table.h, worked out for one stored tensor.
 *
 * A stored tensor is one slab, or one slab an expert. A slab has an axis of outputs, of which each
 * part takes some, straight or in equal steps: matrix [outputs, inputs]   turned [inputs, outputs]
 * vector [outputs] All sizes come from the file; a product of some dims cannot wrap, because the
 * table holds only tensors whose whole size fits in their file, but zero dims are possible, so
 * every multiplication is checked.
 */
#include "tensor/layout.h"

#include <inttypes.h>

#include "base/checked.h"
#include "base/fail.h"
#include "base/limits.h"

typedef struct slab {
    uint64_t first_element;
    uint64_t outputs;
    uint64_t inputs; /* 1 for a vector */
    bool turned;
    bool is_vector;
} slab;

/* Some of the outputs of a slab; the fields are those of tensor_view. */
typedef struct output_part {
    weir_role role;
    uint64_t begin;
    uint64_t count;
    uint64_t group_rows;
    uint64_t group_stride;
    uint64_t head_rows;
} output_part;

enum { PARTS_MAX = 3 };

typedef struct part_list {
    output_part items[PARTS_MAX];
    size_t count; /* 0: does not fit */
} part_list;

static weir_code add_view(view_list *views, const tensor_view *view, weir_error *err) {
    if (views->count >= TENSOR_COUNT_MAX) {
        return weir_fail(err, WEIR_ERR_LIMIT, NULL, at_tensor(view->stored->name).text,
                         "at most 1048576 tensors and parts of tensors", "more");
    }
    void *items = views->items;
    if (!checked_grow(&items, &views->capacity, views->count, sizeof *views->items)) {
        return weir_fail_nomem(err);
    }
    views->items = items;
    views->items[views->count++] = *view;
    return WEIR_OK;
}

weir_code layout_whole(view_list *views, const stored_tensor *stored, weir_error *err) {
    uint64_t rows = 1;
    const size_t outer = stored->rank > 0 ? stored->rank - 1U : 0;
    if (!tensor_table_elements(&rows, stored->dims, outer)) {
        return weir_fail(err, WEIR_ERR_FORMAT, NULL, at_tensor(stored->name).text,
                         "a shape whose size fits in 64 bits", "more");
    }
    const tensor_view view = {.base = {.stored_name = stored->name,
                                       .layer = -1,
                                       .expert = -1,
                                       .dtype = (weir_dtype)stored->dtype,
                                       .rows = rows,
                                       .cols = stored->rank > 0 ? stored->dims[outer] : 1},
                              .stored = stored};
    return add_view(views, &view, err);
}

/* --- parts --- */

static part_list one_part(weir_role role, uint64_t outputs) {
    return (part_list){.items = {{.role = role, .count = outputs}}, .count = 1};
}

static part_list rope_part(weir_role role, uint64_t outputs, const hyperparameters *shape) {
    const uint64_t heads = role == WEIR_ROLE_K ? shape->kv_heads : shape->heads;
    const uint64_t head = heads > 0 && outputs % heads == 0 ? outputs / heads : 0;
    if (head == 0 || head % 2 != 0 || (shape->head_dim > 0 && head != shape->head_dim)) {
        return (part_list){0};
    }
    part_list parts = one_part(role, outputs);
    parts.items[0].head_rows = head;
    return parts;
}

/* How many heads of k, and as many of v, stand beside the heads of q. @return 0 when it does not
 * come out */
static uint64_t kv_heads_beside(uint64_t outputs, const hyperparameters *shape) {
    uint64_t q;
    if (shape->heads == 0 || shape->head_dim == 0 ||
        !checked_mul_u64(&q, shape->heads, shape->head_dim) || outputs <= q ||
        (outputs - q) % 2 != 0 || (outputs - q) / 2 % shape->head_dim != 0) {
        return 0;
    }
    return (outputs - q) / 2 / shape->head_dim;
}

static part_list qkv_parts(uint64_t outputs, const hyperparameters *shape) {
    const uint64_t kv = kv_heads_beside(outputs, shape) * shape->head_dim;
    if (kv == 0) {
        return (part_list){0};
    }
    const uint64_t q = outputs - 2 * kv;
    return (part_list){.items = {{.role = WEIR_ROLE_Q, .count = q},
                                 {.role = WEIR_ROLE_K, .begin = q, .count = kv},
                                 {.role = WEIR_ROLE_V, .begin = q + kv, .count = kv}},
                       .count = 3};
}

/* Groups of q heads that share one head of k and one of v: gpt_neox and falcon in all its layouts.
 */
static part_list qkv_group_parts(uint64_t outputs, const hyperparameters *shape) {
    const uint64_t groups = kv_heads_beside(outputs, shape);
    if (groups == 0 || shape->heads % groups != 0) {
        return (part_list){0};
    }
    const uint64_t head = shape->head_dim;
    const uint64_t q = shape->heads / groups * head;
    const output_part step = {.group_stride = q + 2 * head};
    part_list parts = {.items = {step, step, step}, .count = 3};
    const weir_role roles[] = {WEIR_ROLE_Q, WEIR_ROLE_K, WEIR_ROLE_V};
    for (size_t i = 0; i < parts.count; i++) {
        parts.items[i].role = roles[i];
        parts.items[i].begin = i == 0 ? 0 : q + (i - 1) * head;
        parts.items[i].group_rows = i == 0 ? q : head;
        parts.items[i].count = groups * parts.items[i].group_rows;
    }
    return parts;
}

static part_list gate_up_parts(weir_role gate, uint64_t outputs) {
    if (outputs == 0 || outputs % 2 != 0) {
        return (part_list){0};
    }
    const weir_role up = gate == WEIR_ROLE_GATE ? WEIR_ROLE_UP : WEIR_ROLE_EXPERT_UP;
    const uint64_t half = outputs / 2;
    return (part_list){
        .items = {{.role = gate, .count = half}, {.role = up, .begin = half, .count = half}},
        .count = 2};
}

static part_list pair_parts(weir_role gate, uint64_t outputs) {
    part_list parts = gate_up_parts(gate, outputs);
    for (size_t i = 0; i < parts.count; i++) {
        parts.items[i].begin = i;
        parts.items[i].group_rows = 1;
        parts.items[i].group_stride = 2;
    }
    return parts;
}

static part_list split_outputs(const role_pattern *pattern, uint64_t outputs,
                               const hyperparameters *shape) {
    switch (pattern->layout) {
    case ROLE_LAYOUT_ROWS:
    case ROLE_LAYOUT_TURNED:
    case ROLE_LAYOUT_EXPERTS:
    case ROLE_LAYOUT_EXPERTS_TURNED:
        return one_part(pattern->role, outputs);
    case ROLE_LAYOUT_ROPE:
        return rope_part(pattern->role, outputs, shape);
    case ROLE_LAYOUT_QKV:
    case ROLE_LAYOUT_QKV_TURNED:
        return qkv_parts(outputs, shape);
    case ROLE_LAYOUT_QKV_GROUPS:
        return qkv_group_parts(outputs, shape);
    case ROLE_LAYOUT_GATE_UP:
    case ROLE_LAYOUT_EXPERTS_GATE_UP:
        return gate_up_parts(pattern->role, outputs);
    case ROLE_LAYOUT_EXPERTS_PAIRS:
    case ROLE_LAYOUT_EXPERTS_ROW_PAIRS:
        return pair_parts(pattern->role, outputs);
    }
    return (part_list){0};
}

/* --- slabs --- */

static bool is_turned(role_layout layout) {
    return layout == ROLE_LAYOUT_TURNED || layout == ROLE_LAYOUT_QKV_TURNED ||
           layout == ROLE_LAYOUT_EXPERTS_TURNED || layout == ROLE_LAYOUT_EXPERTS_PAIRS;
}

static bool is_stacked(role_layout layout) {
    return layout == ROLE_LAYOUT_EXPERTS || layout == ROLE_LAYOUT_EXPERTS_TURNED ||
           layout == ROLE_LAYOUT_EXPERTS_GATE_UP || layout == ROLE_LAYOUT_EXPERTS_PAIRS ||
           layout == ROLE_LAYOUT_EXPERTS_ROW_PAIRS;
}

/* The first slab and how many there are. @return false when the rank is not the layout's */
static bool read_slab(slab *out, uint64_t *slab_count, const stored_tensor *stored,
                      const role_match *match) {
    const role_layout layout = match->pattern->layout;
    const uint64_t *dims = stored->dims;
    size_t rank = stored->rank;
    *slab_count = 1;
    if (is_stacked(layout)) {
        if (rank < 2 || dims[0] == 0 || dims[0] > EXPERT_COUNT_MAX) {
            return false;
        }
        *slab_count = dims[0];
        dims++;
        rank--;
    }
    if (rank != (match->is_bias ? 1 : 2) && (rank != 1 || is_stacked(layout))) {
        return false;
    }
    const bool turned = is_turned(layout) && rank == 2;
    *out = (slab){.outputs = turned ? dims[1] : dims[0],
                  .inputs = rank == 1 ? 1 : dims[turned ? 0 : 1],
                  .turned = turned,
                  .is_vector = rank == 1};
    return true;
}

static tensor_view make_view(const stored_tensor *stored, const slab *from,
                             const output_part *taken) {
    const bool stepped = taken->group_rows > 0 || taken->head_rows > 0;
    tensor_view view = {.base = {.stored_name = stored->name,
                                 .role = taken->role,
                                 .dtype = (weir_dtype)stored->dtype,
                                 .rows = from->is_vector ? 1 : taken->count,
                                 .cols = from->is_vector ? taken->count : from->inputs},
                        .stored = stored,
                        .first_element = from->first_element,
                        .row_begin = taken->begin,
                        .group_rows = taken->group_rows,
                        .group_stride = taken->group_stride,
                        .head_rows = taken->head_rows,
                        .stored_cols = from->turned ? from->outputs : 0,
                        .transposed = from->turned,
                        .by_element = from->is_vector && stepped};
    if (from->is_vector && !stepped) {
        view.first_element += taken->begin;
        view.row_begin = 0;
    }
    return view;
}

/* Blocks are read whole: a view may begin and break only where a block does. */
static bool keeps_blocks_whole(const tensor_view *view) {
    const uint64_t block = weir_dtype_get(view->base.dtype)->block_elements;
    return block == 1 || (!view->transposed && !view->by_element &&
                          view->first_element % block == 0 && view->base.cols % block == 0);
}

/* The views of all slabs. @return via `fits` whether every one can be read */
static weir_code add_slabs(view_list *views, bool *fits, const stored_tensor *stored,
                           const role_match *match, const hyperparameters *shape, weir_error *err) {
    const bool stacked = is_stacked(match->pattern->layout);
    slab from;
    uint64_t slab_count;
    uint64_t slab_elements;
    *fits = read_slab(&from, &slab_count, stored, match) &&
            !(stacked && shape->experts > 0 && slab_count != shape->experts) &&
            checked_mul_u64(&slab_elements, from.outputs, from.inputs);
    if (!*fits) {
        return WEIR_OK;
    }
    const part_list parts = split_outputs(match->pattern, from.outputs, shape);
    *fits = parts.count > 0;
    for (uint64_t i = 0; *fits && i < slab_count; i++, from.first_element += slab_elements) {
        for (size_t j = 0; *fits && j < parts.count; j++) {
            tensor_view view = make_view(stored, &from, &parts.items[j]);
            view.base.expert = stacked ? (int32_t)i : match->expert;
            *fits = keeps_blocks_whole(&view);
            WEIR_TRY(add_view(views, &view, err));
        }
    }
    return WEIR_OK;
}

/* A norm, a router's bias, a mask of four dims: whole, whatever its rank. */
static weir_code add_simple(view_list *views, const stored_tensor *stored, const role_match *match,
                            weir_error *err) {
    WEIR_TRY(layout_whole(views, stored, err));
    tensor_view *const view = &views->items[views->count - 1];
    view->base.role = match->pattern->role;
    view->base.expert = match->expert;
    return WEIR_OK;
}

weir_code layout_split(view_list *views, bool *fits, const stored_tensor *stored,
                       const role_match *match, const hyperparameters *shape, weir_error *err) {
    const size_t count_before = views->count;
    *fits = true;
    if (match->pattern->layout == ROLE_LAYOUT_ROWS && stored->rank != 2) {
        WEIR_TRY(add_simple(views, stored, match, err));
    } else {
        WEIR_TRY(add_slabs(views, fits, stored, match, shape, err));
    }
    if (!*fits) {
        views->count = count_before;
    }
    for (size_t i = count_before; i < views->count; i++) {
        views->items[i].base.layer = match->layer;
        views->items[i].base.is_bias = match->is_bias;
        views->items[i].offset = match->pattern->offset;
    }
    return WEIR_OK;
}

void layout_format_name(text_buffer *out, const weir_tensor *tensor, const char *part) {
    if (tensor->layer >= 0) {
        text_buffer_format(out, "layers.%" PRId32 ".", tensor->layer);
    }
    if (tensor->expert >= 0) {
        text_buffer_format(out, "experts.%" PRId32 ".", tensor->expert);
    }
    text_buffer_format(out, "%s%s%s%s", role_canonical(tensor->role), part ? "." : "",
                       part ? part : "", tensor->is_bias ? ".bias" : "");
}
