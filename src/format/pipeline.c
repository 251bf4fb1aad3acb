/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A pipeline of diffusers: model_index.json at the top names parts, "NAME": [library, class], and
 * the weights of each lie in the folder NAME [1]. Its tensors are called NAME.TENSOR, so that those
 * of two parts are never confused. In a folder, the first that is there:
 *
 *     model.safetensors, diffusion_pytorch_model.safetensors
 *     the shards of either name, model-00001-of-00002.safetensors ...
 *     the only *.safetensors, which is a variant (fp16) that was stored alone
 *
 * A part that the index leaves out, [null, null], is not loaded and not read either.
 *
 * [1] diffusers, pipelines/pipeline_utils.py, DiffusionPipeline.from_pretrained.
 */
#include <stdio.h>
#include <string.h>

#include "base/fail.h"
#include "format/detect.h"
#include "format/loader.h"

static const char index_prefix[] = "model_index.";
static const char *const stems[] = {"model", "diffusion_pytorch_model"};

/* "NAME" when `path` is "NAME/FILE" and both are not empty; the length of NAME, else 0. */
static size_t part_len(const char *path) {
    const char *slash = strchr(path, '/');
    return slash && slash[1] && !strchr(slash + 1, '/') ? (size_t)(slash - path) : 0;
}

/* Whether the index names the part: a list that is not of nulls. */
static bool is_named(const checkpoint *model, const char *path, size_t len) {
    for (size_t i = 0; i < model->claims.count; i++) {
        const weir_claim *claim = &model->claims.items[i];
        const char *name = claim->name + sizeof index_prefix - 1;
        if (strncmp(claim->name, index_prefix, sizeof index_prefix - 1) == 0 &&
            strlen(name) == len && memcmp(name, path, len) == 0) {
            return strstr(claim->value, ", ") != NULL && strcmp(claim->value, "null, null") != 0;
        }
    }
    return false;
}

static bool has_one_ending(const char *base) {
    const char *dot = strchr(base, '.');
    return dot && strcmp(dot, ".safetensors") == 0;
}

typedef enum weight_rank { RANK_NONE, RANK_VARIANT, RANK_SHARD, RANK_WHOLE } weight_rank;

static weight_rank rank_file(const checkpoint_file *file) {
    if (strcmp(file->format, "safetensors") != 0 || !file->raw_path) {
        return RANK_NONE;
    }
    const char *base = path_base(file->path);
    for (size_t i = 0; i < sizeof stems / sizeof *stems; i++) {
        const size_t len = strlen(stems[i]);
        if (strncmp(base, stems[i], len) == 0) {
            if (strcmp(base + len, ".safetensors") == 0) {
                return RANK_WHOLE;
            }
            if (base[len] == '-' && strstr(base, "-of-") && has_one_ending(base)) {
                return RANK_SHARD; /* a variant has one more ending */
            }
        }
    }
    return RANK_VARIANT;
}

/* Give the tensors from `first` on their part's name in front. */
static weir_code name_tensors(checkpoint *model, size_t first, const char *path, size_t len,
                              weir_error *err) {
    tensor_table *table = &model->tensors;
    for (size_t i = first; i < table->count; i++) {
        const char *name = table->items[i].name;
        const size_t name_len = strlen(name);
        char *whole = arena_alloc(&table->memory, len + name_len + 2, 1);
        if (!whole) {
            return weir_fail_nomem(err);
        }
        memcpy(whole, path, len);
        whole[len] = '.';
        memcpy(whole + len + 1, name, name_len + 1);
        table->items[i].name = whole;
    }
    return WEIR_OK;
}

/* Read the part whose first file is files[begin]; *end is the first file behind it. */
static weir_code read_part(loader *state, size_t begin, size_t *end, weir_error *err) {
    checkpoint *model = state->model;
    const char *path = model->files[begin].path;
    const size_t len = part_len(path);
    weight_rank best = RANK_NONE;
    size_t variants = 0;
    size_t last = begin;
    for (; last < model->file_count && strncmp(model->files[last].path, path, len + 1) == 0;
         last++) {
        const weight_rank rank =
            part_len(model->files[last].path) == len ? rank_file(&model->files[last]) : RANK_NONE;
        best = rank > best ? rank : best;
        variants += rank == RANK_VARIANT;
    }
    *end = last;
    if (best == RANK_NONE || (best == RANK_VARIANT && variants > 1) ||
        !is_named(model, path, len)) {
        return WEIR_OK;
    }
    for (size_t i = begin; i < last; i++) {
        if (part_len(model->files[i].path) == len && rank_file(&model->files[i]) == best) {
            const size_t first = model->tensors.count;
            WEIR_TRY(weights_keep_file(state, i, err));
            WEIR_TRY(name_tensors(model, first, path, len, err));
        }
    }
    return WEIR_OK;
}

weir_code pipeline_read(loader *state, weir_error *err) {
    size_t i = 0;
    while (i < state->model->file_count) {
        size_t next = i + 1;
        if (part_len(state->model->files[i].path) > 0) {
            WEIR_TRY(read_part(state, i, &next, err));
        }
        i = next;
    }
    return WEIR_OK;
}
