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
#include "weir/trace.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef enum weir_format {
    WEIR_FORMAT_TABLE, /**< for a person: verdict first */
    WEIR_FORMAT_JSON,  /**< weir.inspect/1, weir.diff/1, weir.trace/1, weir.registry/1 ... */
} weir_format;

/** How text for a person may look. */
typedef struct weir_style {
    bool color;    /**< ANSI colours */
    bool unicode;  /**< block and line characters; ASCII otherwise */
    int width;     /**< columns; 0 for 80 */
    int verbosity; /**< -1 verdict line only, 0 normal, 1 every tensor and claim */
} weir_style;

/** Find a format by its name on the command line: "table", "json". @return WEIR_ERR_ARG for others.
 */
WEIR_API weir_code weir_format_find(weir_format *out, const char *name, weir_error *err);

/*
 * Each writes one result to a stream and flushes it.
 * @param style  used by WEIR_FORMAT_TABLE; NULL for plain ASCII of 80 columns
 * @return WEIR_OK; WEIR_ERR_IO when the stream failed; WEIR_ERR_NOMEM
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

WEIR_API weir_code weir_report_trace(FILE *stream, weir_format format, const weir_style *style,
                                     const weir_trace *trace, weir_error *err);

/** An entry's location is in the text for a person and never in JSON. */
WEIR_API weir_code weir_report_registry(FILE *stream, weir_format format, const weir_style *style,
                                        const weir_registry_listing *listing, weir_error *err);

/** weir.error/1, the JSON answer when a call failed. */
WEIR_API weir_code weir_report_error(FILE *stream, const weir_error *failure, weir_error *err);

#ifdef __cplusplus
}
#endif
#endif
