/* SPDX-License-Identifier: Apache-2.0 */
/* Experts are found wherever they stand, and a dense feed-forward among them. */
#include "../tensor/fixture.h"

#include "base/hash.h"
#include "delta/expert_map.h"

enum { EXPERTS = 4, UNITS = 24, WIDTH = 48 };

typedef struct numbers {
    float up[EXPERTS][UNITS][WIDTH];
    float gate[EXPERTS][UNITS][WIDTH];
} numbers;

static void fill(float *values, size_t count, uint64_t seed, float size) {
    for (size_t i = 0; i < count; i++) {
        values[i] += size * ((float)(hash_next(&seed) >> 40) / (float)(1 << 24) - 0.5F);
    }
}

static numbers *numbers_new(uint64_t seed) {
    numbers *made = calloc(1, sizeof *made);
    assert_non_null(made);
    fill(made->up[0][0], sizeof *made / sizeof(float), seed, 1);
    return made;
}

/* A layer of a mixture whose expert i is expert order[i] of the numbers. */
static weir_model *open_mixture(fixture *from, const numbers *of, const size_t *order,
                                size_t count) {
    fixture_open(from, "mixtral", "safetensors");
    for (size_t i = 0; i < count; i++) {
        char name[96];
        snprintf(name, sizeof name, "model.layers.0.block_sparse_moe.experts.%zu.w3.weight", i);
        fixture_add_f32(from, name, UNITS, WIDTH, of->up[order[i]][0]);
        snprintf(name, sizeof name, "model.layers.0.block_sparse_moe.experts.%zu.w1.weight", i);
        fixture_add_f32(from, name, UNITS, WIDTH, of->gate[order[i]][0]);
    }
    return fixture_model(from, NULL);
}

static weir_model *open_dense(fixture *from, const numbers *of, size_t which) {
    fixture_open(from, "llama", "safetensors");
    fixture_add_f32(from, "model.layers.0.mlp.up_proj.weight", UNITS, WIDTH, of->up[which][0]);
    fixture_add_f32(from, "model.layers.0.mlp.gate_proj.weight", UNITS, WIDTH, of->gate[which][0]);
    return fixture_model(from, NULL);
}

static expert_map find(arena *memory, const weir_model *base, const weir_model *model) {
    residual_frame frame;
    expert_map found;
    frame_of_index(&frame, WIDTH, WIDTH);
    assert_int_equal(expert_map_find(&found, memory, base, 0, model, 0, &frame, NULL), WEIR_OK);
    return found;
}

static const size_t in_order[] = {0, 1, 2, 3};

typedef struct world {
    arena memory;
    fixture base_from;
    fixture model_from;
    weir_model *base;
    weir_model *model;
    numbers *of;
} world;

static int set_up(void **state) {
    world *made = calloc(1, sizeof *made);
    assert_non_null(made);
    made->of = numbers_new(1);
    *state = made;
    return 0;
}

static int tear_down(void **state) {
    world *made = *state;
    weir_model_free(made->base);
    weir_model_free(made->model);
    fixture_close(&made->base_from);
    fixture_close(&made->model_from);
    arena_release(&made->memory);
    free(made->of);
    free(made);
    return 0;
}

static void experts_in_another_order_are_found(void **state) {
    world *at = *state;
    static const size_t order[] = {2, 0, 3, 1};
    at->base = open_mixture(&at->base_from, at->of, in_order, EXPERTS);
    at->model = open_mixture(&at->model_from, at->of, order, EXPERTS);

    const expert_map found = find(&at->memory, at->base, at->model);

    assert_false(found.is_same);
    assert_int_equal(found.moved, EXPERTS);
    assert_int_equal(found.added + found.removed, 0);
    for (size_t i = 0; i < EXPERTS; i++) {
        assert_int_equal(found.pairs[i].base, order[i]);
        assert_true(found.pairs[i].is_equal);
        assert_int_equal(found.router.base[i], order[i]);
    }
}

static void dropped_experts_and_tuned_ones_are_told_apart(void **state) {
    world *at = *state;
    static const size_t order[] = {0, 2, 3};
    at->base = open_mixture(&at->base_from, at->of, in_order, EXPERTS);
    fill(at->of->up[0][0], sizeof *at->of / sizeof(float), 5, 0.1F);
    at->model = open_mixture(&at->model_from, at->of, order, 3);

    const expert_map found = find(&at->memory, at->base, at->model);

    assert_int_equal(found.kept, 3);
    assert_int_equal(found.alike, 3);
    assert_int_equal(found.removed, 1);
    assert_int_equal(found.pairs[1].base, 2);
    assert_false(found.pairs[1].is_equal);
    assert_int_equal(found.router.shared, 3);
}

static void a_dense_feed_forward_became_every_expert(void **state) {
    world *at = *state;
    static const size_t copies[] = {2, 2, 2, 2};
    at->base = open_dense(&at->base_from, at->of, 2);
    at->model = open_mixture(&at->model_from, at->of, copies, EXPERTS);

    const expert_map found = find(&at->memory, at->base, at->model);

    assert_true(found.is_upcycled);
    assert_int_equal(found.kept, EXPERTS);
    for (size_t i = 0; i < EXPERTS; i++) {
        assert_int_equal(found.pairs[i].base, FEED_FORWARD_OWN);
        assert_true(found.pairs[i].is_equal);
    }
}

static void each_parent_of_a_mixture_finds_its_own_expert(void **state) {
    world *at = *state;
    at->base = open_dense(&at->base_from, at->of, 3);
    at->model = open_mixture(&at->model_from, at->of, in_order, EXPERTS);

    const expert_map found = find(&at->memory, at->base, at->model);

    assert_int_equal(found.kept, 1);
    assert_int_equal(found.added, 3);
    assert_int_equal(found.pairs[3].base, FEED_FORWARD_OWN);
    assert_int_equal(found.pairs[0].base, EXPERT_NONE);
}

static void an_expert_became_a_dense_feed_forward(void **state) {
    world *at = *state;
    at->base = open_mixture(&at->base_from, at->of, in_order, EXPERTS);
    at->model = open_dense(&at->model_from, at->of, 1);

    const expert_map found = find(&at->memory, at->base, at->model);

    assert_true(found.is_extracted);
    assert_int_equal(found.pairs[0].base, 1);
}

static void experts_of_a_stranger_have_no_likeness(void **state) {
    world *at = *state;
    numbers *other = numbers_new(2);
    at->base = open_mixture(&at->base_from, at->of, in_order, EXPERTS);
    at->model = open_mixture(&at->model_from, other, in_order, EXPERTS);

    const expert_map found = find(&at->memory, at->base, at->model);

    assert_int_equal(found.alike, 0);
    assert_true(found.is_same); /* by their numbers alone */
    free(other);
}

#define WORLD_TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void) {
    const struct CMUnitTest tests[] = {
        WORLD_TEST(experts_in_another_order_are_found),
        WORLD_TEST(dropped_experts_and_tuned_ones_are_told_apart),
        WORLD_TEST(a_dense_feed_forward_became_every_expert),
        WORLD_TEST(each_parent_of_a_mixture_finds_its_own_expert),
        WORLD_TEST(an_expert_became_a_dense_feed_forward),
        WORLD_TEST(experts_of_a_stranger_have_no_likeness),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
