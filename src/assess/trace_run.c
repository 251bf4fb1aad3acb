/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The order of a trace: open the model, take its fingerprint, gather what is to be searched,
 * search.
 *
 * Whole tensors are hashed, to tell a copy, when that costs little or when it was asked for.
 */
#include <stdlib.h>
#include <string.h>

#include "assess/trace_adapter.h"
#include "assess/trace_weights.h"
#include "base/fail.h"
#include "base/findings.h"
#include "delta/diff.h"
#include "evidence/fact.h"
#include "evidence/inspection.h"
#include "registry/registry.h"
#include "sketch/folder_library.h"
#include "sketch/trace.h"
#include "weir/trace.h"

/* What is held open during one trace. */
typedef struct tracing {
    const weir_trace_options *options;
    weir_model *model;
    weir_findings *findings;
    weir_registry *registry;
    weir_model *base;
    weir_findings *base_findings;
    folder_library known;
} tracing;

static void tracing_release_cleanup(tracing *run) {
    weir_model_free(run->model);
    weir_findings_free(run->findings);
    weir_model_free(run->base);
    weir_findings_free(run->base_findings);
    weir_registry_free(run->registry);
    folder_library_release(&run->known);
}

static weir_code keep_text(const char **out, arena *memory, const char *text, weir_error *err) {
    *out = arena_copy_text(memory, text, strlen(text));
    return *out ? WEIR_OK : weir_fail_nomem(err);
}

static uint64_t weight_bytes(const weir_model *model) {
    const tensor_table *const tensors = &model_checkpoint(model)->tensors;
    uint64_t bytes = 0;
    for (size_t i = 0; i < tensors->count; i++) {
        bytes += tensors->items[i].bytes;
    }
    return bytes;
}

static weir_code sketch_model(fingerprint **out, fingerprint_cost *cost, const tracing *run,
                              const weir_model *model, weir_error *err) {
    const fingerprint_options options = {.jobs = run->options->jobs,
                                         .callbacks = run->options->callbacks};
    return fingerprint_make(out, model, &options, cost, err);
}

static weir_code open_model(weir_trace *trace, tracing *run, const char *path, weir_error *err) {
    const weir_trace_options *const options = run->options;
    const weir_model_options how = {.lenient = options->lenient, .name = options->name};
    WEIR_TRY(model_open_weights(&run->model, &run->findings, path, &how, err));
    WEIR_TRY(keep_text(&trace->name, &trace->memory, weir_model_name(run->model), err));
    const weir_claim *const claim = claimed_base(run->model);
    if (claim) {
        WEIR_TRY(keep_text(&trace->claimed_base, &trace->memory, claim->value, err));
    }
    trace->adapter.is_adapter = diff_is_adapter(run->model);
    if (trace->adapter.is_adapter) {
        return WEIR_OK;
    }
    if (options->digest || weight_bytes(run->model) <= PAYLOAD_UNASKED_BYTES_MAX) {
        WEIR_TRY(model_payload_id(trace->payload_id, run->model, options->callbacks, err));
    }
    return sketch_model(&trace->sketch, &trace->cost, run, run->model, err);
}

static weir_code open_fingerprint(weir_trace *trace, const tracing *run, const char *path,
                                  weir_error *err) {
    WEIR_CLEANUP(free) char *name = fingerprint_name(path);
    if (!name) {
        return weir_fail_nomem(err);
    }
    WEIR_TRY(keep_text(&trace->name, &trace->memory, run->options->name ? run->options->name : name,
                       err));
    return fingerprint_read(&trace->sketch, path, err);
}

/* The model that was given as a base becomes one more entry. */
static weir_code add_base(tracing *run, const char *path, weir_error *err) {
    char payload_id[DIGEST_TEXT_BYTES] = "";
    fingerprint *sketch = NULL;
    const weir_model_options how = {.lenient = run->options->lenient};
    if (fingerprint_is_path(path)) {
        WEIR_CLEANUP(free) char *name = fingerprint_name(path);
        if (!name) {
            return weir_fail_nomem(err);
        }
        WEIR_TRY(fingerprint_read(&sketch, path, err));
        return folder_library_add_entry(&run->known, name, NULL, NULL, sketch, err);
    }
    WEIR_TRY(model_open_weights(&run->base, &run->base_findings, path, &how, err));
    if (run->options->digest || weight_bytes(run->base) <= PAYLOAD_UNASKED_BYTES_MAX) {
        WEIR_TRY(model_payload_id(payload_id, run->base, run->options->callbacks, err));
    }
    WEIR_TRY(sketch_model(&sketch, NULL, run, run->base, err));
    return folder_library_add_entry(&run->known, weir_model_name(run->base), path,
                                    payload_id[0] ? payload_id : NULL, sketch, err);
}

static weir_code search(weir_trace *trace, tracing *run, weir_error *err) {
    const weir_trace_options *const options = run->options;
    const fingerprint_options how = {.jobs = options->jobs, .callbacks = options->callbacks};
    library libraries[2];
    size_t count = 0;
    if (options->base_folder) {
        WEIR_TRY(folder_library_add(&run->known, options->base_folder, err));
    }
    if (options->base_path) {
        WEIR_TRY(add_base(run, options->base_path, err));
    }
    if (options->registry_path) {
        const weir_registry_options how_opened = {.scratch = options->scratch};
        WEIR_TRY(weir_registry_open(&run->registry, options->registry_path, &how_opened, err));
        WEIR_TRY(registry_library(&libraries[count], run->registry, err));
        if (libraries[count].index) {
            memcpy(trace->index_id, search_index_id(libraries[count].index),
                   sizeof trace->index_id);
        }
        count++;
    }
    libraries[count++] = folder_library_view(&run->known);
    return trace_search(trace, libraries, count, &how, err);
}

weir_code weir_trace_run(weir_trace **out, const char *model_path,
                         const weir_trace_options *options, weir_error *err) {
    static const weir_trace_options defaults = WEIR_TRACE_OPTIONS_INIT;
    WEIR_CLEANUP(tracing_release) tracing run = {.options = options ? options : &defaults};
    WEIR_CLEANUP(weir_trace_free) weir_trace *trace = calloc(1, sizeof *trace);
    if (!trace) {
        return weir_fail_nomem(err);
    }
    if (fingerprint_is_path(model_path)) {
        WEIR_TRY(open_fingerprint(trace, &run, model_path, err));
    } else {
        WEIR_TRY(open_model(trace, &run, model_path, err));
    }
    if (trace->adapter.is_adapter) {
        WEIR_TRY(trace_try_adapter(trace, run.model, run.options, err));
    } else {
        WEIR_TRY(search(trace, &run, err));
        WEIR_TRY(trace_use_weights(trace, run.model, run.options, err));
    }
    *out = WEIR_TAKE(trace);
    return WEIR_OK;
}
