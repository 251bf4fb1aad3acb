/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file tensor_table.h  The tensors that files say they hold: names, shapes, dtypes, byte ranges.
 *
 * Every entry was checked against its file: the range lies inside, its size is shape times dtype,
 * no two entries of a file share a byte or a name.
 */
#ifndef WEIR_FORMAT_TENSOR_TABLE_H
#define WEIR_FORMAT_TENSOR_TABLE_H

#include <stddef.h>
#include <stdint.h>

#include "base/arena.h"
#include "weir/dtype.h"
#include "weir/error.h"

typedef struct stored_tensor {
    const char *name;     /**< UTF-8 without NUL, as stored */
    const uint64_t *dims; /**< `rank` of them, outermost first (GGUF's order is turned round) */
    uint64_t offset;      /**< of the data, from the start of its file */
    uint64_t bytes;
    uint32_t file; /**< index into the files of the checkpoint */
    uint8_t rank;
    uint8_t dtype; /**< a weir_dtype */
} stored_tensor;

/** Zero-initialise; release with tensor_table_release(). Names and dims live in `memory`. */
typedef struct tensor_table {
    arena memory;
    stored_tensor *items;
    size_t count;
    size_t capacity;
} tensor_table;

/** Add an entry; name (len bytes) and dims are copied. @return WEIR_OK; WEIR_ERR_NOMEM */
weir_code tensor_table_add(tensor_table *table, const stored_tensor *entry, size_t name_len,
                           weir_error *err);

/** Product of dims. @return false when it wraps; a zero anywhere gives 0 as the reference does:
 *  the product is taken outermost first, and an overflow before the zero counts as wrapped. */
int tensor_table_elements(uint64_t *out, const uint64_t *dims, size_t rank);

void tensor_table_release(tensor_table *table);

#endif
