/* SPDX-License-Identifier: Apache-2.0 */
/* Codes are random bits, relatives are copies with bits flipped; expected scores follow from how
 * many. */
#include "../testing.h"

#include <dirent.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/hash.h"
#include "sketch/index_format.h"
#include "sketch/search_index.h"
#include "weir/system.h"

enum { MANY = 40000 };

typedef struct bytes {
    uint8_t *data;
    size_t len;
} bytes;

static char folder[] = "/tmp/weir_search_index_XXXXXX";
static char path[sizeof folder + 16];

static int make_folder(void **state) {
    (void)state;
    if (!mkdtemp(folder)) {
        return -1;
    }
    (void)snprintf(path, sizeof path, "%s/index", folder);
    return 0;
}

static int remove_folder(void **state) {
    (void)state;
    (void)unlink(path);
    return rmdir(folder);
}

/* Weights are 1 everywhere. */
static hot_code make_code(uint64_t seed, uint32_t hidden) {
    hot_code code = {.hidden = hidden, .has_unit = true, .has_gate = true, .has_token = true};
    for (size_t i = 0; i < HOT_UNIT_WORDS; i++) {
        code.unit[i] = hash_next(&seed);
        code.unit_low[i] = UINT64_MAX;
    }
    for (size_t i = 0; i < HOT_TOKEN_WORDS; i++) {
        code.token[i] = hash_next(&seed);
        code.token_low[i] = UINT64_MAX;
    }
    return code;
}

/* Every step-th bit of a part, from `first`. */
static void flip_bits(uint64_t *words, size_t bits, size_t first, size_t step) {
    for (size_t bit = first; bit < bits; bit += step) {
        words[bit / 64] ^= (uint64_t)1 << bit % 64;
    }
}

/* So many bits, anywhere. */
static void flip_some(uint64_t *words, size_t bits, size_t count, uint64_t seed) {
    uint64_t flipped[HOT_UNIT_WORDS] = {0};
    while (count > 0) {
        const size_t bit = hash_next(&seed) % bits;
        const uint64_t mask = (uint64_t)1 << bit % 64;
        count -= !(flipped[bit / 64] & mask);
        words[bit / 64] ^= mask & ~flipped[bit / 64];
        flipped[bit / 64] |= mask;
    }
}

static hot_code changed(hot_code code, size_t first, size_t step) {
    flip_bits(code.unit, 4096, first, step);
    flip_bits(code.token, 2048, first, step);
    return code;
}

static hot_code without_gate(hot_code code) {
    code.has_gate = false;
    memset(code.unit + 32, 0, 32 * sizeof *code.unit);
    memset(code.unit_low + 32, 0, 32 * sizeof *code.unit);
    return code;
}

static hot_code without_unit(hot_code code) {
    code.has_unit = code.has_gate = false;
    memset(code.unit, 0, sizeof code.unit);
    memset(code.unit_low, 0, sizeof code.unit_low);
    return code;
}

static hot_code without_token(hot_code code) {
    code.has_token = false;
    memset(code.token, 0, sizeof code.token);
    memset(code.token_low, 0, sizeof code.token_low);
    return code;
}

static void write_index(const hot_code *codes, const uint64_t *entries, size_t count) {
    WEIR_CLEANUP(search_index_writer_free) search_index_writer *writer = NULL;
    weir_error err = {0};
    assert_int_equal(search_index_writer_open(&writer, &err), WEIR_OK);
    for (size_t i = 0; i < count; i++) {
        const uint64_t entry = entries ? entries[i] : 10 * i;
        assert_int_equal(search_index_writer_add(writer, entry, &codes[i], &err), WEIR_OK);
    }
    assert_int_equal(search_index_writer_finish(writer, path, 77, &err), WEIR_OK);
}

static search_index *open_index(void) {
    search_index *index = NULL;
    weir_error err = {0};
    assert_int_equal(search_index_open(&index, path, &err), WEIR_OK);
    assert_int_equal(search_index_verify(index, &err), WEIR_OK);
    return index;
}

