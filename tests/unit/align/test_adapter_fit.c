/* SPDX-License-Identifier: Apache-2.0 */
/* Adapters and bases whose rows are made of the same few directions, or of others. */
#include "../tensor/fixture.h"

#include <math.h>

#include "../kernel/levels.h"
#include "align/adapter_fit.h"
#include "base/hash.h"

enum { WIDTH = 48, DIRECTIONS = 4, RANK = 8, LAYERS = 2, WORDS = 300, ROWS = 96 };

static float uniform(uint64_t *state) {
    return (float)(hash_next(state) >> 40) / (float)(1 << 24) - 0.5F;
}

/* What a training run leaves: rows that are sums of a few directions of the residual space, and
 * noise. */
typedef struct stream {
    float directions[DIRECTIONS][WIDTH];
    size_t padding; /* dimensions at the end that are zero */
} stream;

static stream stream_of(uint64_t seed) {
    stream made = {.padding = 0};
    for (size_t i = 0; i < DIRECTIONS; i++) {
        for (size_t j = 0; j < WIDTH; j++) {
            made.directions[i][j] = uniform(&seed);
        }
    }
    return made;
}

static void draw_rows(float *out, size_t rows, const stream *from, uint64_t seed) {
    for (size_t r = 0; r < rows; r++) {
        for (size_t j = 0; j < WIDTH; j++) {
            out[r * WIDTH + j] = uniform(&seed);
        }
        for (size_t i = 0; i < DIRECTIONS && from; i++) {
            const float share = uniform(&seed);
            for (size_t j = 0; j < WIDTH; j++) {
                out[r * WIDTH + j] += share * from->directions[i][j];
            }
        }
        for (size_t j = WIDTH - (from ? from->padding : 0); j < WIDTH; j++) {
            out[r * WIDTH + j] = 0.0F;
        }
    }
}

typedef struct side {
    fixture from;
    weir_model *model;
    char names[64][128];
    size_t count;
} side;

static void side_close(side *half) {
    weir_model_free(half->model);
    fixture_close(&half->from);
}

static void add(side *half, const char *name, uint64_t rows, uint64_t cols, const float *values) {
    char *kept = half->names[half->count++];
    snprintf(kept, sizeof half->names[0], "%s", name);
    fixture_add_f32(&half->from, kept, rows, cols, values);
}

static const char *const readers[] = {"self_attn.q_proj", "self_attn.k_proj", "self_attn.v_proj",
                                      "mlp.gate_proj", "mlp.up_proj"};
static const char *const writers[] = {"self_attn.o_proj", "mlp.down_proj"};

/* A base of LAYERS layers; `layers` of them are there. */
static void base_open(side *half, const stream *from, size_t layers, uint64_t seed) {
    static float values[WORDS * WIDTH];
    static const float zeros[WIDTH * ROWS];
    char name[128];
    memset(half, 0, sizeof *half);
    fixture_open(&half->from, "llama", "safetensors");
    half->from.model.shape.layers = LAYERS;
    draw_rows(values, WORDS, from, seed);
    add(half, "model.embed_tokens.weight", WORDS, WIDTH, values);
    for (size_t layer = 0; layer < layers; layer++) {
        for (size_t i = 0; i < 5; i++) {
            const size_t rows = i < 3 ? WIDTH : ROWS;
            snprintf(name, sizeof name, "model.layers.%zu.%s.weight", layer, readers[i]);
            draw_rows(values, rows, from, seed + 10 * layer + i + 1);
            add(half, name, rows, WIDTH, values);
        }
        for (size_t i = 0; i < 2; i++) {
            snprintf(name, sizeof name, "model.layers.%zu.%s.weight", layer, writers[i]);
            add(half, name, WIDTH, i == 0 ? WIDTH : ROWS, zeros);
        }
    }
    half->model = fixture_model(&half->from, NULL);
}

