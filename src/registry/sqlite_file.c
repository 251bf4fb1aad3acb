/* SPDX-License-Identifier: Apache-2.0 */
/*
 * How a registry lies in SQLite, and why so.
 *
 * The journal is SQLite's rollback journal, not the write-ahead log: a write-ahead log needs files
 * beside the registry even to read it, so that a registry on a read-only disk or in another user's
 * folder could not be opened, and it does not work on network file systems. Both survive kill -9.
 * synchronous is EXTRA: the folder is synced after the journal is gone, so that a change that was
 * acknowledged is not undone by a journal that comes back after a power cut.
 *
 * Whose file it is stands in two numbers of its header [1]:
 *     application_id  byte 68  0x77656972, "weir"
 *     user_version    byte 60  how many of the migrations below were applied
 * A file of a newer version is refused, and so is a database of another program; neither is
 * touched. A migration is never edited once released: the next one changes what it made. All
 * statements but STRICT are what PostgreSQL reads too.
 *
 * What SQLite says of damage has no place. check_header() looks at the header through SQLite's
 * own handle, because to open the file a second time and close it would drop this process's locks
 * on it.
 *
 * [1] The SQLite file format, section 1.3.
 */
#include "registry/sqlite_file.h"

#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/checked.h"
#include "base/fail.h"
#include "base/text.h"

enum {
    APPLICATION_ID = 0x77656972,
    HEADER_BYTES = 100,
    AT_PAGE_BYTES = 16,
    AT_PAGE_COUNT = 28,
    SQL_BYTES = 96,
    VALUE_BYTES_MAX = 16 << 20, /* a fingerprint has 4 MiB at most */
    ESCAPED_BYTES = 4,          /* what text_escape() makes of one byte, at most */
};

static const char *const migrations[] = {
    /* 1: models, what they claim, their fingerprints. */
    "CREATE TABLE registry ("
    " singleton INTEGER PRIMARY KEY CHECK (singleton = 1),"
    " generation INTEGER NOT NULL,"
    " state TEXT NOT NULL) STRICT;"
    "INSERT INTO registry VALUES (1, 0, '');"
    "CREATE TABLE model ("
    " model_id INTEGER PRIMARY KEY,"
    " name TEXT NOT NULL,"
    " identity TEXT,"
    " payload_id TEXT,"
    " location BLOB," /* a path is bytes */
    " added INTEGER NOT NULL,"
    " removed INTEGER NOT NULL DEFAULT 0,"
    " reason TEXT,"
    " parameters INTEGER NOT NULL,"
    " tensors INTEGER NOT NULL,"
    " hidden INTEGER NOT NULL,"
    " feed_forward INTEGER NOT NULL,"
    " layers INTEGER NOT NULL,"
    " vocabulary INTEGER NOT NULL,"
    " blocks INTEGER NOT NULL,"
    " fingerprint_id TEXT NOT NULL,"
    " fingerprint_bytes INTEGER NOT NULL,"
    " checksum BLOB NOT NULL,"
    " CHECK ((removed = 0) = (reason IS NULL))) STRICT;"
    "CREATE UNIQUE INDEX model_live_name ON model (name) WHERE removed = 0;"
    "CREATE INDEX model_identity ON model (identity);"
    "CREATE INDEX model_payload_id ON model (payload_id);"
    "CREATE INDEX model_fingerprint_id ON model (fingerprint_id);"
    "CREATE TABLE claim ("
    " model_id INTEGER NOT NULL REFERENCES model (model_id),"
    " ordinal INTEGER NOT NULL,"
    " name TEXT NOT NULL,"
    " value TEXT NOT NULL,"
    " file TEXT NOT NULL,"
    " place TEXT NOT NULL,"
    " PRIMARY KEY (model_id, ordinal)) STRICT;"
    "CREATE TABLE fingerprint ("
    " model_id INTEGER PRIMARY KEY REFERENCES model (model_id),"
    " bytes BLOB NOT NULL) STRICT;"
    "CREATE TABLE hot_code ("
    " model_id INTEGER PRIMARY KEY REFERENCES model (model_id),"
    " code BLOB NOT NULL,"
    " checksum BLOB NOT NULL) STRICT;",
};
enum { SCHEMA_VERSION = sizeof migrations / sizeof *migrations };

/* --- failures --- */

static const char *last_component(const char *path) {
    const char *slash = strrchr(path, '/');
    return slash && slash[1] ? slash + 1 : path;
}

