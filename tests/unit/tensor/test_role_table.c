/* SPDX-License-Identifier: Apache-2.0 */
#include "../testing.h"

#include "tensor/role_table.h"

static role_index index_of(const char *architecture) {
    role_index index = {0};
    const role_family *family = role_family_find(architecture);
    assert_true(!architecture || family);
    assert_int_equal(role_index_build(&index, family, NULL), WEIR_OK);
    return index;
}

static bool yes(const void *context, const char *name) {
    return strcmp(context, name) == 0;
}

static void every_role_has_a_name(void **state) {
    (void)state;
    for (int role = 0; role < WEIR_ROLE_COUNT; role++) {
        assert_non_null(weir_role_name(role));
        assert_non_null(role_canonical(role));
    }
}

static void unknown_architectures_have_no_family(void **state) {
    (void)state;
    assert_null(role_family_find(NULL));
    assert_null(role_family_find(""));
    assert_null(role_family_find("llam"));
    assert_null(role_family_find("Llama"));
    assert_non_null(role_family_find("gpt-oss"));
}

static void numbers_are_read_as_their_writer_prints_them(void **state) {
    (void)state;
    static const struct {
        const char *name;
        int32_t layer; /* -2: not found */
    } rows[] = {
        {"model.layers.0.self_attn.q_proj.weight", 0},
        {"model.layers.10.self_attn.q_proj.weight", 10},
        {"model.layers.999999.self_attn.q_proj.weight", 999999},
        {"model.layers.1000000.self_attn.q_proj.weight", -2},
        {"model.layers.01.self_attn.q_proj.weight", -2},
        {"model.layers.-1.self_attn.q_proj.weight", -2},
        {"model.layers.+1.self_attn.q_proj.weight", -2},
        {"model.layers..self_attn.q_proj.weight", -2},
        {"model.layers.#.self_attn.q_proj.weight", -2},
        {"model.layers.0.self_attn.q_proj.*", -2},
        {"model.layers.0.self_attn.q_proj", -2},
        {"model.layers.0.self_attn.q_proj.weight.weight", -2},
        {".model.layers.0.self_attn.q_proj.weight", -2},
        {"model.layers.0.self_attn.q_proj.weight ", -2},
        {"", -2},
        {".weight", -2},
        {"model.", -2},
    };
    role_index index = index_of("llama");
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        role_match match = {.layer = -2};
        const bool found = role_index_find(&index, &match, rows[i].name, NULL, NULL);
        assert_int_equal(found, rows[i].layer != -2);
        assert_int_equal(match.layer, rows[i].layer);
    }
    role_index_release(&index);
}

static void a_name_over_the_limit_is_not_found(void **state) {
    (void)state;
    static char name[5000];
    role_match match;
    memset(name, 'a', sizeof name - 1);
    role_index index = index_of("llama");

    assert_false(role_index_find(&index, &match, name, NULL, NULL));
    memcpy(name, "model.layers.0.", 15);
    assert_false(role_index_find(&index, &match, name, NULL, NULL));

    role_index_release(&index);
}

static void old_names_of_norms_are_weight_and_bias(void **state) {
    (void)state;
    role_match match;
    role_index index = index_of("bert");

    assert_true(role_index_find(&index, &match, "bert.embeddings.LayerNorm.gamma", NULL, NULL));
    assert_false(match.is_bias);
    assert_true(role_index_find(&index, &match, "embeddings.LayerNorm.beta", NULL, NULL));
    assert_true(match.is_bias);
    assert_int_equal(match.pattern->role, WEIR_ROLE_EMBEDDING_NORM);

    role_index_release(&index);
}

static void falcons_norms_depend_on_each_other(void **state) {
    (void)state;
    role_match match;
    role_index index = index_of("falcon");

    assert_true(role_index_find(&index, &match, "blk.3.attn_norm.weight", NULL, NULL));
    assert_int_equal(match.pattern->role, WEIR_ROLE_ATTENTION_NORM);
    assert_true(
        role_index_find(&index, &match, "blk.3.attn_norm.weight", yes, "blk.0.attn_norm_2.weight"));
    assert_int_equal(match.pattern->role, WEIR_ROLE_FEED_FORWARD_NORM);

    role_index_release(&index);
}

static void the_merged_table_holds_what_families_agree_on(void **state) {
    (void)state;
    role_match match;
    role_index index = index_of(NULL);

    assert_true(
        role_index_find(&index, &match, "model.layers.0.self_attn.q_proj.weight", NULL, NULL));
    assert_int_equal(match.pattern->role, WEIR_ROLE_Q);
    /* Permuted or not, 1 + weight or weight, before or after attention: it depends. */
    assert_false(role_index_find(&index, &match, "blk.0.attn_q.weight", NULL, NULL));
    assert_false(role_index_find(&index, &match, "blk.0.attn_norm.weight", NULL, NULL));
    assert_false(role_index_find(&index, &match, "model.layers.0.post_attention_layernorm.weight",
                                 NULL, NULL));
    assert_true(role_index_find(&index, &match, "blk.0.attn_v.weight", NULL, NULL));

    role_index_release(&index);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_role_has_a_name),
        cmocka_unit_test(unknown_architectures_have_no_family),
        cmocka_unit_test(numbers_are_read_as_their_writer_prints_them),
        cmocka_unit_test(a_name_over_the_limit_is_not_found),
        cmocka_unit_test(old_names_of_norms_are_weight_and_bias),
        cmocka_unit_test(falcons_norms_depend_on_each_other),
        cmocka_unit_test(the_merged_table_holds_what_families_agree_on),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
