/* SPDX-License-Identifier: Apache-2.0 */
#include <weir/assess.h>

#include "known_models.h"
#include "session.h"

static weir_code write_result(FILE *stream, weir_format format, const weir_style *style,
                              const void *result, weir_error *err) {
    return weir_report_assessment(stream, format, style, result, err);
}

/* The gate: no when the tier reaches the limit for sure, undecided when it only may. */
static exit_status gate(const weir_assessment *assessment, int fail_on) {
    if (fail_on == FAIL_ON_UNSET) {
        return EXIT_DONE;
    }
    int low = 0;
    int high = 0;
    weir_assessment_tier(assessment, &low, &high);
    if (low >= fail_on) {
        return EXIT_ANSWER_NO;
    }
    return high < fail_on ? EXIT_DONE : EXIT_EVIDENCE;
}

/* A model that could not be read whole is shown, but no gate may pass on it. */
static exit_status judge(const weir_assessment *assessment, const invocation *call) {
    if (!weir_inspection_is_analysable(weir_assessment_inspection(assessment))) {
        return EXIT_INPUT;
    }
    return gate(assessment, call->fail_on);
}

static void hint(const cli_session *session, exit_status status) {
    const invocation *call = session->call;
    if (status != EXIT_DONE) {
        return;
    }
    if (call->base) {
        session_hint(session, "weir diff -v %s %s", call->base, call->operands[0]);
    } else {
        session_hint(session, "weir assess %s --base BASE", call->operands[0]);
    }
}

/* With a base only that is read; without one the known models are searched for it. */
static exit_status begin(cli_session *session, const invocation *call, known_models *known) {
    const char *const inputs[] = {call->operands[0], call->base};
    if (call->base) {
        return session_begin(session, call, inputs, 2);
    }
    const exit_status status = known_models_find(known, call);
    return status == EXIT_DONE ? known_models_begin(session, call, known, inputs, 1) : status;
}

exit_status cmd_assess(const invocation *call) {
    static known_models known; /* large: not on the stack */
    cli_session session;
    exit_status status = begin(&session, call, &known);
    if (status != EXIT_DONE) {
        return status;
    }
    const weir_assess_options options = {
        .base_path = call->base,
        .registry_path = known.place.path[0] ? known.place.path : NULL,
        .scratch = known.place.scratch[0] ? known.place.scratch : NULL,
        .base_folder = known.base_folder[0] ? known.base_folder : NULL,
        .name = call->name,
        .callbacks = &session.callbacks,
        .jobs = call->jobs,
        .lenient = call->lenient,
        .digest = call->digest,
    };
    weir_error err = {0};
    weir_assessment *assessment = NULL;
    if (weir_assess(&assessment, call->operands[0], &options, &err) != WEIR_OK) {
        return session_end(&session, session_fail(&session, &err));
    }
    status = session_write(&session, write_result, assessment);
    if (status == EXIT_DONE) {
        status = judge(assessment, call);
    }
    weir_assessment_free(assessment);
    status = session_end(&session, status);
    hint(&session, status);
    return status;
}
