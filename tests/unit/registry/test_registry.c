/* SPDX-License-Identifier: Apache-2.0 */
/* A registry with fingerprints in it, and the library that a search is given. */
#include "../sketch/sketches.h"
#include "records.h"
#include "registry/registry.h"

/* A registry in a folder of its own. */
typedef struct fixture {
    test_place spot;
    weir_registry *registry;
} fixture;

static fixture begin(void) {
    fixture made = {0};
    const weir_registry_options options = {.create = true};
    make_place(&made.spot);
    assert_int_equal(weir_registry_open(&made.registry, made.spot.path, &options, NULL), WEIR_OK);
    return made;
}

static void beside(char out[2 * PATH_BYTES], const fixture *f, const char *name) {
    (void)snprintf(out, 2 * PATH_BYTES, "%s/%s", f->spot.folder, name);
}

static void end(fixture *f) {
    char index[2 * PATH_BYTES];
    weir_registry_free(f->registry);
    beside(index, f, "registry.db.idx");
    (void)unlink(index);
    remove_place(&f->spot);
}

static void write_bytes(const char *path, const void *bytes, size_t len) {
    const int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    assert_true(fd >= 0);
    assert_int_equal(write(fd, bytes, len), len);
    (void)close(fd);
}

/* Add a fingerprint by way of a file of that name. */
static weir_code add_sketch(const fixture *f, const fingerprint *sketch, const char *name,
                            uint64_t *row, weir_error *err) {
    char path[2 * PATH_BYTES];
    uint8_t *bytes = NULL;
    size_t len = 0;
    assert_int_equal(fingerprint_encode(&bytes, &len, sketch, NULL), WEIR_OK);
    beside(path, f, name);
    (void)strcat(path, ".weirfp");
    write_bytes(path, bytes, len);
    const weir_code code = weir_registry_add(row, NULL, f->registry, path, NULL, err);
    assert_int_equal(unlink(path), 0);
    free(bytes);
    return code;
}

static uint64_t add(const fixture *f, const char *name, uint64_t seed) {
    uint64_t row = 0;
    fingerprint *sketch = sketch_new(3, seed);
    assert_int_equal(add_sketch(f, sketch, name, &row, NULL), WEIR_OK);
    fingerprint_free(sketch);
    return row;
}

static library library_of(const fixture *f) {
    library made = {0};
    assert_int_equal(registry_library(&made, f->registry, NULL), WEIR_OK);
    return made;
}

static void an_imported_fingerprint_is_called_by_its_file(void **unused) {
    (void)unused;
    fixture f = begin();
    weir_registry_listing *listing = NULL;
    const uint64_t row = add(&f, "some model v1.2", 1);

    assert_int_equal(weir_registry_list(&listing, f.registry, NULL), WEIR_OK);

    const weir_registry_entry *entry = weir_registry_listing_get(listing, 0);
    assert_int_equal(weir_registry_listing_count(listing), 1);
    assert_int_equal(entry->row, row);
    assert_string_equal(entry->name, "some model v1.2");
    assert_null(entry->location);
    assert_null(entry->id);
    assert_int_equal(entry->hidden, 256);
    assert_int_equal(entry->blocks, 3);
    weir_registry_listing_free(listing);
    end(&f);
}

static void what_is_exported_is_what_was_imported(void **unused) {
    (void)unused;
    fixture f = begin();
    fingerprint *sketch = sketch_new(3, 7);
    uint8_t *bytes = NULL;
    char *out = NULL;
    size_t len = 0;
    size_t out_len = 0;
    uint64_t row = 0;
    assert_int_equal(fingerprint_encode(&bytes, &len, sketch, NULL), WEIR_OK);
    assert_int_equal(add_sketch(&f, sketch, "one", &row, NULL), WEIR_OK);
    FILE *stream = open_memstream(&out, &out_len);

    assert_int_equal(weir_registry_export(f.registry, row, stream, NULL), WEIR_OK);

    (void)fclose(stream);
    assert_int_equal(out_len, len);
    assert_memory_equal(out, bytes, len);
    free(out);
    free(bytes);
    fingerprint_free(sketch);
    end(&f);
}

