/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Models go in: looked at, fingerprinted, checked for something to find them by, kept.
 *
 * All texts are made printable before they are kept, and what a name is looked up by is made so
 * too. Nothing is locked while a fingerprint is taken: the store decides in one change whether a
 * name is free.
 */
#include "registry/registry.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/fail.h"
#include "base/text.h"
#include "evidence/inspection.h"
#include "registry/record.h"
#include "sketch/folder_library.h"

enum { CLAIMS_KEPT_MAX = 64, REASON_BYTES_MAX = 4096 };

/* --- opening --- */

weir_code weir_registry_open(weir_registry **out, const char *path,
                             const weir_registry_options *options, weir_error *err) {
    static const weir_registry_options defaults = WEIR_REGISTRY_OPTIONS_INIT;
    options = options ? options : &defaults;
    WEIR_CLEANUP(weir_registry_free) weir_registry *registry = calloc(1, sizeof *registry);
    if (!registry) {
        return weir_fail_nomem(err);
    }
    registry->scratch = strdup(options->scratch ? options->scratch : "/tmp");
    if (!registry->scratch) {
        return weir_fail_nomem(err);
    }
    const unsigned wait_ms = options->wait_ms ? options->wait_ms : WEIR_REGISTRY_WAIT_MS;
    WEIR_TRY(store_open_sqlite(&registry->store, path, options->create, wait_ms, err));
    *out = WEIR_TAKE(registry);
    return WEIR_OK;
}

bool weir_registry_exists(const weir_registry *registry) {
    return registry->store.ops->path(registry->store.context) != NULL;
}

weir_code weir_registry_generation(uint64_t *out, weir_registry *registry, weir_error *err) {
    store_state state;
    WEIR_TRY(registry->store.ops->state(registry->store.context, &state, err));
    *out = state.generation;
    return WEIR_OK;
}

void weir_registry_free(weir_registry *registry) {
    if (!registry) {
        return;
    }
    if (registry->store.ops) {
        registry->store.ops->close(registry->store.context);
    }
    search_index_free(registry->index);
    fingerprint_free(registry->sketch);
    arena_release(&registry->fetched);
    free(registry->scratch);
    free(registry);
}

/* --- adding --- */

/* A model on its way in. Zero-initialise; release with newcomer_release(). */
typedef struct newcomer {
    weir_inspection *inspection; /* NULL for an imported fingerprint */
    fingerprint *sketch;
    uint8_t *bytes; /* of the fingerprint */
    size_t len;
    char payload_id[DIGEST_TEXT_BYTES];
    char name[4 * WEIR_REGISTRY_NAME_BYTES_MAX]; /* an escaped byte takes four */
    char id[DIGEST_TEXT_BYTES];                  /* of the fingerprint */
    char *location;
    weir_claim claims[CLAIMS_KEPT_MAX];
    size_t claim_count;
} newcomer;

static void newcomer_release_cleanup(newcomer *model) {
    weir_inspection_free(model->inspection);
    fingerprint_free(model->sketch);
    free(model->bytes);
    free(model->location);
}

static weir_code keep_name(newcomer *model, const char *name, weir_error *err) {
    const size_t len = strlen(name);
    if (len == 0 || len >= WEIR_REGISTRY_NAME_BYTES_MAX) {
        return weir_fail(err, WEIR_ERR_ARG, NULL, NULL, "a name of 1 to 1023 bytes", "%zu bytes",
                         len);
    }
    text_escape(model->name, sizeof model->name, name, len);
    return WEIR_OK;
}

static weir_code import_fingerprint(newcomer *model, const char *path, const char *name,
                                    weir_error *err) {
    WEIR_CLEANUP(free) char *stem = fingerprint_name(path);
    if (!stem) {
        return weir_fail_nomem(err);
    }
    WEIR_TRY(fingerprint_read(&model->sketch, path, err));
    return keep_name(model, name ? name : stem, err);
}

static weir_code refuse_malformed(const weir_inspection *inspection, weir_error *err) {
    const weir_findings *findings = weir_inspection_findings(inspection);
    for (size_t i = 0; i < weir_findings_count(findings); i++) {
        const weir_finding *finding = weir_findings_get(findings, i);
        if (finding->verdict == WEIR_VERDICT_MALFORMED) {
            return weir_fail(err, WEIR_ERR_FORMAT, finding->file, finding->at,
                             "a model that is whole", "%s", finding->message);
        }
    }
    return weir_fail(err, WEIR_ERR_UNSUPPORTED, weir_model_name(weir_inspection_model(inspection)),
                     NULL, "a model", "no weights that weir reads");
}

