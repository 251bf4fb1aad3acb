/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Searching. The leaders are cut into pieces of one group; threads take pieces, each keeps the best
 * it saw, and the best of all are taken in the end. Which are the best is a total order (score,
 * then entry), so it does not matter who saw which piece.
 *
 * Thousands of leaders may descend from one base, and all of them stand before a second parent that
 * is as near. So where the nearest leader is recognised there is a second round for what it does
 * not explain: unit codes are scanned again by those bits alone in which the query differs from it.
 * Its relatives mostly agree with it there, and so fall behind chance; whoever gave the query these
 * bits comes first: another parent, or that relative of the first leader which the query was made
 * of.
 */
#include <math.h>
#include <omp.h>
#include <stdlib.h>

#include "base/checked.h"
#include "base/fail.h"
#include "base/threads.h"
#include "kernel/hamming.h"
#include "sketch/index_map.h"
#include "sketch/index_rank.h"

enum {
    PIECE_LEADERS = 1024,
    PIECES_A_THREAD = 16, /* fewer are scanned before another thread has started */
};

/* Of a million unrelated codes the best stands at 5. */
static const float recognised = 7.0f;

typedef enum part { UNIT, TOKEN, PART_KINDS } part;

typedef struct piece {
    uint32_t first;
    uint32_t count;
    part kind;
    const part_query *query;
} piece;

typedef struct query_set {
    part_query whole; /* of unit; without gate as half */
    part_query half;  /* of unit, without gate */
    part_query token;
} query_set;

typedef struct search {
    const search_index *index;
    const hot_code *code;
    query_set asked;
    query_set rest; /* what the nearest leader does not explain */
    piece *pieces;  /* of one round */
    size_t piece_count;
    best_list *lists; /* [threads][PART_KINDS] */
    int threads;
    uint32_t *found; /* leaders; once for each list that they were in */
    size_t found_count;
} search;

static void make_unit_query(part_query *out, const hot_code *code, size_t words) {
    index_put_words(out->code, code->unit, words);
    index_put_words(out->low, code->unit_low, words);
    index_put_words(out->high, code->unit_high, words);
    out->bytes = code->has_unit ? 8 * words : 0;
    part_query_weigh(out);
}

static void make_token_query(part_query *out, const hot_code *code) {
    index_put_words(out->code, code->token, HOT_TOKEN_WORDS);
    index_put_words(out->low, code->token_low, HOT_TOKEN_WORDS);
    index_put_words(out->high, code->token_high, HOT_TOKEN_WORDS);
    out->bytes = code->has_token ? TOKEN_BYTES : 0;
    part_query_weigh(out);
}

/** @return NULL when the part is missing on one side, or the widths differ */
static const part_query *query_for(const query_set *by, const hot_code *code, part kind,
                                   const index_group *group) {
    if (kind == TOKEN) {
        return (group->parts & PART_TOKEN) && by->token.bytes ? &by->token : NULL;
    }
    const part_query *query = group->parts & PART_GATE ? &by->whole : &by->half;
    const bool is_comparable = (group->parts & PART_UNIT) && group->hidden == code->hidden;
    return is_comparable && query->bytes ? query : NULL;
}

static const uint8_t *leader_code(const search_index *index, part kind, uint64_t leader) {
    return kind == UNIT ? index_record(index, SECTION_UNIT_CODES, leader, UNIT_BYTES)
                        : index_record(index, SECTION_TOKEN_CODES, leader, TOKEN_BYTES);
}

static void scan(uint32_t *distances, const search_index *index, part kind, uint64_t first,
                 size_t count, const part_query *query) {
    const hamming_query by = {
        .code = query->code, .low = query->low, .high = query->high, .bytes = query->bytes};
    hamming_scan(distances, leader_code(index, kind, first), count,
                 kind == UNIT ? UNIT_BYTES : TOKEN_BYTES, &by);
}

static void scan_piece(best_list *list, const search_index *index, const piece *of) {
    uint32_t distances[PIECE_LEADERS];
    scan(distances, index, of->kind, of->first, of->count, of->query);
    for (uint32_t i = 0; i < of->count; i++) {
        const float score = part_query_score(of->query, distances[i]);
        if (best_list_admits(list, score)) {
            const uint32_t leader = of->first + i;
            const uint8_t *record = index_record(index, SECTION_LEADERS, leader, LEADER_BYTES);
            best_list_offer(list, &(candidate){score, leader, index_get_u64(record)});
        }
    }
}

