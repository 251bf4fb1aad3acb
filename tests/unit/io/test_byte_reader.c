/* SPDX-License-Identifier: Apache-2.0 */
#include "testing.h"

#include <stdlib.h>

#include "io/byte_reader.h"

static const unsigned char SMALL[] = {0x01, 0x02, 0x03, 0x04, 0x05, 0x06, 0x07, 0x08,
                                      0x00, 0x00, 0xc0, 0x3f, /* 1.5f */
                                      0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x04, 0xc0 /* -2.5 */};

static weir_source *open_bytes(const void *bytes, size_t size) {
    weir_source *source = NULL;
    assert_int_equal(weir_source_open_memory(&source, bytes, size, "f.bin", NULL), WEIR_OK);
    return source;
}

static void numbers_are_little_endian(void **state) {
    (void)state;
    weir_source *source = open_bytes(SMALL, sizeof SMALL);
    byte_reader reader;
    assert_int_equal(byte_reader_init(&reader, source, 1, sizeof SMALL, NULL), WEIR_OK);
    uint8_t u8;
    uint16_t u16;
    uint32_t u32;
    float f32;
    double f64;

    assert_int_equal(byte_reader_u8(&u8, &reader, "a", NULL), WEIR_OK);
    assert_int_equal(byte_reader_u16(&u16, &reader, "b", NULL), WEIR_OK);
    assert_int_equal(byte_reader_u32(&u32, &reader, "c", NULL), WEIR_OK);
    assert_int_equal(byte_reader_f32(&f32, &reader, "d", NULL), WEIR_OK);
    assert_int_equal(byte_reader_f64(&f64, &reader, "e", NULL), WEIR_OK);

    assert_int_equal(u8, 0x02);
    assert_int_equal(u16, 0x0403);
    assert_int_equal(u32, 0x08070605);
    assert_true(f32 == 1.5f);
    assert_true(f64 == -2.5);
    assert_int_equal(byte_reader_left(&reader), 0);
    byte_reader_release(&reader);
    weir_source_free(source);
}

static void u64_takes_eight_bytes(void **state) {
    (void)state;
    weir_source *source = open_bytes(SMALL, sizeof SMALL);
    byte_reader reader;
    assert_int_equal(byte_reader_init(&reader, source, 0, 8, NULL), WEIR_OK);
    uint64_t u64;

    assert_int_equal(byte_reader_u64(&u64, &reader, "a", NULL), WEIR_OK);

    assert_true(u64 == 0x0807060504030201u);
    byte_reader_release(&reader);
    weir_source_free(source);
}

static void a_read_past_the_end_says_where_and_leaves_the_cursor(void **state) {
    (void)state;
    weir_source *source = open_bytes(SMALL, sizeof SMALL);
    byte_reader reader;
    weir_error err = {0};
    assert_int_equal(byte_reader_init(&reader, source, 2, 5, NULL), WEIR_OK);
    uint32_t u32 = 77;
    uint16_t u16;

    assert_int_equal(byte_reader_u32(&u32, &reader, "the count", &err), WEIR_ERR_FORMAT);

    assert_int_equal(u32, 77);
    assert_string_equal(err.file, "f.bin");
    assert_string_equal(err.at, "byte 2");
    assert_string_equal(err.expected, "4 bytes of the count");
    assert_string_equal(err.found, "3 bytes before the end");
    assert_int_equal(byte_reader_offset(&reader), 2);
    assert_int_equal(byte_reader_u16(&u16, &reader, "a", NULL), WEIR_OK);
    assert_int_equal(u16, 0x0403);
    byte_reader_release(&reader);
    weir_source_free(source);
}

static void every_way_of_reading_stops_at_the_end(void **state) {
    (void)state;
    weir_source *source = open_bytes(SMALL, sizeof SMALL);
    byte_reader reader;
    assert_int_equal(byte_reader_init(&reader, source, 0, 0, NULL), WEIR_OK);
    uint8_t u8;
    const char *view;
    char copy[1];

    assert_int_equal(byte_reader_u8(&u8, &reader, "a", NULL), WEIR_ERR_FORMAT);
    assert_int_equal(byte_reader_view(&view, &reader, 1, "a", NULL), WEIR_ERR_FORMAT);
    assert_int_equal(byte_reader_copy(copy, &reader, 1, "a", NULL), WEIR_ERR_FORMAT);
    assert_int_equal(byte_reader_skip(&reader, UINT64_MAX, "a", NULL), WEIR_ERR_FORMAT);
    assert_int_equal(byte_reader_skip(&reader, 0, "a", NULL), WEIR_OK);
    byte_reader_release(&reader);
    weir_source_free(source);
}

static void a_range_outside_the_source_is_refused(void **state) {
    (void)state;
    weir_source *source = open_bytes(SMALL, sizeof SMALL);
    byte_reader reader;

    assert_int_equal(byte_reader_init(&reader, source, 0, sizeof SMALL + 1, NULL), WEIR_ERR_FORMAT);
    assert_int_equal(byte_reader_init(&reader, source, 3, 2, NULL), WEIR_ERR_FORMAT);

    weir_source_free(source);
}