static search_hit *find_leaders(size_t *count, const search_index *index, const hot_code *code,
                                size_t wanted, unsigned jobs) {
    search_hit *hits = NULL;
    weir_error err = {0};
    assert_int_equal(search_index_leaders(&hits, count, index, code, wanted, jobs, &err), WEIR_OK);
    return hits;
}

static search_hit *find_members(size_t *count, const search_index *index, uint32_t family,
                                const hot_code *code, size_t wanted) {
    search_hit *hits = NULL;
    weir_error err = {0};
    assert_int_equal(search_index_members(&hits, count, index, family, code, wanted, &err),
                     WEIR_OK);
    return hits;
}

static bytes read_index(void) {
    FILE *file = fopen(path, "rb");
    struct stat info;
    assert_non_null(file);
    assert_int_equal(fstat(fileno(file), &info), 0);
    bytes all = {.data = malloc((size_t)info.st_size), .len = (size_t)info.st_size};
    assert_non_null(all.data);
    assert_int_equal(fread(all.data, 1, all.len, file), all.len);
    (void)fclose(file);
    return all;
}

/* The same for any test: strangers of two widths, a family, models without gate, unit or token. */
static void write_mixed(void) {
    hot_code codes[12];
    for (size_t i = 0; i < 4; i++) {
        codes[i] = make_code(i, i < 2 ? 4096 : 2048);
    }
    for (size_t i = 4; i < 8; i++) {
        codes[i] = changed(codes[0], i, 20);
    }
    codes[8] = without_gate(make_code(8, 4096));
    codes[9] = without_unit(make_code(9, 4096));
    codes[10] = without_token(make_code(10, 4096));
    codes[11] = without_gate(changed(codes[8], 3, 30));
    write_index(codes, NULL, 12);
}

static void near_codes_are_a_family_and_strangers_lead(void **state) {
    (void)state;
    write_mixed();

    WEIR_CLEANUP(search_index_free) search_index *index = open_index();

    assert_int_equal(search_index_entry_count(index), 12);
    assert_int_equal(search_index_leader_count(index), 7);
    assert_int_equal(search_index_generation(index), 77);
    assert_int_equal(strlen(search_index_id(index)), 64);
    const hot_code code = make_code(0, 4096);
    size_t count;
    WEIR_CLEANUP(free) search_hit *hits = find_leaders(&count, index, &code, 1, 1);
    assert_int_equal(hits[0].entry, 0);
    assert_int_equal(hits[0].family_size, 5);
}

static void a_sixth_of_the_bits_of_either_part_is_the_border(void **state) {
    (void)state;
    const hot_code root = make_code(1, 64);
    hot_code unit_far = root;
    hot_code token_far = root;
    flip_some(unit_far.unit, 4096, 683, 1);   /* 4096 / 6 is 682.7 */
    flip_some(token_far.token, 2048, 342, 2); /* 2048 / 6 is 341.3 */
    hot_code near = root;
    flip_some(near.unit, 4096, 682, 3);
    flip_some(near.token, 2048, 341, 4);
    const hot_code codes[] = {root, unit_far, token_far, near};

    write_index(codes, NULL, 4);

    WEIR_CLEANUP(search_index_free) search_index *index = open_index();
    assert_int_equal(search_index_leader_count(index), 3);
}

static void scores_are_standard_deviations_above_chance(void **state) {
    (void)state;
    write_mixed();
    WEIR_CLEANUP(search_index_free) search_index *index = open_index();
    hot_code code = make_code(1, 4096);
    flip_bits(code.unit, 4096, 0, 4);  /* 1024 of 4096 */
    flip_bits(code.token, 2048, 0, 8); /* 256 of 2048 */
    size_t count;

    WEIR_CLEANUP(free) search_hit *hits = find_leaders(&count, index, &code, 7, 1);

    assert_int_equal(hits[0].entry, 10);
    assert_true(fabsf(hits[0].unit_score - (4096 - 2 * 1024) / 64.0f) < 1e-4f);
    assert_true(fabs(hits[0].token_score - (2048 - 2 * 256) / sqrt(2048)) < 1e-4);
}

