/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The store that is one SQLite file: sqlite_file.c has its schema and why it lies as it does.
 *
 * A fingerprint lies in a table of its own, so that a listing does not read it, and so does a hot
 * code, so that making the search index anew reads 800 bytes a model and nothing else. The hot code
 * of a removed model is dropped: it can be made again from the fingerprint, which stays.
 *
 * Texts are unique and checksums are right because every change goes through write_record().
 */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/checked.h"
#include "base/fail.h"
#include "registry/record.h"
#include "registry/sqlite_file.h"
#include "registry/store.h"

#define ENTRY_COLUMNS                                                                              \
    "model_id, name, identity, payload_id, location, added, removed, reason, parameters, tensors," \
    " hidden, feed_forward, layers, vocabulary, blocks, fingerprint_id, fingerprint_bytes, "       \
    "checksum"

/* --- reading --- */

static weir_code read_claims(weir_registry_entry *entry, sqlite_query *claims, arena *memory,
                             weir_error *err) {
    WEIR_CLEANUP(free) weir_claim *items = NULL;
    size_t capacity = 0;
    size_t count = 0;
    bool has_row = false;
    sqlite_query_reset(claims);
    sqlite_query_give_number(claims, entry->row);
    WEIR_TRY(sqlite_query_step(claims, &has_row, err));
    while (has_row) {
        if (!checked_grow((void **)&items, &capacity, count, sizeof *items)) {
            return weir_fail_nomem(err);
        }
        weir_claim *claim = &items[count++];
        WEIR_TRY(sqlite_query_text(&claim->name, claims, 0, memory, err));
        WEIR_TRY(sqlite_query_text(&claim->value, claims, 1, memory, err));
        WEIR_TRY(sqlite_query_text(&claim->file, claims, 2, memory, err));
        WEIR_TRY(sqlite_query_text(&claim->at, claims, 3, memory, err));
        WEIR_TRY(sqlite_query_step(claims, &has_row, err));
    }
    weir_claim *kept = arena_alloc(memory, count ? count : 1, sizeof *kept);
    if (!kept) {
        return weir_fail_nomem(err);
    }
    if (count > 0) {
        memcpy(kept, items, count * sizeof *kept);
    }
    entry->claims = kept;
    entry->claim_count = count;
    return WEIR_OK;
}

/* A number that does not fit was not written by us; the checksum then says so. */
static uint32_t narrow(uint64_t value) {
    return (uint32_t)value;
}

static weir_code read_fields(weir_registry_entry *out, const sqlite_query *row, arena *memory,
                             weir_error *err) {
    *out = (weir_registry_entry){
        .row = sqlite_query_number(row, 0),
        .added = sqlite_query_number(row, 5),
        .removed = sqlite_query_number(row, 6),
        .parameters = sqlite_query_number(row, 8),
        .tensors = narrow(sqlite_query_number(row, 9)),
        .hidden = narrow(sqlite_query_number(row, 10)),
        .feed_forward = narrow(sqlite_query_number(row, 11)),
        .layers = narrow(sqlite_query_number(row, 12)),
        .vocabulary = narrow(sqlite_query_number(row, 13)),
        .blocks = narrow(sqlite_query_number(row, 14)),
        .fingerprint_bytes = sqlite_query_number(row, 16),
    };
    WEIR_TRY(sqlite_query_text(&out->name, row, 1, memory, err));
    WEIR_TRY(sqlite_query_text(&out->id, row, 2, memory, err));
    WEIR_TRY(sqlite_query_text(&out->payload_id, row, 3, memory, err));
    WEIR_TRY(sqlite_query_path(&out->location, row, 4, memory, err));
    WEIR_TRY(sqlite_query_text(&out->reason, row, 7, memory, err));
    return sqlite_query_text(&out->fingerprint_id, row, 15, memory, err);
}

static weir_code check_record(sqlite_file *file, const weir_registry_entry *entry,
                              const sqlite_query *row, weir_error *err) {
    uint8_t sum[DIGEST_BYTES];
    size_t len = 0;
    WEIR_TRY(record_checksum(sum, entry, err));
    const uint8_t *kept = sqlite_query_bytes(&len, row, 17);
    if (len != sizeof sum || memcmp(kept, sum, sizeof sum) != 0) {
        return sqlite_file_damage(file, err, entry->row, "the record that was written",
                                  "one that its checksum does not fit");
    }
    return WEIR_OK;
}

