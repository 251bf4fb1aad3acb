/* SPDX-License-Identifier: Apache-2.0 */
#include "../testing.h"

#include <stdlib.h>
#include <unistd.h>

#include "weir/trace_lines.h"

#define TRACE(name)                                                                                \
    "{\"schema\":\"weir.trace/1\",\"model\":{\"payload_id\":null,\"name\":\"" name "\"}}\n"
#define ERROR(name) "{\"schema\":\"weir.error/1\",\"code\":\"io\",\"model\":\"" name "\"}\n"

static weir_code open_text(weir_trace_lines **out, const char *text, size_t len, weir_error *err) {
    char path[] = "/tmp/weir-lines-XXXXXX";
    const int fd = mkstemp(path);
    assert_true(fd >= 0);
    assert_int_equal(write(fd, text, len), len);
    close(fd);
    const weir_code code = weir_trace_lines_open(out, path, err);
    unlink(path);
    return code;
}

static void whole_lines_are_found_and_taken_once_each(void **state) {
    (void)state;
    const char text[] = TRACE("b") ERROR("a\\n") TRACE("b") "{\"schema\":\"weir.tr";
    weir_trace_lines *lines = NULL;

    assert_int_equal(open_text(&lines, text, sizeof text - 1, NULL), WEIR_OK);

    assert_int_equal(weir_trace_lines_count(lines), 3);
    assert_int_equal(weir_trace_lines_bytes(lines), strlen(TRACE("b") ERROR("a\\n") TRACE("b")));
    assert_true(weir_trace_lines_take(lines, "a\n"));
    assert_false(weir_trace_lines_take(lines, "a\n"));
    assert_true(weir_trace_lines_take(lines, "b"));
    assert_true(weir_trace_lines_take(lines, "b"));
    assert_false(weir_trace_lines_take(lines, "b"));
    assert_false(weir_trace_lines_take(lines, "c"));
    weir_trace_lines_free(lines);
}

static void an_empty_file_has_no_lines(void **state) {
    (void)state;
    weir_trace_lines *lines = NULL;

    assert_int_equal(open_text(&lines, "", 0, NULL), WEIR_OK);

    assert_int_equal(weir_trace_lines_count(lines), 0);
    assert_int_equal(weir_trace_lines_bytes(lines), 0);
    assert_false(weir_trace_lines_take(lines, ""));
    weir_trace_lines_free(lines);
}

static void anything_else_is_refused_with_its_line(void **state) {
    (void)state;
    static const char *const rows[] = {
        "GGUF\n",
        "GGUF",
        "{\"schema\":\"weir.diff/1\",\"model\":\"a\"}\n",
        "{\"schema\":\"weir.trace/1\"}\n",
        "{\"schema\":\"weir.trace/1\",\"model\":{\"name\":7}}\n",
        "{\"model\":\"a\"}\n",
        "\n",
        "[]\n",
        TRACE("a") "x",
        TRACE("a") "{\"schema\":\"weir.diff/1",
        "{\"schema\":\"weir.trace/1\",\"model\":{\"name\":\"a\"}} {}\n",
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        weir_trace_lines *lines = NULL;
        weir_error err = {0};

        const weir_code code = open_text(&lines, rows[i], strlen(rows[i]), &err);

        assert_int_equal(code, WEIR_ERR_FORMAT);
        assert_null(lines);
        assert_true(err.at[0] != '\0');
    }
}

/* A line may begin and end in any piece that is read. */
static void lines_of_any_length_are_found(void **state) {
    (void)state;
    enum { LONG = 600000 };
    char *text = malloc(2 * LONG);
    weir_trace_lines *lines = NULL;
    int at = sprintf(text, "{\"schema\":\"weir.trace/1\",\"model\":{\"name\":\"a\"},\"x\":\"");
    memset(text + at, 'y', LONG);
    at += LONG;
    at += sprintf(text + at, "\"}\n" TRACE("b"));

    assert_int_equal(open_text(&lines, text, at, NULL), WEIR_OK);

    assert_int_equal(weir_trace_lines_bytes(lines), at);
    assert_true(weir_trace_lines_take(lines, "a"));
    assert_true(weir_trace_lines_take(lines, "b"));
    weir_trace_lines_free(lines);
    free(text);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(whole_lines_are_found_and_taken_once_each),
        cmocka_unit_test(an_empty_file_has_no_lines),
        cmocka_unit_test(anything_else_is_refused_with_its_line),
        cmocka_unit_test(lines_of_any_length_are_found),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
