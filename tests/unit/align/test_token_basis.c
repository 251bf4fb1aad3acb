/* SPDX-License-Identifier: Apache-2.0 */
/* Which tokens are picked, and what their rows become. */
#include "../tensor/fixture.h"

#include <math.h>

#include "align/token_basis.h"
#include "base/hash.h"

enum { WORDS = 3000, WIDTH = 8, WORD_BYTES = 16 };

/* A model of an embedding and token strings. Row i holds numbers that tell word and column. */
typedef struct words {
    fixture from;
    char text[WORDS][WORD_BYTES];
    const char *tokens[WORDS];
    float rows[WORDS][WIDTH];
} words;

static float number_of(const char *word, size_t column) {
    uint64_t state = hash_bytes(word, strlen(word)) + column;
    return (float)(hash_next(&state) >> 40) / (float)(1 << 24) - 0.5F;
}

static void set_word(words *set, size_t id, const char *word) {
    snprintf(set->text[id], WORD_BYTES, "%s", word);
    set->tokens[id] = set->text[id];
    for (size_t j = 0; j < WIDTH; j++) {
        set->rows[id][j] = number_of(word, j);
    }
}

/* Words "w<first>" and on, at ids from 0 on. */
static words *new_words(size_t first, size_t count) {
    words *set = calloc(1, sizeof *set);
    assert_non_null(set);
    fixture_open(&set->from, "llama", "safetensors");
    for (size_t i = 0; i < count; i++) {
        char word[WORD_BYTES];
        snprintf(word, sizeof word, "w%zu", first + i);
        set_word(set, i, word);
    }
    set->from.model.vocabulary = (vocabulary){.tokens = set->tokens, .count = count};
    return set;
}

static void free_words(words *set) {
    fixture_close(&set->from);
    free(set);
}

static weir_model *model_of(words *set, size_t row_count) {
    fixture_add_f32(&set->from, "model.embed_tokens.weight", row_count, WIDTH, set->rows[0]);
    return fixture_model(&set->from, NULL);
}

static token_basis basis_of(words *set, size_t row_count) {
    weir_model *model = model_of(set, row_count);
    token_basis basis = {0};
    assert_int_equal(token_basis_read(&basis, model, NULL), WEIR_OK);
    weir_model_free(model);
    return basis;
}

static void assert_same_basis(const token_basis *a, const token_basis *b) {
    assert_int_equal(a->count, b->count);
    assert_int_equal(a->hidden, b->hidden);
    assert_memory_equal(a->tags, b->tags, sizeof a->tags);
    assert_memory_equal(a->rows, b->rows, TOKEN_PICKS * a->hidden * sizeof *a->rows);
}

static void hashes_are_the_published_ones(void **state) {
    (void)state;
    uint64_t seed = 0;

    assert_true(hash_fnv1a("", 0) == 0xCBF29CE484222325u);
    assert_true(hash_fnv1a("a", 1) == 0xAF63DC4C8601EC8Cu);
    assert_true(hash_fnv1a("foobar", 6) == 0x85944171F73967E8u);
    assert_true(hash_next(&seed) == 0xE220A8397B1DCDAFu);
    assert_true(hash_next(&seed) == 0x6E789E6AA1B965F4u);
    assert_true(hash_bytes("a", 1) == hash_mix(0xAF63DC4C8601EC8Cu));
}

static void rows_are_those_of_the_lowest_hashes_less_their_mean(void **state) {
    (void)state;
    words *set = new_words(0, WORDS);
    token_basis basis = basis_of(set, WORDS);
    size_t winner[TOKEN_PICKS];
    double mean[WIDTH] = {0};
    for (size_t bucket = 0; bucket < TOKEN_PICKS; bucket++) {
        uint64_t lowest = UINT64_MAX;
        for (size_t id = 0; id < WORDS; id++) {
            const uint64_t hash = hash_bytes(set->text[id], strlen(set->text[id]));
            if (hash / ((uint64_t)1 << 56) == bucket && hash < lowest) {
                lowest = hash;
                winner[bucket] = id;
            }
        }
        assert_true(lowest < UINT64_MAX);
        assert_int_equal(basis.tags[bucket], 1 + lowest % 256 % 255);
        for (size_t j = 0; j < WIDTH; j++) {
            mean[j] += (double)set->rows[winner[bucket]][j] / TOKEN_PICKS;
        }
    }

    assert_int_equal(basis.count, TOKEN_PICKS);
    assert_int_equal(basis.hidden, WIDTH);
    for (size_t i = 0; i < TOKEN_PICKS; i++) {
        for (size_t j = 0; j < WIDTH; j++) {
            const double expected = (double)set->rows[winner[i]][j] - mean[j];
            assert_true(fabs((double)basis.rows[i * WIDTH + j] - expected) < 1e-6);
        }
    }
    token_basis_release(&basis);
    assert_null(basis.rows);
    free_words(set);
}

static void order_of_a_vocabulary_changes_nothing(void **state) {
    (void)state;
    words *set = new_words(0, WORDS);
    words *turned = new_words(0, WORDS);
    for (size_t i = 0; i < WORDS; i++) {
        set_word(turned, i, set->text[WORDS - 1 - i]);
    }

    token_basis a = basis_of(set, WORDS);
    token_basis b = basis_of(turned, WORDS);

    assert_same_basis(&a, &b);
    token_basis_release(&a);
    token_basis_release(&b);
    free_words(set);
    free_words(turned);
}

