/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The order of a trace: gather what is to be searched, open the model, take its fingerprint,
 * search. What is searched is opened once, for any number of models.
 *
 * Whole tensors are hashed, to tell a copy, when one is likely and that costs little, or when it
 * was asked for.
 */
#include <stdlib.h>
#include <string.h>

#include "assess/trace_adapter.h"
#include "assess/trace_ranges.h"
#include "assess/trace_weights.h"
#include "base/fail.h"
#include "base/findings.h"
#include "base/text.h"
#include "delta/diff.h"
#include "evidence/fact.h"
#include "evidence/inspection.h"
#include "registry/registry.h"
#include "sketch/folder_library.h"
#include "sketch/trace.h"
#include "weir/trace.h"

enum { LIBRARIES_MAX = 2 };

struct weir_tracer {
    weir_trace_options options;
    weir_registry *registry;
    folder_library known;
    library libraries[LIBRARIES_MAX];
    size_t library_count;
    char index_id[65];
};
WEIR_DEFINE_CLEANUP(weir_tracer *, weir_tracer_free)

/* A model while it is open. */
typedef struct opened {
    weir_model *model;
    weir_findings *findings;
} opened;

static void opened_release_cleanup(opened *it) {
    weir_model_free(it->model);
    weir_findings_free(it->findings);
}

static uint64_t weight_bytes(const weir_model *model) {
    const tensor_table *const tensors = &model_checkpoint(model)->tensors;
    uint64_t bytes = 0;
    for (size_t i = 0; i < tensors->count; i++) {
        bytes += tensors->items[i].bytes;
    }
    return bytes;
}

static bool wants_payload_id(const weir_tracer *tracer, const weir_model *model) {
    return tracer->options.digest || weight_bytes(model) <= PAYLOAD_UNASKED_BYTES_MAX;
}

static weir_code sketch_model(fingerprint **out, fingerprint_cost *cost, const weir_tracer *tracer,
                              const weir_model *model, weir_error *err) {
    const fingerprint_options options = {.jobs = tracer->options.jobs,
                                         .callbacks = tracer->options.callbacks};
    return fingerprint_make(out, model, &options, cost, err);
}

/* --- what is searched --- */

static weir_code add_base_fingerprint(weir_tracer *tracer, const char *path, weir_error *err) {
    WEIR_CLEANUP(free) char *name = fingerprint_name(path);
    fingerprint *sketch = NULL;
    if (!name) {
        return weir_fail_nomem(err);
    }
    WEIR_TRY(fingerprint_read(&sketch, path, err));
    return folder_library_add_entry(&tracer->known, name, NULL, NULL, sketch, err);
}

/* The model that was given as a base becomes one more entry. */
static weir_code add_base(weir_tracer *tracer, const char *path, weir_error *err) {
    WEIR_CLEANUP(opened_release) opened base = {0};
    char payload_id[DIGEST_TEXT_BYTES] = "";
    fingerprint *sketch = NULL;
    const weir_model_options how = {.lenient = tracer->options.lenient};
    WEIR_TRY(model_open_weights(&base.model, &base.findings, path, &how, err));
    if (wants_payload_id(tracer, base.model)) {
        WEIR_TRY(model_payload_id(payload_id, base.model, tracer->options.callbacks, err));
    }
    WEIR_TRY(sketch_model(&sketch, NULL, tracer, base.model, err));
    return folder_library_add_entry(&tracer->known, weir_model_name(base.model), path,
                                    payload_id[0] ? payload_id : NULL, sketch, err);
}

static weir_code add_registry(weir_tracer *tracer, weir_error *err) {
    const weir_registry_options how = {.scratch = tracer->options.scratch};
    library *const out = &tracer->libraries[tracer->library_count];
    WEIR_TRY(weir_registry_open(&tracer->registry, tracer->options.registry_path, &how, err));
    WEIR_TRY(registry_library(out, tracer->registry, err));
    if (out->index) {
        memcpy(tracer->index_id, search_index_id(out->index), sizeof tracer->index_id);
    }
    tracer->library_count++;
    return WEIR_OK;
}

weir_code weir_tracer_open(weir_tracer **out, const weir_trace_options *options, weir_error *err) {
    static const weir_trace_options defaults = WEIR_TRACE_OPTIONS_INIT;
    WEIR_CLEANUP(weir_tracer_free) weir_tracer *tracer = calloc(1, sizeof *tracer);
    if (!tracer) {
        return weir_fail_nomem(err);
    }
    tracer->options = options ? *options : defaults;
    if (tracer->options.base_folder) {
        WEIR_TRY(folder_library_add(&tracer->known, tracer->options.base_folder, err));
    }
    const char *const base = tracer->options.base_path;
    if (base) {
        WEIR_TRY(fingerprint_is_path(base) ? add_base_fingerprint(tracer, base, err)
                                           : add_base(tracer, base, err));
    }
    if (tracer->options.registry_path) {
        WEIR_TRY(add_registry(tracer, err));
    }
    tracer->libraries[tracer->library_count++] = folder_library_view(&tracer->known);
    *out = WEIR_TAKE(tracer);
    return WEIR_OK;
}

void weir_tracer_free(weir_tracer *tracer) {
    if (tracer) {
        weir_registry_free(tracer->registry);
        folder_library_release(&tracer->known);
        free(tracer);
    }
}

/* --- one model --- */

