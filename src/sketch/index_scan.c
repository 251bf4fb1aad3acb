/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Searching. The leaders are cut into pieces of one group; threads take pieces, each keeps the best
 * it saw, and the best of all are taken in the end. Which are the best is a total order (score,
 * then entry), so it does not matter who saw which piece.
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

typedef enum part { UNIT, TOKEN, PART_KINDS } part;

typedef struct piece {
    uint32_t first;
    uint32_t count;
    part kind;
    const part_query *query;
} piece;

typedef struct search {
    const search_index *index;
    part_query whole; /* of unit */
    part_query half;  /* of unit, without gate */
    part_query token;
    piece *pieces;
    size_t piece_count;
    best_list *lists; /* [threads][PART_KINDS] */
    int threads;
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
static const part_query *query_for(const search *run, const hot_code *code, part kind,
                                   const index_group *group) {
    if (kind == TOKEN) {
        return (group->parts & PART_TOKEN) && run->token.bytes ? &run->token : NULL;
    }
    const part_query *query =
        code->has_gate && (group->parts & PART_GATE) ? &run->whole : &run->half;
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

/* Room for as many as the groups' leaders can make, each part counted. */
static weir_code make_pieces(search *run, const hot_code *code, weir_error *err) {
    const search_index *index = run->index;
    const uint64_t most =
        PART_KINDS * (index->counts.leaders / PIECE_LEADERS + index->counts.groups);
    run->pieces = checked_alloc((size_t)most, sizeof *run->pieces);
    if (!run->pieces) {
        return weir_fail_nomem(err);
    }
    for (part kind = UNIT; kind < PART_KINDS; kind++) {
        for (size_t i = 0; i < index->counts.groups; i++) {
            const index_group *group = &index->groups[i];
            const part_query *query = query_for(run, code, kind, group);
            for (uint32_t done = 0; query && done < group->leader_count; done += PIECE_LEADERS) {
                const uint32_t left = group->leader_count - done;
                run->pieces[run->piece_count++] =
                    (piece){.first = group->first_leader + done,
                            .count = left < PIECE_LEADERS ? left : PIECE_LEADERS,
                            .kind = kind,
                            .query = query};
            }
        }
    }
    return WEIR_OK;
}

static weir_code make_lists(search *run, size_t wanted, unsigned jobs, weir_error *err) {
    int threads = threads_wanted(jobs);
    const size_t useful = 1 + run->piece_count / PIECES_A_THREAD;
    threads = (size_t)threads < useful ? threads : (int)useful;
    run->threads = threads > 1 ? threads_startable(threads) : 1;
    const size_t lists = (size_t)run->threads * PART_KINDS;
    run->lists = calloc(lists, sizeof *run->lists);
    if (!run->lists) {
        return weir_fail_nomem(err);
    }
    for (size_t i = 0; i < lists; i++) {
        run->lists[i].capacity = wanted;
        run->lists[i].items = checked_alloc(wanted, sizeof *run->lists[i].items);
        if (!run->lists[i].items) {
            return weir_fail_nomem(err);
        }
    }
    return WEIR_OK;
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

static void release_search(search *run) {
    for (size_t i = 0; run->lists && i < (size_t)run->threads * PART_KINDS; i++) {
        free(run->lists[i].items);
    }
    free(run->lists);
    free(run->pieces);
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

static float leader_score(const search *run, const hot_code *code, part kind, uint32_t leader,
                          const index_group *group) {
    const part_query *query = query_for(run, code, kind, group);
    if (!query) {
        return NAN;
    }
    uint32_t distance;
    scan(&distance, run->index, kind, leader, 1, query);
    return part_query_score(query, distance);
}

static void make_queries(search *run, const hot_code *code) {
    make_unit_query(&run->whole, code, code->has_gate ? HOT_UNIT_WORDS : HOT_UNIT_WORDS / 2);
    make_unit_query(&run->half, code, HOT_UNIT_WORDS / 2);
    make_token_query(&run->token, code);
}

static const index_group *score_leader(search_hit *hit, const search *run, const hot_code *code) {
    const index_group *group = group_of(run->index, hit->family);
    hit->unit_score = leader_score(run, code, UNIT, hit->family, group);
    hit->token_score = leader_score(run, code, TOKEN, hit->family, group);
    return group;
}

const index_group *index_score_leader(search_hit *hit, const search_index *index,
                                      const hot_code *code) {
    search run = {.index = index};
    make_queries(&run, code);
    return score_leader(hit, &run, code);
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

static bool is_listed(const best_list *list, uint32_t leader) {
    for (size_t i = 0; i < list->count; i++) {
        if (list->items[i].record == leader) {
            return true;
        }
    }
    return false;
}

static weir_code make_hits(search_hit *hits, size_t *count, const search *run, const hot_code *code,
                           weir_error *err) {
    *count = 0;
    for (part kind = UNIT; kind < PART_KINDS; kind++) {
        const best_list *list = &run->lists[kind];
        for (size_t i = 0; i < list->count; i++) {
            const uint32_t leader = list->items[i].record;
            if (kind == TOKEN && is_listed(&run->lists[UNIT], leader)) {
                continue;
            }
            uint32_t first_member;
            search_hit *hit = &hits[(*count)++];
            WEIR_TRY(index_read_leader(hit, &first_member, run->index, leader, err));
            (void)score_leader(hit, run, code);
        }
    }
    return WEIR_OK;
}

weir_code search_index_leaders(search_hit **out, size_t *count, const search_index *index,
                               const hot_code *code, size_t wanted, unsigned jobs,
                               weir_error *err) {
    WEIR_CLEANUP(release_search) search run = {.index = index};
    wanted = wanted < index->counts.leaders ? wanted : (size_t)index->counts.leaders;
    make_queries(&run, code);
    WEIR_TRY(make_pieces(&run, code, err));
    WEIR_TRY(make_lists(&run, wanted, jobs, err));
    if (wanted > 0) {
        scan_pieces(&run);
    }
    size_t found;
    WEIR_CLEANUP(free)
    search_hit *hits = checked_alloc(run.lists[UNIT].count + run.lists[TOKEN].count, sizeof *hits);
    if (!hits) {
        return weir_fail_nomem(err);
    }
    WEIR_TRY(make_hits(hits, &found, &run, code, err));
    qsort(hits, found, sizeof *hits, compare_hits);
    *count = found;
    *out = WEIR_TAKE(hits);
    return WEIR_OK;
}
