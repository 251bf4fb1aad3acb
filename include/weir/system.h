/* SPDX-License-Identifier: Apache-2.0 */
/** @file system.h  What this build and this machine offer. */
#ifndef WEIR_SYSTEM_H
#define WEIR_SYSTEM_H

#include <stdbool.h>

#include "weir/error.h"

#ifdef __cplusplus
extern "C" {
#endif

/** @return "0.1.0"; static. */
WEIR_API const char *weir_version(void);

/** SIMD levels; each gives the same bytes. */
typedef enum weir_simd {
    WEIR_SIMD_BASE,   /**< what every machine of this architecture has (SSE2 on x86-64) */
    WEIR_SIMD_AVX2,   /**< AVX2; FMA only where it rounds the same */
    WEIR_SIMD_AVX512, /**< AVX-512 F, BW, VL */
} weir_simd;

/** @return the level in use: the best that the machine has, unless one was forced. */
WEIR_API weir_simd weir_simd_level(void);

/** @return "base", "avx2", "avx512". */
WEIR_API const char *weir_simd_name(weir_simd level);

/**
 * Use another level from now on (for tests and measurements). Not while other calls run.
 * @return WEIR_OK; WEIR_ERR_UNSUPPORTED when the machine lacks it
 */
WEIR_API weir_code weir_simd_force(weir_simd level, weir_error *err);

#ifdef __cplusplus
}
#endif
#endif
