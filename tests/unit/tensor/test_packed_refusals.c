/* SPDX-License-Identifier: Apache-2.0 */
/* Packed weights whose parts contradict each other keep their stored names, with one finding. */
#include "fixture.h"

#include "base/dtype.h"
#include "base/limits.h"
#include "weir/finding.h"

#define UP    "model.layers.0.mlp.up_proj"
#define STATE ".weight.quant_state.bitsandbytes__"

static const char nf4_state[] =
    "{\"quant_type\": \"nf4\", \"blocksize\": 64, \"dtype\": \"bfloat16\", \"shape\": [8, 32]}";
static const char nested_state[] =
    "{\"quant_type\": \"nf4\", \"blocksize\": 64, \"dtype\": \"bfloat16\", \"shape\": [8, 32], "
    "\"nested_blocksize\": 256, \"nested_dtype\": \"float32\", \"nested_offset\": 0.5}";

static const float nf4_map[16] = {
    -1.0F,        -0.69619280F, -0.52507305F, -0.39491749F, -0.28444138F, -0.18477343F,
    -0.09105004F, 0.0F,         0.07958030F,  0.16093020F,  0.24611230F,  0.33791524F,
    0.44070983F,  0.56261700F,  0.72295684F,  1.0F,
};

/*
 * Tensors as "END DTYPE DIMS [FILL]": END follows the module's name; all bytes are FILL, 0 without
 * one. The bytes of a quant_state are `state`, those of a quant_map the values of nf4, and a
 * weight_shape says [16, 64].
 */
typedef struct stored_case {
    const char *tensors[8];
    const char *state;
    const char *claim; /* "NAME VALUE" or NULL */
} stored_case;

#define PARTS(...)                                                                                 \
    {                                                                                              \
        .tensors = { __VA_ARGS__ }                                                                 \
    }
#define STATED(text, ...)                                                                          \
    { .tensors = {__VA_ARGS__}, .state = (text) }
#define SAID(text, ...)                                                                            \
    { .tensors = {__VA_ARGS__}, .claim = (text) }

static void add_tensor(fixture *from, const char *line, const char *state) {
    char text[128];
    char name[128];
    uint64_t dims[8];
    weir_dtype dtype;
    snprintf(text, sizeof text, "%s", line);
    snprintf(name, sizeof name, "%s%s", UP, strtok(text, " "));
    const char *const type = strtok(NULL, " ");
    const char *const shape = strtok(NULL, " ");
    const char *const fill = strtok(NULL, " ");
    assert_true(dtype_find_safetensors(&dtype, type, strlen(type)));
    const size_t rank = fixture_dims(dims, strcmp(shape, "-") == 0 ? "" : shape);
    const size_t bytes = fixture_elements(dims, rank) * weir_dtype_get(dtype)->block_bytes;
    unsigned char *const data = calloc(bytes + 1, 1);
    assert_non_null(data);
    memset(data, fill ? atoi(fill) : 0, bytes);
    if (strstr(name, STATE)) {
        memset(data, ' ', bytes);
        memcpy(data, state, strlen(state) < bytes ? strlen(state) : bytes);
    } else if (strstr(name, ".quant_map") && !fill) {
        memcpy(data, nf4_map, bytes < sizeof nf4_map ? bytes : sizeof nf4_map);
    } else if (strstr(name, ".weight_shape") && !fill && bytes == 16) {
        const uint64_t shape_of_weight[] = {16, 64};
        memcpy(data, shape_of_weight, sizeof shape_of_weight);
    }
    fixture_add(from, name, dtype, dims, rank, data);
    free(data);
}