static void weights_count(void **state) {
    (void)state;
    write_mixed();
    WEIR_CLEANUP(search_index_free) search_index *index = open_index();
    hot_code code = without_token(make_code(1, 4096));
    memset(code.unit_low, 0, sizeof code.unit_low);
    code.unit_low[0] = 0xFF;
    code.unit_high[0] = 0xF0; /* four bits of weight 1, four of weight 3 */
    code.unit[0] ^= 0x11;     /* one of each differs */
    code.unit[5] ^= 0xFFFF;   /* no weight */
    size_t count;

    WEIR_CLEANUP(free) search_hit *hits = find_leaders(&count, index, &code, 7, 1);

    for (size_t i = 0; i < count; i++) {
        if (hits[i].entry == 10) {
            assert_true(fabs(hits[i].unit_score - (16 - 2 * 4) / sqrt(4 + 4 * 9)) < 1e-5);
            return;
        }
    }
    fail();
}

static void units_of_another_width_do_not_compare_but_tokens_do(void **state) {
    (void)state;
    write_mixed();
    WEIR_CLEANUP(search_index_free) search_index *index = open_index();
    const hot_code code = make_code(2, 5120); /* entry 20 has 2048 */
    size_t count;

    WEIR_CLEANUP(free) search_hit *hits = find_leaders(&count, index, &code, 7, 1);

    assert_int_equal(hits[0].entry, 20);
    assert_true(fabs(hits[0].token_score - sqrt(2048)) < 1e-4);
    for (size_t i = 0; i < count; i++) {
        assert_true(isnan(hits[i].unit_score));
    }
}

static void without_a_gate_on_one_side_the_up_half_compares(void **state) {
    (void)state;
    write_mixed();
    WEIR_CLEANUP(search_index_free) search_index *index = open_index();
    hot_code code = make_code(8, 4096);
    flip_bits(code.unit + 32, 2048, 0, 1); /* its gate, which the entry lacks */
    const hot_code half = without_gate(make_code(1, 4096));
    size_t count;

    WEIR_CLEANUP(free) search_hit *hits = find_leaders(&count, index, &code, 7, 1);
    size_t half_count;
    WEIR_CLEANUP(free) search_hit *half_hits = find_leaders(&half_count, index, &half, 7, 1);

    assert_int_equal(hits[0].entry, 80);
    assert_true(fabs(hits[0].unit_score - sqrt(2048)) < 1e-4);
    assert_int_equal(half_hits[0].entry, 10);
    assert_true(fabs(half_hits[0].unit_score - sqrt(2048)) < 1e-4);
}

static void the_nearest_member_of_a_family_comes_first(void **state) {
    (void)state;
    write_mixed();
    WEIR_CLEANUP(search_index_free) search_index *index = open_index();
    hot_code code = changed(changed(make_code(0, 4096), 6, 20), 0, 64);
    size_t count;
    WEIR_CLEANUP(free) search_hit *leaders = find_leaders(&count, index, &code, 1, 1);

    size_t member_count;
    WEIR_CLEANUP(free)
    search_hit *members = find_members(&member_count, index, leaders[0].family, &code, 3);

    assert_int_equal(member_count, 3);
    assert_int_equal(members[0].entry, 60);
    assert_int_equal(members[0].family_size, 5);
    assert_true(members[0].unit_score == 14 &&
                members[0].token_score == 14); /* 16 of 256 bits differ */
}

