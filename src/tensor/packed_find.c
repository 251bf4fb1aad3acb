/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file packed_find.c  Which stored tensors are one packed weight, and whether their shapes agree.
 *
 * A rule a kind: the end of the codes' name says which rule, companions are found by the same stem.
 * Bits, groups and blocks follow from the shapes; the configuration is asked only for what shapes
 * cannot say (the zero points of GPTQ, the blocks of FP8). A rule that does not hold gives a
 * reason, and the tensors stay what they are stored as.
 */
#include <math.h>
#include <string.h>

#include "base/checked.h"
#include "base/fail.h"
#include "base/limits.h"
#include "kernel/convert.h"
#include "tensor/packed.h"
#include "tensor/packed_claims.h"
#include "tensor/packed_tables.h"

enum {
    COLS_MAX = 1 << 20, /* a row is held whole */
    GROUPS_MAX = 1 << 16,
    ROWS_MAX = INT32_MAX,
    FP8_BLOCK = 128, /* of every FP8 checkpoint with blocks that does not say another */
    MX_BLOCK = 32,
};

/* One tensor under examination. */
typedef struct attempt {
    const packed_search *in;
    const stored_tensor *stored;
    size_t stem_len; /* of the stored name, the dot or underscore behind it left out */
    packed_tensor made;
    const char *why;
    weir_error failure; /* of a table that could not be read */
} attempt;

/* --- names --- */

static bool ends_with(const char *name, const char *end) {
    const size_t len = strlen(name);
    const size_t end_len = strlen(end);
    return len > end_len && strcmp(name + len - end_len, end) == 0;
}

/* The name of what stands beside the codes. @return false when it is longer than any name */
static bool name_beside(char out[TENSOR_NAME_BYTES_MAX + 1], const attempt *at, const char *end) {
    const size_t end_len = strlen(end);
    if (at->stem_len + end_len > TENSOR_NAME_BYTES_MAX) {
        return false;
    }
    memcpy(out, at->stored->name, at->stem_len);
    memcpy(out + at->stem_len, end, end_len + 1);
    return true;
}

/* The first of the tensors of a name, in an order of names. */
static size_t lower_bound(const packed_search *in, const char *name) {
    size_t begin = 0;
    size_t end = in->from->tensors.count;
    while (begin < end) {
        const size_t middle = begin + (end - begin) / 2;
        if (strcmp(in->by_name[middle]->name, name) < 0) {
            begin = middle + 1;
        } else {
            end = middle;
        }
    }
    return begin;
}

/* NULL when there is none. Of two of one name (in two files) nobody can say which is meant: then
 * the attempt fails. */
static const stored_tensor *find_beside(attempt *at, const char *end) {
    char name[TENSOR_NAME_BYTES_MAX + 1];
    const packed_search *const in = at->in;
    const size_t count = in->from->tensors.count;
    if (!name_beside(name, at, end)) {
        return NULL;
    }
    const size_t i = lower_bound(in, name);
    if (i >= count || strcmp(in->by_name[i]->name, name) != 0) {
        return NULL;
    }
    if (i + 1 < count && strcmp(in->by_name[i + 1]->name, name) == 0) {
        at->why = "two tensors share a name that is needed";
    }
    return in->by_name[i];
}

static packed_part part_of(attempt *at, const stored_tensor *stored) {
    if (!stored) {
        return (packed_part){0};
    }
    const checkpoint *const from = at->in->from;
    at->made.members[at->made.member_count++] = stored;
    return (packed_part){
        .stored = stored,
        .source = stored->file < from->file_count ? from->files[stored->file].source : NULL};
}

static packed_part find_part(attempt *at, const char *end) {
    return part_of(at, find_beside(at, end));
}

/* --- shapes --- */

/* Of a part that is not there: one whose numbers are not read. */
static weir_dtype dtype_of(const packed_part *part) {
    return part->stored ? (weir_dtype)part->stored->dtype : WEIR_DTYPE_C64;
}

