/* SPDX-License-Identifier: Apache-2.0 */
/** @file error.h  One error object per call chain; no globals, no errno in the API. */
#ifndef WEIR_ERROR_H
#define WEIR_ERROR_H

#include <stddef.h>

#ifdef __cplusplus
extern "C" {
#endif

/** Marks a function that belongs to the public API of the shared library. */
#if defined(__GNUC__)
#define WEIR_API __attribute__((visibility("default")))
#else
#define WEIR_API
#endif

/** Why a call failed. A caller branches on the code; a person reads the fields. */
typedef enum weir_code {
    WEIR_OK = 0,
    WEIR_ERR_ARG,         /**< the caller passed something that the contract forbids */
    WEIR_ERR_IO,          /**< the system refused: open, read, write, connect */
    WEIR_ERR_FORMAT,      /**< the bytes break the format's specification */
    WEIR_ERR_LIMIT,       /**< valid, but past a limit of base/limits.h */
    WEIR_ERR_UNSUPPORTED, /**< valid, but weir cannot analyse it */
    WEIR_ERR_NOMEM,       /**< memory is exhausted */
    WEIR_ERR_CANCELLED,   /**< the caller's cancel callback said stop */
    WEIR_ERR_ENVIRONMENT, /**< a component that the call needs is missing or died */
} weir_code;

/**
 * A located failure, filled once by the frame that found it.
 * Every field is NUL-terminated UTF-8 that is safe to print; unused fields are empty.
 */
typedef struct weir_error {
    weir_code code;
    char file[256];     /**< name relative to the model, never a host path */
    char at[160];       /**< "byte 8", "line 3", "tensor model.norm.weight" */
    char expected[160]; /**< what the specification or the caller's contract asks for */
    char found[192];    /**< what was there instead */
} weir_error;

/** @return the stable lower-case name of a code, as in weir.error/1: "ok", "format", "limit" ... */
WEIR_API const char *weir_code_name(weir_code code);

/**
 * Format an error as one line: "FILE: AT: expected EXPECTED, found FOUND".
 *
 * @param[out] out   receives at most `size` bytes, NUL-terminated
 * @return           `out`
 */
WEIR_API const char *weir_error_format(const weir_error *err, char *out, size_t size);

#ifdef __cplusplus
}
#endif
#endif
