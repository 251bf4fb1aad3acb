/* SPDX-License-Identifier: Apache-2.0 */
/* Units that are the same ones, whatever was done to their order and basis, and units that are not.
 */
#include "small_llama.h"

#include "../kernel/levels.h"
#include "align/unit_map.h"

static unit_map map_of(small_llama *mine, small_llama *theirs) {
    unit_map map;
    weir_error err = {0};
    weir_model *a = mine->model ? mine->model : llama_open(mine, 0, true);
    weir_model *b = theirs->model ? theirs->model : llama_open(theirs, 0, true);
    assert_int_equal(unit_map_find(&map, a, b, NULL, &err), WEIR_OK);
    return map;
}

static void assert_all_found(const unit_map *map) {
    assert_int_equal(map->layer_count, LAYERS);
    assert_true(map->log10_p < -5.9);
    assert_true(map->bytes_read > 0);
    for (size_t i = 0; i < map->layer_count; i++) {
        assert_int_equal(map->layers[i].mine, map->layers[i].theirs);
        assert_int_equal(map->layers[i].of, UNITS);
        assert_in_range(map->layers[i].agree, UNITS * 9 / 10, UNITS);
        assert_true(map->layers[i].cosine > 0.9);
    }
}

static void assert_stranger(const unit_map *map) {
    assert_int_equal(map->layer_count, LAYERS);
    assert_true(map->log10_p > -0.5);
    assert_false(map->units_permuted);
    assert_false(map->basis_changed);
    for (size_t i = 0; i < map->layer_count; i++) {
        assert_in_range(map->layers[i].agree, 0, UNITS / 20);
    }
}

static void copy_is_found_as_it_stands(void **state) {
    (void)state;
    small_llama *base = llama_new(1);
    small_llama *copy = llama_copy(base);

    const unit_map map = map_of(copy, base);

    assert_all_found(&map);
    assert_int_equal(map.layers[0].agree, UNITS);
    assert_true(map.layers[0].in_order);
    assert_true(map.layers[0].cosine > 0.999);
    assert_false(map.units_permuted);
    assert_false(map.basis_changed);
    llama_free(base);
    llama_free(copy);
}

static void noise_leaves_the_units_found(void **state) {
    (void)state;
    small_llama *base = llama_new(1);
    small_llama *copy = llama_copy(base);
    add_noise(copy, 0.2F, 5);

    const unit_map map = map_of(copy, base);

    assert_all_found(&map);
    assert_true(map.layers[0].cosine < 0.999);
    assert_false(map.units_permuted);
    assert_false(map.basis_changed);
    llama_free(base);
    llama_free(copy);
}

static void units_in_another_order_are_found(void **state) {
    (void)state;
    small_llama *base = llama_new(2);
    small_llama *copy = llama_copy(base);
    permute_units(copy, 6);

    const unit_map map = map_of(copy, base);

    assert_all_found(&map);
    assert_true(map.units_permuted);
    assert_false(map.layers[0].in_order);
    assert_false(map.basis_changed);
    llama_free(base);
    llama_free(copy);
}

static void folded_norms_and_scaled_units_change_nothing(void **state) {
    (void)state;
    small_llama *base = llama_new(3);
    small_llama *copy = llama_copy(base);
    fold_norms(copy);
    for (size_t i = 0; i < LAYERS * UNITS; i++) {
        const float scale = (i % 2 ? -1.0F : 1.0F) * (float)(1 + i % 5); /* down has the inverse */
        for (size_t j = 0; j < WIDTH; j++) {
            copy->up[i][j] *= scale;
        }
    }

    const unit_map map = map_of(copy, base);

    assert_all_found(&map);
    assert_false(map.units_permuted);
    assert_false(map.basis_changed);
    llama_free(base);
    llama_free(copy);
}

enum { PERMUTED, MIRRORED, ROTATED, BASIS_CHANGES };

static void change_basis(small_llama *llama, int kind) {
    uint64_t seed = 8;
    size_t order[WIDTH];
    shuffle(order, WIDTH, seed);
    if (kind == ROTATED) {
        rotate(llama, seed);
    } else {
        each_row(llama, kind == PERMUTED ? permute_row : mirror_row,
                 kind == PERMUTED ? (void *)order : &seed);
    }
}