static weir_model *open_case(fixture *from, const stored_case *test, weir_findings *findings) {
    fixture_open(from, "llama", "safetensors");
    for (size_t i = 0; i < 8 && test->tensors[i]; i++) {
        add_tensor(from, test->tensors[i], test->state);
    }
    if (test->claim) {
        char name[128];
        snprintf(name, sizeof name, "%s", test->claim);
        char *const value = strchr(name, ' ');
        *value = '\0';
        const weir_claim claim = {
            .name = name, .value = value + 1, .file = "config.json", .at = ""};
        assert_int_equal(claims_add(&from->model.claims, &claim, strlen(value + 1), NULL), WEIR_OK);
    }
    return fixture_model(from, findings);
}

static void close_case(fixture *from, weir_model *model, weir_findings *findings) {
    weir_model_free(model);
    weir_findings_free(findings);
    claims_release(&from->model.claims);
    fixture_close(from);
}

#define CONFIG "config.quantization_config."

static const stored_case good[] = {
    PARTS(".qweight I32 8,16", ".qzeros I32 2,2", ".scales F16 2,16", ".g_idx I32 64"),
    PARTS(".qweight I32 8,16", ".qzeros I32 2,2", ".scales F16 2,16"),
    SAID(CONFIG "group_size 24", ".qweight I32 8,16", ".qzeros I32 3,2", ".scales F16 3,16"),
    PARTS(".qweight I32 64,2", ".qzeros I32 2,2", ".scales F16 2,16"),
    PARTS(".weight_packed I32 16,8", ".weight_scale F32 16,4", ".weight_shape I64 2"),
    PARTS(".weight_packed I32 16,8", ".weight_scale F32 16,4", ".weight_shape I64 2",
          ".weight_zero_point I32 2,4"),
    PARTS(".weight_packed I32 16,8", ".weight_scale F32 16,4", ".weight_shape I64 2",
          ".weight_zero_point I8 16,4", ".weight_g_idx I32 64 255"),
    PARTS(".weight I8 16,32", ".SCB F32 16", ".weight_format U8 -"),
    PARTS(".weight F8_E4M3 16,32", ".weight_scale_inv F32 1,1"),
    PARTS(".weight F8_E4M3 130,260", ".weight_scale_inv F32 2,3"),
    SAID(CONFIG "weight_block_size 0, 5", ".weight F8_E4M3 130,260", ".weight_scale_inv F32 2,3"),
    SAID(CONFIG "weight_block_size 5, 0", ".weight F8_E4M3 130,260", ".weight_scale_inv F32 2,3"),
    SAID(CONFIG "weight_block_size 7", ".weight F8_E4M3 130,260", ".weight_scale_inv F32 2,3"),
    SAID(CONFIG "weight_block_size 100, 90", ".weight F8_E4M3 130,260",
         ".weight_scale_inv F32 2,3"),
    PARTS(".weight I8 16,32", ".weight_scale F32 16,4", ".weight_zero_point I8 16,4"),
    STATED(nf4_state, ".weight U8 128,1", ".weight.absmax F32 4", ".weight.quant_map F32 16",
           STATE "nf4 U8 100"),
    STATED(nested_state, ".weight U8 128,1", ".weight.absmax U8 4", ".weight.quant_map F32 16",
           ".weight.nested_absmax F32 1", ".weight.nested_quant_map F32 256", STATE "nf4 U8 200"),
};

static void tensors_that_fit_are_one_view(void **state) {
    (void)state;
    for (size_t i = 0; i < sizeof good / sizeof *good; i++) {
        fixture from;
        weir_findings *findings = NULL;
        assert_int_equal(weir_findings_new(&findings, NULL), WEIR_OK);
        weir_model *model = open_case(&from, &good[i], findings);

        if (weir_model_tensor_count(model) != 1 || weir_findings_count(findings) != 0) {
            fail_msg("case %zu: %zu tensors, %s", i, weir_model_tensor_count(model),
                     weir_findings_count(findings) ? weir_findings_get(findings, 0)->message : "");
        }
        assert_string_equal(weir_model_tensor(model, 0)->name, "layers.0.up");
        close_case(&from, model, findings);
    }
}

