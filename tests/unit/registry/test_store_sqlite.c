/* SPDX-License-Identifier: Apache-2.0 */
/* What befalls a file: damage, locks, other versions, folders that cannot be written. */
#include <sqlite3.h>

#include "records.h"

enum { WAIT_MS = 50 };

static weir_code try_open(store *out, const test_place *spot, bool create, weir_error *err) {
    return store_open_sqlite(out, spot->path, create, WAIT_MS, err);
}

static store open_store(const test_place *spot) {
    store made;
    assert_int_equal(try_open(&made, spot, true, NULL), WEIR_OK);
    return made;
}

static void close_store(const store *it) {
    it->ops->close(it->context);
}

static weir_code try_add(const store *it, const char *name, unsigned seed, weir_error *err) {
    static sample slot;
    store_outcome outcome;
    uint64_t row;
    return it->ops->add(it->context, make_record(&slot, name, seed), &outcome, &row, err);
}

/* A registry of `count` entries, closed. */
static void make_registry(test_place *spot, unsigned count) {
    make_place(spot);
    const store it = open_store(spot);
    for (unsigned i = 0; i < count; i++) {
        char name[16];
        (void)snprintf(name, sizeof name, "m%u", i);
        assert_int_equal(try_add(&it, name, i, NULL), WEIR_OK);
    }
    close_store(&it);
}

static uint8_t *read_file(const char *path, size_t *len) {
    struct stat info;
    const int fd = open(path, O_RDONLY | O_CLOEXEC);
    assert_true(fd >= 0 && fstat(fd, &info) == 0);
    uint8_t *bytes = malloc((size_t)info.st_size + 1);
    assert_int_equal(read(fd, bytes, (size_t)info.st_size), info.st_size);
    *len = (size_t)info.st_size;
    (void)close(fd);
    return bytes;
}

static void write_file(const char *path, const void *bytes, size_t len) {
    const int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    assert_true(fd >= 0);
    assert_int_equal(write(fd, bytes, len), len);
    (void)close(fd);
}

static void run_sql(const char *path, const char *sql) {
    sqlite3 *db = NULL;
    assert_int_equal(sqlite3_open(path, &db), SQLITE_OK);
    assert_int_equal(sqlite3_exec(db, sql, NULL, NULL, NULL), SQLITE_OK);
    (void)sqlite3_close(db);
}

typedef struct copy {
    size_t count;
    char ids[8][DIGEST_TEXT_BYTES];
} copy;

static weir_code keep_id(void *visitor, const weir_registry_entry *entry, weir_error *err) {
    (void)err;
    copy *out = visitor;
    (void)snprintf(out->ids[out->count++], DIGEST_TEXT_BYTES, "%s", entry->fingerprint_id);
    return WEIR_OK;
}

static weir_code ignore_hot(void *visitor, uint64_t row, const uint8_t hot[static STORE_HOT_BYTES],
                            weir_error *err) {
    (void)visitor;
    (void)row;
    (void)hot;
    (void)err;
    return WEIR_OK;
}

/* Read everything that there is. */
static weir_code read_all(copy *out, const test_place *spot, weir_error *err) {
    store it;
    *out = (copy){0};
    weir_code code = try_open(&it, spot, false, err);
    if (code != WEIR_OK) {
        return code;
    }
    code = it.ops->each(it.context, keep_id, out, err);
    for (size_t i = 0; code == WEIR_OK && i < out->count; i++) {
        WEIR_CLEANUP(arena_release) arena memory = {0};
        store_record record;
        code = it.ops->get(it.context, i + 1, &memory, &record, err);
    }
    if (code == WEIR_OK) {
        store_state state;
        code = it.ops->hot_codes(it.context, ignore_hot, NULL, &state, err);
    }
    close_store(&it);
    return code;
}

static bool is_refusal(weir_code code, const weir_error *err) {
    return (code == WEIR_ERR_ENVIRONMENT || code == WEIR_ERR_IO) && err->file[0] && err->found[0];
}

static void a_missing_file_is_an_empty_registry_that_is_not_made(void **unused) {
    (void)unused;
    test_place spot;
    store it;
    copy found;
    make_place(&spot);

    assert_int_equal(try_open(&it, &spot, false, NULL), WEIR_OK);
    assert_null(it.ops->path(it.context));
    assert_int_equal(read_all(&found, &spot, NULL), WEIR_OK);

    assert_int_equal(found.count, 0);
    assert_int_equal(access(spot.path, F_OK), -1);
    close_store(&it);
    remove_place(&spot);
}

static void an_empty_file_is_a_registry_that_was_not_finished(void **unused) {
    (void)unused;
    test_place spot;
    copy found;
    make_place(&spot);
    write_file(spot.path, "", 0);

    assert_int_equal(read_all(&found, &spot, NULL), WEIR_OK);
    const store it = open_store(&spot);
    assert_int_equal(try_add(&it, "one", 1, NULL), WEIR_OK);
    close_store(&it);

    assert_int_equal(read_all(&found, &spot, NULL), WEIR_OK);
    assert_int_equal(found.count, 1);
    remove_place(&spot);
}

