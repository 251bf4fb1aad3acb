/* SPDX-License-Identifier: Apache-2.0 */
#include "../testing.h"

#include <stdlib.h>

#include "base/findings.h"
#include "base/text.h"
#include "format/safetensors.h"

typedef struct outcome {
    weir_code code;
    weir_verdict verdict;
    weir_error err;
    safetensors_index index;
    weir_findings *findings;
} outcome;

static void read_index(outcome *out, const char *json, size_t len) {
    weir_source *source = NULL;
    *out = (outcome){0};
    assert_int_equal(weir_findings_new(&out->findings, NULL), WEIR_OK);
    assert_int_equal(weir_source_open_memory(&source, json, len, "i.json", NULL), WEIR_OK);
    out->code = safetensors_index_read(&out->index, source, out->findings, &out->err);
    if (out->code != WEIR_OK) {
        findings_add_error(out->findings, "index-malformed", &out->err);
    }
    out->verdict = findings_verdict(out->findings, "i.json", WEIR_VERDICT_CLEAN);
    weir_source_free(source);
}

static void release(outcome *out) {
    safetensors_index_release(&out->index);
    weir_findings_free(out->findings);
}

static void tensors_are_mapped_to_distinct_shards(void **state) {
    (void)state;
    static const char json[] =
        "{\"metadata\": {\"total_size\": 30, \"total_parameters\": 15, \"x\": {\"total_size\": "
        "1}},\n"
        " \"writer\": [1, {}],\n"
        " \"weight_map\": {\"a\": \"m-2.safetensors\", \"b\": \"m-1.safetensors\", "
        "\"c\": \"m-2.safetensors\"}}\n";
    outcome got;

    read_index(&got, json, sizeof json - 1);

    assert_int_equal(got.code, WEIR_OK);
    assert_int_equal(got.verdict, WEIR_VERDICT_CLEAN);
    assert_int_equal(got.index.total_size, 30);
    assert_int_equal(got.index.shard_count, 2);
    assert_string_equal(got.index.shards[0], "m-2.safetensors");
    assert_string_equal(got.index.shards[1], "m-1.safetensors");
    assert_int_equal(got.index.entry_count, 3);
    assert_string_equal(got.index.entries[1].tensor, "b");
    assert_int_equal(got.index.entries[1].shard, 1);
    assert_int_equal(got.index.entries[2].shard, 0);
    release(&got);

    for (size_t len = 0; len < sizeof json - 2; len++) {
        read_index(&got, json, len);
        assert_int_equal(got.code, WEIR_ERR_FORMAT);
        assert_int_equal(got.index.entry_count, 0);
        release(&got);
    }
}

static void a_total_size_may_be_a_float(void **state) {
    (void)state;
    static const struct {
        const char *text;
        uint64_t size;
    } table[] = {{"1.5e3", 1500}, {"30.0", 30}, {"-1", 0}, {"0.5", 0}, {"1e300", 0}, {"\"x\"", 0}};
    for (size_t i = 0; i < sizeof table / sizeof *table; i++) {
        char json[128];
        (void)snprintf(json, sizeof json, "{\"metadata\":{\"total_size\":%s},\"weight_map\":{}}",
                       table[i].text);
        outcome got;
        read_index(&got, json, strlen(json));
        assert_int_equal(got.code, WEIR_OK);
        assert_int_equal(got.index.total_size, table[i].size);
        release(&got);
    }
}

static void a_shard_outside_the_folder_is_malicious(void **state) {
    (void)state;
    static const char *const names[] = {"/etc/passwd",
                                        "../m.safetensors",
                                        "a/../../m",
                                        "..",
                                        "a/..",
                                        "..\\\\m",
                                        "a\\\\..\\\\m",
                                        "\\\\\\\\host\\\\m",
                                        "C:m",
                                        "c:\\\\m",
                                        "m.st\\u0000.png",
                                        "~/m",
                                        "https://host/m",
                                        "\\u002e\\u002e/m"};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        char json[128];
        (void)snprintf(json, sizeof json, "{\"weight_map\":{\"w\":\"%s\"}}", names[i]);
        outcome got;

        read_index(&got, json, strlen(json));

        assert_int_equal(got.code, WEIR_ERR_FORMAT);
        assert_int_equal(got.verdict, WEIR_VERDICT_MALICIOUS);
        assert_string_equal(weir_findings_get(got.findings, 0)->id, "index-shard-outside");
        release(&got);
    }
}

static void honest_shard_names_are_accepted(void **state) {
    (void)state;
    static const char *const names[] = {"model-00001-of-00002.safetensors",
                                        "sub/m.safetensors",
                                        "..m",
                                        "m..",
                                        "a..b/m",
                                        ".m",
                                        "./m",
                                        "~m"};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        char json[128];
        (void)snprintf(json, sizeof json, "{\"weight_map\":{\"w\":\"%s\"}}", names[i]);
        outcome got;

        read_index(&got, json, strlen(json));

        assert_int_equal(got.code, WEIR_OK);
        release(&got);
    }
}

static void what_is_no_index_is_refused(void **state) {
    (void)state;
    static const struct {
        const char *json;
        const char *at;
    } table[] = {
        {"[]", "byte 0"},
        {"{}", "byte 1"},
        {"{\"metadata\":{}}", "byte 14"},
        {"{\"weight_map\":[]}", "byte 14"},
        {"{\"weight_map\":{\"a\":1}}", "byte 19"},
        {"{\"weight_map\":{\"a\":\"\"}}", "byte 19"},
        {"{\"weight_map\":{\"a\":\"m\",\"\\u0061\":\"m\"}}", "byte 23"},
        {"{\"weight_map\":{\"a\\u0000\":\"m\"}}", "byte 15"},
        {"{\"weight_map\":{},\"weight_map\":{}}", "byte 17"},
        {"{\"metadata\":{},\"metadata\":{},\"weight_map\":{}}", "byte 15"},
        {"{\"weight_map\":{}} x", "byte 18"},
    };
    for (size_t i = 0; i < sizeof table / sizeof *table; i++) {
        outcome got;

        read_index(&got, table[i].json, strlen(table[i].json));

        assert_int_equal(got.code, WEIR_ERR_FORMAT);
        assert_int_equal(got.verdict, WEIR_VERDICT_MALFORMED);
        assert_string_equal(got.err.at, table[i].at);
        release(&got);
    }
}

static void too_many_shards_are_refused(void **state) {
    (void)state;
    for (int count = 4096; count <= 4097; count++) {
        text_buffer json = {0};
        text_buffer_format(&json, "{\"weight_map\":{");
        for (int i = 0; i < count; i++) {
            text_buffer_format(&json, "%s\"t%d\":\"s%d\"", i > 0 ? "," : "", i, i);
        }
        text_buffer_format(&json, "}}");
        outcome got;

        read_index(&got, json.data, json.len);

        assert_int_equal(got.code, count == 4096 ? WEIR_OK : WEIR_ERR_LIMIT);
        release(&got);
        text_buffer_release(&json);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(tensors_are_mapped_to_distinct_shards),
        cmocka_unit_test(a_total_size_may_be_a_float),
        cmocka_unit_test(a_shard_outside_the_folder_is_malicious),
        cmocka_unit_test(honest_shard_names_are_accepted),
        cmocka_unit_test(what_is_no_index_is_refused),
        cmocka_unit_test(too_many_shards_are_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
