/* SPDX-License-Identifier: Apache-2.0 */
/** @file report.h  One result, several formats. */
#ifndef WEIR_REPORT_H
#define WEIR_REPORT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>

#include "weir/assess.h"
#include "weir/diff.h"
#include "weir/error.h"
#include "weir/inspect.h"
#include "weir/registry.h"
#include "weir/replay.h"
#include "weir/trace.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef enum weir_format {
    WEIR_FORMAT_TABLE,  /**< for a person: verdict first */
    WEIR_FORMAT_JSON,   /**< weir.inspect/1, weir.diff/1, weir.trace/1, weir.registry/1 ... */
    WEIR_FORMAT_JSONL,  /**< a trace alone: the same JSON in one line */
    WEIR_FORMAT_BUNDLE, /**< a trace alone: weir.bundle/1, from which it can be replayed */
    WEIR_FORMAT_HTML,   /**< a comparison alone: a page in one file, without script */
} weir_format;

/** How text for a person may look. */
typedef struct weir_style {
    bool color;    /**< ANSI colours */
    bool unicode;  /**< block and line characters; ASCII otherwise */
    int width;     /**< columns; 0 for 80 */
    int verbosity; /**< -1 verdict line only, 0 normal, 1 every tensor and claim */
} weir_style;

/** Find a format by its name on the command line: "table", "json", "jsonl", "bundle",
 * "html".
 * @return WEIR_ERR_ARG for others */
WEIR_API weir_code weir_format_find(weir_format *out, const char *name, weir_error *err);

/*
 * Each writes one result to a stream and flushes it.
 * @param style  used by WEIR_FORMAT_TABLE; NULL for plain ASCII of 80 columns
 * @return WEIR_OK; WEIR_ERR_IO when the stream failed; WEIR_ERR_NOMEM; WEIR_ERR_ARG for a format
 * that the result does not have
 */

/** One inspection is an object in JSON; several are an array of them. */
WEIR_API weir_code weir_report_inspections(FILE *stream, weir_format format,
                                           const weir_style *style,
                                           const weir_inspection *const *inspections, size_t count,
                                           weir_error *err);
WEIR_API weir_code weir_report_diff(FILE *stream, weir_format format, const weir_style *style,
                                    const weir_diff *diff, weir_error *err);
WEIR_API weir_code weir_report_assessment(FILE *stream, weir_format format, const weir_style *style,
                                          const weir_assessment *assessment, weir_error *err);

/** A bundle needs a trace that was made with weir_trace_options.keep_ranges. */
WEIR_API weir_code weir_report_trace(FILE *stream, weir_format format, const weir_style *style,
                                     const weir_trace *trace, weir_error *err);

/** An entry's location is in the text for a person and never in JSON. */
WEIR_API weir_code weir_report_registry(FILE *stream, weir_format format, const weir_style *style,
                                        const weir_registry_listing *listing, weir_error *err);

/** What a replay found. */
WEIR_API weir_code weir_report_replay(FILE *stream, weir_format format, const weir_style *style,
                                      const weir_replay *replay, weir_error *err);

/** One line of weir.error/1 about one of many models; `model` is made printable as names of traces
 * are. */
WEIR_API weir_code weir_report_model_error(FILE *stream, const char *model,
                                           const weir_error *failure, weir_error *err);

/** weir.error/1, the JSON answer when a call failed. */
WEIR_API weir_code weir_report_error(FILE *stream, const weir_error *failure, weir_error *err);

#ifdef __cplusplus
}
#endif
#endif
