/* SPDX-License-Identifier: Apache-2.0 */
#include "format/tensor_table.h"

#include <stdlib.h>
#include <string.h>

#include "base/checked.h"
#include "base/fail.h"

weir_code tensor_table_add(tensor_table *table, const stored_tensor *entry, size_t name_len,
                           weir_error *err) {
    void *items = table->items;
    if (!checked_grow(&items, &table->capacity, table->count, sizeof *table->items)) {
        return weir_fail_nomem(err);
    }
    table->items = items;
    stored_tensor copy = *entry;
    copy.name = arena_copy_text(&table->memory, entry->name, name_len);
    uint64_t *dims = arena_alloc(&table->memory, entry->rank, sizeof *dims);
    if (!copy.name || !dims) {
        return weir_fail_nomem(err);
    }
    if (entry->rank > 0) {
        memcpy(dims, entry->dims, entry->rank * sizeof *dims);
    }
    copy.dims = dims;
    table->items[table->count++] = copy;
    return WEIR_OK;
}

int tensor_table_elements(uint64_t *out, const uint64_t *dims, size_t rank) {
    uint64_t product = 1;
    for (size_t i = 0; i < rank; i++) {
        if (!checked_mul_u64(&product, product, dims[i])) {
            return 0;
        }
    }
    *out = product;
    return 1;
}

void tensor_table_release(tensor_table *table) {
    arena_release(&table->memory);
    free(table->items);
    *table = (tensor_table){0};
}
