/* SPDX-License-Identifier: Apache-2.0 */
/* Rows that llama.cpp's own encoders quantised (tests/data/quantised). */
#include "pair_fixture.h"

#include "base/dtype.h"
#include "delta/containment.h"
#include "delta/rounding.h"
#include "kernel/convert.h"

typedef struct quantised_case {
    weir_dtype dtype;
    uint64_t dims[8];
    unsigned char *base; /* bfloat16 */
    unsigned char *stored;
} quantised_case;

static weir_dtype find_dtype(const char *name) {
    for (int i = 0; i < WEIR_DTYPE_COUNT; i++) {
        if (strcmp(weir_dtype_name((weir_dtype)i), name) == 0) {
            return (weir_dtype)i;
        }
    }
    fail_msg("no dtype %s", name);
    return WEIR_DTYPE_F32;
}

static unsigned char *parse_hex(const char *text) {
    const size_t count = strlen(text) / 2;
    unsigned char *const bytes = calloc(count + 1, 1);
    assert_non_null(bytes);
    for (size_t i = 0; i < count; i++) {
        unsigned byte;
        assert_int_equal(sscanf(text + 2 * i, "%2x", &byte), 1);
        bytes[i] = (unsigned char)byte;
    }
    return bytes;
}

static void take_line(void *context, const char *kind, char *rest) {
    quantised_case *const test = context;
    if (strcmp(kind, "dtype") == 0) {
        test->dtype = find_dtype(rest);
    } else if (strcmp(kind, "matrix") == 0) {
        assert_int_equal(fixture_dims(test->dims, rest), 2);
    } else if (strcmp(kind, "base") == 0) {
        test->base = parse_hex(rest);
    } else {
        test->stored = parse_hex(rest);
    }
}

static quantised_case read_case(const char *name) {
    quantised_case test = {0};
    char path[128];
    fixture_lines("quantised/base.txt", take_line, &test);
    snprintf(path, sizeof path, "quantised/%s.txt", name);
    fixture_lines(path, take_line, &test);
    return test;
}

static void free_case(quantised_case *test) {
    free(test->base);
    free(test->stored);
}

/* The base changed by normal noise of so much of its size, against the stored codes. */
static containment measure_changed(const quantised_case *test, double size) {
    const size_t count = (size_t)(test->dims[0] * test->dims[1]);
    float *const base = calloc(count, sizeof *base);
    assert_non_null(base);
    convert_to_f32(base, WEIR_DTYPE_BF16, test->base, count);
    double square = 0;
    for (size_t i = 0; i < count; i++) {
        square += (double)base[i] * (double)base[i];
    }
    uint64_t seed = 31;
    for (size_t i = 0; size > 0 && i < count; i++) {
        base[i] += (float)(size * sqrt(square / (double)count) * draw_normal(&seed));
    }
    pair_fixture pair;
    containment found;
    weir_error err = {0};
    pair_open(&pair, test->dims[0], test->dims[1], WEIR_DTYPE_F32, base, test->dtype, test->stored);
    assert_true(containment_applies(&pair.diff, &pair.row));
    assert_int_equal(containment_measure(&found, &pair.diff, &pair.row, SIZE_MAX, &err), WEIR_OK);
    pair_close(&pair);
    free(base);
    return found;
}

static void codes_of_the_base_are_proved(void **state) {
    quantised_case test = read_case(*state);

    const containment found = measure_changed(&test, 0);

    assert_int_equal(found.verdict, CONTAINMENT_PROVED);
    assert_float_equal(found.explained_share, 1, 0);
    assert_true(found.hidden_likely <= 5e-4);
    assert_int_equal(found.cells.mute, 0);
    free_case(&test);
}

/* A change of 2% is seen, and its size told to within a third. */
static void codes_of_a_changed_base_are_not(void **state) {
    quantised_case test = read_case(*state);

    const containment found = measure_changed(&test, 0.02);

    assert_true(found.verdict < CONTAINMENT_STRONG);
    assert_true(found.hidden_most > 0.01);
    free_case(&test);
}

