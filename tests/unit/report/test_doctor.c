/* SPDX-License-Identifier: Apache-2.0 */
#include "../testing.h"

#include <stdlib.h>
#include <unistd.h>

#include "weir/doctor.h"
#include "weir/system.h"

/* @return the report; release with free(). */
static char *report(bool json, const weir_sandbox_level *level) {
    char *text = NULL;
    size_t len = 0;
    FILE *stream = open_memstream(&text, &len);
    assert_non_null(stream);
    assert_int_equal(weir_doctor_report(stream, json, level, NULL), WEIR_OK);
    assert_int_equal(fclose(stream), 0);
    return text;
}

static void the_person_is_told_what_holds(void **state) {
    (void)state;
    const weir_sandbox_level part = {.landlock_abi = 3, .seccomp = true, .no_new_privs = true};

    char *text = report(/* json= */ false, &part);

    assert_non_null(strstr(text, "holds now     files by Landlock ABI 3; system calls filtered"));
    assert_non_null(strstr(text, "only part of the restriction"));
    free(text);
}

static void the_json_says_null_when_nothing_was_restricted(void **state) {
    (void)state;

    char *text = report(/* json= */ true, NULL);

    assert_non_null(strstr(text, "\"schema\": \"weir.doctor/1\""));
    assert_non_null(strstr(text, "\"holds\": null"));
    free(text);
}

static void no_host_name_is_in_the_report(void **state) {
    (void)state;
    char host[256] = {0};
    assert_int_equal(gethostname(host, sizeof host - 1), 0);
    char *text = report(/* json= */ true, NULL);
    assert_null(strchr(text, '@'));
    assert_true(strlen(host) < 8 || !strstr(text, host));
    free(text);
}

static void the_simd_level_in_use_is_left_as_it_was(void **state) {
    (void)state;
    const weir_simd before = weir_simd_level();
    free(report(/* json= */ false, NULL));
    assert_int_equal(weir_simd_level(), before);
}

static void a_full_stream_is_an_error(void **state) {
    (void)state;
    FILE *full = fopen("/dev/full", "w");
    if (!full) {
        skip();
    }
    weir_error err = {0};
    assert_int_equal(weir_doctor_report(full, /* json= */ false, NULL, &err), WEIR_ERR_IO);
    assert_int_equal(weir_doctor_report(full, /* json= */ true, NULL, &err), WEIR_ERR_IO);
    (void)fclose(full);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_person_is_told_what_holds),
        cmocka_unit_test(the_json_says_null_when_nothing_was_restricted),
        cmocka_unit_test(no_host_name_is_in_the_report),
        cmocka_unit_test(the_simd_level_in_use_is_left_as_it_was),
        cmocka_unit_test(a_full_stream_is_an_error),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
