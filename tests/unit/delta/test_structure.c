/* SPDX-License-Identifier: Apache-2.0 */
/* Parts of a model that were moved are found, compared where they stand now, and graded. */
#include "small_model.h"

typedef struct pair_of_models {
    small_model *base;
    small_model *model;
} pair_of_models;

static int set_up(void **state) {
    pair_of_models *both = calloc(1, sizeof *both);
    assert_non_null(both);
    both->base = small_new(1);
    both->model = small_copy(both->base);
    *state = both;
    return 0;
}

static int tear_down(void **state) {
    pair_of_models *both = *state;
    small_free(both->base);
    small_free(both->model);
    free(both);
    return 0;
}

static void assert_all_equal(const weir_diff *diff) {
    size_t pairs;
    const size_t equal = small_diff_equal(diff, &pairs);
    assert_int_equal(equal, pairs);
}

static void permute_units(small_layer *layer) {
    const small_layer before = *layer;
    for (size_t i = 0; i < UNITS; i++) {
        const size_t from = (i * 35 + 3) % UNITS; /* 35 and 96 have no common factor */
        memcpy(layer->gate[i], before.gate[from], sizeof layer->gate[i]);
        memcpy(layer->up[i], before.up[from], sizeof layer->up[i]);
        for (size_t j = 0; j < WIDTH; j++) {
            layer->down[j][i] = before.down[j][from];
        }
    }
}

static void move_head(float *rows, const float *before, size_t to, size_t from) {
    memcpy(rows + to * HEAD * WIDTH, before + from * HEAD * WIDTH, HEAD * WIDTH * sizeof *rows);
}

/* Both groups change places, and the heads within each. */
static void permute_heads(small_layer *layer) {
    static const size_t heads[] = {3, 2, 1, 0};
    static const size_t groups[] = {1, 0};
    const small_layer before = *layer;
    for (size_t i = 0; i < HEADS; i++) {
        move_head(layer->q[0], before.q[0], i, heads[i]);
        for (size_t j = 0; j < WIDTH; j++) {
            memcpy(layer->o[j] + i * HEAD, before.o[j] + heads[i] * HEAD, HEAD * sizeof(float));
        }
    }
    for (size_t i = 0; i < KV_HEADS; i++) {
        move_head(layer->k[0], before.k[0], i, groups[i]);
        move_head(layer->v[0], before.v[0], i, groups[i]);
    }
}

static size_t channel_from(size_t i) {
    return (i * 27 + 5) % WIDTH;
}

static float channel_sign(size_t i) {
    return i % 3 == 0 ? -1.0F : 1.0F;
}

/* Columns of what reads the stream. */
static void move_cols(float *rows, size_t count) {
    for (size_t i = 0; i < count; i++) {
        float before[WIDTH];
        memcpy(before, rows + i * WIDTH, sizeof before);
        for (size_t j = 0; j < WIDTH; j++) {
            rows[i * WIDTH + j] = channel_sign(j) * before[channel_from(j)];
        }
    }
}

/* Rows of what writes to it. */
static void move_rows(float *rows, size_t cols) {
    float *before = malloc(WIDTH * cols * sizeof *before);
    assert_non_null(before);
    memcpy(before, rows, WIDTH * cols * sizeof *before);
    for (size_t i = 0; i < WIDTH; i++) {
        for (size_t j = 0; j < cols; j++) {
            rows[i * cols + j] = channel_sign(i) * before[channel_from(i) * cols + j];
        }
    }
    free(before);
}

static void move_gain(float *gain) {
    float before[WIDTH];
    memcpy(before, gain, sizeof before);
    for (size_t i = 0; i < WIDTH; i++) {
        gain[i] = before[channel_from(i)];
    }
}

