/* SPDX-License-Identifier: Apache-2.0 */
/** @file fixture.h  Checkpoints in memory, and the line files of tests/data that describe them. */
#ifndef WEIR_TESTS_TENSOR_FIXTURE_H
#define WEIR_TESTS_TENSOR_FIXTURE_H

#include "../testing.h"

#include <stdlib.h>

#include "format/checkpoint.h"
#include "tensor/model.h"

enum { FIXTURE_DATA_BYTES = 1 << 20 };

/** A checkpoint of one file, whose data is one array in memory. Free with fixture_close(). */
typedef struct fixture {
    checkpoint model;
    checkpoint_file file;
    unsigned char *data;
    size_t used;
    char family[64];
} fixture;

static inline void fixture_open(fixture *out, const char *family, const char *format) {
    memset(out, 0, sizeof *out);
    out->data = calloc(1, FIXTURE_DATA_BYTES);
    assert_non_null(out->data);
    snprintf(out->family, sizeof out->family, "%s", family ? family : "");
    out->file = (checkpoint_file){.path = "model.file", .format = format};
    assert_int_equal(weir_source_open_memory(&out->file.source, out->data, FIXTURE_DATA_BYTES,
                                             "model.file", NULL),
                     WEIR_OK);
    out->model.name = "fixture";
    out->model.format = format;
    out->model.files = &out->file;
    out->model.file_count = 1;
    out->model.shape.architecture = family ? out->family : NULL;
}

static inline void fixture_close(fixture *model) {
    tensor_table_release(&model->model.tensors);
    weir_source_free(model->file.source);
    free(model->data);
}

static inline uint64_t fixture_elements(const uint64_t *dims, size_t rank) {
    uint64_t count = 1;
    for (size_t i = 0; i < rank; i++) {
        count *= dims[i];
    }
    return count;
}

/** Add a tensor whose bytes, `values` when not NULL, follow those before it. */
static inline void fixture_add(fixture *model, const char *name, weir_dtype dtype,
                               const uint64_t *dims, size_t rank, const void *values) {
    const weir_dtype_info *info = weir_dtype_get(dtype);
    const uint64_t bytes = fixture_elements(dims, rank) / info->block_elements * info->block_bytes;
    assert_true(bytes <= FIXTURE_DATA_BYTES - model->used);
    if (values) {
        memcpy(model->data + model->used, values, bytes);
    }
    const stored_tensor entry = {.name = name,
                                 .dims = dims,
                                 .offset = model->used,
                                 .bytes = bytes,
                                 .rank = (uint8_t)rank,
                                 .dtype = (uint8_t)dtype};
    assert_int_equal(tensor_table_add(&model->model.tensors, &entry, strlen(name), NULL), WEIR_OK);
    model->used += bytes;
}

static inline void fixture_add_f32(fixture *model, const char *name, uint64_t rows, uint64_t cols,
                                   const float *values) {
    const uint64_t dims[] = {rows, cols};
    fixture_add(model, name, WEIR_DTYPE_F32, dims, 2, values);
}

static inline weir_model *fixture_model(fixture *from, weir_findings *findings) {
    weir_model *model = NULL;
    weir_error err = {0};
    assert_int_equal(model_from_checkpoint(&model, &from->model, NULL, NULL, findings, &err),
                     WEIR_OK);
    return model;
}

/** "48,32" as dims. @return the rank; "" is a scalar */
static inline size_t fixture_dims(uint64_t dims[8], const char *text) {
    size_t rank = 0;
    while (*text != '\0') {
        char *end;
        assert_true(rank < 8);
        dims[rank++] = strtoull(text, &end, 10);
        text = *end == ',' ? end + 1 : end;
    }
    return rank;
}

/** "shape" line: KEY NUMBER ... */
static inline void fixture_shape(hyperparameters *shape, char *rest) {
    for (char *key = strtok(rest, " "); key; key = strtok(NULL, " ")) {
        const char *text = strtok(NULL, " ");
        assert_non_null(text);
        const uint64_t number = strtoull(text, NULL, 10);
        const struct {
            const char *key;
            uint64_t *to;
        } fields[] = {{"layers", &shape->layers},     {"hidden", &shape->hidden},
                      {"heads", &shape->heads},       {"kv_heads", &shape->kv_heads},
                      {"head_dim", &shape->head_dim}, {"feed_forward", &shape->feed_forward},
                      {"experts", &shape->experts},   {"vocabulary", &shape->vocabulary}};
        for (size_t i = 0; i < sizeof fields / sizeof *fields; i++) {
            if (strcmp(fields[i].key, key) == 0) {
                *fields[i].to = number;
            }
        }
        if (strcmp(key, "tied") == 0) {
            shape->tied_head = number;
        }
    }
}

/** Call `take` with the first word and the rest of every line of tests/data/PATH. */
static inline void fixture_lines(const char *path, void (*take)(void *, const char *, char *),
                                 void *context) {
    char name[1024];
    snprintf(name, sizeof name, SOURCE_ROOT "/tests/data/%s", path);
    FILE *file = fopen(name, "r");
    if (!file) {
        fail_msg("%s cannot be opened", name);
        return;
    }
    char *line = NULL;
    size_t capacity = 0;
    while (getline(&line, &capacity, file) > 0) {
        line[strcspn(line, "\n")] = '\0';
        char *space = strchr(line, ' ');
        if (line[0] != '#' && space) {
            *space = '\0';
            take(context, line, space + 1);
        }
    }
    free(line);
    fclose(file);
}

#endif