static uint64_t read_big_endian(const uint8_t *bytes, size_t len) {
    uint64_t value = 0;
    for (size_t i = 0; i < len; i++) {
        value = value << 8 | bytes[i];
    }
    return value;
}

/* The header, and the size of the file; false when not even that can be read. */
static bool read_header(sqlite3 *db, uint8_t header[static HEADER_BYTES], uint64_t *size) {
    sqlite3_file *handle = NULL;
    sqlite3_int64 bytes = 0;
    if (sqlite3_file_control(db, "main", SQLITE_FCNTL_FILE_POINTER, &handle) != SQLITE_OK ||
        !handle || !handle->pMethods || handle->pMethods->xFileSize(handle, &bytes) != SQLITE_OK) {
        return false;
    }
    memset(header, 0, HEADER_BYTES);
    const int code = handle->pMethods->xRead(handle, header, HEADER_BYTES, 0);
    *size = (uint64_t)bytes;
    return code == SQLITE_OK || code == SQLITE_IOERR_SHORT_READ;
}

/* What the first bytes say: another kind of file, or one that ends early. SQLite takes a file of a
 * few bytes for an empty one, and a half page for a page of zeros. An empty file says nothing. */
static weir_code check_header(sqlite_file *file, weir_error *err) {
    static const char magic[16] = "SQLite format 3";
    uint8_t header[HEADER_BYTES];
    uint64_t size = 0;
    if (!read_header(file->db, header, &size) || size == 0) {
        return WEIR_OK;
    }
    if (memcmp(header, magic, sizeof magic) != 0) {
        file->is_damaged = true;
        return weir_fail(err, WEIR_ERR_ENVIRONMENT, file->name, at_byte(0).text,
                         "a registry: an SQLite file", "other bytes");
    }
    const uint64_t raw_page = read_big_endian(header + AT_PAGE_BYTES, 2);
    const uint64_t page_bytes = raw_page == 1 ? 65536 : raw_page;
    const uint64_t page_count = read_big_endian(header + AT_PAGE_COUNT, 4);
    if (size < page_bytes * page_count) {
        file->is_damaged = true;
        return weir_fail(
            err, WEIR_ERR_ENVIRONMENT, file->name, at_byte(size).text, "a whole registry",
            "the end of the file; its header says %" PRIu64 " bytes", page_bytes * page_count);
    }
    return WEIR_OK;
}

static weir_code diagnose_damage(sqlite_file *file, weir_error *err) {
    char said[160];
    (void)snprintf(said, sizeof said, "%s", sqlite3_errmsg(file->db));
    WEIR_TRY(check_header(file, err));
    file->is_damaged = true;
    return weir_fail(err, WEIR_ERR_ENVIRONMENT, file->name, "structure of the SQLite file",
                     "a whole registry", "%s (weir registry verify says where)", said);
}

static weir_code fail_of_system(const sqlite_file *file, weir_error *err, const char *expected) {
    const int system_errno = sqlite3_system_errno(file->db);
    return weir_fail(err, WEIR_ERR_IO, file->name, NULL, expected, "%s",
                     system_errno ? strerror(system_errno) : sqlite3_errmsg(file->db));
}

weir_code sqlite_file_fail(sqlite_file *file, weir_error *err) {
    const int code = sqlite3_extended_errcode(file->db);
    switch (code & 0xff) {
    case SQLITE_NOMEM:
        return weir_fail_nomem(err);
    case SQLITE_BUSY:
    case SQLITE_LOCKED:
        return weir_fail(err, WEIR_ERR_ENVIRONMENT, file->name, NULL,
                         "a registry that no other process holds for long",
                         "it is locked for more than %u ms", file->wait_ms);
    case SQLITE_CORRUPT:
    case SQLITE_NOTADB:
        return diagnose_damage(file, err);
    case SQLITE_FULL:
        return weir_fail(err, WEIR_ERR_IO, file->name, NULL, "room for the registry",
                         "the disk is full");
    case SQLITE_READONLY:
        return weir_fail(err, WEIR_ERR_IO, file->name, NULL,
                         code == SQLITE_READONLY_ROLLBACK || code == SQLITE_READONLY_RECOVERY
                             ? "rights to write, to take an interrupted change back"
                             : "a registry that can be written",
                         "it can only be read");
    case SQLITE_CANTOPEN:
    case SQLITE_PERM:
        return fail_of_system(file, err, "a registry, and a folder, that can be opened");
    case SQLITE_IOERR:
        return fail_of_system(file, err, "a disk that reads and writes");
    default:
        return weir_fail(err, WEIR_ERR_ENVIRONMENT, file->name, NULL, "SQLite to work", "%s",
                         sqlite3_errmsg(file->db));
    }
}