static void a_damaged_fingerprint_file_is_refused(void **unused) {
    (void)unused;
    fixture f = begin();
    char path[2 * PATH_BYTES];
    weir_error err = {0};
    uint64_t row = 0;
    beside(path, &f, "bad.weirfp");
    write_bytes(path, "WEIRFP\r\n\1\0\0\0\1\0", 14);

    assert_int_equal(weir_registry_add(&row, NULL, f.registry, path, NULL, &err), WEIR_ERR_FORMAT);

    assert_int_equal(unlink(path), 0);
    assert_true(err.at[0] != '\0');
    end(&f);
}

static void a_model_without_units_to_find_it_by_is_refused(void **unused) {
    (void)unused;
    fixture f = begin();
    weir_error err = {0};
    uint64_t row = 0;
    fingerprint *none = sketch_new(0, 1);
    fingerprint *zeros = sketch_new(2, 1);
    zeros->blocks[0].valid = 0;
    zeros->blocks[1].valid = 0;

    assert_int_equal(add_sketch(&f, none, "none", &row, &err), WEIR_ERR_UNSUPPORTED);
    assert_string_equal(err.expected, "something that the model could be found by");
    assert_int_equal(add_sketch(&f, zeros, "zeros", &row, &err), WEIR_ERR_UNSUPPORTED);

    fingerprint_free(none);
    fingerprint_free(zeros);
    end(&f);
}

static void a_taken_name_is_refused_with_what_to_do(void **unused) {
    (void)unused;
    fixture f = begin();
    weir_error err = {0};
    uint64_t row = 0;
    fingerprint *other = sketch_new(3, 2);
    add(&f, "one", 1);

    assert_int_equal(add_sketch(&f, other, "one", &row, &err), WEIR_ERR_ARG);

    assert_non_null(strstr(err.expected, "--name"));
    assert_non_null(strstr(err.found, "#1"));
    fingerprint_free(other);
    end(&f);
}

static void an_entry_is_found_by_name_before_number_and_id(void **unused) {
    (void)unused;
    fixture f = begin();
    weir_registry_listing *listing = NULL;
    weir_error err = {0};
    uint64_t found = 0;
    const uint64_t first = add(&f, "one", 1);
    const uint64_t second = add(&f, "#1", 2); /* a name that looks like a number */
    const uint64_t copy = add(&f, "copy of one", 1);
    assert_int_equal(weir_registry_list(&listing, f.registry, NULL), WEIR_OK);
    const char *id = weir_registry_listing_get(listing, 1)->fingerprint_id;
    const char *id_of_two = weir_registry_listing_get(listing, 0)->fingerprint_id;

    assert_int_equal(weir_registry_find(&found, f.registry, "one", NULL), WEIR_OK);
    assert_int_equal(found, first);
    assert_int_equal(weir_registry_find(&found, f.registry, "#1", NULL), WEIR_OK);
    assert_int_equal(found, second);
    assert_int_equal(weir_registry_find(&found, f.registry, "#3", NULL), WEIR_OK);
    assert_int_equal(found, copy);
    assert_int_equal(weir_registry_find(&found, f.registry, id, NULL), WEIR_OK);
    assert_int_equal(found, second);
    assert_int_equal(weir_registry_find(&found, f.registry, id_of_two, &err), WEIR_ERR_ARG);
    assert_string_equal(err.found, "an id of 2 entries");
    assert_int_equal(weir_registry_find(&found, f.registry, "#99", NULL), WEIR_ERR_ARG);
    assert_int_equal(weir_registry_find(&found, f.registry, "tw\x1b[1mo", &err), WEIR_ERR_ARG);
    assert_null(strchr(err.found, '\x1b'));
    weir_registry_listing_free(listing);
    end(&f);
}