static void members_of_a_rotated_model_are_told_apart_by_tokens(void **state) {
    (void)state;
    write_mixed();
    WEIR_CLEANUP(search_index_free) search_index *index = open_index();
    hot_code code = changed(make_code(0, 4096), 6, 20);
    const hot_code other = make_code(99, 4096);
    memcpy(code.unit, other.unit, sizeof code.unit);
    size_t count;
    WEIR_CLEANUP(free) search_hit *leaders = find_leaders(&count, index, &code, 1, 1);

    size_t member_count;
    WEIR_CLEANUP(free)
    search_hit *members = find_members(&member_count, index, leaders[0].family, &code, 9);

    assert_int_equal(member_count, 5);
    assert_int_equal(members[0].entry, 60);
    assert_true(fabsf(members[0].token_score - 16) < 1e-5f);
}

static void each_kind_of_code_brings_up_its_own(void **state) {
    (void)state;
    write_mixed();
    WEIR_CLEANUP(search_index_free) search_index *index = open_index();
    hot_code code = make_code(10, 4096); /* has the tokens that entry 100 lacks */
    const hot_code tokens = make_code(3, 4096);
    memcpy(code.token, tokens.token, sizeof code.token);
    size_t count;

    WEIR_CLEANUP(free) search_hit *hits = find_leaders(&count, index, &code, 1, 1);

    assert_int_equal(count, 2);
    assert_int_equal(hits[0].entry, 100);
    assert_true(isnan(hits[0].token_score));
    assert_int_equal(hits[1].entry, 30);
    assert_true(isnan(hits[1].unit_score));
}

/* One of 300 whose first parent's family has 200 leaders, each of which differs from it in a
 * quarter of the bits; of the second parent's there is one. */
static void a_second_parent_is_found_beside_a_large_family(void **state) {
    (void)state;
    hot_code codes[300];
    for (size_t i = 0; i < 300; i++) {
        codes[i] = make_code(i < 200 ? 1 : i, 64);
        if (i < 200) {
            flip_some(codes[i].unit, 4096, 1024, i);
        }
        codes[i] = without_token(codes[i]);
    }
    write_index(codes, NULL, 300);
    hot_code child = without_token(make_code(1, 64));
    for (size_t i = 0; i < HOT_UNIT_WORDS; i++) {
        child.unit[i] = (child.unit[i] & ~0xFFFFFull) | (codes[250].unit[i] & 0xFFFFFull);
    }
    WEIR_CLEANUP(search_index_free) search_index *index = open_index();
    size_t count;

    WEIR_CLEANUP(free) search_hit *hits = find_leaders(&count, index, &child, 16, 1);

    assert_int_equal(search_index_leader_count(index), 300);
    assert_in_range(count, 17, 24);
    size_t at = 0;
    while (at < count && hits[at].entry != 2500) {
        at++;
    }
    assert_in_range(at, 16, count - 1); /* behind all that were near by themselves */
}

static void write_many(void) {
    WEIR_CLEANUP(search_index_writer_free) search_index_writer *writer = NULL;
    weir_error err = {0};
    assert_int_equal(search_index_writer_open(&writer, &err), WEIR_OK);
    for (uint64_t i = 0; i < MANY; i++) {
        /* Every third is a copy of the one before with a few bits changed; some are exact copies.
         */
        hot_code code = make_code(i - (i % 3 == 2), i % 5 ? 4096 : 1024);
        if (i % 3 == 2) {
            code = changed(code, i % 7, 50);
            code.hidden = (i - 1) % 5 ? 4096 : 1024;
        }
        assert_int_equal(search_index_writer_add(writer, i, &code, &err), WEIR_OK);
    }
    assert_int_equal(search_index_writer_finish(writer, path, 1, &err), WEIR_OK);
}