/* What is said of origin, licence and architecture: the claims that a person asks of a relative. */
static bool is_kept_claim(const char *name) {
    static const char *const names[] = {
        "card.base_model",      "card.base_model_relation",
        "card.license",         "card.license_name",
        "config.model_type",    "config.architectures",
        "gguf.general.license", "gguf.general.architecture",
        "gguf.general.name",    "adapter.base_model_name_or_path",
        "merge.merge_method",
    };
    static const char base_of_gguf[] = "gguf.general.base_model.";
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        if (strcmp(name, names[i]) == 0) {
            return true;
        }
    }
    return strncmp(name, base_of_gguf, sizeof base_of_gguf - 1) == 0;
}

static void keep_claims(newcomer *model, const weir_model *from) {
    for (size_t i = 0; i < weir_model_claim_count(from); i++) {
        const weir_claim *claim = weir_model_claim(from, i);
        if (is_kept_claim(claim->name) && model->claim_count < CLAIMS_KEPT_MAX) {
            model->claims[model->claim_count++] = *claim;
        }
    }
}

static weir_code look_at_model(newcomer *model, const char *path,
                               const weir_registry_add_options *options, weir_error *err) {
    const weir_inspect_options inspect = {
        .name = options->name,
        .callbacks = options->callbacks,
        .lenient = options->lenient,
        .digest = options->digest,
    };
    const fingerprint_options make = {.jobs = options->jobs, .callbacks = options->callbacks};
    WEIR_TRY(weir_inspect(&model->inspection, path, &inspect, err));
    const weir_model *opened = weir_inspection_model(model->inspection);
    if (!weir_inspection_is_analysable(model->inspection)) {
        return refuse_malformed(model->inspection, err);
    }
    WEIR_TRY(fingerprint_make(&model->sketch, opened, &make, NULL, err));
    memcpy(model->payload_id, model->inspection->payload_id, sizeof model->payload_id);
    keep_claims(model, opened);
    if (!options->digest && model->inspection->tensor_bytes <= PAYLOAD_UNASKED_BYTES_MAX) {
        WEIR_TRY(model_payload_id(model->payload_id, opened, options->callbacks, err));
    }
    WEIR_TRY(keep_name(model, options->name ? options->name : weir_model_name(opened), err));
    model->location = realpath(path, NULL);
    if (!model->location) {
        return weir_fail(err, WEIR_ERR_IO, model->name, NULL, NULL, "%s", strerror(errno));
    }
    return WEIR_OK;
}

static weir_code require_units(const newcomer *model, weir_error *err) {
    const fingerprint *sketch = model->sketch;
    for (size_t i = 0; i < sketch->block_count; i++) {
        if (sketch->blocks[i].valid) {
            return WEIR_OK;
        }
    }
    const char *found = "no feed-forward whose first 16 units can be read";
    if (sketch->block_count > 0) {
        found = "feed-forwards of zeros, of equal or of broken units";
    }
    return weir_fail(err, WEIR_ERR_UNSUPPORTED, model->name, NULL,
                     "something that the model could be found by", "%s", found);
}

static weir_code encode(newcomer *model, weir_error *err) {
    uint8_t hash[DIGEST_BYTES];
    WEIR_TRY(fingerprint_encode(&model->bytes, &model->len, model->sketch, err));
    WEIR_TRY(record_hash(hash, model->bytes, model->len, err));
    digest_format(model->id, hash);
    return WEIR_OK;
}

static const char *text_or_null(const char *text) {
    return text && text[0] ? text : NULL;
}

static weir_registry_entry entry_of(const newcomer *model) {
    const fingerprint *sketch = model->sketch;
    return (weir_registry_entry){
        .name = model->name,
        .id = model->inspection ? text_or_null(model->inspection->id) : NULL,
        .payload_id = text_or_null(model->payload_id),
        .location = model->location,
        .claims = model->claims,
        .claim_count = model->claim_count,
        .parameters = sketch->parameters,
        .tensors = sketch->tensors,
        .hidden = sketch->hidden,
        .feed_forward = sketch->feed_forward,
        .layers = sketch->layers,
        .vocabulary = sketch->vocabulary,
        .blocks = (uint32_t)sketch->block_count,
        .fingerprint_id = model->id,
        .fingerprint_bytes = model->len,
    };
}

