/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file packed_read.c  Rows of a packed weight as float32, a bounded batch of them at a time.
 *
 * Codes in rows (ROWS, SCALED, MX, CODEBOOK): the bytes of a batch are one range, its scales
 * another. Codes in columns (INPUTS, OUTPUTS): an output is a column of words, so a batch is a few
 * words of every stored row. They are read as tiles: some stored rows at a time, each by a read of
 * its own, or with the holes between them where a hole is cheaper than a read.
 *
 * A batch holds at most BATCH_CODES bytes of codes at a time and about BATCH_SCALES scales, so that
 * memory does not grow with the tensor.
 */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/checked.h"
#include "base/fail.h"
#include "kernel/convert.h"
#include "kernel/e2m1.h"
#include "kernel/number.h"
#include "tensor/packed.h"
#include "tensor/packed_tables.h"

enum {
    BATCH_CODES = 1 << 20,
    BATCH_SCALES = 1 << 18,
    BATCH_ROWS_MAX = 1 << 12,
    HOLE_BYTES_MAX = 512, /* about what a read costs besides its bytes */
    WORD_BITS = 32,
    WORD_BYTES = 4,
};

/* Some rows on their way; the arrays are [rows, groups], or [groups, rows] for codes in columns. */
typedef struct batch {
    packed_aspect aspect;
    uint64_t row;
    uint64_t count;
    unsigned char *bytes;
    float *scales;
    float *zeros;    /* NULL: no zero points */
    uint32_t *order; /* NULL: in equal groups */
} batch;

/* The number of a code, or what it would be were the code 1 without a zero point, or 0. */
static float aspect_of(packed_aspect aspect, float code, float zero, float scale) {
    switch (aspect) {
    case PACKED_NUMBERS:
        break;
    case PACKED_SCALES:
        return scale;
    case PACKED_OFFSETS:
        return (0.0F - zero) * scale;
    }
    return (code - zero) * scale;
}

static void batch_release_cleanup(batch *some) {
    free(some->bytes);
    free(some->scales);
    free(some->zeros);
    free(some->order);
}

/* --- codes and scales out of bytes --- */

/* Code k of a stream that begins at `words`; its second word is touched only when it holds a part.
 */
static uint32_t stream_code(const unsigned char *words, uint64_t pitch, uint64_t k, unsigned bits) {
    const uint64_t bit = k * bits;
    const unsigned char *const at = words + bit / WORD_BITS * pitch;
    const unsigned shift = (unsigned)(bit % WORD_BITS);
    uint32_t code = load_u32(at) >> shift;
    if (shift + bits > WORD_BITS) {
        code |= load_u32(at + pitch) << (WORD_BITS - shift);
    }
    return code & ((1U << bits) - 1);
}

/* Numbers [begin, begin + count) of a part, in its own dtype. */
static weir_code read_numbers(float *out, const packed_part *from, uint64_t begin, uint64_t count,
                              weir_error *err) {
    const weir_dtype dtype = (weir_dtype)from->stored->dtype;
    const uint64_t size = weir_dtype_get(dtype)->block_bytes;
    WEIR_CLEANUP(free) unsigned char *bytes = checked_alloc((size_t)count, (size_t)size);
    if (!bytes) {
        return weir_fail_nomem(err);
    }
    WEIR_TRY(packed_read_bytes(from, begin * size, bytes, count * size, err));
    convert_to_f32(out, dtype, bytes, (size_t)count);
    return WEIR_OK;
}

/* Rows [first, first + count) of a grid of `groups` numbers a row. */
static weir_code read_grid(float **out, const packed_part *from, uint64_t first, uint64_t count,
                           uint64_t groups, weir_error *err) {
    WEIR_CLEANUP(free) float *values = checked_alloc((size_t)(count * groups), sizeof *values);
    if (!values) {
        return weir_fail_nomem(err);
    }
    WEIR_TRY(read_numbers(values, from, first * groups, count * groups, err));
    *out = WEIR_TAKE(values);
    return WEIR_OK;
}

/* --- codes in rows --- */

static uint64_t row_bytes(const packed_tensor *packed) {
    switch (packed->kind) {
    case PACKED_ROWS:
        return packed->codes.stored->dims[1] * WORD_BYTES;
    case PACKED_SCALED:
        return packed->cols;
    case PACKED_MX:
        return packed->cols / 2;
    case PACKED_CODEBOOK:
    case PACKED_INPUTS:
    case PACKED_OUTPUTS:
        break;
    }
    return 0;
}