static void results_are_the_same_for_any_threads_and_simd_level(void **state) {
    (void)state;
    write_many();
    WEIR_CLEANUP(search_index_free) search_index *index = open_index();
    assert_int_equal(search_index_leader_count(index), MANY - MANY / 3);
    hot_code code = make_code(7, 4096);
    flip_bits(code.unit, 4096, 0, 2);
    flip_bits(code.token, 2048, 0, 2);
    size_t count;
    WEIR_CLEANUP(free) search_hit *expected = find_leaders(&count, index, &code, 50, 1);
    weir_simd level = WEIR_SIMD_BASE;
    while (weir_simd_force(level, NULL) == WEIR_OK) {
        for (unsigned jobs = 0; jobs < 6; jobs++) {
            size_t found;
            WEIR_CLEANUP(free) search_hit *hits = find_leaders(&found, index, &code, 50, jobs);
            assert_int_equal(found, count);
            for (size_t i = 0; i < found; i++) {
                assert_int_equal(hits[i].entry, expected[i].entry);
                assert_int_equal(hits[i].family, expected[i].family);
                assert_true(hits[i].unit_score == expected[i].unit_score ||
                            (isnan(hits[i].unit_score) && isnan(expected[i].unit_score)));
                assert_true(hits[i].token_score == expected[i].token_score);
            }
        }
        level = (weir_simd)(level + 1);
    }
}

static void the_best_of_all_are_found(void **state) {
    (void)state;
    write_many();
    WEIR_CLEANUP(search_index_free) search_index *index = open_index();
    hot_code code = make_code(31, 4096);
    flip_bits(code.unit, 4096, 0, 2);
    flip_bits(code.token, 2048, 0, 2);
    size_t all_count;
    WEIR_CLEANUP(free) search_hit *all = find_leaders(&all_count, index, &code, MANY, 2);
    float worst = INFINITY;
    size_t count;

    WEIR_CLEANUP(free) search_hit *hits = find_leaders(&count, index, &code, 10, 2);

    assert_int_equal(all_count, MANY - MANY / 3); /* every leader has tokens */
    for (size_t i = 0; i < 10; i++) {
        /* The ten with the best score of either kind are the best of all. */
        assert_int_equal(hits[i].entry, all[i].entry);
        const float best = fmaxf(all[i].unit_score, all[i].token_score);
        assert_true(best <= worst);
        worst = best;
    }
}

static void equal_scores_stand_in_the_order_of_entries(void **state) {
    (void)state;
    hot_code codes[40];
    for (size_t i = 0; i < 40; i++) {
        codes[i] = make_code(5, 100 + i); /* equal tokens, each of another width: 40 leaders */
    }
    write_index(codes, NULL, 40);
    WEIR_CLEANUP(search_index_free) search_index *index = open_index();
    size_t count;

    WEIR_CLEANUP(free) search_hit *hits = find_leaders(&count, index, &codes[39], 5, 1);

    assert_int_equal(count, 6);
    assert_int_equal(hits[0].entry, 390); /* by unit */
    for (size_t i = 0; i < 5; i++) {
        assert_int_equal(hits[i + 1].entry, 10 * i);
    }
}

static void a_set_of_entries_gives_one_file(void **state) {
    (void)state;
    write_mixed();
    WEIR_CLEANUP(search_index_free) search_index *first = open_index();
    const bytes one = read_index();
    write_mixed();

    const bytes other = read_index();

    assert_int_equal(one.len, other.len);
    assert_memory_equal(one.data, other.data, one.len);
    free(one.data);
    free(other.data);
}

static void an_index_stays_whole_while_it_is_replaced(void **state) {
    (void)state;
    write_mixed();
    WEIR_CLEANUP(search_index_free) search_index *old = open_index();
    const hot_code code = make_code(500, 64);

    write_index(&code, NULL, 1);

    weir_error err = {0};
    WEIR_CLEANUP(search_index_free) search_index *new = open_index();
    assert_int_equal(search_index_verify(old, &err), WEIR_OK);
    assert_int_equal(search_index_entry_count(old), 12);
    assert_int_equal(search_index_entry_count(new), 1);
    assert_string_not_equal(search_index_id(old), search_index_id(new));
}

static void an_empty_index_finds_nothing(void **state) {
    (void)state;
    const hot_code code = make_code(1, 64);
    write_index(NULL, NULL, 0);
    WEIR_CLEANUP(search_index_free) search_index *index = open_index();
    size_t count;

    WEIR_CLEANUP(free) search_hit *hits = find_leaders(&count, index, &code, 10, 2);

    assert_int_equal(count, 0);
    assert_int_equal(search_index_leader_count(index), 0);
}

