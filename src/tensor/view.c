/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file view.c  Canonical rows out of stored bytes, with a scratch buffer of bounded size.
 *
 * Stored numbers are read in windows: runs of consecutive elements of at most WINDOW_BYTES. What is
 * not needed in a window is skipped; a small hole costs less than another read. Three walks:
 *     straight    one run over all rows
 *     gathered    rows (or, in a vector, elements) in an order of their own
 *     transposed  a rectangle of stored columns, some stored rows at a time
 */
#include <inttypes.h>
#include <stdlib.h>

#include "base/checked.h"
#include "base/fail.h"
#include "io/source.h"
#include "kernel/convert.h"
#include "tensor/model.h"

enum {
    WINDOW_BYTES = 1 << 20,
    WINDOW_FLOATS = 1 << 16,
    HOLE_BYTES_MAX = 4096, /* about what a read costs besides its bytes */
};

bool tensor_view_is_plain(const tensor_view *view) {
    return view->group_rows == 0 && view->head_rows == 0 && !view->transposed && !view->packed &&
           !(view->offset < 0.0F || view->offset > 0.0F);
}

bool tensor_view_same_order(const tensor_view *a, const tensor_view *b) {
    if (a->base.rows != b->base.rows || a->base.cols != b->base.cols ||
        a->by_element != b->by_element || a->transposed || b->transposed || a->group_rows ||
        b->group_rows || a->packed || b->packed) {
        return false;
    }
    return a->head_rows == b->head_rows;
}

/* Elements of the stored tensor before the first one of a row's place. */
static uint64_t stored_index(const tensor_view *view, uint64_t spot) {
    const uint64_t unit = view->by_element ? 1 : view->base.cols;
    return view->first_element + spot * unit;
}

void tensor_view_range(const tensor_view *view, uint64_t row_begin, uint64_t row_count,
                       uint64_t *offset, uint64_t *bytes) {
    const weir_dtype_info *const info = weir_dtype_get(view->base.dtype);
    const uint64_t first = stored_index(view, view->row_begin) + row_begin * view->base.cols;
    const uint64_t count = row_count * view->base.cols;
    *offset = view->stored->offset + first / info->block_elements * info->block_bytes;
    *bytes = count / info->block_elements * info->block_bytes;
}

uint64_t tensor_view_bytes(const tensor_view *view, uint64_t elements) {
    if (view->packed) {
        return elements / 8 * view->packed->bits + elements % 8 * view->packed->bits / 8;
    }
    const weir_dtype_info *const info = weir_dtype_get(view->base.dtype);
    return elements / info->block_elements * info->block_bytes;
}

void view_scratch_release(view_scratch *scratch) {
    free(scratch->data);
    *scratch = (view_scratch){0};
}

/* --- windows --- */

/* A buffer for WINDOW_BYTES as stored, and behind it WINDOW_FLOATS converted. */
static weir_code need_scratch(view_scratch *scratch, weir_error *err) {
    const size_t wanted = WINDOW_BYTES + WINDOW_FLOATS * sizeof(float);
    if (scratch->capacity >= wanted) {
        return WEIR_OK;
    }
    unsigned char *const moved = realloc(scratch->data, wanted);
    if (!moved) {
        return weir_fail_nomem(err);
    }
    scratch->data = moved;
    scratch->capacity = wanted;
    return WEIR_OK;
}

static float *scratch_floats(const view_scratch *scratch) {
    return (float *)(void *)(scratch->data + WINDOW_BYTES);
}

/* Elements of this dtype that fill a window, a whole number of blocks. */
static uint64_t window_elements(weir_dtype dtype) {
    const weir_dtype_info *const info = weir_dtype_get(dtype);
    return (uint64_t)WINDOW_BYTES / info->block_bytes * info->block_elements;
}

static uint64_t bytes_of(weir_dtype dtype, uint64_t elements) {
    const weir_dtype_info *const info = weir_dtype_get(dtype);
    return elements / info->block_elements * info->block_bytes;
}

