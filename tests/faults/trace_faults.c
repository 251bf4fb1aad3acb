/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Traces, bundles, replays and files of lines, with each of their allocations failing in turn:
 * alone, and with all that follow. The call has to say so (WEIR_ERR_NOMEM), leave its out-parameter
 * alone, and, under the leak checker, lose nothing.
 */
#include <stdio.h>
#include <stdlib.h>

#include <weir/weir.h>

#include "allocation.h"
#include "models.h"

typedef weir_code (*call)(weir_error *err);

static FILE *sink; /* stdio's own buffer is there before anything fails */
static char base[256];
static char model[256];
static char bundle[256];
static char lines[256];

/* --- the calls --- */

/* Two models against one tracer, in every format. */
static weir_code run_traces(weir_error *err) {
    const weir_trace_options options = {.base_path = base, .jobs = 1, .keep_ranges = true};
    const weir_style style = {.unicode = true, .verbosity = 1};
    weir_tracer *tracer = NULL;
    weir_code code = weir_tracer_open(&tracer, &options, err);
    for (int i = 0; code == WEIR_OK && i < 2; i++) {
        weir_trace *trace = NULL;
        code = weir_tracer_trace(&trace, tracer, i == 0 ? model : base, i == 0 ? NULL : "b\n", err);
        for (weir_format format = WEIR_FORMAT_TABLE;
             code == WEIR_OK && format <= WEIR_FORMAT_BUNDLE; format++) {
            code = weir_report_trace(sink, format, &style, trace, err);
        }
        weir_trace_free(trace);
    }
    weir_tracer_free(tracer);
    return code;
}

static weir_code run_replay(weir_error *err) {
    const weir_replay_options options = {.jobs = 1};
    weir_replay *replay = NULL;
    weir_code code = weir_replay_run(&replay, bundle, model, &options, err);
    code = code == WEIR_OK ? weir_report_replay(sink, WEIR_FORMAT_TABLE, NULL, replay, err) : code;
    code = code == WEIR_OK ? weir_report_replay(sink, WEIR_FORMAT_JSON, NULL, replay, err) : code;
    weir_replay_free(replay);
    return code;
}

static weir_code run_lines(weir_error *err) {
    weir_trace_lines *read = NULL;
    const weir_code code = weir_trace_lines_open(&read, lines, err);
    weir_trace_lines_free(read);
    return code;
}

/* --- what they read --- */

static weir_code write_as(const char *path, weir_format format) {
    const weir_trace_options options = {.base_path = base, .keep_ranges = true};
    weir_trace *trace = NULL;
    FILE *const file = fopen(path, "w");
    weir_code code = file ? weir_trace_run(&trace, model, &options, NULL) : WEIR_ERR_IO;
    code = code == WEIR_OK ? weir_report_trace(file, format, NULL, trace, NULL) : code;
    if (file && fclose(file) != 0) {
        code = WEIR_ERR_IO;
    }
    weir_trace_free(trace);
    return code;
}

static bool prepare(void) {
    sink = tmpfile();
    (void)snprintf(base, sizeof base, "%s", models_path("base"));
    (void)snprintf(model, sizeof model, "%s", models_path("cast"));
    (void)snprintf(bundle, sizeof bundle, "%s", models_path("bundle"));
    (void)snprintf(lines, sizeof lines, "%s", models_path("lines"));
    return sink && write_as(bundle, WEIR_FORMAT_BUNDLE) == WEIR_OK &&
           write_as(lines, WEIR_FORMAT_JSONL) == WEIR_OK;
}

/* --- the faults --- */

/* @return how many failing allocations were not reported */
static int fail_each(const char *name, call run, bool onward) {
    int wrong = 0;
    bool has_failed = true;
    for (long i = 1; has_failed; i++) {
        weir_error failure = {0};
        rewind(sink);
        allocation_arm(i, onward);
        const weir_code code = run(&failure);
        has_failed = allocation_disarm();
        const weir_code expected = has_failed ? WEIR_ERR_NOMEM : WEIR_OK;
        if (code != expected || failure.code != expected) {
            (void)fprintf(stderr, "%s: allocation %ld%s: %s, not %s\n", name, i,
                          onward ? " and on" : "", weir_code_name(code), weir_code_name(expected));
            wrong++;
        }
    }
    return wrong;
}

int main(void) {
    static const struct {
        const char *name;
        call run;
    } calls[] = {{"traces", run_traces}, {"replay", run_replay}, {"lines", run_lines}};
    int wrong = 0;
    models_make();
    if (!prepare()) {
        perror("what the calls read");
        return EXIT_FAILURE;
    }
    for (size_t i = 0; i < sizeof calls / sizeof *calls; i++) {
        wrong += fail_each(calls[i].name, calls[i].run, false);
        wrong += fail_each(calls[i].name, calls[i].run, true);
    }
    (void)fclose(sink);
    return wrong == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
