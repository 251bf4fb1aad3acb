/* SPDX-License-Identifier: Apache-2.0 */
/** @file findings.h  The sink that parsers and rules write to. */
#ifndef WEIR_BASE_FINDINGS_H
#define WEIR_BASE_FINDINGS_H

#include "base/cleanup.h"
#include "weir/finding.h"

WEIR_DEFINE_CLEANUP(weir_findings *, weir_findings_free)

/**
 * Add a finding. Its file, place and message are copied and made printable; id must be static.
 *
 * @param findings  NULL drops the finding; running out of memory is remembered, see
 * findings_failed()
 * @param what      id, severity, verdict, file, at (file and at may be NULL); message is ignored
 */
__attribute__((format(printf, 3, 4))) void
findings_add(weir_findings *findings, const weir_finding *what, const char *format, ...);

/** Turn a parser's failure into a malformed (or not_analysed, for limits) finding of severity high.
 */
void findings_add_error(weir_findings *findings, const char *id, const weir_error *err);

/** The gravest verdict among the findings of `file`, at least `least`. */
weir_verdict findings_verdict(const weir_findings *findings, const char *file, weir_verdict least);

/** @return whether a finding was lost for lack of memory. */
int findings_failed(const weir_findings *findings);

#endif