static const stored_case bad[] = {
    /* GPTQ and AWQ: a part is missing */
    PARTS(".qweight I32 8,16", ".qzeros I32 2,2"),
    PARTS(".qweight I32 8,16", ".scales F16 2,16"),
    PARTS(".qweight I32 8,16"),
    /* dtypes and ranks */
    PARTS(".qweight I64 8,16", ".qzeros I32 2,2", ".scales F16 2,16"),
    PARTS(".qweight I32 8,16", ".qzeros I64 2,2", ".scales F16 2,16"),
    PARTS(".qweight I32 8,16", ".qzeros I32 2,2", ".scales I16 2,16"),
    PARTS(".qweight I32 8,16", ".qzeros I32 2,2", ".scales F16 2,16", ".g_idx I64 64"),
    PARTS(".qweight I32 128", ".qzeros I32 2,2", ".scales F16 2,16"),
    PARTS(".qweight I32 8,16", ".qzeros I32 4", ".scales F16 2,16"),
    PARTS(".qweight I32 8,16", ".qzeros I32 2,2", ".scales F16 32"),
    /* sizes that differ */
    PARTS(".qweight I32 8,16", ".qzeros I32 2,2", ".scales F16 2,17"),
    PARTS(".qweight I32 8,16", ".qzeros I32 3,2", ".scales F16 2,16"),
    PARTS(".qweight I32 8,16", ".qzeros I32 2,3", ".scales F16 2,16"),  /* 6 bits */
    PARTS(".qweight I32 8,16", ".qzeros I32 2,16", ".scales F16 2,16"), /* 32 bits */
    PARTS(".qweight I32 8,16", ".qzeros I32 2,0", ".scales F16 2,16"),  /* 0 bits */
    PARTS(".qweight I32 8,16", ".qzeros I32 3,2", ".scales F16 3,16"),  /* 64 in 3 groups */
    PARTS(".qweight I32 8,16", ".qzeros I32 65,2",
          ".scales F16 65,16"), /* more groups than inputs */
    PARTS(".qweight I32 8,16", ".qzeros I32 0,2", ".scales F16 0,16"),
    PARTS(".qweight I32 0,16", ".qzeros I32 2,2", ".scales F16 2,16"),
    PARTS(".qweight I32 8,0", ".qzeros I32 2,0", ".scales F16 2,0"),
    PARTS(".qweight I32 8,16", ".qzeros I32 2,2", ".scales F16 2,16", ".g_idx I32 63"),
    PARTS(".qweight I32 7,64", ".qzeros I32 1,6", ".scales F16 1,64"), /* 3 bits of 7 words */
    PARTS(".qweight I32 64,2", ".qzeros I32 2,1", ".scales F16 2,16"), /* AWQ */
    PARTS(".qweight I32 64,2", ".qzeros I32 2,2", ".scales F16 2,16", ".g_idx I32 64"),
    /* groups out of range: 0x01010101, and -1 */
    PARTS(".qweight I32 8,16", ".qzeros I32 2,2", ".scales F16 2,16", ".g_idx I32 64 1"),
    PARTS(".qweight I32 8,16", ".qzeros I32 2,2", ".scales F16 2,16", ".g_idx I32 64 255"),
    /* a convention that is not known */
    SAID(CONFIG "checkpoint_format marlin", ".qweight I32 8,16", ".qzeros I32 2,2",
         ".scales F16 2,16"),
    SAID(CONFIG "quant_method x", ".qweight I32 8,16", ".qzeros I32 2,2", ".scales F16 2,16"),
    SAID(CONFIG "version gemv", ".qweight I32 64,2", ".qzeros I32 2,2", ".scales F16 2,16"),
    /* compressed-tensors, packed */
    PARTS(".weight_packed I32 16,8", ".weight_scale F32 16,4"),
    PARTS(".weight_packed I32 16,8", ".weight_scale F32 16,4", ".weight_shape I64 2 0"),
    PARTS(".weight_packed I32 16,8", ".weight_scale F32 16,4", ".weight_shape I64 2 255"),
    PARTS(".weight_packed I32 16,8", ".weight_scale F32 16,4", ".weight_shape I32 3"),
    PARTS(".weight_packed I32 16,8", ".weight_scale F32 16,4", ".weight_shape F32 4"),
    PARTS(".weight_packed I32 16,8", ".weight_shape I64 2"),
    PARTS(".weight_packed I64 16,8", ".weight_scale F32 16,4", ".weight_shape I64 2"),
    PARTS(".weight_packed I32 16,7", ".weight_scale F32 16,4", ".weight_shape I64 2"),
    PARTS(".weight_packed I32 15,8", ".weight_scale F32 16,4", ".weight_shape I64 2"),
    PARTS(".weight_packed I32 16,8", ".weight_scale F32 16,5", ".weight_shape I64 2"),
    PARTS(".weight_packed I32 16,8", ".weight_scale F32 15,4", ".weight_shape I64 2"),
    PARTS(".weight_packed I32 16,8", ".weight_scale I8 16,4", ".weight_shape I64 2"),
    PARTS(".weight_packed I32 16,8", ".weight_scale F32 16,4", ".weight_shape I64 2",
          ".weight_zero_point I32 3,4"),
    PARTS(".weight_packed I32 16,8", ".weight_scale F32 16,4", ".weight_shape I64 2",
          ".weight_zero_point I8 16,3"),
    PARTS(".weight_packed I32 16,8", ".weight_scale F32 16,4", ".weight_shape I64 2",
          ".weight_g_idx I32 63"),
    PARTS(".weight_packed I32 16,8", ".weight_scale F32 16,4", ".weight_shape I64 2",
          ".weight_g_idx I32 64 4"),
    /* one byte a number */
    PARTS(".weight U8 16,32", ".SCB F32 16"),
    PARTS(".weight I8 16,32", ".SCB F32 15"),
    PARTS(".weight I8 16,32", ".SCB F16 16"),
    PARTS(".weight I8 16,32", ".SCB F32 16", ".weight_format U8 - 2"),
    PARTS(".weight F8_E4M3 16,32", ".weight_scale F32 16,3"),
    PARTS(".weight F8_E4M3 16,32", ".weight_scale F32 3,1"),
    PARTS(".weight F8_E4M3 16,32", ".weight_scale F32 1,33"),
    SAID(CONFIG "weight_block_size 64, 64", ".weight F8_E4M3 130,260", ".weight_scale_inv F32 2,3"),
    SAID(CONFIG "weight_block_size 4294967295, 1", ".weight F8_E4M3 130,260",
         ".weight_scale_inv F32 2,3"),
    PARTS(".weight F8_E4M3 16,32", ".weight_scale F32 0"),
    PARTS(".weight F8_E4M3 16,32", ".weight_scale I32 1"),
    PARTS(".weight F8_E4M3 16,32", ".weight_scale F32 1,1,1"),
    PARTS(".weight F8_E4M3 512", ".weight_scale F32 1"),
    PARTS(".weight F8_E4M3 0,32", ".weight_scale F32 1"),
    PARTS(".weight F8_E4M3 16,32", ".weight_scale F32 1", ".SCB F32 16"),
    PARTS(".weight F8_E4M3 16,32", ".weight_scale F32 1", ".weight_global_scale F32 1"),
    PARTS(".weight U8 16,16", ".weight_scale F8_E4M3 16,2", ".weight_scale_2 F32 -"),
    PARTS(".weight I8 16,32", ".weight_scale F32 16,4", ".weight_zero_point I8 16,3"),
    PARTS(".weight I8 16,32", ".weight_scale F32 16,4", ".weight_g_idx I32 32 1"),
    PARTS(".weight I8 16,32", ".weight_scale F32 16,4", ".weight_g_idx I32 31"),
    PARTS(".weight U32 16,8", ".scales F16 16,2", ".biases F16 16,2"),
    /* bitsandbytes, 4 bits */
    PARTS(".weight U8 128,1", ".weight.absmax F32 4"),
    PARTS(".weight U8 128,1", ".weight.absmax F32 4", ".weight.quant_map F32 16"),
    STATED(nf4_state, ".weight U8 128,1", ".weight.absmax F32 4", STATE "nf4 U8 100"),
    STATED(nf4_state, ".weight U8 128,1", ".weight.absmax F32 4", ".weight.quant_map F32 16",
           STATE "fp4 U8 100"),
    STATED(nf4_state, ".weight U8 128,1", ".weight.absmax F32 4", ".weight.quant_map F32 16",
           STATE "nf4 U8 100", STATE "fp4 U8 100"),
    STATED(nf4_state, ".weight U8 127,1", ".weight.absmax F32 4", ".weight.quant_map F32 16",
           STATE "nf4 U8 100"),
    STATED(nf4_state, ".weight U8 128,1", ".weight.absmax F32 3", ".weight.quant_map F32 16",
           STATE "nf4 U8 100"),
    STATED(nf4_state, ".weight U8 128,1", ".weight.absmax U8 4", ".weight.quant_map F32 16",
           STATE "nf4 U8 100"),
    STATED(nf4_state, ".weight U8 128,1", ".weight.absmax F32 4", ".weight.quant_map F32 15",
           STATE "nf4 U8 100"),
    STATED(nf4_state, ".weight U8 128,1", ".weight.absmax F32 4", ".weight.quant_map F32 16 0",
           STATE "nf4 U8 100"), /* a book of zeros */
    STATED(nf4_state, ".weight U8 128,1", ".weight.absmax F32 4", ".weight.quant_map F32 16 255",
           STATE "nf4 U8 100"), /* a book of NaN */
    STATED(nf4_state, ".weight U8 128,1", ".weight.absmax U8 4", ".weight.quant_map F32 16",
           ".weight.nested_absmax F32 1", ".weight.nested_quant_map F32 256",
           STATE "nf4 U8 100"), /* no nested block size */
    STATED(nested_state, ".weight U8 128,1", ".weight.absmax U8 4", ".weight.quant_map F32 16",
           ".weight.nested_absmax F32 2", ".weight.nested_quant_map F32 256", STATE "nf4 U8 200"),
    STATED(nested_state, ".weight U8 128,1", ".weight.absmax U8 4", ".weight.quant_map F32 16",
           ".weight.nested_absmax F32 1", ".weight.nested_quant_map F32 255", STATE "nf4 U8 200"),
    STATED(nested_state, ".weight U8 128,1", ".weight.absmax U8 4", ".weight.quant_map F32 16",
           ".weight.nested_absmax F32 1", STATE "nf4 U8 200"),
};

