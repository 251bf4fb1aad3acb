/* SPDX-License-Identifier: Apache-2.0 */
#include "fixture.h"

#include "base/limits.h"
#include "weir/finding.h"

static weir_findings *new_findings(void) {
    weir_findings *findings = NULL;
    assert_int_equal(weir_findings_new(&findings, NULL), WEIR_OK);
    return findings;
}

static const weir_tensor *tensor_named(const weir_model *model, const char *name) {
    size_t index;
    if (!model_find(model, name, &index)) {
        fail_msg("there is no %s", name);
    }
    return weir_model_tensor(model, index);
}

static void tensors_are_sorted_by_layer_role_and_name(void **state) {
    (void)state;
    fixture from;
    fixture_open(&from, "llama", "safetensors");
    fixture_add_f32(&from, "model.layers.10.self_attn.k_proj.weight", 2, 2, NULL);
    fixture_add_f32(&from, "model.layers.2.self_attn.k_proj.weight", 2, 2, NULL);
    fixture_add_f32(&from, "model.layers.2.self_attn.q_proj.weight", 2, 2, NULL);
    fixture_add_f32(&from, "model.layers.2.self_attn.q_proj.bias", 2, 1, NULL);
    fixture_add_f32(&from, "lm_head.weight", 2, 2, NULL);
    fixture_add_f32(&from, "zz", 2, 2, NULL);
    fixture_add_f32(&from, "aa", 2, 2, NULL);
    weir_model *model = fixture_model(&from, NULL);
    static const char *const expected[] = {"aa",         "model.layers.2.self_attn.q_proj.bias",
                                           "zz",         "head",
                                           "layers.2.q", "layers.2.k",
                                           "layers.10.k"};

    assert_int_equal(weir_model_tensor_count(model), 7);
    for (size_t i = 0; i < 7; i++) {
        assert_string_equal(weir_model_tensor(model, i)->name, expected[i]);
    }
    assert_null(weir_model_tensor(model, 7));
    assert_false(weir_model_has_known_roles(model));
    weir_model_free(model);
    fixture_close(&from);
}

static void the_second_tensor_of_a_role_keeps_its_stored_name(void **state) {
    (void)state;
    fixture from;
    weir_findings *findings = new_findings();
    fixture_open(&from, "phi3", "safetensors");
    from.model.shape = (hyperparameters){.architecture = "phi3", .heads = 2, .head_dim = 2};
    fixture_add_f32(&from, "model.layers.0.self_attn.q_proj.weight", 4, 4, NULL);
    fixture_add_f32(&from, "model.layers.0.self_attn.qkv_proj.weight", 8, 4, NULL);
    fixture_add_f32(&from, "layers.0.self_attn.q_proj.weight", 4, 4, NULL);
    weir_model *model = fixture_model(&from, findings);

    assert_int_equal(weir_model_tensor_count(model), 3);
    assert_string_equal(tensor_named(model, "layers.0.q")->stored_name,
                        "model.layers.0.self_attn.q_proj.weight");
    const weir_tensor *fused = tensor_named(model, "model.layers.0.self_attn.qkv_proj.weight");
    assert_int_equal(fused->role, WEIR_ROLE_UNKNOWN);
    assert_int_equal(fused->rows, 8);
    assert_int_equal(tensor_named(model, "layers.0.self_attn.q_proj.weight")->role,
                     WEIR_ROLE_UNKNOWN);
    assert_int_equal(weir_findings_count(findings), 1);
    assert_string_equal(weir_findings_get(findings, 0)->id, "tensor-role-taken");
    assert_false(weir_model_has_known_roles(model));
    weir_model_free(model);
    weir_findings_free(findings);
    fixture_close(&from);
}

