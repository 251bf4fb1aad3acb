/* SPDX-License-Identifier: Apache-2.0 */
#include <inttypes.h>
#include <math.h>
#include <stdlib.h>

#include "base/checked.h"
#include "report/tables.h"
#include "sketch/trace.h"

enum { CANDIDATES_SHOWN = 5, EXCLUSIONS_SHOWN = 5, RUN_MIN = 2 };

/* "p <= 1e-384": rounded up, so that it never says more than was found. */
static const char *format_p(char *out, size_t size, double log10_p) {
    if (log10_p > -2) {
        (void)snprintf(out, size, "p = %.2f", pow(10, log10_p));
    } else {
        (void)snprintf(out, size, "p <= 1e%.0f", ceil(log10_p));
    }
    return out;
}

/* --- the verdict --- */

static void describe_link(text_buffer *text, const weir_trace *trace,
                          const trace_candidate *nearest) {
    if (nearest->relation == WEIR_RELATION_IDENTICAL) {
        text_buffer_format(text, "%s holds the same tensors as %s, byte for byte", trace->name,
                           nearest->name);
    } else if (nearest->relation == WEIR_RELATION_DERIVED) {
        text_buffer_format(text, "%s was made from %s", trace->name, nearest->name);
    } else if (nearest->direction == TRACE_TO) {
        text_buffer_format(text, "%s was made from %s", nearest->name, trace->name);
    } else if (nearest->why == TRACE_WHY_GRID_IN_PART) {
        text_buffer_format(text, "%s was made from %s or from a close relative of it", trace->name,
                           nearest->name);
    } else if (nearest->link.same_numbers) {
        text_buffer_format(text, "%s holds the same numbers as %s wherever it was read",
                           trace->name, nearest->name);
    } else if (trace_may_share_start(nearest)) {
        text_buffer_format(text, "%s shares an ancestor or an initialisation with %s", trace->name,
                           nearest->name);
    } else {
        text_buffer_format(text, "%s shares weights with %s; which of them came first is not known",
                           trace->name, nearest->name);
    }
}

static bool is_merge(const weir_trace *trace) {
    return trace->parents == PARENTS_MERGE || trace->parents == PARENTS_MERGE_SPARSE ||
           trace->parents == PARENTS_MERGE_LAYERED || trace->parents == PARENTS_PASSTHROUGH;
}

static void describe_parents(text_buffer *text, const weir_trace *trace) {
    if (is_merge(trace)) {
        const char *separator = trace->parents == PARENTS_PASSTHROUGH
                                    ? "; it was put together from layers of "
                                    : "; it was merged from ";
        for (size_t i = 0; i < trace->candidate_count; i++) {
            if (trace->candidates[i].is_parent) {
                text_buffer_format(text, "%s%s", separator, trace->candidates[i].name);
                separator = " and ";
            }
        }
    }
    if (trace->missing_parent) {
        text_buffer_format(text, "; part of it comes from a model that is not known here");
    }
}

static void describe_adapter(text_buffer *text, const weir_trace *trace) {
    const adapter_fit *const fit = &trace->adapter.fit;
    if (trace->relation == WEIR_RELATION_RELATED) {
        text_buffer_format(
            text,
            "%s was trained on %s or on a relative of it (p <= %.4f, by how residual dimensions "
            "go together).",
            trace->name, trace->adapter.tested, fit->p);
    } else if (trace->relation == WEIR_RELATION_NO_LINK) {
        text_buffer_format(
            text, "%s was not made for %s: %zu of its %zu modules do not fit, the first is %s.",
            trace->name, trace->adapter.tested, fit->modules - fit->fitting, fit->modules,
            fit->first_unfitting);
    } else if (trace->adapter.tested) {
        text_buffer_format(
            text,
            "%s is an adapter whose shapes fit %s; that it was made for it is claimed, not "
            "verified (p = %.2f).",
            trace->name, trace->adapter.tested, fit->p);
    } else {
        text_buffer_format(text, "nothing can be decided about %s, %s.", trace->name,
                           trace->cannot);
    }
}