static void another_file_is_refused_and_left_alone(void **unused) {
    (void)unused;
    static const char *const texts[] = {"xy",
                                        "not a registry, but a letter to the editor of a paper\n"};
    for (size_t i = 0; i < 2; i++) {
        test_place spot;
        store it;
        weir_error err = {0};
        size_t len = 0;
        make_place(&spot);
        write_file(spot.path, texts[i], strlen(texts[i]));

        assert_int_equal(try_open(&it, &spot, true, &err), WEIR_ERR_ENVIRONMENT);

        assert_string_equal(err.file, "registry.db");
        assert_string_equal(err.at, "byte 0");
        uint8_t *after = read_file(spot.path, &len);
        assert_int_equal(len, strlen(texts[i]));
        assert_memory_equal(after, texts[i], len);
        free(after);
        remove_place(&spot);
    }
}

static void a_database_of_another_program_is_refused_and_left_alone(void **unused) {
    (void)unused;
    test_place spot;
    store it;
    weir_error err = {0};
    size_t before_len = 0;
    size_t after_len = 0;
    make_place(&spot);
    run_sql(spot.path, "CREATE TABLE bookmarks (a TEXT)");
    uint8_t *before = read_file(spot.path, &before_len);

    assert_int_equal(try_open(&it, &spot, true, &err), WEIR_ERR_ENVIRONMENT);

    assert_non_null(strstr(err.found, "another program"));
    uint8_t *after = read_file(spot.path, &after_len);
    assert_int_equal(before_len, after_len);
    assert_memory_equal(before, after, after_len);
    free(before);
    free(after);
    remove_place(&spot);
}

static void a_newer_registry_is_refused_and_left_alone(void **unused) {
    (void)unused;
    test_place spot;
    store it;
    weir_error err = {0};
    size_t before_len = 0;
    size_t after_len = 0;
    make_registry(&spot, 1);
    run_sql(spot.path, "PRAGMA user_version = 99");
    uint8_t *before = read_file(spot.path, &before_len);

    assert_int_equal(try_open(&it, &spot, true, &err), WEIR_ERR_ENVIRONMENT);

    assert_non_null(strstr(err.found, "version 99"));
    assert_non_null(strstr(err.found, "newer"));
    uint8_t *after = read_file(spot.path, &after_len);
    assert_memory_equal(before, after, after_len);
    free(before);
    free(after);
    remove_place(&spot);
}

static void a_truncated_file_is_refused_with_its_end(void **unused) {
    (void)unused;
    test_place spot;
    size_t len = 0;
    make_registry(&spot, 3);
    uint8_t *bytes = read_file(spot.path, &len);
    for (size_t cut = 0; cut < len; cut += cut < 200 ? 33 : 1999) {
        weir_error err = {0};
        copy found;
        write_file(spot.path, bytes, cut);

        const weir_code code = read_all(&found, &spot, &err);

        if (cut == 0) { /* nothing at all: as if it had never been begun */
            assert_int_equal(code, WEIR_OK);
            continue;
        }
        assert_true(is_refusal(code, &err));
        if (cut >= 100) {
            char at[32];
            (void)snprintf(at, sizeof at, "byte %zu", cut);
            assert_string_equal(err.at, at);
        }
    }
    free(bytes);
    remove_place(&spot);
}

/* Every 97th byte: headers, pages of every table, texts, fingerprints. */
static void a_flipped_byte_is_noticed_or_does_not_matter(void **unused) {
    (void)unused;
    test_place spot;
    size_t len = 0;
    size_t noticed = 0;
    size_t tried = 0;
    copy whole;
    make_registry(&spot, 3);
    assert_int_equal(read_all(&whole, &spot, NULL), WEIR_OK);
    uint8_t *bytes = read_file(spot.path, &len);
    for (size_t at = 0; at < len; at += 97, tried++) {
        weir_error err = {0};
        copy found;
        bytes[at] ^= 0x55;
        write_file(spot.path, bytes, len);
        bytes[at] ^= 0x55;

        const weir_code code = read_all(&found, &spot, &err);

        noticed += code != WEIR_OK;
        if (code == WEIR_OK) { /* a byte that nothing uses */
            assert_memory_equal(&found, &whole, sizeof whole);
        } else {
            assert_true(is_refusal(code, &err));
        }
    }
    assert_true(noticed > tried / 3); /* the rest is room that nothing uses, and indexes */
    free(bytes);
    remove_place(&spot);
}

typedef struct problems {
    size_t count;
    weir_error last;
} problems;

static weir_code keep_problem(void *visitor, const weir_error *problem, weir_error *err) {
    (void)err;
    problems *out = visitor;
    out->count++;
    out->last = *problem;
    return WEIR_OK;
}

