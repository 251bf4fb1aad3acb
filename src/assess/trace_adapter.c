/* SPDX-License-Identifier: Apache-2.0 */
#include "assess/trace_adapter.h"

#include <math.h>
#include <string.h>
#include <strings.h>

#include "base/fail.h"
#include "base/findings.h"
#include "registry/registry.h"

/* "Llama-3.2-1B" of "meta-llama/Llama-3.2-1B" and of "/data/Llama-3.2-1B/". */
static void last_part(char *out, size_t size, const char *path) {
    size_t end = strlen(path);
    while (end > 0 && path[end - 1] == '/') {
        end--;
    }
    size_t begin = end;
    while (begin > 0 && path[begin - 1] != '/') {
        begin--;
    }
    const size_t len = end - begin < size - 1 ? end - begin : size - 1;
    memcpy(out, path + begin, len);
    out[len] = '\0';
}

/* Where the registry says that the declared base lies; *location stays NULL when it does not know
 * it. */
static weir_code find_declared(const char **location, weir_trace *trace, const char *registry_path,
                               weir_error *err) {
    WEIR_CLEANUP(weir_registry_free) weir_registry *registry = NULL;
    WEIR_CLEANUP(weir_registry_listing_free) weir_registry_listing *listing = NULL;
    char wanted[WEIR_REGISTRY_NAME_BYTES_MAX + 1];
    char name[WEIR_REGISTRY_NAME_BYTES_MAX + 1];
    last_part(wanted, sizeof wanted, trace->claimed_base);
    WEIR_TRY(weir_registry_open(&registry, registry_path, NULL, err));
    WEIR_TRY(weir_registry_list(&listing, registry, err));
    for (size_t i = 0; i < weir_registry_listing_count(listing) && !*location; i++) {
        const weir_registry_entry *const entry = weir_registry_listing_get(listing, i);
        last_part(name, sizeof name, entry->name);
        if (entry->removed == 0 && entry->location && strcasecmp(name, wanted) == 0) {
            WEIR_TRY(arena_keep_text(location, &trace->memory, entry->location, err));
            WEIR_TRY(arena_keep_text(&trace->adapter.tested, &trace->memory, entry->name, err));
        }
    }
    return WEIR_OK;
}

static void conclude(weir_trace *trace) {
    switch (trace->adapter.fit.verdict) {
    case ADAPTER_FITS:
        trace->relation = WEIR_RELATION_RELATED;
        break;
    case ADAPTER_CONTRADICTED:
        trace->relation = WEIR_RELATION_NO_LINK;
        break;
    case ADAPTER_CLAIMED:
        trace->relation = WEIR_RELATION_CANNOT_DECIDE;
        trace->cannot = "an adapter: the base that it names is claimed, not verified";
        break;
    }
}

weir_code trace_try_adapter(weir_trace *trace, const weir_model *adapter,
                            const weir_trace_options *options, weir_error *err) {
    WEIR_CLEANUP(weir_model_free) weir_model *base = NULL;
    WEIR_CLEANUP(weir_findings_free) weir_findings *findings = NULL;
    const weir_model_options how = {.lenient = options->lenient};
    const adapter_fit_options fit = {.jobs = options->jobs};
    const char *location = options->base_path;
    trace->relation = WEIR_RELATION_CANNOT_DECIDE;
    trace->residual = (double)NAN;
    trace->power = 1;
    trace->cannot =
        "an adapter: it holds no weights of its own, and the base that it names is not at hand";
    if (!location && trace->claimed_base && options->registry_path) {
        WEIR_TRY(find_declared(&location, trace, options->registry_path, err));
    }
    if (!location) {
        return WEIR_OK;
    }
    const weir_code opened = model_open_weights(&base, &findings, location, &how, err);
    if (opened != WEIR_OK && !options->base_path) {
        trace->adapter.tested = NULL; /* it lies no longer where the registry says */
        return WEIR_OK;
    }
    WEIR_TRY(opened);
    if (options->base_path) {
        WEIR_TRY(
            arena_keep_text(&trace->adapter.tested, &trace->memory, weir_model_name(base), err));
    }
    WEIR_TRY(adapter_fit_test(&trace->adapter.fit, adapter, base, &fit, err));
    trace->cannot = NULL;
    conclude(trace);
    return WEIR_OK;
}
