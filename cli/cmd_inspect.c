/* SPDX-License-Identifier: Apache-2.0 */
#include <stdlib.h>

#include <weir/inspect.h>

#include "failure.h"
#include "session.h"

typedef struct inspections {
    weir_inspection **items;
    size_t count;
} inspections;

static weir_code write_result(FILE *stream, weir_format format, const weir_style *style,
                              const void *result, weir_error *err) {
    const inspections *all = result;
    return weir_report_inspections(stream, format, style,
                                   (const weir_inspection *const *)all->items, all->count, err);
}

/* One model that cannot be opened does not keep the others from being shown. */
static exit_status inspect_all(cli_session *session, inspections *all) {
    const invocation *call = session->call;
    const weir_inspect_options options = {
        .name = call->name,
        .callbacks = &session->callbacks,
        .lenient = call->lenient,
        .digest = call->digest,
    };
    exit_status status = EXIT_DONE;
    for (size_t i = 0; i < call->operand_count && status != EXIT_INTERRUPTED; i++) {
        weir_error err = {0};
        weir_inspection *inspection = NULL;
        if (weir_inspect(&inspection, call->operands[i], &options, &err) != WEIR_OK) {
            const exit_status failed =
                call->operand_count > 1 ? failure_report_line(&err) : session_fail(session, &err);
            status = status == EXIT_DONE || failed == EXIT_INTERRUPTED ? failed : status;
            continue;
        }
        all->items[all->count++] = inspection;
        if (!weir_inspection_is_analysable(inspection) && status == EXIT_DONE) {
            status = EXIT_INPUT;
        }
    }
    return status;
}

static void hint(const cli_session *session, exit_status status) {
    if (status == EXIT_DONE && session->call->operand_count == 1) {
        session_hint(session, "weir assess %s --base BASE", session->call->operands[0]);
    }
}

exit_status cmd_inspect(const invocation *call) {
    if (call->name && call->operand_count > 1) {
        return failure_of_usage(call->command, "--name is for one model");
    }
    cli_session session;
    exit_status status = session_begin(&session, call, call->operands, call->operand_count);
    if (status != EXIT_DONE) {
        return status;
    }
    inspections all = {.items = calloc(call->operand_count, sizeof(weir_inspection *))};
    if (!all.items) {
        return session_end(&session, failure_of_memory(call));
    }
    status = inspect_all(&session, &all);
    if (all.count > 0 && status != EXIT_INTERRUPTED) {
        const exit_status written = session_write(&session, write_result, &all);
        status = written == EXIT_DONE ? status : written;
    }
    status = session_end(&session, status);
    hint(&session, status);
    for (size_t i = 0; i < all.count; i++) {
        weir_inspection_free(all.items[i]);
    }
    free(all.items);
    return status;
}
