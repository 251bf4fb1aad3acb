/* SPDX-License-Identifier: Apache-2.0 */
/** @file fail.h  How a function of weir fails: in one line, with the place and the values. */
#ifndef WEIR_BASE_FAIL_H
#define WEIR_BASE_FAIL_H

#include <stddef.h>
#include <stdint.h>

#include "weir/error.h"

/** A place inside a file, made in the call that needs it: `at_byte(12).text`. */
typedef struct place {
    char text[160];
} place;

place at_byte(uint64_t offset);
place at_line(uint64_t line);
place at_tensor(const char *name);

/**
 * Write what failed to `err`; nothing when `err` is NULL. Called through weir_fail.
 * Text that comes from a file is made printable (control bytes and broken UTF-8 are escaped).
 *
 * @param err       may be NULL, when the caller wants only the code
 * @param file      source name, may be NULL
 * @param at        place, may be NULL
 * @param expected  may be NULL
 * @param found     printf format of what was found; never NULL
 */
__attribute__((format(printf, 6, 7))) void record_failure(weir_error *err, weir_code code,
                                                          const char *file, const char *at,
                                                          const char *expected, const char *found,
                                                          ...);

/**
 * Record a failure; the value is its code, so that a function fails in one line:
 *     return weir_fail(err, WEIR_ERR_FORMAT, name, at_byte(0).text, "a header inside the file",
 *                      "%" PRIu64 " bytes", size);
 * A macro, so that compilers and static analysers see in the caller that the value is `code`, which
 * is evaluated twice: give it a constant or a variable. The rest is as in record_failure.
 */
/* NOLINTNEXTLINE(readability-identifier-naming): it is called, and reads, as a function. */
#define weir_fail(err, code, ...) (record_failure((err), (code), __VA_ARGS__), (weir_code)(code))

/** weir_fail for exhausted memory. */
static inline weir_code weir_fail_nomem(weir_error *err) {
    record_failure(err, WEIR_ERR_NOMEM, NULL, NULL, "memory", "none left");
    return WEIR_ERR_NOMEM;
}

/** Leave the function if `call` failed. The only control-flow macro in weir. */
#define WEIR_TRY(call)                                                                             \
    do {                                                                                           \
        weir_code try_code_ = (call);                                                              \
        if (try_code_ != WEIR_OK) {                                                                \
            return try_code_;                                                                      \
        }                                                                                          \
    } while (0)

#endif
