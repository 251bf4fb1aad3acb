/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What is refused follows the format's specification (huggingface/safetensors README.md, "Format");
 * what lenient reading takes was seen by giving the same headers to the Python package safetensors
 * 0.8.0.
 */
#include "../testing.h"

#include <stdlib.h>

#include "base/findings.h"
#include "base/text.h"
#include "format/safetensors.h"

typedef struct outcome {
    weir_code code;
    weir_verdict verdict; /* as the caller of safetensors_read would give it */
    weir_error err;
    tensor_table table;
    claims metadata;
    weir_findings *findings;
} outcome;

static void read_bytes(outcome *out, const void *bytes, size_t len, bool lenient) {
    weir_source *source = NULL;
    *out = (outcome){0};
    assert_int_equal(weir_findings_new(&out->findings, NULL), WEIR_OK);
    assert_int_equal(weir_source_open_memory(&source, bytes, len, "m.safetensors", NULL), WEIR_OK);
    out->code = safetensors_read(
        &(safetensors_target){
            .table = &out->table, .metadata = &out->metadata, .findings = out->findings, .file = 3},
        source, lenient, &out->err);
    if (out->code != WEIR_OK) {
        findings_add_error(out->findings, "safetensors-malformed", &out->err);
    }
    out->verdict = findings_verdict(out->findings, "m.safetensors", WEIR_VERDICT_CLEAN);
    weir_source_free(source);
}

/* A file of this header and `data_bytes` zeros. */
static void read_header(outcome *out, const char *header, size_t data_bytes, bool lenient) {
    const size_t len = strlen(header);
    unsigned char *file = calloc(1, 8 + len + data_bytes);
    assert_non_null(file);
    for (size_t i = 0; i < 8; i++) {
        file[i] = (unsigned char)((uint64_t)len >> (8 * i));
    }
    memcpy(file + 8, header, len);
    read_bytes(out, file, 8 + len + data_bytes, lenient);
    free(file);
}

static void release(outcome *out) {
    tensor_table_release(&out->table);
    claims_release(&out->metadata);
    weir_findings_free(out->findings);
}

static bool has_finding(const outcome *out, const char *id) {
    for (size_t i = 0; i < weir_findings_count(out->findings); i++) {
        if (strcmp(weir_findings_get(out->findings, i)->id, id) == 0) {
            return true;
        }
    }
    return false;
}

#define W "\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[0,4]"

static void tensors_are_listed_with_their_place_in_the_file(void **state) {
    (void)state;
    static const char header[] =
        "{\"__metadata__\":{\"format\":\"pt\"},"
        "\"b\":{\"dtype\":\"BF16\",\"shape\":[2,3],\"data_offsets\":[4,16]},"
        "\"a\":{\"shape\":[],\"data_offsets\":[0,4],\"dtype\":\"F32\"}}  ";
    outcome got;

    read_header(&got, header, 16, /* lenient= */ false);

    assert_int_equal(got.code, WEIR_OK);
    assert_int_equal(got.verdict, WEIR_VERDICT_CLEAN);
    assert_int_equal(got.table.count, 2);
    const stored_tensor *b = &got.table.items[0];
    assert_string_equal(b->name, "b");
    assert_int_equal(b->dtype, WEIR_DTYPE_BF16);
    assert_int_equal(b->rank, 2);
    assert_int_equal(b->dims[0], 2);
    assert_int_equal(b->dims[1], 3);
    assert_int_equal(b->offset, 8 + sizeof header - 1 + 4);
    assert_int_equal(b->bytes, 12);
    assert_int_equal(b->file, 3);
    assert_string_equal(got.table.items[1].name, "a");
    assert_int_equal(got.table.items[1].rank, 0);
    assert_int_equal(got.table.items[1].bytes, 4);
    assert_string_equal(claims_find(&got.metadata, "safetensors.format"), "pt");
    release(&got);
}