/* Scales are floats that one conversion reads. */
static bool is_scale(const packed_part *part) {
    const weir_dtype dtype = dtype_of(part);
    return dtype == WEIR_DTYPE_F32 || dtype == WEIR_DTYPE_F16 || dtype == WEIR_DTYPE_BF16 ||
           dtype == WEIR_DTYPE_F8_E8M0;
}

static bool has_shape(const packed_part *part, uint64_t rows, uint64_t cols) {
    const stored_tensor *const stored = part->stored;
    return stored->rank == 2 && stored->dims[0] == rows && stored->dims[1] == cols;
}

static bool is_vector(const packed_part *part, uint64_t count) {
    return part->stored->rank == 1 && part->stored->dims[0] == count;
}

static uint64_t divide_up(uint64_t a, uint64_t b) {
    return a / b + (a % b != 0);
}

static bool refuse(attempt *at, const char *why) {
    at->why = at->why ? at->why : why;
    return false;
}

/* The matrix is one that can be held by the row and counted. */
static bool is_sane_matrix(attempt *at) {
    const packed_tensor *const made = &at->made;
    uint64_t elements;
    return (made->rows > 0 && made->cols > 0 && made->rows <= ROWS_MAX && made->cols <= COLS_MAX &&
            checked_mul_u64(&elements, made->rows, made->cols)) ||
           refuse(at, "the matrix is empty or too large");
}

/* --- GPTQ and AWQ --- */

/* Whether one was taken off the zero points. @return false when that is not known */
static bool find_zero_convention(attempt *at) {
    const claims *const said = &at->in->from->claims;
    const char *const format = packed_said(said, "checkpoint_format");
    const char *const method = packed_said(said, "quant_method");
    const char *const packing = packed_said(said, "packing_format");
    at->made.zero_is_less_one = true;
    if (format && strcmp(format, "gptq_v2") == 0) {
        at->made.zero_is_less_one = false;
        return true;
    }
    const bool is_v1 =
        (!format || strcmp(format, "gptq") == 0) && (!method || strcmp(method, "gptq") == 0);
    return is_v1 || (packing && strcmp(packing, "auto_round:auto_gptq") == 0) ||
           refuse(at, "the configuration names a form of GPTQ that weir does not know");
}

/* Inputs in equal groups. The configuration helps where they do not come out even. */
static bool set_groups(attempt *at, uint64_t groups) {
    packed_tensor *const made = &at->made;
    uint64_t said;
    made->groups = groups;
    if (groups == 0 || groups > made->cols || groups > GROUPS_MAX) {
        return refuse(at, "there are no scales, or too many");
    }
    if (made->cols % groups == 0) {
        made->col_block = made->cols / groups;
        return true;
    }
    if (packed_said_number(&at->in->from->claims, "group_size", &said) && said > 0 &&
        divide_up(made->cols, said) == groups) {
        made->col_block = said;
        return true;
    }
    if (made->order.stored) {
        made->col_block = divide_up(made->cols, groups); /* the order says the groups */
        return true;
    }
    return refuse(at, "the inputs are no whole number of groups");
}

static bool set_inputs_packed(attempt *at) {
    packed_tensor *const made = &at->made;
    const uint64_t *const codes = made->codes.stored->dims;
    const uint64_t *const zeros = made->zeros.stored->dims;
    uint64_t zero_bits;
    uint64_t code_bits;
    made->kind = PACKED_INPUTS;
    made->rows = codes[1];
    if (made->rows == 0 || !checked_mul_u64(&zero_bits, zeros[1], 32) ||
        zero_bits % made->rows != 0 || !checked_mul_u64(&code_bits, codes[0], 32)) {
        return refuse(at, "qzeros are no whole number of codes");
    }
    const uint64_t bits = zero_bits / made->rows;
    if (bits != 2 && bits != 3 && bits != 4 && bits != 8) {
        return refuse(at, "codes of another size than 2, 3, 4 or 8 bits");
    }
    made->bits = (uint8_t)bits;
    made->cols = code_bits / bits;
    if (code_bits % bits != 0 || (made->order.stored && !is_vector(&made->order, made->cols))) {
        return refuse(at, "qweight, qzeros and g_idx differ in the number of inputs");
    }
    return find_zero_convention(at);
}

