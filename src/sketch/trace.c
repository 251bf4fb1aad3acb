/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The search: leaders of families near the model's hot code are tested one by one; of each family
 * that is linked its nearest members are. Whatever was scanned counts as searched, tested or not.
 *
 * A link is found at p <= 1e-6, corrected. Between that and 1e-3 weir does not decide. Both limits
 * are ours.
 */
#include "sketch/trace.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/cancel.h"
#include "base/checked.h"
#include "base/fail.h"
#include "sketch/direction.h"

const double trace_log10_p_linked = -6;
const double trace_log10_p_open = -3;
static const double gram_likeness_suspect = 0.75; /* which only proposes; ours */

enum { GRAM_PAIRS_MIN = 500 };

typedef struct searching {
    weir_trace *trace;
    const fingerprint_options *options;
    hot_code hot;
    size_t capacity; /* of trace->candidates */
} searching;

weir_code trace_exclude(weir_trace *trace, const char *what, const char *why, weir_error *err) {
    const char *const kept_what = arena_copy_text(&trace->memory, what, strlen(what));
    const char *const kept_why = arena_copy_text(&trace->memory, why, strlen(why));
    if (!kept_what || !kept_why ||
        !checked_grow((void **)&trace->exclusions, &trace->exclusion_capacity,
                      trace->exclusion_count, sizeof *trace->exclusions)) {
        return weir_fail_nomem(err);
    }
    trace->exclusions[trace->exclusion_count++] =
        (trace_exclusion){.what = kept_what, .why = kept_why};
    return WEIR_OK;
}

/* --- distance of the numbers --- */

/* Relative distance of the sums over the numbers of matched blocks; they are linear in the numbers.
 */
static double distance_of(const link_result *link, const fingerprint *mine,
                          const fingerprint *theirs) {
    double apart = 0;
    double size = 0;
    for (size_t i = 0; i < link->pair_count; i++) {
        const float *const a = mine->blocks[link->pairs[i].mine].projection;
        const float *const b = theirs->blocks[link->pairs[i].theirs].projection;
        for (size_t k = 0; k < PROJECTION_COUNT; k++) {
            apart += ((double)a[k] - (double)b[k]) * ((double)a[k] - (double)b[k]);
            size += (double)b[k] * (double)b[k];
        }
    }
    return link->codes == LINK_UNIT_CODES && size > 0 ? sqrt(apart / size) : (double)NAN;
}

/* --- candidates --- */

static void candidate_release(trace_candidate *candidate) {
    fingerprint_free(candidate->sketch);
    link_result_release(&candidate->link);
}

/* Nearest first: the same bytes, then the same numbers, then by distance, then by the link itself.
 */
static int by_nearness(const void *left, const void *right) {
    const trace_candidate *const a = left;
    const trace_candidate *const b = right;
    if (a->same_payload != b->same_payload) {
        return a->same_payload ? -1 : 1;
    }
    const double far = 1e300;
    const double distance_a = isnan(a->distance) ? far : a->distance;
    const double distance_b = isnan(b->distance) ? far : b->distance;
    if (a->link.pair_count != b->link.pair_count) {
        return a->link.pair_count > b->link.pair_count ? -1 : 1;
    }
    if (distance_a < distance_b || distance_a > distance_b) {
        return distance_a < distance_b ? -1 : 1;
    }
    if (a->link.log10_p < b->link.log10_p || a->link.log10_p > b->link.log10_p) {
        return a->link.log10_p < b->link.log10_p ? -1 : 1;
    }
    return strcmp(a->name, b->name);
}

/* Drop the farther half when there are many more than can be kept. */
static void thin_candidates(weir_trace *trace) {
    if (trace->candidate_count > 1) {
        qsort(trace->candidates, trace->candidate_count, sizeof *trace->candidates, by_nearness);
    }
    while (trace->candidate_count > TRACE_CANDIDATES_MAX) {
        candidate_release(&trace->candidates[--trace->candidate_count]);
    }
}

static weir_code keep_candidate(searching *run, const library_entry *entry, link_result *link,
                                weir_error *err) {
    weir_trace *const trace = run->trace;
    if (trace->candidate_count == 2 * (size_t)TRACE_CANDIDATES_MAX) {
        thin_candidates(trace);
    }
    if (!checked_grow((void **)&trace->candidates, &run->capacity, trace->candidate_count,
                      sizeof *trace->candidates)) {
        return weir_fail_nomem(err);
    }
    trace_candidate found = {
        .id = entry->id, .share = (double)NAN, .share_low = (double)NAN, .share_high = (double)NAN};
    WEIR_TRY(arena_keep_text(&found.name, &trace->memory, entry->name, err));
    WEIR_TRY(arena_keep_text(&found.location, &trace->memory, entry->location, err));
    WEIR_TRY(arena_keep_text(&found.payload_id, &trace->memory, entry->payload_id, err));
    found.sketch = fingerprint_copy(entry->sketch);
    if (!found.sketch) {
        return weir_fail_nomem(err);
    }
    found.distance = distance_of(link, trace->sketch, found.sketch);
    found.link = *link;
    link->pairs = NULL;
    trace->candidates[trace->candidate_count++] = found;
    trace->linked_count++;
    return WEIR_OK;
}