/* Zero points stored as words down the outputs: code r of column g. */
static weir_code read_packed_zeros(batch *some, const packed_tensor *packed, weir_error *err) {
    const uint64_t groups = packed->groups;
    const unsigned bits = packed->bits;
    const uint64_t first = some->row * bits / WORD_BITS;
    const uint64_t last = ((some->row + some->count) * bits - 1) / WORD_BITS;
    const uint64_t pitch = groups * WORD_BYTES;
    WEIR_CLEANUP(free)
    unsigned char *words = checked_alloc((size_t)(last - first + 1), (size_t)pitch);
    some->zeros = checked_alloc((size_t)(some->count * groups), sizeof *some->zeros);
    if (!words || !some->zeros) {
        return weir_fail_nomem(err);
    }
    WEIR_TRY(
        packed_read_bytes(&packed->zeros, first * pitch, words, (last - first + 1) * pitch, err));
    const uint64_t skipped = some->row - first * WORD_BITS / bits;
    for (uint64_t r = 0; r < some->count; r++) {
        for (uint64_t g = 0; g < groups; g++) {
            some->zeros[r * groups + g] =
                (float)stream_code(words + g * WORD_BYTES, pitch, skipped + r, bits);
        }
    }
    return WEIR_OK;
}

/* Scales of the batch's rows of blocks. Zero points as codes carry 2^(bits-1), as the codes do;
 * as int8 they do not. */
static weir_code read_row_scales(batch *some, const packed_tensor *packed, weir_error *err) {
    const uint64_t first = some->row / packed->row_block;
    const uint64_t last = (some->row + some->count - 1) / packed->row_block;
    const uint64_t groups = packed->groups;
    WEIR_TRY(read_grid(&some->scales, &packed->scales, first, last - first + 1, groups, err));
    if (!packed->zeros.stored) {
        return WEIR_OK;
    }
    if (packed->zeros.stored->dtype == WEIR_DTYPE_I32) {
        return read_packed_zeros(some, packed, err);
    }
    WEIR_TRY(read_grid(&some->zeros, &packed->zeros, first, last - first + 1, groups, err));
    const uint32_t middle = packed->kind == PACKED_ROWS ? 1U << (packed->bits - 1) : 0;
    for (uint64_t i = 0; i < (last - first + 1) * groups; i++) {
        some->zeros[i] += (float)middle;
    }
    return WEIR_OK;
}

static void decode_words(float *out, const packed_tensor *packed, const unsigned char *codes) {
    for (uint64_t c = 0; c < packed->cols; c++) {
        out[c] = (float)stream_code(codes, WORD_BYTES, c, packed->bits);
    }
}

static void decode_mx(float *out, const packed_tensor *packed, const unsigned char *codes) {
    for (uint64_t c = 0; c < packed->cols; c += 2) {
        out[c] = e2m1_values[codes[c / 2] & 15];
        out[c + 1] = e2m1_values[codes[c / 2] >> 4];
    }
}

/* Codes to numbers; what is left is to take zeros off and to scale. */
static void decode_row(float *out, const packed_tensor *packed, const unsigned char *codes) {
    if (packed->kind == PACKED_ROWS) {
        decode_words(out, packed, codes);
    } else if (packed->kind == PACKED_MX) {
        decode_mx(out, packed, codes);
    } else {
        convert_to_f32(out, (weir_dtype)packed->codes.stored->dtype, codes, (size_t)packed->cols);
    }
}

/* `scales` and `zeros` are those of the row's block; zeros may be NULL. */
static void scale_row(float *out, const packed_tensor *packed, const batch *some,
                      const float *scales, const float *zeros) {
    const float middle = packed->kind == PACKED_ROWS && !zeros
                             ? (float)(1U << (packed->bits - 1))
                             : 0.0F; /* of codes without zero points */
    for (uint64_t begin = 0; begin < packed->cols; begin += packed->col_block) {
        const uint64_t left = packed->cols - begin;
        const uint64_t end = begin + (left < packed->col_block ? left : packed->col_block);
        for (uint64_t c = begin; c < end; c++) {
            const uint64_t group = some->order ? some->order[c] : begin / packed->col_block;
            const float zero = zeros ? zeros[group] : middle;
            out[c] = aspect_of(some->aspect, out[c], zero, scales[group]);
        }
    }
    if (packed->factor < 1.0F) {
        for (uint64_t c = 0; c < packed->cols; c++) {
            out[c] *= packed->factor;
        }
    }
}

