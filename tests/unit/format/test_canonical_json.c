/* SPDX-License-Identifier: Apache-2.0 */
#include "../testing.h"

#include "format/canonical_json.h"

static weir_code hash_text(char out[DIGEST_TEXT_BYTES], const char *text, uint64_t begin,
                           weir_error *err) {
    weir_source *source = NULL;
    uint8_t hash[DIGEST_BYTES];
    assert_int_equal(weir_source_open_memory(&source, text, strlen(text), "x.json", NULL), WEIR_OK);
    const weir_code code = canonical_json_hash(hash, source, begin, err);
    if (code == WEIR_OK) {
        digest_format(out, hash);
    }
    weir_source_free(source);
    return code;
}

/* hashlib.sha256(json.dumps(json.loads(text), sort_keys=True, separators=(",", ":"),
 *                           ensure_ascii=False).encode()).hexdigest() of Python 3.11. */
static void every_spelling_of_a_value_has_the_hash_of_pythons_json(void **state) {
    (void)state;
    static const char *const rows[][2] = {
        {"{\"b\": [1, 2.5, true], \"a\": {\"z\": null, \"y\": \"\\u00e4\\n\\\"\\u0001\"}}",
         "5a73964be9214b0ce82a490b6e5dc67582af21b64021e2f6fc97aefee12fe696"},
        {"{ \"a\":{\"y\":\"\xC3\xA4\\u000a\\u0022\\u0001\",\"z\":null},\n\"b\":[1,2.5,true]}",
         "5a73964be9214b0ce82a490b6e5dc67582af21b64021e2f6fc97aefee12fe696"},
        {"[]", "4f53cda18c2baa0c0354bb5f9a3ecbe5ed12ab4d8e11ba873c2f11161202b945"},
        {"\"x\"", "ba2df4903a2c14e86dc3bcca58911b44ac1d2514b7227bf6eb08cfb978f55a1b"},
        {"{}", "44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a"},
        {"[{\"b\":1,\"a\":2,\"\":[{}]}]",
         "46d4cff1eac1fe6600fd9c4fba659d50625516b2d087d66d4a96f9d7a055dcfb"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        char text[DIGEST_TEXT_BYTES] = "";

        assert_int_equal(hash_text(text, rows[i][0], 0, NULL), WEIR_OK);

        assert_string_equal(text, rows[i][1]);
    }
}

static void a_value_inside_a_document_ends_where_it_ends(void **state) {
    (void)state;
    char text[DIGEST_TEXT_BYTES] = "";

    assert_int_equal(hash_text(text, "{\"a\": [], \"b\": nonsense", 6, NULL), WEIR_OK);

    assert_string_equal(text, "4f53cda18c2baa0c0354bb5f9a3ecbe5ed12ab4d8e11ba873c2f11161202b945");
}

static void what_is_no_value_is_refused_with_its_byte(void **state) {
    (void)state;
    static const char *const rows[] = {"", "{\"a\": ", "[1, ", "{\"a\" 1}", "]"};
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        char text[DIGEST_TEXT_BYTES] = "";
        weir_error err = {0};

        assert_int_equal(hash_text(text, rows[i], 0, &err), WEIR_ERR_FORMAT);

        assert_int_equal(strncmp(err.at, "byte ", 5), 0);
    }
}

static void a_value_over_the_limit_is_refused(void **state) {
    (void)state;
    enum { PIECE = 1 << 20, PIECES = 17 };
    static const size_t len = (size_t)PIECES * (PIECE + 3) + 2;
    char *document = test_malloc(len + 1);
    size_t at = 0;
    document[at++] = '[';
    for (size_t i = 0; i < PIECES; i++) {
        document[at++] = '"';
        memset(document + at, 'a', PIECE);
        at += PIECE;
        document[at++] = '"';
        document[at++] = i + 1 < PIECES ? ',' : ']';
    }
    document[at] = '\0';
    char text[DIGEST_TEXT_BYTES] = "";

    assert_int_equal(hash_text(text, document, 0, NULL), WEIR_ERR_LIMIT);

    test_free(document);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_spelling_of_a_value_has_the_hash_of_pythons_json),
        cmocka_unit_test(a_value_inside_a_document_ends_where_it_ends),
        cmocka_unit_test(what_is_no_value_is_refused_with_its_byte),
        cmocka_unit_test(a_value_over_the_limit_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