static const char claims_of_model[] =
    "SELECT name, value, file, place FROM claim WHERE model_id = ? ORDER BY ordinal";

/* Visit what a query of ENTRY_COLUMNS brings; each entry in memory of its own. */
static weir_code visit_entries(sqlite_query *entries, store_entry_visit visit, void *visitor,
                               weir_error *err) {
    WEIR_CLEANUP(sqlite_query_close) sqlite_query claims = {0};
    WEIR_TRY(sqlite_query_open(&claims, entries->file, claims_of_model, err));
    bool has_row = false;
    WEIR_TRY(sqlite_query_step(entries, &has_row, err));
    while (has_row) {
        WEIR_CLEANUP(arena_release) arena memory = {0};
        weir_registry_entry entry;
        WEIR_TRY(read_fields(&entry, entries, &memory, err));
        WEIR_TRY(read_claims(&entry, &claims, &memory, err));
        WEIR_TRY(check_record(entries->file, &entry, entries, err));
        WEIR_TRY(visit(visitor, &entry, err));
        WEIR_TRY(sqlite_query_step(entries, &has_row, err));
    }
    return WEIR_OK;
}

static weir_code visit_all(void *context, store_entry_visit visit, void *visitor, weir_error *err) {
    WEIR_CLEANUP(sqlite_transaction_end) sqlite_transaction look = {0};
    WEIR_CLEANUP(sqlite_query_close) sqlite_query entries = {0};
    WEIR_TRY(sqlite_transaction_begin(&look, context, /* writes= */ false, err));
    WEIR_TRY(sqlite_query_open(&entries, context,
                               "SELECT " ENTRY_COLUMNS " FROM model ORDER BY model_id", err));
    return visit_entries(&entries, visit, visitor, err);
}

static weir_code find_entries(void *context, const char *which, store_entry_visit visit,
                              void *visitor, weir_error *err) {
    WEIR_CLEANUP(sqlite_transaction_end) sqlite_transaction look = {0};
    WEIR_CLEANUP(sqlite_query_close) sqlite_query entries = {0};
    WEIR_TRY(sqlite_transaction_begin(&look, context, /* writes= */ false, err));
    WEIR_TRY(sqlite_query_open(&entries, context,
                               "SELECT " ENTRY_COLUMNS
                               " FROM model WHERE removed = 0 AND model_id IN"
                               " (SELECT model_id FROM model WHERE name = ?1 AND removed = 0"
                               " UNION SELECT model_id FROM model WHERE identity = ?1"
                               " UNION SELECT model_id FROM model WHERE payload_id = ?1"
                               " UNION SELECT model_id FROM model WHERE fingerprint_id = ?1)"
                               " ORDER BY model_id",
                               err));
    sqlite_query_give_text(&entries, which);
    return visit_entries(&entries, visit, visitor, err);
}

static weir_code read_state(void *context, store_state *out, weir_error *err) {
    WEIR_CLEANUP(sqlite_query_close) sqlite_query query = {0};
    WEIR_CLEANUP(arena_release) arena memory = {0};
    sqlite_file *file = context;
    bool has_row = false;
    const char *id = NULL;
    WEIR_TRY(sqlite_query_open(&query, file, "SELECT generation, state FROM registry", err));
    WEIR_TRY(sqlite_query_step(&query, &has_row, err));
    if (has_row) {
        WEIR_TRY(sqlite_query_text(&id, &query, 1, &memory, err));
    }
    if (!id || strlen(id) >= DIGEST_TEXT_BYTES) {
        file->is_damaged = true;
        return weir_fail(err, WEIR_ERR_ENVIRONMENT, file->name, "table registry", "one row", "%s",
                         id ? "a state that is none" : "no row");
    }
    *out = (store_state){.generation = sqlite_query_number(&query, 0)};
    memcpy(out->id, id, strlen(id) + 1);
    return WEIR_OK;
}