static void entries_must_ascend(void **state) {
    (void)state;
    WEIR_CLEANUP(search_index_writer_free) search_index_writer *writer = NULL;
    weir_error err = {0};
    const hot_code code = make_code(1, 64);
    const hot_code nothing = {.hidden = 64};
    assert_int_equal(search_index_writer_open(&writer, &err), WEIR_OK);
    assert_int_equal(search_index_writer_add(writer, 5, &code, &err), WEIR_OK);

    assert_int_equal(search_index_writer_add(writer, 5, &code, &err), WEIR_ERR_ARG);
    assert_int_equal(search_index_writer_add(writer, 4, &code, &err), WEIR_ERR_ARG);
    assert_int_equal(search_index_writer_add(writer, 6, &nothing, &err), WEIR_OK);
    assert_int_equal(search_index_writer_add(writer, 6, &code, &err), WEIR_ERR_ARG);
}

static void a_model_without_codes_is_left_out(void **state) {
    (void)state;
    const hot_code codes[] = {{.hidden = 64}, make_code(1, 64), {.hidden = 64}};

    write_index(codes, NULL, 3);

    WEIR_CLEANUP(search_index_free) search_index *index = open_index();
    assert_int_equal(search_index_entry_count(index), 1);
    size_t count;
    WEIR_CLEANUP(free) search_hit *none = find_leaders(&count, index, &codes[0], 5, 1);
    assert_int_equal(count, 0);
}

static size_t files_in_folder(void) {
    DIR *listing = opendir(folder);
    size_t count = 0;
    assert_non_null(listing);
    for (struct dirent *entry; (entry = readdir(listing));) {
        count += entry->d_name[0] != '.';
    }
    (void)closedir(listing);
    return count;
}

static void a_failed_write_leaves_nothing_behind(void **state) {
    (void)state;
    WEIR_CLEANUP(search_index_writer_free) search_index_writer *writer = NULL;
    weir_error err = {0};
    char inside[sizeof path + 16];
    (void)unlink(path);
    assert_int_equal(mkdir(path, 0700), 0); /* a folder cannot be replaced by a file */
    (void)snprintf(inside, sizeof inside, "%s/none/index", folder);
    assert_int_equal(search_index_writer_open(&writer, &err), WEIR_OK);

    assert_int_equal(search_index_writer_finish(writer, path, 1, &err), WEIR_ERR_IO);
    assert_int_equal(files_in_folder(), 1);
    assert_int_equal(search_index_writer_finish(writer, inside, 1, &err), WEIR_ERR_IO);
    assert_int_equal(files_in_folder(), 1);
    assert_int_equal(rmdir(path), 0);
    assert_int_equal(search_index_writer_finish(writer, path, 1, &err), WEIR_OK);
    assert_int_equal(files_in_folder(), 1);
}

static void what_is_not_there_cannot_be_opened(void **state) {
    (void)state;
    search_index *index = NULL;
    weir_error err = {0};

    assert_int_equal(search_index_open(&index, "/nowhere/index", &err), WEIR_ERR_IO);
    assert_string_equal(err.file, "index");
    assert_int_equal(search_index_open(&index, folder, &err), WEIR_ERR_IO);
    FILE *file = fopen(path, "wb");
    assert_non_null(file);
    (void)fclose(file);
    assert_int_equal(search_index_open(&index, path, &err), WEIR_ERR_FORMAT);
    assert_null(index);
}

/* --- damaged files --- */

static void seal(bytes all) {
    WEIR_CLEANUP(digest_free) digest *of = NULL;
    assert_int_equal(digest_new(&of, NULL), WEIR_OK);
    digest_update(of, all.data, INDEX_DIGEST_AT);
    digest_finish(of, all.data + INDEX_DIGEST_AT);
}