static void permute_channels(small_model *of) {
    move_cols(of->embedding[0], WORDS);
    move_gain(of->final_norm);
    for (size_t i = 0; i < of->layer_count; i++) {
        small_layer *layer = &of->layers[i];
        move_gain(layer->attention_norm);
        move_gain(layer->feed_forward_norm);
        move_cols(layer->q[0], HEADS * HEAD);
        move_cols(layer->k[0], KV_HEADS * HEAD);
        move_cols(layer->v[0], KV_HEADS * HEAD);
        move_cols(layer->gate[0], UNITS);
        move_cols(layer->up[0], UNITS);
        move_rows(layer->o[0], HEADS * HEAD);
        move_rows(layer->down[0], UNITS);
    }
}

static void a_copy_is_plain(void **state) {
    pair_of_models *both = *state;

    weir_diff *diff = small_diff_open(both->base, both->model);

    assert_true(diff->structure->is_plain);
    assert_all_equal(diff);
    for (size_t i = 0; i < diff->tensor_count; i++) {
        assert_null(diff->tensors[i].map);
    }
    small_diff_close(diff);
}

static void a_stranger_has_no_structure(void **state) {
    pair_of_models *both = *state;
    small_free(both->model);
    both->model = small_new(2);

    weir_diff *diff = small_diff_open(both->base, both->model);

    assert_true(diff->structure->is_plain);
    assert_int_equal(diff->structure->layers.linked, 0);
    small_diff_close(diff);
}

static void permuted_units_are_found_and_proved(void **state) {
    pair_of_models *both = *state;
    permute_units(&both->model->layers[2]);

    weir_diff *diff = small_diff_open(both->base, both->model);

    const structure_finding *found = diff->structure;
    assert_int_equal(found->permuted.grade, WEIR_GRADE_PROVED);
    assert_int_equal(found->permuted.tensors, 3);
    assert_true(found->permuted_units && !found->permuted_heads && !found->permuted_channels);
    assert_true(found->is_function_preserving);
    assert_all_equal(diff);
    small_diff_close(diff);
}

static void units_that_down_did_not_follow_do_not_keep_the_function(void **state) {
    pair_of_models *both = *state;
    small_layer *layer = &both->model->layers[2];
    permute_units(layer);
    memcpy(layer->down, both->base->layers[2].down, sizeof layer->down);

    weir_diff *diff = small_diff_open(both->base, both->model);

    const structure_finding *found = diff->structure;
    assert_int_equal(found->permuted.grade, WEIR_GRADE_STRONG);
    assert_int_equal(found->permuted.explained, 2);
    assert_false(found->is_function_preserving);
    small_diff_close(diff);
}

static void permuted_heads_are_found_and_proved(void **state) {
    pair_of_models *both = *state;
    permute_heads(&both->model->layers[0]);

    weir_diff *diff = small_diff_open(both->base, both->model);

    const structure_finding *found = diff->structure;
    assert_int_equal(found->permuted.grade, WEIR_GRADE_PROVED);
    assert_int_equal(found->permuted.tensors, 4);
    assert_true(found->permuted_heads && found->is_function_preserving);
    assert_all_equal(diff);
    small_diff_close(diff);
}

static void heads_that_left_their_group_do_not_keep_the_function(void **state) {
    pair_of_models *both = *state;
    const small_layer before = both->model->layers[0];
    small_layer *layer = &both->model->layers[0];
    permute_heads(layer);
    memcpy(layer->k, before.k, sizeof layer->k);
    memcpy(layer->v, before.v, sizeof layer->v);

    weir_diff *diff = small_diff_open(both->base, both->model);

    assert_true(diff->structure->permuted_heads);
    assert_false(diff->structure->is_function_preserving);
    small_diff_close(diff);
}

static void permuted_and_mirrored_channels_are_found_and_proved(void **state) {
    pair_of_models *both = *state;
    permute_channels(both->model);

    weir_diff *diff = small_diff_open(both->base, both->model);

    const structure_finding *found = diff->structure;
    assert_true(found->has_channels && found->permuted_channels);
    assert_int_equal(found->channels.mirrored, (WIDTH + 2) / 3);
    for (size_t i = 0; i < WIDTH; i++) {
        assert_int_equal(found->channels.base[i], channel_from(i));
    }
    assert_int_equal(found->permuted.grade, WEIR_GRADE_PROVED);
    assert_true(found->is_function_preserving);
    assert_all_equal(diff);
    small_diff_close(diff);
}

