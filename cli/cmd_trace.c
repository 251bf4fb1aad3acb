/* SPDX-License-Identifier: Apache-2.0 */
#include <weir/trace.h>

#include "base_folder.h"
#include "registry_place.h"
#include "session.h"

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

exit_status cmd_trace(const invocation *call) {
    static registry_place place; /* large: not on the stack */
    static char base_folder[PATH_MAX];
    exit_status status = registry_place_find(&place, call, /* make_folder= */ false);
    if (status != EXIT_DONE) {
        return status;
    }
    base_folder_find(base_folder);
    const char *inputs[3] = {call->operands[0]};
    session_places places = {.inputs = inputs, .input_count = 1};
    if (call->base) {
        inputs[places.input_count++] = call->base;
    }
    if (base_folder[0]) {
        inputs[places.input_count++] = base_folder;
    }
    registry_place_allow(&places, &place);
    cli_session session;
    status = session_begin_in(&session, call, &places);
    if (status != EXIT_DONE) {
        return status;
    }
    const weir_trace_options options = {
        .registry_path = place.path,
        .scratch = place.scratch[0] ? place.scratch : NULL,
        .base_folder = base_folder[0] ? base_folder : NULL,
        .base_path = call->base,
        .name = call->name,
        .callbacks = &session.callbacks,
        .jobs = call->jobs,
        .lenient = call->lenient,
        .digest = call->digest,
    };
    status = session_end(&session, run_trace(&session, &options));
    if (status == EXIT_DONE && call->base) {
        session_hint(&session, "weir diff %s %s", call->base, call->operands[0]);
    }
    return status;
}