/* One entry by its row, in `memory`; *found is false when there is none. */
static weir_code read_entry(weir_registry_entry *out, bool *found, sqlite_file *file, uint64_t row,
                            arena *memory, weir_error *err) {
    WEIR_CLEANUP(sqlite_query_close) sqlite_query entries = {0};
    WEIR_CLEANUP(sqlite_query_close) sqlite_query claims = {0};
    WEIR_TRY(sqlite_query_open(&entries, file,
                               "SELECT " ENTRY_COLUMNS " FROM model WHERE model_id = ?", err));
    WEIR_TRY(sqlite_query_open(&claims, file, claims_of_model, err));
    sqlite_query_give_number(&entries, row);
    WEIR_TRY(sqlite_query_step(&entries, found, err));
    if (!*found) {
        return WEIR_OK;
    }
    WEIR_TRY(read_fields(out, &entries, memory, err));
    WEIR_TRY(read_claims(out, &claims, memory, err));
    return check_record(file, out, &entries, err);
}

static weir_code fail_unknown(const sqlite_file *file, uint64_t row, weir_error *err) {
    return weir_fail(err, WEIR_ERR_ARG, file->name, NULL, "an entry of the registry",
                     "#%" PRIu64 ", which there is not", row);
}

static weir_code read_fingerprint(store_record *out, sqlite_file *file,
                                  const weir_registry_entry *entry, arena *memory,
                                  weir_error *err) {
    WEIR_CLEANUP(sqlite_query_close) sqlite_query query = {0};
    bool has_row = false;
    size_t len = 0;
    uint8_t sum[DIGEST_BYTES];
    char id[DIGEST_TEXT_BYTES];
    WEIR_TRY(
        sqlite_query_open(&query, file, "SELECT bytes FROM fingerprint WHERE model_id = ?", err));
    sqlite_query_give_number(&query, entry->row);
    WEIR_TRY(sqlite_query_step(&query, &has_row, err));
    const uint8_t *bytes = has_row ? sqlite_query_bytes(&len, &query, 0) : NULL;
    WEIR_TRY(record_hash(sum, bytes ? bytes : (const uint8_t *)"", len, err));
    digest_format(id, sum);
    if (len != entry->fingerprint_bytes || strcmp(id, entry->fingerprint_id) != 0) {
        return sqlite_file_damage(file, err, entry->row, "the fingerprint that was written",
                                  "%zu other bytes", len);
    }
    uint8_t *copy = arena_alloc(memory, len ? len : 1, 1);
    if (!copy) {
        return weir_fail_nomem(err);
    }
    memcpy(copy, bytes ? bytes : (const uint8_t *)"", len);
    out->fingerprint = copy;
    return WEIR_OK;
}

static weir_code get_record(void *context, uint64_t row, arena *memory, store_record *out,
                            weir_error *err) {
    WEIR_CLEANUP(sqlite_transaction_end) sqlite_transaction look = {0};
    weir_registry_entry *entry = arena_alloc(memory, 1, sizeof *entry);
    bool found = false;
    store_record record = {.entry = entry};
    if (!entry) {
        return weir_fail_nomem(err);
    }
    WEIR_TRY(sqlite_transaction_begin(&look, context, /* writes= */ false, err));
    WEIR_TRY(read_entry(entry, &found, context, row, memory, err));
    if (!found) {
        return fail_unknown(context, row, err);
    }
    WEIR_TRY(read_fingerprint(&record, context, entry, memory, err));
    *out = record;
    return WEIR_OK;
}

static weir_code check_hot_code(sqlite_file *file, const sqlite_query *query, uint64_t row,
                                const uint8_t **out, weir_error *err) {
    size_t len = 0;
    size_t sum_len = 0;
    uint8_t sum[DIGEST_BYTES];
    const uint8_t *hot = sqlite_query_bytes(&len, query, 1);
    const uint8_t *kept = sqlite_query_bytes(&sum_len, query, 2);
    if (len == STORE_HOT_BYTES) {
        WEIR_TRY(record_hash(sum, hot, len, err));
    }
    if (len != STORE_HOT_BYTES || sum_len != sizeof sum || memcmp(sum, kept, sizeof sum) != 0) {
        return sqlite_file_damage(file, err, row, "the hot code that was written",
                                  "one that its checksum does not fit");
    }
    *out = hot;
    return WEIR_OK;
}

