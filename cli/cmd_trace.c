/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <sys/stat.h>

#include <weir/registry.h>
#include <weir/trace.h>

#include "base_folder.h"
#include "failure.h"
#include "registry_place.h"
#include "session.h"
#include "trace_many.h"
#include "trace_replay.h"

enum { LISTED_BYTES_MAX = 32 << 20, KNOWN_MAX = 1024, INPUTS_MAX = OPERANDS_MAX + KNOWN_MAX + 4 };

static weir_code write_result(FILE *stream, weir_format format, const weir_style *style,
                              const void *result, weir_error *err) {
    return weir_report_trace(stream, format, style, result, err);
}

static exit_status run_trace(cli_session *session, const weir_trace_options *options) {
    weir_error err = {0};
    weir_trace *trace = NULL;
    if (weir_trace_run(&trace, session->call->operands[0], options, &err) != WEIR_OK) {
        return session_fail(session, &err);
    }
    const exit_status status = session_write(session, write_result, trace);
    weir_trace_free(trace);
    return status;
}

/* The weights of known models say more than their fingerprints: of a small registry the places
 * where they lie stay readable. What is wrong with the registry the trace itself will tell. */
static weir_registry_listing *list_known(const registry_place *place) {
    struct stat info;
    weir_registry *registry = NULL;
    weir_registry_listing *listing = NULL;
    if (stat(place->path, &info) != 0 || info.st_size > LISTED_BYTES_MAX ||
        weir_registry_open(&registry, place->path, NULL, NULL) != WEIR_OK) {
        return NULL;
    }
    (void)weir_registry_list(&listing, registry, NULL);
    weir_registry_free(registry);
    return listing;
}

static void allow_known(session_places *places, const char **inputs,
                        const weir_registry_listing *listing) {
    const size_t count = listing ? weir_registry_listing_count(listing) : 0;
    for (size_t i = 0; i < count && i < KNOWN_MAX; i++) {
        const weir_registry_entry *const entry = weir_registry_listing_get(listing, i);
        if (entry->location && entry->removed == 0) {
            inputs[places->input_count++] = entry->location;
        }
    }
}

static bool wants_bundle(const invocation *call) {
    bool is_wanted = false;
    for (size_t i = 0; i < call->output_count; i++) {
        is_wanted |= call->outputs[i].format == WEIR_FORMAT_BUNDLE;
    }
    return is_wanted;
}

static exit_status check_call(const invocation *call, bool is_many) {
    if (is_many && !call->replay) {
        return trace_many_check(call);
    }
    if (call->operand_count > 1) {
        return failure_of_usage(call->command, "one argument too many: '%s'; --jsonl takes several",
                                call->operands[1]);
    }
    return EXIT_DONE;
}

/* The trace or the many; the session has begun. */
static exit_status trace_in(cli_session *session, const registry_place *place,
                            const char *base_folder, FILE *kept) {
    const invocation *const call = session->call;
    const weir_trace_options options = {
        .registry_path = place->path,
        .scratch = place->scratch[0] ? place->scratch : NULL,
        .base_folder = base_folder[0] ? base_folder : NULL,
        .base_path = call->base,
        .name = call->name,
        .callbacks = &session->callbacks,
        .jobs = call->jobs,
        .lenient = call->lenient,
        .digest = call->digest,
        .keep_ranges = wants_bundle(call),
    };
    return trace_many_is_asked(call) ? trace_many_run(session, &options, kept)
                                     : run_trace(session, &options);
}

/* What may be read: what was given, what comes with weir, and where known models lie. */
static exit_status begin(cli_session *session, const invocation *call, const registry_place *place,
                         const char *base_folder) {
    static const char *inputs[INPUTS_MAX]; /* large: not on the stack */
    const char *const others[] = {call->base, base_folder[0] ? base_folder : NULL, call->resume};
    session_places places = {.inputs = inputs};
    for (size_t i = 0; i < call->operand_count; i++) {
        inputs[places.input_count++] = call->operands[i];
    }
    for (size_t i = 0; i < sizeof others / sizeof *others; i++) {
        if (others[i]) {
            inputs[places.input_count++] = others[i];
        }
    }
    weir_registry_listing *const listing = list_known(place);
    allow_known(&places, inputs, listing);
    registry_place_allow(&places, place);
    const exit_status status = session_begin_in(session, call, &places);
    weir_registry_listing_free(listing);
    return status;
}

exit_status cmd_trace(const invocation *call) {
    static registry_place place; /* large: not on the stack */
    static char base_folder[PATH_MAX];
    FILE *kept = NULL;
    cli_session session;
    const bool is_many = trace_many_is_asked(call);
    exit_status status = check_call(call, is_many);
    if (status == EXIT_DONE && call->replay) {
        return trace_replay(call);
    }
    if (status == EXIT_DONE) {
        status = registry_place_find(&place, call, /* make_folder= */ false);
    }
    if (status == EXIT_DONE) {
        status = trace_many_open(&kept, call);
    }
    if (status != EXIT_DONE) {
        return status;
    }
    base_folder_find(base_folder);
    status = begin(&session, call, &place, base_folder);
    if (status == EXIT_DONE) {
        status = session_end(&session, trace_in(&session, &place, base_folder, kept));
        if (status == EXIT_DONE && call->base && !is_many) {
            session_hint(&session, "weir diff %s %s", call->base, call->operands[0]);
        }
    }
    if (kept && fclose(kept) != 0 && status == EXIT_DONE) {
        status = failure_of_system(call, call->resume, "room for the lines", errno);
    }
    return status;
}
