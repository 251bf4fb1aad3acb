/* SPDX-License-Identifier: Apache-2.0 */
#include "../sketch/sketches.h"

#include "base/text.h"
#include "evidence/bundle.h"

static const char hash[] = "00000000000000000000000000000000000000000000000000000000000000ff";

/* --- a bundle as text --- */

static void add_fingerprint(text_buffer *text, const fingerprint *sketch) {
    uint8_t *bytes = NULL;
    size_t len = 0;
    assert_int_equal(fingerprint_encode(&bytes, &len, sketch, NULL), WEIR_OK);
    for (size_t i = 0; i < len; i++) {
        text_buffer_format(text, "%02x", bytes[i]);
    }
    free(bytes);
}

static text_buffer bundle_text(size_t layers) {
    text_buffer text = {0};
    fingerprint *sketch = sketch_new(layers, 1);
    text_buffer_format(&text, "{\"schema\":\"weir.bundle/1\",\"lenient\":false,\"model\":{\"name\":"
                              "\"m\",\"payload_id\":null,\"fingerprint\":\"");
    add_fingerprint(&text, sketch);
    text_buffer_format(&text, "\"},\"verdict\":\"related\",\"entries\":5,\"candidates\":[{\"name\":"
                              "\"c\",\"verdict\":\"related\",\"direction\":\"unknown\","
                              "\"log10_p\":-9.5,\"matched_by\":\"rows\",\"payload_id\":null,"
                              "\"layers\":[{\"mine\":0,\"theirs\":1,\"matched\":16,\"of\":16}],"
                              "\"fingerprint\":\"");
    add_fingerprint(&text, sketch);
    text_buffer_format(&text,
                       "\"}],\"ranges\":[{\"file\":\"f\",\"offset\":8,\"bytes\":4,\"sha256\":"
                       "\"%s\"}]}",
                       hash);
    fingerprint_free(sketch);
    return text;
}

static weir_code read_text(bundle **out, const char *data, size_t len, weir_error *err) {
    weir_source *source = NULL;
    assert_int_equal(weir_source_open_memory(&source, data, len, "b.json", NULL), WEIR_OK);
    const weir_code code = bundle_read(out, source, err);
    weir_source_free(source);
    return code;
}

/* --- tests --- */

static void a_bundle_says_what_it_holds(void **state) {
    (void)state;
    text_buffer text = bundle_text(2);
    bundle *read = NULL;

    assert_int_equal(read_text(&read, text.data, text.len, NULL), WEIR_OK);

    assert_string_equal(read->name, "m");
    assert_int_equal(read->entries, 5);
    assert_int_equal(read->relation, WEIR_RELATION_RELATED);
    assert_int_equal(read->sketch->block_count, 2);
    assert_int_equal(read->candidate_count, 1);
    assert_true(read->candidates[0].log10_p == -9.5);
    assert_int_equal(read->candidates[0].layers[0].theirs, 1);
    assert_int_equal(read->candidates[0].layers[0].theirs_expert, EXPERT_NONE);
    assert_int_equal(read->range_count, 1);
    assert_int_equal(read->ranges[0].offset, 8);
    assert_string_equal(read->ranges[0].sha256, hash);
    bundle_free(read);
    text_buffer_release(&text);
}

/* Replaces the first `from`. */
static text_buffer replaced(const text_buffer *text, const char *from, const char *to) {
    text_buffer out = {0};
    const char *at = strstr(text->data, from);
    assert_non_null(at);
    text_buffer_add(&out, text->data, at - text->data);
    text_buffer_add(&out, to, strlen(to));
    text_buffer_add(&out, at + strlen(from), strlen(at + strlen(from)));
    return out;
}