static void check_refused(const stored_case *test, size_t row) {
    fixture from;
    weir_findings *findings = NULL;
    assert_int_equal(weir_findings_new(&findings, NULL), WEIR_OK);
    weir_model *model = open_case(&from, test, findings);

    if (weir_model_tensor_count(model) != from.model.tensors.count ||
        weir_findings_count(findings) != 1) {
        fail_msg("row %zu (%s): %zu tensors, %zu findings", row, test->tensors[0],
                 weir_model_tensor_count(model), weir_findings_count(findings));
    }
    assert_string_equal(weir_findings_get(findings, 0)->id, "tensor-scaled-elsewhere");
    for (size_t i = 0; i < weir_model_tensor_count(model); i++) {
        assert_int_equal(weir_model_tensor(model, i)->role, WEIR_ROLE_UNKNOWN);
    }
    assert_false(weir_model_has_known_roles(model));
    close_case(&from, model, findings);
}

static void parts_that_contradict_each_other_are_refused(void **state) {
    (void)state;
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        check_refused(&bad[i], i);
    }
}

static void quant_states_that_are_none_are_refused(void **state) {
    (void)state;
    static const char *const states[] = {
        "",
        "[]",
        "{}",
        "{\"quant_type\": \"nf4\", \"blocksize\": 64, \"shape\": [8, 32]",
        "{\"quant_type\": \"nf4\", \"blocksize\": 64, \"shape\": [8, 32]} 1",
        "{\"quant_type\": \"int4\", \"blocksize\": 64, \"shape\": [8, 32]}",
        "{\"quant_type\": 4, \"blocksize\": 64, \"shape\": [8, 32]}",
        "{\"blocksize\": 64, \"shape\": [8, 32]}",
        "{\"quant_type\": \"nf4\", \"shape\": [8, 32]}",
        "{\"quant_type\": \"nf4\", \"blocksize\": 64}",
        "{\"quant_type\": \"nf4\", \"blocksize\": 0, \"shape\": [8, 32]}",
        "{\"quant_type\": \"nf4\", \"blocksize\": -64, \"shape\": [8, 32]}",
        "{\"quant_type\": \"nf4\", \"blocksize\": 64.5, \"shape\": [8, 32]}",
        "{\"quant_type\": \"nf4\", \"blocksize\": 99999999999, \"shape\": [8, 32]}",
        "{\"quant_type\": \"nf4\", \"blocksize\": 64, \"shape\": null}",
        "{\"quant_type\": \"nf4\", \"blocksize\": 64, \"shape\": [8]}",
        "{\"quant_type\": \"nf4\", \"blocksize\": 64, \"shape\": [8, 32, 1]}",
        "{\"quant_type\": \"nf4\", \"blocksize\": 64, \"shape\": [0, 32]}",
        "{\"quant_type\": \"nf4\", \"blocksize\": 64, \"shape\": [8, \"32\"]}",
        "{\"quant_type\": \"nf4\", \"blocksize\": 64, \"shape\": [18446744073709551615, 2]}",
        "{\"quant_type\": \"nf4\", \"blocksize\": 64, \"blocksize\": 64, \"shape\": [8, 32]}",
        "{\"quant_type\": \"nf4\", \"blocksize\": 64, \"shape\": [8, 32], \"nested_offset\": NaN}",
    };
    for (size_t i = 0; i < sizeof states / sizeof *states; i++) {
        const stored_case test = {{".weight U8 128,1", ".weight.absmax F32 4",
                                   ".weight.quant_map F32 16", STATE "nf4 U8 100"},
                                  states[i],
                                  NULL};
        check_refused(&test, i);
    }
}

