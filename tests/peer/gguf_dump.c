/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the GGUF reader makes of a file, one thing a line, for tests that compare with other tools:
 *     gguf_dump FILE
 * Fields are parted by tabs; texts that may hold anything are in hexadecimal.
 */
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/findings.h"
#include "format/gguf.h"
#include "io/digest.h"

static void print_hex(const char *bytes, size_t len) {
    for (size_t i = 0; i < len; i++) {
        (void)printf("%02x", (unsigned char)bytes[i]);
    }
    (void)putchar('\n');
}

static void print_tensors(const tensor_table *tensors) {
    for (size_t i = 0; i < tensors->count; i++) {
        const stored_tensor *tensor = &tensors->items[i];
        (void)printf("tensor\t%s\t%s\t%" PRIu64 "\t%" PRIu64 "\t", tensor->name,
                     weir_dtype_name((weir_dtype)tensor->dtype), tensor->offset, tensor->bytes);
        for (size_t d = 0; d < tensor->rank; d++) {
            (void)printf("%s%" PRIu64, d ? "," : "", tensor->dims[d]);
        }
        (void)putchar('\n');
    }
}

static void print_model(const checkpoint *model, const gguf_split *split) {
    print_tensors(&model->tensors);
    for (size_t i = 0; i < model->vocabulary.count; i++) {
        (void)printf("token\t");
        print_hex(model->vocabulary.tokens[i], strlen(model->vocabulary.tokens[i]));
    }
    char hash[DIGEST_TEXT_BYTES];
    digest_format(hash, model->vocabulary.merges_sha256);
    (void)printf("merges\t%" PRIu64 "\t%s\n", model->vocabulary.merges, hash);
    for (size_t i = 0; i < model->template_count; i++) {
        (void)printf("template\t%s\t", model->templates[i].name);
        print_hex(model->templates[i].text, model->templates[i].len);
    }
    for (size_t i = 0; i < model->claims.count; i++) {
        (void)printf("claim\t%s\t%s\n", model->claims.items[i].name, model->claims.items[i].value);
    }
    (void)printf("split\t%" PRIu64 "\t%" PRIu64 "\t%" PRIu64 "\n", split->index, split->count,
                 split->tensors);
}

static void print_findings(const weir_findings *findings) {
    for (size_t i = 0; i < weir_findings_count(findings); i++) {
        (void)printf("finding\t%s\n", weir_findings_get(findings, i)->id);
    }
}

int main(int argc, char **argv) {
    weir_source *source = NULL;
    weir_findings *findings = NULL;
    weir_error err = {0};
    gguf_split split = {0};
    checkpoint model = {0};
    const char *path = argc == 2 ? argv[1] : "";
    weir_code code = weir_source_open_file(&source, AT_FDCWD, path, "file", &err);
    if (code == WEIR_OK) {
        code = weir_findings_new(&findings, &err);
    }
    if (code == WEIR_OK) {
        static const checkpoint_options options = {0};
        const part whole = {&model, source, &options, findings};
        code = gguf_read(&split, &whole, 0, &err);
    }
    if (code == WEIR_OK) {
        print_model(&model, &split);
        print_findings(findings);
    } else {
        char line[1024];
        (void)fprintf(stderr, "gguf_dump: %s\n", weir_error_format(&err, line, sizeof line));
    }
    tensor_table_release(&model.tensors);
    claims_release(&model.claims);
    arena_release(&model.memory);
    weir_findings_free(findings);
    weir_source_free(source);
    return code == WEIR_OK ? 0 : 1;
}