static bool set_outputs_packed(attempt *at) {
    packed_tensor *const made = &at->made;
    const uint64_t *const codes = made->codes.stored->dims;
    const char *const version = packed_said(&at->in->from->claims, "version");
    made->kind = PACKED_OUTPUTS;
    made->bits = 4;
    made->rows = made->scales.stored->dims[1];
    made->cols = codes[0];
    if (version && strcmp(version, "gemm") != 0 && strcmp(version, "GEMM") != 0) {
        return refuse(at, "an AWQ of another version than GEMM");
    }
    return (made->zeros.stored->dims[1] == codes[1] && !made->order.stored) ||
           refuse(at, "qweight and qzeros differ in the number of outputs");
}

/* qweight [words, outputs] is GPTQ's, [inputs, words] is AWQ's; scales [groups, outputs] tell. */
static bool try_qweight(attempt *at) {
    packed_tensor *const made = &at->made;
    made->codes = part_of(at, at->stored);
    made->scales = find_part(at, ".scales");
    made->zeros = find_part(at, ".qzeros");
    made->order = find_part(at, ".g_idx");
    if (!made->scales.stored || !made->zeros.stored) {
        return refuse(at, "no scales or no qzeros beside qweight");
    }
    const stored_tensor *const codes = made->codes.stored;
    const stored_tensor *const scales = made->scales.stored;
    const stored_tensor *const zeros = made->zeros.stored;
    const bool has_order = made->order.stored != NULL;
    if (codes->rank != 2 || scales->rank != 2 || zeros->rank != 2 ||
        codes->dtype != WEIR_DTYPE_I32 || zeros->dtype != WEIR_DTYPE_I32 ||
        !is_scale(&made->scales) || zeros->dims[0] != scales->dims[0] ||
        (has_order && made->order.stored->dtype != WEIR_DTYPE_I32)) {
        return refuse(at, "qweight, qzeros, scales or g_idx have another form");
    }
    made->row_block = 1;
    const bool is_gptq = codes->dims[1] == scales->dims[1];
    if (!is_gptq && (scales->dims[1] % 8 != 0 || scales->dims[1] / 8 != codes->dims[1])) {
        return refuse(at, "qweight and scales differ in the number of outputs");
    }
    return (is_gptq ? set_inputs_packed(at) : set_outputs_packed(at)) && is_sane_matrix(at) &&
           set_groups(at, scales->dims[0]);
}

/* --- scales in a grid --- */

/*
 * Scales of shape [] or [1], [rows], or [down, across]. Down: one for all outputs, one for each, or
 * one for each block of them. Across: where each output has scales of its own, equal groups of
 * inputs; else blocks. The last block may be short.
 */
static bool set_grid(attempt *at, const packed_part *scales) {
    packed_tensor *const made = &at->made;
    const stored_tensor *const stored = scales->stored;
    uint64_t block_rows = FP8_BLOCK;
    uint64_t block_cols = FP8_BLOCK;
    const bool is_said = packed_said_blocks(&at->in->from->claims, &block_rows, &block_cols);
    const uint64_t down = stored->rank > 0 ? stored->dims[0] : 1;
    const uint64_t across = stored->rank > 1 ? stored->dims[1] : 1;
    if (stored->rank > 2 || !is_scale(scales) || down == 0 || across == 0 || across > made->cols ||
        across > GROUPS_MAX) {
        return refuse(at, "scales of another form");
    }
    made->groups = across;
    if (down == 1 || down == made->rows) {
        made->row_block = down == 1 ? made->rows : 1;
    } else {
        made->row_block = block_rows;
    }
    const bool is_group = down == made->rows && made->cols % across == 0 &&
                          !(is_said && divide_up(made->cols, block_cols) == across);
    if (across == 1 || is_group) {
        made->col_block = made->cols / across;
    } else {
        made->col_block = block_cols;
    }
    return (divide_up(made->rows, made->row_block) == down &&
            divide_up(made->cols, made->col_block) == across) ||
           refuse(at, "scales that fit no blocks of the weight");
}

