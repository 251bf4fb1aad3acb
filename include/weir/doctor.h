/* SPDX-License-Identifier: Apache-2.0 */
/** @file doctor.h  What this build and this machine support, as text or as weir.doctor/1. */
#ifndef WEIR_DOCTOR_H
#define WEIR_DOCTOR_H

#include <stdbool.h>
#include <stdio.h>

#include "weir/error.h"
#include "weir/sandbox.h"

#ifdef __cplusplus
extern "C" {
#endif

/**
 * Write the report. It names no host, user or path.
 *
 * @param json   weir.doctor/1 instead of lines for a person
 * @param level  the restriction that holds in this process, or NULL when none was asked for
 * @return WEIR_OK; WEIR_ERR_IO when the stream cannot be written; WEIR_ERR_NOMEM
 *
 * Not while other calls of weir run: it tries each SIMD level.
 */
WEIR_API weir_code weir_doctor_report(FILE *stream, bool json, const weir_sandbox_level *level,
                                      weir_error *err);

#ifdef __cplusplus
}
#endif
#endif