static void mxfp4_of_other_forms_is_refused(void **state) {
    (void)state;
    static const struct {
        const char *blocks;
        const char *scales; /* NULL: none */
    } rows[] = {
        {"2,6,2,16", NULL},          {"2,6,2,16", "2,6,3"}, {"2,6,2,16", "2,6,2,1"},
        {"2,6,2,15", "2,6,2"},       {"0,6,2,16", "0,6,2"}, {"2,0,2,16", "2,0,2"},
        {"5000,1,1,16", "5000,1,1"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        fixture from;
        uint64_t dims[8];
        weir_findings *findings = NULL;
        assert_int_equal(weir_findings_new(&findings, NULL), WEIR_OK);
        fixture_open(&from, "gpt_oss", "safetensors");
        size_t rank = fixture_dims(dims, rows[i].blocks);
        fixture_add(&from, "model.layers.0.mlp.experts.down_proj_blocks", WEIR_DTYPE_U8, dims, rank,
                    NULL);
        if (rows[i].scales) {
            rank = fixture_dims(dims, rows[i].scales);
            fixture_add(&from, "model.layers.0.mlp.experts.down_proj_scales", WEIR_DTYPE_U8, dims,
                        rank, NULL);
        }
        weir_model *model = fixture_model(&from, findings);

        assert_int_equal(weir_findings_count(findings), 1);
        assert_string_equal(weir_findings_get(findings, 0)->id, "tensor-scaled-elsewhere");
        assert_int_equal(weir_model_tensor(model, 0)->role, WEIR_ROLE_UNKNOWN);
        close_case(&from, model, findings);
    }
}

static void two_parts_of_one_name_are_refused(void **state) {
    (void)state;
    const stored_case test = {
        {".qweight I32 8,16", ".qzeros I32 2,2", ".scales F16 2,16", ".scales F16 2,16"},
        NULL,
        NULL};
    fixture from;
    weir_findings *findings = NULL;
    assert_int_equal(weir_findings_new(&findings, NULL), WEIR_OK);
    weir_model *model = open_case(&from, &test, findings);

    assert_int_equal(weir_model_tensor_count(model), 4);
    assert_int_equal(weir_findings_count(findings), 1);
    assert_string_equal(weir_findings_get(findings, 0)->id, "tensor-scaled-elsewhere");
    close_case(&from, model, findings);
}

static void configuration_that_lies_is_a_finding_and_the_shapes_win(void **state) {
    (void)state;
    static const char *const lies[] = {CONFIG "bits 8", CONFIG "group_size 16",
                                       "quantize_config.bits 3"};
    for (size_t i = 0; i < sizeof lies / sizeof *lies; i++) {
        const stored_case test = {
            {".qweight I32 8,16", ".qzeros I32 2,2", ".scales F16 2,16"}, NULL, lies[i]};
        fixture from;
        weir_findings *findings = NULL;
        assert_int_equal(weir_findings_new(&findings, NULL), WEIR_OK);
        weir_model *model = open_case(&from, &test, findings);

        assert_int_equal(weir_model_tensor_count(model), 1);
        assert_int_equal(weir_model_tensor(model, 0)->cols, 64);
        assert_int_equal(weir_findings_count(findings), 1);
        assert_string_equal(weir_findings_get(findings, 0)->id, "quantization-config-differs");
        close_case(&from, model, findings);
    }
}

static void configuration_of_single_modules_is_no_lie(void **state) {
    (void)state;
    fixture from;
    weir_findings *findings = NULL;
    const weir_claim of_module = {
        .name = CONFIG "dynamic.x.bits", .value = "4", .file = "config.json", .at = ""};
    const weir_claim of_all = {
        .name = CONFIG "bits", .value = "8", .file = "config.json", .at = ""};
    assert_int_equal(weir_findings_new(&findings, NULL), WEIR_OK);
    fixture_open(&from, "llama", "safetensors");
    add_tensor(&from, ".qweight I32 8,16", NULL);
    add_tensor(&from, ".qzeros I32 2,2", NULL);
    add_tensor(&from, ".scales F16 2,16", NULL);
    assert_int_equal(claims_add(&from.model.claims, &of_module, 1, NULL), WEIR_OK);
    assert_int_equal(claims_add(&from.model.claims, &of_all, 1, NULL), WEIR_OK);
    weir_model *model = fixture_model(&from, findings);

    assert_int_equal(weir_model_tensor_count(model), 1);
    assert_int_equal(weir_findings_count(findings), 0);
    close_case(&from, model, findings);
}

static void a_weight_beside_its_packed_twin_is_no_second_one(void **state) {
    (void)state;
    const stored_case test = {
        {".qweight I32 8,16", ".qzeros I32 2,2", ".scales F16 2,16", ".weight F32 16,64"},
        NULL,
        NULL};
    fixture from;
    size_t index;
    weir_findings *findings = NULL;
    assert_int_equal(weir_findings_new(&findings, NULL), WEIR_OK);
    weir_model *model = open_case(&from, &test, findings);

    assert_true(model_find(model, "layers.0.up", &index));
    assert_string_equal(weir_model_tensor(model, index)->stored_name, UP ".qweight");
    assert_true(model_find(model, UP ".weight", &index));
    assert_int_equal(weir_model_tensor(model, index)->role, WEIR_ROLE_UNKNOWN);
    close_case(&from, model, findings);
}

static void a_packed_weight_without_a_role_keeps_its_parts(void **state) {
    (void)state;
    fixture from;
    const uint64_t codes[] = {8, 16};
    const uint64_t zeros[] = {2, 2};
    const uint64_t scales[] = {2, 16};
    fixture_open(&from, "llama", "safetensors");
    fixture_add(&from, "visual.proj.qweight", WEIR_DTYPE_I32, codes, 2, NULL);
    fixture_add(&from, "visual.proj.qzeros", WEIR_DTYPE_I32, zeros, 2, NULL);
    fixture_add(&from, "visual.proj.scales", WEIR_DTYPE_F16, scales, 2, NULL);
    weir_model *model = fixture_model(&from, NULL);

    assert_int_equal(weir_model_tensor_count(model), 3);
    assert_false(weir_model_has_known_roles(model));
    weir_model_free(model);
    fixture_close(&from);
}

static void few_rows_cost_few_bytes(void **state) {
    (void)state;
    static const struct {
        stored_case stored;
        uint64_t bytes_max;
    } rows[] = {
        /* 16 of 1024 outputs: 128 words of 64 bytes, 2 groups of 32 bytes of scales and 8 of zeros,
         * all with holes of at most 512 bytes */
        {{{".qweight I32 16,1024", ".qzeros I32 2,128", ".scales F16 2,1024"}, NULL, NULL},
         16 * 64 + 2 * (32 + 512 + 8)},
        {{{".qweight I32 128,512", ".qzeros I32 2,512", ".scales F16 2,4096"}, NULL, NULL},
         128 * 8 + 2 * (32 + 8)},
        {{{".weight F8_E4M3 1024,512", ".weight_scale F32 1024,1"}, NULL, NULL}, 16 * 512 + 16 * 4},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        fixture from;
        weir_findings *findings = NULL;
        assert_int_equal(weir_findings_new(&findings, NULL), WEIR_OK);
        weir_model *model = open_case(&from, &rows[i].stored, findings);
        const uint64_t cols = weir_model_tensor(model, 0)->cols;
        float *const values = calloc(16 * cols, sizeof *values);
        assert_non_null(values);
        const uint64_t before = weir_source_bytes_read(from.file.source);

        assert_int_equal(weir_model_read_rows(model, 0, 512, 16, values, NULL), WEIR_OK);

        const uint64_t read = weir_source_bytes_read(from.file.source) - before;
        if (read > rows[i].bytes_max) {
            fail_msg("row %zu: %d bytes", i, (int)read);
        }
        free(values);
        close_case(&from, model, findings);
    }
}

static void rows_outside_are_refused(void **state) {
    (void)state;
    fixture from;
    float values[64];
    weir_model *model = open_case(&from, &good[0], NULL);

    assert_int_equal(weir_model_read_rows(model, 0, 16, 1, values, NULL), WEIR_ERR_ARG);
    assert_int_equal(weir_model_read_rows(model, 0, UINT64_MAX, 2, values, NULL), WEIR_ERR_ARG);
    assert_int_equal(weir_model_read_rows(model, 0, 16, 0, values, NULL), WEIR_OK);
    close_case(&from, model, NULL);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(tensors_that_fit_are_one_view),
        cmocka_unit_test(parts_that_contradict_each_other_are_refused),
        cmocka_unit_test(quant_states_that_are_none_are_refused),
        cmocka_unit_test(mxfp4_of_other_forms_is_refused),
        cmocka_unit_test(two_parts_of_one_name_are_refused),
        cmocka_unit_test(configuration_that_lies_is_a_finding_and_the_shapes_win),
        cmocka_unit_test(configuration_of_single_modules_is_no_lie),
        cmocka_unit_test(a_weight_beside_its_packed_twin_is_no_second_one),
        cmocka_unit_test(a_packed_weight_without_a_role_keeps_its_parts),
        cmocka_unit_test(few_rows_cost_few_bytes),
        cmocka_unit_test(rows_outside_are_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
