/* SPDX-License-Identifier: Apache-2.0 */
/** @file index_rank.h  Scores of codes, and the best of many. */
#ifndef WEIR_SKETCH_INDEX_RANK_H
#define WEIR_SKETCH_INDEX_RANK_H

#include "sketch/index_map.h"

/** One part of a code as it is compared with: the bits, their weights, and what chance would give.
 */
typedef struct part_query {
    uint8_t code[UNIT_BYTES];
    uint8_t low[UNIT_BYTES];
    uint8_t high[UNIT_BYTES];
    size_t bytes;  /**< 0: not comparable */
    double sum;    /**< of weights */
    double spread; /**< sqrt of the sum of squares */
} part_query;

/** A record of the index with its score. */
typedef struct candidate {
    float score;
    uint32_t record;
    uint64_t entry;
} candidate;

/** The best so far as a heap, the worst on top; ties by entry. */
typedef struct best_list {
    candidate *items;
    size_t count;
    size_t capacity;
} best_list;

/** From the code and the weights: sum and spread; no bytes when no bit has weight. */
void part_query_weigh(part_query *query);

/** Standard deviations above chance. */
float part_query_score(const part_query *query, uint32_t distance);

/** Whether one with this score may be among the best; its entry need not be known. */
static inline bool best_list_admits(const best_list *list, float score) {
    return list->count < list->capacity || (list->capacity > 0 && score >= list->items[0].score);
}

void best_list_offer(best_list *list, const candidate *one);

/**
 * A leader's row; its members must lie inside their section.
 * @param leader  below the number of leaders
 * @param[out] out  without scores
 */
weir_code index_read_leader(search_hit *out, uint32_t *first_member, const search_index *index,
                            uint32_t leader, weir_error *err);

/** Both scores of a leader by its whole code. @return its group */
const index_group *index_score_leader(search_hit *hit, const search_index *index,
                                      const hot_code *code);

#endif
