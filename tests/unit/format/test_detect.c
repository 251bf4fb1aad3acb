/* SPDX-License-Identifier: Apache-2.0 */
#include "opened.h"

#include "format/detect.h"

typedef struct sample {
    const char *name;
    const char *bytes;
    size_t len;
    const char *format;
} sample;

#define SAMPLE(name, bytes, format)                                                                \
    { name, bytes, sizeof bytes - 1, format }

static detection detect(const sample *row) {
    WEIR_CLEANUP(weir_source_free) weir_source *source = NULL;
    detection found;
    assert_int_equal(weir_source_open_memory(&source, row->bytes, row->len, row->name, NULL),
                     WEIR_OK);
    assert_int_equal(detect_format(&found, source, NULL), WEIR_OK);
    return found;
}

static void assert_formats(const sample *rows, size_t count) {
    for (size_t i = 0; i < count; i++) {
        const detection found = detect(&rows[i]);
        if (strcmp(found.format, rows[i].format) != 0) {
            fail_msg("%s, row %zu, is %s, not %s", rows[i].name, i, found.format, rows[i].format);
        }
    }
}

static void content_tells_what_a_file_is(void **state) {
    (void)state;
    static const sample rows[] = {
        SAMPLE("a", "GGUF\3\0\0\0", "gguf"),
        SAMPLE("a", "\x02\0\0\0\0\0\0\0{}", "safetensors"),
        SAMPLE("a", "\x93NUMPY\1\0v\0{", "npy"),
        SAMPLE("a", "\x89HDF\r\n\x1a\n", "hdf5"),
        SAMPLE("a", "\x1c\0\0\0TFL3", "tflite"),
        SAMPLE("a", "7z\xBC\xAF\x27\x1C", "7z"),
        SAMPLE("a", "Rar!\x1A\x07\x01\0", "rar"),
        SAMPLE("a", "\x1F\x8B\x08\0", "gzip"),
        SAMPLE("a", "\x80\x04\x95\x0b\0\0\0\0\0\0\0]", "pickle"),
        SAMPLE("a", "\x80\x02}q\0.", "pickle"),
        SAMPLE("a", "cos\nsystem\n(S'x'\ntR.", "pickle"),
        SAMPLE("a", "PK\x03\x04\x14\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\x05\0\0\0a.txt",
               "zip"),
        SAMPLE("a", "PK\x03\x04\x14\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\x0a\0\0\0m/data.pkl",
               "torch-zip"),
        SAMPLE("a", "PK\x03\x04\x14\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\x05\0\0\0x.npy",
               "npz"),
        SAMPLE("a",
               "\x7F"
               "ELF\2\1\1",
               "elf"),
        SAMPLE("a", "\xCF\xFA\xED\xFE\7\0\0\1", "mach-o"),
        SAMPLE("a", "\xCA\xFE\xBA\xBE\0\0\0\2", "mach-o"),
        SAMPLE("a", "\xCA\xFE\xBA\xBE\0\0\0\x34", "unknown"),
        SAMPLE("a", "\x08\x07\x12\x07pytorch", "onnx"),
        SAMPLE("a", "\x0A\x0E\x0A\x05<unk>\x15\0\0\0\0\x18\2", "sentencepiece"),
        SAMPLE("a", "\x89PNG\r\n\x1a\n", "image"),
        SAMPLE("a", "%PDF-1.7", "pdf"),
        SAMPLE("a", "#!/usr/bin/env python3\n", "python"),
        SAMPLE("a", "#!/bin/sh\n", "shell"),
        SAMPLE("a", "{\"a\": 1}", "json"),
        SAMPLE("a", "{% if a %}", "text"),
        SAMPLE("a", "plain words\n", "text"),
        SAMPLE("a", "caf\xC3\xA9", "text"),
        SAMPLE("a", "caf\xC3", "unknown"),
        SAMPLE("a", "\x01\x02\xff\xfe", "unknown"),
        SAMPLE("a", "", "unknown"),
    };
    assert_formats(rows, sizeof rows / sizeof *rows);
}

