/* SPDX-License-Identifier: Apache-2.0 */
#include <string.h>

#include "assess/assessment.h"
#include "delta/diff.h"
#include "evidence/inspection.h"
#include "report/heat_strip.h"
#include "report/tables.h"
#include "sketch/trace.h"

static void print_verdict(const paint *out, const weir_assessment *assessment) {
    WEIR_CLEANUP(text_buffer_release) text_buffer verdict = {0};
    const char *name = weir_model_name(assessment->inspection->model);
    if (assessment->inspection->verdict == WEIR_VERDICT_MALICIOUS) {
        text_buffer_format(&verdict, "%s holds a malicious file: do not open it. ", name);
    }
    if (assessment->diff) {
        describe_diff(&verdict, assessment->diff);
    } else if (assessment->trace && assessment->trace->candidate_count > 0) {
        describe_trace(&verdict, assessment->trace);
        text_buffer_format(&verdict, " What was changed is not known: no base was given.");
    } else {
        text_buffer_format(&verdict, "%s: no base was given, so what was changed is not known.",
                           name);
    }
    if (assessment->tier.low == assessment->tier.high) {
        text_buffer_format(&verdict, " Tier %d.", assessment->tier.low);
    } else {
        text_buffer_format(&verdict, " How worried to be is not decided yet: tier %d to %d of %d.",
                           assessment->tier.low, assessment->tier.high, WEIR_TIER_MAX);
    }
    paint_gathered_paragraph(out, &verdict);
}

/* The card says X, the weights say Y. */
static void print_origin(const paint *out, const weir_assessment *assessment) {
    WEIR_CLEANUP(text_buffer_release) text_buffer line = {0};
    const fact *claim = &assessment->facts.items[FACT_CLAIM_BASE_MODEL];
    if (claim->grade == WEIR_GRADE_UNKNOWN) {
        text_buffer_format(&line, "the files name no upstream; ");
    } else {
        text_buffer_format(&line, "the files say %s (%s); ", claim->text, claim->source);
    }
    const weir_diff *diff = assessment->diff;
    if (!diff && assessment->trace) {
        text_buffer_format(&line, "the weights say: ");
        describe_trace(&line, assessment->trace);
    } else if (!diff) {
        text_buffer_format(&line, "the weights were not compared with any");
    } else if (diff->direction == DIRECTION_FROM_BASE) {
        text_buffer_format(&line, "the weights say %s: %s, with a loss that cannot be undone",
                           weir_model_name(diff->base),
                           diff->grade == WEIR_GRADE_PROVED
                               ? "numbers were re-derived from it bit for bit"
                               : "its numbers were changed");
    } else {
        text_buffer_format(&line, "against %s the weights say: %s", weir_model_name(diff->base),
                           weir_relation_name(diff->relation));
    }
    paint_gathered_field(out, "comes from", &line);
}

static bool has_only_recoding(const weir_diff *diff) {
    for (size_t i = 0; i < diff->change_count; i++) {
        const weir_change_class change = diff->changes[i].change;
        if (change != WEIR_CHANGE_IDENTICAL && change != WEIR_CHANGE_REPACKAGED &&
            change != WEIR_CHANGE_CAST && change != WEIR_CHANGE_QUANTISED) {
            return false;
        }
    }
    return true;
}

static void print_meaning(const paint *out, const weir_assessment *assessment) {
    const weir_diff *diff = assessment->diff;
    if (diff && !weir_diff_has_changes(diff) && diff->is_copy) {
        paint_field(out, "what it means",
                    "this copy adds nothing to the base and takes nothing away: what holds for the "
                    "base holds for it");
        return;
    }
    if (diff && has_only_recoding(diff)) {
        paint_field(out, "what it means",
                    "the numbers are the base's, at most stored in another way. That is no proof "
                    "of equal behaviour: "
                    "rounding can be exploited, so a copy that matters is still worth testing");
    } else {
        paint_field(out, "what it means",
                    "the numbers above say where and how much, not whether it helps or harms: a "
                    "small change can remove a safeguard and a large one can be harmless");
    }
}

static void print_unknown(const paint *out, const weir_assessment *assessment) {
    for (size_t i = 0; i < assessment->next_count; i++) {
        WEIR_CLEANUP(text_buffer_release) text_buffer line = {0};
        text_buffer_format(&line, "%s (would tell: %s)", assessment->next[i].what,
                           assessment->next[i].how);
        paint_gathered_field(out, i == 0 ? "not known" : "", &line);
    }
}

/* What the matrices show without a base. */
static void print_empty_direction(const paint *out, const weir_assessment *assessment) {
    if (!assessment->has_empty || assessment->empty.answer != EMPTY_DIRECTION_FOUND) {
        return;
    }
    WEIR_CLEANUP(text_buffer_release) text_buffer line = {0};
    text_buffer_format(&line,
                       "nothing in the model writes along one direction of its residual stream "
                       "(%.1e of what it writes along the next; %zu matrices): a direction was "
                       "projected out everywhere, or the model was built so. Which, and what it "
                       "stood for, cannot be read from weights",
                       assessment->empty.ratio, assessment->empty.matrix_count);
    paint_gathered_field(out, "empty direction", &line);
}

void assessment_print(const paint *out, const weir_assessment *assessment) {
    print_verdict(out, assessment);
    if (out->style.verbosity < 0) {
        return;
    }
    WEIR_CLEANUP(text_buffer_release) text_buffer what = {0};
    (void)fputc('\n', out->stream);
    describe_model(&what, assessment->inspection);
    text_buffer_format(&what, "; files: %s", weir_verdict_name(assessment->inspection->verdict));
    paint_gathered_field(out, "what it is", &what);
    print_findings(out, assessment->inspection->findings);
    print_origin(out, assessment);
    if (assessment->diff) {
        print_changes(out, assessment->diff);
        heat_strip_print(out, assessment->diff);
        (void)fputc('\n', out->stream);
    }
    print_empty_direction(out, assessment);
    print_unknown(out, assessment);
    print_meaning(out, assessment);
}
