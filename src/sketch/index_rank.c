/* SPDX-License-Identifier: Apache-2.0 */
#include "sketch/index_rank.h"

#include <inttypes.h>
#include <math.h>

#include "base/fail.h"

static uint32_t count_bits(uint8_t bits) {
    return (uint32_t)__builtin_popcount(bits);
}

/* Weights w of bits: the scores need sum w and sum w^2. */
void part_query_weigh(part_query *query) {
    uint32_t sum = 0;
    uint32_t squares = 0;
    for (size_t i = 0; i < query->bytes; i++) {
        const uint32_t low = count_bits(query->low[i]);
        const uint32_t high = count_bits(query->high[i]);
        const uint32_t both = count_bits(query->low[i] & query->high[i]);
        sum += low + 2 * high;
        squares += low + 4 * high + 4 * both; /* 1, 4, and 9 = 1 + 4 + 4 */
    }
    query->sum = sum;
    query->spread = sqrt(squares);
    query->bytes = squares > 0 ? query->bytes : 0;
}

float part_query_score(const part_query *query, uint32_t distance) {
    return (float)((query->sum - 2.0 * distance) / query->spread);
}

static bool is_better(const candidate *one, const candidate *other) {
    return one->score > other->score || (one->score == other->score && one->entry < other->entry);
}

static void swap(candidate *a, candidate *b) {
    const candidate kept = *a;
    *a = *b;
    *b = kept;
}

static void sift_up(candidate *items, size_t at) {
    while (at > 0 && is_better(&items[(at - 1) / 2], &items[at])) {
        swap(&items[at], &items[(at - 1) / 2]);
        at = (at - 1) / 2;
    }
}

static void sift_down(candidate *items, size_t count) {
    size_t at = 0;
    while (2 * at + 1 < count) {
        size_t worse = 2 * at + 1;
        if (worse + 1 < count && is_better(&items[worse], &items[worse + 1])) {
            worse++;
        }
        if (!is_better(&items[at], &items[worse])) {
            return;
        }
        swap(&items[at], &items[worse]);
        at = worse;
    }
}

void best_list_offer(best_list *list, const candidate *one) {
    if (list->count < list->capacity) {
        list->items[list->count] = *one;
        sift_up(list->items, list->count++);
    } else if (list->count > 0 && is_better(one, &list->items[0])) {
        list->items[0] = *one;
        sift_down(list->items, list->count);
    }
}

weir_code index_read_leader(search_hit *out, uint32_t *first_member, const search_index *index,
                            uint32_t leader, weir_error *err) {
    const uint8_t *record = index_record(index, SECTION_LEADERS, leader, LEADER_BYTES);
    const uint32_t first = index_get_u32(record + 8);
    const uint32_t members = index_get_u32(record + 12);
    if ((uint64_t)first + members > index_member_count(index)) {
        return weir_fail(
            err, WEIR_ERR_FORMAT, index->name, at_byte((uint64_t)(record - index->bytes) + 8).text,
            "members inside their section", "%" PRIu32 " after %" PRIu32, members, first);
    }
    *first_member = first;
    *out = (search_hit){.entry = index_get_u64(record),
                        .family = leader,
                        .family_size = members + 1,
                        .unit_score = NAN,
                        .token_score = NAN};
    return WEIR_OK;
}
