/* SPDX-License-Identifier: Apache-2.0 */
/** @file small_model.h  A llama of random numbers in memory, whose parts a test may move, and the
 * comparison of two of them. */
#ifndef WEIR_TESTS_DELTA_SMALL_MODEL_H
#define WEIR_TESTS_DELTA_SMALL_MODEL_H

#include "../tensor/fixture.h"

#include <math.h>

#include "base/hash.h"
#include "delta/structure.h"

enum {
    WIDTH = 64,
    HEADS = 4,
    KV_HEADS = 2,
    HEAD = 16,
    UNITS = 96,
    WORDS = 160,
    LAYERS_MAX = 4,
    WORD_BYTES = 16,
};

typedef struct small_layer {
    float attention_norm[WIDTH];
    float feed_forward_norm[WIDTH];
    float q[HEADS * HEAD][WIDTH];
    float k[KV_HEADS * HEAD][WIDTH];
    float v[KV_HEADS * HEAD][WIDTH];
    float o[WIDTH][HEADS * HEAD];
    float gate[UNITS][WIDTH];
    float up[UNITS][WIDTH];
    float down[WIDTH][UNITS];
} small_layer;

enum { SMALL_LAYERS_NUMBERS = LAYERS_MAX * (sizeof(small_layer) / sizeof(float)) };

typedef struct small_model {
    fixture from;
    weir_model *model;
    char text[WORDS][WORD_BYTES];
    const char *tokens[WORDS];
    size_t words;
    size_t layer_count;
    float embedding[WORDS][WIDTH];
    float final_norm[WIDTH];
    small_layer layers[LAYERS_MAX];
} small_model;

static inline float uniform(uint64_t *state) {
    return (float)(hash_next(state) >> 40) / (float)(1 << 24) - 0.5F;
}

static inline void fill(float *values, size_t count, uint64_t *state) {
    for (size_t i = 0; i < count; i++) {
        values[i] = uniform(state) + uniform(state) + uniform(state);
    }
}

static inline small_model *small_new(uint64_t seed) {
    small_model *made = calloc(1, sizeof *made);
    assert_non_null(made);
    made->words = WORDS;
    made->layer_count = LAYERS_MAX;
    for (size_t i = 0; i < WORDS; i++) {
        snprintf(made->text[i], WORD_BYTES, "w%zu", i);
        made->tokens[i] = made->text[i];
    }
    fill(made->embedding[0], WORDS * WIDTH, &seed);
    fill(made->final_norm, WIDTH, &seed);
    fill((float *)(void *)made->layers, SMALL_LAYERS_NUMBERS, &seed);
    return made;
}

static inline small_model *small_copy(const small_model *from) {
    small_model *made = calloc(1, sizeof *made);
    assert_non_null(made);
    memcpy(made, from, sizeof *made);
    memset(&made->from, 0, sizeof made->from);
    made->model = NULL;
    for (size_t i = 0; i < WORDS; i++) {
        made->tokens[i] = made->text[i];
    }
    return made;
}

static inline void small_add(small_model *of, size_t layer, const char *part, uint64_t rows,
                             uint64_t cols, const float *values) {
    char name[128];
    const uint64_t dims[] = {rows, cols};
    snprintf(name, sizeof name, "model.layers.%zu.%s.weight", layer, part);
    /* The table keeps names and dims of its own. */
    fixture_add(&of->from, name, WEIR_DTYPE_F32, rows == 1 ? dims + 1 : dims, rows == 1 ? 1 : 2,
                values);
}

/** Make the model; the numbers are copied. */
static inline weir_model *small_open(small_model *of) {
    const uint64_t width = WIDTH;
    fixture_open(&of->from, "llama", "safetensors");
    of->from.model.vocabulary = (vocabulary){.tokens = of->tokens, .count = of->words};
    of->from.model.shape.heads = HEADS;
    of->from.model.shape.kv_heads = KV_HEADS;
    of->from.model.shape.head_dim = HEAD;
    of->from.model.shape.hidden = WIDTH;
    fixture_add_f32(&of->from, "model.embed_tokens.weight", of->words, WIDTH, of->embedding[0]);
    fixture_add(&of->from, "model.norm.weight", WEIR_DTYPE_F32, &width, 1, of->final_norm);
    for (size_t i = 0; i < of->layer_count; i++) {
        const small_layer *layer = &of->layers[i];
        small_add(of, i, "input_layernorm", 1, WIDTH, layer->attention_norm);
        small_add(of, i, "post_attention_layernorm", 1, WIDTH, layer->feed_forward_norm);
        small_add(of, i, "self_attn.q_proj", HEADS * HEAD, WIDTH, layer->q[0]);
        small_add(of, i, "self_attn.k_proj", KV_HEADS * HEAD, WIDTH, layer->k[0]);
        small_add(of, i, "self_attn.v_proj", KV_HEADS * HEAD, WIDTH, layer->v[0]);
        small_add(of, i, "self_attn.o_proj", WIDTH, HEADS * HEAD, layer->o[0]);
        small_add(of, i, "mlp.gate_proj", UNITS, WIDTH, layer->gate[0]);
        small_add(of, i, "mlp.up_proj", UNITS, WIDTH, layer->up[0]);
        small_add(of, i, "mlp.down_proj", WIDTH, UNITS, layer->down[0]);
    }
    of->model = fixture_model(&of->from, NULL);
    return of->model;
}

static inline void small_free(small_model *of) {
    if (of->from.data) {
        weir_model_free(of->model);
        fixture_close(&of->from);
    }
    free(of);
}

static inline void disturb(float *values, size_t count, float size, uint64_t *state) {
    for (size_t i = 0; i < count; i++) {
        values[i] += size * uniform(state);
    }
}

/** Noise on every number but the last norm's. */
static inline void small_tune(small_model *of, float size, uint64_t seed) {
    disturb(of->embedding[0], WORDS * WIDTH, size, &seed);
    disturb((float *)(void *)of->layers, SMALL_LAYERS_NUMBERS, size, &seed);
}

/** The comparison of two open models, up to its structure. Close with small_diff_close(). */
static inline weir_diff *small_diff_open(small_model *base, small_model *model) {
    static const weir_diff_options options = {.jobs = 1};
    weir_error err = {0};
    weir_diff *diff = calloc(1, sizeof *diff);
    assert_non_null(diff);
    diff->base = base->model ? base->model : small_open(base);
    diff->model = model->model ? model->model : small_open(model);
    assert_int_equal(diff_structure(diff, &options, &err), WEIR_OK);
    assert_int_equal(diff_match(diff, &err), WEIR_OK);
    assert_int_equal(diff_compare(diff, &options, &err), WEIR_OK);
    assert_int_equal(structure_grade(diff, &err), WEIR_OK);
    return diff;
}

static inline void small_diff_close(weir_diff *diff) {
    structure_release(diff->structure);
    free(diff->tensors);
    arena_release(&diff->memory);
    free(diff);
}

/** Pairs whose numbers are the base's, and all pairs. */
static inline size_t small_diff_equal(const weir_diff *diff, size_t *pairs) {
    size_t equal = 0;
    *pairs = 0;
    for (size_t i = 0; i < diff->tensor_count; i++) {
        *pairs += diff->tensors[i].state == TENSOR_COMPARED;
        equal += diff->tensors[i].change == WEIR_CHANGE_IDENTICAL;
    }
    return equal;
}

#endif