static void add_pair(side *half, size_t layer, const char *module, const float *a, uint64_t inputs,
                     const float *b, uint64_t outputs) {
    char name[128];
    snprintf(name, sizeof name, "base_model.model.model.layers.%zu.%s.lora_A.weight", layer,
             module);
    add(half, name, RANK, inputs, a);
    snprintf(name, sizeof name, "base_model.model.model.layers.%zu.%s.lora_B.weight", layer,
             module);
    add(half, name, outputs, RANK, b);
}

typedef enum adapter_parts { READS = 1, WRITES = 2 } adapter_parts;

/* `trained_on` NULL: A is noise and B is zero, as before the first step. */
static void adapter_open(side *half, int parts, const stream *trained_on, uint64_t seed) {
    static float a[RANK * ROWS];
    static float turned[RANK * WIDTH];
    static float b[ROWS * RANK];
    memset(half, 0, sizeof *half);
    fixture_open(&half->from, NULL, "safetensors");
    half->from.model.adapter = (adapter_claim){.present = true, .alpha = 16};
    for (size_t layer = 0; layer < LAYERS; layer++) {
        for (size_t i = 0; i < 5 && (parts & READS); i++) {
            draw_rows(a, RANK, trained_on, seed + 10 * layer + i);
            memset(b, 0, sizeof b);
            add_pair(half, layer, readers[i], a, WIDTH, b, i < 3 ? WIDTH : ROWS);
        }
        for (size_t i = 0; i < 2 && (parts & WRITES); i++) {
            draw_rows(turned, RANK, trained_on, seed + 10 * layer + i + 100);
            for (size_t j = 0; j < WIDTH * RANK; j++) {
                b[j] = trained_on ? turned[j % RANK * WIDTH + j / RANK] : 0.0F;
            }
            memset(a, 0, sizeof a);
            add_pair(half, layer, writers[i], a, i == 0 ? WIDTH : ROWS, b, WIDTH);
        }
    }
    half->model = fixture_model(&half->from, NULL);
}

static adapter_fit fit_of(const side *adapter, const side *base) {
    adapter_fit fit;
    weir_error err = {0};
    assert_int_equal(adapter_fit_test(&fit, adapter->model, base->model, NULL, &err), WEIR_OK);
    return fit;
}

static void adapter_fits_the_base_it_was_trained_on(void **state) {
    (void)state;
    const stream own = stream_of(1);
    side base;
    base_open(&base, &own, LAYERS, 100);
    for (int parts = READS; parts <= (READS | WRITES); parts++) {
        side adapter;
        adapter_open(&adapter, parts, &own, 200);

        const adapter_fit fit = fit_of(&adapter, &base);

        assert_int_equal(fit.verdict, ADAPTER_FITS);
        assert_true(fit.is_tested);
        assert_true(fit.p <= 1e-3);
        assert_true(fit.p >= 1e-4);
        assert_int_equal(fit.columns, WIDTH);
        assert_int_equal(fit.fitting, fit.modules);
        assert_int_equal(fit.modules, (parts & READS ? 10 : 0) + (parts & WRITES ? 4 : 0));
        assert_int_equal(fit.adapter_rows, RANK * fit.modules);
        assert_string_equal(fit.first_unfitting, "");
        side_close(&adapter);
    }
    side_close(&base);
}

/* Of 200 pairs 0.2 are expected at 1e-3; these seeds have none. */
static void adapter_of_a_stranger_is_only_claimed(void **state) {
    (void)state;
    size_t below_a_tenth = 0;
    for (uint64_t seed = 0; seed < 200; seed++) {
        const stream own = stream_of(2 * seed + 10);
        const stream other = stream_of(2 * seed + 11);
        side base;
        side adapter;
        base_open(&base, &own, LAYERS, 1000 + seed);
        adapter_open(&adapter, READS | WRITES, &other, 5000 + seed);

        const adapter_fit fit = fit_of(&adapter, &base);

        assert_true(fit.is_tested);
        assert_int_equal(fit.verdict, ADAPTER_CLAIMED);
        below_a_tenth += fit.p <= 0.1;
        side_close(&base);
        side_close(&adapter);
    }
    assert_in_range(below_a_tenth, 8, 34); /* 20 expected; +-3 standard deviations */
}

