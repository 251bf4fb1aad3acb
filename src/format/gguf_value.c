/* SPDX-License-Identifier: Apache-2.0 */
#include "format/gguf_value.h"

#include <assert.h>
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/fail.h"

const gguf_kind_info gguf_kinds[GGUF_KIND_COUNT] = {
    [GGUF_KIND_U8] = {"u8", 1},         [GGUF_KIND_I8] = {"i8", 1},
    [GGUF_KIND_U16] = {"u16", 2},       [GGUF_KIND_I16] = {"i16", 2},
    [GGUF_KIND_U32] = {"u32", 4},       [GGUF_KIND_I32] = {"i32", 4},
    [GGUF_KIND_F32] = {"f32", 4},       [GGUF_KIND_BOOL] = {"bool", 1},
    [GGUF_KIND_STRING] = {"string", 8}, [GGUF_KIND_U64] = {"u64", 8},
    [GGUF_KIND_ARRAY] = {"array", 12},  [GGUF_KIND_I64] = {"i64", 8},
    [GGUF_KIND_F64] = {"f64", 8},
};

static void set_signed(gguf_value *out, int64_t value) {
    out->is_whole = value >= 0;
    out->value = (uint64_t)value;
    out->negative = value;
}

static weir_code read_real(gguf_value *out, byte_reader *bytes, weir_error *err) {
    if (out->kind == GGUF_KIND_F64) {
        return byte_reader_f64(&out->real, bytes, "an f64", err);
    }
    float single;
    WEIR_TRY(byte_reader_f32(&single, bytes, "an f32", err));
    out->real = (double)single;
    return WEIR_OK;
}

static weir_code read_signed(gguf_value *out, byte_reader *bytes, weir_error *err) {
    uint8_t byte;
    uint16_t half;
    uint32_t word;
    uint64_t whole;
    switch (gguf_kinds[out->kind].bytes) {
    case 1:
        WEIR_TRY(byte_reader_u8(&byte, bytes, "an i8", err));
        set_signed(out, (int8_t)byte);
        return WEIR_OK;
    case 2:
        WEIR_TRY(byte_reader_u16(&half, bytes, "an i16", err));
        set_signed(out, (int16_t)half);
        return WEIR_OK;
    case 4:
        WEIR_TRY(byte_reader_u32(&word, bytes, "an i32", err));
        set_signed(out, (int32_t)word);
        return WEIR_OK;
    default:
        WEIR_TRY(byte_reader_u64(&whole, bytes, "an i64", err));
        set_signed(out, (int64_t)whole);
        return WEIR_OK;
    }
}

static weir_code read_unsigned(gguf_value *out, byte_reader *bytes, weir_error *err) {
    uint8_t byte;
    uint16_t half;
    uint32_t word;
    out->is_whole = true;
    switch (gguf_kinds[out->kind].bytes) {
    case 1:
        WEIR_TRY(byte_reader_u8(&byte, bytes, "a u8 or bool", err));
        out->value = byte;
        return WEIR_OK;
    case 2:
        WEIR_TRY(byte_reader_u16(&half, bytes, "a u16", err));
        out->value = half;
        return WEIR_OK;
    case 4:
        WEIR_TRY(byte_reader_u32(&word, bytes, "a u32", err));
        out->value = word;
        return WEIR_OK;
    default:
        return byte_reader_u64(&out->value, bytes, "a u64", err);
    }
}

weir_code gguf_value_read(gguf_value *out, byte_reader *bytes, gguf_kind kind, weir_error *err) {
    *out = (gguf_value){.kind = kind};
    if (kind == GGUF_KIND_F32 || kind == GGUF_KIND_F64) {
        return read_real(out, bytes, err);
    }
    if (kind == GGUF_KIND_I8 || kind == GGUF_KIND_I16 || kind == GGUF_KIND_I32 ||
        kind == GGUF_KIND_I64) {
        return read_signed(out, bytes, err);
    }
    return read_unsigned(out, bytes, err);
}

static void format_real(char out[static GGUF_VALUE_TEXT_BYTES], const gguf_value *real) {
    if (isnan(real->real)) {
        (void)snprintf(out, GGUF_VALUE_TEXT_BYTES, "nan");
        return;
    }
    const bool is_single = real->kind == GGUF_KIND_F32;
    const int digits_max = is_single ? 9 : 17;
    for (int digits = is_single ? 6 : 15; digits <= digits_max; digits++) {
        const int len = snprintf(out, GGUF_VALUE_TEXT_BYTES, "%.*g", digits, real->real);
        assert(len > 0 && len < GGUF_VALUE_TEXT_BYTES); /* 17 digits, sign, point, "e-308" */
        (void)len;
        const double again = strtod(out, NULL);
        if (is_single ? (float)again == (float)real->real : again == real->real) {
            return;
        }
    }
}

void gguf_value_format(char out[static GGUF_VALUE_TEXT_BYTES], const gguf_value *value) {
    if (value->kind == GGUF_KIND_F32 || value->kind == GGUF_KIND_F64) {
        format_real(out, value);
    } else if (value->kind == GGUF_KIND_BOOL) {
        (void)snprintf(out, GGUF_VALUE_TEXT_BYTES, "%s", value->value ? "true" : "false");
    } else if (value->is_whole) {
        (void)snprintf(out, GGUF_VALUE_TEXT_BYTES, "%" PRIu64, value->value);
    } else {
        (void)snprintf(out, GGUF_VALUE_TEXT_BYTES, "%" PRId64, value->negative);
    }
}
