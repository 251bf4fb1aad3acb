/* SPDX-License-Identifier: Apache-2.0 */
#include "trace_replay.h"

#include <weir/replay.h>

#include "failure.h"
#include "session.h"

static exit_status check_call(const invocation *call) {
    if (call->base || call->registry || call->resume || call->digest || call->lenient) {
        return failure_of_usage(call->command,
                                "--replay takes all it needs from the bundle and the model: it "
                                "goes with no --base, --registry, --resume, --digest, --lenient");
    }
    for (size_t i = 0; i < call->output_count; i++) {
        if (call->outputs[i].format != WEIR_FORMAT_TABLE &&
            call->outputs[i].format != WEIR_FORMAT_JSON) {
            return failure_of_usage(call->command, "--replay answers as table or json");
        }
    }
    return EXIT_DONE;
}

static weir_code write_result(FILE *stream, weir_format format, const weir_style *style,
                              const void *result, weir_error *err) {
    return weir_report_replay(stream, format, style, result, err);
}

static exit_status status_of(weir_replay_answer answer) {
    return answer == WEIR_REPLAY_REPRODUCED ? EXIT_DONE
           : answer == WEIR_REPLAY_DIFFERS  ? EXIT_ANSWER_NO
                                            : EXIT_EVIDENCE;
}

static exit_status run_replay(cli_session *session) {
    const invocation *const call = session->call;
    const weir_replay_options options = {
        .name = call->name, .callbacks = &session->callbacks, .jobs = call->jobs};
    weir_error err = {0};
    weir_replay *replay = NULL;
    if (weir_replay_run(&replay, call->replay, call->operands[0], &options, &err) != WEIR_OK) {
        return session_fail(session, &err);
    }
    exit_status status = session_write(session, write_result, replay);
    if (status == EXIT_DONE) {
        status = status_of(weir_replay_answer_of(replay));
    }
    weir_replay_free(replay);
    return status;
}

exit_status trace_replay(const invocation *call) {
    const char *const inputs[] = {call->operands[0], call->replay};
    cli_session session;
    exit_status status = check_call(call);
    if (status == EXIT_DONE) {
        status = session_begin(&session, call, inputs, sizeof inputs / sizeof *inputs);
    }
    return status == EXIT_DONE ? session_end(&session, run_replay(&session)) : status;
}