/* What makes this trace again, with words in the place of paths. */
static weir_code describe_command(weir_trace *trace, const weir_trace_options *options,
                                  weir_error *err) {
    WEIR_CLEANUP(text_buffer_release) text_buffer line = {0};
    text_buffer_format(&line, "weir trace%s%s%s%s -o bundle=BUNDLE MODEL",
                       options->registry_path ? " --registry REGISTRY" : "",
                       options->base_path ? " --base BASE" : "",
                       options->lenient ? " --lenient" : "", options->digest ? " --digest" : "");
    trace->lenient = options->lenient;
    return line.failed ? weir_fail_nomem(err)
                       : arena_keep_text(&trace->command, &trace->memory, line.data, err);
}

void weir_trace_printable_name(char *out, size_t size, const char *name) {
    text_escape(out, size, name, strlen(name));
}

static weir_code take_name(weir_trace *trace, const char *name, weir_error *err) {
    char printable[WEIR_TRACE_NAME_BYTES_MAX];
    weir_trace_printable_name(printable, sizeof printable, name);
    return arena_keep_text(&trace->name, &trace->memory, printable, err);
}

static weir_code open_model(weir_trace *trace, opened *it, const weir_tracer *tracer,
                            const char *path, weir_error *err) {
    const weir_trace_options *const options = &tracer->options;
    const weir_model_options how = {.lenient = options->lenient, .name = trace->name};
    WEIR_TRY(model_open_weights(&it->model, &it->findings, path, &how, err));
    if (!trace->name) {
        WEIR_TRY(take_name(trace, weir_model_name(it->model), err));
    }
    const weir_claim *const claim = claimed_base(it->model);
    if (claim) {
        WEIR_TRY(arena_keep_text(&trace->claimed_base, &trace->memory, claim->value, err));
    }
    trace->adapter.is_adapter = diff_is_adapter(it->model);
    if (trace->adapter.is_adapter) {
        return WEIR_OK;
    }
    if (options->keep_ranges) {
        WEIR_TRY(trace_ranges_keep(it->model, err));
    }
    if (options->digest || (options->keep_ranges && wants_payload_id(tracer, it->model))) {
        WEIR_TRY(model_payload_id(trace->payload_id, it->model, options->callbacks, err));
    }
    return sketch_model(&trace->sketch, &trace->cost, tracer, it->model, err);
}

static weir_code open_fingerprint(weir_trace *trace, const char *path, weir_error *err) {
    WEIR_CLEANUP(free) char *name = fingerprint_name(path);
    if (!name) {
        return weir_fail_nomem(err);
    }
    if (!trace->name) {
        WEIR_TRY(take_name(trace, name, err));
    }
    return fingerprint_read(&trace->sketch, path, err);
}

/* Only where a copy is likely are all bytes read. */
static weir_code tell_copies(weir_trace *trace, const weir_tracer *tracer, const weir_model *model,
                             weir_error *err) {
    if (!model || trace->payload_id[0] || !trace_may_be_copy(trace) ||
        !wants_payload_id(tracer, model)) {
        return WEIR_OK;
    }
    WEIR_TRY(model_payload_id(trace->payload_id, model, tracer->options.callbacks, err));
    trace_tell_copies(trace);
    return WEIR_OK;
}

static weir_code search(weir_trace *trace, const weir_tracer *tracer, const weir_model *model,
                        weir_error *err) {
    const weir_trace_options *const options = &tracer->options;
    const fingerprint_options how = {.jobs = options->jobs, .callbacks = options->callbacks};
    memcpy(trace->index_id, tracer->index_id, sizeof trace->index_id);
    WEIR_TRY(trace_search(trace, tracer->libraries, tracer->library_count, &how, err));
    WEIR_TRY(tell_copies(trace, tracer, model, err));
    WEIR_TRY(trace_use_weights(trace, model, options, err));
    return options->keep_ranges && model ? trace_ranges_note(trace, model, options->callbacks, err)
                                         : WEIR_OK;
}

weir_code weir_tracer_trace(weir_trace **out, weir_tracer *tracer, const char *model_path,
                            const char *name, weir_error *err) {
    const weir_trace_options *const options = &tracer->options;
    WEIR_CLEANUP(opened_release) opened it = {0};
    WEIR_CLEANUP(weir_trace_free) weir_trace *trace = calloc(1, sizeof *trace);
    if (!trace) {
        return weir_fail_nomem(err);
    }
    if (name) {
        WEIR_TRY(take_name(trace, name, err));
    }
    WEIR_TRY(describe_command(trace, options, err));
    WEIR_TRY(fingerprint_is_path(model_path) ? open_fingerprint(trace, model_path, err)
                                             : open_model(trace, &it, tracer, model_path, err));
    WEIR_TRY(trace->adapter.is_adapter ? trace_try_adapter(trace, it.model, options, err)
                                       : search(trace, tracer, it.model, err));
    *out = WEIR_TAKE(trace);
    return WEIR_OK;
}

weir_code weir_trace_run(weir_trace **out, const char *model_path,
                         const weir_trace_options *options, weir_error *err) {
    WEIR_CLEANUP(weir_tracer_free) weir_tracer *tracer = NULL;
    WEIR_TRY(weir_tracer_open(&tracer, options, err));
    return weir_tracer_trace(out, tracer, model_path, options ? options->name : NULL, err);
}
