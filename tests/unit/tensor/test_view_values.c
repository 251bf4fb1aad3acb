/* SPDX-License-Identifier: Apache-2.0 */
/* Canonical numbers out of every stored layout, against what torch and numpy made of them
 * (tests/data/views). */
#include "fixture.h"

typedef struct value_case {
    fixture from;
    struct {
        char name[128];
        uint64_t rows;
        uint64_t cols;
        float *values;
    } expected[64];
    size_t count;
} value_case;

static float *parse_values(char *text, uint64_t count) {
    float *values = calloc(count + 1, sizeof *values);
    assert_non_null(values);
    for (uint64_t i = 0; i < count; i++) {
        char *end;
        values[i] = strtof(text, &end);
        assert_true(end != text);
        text = end;
    }
    assert_int_equal(strspn(text, " "), strlen(text));
    return values;
}

static void take_line(void *context, const char *kind, char *rest) {
    value_case *test = context;
    if (strcmp(kind, "family") == 0) {
        snprintf(test->from.family, sizeof test->from.family, "%s", rest);
    } else if (strcmp(kind, "format") == 0) {
        test->from.model.format = strcmp(rest, "gguf") == 0 ? "gguf" : "safetensors";
    } else if (strcmp(kind, "shape") == 0) {
        fixture_shape(&test->from.model.shape, rest);
    } else {
        uint64_t dims[8];
        char *name = strtok(rest, " ");
        const size_t rank = fixture_dims(dims, strtok(NULL, " "));
        float *values = parse_values(strtok(NULL, ""), fixture_elements(dims, rank));
        if (strcmp(kind, "stored") == 0) {
            fixture_add(&test->from, name, WEIR_DTYPE_F32, dims, rank, values);
            free(values);
            return;
        }
        assert_int_equal(rank, 2);
        assert_true(test->count < 64);
        snprintf(test->expected[test->count].name, 128, "%s", name);
        test->expected[test->count].rows = dims[0];
        test->expected[test->count].cols = dims[1];
        test->expected[test->count++].values = values;
    }
}

static void check_rows(const weir_model *model, size_t index, const float *expected,
                       uint64_t row_begin, uint64_t row_count) {
    const weir_tensor *tensor = weir_model_tensor(model, index);
    float *read = calloc(row_count * tensor->cols + 1, sizeof *read);
    assert_non_null(read);

    assert_int_equal(weir_model_read_rows(model, index, row_begin, row_count, read, NULL), WEIR_OK);

    for (uint64_t i = 0; i < row_count * tensor->cols; i++) {
        if (!(read[i] == expected[row_begin * tensor->cols + i])) {
            fail_msg("%s rows from %d: element %d is %g, not %g", tensor->name, (int)row_begin,
                     (int)i, (double)read[i], (double)expected[row_begin * tensor->cols + i]);
        }
    }
    free(read);
}

static void check_case(const char *name) {
    value_case *test = calloc(1, sizeof *test);
    char path[128];
    assert_non_null(test);
    fixture_open(&test->from, "", "safetensors");
    snprintf(path, sizeof path, "views/%s.txt", name);
    fixture_lines(path, take_line, test);
    weir_model *model = fixture_model(&test->from, NULL);

    assert_true(test->count > 0);
    assert_true(weir_model_has_known_roles(model));
    assert_int_equal(weir_model_tensor_count(model), test->count);
    for (size_t i = 0; i < test->count; i++) {
        size_t index;
        if (!model_find(model, test->expected[i].name, &index)) {
            fail_msg("there is no %s", test->expected[i].name);
        }
        const weir_tensor *tensor = weir_model_tensor(model, index);
        assert_int_equal(tensor->rows, test->expected[i].rows);
        assert_int_equal(tensor->cols, test->expected[i].cols);
        check_rows(model, index, test->expected[i].values, 0, tensor->rows);
        for (uint64_t row = 0; row < tensor->rows; row++) {
            const uint64_t left = tensor->rows - row;
            check_rows(model, index, test->expected[i].values, row, left < 3 ? left : 3);
        }
        free(test->expected[i].values);
    }
    weir_model_free(model);
    fixture_close(&test->from);
    free(test);
}

static void layout_reads_as_its_writer_meant_it(void **state) {
    check_case(*state);
}

#define CASE(name)                                                                                 \
    { "values_of_" name, layout_reads_as_its_writer_meant_it, NULL, NULL, (void *)name }

int main(void) {
    const struct CMUnitTest tests[] = {
        CASE("falcon_classic"),
        CASE("falcon_classic_gguf"),
        CASE("falcon_grouped"),
        CASE("falcon_grouped_gguf"),
        CASE("falcon_multi_query"),
        CASE("falcon_multi_query_gguf"),
        CASE("gemma3_gguf"),
        CASE("gpt2_gguf"),
        CASE("gpt2_hf"),
        CASE("gpt_neox_hf"),
        CASE("gpt_oss_gguf"),
        CASE("gpt_oss_hf"),
        CASE("llama_gguf"),
        CASE("llama_hf"),
        CASE("mixtral_gguf"),
        CASE("phi3_gguf"),
        CASE("phi3_hf"),
        CASE("qwen3_moe_fused"),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