static void verify_names_every_damaged_entry(void **unused) {
    (void)unused;
    static const struct {
        const char *sql;
        const char *at;
    } cases[] = {
        {"UPDATE model SET name = 'other' WHERE model_id = 2", "entry #2"},
        {"UPDATE model SET layers = 31 WHERE model_id = 3", "entry #3"},
        {"UPDATE claim SET value = 'mit' WHERE model_id = 1 AND ordinal = 1", "entry #1"},
        {"DELETE FROM claim WHERE model_id = 1 AND ordinal = 1", "entry #1"},
        {"UPDATE fingerprint SET bytes = zeroblob(9000) WHERE model_id = 2", "entry #2"},
        {"UPDATE hot_code SET code = zeroblob(776) WHERE model_id = 3", "entry #3"},
        {"DELETE FROM hot_code WHERE model_id = 1", "structure of the SQLite file"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        test_place spot;
        problems found = {0};
        make_registry(&spot, 3);
        run_sql(spot.path, cases[i].sql);
        const store it = open_store(&spot);

        assert_int_equal(it.ops->verify(it.context, keep_problem, &found, NULL), WEIR_OK);

        assert_int_equal(found.count, 1);
        assert_string_equal(found.last.at, cases[i].at);
        close_store(&it);
        remove_place(&spot);
    }
}

static void a_lock_is_waited_for_and_then_said(void **unused) {
    (void)unused;
    test_place spot;
    sqlite3 *holder = NULL;
    weir_error err = {0};
    make_registry(&spot, 1);
    const store it = open_store(&spot);
    assert_int_equal(sqlite3_open(spot.path, &holder), SQLITE_OK);
    assert_int_equal(sqlite3_exec(holder, "BEGIN EXCLUSIVE", NULL, NULL, NULL), SQLITE_OK);

    assert_int_equal(try_add(&it, "two", 2, &err), WEIR_ERR_ENVIRONMENT);
    assert_non_null(strstr(err.found, "locked for more than 50 ms"));

    assert_int_equal(sqlite3_exec(holder, "COMMIT", NULL, NULL, NULL), SQLITE_OK);
    assert_int_equal(try_add(&it, "two", 2, NULL), WEIR_OK);
    (void)sqlite3_close(holder);
    close_store(&it);
    remove_place(&spot);
}

/* What kill -9 leaves: the file half changed, and the journal that takes it back. */
static void an_interrupted_change_is_taken_back(void **unused) {
    (void)unused;
    test_place spot;
    char journal[PATH_BYTES + 32];
    size_t len = 0;
    size_t journal_len = 0;
    copy found;
    sqlite3 *db = NULL;
    make_registry(&spot, 2);
    (void)snprintf(journal, sizeof journal, "%s-journal", spot.path);
    assert_int_equal(sqlite3_open(spot.path, &db), SQLITE_OK);
    /* A cache of one page makes the change reach the file before the commit. */
    assert_int_equal(
        sqlite3_exec(db,
                     "PRAGMA cache_size = 1; BEGIN; UPDATE model SET name = 'x' || name;"
                     "UPDATE fingerprint SET bytes = zeroblob(60000)",
                     NULL, NULL, NULL),
        SQLITE_OK);
    uint8_t *half = read_file(spot.path, &len);
    uint8_t *undo = read_file(journal, &journal_len);
    assert_true(journal_len > 0);
    (void)sqlite3_close(db);
    write_file(spot.path, half, len);
    write_file(journal, undo, journal_len);

    assert_int_equal(read_all(&found, &spot, NULL), WEIR_OK);

    assert_int_equal(found.count, 2);
    free(half);
    free(undo);
    remove_place(&spot);
}

static void text_of_an_edited_file_is_printable(void **unused) {
    (void)unused;
    test_place spot;
    weir_error err = {0};
    copy found;
    make_registry(&spot, 1);
    run_sql(spot.path, "UPDATE model SET name = 'm' || char(27) || '[2J' WHERE model_id = 1");

    const weir_code code = read_all(&found, &spot, &err);

    assert_int_equal(code, WEIR_ERR_ENVIRONMENT);
    assert_string_equal(err.at, "entry #1");
    remove_place(&spot);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_missing_file_is_an_empty_registry_that_is_not_made),
        cmocka_unit_test(an_empty_file_is_a_registry_that_was_not_finished),
        cmocka_unit_test(another_file_is_refused_and_left_alone),
        cmocka_unit_test(a_database_of_another_program_is_refused_and_left_alone),
        cmocka_unit_test(a_newer_registry_is_refused_and_left_alone),
        cmocka_unit_test(a_truncated_file_is_refused_with_its_end),
        cmocka_unit_test(a_flipped_byte_is_noticed_or_does_not_matter),
        cmocka_unit_test(verify_names_every_damaged_entry),
        cmocka_unit_test(a_lock_is_waited_for_and_then_said),
        cmocka_unit_test(an_interrupted_change_is_taken_back),
        cmocka_unit_test(text_of_an_edited_file_is_printable),
    };
    return cmocka_run_group_tests_name("store_sqlite", tests, NULL, NULL);
}
