/* SPDX-License-Identifier: Apache-2.0 */
#include "opened.h"

static const char LLAMA[] =
    "{\"architectures\": [\"LlamaForCausalLM\"], \"model_type\": \"llama\", \"hidden_size\": 576,\n"
    " \"num_attention_heads\": 9, \"num_key_value_heads\": 3, \"num_hidden_layers\": 30,\n"
    " \"intermediate_size\": 1536, \"vocab_size\": 49152, \"tie_word_embeddings\": true,\n"
    " \"rope_scaling\": {\"factor\": 8.0, \"kinds\": [\"a\", \"b\"]}, \"pad_token_id\": null,\n"
    " \"empty\": {}, \"none\": [], \"stages\": [{\"n\": 1}, {\"n\": 2}]}";

static void config_keys_become_claims(void **state) {
    (void)state;
    WEIR_CLEANUP(opened_release) opened file = open_text("config.json", LLAMA);

    assert_file(&file, "config", WEIR_VERDICT_CLEAN);
    assert_claim(&file, "config.architectures", "LlamaForCausalLM");
    assert_claim(&file, "config.rope_scaling.factor", "8.0");
    assert_claim(&file, "config.rope_scaling.kinds", "a, b");
    assert_claim(&file, "config.pad_token_id", "null");
    assert_claim(&file, "config.tie_word_embeddings", "true");
    assert_claim(&file, "config.empty", "{}");
    assert_claim(&file, "config.none", "[]");
    assert_claim(&file, "config.stages.1.n", "2");
    assert_string_equal(file.model->claims.items[1].at, "byte 54");
    assert_string_equal(file.model->claims.items[1].file, "config.json");
    assert_int_equal(weir_findings_count(file.findings), 0);
}

static void config_tells_the_shape(void **state) {
    (void)state;
    WEIR_CLEANUP(opened_release) opened file = open_text("config.json", LLAMA);
    const hyperparameters *shape = &file.model->shape;

    assert_string_equal(shape->architecture, "llama");
    assert_int_equal(shape->layers, 30);
    assert_int_equal(shape->hidden, 576);
    assert_int_equal(shape->heads, 9);
    assert_int_equal(shape->kv_heads, 3);
    assert_int_equal(shape->head_dim, 64);
    assert_int_equal(shape->feed_forward, 1536);
    assert_int_equal(shape->vocabulary, 49152);
    assert_int_equal(shape->tied_head, TIED_YES);
}

static void families_spell_their_numbers_differently(void **state) {
    (void)state;
    WEIR_CLEANUP(opened_release)
    opened gpt2 = open_text("config.json", "{\"model_type\":\"gpt2\",\"n_embd\":768,\"n_head\":12,"
                                           "\"n_layer\":12,\"n_inner\":null}");
    WEIR_CLEANUP(opened_release)
    opened falcon = open_text("config.json", "{\"model_type\":\"falcon\",\"hidden_size\":4544,"
                                             "\"num_attention_heads\":71,\"multi_query\":true}");
    WEIR_CLEANUP(opened_release)
    opened gemma = open_text("config.json", "{\"model_type\":\"gemma3\",\"text_config\":"
                                            "{\"hidden_size\":2560,\"head_dim\":256}}");

    assert_int_equal(gpt2.model->shape.feed_forward, 3072);
    assert_int_equal(gpt2.model->shape.kv_heads, 12);
    assert_int_equal(gpt2.model->shape.tied_head, TIED_UNKNOWN);
    assert_int_equal(falcon.model->shape.kv_heads, 1);
    assert_int_equal(falcon.model->shape.head_dim, 64);
    assert_true(falcon.model->shape.multi_query);
    assert_int_equal(gemma.model->shape.hidden, 2560);
    assert_int_equal(gemma.model->shape.head_dim, 256);
}

static void a_number_that_is_none_is_unknown(void **state) {
    (void)state;
    WEIR_CLEANUP(opened_release)
    opened file = open_text("config.json", "{\"hidden_size\": -1, \"num_hidden_layers\": 1e3,"
                                           "\"num_attention_heads\": 99999999999999999999}");

    assert_int_equal(file.model->shape.hidden, 0);
    assert_int_equal(file.model->shape.layers, 0);
    assert_int_equal(file.model->shape.heads, 0);
}

