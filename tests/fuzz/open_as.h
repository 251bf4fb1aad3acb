/* SPDX-License-Identifier: Apache-2.0 */
/** @file open_as.h  Bytes opened as a checkpoint of one file under a given name, and what must hold
 * then. */
#ifndef WEIR_TESTS_FUZZ_OPEN_AS_H
#define WEIR_TESTS_FUZZ_OPEN_AS_H

#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/text.h"
#include "format/checkpoint.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static inline void require(bool holds) {
    if (!holds) {
        abort();
    }
}

static inline bool is_printable_text(const char *text) {
    char escaped[8192 * 4];
    text_escape(escaped, sizeof escaped, text, strlen(text));
    return strcmp(escaped, text) == 0;
}

/* What was kept is whole and printable; a file with a gravest finding has that verdict or a graver
 * one. */
static inline void check_checkpoint(const checkpoint *model, const weir_findings *findings) {
    for (size_t i = 0; i < model->claims.count; i++) {
        const weir_claim *claim = &model->claims.items[i];
        require(strlen(claim->value) >= 8192 || is_printable_text(claim->value));
        require(is_printable_text(claim->name) && is_printable_text(claim->at));
    }
    for (size_t i = 0; i < model->template_count; i++) {
        const checkpoint_template *kept = &model->templates[i];
        require(kept->text[kept->len] == '\0' && kept->len <= 1 << 20);
    }
    for (size_t i = 0; i < model->vocabulary.count; i++) {
        const char *token = model->vocabulary.tokens[i];
        require(!token || strlen(token) <= 4 * (1 << 16));
    }
    require(model->vocabulary.count <= 1 << 22);
    for (size_t i = 0; i < model->tensors.count; i++) {
        const stored_tensor *tensor = &model->tensors.items[i];
        const uint64_t size = weir_source_size(model->files[tensor->file].source);
        require(tensor->offset <= size && tensor->bytes <= size - tensor->offset);
    }
    const checkpoint_file *file = &model->files[0];
    require(findings_verdict(findings, file->path, file->verdict) == file->verdict);
}

static inline void open_as(const char *name, const uint8_t *data, size_t size) {
    WEIR_CLEANUP(weir_findings_free) weir_findings *findings = NULL;
    weir_source *source = NULL;
    WEIR_CLEANUP(checkpoint_free) checkpoint *model = NULL;
    if (weir_findings_new(&findings, NULL) != WEIR_OK ||
        weir_source_open_memory(&source, data, size, name, NULL) != WEIR_OK) {
        return;
    }
    weir_error err = {0};
    const weir_code code = checkpoint_open_source(&model, source, NULL, findings, &err);
    require(code == WEIR_OK || code == WEIR_ERR_NOMEM);
    if (model) {
        check_checkpoint(model, findings);
    }
}

#endif