static void what_the_specification_forbids_is_refused(void **state) {
    (void)state;
    static const struct {
        const char *header;
        size_t data_bytes;
        const char *at;
    } table[] = {
        {"", 0, "byte 8"},
        {"[]", 0, "byte 8"},
        {"null", 0, "byte 8"},
        {"{", 0, "byte 9"},
        {"{}", 1, "byte 10"},
        {"{}x", 0, "byte 10"},
        {"{\"w\":{" W "}}", 3, "byte 62"},
        {"{\"w\":{" W "}}", 5, "byte 62"},
        {"{\"w\":1}", 0, "tensor w, byte 13"},
        {"{\"w\":{}}", 0, "tensor w, byte 14"},
        {"{\"w\":{\"dtype\":\"F32\",\"shape\":[1]}}", 4, "tensor w, byte 39"},
        {"{\"w\":{\"dtype\":\"F32\",\"data_offsets\":[0,4]}}", 4, "tensor w, byte 48"},
        {"{\"w\":{\"shape\":[1],\"data_offsets\":[0,4]}}", 4, "tensor w, byte 46"},
        {"{\"w\":{\"dtype\":\"F32\"," W "}}", 4, "tensor w, byte 28"},
        {"{\"w\":{" W ",\"shape\":[1]}}", 4, "tensor w, byte 61"},
        {"{\"w\":{" W ",\"data_offsets\":[0,4]}}", 4, "tensor w, byte 61"},
        {"{\"w\":{\"dtype\":\"f32\",\"shape\":[1],\"data_offsets\":[0,4]}}", 4,
         "tensor w, byte 22"},
        {"{\"w\":{\"dtype\":\"Q4_0\",\"shape\":[1],\"data_offsets\":[0,4]}}", 4,
         "tensor w, byte 22"},
        {"{\"w\":{\"dtype\":3,\"shape\":[1],\"data_offsets\":[0,4]}}", 4, "tensor w, byte 22"},
        {"{\"w\":{\"dtype\":\"F32\",\"shape\":1,\"data_offsets\":[0,4]}}", 4, "tensor w, byte 36"},
        {"{\"w\":{\"dtype\":\"F32\",\"shape\":[-1],\"data_offsets\":[0,4]}}", 4,
         "tensor w, byte 37"},
        {"{\"w\":{\"dtype\":\"F32\",\"shape\":[-0],\"data_offsets\":[0,0]}}", 0,
         "tensor w, byte 37"},
        {"{\"w\":{\"dtype\":\"F32\",\"shape\":[1.0],\"data_offsets\":[0,4]}}", 4,
         "tensor w, byte 37"},
        {"{\"w\":{\"dtype\":\"F32\",\"shape\":[1e0],\"data_offsets\":[0,4]}}", 4,
         "tensor w, byte 37"},
        {"{\"w\":{\"dtype\":\"F32\",\"shape\":[\"1\"],\"data_offsets\":[0,4]}}", 4,
         "tensor w, byte 37"},
        {"{\"w\":{\"dtype\":\"F32\",\"shape\":[[1]],\"data_offsets\":[0,4]}}", 4,
         "tensor w, byte 37"},
        {"{\"w\":{\"dtype\":\"F32\",\"shape\":[18446744073709551616],\"data_offsets\":[0,4]}}", 4,
         "tensor w, byte 37"},
        {"{\"w\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[0]}}", 4, "tensor w, byte 57"},
        {"{\"w\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[0,4,4]}}", 4,
         "tensor w, byte 60"},
        {"{\"w\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[4,8]}}", 8, "tensor w"},
        {"{\"w\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[4,0]}}", 4, "tensor w"},
        {"{\"w\":{\"dtype\":\"F32\",\"shape\":[2],\"data_offsets\":[0,4]}}", 4, "tensor w"},
        {"{\"w\":{\"dtype\":\"F4\",\"shape\":[3],\"data_offsets\":[0,2]}}", 2, "tensor w"},
        {"{\"w\":{\"dtype\":\"F6_E2M3\",\"shape\":[2],\"data_offsets\":[0,2]}}", 2, "tensor w"},
        {"{\"w\":{\"dtype\":\"F32\",\"shape\":[4294967296,4294967296],\"data_offsets\":[0,0]}}", 0,
         "tensor w"},
        {"{\"w\":{\"dtype\":\"F32\",\"shape\":[4294967296,4294967296,0],\"data_offsets\":[0,0]}}",
         0, "tensor w"},
        {"{\"w\":{\"dtype\":\"F32\",\"shape\":[4611686018427387904],\"data_offsets\":[0,0]}}", 0,
         "tensor w"},
        {"{\"a\":{" W "},\"b\":{" W "}}", 4, "tensor b"},
        {"{\"a\":{" W "},\"b\":{\"dtype\":\"U8\",\"shape\":[1],\"data_offsets\":[3,4]}}", 4,
         "tensor b"},
        {"{\"a\":{" W "},\"b\":{\"dtype\":\"U8\",\"shape\":[1],\"data_offsets\":[5,6]}}", 6,
         "tensor b"},
        {"{\"__metadata__\":[],\"w\":{" W "}}", 4, "byte 24"},
        {"{\"__metadata__\":{\"a\":1},\"w\":{" W "}}", 4, "byte 29"},
        {"{\"__metadata__\":{\"a\":{}},\"w\":{" W "}}", 4, "byte 29"},
        {"{\"__metadata__\":{},\"__metadata__\":{}}", 0, "byte 27"},
    };
    for (size_t i = 0; i < sizeof table / sizeof *table; i++) {
        for (int lenient = 0; lenient < 2; lenient++) {
            outcome got;

            read_header(&got, table[i].header, table[i].data_bytes, lenient);

            assert_int_equal(got.code, WEIR_ERR_FORMAT);
            assert_int_equal(got.verdict, WEIR_VERDICT_MALFORMED);
            assert_string_equal(got.err.file, "m.safetensors");
            if (strcmp(got.err.at, table[i].at) != 0) {
                fail_msg("%s: at %s, not %s", table[i].header, got.err.at, table[i].at);
            }
            assert_true(got.err.expected[0] != '\0' && got.err.found[0] != '\0');
            assert_int_equal(got.table.count, 0);
            release(&got);
        }
    }
}

