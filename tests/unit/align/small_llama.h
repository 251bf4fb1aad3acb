/* SPDX-License-Identifier: Apache-2.0 */
/** @file small_llama.h  Gated feed-forwards, norms and an embedding of random numbers, in memory,
 * and changes that keep what they compute. */
#ifndef WEIR_TESTS_ALIGN_SMALL_LLAMA_H
#define WEIR_TESTS_ALIGN_SMALL_LLAMA_H

#include "../tensor/fixture.h"

#include <math.h>

#include "base/hash.h"

enum { WORDS = 700, WIDTH = 40, UNITS = 112, LAYERS = 3, WORD_BYTES = 12 };

typedef struct small_llama {
    fixture from;
    weir_model *model;
    char text[WORDS][WORD_BYTES];
    const char *tokens[WORDS];
    float embedding[WORDS][WIDTH];
    float norm[LAYERS][WIDTH];
    float gate[LAYERS * UNITS][WIDTH]; /* layer after layer */
    float up[LAYERS * UNITS][WIDTH];
} small_llama;

static inline float uniform(uint64_t *state) {
    return (float)(hash_next(state) >> 40) / (float)(1 << 24) - 0.5F;
}

static inline void fill(float *values, size_t count, uint64_t *state) {
    for (size_t i = 0; i < count; i++) {
        values[i] = uniform(state) + uniform(state) + uniform(state);
    }
}

static inline small_llama *llama_new(uint64_t seed) {
    small_llama *llama = calloc(1, sizeof *llama);
    assert_non_null(llama);
    for (size_t i = 0; i < WORDS; i++) {
        snprintf(llama->text[i], WORD_BYTES, "w%zu", i);
        llama->tokens[i] = llama->text[i];
    }
    fill(llama->embedding[0], WORDS * WIDTH, &seed);
    fill(llama->gate[0], LAYERS * UNITS * WIDTH, &seed);
    fill(llama->up[0], LAYERS * UNITS * WIDTH, &seed);
    for (size_t i = 0; i < LAYERS; i++) {
        for (size_t j = 0; j < WIDTH; j++) {
            llama->norm[i][j] = 1.0F + uniform(&seed);
        }
    }
    return llama;
}

static inline small_llama *llama_copy(const small_llama *from) {
    small_llama *llama = calloc(1, sizeof *llama);
    assert_non_null(llama);
    memcpy(llama, from, sizeof *llama);
    memset(&llama->from, 0, sizeof llama->from);
    llama->model = NULL;
    for (size_t i = 0; i < WORDS; i++) {
        llama->tokens[i] = llama->text[i];
    }
    return llama;
}

/** Make the model of layers [first, LAYERS); the numbers are copied. */
static inline weir_model *llama_open(small_llama *llama, size_t first, bool has_gate) {
    static char names[LAYERS][3][64];
    fixture_open(&llama->from, "llama", "safetensors");
    llama->from.model.vocabulary = (vocabulary){.tokens = llama->tokens, .count = WORDS};
    fixture_add_f32(&llama->from, "model.embed_tokens.weight", WORDS, WIDTH, llama->embedding[0]);
    for (size_t i = first; i < LAYERS; i++) {
        const size_t at = i - first;
        const uint64_t width = WIDTH;
        snprintf(names[at][0], 64, "model.layers.%zu.post_attention_layernorm.weight", at);
        snprintf(names[at][1], 64, "model.layers.%zu.mlp.gate_proj.weight", at);
        snprintf(names[at][2], 64, "model.layers.%zu.mlp.up_proj.weight", at);
        fixture_add(&llama->from, names[at][0], WEIR_DTYPE_F32, &width, 1, llama->norm[i]);
        if (has_gate) {
            fixture_add_f32(&llama->from, names[at][1], UNITS, WIDTH, llama->gate[i * UNITS]);
        }
        fixture_add_f32(&llama->from, names[at][2], UNITS, WIDTH, llama->up[i * UNITS]);
    }
    llama->model = fixture_model(&llama->from, NULL);
    return llama->model;
}