weir_code sqlite_file_damage(sqlite_file *file, weir_error *err, uint64_t row, const char *expected,
                             const char *found, ...) {
    char what[192];
    char at[48];
    va_list arguments;
    va_start(arguments, found);
    (void)vsnprintf(what, sizeof what, found, arguments);
    va_end(arguments);
    (void)snprintf(at, sizeof at, "entry #%" PRIu64, row);
    file->is_damaged = true;
    return weir_fail(err, WEIR_ERR_ENVIRONMENT, file->name, at, expected, "%s", what);
}

/* --- queries --- */

weir_code sqlite_file_run(sqlite_file *file, const char *sql, weir_error *err) {
    return sqlite3_exec(file->db, sql, NULL, NULL, NULL) == SQLITE_OK ? WEIR_OK
                                                                      : sqlite_file_fail(file, err);
}

weir_code sqlite_transaction_begin(sqlite_transaction *out, sqlite_file *file, bool writes,
                                   weir_error *err) {
    if (!writes && !sqlite3_get_autocommit(file->db)) {
        return WEIR_OK; /* part of a look, or of a change, that began before */
    }
    out->file = file; /* also when it fails: it may have begun, and run out of memory then */
    return sqlite_file_run(file, writes ? "BEGIN IMMEDIATE" : "BEGIN", err);
}

weir_code sqlite_transaction_commit(sqlite_transaction *transaction, weir_error *err) {
    WEIR_TRY(sqlite_file_run(transaction->file, "COMMIT", err));
    transaction->file = NULL;
    return WEIR_OK;
}

/* A failure may have rolled back by itself; then there is nothing to end. To roll back takes
 * memory, of which there is more at the second try: the first has given up its own. */
void sqlite_transaction_end(sqlite_transaction *transaction) {
    for (int i = 0; i < 2; i++) {
        if (transaction->file && !sqlite3_get_autocommit(transaction->file->db)) {
            (void)sqlite3_exec(transaction->file->db, "ROLLBACK", NULL, NULL, NULL);
        }
    }
    transaction->file = NULL;
}

weir_code sqlite_query_open(sqlite_query *out, sqlite_file *file, const char *sql,
                            weir_error *err) {
    *out = (sqlite_query){.file = file};
    return sqlite3_prepare_v2(file->db, sql, -1, &out->statement, NULL) == SQLITE_OK
               ? WEIR_OK
               : sqlite_file_fail(file, err);
}

void sqlite_query_close(sqlite_query *query) {
    (void)sqlite3_finalize(query->statement); /* repeats the failure that a step told already */
    query->statement = NULL;
}

static void note(sqlite_query *query, int code) {
    query->failed = query->failed || code != SQLITE_OK;
}

void sqlite_query_give_text(sqlite_query *query, const char *text) {
    note(query, sqlite3_bind_text(query->statement, ++query->parameter, text, -1, SQLITE_STATIC));
}

void sqlite_query_give_number(sqlite_query *query, uint64_t value) {
    note(query, sqlite3_bind_int64(query->statement, ++query->parameter, (sqlite3_int64)value));
}

void sqlite_query_give_bytes(sqlite_query *query, const void *bytes, size_t len) {
    note(query,
         sqlite3_bind_blob64(query->statement, ++query->parameter, bytes, len, SQLITE_STATIC));
}

void sqlite_query_give_path(sqlite_query *query, const char *path) {
    sqlite_query_give_bytes(query, path, path ? strlen(path) : 0);
}

weir_code sqlite_query_step(sqlite_query *query, bool *has_row, weir_error *err) {
    if (query->failed) {
        return weir_fail_nomem(err);
    }
    const int code = sqlite3_step(query->statement);
    *has_row = code == SQLITE_ROW;
    return code == SQLITE_ROW || code == SQLITE_DONE ? WEIR_OK : sqlite_file_fail(query->file, err);
}

weir_code sqlite_query_finish(sqlite_query *query, weir_error *err) {
    bool has_row = true;
    while (has_row) {
        WEIR_TRY(sqlite_query_step(query, &has_row, err));
    }
    return WEIR_OK;
}