static void what_breaks_the_format_is_refused_with_its_place(void **state) {
    (void)state;
    static const struct {
        const char *from;
        const char *to;
        weir_code code;
    } rows[] = {
        {"weir.bundle/1", "weir.bundle/2", WEIR_ERR_FORMAT},
        {"weir.bundle/1", "weir.trace/1", WEIR_ERR_FORMAT},
        {"\"lenient\":false,", "", WEIR_ERR_FORMAT},
        {"\"lenient\":false", "\"lenient\":0", WEIR_ERR_FORMAT},
        {"\"lenient\":false", "\"lenient\":false,\"lenient\":false", WEIR_ERR_FORMAT},
        {"\"name\":\"m\"", "\"name\":\"a\\u0000b\"", WEIR_ERR_FORMAT},
        {"\"name\":\"m\"", "\"name\":7", WEIR_ERR_FORMAT},
        {"\"model\":{", "\"model\":7,\"x\":{", WEIR_ERR_FORMAT},
        {"\"payload_id\":null", "\"payload_id\":\"ff\"", WEIR_ERR_FORMAT},
        {"\"payload_id\":null", "\"payload_id\":false", WEIR_ERR_FORMAT},
        {"5745495246", "5745495247", WEIR_ERR_FORMAT}, /* the fingerprint's mark */
        {"5745495246", "574549524", WEIR_ERR_FORMAT},  /* an odd number of digits */
        {"5745495246", "574549524G", WEIR_ERR_FORMAT},
        {"5745495246", "", WEIR_ERR_FORMAT},
        {"0d0a01000000", "0d0a02000000", WEIR_ERR_UNSUPPORTED}, /* its version */
        {"0d0a0100000002", "0d0a0100000003", WEIR_ERR_FORMAT},  /* its number of blocks */
        {"\"verdict\":\"related\",\"entries\"", "\"verdict\":\"no_link\",\"entries\"",
         WEIR_ERR_FORMAT},
        {"\"verdict\":\"related\",\"direction\"", "\"verdict\":\"no_link\",\"direction\"",
         WEIR_ERR_FORMAT},
        {"\"verdict\":\"related\"", "\"verdict\":\"guilty\"", WEIR_ERR_FORMAT},
        {"\"entries\":5", "\"entries\":0", WEIR_ERR_FORMAT},
        {"\"entries\":5", "\"entries\":-5", WEIR_ERR_FORMAT},
        {"\"entries\":5", "\"entries\":5.5", WEIR_ERR_FORMAT},
        {"\"entries\":5", "\"entries\":18446744073709551616", WEIR_ERR_FORMAT},
        {"\"entries\":5", "\"entries\":NaN", WEIR_ERR_FORMAT},
        {"\"candidates\":[{", "\"candidates\":[7,{", WEIR_ERR_FORMAT},
        {"\"candidates\":[{", "\"candidates\":{\"a\":{", WEIR_ERR_FORMAT},
        {"-9.5", "9.5", WEIR_ERR_FORMAT},
        {"-9.5", "-1e999", WEIR_ERR_FORMAT},
        {"-9.5", "\"-9.5\"", WEIR_ERR_FORMAT},
        {"\"unknown\"", "\"up\"", WEIR_ERR_FORMAT},
        {"\"rows\"", "\"names\"", WEIR_ERR_FORMAT},
        {"\"mine\":0", "\"mine\":4294967295", WEIR_ERR_FORMAT},
        {"\"mine\":0", "\"mine\":0,\"mine_expert\":8", WEIR_ERR_FORMAT},
        {"\"mine\":0,", "", WEIR_ERR_FORMAT},
        {"\"offset\":8", "\"offset\":9223372036854775808", WEIR_ERR_FORMAT},
        {"\"bytes\":4", "\"bytes\":\"4\"", WEIR_ERR_FORMAT},
        {"00ff\"", "00fF\"", WEIR_ERR_FORMAT},
        {"00ff\"", "0ff\"", WEIR_ERR_FORMAT},
        {"}]}", "}]}{", WEIR_ERR_FORMAT},
        {"}]}", "}]", WEIR_ERR_FORMAT},
    };
    text_buffer text = bundle_text(2);
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        text_buffer broken = replaced(&text, rows[i].from, rows[i].to);
        bundle *read = NULL;
        weir_error err = {0};

        const weir_code code = read_text(&read, broken.data, broken.len, &err);

        if (code != rows[i].code || !err.at[0]) {
            print_message("row %zu: %s to %s: %d at '%s'\n", i, rows[i].from, rows[i].to, code,
                          err.at);
        }
        assert_int_equal(code, rows[i].code);
        assert_null(read);
        assert_string_equal(err.file, "b.json");
        assert_true(err.at[0] != '\0');
        text_buffer_release(&broken);
    }
    text_buffer_release(&text);
}

static void every_prefix_is_refused(void **state) {
    (void)state;
    text_buffer text = bundle_text(0);
    for (size_t len = 0; len < text.len; len++) {
        bundle *read = NULL;
        char *exact = malloc(len + 1);
        memcpy(exact, text.data, len);
        assert_int_not_equal(read_text(&read, exact, len, NULL), WEIR_OK);
        assert_null(read);
        free(exact);
    }
    text_buffer_release(&text);
}

static void more_candidates_than_a_trace_keeps_are_refused(void **state) {
    (void)state;
    text_buffer text = bundle_text(0);
    const char *begin = strstr(text.data, "\"candidates\":[") + strlen("\"candidates\":[");
    const char *end = strstr(text.data, "],\"ranges\"");
    text_buffer many = {0};
    text_buffer_add(&many, text.data, begin - text.data);
    for (size_t i = 0; i <= TRACE_CANDIDATES_MAX; i++) {
        text_buffer_add(&many, begin, end - begin);
        text_buffer_add(&many, ",", i < TRACE_CANDIDATES_MAX);
    }
    text_buffer_add(&many, end, strlen(end));
    bundle *read = NULL;

    assert_int_equal(read_text(&read, many.data, many.len, NULL), WEIR_ERR_LIMIT);

    text_buffer_release(&many);
    text_buffer_release(&text);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_bundle_says_what_it_holds),
        cmocka_unit_test(what_breaks_the_format_is_refused_with_its_place),
        cmocka_unit_test(every_prefix_is_refused),
        cmocka_unit_test(more_candidates_than_a_trace_keeps_are_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