static void add_pieces(search *run, const query_set *by, part kind, const index_group *group) {
    const part_query *query = query_for(by, run->code, kind, group);
    for (uint32_t done = 0; query && done < group->leader_count; done += PIECE_LEADERS) {
        const uint32_t left = group->leader_count - done;
        run->pieces[run->piece_count++] =
            (piece){.first = group->first_leader + done,
                    .count = left < PIECE_LEADERS ? left : PIECE_LEADERS,
                    .kind = kind,
                    .query = query};
    }
}

static void scan_pieces(search *run) {
#pragma omp parallel for schedule(dynamic, 8) num_threads(run->threads)
    for (size_t i = 0; i < run->piece_count; i++) {
        const piece *of = &run->pieces[i];
        best_list *mine = &run->lists[(size_t)omp_get_thread_num() * PART_KINDS];
        scan_piece(&mine[of->kind], run->index, of);
    }
    for (size_t i = PART_KINDS; i < (size_t)run->threads * PART_KINDS; i++) {
        for (size_t j = 0; j < run->lists[i].count; j++) {
            best_list_offer(&run->lists[i % PART_KINDS], &run->lists[i].items[j]);
        }
    }
}

/* The best of each kind, whose lists begin anew. */
static void scan_round(search *run, const query_set *by, size_t wanted) {
    const search_index *index = run->index;
    run->piece_count = 0;
    for (part kind = UNIT; kind < PART_KINDS; kind++) {
        for (size_t i = 0; i < index->counts.groups; i++) {
            add_pieces(run, by, kind, &index->groups[i]);
        }
    }
    for (size_t i = 0; i < (size_t)run->threads * PART_KINDS; i++) {
        run->lists[i].count = 0;
        run->lists[i].capacity = wanted;
    }
    scan_pieces(run);
    for (part kind = UNIT; kind < PART_KINDS; kind++) {
        const best_list *list = &run->lists[kind];
        for (size_t i = 0; i < list->count; i++) {
            run->found[run->found_count++] = list->items[i].record;
        }
    }
}

static weir_code make_room(search *run, size_t wanted, unsigned jobs, weir_error *err) {
    const index_counts *counts = &run->index->counts;
    const size_t pieces = PART_KINDS * ((size_t)counts->leaders / PIECE_LEADERS + counts->groups);
    const size_t useful = 1 + pieces / PIECES_A_THREAD;
    const int threads = threads_wanted(jobs);
    run->threads = (size_t)threads < useful ? threads : (int)useful;
    run->threads = run->threads > 1 ? threads_startable(run->threads) : 1;
    const size_t lists = (size_t)run->threads * PART_KINDS;
    run->pieces = checked_alloc(pieces, sizeof *run->pieces);
    run->found = checked_alloc((size_t)2 * PART_KINDS * wanted, sizeof *run->found);
    run->lists = calloc(lists, sizeof *run->lists);
    if (!run->pieces || !run->found || !run->lists) {
        return weir_fail_nomem(err);
    }
    for (size_t i = 0; i < lists; i++) {
        run->lists[i].items = checked_alloc(wanted, sizeof *run->lists[i].items);
        if (!run->lists[i].items) {
            return weir_fail_nomem(err);
        }
    }
    return WEIR_OK;
}

static void release_search(search *run) {
    for (size_t i = 0; run->lists && i < (size_t)run->threads * PART_KINDS; i++) {
        free(run->lists[i].items);
    }
    free(run->lists);
    free(run->pieces);
    free(run->found);
}

static inline void release_search_cleanup(search *run) {
    release_search(run);
}

static const index_group *group_of(const search_index *index, uint32_t leader) {
    size_t low = 0;
    size_t high = index->counts.groups;
    while (high - low > 1) {
        const size_t middle = low + (high - low) / 2;
        if (index->groups[middle].first_leader <= leader) {
            low = middle;
        } else {
            high = middle;
        }
    }
    return &index->groups[low];
}

static float leader_score(const search *run, part kind, uint32_t leader, const index_group *group) {
    const part_query *query = query_for(&run->asked, run->code, kind, group);
    if (!query) {
        return NAN;
    }
    uint32_t distance;
    scan(&distance, run->index, kind, leader, 1, query);
    return part_query_score(query, distance);
}

static void make_queries(query_set *out, const hot_code *code) {
    make_unit_query(&out->whole, code,
                    hot_code_parts(code) & PART_GATE ? HOT_UNIT_WORDS : HOT_UNIT_WORDS / 2);
    make_unit_query(&out->half, code, HOT_UNIT_WORDS / 2);
    make_token_query(&out->token, code);
}

