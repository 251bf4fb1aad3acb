/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Whatever the bytes are, gguf_read() answers; an accepted file's tensors lie inside it, in order
 * and apart, and a refused file leaves no tensors and says what was found.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/findings.h"
#include "format/gguf.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void require(bool holds) {
    if (!holds) {
        abort();
    }
}

static void check_tensors(const checkpoint *model, size_t size) {
    uint64_t end = 0;
    for (size_t i = 0; i < model->tensors.count; i++) {
        const stored_tensor *tensor = &model->tensors.items[i];
        require(tensor->offset >= end && tensor->offset <= size);
        require(tensor->bytes <= size - tensor->offset);
        require(tensor->rank <= 4 && tensor->dtype < WEIR_DTYPE_COUNT && strlen(tensor->name) < 64);
        end = tensor->offset + tensor->bytes;
    }
}

static void check_texts(const checkpoint *model) {
    for (size_t i = 0; i < model->template_count; i++) {
        require(model->templates[i].text[model->templates[i].len] == '\0');
    }
    for (size_t i = 0; i < model->vocabulary.count; i++) {
        require(model->vocabulary.tokens[i] != NULL);
    }
    for (size_t i = 0; i < model->claims.count; i++) {
        require(strncmp(model->claims.items[i].name, "gguf.", 5) == 0);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    weir_source *source = NULL;
    weir_findings *findings = NULL;
    weir_error err = {0};
    gguf_split split = {0};
    checkpoint model = {0};
    if (weir_source_open_memory(&source, data, size, "f", NULL) == WEIR_OK &&
        weir_findings_new(&findings, NULL) == WEIR_OK) {
        static const checkpoint_options options = {0};
        const part whole = {&model, source, &options, findings};
        const weir_code code = gguf_read(&split, &whole, 0, &err);
        require(code == WEIR_OK || (model.tensors.count == 0 && err.found[0] != '\0'));
        check_tensors(&model, size);
        check_texts(&model);
    }
    tensor_table_release(&model.tensors);
    claims_release(&model.claims);
    arena_release(&model.memory);
    weir_findings_free(findings);
    weir_source_free(source);
    return 0;
}
