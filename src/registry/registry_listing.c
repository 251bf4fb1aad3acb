/* SPDX-License-Identifier: Apache-2.0 */
/* What a registry holds, gathered for a report; and the look for damage. */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/cancel.h"
#include "base/checked.h"
#include "base/fail.h"
#include "registry/registry.h"

/* --- copies --- */

static weir_code keep_claims(weir_registry_entry *out, arena *memory,
                             const weir_registry_entry *from, weir_error *err) {
    weir_claim *kept = arena_alloc(memory, from->claim_count + 1, sizeof *kept);
    if (!kept) {
        return weir_fail_nomem(err);
    }
    for (size_t i = 0; i < from->claim_count; i++) {
        WEIR_TRY(arena_keep_text(&kept[i].name, memory, from->claims[i].name, err));
        WEIR_TRY(arena_keep_text(&kept[i].value, memory, from->claims[i].value, err));
        WEIR_TRY(arena_keep_text(&kept[i].file, memory, from->claims[i].file, err));
        WEIR_TRY(arena_keep_text(&kept[i].at, memory, from->claims[i].at, err));
    }
    out->claims = kept;
    return WEIR_OK;
}

weir_code registry_keep_entry(weir_registry_entry *out, arena *memory,
                              const weir_registry_entry *from, weir_error *err) {
    *out = *from;
    WEIR_TRY(arena_keep_text(&out->name, memory, from->name, err));
    WEIR_TRY(arena_keep_text(&out->id, memory, from->id, err));
    WEIR_TRY(arena_keep_text(&out->payload_id, memory, from->payload_id, err));
    WEIR_TRY(arena_keep_text(&out->location, memory, from->location, err));
    WEIR_TRY(arena_keep_text(&out->reason, memory, from->reason, err));
    WEIR_TRY(arena_keep_text(&out->fingerprint_id, memory, from->fingerprint_id, err));
    return keep_claims(out, memory, from, err);
}

/* --- listings --- */

static weir_code new_listing(weir_registry_listing **out, weir_registry *registry,
                             weir_registry_action action, weir_error *err) {
    WEIR_CLEANUP(weir_registry_listing_free)
    weir_registry_listing *listing = calloc(1, sizeof *listing);
    if (!listing) {
        return weir_fail_nomem(err);
    }
    listing->action = action;
    listing->exists = weir_registry_exists(registry);
    WEIR_TRY(weir_registry_generation(&listing->generation, registry, err));
    *out = WEIR_TAKE(listing);
    return WEIR_OK;
}

static weir_code append_entry(void *visitor, const weir_registry_entry *entry, weir_error *err) {
    weir_registry_listing *listing = visitor;
    if (!checked_grow((void **)&listing->entries, &listing->capacity, listing->count,
                      sizeof *listing->entries)) {
        return weir_fail_nomem(err);
    }
    WEIR_TRY(registry_keep_entry(&listing->entries[listing->count], &listing->memory, entry, err));
    listing->count++;
    return WEIR_OK;
}

weir_code weir_registry_list(weir_registry_listing **out, weir_registry *registry,
                             weir_error *err) {
    WEIR_CLEANUP(weir_registry_listing_free) weir_registry_listing *listing = NULL;
    WEIR_TRY(new_listing(&listing, registry, WEIR_REGISTRY_LIST, err));
    WEIR_TRY(registry->store.ops->each(registry->store.context, append_entry, listing, err));
    *out = WEIR_TAKE(listing);
    return WEIR_OK;
}

static weir_code append_record(weir_registry_listing *listing, weir_registry *registry,
                               uint64_t row, weir_error *err) {
    WEIR_CLEANUP(arena_release) arena memory = {0};
    store_record record;
    WEIR_TRY(registry->store.ops->get(registry->store.context, row, &memory, &record, err));
    fingerprint **sketch = &listing->sketches[listing->count];
    WEIR_TRY(fingerprint_decode(sketch, record.fingerprint, (size_t)record.entry->fingerprint_bytes,
                                record.entry->name, err));
    return append_entry(listing, record.entry, err);
}

weir_code weir_registry_show(weir_registry_listing **out, weir_registry *registry,
                             weir_registry_action action, const weir_registry_choice *choices,
                             size_t count, weir_error *err) {
    WEIR_CLEANUP(weir_registry_listing_free) weir_registry_listing *listing = NULL;
    WEIR_TRY(new_listing(&listing, registry, action, err));
    weir_registry_choice *kept = arena_alloc(&listing->memory, count + 1, sizeof *kept);
    listing->sketches = arena_alloc(&listing->memory, count + 1, sizeof *listing->sketches);
    if (!kept || !listing->sketches) {
        return weir_fail_nomem(err);
    }
    for (size_t i = 0; i < count; i++) {
        kept[i] = choices[i];
        WEIR_TRY(append_record(listing, registry, choices[i].row, err));
    }
    listing->choices = kept;
    *out = WEIR_TAKE(listing);
    return WEIR_OK;
}

