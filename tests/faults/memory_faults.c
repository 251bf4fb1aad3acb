/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Every call of the public API, with each of its allocations failing in turn: alone, and with all
 * that follow. The call has to say so (WEIR_ERR_NOMEM), leave its out-parameter alone, and, under
 * the leak checker, lose nothing. usage: memory_faults SEED_FILE...
 */
#include <stdio.h>
#include <stdlib.h>

#include <weir/weir.h>

#include "allocation.h"
#include "models.h"

typedef struct scenario {
    const char *name;
    const char *base; /* NULL: inspect */
    const char *model;
    bool assess;
    bool digest;
} scenario;

static FILE *sink; /* stdio's own buffer is there before anything fails */

static weir_code report_inspection(const weir_inspection *done, weir_error *err) {
    const weir_style style = {.unicode = true, .verbosity = 1};
    const weir_code code = weir_report_inspections(sink, WEIR_FORMAT_JSON, &style, &done, 1, err);
    return code == WEIR_OK ? weir_report_inspections(sink, WEIR_FORMAT_TABLE, &style, &done, 1, err)
                           : code;
}

static weir_code report_diff(const weir_diff *done, weir_error *err) {
    const weir_style style = {.unicode = true, .verbosity = 1};
    const weir_code code = weir_report_diff(sink, WEIR_FORMAT_JSON, &style, done, err);
    return code == WEIR_OK ? weir_report_diff(sink, WEIR_FORMAT_TABLE, &style, done, err) : code;
}

static weir_code report_assessment(const weir_assessment *done, weir_error *err) {
    const weir_style style = {.unicode = true, .verbosity = 1};
    const weir_code code = weir_report_assessment(sink, WEIR_FORMAT_JSON, &style, done, err);
    return code == WEIR_OK ? weir_report_assessment(sink, WEIR_FORMAT_TABLE, &style, done, err)
                           : code;
}

static weir_code run_inspect(const scenario *at, weir_error *err) {
    const weir_inspect_options options = {.digest = at->digest};
    weir_inspection *done = NULL;
    weir_code code = weir_inspect(&done, at->model, &options, err);
    code = code == WEIR_OK ? report_inspection(done, err) : code;
    weir_inspection_free(done);
    return code;
}

static weir_code run_diff(const scenario *at, weir_error *err) {
    const weir_diff_options options = {.jobs = 2, .digest = at->digest};
    weir_diff *done = NULL;
    weir_code code = weir_diff_run(&done, at->base, at->model, &options, err);
    code = code == WEIR_OK ? report_diff(done, err) : code;
    weir_diff_free(done);
    return code;
}

static weir_code run_assess(const scenario *at, weir_error *err) {
    const weir_assess_options options = {.base_path = at->base, .jobs = 1, .digest = at->digest};
    weir_assessment *done = NULL;
    weir_code code = weir_assess(&done, at->model, &options, err);
    code = code == WEIR_OK ? report_assessment(done, err) : code;
    weir_assessment_free(done);
    return code;
}

static weir_code run(const scenario *at, weir_error *err) {
    rewind(sink);
    return at->assess ? run_assess(at, err) : at->base ? run_diff(at, err) : run_inspect(at, err);
}

/* @return whether the call ended as it has to; else says how it did */
static bool ends_as(const scenario *at, long number, bool onward, weir_code expected,
                    weir_code code, const weir_error *failure) {
    if (code == expected && (code == WEIR_OK || failure->code == code)) {
        return true;
    }
    (void)fprintf(stderr, "%s: allocation %ld%s: %s, not %s\n", at->name, number,
                  onward ? " and on" : "", weir_code_name(code), weir_code_name(expected));
    return false;
}

/* @return how many failing allocations were not reported */
static int fail_each(const scenario *at, bool onward) {
    weir_error unused;
    const weir_code whole = run(at, &unused);
    int wrong = 0;
    bool has_failed = true;
    for (long i = 1; has_failed; i++) {
        weir_error failure = {0};
        allocation_arm(i, onward);
        const weir_code code = run(at, &failure);
        has_failed = allocation_disarm();
        wrong += !ends_as(at, i, onward, has_failed ? WEIR_ERR_NOMEM : whole, code, &failure);
    }
    return wrong;
}

static int fail_all(const scenario *at) {
    return fail_each(at, false) + fail_each(at, true);
}

int main(int argc, char **argv) {
    models_make();
    sink = tmpfile();
    if (!sink) {
        perror("tmpfile");
        return EXIT_FAILURE;
    }
    const char *const base = models_path("base");
    const char *const fused = models_path("fused");
    const scenario scenarios[] = {
        {.name = "inspect", .model = models_path("base"), .digest = true},
        {.name = "inspect adapter", .model = models_path("adapter")},
        {.name = "diff cast", .base = base, .model = models_path("cast"), .digest = true},
        {.name = "diff edited", .base = base, .model = models_path("edited")},
        {.name = "diff fused", .base = fused, .model = fused},
        {.name = "diff packed", .base = base, .model = models_path("packed")},
        {.name = "diff adapter", .base = base, .model = models_path("adapter")},
        {.name = "assess",
         .base = base,
         .model = models_path("cast"),
         .assess = true,
         .digest = true},
    };
    int wrong = 0;
    for (size_t i = 0; i < sizeof scenarios / sizeof *scenarios; i++) {
        wrong += fail_all(&scenarios[i]);
    }
    for (int i = 1; i < argc; i++) {
        wrong += fail_all(&(scenario){.name = argv[i], .model = argv[i]});
        wrong += fail_all(&(scenario){.name = argv[i], .base = argv[i], .model = argv[i]});
    }
    (void)fclose(sink);
    return wrong == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
