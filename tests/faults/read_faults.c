/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A source whose i-th read fails, for every i: refused by the system, out of memory, or not the
 * bytes that were there a moment ago (zeros from some read on, as of a file that was cut and grew
 * again). Nothing crashes; a refused read is a finding or an error, never silence; what was read is
 * still bounded by the file. usage: read_faults FILE...
 */
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/fail.h"
#include "base/findings.h"
#include "format/checkpoint.h"
#include "tensor/model.h"

typedef enum fault { FAULT_NONE, FAULT_IO, FAULT_NOMEM, FAULT_ZEROS } fault;

typedef struct faulty {
    const unsigned char *data;
    fault kind;
    long first; /* the read, counted from 1, that fails; with FAULT_ZEROS those after it too */
    atomic_long reads;
} faulty;

static weir_code read_faulty(void *context, uint64_t offset, void *out, size_t len,
                             weir_error *err) {
    faulty *from = context;
    const long number = atomic_fetch_add(&from->reads, 1) + 1;
    if (from->kind == FAULT_IO && number == from->first) {
        return weir_fail(err, WEIR_ERR_IO, "faulty", at_byte(offset).text, NULL,
                         "Input/output error");
    }
    if (from->kind == FAULT_NOMEM && number == from->first) {
        return weir_fail_nomem(err);
    }
    if (from->kind == FAULT_ZEROS && number >= from->first) {
        memset(out, 0, len);
    } else {
        memcpy(out, from->data + offset, len);
    }
    return WEIR_OK;
}

static bool says_unreadable(const weir_findings *findings) {
    for (size_t i = 0; i < weir_findings_count(findings); i++) {
        if (strcmp(weir_findings_get(findings, i)->id, "file-unreadable") == 0) {
            return true;
        }
    }
    return false;
}

static bool is_inside(const checkpoint *files) {
    for (size_t i = 0; i < files->tensors.count; i++) {
        const stored_tensor *tensor = &files->tensors.items[i];
        const uint64_t size = weir_source_size(files->files[tensor->file].source);
        if (tensor->offset > size || tensor->bytes > size - tensor->offset) {
            return false;
        }
    }
    return true;
}

/* Every row of every tensor. @return the first failure */
static weir_code read_all(const weir_model *model, weir_error *err) {
    for (size_t i = 0; i < weir_model_tensor_count(model); i++) {
        const weir_tensor *tensor = weir_model_tensor(model, i);
        WEIR_CLEANUP(free) float *row = calloc(tensor->cols + 1, sizeof *row);
        for (uint64_t j = 0; row && j < tensor->rows && tensor->cols < 1 << 16; j++) {
            const weir_code code = weir_model_read_rows(model, i, j, 1, row, err);
            if (code != WEIR_OK && code != WEIR_ERR_UNSUPPORTED) {
                return code;
            }
        }
    }
    return WEIR_OK;
}

/* Open the bytes as a model and read its numbers. @return whether a failed read was passed on */
static bool run(const char *name, faulty *from, size_t size) {
    static const weir_source_ops ops = {.read_at = read_faulty};
    WEIR_CLEANUP(weir_findings_free) weir_findings *findings = NULL;
    WEIR_CLEANUP(weir_model_free) weir_model *model = NULL;
    weir_source *source = NULL;
    checkpoint *files = NULL;
    weir_error err = {0};
    atomic_store(&from->reads, 0);
    weir_code code = weir_findings_new(&findings, &err);
    code = code ? code : weir_source_open_custom(&source, &ops, from, size, name, &err);
    code = code ? code : checkpoint_open_source(&files, source, NULL, findings, &err);
    const bool holds = !files || is_inside(files);
    code =
        code ? code : model_from_checkpoint(&model, files, checkpoint_free, NULL, findings, &err);
    code = code ? code : read_all(model, &err);
    switch (from->kind) {
    case FAULT_NONE:
    case FAULT_ZEROS:
        return holds;
    case FAULT_IO:
        return holds && (code == WEIR_ERR_IO || (code == WEIR_OK && says_unreadable(findings)));
    case FAULT_NOMEM:
        return holds && code == WEIR_ERR_NOMEM;
    }
    return false;
}

static int fail_each(const char *path, const unsigned char *data, size_t size) {
    const char *slash = strrchr(path, '/');
    const char *name = slash ? slash + 1 : path;
    faulty from = {.data = data};
    int wrong = !run(name, &from, size);
    const long reads = atomic_load(&from.reads);
    for (int kind = FAULT_IO; kind <= FAULT_ZEROS; kind++) {
        for (long i = 1; i <= reads; i++) {
            from.kind = (fault)kind;
            from.first = i;
            if (!run(name, &from, size)) {
                (void)fprintf(stderr, "%s: fault %d at read %ld of %ld\n", path, kind, i, reads);
                wrong++;
            }
        }
    }
    return wrong;
}

static int run_file(const char *path) {
    enum { SIZE_MAX_READ = 1 << 20 };
    static unsigned char data[SIZE_MAX_READ];
    FILE *file = fopen(path, "rb");
    if (!file) {
        perror(path);
        return 1;
    }
    const size_t size = fread(data, 1, sizeof data, file);
    (void)fclose(file);
    return fail_each(path, data, size);
}

int main(int argc, char **argv) {
    int wrong = argc < 2;
    for (int i = 1; i < argc; i++) {
        wrong += run_file(argv[i]);
    }
    return wrong == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