static weir_code try_open(const uint8_t *data, size_t len) {
    search_index *index = NULL;
    weir_error err = {0};
    const weir_code code = search_index_open_memory(&index, data, len, "i", &err);
    assert_true(code == WEIR_OK || (index == NULL && err.found[0] != '\0'));
    search_index_free(index);
    return code;
}

static void a_file_that_is_not_whole_is_refused(void **state) {
    (void)state;
    write_mixed();
    const bytes all = read_index();
    for (size_t len = 0; len < all.len; len += len < INDEX_HEADER_BYTES + 128 ? 1 : 61) {
        uint8_t *cut = malloc(len ? len : 1);
        assert_non_null(cut);
        memcpy(cut, all.data, len);
        assert_int_equal(try_open(cut, len), WEIR_ERR_FORMAT);
        free(cut);
    }
    assert_int_equal(try_open(all.data, all.len - 1), WEIR_ERR_FORMAT);
    assert_int_equal(try_open(all.data, all.len), WEIR_OK);
    free(all.data);
}

static void every_flipped_bit_of_the_header_is_refused(void **state) {
    (void)state;
    write_mixed();
    const bytes all = read_index();
    for (size_t bit = 0; bit < 8 * (size_t)INDEX_HEADER_BYTES; bit++) {
        all.data[bit / 8] ^= (uint8_t)(1 << bit % 8);
        const weir_code code = try_open(all.data, all.len);
        assert_int_equal(code,
                         bit / 8 >= 8 && bit / 8 < 12 ? WEIR_ERR_UNSUPPORTED : WEIR_ERR_FORMAT);
        all.data[bit / 8] ^= (uint8_t)(1 << bit % 8);
    }
    free(all.data);
}

static void every_flipped_byte_elsewhere_is_seen_by_verify(void **state) {
    (void)state;
    write_mixed();
    const bytes all = read_index();
    index_extent at[SECTION_COUNT];
    uint64_t file_bytes;
    assert_true(index_layout(at, &file_bytes, &(index_counts){12, 7, 5}));
    assert_int_equal(file_bytes, all.len);
    for (size_t i = 0; i < SECTION_COUNT; i++) {
        for (uint64_t byte = at[i].offset; byte < at[i].offset + at[i].bytes; byte += 97) {
            search_index *index = NULL;
            weir_error err = {0};
            all.data[byte] ^= 4;
            const weir_code opened = search_index_open_memory(&index, all.data, all.len, "i", &err);
            assert_true(opened == WEIR_ERR_FORMAT ||
                        search_index_verify(index, &err) == WEIR_ERR_FORMAT);
            search_index_free(index);
            all.data[byte] ^= 4;
        }
    }
    free(all.data);
}

static void lies_under_a_right_checksum_are_refused(void **state) {
    (void)state;
    static const struct {
        size_t at;
        size_t bytes; /* 4 or 8 */
        uint64_t value;
    } lies[] = {
        {12, 4, 513},         {24, 8, 1},
        {32, 8, 11},          {32, 8, UINT64_MAX},
        {32, 8, 1ull << 60},  {32, 8, SEARCH_ENTRIES_MAX},
        {32, 8, 6},           {40, 8, 13},
        {40, 8, 1ull << 55},  {40, 8, 0},
        {48, 4, 0},           {48, 4, 8},
        {48, 4, UINT32_MAX},  {56, 8, 0},
        {56, 8, 576},         {64, 8, UINT64_MAX},
        {56 + 48, 8, 0},      {56 + 48 + 8, 8, 512},
        {56 + 5 * 48, 8, 1},  {56 + 5 * 48 + 8, 8, 1ull << 63},
        {512, 4, UINT32_MAX}, {512 + 4, 4, 0},
        {512 + 4, 4, 8},      {512 + 4, 4, 2},
        {512 + 8, 4, 0},      {512 + 8, 4, UINT32_MAX},
        {512 + 16, 4, 0},
    };
    write_mixed();
    for (size_t i = 0; i < sizeof lies / sizeof *lies; i++) {
        const bytes all = read_index();
        for (size_t j = 0; j < lies[i].bytes; j++) {
            all.data[lies[i].at + j] = (uint8_t)(lies[i].value >> 8 * j);
        }
        seal(all);
        if (try_open(all.data, all.len) != WEIR_ERR_FORMAT) {
            fail_msg("lie %zu was taken", i);
        }
        free(all.data);
    }
}