/* --- suspects --- */

/* Share of equal signs between the inner products of the tokens that both picked; 0 when those are
 * few. */
static double gram_likeness(const fingerprint *a, const fingerprint *b) {
    size_t bit = 0;
    size_t equal = 0;
    size_t compared = 0;
    for (size_t i = 1; i < GRAM_TOKENS; i++) {
        for (size_t j = 0; j < i; j++, bit++) {
            const bool both = a->token_tags[i] != 0 && a->token_tags[i] == b->token_tags[i] &&
                              a->token_tags[j] != 0 && a->token_tags[j] == b->token_tags[j];
            compared += both;
            equal += both && !((a->gram[bit / 64] ^ b->gram[bit / 64]) >> (bit % 64) & 1);
        }
    }
    return a->has_tokens && b->has_tokens && compared >= GRAM_PAIRS_MIN
               ? (double)equal / (double)compared
               : 0;
}

static void suspect_release(trace_suspect *suspect) {
    fingerprint_free(suspect->sketch);
    *suspect = (trace_suspect){0};
}

/* Keep it among the likest. */
static weir_code consider_suspect(searching *run, const library_entry *entry, weir_error *err) {
    weir_trace *const trace = run->trace;
    const double likeness = gram_likeness(trace->sketch, entry->sketch);
    if (!entry->location || likeness < gram_likeness_suspect) {
        return WEIR_OK;
    }
    size_t at = trace->suspect_count;
    for (; at > 0 && trace->suspects[at - 1].likeness < likeness; at--) {
    }
    if (at == TRACE_SUSPECTS_MAX) {
        return WEIR_OK;
    }
    trace_suspect suspect = {.id = entry->id, .likeness = likeness};
    WEIR_TRY(arena_keep_text(&suspect.name, &trace->memory, entry->name, err));
    WEIR_TRY(arena_keep_text(&suspect.location, &trace->memory, entry->location, err));
    suspect.sketch = fingerprint_copy(entry->sketch);
    if (!suspect.sketch) {
        return weir_fail_nomem(err);
    }
    if (trace->suspect_count == TRACE_SUSPECTS_MAX) {
        suspect_release(&trace->suspects[--trace->suspect_count]);
    }
    memmove(&trace->suspects[at + 1], &trace->suspects[at],
            (trace->suspect_count - at) * sizeof *trace->suspects);
    trace->suspects[at] = suspect;
    trace->suspect_count++;
    return WEIR_OK;
}

/* --- libraries --- */

/* Test one entry; *is_linked says whether it was kept. A record that cannot be read is left out. */
static weir_code test_entry(searching *run, const library *from, uint64_t id, bool *is_linked,
                            weir_error *err) {
    WEIR_CLEANUP(link_result_release) link_result link = {0};
    weir_error unreadable = {0};
    library_entry entry = {0};
    *is_linked = false;
    if (is_cancelled(run->options ? run->options->callbacks : NULL)) {
        return weir_fail(err, WEIR_ERR_CANCELLED, NULL, NULL, NULL, "stopped");
    }
    const weir_code code = from->fetch(from->context, id, &entry, &unreadable);
    if (code == WEIR_ERR_FORMAT || code == WEIR_ERR_UNSUPPORTED) {
        return trace_exclude(run->trace, unreadable.file, unreadable.found, err);
    }
    if (code != WEIR_OK) {
        if (err) {
            *err = unreadable;
        }
        return code;
    }
    run->trace->tested++;
    WEIR_TRY(link_test(&link, run->trace->sketch, entry.sketch, run->trace->entries, err));
    if (link.log10_p < run->trace->best_log10_p) {
        run->trace->best_log10_p = link.log10_p;
    }
    if (link.log10_p <= trace_log10_p_linked) {
        *is_linked = true;
        return keep_candidate(run, &entry, &link, err);
    }
    return consider_suspect(run, &entry, err);
}

static weir_code search_list(searching *run, const library *from, weir_error *err) {
    for (uint64_t id = 0; id < from->entry_count; id++) {
        bool is_linked = false;
        WEIR_TRY(test_entry(run, from, id, &is_linked, err));
    }
    return WEIR_OK;
}

