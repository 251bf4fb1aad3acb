/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Looking into a family by short codes. They are too short to find strangers' relatives among
 * millions, but members of one family are told apart by them: a copy differs from the member it was
 * made of in less than the members differ among each other.
 */
#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/checked.h"
#include "base/fail.h"
#include "kernel/hamming.h"
#include "sketch/index_rank.h"

enum { PIECE_MEMBERS = 1024, HALF_BYTES = SHORT_BYTES / 2 };

static const float recognised = 5.0f;

/* The query's short code, once with the weights of unit alone and once with those of tokens. */
typedef struct short_query {
    part_query unit;
    part_query token;
    bool by_unit; /* what ranks */
    bool by_token;
} short_query;

/* A part of the query that the index or the query lacks has no weights. */
static void make_planes(uint8_t unit[3][UNIT_BYTES], uint8_t token[3][TOKEN_BYTES],
                        const hot_code *code, bool has_unit) {
    memset(unit, 0, 3 * sizeof *unit);
    memset(token, 0, 3 * sizeof *token);
    if (code->has_unit && has_unit) {
        index_put_words(unit[0], code->unit, HOT_UNIT_WORDS);
        index_put_words(unit[1], code->unit_low, HOT_UNIT_WORDS);
        index_put_words(unit[2], code->unit_high, HOT_UNIT_WORDS);
    }
    if (code->has_token) {
        index_put_words(token[0], code->token, HOT_TOKEN_WORDS);
        index_put_words(token[1], code->token_low, HOT_TOKEN_WORDS);
        index_put_words(token[2], code->token_high, HOT_TOKEN_WORDS);
    }
}

/* Which bytes of a short code are of a part. */
static void keep_part(part_query *query, uint32_t parts, bool is_token) {
    const bool has_both = (parts & PART_UNIT) && (parts & PART_TOKEN);
    const bool has_it = parts & (is_token ? PART_TOKEN : PART_UNIT);
    if (has_both || !has_it) {
        uint8_t *low = query->low + (is_token ? 0 : HALF_BYTES);
        uint8_t *high = query->high + (is_token ? 0 : HALF_BYTES);
        memset(has_it ? low : query->low, 0, has_it ? HALF_BYTES : SHORT_BYTES);
        memset(has_it ? high : query->high, 0, has_it ? HALF_BYTES : SHORT_BYTES);
    }
    query->bytes = SHORT_BYTES;
    part_query_weigh(query);
}

static void make_short_query(short_query *out, const hot_code *code, const index_group *group,
                             const search_hit *leader) {
    uint8_t unit[3][UNIT_BYTES];
    uint8_t token[3][TOKEN_BYTES];
    make_planes(unit, token, code, group->hidden == code->hidden);
    index_shorten(out->unit.code, unit[0], token[0], group->parts);
    index_shorten(out->unit.low, unit[1], token[1], group->parts);
    index_shorten(out->unit.high, unit[2], token[2], group->parts);
    out->token = out->unit;
    keep_part(&out->unit, group->parts, /* is_token= */ false);
    keep_part(&out->token, group->parts, /* is_token= */ true);
    const bool unit_is_known = leader->unit_score >= recognised; /* not when it is NAN */
    const bool token_is_known = leader->token_score >= recognised;
    out->by_unit = unit_is_known || !token_is_known;
    out->by_token = token_is_known || !unit_is_known;
}

static void score_hit(search_hit *hit, const short_query *query, uint32_t unit, uint32_t token) {
    hit->unit_score = query->unit.bytes ? part_query_score(&query->unit, unit) : NAN;
    hit->token_score = query->token.bytes ? part_query_score(&query->token, token) : NAN;
}

static float rank_of(const search_hit *hit, const short_query *query) {
    const float unit = query->by_unit && !isnan(hit->unit_score) ? hit->unit_score : 0;
    const float token = query->by_token && !isnan(hit->token_score) ? hit->token_score : 0;
    return unit + token;
}

static void scan_codes(uint32_t *out, const uint8_t *codes, size_t count, const part_query *query) {
    if (query->bytes > 0) {
        const hamming_query by = {
            .code = query->code, .low = query->low, .high = query->high, .bytes = query->bytes};
        hamming_scan(out, codes, count, SHORT_BYTES, &by);
    }
}

/* A family as it is looked into: record 0 is the leader, record i > 0 its member i - 1. */
typedef struct family {
    const search_index *index;
    search_hit leader;
    uint32_t first_member;
    uint32_t parts;
    short_query query;
} family;