void describe_trace(text_buffer *text, const weir_trace *trace) {
    char p[32];
    if (trace->adapter.is_adapter) {
        describe_adapter(text, trace);
    } else if (trace->candidate_count > 0) {
        describe_link(text, trace, &trace->candidates[0]);
        describe_parents(text, trace);
        text_buffer_format(text, " (%s, %s).",
                           format_p(p, sizeof p, trace->candidates[0].link.log10_p),
                           trace->candidates[0].by_units ? "calibrated" : "exact");
    } else if (trace->relation == WEIR_RELATION_NO_LINK) {
        text_buffer_format(text, "%s shows no link to any of %" PRIu64 " known models.",
                           trace->name, trace->entries);
    } else {
        text_buffer_format(text, "nothing can be decided about %s: %s.", trace->name,
                           trace->cannot
                               ? trace->cannot
                               : "the best match is too weak for a link and too strong for none");
    }
}

static void describe_verdict(text_buffer *text, const weir_trace *trace) {
    if (trace->claimed_base) {
        text_buffer_format(text, "The card says %s; the weights say: ", trace->claimed_base);
    } else {
        text_buffer_format(text, "The files name no upstream; the weights say: ");
    }
    describe_trace(text, trace);
}

/* --- candidates --- */

static void describe_why(text_buffer *text, const trace_candidate *candidate) {
    const char *const whose = candidate->direction == TRACE_FROM ? "its" : "this model's";
    if (candidate->why == TRACE_WHY_GRID) {
        text_buffer_format(text,
                           "; every projection that was compared holds %s numbers rounded to %s",
                           whose, weir_dtype_name(candidate->grid));
    } else if (candidate->why == TRACE_WHY_GRID_IN_PART) {
        text_buffer_format(
            text,
            "; some projections hold its numbers rounded to %s, others do not: made from it, or "
            "from a relative that has the same ones",
            weir_dtype_name(candidate->grid));
    } else if (candidate->why == TRACE_WHY_DUPLICATES) {
        text_buffer_format(text, "; several layers here are copies of one of its layers");
    } else if (candidate->link.same_numbers && !candidate->same_payload) {
        text_buffer_format(text, "; every number that was read is equal");
    }
}

static void print_candidate(const paint *out, const trace_candidate *candidate, bool is_first) {
    char p[32];
    char ratio[32];
    WEIR_CLEANUP(text_buffer_release) text_buffer line = {0};
    text_buffer_format(&line, "%s: %s, %s, cosine %.4f", candidate->name,
                       weir_relation_name(candidate->relation),
                       format_p(p, sizeof p, candidate->link.log10_p), candidate->link.cosine);
    if (isfinite(candidate->distance)) {
        text_buffer_format(&line, ", numbers %s apart",
                           format_ratio(ratio, sizeof ratio, candidate->distance));
    }
    describe_why(&line, candidate);
    if (candidate->link.codes == LINK_TOKEN_CODES && !candidate->by_units) {
        text_buffer_format(&line,
                           "; the residual basis differs: seen through the token embeddings");
    }
    paint_gathered_field(out, is_first ? "comes from" : "", &line);
}

static void print_candidates(const paint *out, const weir_trace *trace) {
    const size_t shown = out->style.verbosity > 0 || trace->candidate_count < CANDIDATES_SHOWN
                             ? trace->candidate_count
                             : CANDIDATES_SHOWN;
    for (size_t i = 0; i < shown; i++) {
        print_candidate(out, &trace->candidates[i], i == 0);
    }
    if (trace->linked_count > shown) {
        WEIR_CLEANUP(text_buffer_release) text_buffer rest = {0};
        text_buffer_format(&rest,
                           "and %" PRIu64 " more of the same families; see --verbose or --json",
                           trace->linked_count - shown);
        paint_gathered_field(out, "", &rest);
    }
}

/* --- layers --- */