static void extending_a_vocabulary_keeps_most_picks(void **state) {
    (void)state;
    words *set = new_words(0, WORDS - 200);
    words *longer = new_words(0, WORDS);

    token_basis a = basis_of(set, WORDS - 200);
    token_basis b = basis_of(longer, WORDS);

    size_t equal = 0;
    for (size_t i = 0; i < TOKEN_PICKS; i++) {
        equal += a.tags[i] == b.tags[i];
    }
    assert_in_range(equal, 200, 255);
    token_basis_release(&a);
    token_basis_release(&b);
    free_words(set);
    free_words(longer);
}

static void ids_beyond_the_rows_and_missing_strings_take_no_part(void **state) {
    (void)state;
    words *set = new_words(0, 300);
    words *longer = new_words(0, WORDS);
    set->tokens[7] = NULL;
    longer->tokens[7] = "";

    token_basis a = basis_of(set, 400);
    token_basis b = basis_of(longer, 300);

    assert_in_range(a.count, 100, 255);
    assert_same_basis(&a, &b);
    token_basis_release(&a);
    token_basis_release(&b);
    free_words(set);
    free_words(longer);
}

static void repeated_string_counts_at_its_lowest_id(void **state) {
    (void)state;
    words *set = new_words(0, 300);
    words *repeated = new_words(0, 300);
    for (size_t i = 300; i < 600; i++) {
        set_word(repeated, i, set->text[i - 300]);
        repeated->rows[i][0] = 5.0F;
    }
    repeated->from.model.vocabulary.count = 600;

    token_basis a = basis_of(set, 300);
    token_basis b = basis_of(repeated, 600);

    assert_same_basis(&a, &b);
    token_basis_release(&a);
    token_basis_release(&b);
    free_words(set);
    free_words(repeated);
}

static void rows_without_numbers_leave_their_bucket_empty(void **state) {
    (void)state;
    words *set = new_words(0, 3);
    set->rows[0][3] = NAN;
    memset(set->rows[1], 0, sizeof set->rows[1]);

    token_basis basis = basis_of(set, 3);

    assert_int_equal(basis.count, 1);
    for (size_t i = 0; i < TOKEN_PICKS * WIDTH; i++) {
        assert_true(basis.rows[i] == 0.0F); /* one row less its mean, and empty ones */
    }
    token_basis_release(&basis);
    free_words(set);
}

static void without_embedding_strings_or_numbers_there_is_no_basis(void **state) {
    (void)state;
    for (size_t kind = 0; kind < 6; kind++) {
        words *set = new_words(0, 300);
        const uint64_t dims[] = {300, WIDTH};
        const weir_dtype dtype = kind == 2   ? WEIR_DTYPE_U8
                                 : kind == 3 ? WEIR_DTYPE_C64
                                             : WEIR_DTYPE_F32;
        const bool is_empty = kind == 5;
        fixture_add(&set->from,
                    kind == 0 ? "model.layers.0.mlp.up_proj.weight" : "model.embed_tokens.weight",
                    dtype, dims, 2, is_empty || dtype != WEIR_DTYPE_F32 ? NULL : set->rows);
        if (kind == 1) {
            set->from.model.vocabulary = (vocabulary){0};
        }
        if (kind == 4) {
            memset(set->tokens, 0, sizeof set->tokens);
        }
        weir_model *model = fixture_model(&set->from, NULL);
        token_basis basis = {0};

        assert_int_equal(token_basis_read(&basis, model, NULL), WEIR_OK);

        assert_null(basis.rows);
        assert_int_equal(basis.count, 0);
        weir_model_free(model);
        free_words(set);
    }
}

static void common_basis_holds_the_same_tokens_of_both(void **state) {
    (void)state;
    words *set = new_words(0, 2000);
    words *other = new_words(1000, 2000); /* half of the strings, at other ids */
    set->rows[1500][0] = INFINITY;
    weir_model *mine = model_of(set, 2000);
    weir_model *theirs = model_of(other, 2000);
    token_basis a = {0};
    token_basis b = {0};

    assert_int_equal(token_basis_read_common(&a, &b, mine, theirs, NULL), WEIR_OK);

    assert_in_range(a.count, 220, 256);
    assert_same_basis(&a, &b);
    token_basis_release(&a);
    token_basis_release(&b);
    weir_model_free(mine);
    weir_model_free(theirs);
    free_words(set);
    free_words(other);
}

static void vocabularies_without_a_common_token_have_no_common_basis(void **state) {
    (void)state;
    words *set = new_words(0, 1000);
    words *other = new_words(1000, 1000);
    weir_model *mine = model_of(set, 1000);
    weir_model *theirs = model_of(other, 1000);
    token_basis a = {0};
    token_basis b = {0};

    assert_int_equal(token_basis_read_common(&a, &b, mine, theirs, NULL), WEIR_OK);

    assert_null(a.rows);
    assert_null(b.rows);
    weir_model_free(mine);
    weir_model_free(theirs);
    free_words(set);
    free_words(other);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(hashes_are_the_published_ones),
        cmocka_unit_test(rows_are_those_of_the_lowest_hashes_less_their_mean),
        cmocka_unit_test(order_of_a_vocabulary_changes_nothing),
        cmocka_unit_test(extending_a_vocabulary_keeps_most_picks),
        cmocka_unit_test(ids_beyond_the_rows_and_missing_strings_take_no_part),
        cmocka_unit_test(repeated_string_counts_at_its_lowest_id),
        cmocka_unit_test(rows_without_numbers_leave_their_bucket_empty),
        cmocka_unit_test(without_embedding_strings_or_numbers_there_is_no_basis),
        cmocka_unit_test(common_basis_holds_the_same_tokens_of_both),
        cmocka_unit_test(vocabularies_without_a_common_token_have_no_common_basis),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
