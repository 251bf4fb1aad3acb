/* SPDX-License-Identifier: Apache-2.0 */
#include <weir/doctor.h>

#include "session.h"

static weir_code write_result(FILE *stream, weir_format format, const weir_style *style,
                              const void *result, weir_error *err) {
    (void)style;
    return weir_doctor_report(stream, format == WEIR_FORMAT_JSON, result, err);
}

exit_status cmd_doctor(const invocation *call) {
    cli_session session;
    const exit_status status = session_begin(&session, call, NULL, 0);
    if (status != EXIT_DONE) {
        return status;
    }
    return session_end(&session, session_write(&session, write_result, &session.level));
}
