/* SPDX-License-Identifier: Apache-2.0 */
/** @file opened.h  One text opened as a checkpoint of one file, for the tests of the parts'
 * readers. */
#ifndef WEIR_TESTS_FORMAT_OPENED_H
#define WEIR_TESTS_FORMAT_OPENED_H

#include "../testing.h"

#include "format/checkpoint.h"

typedef struct opened {
    checkpoint *model;
    weir_findings *findings;
} opened;

static inline opened open_bytes(const char *name, const void *data, size_t len) {
    opened out = {0};
    weir_source *source = NULL;
    weir_error err = {0};
    assert_int_equal(weir_findings_new(&out.findings, NULL), WEIR_OK);
    assert_int_equal(weir_source_open_memory(&source, data, len, name, NULL), WEIR_OK);
    if (checkpoint_open_source(&out.model, source, NULL, out.findings, &err) != WEIR_OK) {
        fail_msg("%s: %s %s", name, err.at, err.found);
    }
    assert_int_equal(out.model->file_count, 1);
    return out;
}

static inline opened open_text(const char *name, const char *text) {
    return open_bytes(name, text, strlen(text));
}

static inline void opened_release_cleanup(opened *file) {
    checkpoint_free(file->model);
    weir_findings_free(file->findings);
}

static inline const weir_finding *find_finding(const opened *file, const char *id) {
    for (size_t i = 0; i < weir_findings_count(file->findings); i++) {
        if (strcmp(weir_findings_get(file->findings, i)->id, id) == 0) {
            return weir_findings_get(file->findings, i);
        }
    }
    return NULL;
}

static inline void assert_claim(const opened *file, const char *name, const char *value) {
    const char *found = claims_find(&file->model->claims, name);
    if (!value) {
        assert_null(found);
    } else if (!found || strcmp(found, value) != 0) {
        fail_msg("%s is %s, not %s", name, found ? found : "absent", value);
    }
}

static inline void assert_file(const opened *file, const char *format, weir_verdict verdict) {
    assert_string_equal(file->model->files[0].format, format);
    assert_string_equal(weir_verdict_name(file->model->files[0].verdict),
                        weir_verdict_name(verdict));
}

/** One row of a refuse-table: what is wrong, where it is said to be, and what it makes of the file.
 */
typedef struct refusal {
    const char *text;
    const char *at;
    weir_verdict verdict;
} refusal;

static inline void assert_refused(const char *name, const refusal *rows, size_t count) {
    for (size_t i = 0; i < count; i++) {
        WEIR_CLEANUP(opened_release) opened file = open_text(name, rows[i].text);
        if (file.model->files[0].verdict != rows[i].verdict ||
            weir_findings_count(file.findings) == 0 ||
            strcmp(weir_findings_get(file.findings, 0)->at, rows[i].at) != 0) {
            fail_msg("%s row %zu is %s at \"%s\"", name, i,
                     weir_verdict_name(file.model->files[0].verdict),
                     weir_findings_count(file.findings) ? weir_findings_get(file.findings, 0)->at
                                                        : "no finding");
        }
    }
}

/** Every prefix of a text, and every byte of it replaced by each of some others, ends in an answer.
 */
static inline void assert_survives_changes(const char *name, const char *text) {
    static const char swaps[] = {'\0', '\xff', '"', '{', '[', '\n', '9'};
    const size_t len = strlen(text);
    char *changed = test_malloc(len + 1);
    for (size_t i = 0; i < len; i++) {
        WEIR_CLEANUP(opened_release) opened prefix = open_bytes(name, text, i);
        for (size_t k = 0; k < sizeof swaps; k++) {
            memcpy(changed, text, len);
            changed[i] = swaps[k];
            WEIR_CLEANUP(opened_release) opened file = open_bytes(name, changed, len);
        }
    }
    test_free(changed);
}

#endif