static weir_code visit_hot_codes(void *context, store_hot_visit visit, void *visitor,
                                 store_state *state, weir_error *err) {
    WEIR_CLEANUP(sqlite_transaction_end) sqlite_transaction look = {0};
    WEIR_CLEANUP(sqlite_query_close) sqlite_query query = {0};
    bool has_row = false;
    WEIR_TRY(sqlite_transaction_begin(&look, context, /* writes= */ false, err));
    WEIR_TRY(read_state(context, state, err));
    WEIR_TRY(sqlite_query_open(
        &query, context, "SELECT model_id, code, checksum FROM hot_code ORDER BY model_id", err));
    WEIR_TRY(sqlite_query_step(&query, &has_row, err));
    while (has_row) {
        const uint64_t row = sqlite_query_number(&query, 0);
        const uint8_t *hot = NULL;
        WEIR_TRY(check_hot_code(context, &query, row, &hot, err));
        WEIR_TRY(visit(visitor, row, hot, err));
        WEIR_TRY(sqlite_query_step(&query, &has_row, err));
    }
    return WEIR_OK;
}

/* --- changing --- */

static weir_code write_state(sqlite_file *file, const store_state *state, weir_error *err) {
    WEIR_CLEANUP(sqlite_query_close) sqlite_query query = {0};
    WEIR_TRY(sqlite_query_open(&query, file, "UPDATE registry SET generation = ?, state = ?", err));
    sqlite_query_give_number(&query, state->generation);
    sqlite_query_give_text(&query, state->id);
    return sqlite_query_finish(&query, err);
}

/* Insert the row of the table model, or replace it. The columns are those of ENTRY_COLUMNS. */
static weir_code write_record(sqlite_file *file, const weir_registry_entry *entry, bool is_new,
                              weir_error *err) {
    static const char insert[] =
        "INSERT INTO model (" ENTRY_COLUMNS ") VALUES (?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?)";
    static const char update[] =
        "UPDATE model SET (" ENTRY_COLUMNS ") = (?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?)"
        " WHERE model_id = ?1";
    WEIR_CLEANUP(sqlite_query_close) sqlite_query query = {0};
    uint8_t sum[DIGEST_BYTES];
    WEIR_TRY(record_checksum(sum, entry, err));
    WEIR_TRY(sqlite_query_open(&query, file, is_new ? insert : update, err));
    sqlite_query_give_number(&query, entry->row);
    sqlite_query_give_text(&query, entry->name);
    sqlite_query_give_text(&query, entry->id);
    sqlite_query_give_text(&query, entry->payload_id);
    sqlite_query_give_path(&query, entry->location);
    sqlite_query_give_number(&query, entry->added);
    sqlite_query_give_number(&query, entry->removed);
    sqlite_query_give_text(&query, entry->reason);
    sqlite_query_give_number(&query, entry->parameters);
    sqlite_query_give_number(&query, entry->tensors);
    sqlite_query_give_number(&query, entry->hidden);
    sqlite_query_give_number(&query, entry->feed_forward);
    sqlite_query_give_number(&query, entry->layers);
    sqlite_query_give_number(&query, entry->vocabulary);
    sqlite_query_give_number(&query, entry->blocks);
    sqlite_query_give_text(&query, entry->fingerprint_id);
    sqlite_query_give_number(&query, entry->fingerprint_bytes);
    sqlite_query_give_bytes(&query, sum, sizeof sum);
    return sqlite_query_finish(&query, err);
}

static weir_code write_claims(sqlite_file *file, const weir_registry_entry *entry,
                              weir_error *err) {
    WEIR_CLEANUP(sqlite_query_close) sqlite_query query = {0};
    WEIR_TRY(sqlite_query_open(&query, file, "INSERT INTO claim VALUES (?,?,?,?,?,?)", err));
    for (size_t i = 0; i < entry->claim_count; i++) {
        sqlite_query_reset(&query);
        sqlite_query_give_number(&query, entry->row);
        sqlite_query_give_number(&query, i);
        sqlite_query_give_text(&query, entry->claims[i].name);
        sqlite_query_give_text(&query, entry->claims[i].value);
        sqlite_query_give_text(&query, entry->claims[i].file);
        sqlite_query_give_text(&query, entry->claims[i].at);
        WEIR_TRY(sqlite_query_finish(&query, err));
    }
    return WEIR_OK;
}

