/* SPDX-License-Identifier: Apache-2.0 */
#include "sketch/block_rows.h"

#include <stdlib.h>

#include "base/checked.h"
#include "base/fail.h"
#include "sketch/blocks.h"

/* Half the spacing of a float type just above 1. */
static double rounding_of(weir_dtype dtype) {
    return dtype == WEIR_DTYPE_BF16 ? 0x1p-8 : dtype == WEIR_DTYPE_F16 ? 0x1p-11 : 0;
}

/* Rms error over rms of normal numbers, by the bits of a block type: a uniform step of range /
 * 2^bits. */
static double noise_of(weir_dtype dtype) {
    const weir_dtype_info *const info = weir_dtype_get(dtype);
    const double bits = 8.0 * info->block_bytes / info->block_elements;
    if (info->kind == WEIR_DTYPE_KIND_FLOAT && bits > 8) {
        return 0;
    }
    return bits > 8 ? 0.006 : bits > 6 ? 0.02 : bits > 5 ? 0.04 : bits > 4 ? 0.08 : 0.3;
}

/* Codes with scales beside them, one for up to a whole row: coarser than blocks of as many bits. */
static double packed_noise_of(const packed_tensor *packed) {
    return packed->bits == 8 ? 0.02 : packed->bits == 4 ? 0.12 : 0.3;
}

static const feed_forward *find_views(const feed_forward *views, size_t count,
                                      const sketch_block *block) {
    for (size_t i = 0; i < count; i++) {
        if (views[i].layer == block->layer && views[i].expert == block->expert) {
            return &views[i];
        }
    }
    return NULL;
}

static weir_code read_block(float *out, block_rows *into, const tensor_view *up,
                            view_scratch *scratch, weir_error *err) {
    const double rounding = up->packed ? 0 : rounding_of(up->base.dtype);
    const double noise = up->packed ? packed_noise_of(up->packed) : noise_of(up->base.dtype);
    into->rounding = rounding > into->rounding ? rounding : into->rounding;
    into->noise = noise > into->noise ? noise : into->noise;
    return tensor_view_read(up, 0, BLOCK_UNITS, out, scratch, err);
}

weir_code block_rows_read(block_rows *out, const weir_model *model, const fingerprint *sketch,
                          const uint32_t *blocks, size_t block_count, weir_error *err) {
    WEIR_CLEANUP(free) feed_forward *views = NULL;
    WEIR_CLEANUP(view_scratch_release) view_scratch scratch = {0};
    size_t view_count = 0;
    block_rows rows = {0};
    const size_t per_block = BLOCK_UNITS * (size_t)sketch->hidden;
    WEIR_TRY(blocks_list(&views, &view_count, model, err));
    WEIR_CLEANUP(free) float *numbers = checked_alloc(block_count, per_block * sizeof *numbers);
    if (!numbers) {
        return weir_fail_nomem(err);
    }
    for (size_t i = 0; i < block_count; i++) {
        const feed_forward *const found = find_views(views, view_count, &sketch->blocks[blocks[i]]);
        if (!found || found->up->base.cols != sketch->hidden) {
            return weir_fail(err, WEIR_ERR_ARG, weir_model_name(model), NULL,
                             "the model that its fingerprint was taken from", "another");
        }
        WEIR_TRY(read_block(numbers + i * per_block, &rows, found->up, &scratch, err));
    }
    rows.count = block_count * per_block;
    rows.numbers = WEIR_TAKE(numbers);
    *out = rows;
    return WEIR_OK;
}

void block_rows_release(block_rows *rows) {
    free(rows->numbers);
    *rows = (block_rows){0};
}