/* Equal dims, or as many numbers in the same order. */
static bool is_like(const packed_part *a, const packed_part *b) {
    uint64_t count_a;
    uint64_t count_b;
    return tensor_table_elements(&count_a, a->stored->dims, a->stored->rank) &&
           tensor_table_elements(&count_b, b->stored->dims, b->stored->rank) && count_a == count_b;
}

/* --- one byte a number --- */

static bool is_byte_code(weir_dtype dtype) {
    return dtype == WEIR_DTYPE_I8 || dtype == WEIR_DTYPE_F8_E4M3 || dtype == WEIR_DTYPE_F8_E5M2 ||
           dtype == WEIR_DTYPE_F8_E4M3FNUZ || dtype == WEIR_DTYPE_F8_E5M2FNUZ;
}

/* bitsandbytes: weight int8, SCB the largest magnitude of each row. */
static bool try_int8(attempt *at) {
    packed_tensor *const made = &at->made;
    const packed_part format = find_part(at, ".weight_format");
    made->factor = 7.874015718698502e-3F; /* 1 / 127, as the reference spells it */
    made->row_block = 1;
    made->groups = 1;
    made->col_block = made->cols;
    if (dtype_of(&made->codes) != WEIR_DTYPE_I8 || dtype_of(&made->scales) != WEIR_DTYPE_F32 ||
        (!is_vector(&made->scales, made->rows) && !has_shape(&made->scales, made->rows, 1) &&
         !has_shape(&made->scales, 1, made->rows))) {
        return refuse(at, "SCB is not one scale for each row of int8");
    }
    return !format.stored || packed_is_zero_byte(&format, &at->failure) ||
           refuse(at, "int8 in another order than by rows");
}

static bool try_scaled(attempt *at, const char *scales_end) {
    packed_tensor *const made = &at->made;
    made->kind = PACKED_SCALED;
    made->bits = 8;
    made->codes = part_of(at, at->stored);
    made->scales = find_part(at, scales_end);
    if (!is_byte_code(dtype_of(&made->codes)) || made->codes.stored->rank != 2) {
        return refuse(at, "codes of another form than a matrix of bytes");
    }
    made->rows = made->codes.stored->dims[0];
    made->cols = made->codes.stored->dims[1];
    if (!is_sane_matrix(at)) {
        return false;
    }
    if (strcmp(scales_end, ".SCB") == 0) {
        return try_int8(at);
    }
    if (find_beside(at, ".weight_global_scale") || find_beside(at, ".weight_scale_2")) {
        return refuse(at, "scales of scales");
    }
    made->zeros = find_part(at, ".weight_zero_point");
    made->order = find_part(at, ".weight_g_idx");
    if (!set_grid(at, &made->scales)) {
        return false;
    }
    const bool has_good_zeros = !made->zeros.stored || (is_like(&made->zeros, &made->scales) &&
                                                        is_byte_code(dtype_of(&made->zeros)));
    const bool has_good_order =
        !made->order.stored ||
        (is_vector(&made->order, made->cols) && made->order.stored->dtype == WEIR_DTYPE_I32);
    return (has_good_zeros && has_good_order) ||
           refuse(at, "zero points or an order of another form");
}

/* --- compressed-tensors, packed --- */