/* The scales of MXFP4 are exponents, and its numbers doubled. */
static weir_code read_mx_scales(batch *some, const packed_tensor *packed, weir_error *err) {
    const uint64_t count = some->count * packed->groups;
    WEIR_CLEANUP(free) unsigned char *exponents = checked_alloc((size_t)count, 1);
    some->scales = checked_alloc((size_t)count, sizeof *some->scales);
    if (!exponents || !some->scales) {
        return weir_fail_nomem(err);
    }
    WEIR_TRY(packed_read_bytes(&packed->scales, some->row * packed->groups, exponents, count, err));
    for (uint64_t i = 0; i < count; i++) {
        some->scales[i] = mxfp4_scale(exponents[i]);
    }
    return WEIR_OK;
}

static weir_code read_row_batch(const packed_tensor *packed, packed_aspect aspect, uint64_t row,
                                uint64_t count, float *out, weir_error *err) {
    const uint64_t bytes = row_bytes(packed);
    WEIR_CLEANUP(batch_release) batch some = {.aspect = aspect, .row = row, .count = count};
    some.bytes = checked_alloc((size_t)count, (size_t)bytes);
    if (!some.bytes) {
        return weir_fail_nomem(err);
    }
    WEIR_TRY(packed_read_bytes(&packed->codes, row * bytes, some.bytes, count * bytes, err));
    WEIR_TRY(packed->kind == PACKED_MX ? read_mx_scales(&some, packed, err)
                                       : read_row_scales(&some, packed, err));
    if (packed->order.stored) {
        WEIR_TRY(packed_read_order(&some.order, packed, err));
    }
    /* Zero points that are words are there for each row, those that are numbers for each block. */
    const bool has_row_zeros =
        packed->zeros.stored && packed->zeros.stored->dtype == WEIR_DTYPE_I32;
    const uint64_t first_block = row / packed->row_block;
    for (uint64_t r = 0; r < count; r++) {
        const uint64_t block = (row + r) / packed->row_block - first_block;
        const float *const zeros =
            some.zeros ? some.zeros + (has_row_zeros ? r : block) * packed->groups : NULL;
        float *const values = out + r * packed->cols;
        decode_row(values, packed, some.bytes + r * bytes);
        scale_row(values, packed, &some, some.scales + block * packed->groups, zeros);
    }
    return WEIR_OK;
}

/* --- one run of codes behind a book --- */

static weir_code read_book_scales(float **out, const packed_tensor *packed, uint64_t first,
                                  uint64_t count, weir_error *err) {
    const packed_codebook *const book = packed->codebook;
    if (!book->is_nested) {
        return read_grid(out, &packed->scales, first, count, 1, err);
    }
    WEIR_CLEANUP(free) unsigned char *codes = checked_alloc((size_t)count, 1);
    WEIR_CLEANUP(free) float *scales = checked_alloc((size_t)count, sizeof *scales);
    WEIR_CLEANUP(free) float *outer = NULL;
    if (!codes || !scales) {
        return weir_fail_nomem(err);
    }
    const uint64_t outer_first = first / book->scale_block;
    const uint64_t outer_last = (first + count - 1) / book->scale_block;
    WEIR_TRY(packed_read_bytes(&packed->scales, first, codes, count, err));
    WEIR_TRY(read_grid(&outer, &packed->nested_scales, outer_first, outer_last - outer_first + 1, 1,
                       err));
    for (uint64_t i = 0; i < count; i++) {
        const float scale = outer[(first + i) / book->scale_block - outer_first];
        scales[i] = book->scale_values[codes[i]] * scale + book->scale_offset;
    }
    *out = WEIR_TAKE(scales);
    return WEIR_OK;
}