static void a_search_fetches_what_was_added(void **unused) {
    (void)unused;
    fixture f = begin();
    const uint64_t rows[] = {add(&f, "one", 1), add(&f, "two", 2)};
    fingerprint *wanted = sketch_new(3, 2);
    library_entry entry;

    const library searched = library_of(&f);

    assert_int_equal(searched.entry_count, 2);
    assert_int_equal(searched.fetch(searched.context, rows[0], &entry, NULL), WEIR_OK);
    assert_string_equal(entry.name, "one");
    assert_int_equal(searched.fetch(searched.context, rows[1], &entry, NULL), WEIR_OK);
    assert_string_equal(entry.name, "two");
    assert_memory_equal(entry.sketch->blocks[2].up, wanted->blocks[2].up,
                        sizeof wanted->blocks[2].up);
    assert_int_equal(searched.fetch(searched.context, 77, &entry, NULL), WEIR_ERR_ARG);
    fingerprint_free(wanted);
    end(&f);
}

static void the_nearest_leader_is_the_model_itself(void **unused) {
    (void)unused;
    fixture f = begin();
    search_hit *hits = NULL;
    size_t count = 0;
    hot_code code;
    for (uint64_t i = 1; i <= 20; i++) {
        char name[16];
        (void)snprintf(name, sizeof name, "m%u", (unsigned)i);
        assert_int_equal(add(&f, name, i), i);
    }
    fingerprint *mine = sketch_new(3, 13);
    sketch_drift(mine, 0.9, 99);
    hot_code_make(&code, mine);

    const library searched = library_of(&f);
    assert_int_equal(search_index_leaders(&hits, &count, searched.index, &code, 4, 1, NULL),
                     WEIR_OK);

    assert_true(count > 0);
    assert_int_equal(hits[0].entry, 13);
    free(hits);
    fingerprint_free(mine);
    end(&f);
}

static void the_index_follows_every_change(void **unused) {
    (void)unused;
    fixture f = begin();
    const uint64_t first = add(&f, "one", 1);
    assert_int_equal(library_of(&f).entry_count, 1);
    add(&f, "two", 2);
    assert_int_equal(library_of(&f).entry_count, 2);
    assert_int_equal(weir_registry_remove(f.registry, first, "wrong", NULL), WEIR_OK);
    assert_int_equal(library_of(&f).entry_count, 1);
    end(&f);
}

static void the_index_of_an_emptied_registry_is_empty(void **unused) {
    (void)unused;
    fixture f = begin();
    const uint64_t first = add(&f, "one", 1);
    assert_int_equal(weir_registry_remove(f.registry, first, "wrong", NULL), WEIR_OK);
    assert_int_equal(library_of(&f).entry_count, 0);
    end(&f);
}

/* A registry begun anew counts through the same generations as the one whose index lies there. */
static void the_index_of_another_registry_is_not_used(void **unused) {
    (void)unused;
    fixture f = begin();
    const weir_registry_options options = {.create = true};
    library_entry entry;
    add(&f, "one", 1);
    (void)library_of(&f);
    weir_registry_free(f.registry);
    assert_int_equal(unlink(f.spot.path), 0);
    assert_int_equal(weir_registry_open(&f.registry, f.spot.path, &options, NULL), WEIR_OK);
    add(&f, "another", 2);
    hot_code code;
    search_hit *hits = NULL;
    size_t count = 0;
    fingerprint *mine = sketch_new(3, 2);
    hot_code_make(&code, mine);

    const library searched = library_of(&f);
    assert_int_equal(search_index_leaders(&hits, &count, searched.index, &code, 1, 1, NULL),
                     WEIR_OK);

    assert_int_equal(count, 1);
    assert_true(hits[0].unit_score > 20); /* it is the code of the new one */
    assert_int_equal(searched.fetch(searched.context, hits[0].entry, &entry, NULL), WEIR_OK);
    assert_string_equal(entry.name, "another");
    free(hits);
    fingerprint_free(mine);
    end(&f);
}

