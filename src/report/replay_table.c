/* SPDX-License-Identifier: Apache-2.0 */
#include <inttypes.h>

#include "assess/replay.h"
#include "report/tables.h"

static void describe_answer(text_buffer *text, const weir_replay *replay) {
    const char *const verdict = weir_relation_name(replay->bundle->relation);
    switch (replay->answer) {
    case WEIR_REPLAY_REPRODUCED:
        text_buffer_format(text, "The bundle's verdict is reproduced: %s (%s).", verdict,
                           replay->name);
        break;
    case WEIR_REPLAY_DIFFERS:
        text_buffer_format(text, "The bundle's verdict is not reproduced: it says %s of %s.",
                           verdict, replay->bundle->name);
        break;
    case WEIR_REPLAY_UNDECIDED:
        text_buffer_format(text,
                           "Nothing contradicts the bundle's verdict (%s), but it cannot be "
                           "replayed from it: %s.",
                           verdict,
                           replay->untestable > 0 ? "a candidate was found in its weights"
                                                  : "it rests on a search that found nothing");
        break;
    }
}

static void print_ranges(const paint *out, const weir_replay *replay) {
    WEIR_CLEANUP(text_buffer_release) text_buffer line = {0};
    char size[32];
    const trace_range *const first = replay->first_differing;
    if (first) {
        text_buffer_format(
            &line, "%zu of %zu ranges differ; first %s, bytes %" PRIu64 " to %" PRIu64 ": %s",
            replay->ranges_differ, replay->bundle->range_count, first->file, first->offset,
            first->offset + first->bytes, replay->first_problem);
    } else {
        text_buffer_format(&line, "%zu range%s, %s: all have the stated hash",
                           replay->bundle->range_count, replay->bundle->range_count == 1 ? "" : "s",
                           format_bytes(size, sizeof size, replay->bytes_checked));
    }
    paint_gathered_field(out, "weights", &line);
}

static void print_candidate(const paint *out, const bundle_candidate *stated,
                            const replay_candidate *again) {
    WEIR_CLEANUP(text_buffer_release) text_buffer line = {0};
    if (!again->is_testable) {
        text_buffer_format(&line, "%s: not replayed, it was found in the weights of both",
                           stated->name);
    } else if (again->same_test && again->same_verdict) {
        text_buffer_format(&line, "%s: %s, log10 p %.6g, as stated", stated->name,
                           weir_relation_name(again->relation), again->log10_p);
    } else {
        text_buffer_format(&line, "%s: %s, log10 p %.6g; stated was %s, %.6g%s", stated->name,
                           weir_relation_name(again->relation), again->log10_p,
                           weir_relation_name(stated->relation), stated->log10_p,
                           again->same_test ? "" : ", or another map of layers");
    }
    paint_gathered_field(out, "candidate", &line);
}

void replay_print(const paint *out, const weir_replay *replay) {
    WEIR_CLEANUP(text_buffer_release) text_buffer answer = {0};
    describe_answer(&answer, replay);
    paint_gathered_paragraph(out, &answer);
    if (out->style.verbosity < 0) {
        return;
    }
    (void)fputc('\n', out->stream);
    print_ranges(out, replay);
    paint_field(out, "fingerprint",
                replay->same_fingerprint ? "taken anew, the same" : "taken anew: another");
    if (replay->bundle->payload_id[0]) {
        paint_field(out, "tensors",
                    replay->same_payload ? "all have the stated bytes" : "some have other bytes");
    }
    for (size_t i = 0; i < replay->bundle->candidate_count; i++) {
        print_candidate(out, &replay->bundle->candidates[i], &replay->candidates[i]);
    }
}