static void members_outside_the_file_are_refused(void **state) {
    (void)state;
    static const struct {
        size_t at;
        uint32_t value;
    } lies[] = {{8, UINT32_MAX}, {8, 3}, {12, UINT32_MAX}, {12, 6}};
    write_mixed();
    const hot_code code = make_code(2, 2048); /* the first leader: the smallest width */
    for (size_t i = 0; i < sizeof lies / sizeof *lies; i++) {
        const bytes all = read_index();
        index_extent at[SECTION_COUNT];
        uint64_t file_bytes;
        (void)index_layout(at, &file_bytes, &(index_counts){12, 7, 5});
        uint8_t *row = all.data + at[SECTION_LEADERS].offset;
        index_put_u32(row + 12, 3);
        index_put_u32(row + lies[i].at, lies[i].value);
        search_index *index = NULL;
        search_hit *hits = NULL;
        size_t count = 0;
        weir_error err = {0};
        assert_int_equal(search_index_open_memory(&index, all.data, all.len, "i", &err), WEIR_OK);

        assert_int_equal(search_index_leaders(&hits, &count, index, &code, 7, 1, &err),
                         WEIR_ERR_FORMAT);
        assert_int_equal(search_index_members(&hits, &count, index, 0, &code, 7, &err),
                         WEIR_ERR_FORMAT);
        assert_int_equal(search_index_members(&hits, &count, index, 7, &code, 7, &err),
                         WEIR_ERR_ARG);
        assert_null(hits);

        search_index_free(index);
        free(all.data);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(near_codes_are_a_family_and_strangers_lead),
        cmocka_unit_test(a_sixth_of_the_bits_of_either_part_is_the_border),
        cmocka_unit_test(scores_are_standard_deviations_above_chance),
        cmocka_unit_test(weights_count),
        cmocka_unit_test(units_of_another_width_do_not_compare_but_tokens_do),
        cmocka_unit_test(without_a_gate_on_one_side_the_up_half_compares),
        cmocka_unit_test(the_nearest_member_of_a_family_comes_first),
        cmocka_unit_test(members_of_a_rotated_model_are_told_apart_by_tokens),
        cmocka_unit_test(each_kind_of_code_brings_up_its_own),
        cmocka_unit_test(a_second_parent_is_found_beside_a_large_family),
        cmocka_unit_test(results_are_the_same_for_any_threads_and_simd_level),
        cmocka_unit_test(the_best_of_all_are_found),
        cmocka_unit_test(equal_scores_stand_in_the_order_of_entries),
        cmocka_unit_test(a_set_of_entries_gives_one_file),
        cmocka_unit_test(an_index_stays_whole_while_it_is_replaced),
        cmocka_unit_test(an_empty_index_finds_nothing),
        cmocka_unit_test(entries_must_ascend),
        cmocka_unit_test(a_model_without_codes_is_left_out),
        cmocka_unit_test(a_failed_write_leaves_nothing_behind),
        cmocka_unit_test(what_is_not_there_cannot_be_opened),
        cmocka_unit_test(a_file_that_is_not_whole_is_refused),
        cmocka_unit_test(every_flipped_bit_of_the_header_is_refused),
        cmocka_unit_test(every_flipped_byte_elsewhere_is_seen_by_verify),
        cmocka_unit_test(lies_under_a_right_checksum_are_refused),
        cmocka_unit_test(members_outside_the_file_are_refused),
    };
    return cmocka_run_group_tests(tests, make_folder, remove_folder);
}