static void a_name_tells_what_content_leaves_open(void **state) {
    (void)state;
    static const sample rows[] = {
        SAMPLE("config.json", "{}", "config"),
        SAMPLE("sub/config.json", "{}", "config"),
        SAMPLE("my_config.json", "{}", "json"),
        SAMPLE("model.safetensors.index.json", "{}", "safetensors-index"),
        SAMPLE("pytorch_model.bin.index.json", "{}", "torch-index"),
        SAMPLE("x.safetensors", "no header", "safetensors"),
        SAMPLE("x.gguf", "", "gguf"),
        SAMPLE("x.SAFETENSORS", "no header", "safetensors"),
        SAMPLE("README.md", "# x", "card"),
        SAMPLE("notes.md", "# x", "text"),
        SAMPLE("LICENSE", "words", "text"),
        SAMPLE("modeling.py", "import os\n", "python"),
        SAMPLE("m.pkl", "(dp0\n.", "pickle"),
        SAMPLE("m.onnx", "\xff\xfe", "onnx"),
        SAMPLE("m.bin", "\xff\xfe", "unknown"),
        SAMPLE("saved_model.pb", "\x12\x12", "tensorflow"),
        SAMPLE("model.safetensors", "version https://git-lfs.github.com/spec/v1\noid sha256:0\n",
               "git-lfs-pointer"),
    };
    assert_formats(rows, sizeof rows / sizeof *rows);
}

static void a_header_length_that_looks_like_a_magic_is_safetensors(void **state) {
    (void)state;
    char bytes[8 + 640] = "\x80\x02\0\0\0\0\0\0{"; /* 640: a pickle of protocol 2 begins so too */
    memset(bytes + 9, ' ', sizeof bytes - 9);
    const sample row = {"model.safetensors", bytes, sizeof bytes, "safetensors"};
    assert_formats(&row, 1);
}

static void a_name_that_hides_its_content_is_suspicious(void **state) {
    (void)state;
    static const sample rows[] = {
        SAMPLE("model.safetensors", "\x80\x02}q\0.", "pickle"),
        SAMPLE("config.json", "\x80\x04\x95\x0b\0\0\0\0\0\0\0]", "pickle"),
        SAMPLE("model.gguf", "PK\x03\x04", "zip"),
        SAMPLE("pytorch_model.bin", "7z\xBC\xAF\x27\x1C", "7z"),
        SAMPLE("weights.bin",
               "\x7F"
               "ELF\2\1\1",
               "elf"),
        SAMPLE("tool",
               "\x7F"
               "ELF\2\1\1",
               "elf"),
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        WEIR_CLEANUP(opened_release)
        opened file = open_bytes(rows[i].name, rows[i].bytes, rows[i].len);
        assert_file(&file, rows[i].format, WEIR_VERDICT_SUSPICIOUS);
    }
}

static void honest_names_are_not_accused(void **state) {
    (void)state;
    static const sample rows[] = {
        SAMPLE("pytorch_model.bin", "PK\x03\x04", "torch-zip"),
        SAMPLE("m.pt", "\x80\x02}q\0.", "pickle"),
        SAMPLE("m.pkl", "\x1F\x8B\x08\0", "gzip"),
        SAMPLE("m.bin", "GGUF", "gguf"),
        SAMPLE("image.jpg", "\x89PNG\r\n\x1a\n", "image"),
        SAMPLE("run.txt", "#!/bin/sh\n", "shell"),
        SAMPLE("pets.txt", "cat\ndog\nfox\n", "text"),
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        const detection found = detect(&rows[i]);
        assert_null(found.pretends);
        assert_false(found.is_program);
        assert_string_equal(found.format, rows[i].format);
    }
}

static void a_llamafile_is_no_stray_program(void **state) {
    (void)state;
    static const sample rows[] = {
        SAMPLE("m.llamafile", "MZqFpD='\n.... PK\x01\x02 model.gguf PK\x05\x06", "llamafile"),
        SAMPLE("m.llamafile", "MZqFpD='\n.... PK\x01\x02 readme PK\x05\x06", "ape"),
    };
    assert_formats(rows, 2);
    assert_false(detect(&rows[0]).is_program);
    assert_true(detect(&rows[1]).is_program);
}

static void what_weir_has_no_rules_for_is_never_clean(void **state) {
    (void)state;
    static const char *const names[] = {"a.pkl", "a.pt", "a.onnx", "a.h5",   "a.npy", "a.json",
                                        "a.txt", "a.py", "a.sh",   "a.yaml", "a",     "a.model"};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        WEIR_CLEANUP(opened_release) opened file = open_text(names[i], "{\"a\": 1}");
        assert_int_equal(file.model->files[0].verdict, WEIR_VERDICT_NOT_ANALYSED);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(content_tells_what_a_file_is),
        cmocka_unit_test(a_name_tells_what_content_leaves_open),
        cmocka_unit_test(a_header_length_that_looks_like_a_magic_is_safetensors),
        cmocka_unit_test(a_name_that_hides_its_content_is_suspicious),
        cmocka_unit_test(honest_names_are_not_accused),
        cmocka_unit_test(a_llamafile_is_no_stray_program),
        cmocka_unit_test(what_weir_has_no_rules_for_is_never_clean),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