/* Rows of a list: within reach of the base, and what could hide is as large as the residual. */
static void rows_of_a_list_are_only_consistent(void **state) {
    quantised_case test = read_case(*state);

    const containment found = measure_changed(&test, 0);

    assert_int_equal(found.verdict, CONTAINMENT_CONSISTENT);
    assert_true(found.near_share >= 0.999);
    assert_true(isnan(found.hidden_likely));
    assert_true(found.hidden_most > 0.1 && found.hidden_most < 0.6);
    free_case(&test);
}

static void another_model_is_not_contained(void **state) {
    (void)state;
    static const char *const names[] = {"q2_k", "q4_k_weighted", "iq2_xs_weighted", "iq3_s",
                                        "iq1_m_weighted"};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        quantised_case test = read_case(names[i]);

        const containment found = measure_changed(&test, 1.4);

        assert_int_equal(found.verdict, CONTAINMENT_NO);
        free_case(&test);
    }
}

/* With an importance matrix the scale is fitted after the rounding, with another than was used. */
static void a_factor_explains_what_the_stored_scale_does_not(void **state) {
    (void)state;
    quantised_case test = read_case("q5_0_weighted");

    const containment found = measure_changed(&test, 0);

    assert_true(found.equal_share < 0.9999);
    assert_int_equal(found.cells.one_step, found.cells.count);
    free_case(&test);
}

/* A factor a group would explain it; a factor of all numbers is not what encoders fit. */
static void a_scaled_base_is_not_explained_by_factors(void **state) {
    (void)state;
    quantised_case test = read_case("q5_0_weighted");
    const size_t count = (size_t)(test.dims[0] * test.dims[1]);
    float *const base = calloc(count, sizeof *base);
    assert_non_null(base);
    convert_to_f32(base, WEIR_DTYPE_BF16, test.base, count);
    for (size_t i = 0; i < count; i++) {
        base[i] *= 0.99F;
    }
    pair_fixture pair;
    containment found;
    pair_open(&pair, test.dims[0], test.dims[1], WEIR_DTYPE_F32, base, test.dtype, test.stored);

    assert_int_equal(containment_measure(&found, &pair.diff, &pair.row, SIZE_MAX, NULL), WEIR_OK);

    assert_false(found.is_by_factor);
    assert_int_equal(found.verdict, CONTAINMENT_NO);
    pair_close(&pair);
    free(base);
    free_case(&test);
}

static void an_edit_of_one_row_stops_the_proof(void **state) {
    (void)state;
    quantised_case test = read_case("q6_k");
    const size_t cols = (size_t)test.dims[1];
    uint16_t *const row = (uint16_t *)(void *)test.base + cols;
    for (size_t c = 0; c < cols; c++) {
        row[c] ^= 4;
    }

    const containment found = measure_changed(&test, 0);

    assert_true(found.worst_row_left > cols / 20);
    assert_int_equal(found.verdict, CONTAINMENT_NO);
    free_case(&test);
}

/* float32 numbers that a converter stored as 16 bits before they were quantised. */
static void a_base_in_float32_may_have_been_rounded_before(void **state) {
    (void)state;
    quantised_case test = read_case("q6_k");
    const size_t count = (size_t)(test.dims[0] * test.dims[1]);
    float *const base = calloc(count, sizeof *base);
    assert_non_null(base);
    convert_to_f32(base, WEIR_DTYPE_BF16, test.base, count);
    for (size_t i = 0; i < count; i++) {
        base[i] *= 1.0F + 0x1p-10F * (float)(i % 2);
    }
    pair_fixture pair;
    containment found;
    pair_open(&pair, test.dims[0], test.dims[1], WEIR_DTYPE_F32, base, test.dtype, test.stored);

    assert_int_equal(containment_measure(&found, &pair.diff, &pair.row, SIZE_MAX, NULL), WEIR_OK);

    assert_int_equal(found.verdict, CONTAINMENT_PROVED);
    assert_int_equal(found.via, WEIR_DTYPE_BF16);
    pair_close(&pair);
    free(base);
    free_case(&test);
}

