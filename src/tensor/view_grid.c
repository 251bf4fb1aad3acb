/* SPDX-License-Identifier: Apache-2.0 */
#include "tensor/view_grid.h"

#include <inttypes.h>
#include <math.h>
#include <stdlib.h>

#include "base/checked.h"
#include "base/fail.h"
#include "io/source.h"
#include "kernel/convert.h"

enum { WINDOW_BYTES = 1 << 20 }; /* at least, more where one row needs it */

static int by_value(const void *a, const void *b) {
    const float x = *(const float *)a;
    const float y = *(const float *)b;
    return (x > y) - (x < y);
}

/* Sort the levels that a file or a dtype has, each once and finite ones only. */
static bool keep_levels(view_grid *out, const float *values, size_t count) {
    size_t kept = 0;
    for (size_t i = 0; i < count; i++) {
        if (isfinite(values[i])) {
            out->levels[kept++] = values[i] + 0.0F; /* -0 becomes 0 */
        }
    }
    qsort(out->levels, kept, sizeof *out->levels, by_value);
    size_t distinct = 0;
    for (size_t i = 0; i < kept; i++) {
        if (distinct == 0 || out->levels[i] > out->levels[distinct - 1]) {
            out->levels[distinct++] = out->levels[i];
        }
    }
    out->grid = (number_grid){
        .levels = out->levels, .level_count = distinct, .spread = 1, .slack = 0x1p-11F};
    return distinct >= 2;
}

/* The numbers of all codes of one byte. */
static bool byte_levels(view_grid *out, weir_dtype dtype) {
    unsigned char codes[VIEW_GRID_LEVELS_MAX];
    float values[VIEW_GRID_LEVELS_MAX];
    for (size_t i = 0; i < VIEW_GRID_LEVELS_MAX; i++) {
        codes[i] = (unsigned char)i;
    }
    convert_to_f32(values, dtype, codes, VIEW_GRID_LEVELS_MAX);
    return keep_levels(out, values, VIEW_GRID_LEVELS_MAX);
}

static bool is_float8(weir_dtype dtype) {
    return dtype == WEIR_DTYPE_F8_E4M3 || dtype == WEIR_DTYPE_F8_E5M2 ||
           dtype == WEIR_DTYPE_F8_E4M3FNUZ || dtype == WEIR_DTYPE_F8_E5M2FNUZ;
}

/* Inputs that share a scale, where whole groups follow each other along every row. */
static size_t packed_group(const packed_tensor *packed) {
    const uint64_t size = packed->kind == PACKED_CODEBOOK ? packed->row_block : packed->col_block;
    const bool is_regular = !packed->order.stored && size > 0 && packed->cols % size == 0;
    return is_regular ? (size_t)size : 0;
}

/* A scale in bfloat16 tells of arithmetic in bfloat16, whose quotients have 8 bits. */
static float packed_slack(const packed_tensor *packed) {
    const bool is_bf16 = packed->scales.stored && packed->scales.stored->dtype == WEIR_DTYPE_BF16;
    return is_bf16 ? 0x1p-9F : 0x1p-11F;
}

static bool packed_levels(view_grid *out, const packed_tensor *packed) {
    number_grid small;
    bool has_levels = true;
    switch (packed->kind) {
    case PACKED_INPUTS:
    case PACKED_OUTPUTS:
    case PACKED_ROWS:
        has_levels = packed->bits >= 1 && packed->bits <= 8;
        out->grid = number_grid_whole(0, has_levels ? (1 << packed->bits) - 1 : 1);
        break;
    case PACKED_CODEBOOK:
        has_levels = keep_levels(out, packed->codebook->values, 16);
        break;
    case PACKED_SCALED:
        has_levels = byte_levels(out, (weir_dtype)packed->codes.stored->dtype);
        break;
    case PACKED_MX:
        has_levels = number_grid_of(&small, WEIR_DTYPE_MXFP4);
        out->grid = small;
        break;
    }
    out->grid.group = packed_group(packed);
    out->grid.slack = packed_slack(packed);
    return has_levels;
}

bool tensor_view_grid(view_grid *out, const tensor_view *view) {
    if (view->packed) {
        return packed_levels(out, view->packed);
    }
    if (is_float8(view->base.dtype)) {
        return byte_levels(out, view->base.dtype);
    }
    const uint64_t block = weir_dtype_get(view->base.dtype)->block_elements;
    return !view->transposed && !view->by_element && view->base.cols % block == 0 &&
           number_grid_of(&out->grid, view->base.dtype);
}

