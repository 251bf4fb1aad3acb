/* SPDX-License-Identifier: Apache-2.0 */
/** @file trace_lines.h  JSON Lines of traces: which models a file has answers for already. */
#ifndef WEIR_TRACE_LINES_H
#define WEIR_TRACE_LINES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "weir/error.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct weir_trace_lines weir_trace_lines;

/**
 * Read which models have a whole line in a file of weir.trace/1 and weir.error/1, one a line.
 *
 * A last line without its end was cut off by whatever stopped the writer. A file that holds
 * anything else is refused, so that nobody's other file is cut or added to.
 *
 * @param[out] out  release with weir_trace_lines_free(); untouched on failure
 * @param path      a regular file; may be empty
 * @return WEIR_OK; WEIR_ERR_FORMAT with the line for any other content; WEIR_ERR_IO; WEIR_ERR_LIMIT
 * for a line over 16 MiB; WEIR_ERR_UNSUPPORTED for what is no regular file; WEIR_ERR_NOMEM
 *
 * Cost: one read of the file; memory for the names.
 */
WEIR_API weir_code weir_trace_lines_open(weir_trace_lines **out, const char *path, weir_error *err);

/** @return where the whole lines end: the size that the file is to be cut to. */
WEIR_API uint64_t weir_trace_lines_bytes(const weir_trace_lines *lines);

/** @return how many whole lines there are. */
WEIR_API size_t weir_trace_lines_count(const weir_trace_lines *lines);

/**
 * Take one line of a model, so that of several models with one name each finds its own.
 * @param name  of the model, made printable as weir_tracer_trace() does
 * @return whether there was one left
 */
WEIR_API bool weir_trace_lines_take(weir_trace_lines *lines, const char *name);

/** NULL is a no-op. */
WEIR_API void weir_trace_lines_free(weir_trace_lines *lines);

#ifdef __cplusplus
}
#endif
#endif