/* The size of codes that makes rows of so many words. @return 0 when none or more than one does */
static uint8_t bits_of_rows(uint64_t cols, uint64_t words) {
    static const uint8_t sizes[] = {2, 4, 8};
    uint8_t found = 0;
    for (size_t i = 0; i < sizeof sizes; i++) {
        if (divide_up(cols * sizes[i], 32) == words) {
            if (found) {
                return 0;
            }
            found = sizes[i];
        }
    }
    return found;
}

static bool has_row_zeros(const packed_tensor *made) {
    const packed_part *const zeros = &made->zeros;
    if (!zeros->stored) {
        return true;
    }
    const bool is_packed = dtype_of(zeros) == WEIR_DTYPE_I32 && made->row_block == 1 &&
                           has_shape(zeros, divide_up(made->rows * made->bits, 32), made->groups);
    return is_packed || (dtype_of(zeros) == WEIR_DTYPE_I8 && is_like(zeros, &made->scales));
}

static bool try_row_words(attempt *at) {
    packed_tensor *const made = &at->made;
    made->kind = PACKED_ROWS;
    made->codes = part_of(at, at->stored);
    made->scales = find_part(at, ".weight_scale");
    made->zeros = find_part(at, ".weight_zero_point");
    made->order = find_part(at, ".weight_g_idx");
    const packed_part shape = find_part(at, ".weight_shape");
    if (!made->scales.stored || !shape.stored || find_beside(at, ".weight_global_scale")) {
        return refuse(at, "no weight_scale or weight_shape beside weight_packed");
    }
    const stored_tensor *const codes = made->codes.stored;
    if (codes->dtype != WEIR_DTYPE_I32 || codes->rank != 2 ||
        !packed_read_shape(&made->rows, &made->cols, &shape, &at->failure) ||
        made->rows != codes->dims[0]) {
        return refuse(at, "weight_packed and weight_shape differ");
    }
    if (!is_sane_matrix(at)) {
        return false;
    }
    made->bits = bits_of_rows(made->cols, codes->dims[1]);
    if (made->bits == 0) {
        return refuse(at, "codes of another size than 2, 4 or 8 bits");
    }
    const bool has_good_order =
        !made->order.stored ||
        (is_vector(&made->order, made->cols) && made->order.stored->dtype == WEIR_DTYPE_I32);
    return set_grid(at, &made->scales) && ((has_row_zeros(made) && has_good_order) ||
                                           refuse(at, "zero points or an order of another form"));
}

/* --- bitsandbytes, 4 bits --- */

/* The largest scale block is as long as the run of numbers itself. */
static bool has_good_scales(attempt *at, const quant_state *state, packed_codebook *book) {
    packed_tensor *const made = &at->made;
    const uint64_t scale_count = divide_up(made->rows * made->cols, made->row_block);
    made->nested_scales = find_part(at, ".weight.nested_absmax");
    const packed_part nested_map = find_part(at, ".weight.nested_quant_map");
    if (!is_vector(&made->scales, scale_count)) {
        return refuse(at, "absmax is not one scale for each block");
    }
    if (!made->nested_scales.stored) {
        return dtype_of(&made->scales) == WEIR_DTYPE_F32 ||
               refuse(at, "absmax of codes without nested_absmax");
    }
    book->is_nested = true;
    book->scale_block = state->nested_block;
    book->scale_offset = (float)state->nested_offset;
    return (state->nested_block > 0 && state->has_offset && isfinite(book->scale_offset) &&
            dtype_of(&made->scales) == WEIR_DTYPE_U8 &&
            dtype_of(&made->nested_scales) == WEIR_DTYPE_F32 &&
            is_vector(&made->nested_scales, divide_up(scale_count, state->nested_block)) &&
            nested_map.stored &&
            packed_read_values(book->scale_values, PACKED_CODES_MAX, &nested_map, &at->failure)) ||
           refuse(at, "nested scales of another form");
}