/* --- the look for damage --- */

typedef struct verifying {
    weir_registry *registry;
    weir_registry_listing *listing;
    const weir_callbacks *callbacks;
} verifying;

static weir_code append_problem(void *visitor, const weir_error *problem, weir_error *err) {
    weir_registry_listing *listing = visitor;
    if (!checked_grow((void **)&listing->problems, &listing->problem_capacity,
                      listing->problem_count, sizeof *listing->problems)) {
        return weir_fail_nomem(err);
    }
    listing->problems[listing->problem_count++] = *problem;
    return WEIR_OK;
}

static weir_code append_finding(const verifying *run, uint64_t row, const char *expected,
                                const char *found, weir_error *err) {
    weir_error problem = {0};
    char at[48];
    (void)snprintf(at, sizeof at, "entry #%" PRIu64, row);
    (void)weir_fail(&problem, WEIR_ERR_ENVIRONMENT, "fingerprint", at, expected, "%s", found);
    return append_problem(run->listing, &problem, err);
}

/* The store has checked the bytes; this checks what they mean. */
static weir_code verify_entry(void *visitor, uint64_t row,
                              const uint8_t hot[static STORE_HOT_BYTES], weir_error *err) {
    const verifying *run = visitor;
    WEIR_CLEANUP(arena_release) arena memory = {0};
    WEIR_CLEANUP(fingerprint_free) fingerprint *sketch = NULL;
    const store *from = &run->registry->store;
    store_record record;
    weir_error failure = {0};
    uint8_t wanted[STORE_HOT_BYTES];
    hot_code hot_wanted;
    if (is_cancelled(run->callbacks)) {
        return weir_fail(err, WEIR_ERR_CANCELLED, NULL, NULL, NULL, "cancelled");
    }
    WEIR_TRY(from->ops->get(from->context, row, &memory, &record, err));
    const weir_code code =
        fingerprint_decode(&sketch, record.fingerprint, (size_t)record.entry->fingerprint_bytes,
                           record.entry->name, &failure);
    if (code == WEIR_ERR_NOMEM) {
        return weir_fail_nomem(err);
    }
    if (code != WEIR_OK) {
        return append_finding(run, row, failure.expected, failure.found, err);
    }
    hot_code_make(&hot_wanted, sketch);
    registry_hot_bytes(wanted, &hot_wanted);
    if (memcmp(wanted, hot, sizeof wanted) != 0) {
        return append_finding(run, row, "a hot code that follows from the fingerprint", "another",
                              err);
    }
    return WEIR_OK;
}

static weir_code verify_index(const verifying *run, weir_error *err) {
    weir_error problem = {0};
    const weir_code code = registry_verify_index(run->registry, &problem);
    if (code == WEIR_ERR_FORMAT) {
        return append_problem(run->listing, &problem, err);
    }
    if (code != WEIR_OK && err) {
        *err = problem;
    }
    return code;
}

weir_code weir_registry_verify(weir_registry_listing **out, weir_registry *registry,
                               const weir_callbacks *callbacks, weir_error *err) {
    WEIR_CLEANUP(weir_registry_listing_free) weir_registry_listing *listing = NULL;
    const store *from = &registry->store;
    store_state state;
    WEIR_TRY(new_listing(&listing, registry, WEIR_REGISTRY_VERIFY, err));
    WEIR_TRY(from->ops->verify(from->context, append_problem, listing, err));
    if (listing->problem_count == 0) {
        verifying run = {registry, listing, callbacks};
        WEIR_TRY(from->ops->hot_codes(from->context, verify_entry, &run, &state, err));
        WEIR_TRY(verify_index(&run, err));
    }
    *out = WEIR_TAKE(listing);
    return WEIR_OK;
}

/* --- looking into a listing --- */

weir_registry_action weir_registry_listing_action(const weir_registry_listing *listing) {
    return listing->action;
}

uint64_t weir_registry_listing_generation(const weir_registry_listing *listing) {
    return listing->generation;
}

size_t weir_registry_listing_count(const weir_registry_listing *listing) {
    return listing->count;
}

const weir_registry_entry *weir_registry_listing_get(const weir_registry_listing *listing,
                                                     size_t index) {
    return &listing->entries[index];
}

size_t weir_registry_listing_problem_count(const weir_registry_listing *listing) {
    return listing->problem_count;
}

void weir_registry_listing_free(weir_registry_listing *listing) {
    if (!listing) {
        return;
    }
    for (size_t i = 0; listing->sketches && i < listing->count + 1; i++) {
        fingerprint_free(listing->sketches[i]);
    }
    free(listing->entries);
    free(listing->problems);
    arena_release(&listing->memory);
    free(listing);
}
