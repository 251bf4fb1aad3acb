/* SPDX-License-Identifier: Apache-2.0 */
/* Packed weights against what the libraries that wrote them read back (tests/data/packed). */
#include "fixture.h"

#include <math.h>

#include "base/dtype.h"
#include "tensor/view_grid.h"

typedef struct expected_rows {
    char name[64];
    uint64_t rows;
    uint64_t cols;
    uint64_t first;
    uint64_t count;
    float *values;
} expected_rows;

typedef struct packed_case {
    fixture from;
    expected_rows expected[16];
    size_t count;
} packed_case;

static unsigned char *parse_hex(const char *text, size_t *count) {
    *count = strlen(text) / 2;
    unsigned char *bytes = calloc(*count + 1, 1);
    assert_non_null(bytes);
    for (size_t i = 0; i < *count; i++) {
        unsigned byte;
        assert_int_equal(sscanf(text + 2 * i, "%2x", &byte), 1);
        bytes[i] = (unsigned char)byte;
    }
    return bytes;
}

static void take_stored(packed_case *test, char *rest) {
    uint64_t dims[8];
    size_t bytes;
    weir_dtype dtype;
    const char *const name = strtok(rest, " ");
    const char *const type = strtok(NULL, " ");
    const char *const shape = strtok(NULL, " ");
    assert_true(dtype_find_safetensors(&dtype, type, strlen(type)));
    const size_t rank = fixture_dims(dims, strcmp(shape, "-") == 0 ? "" : shape);
    unsigned char *data = parse_hex(strtok(NULL, ""), &bytes);
    assert_int_equal(bytes, fixture_elements(dims, rank) * weir_dtype_get(dtype)->block_bytes);
    fixture_add(&test->from, name, dtype, dims, rank, data);
    free(data);
}

static void take_canonical(packed_case *test, char *rest) {
    uint64_t dims[8];
    size_t bytes;
    assert_true(test->count < 16);
    expected_rows *const out = &test->expected[test->count++];
    snprintf(out->name, sizeof out->name, "%s", strtok(rest, " "));
    assert_int_equal(fixture_dims(dims, strtok(NULL, " ")), 2);
    out->rows = dims[0];
    out->cols = dims[1];
    out->first = strtoull(strtok(NULL, " "), NULL, 10);
    out->values = (float *)(void *)parse_hex(strtok(NULL, ""), &bytes);
    out->count = bytes / sizeof(float) / out->cols;
}

static void take_line(void *context, const char *kind, char *rest) {
    packed_case *test = context;
    if (strcmp(kind, "family") == 0) {
        snprintf(test->from.family, sizeof test->from.family, "%s", rest);
    } else if (strcmp(kind, "shape") == 0) {
        fixture_shape(&test->from.model.shape, rest);
    } else if (strcmp(kind, "claim") == 0) {
        char *const value = strchr(rest, ' ') + 1;
        value[-1] = '\0';
        const weir_claim claim = {.name = rest, .value = value, .file = "config.json", .at = ""};
        assert_int_equal(claims_add(&test->from.model.claims, &claim, strlen(value), NULL),
                         WEIR_OK);
    } else if (strcmp(kind, "stored") == 0) {
        take_stored(test, rest);
    } else {
        take_canonical(test, rest);
    }
}

/* Every bit, but for the sign of a zero. */
static void check_rows(const weir_model *model, const expected_rows *expected, uint64_t first,
                       uint64_t count) {
    size_t index;
    if (!model_find(model, expected->name, &index)) {
        fail_msg("there is no %s", expected->name);
    }
    assert_int_equal(weir_model_tensor(model, index)->rows, expected->rows);
    assert_int_equal(weir_model_tensor(model, index)->cols, expected->cols);
    float *const read = calloc(count * expected->cols + 1, sizeof *read);
    assert_non_null(read);

    assert_int_equal(weir_model_read_rows(model, index, expected->first + first, count, read, NULL),
                     WEIR_OK);

    for (uint64_t i = 0; i < count * expected->cols; i++) {
        const float wanted = expected->values[first * expected->cols + i];
        if (!(read[i] == wanted)) {
            fail_msg("%s rows from %d: element %d is %.9g, not %.9g", expected->name, (int)first,
                     (int)i, (double)read[i], (double)wanted);
        }
    }
    free(read);
}