static void find_state(attempt *at, quant_state *state) {
    const packed_part nf4 = find_part(at, ".weight.quant_state.bitsandbytes__nf4");
    const packed_part fp4 = find_part(at, ".weight.quant_state.bitsandbytes__fp4");
    const packed_part *const part = nf4.stored ? &nf4 : &fp4;
    if (!part->stored || (nf4.stored && fp4.stored) || !part->source) {
        (void)refuse(at, "no quant_state, or two");
    } else if (quant_state_read(state, part, &at->failure) != WEIR_OK ||
               state->is_nf4 != (nf4.stored != NULL)) {
        (void)refuse(at, "a quant_state that cannot be read");
    }
}

static weir_code try_codebook(attempt *at, weir_error *err) {
    packed_tensor *const made = &at->made;
    quant_state state = {0};
    made->kind = PACKED_CODEBOOK;
    made->bits = 4;
    made->codes = part_of(at, at->stored);
    made->scales = find_part(at, ".weight.absmax");
    const packed_part map = find_part(at, ".weight.quant_map");
    find_state(at, &state);
    made->rows = state.rows;
    made->cols = state.cols;
    made->row_block = state.block;
    made->col_block = 1;
    made->groups = 1;
    if (at->why || !is_sane_matrix(at)) {
        return WEIR_OK;
    }
    packed_codebook *const book = arena_alloc(at->in->memory, 1, sizeof *book);
    if (!book) {
        return weir_fail_nomem(err);
    }
    memset(book, 0, sizeof *book);
    made->codebook = book;
    if (divide_up(made->rows * made->cols, 2) != made->codes.stored->bytes) {
        (void)refuse(at, "the bytes are not half the numbers of the shape");
    } else if (!map.stored || !packed_read_values(book->values, 16, &map, &at->failure) ||
               !packed_is_known_map(book->values, state.is_nf4)) {
        (void)refuse(at, "quant_map is not the one of its type");
    } else {
        (void)has_good_scales(at, &state, book);
    }
    return WEIR_OK;
}

/* --- MXFP4 --- */

static bool try_mx(attempt *at) {
    packed_tensor *const made = &at->made;
    made->kind = PACKED_MX;
    made->bits = 4;
    made->codes = part_of(at, at->stored);
    made->scales = find_part(at, "_scales");
    const stored_tensor *const codes = made->codes.stored;
    const stored_tensor *const scales = made->scales.stored;
    if (codes->dtype != WEIR_DTYPE_U8 || codes->rank != 4 || codes->dims[3] != MX_BLOCK / 2) {
        made->codes = (packed_part){0}; /* something else whose name ends like this */
        return scales ? refuse(at, "blocks and scales of another form") : false;
    }
    if (!scales || scales->dtype != WEIR_DTYPE_U8 || scales->rank != 3 ||
        memcmp(codes->dims, scales->dims, 3 * sizeof *codes->dims) != 0) {
        return refuse(at, "blocks and scales of another form");
    }
    made->experts = codes->dims[0];
    made->groups = codes->dims[2];
    made->row_block = 1;
    made->col_block = MX_BLOCK;
    return (made->experts > 0 && made->experts <= EXPERT_COUNT_MAX && made->groups <= GROUPS_MAX &&
            checked_mul_u64(&made->rows, made->experts, codes->dims[1]) &&
            checked_mul_u64(&made->cols, made->groups, MX_BLOCK) && is_sane_matrix(at)) ||
           refuse(at, "blocks and scales of another form");
}

/* --- which rule --- */

/* The scales that stand beside a ".weight"; NULL when none do. */
static const char *scales_beside(attempt *at) {
    static const char *const ends[] = {".weight.absmax", ".SCB", ".weight_scale_inv",
                                       ".weight_scale", ".scales"};
    const char *found = NULL;
    for (size_t i = 0; i < sizeof ends / sizeof *ends; i++) {
        if (find_beside(at, ends[i])) {
            if (found) {
                (void)refuse(at, "scales of two kinds beside one weight");
            }
            found = ends[i];
        }
    }
    return found;
}

