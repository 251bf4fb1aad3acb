/* SPDX-License-Identifier: Apache-2.0 */
/* The reference counts votes one by one and weighs them in double. */
#include "../testing.h"

#include <math.h>
#include <stdlib.h>

#include "base/hash.h"
#include "sketch/search_index.h"

enum { BLOCKS_MAX = 70 };

typedef struct model {
    fingerprint of;
    sketch_block blocks[BLOCKS_MAX];
} model;

static void fill(model *out, size_t blocks, uint64_t seed) {
    memset(out, 0, sizeof *out);
    out->of.hidden = 512;
    out->of.blocks = out->blocks;
    out->of.block_count = blocks;
    out->of.has_tokens = true;
    memset(out->of.token_tags, 1, sizeof out->of.token_tags);
    for (size_t i = 0; i < blocks; i++) {
        sketch_block *block = &out->blocks[i];
        block->layer = (int32_t)i;
        block->expert = EXPERT_NONE;
        block->valid = 0xFFFF;
        block->has_gate = true;
        block->has_tokens = true;
        for (size_t u = 0; u < BLOCK_UNITS; u++) {
            for (size_t k = 0; k < UNIT_CODE_WORDS; k++) {
                block->up[u][k] = hash_next(&seed);
                block->gate[u][k] = hash_next(&seed);
            }
            for (size_t k = 0; k < TOKEN_CODE_WORDS; k++) {
                block->token[u][k] = hash_next(&seed);
            }
        }
    }
}

static unsigned bit_of(const uint64_t *words, size_t bit) {
    return words[bit / 64] >> (bit % 64) & 1;
}

static unsigned weight_of(const uint64_t *low, const uint64_t *high, size_t bit) {
    return bit_of(low, bit) + 2 * bit_of(high, bit);
}

/* The 16 units' bits of one block in the order of the hot code. */
static const uint64_t *unit_bits(const sketch_block *block, bool is_gate, size_t unit) {
    return is_gate ? block->gate[unit] : block->up[unit];
}

static void check_bit(const model *from, const hot_code *code, bool is_gate, size_t unit,
                      size_t bit) {
    int sum = 0;
    int count = 0;
    unsigned first = 0;
    for (size_t i = 0; i < from->of.block_count; i++) {
        if (from->blocks[i].valid >> unit & 1) {
            const unsigned is_set = bit_of(unit_bits(&from->blocks[i], is_gate, unit), bit);
            first = count == 0 ? is_set : first;
            sum += is_set ? 1 : -1;
            count++;
        }
    }
    const size_t at = (is_gate ? 2048 : 0) + 128 * unit + bit;
    const unsigned expected = sum > 0 || (sum == 0 && first);
    const double level = abs(sum) / (.651 * sqrt(count));
    const unsigned weight = level >= 2.5 ? 3 : level >= 1.5 ? 2 : level >= .5 ? 1 : 0;

    assert_int_equal(bit_of(code->unit, at), expected);
    assert_int_equal(weight_of(code->unit_low, code->unit_high, at), weight);
}

static void bits_and_weights_are_those_of_a_count(void **state) {
    (void)state;
    static const size_t counts[] = {1, 2, 3, 4, 7, 24, 32, 33, 70};
    static model from;
    for (size_t i = 0; i < sizeof counts / sizeof *counts; i++) {
        hot_code code;
        fill(&from, counts[i], 100 + i);

        hot_code_make(&code, &from.of);

        assert_true(code.has_unit && code.has_gate && code.has_token);
        assert_int_equal(code.hidden, 512);
        for (size_t unit = 0; unit < BLOCK_UNITS; unit++) {
            for (size_t bit = 0; bit < 128; bit++) {
                check_bit(&from, &code, false, unit, bit);
                check_bit(&from, &code, true, unit, bit);
            }
        }
    }
}

static void token_bits_are_the_first_128_of_each_unit(void **state) {
    (void)state;
    static model from;
    hot_code code;
    fill(&from, 1, 5);

    hot_code_make(&code, &from.of);

    for (size_t unit = 0; unit < BLOCK_UNITS; unit++) {
        assert_true(code.token[2 * unit] == from.blocks[0].token[unit][0]);
        assert_true(code.token[2 * unit + 1] == from.blocks[0].token[unit][1]);
    }
}

static void the_order_of_an_odd_number_of_layers_does_not_matter(void **state) {
    (void)state;
    static model from;
    hot_code code;
    hot_code turned;
    fill(&from, 25, 6);
    hot_code_make(&code, &from.of);
    for (size_t i = 0; i < 12; i++) {
        const sketch_block kept = from.blocks[i];
        from.blocks[i] = from.blocks[24 - i];
        from.blocks[24 - i] = kept;
    }

    hot_code_make(&turned, &from.of);

    assert_memory_equal(&turned, &code, sizeof code);
}