static weir_code write_fingerprint(sqlite_file *file, const weir_registry_entry *entry,
                                   const uint8_t *bytes, weir_error *err) {
    WEIR_CLEANUP(sqlite_query_close) sqlite_query query = {0};
    WEIR_TRY(sqlite_query_open(&query, file, "INSERT INTO fingerprint VALUES (?,?)", err));
    sqlite_query_give_number(&query, entry->row);
    sqlite_query_give_bytes(&query, bytes, entry->fingerprint_bytes);
    return sqlite_query_finish(&query, err);
}

static weir_code write_hot_code(sqlite_file *file, uint64_t row, const uint8_t *hot,
                                weir_error *err) {
    WEIR_CLEANUP(sqlite_query_close) sqlite_query query = {0};
    uint8_t sum[DIGEST_BYTES];
    WEIR_TRY(record_hash(sum, hot, STORE_HOT_BYTES, err));
    WEIR_TRY(sqlite_query_open(&query, file, "INSERT INTO hot_code VALUES (?,?,?)", err));
    sqlite_query_give_number(&query, row);
    sqlite_query_give_bytes(&query, hot, STORE_HOT_BYTES);
    sqlite_query_give_bytes(&query, sum, sizeof sum);
    return sqlite_query_finish(&query, err);
}

/* Records are kept for good, so that the number after the largest was never used. */
static weir_code next_row(uint64_t *out, sqlite_file *file, weir_error *err) {
    WEIR_CLEANUP(sqlite_query_close) sqlite_query query = {0};
    bool has_row = false;
    WEIR_TRY(
        sqlite_query_open(&query, file, "SELECT coalesce(max(model_id), 0) + 1 FROM model", err));
    WEIR_TRY(sqlite_query_step(&query, &has_row, err));
    *out = sqlite_query_number(&query, 0);
    return WEIR_OK;
}

static weir_code insert_record(sqlite_file *file, const store_record *record, uint64_t *row,
                               weir_error *err) {
    store_state state;
    weir_registry_entry entry = *record->entry;
    WEIR_TRY(read_state(file, &state, err));
    WEIR_TRY(next_row(&entry.row, file, err));
    WEIR_TRY(record_chain(state.id, entry.row, entry.fingerprint_id, err));
    state.generation++;
    entry.added = state.generation;
    entry.removed = 0;
    entry.reason = NULL;
    WEIR_TRY(write_record(file, &entry, /* is_new= */ true, err));
    WEIR_TRY(write_claims(file, &entry, err));
    WEIR_TRY(write_fingerprint(file, &entry, record->fingerprint, err));
    WEIR_TRY(write_hot_code(file, entry.row, record->hot, err));
    WEIR_TRY(write_state(file, &state, err));
    *row = entry.row;
    return WEIR_OK;
}

static bool is_other(const char *mine, const char *theirs) {
    return mine && theirs && strcmp(mine, theirs) != 0;
}

static bool differs(const char *mine, const char *theirs) {
    return mine && (!theirs || strcmp(mine, theirs) != 0);
}

/* The entry of that very model: what this look at it knows and the record does not is kept. What is
 * searched stays as it was, and so does the id of the state. */
static weir_code refresh_record(sqlite_file *file, const weir_registry_entry *there,
                                const weir_registry_entry *seen, weir_error *err) {
    weir_registry_entry entry = *there;
    store_state state;
    if (!differs(seen->location, there->location) && !differs(seen->id, there->id) &&
        !differs(seen->payload_id, there->payload_id)) {
        return WEIR_OK;
    }
    entry.location = seen->location ? seen->location : there->location;
    entry.id = seen->id ? seen->id : there->id;
    entry.payload_id = seen->payload_id ? seen->payload_id : there->payload_id;
    WEIR_TRY(read_state(file, &state, err));
    state.generation++;
    WEIR_TRY(write_record(file, &entry, /* is_new= */ false, err));
    return write_state(file, &state, err);
}

static weir_code find_live(uint64_t *row, sqlite_file *file, const char *name, weir_error *err) {
    WEIR_CLEANUP(sqlite_query_close) sqlite_query query = {0};
    bool has_row = false;
    WEIR_TRY(sqlite_query_open(&query, file,
                               "SELECT model_id FROM model WHERE name = ? AND removed = 0", err));
    sqlite_query_give_text(&query, name);
    WEIR_TRY(sqlite_query_step(&query, &has_row, err));
    *row = has_row ? sqlite_query_number(&query, 0) : 0;
    return WEIR_OK;
}