static void reading_across_the_buffer_sees_the_same_bytes(void **state) {
    (void)state;
    enum { SIZE = 3 * BYTE_READER_VIEW_MAX + 11 };
    unsigned char *bytes = malloc(SIZE);
    unsigned char *copy = malloc(SIZE);
    for (size_t i = 0; i < SIZE; i++) {
        bytes[i] = (unsigned char)(i * 131 >> 3);
    }
    weir_source *source = open_bytes(bytes, SIZE);
    byte_reader reader;
    assert_int_equal(byte_reader_init(&reader, source, 0, SIZE, NULL), WEIR_OK);

    size_t at = 0;
    for (size_t step = 1; at + 2 * step < SIZE; step = step * 3 % 40009 + 1) {
        const char *view;
        assert_int_equal(byte_reader_view(&view, &reader, step, "a", NULL), WEIR_OK);
        assert_memory_equal(view, bytes + at, step);
        at += step;
        assert_int_equal(byte_reader_copy(copy, &reader, step, "a", NULL), WEIR_OK);
        assert_memory_equal(copy, bytes + at, step);
        at += step;
        assert_int_equal(byte_reader_offset(&reader), at);
    }
    assert_int_equal(byte_reader_copy(copy, &reader, SIZE - at, "a", NULL), WEIR_OK);
    assert_memory_equal(copy, bytes + at, SIZE - at);

    byte_reader_release(&reader);
    weir_source_free(source);
    free(copy);
    free(bytes);
}

static void what_is_skipped_is_not_read(void **state) {
    (void)state;
    enum { SIZE = 4 * BYTE_READER_VIEW_MAX };
    unsigned char *bytes = calloc(1, SIZE);
    bytes[SIZE - 1] = 9;
    weir_source *source = open_bytes(bytes, SIZE);
    byte_reader reader;
    uint8_t u8;
    assert_int_equal(byte_reader_init(&reader, source, 0, SIZE, NULL), WEIR_OK);

    assert_int_equal(byte_reader_u8(&u8, &reader, "a", NULL), WEIR_OK);
    assert_int_equal(byte_reader_skip(&reader, SIZE - 2, "a", NULL), WEIR_OK);
    assert_int_equal(byte_reader_u8(&u8, &reader, "a", NULL), WEIR_OK);

    assert_int_equal(u8, 9);
    assert_int_equal(weir_source_bytes_read(source), BYTE_READER_VIEW_MAX + 1);
    byte_reader_release(&reader);
    weir_source_free(source);
    free(bytes);
}

static void a_view_over_the_buffer_is_a_limit(void **state) {
    (void)state;
    enum { SIZE = BYTE_READER_VIEW_MAX + 1 };
    unsigned char *bytes = calloc(1, SIZE);
    weir_source *source = open_bytes(bytes, SIZE);
    byte_reader reader;
    const char *view;
    assert_int_equal(byte_reader_init(&reader, source, 0, SIZE, NULL), WEIR_OK);

    assert_int_equal(byte_reader_view(&view, &reader, SIZE, "a", NULL), WEIR_ERR_LIMIT);
    assert_int_equal(byte_reader_view(&view, &reader, SIZE - 1, "a", NULL), WEIR_OK);

    byte_reader_release(&reader);
    weir_source_free(source);
    free(bytes);
}

static weir_code break_down(void *context, uint64_t offset, void *out, size_t len,
                            weir_error *err) {
    (void)context, (void)offset, (void)out, (void)len, (void)err;
    return WEIR_ERR_IO;
}

static void a_source_that_fails_is_passed_on(void **state) {
    (void)state;
    weir_source *source = NULL;
    const weir_source_ops ops = {.read_at = break_down};
    assert_int_equal(weir_source_open_custom(&source, &ops, NULL, 100, "f", NULL), WEIR_OK);
    byte_reader reader;
    uint64_t u64;
    char copy[50];
    assert_int_equal(byte_reader_init(&reader, source, 0, 100, NULL), WEIR_OK);

    assert_int_equal(byte_reader_u64(&u64, &reader, "a", NULL), WEIR_ERR_IO);
    assert_int_equal(byte_reader_copy(copy, &reader, 50, "a", NULL), WEIR_ERR_IO);

    byte_reader_release(&reader);
    weir_source_free(source);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(numbers_are_little_endian),
        cmocka_unit_test(u64_takes_eight_bytes),
        cmocka_unit_test(a_read_past_the_end_says_where_and_leaves_the_cursor),
        cmocka_unit_test(every_way_of_reading_stops_at_the_end),
        cmocka_unit_test(a_range_outside_the_source_is_refused),
        cmocka_unit_test(reading_across_the_buffer_sees_the_same_bytes),
        cmocka_unit_test(what_is_skipped_is_not_read),
        cmocka_unit_test(a_view_over_the_buffer_is_a_limit),
        cmocka_unit_test(a_source_that_fails_is_passed_on),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