static weir_code keep(uint64_t *row, bool *is_new, weir_registry *registry, const newcomer *model,
                      weir_error *err) {
    uint8_t hot[STORE_HOT_BYTES];
    hot_code code;
    store_outcome outcome;
    uint64_t found = 0;
    const weir_registry_entry entry = entry_of(model);
    const store_record record = {&entry, model->bytes, hot};
    hot_code_make(&code, model->sketch);
    registry_hot_bytes(hot, &code);
    WEIR_TRY(registry->store.ops->add(registry->store.context, &record, &outcome, &found, err));
    if (outcome == STORE_NAME_TAKEN) {
        return weir_fail(err, WEIR_ERR_ARG, model->name, NULL,
                         "a name that no other model has: give one with --name",
                         "it is entry #%" PRIu64 ", another model", found);
    }
    *row = found;
    if (is_new) {
        *is_new = outcome == STORE_ADDED;
    }
    return WEIR_OK;
}

weir_code weir_registry_add(uint64_t *row, bool *is_new, weir_registry *registry, const char *path,
                            const weir_registry_add_options *options, weir_error *err) {
    static const weir_registry_add_options defaults = WEIR_REGISTRY_ADD_OPTIONS_INIT;
    WEIR_CLEANUP(newcomer_release) newcomer model = {0};
    options = options ? options : &defaults;
    if (!weir_registry_exists(registry)) {
        return weir_fail(err, WEIR_ERR_IO, NULL, NULL, "a registry",
                         "no file, and none to be made");
    }
    if (fingerprint_is_path(path)) {
        WEIR_TRY(import_fingerprint(&model, path, options->name, err));
    } else {
        WEIR_TRY(look_at_model(&model, path, options, err));
    }
    WEIR_TRY(require_units(&model, err));
    WEIR_TRY(encode(&model, err));
    return keep(row, is_new, registry, &model, err);
}

/* --- finding, removing, giving out --- */

/* The entries that a text names; a name is stronger than an id that looks the same. */
typedef struct finding_entry {
    const char *which;
    uint64_t row;
    size_t count;
    bool by_name;
} finding_entry;

static weir_code note_entry(void *visitor, const weir_registry_entry *entry, weir_error *err) {
    (void)err;
    finding_entry *found = visitor;
    const bool is_name = strcmp(entry->name, found->which) == 0;
    if (!found->by_name || is_name) {
        found->row = entry->row;
        found->count = is_name ? 1 : found->count + 1;
        found->by_name = is_name;
    }
    return WEIR_OK;
}

static weir_code accept_entry(void *visitor, const weir_registry_entry *entry, weir_error *err) {
    (void)err;
    finding_entry *found = visitor;
    found->count += entry->row == found->row;
    return WEIR_OK;
}

/* "#12". */
static bool parse_row(const char *text, uint64_t *row) {
    char *end = NULL;
    if (text[0] != '#' || text[1] < '0' || text[1] > '9') {
        return false;
    }
    errno = 0;
    *row = strtoull(text + 1, &end, 10);
    return *end == '\0' && errno == 0;
}

weir_code weir_registry_find(uint64_t *row, weir_registry *registry, const char *which,
                             weir_error *err) {
    char printable[4 * WEIR_REGISTRY_NAME_BYTES_MAX];
    text_escape(printable, sizeof printable, which, strlen(which));
    finding_entry found = {.which = printable};
    const store *from = &registry->store;
    WEIR_TRY(from->ops->find(from->context, printable, note_entry, &found, err));
    if (found.count == 0 && parse_row(which, &found.row)) {
        WEIR_TRY(from->ops->each(from->context, accept_entry, &found, err));
    }
    if (found.count == 0) {
        return weir_fail(err, WEIR_ERR_ARG, NULL, NULL,
                         "the name, #number or id of an entry; see weir registry list", "'%s'",
                         printable);
    }
    if (found.count > 1) {
        return weir_fail(err, WEIR_ERR_ARG, NULL, NULL, "the name or #number of one entry",
                         "an id of %zu entries", found.count);
    }
    *row = found.row;
    return WEIR_OK;
}

weir_code weir_registry_remove(weir_registry *registry, uint64_t row, const char *reason,
                               weir_error *err) {
    char printable[REASON_BYTES_MAX];
    text_escape(printable, sizeof printable, reason, strlen(reason));
    return registry->store.ops->remove(registry->store.context, row, printable, err);
}

weir_code weir_registry_export(weir_registry *registry, uint64_t row, FILE *stream,
                               weir_error *err) {
    WEIR_CLEANUP(arena_release) arena memory = {0};
    store_record record;
    WEIR_TRY(registry->store.ops->get(registry->store.context, row, &memory, &record, err));
    const size_t len = (size_t)record.entry->fingerprint_bytes;
    if (fwrite(record.fingerprint, 1, len, stream) != len || fflush(stream) != 0) {
        return weir_fail(err, WEIR_ERR_IO, NULL, NULL, NULL, "output: %s", strerror(errno));
    }
    return WEIR_OK;
}
