/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file sqlite_file.h  One SQLite file: opened and migrated, its failures told with their place,
 * and queries that read like sentences.
 */
#ifndef WEIR_REGISTRY_SQLITE_FILE_H
#define WEIR_REGISTRY_SQLITE_FILE_H

#include <sqlite3.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/arena.h"
#include "base/cleanup.h"
#include "weir/error.h"

typedef struct sqlite_file {
    sqlite3 *db;
    char name[256]; /**< the last part of its path, printable */
    unsigned wait_ms;
    bool is_missing; /**< nothing lies at the path: an empty database in memory stands for it */
    bool is_damaged; /**< a failure said that the bytes are not what was written */
} sqlite_file;

/**
 * Open, check whose file it is and bring it to the latest schema.
 * @return as store_open_sqlite()
 */
weir_code sqlite_file_open(sqlite_file *out, const char *path, bool create, unsigned wait_ms,
                           weir_error *err);
void sqlite_file_close(sqlite_file *file);
static inline void sqlite_file_close_cleanup(sqlite_file *file) {
    sqlite_file_close(file);
}

/** Say what SQLite's last failure was. @return its code */
weir_code sqlite_file_fail(sqlite_file *file, weir_error *err);

/** Say that a record is not what was written. @return WEIR_ERR_ENVIRONMENT */
__attribute__((format(printf, 5, 6))) weir_code sqlite_file_damage(sqlite_file *file,
                                                                   weir_error *err, uint64_t row,
                                                                   const char *expected,
                                                                   const char *found, ...);

/** Run statements without parameters and results. */
weir_code sqlite_file_run(sqlite_file *file, const char *sql, weir_error *err);

/** A transaction that ends by being taken back unless it was committed. */
typedef struct sqlite_transaction {
    sqlite_file *file; /**< NULL once it has ended */
} sqlite_transaction;

/** @param writes  take the right to write now, and wait for it */
weir_code sqlite_transaction_begin(sqlite_transaction *out, sqlite_file *file, bool writes,
                                   weir_error *err);
weir_code sqlite_transaction_commit(sqlite_transaction *transaction, weir_error *err);
void sqlite_transaction_end(sqlite_transaction *transaction);
static inline void sqlite_transaction_end_cleanup(sqlite_transaction *transaction) {
    sqlite_transaction_end(transaction);
}

/** A statement. Parameters are given in order, then rows are taken one by one. */
typedef struct sqlite_query {
    sqlite_file *file;
    sqlite3_stmt *statement;
    int parameter; /**< the last that was given */
    bool failed;   /**< a parameter did not fit in memory; told by the next step */
} sqlite_query;

weir_code sqlite_query_open(sqlite_query *out, sqlite_file *file, const char *sql, weir_error *err);
void sqlite_query_close(sqlite_query *query);
static inline void sqlite_query_close_cleanup(sqlite_query *query) {
    sqlite_query_close(query);
}

/* Parameters are borrowed until the query is closed or reset. */
void sqlite_query_give_text(sqlite_query *query, const char *text); /**< NULL gives null */
void sqlite_query_give_path(sqlite_query *query,
                            const char *path); /**< as bytes; NULL gives null */
void sqlite_query_give_number(sqlite_query *query, uint64_t value);
void sqlite_query_give_bytes(sqlite_query *query, const void *bytes, size_t len);

/** Take the next row. @param[out] has_row  false at the end */
weir_code sqlite_query_step(sqlite_query *query, bool *has_row, weir_error *err);
/** Run to the end. */
weir_code sqlite_query_finish(sqlite_query *query, weir_error *err);
/** Make it ready for other parameters. */
void sqlite_query_reset(sqlite_query *query);

uint64_t sqlite_query_number(const sqlite_query *query, int column);
/** Printable, in `memory`; *out is NULL for null. */
weir_code sqlite_query_text(const char **out, const sqlite_query *query, int column, arena *memory,
                            weir_error *err);
/** As it is, NUL-terminated, in `memory`; *out is NULL for null. */
weir_code sqlite_query_path(const char **out, const sqlite_query *query, int column, arena *memory,
                            weir_error *err);
/** Borrowed until the next step. */
const uint8_t *sqlite_query_bytes(size_t *len, const sqlite_query *query, int column);

#endif