/* Bytes of `count` stored elements from `first` on; both at blocks, the count within a window. */
static weir_code read_window(const tensor_view *view, uint64_t first, uint64_t count,
                             unsigned char *out, weir_error *err) {
    const weir_dtype dtype = view->base.dtype;
    const uint64_t begin = bytes_of(dtype, first);
    const uint64_t bytes = bytes_of(dtype, count);
    if (begin > view->stored->bytes || bytes > view->stored->bytes - begin) {
        return weir_fail(err, WEIR_ERR_FORMAT, weir_source_name(view->source),
                         at_tensor(view->stored->name).text, "a view inside its tensor",
                         "bytes %" PRIu64 " to %" PRIu64, begin, begin + bytes);
    }
    return weir_source_read(view->source, view->stored->offset + begin, out, (size_t)bytes, err);
}

/* --- the three walks --- */

static weir_code read_straight(const tensor_view *view, uint64_t first, uint64_t count, float *out,
                               const view_scratch *scratch, weir_error *err) {
    const weir_dtype dtype = view->base.dtype;
    while (count > 0) {
        const uint64_t window = window_elements(dtype);
        const uint64_t some = count < window ? count : window;
        WEIR_TRY(read_window(view, first, some, scratch->data, err));
        convert_to_f32(out, dtype, scratch->data, (size_t)some);
        first += some;
        out += some;
        count -= some;
    }
    return WEIR_OK;
}

/* Where canonical row (or element) r stands; the formulas of tensor_view. */
uint64_t tensor_view_place(const tensor_view *view, uint64_t r) {
    if (view->group_rows > 0) {
        return view->row_begin + r / view->group_rows * view->group_stride + r % view->group_rows;
    }
    if (view->head_rows > 0) {
        const uint64_t half = view->head_rows / 2;
        const uint64_t inside = r % view->head_rows;
        return view->row_begin + r - inside + 2 * (inside % half) + inside / half;
    }
    return view->row_begin + r;
}

/* Places from `low` to `high` that one window covers, and how many canonical rows they serve. */
typedef struct batch {
    uint64_t low;
    uint64_t high;
    uint64_t count;
} batch;

/* As many rows from r on as fit: the head of a permuted row is taken whole, other holes must be
 * small. */
static batch next_batch(const tensor_view *view, uint64_t r, uint64_t end, uint64_t unit) {
    const uint64_t places_max = window_elements(view->base.dtype) / unit;
    const uint64_t hole_max = HOLE_BYTES_MAX / (bytes_of(view->base.dtype, unit) + 1);
    const uint64_t first = tensor_view_place(view, r);
    batch taken = {.low = first, .high = first, .count = 1};
    for (uint64_t i = r + 1; i < end; i++, taken.count++) {
        const uint64_t spot = tensor_view_place(view, i);
        const uint64_t low = spot < taken.low ? spot : taken.low;
        const uint64_t high = spot > taken.high ? spot : taken.high;
        const bool same_head = view->head_rows > 0 && r / view->head_rows == i / view->head_rows;
        const uint64_t hole = spot > taken.high ? spot - taken.high - 1 : 0;
        if (high - low + 1 > places_max || (!same_head && hole > hole_max)) {
            break;
        }
        taken.low = low;
        taken.high = high;
    }
    return taken;
}

/* `unit` elements a row: cols, or 1 for the elements of a vector. A unit fits in a window. */
static weir_code read_gathered(const tensor_view *view, uint64_t begin, uint64_t count, float *out,
                               const view_scratch *scratch, weir_error *err) {
    const weir_dtype dtype = view->base.dtype;
    const uint64_t unit = view->by_element ? 1 : view->base.cols;
    const size_t unit_bytes = (size_t)bytes_of(dtype, unit);
    const uint64_t end = begin + count;
    while (begin < end) {
        const batch some = next_batch(view, begin, end, unit);
        WEIR_TRY(read_window(view, stored_index(view, some.low), (some.high - some.low + 1) * unit,
                             scratch->data, err));
        for (uint64_t i = 0; i < some.count; i++) {
            const size_t spot = (size_t)(tensor_view_place(view, begin + i) - some.low);
            convert_to_f32(out, dtype, scratch->data + spot * unit_bytes, (size_t)unit);
            out += unit;
        }
        begin += some.count;
    }
    return WEIR_OK;
}

