/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Any table of tensors becomes a model whose names are unique and whose views stay inside their
 * tensors. The input is text: the architecture, then heads, kv_heads, head_dim and experts on one
 * line, then a tensor a line as "DTYPE NAME DIM,DIM", DTYPE a number. Entries that no table would
 * hold are left out. The file behind it reads as zeros.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/dtype.h"
#include "tensor/adapter.h"
#include "tensor/model.h"

enum { READ_ELEMENTS_MAX = 1 << 14, LINE_BYTES_MAX = 2000 };

static weir_code read_zeros(void *context, uint64_t offset, void *out, size_t len,
                            weir_error *err) {
    (void)context;
    (void)offset;
    (void)err;
    memset(out, 0, len);
    return WEIR_OK;
}

static size_t parse_dims(uint64_t *dims, const char *text) {
    size_t rank = 0;
    while (*text && rank < 8) {
        char *end;
        dims[rank++] = strtoull(text, &end, 10);
        text = end + (*end == ',');
        if (*end != ',') {
            break;
        }
    }
    return rank;
}

/* As a parser would: only what has a size, and lies in a file of 2^62 bytes. */
static void add_tensor(checkpoint *to, uint64_t *used, char *line) {
    uint64_t dims[8];
    char *rest;
    const unsigned long dtype = strtoul(line, &rest, 10);
    char *const name = rest + strspn(rest, " ");
    char *const space = strrchr(name, ' ');
    if (dtype >= WEIR_DTYPE_COUNT || !space) {
        return;
    }
    *space = '\0';
    stored_tensor entry = {.name = name, .dims = dims, .dtype = (uint8_t)dtype, .offset = *used};
    entry.rank = (uint8_t)parse_dims(dims, space + 1);
    uint64_t elements;
    if (!tensor_table_elements(&elements, dims, entry.rank) ||
        !dtype_bytes(&entry.bytes, (weir_dtype)dtype, elements) ||
        entry.bytes > (UINT64_MAX >> 2) - *used) {
        return;
    }
    const uint16_t block = weir_dtype_get((weir_dtype)dtype)->block_elements;
    if (block > 1 && (entry.rank == 0 || dims[entry.rank - 1] % block != 0)) {
        return;
    }
    *used += entry.bytes;
    (void)tensor_table_add(&to->tensors, &entry, strlen(name), NULL);
}

static void read_shape(hyperparameters *shape, const char *line) {
    char *end;
    shape->heads = strtoull(line, &end, 10);
    shape->kv_heads = strtoull(end, &end, 10);
    shape->head_dim = strtoull(end, &end, 10);
    shape->experts = strtoull(end, &end, 10);
}

static void check_model(const weir_model *model) {
    static float out[READ_ELEMENTS_MAX];
    view_scratch scratch = {0};
    for (size_t i = 0; i < weir_model_tensor_count(model); i++) {
        const weir_tensor *const tensor = weir_model_tensor(model, i);
        size_t index;
        if (!model_find(model, tensor->name, &index) || index != i) {
            abort();
        }
        if (tensor->rows == 0 || tensor->cols == 0 || tensor->cols > READ_ELEMENTS_MAX || i > 64) {
            continue;
        }
        const uint64_t fit = READ_ELEMENTS_MAX / tensor->cols;
        const uint64_t count = tensor->rows < fit ? tensor->rows : fit;
        for (int end = 0; end < 2; end++) {
            const weir_code code = tensor_view_read(
                model_view(model, i), end ? tensor->rows - count : 0, count, out, &scratch, NULL);
            if (code != WEIR_OK && code != WEIR_ERR_UNSUPPORTED) {
                abort();
            }
        }
    }
    view_scratch_release(&scratch);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    static const weir_source_ops ops = {.read_at = read_zeros};
    checkpoint from = {.name = "", .format = "gguf", .file_count = 1};
    checkpoint_file file = {.path = "f", .format = "gguf"};
    char line[LINE_BYTES_MAX + 1];
    char architecture[64] = "";
    uint64_t used = 0;
    if (weir_source_open_custom(&file.source, &ops, NULL, UINT64_MAX >> 1, "f", NULL)) {
        return 0;
    }
    from.files = &file;
    for (size_t number = 0; size > 0; number++) {
        const uint8_t *const stop = memchr(data, '\n', size);
        const size_t len = stop ? (size_t)(stop - data) : size;
        const size_t kept = len < LINE_BYTES_MAX ? len : LINE_BYTES_MAX;
        memcpy(line, data, kept);
        line[kept] = '\0';
        if (number == 0) {
            memcpy(architecture, line, kept < 63 ? kept : 63);
            from.shape.architecture = architecture;
        } else if (number == 1) {
            read_shape(&from.shape, line);
        } else {
            add_tensor(&from, &used, line);
        }
        data += len + (stop != NULL);
        size -= len + (stop != NULL);
    }
    weir_model *model = NULL;
    if (model_from_checkpoint(&model, &from, NULL, NULL, NULL, NULL) == WEIR_OK) {
        adapter list = {0};
        check_model(model);
        (void)adapter_resolve(&list, model, model, NULL);
        adapter_release(&list);
        weir_model_free(model);
    }
    tensor_table_release(&from.tensors);
    weir_source_free(file.source);
    return 0;
}