static void add_run(text_buffer *text, const weir_trace *trace, const trace_candidate *nearest,
                    size_t begin, size_t end) {
    const link_pair *const pairs = nearest->link.pairs;
    const int32_t mine = trace->sketch->blocks[pairs[begin].mine].layer;
    const int32_t theirs = nearest->sketch->blocks[pairs[begin].theirs].layer;
    const int32_t count = (int32_t)(end - begin);
    text_buffer_format(text, "%s%" PRId32, text->len > 0 ? ", " : "", mine);
    if (count >= RUN_MIN) {
        text_buffer_format(text, "-%" PRId32, mine + count - 1);
    }
    text_buffer_format(text, " from %" PRId32, theirs);
    if (count >= RUN_MIN) {
        text_buffer_format(text, "-%" PRId32, theirs + count - 1);
    }
}

/* Whether pair i goes on where pair i - 1 ended, on both sides. */
static bool goes_on(const weir_trace *trace, const trace_candidate *nearest, size_t i) {
    const link_pair *const now = &nearest->link.pairs[i];
    const link_pair *const before = &nearest->link.pairs[i - 1];
    const sketch_block *const mine = trace->sketch->blocks;
    const sketch_block *const theirs = nearest->sketch->blocks;
    return mine[now->mine].layer == mine[before->mine].layer + 1 &&
           theirs[now->theirs].layer == theirs[before->theirs].layer + 1;
}

static bool has_experts(const fingerprint *sketch) {
    for (size_t i = 0; i < sketch->block_count; i++) {
        if (sketch->blocks[i].expert >= 0) {
            return true;
        }
    }
    return false;
}

static void print_units(const paint *out, const unit_map *units) {
    WEIR_CLEANUP(text_buffer_release) text_buffer line = {0};
    for (size_t i = 0; i < units->layer_count; i++) {
        const unit_map_layer *const layer = &units->layers[i];
        text_buffer_format(
            &line, "%s%" PRIu32 " of %" PRIu32 " units of layer %" PRId32 " in layer %" PRId32,
            i > 0 ? ", " : "", layer->agree, layer->of, layer->mine, layer->theirs);
    }
    text_buffer_format(&line, "%s%s",
                       units->units_permuted ? "; the units stand in another order" : "",
                       units->basis_changed ? "; the residual basis was changed" : "");
    paint_gathered_field(out, "units", &line);
}

static void print_layers(const paint *out, const weir_trace *trace) {
    const trace_candidate *const nearest = &trace->candidates[0];
    if (nearest->by_units) {
        print_units(out, &nearest->units);
        return;
    }
    WEIR_CLEANUP(text_buffer_release) text_buffer map = {0};
    WEIR_CLEANUP(text_buffer_release) text_buffer line = {0};
    const size_t count = nearest->link.pair_count;
    for (size_t begin = 0; begin < count;) {
        size_t end = begin + 1;
        while (end < count && goes_on(trace, nearest, end)) {
            end++;
        }
        add_run(&map, trace, nearest, begin, end);
        begin = end;
    }
    text_buffer_format(&line, "%zu of %zu %s match", count, trace->sketch->block_count,
                       has_experts(trace->sketch) ? "feed-forwards" : "layers");
    if (map.data && !has_experts(trace->sketch)) {
        text_buffer_format(&line, ": %s", map.data);
    }
    paint_gathered_field(out, "layers", &line);
}

static void print_share(const paint *out, const trace_candidate *parent, bool is_first) {
    WEIR_CLEANUP(text_buffer_release) text_buffer line = {0};
    if (isfinite(parent->share)) {
        text_buffer_format(&line, "%s %.3f (%.3f to %.3f)", parent->name, parent->share,
                           parent->share_low, parent->share_high);
    } else {
        text_buffer_format(&line, "%s contributes; how much is not known", parent->name);
    }
    paint_gathered_field(out, is_first ? "shares" : "", &line);
}

