/* SPDX-License-Identifier: Apache-2.0 */
/** @file tables.h  The human form of each result. */
#ifndef WEIR_REPORT_TABLES_H
#define WEIR_REPORT_TABLES_H

#include "base/text.h"
#include "report/paint.h"
#include "weir/registry.h"

/** One inspection: verdict line, then what it is, claims, findings, files. */
void inspection_print(const paint *out, const weir_inspection *inspection);

/** One comparison: verdict line, the onion, the heat strip, the most changed tensors. */
void diff_print(const paint *out, const weir_diff *diff);

/** The whole answer. */
void assessment_print(const paint *out, const weir_assessment *assessment);

/** One trace: verdict line, candidates, layers, the test and its power. */
void trace_print(const paint *out, const weir_trace *trace);

/** One replay of a bundle: whether it is reproduced, then each part. */
void replay_print(const paint *out, const weir_replay *replay);

/** What was asked of a registry. */
void registry_print(const paint *out, const weir_registry_listing *listing);

/* Pieces that more than one of them prints. */

/** "SmolLM2: GGUF, llama, 134,515,008 parameters (Q4_1, F32), 98.4 MB". */
void describe_model(text_buffer *text, const weir_inspection *inspection);
/** "computed from BASE (proved): ..." the relation and the onion in one sentence. */
void describe_diff(text_buffer *text, const weir_diff *diff);
/** "the weights say: X was made from Y (p <= 1e-30, exact)." without the claim before it. */
void describe_trace(text_buffer *text, const weir_trace *trace);
void print_findings(const paint *out, const weir_findings *findings);
/** The numbered onion. */
void print_changes(const paint *out, const weir_diff *diff);

#endif
