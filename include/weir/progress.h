/* SPDX-License-Identifier: Apache-2.0 */
/** @file progress.h  How a long call tells where it is, and how it is told to stop. */
#ifndef WEIR_PROGRESS_H
#define WEIR_PROGRESS_H

#include <stdbool.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/** Called from one thread at a time, several times a second at most in tight loops; must not block.
 */
typedef struct weir_callbacks {
    void *context;
    /** `done` of `total` bytes of `stage` ("comparing") are done; NULL when nobody watches. */
    void (*progress)(void *context, const char *stage, uint64_t done, uint64_t total);
    /** @return true to stop: the call then returns WEIR_ERR_CANCELLED. NULL never stops. */
    bool (*is_cancelled)(void *context);
} weir_callbacks;

#ifdef __cplusplus
}
#endif
#endif