static weir_code search_family(searching *run, const library *from, const search_hit *leader,
                               size_t wanted, weir_error *err) {
    WEIR_CLEANUP(free) search_hit *members = NULL;
    size_t count = 0;
    WEIR_TRY(search_index_members(&members, &count, from->index, leader->family, &run->hot, wanted,
                                  err));
    for (size_t i = 0; i < count; i++) {
        bool is_linked = false;
        if (members[i].entry != leader->entry) {
            WEIR_TRY(test_entry(run, from, members[i].entry, &is_linked, err));
        }
    }
    return WEIR_OK;
}

/* A small registry is tested whole. */
static weir_code search_indexed(searching *run, const library *from, weir_error *err) {
    const uint64_t entries = search_index_entry_count(from->index);
    const bool is_small = entries <= TRACE_EXHAUSTIVE;
    WEIR_CLEANUP(free) search_hit *leaders = NULL;
    size_t count = 0;
    WEIR_TRY(search_index_leaders(&leaders, &count, from->index, &run->hot,
                                  is_small ? TRACE_EXHAUSTIVE : TRACE_LEADERS,
                                  run->options ? run->options->jobs : 0, err));
    for (size_t i = 0; i < count; i++) {
        bool is_linked = false;
        WEIR_TRY(test_entry(run, from, leaders[i].entry, &is_linked, err));
        if (leaders[i].family_size > 1 && (is_linked || is_small)) {
            WEIR_TRY(search_family(run, from, &leaders[i],
                                   is_small ? TRACE_EXHAUSTIVE : TRACE_MEMBERS, err));
        }
    }
    return WEIR_OK;
}

/* --- the verdict --- */

static void relate(trace_candidate *candidate, const weir_trace *trace) {
    candidate->same_payload = trace->payload_id[0] && candidate->payload_id &&
                              strcmp(trace->payload_id, candidate->payload_id) == 0;
    if (candidate->same_payload) {
        candidate->relation = WEIR_RELATION_IDENTICAL;
        return;
    }
    direction_decide(candidate, trace->sketch);
    candidate->relation =
        candidate->direction == TRACE_FROM ? WEIR_RELATION_DERIVED : WEIR_RELATION_RELATED;
}

static bool is_usable(const sketch_block *block) {
    return link_distinct_units(block) >= BLOCK_UNITS / 2;
}

static size_t usable_blocks(const fingerprint *sketch) {
    size_t count = 0;
    for (size_t i = 0; i < sketch->block_count; i++) {
        count += is_usable(&sketch->blocks[i]);
    }
    return count;
}

/* Sorting destroys the order that was inherited: finding nothing then says nothing. */
static bool is_sorted_throughout(const fingerprint *sketch) {
    for (size_t i = 0; i < sketch->block_count; i++) {
        if (is_usable(&sketch->blocks[i]) && !sketch->blocks[i].is_sorted) {
            return false;
        }
    }
    return true;
}

static const char *why_not(const weir_trace *trace) {
    if (trace->sketch->block_count == 0) {
        return "it has no feed-forward of at least 16 units that weir can read";
    }
    if (usable_blocks(trace->sketch) == 0) {
        return "its feed-forward units are zero, equal, not finite or built rather than learned";
    }
    if (trace->entries == 0) {
        return "nothing was given to search: no registry, no fingerprints";
    }
    return NULL;
}

static weir_relation overall(weir_trace *trace) {
    weir_relation best = WEIR_RELATION_CANNOT_DECIDE;
    for (size_t i = 0; i < trace->candidate_count; i++) {
        best = trace->candidates[i].relation < best ? trace->candidates[i].relation : best;
    }
    if (trace->candidate_count > 0) {
        trace->cannot = NULL;
        return best;
    }
    if (!trace->cannot && is_sorted_throughout(trace->sketch)) {
        trace->cannot =
            "its units are sorted by size: the order that they may have inherited is gone";
    }
    return trace->cannot || trace->best_log10_p <= trace_log10_p_open ? WEIR_RELATION_CANNOT_DECIDE
                                                                      : WEIR_RELATION_NO_LINK;
}

static void exclude_block(char *out, size_t size, const sketch_block *block) {
    if (block->expert >= 0) {
        (void)snprintf(out, size, "layer %d, expert %d", block->layer, block->expert);
    } else {
        (void)snprintf(out, size, "layer %d%s", block->layer,
                       block->expert == EXPERT_SHARED ? ", shared expert" : "");
    }
}

static weir_code exclude_blocks(weir_trace *trace, weir_error *err) {
    char name[64];
    for (size_t i = 0; i < trace->sketch->block_count; i++) {
        const sketch_block *const block = &trace->sketch->blocks[i];
        exclude_block(name, sizeof name, block);
        if (!is_usable(block)) {
            WEIR_TRY(trace_exclude(trace, name, "units are zero, equal, not finite or built", err));
        } else if (block->is_sorted) {
            WEIR_TRY(trace_exclude(trace, name, "units are sorted by size", err));
        }
    }
    return WEIR_OK;
}