static void changed_basis_is_seen_through(void **state) {
    (void)state;
    for (int kind = 0; kind < BASIS_CHANGES; kind++) {
        small_llama *base = llama_new(4);
        small_llama *copy = llama_copy(base);
        fold_norms(copy);
        change_basis(copy, kind);
        permute_units(copy, 9);
        add_noise(copy, 0.01F, 10);

        const unit_map map = map_of(copy, base);

        assert_all_found(&map);
        assert_true(map.units_permuted);
        assert_true(map.basis_changed);
        llama_free(base);
        llama_free(copy);
    }
}

static void strangers_are_not_linked(void **state) {
    (void)state;
    for (uint64_t seed = 100; seed < 110; seed++) {
        small_llama *base = llama_new(4);
        small_llama *other = llama_new(seed);

        const unit_map map = map_of(other, base);

        assert_stranger(&map);
        llama_free(base);
        llama_free(other);
    }
}

static void copied_embedding_alone_is_no_link(void **state) {
    (void)state;
    small_llama *base = llama_new(4);
    small_llama *other = llama_new(5);
    memcpy(other->embedding, base->embedding, sizeof other->embedding);

    const unit_map map = map_of(other, base);

    assert_stranger(&map);
    llama_free(base);
    llama_free(other);
}

static void copied_ups_alone_are_no_link(void **state) {
    (void)state;
    small_llama *base = llama_new(4);
    small_llama *other = llama_new(5);
    memcpy(other->embedding, base->embedding, sizeof other->embedding);
    memcpy(other->up, base->up, sizeof other->up);
    memcpy(other->norm, base->norm, sizeof other->norm);

    const unit_map map = map_of(other, base);

    assert_stranger(&map);
    llama_free(base);
    llama_free(other);
}

static void rows_without_a_direction_take_no_part(void **state) {
    (void)state;
    small_llama *base = llama_new(6);
    for (size_t i = 0; i < LAYERS; i++) {
        const size_t first = i * UNITS;
        memset(base->gate[first + 3], 0, sizeof base->gate[first + 3]);
        base->up[first + 4][7] = NAN;
        base->gate[first + 5][0] = INFINITY;
        memcpy(base->gate[first + 10], base->gate[first + 11], sizeof base->gate[first + 10]);
        memcpy(base->up[first + 10], base->up[first + 11], sizeof base->up[first + 10]);
    }
    small_llama *copy = llama_copy(base);

    const unit_map map = map_of(copy, base);

    assert_int_equal(map.layer_count, LAYERS);
    for (size_t i = 0; i < map.layer_count; i++) {
        assert_int_equal(map.layers[i].of, UNITS - 3);
        assert_int_equal(map.layers[i].agree, UNITS - 5); /* nor the two equal ones */
    }
    llama_free(base);
    llama_free(copy);
}

static void constant_rows_are_no_link(void **state) {
    (void)state;
    small_llama *base = llama_new(6);
    small_llama *other = llama_new(7);
    for (size_t i = 0; i < LAYERS * UNITS; i++) {
        for (size_t j = 0; j < WIDTH; j++) {
            base->gate[i][j] = base->up[i][j] = 1.0F;
            other->gate[i][j] = other->up[i][j] = 1.0F;
        }
    }

    const unit_map map = map_of(other, base);

    assert_stranger(&map);
    llama_free(base);
    llama_free(other);
}

static void moved_layer_is_found_where_it_went(void **state) {
    (void)state;
    small_llama *base = llama_new(8);
    small_llama *shorter = llama_copy(base);
    llama_open(shorter, 1, true); /* without the first layer */

    const unit_map map = map_of(shorter, base);

    assert_int_equal(map.layer_count, LAYERS - 1);
    assert_true(map.log10_p < -5.9);
    for (size_t i = 0; i < map.layer_count; i++) {
        assert_int_equal(map.layers[i].theirs, map.layers[i].mine + 1);
        assert_int_equal(map.layers[i].agree, UNITS);
    }
    llama_free(base);
    llama_free(shorter);
}

