/* SPDX-License-Identifier: Apache-2.0 */
#include <string.h>

#include <weir/diff.h>
#include <weir/trace.h>

#include "known_models.h"
#include "session.h"

/* What may have gone into the model: given, or found in a registry. Paths and names are borrowed
 * from the command line or from the trace. */
typedef struct candidates {
    const char *paths[PARENTS_MAX];
    const char *names[PARENTS_MAX];
    size_t count;
    weir_trace *trace; /* NULL unless a registry was searched */
} candidates;

static weir_code write_result(FILE *stream, weir_format format, const weir_style *style,
                              const void *result, weir_error *err) {
    return weir_report_diff(stream, format, style, result, err);
}

static bool wants_registry(const invocation *call) {
    return call->registry && call->parent_count == 0;
}

static exit_status begin(cli_session *session, const invocation *call, known_models *known) {
    const char *paths[2 + PARENTS_MAX];
    size_t count = 0;
    for (size_t i = 0; i < call->operand_count; i++) {
        paths[count++] = call->operands[i];
    }
    for (size_t i = 0; i < call->parent_count; i++) {
        paths[count++] = call->parents[i];
    }
    if (!wants_registry(call)) {
        return session_begin(session, call, paths, count);
    }
    const exit_status status = known_models_find(known, call);
    return status == EXIT_DONE ? known_models_begin(session, call, known, paths, count) : status;
}

/* The models of the registry that the model is linked to, nearest first. */
static weir_code search_registry(candidates *out, const cli_session *session,
                                 const known_models *known, weir_error *err) {
    const invocation *const call = session->call;
    const weir_trace_options options = {
        .registry_path = known->place.path,
        .scratch = known->place.scratch[0] ? known->place.scratch : NULL,
        .callbacks = &session->callbacks,
        .jobs = call->jobs,
        .lenient = call->lenient,
    };
    const weir_code code = weir_trace_run(&out->trace, call->operands[1], &options, err);
    const size_t found = code == WEIR_OK ? weir_trace_candidate_count(out->trace) : 0;
    for (size_t i = 0; i < found && i < PARENTS_MAX; i++) {
        out->paths[out->count] = weir_trace_candidate_location(out->trace, i);
        out->names[out->count++] = weir_trace_candidate_name(out->trace, i);
    }
    return code;
}

static weir_code find_candidates(candidates *out, const cli_session *session,
                                 const known_models *known, weir_error *err) {
    const invocation *const call = session->call;
    if (wants_registry(call)) {
        return search_registry(out, session, known, err);
    }
    out->count = call->parent_count;
    memcpy(out->paths, call->parents, sizeof out->paths);
    return WEIR_OK;
}

static weir_code run_diff(weir_diff **out, const cli_session *session, const candidates *parents,
                          weir_error *err) {
    const invocation *const call = session->call;
    const weir_diff_options options = {
        .name = call->name,
        .callbacks = &session->callbacks,
        .jobs = call->jobs,
        .lenient = call->lenient,
        .digest = call->digest,
        .parents = parents->paths,
        .parent_names = parents->trace ? parents->names : NULL,
        .parent_count = parents->count,
    };
    return weir_diff_run(out, call->operands[0], call->operands[1], &options, err);
}

exit_status cmd_diff(const invocation *call) {
    static known_models known; /* large: not on the stack */
    candidates parents = {.count = 0};
    cli_session session;
    weir_error err = {0};
    weir_diff *diff = NULL;
    exit_status status = begin(&session, call, &known);
    if (status != EXIT_DONE) {
        return status;
    }
    weir_code code = find_candidates(&parents, &session, &known, &err);
    if (code == WEIR_OK) {
        code = run_diff(&diff, &session, &parents, &err);
    }
    weir_trace_free(parents.trace);
    if (code != WEIR_OK) {
        return session_end(&session, session_fail(&session, &err));
    }
    status = session_write(&session, write_result, diff);
    if (status == EXIT_DONE && call->exit_code && weir_diff_has_changes(diff)) {
        status = EXIT_ANSWER_NO;
    } else if (status == EXIT_DONE && !weir_diff_is_whole(diff)) {
        status = EXIT_INPUT; /* what could be read is shown */
    }
    weir_diff_free(diff);
    status = session_end(&session, status);
    if (status == EXIT_DONE) {
        session_hint(&session, "weir assess %s --base %s", call->operands[1], call->operands[0]);
    }
    return status;
}