static void a_sample_is_never_a_proof(void **state) {
    (void)state;
    quantised_case test = read_case("q4_k");
    const size_t count = (size_t)(test.dims[0] * test.dims[1]);
    unsigned char *const base = calloc(25 * count, 2);
    unsigned char *const stored = calloc(25 * count, 1);
    const size_t bytes = count / 256 * 144;
    assert_non_null(base);
    assert_non_null(stored);
    for (size_t i = 0; i < 25; i++) {
        memcpy(base + i * count * 2, test.base, count * 2);
        memcpy(stored + i * bytes, test.stored, bytes);
    }
    pair_fixture pair;
    containment found;
    pair_open(&pair, 25 * test.dims[0], test.dims[1], WEIR_DTYPE_BF16, base, test.dtype, stored);

    assert_int_equal(containment_measure(&found, &pair.diff, &pair.row, 1 << 16, NULL), WEIR_OK);

    assert_int_equal(found.verdict, CONTAINMENT_STRONG);
    assert_int_equal(found.row_count, 256);
    assert_false(found.is_whole);
    pair_close(&pair);
    free(base);
    free(stored);
    free_case(&test);
}

static void floats_are_not_coded(void **state) {
    (void)state;
    float *const base = draw_matrix(8, 32, 1);
    pair_fixture pair;
    containment found;
    pair_open_numbers(&pair, 8, 32, WEIR_DTYPE_BF16, base, WEIR_DTYPE_F16, base);

    assert_false(containment_applies(&pair.diff, &pair.row));
    assert_int_equal(containment_measure(&found, &pair.diff, &pair.row, SIZE_MAX, NULL),
                     WEIR_ERR_LIMIT);

    pair_close(&pair);
    free(base);
}

/* What rounding leaves is foretold from the codes: 0.7 to 1.1 of it by ggml's encoders. */
static void rounding_of_codes_is_near_what_they_leave(void **state) {
    quantised_case test = read_case(*state);
    const containment found = measure_changed(&test, 0);
    pair_fixture pair;
    double rounding;
    pair_open(&pair, test.dims[0], test.dims[1], WEIR_DTYPE_BF16, test.base, test.dtype,
              test.stored);

    assert_int_equal(rounding_of_codes(&rounding, model_view(pair.diff.model, 0), NULL), WEIR_OK);

    const double left = found.cells.residual_square / (double)found.cells.count;
    assert_true(left / rounding > 0.65 && left / rounding < 1.2);
    pair_close(&pair);
    free_case(&test);
}

#define NAMED(test, name)                                                                          \
    { name "_" #test, test, NULL, NULL, (void *)name }
#define EXACT(name)                                                                                \
    NAMED(codes_of_the_base_are_proved, name), NAMED(codes_of_a_changed_base_are_not, name),       \
        NAMED(rounding_of_codes_is_near_what_they_leave, name)
#define LISTED(name)                                                                               \
    NAMED(rows_of_a_list_are_only_consistent, name),                                               \
        NAMED(rounding_of_codes_is_near_what_they_leave, name)

int main(void) {
    const struct CMUnitTest tests[] = {
        EXACT("q4_0"),
        EXACT("q4_0_weighted"),
        EXACT("q5_0"),
        EXACT("q5_0_weighted"),
        EXACT("q2_k"),
        EXACT("q2_k_weighted"),
        EXACT("q3_k"),
        EXACT("q3_k_weighted"),
        EXACT("q4_k"),
        EXACT("q4_k_weighted"),
        EXACT("q5_k"),
        EXACT("q5_k_weighted"),
        EXACT("q6_k"),
        EXACT("q6_k_weighted"),
        EXACT("iq4_nl"),
        EXACT("iq4_nl_weighted"),
        EXACT("iq4_xs"),
        EXACT("iq4_xs_weighted"),
        EXACT("nvfp4"),
        LISTED("iq1_m_weighted"),
        LISTED("iq2_s"),
        LISTED("iq2_xs_weighted"),
        LISTED("iq3_s"),
        LISTED("iq3_xxs_weighted"),
        NAMED(rounding_of_codes_is_near_what_they_leave, "q4_1_weighted"),
        NAMED(rounding_of_codes_is_near_what_they_leave, "q5_1_weighted"),
        cmocka_unit_test(another_model_is_not_contained),
        cmocka_unit_test(a_factor_explains_what_the_stored_scale_does_not),
        cmocka_unit_test(a_scaled_base_is_not_explained_by_factors),
        cmocka_unit_test(an_edit_of_one_row_stops_the_proof),
        cmocka_unit_test(a_base_in_float32_may_have_been_rounded_before),
        cmocka_unit_test(a_sample_is_never_a_proof),
        cmocka_unit_test(floats_are_not_coded),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