static weir_code read_run(const packed_tensor *packed, packed_aspect aspect, uint64_t first,
                          uint64_t count, float *out, weir_error *err) {
    const uint64_t begin = first / 2;
    const uint64_t end = (first + count - 1) / 2 + 1;
    const uint64_t block = first / packed->row_block;
    const uint64_t blocks = (first + count - 1) / packed->row_block - block + 1;
    WEIR_CLEANUP(free) float *scales = NULL;
    WEIR_CLEANUP(free) unsigned char *codes = checked_alloc((size_t)(end - begin), 1);
    if (!codes) {
        return weir_fail_nomem(err);
    }
    WEIR_TRY(packed_read_bytes(&packed->codes, begin, codes, end - begin, err));
    WEIR_TRY(read_book_scales(&scales, packed, block, blocks, err));
    for (uint64_t at = first; at < first + count;) {
        const uint64_t now = at / packed->row_block;
        const uint64_t next = (now + 1) * packed->row_block;
        const uint64_t stop = next < first + count ? next : first + count;
        for (; at < stop; at++) {
            const unsigned pair = codes[at / 2 - begin];
            const float value = packed->codebook->values[at % 2 == 0 ? pair >> 4 : pair & 15];
            /* NOLINTNEXTLINE(clang-analyzer-core.*): each block of the run has its scale */
            const float scale = scales[now - block];
            out[at - first] = aspect_of(aspect, value, 0.0F, scale);
        }
    }
    return WEIR_OK;
}

/* --- codes in columns --- */

/* The nibble of a word of AWQ in which output j of eight stands. */
static const uint8_t output_nibbles[8] = {0, 4, 1, 5, 2, 6, 3, 7};

/* Place of output r in a row of words: its bit, over the bits of a code. */
static uint64_t output_place(const packed_tensor *packed, uint64_t r) {
    return packed->kind == PACKED_OUTPUTS ? r / 8 * 8 + output_nibbles[r % 8] : r;
}

/* Stored rows [row, row + count) of the bytes [begin, begin + width) of each; `pitch` apart. */
typedef struct tile {
    uint64_t stride; /* bytes of a stored row */
    uint64_t begin;
    uint64_t width;
    uint64_t pitch;
} tile;

static tile tile_of(uint64_t stride, uint64_t begin, uint64_t width) {
    const bool is_cheap = stride - width <= HOLE_BYTES_MAX;
    return (tile){
        .stride = stride, .begin = begin, .width = width, .pitch = is_cheap ? stride : width};
}

static uint64_t tile_bytes(const tile *part, uint64_t count) {
    return (count - 1) * part->pitch + part->width;
}

static weir_code read_tile(unsigned char *out, const packed_part *from, const tile *part,
                           uint64_t row, uint64_t count, weir_error *err) {
    if (part->pitch == part->stride) {
        return packed_read_bytes(from, row * part->stride + part->begin, out,
                                 tile_bytes(part, count), err);
    }
    for (uint64_t i = 0; i < count; i++) {
        WEIR_TRY(packed_read_bytes(from, (row + i) * part->stride + part->begin,
                                   out + i * part->pitch, part->width, err));
    }
    return WEIR_OK;
}

/* All of a tile's rows in memory of its own. */
static weir_code take_tile(unsigned char **out, const packed_part *from, const tile *part,
                           uint64_t count, weir_error *err) {
    WEIR_CLEANUP(free) unsigned char *bytes = checked_alloc((size_t)count, (size_t)part->pitch);
    if (!bytes) {
        return weir_fail_nomem(err);
    }
    WEIR_TRY(read_tile(bytes, from, part, 0, count, err));
    *out = WEIR_TAKE(bytes);
    return WEIR_OK;
}

/* [groups, count] out of scales [groups, rows]. */
static weir_code read_column_scales(batch *some, const packed_tensor *packed, weir_error *err) {
    const weir_dtype dtype = (weir_dtype)packed->scales.stored->dtype;
    const uint64_t size = weir_dtype_get(dtype)->block_bytes;
    const tile part = tile_of(packed->rows * size, some->row * size, some->count * size);
    WEIR_CLEANUP(free) unsigned char *bytes = NULL;
    some->scales = checked_alloc((size_t)(packed->groups * some->count), sizeof *some->scales);
    if (!some->scales) {
        return weir_fail_nomem(err);
    }
    WEIR_TRY(take_tile(&bytes, &packed->scales, &part, packed->groups, err));
    for (uint64_t g = 0; g < packed->groups; g++) {
        convert_to_f32(some->scales + g * some->count, dtype, bytes + g * part.pitch,
                       (size_t)some->count);
    }
    return WEIR_OK;
}

/* Words [*first, *last] of a row of words hold the batch's outputs; the first begins with a code,
 * which of 3 bits every third does. */
static void words_of(const packed_tensor *packed, const batch *some, uint64_t *first,
                     uint64_t *last) {
    *first = packed->bits == 3 ? some->row / WORD_BITS * 3 : some->row * packed->bits / WORD_BITS;
    *last = ((some->row + some->count) * packed->bits - 1) / WORD_BITS;
}

