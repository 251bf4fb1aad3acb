/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A registry in which memory runs out: at each allocation of weir, and at many of SQLite's. Every
 * call says so or does its work, and what it leaves behind is a whole registry in which what was
 * added is there and nothing else.
 */
#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <weir/weir.h>

#include "allocation.h"
#include "models.h"

static FILE *sink; /* stdio's own buffer is there before anything fails */
static char folder[64];
static char path[sizeof folder + 16];

/* --- SQLite's memory --- */

static sqlite3_mem_methods usual;
static long sqlite_left; /* allocations until one fails; 0: none will */
static bool sqlite_failed;

static bool refuses(void) {
    if (sqlite_left == 0 || --sqlite_left > 0) {
        return false;
    }
    sqlite_failed = true;
    return true;
}

static void *take(int size) {
    return refuses() ? NULL : usual.xMalloc(size);
}

static void *resize(void *memory, int size) {
    return refuses() ? NULL : usual.xRealloc(memory, size);
}

static void watch_sqlite(void) {
    sqlite3_mem_methods watched;
    (void)sqlite3_config(SQLITE_CONFIG_GETMALLOC, &usual);
    watched = usual;
    watched.xMalloc = take;
    watched.xRealloc = resize;
    (void)sqlite3_config(SQLITE_CONFIG_MALLOC, &watched);
    /* Else small blocks come from room that was set aside before. */
    (void)sqlite3_config(SQLITE_CONFIG_LOOKASIDE, 0, 0);
    (void)sqlite3_initialize();
}

/* --- all that can be done with a registry --- */

static weir_code report(weir_registry_listing *listing, weir_error *err) {
    const weir_style style = {.unicode = true, .verbosity = 1};
    weir_code code = weir_report_registry(sink, WEIR_FORMAT_JSON, &style, listing, err);
    if (code == WEIR_OK) {
        code = weir_report_registry(sink, WEIR_FORMAT_TABLE, &style, listing, err);
    }
    weir_registry_listing_free(listing);
    return code;
}

static weir_code look(weir_registry *registry, uint64_t row, weir_error *err) {
    const weir_registry_choice choice = {.row = row};
    weir_registry_listing *listing = NULL;
    weir_code code = weir_registry_list(&listing, registry, err);
    code = code == WEIR_OK ? report(listing, err) : code;
    if (code == WEIR_OK) {
        code = weir_registry_show(&listing, registry, WEIR_REGISTRY_SHOW, &choice, 1, err);
        code = code == WEIR_OK ? report(listing, err) : code;
    }
    if (code == WEIR_OK) {
        code = weir_registry_verify(&listing, registry, NULL, err);
        code = code == WEIR_OK ? report(listing, err) : code;
    }
    return code == WEIR_OK ? weir_registry_export(registry, row, sink, err) : code;
}

static weir_code use(weir_registry *registry, bool *added, weir_error *err) {
    const weir_registry_add_options options = {.name = "one", .jobs = 1};
    uint64_t row = 0;
    bool is_new = false;
    weir_code code =
        weir_registry_add(&row, &is_new, registry, models_path("fused"), &options, err);
    *added = code == WEIR_OK;
    if (code == WEIR_OK) {
        code = weir_registry_find(&row, registry, "one", err);
    }
    return code == WEIR_OK ? look(registry, row, err) : code;
}

static weir_code run(bool *added, weir_error *err) {
    const weir_registry_options options = {.create = true};
    weir_registry *registry = NULL;
    rewind(sink);
    *added = false;
    weir_code code = weir_registry_open(&registry, path, &options, err);
    code = code == WEIR_OK ? use(registry, added, err) : code;
    weir_registry_free(registry);
    return code;
}

/* --- what is left --- */

/* Without failures: whole, and the model is in it if and only if that was said. */
static bool is_left_whole(bool added) {
    weir_registry *registry = NULL;
    weir_registry_listing *verified = NULL;
    weir_registry_listing *listed = NULL;
    bool is_whole = weir_registry_open(&registry, path, NULL, NULL) == WEIR_OK &&
                    weir_registry_verify(&verified, registry, NULL, NULL) == WEIR_OK &&
                    weir_registry_list(&listed, registry, NULL) == WEIR_OK;
    if (is_whole) {
        const size_t count = weir_registry_listing_count(listed);
        is_whole =
            weir_registry_listing_problem_count(verified) == 0 && (added ? count == 1 : count <= 1);
    }
    weir_registry_listing_free(verified);
    weir_registry_listing_free(listed);
    weir_registry_free(registry);
    (void)unlink(path);
    return is_whole;
}

static int judge(const char *whose, long number, const weir_error *failure, bool may_pass,
                 bool added) {
    char line[512];
    const weir_code code = failure->code;
    const bool is_told = code == WEIR_ERR_NOMEM || (may_pass && code == WEIR_OK);
    if (is_told && is_left_whole(added)) {
        return 0;
    }
    (void)unlink(path);
    (void)fprintf(stderr, "allocation %ld of %s: %s%s\n", number, whose,
                  weir_error_format(failure, line, sizeof line),
                  is_told ? ", and what is left is not whole" : "");
    return 1;
}

static int fail_each_of_weir(void) {
    int wrong = 0;
    bool has_failed = true;
    for (long i = 1; has_failed; i++) {
        weir_error failure = {0};
        bool added = false;
        allocation_arm(i, /* onward= */ false);
        failure.code = run(&added, &failure);
        has_failed = allocation_disarm();
        wrong += judge("weir", i, &failure, !has_failed, added);
    }
    return wrong;
}

/* SQLite lives without some of its allocations. There are thousands: past the first, each seventh.
 */
static int fail_each_of_sqlite(void) {
    int wrong = 0;
    sqlite_failed = true;
    for (long i = 1; sqlite_failed; i += i < 300 ? 1 : 7) {
        weir_error failure = {0};
        bool added = false;
        sqlite_failed = false;
        sqlite_left = i;
        failure.code = run(&added, &failure);
        sqlite_left = 0;
        wrong += judge("SQLite", i, &failure, /* may_pass= */ true, added);
    }
    return wrong;
}

int main(void) {
    /* Memory, where there is such a disk: thousands of registries are begun. */
    const char *place = access("/dev/shm", W_OK) == 0 ? "/dev/shm" : "/tmp";
    (void)snprintf(folder, sizeof folder, "%s/weir-registry-XXXXXX", place);
    models_make();
    sink = tmpfile();
    if (!sink || !mkdtemp(folder)) {
        perror("registry_faults");
        return EXIT_FAILURE;
    }
    (void)snprintf(path, sizeof path, "%s/registry.db", folder);
    watch_sqlite();
    const int wrong = fail_each_of_weir() + fail_each_of_sqlite();
    (void)fclose(sink);
    (void)rmdir(folder);
    return wrong == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