void sqlite_query_reset(sqlite_query *query) {
    (void)sqlite3_reset(query->statement);
    (void)sqlite3_clear_bindings(query->statement);
    query->parameter = 0;
}

uint64_t sqlite_query_number(const sqlite_query *query, int column) {
    return (uint64_t)sqlite3_column_int64(query->statement, column);
}

weir_code sqlite_query_text(const char **out, const sqlite_query *query, int column, arena *memory,
                            weir_error *err) {
    const char *text = (const char *)sqlite3_column_text(query->statement, column);
    const size_t len = (size_t)sqlite3_column_bytes(query->statement, column);
    if (!text) {
        *out = NULL;
        return sqlite3_column_type(query->statement, column) == SQLITE_NULL ? WEIR_OK
                                                                            : weir_fail_nomem(err);
    }
    /* Texts were made printable before they were kept; a file may have been edited since. */
    WEIR_CLEANUP(free) char *printable = checked_alloc(len + 1, ESCAPED_BYTES);
    if (!printable) {
        return weir_fail_nomem(err);
    }
    text_escape(printable, (len + 1) * ESCAPED_BYTES, text, len);
    *out = arena_copy_text(memory, printable, strlen(printable));
    return *out ? WEIR_OK : weir_fail_nomem(err);
}

const uint8_t *sqlite_query_bytes(size_t *len, const sqlite_query *query, int column) {
    const uint8_t *bytes = sqlite3_column_blob(query->statement, column);
    *len = bytes ? (size_t)sqlite3_column_bytes(query->statement, column) : 0;
    return bytes;
}

weir_code sqlite_query_path(const char **out, const sqlite_query *query, int column, arena *memory,
                            weir_error *err) {
    size_t len = 0;
    const uint8_t *bytes = sqlite_query_bytes(&len, query, column);
    *out = bytes ? arena_copy_text(memory, (const char *)bytes, len) : NULL;
    return bytes && !*out ? weir_fail_nomem(err) : WEIR_OK;
}

/* --- opening --- */

/* Whose file, of which version, and whether there is anything in it. */
typedef struct ownership {
    uint64_t application;
    uint64_t version;
    uint64_t objects;
} ownership;

static weir_code read_number(uint64_t *out, sqlite_file *file, const char *sql, weir_error *err) {
    WEIR_CLEANUP(sqlite_query_close) sqlite_query query = {0};
    bool has_row = false;
    WEIR_TRY(sqlite_query_open(&query, file, sql, err));
    WEIR_TRY(sqlite_query_step(&query, &has_row, err));
    *out = has_row ? sqlite_query_number(&query, 0) : 0;
    return WEIR_OK;
}

static weir_code read_ownership(ownership *out, sqlite_file *file, weir_error *err) {
    WEIR_TRY(read_number(&out->application, file, "PRAGMA application_id", err));
    WEIR_TRY(read_number(&out->version, file, "PRAGMA user_version", err));
    return read_number(&out->objects, file, "SELECT count(*) FROM sqlite_schema", err);
}

static bool is_blank(const ownership *owner) {
    return owner->application == 0 && owner->version == 0 && owner->objects == 0;
}

static weir_code judge_ownership(const ownership *owner, const sqlite_file *file, weir_error *err) {
    if (is_blank(owner)) {
        return WEIR_OK;
    }
    if (owner->application != APPLICATION_ID) {
        return weir_fail(err, WEIR_ERR_ENVIRONMENT, file->name, at_byte(68).text,
                         "a registry of weir",
                         "an SQLite database of another program (%08" PRIX64 ")",
                         owner->application & UINT32_MAX);
    }
    if (owner->version > SCHEMA_VERSION) {
        return weir_fail(err, WEIR_ERR_ENVIRONMENT, file->name, at_byte(60).text,
                         "a registry that this version of weir knows",
                         "version %" PRIu64 ", made by a newer weir; this one knows up to %d",
                         owner->version, SCHEMA_VERSION);
    }
    return WEIR_OK;
}

/* Another process may have migrated since the first look: the version is read again under the lock.
 */
