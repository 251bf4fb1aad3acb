/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file trace.h  Which known models a fingerprint comes from: the search, the test of every
 * candidate, direction, and shares of several parents.
 */
#ifndef WEIR_SKETCH_TRACE_H
#define WEIR_SKETCH_TRACE_H

#include "align/adapter_fit.h"
#include "align/unit_map.h"
#include "base/arena.h"
#include "sketch/library.h"
#include "sketch/link.h"
#include "sketch/parents.h"
#include "weir/trace.h"

enum {
    TRACE_CANDIDATES_MAX = 64, /* kept and shown; the rest is counted */
    TRACE_LEADERS = 64,        /* tested, by each kind of code */
    TRACE_MEMBERS = 64,        /* tested, of each family that is linked */
    TRACE_SUSPECTS_MAX = 3,    /* looked at a second time */
    TRACE_EXHAUSTIVE = 1024,   /* entries up to which every one is tested */
};

extern const double trace_log10_p_linked; /**< a link is found at or below it */
extern const double trace_log10_p_open;   /**< and from here on nothing is decided */

/** Which way a link goes, and what says so. */
typedef enum trace_direction {
    TRACE_DIRECTION_UNKNOWN,
    TRACE_FROM, /**< the model was made from the candidate */
    TRACE_TO,   /**< the candidate was made from the model */
} trace_direction;

typedef enum trace_why {
    TRACE_WHY_NONE,
    TRACE_WHY_GRID,         /**< one side's numbers are the other's, rounded to a type */
    TRACE_WHY_GRID_IN_PART, /**< so in some projections only: direction unknown */
    TRACE_WHY_DUPLICATES,   /**< one side holds copies of a layer that the other has once */
} trace_why;

typedef struct trace_candidate {
    uint64_t id;
    const char *name;
    const char *location; /**< or NULL; never shown */
    fingerprint *sketch;
    link_result link;
    weir_relation relation; /**< IDENTICAL, DERIVED or RELATED */
    trace_direction direction;
    trace_why why;
    weir_dtype grid;   /**< of TRACE_WHY_GRID and _IN_PART */
    bool same_payload; /**< every tensor has the same bytes */
    double distance;   /**< of the sums over numbers, relative; NaN in another basis */
    bool is_parent;    /**< one of several that the model was put together from */
    bool by_units; /**< found by matching all units of some layers, whatever their order: `units` */
    unit_map units;
    double share; /**< of the model, NaN when it is not known */
    double share_low;
    double share_high;
} trace_candidate;

/** A model whose embeddings look alike though its units do not stand alike: worth a second pass. */
typedef struct trace_suspect {
    uint64_t id;
    const char *name;
    const char *location;
    fingerprint *sketch;
    double likeness; /**< share of equal signs between the inner products of 64 tokens */
} trace_suspect;

/** What took no part, and why. */
typedef struct trace_exclusion {
    const char *what;
    const char *why;
} trace_exclusion;

/** A range of the model's weights that was read. */
typedef struct trace_range {
    const char *file; /**< as results call it */
    uint64_t offset;
    uint64_t bytes;
    char sha256[65];
} trace_range;

/** For an adapter: what was found out about the base that it names. */
typedef struct trace_adapter {
    bool is_adapter;
    const char
        *tested; /**< name of the model that it was held against; NULL when none was at hand */
    adapter_fit fit;
} trace_adapter;

struct weir_trace {
    arena memory;
    const char *name;    /**< of the model */
    const char *command; /**< the command line that makes this trace, with words for paths */
    bool lenient;
    trace_range *ranges; /**< by file, then offset; NULL unless they were to be kept */
    size_t range_count;
    char payload_id[65];
    fingerprint *sketch;
    fingerprint_cost cost;
    weir_relation relation;
    trace_candidate *candidates; /**< nearest first */
    size_t candidate_count;
    trace_suspect suspects[TRACE_SUSPECTS_MAX]; /**< likest first; only models with a location */
    size_t suspect_count;
    uint64_t linked_count; /**< of all entries that were tested */
    parents_kind parents;
    bool missing_parent;
    double residual;  /**< of the fit of several parents; NaN without one */
    uint64_t entries; /**< searched */
    uint64_t tested;
    char index_id[65];
    double power;        /**< least cosine that would have been found; 1: none would */
    double best_log10_p; /**< over all entries that were tested */
    const char *cannot;  /**< why nothing can be decided, or NULL */
    trace_exclusion *exclusions;
    size_t exclusion_count;
    size_t exclusion_capacity;
    trace_adapter adapter;
    const char *claimed_base; /**< what the card or the adapter says, or NULL */
};

/**
 * Search libraries for what `trace->sketch` comes from, and fill everything from `relation` on.
 *
 * @param trace      name, payload_id and sketch are set
 * @param libraries  `library_count` of them
 * @return WEIR_OK; WEIR_ERR_IO, WEIR_ERR_FORMAT of a library; WEIR_ERR_CANCELLED; WEIR_ERR_NOMEM
 */
weir_code trace_search(weir_trace *trace, const library *libraries, size_t library_count,
                       const fingerprint_options *options, weir_error *err);

/**
 * Whether a shared initialisation explains a link as well as a shared ancestor does. Trained
 * weights were seen to keep a cosine of .85 to .94 with their initialisation, and children that
 * were trained on much of .84 to .87 with their parent: below .95, a limit of ours, weir does not
 * tell the two apart.
 */
bool trace_may_share_start(const trace_candidate *candidate);

/**
 * Make a suspect a candidate by what matching its units showed; nothing when that is no link. The
 * p-value is corrected for all entries searched.
 */
weir_code trace_accept_suspect(weir_trace *trace, size_t index, const unit_map *units,
                               weir_error *err);

/** Note what took no part. Both texts are copied. */
weir_code trace_exclude(weir_trace *trace, const char *what, const char *why, weir_error *err);

WEIR_DEFINE_CLEANUP(weir_trace *, weir_trace_free)

#endif
