/* SPDX-License-Identifier: Apache-2.0 */
#include "../testing.h"

#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/limits.h"
#include "io/folder.h"

/* A folder of its own for each test, gone afterwards. */
static int make_place(void **state) {
    static char path[64];
    (void)snprintf(path, sizeof path, "/tmp/weir-folder-XXXXXX");
    *state = mkdtemp(path);
    return *state && chdir(path) == 0 ? 0 : -1;
}

static int remove_one(const char *path, const struct stat *info, int kind, struct FTW *place) {
    (void)info;
    (void)kind;
    (void)place;
    return remove(path);
}

static int remove_place(void **state) {
    return chdir("/") == 0 ? nftw(*state, remove_one, 8, FTW_DEPTH | FTW_PHYS) : -1;
}

static void write_file(const char *path, const char *text) {
    FILE *file = fopen(path, "w");
    assert_non_null(file);
    assert_int_equal(fputs(text, file) >= 0 && fclose(file) == 0, 1);
}

static folder list_here(void) {
    folder list = {0};
    WEIR_CLEANUP(close) int here = open(".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    weir_error err = {0};
    if (folder_list(&list, here, "here", &err) != WEIR_OK) {
        fail_msg("%s %s", err.at, err.found);
    }
    return list;
}

static const folder_entry *find(const folder *list, const char *path) {
    for (size_t i = 0; i < list->count; i++) {
        if (strcmp(list->items[i].path, path) == 0) {
            return &list->items[i];
        }
    }
    fail_msg("%s is not listed", path);
    return NULL;
}

static void files_are_listed_sorted_with_their_sizes(void **state) {
    (void)state;
    write_file("b", "12");
    assert_int_equal(mkdir("a", 0700), 0);
    write_file("a/z", "");
    write_file("a-b", "1");
    assert_int_equal(mkdir(".git", 0700), 0);
    write_file(".git/config", "x");

    WEIR_CLEANUP(folder_release) folder list = list_here();

    assert_int_equal(list.count, 3);
    assert_string_equal(list.items[0].path, "a-b");
    assert_string_equal(list.items[1].path, "a/z");
    assert_string_equal(list.items[2].path, "b");
    assert_int_equal(list.items[2].bytes, 2);
    assert_null(list.items[2].problem);
}

static void a_link_to_a_file_is_the_file(void **state) {
    (void)state;
    assert_int_equal(mkdir("blobs", 0700), 0);
    write_file("blobs/0123", "text");
    assert_int_equal(symlink("blobs/0123", "config.json"), 0);

    WEIR_CLEANUP(folder_release) folder list = list_here();

    assert_int_equal(find(&list, "config.json")->bytes, 4);
    assert_null(find(&list, "config.json")->problem);
}

static void what_is_not_a_file_is_listed_with_the_reason(void **state) {
    (void)state;
    assert_int_equal(mkdir("inner", 0700), 0);
    assert_int_equal(symlink("loop", "loop"), 0);
    assert_int_equal(symlink("..", "inner/up"), 0);
    assert_int_equal(symlink("nowhere", "dangling"), 0);
    assert_int_equal(mkfifo("pipe", 0600), 0);

    WEIR_CLEANUP(folder_release) folder list = list_here();

    assert_int_equal(list.count, 4);
    assert_string_equal(find(&list, "loop")->problem, "a loop of symbolic links");
    assert_string_equal(find(&list, "inner/up")->problem,
                        "a link to a folder, which is not followed");
    assert_string_equal(find(&list, "dangling")->problem, "a symbolic link to nothing");
    assert_string_equal(find(&list, "pipe")->problem, "a pipe");
}

static void nesting_is_limited(void **state) {
    (void)state;
    char path[FOLDER_DEPTH_MAX * 2 + 8] = "d";
    for (int depth = 1; depth <= FOLDER_DEPTH_MAX + 1; depth++) {
        assert_int_equal(mkdir(path, 0700), 0);
        strcat(path, "/d");
    }

    WEIR_CLEANUP(folder_release) folder list = list_here();

    assert_int_equal(list.count, 1);
    assert_string_equal(list.items[0].problem, "a folder nested deeper than 16");
}

static void a_name_that_is_not_text_is_kept_as_it_is(void **state) {
    (void)state;
    write_file("\xff\x1b[2J", "x");

    WEIR_CLEANUP(folder_release) folder list = list_here();

    assert_int_equal(find(&list, "\xff\x1b[2J")->bytes, 1);
}

static void an_unreadable_folder_is_one_entry(void **state) {
    (void)state;
    assert_int_equal(mkdir("closed", 0), 0);
    const uid_t self = geteuid();
    enum { NOBODY = 65534 }; /* nothing is closed to root, so root becomes someone else */
    assert_int_equal(chmod(".", 0755), 0);
    assert_int_equal(self == 0 ? seteuid(NOBODY) : 0, 0);

    WEIR_CLEANUP(folder_release) folder list = list_here();

    assert_int_equal(self == 0 ? seteuid(0) : 0, 0);
    assert_string_equal(find(&list, "closed")->problem, "not permitted to read");
}

static void a_file_instead_of_a_folder_is_an_error(void **state) {
    (void)state;
    write_file("file", "x");
    WEIR_CLEANUP(close) int file = open("file", O_RDONLY | O_CLOEXEC);
    folder list = {0};
    weir_error err = {0};

    assert_int_equal(folder_list(&list, file, "file", &err), WEIR_ERR_IO);

    assert_string_equal(err.file, "file");
    assert_string_equal(err.found, strerror(ENOTDIR));
}

#define in_a_place(test) cmocka_unit_test_setup_teardown(test, make_place, remove_place)

int main(void) {
    const struct CMUnitTest tests[] = {
        in_a_place(files_are_listed_sorted_with_their_sizes),
        in_a_place(a_link_to_a_file_is_the_file),
        in_a_place(what_is_not_a_file_is_listed_with_the_reason),
        in_a_place(nesting_is_limited),
        in_a_place(a_name_that_is_not_text_is_kept_as_it_is),
        in_a_place(an_unreadable_folder_is_one_entry),
        in_a_place(a_file_instead_of_a_folder_is_an_error),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
