/* SPDX-License-Identifier: Apache-2.0 */
/* Which SIMD level runs. */
#include "base/fail.h"
#include "weir/system.h"

weir_simd weir_simd_level(void) {
    return WEIR_SIMD_BASE;
}

const char *weir_simd_name(weir_simd level) {
    static const char *const names[] = {"base", "avx2", "avx512"};
    return names[level];
}

weir_code weir_simd_force(weir_simd level, weir_error *err) {
    if (level != WEIR_SIMD_BASE) {
        return weir_fail(err, WEIR_ERR_UNSUPPORTED, NULL, NULL, weir_simd_name(level),
                         "a build without it");
    }
    return WEIR_OK;
}