static void print_shares(const paint *out, const weir_trace *trace) {
    bool is_first = true;
    if (!is_merge(trace) && trace->parents != PARENTS_MISSING &&
        trace->parents != PARENTS_UNSETTLED) {
        return;
    }
    for (size_t i = 0; i < trace->candidate_count; i++) {
        if (trace->candidates[i].is_parent) {
            print_share(out, &trace->candidates[i], is_first);
            is_first = false;
        }
    }
    if (trace->missing_parent) {
        paint_field(
            out, is_first ? "shares" : "",
            "a parent is missing among the known models; shares computed without it would be "
            "wrong, so none are given");
    } else if (trace->parents == PARENTS_UNSETTLED) {
        paint_field(
            out, is_first ? "shares" : "",
            "whether a parent is missing, or the merge left numbers out, the fingerprints alone "
            "cannot say; give the candidates' weights a place that can be read");
    }
}

/* --- the test --- */

static void print_test(const paint *out, const weir_trace *trace) {
    char tested[32];
    WEIR_CLEANUP(text_buffer_release) text_buffer line = {0};
    text_buffer_format(
        &line,
        "%s known models were searched. p bounds the probability of a match like this between "
        "models of which at least one has hidden units in the order of a random "
        "initialisation of its own, for all layers and all models searched together",
        format_count(tested, sizeof tested, trace->entries));
    if (trace->candidate_count > 0 && trace->candidates[0].by_units) {
        text_buffer_format(&line,
                           ". The units do not stand in the candidate's order, so this p rests on "
                           "measured strangers: it is calibrated");
    }
    paint_gathered_field(out, "test", &line);
}

static void print_power(const paint *out, const weir_trace *trace) {
    WEIR_CLEANUP(text_buffer_release) text_buffer line = {0};
    if (trace->power < 1) {
        text_buffer_format(
            &line,
            "a relative among them whose rows keep a cosine of %.2f or more would have been "
            "found with probability .95, if units and layers kept their order",
            trace->power);
    } else {
        text_buffer_format(&line, "none: even an exact copy would not have been found");
    }
    paint_gathered_field(out, "power", &line);
}

static void print_cost(const paint *out, const weir_trace *trace) {
    char read[32];
    char stored[32];
    char ratio[32];
    if (trace->cost.bytes_stored == 0) {
        paint_field(out, "read", "a fingerprint, no weights");
        return;
    }
    WEIR_CLEANUP(text_buffer_release) text_buffer line = {0};
    text_buffer_format(
        &line, "%s of %s (%s) in %" PRIu64 " ranges%s",
        format_bytes(read, sizeof read, trace->cost.bytes_read),
        format_bytes(stored, sizeof stored, trace->cost.bytes_stored),
        format_ratio(ratio, sizeof ratio,
                     (double)trace->cost.bytes_read / (double)trace->cost.bytes_stored),
        trace->cost.ranges_read,
        trace->payload_id[0] ? ", and all of it once to compare whole tensors" : "");
    paint_gathered_field(out, "read", &line);
}

static void print_exclusions(const paint *out, const weir_trace *trace) {
    for (size_t i = 0; i < trace->exclusion_count; i++) {
        WEIR_CLEANUP(text_buffer_release) text_buffer line = {0};
        if (i == EXCLUSIONS_SHOWN && out->style.verbosity <= 0) {
            text_buffer_format(&line, "and %zu more; see --verbose or --json",
                               trace->exclusion_count - i);
            paint_gathered_field(out, "", &line);
            return;
        }
        text_buffer_format(&line, "%s: %s", trace->exclusions[i].what, trace->exclusions[i].why);
        paint_gathered_field(out, i == 0 ? "left out" : "", &line);
    }
}

void trace_print(const paint *out, const weir_trace *trace) {
    WEIR_CLEANUP(text_buffer_release) text_buffer verdict = {0};
    describe_verdict(&verdict, trace);
    paint_gathered_paragraph(out, &verdict);
    if (out->style.verbosity < 0 || trace->adapter.is_adapter) {
        return;
    }
    (void)fputc('\n', out->stream);
    if (trace->candidate_count > 0) {
        print_candidates(out, trace);
        print_layers(out, trace);
        print_shares(out, trace);
    }
    print_exclusions(out, trace);
    print_test(out, trace);
    print_power(out, trace);
    print_cost(out, trace);
}