static void order_of_the_dimensions_is_what_is_tested(void **state) {
    (void)state;
    const stream own = stream_of(3);
    stream turned = own;
    for (size_t i = 0; i < DIRECTIONS; i++) {
        for (size_t j = 0; j < WIDTH; j++) {
            turned.directions[i][j] = own.directions[i][(j + 5) % WIDTH];
        }
    }
    side base;
    side adapter;
    base_open(&base, &turned, LAYERS, 100);
    adapter_open(&adapter, READS | WRITES, &own, 200);

    const adapter_fit fit = fit_of(&adapter, &base);

    assert_int_equal(fit.verdict, ADAPTER_CLAIMED);
    assert_true(fit.p > 1e-3);
    side_close(&base);
    side_close(&adapter);
}

static void untrained_adapter_is_only_claimed(void **state) {
    (void)state;
    const stream own = stream_of(4);
    side base;
    side adapter;
    base_open(&base, &own, LAYERS, 100);
    adapter_open(&adapter, READS | WRITES, NULL, 200);

    const adapter_fit fit = fit_of(&adapter, &base);

    assert_int_equal(fit.verdict, ADAPTER_CLAIMED);
    assert_int_equal(fit.adapter_rows, RANK * 10); /* what is zero says nothing */
    side_close(&base);
    side_close(&adapter);
}

static void module_that_the_base_lacks_contradicts(void **state) {
    (void)state;
    static const float values[RANK * ROWS];
    const stream own = stream_of(5);
    side base;
    side adapter;
    base_open(&base, &own, LAYERS, 100);
    adapter_open(&adapter, READS, &own, 200);
    weir_model_free(adapter.model);
    add_pair(&adapter, LAYERS, readers[0], values, WIDTH, values, WIDTH);
    adapter.model = fixture_model(&adapter.from, NULL);

    const adapter_fit fit = fit_of(&adapter, &base);

    assert_int_equal(fit.verdict, ADAPTER_CONTRADICTED);
    assert_int_equal(fit.modules, 11);
    assert_int_equal(fit.fitting, 10);
    assert_string_equal(fit.first_unfitting,
                        "base_model.model.model.layers.2.self_attn.q_proj.lora_A.weight");
    side_close(&base);
    side_close(&adapter);
}

static void modules_outside_the_layers_contradict_nothing(void **state) {
    (void)state;
    static const float values[RANK * WORDS];
    const stream own = stream_of(5);
    side base; /* without a head */
    side adapter;
    base_open(&base, &own, LAYERS, 100);
    adapter_open(&adapter, READS, &own, 200);
    weir_model_free(adapter.model);
    add(&adapter, "base_model.model.lm_head.lora_A.weight", RANK, WIDTH, values);
    add(&adapter, "base_model.model.lm_head.lora_B.weight", WORDS, RANK, values);
    add(&adapter, "base_model.model.model.layers.0.novel.lora_A.weight", RANK, WIDTH, values);
    add(&adapter, "base_model.model.model.layers.0.novel.lora_B.weight", WIDTH, RANK, values);
    adapter.model = fixture_model(&adapter.from, NULL);

    const adapter_fit fit = fit_of(&adapter, &base);

    assert_int_equal(fit.verdict, ADAPTER_FITS);
    assert_int_equal(fit.modules, 12);
    assert_int_equal(fit.fitting, 10);
    assert_string_equal(fit.first_unfitting, "");
    side_close(&base);
    side_close(&adapter);
}

static void module_of_another_shape_contradicts(void **state) {
    (void)state;
    static const float values[RANK * ROWS];
    const stream own = stream_of(6);
    side base;
    side adapter;
    base_open(&base, &own, LAYERS, 100);
    memset(&adapter, 0, sizeof adapter);
    fixture_open(&adapter.from, NULL, "safetensors");
    add_pair(&adapter, 0, readers[3], values, WIDTH, values, ROWS - 1);
    adapter.model = fixture_model(&adapter.from, NULL);

    const adapter_fit fit = fit_of(&adapter, &base);

    assert_int_equal(fit.verdict, ADAPTER_CONTRADICTED);
    assert_int_equal(fit.fitting, 0);
    assert_false(fit.is_tested);
    assert_true(fit.p == 1.0);
    side_close(&base);
    side_close(&adapter);
}

