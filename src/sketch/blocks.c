/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The norm whose gain is folded into gate and up is the one that they read through: the
 * feed-forward's own; in models that norm after each sub-layer (BERT) the one after attention;
 * where attention and feed-forward run side by side (falcon, gpt-neox without a second norm) the
 * attention's.
 */
#include "sketch/blocks.h"

#include <stdlib.h>

#include "base/checked.h"
#include "base/fail.h"
#include "kernel/convert.h"
#include "kernel/unit_code.h"
#include "sketch/fingerprint.h"

static bool is_up(weir_role role) {
    return role == WEIR_ROLE_UP || role == WEIR_ROLE_EXPERT_UP ||
           role == WEIR_ROLE_SHARED_EXPERT_UP;
}

static bool is_gate(weir_role role) {
    return role == WEIR_ROLE_GATE || role == WEIR_ROLE_EXPERT_GATE ||
           role == WEIR_ROLE_SHARED_EXPERT_GATE;
}

static int32_t expert_of(const weir_tensor *tensor) {
    const bool is_shared =
        tensor->role == WEIR_ROLE_SHARED_EXPERT_UP || tensor->role == WEIR_ROLE_SHARED_EXPERT_GATE;
    return is_shared ? EXPERT_SHARED : tensor->expert >= 0 ? tensor->expert : EXPERT_NONE;
}

/* Whole rows in one stored range: codes of 4 bits in blocks longer than a row are not read. */
static bool is_readable(const tensor_view *view) {
    const weir_tensor *const tensor = &view->base;
    return tensor->layer >= 0 && !tensor->is_bias && tensor->rows >= BLOCK_UNITS &&
           tensor->cols > 1 && tensor->cols <= UNIT_COLS_MAX && convert_can_read(tensor->dtype) &&
           tensor->cols % weir_dtype_get(tensor->dtype)->block_elements == 0;
}

static int by_place(const void *left, const void *right) {
    const block_views *const a = left;
    const block_views *const b = right;
    if (a->layer != b->layer) {
        return a->layer < b->layer ? -1 : 1;
    }
    return (a->expert > b->expert) - (a->expert < b->expert);
}

/* How near a norm stands to the feed-forward: the greater the nearer; 0: it is none of its. */
static int norm_rank(weir_role role) {
    return role == WEIR_ROLE_FEED_FORWARD_NORM     ? 3
           : role == WEIR_ROLE_ATTENTION_POST_NORM ? 2
           : role == WEIR_ROLE_ATTENTION_NORM      ? 1
                                                   : 0;
}

static void take_gate(block_views *blocks, size_t count, const tensor_view *view) {
    const block_views key = {.layer = view->base.layer, .expert = expert_of(&view->base)};
    block_views *const block = bsearch(&key, blocks, count, sizeof *blocks, by_place);
    if (block && view->base.rows == block->up->base.rows &&
        view->base.cols == block->up->base.cols) {
        block->gate = view;
    }
}

/* The first block of a layer; count when there is none. */
static size_t first_of_layer(const block_views *blocks, size_t count, int32_t layer) {
    size_t low = 0;
    size_t high = count;
    while (low < high) {
        const size_t middle = low + (high - low) / 2;
        if (blocks[middle].layer < layer) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    return low;
}

static void take_norm(block_views *blocks, size_t count, const tensor_view *view) {
    const int32_t layer = view->base.layer;
    for (size_t i = first_of_layer(blocks, count, layer); i < count && blocks[i].layer == layer;
         i++) {
        block_views *const block = &blocks[i];
        const bool fits = view->base.rows == 1 && view->base.cols == block->up->base.cols;
        if (fits &&
            (!block->norm || norm_rank(view->base.role) > norm_rank(block->norm->base.role))) {
            block->norm = view;
        }
    }
}

static void take_partners(block_views *blocks, size_t count, const weir_model *model) {
    for (size_t i = 0; i < weir_model_tensor_count(model); i++) {
        const tensor_view *const view = model_view(model, i);
        if (is_gate(view->base.role) && is_readable(view)) {
            take_gate(blocks, count, view);
        } else if (norm_rank(view->base.role) > 0 && !view->base.is_bias &&
                   convert_can_read(view->base.dtype)) {
            take_norm(blocks, count, view);
        }
    }
}

weir_code blocks_list(block_views **out, size_t *count, const weir_model *model, weir_error *err) {
    WEIR_CLEANUP(free) block_views *blocks = NULL;
    size_t capacity = 0;
    size_t found = 0;
    for (size_t i = 0; i < weir_model_tensor_count(model); i++) {
        const tensor_view *const view = model_view(model, i);
        const int32_t expert = expert_of(&view->base);
        if (!is_up(view->base.role) || !is_readable(view) || expert >= BLOCK_EXPERTS ||
            found == BLOCK_COUNT_MAX) {
            continue;
        }
        if (!checked_grow((void **)&blocks, &capacity, found, sizeof *blocks)) {
            return weir_fail_nomem(err);
        }
        blocks[found++] = (block_views){.layer = view->base.layer, .expert = expert, .up = view};
    }
    if (found > 0) {
        qsort(blocks, found, sizeof *blocks, by_place);
        take_partners(blocks, found, model);
    }
    *out = WEIR_TAKE(blocks);
    *count = found;
    return WEIR_OK;
}
