/* SPDX-License-Identifier: Apache-2.0 */
#include "../testing.h"

#include <math.h>
#include <stdlib.h>

#include "../kernel/levels.h"
#include "../tensor/fixture.h"
#include "kernel/convert.h"
#include "sketch/fingerprint.h"
#include "sketches.h"

enum { HIDDEN = 64, UNITS = 24, WORDS = 300 };

static void add_matrix(fixture *to, const char *name, uint64_t rows, uint64_t cols, uint64_t seed) {
    float *values = malloc(rows * cols * sizeof *values);
    for (size_t i = 0; i < rows * cols; i++) {
        values[i] = (float)(int32_t)random_word(&seed) * 0x1p-31f;
    }
    fixture_add_f32(to, name, rows, cols, values);
    free(values);
}

/* A llama of two layers with token strings. */
typedef struct llama {
    fixture files;
    const char *tokens[WORDS];
    char texts[WORDS][8];
    weir_findings *findings;
    weir_model *model;
} llama;

static void llama_begin(llama *out) {
    fixture_open(&out->files, "llama", "safetensors");
    for (size_t i = 0; i < WORDS; i++) {
        snprintf(out->texts[i], sizeof out->texts[i], "w%zu", i);
        out->tokens[i] = out->texts[i];
    }
    out->files.model.vocabulary.tokens = out->tokens;
    out->files.model.vocabulary.count = WORDS;
    add_matrix(&out->files, "model.embed_tokens.weight", WORDS, HIDDEN, 1);
}

static void llama_add_layer(llama *to, int layer, uint64_t rows, uint64_t seed) {
    static char names[64][64]; /* the fixture's table keeps copies */
    static size_t used;
    char *name = names[used++ % 64];
    snprintf(name, 64, "model.layers.%d.mlp.up_proj.weight", layer);
    add_matrix(&to->files, name, rows, HIDDEN, seed);
    snprintf(name, 64, "model.layers.%d.mlp.gate_proj.weight", layer);
    add_matrix(&to->files, name, rows, HIDDEN, seed + 1);
    snprintf(name, 64, "model.layers.%d.post_attention_layernorm.weight", layer);
    float gain[HIDDEN];
    for (size_t i = 0; i < HIDDEN; i++) {
        gain[i] = 1.0f + i * 0.01f;
    }
    const uint64_t dims[] = {HIDDEN};
    fixture_add(&to->files, name, WEIR_DTYPE_F32, dims, 1, gain);
}

static void llama_end(llama *out) {
    assert_int_equal(weir_findings_new(&out->findings, NULL), WEIR_OK);
    out->model = fixture_model(&out->files, out->findings);
}

static void llama_open(llama *out) {
    llama_begin(out);
    llama_add_layer(out, 0, UNITS, 10);
    llama_add_layer(out, 1, UNITS, 20);
    llama_end(out);
}

static void llama_close(llama *model) {
    weir_model_free(model->model);
    weir_findings_free(model->findings);
    fixture_close(&model->files);
}

static fingerprint *make(const llama *from, unsigned jobs) {
    fingerprint *sketch = NULL;
    weir_error err = {0};
    const fingerprint_options options = {.jobs = jobs};
    assert_int_equal(fingerprint_make(&sketch, from->model, &options, NULL, &err), WEIR_OK);
    return sketch;
}

static void it_describes_what_the_model_holds(void **state) {
    (void)state;
    llama model;
    llama_open(&model);

    fingerprint *sketch = make(&model, 1);

    assert_int_equal(sketch->block_count, 2);
    assert_int_equal(sketch->hidden, HIDDEN);
    assert_int_equal(sketch->feed_forward, UNITS);
    assert_int_equal(sketch->vocabulary, WORDS);
    assert_int_equal(sketch->token_count, WORDS);
    assert_int_equal(sketch->parameters, WORDS * HIDDEN + 2 * (2 * UNITS + 1) * HIDDEN);
    for (size_t i = 0; i < 2; i++) {
        assert_int_equal(sketch->blocks[i].layer, i);
        assert_int_equal(sketch->blocks[i].valid, UINT16_MAX);
        assert_true(sketch->blocks[i].has_gate && sketch->blocks[i].has_tokens);
        assert_true(fabs(sketch->blocks[i].profile[PROFILE_UP_RMS] - sqrt(1 / 3.0)) < 0.03);
        assert_true(fabs(sketch->blocks[i].profile[PROFILE_UP_KURTOSIS] - 1.8) < 0.1);
    }
    fingerprint_free(sketch);
    llama_close(&model);
}

