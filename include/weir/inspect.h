/* SPDX-License-Identifier: Apache-2.0 */
/** @file inspect.h  What is this file, what does it claim, is it safe to open? */
#ifndef WEIR_INSPECT_H
#define WEIR_INSPECT_H

#include <stdbool.h>
#include <stddef.h>

#include "weir/error.h"
#include "weir/finding.h"
#include "weir/model.h"
#include "weir/progress.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct weir_inspection weir_inspection;

typedef struct weir_inspect_options {
    const char *name; /**< how results call the model; NULL for the last path component */
    const weir_callbacks *callbacks; /**< NULL for none; used while hashing */
    bool lenient;                    /**< accept what the reference libraries accept */
    bool digest;                     /**< read every file whole for its SHA-256 */
} weir_inspect_options;
#define WEIR_INSPECT_OPTIONS_INIT                                                                  \
    { 0 }

/**
 * Inspect a file or folder: headers and text files are read, nothing is executed.
 *
 * @param[out] out  release with weir_inspection_free(); untouched on failure
 * @param path      a model file or folder
 * @param options   NULL for defaults
 * @return WEIR_OK, also for malformed and malicious files (see the verdict); WEIR_ERR_IO;
 *         WEIR_ERR_CANCELLED; WEIR_ERR_NOMEM
 */
WEIR_API weir_code weir_inspect(weir_inspection **out, const char *path,
                                const weir_inspect_options *options, weir_error *err);

/** @return the gravest verdict of any file. NOT_ANALYSED without any file, and in place of CLEAN
 * while a part that decides could not be read. */
WEIR_API weir_verdict weir_inspection_verdict(const weir_inspection *inspection);

/**
 * @return whether there was something to analyse, and none of it malformed: a folder has weights, a
 * file given by itself is of a kind that weir reads
 */
WEIR_API bool weir_inspection_is_analysable(const weir_inspection *inspection);

WEIR_API const weir_findings *weir_inspection_findings(const weir_inspection *inspection);
/** @return borrowed; valid until the inspection is freed. */
WEIR_API const weir_model *weir_inspection_model(const weir_inspection *inspection);
/** NULL is a no-op. */
WEIR_API void weir_inspection_free(weir_inspection *inspection);

#ifdef __cplusplus
}
#endif
#endif