static const index_group *score_leader(search_hit *hit, const search *run) {
    const index_group *group = group_of(run->index, hit->family);
    hit->unit_score = leader_score(run, UNIT, hit->family, group);
    hit->token_score = leader_score(run, TOKEN, hit->family, group);
    return group;
}

const index_group *index_score_leader(search_hit *hit, const search_index *index,
                                      const hot_code *code) {
    search run = {.index = index, .code = code};
    make_queries(&run.asked, code);
    return score_leader(hit, &run);
}

/* What a leader has, and the query too, weighs nothing from now on. */
static void take_away(part_query *query, const uint8_t *leader, size_t known_bytes) {
    for (size_t i = 0; i < query->bytes && i < known_bytes; i++) {
        const uint8_t differs = query->code[i] ^ leader[i];
        query->low[i] &= differs;
        query->high[i] &= differs;
    }
    part_query_weigh(query);
}

/** @return whether there is anything left to explain */
static bool make_rest(search *run) {
    const best_list *list = &run->lists[UNIT];
    const candidate *nearest = list->items;
    for (size_t i = 1; i < list->count; i++) {
        const candidate *one = &list->items[i];
        const bool is_nearer = one->score > nearest->score ||
                               (one->score == nearest->score && one->entry < nearest->entry);
        nearest = is_nearer ? one : nearest;
    }
    if (list->count == 0 || nearest->score < recognised) {
        return false;
    }
    const bool has_gate = group_of(run->index, nearest->record)->parts & PART_GATE;
    const uint8_t *code = leader_code(run->index, UNIT, nearest->record);
    run->rest = run->asked;
    run->rest.token.bytes = 0;
    take_away(&run->rest.whole, code, has_gate ? UNIT_BYTES : UNIT_BYTES / 2);
    take_away(&run->rest.half, code, UNIT_BYTES / 2);
    return true;
}

static float better_score(const search_hit *hit) {
    return fmaxf(hit->unit_score, hit->token_score); /* of a number and NAN: the number */
}

static int compare_hits(const void *a, const void *b) {
    const search_hit *x = a;
    const search_hit *y = b;
    const float left = better_score(x);
    const float right = better_score(y);
    return left != right ? (left < right) - (left > right)
                         : (x->entry > y->entry) - (x->entry < y->entry);
}

static int compare_numbers(const void *a, const void *b) {
    const uint32_t x = *(const uint32_t *)a;
    const uint32_t y = *(const uint32_t *)b;
    return (x > y) - (x < y);
}

static void keep_each_once(search *run) {
    size_t kept = 0;
    qsort(run->found, run->found_count, sizeof *run->found, compare_numbers);
    for (size_t i = 0; i < run->found_count; i++) {
        if (i == 0 || run->found[i] != run->found[i - 1]) {
            run->found[kept++] = run->found[i];
        }
    }
    run->found_count = kept;
}

static weir_code make_hits(search_hit *hits, const search *run, weir_error *err) {
    for (size_t i = 0; i < run->found_count; i++) {
        uint32_t first_member;
        WEIR_TRY(index_read_leader(&hits[i], &first_member, run->index, run->found[i], err));
        (void)score_leader(&hits[i], run);
    }
    qsort(hits, run->found_count, sizeof *hits, compare_hits);
    return WEIR_OK;
}

/* NOLINTNEXTLINE(readability-function-size): out, count and what search_index_members takes too. */
weir_code search_index_leaders(search_hit **out, size_t *count, const search_index *index,
                               const hot_code *code, size_t wanted, unsigned jobs,
                               weir_error *err) {
    WEIR_CLEANUP(release_search) search run = {.index = index, .code = code};
    wanted = wanted < index->counts.leaders ? wanted : (size_t)index->counts.leaders;
    make_queries(&run.asked, code);
    WEIR_TRY(make_room(&run, wanted, jobs, err));
    if (wanted > 0) {
        scan_round(&run, &run.asked, wanted);
        if (make_rest(&run)) {
            scan_round(&run, &run.rest, (wanted + 1) / 2);
        }
    }
    keep_each_once(&run);
    WEIR_CLEANUP(free) search_hit *hits = checked_alloc(run.found_count, sizeof *hits);
    if (!hits) {
        return weir_fail_nomem(err);
    }
    WEIR_TRY(make_hits(hits, &run, err));
    *count = run.found_count;
    *out = WEIR_TAKE(hits);
    return WEIR_OK;
}