static weir_code migrate(sqlite_file *file, weir_error *err) {
    WEIR_CLEANUP(sqlite_transaction_end) sqlite_transaction change = {0};
    ownership owner;
    WEIR_TRY(sqlite_transaction_begin(&change, file, /* writes= */ true, err));
    WEIR_TRY(read_ownership(&owner, file, err));
    WEIR_TRY(judge_ownership(&owner, file, err));
    for (uint64_t i = owner.version; i < SCHEMA_VERSION; i++) {
        WEIR_TRY(sqlite_file_run(file, migrations[i], err));
    }
    char numbers[SQL_BYTES];
    (void)snprintf(numbers, sizeof numbers, "PRAGMA application_id = %d; PRAGMA user_version = %d",
                   APPLICATION_ID, SCHEMA_VERSION);
    WEIR_TRY(sqlite_file_run(file, numbers, err));
    return sqlite_transaction_commit(&change, err);
}

static weir_code configure(sqlite_file *file, weir_error *err) {
    (void)sqlite3_extended_result_codes(file->db, 1);
    (void)sqlite3_busy_timeout(file->db, (int)file->wait_ms);
    (void)sqlite3_db_config(file->db, SQLITE_DBCONFIG_DEFENSIVE, 1, NULL);
    (void)sqlite3_db_config(file->db, SQLITE_DBCONFIG_TRUSTED_SCHEMA, 0, NULL);
    (void)sqlite3_limit(file->db, SQLITE_LIMIT_LENGTH, VALUE_BYTES_MAX);
    return sqlite_file_run(file,
                           "PRAGMA foreign_keys = ON; PRAGMA synchronous = EXTRA;"
                           "PRAGMA temp_store = MEMORY; PRAGMA mmap_size = 0;"
                           "PRAGMA cell_size_check = ON",
                           err);
}

static weir_code open_database(sqlite_file *file, const char *path, int flags, weir_error *err) {
    const int code = sqlite3_open_v2(path, &file->db, flags | SQLITE_OPEN_NOMUTEX, NULL);
    if (!file->db) {
        return weir_fail_nomem(err);
    }
    if (code != SQLITE_OK) {
        return sqlite_file_fail(file, err);
    }
    return configure(file, err);
}

/* Nothing is there, and nothing shall be made: an empty registry that lies nowhere. */
static weir_code stand_in(sqlite_file *file, weir_error *err) {
    sqlite3_close(file->db);
    file->db = NULL;
    file->is_missing = true;
    WEIR_TRY(open_database(file, ":memory:", SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE, err));
    return migrate(file, err);
}

static bool was_absent(const sqlite_file *file) {
    return file->db && sqlite3_errcode(file->db) == SQLITE_CANTOPEN &&
           sqlite3_system_errno(file->db) == ENOENT;
}

/* Under a read lock: nobody writes meanwhile, and an interrupted change was taken back. */
static weir_code look_at(ownership *owner, sqlite_file *file, weir_error *err) {
    WEIR_CLEANUP(sqlite_transaction_end) sqlite_transaction look = {0};
    WEIR_TRY(sqlite_transaction_begin(&look, file, /* writes= */ false, err));
    WEIR_TRY(read_ownership(owner, file, err));
    WEIR_TRY(check_header(file, err));
    return judge_ownership(owner, file, err);
}

static weir_code open_and_migrate(sqlite_file *file, const char *path, bool create,
                                  weir_error *err) {
    const int flags = SQLITE_OPEN_READWRITE | (create ? SQLITE_OPEN_CREATE : 0);
    const weir_code opened = open_database(file, path, flags, err);
    if (opened != WEIR_OK) {
        return !create && was_absent(file) ? stand_in(file, err) : opened;
    }
    ownership owner;
    WEIR_TRY(look_at(&owner, file, err));
    if (is_blank(&owner) && !create) {
        return stand_in(file, err);
    }
    return owner.version < SCHEMA_VERSION ? migrate(file, err) : WEIR_OK;
}

weir_code sqlite_file_open(sqlite_file *out, const char *path, bool create, unsigned wait_ms,
                           weir_error *err) {
    WEIR_CLEANUP(sqlite_file_close) sqlite_file file = {.wait_ms = wait_ms};
    const char *last = last_component(path);
    text_escape(file.name, sizeof file.name, last, strlen(last));
    WEIR_TRY(open_and_migrate(&file, path, create, err));
    *out = file;
    file.db = NULL;
    return WEIR_OK;
}

void sqlite_file_close(sqlite_file *file) {
    (void)sqlite3_close(file->db);
    file->db = NULL;
}