static weir_code settle_same_name(sqlite_file *file, uint64_t row, const weir_registry_entry *seen,
                                  store_outcome *outcome, weir_error *err) {
    WEIR_CLEANUP(arena_release) arena memory = {0};
    weir_registry_entry there;
    bool found = false;
    WEIR_TRY(read_entry(&there, &found, file, row, &memory, err));
    if (strcmp(there.fingerprint_id, seen->fingerprint_id) != 0 || is_other(seen->id, there.id) ||
        is_other(seen->payload_id, there.payload_id)) {
        *outcome = STORE_NAME_TAKEN;
        return WEIR_OK;
    }
    *outcome = STORE_ALREADY_THERE;
    return refresh_record(file, &there, seen, err);
}

static weir_code add_record(void *context, const store_record *record, store_outcome *outcome,
                            uint64_t *row, weir_error *err) {
    WEIR_CLEANUP(sqlite_transaction_end) sqlite_transaction change = {0};
    uint64_t found = 0;
    store_outcome what = STORE_ADDED;
    WEIR_TRY(sqlite_transaction_begin(&change, context, /* writes= */ true, err));
    WEIR_TRY(find_live(&found, context, record->entry->name, err));
    if (found) {
        WEIR_TRY(settle_same_name(context, found, record->entry, &what, err));
    } else {
        WEIR_TRY(insert_record(context, record, &found, err));
    }
    WEIR_TRY(sqlite_transaction_commit(&change, err));
    *outcome = what;
    *row = found;
    return WEIR_OK;
}

static weir_code drop_hot_code(sqlite_file *file, uint64_t row, weir_error *err) {
    WEIR_CLEANUP(sqlite_query_close) sqlite_query query = {0};
    WEIR_TRY(sqlite_query_open(&query, file, "DELETE FROM hot_code WHERE model_id = ?", err));
    sqlite_query_give_number(&query, row);
    return sqlite_query_finish(&query, err);
}

static weir_code remove_record(void *context, uint64_t row, const char *reason, weir_error *err) {
    WEIR_CLEANUP(sqlite_transaction_end) sqlite_transaction change = {0};
    WEIR_CLEANUP(arena_release) arena memory = {0};
    sqlite_file *file = context;
    weir_registry_entry entry;
    store_state state;
    bool found = false;
    WEIR_TRY(sqlite_transaction_begin(&change, file, /* writes= */ true, err));
    WEIR_TRY(read_entry(&entry, &found, file, row, &memory, err));
    if (!found) {
        return fail_unknown(file, row, err);
    }
    if (entry.removed) {
        return weir_fail(err, WEIR_ERR_ARG, file->name, NULL, "an entry that is searched",
                         "#%" PRIu64 ", which was removed before", row);
    }
    WEIR_TRY(read_state(file, &state, err));
    WEIR_TRY(record_chain(state.id, row, NULL, err));
    entry.removed = ++state.generation;
    entry.reason = reason;
    WEIR_TRY(write_record(file, &entry, /* is_new= */ false, err));
    WEIR_TRY(drop_hot_code(file, row, err));
    WEIR_TRY(write_state(file, &state, err));
    return sqlite_transaction_commit(&change, err);
}

/* --- looking for damage --- */

typedef struct damage_report {
    sqlite_file *file;
    store_problem_visit visit;
    void *visitor;
} damage_report;

/* A failure that says damage is told and the look goes on; any other ends it. */
static weir_code tell_damage(const damage_report *report, weir_code code, const weir_error *failure,
                             weir_error *err) {
    if (code == WEIR_OK) {
        return WEIR_OK;
    }
    if (!report->file->is_damaged) {
        if (err) {
            *err = *failure;
        }
        return code;
    }
    report->file->is_damaged = false;
    return report->visit(report->visitor, failure, err);
}