/* --- reading --- */

/* Canonical rows from r on that are stored rows in order. */
static uint64_t run_of(const tensor_view *view, uint64_t r, uint64_t most) {
    uint64_t run = 1;
    while (run < most && tensor_view_place(view, r + run) == tensor_view_place(view, r) + run) {
        run++;
    }
    return run;
}

static weir_code read_packed_run(const tensor_view *view, uint64_t row, uint64_t count,
                                 float *scale, float *offset, weir_error *err) {
    const uint64_t first = view->first_element / view->base.cols + row;
    WEIR_TRY(packed_read_aspect(view->packed, PACKED_SCALES, first, count, scale, err));
    return packed_read_aspect(view->packed, PACKED_OFFSETS, first, count, offset, err);
}

static weir_code need_bytes(view_scratch *scratch, size_t bytes, weir_error *err) {
    if (scratch->capacity >= bytes) {
        return WEIR_OK;
    }
    unsigned char *const moved = realloc(scratch->data, bytes);
    if (!moved) {
        return weir_fail_nomem(err);
    }
    scratch->data = moved;
    scratch->capacity = bytes;
    return WEIR_OK;
}

static weir_code read_block_run(const tensor_view *view, uint64_t row, uint64_t count, float *scale,
                                float *offset, view_scratch *scratch, weir_error *err) {
    const weir_dtype dtype = view->base.dtype;
    const weir_dtype_info *const info = weir_dtype_get(dtype);
    const uint64_t cols = view->base.cols;
    const uint64_t begin =
        (view->first_element + row * cols) / info->block_elements * info->block_bytes;
    const uint64_t bytes = count * cols / info->block_elements * info->block_bytes;
    if (begin > view->stored->bytes || bytes > view->stored->bytes - begin) {
        return weir_fail(err, WEIR_ERR_FORMAT, weir_source_name(view->source),
                         at_tensor(view->stored->name).text, "a view inside its tensor",
                         "bytes %" PRIu64 " to %" PRIu64, begin, begin + bytes);
    }
    WEIR_TRY(need_bytes(scratch, (size_t)bytes, err));
    WEIR_TRY(weir_source_read(view->source, view->stored->offset + begin, scratch->data,
                              (size_t)bytes, err));
    number_grid_read(scale, offset, dtype, scratch->data, (size_t)(count * cols));
    return WEIR_OK;
}

/* 8-bit floats have no scale. */
static void put_ones(float *scale, float *offset, uint64_t count) {
    for (uint64_t i = 0; i < count; i++) {
        scale[i] = 1;
        offset[i] = 0;
    }
}

/* Rows of a run that WINDOW_BYTES hold; at least one. */
static uint64_t rows_at_once(const tensor_view *view) {
    const uint64_t row_bytes = tensor_view_bytes(view, view->base.cols);
    const uint64_t rows = row_bytes > 0 ? WINDOW_BYTES / row_bytes : 1;
    return rows > 0 ? rows : 1;
}

weir_code tensor_view_read_grid(const tensor_view *view, uint64_t row_begin, uint64_t row_count,
                                float *scale, float *offset, view_scratch *scratch,
                                weir_error *err) {
    const uint64_t cols = view->base.cols;
    const uint64_t most = rows_at_once(view);
    if (!view->packed && is_float8(view->base.dtype)) {
        put_ones(scale, offset, row_count * cols);
    } else {
        for (uint64_t r = 0; r < row_count;) {
            const uint64_t left = row_count - r;
            const uint64_t run = run_of(view, row_begin + r, left < most ? left : most);
            const uint64_t stored_row = tensor_view_place(view, row_begin + r);
            float *const scales = scale + r * cols;
            float *const offsets = offset + r * cols;
            WEIR_TRY(view->packed
                         ? read_packed_run(view, stored_row, run, scales, offsets, err)
                         : read_block_run(view, stored_row, run, scales, offsets, scratch, err));
            r += run;
        }
    }
    for (uint64_t i = 0; i < row_count * cols; i++) {
        offset[i] += view->offset;
    }
    return WEIR_OK;
}