static void a_damaged_index_is_told_and_made_again(void **unused) {
    (void)unused;
    fixture f = begin();
    char index[2 * PATH_BYTES];
    struct stat info;
    weir_registry_listing *listing = NULL;
    add(&f, "one", 1);
    (void)library_of(&f);
    beside(index, &f, "registry.db.idx");
    assert_int_equal(stat(index, &info), 0);
    const int fd = open(index, O_WRONLY | O_CLOEXEC);
    assert_int_equal(pwrite(fd, "\x5a\x5a\x5a", 3, info.st_size / 2), 3);
    (void)close(fd);

    assert_int_equal(weir_registry_verify(&listing, f.registry, NULL, NULL), WEIR_OK);
    assert_int_equal(weir_registry_listing_problem_count(listing), 1);
    weir_registry_listing_free(listing);
    assert_int_equal(library_of(&f).entry_count, 1);
    assert_int_equal(weir_registry_verify(&listing, f.registry, NULL, NULL), WEIR_OK);
    assert_int_equal(weir_registry_listing_problem_count(listing), 0);
    weir_registry_listing_free(listing);
    end(&f);
}

/* A folder where the index should be stands for a place that cannot be written. */
static void an_index_that_cannot_lie_beside_is_made_elsewhere(void **unused) {
    (void)unused;
    fixture f = begin();
    char index[2 * PATH_BYTES];
    add(&f, "one", 1);
    beside(index, &f, "registry.db.idx");
    assert_int_equal(mkdir(index, 0700), 0);

    assert_int_equal(library_of(&f).entry_count, 1);

    assert_int_equal(rmdir(index), 0);
    end(&f);
}

static void a_missing_registry_is_an_empty_library(void **unused) {
    (void)unused;
    test_place spot;
    weir_registry *registry = NULL;
    weir_error err = {0};
    library searched;
    uint64_t row = 0;
    make_place(&spot);

    assert_int_equal(weir_registry_open(&registry, spot.path, NULL, NULL), WEIR_OK);

    assert_false(weir_registry_exists(registry));
    assert_int_equal(registry_library(&searched, registry, NULL), WEIR_OK);
    assert_int_equal(searched.entry_count, 0);
    assert_int_equal(weir_registry_add(&row, NULL, registry, "x.weirfp", NULL, &err), WEIR_ERR_IO);
    weir_registry_free(registry);
    remove_place(&spot);
}

static void a_hot_code_survives_its_bytes(void **unused) {
    (void)unused;
    fingerprint *sketch = sketch_new(3, 5);
    uint8_t bytes[STORE_HOT_BYTES];
    hot_code made;
    hot_code read;
    sketch_give_tokens(sketch);
    hot_code_make(&made, sketch);

    registry_hot_bytes(bytes, &made);
    registry_hot_code(&read, bytes);

    assert_memory_equal(read.unit, made.unit, sizeof made.unit);
    assert_memory_equal(read.token, made.token, sizeof made.token);
    assert_int_equal(read.hidden, 256);
    assert_true(made.has_unit && made.has_gate && made.has_token);
    assert_true(read.has_unit && read.has_gate && read.has_token);
    fingerprint_free(sketch);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_imported_fingerprint_is_called_by_its_file),
        cmocka_unit_test(what_is_exported_is_what_was_imported),
        cmocka_unit_test(a_damaged_fingerprint_file_is_refused),
        cmocka_unit_test(a_model_without_units_to_find_it_by_is_refused),
        cmocka_unit_test(a_taken_name_is_refused_with_what_to_do),
        cmocka_unit_test(an_entry_is_found_by_name_before_number_and_id),
        cmocka_unit_test(a_search_fetches_what_was_added),
        cmocka_unit_test(the_nearest_leader_is_the_model_itself),
        cmocka_unit_test(the_index_follows_every_change),
        cmocka_unit_test(the_index_of_an_emptied_registry_is_empty),
        cmocka_unit_test(the_index_of_another_registry_is_not_used),
        cmocka_unit_test(a_damaged_index_is_told_and_made_again),
        cmocka_unit_test(an_index_that_cannot_lie_beside_is_made_elsewhere),
        cmocka_unit_test(a_missing_registry_is_an_empty_library),
        cmocka_unit_test(a_hot_code_survives_its_bytes),
    };
    return cmocka_run_group_tests_name("registry", tests, NULL, NULL);
}