static void everything_moved_and_tuned_is_found_and_strong(void **state) {
    pair_of_models *both = *state;
    for (size_t i = 0; i < LAYERS_MAX; i++) {
        permute_units(&both->model->layers[i]);
        permute_heads(&both->model->layers[i]);
    }
    permute_channels(both->model);
    small_tune(both->model, 0.05F, 3);

    weir_diff *diff = small_diff_open(both->base, both->model);

    const structure_finding *found = diff->structure;
    assert_int_equal(found->permuted.grade, WEIR_GRADE_STRONG);
    assert_true(found->permuted_units && found->permuted_heads && found->permuted_channels);
    for (size_t i = 0; i < diff->tensor_count; i++) {
        assert_true(tensor_delta_cosine(&diff->tensors[i]) > 0.99);
    }
    small_diff_close(diff);
}

static void a_dropped_layer_is_found_and_the_rest_moves_up(void **state) {
    pair_of_models *both = *state;
    both->model->layers[1] = both->base->layers[2];
    both->model->layers[2] = both->base->layers[3];
    both->model->layer_count = 3;

    weir_diff *diff = small_diff_open(both->base, both->model);

    const structure_finding *found = diff->structure;
    assert_int_equal(found->depth.grade, WEIR_GRADE_PROVED);
    assert_int_equal(found->duplicated.grade, WEIR_GRADE_UNKNOWN);
    assert_int_equal(found->layers.dropped_count, 1);
    assert_int_equal(found->layers.dropped[0], 1);
    assert_int_equal(found->layers.pairs[1].base, 2);
    assert_int_equal(found->layers.pairs[1].link, LAYER_LINK_EQUAL);
    assert_false(structure_shows_copies(found));
    assert_all_equal(diff);
    small_diff_close(diff);
}

static void layers_without_units_or_heads_in_place_are_found_by_rows(void **state) {
    pair_of_models *both = *state;
    both->model->layers[1] = both->base->layers[2];
    both->model->layers[2] = both->base->layers[3];
    both->model->layer_count = 3;
    for (size_t i = 0; i < 3; i++) {
        permute_units(&both->model->layers[i]);
        permute_heads(&both->model->layers[i]);
    }

    weir_diff *diff = small_diff_open(both->base, both->model);

    const structure_finding *found = diff->structure;
    assert_int_equal(found->depth.grade, WEIR_GRADE_PROVED);
    assert_int_equal(found->permuted.grade, WEIR_GRADE_PROVED);
    assert_int_equal(found->layers.pairs[2].base, 3);
    assert_all_equal(diff);
    small_diff_close(diff);
}

static void a_layer_that_stands_twice_shows_which_model_was_first(void **state) {
    pair_of_models *both = *state;
    both->base->layer_count = 3;
    both->model->layers[3] = both->base->layers[2];
    both->model->layers[2] = both->base->layers[1];

    weir_diff *diff = small_diff_open(both->base, both->model);

    const structure_finding *found = diff->structure;
    assert_int_equal(found->duplicated.grade, WEIR_GRADE_PROVED);
    assert_int_equal(found->depth.grade, WEIR_GRADE_UNKNOWN);
    assert_int_equal(found->layers.duplicated, 1);
    assert_true(structure_shows_copies(found));
    assert_all_equal(diff);
    small_diff_close(diff);
}

static void copies_in_the_base_itself_show_nothing(void **state) {
    pair_of_models *both = *state;
    both->base->layer_count = 3;
    both->base->layers[1] = both->base->layers[0];
    both->model->layers[1] = both->base->layers[0];
    both->model->layers[3] = both->base->layers[2];

    weir_diff *diff = small_diff_open(both->base, both->model);

    assert_true(diff->structure->layers.base_repeats);
    assert_int_equal(diff->structure->layers.pairs[1].base, 1);
    assert_false(structure_shows_copies(diff->structure));
    small_diff_close(diff);
}