static void base_with_missing_layers_contradicts_nothing(void **state) {
    (void)state;
    const stream own = stream_of(7);
    side base;
    side adapter;
    base_open(&base, &own, 1, 100);
    adapter_open(&adapter, READS, &own, 200);

    const adapter_fit fit = fit_of(&adapter, &base);

    assert_int_equal(fit.modules, 10);
    assert_int_equal(fit.fitting, 5);
    assert_int_not_equal(fit.verdict, ADAPTER_CONTRADICTED);
    side_close(&base);
    side_close(&adapter);
}

static void dimensions_that_are_zero_take_no_part(void **state) {
    (void)state;
    stream own = stream_of(8);
    stream other = stream_of(9);
    own.padding = other.padding = 7;
    side base;
    side adapter;
    base_open(&base, &own, LAYERS, 100);
    adapter_open(&adapter, READS | WRITES, &other, 200);

    const adapter_fit fit = fit_of(&adapter, &base);

    assert_int_equal(fit.columns, WIDTH - 7);
    assert_int_equal(fit.verdict, ADAPTER_CLAIMED);
    side_close(&base);
    side_close(&adapter);
}

static void numbers_that_are_not_finite_take_no_part(void **state) {
    (void)state;
    const stream own = stream_of(10);
    side base;
    side adapter;
    base_open(&base, &own, LAYERS, 100);
    adapter_open(&adapter, READS, &own, 200);
    const float bad[] = {NAN, INFINITY};
    memcpy(adapter.from.data, &bad[0], sizeof *bad);
    memcpy(base.from.data, &bad[1], sizeof *bad);

    const adapter_fit fit = fit_of(&adapter, &base);

    assert_int_equal(fit.verdict, ADAPTER_FITS);
    assert_int_equal(fit.adapter_rows, RANK * 10 - 1);
    side_close(&base);
    side_close(&adapter);
}

static void model_without_adapter_tensors_is_refused(void **state) {
    (void)state;
    const stream own = stream_of(11);
    adapter_fit fit;
    side base;
    base_open(&base, &own, LAYERS, 100);

    assert_int_equal(adapter_fit_test(&fit, base.model, base.model, NULL, NULL), WEIR_ERR_ARG);
    side_close(&base);
}

static void p_is_the_same_at_every_level_and_thread_count(void **state) {
    (void)state;
    const stream own = stream_of(12);
    const stream other = stream_of(13);
    side base;
    side adapter;
    base_open(&base, &own, LAYERS, 100);
    adapter_open(&adapter, READS | WRITES, &other, 200);
    const adapter_fit expected = fit_of(&adapter, &base);
    weir_simd level = WEIR_SIMD_BASE;

    while (next_level(&level)) {
        for (unsigned jobs = 1; jobs < 4; jobs++) {
            const adapter_fit_options options = {.jobs = jobs};
            adapter_fit fit;
            assert_int_equal(adapter_fit_test(&fit, adapter.model, base.model, &options, NULL),
                             WEIR_OK);
            assert_true(fit.p == expected.p);
        }
    }
    side_close(&base);
    side_close(&adapter);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(adapter_fits_the_base_it_was_trained_on),
        cmocka_unit_test(adapter_of_a_stranger_is_only_claimed),
        cmocka_unit_test(order_of_the_dimensions_is_what_is_tested),
        cmocka_unit_test(untrained_adapter_is_only_claimed),
        cmocka_unit_test(module_that_the_base_lacks_contradicts),
        cmocka_unit_test(modules_outside_the_layers_contradict_nothing),
        cmocka_unit_test(module_of_another_shape_contradicts),
        cmocka_unit_test(base_with_missing_layers_contradicts_nothing),
        cmocka_unit_test(dimensions_that_are_zero_take_no_part),
        cmocka_unit_test(numbers_that_are_not_finite_take_no_part),
        cmocka_unit_test(model_without_adapter_tensors_is_refused),
        cmocka_unit_test(p_is_the_same_at_every_level_and_thread_count),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