static void units_that_do_not_take_part_do_not_vote(void **state) {
    (void)state;
    static model from;
    hot_code code;
    fill(&from, 9, 7);
    for (size_t i = 0; i < 9; i++) {
        from.blocks[i].valid = i % 3 ? 0xFFFF : 0xFF0F;
    }

    hot_code_make(&code, &from.of);

    for (size_t bit = 0; bit < 128; bit++) {
        check_bit(&from, &code, false, 5, bit);
        check_bit(&from, &code, true, 9, bit);
    }
}

static unsigned agreeing(const uint64_t *a, const uint64_t *b, size_t first, size_t count) {
    unsigned sum = 0;
    for (size_t i = first; i < first + count; i++) {
        sum += bit_of(a, i) == bit_of(b, i);
    }
    return sum;
}

static void a_unit_that_no_block_has_makes_strangers_no_more_alike(void **state) {
    (void)state;
    static model one;
    static model other;
    hot_code first;
    hot_code again;
    hot_code stranger;
    fill(&one, 8, 8);
    fill(&other, 8, 9);
    for (size_t i = 0; i < 8; i++) {
        one.blocks[i].valid = 0x00FF;
        other.blocks[i].valid = 0x00FF;
    }

    hot_code_make(&first, &one.of);
    hot_code_make(&again, &one.of);
    hot_code_make(&stranger, &other.of);

    assert_memory_equal(&first, &again, sizeof first);
    const unsigned agree =
        agreeing(first.unit, stranger.unit, 1024, 1024); /* units 8 .. 15 of up */
    assert_in_range(agree, 512 - 96, 512 + 96);          /* six deviations */
    for (size_t bit = 1024; bit < 2048; bit++) {
        assert_int_equal(weight_of(first.unit_low, first.unit_high, bit), 0);
    }
}

static void a_token_that_the_vocabulary_lacks_makes_strangers_no_more_alike(void **state) {
    (void)state;
    static model models[2];
    hot_code codes[2];
    for (size_t k = 0; k < 2; k++) {
        fill(&models[k], 8, 10 + k);
        for (size_t t = 0; t < 64; t++) {
            models[k].of.token_tags[t] = 0;
        }
        for (size_t i = 0; i < 8; i++) {
            for (size_t u = 0; u < BLOCK_UNITS; u++) {
                models[k].blocks[i].token[u][0] = 0;
            }
        }
        hot_code_make(&codes[k], &models[k].of);
    }

    assert_in_range(agreeing(codes[0].token, codes[1].token, 0, 2048), 1024 - 136, 1024 + 136);
    assert_int_equal(weight_of(codes[0].token_low, codes[0].token_high, 3), 0);
}

static void all_experts_of_a_layer_vote(void **state) {
    (void)state;
    static model from;
    fill(&from, 8, 11);
    for (size_t i = 0; i < 8; i++) {
        from.blocks[i].layer = (int32_t)(i / 4);
        from.blocks[i].expert = (int32_t)(i % 4);
    }
    hot_code code;

    hot_code_make(&code, &from.of);

    for (size_t bit = 0; bit < 128; bit++) {
        check_bit(&from, &code, false, 2, bit);
    }
}

static void what_a_model_lacks_is_zero(void **state) {
    (void)state;
    static model from;
    hot_code code;
    static const hot_code nothing;
    fill(&from, 3, 12);
    for (size_t i = 0; i < 3; i++) {
        from.blocks[i].has_gate = false;
        from.blocks[i].has_tokens = false;
    }

    hot_code_make(&code, &from.of);

    assert_true(code.has_unit && !code.has_gate && !code.has_token);
    assert_memory_equal(code.unit + 32, nothing.unit, 32 * 8);
    assert_memory_equal(code.token, nothing.token, sizeof code.token);

    from.of.block_count = 0;
    hot_code_make(&code, &from.of);

    assert_true(!code.has_unit && !code.has_gate && !code.has_token);
    assert_memory_equal(code.unit, nothing.unit, sizeof code.unit);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(bits_and_weights_are_those_of_a_count),
        cmocka_unit_test(token_bits_are_the_first_128_of_each_unit),
        cmocka_unit_test(the_order_of_an_odd_number_of_layers_does_not_matter),
        cmocka_unit_test(units_that_do_not_take_part_do_not_vote),
        cmocka_unit_test(a_unit_that_no_block_has_makes_strangers_no_more_alike),
        cmocka_unit_test(a_token_that_the_vocabulary_lacks_makes_strangers_no_more_alike),
        cmocka_unit_test(all_experts_of_a_layer_vote),
        cmocka_unit_test(what_a_model_lacks_is_zero),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