static void layers_of_a_stranger_take_no_part(void **state) {
    pair_of_models *both = *state;
    small_model *stranger = small_new(7);
    both->model->layers[3] = stranger->layers[0];

    weir_diff *diff = small_diff_open(both->base, both->model);

    assert_true(diff->structure->is_plain);
    assert_int_equal(diff->structure->layers.linked, 3);
    assert_int_equal(diff->structure->layers.pairs[3].link, LAYER_LINK_INDEX);
    small_diff_close(diff);
    small_free(stranger);
}

static void tokens_that_changed_places_are_followed_by_string(void **state) {
    pair_of_models *both = *state;
    memcpy(both->model->embedding[3], both->base->embedding[90], sizeof both->base->embedding[3]);
    memcpy(both->model->embedding[90], both->base->embedding[3], sizeof both->base->embedding[3]);
    both->model->tokens[3] = both->base->text[90];
    both->model->tokens[90] = both->base->text[3];

    weir_diff *diff = small_diff_open(both->base, both->model);

    const vocabulary_map *words = &diff->structure->vocabulary;
    assert_true(words->is_found);
    assert_int_equal(words->way, VOCABULARY_BY_STRING);
    assert_int_equal(words->moved, 2);
    assert_int_equal(words->added + words->removed, 0);
    assert_int_equal(diff->structure->vocab.grade, WEIR_GRADE_PROVED);
    assert_all_equal(diff);
    small_diff_close(diff);
}

static void other_strings_for_the_same_rows_are_no_other_vocabulary(void **state) {
    pair_of_models *both = *state;
    both->model->tokens[3] = both->base->text[90];
    both->model->tokens[90] = both->base->text[3];

    weir_diff *diff = small_diff_open(both->base, both->model);

    assert_true(diff->structure->is_plain);
    assert_all_equal(diff);
    small_diff_close(diff);
}

static void rows_beyond_the_strings_are_added(void **state) {
    pair_of_models *both = *state;
    both->base->words = WORDS - 32;
    for (size_t i = WORDS - 32; i < WORDS; i++) {
        memset(both->model->embedding[i], 0, sizeof both->model->embedding[i]);
    }

    weir_diff *diff = small_diff_open(both->base, both->model);

    const vocabulary_map *words = &diff->structure->vocabulary;
    assert_int_equal(diff->structure->vocab.grade, WEIR_GRADE_PROVED);
    assert_int_equal(words->added, 32);
    assert_int_equal(words->new_zero, 32);
    assert_int_equal(words->removed + words->moved, 0);
    assert_all_equal(diff);
    small_diff_close(diff);
}

#define MODEL_TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void) {
    const struct CMUnitTest tests[] = {
        MODEL_TEST(a_copy_is_plain),
        MODEL_TEST(a_stranger_has_no_structure),
        MODEL_TEST(permuted_units_are_found_and_proved),
        MODEL_TEST(units_that_down_did_not_follow_do_not_keep_the_function),
        MODEL_TEST(permuted_heads_are_found_and_proved),
        MODEL_TEST(heads_that_left_their_group_do_not_keep_the_function),
        MODEL_TEST(permuted_and_mirrored_channels_are_found_and_proved),
        MODEL_TEST(everything_moved_and_tuned_is_found_and_strong),
        MODEL_TEST(a_dropped_layer_is_found_and_the_rest_moves_up),
        MODEL_TEST(layers_without_units_or_heads_in_place_are_found_by_rows),
        MODEL_TEST(a_layer_that_stands_twice_shows_which_model_was_first),
        MODEL_TEST(copies_in_the_base_itself_show_nothing),
        MODEL_TEST(layers_of_a_stranger_take_no_part),
        MODEL_TEST(tokens_that_changed_places_are_followed_by_string),
        MODEL_TEST(other_strings_for_the_same_rows_are_no_other_vocabulary),
        MODEL_TEST(rows_beyond_the_strings_are_added),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
