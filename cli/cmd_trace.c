/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>

#include <weir/trace.h>

#include "failure.h"
#include "known_models.h"
#include "session.h"
#include "trace_many.h"
#include "trace_replay.h"

static weir_code write_result(FILE *stream, weir_format format, const weir_style *style,
                              const void *result, weir_error *err) {
    return weir_report_trace(stream, format, style, result, err);
}

static exit_status run_trace(cli_session *session, const weir_trace_options *options) {
    weir_error err = {0};
    weir_trace *trace = NULL;
    if (weir_trace_run(&trace, session->call->operands[0], options, &err) != WEIR_OK) {
        return session_fail(session, &err);
    }
    const exit_status status = session_write(session, write_result, trace);
    weir_trace_free(trace);
    return status;
}

static bool wants_bundle(const invocation *call) {
    bool is_wanted = false;
    for (size_t i = 0; i < call->output_count; i++) {
        is_wanted |= call->outputs[i].format == WEIR_FORMAT_BUNDLE;
    }
    return is_wanted;
}

static exit_status check_call(const invocation *call, bool is_many) {
    if (is_many && !call->replay) {
        return trace_many_check(call);
    }
    if (call->operand_count > 1) {
        return failure_of_usage(call->command, "one argument too many: '%s'; --jsonl takes several",
                                call->operands[1]);
    }
    return EXIT_DONE;
}

/* The trace or the many; the session has begun. */
static exit_status trace_in(cli_session *session, const known_models *known, FILE *kept) {
    const invocation *const call = session->call;
    const weir_trace_options options = {
        .registry_path = known->place.path,
        .scratch = known->place.scratch[0] ? known->place.scratch : NULL,
        .base_folder = known->base_folder[0] ? known->base_folder : NULL,
        .base_path = call->base,
        .name = call->name,
        .callbacks = &session->callbacks,
        .jobs = call->jobs,
        .lenient = call->lenient,
        .digest = call->digest,
        .keep_ranges = wants_bundle(call),
    };
    return trace_many_is_asked(call) ? trace_many_run(session, &options, kept)
                                     : run_trace(session, &options);
}

/* What may be read: what was given, and what is known. */
static exit_status begin(cli_session *session, const invocation *call, const known_models *known) {
    static const char *paths[OPERANDS_MAX + 2]; /* large: not on the stack */
    size_t count = 0;
    for (size_t i = 0; i < call->operand_count; i++) {
        paths[count++] = call->operands[i];
    }
    if (call->base) {
        paths[count++] = call->base;
    }
    if (call->resume) {
        paths[count++] = call->resume;
    }
    return known_models_begin(session, call, known, paths, count);
}

exit_status cmd_trace(const invocation *call) {
    static known_models known; /* large: not on the stack */
    FILE *kept = NULL;
    cli_session session;
    const bool is_many = trace_many_is_asked(call);
    exit_status status = check_call(call, is_many);
    if (status == EXIT_DONE && call->replay) {
        return trace_replay(call);
    }
    if (status == EXIT_DONE) {
        status = known_models_find(&known, call);
    }
    if (status == EXIT_DONE) {
        status = trace_many_open(&kept, call);
    }
    if (status != EXIT_DONE) {
        return status;
    }
    status = begin(&session, call, &known);
    if (status == EXIT_DONE) {
        status = session_end(&session, trace_in(&session, &known, kept));
        if (status == EXIT_DONE && call->base && !is_many) {
            session_hint(&session, "weir diff %s %s", call->base, call->operands[0]);
        }
    }
    if (kept && fclose(kept) != 0 && status == EXIT_DONE) {
        status = failure_of_system(call, call->resume, "room for the lines", errno);
    }
    return status;
}
