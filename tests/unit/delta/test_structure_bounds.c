/* SPDX-License-Identifier: Apache-2.0 */
/* A hundred thousand layers, and tokens that are all one string, are answered in a walk. */
#include "../tensor/fixture.h"

#include "base/hash.h"
#include "delta/layer_map.h"
#include "delta/vocabulary_map.h"

enum { LAYERS = 100000, WIDTH = 2, WORDS = 200000 };

/* Layers of one row of two numbers, which tell the layer. */
static weir_model *open_layers(fixture *from, bool is_reversed) {
    fixture_open(from, "llama", "safetensors");
    for (size_t i = 0; i < LAYERS; i++) {
        const size_t of = is_reversed ? LAYERS - 1 - i : i;
        const float values[WIDTH] = {(float)of + 2.0F, 1.0F};
        char name[64];
        snprintf(name, sizeof name, "model.layers.%zu.self_attn.q_proj.weight", i);
        fixture_add_f32(from, name, 1, WIDTH, values);
    }
    return fixture_model(from, NULL);
}

static void a_hundred_thousand_layers_are_found_in_reverse(void **state) {
    (void)state;
    fixture base_from;
    fixture model_from;
    arena memory = {0};
    layer_map found;
    weir_model *base = open_layers(&base_from, false);
    weir_model *model = open_layers(&model_from, true);

    assert_int_equal(layer_map_find(&found, &memory, base, model, NULL, NULL), WEIR_OK);

    assert_int_equal(found.count, LAYERS);
    assert_int_equal(found.linked, LAYERS);
    assert_int_equal(found.dropped_count + found.duplicated + found.added, 0);
    assert_true(found.is_reordered);
    for (size_t i = 0; i < LAYERS; i++) {
        assert_int_equal(found.pairs[i].base, LAYERS - 1 - i);
    }
    weir_model_free(base);
    weir_model_free(model);
    fixture_close(&base_from);
    fixture_close(&model_from);
    arena_release(&memory);
}

static weir_model *open_words(fixture *from, const char *const *tokens) {
    const uint64_t dims[] = {WORDS, WIDTH};
    fixture_open(from, "llama", "safetensors");
    from->model.vocabulary = (vocabulary){.tokens = (const char **)tokens, .count = WORDS};
    fixture_add(from, "model.embed_tokens.weight", WEIR_DTYPE_BF16, dims, 2, NULL);
    return fixture_model(from, NULL);
}

static void tokens_that_are_all_one_string_with_equal_rows_stay_where_they_are(void **state) {
    (void)state;
    fixture base_from;
    fixture model_from;
    arena memory = {0};
    vocabulary_map found;
    const char **tokens = calloc(WORDS, sizeof *tokens);
    assert_non_null(tokens);
    for (size_t i = 0; i < WORDS; i++) {
        tokens[i] = "same";
    }
    weir_model *base = open_words(&base_from, tokens);
    weir_model *model = open_words(&model_from, tokens);

    assert_int_equal(vocabulary_map_find(&found, &memory, base, model, NULL), WEIR_OK);

    assert_false(found.is_found);
    weir_model_free(base);
    weir_model_free(model);
    fixture_close(&base_from);
    fixture_close(&model_from);
    arena_release(&memory);
    free(tokens);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_hundred_thousand_layers_are_found_in_reverse),
        cmocka_unit_test(tokens_that_are_all_one_string_with_equal_rows_stay_where_they_are),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