/* Rows wider than a window: each is a straight run of its own. */
static weir_code read_row_by_row(const tensor_view *view, uint64_t begin, uint64_t count,
                                 float *out, const view_scratch *scratch, weir_error *err) {
    for (uint64_t i = 0; i < count; i++) {
        const uint64_t first = stored_index(view, tensor_view_place(view, begin + i));
        WEIR_TRY(read_straight(view, first, view->base.cols, out, scratch, err));
        out += view->base.cols;
    }
    return WEIR_OK;
}

/* Stored rows [row, row + count) of the columns [low, high], one after the other in `data`. */
typedef struct tile {
    uint64_t row;
    uint64_t count;
    uint64_t low;
    uint64_t width;
} tile;

/* One read for the tile when its columns are most of a stored row, else one for each row. */
static weir_code read_tile(const tensor_view *view, const tile *part, unsigned char *data,
                           weir_error *err) {
    if (part->width == view->stored_cols) {
        return read_window(view, view->first_element + part->row * view->stored_cols,
                           part->count * part->width, data, err);
    }
    const size_t row_bytes = (size_t)bytes_of(view->base.dtype, part->width);
    for (uint64_t i = 0; i < part->count; i++) {
        const uint64_t first =
            view->first_element + (part->row + i) * view->stored_cols + part->low;
        WEIR_TRY(read_window(view, first, part->width, data + i * row_bytes, err));
    }
    return WEIR_OK;
}

/* The columns that rows [begin, begin + count) stand in, widened to whole stored rows when that is
 * cheap. */
static tile columns_of(const tensor_view *view, uint64_t begin, uint64_t count) {
    const uint64_t low = tensor_view_place(view, begin);
    const uint64_t width = tensor_view_place(view, begin + count - 1) - low + 1;
    if (view->stored_cols <= WINDOW_FLOATS && view->stored_cols - width <= width) {
        return (tile){.low = 0, .width = view->stored_cols};
    }
    return (tile){.low = low, .width = width};
}

/* All of the stored rows, a tile at a time, for canonical rows whose columns fit in a window. */
static weir_code read_columns(const tensor_view *view, uint64_t begin, uint64_t count, float *out,
                              const view_scratch *scratch, weir_error *err) {
    const uint64_t cols = view->base.cols;
    float *const values = scratch_floats(scratch);
    tile part = columns_of(view, begin, count);
    uint64_t rows_max = WINDOW_FLOATS / part.width;
    const uint64_t rows_in_bytes = window_elements(view->base.dtype) / part.width;
    rows_max = rows_in_bytes < rows_max ? rows_in_bytes : rows_max;
    for (; part.row < cols; part.row += part.count) {
        part.count = cols - part.row < rows_max ? cols - part.row : rows_max;
        WEIR_TRY(read_tile(view, &part, scratch->data, err));
        convert_to_f32(values, view->base.dtype, scratch->data, (size_t)(part.count * part.width));
        for (uint64_t r = 0; r < count; r++) {
            const float *from = values + (tensor_view_place(view, begin + r) - part.low);
            float *to = out + r * cols + part.row;
            for (uint64_t i = 0; i < part.count; i++) {
                to[i] = from[i * part.width];
            }
        }
    }
    return WEIR_OK;
}

