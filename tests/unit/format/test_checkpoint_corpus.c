/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The shared corpus of hostile files, against its manifest. Templates are judged by the template
 * room, so here a template's file has to give its template; every format without rules is
 * not_analysed.
 */
#include "opened.h"

#include <stdlib.h>

static const char corpus[] = SOURCE_ROOT "/../shared/corpus/hostile";

typedef struct manifest_row {
    char path[160];
    char format[24];
    char expected[16];
} manifest_row;

/* Columns: path, sha256, bytes, format, expected, and more that is not needed. */
static bool parse_row(manifest_row *out, const char *line) {
    return sscanf(line, "%159[^\t]\t%*[^\t]\t%*[^\t]\t%23[^\t]\t%15[^\t]", out->path, out->format,
                  out->expected) == 3;
}

static bool is_one_of(const char *text, const char *const *list) {
    for (; *list; list++) {
        if (strcmp(text, *list) == 0) {
            return true;
        }
    }
    return false;
}

static const char *expected_verdict(const manifest_row *row) {
    static const char *const read[] = {"gguf", "safetensors", "st-index", "json", NULL};
    if (!is_one_of(row->format, read)) {
        return "not_analysed";
    }
    return strcmp(row->expected, "benign") == 0 ? "clean" : row->expected;
}

static void check_row(const manifest_row *row) {
    char path[sizeof corpus + sizeof row->path];
    (void)snprintf(path, sizeof path, "%s/%s", corpus, row->path);
    WEIR_CLEANUP(opened_release) opened file = {0};
    assert_int_equal(weir_findings_new(&file.findings, NULL), WEIR_OK);
    assert_int_equal(checkpoint_open(&file.model, path, NULL, file.findings, NULL), WEIR_OK);
    const char *verdict = weir_verdict_name(file.model->files[0].verdict);
    if (file.model->template_count > 0 || strcmp(row->format, "chat-template") == 0) {
        assert_int_equal(file.model->template_count, 1);
        assert_string_equal(verdict, "clean");
    } else if (strcmp(verdict, expected_verdict(row)) != 0) {
        fail_msg("%s is %s, not %s", row->path, verdict, expected_verdict(row));
    }
    if (strcmp(verdict, "malformed") == 0) {
        assert_true(weir_findings_count(file.findings) > 0);
    }
}

static void the_corpus_gets_its_verdicts(void **state) {
    (void)state;
    char path[sizeof corpus + 16];
    (void)snprintf(path, sizeof path, "%s/MANIFEST.tsv", corpus);
    FILE *manifest = fopen(path, "r");
    if (!manifest) {
        print_message("no shared corpus beside the source tree\n");
        return;
    }
    char line[1024];
    size_t count = 0;
    assert_non_null(fgets(line, sizeof line, manifest)); /* the headings */
    while (fgets(line, sizeof line, manifest)) {
        manifest_row row;
        assert_true(parse_row(&row, line));
        check_row(&row);
        count++;
    }
    (void)fclose(manifest);
    assert_true(count > 0);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_corpus_gets_its_verdicts),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