/* Both pragmas answer in rows: "ok", or what is wrong. */
static weir_code verify_structure(const damage_report *report, const char *pragma,
                                  weir_error *err) {
    WEIR_CLEANUP(sqlite_query_close) sqlite_query query = {0};
    WEIR_CLEANUP(arena_release) arena memory = {0};
    bool has_row = false;
    WEIR_TRY(sqlite_query_open(&query, report->file, pragma, err));
    WEIR_TRY(sqlite_query_step(&query, &has_row, err));
    while (has_row) {
        const char *text = NULL;
        WEIR_TRY(sqlite_query_text(&text, &query, 0, &memory, err));
        if (text && strcmp(text, "ok") != 0) {
            weir_error problem = {0};
            (void)weir_fail(&problem, WEIR_ERR_ENVIRONMENT, report->file->name,
                            "structure of the SQLite file", "a whole registry", "%s", text);
            WEIR_TRY(report->visit(report->visitor, &problem, err));
        }
        WEIR_TRY(sqlite_query_step(&query, &has_row, err));
    }
    return WEIR_OK;
}

static weir_code ignore_hot_code(void *visitor, uint64_t row,
                                 const uint8_t hot[static STORE_HOT_BYTES], weir_error *err) {
    (void)visitor;
    (void)row;
    (void)hot;
    (void)err;
    return WEIR_OK;
}

/* Each row of the table model by itself, so that one damaged record does not hide the next. */
static weir_code verify_records(const damage_report *report, weir_error *err) {
    uint64_t row = 0;
    bool has_row = true;
    while (true) {
        WEIR_CLEANUP(sqlite_query_close) sqlite_query query = {0};
        WEIR_CLEANUP(arena_release) arena memory = {0};
        store_record record;
        weir_error failure = {0};
        WEIR_TRY(sqlite_query_open(&query, report->file,
                                   "SELECT model_id FROM model WHERE model_id > ? ORDER BY model_id"
                                   " LIMIT 1",
                                   err));
        sqlite_query_give_number(&query, row);
        WEIR_TRY(sqlite_query_step(&query, &has_row, err));
        if (!has_row) {
            return WEIR_OK;
        }
        row = sqlite_query_number(&query, 0);
        sqlite_query_close(&query);
        const weir_code code = get_record(report->file, row, &memory, &record, &failure);
        WEIR_TRY(tell_damage(report, code, &failure, err));
    }
}

static weir_code verify_all(const damage_report *report, weir_error *err) {
    store_state state;
    WEIR_TRY(verify_structure(report, "PRAGMA integrity_check(20)", err));
    WEIR_TRY(verify_structure(report,
                              "SELECT 'table ' || \"table\" || ', row ' || coalesce(rowid, '?') ||"
                              " ': no entry of that number' FROM pragma_foreign_key_check",
                              err));
    WEIR_TRY(verify_structure(report,
                              "SELECT 'entry #' || model_id || ': no hot code' FROM model WHERE"
                              " removed = 0 AND model_id NOT IN (SELECT model_id FROM hot_code)",
                              err));
    WEIR_TRY(verify_records(report, err));
    return visit_hot_codes(report->file, ignore_hot_code, NULL, &state, err);
}

static weir_code verify_file(void *context, store_problem_visit visit, void *visitor,
                             weir_error *err) {
    const damage_report report = {context, visit, visitor};
    weir_error failure = {0};
    report.file->is_damaged = false;
    const weir_code code = verify_all(&report, &failure);
    return tell_damage(&report, code, &failure, err);
}

/* --- the interface --- */

static const char *path_of_file(void *context) {
    const sqlite_file *file = context;
    return file->is_missing ? NULL : sqlite3_db_filename(file->db, "main");
}

static void close_store(void *context) {
    sqlite_file_close(context);
    free(context);
}

weir_code store_open_sqlite(store *out, const char *path, bool create, unsigned wait_ms,
                            weir_error *err) {
    static const store_ops ops = {
        .add = add_record,
        .remove = remove_record,
        .state = read_state,
        .each = visit_all,
        .find = find_entries,
        .get = get_record,
        .hot_codes = visit_hot_codes,
        .verify = verify_file,
        .path = path_of_file,
        .close = close_store,
    };
    WEIR_CLEANUP(free) sqlite_file *file = calloc(1, sizeof *file);
    if (!file) {
        return weir_fail_nomem(err);
    }
    WEIR_TRY(sqlite_file_open(file, path, create, wait_ms, err));
    *out = (store){&ops, WEIR_TAKE(file)};
    return WEIR_OK;
}
