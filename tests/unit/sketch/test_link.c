/* SPDX-License-Identifier: Apache-2.0 */
#include "../testing.h"

#include "kernel/fixed_points.h"
#include "sketch/bet.h"
#include "sketch/link.h"
#include "sketches.h"

static double log10_p_of(const fingerprint *mine, const fingerprint *theirs, uint64_t entries) {
    link_result result = {0};
    assert_int_equal(link_test(&result, mine, theirs, entries, NULL), WEIR_OK);
    const double log10_p = result.log10_p;
    link_result_release(&result);
    return log10_p;
}

/* Sum over the exact law of what the bet pays. */
static void the_bet_pays_at_most_its_stake_on_average(void **state) {
    (void)state;
    double mean = 0;
    for (int k = 0; k <= BLOCK_UNITS; k++) {
        const double probability = fixed_points_tail(BLOCK_UNITS, k) -
                                   (k < BLOCK_UNITS ? fixed_points_tail(BLOCK_UNITS, k + 1) : 0);
        mean += probability * bet_on_points(false, BLOCK_UNITS, k);
    }

    assert_true(fabs(mean - 1) < 1e-9);
}

static void a_copy_is_linked_and_its_numbers_are_equal(void **state) {
    (void)state;
    fingerprint *mine = sketch_new(4, 1);
    fingerprint *theirs = sketch_new(4, 1);
    link_result result = {0};

    assert_int_equal(link_test(&result, mine, theirs, 1, NULL), WEIR_OK);

    assert_true(result.log10_p < -45);
    assert_true(result.same_numbers && result.equal_blocks == 4 && result.pair_count == 4);
    assert_true(fabs(result.cosine - 1) < 1e-12);
    link_result_release(&result);
    fingerprint_free(mine);
    fingerprint_free(theirs);
}

static void strangers_are_not_linked(void **state) {
    (void)state;
    for (uint64_t seed = 0; seed < 300; seed++) {
        fingerprint *mine = sketch_new(8, 2 * seed + 10);
        fingerprint *theirs = sketch_new(8, 2 * seed + 11);

        assert_true(log10_p_of(mine, theirs, 1) > -3);

        fingerprint_free(mine);
        fingerprint_free(theirs);
    }
}

/*
 * Whatever two models hold, if the units of one stand in a random order p is at least as large as
 * chance makes it. Here both hold the very same units in all layers, the hardest case.
 */
static void p_is_never_too_small_when_one_order_is_random(void **state) {
    (void)state;
    enum { TRIALS = 4000 };
    fingerprint *theirs = sketch_new(3, 5);
    unsigned at_or_below[4] = {0}; /* .1, .01, .001, .0001 */
    for (uint64_t trial = 0; trial < TRIALS; trial++) {
        fingerprint *mine = sketch_new(3, 5);
        sketch_shuffle_units(mine, 1000 + trial);

        const double log10_p = log10_p_of(mine, theirs, 1);

        for (int i = 0; i < 4; i++) {
            at_or_below[i] += log10_p <= -(i + 1);
        }
        fingerprint_free(mine);
    }
    /* Four deviations of a binomial count above its mean. */
    assert_true(at_or_below[0] <= 400 + 4 * 19);
    assert_true(at_or_below[1] <= 40 + 4 * 6.3);
    assert_true(at_or_below[2] <= 4 + 4 * 2);
    assert_true(at_or_below[3] <= 3);
    fingerprint_free(theirs);
}

/* Layers that copy each other must not be counted as so many witnesses. */
static void copied_layers_of_a_stranger_count_once(void **state) {
    (void)state;
    enum { TRIALS = 3000, LAYERS = 6 };
    unsigned at_or_below[2] = {0}; /* .01, .001 */
    for (uint64_t trial = 0; trial < TRIALS; trial++) {
        fingerprint *mine = sketch_new(LAYERS, 7);
        fingerprint *theirs = sketch_new(LAYERS, 7);
        for (size_t i = 1; i < LAYERS; i++) {
            mine->blocks[i] = mine->blocks[0];
            theirs->blocks[i] = theirs->blocks[0];
            mine->blocks[i].layer = theirs->blocks[i].layer = i;
        }
        sketch_block shuffled = mine->blocks[0];
        fingerprint one = {.blocks = &shuffled, .block_count = 1};
        sketch_shuffle_units(&one, trial);
        for (size_t i = 0; i < LAYERS; i++) {
            shuffled.layer = i;
            mine->blocks[i] = shuffled;
        }

        const double log10_p = log10_p_of(mine, theirs, 1);

        at_or_below[0] += log10_p <= -2;
        at_or_below[1] += log10_p <= -3;
        fingerprint_free(mine);
        fingerprint_free(theirs);
    }
    assert_true(at_or_below[0] <= 30 + 4 * 5.5);
    assert_true(at_or_below[1] <= 3 + 4 * 1.8);
}

