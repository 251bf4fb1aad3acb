/* SPDX-License-Identifier: Apache-2.0 */
/* What an adapter changes, against PEFT's own merge (tests/data/adapters). */
#include "fixture.h"

#include <math.h>

#include "tensor/adapter.h"

typedef struct change {
    char name[128];
    uint64_t rows;
    uint64_t cols;
    float *values;
} change;

typedef struct adapter_case {
    fixture base;
    fixture from;
    change changes[16];
    size_t count;
} adapter_case;

static float *parse_values(char *text, uint64_t count) {
    float *values = calloc(count + 1, sizeof *values);
    assert_non_null(values);
    for (uint64_t i = 0; i < count; i++) {
        values[i] = strtof(text, &text);
    }
    return values;
}

static void take_array(adapter_case *test, const char *kind, char *rest) {
    uint64_t dims[8];
    char *name = strtok(rest, " ");
    const size_t rank = fixture_dims(dims, strtok(NULL, " "));
    if (strcmp(kind, "base") == 0) {
        fixture_add(&test->base, name, WEIR_DTYPE_F32, dims, rank, NULL);
        return;
    }
    float *values = parse_values(strtok(NULL, ""), fixture_elements(dims, rank));
    if (strcmp(kind, "stored") == 0) {
        fixture_add(&test->from, name, WEIR_DTYPE_F32, dims, rank, values);
        free(values);
        return;
    }
    change *next = &test->changes[test->count++];
    assert_true(test->count < 16);
    *next = (change){.rows = dims[0], .cols = dims[1], .values = values};
    snprintf(next->name, sizeof next->name, "%s", name);
}

static void take_line(void *context, const char *kind, char *rest) {
    adapter_case *test = context;
    adapter_claim *claim = &test->from.model.adapter;
    if (strcmp(kind, "family") == 0) {
        snprintf(test->base.family, sizeof test->base.family, "%s", rest);
    } else if (strcmp(kind, "shape") == 0) {
        fixture_shape(&test->base.model.shape, rest);
    } else if (strcmp(kind, "alpha") == 0) {
        claim->alpha = strtod(rest, NULL);
    } else if (strcmp(kind, "rslora") == 0) {
        claim->use_rslora = rest[0] == '1';
    } else {
        take_array(test, kind, rest);
    }
}

static float *read_view(const tensor_view *view) {
    float *values = calloc(view->base.rows * view->base.cols + 1, sizeof *values);
    view_scratch scratch = {0};
    assert_non_null(values);
    assert_int_equal(tensor_view_read(view, 0, view->base.rows, values, &scratch, NULL), WEIR_OK);
    view_scratch_release(&scratch);
    return values;
}

static void check_item(const adapter_item *item, const change *expected) {
    float *a = read_view(&item->a);
    float *b = read_view(&item->b);
    assert_int_equal(item->b.base.rows, expected->rows);
    assert_int_equal(item->a.base.cols, expected->cols);
    assert_int_equal(item->a.base.rows, item->rank);
    assert_int_equal(item->b.base.cols, item->rank);
    for (uint64_t i = 0; i < expected->rows; i++) {
        for (uint64_t j = 0; j < expected->cols; j++) {
            double sum = 0.0;
            for (uint64_t k = 0; k < item->rank; k++) {
                sum += (double)b[i * item->rank + k] * (double)a[k * expected->cols + j];
            }
            const double merged = (double)expected->values[i * expected->cols + j];
            assert_true(fabs(item->scale * sum - merged) <= 1e-6 * (1.0 + fabs(merged)));
        }
    }
    free(a);
    free(b);
}

static adapter_case *open_case(const char *name) {
    adapter_case *test = calloc(1, sizeof *test);
    char path[128];
    assert_non_null(test);
    fixture_open(&test->base, "", "safetensors");
    fixture_open(&test->from, NULL, "safetensors");
    snprintf(path, sizeof path, "adapters/%s.txt", name);
    fixture_lines(path, take_line, test);
    return test;
}

static void close_case(adapter_case *test) {
    for (size_t i = 0; i < test->count; i++) {
        free(test->changes[i].values);
    }
    fixture_close(&test->base);
    fixture_close(&test->from);
    free(test);
}

static void adapter_changes_what_peft_changes(void **state) {
    adapter_case *test = open_case(*state);
    weir_model *base = fixture_model(&test->base, NULL);
    weir_model *from = fixture_model(&test->from, NULL);
    adapter list = {0};

    assert_int_equal(adapter_resolve(&list, from, base, NULL), WEIR_OK);

    assert_true(test->count > 0);
    assert_int_equal(list.count, test->count);
    assert_int_equal(list.unresolved, 0);
    size_t checked = 0;
    for (size_t i = 0; i < list.count; i++) {
        for (size_t j = 0; j < test->count; j++) {
            if (strcmp(list.items[i].name, test->changes[j].name) == 0) {
                check_item(&list.items[i], &test->changes[j]);
                checked++;
            }
        }
    }
    assert_int_equal(checked, test->count);
    adapter_release(&list);
    weir_model_free(base);
    weir_model_free(from);
    close_case(test);
}