/* GPTQ v1 stores zero points less one. One is added to a whole word of them, as the writer took it
 * off, so that a borrow goes back to where it came from; codes of 3 bits cross words and are taken
 * one by one. */
static uint32_t ones_of_word(const packed_tensor *packed) {
    if (!packed->zero_is_less_one || packed->kind != PACKED_INPUTS || packed->bits == 3) {
        return 0;
    }
    return UINT32_MAX / ((1U << packed->bits) - 1);
}

static weir_code read_column_zeros(batch *some, const packed_tensor *packed, weir_error *err) {
    const unsigned bits = packed->bits;
    uint64_t first;
    uint64_t last;
    words_of(packed, some, &first, &last);
    const uint64_t stride = packed->zeros.stored->dims[1] * WORD_BYTES;
    const tile part = tile_of(stride, first * WORD_BYTES, (last - first + 1) * WORD_BYTES);
    WEIR_CLEANUP(free) unsigned char *bytes = NULL;
    some->zeros = checked_alloc((size_t)(packed->groups * some->count), sizeof *some->zeros);
    if (!some->zeros) {
        return weir_fail_nomem(err);
    }
    WEIR_TRY(take_tile(&bytes, &packed->zeros, &part, packed->groups, err));
    const uint32_t ones = ones_of_word(packed);
    const bool adds_to_code =
        packed->zero_is_less_one && packed->kind == PACKED_INPUTS && bits == 3;
    for (uint64_t g = 0; g < packed->groups; g++) {
        unsigned char *const words = bytes + g * part.pitch;
        for (uint64_t i = 0; ones && i <= last - first; i++) {
            store_u32(words + i * WORD_BYTES, load_u32(words + i * WORD_BYTES) + ones);
        }
        for (uint64_t r = 0; r < some->count; r++) {
            const uint64_t spot = output_place(packed, some->row + r) - first * WORD_BITS / bits;
            uint32_t zero = stream_code(words, WORD_BYTES, spot, bits);
            zero = adds_to_code ? (zero + 1) & 7 : zero;
            some->zeros[g * some->count + r] = (float)zero;
        }
    }
    return WEIR_OK;
}

/* Inputs from c on that share a scale: those up to *stop, of the group that is returned. */
static uint64_t group_at(const packed_tensor *packed, const batch *some, uint64_t c, uint64_t end,
                         uint64_t *stop) {
    if (some->order) {
        *stop = c + 1;
        return some->order[c];
    }
    const uint64_t group = c / packed->col_block;
    const uint64_t next = (group + 1) * packed->col_block;
    *stop = next < end ? next : end;
    return group;
}

/* Inputs [begin, end), whose codes are in the batch's bytes. */
static void decode_inputs(float *out, const packed_tensor *packed, const batch *some,
                          const tile *part, uint64_t begin, uint64_t end) {
    for (uint64_t r = 0; r < some->count; r++) {
        float *const values = out + r * packed->cols;
        const unsigned char *const column = some->bytes + r * WORD_BYTES;
        for (uint64_t c = begin, stop; c < end;) {
            const uint64_t at = group_at(packed, some, c, end, &stop) * some->count + r;
            for (; c < stop; c++) {
                const uint32_t code = stream_code(column, part->pitch, c - begin, packed->bits);
                values[c] = aspect_of(some->aspect, (float)code, some->zeros[at], some->scales[at]);
            }
        }
    }
}

static void decode_outputs(float *out, const packed_tensor *packed, const batch *some,
                           const tile *part, uint64_t begin, uint64_t end) {
    const uint64_t first = some->row / 8;
    for (uint64_t r = 0; r < some->count; r++) {
        float *const values = out + r * packed->cols;
        const uint64_t word = (some->row + r) / 8 - first;
        const unsigned shift = output_nibbles[(some->row + r) % 8] * 4U;
        const unsigned char *const column = some->bytes + word * WORD_BYTES;
        for (uint64_t c = begin, stop; c < end;) {
            const uint64_t at = group_at(packed, some, c, end, &stop) * some->count + r;
            for (; c < stop; c++) {
                const uint32_t code = load_u32(column + (c - begin) * part->pitch) >> shift & 15;
                values[c] = aspect_of(some->aspect, (float)code, some->zeros[at], some->scales[at]);
            }
        }
    }
}