static void order_of_the_vocabulary_changes_nothing(void **state) {
    (void)state;
    small_llama *base = llama_new(9);
    small_llama *copy = llama_copy(base);
    for (size_t i = 0; i < WORDS; i++) {
        copy->tokens[i] = copy->text[WORDS - 1 - i];
        memcpy(copy->embedding[i], base->embedding[WORDS - 1 - i], sizeof copy->embedding[i]);
    }

    const unit_map map = map_of(copy, base);

    assert_all_found(&map);
    assert_int_equal(map.layers[0].agree, UNITS);
    llama_free(base);
    llama_free(copy);
}

static void assert_nothing_compared(small_llama *mine, small_llama *theirs) {
    const unit_map map = map_of(mine, theirs);
    assert_int_equal(map.layer_count, 0);
    assert_true(map.log10_p == 0.0);
    assert_false(map.units_permuted);
    assert_false(map.basis_changed);
}

static void without_common_tokens_or_gates_nothing_is_compared(void **state) {
    (void)state;
    small_llama *base = llama_new(10);
    small_llama *renamed = llama_copy(base);
    small_llama *plain = llama_copy(base);
    for (size_t i = 0; i < WORDS; i++) {
        renamed->text[i][0] = 'x';
    }
    llama_open(plain, 0, false);

    assert_nothing_compared(renamed, base);
    assert_nothing_compared(plain, base);
    assert_nothing_compared(base, plain);
    llama_free(base);
    llama_free(renamed);
    llama_free(plain);
}

static void result_is_the_same_at_every_level_and_thread_count(void **state) {
    (void)state;
    small_llama *base = llama_new(11);
    small_llama *copy = llama_copy(base);
    fold_norms(copy);
    rotate(copy, 3);
    add_noise(copy, 0.3F, 4);
    const unit_map expected = map_of(copy, base);
    assert_all_found(&expected);
    weir_simd level = WEIR_SIMD_BASE;

    while (next_level(&level)) {
        for (unsigned jobs = 1; jobs < 4; jobs++) {
            const unit_map_options options = {.jobs = jobs};
            unit_map map;
            assert_int_equal(unit_map_find(&map, copy->model, base->model, &options, NULL),
                             WEIR_OK);
            for (size_t i = 0; i < LAYERS; i++) {
                assert_int_equal(map.layers[i].agree, expected.layers[i].agree);
                assert_memory_equal(&map.layers[i].cosine, &expected.layers[i].cosine,
                                    sizeof map.layers[i].cosine);
            }
            assert_memory_equal(&map.log10_p, &expected.log10_p, sizeof map.log10_p);
        }
    }
    llama_free(base);
    llama_free(copy);
}

static bool is_cancelled(void *context) {
    size_t *left = context;
    return (*left)-- == 0;
}

static void cancelled_search_stops(void **state) {
    (void)state;
    small_llama *base = llama_new(12);
    small_llama *copy = llama_copy(base);
    size_t left = 5;
    const weir_callbacks callbacks = {.context = &left, .is_cancelled = is_cancelled};
    const unit_map_options options = {.callbacks = &callbacks};
    unit_map map;
    llama_open(base, 0, true);
    llama_open(copy, 0, true);

    assert_int_equal(unit_map_find(&map, copy->model, base->model, &options, NULL),
                     WEIR_ERR_CANCELLED);
    llama_free(base);
    llama_free(copy);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(copy_is_found_as_it_stands),
        cmocka_unit_test(noise_leaves_the_units_found),
        cmocka_unit_test(units_in_another_order_are_found),
        cmocka_unit_test(folded_norms_and_scaled_units_change_nothing),
        cmocka_unit_test(changed_basis_is_seen_through),
        cmocka_unit_test(strangers_are_not_linked),
        cmocka_unit_test(copied_embedding_alone_is_no_link),
        cmocka_unit_test(copied_ups_alone_are_no_link),
        cmocka_unit_test(rows_without_a_direction_take_no_part),
        cmocka_unit_test(constant_rows_are_no_link),
        cmocka_unit_test(moved_layer_is_found_where_it_went),
        cmocka_unit_test(order_of_the_vocabulary_changes_nothing),
        cmocka_unit_test(without_common_tokens_or_gates_nothing_is_compared),
        cmocka_unit_test(result_is_the_same_at_every_level_and_thread_count),
        cmocka_unit_test(cancelled_search_stops),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