static void adapter_of_another_shape_stays_unresolved(void **state) {
    (void)state;
    adapter_case *test = open_case("llama_linear_and_embedding");
    fixture other;
    fixture_open(&other, "llama", "safetensors");
    fixture_add_f32(&other, "model.layers.0.self_attn.q_proj.weight", 8, 9, NULL);
    weir_model *base = fixture_model(&other, NULL);
    weir_model *from = fixture_model(&test->from, NULL);
    adapter list = {0};

    assert_int_equal(adapter_resolve(&list, from, base, NULL), WEIR_OK);

    assert_int_equal(list.count, 0);
    assert_int_equal(list.unresolved, 3);
    assert_int_equal(list.other, 1);
    adapter_release(&list);
    weir_model_free(base);
    weir_model_free(from);
    fixture_close(&other);
    close_case(test);
}

static void adapter_fits_a_base_in_another_container(void **state) {
    (void)state;
    adapter_case *test = open_case("phi3_fused_rslora");
    fixture other;
    fixture_open(&other, "phi3", "gguf");
    other.model.shape.heads = 2;
    other.model.shape.kv_heads = 2;
    other.model.shape.head_dim = 4;
    fixture_add_f32(&other, "blk.0.attn_qkv.weight", 24, 8, NULL);
    weir_model *base = fixture_model(&other, NULL);
    weir_model *from = fixture_model(&test->from, NULL);
    adapter list = {0};

    assert_int_equal(adapter_resolve(&list, from, base, NULL), WEIR_OK);

    assert_int_equal(list.count, 3);
    assert_int_equal(list.unresolved, 0);
    for (size_t i = 0; i < 3; i++) {
        assert_string_equal(list.items[i].name, test->changes[i].name);
        check_item(&list.items[i], &test->changes[i]);
    }
    adapter_release(&list);
    weir_model_free(base);
    weir_model_free(from);
    fixture_close(&other);
    close_case(test);
}

static void adapter_without_alpha_has_no_scale(void **state) {
    (void)state;
    adapter_case *test = open_case("phi3_fused_rslora");
    test->from.model.adapter.alpha = 0.0;
    weir_model *base = fixture_model(&test->base, NULL);
    weir_model *from = fixture_model(&test->from, NULL);
    adapter list = {0};

    assert_int_equal(adapter_resolve(&list, from, base, NULL), WEIR_OK);

    assert_int_equal(list.count, 3);
    assert_true(isnan(list.items[0].scale));
    adapter_release(&list);
    weir_model_free(base);
    weir_model_free(from);
    close_case(test);
}

static void adapter_names_are_taken_apart(void **state) {
    (void)state;
    static const struct {
        const char *stored;
        weir_role role;
        const char *module;
    } rows[] = {
        {"base_model.model.model.layers.1.mlp.up_proj.lora_A.weight", WEIR_ROLE_ADAPTER_A,
         "model.layers.1.mlp.up_proj"},
        {"base_model.model.h.0.attn.c_attn.lora_B.default.weight", WEIR_ROLE_ADAPTER_B,
         "h.0.attn.c_attn"},
        {"base_model.model.wte.lora_embedding_A", WEIR_ROLE_ADAPTER_A, "wte"},
        {"base_model.model.x.lora_magnitude_vector", WEIR_ROLE_ADAPTER_OTHER, "x"},
        {"base_model.model.lm_head.modules_to_save.default.weight", WEIR_ROLE_ADAPTER_OTHER,
         "lm_head"},
        {"base_model.model.score.weight", WEIR_ROLE_ADAPTER_OTHER, "score.weight"},
        {"model.layers.0.q.lora_B", WEIR_ROLE_ADAPTER_B, "model.layers.0.q"},
        {"model.lora_Alpha.weight", WEIR_ROLE_UNKNOWN, "model.lora_Alpha.weight"},
        {"lm_head.weight", WEIR_ROLE_UNKNOWN, "lm_head.weight"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        adapter_name name;
        assert_int_equal(adapter_name_parse(&name, rows[i].stored),
                         rows[i].role != WEIR_ROLE_UNKNOWN);
        assert_int_equal(name.role, rows[i].role);
        assert_int_equal(name.module_len, strlen(rows[i].module));
        assert_memory_equal(name.module, rows[i].module, name.module_len);
    }
}

#define CASE(name)                                                                                 \
    { "changes_of_" name, adapter_changes_what_peft_changes, NULL, NULL, (void *)name }

int main(void) {
    const struct CMUnitTest tests[] = {
        CASE("gpt2_conv1d"),
        CASE("llama_linear_and_embedding"),
        CASE("phi3_fused_rslora"),
        cmocka_unit_test(adapter_of_another_shape_stays_unresolved),
        cmocka_unit_test(adapter_fits_a_base_in_another_container),
        cmocka_unit_test(adapter_without_alpha_has_no_scale),
        cmocka_unit_test(adapter_names_are_taken_apart),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
