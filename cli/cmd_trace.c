/* SPDX-License-Identifier: Apache-2.0 */
#include <sys/stat.h>

#include <weir/registry.h>
#include <weir/trace.h>

#include "base_folder.h"
#include "registry_place.h"
#include "session.h"

enum { LISTED_BYTES_MAX = 32 << 20, INPUTS_MAX = 1024 };

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
    for (size_t i = 0; i < count && places->input_count < INPUTS_MAX; i++) {
        const weir_registry_entry *const entry = weir_registry_listing_get(listing, i);
        if (entry->location && entry->removed == 0) {
            inputs[places->input_count++] = entry->location;
        }
    }
}

exit_status cmd_trace(const invocation *call) {
    static registry_place place; /* large: not on the stack */
    static char base_folder[PATH_MAX];
    static const char *inputs[INPUTS_MAX];
    session_places places = {.inputs = inputs};
    cli_session session;
    exit_status status = registry_place_find(&place, call, /* make_folder= */ false);
    if (status != EXIT_DONE) {
        return status;
    }
    base_folder_find(base_folder);
    inputs[places.input_count++] = call->operands[0];
    if (call->base) {
        inputs[places.input_count++] = call->base;
    }
    if (base_folder[0]) {
        inputs[places.input_count++] = base_folder;
    }
    weir_registry_listing *const listing = list_known(&place);
    allow_known(&places, inputs, listing);
    registry_place_allow(&places, &place);
    status = session_begin_in(&session, call, &places);
    weir_registry_listing_free(listing);
    if (status != EXIT_DONE) {
        return status;
    }
    const weir_trace_options options = {
        .registry_path = place.path,
        .scratch = place.scratch[0] ? place.scratch : NULL,
        .base_folder = base_folder[0] ? base_folder : NULL,
        .base_path = call->base,
        .name = call->name,
        .callbacks = &session.callbacks,
        .jobs = call->jobs,
        .lenient = call->lenient,
        .digest = call->digest,
    };
    status = session_end(&session, run_trace(&session, &options));
    if (status == EXIT_DONE && call->base) {
        session_hint(&session, "weir diff %s %s", call->base, call->operands[0]);
    }
    return status;
}