/* The columns of words of a batch, a tile at a time. A tile of INPUTS begins where a code does. */
static weir_code read_columns(batch *some, const packed_tensor *packed, float *out,
                              weir_error *err) {
    const bool is_inputs = packed->kind == PACKED_INPUTS;
    const stored_tensor *const codes = packed->codes.stored;
    uint64_t first = some->row;
    uint64_t last = some->row + some->count - 1;
    if (!is_inputs) {
        words_of(packed, some, &first, &last);
    }
    const tile part =
        tile_of(codes->dims[1] * WORD_BYTES, first * WORD_BYTES, (last - first + 1) * WORD_BYTES);
    const uint64_t unit = is_inputs ? packed->bits : 1;
    const uint64_t fitting = BATCH_CODES / part.pitch / unit * unit;
    const uint64_t rows_max = fitting > 0 ? fitting : unit;
    some->bytes = checked_alloc((size_t)rows_max, (size_t)part.pitch);
    if (!some->bytes) {
        return weir_fail_nomem(err);
    }
    for (uint64_t row = 0; row < codes->dims[0]; row += rows_max) {
        const uint64_t left = codes->dims[0] - row;
        const uint64_t rows = left < rows_max ? left : rows_max;
        WEIR_TRY(read_tile(some->bytes, &packed->codes, &part, row, rows, err));
        if (is_inputs) {
            decode_inputs(out, packed, some, &part, row * WORD_BITS / packed->bits,
                          (row + rows) * WORD_BITS / packed->bits);
        } else {
            decode_outputs(out, packed, some, &part, row, row + rows);
        }
    }
    return WEIR_OK;
}

static weir_code read_column_batch(const packed_tensor *packed, packed_aspect aspect, uint64_t row,
                                   uint64_t count, float *out, weir_error *err) {
    WEIR_CLEANUP(batch_release) batch some = {.aspect = aspect, .row = row, .count = count};
    WEIR_TRY(read_column_scales(&some, packed, err));
    WEIR_TRY(read_column_zeros(&some, packed, err));
    if (packed->order.stored) {
        WEIR_TRY(packed_read_order(&some.order, packed, err));
    }
    return read_columns(&some, packed, out, err);
}

/* --- batches --- */

static bool is_in_columns(const packed_tensor *packed) {
    return packed->kind == PACKED_INPUTS || packed->kind == PACKED_OUTPUTS;
}

/* Rows whose codes and scales stay within a batch; at least one. */
static uint64_t batch_rows(const packed_tensor *packed) {
    const uint64_t by_scales = BATCH_SCALES / packed->groups;
    const uint64_t by_codes = is_in_columns(packed) ? BATCH_ROWS_MAX : BATCH_CODES / packed->cols;
    const uint64_t rows = by_scales < by_codes ? by_scales : by_codes;
    return rows > 0 ? rows : 1;
}

static weir_code read_batch(const packed_tensor *packed, packed_aspect aspect, uint64_t row,
                            uint64_t count, float *out, weir_error *err) {
    switch (packed->kind) {
    case PACKED_INPUTS:
    case PACKED_OUTPUTS:
        return read_column_batch(packed, aspect, row, count, out, err);
    case PACKED_CODEBOOK:
        return read_run(packed, aspect, row * packed->cols, count * packed->cols, out, err);
    case PACKED_ROWS:
    case PACKED_SCALED:
    case PACKED_MX:
        break;
    }
    return read_row_batch(packed, aspect, row, count, out, err);
}

weir_code packed_read_aspect(const packed_tensor *packed, packed_aspect aspect, uint64_t row,
                             uint64_t count, float *out, weir_error *err) {
    if (row > packed->rows || count > packed->rows - row) {
        return weir_fail(err, WEIR_ERR_ARG, NULL, at_tensor(packed->name).text,
                         "rows inside the tensor", "rows %" PRIu64 " to %" PRIu64, row,
                         row + count);
    }
    const uint64_t rows_max = batch_rows(packed);
    while (count > 0) {
        const uint64_t some = count < rows_max ? count : rows_max;
        WEIR_TRY(read_batch(packed, aspect, row, some, out, err));
        row += some;
        out += some * packed->cols;
        count -= some;
    }
    return WEIR_OK;
}

weir_code packed_read(const packed_tensor *packed, uint64_t row, uint64_t count, float *out,
                      weir_error *err) {
    return packed_read_aspect(packed, PACKED_NUMBERS, row, count, out, err);
}

uint64_t packed_rows_at_once(const packed_tensor *packed, uint64_t elements_max) {
    const uint64_t rows = is_in_columns(packed) ? elements_max / packed->cols : 1;
    return rows > 0 ? rows : 1;
}