static float nearest_of(const number_grid *grid, float level) {
    float nearest = grid->levels[0];
    for (size_t k = 1; k < grid->level_count; k++) {
        const bool is_nearer = fabsf(grid->levels[k] - level) < fabsf(nearest - level);
        nearest = is_nearer ? grid->levels[k] : nearest;
    }
    return nearest;
}

/* Every number of every row is a level of its scale and offset. */
static void check_levels(const weir_model *model, const expected_rows *expected) {
    size_t index;
    view_grid levels;
    view_scratch scratch = {0};
    assert_true(model_find(model, expected->name, &index));
    const tensor_view *const view = model_view(model, index);
    assert_true(tensor_view_grid(&levels, view));
    const size_t elements = (size_t)(expected->count * expected->cols);
    float *const scale = calloc(2 * elements + 1, sizeof *scale);
    assert_non_null(scale);
    float *const offset = scale + elements;

    assert_int_equal(tensor_view_read_grid(view, expected->first, expected->count, scale, offset,
                                           &scratch, NULL),
                     WEIR_OK);

    for (size_t i = 0; i < elements; i++) {
        const float level = (expected->values[i] - offset[i]) / scale[i];
        const float nearest = nearest_of(&levels.grid, level);
        if (scale[i] != 0 && !(fabsf(level - nearest) <= 1e-4F * (1 + fabsf(nearest)))) {
            fail_msg("%s element %d: level %.9g", expected->name, (int)i, (double)level);
        }
    }
    view_scratch_release(&scratch);
    free(scale);
}

static void packed_weight_reads_as_its_library_reads_it(void **state) {
    packed_case *const test = calloc(1, sizeof *test);
    char path[128];
    assert_non_null(test);
    fixture_open(&test->from, "", "safetensors");
    snprintf(path, sizeof path, "packed/%s.txt", (const char *)*state);
    fixture_lines(path, take_line, test);
    weir_findings *findings = NULL;
    assert_int_equal(weir_findings_new(&findings, NULL), WEIR_OK);
    weir_model *model = fixture_model(&test->from, findings);

    assert_true(test->count > 0);
    assert_int_equal(weir_findings_count(findings), 0);
    assert_true(weir_model_has_known_roles(model));
    for (size_t i = 0; i < test->count; i++) {
        const expected_rows *const expected = &test->expected[i];
        check_rows(model, expected, 0, expected->count);
        for (uint64_t row = 0; row < expected->count; row++) {
            const uint64_t left = expected->count - row;
            check_rows(model, expected, row, left < 5 ? left : 5);
        }
        check_levels(model, expected);
        free(expected->values);
    }
    weir_model_free(model);
    weir_findings_free(findings);
    claims_release(&test->from.model.claims);
    fixture_close(&test->from);
    free(test);
}

#define CASE(name)                                                                                 \
    { "values_of_" name, packed_weight_reads_as_its_library_reads_it, NULL, NULL, (void *)name }

int main(void) {
    const struct CMUnitTest tests[] = {
        CASE("awq"),
        CASE("bnb_fp4"),
        CASE("bnb_int8"),
        CASE("bnb_nf4"),
        CASE("bnb_nf4_bf16_storage"),
        CASE("bnb_nf4_nested"),
        CASE("bnb_nf4_odd"),
        CASE("ct_fp8_channel"),
        CASE("ct_fp8_tensor"),
        CASE("ct_int4_act_order"),
        CASE("ct_int4_channel"),
        CASE("ct_int4_group"),
        CASE("ct_int4_zeros"),
        CASE("ct_int8_channel"),
        CASE("ct_int8_zeros"),
        CASE("ct_int8_zeros_packed"),
        CASE("fp8_block"),
        CASE("fp8_block_said"),
        CASE("gptq_2bit"),
        CASE("gptq_3bit"),
        CASE("gptq_3bit_v2"),
        CASE("gptq_4bit"),
        CASE("gptq_8bit"),
        CASE("gptq_act_order"),
        CASE("gptq_borrow"),
        CASE("gptq_no_order"),
        CASE("gptq_phi3"),
        CASE("gptq_v2"),
        CASE("mxfp4"),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
