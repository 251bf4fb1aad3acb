/* SPDX-License-Identifier: Apache-2.0 */
/* A turned basis is estimated from rows of both, and believed only where held rows agree. */
#include "../testing.h"

#include <math.h>
#include <stdlib.h>

#include "base/hash.h"
#include "delta/rotation.h"

enum { HIDDEN = 24, TOKENS = 120 };

static float uniform(uint64_t *state) {
    return (float)(hash_next(state) >> 40) / (float)(1 << 24) - 0.5F;
}

static void fill(float *values, size_t count, uint64_t seed) {
    for (size_t i = 0; i < count; i++) {
        values[i] = uniform(&seed) + uniform(&seed) + uniform(&seed);
    }
}

/* rows (I - 2 n n^T), one reflection after the other: an orthogonal matrix. */
static void turn(float rows[][HIDDEN], size_t count, uint64_t seed) {
    for (size_t k = 0; k < HIDDEN; k++) {
        float normal[HIDDEN];
        double square = 0;
        for (size_t j = 0; j < HIDDEN; j++) {
            normal[j] = uniform(&seed);
            square += (double)normal[j] * (double)normal[j];
        }
        for (size_t i = 0; i < count; i++) {
            double dot = 0;
            for (size_t j = 0; j < HIDDEN; j++) {
                dot += (double)rows[i][j] * (double)normal[j];
            }
            for (size_t j = 0; j < HIDDEN; j++) {
                rows[i][j] -= (float)(2 * dot / square * (double)normal[j]);
            }
        }
    }
}

static float base[TOKENS][HIDDEN];
static float model[TOKENS][HIDDEN];

static rotation find(size_t tokens, arena *memory) {
    rotation found;
    assert_int_equal(rotation_find(&found, memory, base[0], model[0], tokens, HIDDEN, NULL),
                     WEIR_OK);
    return found;
}

static void a_rotation_is_recovered(void **state) {
    (void)state;
    arena memory = {0};
    float wanted[HIDDEN][HIDDEN] = {{0}};
    for (size_t i = 0; i < HIDDEN; i++) {
        wanted[i][i] = 1;
    }
    fill(base[0], TOKENS * HIDDEN, 1);
    memcpy(model, base, sizeof model);
    turn(model, TOKENS, 9);
    turn(wanted, HIDDEN, 9);

    const rotation found = find(TOKENS, &memory);

    assert_true(found.is_found);
    assert_int_equal(found.tokens + found.tokens_held, TOKENS);
    assert_true(found.token_error < 1e-10);
    for (size_t i = 0; i < HIDDEN * HIDDEN; i++) {
        assert_float_equal(found.q[i], wanted[i / HIDDEN][i % HIDDEN], 1e-5);
    }
    arena_release(&memory);
}

static void strangers_have_none_though_it_would_fit_what_it_is_made_from(void **state) {
    (void)state;
    arena memory = {0};
    fill(base[0], TOKENS * HIDDEN, 1);
    fill(model[0], TOKENS * HIDDEN, 2);

    assert_false(find(TOKENS, &memory).is_found);
    assert_false(find(3 * HIDDEN / 2, &memory).is_found);

    arena_release(&memory);
}

static void fewer_tokens_than_dimensions_say_nothing(void **state) {
    (void)state;
    arena memory = {0};
    fill(base[0], TOKENS * HIDDEN, 1);
    memcpy(model, base, sizeof model);

    assert_false(find(HIDDEN, &memory).is_found);
    assert_false(find(0, &memory).is_found);

    arena_release(&memory);
}

static void numbers_that_are_not_finite_are_left_out(void **state) {
    (void)state;
    arena memory = {0};
    fill(base[0], TOKENS * HIDDEN, 1);
    for (size_t i = 0; i < TOKENS; i++) {
        for (size_t j = 0; j < HIDDEN; j++) {
            model[i][j] = NAN;
        }
    }

    assert_false(find(TOKENS, &memory).is_found);

    arena_release(&memory);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_rotation_is_recovered),
        cmocka_unit_test(strangers_have_none_though_it_would_fit_what_it_is_made_from),
        cmocka_unit_test(fewer_tokens_than_dimensions_say_nothing),
        cmocka_unit_test(numbers_that_are_not_finite_are_left_out),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