bool trace_may_be_copy(const weir_trace *trace) {
    for (size_t i = 0; i < trace->candidate_count; i++) {
        if (trace->candidates[i].payload_id && trace->candidates[i].link.same_numbers) {
            return true;
        }
    }
    return false;
}

void trace_tell_copies(weir_trace *trace) {
    for (size_t i = 0; i < trace->candidate_count; i++) {
        relate(&trace->candidates[i], trace);
    }
    if (trace->candidate_count > 1) {
        qsort(trace->candidates, trace->candidate_count, sizeof *trace->candidates, by_nearness);
    }
    trace->relation = overall(trace);
}

weir_code trace_search(weir_trace *trace, const library *libraries, size_t library_count,
                       const fingerprint_options *options, weir_error *err) {
    searching run = {.trace = trace, .options = options};
    trace->residual = (double)NAN;
    hot_code_make(&run.hot, trace->sketch);
    for (size_t i = 0; i < library_count; i++) {
        trace->entries += libraries[i].index ? search_index_entry_count(libraries[i].index)
                                             : libraries[i].entry_count;
    }
    trace->cannot = why_not(trace);
    trace->power =
        link_power(trace->sketch, trace->entries > 0 ? trace->entries : 1, trace_log10_p_linked);
    WEIR_TRY(exclude_blocks(trace, err));
    for (size_t i = 0; i < library_count && !trace->cannot; i++) {
        if (libraries[i].index) {
            WEIR_TRY(search_indexed(&run, &libraries[i], err));
        } else {
            WEIR_TRY(search_list(&run, &libraries[i], err));
        }
    }
    thin_candidates(trace);
    trace_tell_copies(trace);
    return WEIR_OK;
}

weir_code trace_accept_suspect(weir_trace *trace, size_t index, const unit_map *units,
                               weir_error *err) {
    trace_suspect *const suspect = &trace->suspects[index];
    const double corrected = units->log10_p + log10((double)trace->entries);
    const double log10_p = corrected > UNIT_MAP_LOG10_P_MIN ? corrected : UNIT_MAP_LOG10_P_MIN;
    if (log10_p < trace->best_log10_p) {
        trace->best_log10_p = log10_p < 0 ? log10_p : 0;
    }
    if (units->layer_count == 0 || log10_p > trace_log10_p_linked) {
        trace->relation = overall(trace);
        return WEIR_OK;
    }
    trace_candidate *const moved =
        realloc(trace->candidates, (trace->candidate_count + 1) * sizeof *trace->candidates);
    if (!moved) {
        return weir_fail_nomem(err);
    }
    trace->candidates = moved;
    trace->candidates[trace->candidate_count++] =
        (trace_candidate){.id = suspect->id,
                          .name = suspect->name,
                          .location = suspect->location,
                          .sketch = WEIR_TAKE(suspect->sketch),
                          .link = {.log10_p = log10_p, .cosine = units->layers[0].cosine},
                          .relation = WEIR_RELATION_RELATED,
                          .by_units = true,
                          .units = *units,
                          .distance = (double)NAN,
                          .share = (double)NAN,
                          .share_low = (double)NAN,
                          .share_high = (double)NAN};
    trace->linked_count++;
    trace->relation = overall(trace);
    return WEIR_OK;
}

bool trace_may_share_start(const trace_candidate *candidate) {
    return !(candidate->link.cosine >= 0.95);
}

weir_relation weir_trace_relation(const weir_trace *trace) {
    return trace->relation;
}

size_t weir_trace_candidate_count(const weir_trace *trace) {
    return trace->candidate_count;
}

const char *weir_trace_candidate_name(const weir_trace *trace, size_t index) {
    return trace->candidates[index].name;
}

const char *weir_trace_candidate_location(const weir_trace *trace, size_t index) {
    return trace->candidates[index].location;
}

double weir_trace_candidate_log10_p(const weir_trace *trace, size_t index) {
    return trace->candidates[index].link.log10_p;
}

void weir_trace_free(weir_trace *trace) {
    if (!trace) {
        return;
    }
    for (size_t i = 0; i < trace->candidate_count; i++) {
        candidate_release(&trace->candidates[i]);
    }
    for (size_t i = 0; i < trace->suspect_count; i++) {
        suspect_release(&trace->suspects[i]);
    }
    free(trace->candidates);
    free(trace->ranges);
    free(trace->exclusions);
    fingerprint_free(trace->sketch);
    arena_release(&trace->memory);
    free(trace);
}