/* Numbers of themselves, whatever scales a conversion left beside them. */
static bool is_wide(weir_dtype dtype) {
    return dtype <= WEIR_DTYPE_BF16 || dtype == WEIR_DTYPE_I64 || dtype >= WEIR_DTYPE_Q4_0;
}

/* Codes of 4 bits may be stored as any dtype; of 8 bits, the bytes are a dtype that says so. */
static weir_code try_weight(attempt *at, weir_error *err) {
    const char *const scales = scales_beside(at);
    if (!scales ||
        (is_wide((weir_dtype)at->stored->dtype) && strcmp(scales, ".weight.absmax") != 0)) {
        at->why = NULL;
        return WEIR_OK;
    }
    if (strcmp(scales, ".scales") == 0) {
        (void)refuse(at, "scales of a kind that weir does not know");
        return WEIR_OK;
    }
    if (strcmp(scales, ".weight.absmax") == 0) {
        return try_codebook(at, err);
    }
    (void)try_scaled(at, scales);
    return WEIR_OK;
}

static weir_code try_rules(attempt *at, weir_error *err) {
    static const char *const ends[] = {".qweight", ".weight_packed", "_blocks", ".weight"};
    const char *const name = at->stored->name;
    size_t rule = 0;
    while (rule < 4 && !ends_with(name, ends[rule])) {
        rule++;
    }
    if (rule == 4 || strlen(name) > TENSOR_NAME_BYTES_MAX) {
        return WEIR_OK;
    }
    at->stem_len = strlen(name) - strlen(ends[rule]);
    switch (rule) {
    case 0:
        (void)try_qweight(at);
        return WEIR_OK;
    case 1:
        (void)try_row_words(at);
        return WEIR_OK;
    case 2:
        (void)try_mx(at);
        return WEIR_OK;
    default:
        return try_weight(at, err);
    }
}

/* Put the name that the role table knows, and keep what was made. */
static weir_code keep(const packed_tensor **out, attempt *at, weir_error *err) {
    char name[TENSOR_NAME_BYTES_MAX + 1];
    if (!name_beside(name, at, at->made.kind == PACKED_MX ? "" : ".weight")) {
        at->why = "a name that is too long";
        return WEIR_OK;
    }
    packed_tensor *const kept = arena_alloc(at->in->memory, 1, sizeof *kept);
    at->made.name = arena_copy_text(at->in->memory, name, strlen(name));
    if (!kept || !at->made.name) {
        return weir_fail_nomem(err);
    }
    *kept = at->made;
    *out = kept;
    return WEIR_OK;
}

static bool has_sources(const packed_tensor *made) {
    const packed_part *const parts[] = {&made->codes, &made->scales, &made->zeros, &made->order,
                                        &made->nested_scales};
    bool has_all = true;
    for (size_t i = 0; i < sizeof parts / sizeof *parts; i++) {
        has_all = has_all && (!parts[i]->stored || parts[i]->source);
    }
    return has_all;
}

weir_code packed_find(const packed_tensor **out, const char **why, const packed_search *in,
                      const stored_tensor *stored, weir_error *err) {
    attempt at = {.in = in, .stored = stored, .made = {.factor = 1.0F, .experts = 1}};
    *out = NULL;
    *why = NULL;
    WEIR_TRY(try_rules(&at, err));
    if (at.failure.code == WEIR_ERR_IO || at.failure.code == WEIR_ERR_NOMEM) {
        return weir_fail(err, at.failure.code, at.failure.file, at.failure.at, at.failure.expected,
                         "%s", at.failure.found);
    }
    if (!at.why && at.made.codes.stored && !has_sources(&at.made)) {
        at.why = "a file that is not open";
    }
    if (!at.why && at.made.order.stored) {
        WEIR_TRY(packed_check_order(&at.made, &at.why, err));
    }
    if (!at.why && at.made.codes.stored) {
        WEIR_TRY(keep(out, &at, err));
    }
    *why = at.why;
    return WEIR_OK;
}