static inline void llama_free(small_llama *llama) {
    weir_model_free(llama->model);
    if (llama->from.data) {
        fixture_close(&llama->from);
    }
    free(llama);
}

static inline void shuffle(size_t *order, size_t count, uint64_t seed) {
    for (size_t i = 0; i < count; i++) {
        order[i] = i;
    }
    for (size_t i = count; i > 1; i--) {
        const size_t j = hash_next(&seed) % i;
        const size_t kept = order[i - 1];
        order[i - 1] = order[j];
        order[j] = kept;
    }
}

/** Call `change` on every row that lives in the residual basis; norms must have been folded. */
static inline void each_row(small_llama *llama, void (*change)(float *, void *), void *context) {
    for (size_t i = 0; i < WORDS; i++) {
        change(llama->embedding[i], context);
    }
    for (size_t i = 0; i < LAYERS * UNITS; i++) {
        change(llama->gate[i], context);
        change(llama->up[i], context);
    }
}

static inline void fold_norms(small_llama *llama) {
    for (size_t i = 0; i < LAYERS; i++) {
        for (size_t u = 0; u < UNITS; u++) {
            for (size_t j = 0; j < WIDTH; j++) {
                llama->gate[i * UNITS + u][j] *= llama->norm[i][j];
                llama->up[i * UNITS + u][j] *= llama->norm[i][j];
            }
        }
        for (size_t j = 0; j < WIDTH; j++) {
            llama->norm[i][j] = 1.0F;
        }
    }
}

static inline void reflect(float *row, void *context) {
    const float *direction = context; /* of length 1 */
    float dot = 0;
    for (size_t j = 0; j < WIDTH; j++) {
        dot += row[j] * direction[j];
    }
    for (size_t j = 0; j < WIDTH; j++) {
        row[j] -= 2 * dot * direction[j];
    }
}

/** Turn the residual basis by as many reflections as it has dimensions. */
static inline void rotate(small_llama *llama, uint64_t seed) {
    for (size_t i = 0; i < WIDTH; i++) {
        float direction[WIDTH];
        float length = 0;
        fill(direction, WIDTH, &seed);
        for (size_t j = 0; j < WIDTH; j++) {
            length += direction[j] * direction[j];
        }
        for (size_t j = 0; j < WIDTH; j++) {
            direction[j] /= sqrtf(length);
        }
        each_row(llama, reflect, direction);
    }
}

static inline void permute_row(float *row, void *context) {
    const size_t *order = context;
    float moved[WIDTH];
    for (size_t j = 0; j < WIDTH; j++) {
        moved[j] = row[order[j]];
    }
    memcpy(row, moved, sizeof moved);
}

static inline void mirror_row(float *row, void *context) {
    uint64_t state = *(uint64_t *)context;
    for (size_t j = 0; j < WIDTH; j++) {
        row[j] = hash_next(&state) & 1 ? -row[j] : row[j];
    }
}

static inline void permute_units(small_llama *llama, uint64_t seed) {
    for (size_t i = 0; i < LAYERS; i++) {
        size_t order[UNITS];
        float moved[UNITS][WIDTH];
        shuffle(order, UNITS, seed + i);
        for (size_t u = 0; u < UNITS; u++) {
            memcpy(moved[u], llama->gate[i * UNITS + order[u]], sizeof moved[u]);
        }
        memcpy(llama->gate[i * UNITS], moved, sizeof moved);
        for (size_t u = 0; u < UNITS; u++) {
            memcpy(moved[u], llama->up[i * UNITS + order[u]], sizeof moved[u]);
        }
        memcpy(llama->up[i * UNITS], moved, sizeof moved);
    }
}

static inline void add_noise(small_llama *llama, float size, uint64_t seed) {
    for (size_t i = 0; i < LAYERS * UNITS; i++) {
        for (size_t j = 0; j < WIDTH; j++) {
            llama->gate[i][j] += size * (uniform(&seed) + uniform(&seed) + uniform(&seed));
            llama->up[i][j] += size * (uniform(&seed) + uniform(&seed) + uniform(&seed));
        }
    }
}

#endif