static void deviations_are_refused_or_accepted_and_named(void **state) {
    (void)state;
    static const struct {
        const char *header;
        const char *id;
        weir_verdict verdict;
    } table[] = {
        {" {\"w\":{" W "}}", "safetensors-leading-space", WEIR_VERDICT_CLEAN},
        {"{\"w\":{" W "}} \n", "safetensors-padding", WEIR_VERDICT_CLEAN},
        {"{\"__metadata__\":null,\"w\":{" W "}}", "safetensors-null-metadata", WEIR_VERDICT_CLEAN},
        {"{\"__metadata__\":{\"a\":\"b\",\"\\u0061\":\"c\"},\"w\":{" W "}}",
         "safetensors-duplicate-metadata-key", WEIR_VERDICT_SUSPICIOUS},
        {"{\"w\":{" W ",\"x\":[1,{\"y\":-2.5}]}}", "safetensors-unknown-field", WEIR_VERDICT_CLEAN},
        {"{\"w\":[\"F32\",[1],[0,4]]}", "safetensors-array-tensor", WEIR_VERDICT_SUSPICIOUS},
        {"{\"w\":{\"dtype\":{\"F32\":null},\"shape\":[1],\"data_offsets\":[0,4]}}",
         "safetensors-object-dtype", WEIR_VERDICT_SUSPICIOUS},
        {"{\"w\":{\"dtype\":\"I8\",\"shape\":[],\"data_offsets\":[9,4]},\"\\u0077\":{" W "}}",
         "safetensors-duplicate-tensor", WEIR_VERDICT_SUSPICIOUS},
    };
    for (size_t i = 0; i < sizeof table / sizeof *table; i++) {
        outcome got;
        read_header(&got, table[i].header, 4, /* lenient= */ false);
        assert_int_equal(got.code, WEIR_ERR_FORMAT);
        release(&got);

        read_header(&got, table[i].header, 4, /* lenient= */ true);

        assert_int_equal(got.code, WEIR_OK);
        assert_int_equal(got.verdict, table[i].verdict);
        assert_true(has_finding(&got, table[i].id));
        assert_int_equal(got.table.count, 1);
        assert_string_equal(got.table.items[0].name, "w");
        assert_int_equal(got.table.items[0].dtype, WEIR_DTYPE_F32);
        assert_int_equal(got.table.items[0].bytes, 4);
        release(&got);
    }
}

static void misleading_names_are_suspicious(void **state) {
    (void)state;
    static const struct {
        const char *name;
        const char *id;
    } table[] = {
        {"a\\u0000b", "safetensors-nul-in-name"},
        {"", "safetensors-empty-name"},
        {"a\\u001bb", "safetensors-control-in-name"},
        {"../x", "safetensors-path-name"},
        {"a/../../x", "safetensors-path-name"},
        {"..", "safetensors-path-name"},
        {"a\\\\..\\\\x", "safetensors-path-name"},
        {"/etc/passwd", "safetensors-path-name"},
        {"C:\\\\x", "safetensors-path-name"},
        {"\\\\\\\\host\\\\x", "safetensors-path-name"},
    };
    for (size_t i = 0; i < sizeof table / sizeof *table; i++) {
        char header[256];
        (void)snprintf(header, sizeof header, "{\"%s\":{" W "}}", table[i].name);
        outcome got;

        read_header(&got, header, 4, /* lenient= */ false);

        assert_int_equal(got.code, WEIR_OK);
        assert_int_equal(got.verdict, WEIR_VERDICT_SUSPICIOUS);
        assert_true(has_finding(&got, table[i].id));
        release(&got);
    }
}

