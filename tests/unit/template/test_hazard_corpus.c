/* SPDX-License-Identifier: Apache-2.0 */
/* The chat templates of the shared corpus of hostile files, against its manifest. */
#include "../testing.h"

#include <fcntl.h>
#include <stdlib.h>

#include "base/findings.h"
#include "base/text.h"
#include "io/json_reader.h"
#include "io/source.h"
#include "template/hazard.h"

static const char corpus[] = SOURCE_ROOT "/../shared/corpus/hostile";

static void read_whole(weir_source *source, text_buffer *out) {
    const uint64_t size = weir_source_size(source);
    char *bytes = malloc(size + 1);
    assert_non_null(bytes);
    assert_int_equal(weir_source_read(source, 0, bytes, size, NULL), WEIR_OK);
    text_buffer_add(out, bytes, size);
    free(bytes);
}

static void read_json_template(weir_source *source, text_buffer *out) {
    json_reader *reader = NULL;
    json_token token;
    assert_int_equal(json_reader_open(&reader, source, 0, weir_source_size(source), NULL, NULL),
                     WEIR_OK);
    do {
        assert_int_equal(json_reader_next(reader, &token, NULL), WEIR_OK);
        if (token.kind == JSON_KEY && json_token_is(&token, "chat_template")) {
            assert_int_equal(json_reader_next(reader, &token, NULL), WEIR_OK);
            assert_int_equal(token.kind, JSON_STRING);
            text_buffer_add(out, token.text, token.len);
        }
    } while (token.kind != JSON_END);
    json_reader_free(reader);
}

/* Other files are scanned whole: what stands around a template is text. */
static weir_verdict verdict_of(const char *path) {
    char name[4096];
    weir_source *source = NULL;
    weir_findings *findings = NULL;
    text_buffer text = {0};
    snprintf(name, sizeof name, "%s/%s", corpus, path);
    assert_int_equal(weir_source_open_file(&source, AT_FDCWD, name, path, NULL), WEIR_OK);
    if (strcmp(path + strlen(path) - 5, ".json") == 0) {
        read_json_template(source, &text);
    } else {
        read_whole(source, &text);
    }
    assert_int_equal(weir_findings_new(&findings, NULL), WEIR_OK);
    assert_int_equal(template_scan(text.data ? text.data : "", text.len, path, "", findings, NULL),
                     WEIR_OK);
    const weir_verdict verdict = findings_verdict(findings, path, WEIR_VERDICT_CLEAN);
    weir_findings_free(findings);
    weir_source_free(source);
    text_buffer_release(&text);
    return verdict;
}

static void templates_get_the_verdict_of_the_manifest(void **state) {
    (void)state;
    char line[4096];
    snprintf(line, sizeof line, "%s/MANIFEST.tsv", corpus);
    FILE *manifest = fopen(line, "r");
    if (!manifest) {
        print_message("no shared corpus beside the source tree\n");
        skip();
    }
    size_t count = 0;
    size_t wrong = 0;
    while (fgets(line, sizeof line, manifest)) {
        char path[1024];
        char format[64];
        char expected[64];
        if (sscanf(line, "%1023[^\t]\t%*[^\t]\t%*[^\t]\t%63[^\t]\t%63[^\t]", path, format,
                   expected) != 3 ||
            (strcmp(format, "chat-template") != 0 && !strstr(path, "mal_template_ssti"))) {
            continue;
        }
        const weir_verdict verdict = verdict_of(path);
        const char *name = verdict == WEIR_VERDICT_CLEAN ? "benign" : weir_verdict_name(verdict);
        if (strcmp(name, expected) != 0) {
            print_message("%s: %s, not %s\n", path, name, expected);
            wrong++;
        }
        count++;
    }
    (void)fclose(manifest);
    assert_in_range(count, 1, 10000);
    assert_int_equal(wrong, 0);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(templates_get_the_verdict_of_the_manifest),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
