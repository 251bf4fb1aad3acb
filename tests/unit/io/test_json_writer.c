/* SPDX-License-Identifier: Apache-2.0 */
#include "../testing.h"

#include <stdlib.h>

#include "io/json_writer.h"

static void write_document(json_writer *json) {
    json_object_begin(json);
    json_key(json, "a\n");
    json_array_begin(json);
    json_uint(json, 1);
    json_string(json, "b \x1b c");
    json_array_end(json);
    json_key(json, "e");
    json_object_begin(json);
    json_object_end(json);
    json_object_end(json);
}

static void assert_writes(json_writer (*init)(FILE *), const char *expected) {
    char *text = NULL;
    size_t len = 0;
    FILE *stream = open_memstream(&text, &len);
    json_writer json = init(stream);
    write_document(&json);
    assert_int_equal(json_writer_finish(&json, NULL), WEIR_OK);
    fclose(stream);
    assert_string_equal(text, expected);
    free(text);
}

static void a_compact_document_is_one_line(void **state) {
    (void)state;
    assert_writes(json_writer_init_compact, "{\"a\\n\":[1,\"b \\u001b c\"],\"e\":{}}\n");
}

static void a_plain_document_is_indented(void **state) {
    (void)state;
    assert_writes(json_writer_init,
                  "{\n  \"a\\n\": [\n    1,\n    \"b \\u001b c\"\n  ],\n  \"e\": {}\n}\n");
}

static void an_exact_double_comes_back(void **state) {
    (void)state;
    const double values[] = {0, -24.363338307630357, 1.0 / 3, 5e-324, 1.7976931348623157e308, 0.1};
    for (size_t i = 0; i < sizeof values / sizeof *values; i++) {
        char *text = NULL;
        size_t len = 0;
        FILE *stream = open_memstream(&text, &len);
        json_writer json = json_writer_init(stream);
        json_double_exact(&json, values[i]);
        assert_int_equal(json_writer_finish(&json, NULL), WEIR_OK);
        fclose(stream);
        assert_true(strtod(text, NULL) == values[i]);
        free(text);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_compact_document_is_one_line),
        cmocka_unit_test(a_plain_document_is_indented),
        cmocka_unit_test(an_exact_double_comes_back),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