static void a_nul_in_a_name_is_stored_escaped(void **state) {
    (void)state;
    outcome got;
    read_header(&got, "{\"a\\u0000b\":{" W "}}", 4, /* lenient= */ false);
    assert_string_equal(got.table.items[0].name, "a\\x00b");
    release(&got);
}

static void honest_names_are_clean(void **state) {
    (void)state;
    static const char *const names[] = {"model.layers.0.self_attn.q_proj.weight",
                                        "bert/encoder/layer_0/kernel:0",
                                        "/encoder/conv1/Conv.weight",
                                        "lora_unet_down_blocks_0.alpha",
                                        "a..b",
                                        "...",
                                        "w/..b",
                                        "\\u6743\\u91cd",
                                        "\xF0\x9F\x98\x80",
                                        "with space",
                                        "C:weight"};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        char header[256];
        (void)snprintf(header, sizeof header, "{\"%s\":{" W "}}", names[i]);
        outcome got;

        read_header(&got, header, 4, /* lenient= */ false);

        assert_int_equal(got.code, WEIR_OK);
        assert_int_equal(got.verdict, WEIR_VERDICT_CLEAN);
        release(&got);
    }
}

static void a_zero_before_an_overflow_makes_an_empty_tensor(void **state) {
    (void)state;
    outcome got;
    read_header(&got,
                "{\"w\":{\"dtype\":\"F32\",\"shape\":[0,18446744073709551615,18446744073709551615],"
                "\"data_offsets\":[0,0]}}",
                0, /* lenient= */ false);
    assert_int_equal(got.code, WEIR_OK);
    assert_int_equal(got.table.items[0].bytes, 0);
    assert_int_equal(got.verdict, WEIR_VERDICT_CLEAN);
    release(&got);
}

static void every_dtype_has_its_size(void **state) {
    (void)state;
    static const struct {
        const char *name;
        unsigned bits;
    } table[] = {{"BOOL", 8},        {"F4", 4},         {"F6_E2M3", 6}, {"F6_E3M2", 6}, {"U8", 8},
                 {"I8", 8},          {"F8_E5M2", 8},    {"F8_E4M3", 8}, {"F8_E8M0", 8}, {"I16", 16},
                 {"U16", 16},        {"F16", 16},       {"BF16", 16},   {"I32", 32},    {"U32", 32},
                 {"F32", 32},        {"C64", 64},       {"F64", 64},    {"I64", 64},    {"U64", 64},
                 {"F8_E4M3FNUZ", 8}, {"F8_E5M2FNUZ", 8}};
    for (size_t i = 0; i < sizeof table / sizeof *table; i++) {
        char header[256];
        (void)snprintf(header, sizeof header,
                       "{\"w\":{\"dtype\":\"%s\",\"shape\":[4],\"data_offsets\":[0,%u]}}",
                       table[i].name, table[i].bits / 2);
        outcome got;

        read_header(&got, header, table[i].bits / 2, /* lenient= */ false);

        assert_int_equal(got.code, WEIR_OK);
        assert_string_equal(weir_dtype_name(got.table.items[0].dtype), table[i].name);
        release(&got);
    }
}

static void limits_are_not_called_malformed(void **state) {
    (void)state;
    char header[2048];
    outcome got;
    read_header(&got,
                "{\"w\":{\"dtype\":\"F32\",\"shape\":[1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1],"
                "\"data_offsets\":[0,4]}}",
                4, /* lenient= */ false);
    assert_int_equal(got.code, WEIR_ERR_LIMIT);
    assert_int_equal(got.verdict, WEIR_VERDICT_NOT_ANALYSED);
    release(&got);

    strcpy(header, "{\"w\":{\"dtype\":\"F32\",\"shape\":[1");
    for (int i = 0; i < 64; i++) {
        strcat(header, ",1");
    }
    strcat(header, "],\"data_offsets\":[0,4]}}");
    read_header(&got, header, 4, /* lenient= */ false);
    assert_int_equal(got.code, WEIR_ERR_LIMIT);
    assert_true(has_finding(&got, "safetensors-rank"));
    release(&got);

    memset(header, 0, sizeof header);
    strcpy(header, "{\"");
    memset(header + 2, 'a', 1025);
    strcat(header, "\":{" W "}}");
    read_header(&got, header, 4, /* lenient= */ false);
    assert_int_equal(got.code, WEIR_ERR_LIMIT);
    release(&got);
}

