/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Which SIMD level runs. The choice is made at the first call and is the same whoever makes it, so
 * a race of two first calls is harmless.
 */
#include "base/fail.h"
#include "kernel/level.h"
#include "weir/system.h"

extern const kernel_level kernel_level_base;

#ifdef __x86_64__

extern const kernel_level kernel_level_avx2;
extern const kernel_level kernel_level_avx512;

static const kernel_level *const levels[] = {
    [WEIR_SIMD_BASE] = &kernel_level_base,
    [WEIR_SIMD_AVX2] = &kernel_level_avx2,
    [WEIR_SIMD_AVX512] = &kernel_level_avx512,
};

static weir_simd best_level(void) {
    const int avx2 = __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma") &&
                     __builtin_cpu_supports("popcnt");
    const int avx512 = __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
                       __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512vl");
    return avx2 && avx512 ? WEIR_SIMD_AVX512 : avx2 ? WEIR_SIMD_AVX2 : WEIR_SIMD_BASE;
}

#else

static const kernel_level *const levels[] = {[WEIR_SIMD_BASE] = &kernel_level_base};

static weir_simd best_level(void) {
    return WEIR_SIMD_BASE;
}

#endif

enum { NOT_CHOSEN = -1 };

static int chosen = NOT_CHOSEN;

weir_simd weir_simd_level(void) {
    int level = __atomic_load_n(&chosen, __ATOMIC_RELAXED);
    if (level == NOT_CHOSEN) {
        level = (int)best_level();
        __atomic_store_n(&chosen, level, __ATOMIC_RELAXED);
    }
    return (weir_simd)level;
}

const kernel_level *kernel_level_current(void) {
    return levels[weir_simd_level()];
}

const char *weir_simd_name(weir_simd level) {
    static const char *const names[] = {"base", "avx2", "avx512"};
    return names[level];
}

weir_code weir_simd_force(weir_simd level, weir_error *err) {
    if ((unsigned)level > WEIR_SIMD_AVX512) {
        return weir_fail(err, WEIR_ERR_ARG, NULL, NULL, "a SIMD level", "number %d", (int)level);
    }
    if (level > best_level()) {
        return weir_fail(err, WEIR_ERR_UNSUPPORTED, NULL, NULL, weir_simd_name(level),
                         "a machine with %s", weir_simd_name(best_level()));
    }
    __atomic_store_n(&chosen, (int)level, __ATOMIC_RELAXED);
    return WEIR_OK;
}