static void equal_stored_names_are_told_apart(void **state) {
    (void)state;
    fixture from;
    fixture_open(&from, "llama", "safetensors");
    fixture_add_f32(&from, "x", 1, 1, NULL);
    fixture_add_f32(&from, "x", 1, 2, NULL);
    fixture_add_f32(&from, "x#1", 1, 3, NULL);
    fixture_add_f32(&from, "embedding", 1, 4, NULL);
    fixture_add_f32(&from, "model.embed_tokens.weight", 1, 5, NULL);
    weir_model *model = fixture_model(&from, NULL);

    assert_int_equal(weir_model_tensor_count(model), 5);
    assert_int_equal(tensor_named(model, "embedding")->cols, 5);
    assert_int_equal(tensor_named(model, "embedding#3")->cols, 4);
    assert_int_equal(tensor_named(model, "x")->cols, 1);
    for (size_t i = 0; i < 5; i++) {
        size_t index;
        assert_true(model_find(model, weir_model_tensor(model, i)->name, &index));
        assert_int_equal(index, i);
    }
    weir_model_free(model);
    fixture_close(&from);
}

static void a_shape_that_contradicts_its_layout_has_no_role(void **state) {
    (void)state;
    static const struct {
        const char *family;
        const char *name;
        const char *dims;
    } rows[] = {
        {"llama", "blk.0.attn_q.weight", "10,4"}, /* 4 heads */
        {"llama", "blk.0.attn_q.weight", "12,4"}, /* 4 heads of 3 rows */
        {"llama", "blk.0.attn_q.weight", "16,4"}, /* 4 heads of 2 rows are stated */
        {"llama", "blk.0.attn_q.weight", "0,4"},
        {"llama", "blk.0.ffn_up_exps.weight", "3,4"},
        {"llama", "blk.0.ffn_up_exps.weight", "3,2,4"}, /* of 4 experts */
        {"llama", "blk.0.ffn_up_exps.weight", "0,2,4"},
        {"gpt2", "h.0.attn.c_attn.weight", "4"},
        {"gpt2", "h.0.attn.c_attn.weight", "4,25"},
        {"gpt2", "h.0.attn.c_attn.weight", "4,8"},
        {"gpt2", "h.0.mlp.c_fc.weight", "4,2,2"},
        {"phi3", "blk.0.ffn_up.weight", "7,4"},
        {"phi3", "blk.0.ffn_up.weight", "0,4"},
        {"gpt_neox", "layers.0.attention.query_key_value.weight", "20,4"},
        {"gpt_oss", "layers.0.mlp.experts.gate_up_proj", "4,4,5"},
        {"gpt_oss", "layers.0.mlp.experts.gate_up_proj", "4,4"},
        {"gpt_oss", "layers.0.mlp.experts.gate_up_proj", ""},
        {"gpt_oss", "layers.0.mlp.experts.gate_up_proj_bias", "4,4,4"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        fixture from;
        uint64_t dims[8];
        weir_findings *findings = new_findings();
        fixture_open(&from, rows[i].family, "safetensors");
        from.model.shape.heads = 4;
        from.model.shape.kv_heads = 4;
        from.model.shape.head_dim = 2;
        from.model.shape.experts = 4;
        const size_t rank = fixture_dims(dims, rows[i].dims);
        fixture_add(&from, rows[i].name, WEIR_DTYPE_F32, dims, rank, NULL);
        weir_model *model = fixture_model(&from, findings);

        assert_int_equal(weir_model_tensor_count(model), 1);
        assert_int_equal(weir_model_tensor(model, 0)->role, WEIR_ROLE_UNKNOWN);
        assert_string_equal(weir_model_tensor(model, 0)->name, rows[i].name);
        assert_int_equal(weir_findings_count(findings), 1);
        assert_string_equal(weir_findings_get(findings, 0)->id, "tensor-layout-unknown");
        assert_false(weir_model_has_known_roles(model));
        weir_model_free(model);
        weir_findings_free(findings);
        fixture_close(&from);
    }
}

static void numbers_that_are_not_known_split_nothing(void **state) {
    (void)state;
    fixture from;
    fixture_open(&from, "llama", "gguf");
    fixture_add_f32(&from, "blk.0.attn_q.weight", 8, 4, NULL);
    fixture_add_f32(&from, "blk.0.attn_k.weight", 8, 4, NULL);
    weir_model *model = fixture_model(&from, NULL);

    assert_int_equal(weir_model_tensor(model, 0)->role, WEIR_ROLE_UNKNOWN);
    assert_int_equal(weir_model_tensor(model, 1)->role, WEIR_ROLE_UNKNOWN);
    weir_model_free(model);
    fixture_close(&from);
}

static void experts_made_to_fill_memory_are_refused(void **state) {
    (void)state;
    fixture from;
    weir_model *model = NULL;
    weir_error err = {0};
    char name[64];
    fixture_open(&from, "llama", "gguf");
    const uint64_t dims[] = {EXPERT_COUNT_MAX, 0, 4};
    const uint64_t more[] = {EXPERT_COUNT_MAX + 1, 0, 4};
    fixture_add(&from, "blk.0.ffn_up_exps.weight", WEIR_DTYPE_F32, more, 3, NULL);
    model = fixture_model(&from, NULL);
    assert_int_equal(weir_model_tensor(model, 0)->role, WEIR_ROLE_UNKNOWN);
    weir_model_free(model);
    for (int i = 0; i <= TENSOR_COUNT_MAX / EXPERT_COUNT_MAX; i++) {
        snprintf(name, sizeof name, "blk.%d.ffn_down_exps.weight", i);
        fixture_add(&from, name, WEIR_DTYPE_F32, dims, 3, NULL);
    }
    model = NULL;

    assert_int_equal(model_from_checkpoint(&model, &from.model, NULL, NULL, NULL, &err),
                     WEIR_ERR_LIMIT);

    assert_null(model);
    fixture_close(&from);
}

static void a_missing_head_is_tied_where_that_is_said_or_usual(void **state) {
    (void)state;
    static const struct {
        const char *family;
        const char *format;
        int tied;
        bool head;
        bool expected;
    } rows[] = {
        {"llama", "safetensors", TIED_YES, false, true},
        {"llama", "safetensors", TIED_YES, true, false},
        {"llama", "safetensors", TIED_UNKNOWN, false, false},
        {"gemma2", "safetensors", TIED_UNKNOWN, false, true},
        {"gemma2", "safetensors", TIED_NO, false, false},
        {"gemma2", "safetensors", TIED_UNKNOWN, true, false},
        {"strange", "safetensors", TIED_UNKNOWN, false, false},
        {"llama", "gguf", TIED_UNKNOWN, false, true},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        fixture from;
        const bool gguf = strcmp(rows[i].format, "gguf") == 0;
        fixture_open(&from, rows[i].family, rows[i].format);
        from.model.shape.tied_head = rows[i].tied;
        fixture_add_f32(&from, gguf ? "token_embd.weight" : "model.embed_tokens.weight", 2, 2,
                        NULL);
        if (rows[i].head) {
            fixture_add_f32(&from, "lm_head.weight", 2, 2, NULL);
        }
        weir_model *model = fixture_model(&from, NULL);

        assert_int_equal(model_head_is_tied(model), rows[i].expected);
        weir_model_free(model);
        fixture_close(&from);
    }
}

static void an_unknown_architecture_gets_roles_by_name_and_says_so(void **state) {
    (void)state;
    fixture from;
    fixture_open(&from, "strange", "safetensors");
    fixture_add_f32(&from, "model.layers.0.self_attn.q_proj.weight", 2, 2, NULL);
    weir_model *model = fixture_model(&from, NULL);

    assert_string_equal(weir_model_tensor(model, 0)->name, "layers.0.q");
    assert_string_equal(weir_model_architecture(model), "strange");
    assert_false(weir_model_has_known_roles(model));
    weir_model_free(model);
    fixture_close(&from);
}

static void a_model_without_tensors_is_a_model(void **state) {
    (void)state;
    fixture from;
    size_t index;
    fixture_open(&from, NULL, "none");
    weir_model *model = NULL;
    const weir_model_options options = {.name = "other"};
    assert_int_equal(model_from_checkpoint(&model, &from.model, NULL, &options, NULL, NULL),
                     WEIR_OK);

    assert_int_equal(weir_model_tensor_count(model), 0);
    assert_string_equal(weir_model_name(model), "other");
    assert_string_equal(weir_model_format(model), "none");
    assert_null(weir_model_architecture(model));
    assert_false(weir_model_has_known_roles(model));
    assert_false(model_find(model, "embedding", &index));
    weir_model_free(model);
    weir_model_free(NULL);
    fixture_close(&from);
}

static void codes_whose_scale_stands_elsewhere_are_not_read_as_numbers(void **state) {
    (void)state;
    fixture from;
    weir_findings *findings = new_findings();
    const uint64_t dims[] = {4, 4};
    fixture_open(&from, "llama", "safetensors");
    fixture_add(&from, "model.layers.0.mlp.up_proj.weight", WEIR_DTYPE_F8_E4M3, dims, 2, NULL);
    fixture_add_f32(&from, "model.layers.0.mlp.up_proj.weight_scale_inv", 1, 5, NULL);
    fixture_add(&from, "model.layers.0.mlp.gate_proj.weight", WEIR_DTYPE_U8, dims, 2, NULL);
    fixture_add_f32(&from, "model.layers.0.mlp.gate_proj.weight.absmax", 1, 1, NULL);
    fixture_add(&from, "model.layers.0.mlp.down_proj.weight", WEIR_DTYPE_F8_E4M3, dims, 2, NULL);
    weir_model *model = fixture_model(&from, findings);

    assert_int_equal(tensor_named(model, "model.layers.0.mlp.up_proj.weight")->role,
                     WEIR_ROLE_UNKNOWN);
    assert_int_equal(tensor_named(model, "model.layers.0.mlp.gate_proj.weight")->role,
                     WEIR_ROLE_UNKNOWN);
    assert_int_equal(tensor_named(model, "layers.0.down")->role, WEIR_ROLE_DOWN);
    assert_int_equal(weir_findings_count(findings), 1);
    assert_string_equal(weir_findings_get(findings, 0)->id, "tensor-scaled-elsewhere");
    weir_model_free(model);
    weir_findings_free(findings);
    fixture_close(&from);
}

static void adapter_tensors_have_their_own_roles(void **state) {
    (void)state;
    fixture from;
    fixture_open(&from, NULL, "safetensors");
    fixture_add_f32(&from, "base_model.model.model.layers.0.mlp.up_proj.lora_A.weight", 2, 4, NULL);
    fixture_add_f32(&from, "base_model.model.model.layers.0.mlp.up_proj.lora_B.weight", 4, 2, NULL);
    fixture_add_f32(&from, "base_model.model.lm_head.weight", 4, 4, NULL);
    weir_model *model = fixture_model(&from, NULL);

    assert_int_equal(weir_model_tensor(model, 0)->role, WEIR_ROLE_ADAPTER_A);
    assert_int_equal(weir_model_tensor(model, 1)->role, WEIR_ROLE_ADAPTER_B);
    assert_int_equal(weir_model_tensor(model, 2)->role, WEIR_ROLE_ADAPTER_OTHER);
    weir_model_free(model);
    fixture_close(&from);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(tensors_are_sorted_by_layer_role_and_name),
        cmocka_unit_test(the_second_tensor_of_a_role_keeps_its_stored_name),
        cmocka_unit_test(equal_stored_names_are_told_apart),
        cmocka_unit_test(a_shape_that_contradicts_its_layout_has_no_role),
        cmocka_unit_test(numbers_that_are_not_known_split_nothing),
        cmocka_unit_test(experts_made_to_fill_memory_are_refused),
        cmocka_unit_test(a_missing_head_is_tied_where_that_is_said_or_usual),
        cmocka_unit_test(an_unknown_architecture_gets_roles_by_name_and_says_so),
        cmocka_unit_test(a_model_without_tensors_is_a_model),
        cmocka_unit_test(codes_whose_scale_stands_elsewhere_are_not_read_as_numbers),
        cmocka_unit_test(adapter_tensors_have_their_own_roles),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
