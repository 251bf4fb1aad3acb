/* SPDX-License-Identifier: Apache-2.0 */
/** @file gguf_value.h  The value types of GGUF metadata, and single numbers of them. */
#ifndef WEIR_FORMAT_GGUF_VALUE_H
#define WEIR_FORMAT_GGUF_VALUE_H

#include <stdbool.h>
#include <stdint.h>

#include "io/byte_reader.h"

/** As in the file. Source: ggml/docs/gguf.md, `enum gguf_metadata_value_type`. */
typedef enum gguf_kind {
    GGUF_KIND_U8,
    GGUF_KIND_I8,
    GGUF_KIND_U16,
    GGUF_KIND_I16,
    GGUF_KIND_U32,
    GGUF_KIND_I32,
    GGUF_KIND_F32,
    GGUF_KIND_BOOL,
    GGUF_KIND_STRING,
    GGUF_KIND_ARRAY,
    GGUF_KIND_U64,
    GGUF_KIND_I64,
    GGUF_KIND_F64,
    GGUF_KIND_COUNT,
} gguf_kind;

typedef struct gguf_kind_info {
    const char *name;
    uint8_t bytes; /**< of one value; the least that a string or an array takes */
} gguf_kind_info;

extern const gguf_kind_info gguf_kinds[GGUF_KIND_COUNT];

/** A number or truth value of any type. */
typedef struct gguf_value {
    gguf_kind kind;
    bool is_whole; /**< not negative, without a fraction: `value` holds it */
    uint64_t value;
    int64_t negative;
    double real;
} gguf_value;

enum { GGUF_VALUE_TEXT_BYTES = 32 };

/** Read one; `kind` is neither a string nor an array. */
weir_code gguf_value_read(gguf_value *out, byte_reader *bytes, gguf_kind kind, weir_error *err);

/** The shortest decimal that reads back as the same number; "true" or "false". */
void gguf_value_format(char out[static GGUF_VALUE_TEXT_BYTES], const gguf_value *value);

#endif