static weir_code read_transposed(const tensor_view *view, uint64_t begin, uint64_t count,
                                 float *out, const view_scratch *scratch, weir_error *err) {
    const uint64_t step = view->group_rows > 0 ? view->group_stride : 1;
    const uint64_t rows_max = step < WINDOW_FLOATS / 2 ? WINDOW_FLOATS / 2 / step : 1;
    while (count > 0) {
        const uint64_t some = count < rows_max ? count : rows_max;
        WEIR_TRY(read_columns(view, begin, some, out, scratch, err));
        begin += some;
        out += some * view->base.cols;
        count -= some;
    }
    return WEIR_OK;
}

/* Runs of canonical rows that are rows of the packed matrix in order. */
static weir_code read_packed(const tensor_view *view, uint64_t begin, uint64_t count, float *out,
                             weir_error *err) {
    const uint64_t rows_before = view->first_element / view->base.cols; /* of other experts */
    while (count > 0) {
        const uint64_t first = tensor_view_place(view, begin);
        uint64_t run = 1;
        while (run < count && tensor_view_place(view, begin + run) == first + run) {
            run++;
        }
        WEIR_TRY(packed_read(view->packed, rows_before + first, run, out, err));
        begin += run;
        count -= run;
        out += run * view->base.cols;
    }
    return WEIR_OK;
}

static weir_code read_stored(const tensor_view *view, uint64_t begin, uint64_t count, float *out,
                             const view_scratch *scratch, weir_error *err) {
    const uint64_t cols = view->base.cols;
    if (view->packed) {
        return read_packed(view, begin, count, out, err);
    }
    if (view->transposed) {
        return read_transposed(view, begin, count, out, scratch, err);
    }
    if (view->group_rows == 0 && view->head_rows == 0) {
        return read_straight(view, stored_index(view, view->row_begin + begin), count * cols, out,
                             scratch, err);
    }
    if (view->by_element) {
        return read_gathered(view, 0, cols, out, scratch, err);
    }
    if (cols > window_elements(view->base.dtype)) {
        return read_row_by_row(view, begin, count, out, scratch, err);
    }
    return read_gathered(view, begin, count, out, scratch, err);
}

/* What the caller asks for, against what the view has. */
static weir_code check_request(const tensor_view *view, uint64_t row_begin, uint64_t row_count,
                               weir_error *err) {
    const weir_tensor *const base = &view->base;
    if (row_begin > base->rows || row_count > base->rows - row_begin) {
        return weir_fail(err, WEIR_ERR_ARG, NULL, at_tensor(base->name).text,
                         "rows inside the tensor", "rows %" PRIu64 " to %" PRIu64 " of %" PRIu64,
                         row_begin, row_begin + row_count, base->rows);
    }
    uint64_t elements;
    const uint64_t block = weir_dtype_get(base->dtype)->block_elements;
    const bool readable = (view->packed || convert_can_read(base->dtype)) &&
                          checked_mul_u64(&elements, row_count, base->cols) &&
                          elements <= SIZE_MAX / sizeof(float) &&
                          (view->packed || base->cols % block == 0 ||
                           (row_count == base->rows && elements % block == 0));
    if (!readable) {
        return weir_fail(err, WEIR_ERR_UNSUPPORTED, weir_source_name(view->source),
                         at_tensor(base->name).text, "a dtype whose numbers weir reads", "%s",
                         weir_dtype_name(base->dtype));
    }
    return WEIR_OK;
}

weir_code tensor_view_read(const tensor_view *view, uint64_t row_begin, uint64_t row_count,
                           float *out, view_scratch *scratch, weir_error *err) {
    WEIR_TRY(check_request(view, row_begin, row_count, err));
    const uint64_t elements = row_count * view->base.cols;
    if (elements == 0) {
        return WEIR_OK;
    }
    WEIR_TRY(need_scratch(scratch, err));
    WEIR_TRY(read_stored(view, row_begin, row_count, out, scratch, err));
    if (view->offset < 0.0F || view->offset > 0.0F) {
        for (uint64_t i = 0; i < elements; i++) {
            out[i] += view->offset;
        }
    }
    return WEIR_OK;
}