/* transformers writes these for Mamba 2, and any trainer may for a loss that diverged. */
static void the_numbers_that_only_python_writes_are_read(void **state) {
    (void)state;
    WEIR_CLEANUP(opened_release)
    opened file =
        open_text("config.json", "{\"limit\": [0.0, Infinity, -Infinity], \"loss\": NaN}");

    assert_file(&file, "config", WEIR_VERDICT_CLEAN);
    assert_claim(&file, "config.limit", "0.0, Infinity, -Infinity");
    assert_claim(&file, "config.loss", "NaN");
}

static void custom_code_is_a_remark_with_its_place(void **state) {
    (void)state;
    WEIR_CLEANUP(opened_release)
    opened file =
        open_text("config.json", "{\"auto_map\": {\"AutoModel\": \"modeling_x.XModel\"}}");

    const weir_finding *finding = find_finding(&file, "custom-code");
    assert_non_null(finding);
    assert_int_equal(finding->severity, WEIR_SEVERITY_MEDIUM);
    assert_string_equal(finding->at, "byte 1");
    assert_claim(&file, "config.auto_map.AutoModel", "modeling_x.XModel");
    assert_file(&file, "config", WEIR_VERDICT_CLEAN);
}

static void a_key_that_stands_twice_is_suspicious(void **state) {
    (void)state;
    WEIR_CLEANUP(opened_release)
    opened file = open_text("config.json", "{\"a\": {\"b\": 1}, \"c\": 1, \"a\": {\"b\": 2}}");

    assert_file(&file, "config", WEIR_VERDICT_SUSPICIOUS);
    assert_string_equal(find_finding(&file, "json-duplicate-key")->at, "byte 35");
}

static void broken_configs_are_refused_with_their_place(void **state) {
    (void)state;
    static const refusal rows[] = {
        {"", "byte 0", WEIR_VERDICT_MALFORMED},
        {"[]", "byte 0", WEIR_VERDICT_MALFORMED},
        {"3", "byte 0", WEIR_VERDICT_MALFORMED},
        {"{\"a\": 1", "byte 7", WEIR_VERDICT_MALFORMED},
        {"{\"a\": 1}}", "byte 8", WEIR_VERDICT_MALFORMED},
        {"{\"a\": 1} {}", "byte 9", WEIR_VERDICT_MALFORMED},
        {"{\"a\": [1,]}", "byte 9", WEIR_VERDICT_MALFORMED},
        {"{\"a\": \"\xff\"}", "byte 7", WEIR_VERDICT_MALFORMED},
        {"{\"a\": Inf}", "byte 6", WEIR_VERDICT_MALFORMED},
        {"{\"a\": nan}", "byte 6", WEIR_VERDICT_MALFORMED},
        {"{\"a\": -Inf}", "byte 6", WEIR_VERDICT_MALFORMED},
    };
    assert_refused("config.json", rows, sizeof rows / sizeof *rows);
    assert_refused("generation_config.json", rows, sizeof rows / sizeof *rows);
    assert_refused("special_tokens_map.json", rows, sizeof rows / sizeof *rows);
    assert_refused("adapter_config.json", rows, sizeof rows / sizeof *rows);
    assert_refused("trainer_state.json", rows, sizeof rows / sizeof *rows);
}

static void deep_nesting_is_over_the_limit_and_not_clean(void **state) {
    (void)state;
    char text[4096] = "{\"a\":";
    memset(text + 5, '[', 2000);

    WEIR_CLEANUP(opened_release) opened file = open_text("config.json", text);

    assert_file(&file, "config", WEIR_VERDICT_NOT_ANALYSED);
    assert_non_null(find_finding(&file, "over-limit"));
}

static void a_long_value_is_cut_and_says_so(void **state) {
    (void)state;
    enum { LONG = 3 << 20 };
    char *text = test_malloc(LONG);
    memset(text, 'x', LONG);
    memcpy(text, "{\"a\":\"", 6);
    memcpy(text + LONG - 3, "\"}", 3);

    WEIR_CLEANUP(opened_release) opened file = open_text("config.json", text);

    assert_non_null(strstr(claims_find(&file.model->claims, "config.a"), " [cut; sha256 of "));
    test_free(text);
}

