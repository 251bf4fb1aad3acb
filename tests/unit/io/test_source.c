/* SPDX-License-Identifier: Apache-2.0 */
#include "../testing.h"

#include <stdbool.h>
#include <stdlib.h>

#include "io/source.h"

enum { SIZE = 1 << 16 };

static unsigned char bytes[SIZE];

static weir_source *open_bytes(void) {
    weir_source *source = NULL;
    assert_int_equal(weir_source_open_memory(&source, bytes, SIZE, "bytes", NULL), WEIR_OK);
    return source;
}

static void read_range(weir_source *source, uint64_t offset, size_t len) {
    static unsigned char out[SIZE];
    assert_int_equal(weir_source_read(source, offset, out, len, NULL), WEIR_OK);
}

static void nobody_asked_and_nothing_is_kept(void **state) {
    (void)state;
    weir_source *source = open_bytes();
    source_range *ranges = NULL;
    size_t count = 9;
    read_range(source, 0, 10);

    assert_int_equal(source_kept_ranges(&ranges, &count, source, NULL), WEIR_OK);

    assert_null(ranges);
    assert_int_equal(count, 0);
    weir_source_free(source);
}

static void ranges_come_in_order_with_overlaps_and_neighbours_joined(void **state) {
    (void)state;
    weir_source *source = open_bytes();
    source_range *ranges = NULL;
    size_t count = 0;
    read_range(source, 5000, 10); /* before anybody asked */
    assert_int_equal(source_keep_ranges(source, NULL), WEIR_OK);
    read_range(source, 100, 50);
    read_range(source, 10, 20);
    read_range(source, 120, 100);
    read_range(source, 30, 5);
    read_range(source, 110, 2);
    read_range(source, 7, 0);
    assert_int_equal(weir_source_read(source, SIZE, bytes, 1, NULL), WEIR_ERR_FORMAT);

    assert_int_equal(source_kept_ranges(&ranges, &count, source, NULL), WEIR_OK);

    assert_int_equal(count, 2);
    assert_int_equal(ranges[0].offset, 10);
    assert_int_equal(ranges[0].bytes, 25);
    assert_int_equal(ranges[1].offset, 100);
    assert_int_equal(ranges[1].bytes, 120);
    free(ranges);
    weir_source_free(source);
}

/* Against a map of every byte. */
static void many_ranges_from_several_threads_are_all_kept(void **state) {
    (void)state;
    static bool is_read[SIZE];
    weir_source *source = open_bytes();
    source_range *ranges = NULL;
    size_t count = 0;
    assert_int_equal(source_keep_ranges(source, NULL), WEIR_OK);
#pragma omp parallel for num_threads(4)
    for (size_t i = 0; i < 20000; i++) {
        unsigned char out[4];
        const uint64_t offset = i * 40503 % (SIZE - 4);
        const size_t len = 1 + i % 4;
        (void)weir_source_read(source, offset, out, len, NULL);
    }
    for (size_t i = 0; i < 20000; i++) {
        for (size_t b = 0; b < 1 + i % 4; b++) {
            is_read[i * 40503 % (SIZE - 4) + b] = true;
        }
    }

    assert_int_equal(source_kept_ranges(&ranges, &count, source, NULL), WEIR_OK);

    size_t range = 0;
    for (size_t i = 0; i < SIZE; i++) {
        while (range < count && i >= ranges[range].offset + ranges[range].bytes) {
            range++;
        }
        assert_int_equal(is_read[i], range < count && i >= ranges[range].offset);
    }
    free(ranges);
    weir_source_free(source);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(nobody_asked_and_nothing_is_kept),
        cmocka_unit_test(ranges_come_in_order_with_overlaps_and_neighbours_joined),
        cmocka_unit_test(many_ranges_from_several_threads_are_all_kept),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
