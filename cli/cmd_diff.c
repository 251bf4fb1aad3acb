/* SPDX-License-Identifier: Apache-2.0 */
#include <weir/diff.h>

#include "session.h"

static weir_code write_result(FILE *stream, weir_format format, const weir_style *style,
                              const void *result, weir_error *err) {
    return weir_report_diff(stream, format, style, result, err);
}

exit_status cmd_diff(const invocation *call) {
    const char *base = call->operands[0];
    const char *model = call->operands[1];
    cli_session session;
    exit_status status = session_begin(&session, call, call->operands, call->operand_count);
    if (status != EXIT_DONE) {
        return status;
    }
    const weir_diff_options options = {
        .name = call->name,
        .callbacks = &session.callbacks,
        .jobs = call->jobs,
        .lenient = call->lenient,
        .digest = call->digest,
    };
    weir_error err = {0};
    weir_diff *diff = NULL;
    if (weir_diff_run(&diff, base, model, &options, &err) != WEIR_OK) {
        return session_end(&session, session_fail(&session, &err));
    }
    status = session_write(&session, write_result, diff);
    if (status == EXIT_DONE && call->exit_code && weir_diff_has_changes(diff)) {
        status = EXIT_ANSWER_NO;
    }
    weir_diff_free(diff);
    status = session_end(&session, status);
    if (status == EXIT_DONE) {
        session_hint(&session, "weir assess %s --base %s", model, base);
    }
    return status;
}