static void too_many_values_are_over_the_limit(void **state) {
    (void)state;
    enum { COUNT = 70000 };
    char *text = test_malloc(COUNT * 16);
    size_t len = (size_t)sprintf(text, "{");
    for (int i = 0; i < COUNT; i++) {
        len += (size_t)sprintf(text + len, "%s\"k%d\":0", i ? "," : "", i);
    }
    strcpy(text + len, "}");

    WEIR_CLEANUP(opened_release) opened file = open_text("config.json", text);

    assert_file(&file, "config", WEIR_VERDICT_NOT_ANALYSED);
    test_free(text);
}

static void an_adapter_tells_its_rank_and_base(void **state) {
    (void)state;
    WEIR_CLEANUP(opened_release)
    opened file =
        open_text("adapter_config.json",
                  "{\"peft_type\":\"LORA\",\"r\":16,\"lora_alpha\":32.5,\"use_dora\":true,"
                  "\"base_model_name_or_path\":\"org/base\",\"fan_in_fan_out\":false,"
                  "\"target_modules\":[\"q_proj\",\"v_proj\"]}");
    const adapter_claim *adapter = &file.model->adapter;

    assert_true(adapter->present);
    assert_string_equal(adapter->type, "LORA");
    assert_string_equal(adapter->base, "org/base");
    assert_float_equal(adapter->rank, 16, 0);
    assert_float_equal(adapter->alpha, 32.5, 0);
    assert_true(adapter->use_dora);
    assert_false(adapter->use_rslora);
    assert_false(adapter->fan_in_fan_out);
    assert_claim(&file, "adapter.target_modules", "q_proj, v_proj");
}

static void an_adapter_without_a_base_says_nothing_of_it(void **state) {
    (void)state;
    WEIR_CLEANUP(opened_release)
    opened file =
        open_text("adapter_config.json", "{\"base_model_name_or_path\":null,\"r\":\"x\"}");

    assert_true(file.model->adapter.present);
    assert_null(file.model->adapter.base);
    assert_null(file.model->adapter.type);
    assert_float_equal(file.model->adapter.rank, 0, 0);
}

static void the_training_log_is_not_claimed(void **state) {
    (void)state;
    WEIR_CLEANUP(opened_release)
    opened file = open_text("trainer_state.json",
                            "{\"global_step\":500,\"epoch\":2.5,\"total_flos\":1.5e18,"
                            "\"log_history\":[{\"loss\":1.0,\"step\":1}],\"best_metric\":null}");

    assert_file(&file, "trainer_state", WEIR_VERDICT_CLEAN);
    assert_int_equal(file.model->claims.count, 4);
    assert_claim(&file, "trainer.total_flos", "1.5e18");
    assert_claim(&file, "trainer.global_step", "500");
}

static void every_change_to_a_config_ends_in_an_answer(void **state) {
    (void)state;
    assert_survives_changes("config.json", LLAMA);
    assert_survives_changes("adapter_config.json", "{\"r\":8,\"peft_type\":\"LORA\"}");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(config_keys_become_claims),
        cmocka_unit_test(config_tells_the_shape),
        cmocka_unit_test(families_spell_their_numbers_differently),
        cmocka_unit_test(a_number_that_is_none_is_unknown),
        cmocka_unit_test(the_numbers_that_only_python_writes_are_read),
        cmocka_unit_test(custom_code_is_a_remark_with_its_place),
        cmocka_unit_test(a_key_that_stands_twice_is_suspicious),
        cmocka_unit_test(broken_configs_are_refused_with_their_place),
        cmocka_unit_test(deep_nesting_is_over_the_limit_and_not_clean),
        cmocka_unit_test(a_long_value_is_cut_and_says_so),
        cmocka_unit_test(too_many_values_are_over_the_limit),
        cmocka_unit_test(an_adapter_tells_its_rank_and_base),
        cmocka_unit_test(an_adapter_without_a_base_says_nothing_of_it),
        cmocka_unit_test(the_training_log_is_not_claimed),
        cmocka_unit_test(every_change_to_a_config_ends_in_an_answer),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
