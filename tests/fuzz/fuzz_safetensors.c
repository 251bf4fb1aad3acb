/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Any bytes as a safetensors file. What must hold: a failure says where and leaves no tensor
 * behind; what strict reading accepts, lenient reading accepts with the same tensors; accepted
 * tensors lie inside the file, have the size of their shape, and cover the data exactly.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/dtype.h"
#include "base/text.h"
#include "format/safetensors.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check(int holds) {
    if (!holds) {
        abort();
    }
}

static weir_code read_file(tensor_table *table, weir_source *source, bool lenient) {
    WEIR_CLEANUP(weir_findings_free) weir_findings *findings = NULL;
    check(weir_findings_new(&findings, NULL) == WEIR_OK);
    claims metadata = {0};
    weir_error err = {0};
    const weir_code code = safetensors_read(
        &(safetensors_target){.table = table, .metadata = &metadata, .findings = findings}, source,
        lenient, &err);
    claims_release(&metadata);
    if (code != WEIR_OK) {
        check(code == err.code && err.at[0] != '\0' && err.found[0] != '\0');
        check(code == WEIR_ERR_FORMAT || code == WEIR_ERR_LIMIT);
        check(table->count == 0);
    }
    return code;
}

static void check_table(const tensor_table *table, uint64_t size) {
    uint64_t covered = 0;
    for (size_t i = 0; i < table->count; i++) {
        const stored_tensor *tensor = &table->items[i];
        uint64_t elements;
        uint64_t bytes;
        check(text_is_utf8(tensor->name, strlen(tensor->name)));
        check(tensor_table_elements(&elements, tensor->dims, tensor->rank));
        check(dtype_bytes(&bytes, (weir_dtype)tensor->dtype, elements) && bytes == tensor->bytes);
        check(tensor->offset >= 8 && tensor->offset <= size &&
              tensor->bytes <= size - tensor->offset);
        covered += tensor->bytes;
    }
    check(covered <= size - 8);
}

static void check_same(const tensor_table *a, const tensor_table *b) {
    check(a->count == b->count);
    for (size_t i = 0; i < a->count; i++) {
        check(strcmp(a->items[i].name, b->items[i].name) == 0 &&
              a->items[i].offset == b->items[i].offset && a->items[i].bytes == b->items[i].bytes);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    WEIR_CLEANUP(weir_source_free) weir_source *source = NULL;
    check(weir_source_open_memory(&source, data, size, "fuzz", NULL) == WEIR_OK);
    tensor_table strict = {0};
    tensor_table lenient = {0};
    const weir_code strict_code = read_file(&strict, source, false);
    const weir_code lenient_code = read_file(&lenient, source, true);
    if (strict_code == WEIR_OK) {
        check(lenient_code == WEIR_OK);
        check_same(&strict, &lenient);
    }
    if (lenient_code == WEIR_OK) {
        check_table(&lenient, size);
    }
    tensor_table_release(&strict);
    tensor_table_release(&lenient);
    return 0;
}