static void equal_units_do_not_match_by_their_index(void **state) {
    (void)state;
    fingerprint *mine = sketch_new(8, 20);
    fingerprint *theirs = sketch_new(8, 21);
    for (size_t i = 0; i < 8; i++) {
        for (size_t u = 1; u < BLOCK_UNITS; u++) { /* rows that both sides planted */
            memcpy(mine->blocks[i].up[u], mine->blocks[0].up[0], sizeof mine->blocks[i].up[u]);
            memcpy(mine->blocks[i].gate[u], mine->blocks[0].gate[0],
                   sizeof mine->blocks[i].gate[u]);
        }
        theirs->blocks[i] = mine->blocks[i];
    }

    assert_true(log10_p_of(mine, theirs, 1) > -1);

    fingerprint_free(mine);
    fingerprint_free(theirs);
}

static void units_sorted_on_both_sides_are_left_out(void **state) {
    (void)state;
    fingerprint *mine = sketch_new(4, 22);
    fingerprint *theirs = sketch_new(4, 22);
    for (size_t i = 0; i < 4; i++) {
        mine->blocks[i].is_sorted = theirs->blocks[i].is_sorted = true;
    }
    link_result result = {0};

    assert_int_equal(link_test(&result, mine, theirs, 1, NULL), WEIR_OK);

    assert_true(result.log10_p >= 0 && result.comparable == 0);
    link_result_release(&result);
    fingerprint_free(mine);
    fingerprint_free(theirs);
}

static void more_entries_make_a_link_less_sure(void **state) {
    (void)state;
    fingerprint *mine = sketch_new(2, 30);
    fingerprint *theirs = sketch_new(2, 30);

    const double of_one = log10_p_of(mine, theirs, 1);

    assert_true(fabs(log10_p_of(mine, theirs, 1000) - of_one - 3) < 1e-9);
    fingerprint_free(mine);
    fingerprint_free(theirs);
}

static void a_shuffled_pruned_child_is_mapped_to_its_layers(void **state) {
    (void)state;
    static const uint32_t from[] = {5, 0, 7, 2};
    fingerprint *theirs = sketch_new(8, 40);
    fingerprint *mine = sketch_new(4, 41);
    for (size_t i = 0; i < 4; i++) {
        mine->blocks[i] = theirs->blocks[from[i]];
        mine->blocks[i].layer = i;
    }
    sketch_drift(mine, 0.8, 42);
    link_result result = {0};

    assert_int_equal(link_test(&result, mine, theirs, 1, NULL), WEIR_OK);

    assert_true(result.log10_p < -20);
    assert_int_equal(result.pair_count, 4);
    for (size_t i = 0; i < 4; i++) {
        assert_int_equal(result.pairs[i].theirs, from[i]);
    }
    assert_true(fabs(result.cosine - 0.8) < 0.05);
    link_result_release(&result);
    fingerprint_free(mine);
    fingerprint_free(theirs);
}

/* Every fourth unit was dropped: none but the first stands in its place, but all rise. */
static void dropped_units_leave_a_rising_chain(void **state) {
    (void)state;
    fingerprint *theirs = sketch_new(6, 50);
    fingerprint *mine = sketch_new(6, 51);
    mine->feed_forward = 384;
    for (size_t i = 0; i < 6; i++) {
        for (size_t u = 0; u < 12; u++) {
            const size_t v = u + u / 3 + 1;
            memcpy(mine->blocks[i].up[u], theirs->blocks[i].up[v], sizeof mine->blocks[i].up[u]);
            memcpy(mine->blocks[i].gate[u], theirs->blocks[i].gate[v],
                   sizeof mine->blocks[i].gate[u]);
        }
    }

    assert_true(log10_p_of(mine, theirs, 1) < -12);

    fingerprint_free(mine);
    fingerprint_free(theirs);
}