static void offer_members(best_list *list, const family *in) {
    const uint32_t count = in->leader.family_size - 1;
    for (uint32_t done = 0; done < count; done += PIECE_MEMBERS) {
        const uint32_t left = count - done;
        const uint32_t part = left < PIECE_MEMBERS ? left : PIECE_MEMBERS;
        const uint64_t first = (uint64_t)in->first_member + done;
        const uint8_t *codes = index_record(in->index, SECTION_MEMBER_CODES, first, SHORT_BYTES);
        uint32_t unit[PIECE_MEMBERS] = {0};
        uint32_t token[PIECE_MEMBERS] = {0};
        scan_codes(unit, codes, part, &in->query.unit);
        scan_codes(token, codes, part, &in->query.token);
        for (uint32_t i = 0; i < part; i++) {
            search_hit hit;
            score_hit(&hit, &in->query, unit[i], token[i]);
            const float rank = rank_of(&hit, &in->query);
            if (best_list_admits(list, rank)) {
                const uint8_t *at =
                    index_record(in->index, SECTION_MEMBERS, first + i, ENTRY_BYTES);
                best_list_offer(list, &(candidate){rank, done + i + 1, index_get_u64(at)});
            }
        }
    }
}

static search_hit make_hit(const family *in, uint32_t record, uint64_t entry) {
    uint8_t code[SHORT_BYTES];
    if (record == 0) {
        const uint32_t leader = in->leader.family;
        index_shorten(code, index_record(in->index, SECTION_UNIT_CODES, leader, UNIT_BYTES),
                      index_record(in->index, SECTION_TOKEN_CODES, leader, TOKEN_BYTES), in->parts);
    } else {
        const uint64_t at = (uint64_t)in->first_member + record - 1;
        memcpy(code, index_record(in->index, SECTION_MEMBER_CODES, at, SHORT_BYTES), SHORT_BYTES);
    }
    uint32_t unit = 0;
    uint32_t token = 0;
    scan_codes(&unit, code, 1, &in->query.unit);
    scan_codes(&token, code, 1, &in->query.token);
    search_hit hit = in->leader;
    hit.entry = entry;
    score_hit(&hit, &in->query, unit, token);
    return hit;
}

static int compare_candidates(const void *a, const void *b) {
    const candidate *x = a;
    const candidate *y = b;
    return x->score != y->score ? (x->score < y->score) - (x->score > y->score)
                                : (x->entry > y->entry) - (x->entry < y->entry);
}

static weir_code open_family(family *out, const search_index *index, uint32_t number,
                             const hot_code *code, weir_error *err) {
    if (number >= index->counts.leaders) {
        return weir_fail(err, WEIR_ERR_ARG, index->name, NULL, "a family of the index",
                         "number %" PRIu32 " of %" PRIu64, number, index->counts.leaders);
    }
    *out = (family){.index = index};
    WEIR_TRY(index_read_leader(&out->leader, &out->first_member, index, number, err));
    const index_group *group = index_score_leader(&out->leader, index, code);
    out->parts = group->parts;
    make_short_query(&out->query, code, group, &out->leader);
    return WEIR_OK;
}

/* NOLINTNEXTLINE(readability-function-size): out and count belong together. */
weir_code search_index_members(search_hit **out, size_t *count, const search_index *index,
                               uint32_t family_number, const hot_code *code, size_t wanted,
                               weir_error *err) {
    family in;
    WEIR_TRY(open_family(&in, index, family_number, code, err));
    wanted = wanted < in.leader.family_size ? wanted : in.leader.family_size;
    WEIR_CLEANUP(free) candidate *items = checked_alloc(wanted, sizeof *items);
    WEIR_CLEANUP(free) search_hit *hits = checked_alloc(wanted, sizeof *hits);
    if (!items || !hits) {
        return weir_fail_nomem(err);
    }
    best_list list = {.items = items, .capacity = wanted};
    const search_hit leader = make_hit(&in, 0, in.leader.entry);
    best_list_offer(&list, &(candidate){rank_of(&leader, &in.query), 0, leader.entry});
    offer_members(&list, &in);
    qsort(items, list.count, sizeof *items, compare_candidates);
    for (size_t i = 0; i < list.count; i++) {
        hits[i] = make_hit(&in, items[i].record, items[i].entry);
    }
    *count = list.count;
    *out = WEIR_TAKE(hits);
    return WEIR_OK;
}