static void its_bytes_are_the_same_for_any_threads_and_level(void **state) {
    (void)state;
    llama model;
    uint64_t hashes[12];
    size_t count = 0;
    llama_open(&model);
    for (weir_simd level = WEIR_SIMD_BASE; next_level(&level);) {
        for (unsigned jobs = 1; jobs <= 4; jobs++) {
            uint8_t *bytes = NULL;
            size_t len = 0;
            fingerprint *sketch = make(&model, jobs);
            assert_int_equal(fingerprint_encode(&bytes, &len, sketch, NULL), WEIR_OK);
            hashes[count++] = fnv1a(bytes, len);
            free(bytes);
            fingerprint_free(sketch);
        }
    }

    for (size_t i = 1; i < count; i++) {
        assert_true(hashes[i] == hashes[0]);
    }
    llama_close(&model);
}

static void rows_that_say_nothing_take_no_part(void **state) {
    (void)state;
    llama model;
    llama_begin(&model);
    llama_add_layer(&model, 0, UNITS, 10);
    llama_end(&model);
    float *up = (float *)(void *)(model.files.data + WORDS * HIDDEN * sizeof(float));
    memset(up + 1 * HIDDEN, 0, HIDDEN * sizeof *up); /* zero */
    up[2 * HIDDEN + 3] = NAN;
    up[3 * HIDDEN + 3] = INFINITY;
    memset(up + 4 * HIDDEN, 0, HIDDEN * sizeof *up);
    up[4 * HIDDEN + 4] = 1; /* one-hot */

    fingerprint *sketch = make(&model, 1);

    assert_int_equal(sketch->blocks[0].valid, UINT16_MAX & ~(2 | 4 | 8 | 16));
    fingerprint_free(sketch);
    llama_close(&model);
}

static void units_in_the_order_of_their_size_are_noticed(void **state) {
    (void)state;
    llama model;
    llama_begin(&model);
    llama_add_layer(&model, 0, UNITS, 10);
    llama_end(&model);
    float *up = (float *)(void *)(model.files.data + WORDS * HIDDEN * sizeof(float));
    for (size_t u = 0; u < UNITS; u++) {
        for (size_t i = 0; i < HIDDEN; i++) {
            up[u * HIDDEN + i] *= 1 + u;
        }
    }

    fingerprint *sketch = make(&model, 1);

    assert_true(sketch->blocks[0].is_sorted);
    fingerprint_free(sketch);
    llama_close(&model);
}

static void fewer_than_sixteen_units_give_no_block(void **state) {
    (void)state;
    llama model;
    llama_begin(&model);
    llama_add_layer(&model, 0, 15, 10);
    llama_end(&model);

    fingerprint *sketch = make(&model, 1);

    assert_int_equal(sketch->block_count, 0);
    fingerprint_free(sketch);
    llama_close(&model);
}

/* The hash of a grid is the hash of the block of a model that was stored so. */
static void a_rounded_child_has_the_hash_that_was_foretold(void **state) {
    (void)state;
    llama parent;
    llama child;
    llama_open(&parent);
    llama_open(&child);
    float *all = (float *)(void *)child.files.data;
    uint8_t stored[FIXTURE_DATA_BYTES / 4];
    const size_t numbers = UNITS * HIDDEN;
    float *up = all + WORDS * HIDDEN;
    convert_from_f32(stored, WEIR_DTYPE_Q8_0, up, numbers);
    convert_to_f32(up, WEIR_DTYPE_Q8_0, stored, numbers);

    fingerprint *of_parent = make(&parent, 1);
    fingerprint *of_child = make(&child, 1);

    size_t type = 0;
    while (grid_types[type] != WEIR_DTYPE_Q8_0) {
        type++;
    }
    assert_int_equal(of_parent->grids[0].block, 0);
    size_t as_up = 0;
    while (grid_roles[as_up] != WEIR_ROLE_UP) {
        as_up++;
    }
    assert_true(of_parent->grids[0].hashes[as_up][type] == of_child->grids[0].own[as_up]);
    assert_true(of_parent->grids[0].own[as_up] != of_child->grids[0].own[as_up]);
    assert_true(of_parent->grids[0].own[as_up - 1] == of_child->grids[0].own[as_up - 1]); /* gate */
    assert_int_equal(of_child->grids[0].own[0], 0); /* it has no q */
    assert_true(of_parent->blocks[0].values_hash != of_child->blocks[0].values_hash);
    assert_true(of_parent->blocks[1].values_hash == of_child->blocks[1].values_hash);
    fingerprint_free(of_parent);
    fingerprint_free(of_child);
    llama_close(&parent);
    llama_close(&child);
}