static void mirrored_units_are_found_by_their_gates(void **state) {
    (void)state;
    fingerprint *theirs = sketch_new(2, 60);
    fingerprint *mine = sketch_new(2, 60);
    for (size_t u = 0; u < BLOCK_UNITS; u += 2) {
        mine->blocks[0].up[u][0] = ~mine->blocks[0].up[u][0];
        mine->blocks[0].up[u][1] = ~mine->blocks[0].up[u][1];
    }

    assert_true(log10_p_of(mine, theirs, 1) < -20);

    fingerprint_free(mine);
    fingerprint_free(theirs);
}

static void a_rotated_model_is_found_by_its_tokens(void **state) {
    (void)state;
    fingerprint *theirs = sketch_new(3, 70);
    fingerprint *mine = sketch_new(3, 71); /* other rows: another basis */
    sketch_give_tokens(theirs);
    sketch_give_tokens(mine);
    for (size_t i = 0; i < 3; i++) {
        memcpy(mine->blocks[i].token, theirs->blocks[i].token, sizeof mine->blocks[i].token);
    }
    link_result result = {0};

    assert_int_equal(link_test(&result, mine, theirs, 1, NULL), WEIR_OK);

    assert_true(result.log10_p < -30);
    assert_int_equal(result.codes, LINK_TOKEN_CODES);
    mine->token_tags[0] = 1; /* one token less, 255 are enough */
    assert_true(log10_p_of(mine, theirs, 1) < -30);
    memset(mine->token_tags, 9, sizeof mine->token_tags); /* no token in common */
    assert_true(log10_p_of(mine, theirs, 1) > -3);
    link_result_release(&result);
    fingerprint_free(mine);
    fingerprint_free(theirs);
}

static void other_widths_without_tokens_cannot_be_compared(void **state) {
    (void)state;
    fingerprint *mine = sketch_new(3, 80);
    fingerprint *theirs = sketch_new(3, 80);
    theirs->hidden = 512;
    link_result result = {0};

    assert_int_equal(link_test(&result, mine, theirs, 1, NULL), WEIR_OK);

    assert_true(result.log10_p >= 0 && result.pair_count == 0);
    link_result_release(&result);
    fingerprint_free(mine);
    fingerprint_free(theirs);
}

/* At the cosine that is stated, at least about .95 of the children are found. */
static void the_stated_power_is_reached(void **state) {
    (void)state;
    enum { TRIALS = 200 };
    static const size_t layers[] = {2, 6, 24};
    for (size_t k = 0; k < 3; k++) {
        fingerprint *theirs = sketch_new(layers[k], 90 + k);
        const double cosine = link_power(theirs, 1000, -6);
        unsigned found = 0;
        for (uint64_t trial = 0; trial < TRIALS; trial++) {
            fingerprint *mine = sketch_new(layers[k], 90 + k);
            sketch_drift(mine, cosine, 1000 * k + trial);
            found += log10_p_of(mine, theirs, 1000) <= -6;
            fingerprint_free(mine);
        }
        assert_true(found >=
                    180); /* of a binomial with .95: four deviations below its mean is 178 */
        assert_true(cosine > 0 && cosine < 0.6);
        fingerprint_free(theirs);
    }
}

static void too_many_entries_leave_one_layer_no_power(void **state) {
    (void)state;
    fingerprint *one = sketch_new(1, 99);

    assert_true(link_power(one, UINT64_C(1) << 60, -6) >= 1);

    fingerprint_free(one);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_bet_pays_at_most_its_stake_on_average),
        cmocka_unit_test(a_copy_is_linked_and_its_numbers_are_equal),
        cmocka_unit_test(strangers_are_not_linked),
        cmocka_unit_test(p_is_never_too_small_when_one_order_is_random),
        cmocka_unit_test(copied_layers_of_a_stranger_count_once),
        cmocka_unit_test(equal_units_do_not_match_by_their_index),
        cmocka_unit_test(units_sorted_on_both_sides_are_left_out),
        cmocka_unit_test(more_entries_make_a_link_less_sure),
        cmocka_unit_test(a_shuffled_pruned_child_is_mapped_to_its_layers),
        cmocka_unit_test(dropped_units_leave_a_rising_chain),
        cmocka_unit_test(mirrored_units_are_found_by_their_gates),
        cmocka_unit_test(a_rotated_model_is_found_by_its_tokens),
        cmocka_unit_test(other_widths_without_tokens_cannot_be_compared),
        cmocka_unit_test(the_stated_power_is_reached),
        cmocka_unit_test(too_many_entries_leave_one_layer_no_power),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