static void every_prefix_of_a_file_is_refused(void **state) {
    (void)state;
    static const char header[] = "{\"__metadata__\":{\"a\":\"b\"},\"w\":{" W "}} ";
    unsigned char file[8 + sizeof header - 1 + 4] = {sizeof header - 1};
    memcpy(file + 8, header, sizeof header - 1);
    outcome got;
    for (size_t len = 0; len < sizeof file; len++) {
        read_bytes(&got, file, len, /* lenient= */ true);
        assert_int_equal(got.code, WEIR_ERR_FORMAT);
        release(&got);
    }
    read_bytes(&got, file, sizeof file, /* lenient= */ false);
    assert_int_equal(got.code, WEIR_OK);
    release(&got);
}

static void a_failure_takes_back_only_its_own_tensors(void **state) {
    (void)state;
    static const unsigned char good[] = "\x36\0\0\0\0\0\0\0{\"w\":{" W "}}\0\0\0\0";
    static const unsigned char bad[] = "\x36\0\0\0\0\0\0\0{\"w\":{" W "}}\0\0\0";
    tensor_table table = {0};
    weir_source *source = NULL;
    assert_int_equal(weir_source_open_memory(&source, good, sizeof good - 1, "a", NULL), WEIR_OK);
    assert_int_equal(safetensors_read(&(safetensors_target){.table = &table}, source, false, NULL),
                     WEIR_OK);
    assert_int_equal(
        safetensors_read(&(safetensors_target){.table = &table, .file = 1}, source, false, NULL),
        WEIR_OK);
    weir_source_free(source);
    assert_int_equal(weir_source_open_memory(&source, bad, sizeof bad - 1, "b", NULL), WEIR_OK);

    assert_int_equal(
        safetensors_read(&(safetensors_target){.table = &table, .file = 2}, source, false, NULL),
        WEIR_ERR_FORMAT);

    assert_int_equal(table.count, 2);
    weir_source_free(source);
    tensor_table_release(&table);
}

static void many_remarks_of_a_kind_are_counted(void **state) {
    (void)state;
    text_buffer header = {0};
    text_buffer_format(&header, "{");
    for (int i = 0; i < 1000; i++) {
        text_buffer_format(&header,
                           "\"../%d\":{\"dtype\":\"U8\",\"shape\":[1],\"data_offsets\":[%d,%d]}%s",
                           i, i, i + 1, i < 999 ? "," : "}");
    }
    outcome got;

    read_header(&got, header.data, 1000, /* lenient= */ false);

    assert_int_equal(got.code, WEIR_OK);
    assert_int_equal(got.table.count, 1000);
    assert_int_equal(weir_findings_count(got.findings), 6);
    assert_string_equal(weir_findings_get(got.findings, 5)->message, "995 more of these");
    release(&got);
    text_buffer_release(&header);
}

static void metadata_over_its_limit_is_refused(void **state) {
    (void)state;
    enum { LEN = 9 << 20 };
    char *value = malloc(LEN + 1);
    assert_non_null(value);
    memset(value, 'a', LEN);
    value[LEN] = '\0';
    text_buffer header = {0};
    text_buffer_format(&header, "{\"__metadata__\":{\"a\":\"%s\",\"b\":\"%s\"}}", value, value);
    outcome got;

    read_header(&got, header.data, 0, /* lenient= */ false);

    assert_int_equal(got.code, WEIR_ERR_LIMIT);
    release(&got);
    text_buffer_release(&header);
    free(value);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(tensors_are_listed_with_their_place_in_the_file),
        cmocka_unit_test(what_the_specification_forbids_is_refused),
        cmocka_unit_test(deviations_are_refused_or_accepted_and_named),
        cmocka_unit_test(misleading_names_are_suspicious),
        cmocka_unit_test(a_nul_in_a_name_is_stored_escaped),
        cmocka_unit_test(honest_names_are_clean),
        cmocka_unit_test(a_zero_before_an_overflow_makes_an_empty_tensor),
        cmocka_unit_test(every_dtype_has_its_size),
        cmocka_unit_test(limits_are_not_called_malformed),
        cmocka_unit_test(every_prefix_of_a_file_is_refused),
        cmocka_unit_test(a_failure_takes_back_only_its_own_tensors),
        cmocka_unit_test(many_remarks_of_a_kind_are_counted),
        cmocka_unit_test(metadata_over_its_limit_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