static void it_survives_being_written_and_read(void **state) {
    (void)state;
    llama model;
    uint8_t *bytes = NULL;
    uint8_t *again = NULL;
    size_t len = 0;
    size_t len_again = 0;
    fingerprint *copy = NULL;
    llama_open(&model);
    fingerprint *sketch = make(&model, 1);

    assert_int_equal(fingerprint_encode(&bytes, &len, sketch, NULL), WEIR_OK);
    assert_int_equal(fingerprint_decode(&copy, bytes, len, "copy", NULL), WEIR_OK);
    assert_int_equal(fingerprint_encode(&again, &len_again, copy, NULL), WEIR_OK);

    assert_int_equal(len_again, len);
    assert_memory_equal(again, bytes, len);
    assert_memory_equal(copy->blocks, sketch->blocks, 2 * sizeof *copy->blocks);
    free(bytes);
    free(again);
    fingerprint_free(sketch);
    fingerprint_free(copy);
    llama_close(&model);
}

/* 32 layers with gates and tokens, as a model of 7 billion numbers has. */
static void thirty_two_layers_take_at_most_forty_kilobytes(void **state) {
    (void)state;
    uint8_t *bytes = NULL;
    size_t len = 0;
    fingerprint *sketch = sketch_new(32, 1);
    sketch_give_tokens(sketch);
    sketch->grid_count = GRID_BLOCKS;

    assert_int_equal(fingerprint_encode(&bytes, &len, sketch, NULL), WEIR_OK);

    assert_true(len <= 40000);
    free(bytes);
    fingerprint_free(sketch);
}

static void refuse(const uint8_t *bytes, size_t len, weir_code wanted) {
    fingerprint *sketch = NULL;
    weir_error err = {0};
    assert_int_equal(fingerprint_decode(&sketch, bytes, len, "broken", &err), wanted);
    assert_null(sketch);
    assert_string_equal(err.file, "broken");
    assert_true(err.found[0] != '\0');
}

static void damaged_bytes_are_refused(void **state) {
    (void)state;
    uint8_t *bytes = NULL;
    size_t len = 0;
    fingerprint *sketch = sketch_new(2, 3);
    sketch_give_tokens(sketch);
    sketch->grid_count = 2;
    assert_int_equal(fingerprint_encode(&bytes, &len, sketch, NULL), WEIR_OK);

    for (size_t cut = 0; cut < len; cut++) {
        refuse(bytes, cut, WEIR_ERR_FORMAT);
    }
    for (size_t at = 0; at < len; at++) {
        bytes[at] ^= 0x40;
        refuse(bytes, len, at >= 8 && at < 12 ? WEIR_ERR_UNSUPPORTED : WEIR_ERR_FORMAT);
        bytes[at] ^= 0x40;
    }
    fingerprint_free(sketch);
    free(bytes);
}

static void a_promise_of_more_blocks_than_bytes_is_refused_at_once(void **state) {
    (void)state;
    uint8_t *bytes = NULL;
    size_t len = 0;
    fingerprint *sketch = sketch_new(1, 3);
    assert_int_equal(fingerprint_encode(&bytes, &len, sketch, NULL), WEIR_OK);
    bytes[12] = 0xFF; /* number of blocks */
    bytes[13] = 0x07;

    refuse(bytes, len, WEIR_ERR_FORMAT);

    bytes[13] = 0x08; /* 2303: over the limit */
    refuse(bytes, len, WEIR_ERR_FORMAT);
    fingerprint_free(sketch);
    free(bytes);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(it_describes_what_the_model_holds),
        cmocka_unit_test(its_bytes_are_the_same_for_any_threads_and_level),
        cmocka_unit_test(rows_that_say_nothing_take_no_part),
        cmocka_unit_test(units_in_the_order_of_their_size_are_noticed),
        cmocka_unit_test(fewer_than_sixteen_units_give_no_block),
        cmocka_unit_test(a_rounded_child_has_the_hash_that_was_foretold),
        cmocka_unit_test(it_survives_being_written_and_read),
        cmocka_unit_test(thirty_two_layers_take_at_most_forty_kilobytes),
        cmocka_unit_test(damaged_bytes_are_refused),
        cmocka_unit_test(a_promise_of_more_blocks_than_bytes_is_refused_at_once),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
