/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file hazard.h  What a chat template must not ask of a Jinja engine.
 *
 * The attack is server-side template injection: from any value through attributes (__class__, mro,
 * __globals__ ...) to imports and commands [CVE-2024-34359]. A chat template needs none of these.
 */
#ifndef WEIR_TEMPLATE_HAZARD_H
#define WEIR_TEMPLATE_HAZARD_H

#include "base/findings.h"

/** Scan one template; findings carry `file` and a place of `at` plus the line. @return WEIR_OK;
 * WEIR_ERR_NOMEM */
weir_code template_scan(const char *text, size_t len, const char *file, const char *at,
                        weir_findings *findings, weir_error *err);

#endif
