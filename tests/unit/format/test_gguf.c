/* SPDX-License-Identifier: Apache-2.0 */
#include "testing.h"

#include <fcntl.h>
#include <stdlib.h>

#include "base/findings.h"
#include "format/gguf.h"
#include "io/digest.h"

/* ---- a writer as small as the format allows ---- */

enum { U8, I8, U16, I16, U32, I32, F32, BOOL, STRING, ARRAY, U64, I64, F64 };
enum { TYPE_F32 = 0, TYPE_Q8_0 = 8, TYPE_Q4_K = 12 };

typedef struct writer {
    unsigned char bytes[1 << 16];
    size_t len;
} writer;

static void put(writer *out, uint64_t value, size_t size) {
    for (size_t i = 0; i < size; i++) {
        out->bytes[out->len++] = (unsigned char)(value >> (8 * i));
    }
}

static void put_bytes(writer *out, const void *bytes, size_t len) {
    memcpy(out->bytes + out->len, bytes, len);
    out->len += len;
}

static void put_text(writer *out, const char *text) {
    put(out, strlen(text), 8);
    put_bytes(out, text, strlen(text));
}

static void put_header(writer *out, uint64_t tensors, uint64_t pairs) {
    out->len = 0;
    put_bytes(out, "GGUF", 4);
    put(out, 3, 4);
    put(out, tensors, 8);
    put(out, pairs, 8);
}

static void put_pair(writer *out, const char *key, uint32_t type) {
    put_text(out, key);
    put(out, type, 4);
}

static void put_text_pair(writer *out, const char *key, const char *value) {
    put_pair(out, key, STRING);
    put_text(out, value);
}

static void put_u32_pair(writer *out, const char *key, uint32_t value) {
    put_pair(out, key, U32);
    put(out, value, 4);
}

static void put_array(writer *out, const char *key, uint32_t type, uint64_t count) {
    put_pair(out, key, ARRAY);
    put(out, type, 4);
    put(out, count, 8);
}

static void put_info(writer *out, const char *name, uint32_t rank, const uint64_t *dims,
                     uint32_t type, uint64_t offset) {
    put_text(out, name);
    put(out, rank, 4);
    for (uint32_t i = 0; i < rank; i++) {
        put(out, dims[i], 8);
    }
    put(out, type, 4);
    put(out, offset, 8);
}

static void put_padding(writer *out, size_t alignment) {
    while (out->len % alignment != 0) {
        out->bytes[out->len++] = 0;
    }
}

static void put_zeros(writer *out, size_t len) {
    memset(out->bytes + out->len, 0, len);
    out->len += len;
}

/* ---- reading what was written ---- */

typedef struct fixture {
    checkpoint model;
    gguf_split split;
    weir_findings *findings;
    weir_error err;
    weir_code code;
} fixture;

/* gguf_read() into what `result` holds. */
static weir_code read_into(fixture *result, weir_source *source, uint32_t file,
                           const checkpoint_options *options) {
    static const checkpoint_options defaults = {0};
    const part whole = {&result->model, source, options ? options : &defaults, result->findings};
    return gguf_read(&result->split, &whole, file, &result->err);
}

static fixture *read_bytes(const void *bytes, size_t len, const checkpoint_options *options) {
    fixture *result = calloc(1, sizeof *result);
    /* A copy of exactly that size, so that a sanitizer sees a read past it. */
    void *exact = malloc(len ? len : 1);
    memcpy(exact, bytes, len);
    weir_source *source = NULL;
    assert_int_equal(weir_findings_new(&result->findings, NULL), WEIR_OK);
    assert_int_equal(weir_source_open_memory(&source, exact, len, "a.gguf", NULL), WEIR_OK);
    result->code = read_into(result, source, 7, options);
    weir_source_free(source);
    free(exact);
    return result;
}

static fixture *read_writer(const writer *in) {
    return read_bytes(in->bytes, in->len, NULL);
}

static void release(fixture *result) {
    tensor_table_release(&result->model.tensors);
    claims_release(&result->model.claims);
    arena_release(&result->model.memory);
    weir_findings_free(result->findings);
    free(result);
}

static const char *claim(const fixture *result, const char *name) {
    const char *value = claims_find(&result->model.claims, name);
    assert_non_null(value);
    return value;
}

static bool has_finding(const fixture *result, const char *id, weir_verdict verdict) {
    for (size_t i = 0; i < weir_findings_count(result->findings); i++) {
        const weir_finding *finding = weir_findings_get(result->findings, i);
        if (strcmp(finding->id, id) == 0 && finding->verdict == verdict) {
            return true;
        }
    }
    return false;
}

/* A small whole model: every part of the format that honest files use. */
static void put_model(writer *out) {
    static const uint64_t embedding[] = {32, 3};
    static const uint64_t norm[] = {32};
    put_header(out, 2, 9);
    put_text_pair(out, "general.architecture", "llama");
    put_u32_pair(out, "llama.block_count", 2);
    put_u32_pair(out, "llama.embedding_length", 32);
    put_u32_pair(out, "llama.attention.head_count", 4);
    put_text_pair(out, "tokenizer.ggml.model", "gpt2");
    put_array(out, "tokenizer.ggml.tokens", STRING, 3);
    put_text(out, "a");
    put_text(out, "b");
    put_text(out, "ab");
    put_array(out, "tokenizer.ggml.merges", STRING, 1);
    put_text(out, "a b");
    put_text_pair(out, "tokenizer.chat_template", "{{ messages }}");
    put_text_pair(out, "tokenizer.chat_template.tool_use", "{{ tools }}");
    put_info(out, "token_embd.weight", 2, embedding, TYPE_Q8_0, 0);
    put_info(out, "blk.0.attn_norm.weight", 1, norm, TYPE_F32, 128);
    put_padding(out, 32);
    put_zeros(out, 3 * 34);
    put_padding(out, 32);
    put_zeros(out, 128);
}

/* ---- what is read ---- */

static void a_model_gives_its_tensors_outermost_dimension_first(void **state) {
    (void)state;
    static writer out;
    put_model(&out);

    fixture *result = read_writer(&out);

    assert_int_equal(result->code, WEIR_OK);
    assert_int_equal(result->model.tensors.count, 2);
    const stored_tensor *embedding = &result->model.tensors.items[0];
    const stored_tensor *norm = &result->model.tensors.items[1];
    assert_string_equal(embedding->name, "token_embd.weight");
    assert_int_equal(embedding->rank, 2);
    assert_int_equal(embedding->dims[0], 3);
    assert_int_equal(embedding->dims[1], 32);
    assert_int_equal(embedding->dtype, WEIR_DTYPE_Q8_0);
    assert_int_equal(embedding->bytes, 102);
    assert_int_equal(embedding->file, 7);
    assert_int_equal(norm->offset, embedding->offset + 128);
    assert_int_equal(norm->offset + norm->bytes, out.len);
    assert_int_equal(weir_findings_count(result->findings), 0);
    release(result);
}

static void a_model_gives_its_shape(void **state) {
    (void)state;
    static writer out;
    put_model(&out);

    fixture *result = read_writer(&out);

    const hyperparameters *shape = &result->model.shape;
    assert_string_equal(shape->architecture, "llama");
    assert_int_equal(shape->layers, 2);
    assert_int_equal(shape->hidden, 32);
    assert_int_equal(shape->heads, 4);
    assert_int_equal(shape->kv_heads, 4);
    assert_int_equal(shape->head_dim, 8);
    assert_int_equal(shape->experts, 0);
    assert_int_equal(shape->vocabulary, 3);
    assert_int_equal(shape->tied_head, TIED_YES);
    release(result);
}

static void a_model_gives_its_vocabulary(void **state) {
    (void)state;
    static writer out;
    put_model(&out);

    fixture *result = read_writer(&out);

    const vocabulary *words = &result->model.vocabulary;
    assert_int_equal(words->count, 3);
    assert_string_equal(words->tokens[0], "a");
    assert_string_equal(words->tokens[2], "ab");
    assert_string_equal(words->model, "gpt2");
    assert_string_equal(words->file, "a.gguf");
    assert_int_equal(words->merges, 1);
    char hash[DIGEST_TEXT_BYTES];
    digest_format(hash, words->merges_sha256);
    /* printf 'a b\n' | sha256sum */
    assert_string_equal(hash, "01186fcf04b4b447f393e552964c08c7b419c1ad7a25c342a0b631b1967d3a27");
    release(result);
}

static void token_strings_are_left_out_on_request(void **state) {
    (void)state;
    static writer out;
    put_model(&out);
    const checkpoint_options options = {.skip_vocabulary = true};

    fixture *result = read_bytes(out.bytes, out.len, &options);

    assert_int_equal(result->code, WEIR_OK);
    assert_null(result->model.vocabulary.tokens);
    assert_int_equal(result->model.vocabulary.count, 0);
    assert_int_equal(result->model.vocabulary.merges, 1);
    assert_int_equal(result->model.shape.vocabulary, 3);
    release(result);
}

static void a_vocabulary_that_is_there_already_stays(void **state) {
    (void)state;
    static writer out;
    put_model(&out);
    weir_source *source = NULL;
    fixture *result = calloc(1, sizeof *result);
    static const char *tokens[] = {"kept"};
    result->model.vocabulary =
        (vocabulary){.tokens = tokens, .count = 1, .file = "tokenizer.json", .model = "BPE"};
    assert_int_equal(weir_source_open_memory(&source, out.bytes, out.len, "a.gguf", NULL), WEIR_OK);

    assert_int_equal(read_into(result, source, 0, NULL), WEIR_OK);

    assert_string_equal(result->model.vocabulary.file, "tokenizer.json");
    assert_string_equal(result->model.vocabulary.tokens[0], "kept");
    assert_string_equal(result->model.vocabulary.model, "BPE");
    assert_int_equal(result->model.vocabulary.merges, 0);
    weir_source_free(source);
    release(result);
}

static void chat_templates_are_named_and_placed(void **state) {
    (void)state;
    static writer out;
    put_model(&out);

    fixture *result = read_writer(&out);

    assert_int_equal(result->model.template_count, 2);
    const checkpoint_template *first = &result->model.templates[0];
    const checkpoint_template *second = &result->model.templates[1];
    assert_string_equal(first->name, "default");
    assert_string_equal(first->text, "{{ messages }}");
    assert_int_equal(first->len, 14);
    assert_string_equal(first->at, "key tokenizer.chat_template");
    assert_string_equal(first->file, "a.gguf");
    assert_string_equal(second->name, "tool_use");
    assert_string_equal(second->text, "{{ tools }}");
    release(result);
}

static void every_value_type_becomes_a_claim(void **state) {
    (void)state;
    static writer out;
    static const struct {
        const char *key;
        uint32_t type;
        uint64_t bits;
        size_t size;
        const char *text;
    } cases[] = {
        {"a.u8", U8, 255, 1, "255"},
        {"a.i8", I8, 0xff, 1, "-1"},
        {"a.u16", U16, 65535, 2, "65535"},
        {"a.i16", I16, 0x8000, 2, "-32768"},
        {"a.u32", U32, 0xffffffff, 4, "4294967295"},
        {"a.i32", I32, 0xffffffff, 4, "-1"},
        {"a.f32", F32, 0x3727c5ac, 4, "1e-05"},
        {"a.nan", F32, 0x7fc00000, 4, "nan"},
        {"a.inf", F32, 0xff800000, 4, "-inf"},
        {"a.true", BOOL, 1, 1, "true"},
        {"a.false", BOOL, 0, 1, "false"},
        {"a.u64", U64, UINT64_MAX, 8, "18446744073709551615"},
        {"a.i64", I64, (uint64_t)INT64_MIN, 8, "-9223372036854775808"},
        {"a.f64", F64, 0x3fb999999999999a, 8, "0.1"},
    };
    enum { COUNT = sizeof cases / sizeof *cases };
    put_header(&out, 0, COUNT + 1);
    for (size_t i = 0; i < COUNT; i++) {
        put_pair(&out, cases[i].key, cases[i].type);
        put(&out, cases[i].bits, cases[i].size);
    }
    put_text_pair(&out, "a.string", "text\n");

    fixture *result = read_writer(&out);

    assert_int_equal(result->code, WEIR_OK);
    for (size_t i = 0; i < COUNT; i++) {
        char name[32];
        (void)snprintf(name, sizeof name, "gguf.%s", cases[i].key);
        assert_string_equal(claim(result, name), cases[i].text);
    }
    assert_string_equal(claim(result, "gguf.a.string"), "text\\x0A");
    assert_string_equal(result->model.claims.items[0].at, "byte 24");
    release(result);
}

static void arrays_of_every_type_are_summarised(void **state) {
    (void)state;
    static const struct {
        uint32_t type;
        size_t size;
        const char *text;
    } cases[] = {
        {U8, 1, "[4] 1, 2, 3 ..."},
        {I8, 1, "[4] 1, 2, 3 ..."},
        {U16, 2, "[4] 1, 2, 3 ..."},
        {I16, 2, "[4] 1, 2, 3 ..."},
        {U32, 4, "[4] 1, 2, 3 ..."},
        {I32, 4, "[4] 1, 2, 3 ..."},
        {U64, 8, "[4] 1, 2, 3 ..."},
        {I64, 8, "[4] 1, 2, 3 ..."},
        {F32, 4, "[4] 1.4013e-45, 2.8026e-45, 4.2039e-45 ..."},
        {F64, 8, "[4] 4.94065645841247e-324, 9.88131291682493e-324, 1.48219693752374e-323 ..."},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        static writer out;
        put_header(&out, 0, 2);
        put_array(&out, "a", cases[i].type, 4);
        for (uint64_t value = 1; value <= 4; value++) {
            put(&out, value, cases[i].size);
        }
        put_u32_pair(&out, "after", 5);

        fixture *result = read_writer(&out);

        assert_int_equal(result->code, WEIR_OK);
        assert_string_equal(claim(result, "gguf.a"), cases[i].text);
        assert_string_equal(claim(result, "gguf.after"), "5");
        release(result);
    }
}

static void short_empty_and_long_arrays_are_summarised(void **state) {
    (void)state;
    static writer out;
    put_header(&out, 0, 5);
    put_array(&out, "strings", STRING, 4);
    put_text(&out, "one");
    put_text(&out, "");
    put_text(&out, "sixty-four bytes are shown, or fewer where a character stands, \xC3\xA9 ends");
    put_text(&out, "four");
    put_array(&out, "two", BOOL, 2);
    put(&out, 0x0001, 2);
    put_array(&out, "none", U32, 0);
    put_array(&out, "no strings", STRING, 0);
    put_array(&out, "many", U16, 5000);
    for (uint64_t i = 0; i < 5000; i++) {
        put(&out, i, 2);
    }

    fixture *result = read_writer(&out);

    assert_int_equal(result->code, WEIR_OK);
    assert_string_equal(claim(result, "gguf.strings"),
                        "[4] one, , sixty-four bytes are shown, or fewer where a character "
                        "stands,  ...");
    assert_string_equal(claim(result, "gguf.two"), "[2] true, false");
    assert_string_equal(claim(result, "gguf.none"), "[0]");
    assert_string_equal(claim(result, "gguf.no strings"), "[0]");
    assert_string_equal(claim(result, "gguf.many"), "[5000] 0, 1, 2 ...");
    release(result);
}

static void a_number_per_layer_counts_when_all_are_the_same(void **state) {
    (void)state;
    static writer out;
    put_header(&out, 0, 4);
    put_text_pair(&out, "general.architecture", "deci");
    put_array(&out, "deci.attention.head_count", U32, 2);
    put(&out, 32, 4);
    put(&out, 32, 4);
    put_array(&out, "deci.feed_forward_length", U32, 2);
    put(&out, 512, 4);
    put(&out, 256, 4);
    put_u32_pair(&out, "deci.embedding_length", 64);

    fixture *result = read_writer(&out);

    assert_int_equal(result->code, WEIR_OK);
    assert_int_equal(result->model.shape.heads, 32);
    assert_int_equal(result->model.shape.head_dim, 2);
    assert_int_equal(result->model.shape.feed_forward, 0);
    release(result);
}

static void an_output_tensor_is_an_untied_head_and_an_encoder_has_none(void **state) {
    (void)state;
    static const uint64_t dims[] = {8};
    static writer out;
    put_header(&out, 2, 1);
    put_text_pair(&out, "general.architecture", "llama");
    put_info(&out, "token_embd.weight", 1, dims, TYPE_F32, 0);
    put_info(&out, "output.weight", 1, dims, TYPE_F32, 32);
    put_padding(&out, 32);
    put_zeros(&out, 64);
    fixture *untied = read_writer(&out);
    put_header(&out, 1, 2);
    put_text_pair(&out, "general.architecture", "bert");
    put_pair(&out, "bert.attention.causal", BOOL);
    put(&out, 0, 1);
    put_info(&out, "token_embd.weight", 1, dims, TYPE_F32, 0);
    put_padding(&out, 32);
    put_zeros(&out, 32);

    fixture *encoder = read_writer(&out);

    assert_int_equal(untied->model.shape.tied_head, TIED_NO);
    assert_int_equal(encoder->code, WEIR_OK);
    assert_int_equal(encoder->model.shape.tied_head, TIED_UNKNOWN);
    release(untied);
    release(encoder);
}

static void the_place_in_a_split_is_read(void **state) {
    (void)state;
    static writer out;
    put_header(&out, 0, 3);
    put_pair(&out, "split.no", U16);
    put(&out, 1, 2);
    put_pair(&out, "split.count", U16);
    put(&out, 3, 2);
    put_pair(&out, "split.tensors.count", I32);
    put(&out, 290, 4);

    fixture *result = read_writer(&out);

    assert_int_equal(result->code, WEIR_OK);
    assert_int_equal(result->split.index, 1);
    assert_int_equal(result->split.count, 3);
    assert_int_equal(result->split.tensors, 290);
    release(result);
}

static void version_2_and_an_empty_file_of_version_3_are_read(void **state) {
    (void)state;
    static writer out;
    put_model(&out);
    out.bytes[4] = 2;
    fixture *second = read_writer(&out);
    put_header(&out, 0, 0);

    fixture *empty = read_writer(&out);

    assert_int_equal(second->code, WEIR_OK);
    assert_int_equal(empty->code, WEIR_OK);
    assert_int_equal(weir_findings_count(empty->findings), 0);
    release(second);
    release(empty);
}

static void a_stated_alignment_places_the_data(void **state) {
    (void)state;
    static const uint64_t dims[] = {1};
    static writer out;
    put_header(&out, 2, 1);
    put_u32_pair(&out, "general.alignment", 256);
    put_info(&out, "a", 1, dims, TYPE_F32, 0);
    put_info(&out, "b", 1, dims, TYPE_F32, 256);
    put_padding(&out, 256);
    put_zeros(&out, 256 + 4);

    fixture *result = read_writer(&out);

    assert_int_equal(result->code, WEIR_OK);
    assert_int_equal(result->model.tensors.items[0].offset, 256);
    assert_int_equal(result->model.tensors.items[1].offset, 512);
    assert_int_equal(weir_findings_count(result->findings), 0);
    release(result);
}

/* ---- what is remarked ---- */

static void a_zero_dimension_is_read_without_a_word(void **state) {
    (void)state;
    static const uint64_t dims[] = {32, 0};
    static writer out;
    put_header(&out, 1, 0);
    put_info(&out, "a", 2, dims, TYPE_Q8_0, 0);
    put_padding(&out, 32);

    fixture *result = read_writer(&out);

    assert_int_equal(result->code, WEIR_OK);
    assert_int_equal(result->model.tensors.items[0].bytes, 0);
    assert_int_equal(weir_findings_count(result->findings), 0);
    release(result);
}

static void bytes_after_the_last_tensor_are_a_remark(void **state) {
    (void)state;
    static writer out;
    put_model(&out);
    put_zeros(&out, 5);

    fixture *result = read_writer(&out);

    assert_int_equal(result->code, WEIR_OK);
    assert_int_equal(weir_findings_count(result->findings), 1);
    assert_true(has_finding(result, "gguf-trailing-bytes", WEIR_VERDICT_CLEAN));
    assert_non_null(strstr(weir_findings_get(result->findings, 0)->message, "5 bytes"));
    release(result);
}

static void a_bool_that_is_neither_0_nor_1_is_suspicious(void **state) {
    (void)state;
    static writer out;
    put_header(&out, 0, 2);
    put_pair(&out, "one", BOOL);
    put(&out, 2, 1);
    put_array(&out, "many", BOOL, 2);
    put(&out, 0xff01, 2);

    fixture *result = read_writer(&out);

    assert_int_equal(result->code, WEIR_OK);
    assert_int_equal(weir_findings_count(result->findings), 2);
    assert_true(has_finding(result, "gguf-bool-value", WEIR_VERDICT_SUSPICIOUS));
    release(result);
}

static void a_tensor_without_dimensions_is_suspicious(void **state) {
    (void)state;
    static writer out;
    put_header(&out, 1, 0);
    put_info(&out, "a", 0, NULL, TYPE_F32, 0);
    put_padding(&out, 32);
    put_zeros(&out, 4);

    fixture *result = read_writer(&out);

    assert_int_equal(result->code, WEIR_OK);
    assert_int_equal(result->model.tensors.items[0].bytes, 4);
    assert_true(has_finding(result, "gguf-rank-zero", WEIR_VERDICT_SUSPICIOUS));
    release(result);
}

static void a_block_type_without_dimensions_is_suspicious_and_left_out(void **state) {
    (void)state;
    static writer out;
    put_header(&out, 1, 0);
    put_info(&out, "a", 0, NULL, TYPE_Q8_0, 0);
    put_padding(&out, 32);
    put_zeros(&out, 64);

    fixture *result = read_writer(&out);

    assert_int_equal(result->code, WEIR_OK);
    assert_int_equal(result->model.tensors.count, 0);
    assert_true(has_finding(result, "gguf-rank-zero", WEIR_VERDICT_SUSPICIOUS));
    release(result);
}

static void a_nul_inside_a_key_is_suspicious_and_hides_nothing(void **state) {
    (void)state;
    static writer out;
    static const char key[] = "general.architecture\0x";
    put_header(&out, 0, 2);
    put(&out, sizeof key - 1, 8);
    put_bytes(&out, key, sizeof key - 1);
    put(&out, STRING, 4);
    put_text(&out, "llama");
    put_text_pair(&out, "general.architecture", "gpt2");

    fixture *result = read_writer(&out);

    assert_int_equal(result->code, WEIR_OK);
    assert_true(has_finding(result, "gguf-key-control", WEIR_VERDICT_SUSPICIOUS));
    assert_string_equal(claim(result, "gguf.general.architecture\\x00x"), "llama");
    assert_string_equal(result->model.shape.architecture, "gpt2");
    release(result);
}

static void a_template_over_the_limit_is_named_and_not_kept(void **state) {
    (void)state;
    enum { LEN = (1 << 20) + 1 };
    writer *head = calloc(1, sizeof *head);
    put_header(head, 0, 2);
    put_pair(head, "tokenizer.chat_template", STRING);
    put(head, LEN, 8);
    writer *tail = calloc(1, sizeof *tail);
    put_u32_pair(tail, "after", 1);
    unsigned char *bytes = calloc(1, head->len + LEN + tail->len);
    memcpy(bytes, head->bytes, head->len);
    memcpy(bytes + head->len + LEN, tail->bytes, tail->len);

    fixture *result = read_bytes(bytes, head->len + LEN + tail->len, NULL);

    assert_int_equal(result->code, WEIR_OK);
    assert_int_equal(result->model.template_count, 0);
    assert_true(has_finding(result, "gguf-template-limit", WEIR_VERDICT_NOT_ANALYSED));
    assert_string_equal(claim(result, "gguf.after"), "1");
    release(result);
    free(bytes);
    free(tail);
    free(head);
}

static void a_token_over_the_limit_drops_the_vocabulary_alone(void **state) {
    (void)state;
    enum { LEN = (64 << 10) + 1 };
    writer *head = calloc(1, sizeof *head);
    put_header(head, 0, 2);
    put_array(head, "tokenizer.ggml.tokens", STRING, 1);
    put(head, LEN, 8);
    writer *tail = calloc(1, sizeof *tail);
    put_u32_pair(tail, "after", 1);
    unsigned char *bytes = calloc(1, head->len + LEN + tail->len);
    memcpy(bytes, head->bytes, head->len);
    memcpy(bytes + head->len + LEN, tail->bytes, tail->len);

    fixture *result = read_bytes(bytes, head->len + LEN + tail->len, NULL);

    assert_int_equal(result->code, WEIR_OK);
    assert_int_equal(result->model.vocabulary.count, 0);
    assert_null(result->model.vocabulary.tokens);
    assert_true(has_finding(result, "gguf-vocabulary-limit", WEIR_VERDICT_NOT_ANALYSED));
    assert_string_equal(claim(result, "gguf.after"), "1");
    release(result);
    free(bytes);
    free(tail);
    free(head);
}

static weir_code read_zeros(void *context, uint64_t offset, void *out, size_t len,
                            weir_error *err) {
    (void)err;
    const writer *head = context;
    memset(out, 0, len);
    if (offset < head->len) {
        const size_t given = head->len - offset;
        memcpy(out, head->bytes + offset, given < len ? given : len);
    }
    return WEIR_OK;
}

/* What a sparse file of a terabyte gives: the writer's bytes, then zeros. */
static fixture *read_sparse(writer *head) {
    fixture *result = calloc(1, sizeof *result);
    weir_source *source = NULL;
    const weir_source_ops ops = {.read_at = read_zeros};
    assert_int_equal(weir_findings_new(&result->findings, NULL), WEIR_OK);
    assert_int_equal(weir_source_open_custom(&source, &ops, head, 1ull << 40, "a.gguf", NULL),
                     WEIR_OK);
    result->code = read_into(result, source, 0, NULL);
    weir_source_free(source);
    return result;
}

static void counts_that_no_one_writes_are_a_limit(void **state) {
    (void)state;
    static writer tensors;
    static writer pairs;
    static writer strings;
    put_header(&tensors, (1 << 20) + 1, 0);
    put_header(&pairs, 0, (1 << 13) + 1);
    put_header(&strings, 0, 1);
    put_array(&strings, "k", STRING, (1 << 25) + 1);
    writer *const cases[] = {&tensors, &pairs, &strings};
    static const char *const places[] = {"byte 8", "byte 24", "byte 37"};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        fixture *result = read_sparse(cases[i]);

        assert_int_equal(result->code, WEIR_ERR_LIMIT);
        assert_string_equal(result->err.at, places[i]);
        release(result);
    }
}

static void more_tokens_than_the_limit_are_counted_and_not_kept(void **state) {
    (void)state;
    static writer out;
    put_header(&out, 0, 1);
    put_array(&out, "tokenizer.ggml.tokens", STRING, (1 << 22) + 1);

    fixture *result = read_sparse(&out);

    assert_int_equal(result->code, WEIR_OK);
    assert_null(result->model.vocabulary.tokens);
    assert_true(has_finding(result, "gguf-vocabulary-limit", WEIR_VERDICT_NOT_ANALYSED));
    release(result);
}

static void at_most_256_templates_are_kept(void **state) {
    (void)state;
    static writer out;
    put_header(&out, 0, 257);
    for (int i = 0; i < 257; i++) {
        char key[64];
        (void)snprintf(key, sizeof key, "tokenizer.chat_template.%d", i);
        put_text_pair(&out, key, "x");
    }

    fixture *result = read_writer(&out);

    assert_int_equal(result->code, WEIR_OK);
    assert_int_equal(result->model.template_count, 256);
    assert_true(has_finding(result, "gguf-template-limit", WEIR_VERDICT_NOT_ANALYSED));
    release(result);
}

/* ---- what is refused ---- */

static void expect_refusal(const writer *in, weir_code code, const char *at, const char *expected,
                           const char *found) {
    fixture *result = read_writer(in);

    assert_int_equal(result->code, code);
    assert_string_equal(result->err.file, "a.gguf");
    assert_string_equal(result->err.at, at);
    assert_string_equal(result->err.expected, expected);
    assert_string_equal(result->err.found, found);
    assert_int_equal(result->model.tensors.count, 0);
    release(result);
}

static void wrong_headers_are_refused(void **state) {
    (void)state;
    static writer out;
    put_model(&out);
    memcpy(out.bytes, "GGML", 4);
    expect_refusal(&out, WEIR_ERR_FORMAT, "byte 0", "the magic \"GGUF\"", "\"GGML\"");
    static const uint32_t versions[] = {0, 1, 4, 0x01000000, 0x03000000, 0xffffffff};
    for (size_t i = 0; i < sizeof versions / sizeof *versions; i++) {
        put_model(&out);
        memcpy(out.bytes + 4, &versions[i], 4);
        char found[16];
        (void)snprintf(found, sizeof found, "%u", versions[i]);
        expect_refusal(&out, WEIR_ERR_FORMAT, "byte 4", "version 2 or 3", found);
    }
}

static void version_1_and_big_endian_files_are_unsupported(void **state) {
    (void)state;
    static writer out;
    out.len = 0;
    put_bytes(&out, "GGUF", 4);
    put(&out, 1, 4);
    put(&out, 0, 4);
    put(&out, 1, 4);
    put_zeros(&out, 64);
    expect_refusal(&out, WEIR_ERR_UNSUPPORTED, "byte 4", "little-endian GGUF of version 2 or 3",
                   "version 1, which current readers refuse too");
    out.len = 0;
    put_bytes(&out, "GGUF\0\0\0\3\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\1", 24);
    put_zeros(&out, 64);
    expect_refusal(&out, WEIR_ERR_UNSUPPORTED, "byte 4", "little-endian GGUF of version 2 or 3",
                   "a big-endian file");
}

static void counts_that_lie_are_refused_before_memory_is_asked_for(void **state) {
    (void)state;
    static const uint64_t lies[] = {100, 1ull << 32, 1ull << 40, 1ull << 63, UINT64_MAX};
    for (size_t i = 0; i < sizeof lies / sizeof *lies; i++) {
        for (int is_pairs = 0; is_pairs < 2; is_pairs++) {
            static writer out;
            put_header(&out, is_pairs ? 0 : lies[i], is_pairs ? lies[i] : 0);
            put_zeros(&out, 100);

            fixture *result = read_writer(&out);

            assert_int_equal(result->code, WEIR_ERR_FORMAT);
            assert_string_equal(result->err.at, "byte 8");
            release(result);
        }
    }
}

static void bad_keys_and_values_are_refused(void **state) {
    (void)state;
    static writer out;
    put_header(&out, 0, 1);
    put_pair(&out, "", U32);
    put(&out, 1, 4);
    expect_refusal(&out, WEIR_ERR_FORMAT, "byte 24", "a key of 1 to 65535 bytes", "0 bytes");

    put_header(&out, 0, 2);
    put_u32_pair(&out, "k", 1);
    put_u32_pair(&out, "k", 2);
    expect_refusal(&out, WEIR_ERR_FORMAT, "byte 41", "each key once", "k again");

    put_header(&out, 0, 1);
    put_pair(&out, "k", 13);
    put(&out, 1, 4);
    expect_refusal(&out, WEIR_ERR_FORMAT, "byte 33", "a value type from 0 to 12", "13");

    put_header(&out, 0, 1);
    put_pair(&out, "k", STRING);
    put(&out, 5, 8);
    put_zeros(&out, 4);
    expect_refusal(&out, WEIR_ERR_FORMAT, "byte 37",
                   "a string that ends inside the file and is not over 1 GiB",
                   "a string of 5 bytes, 4 left");

    put_header(&out, 0, 1);
    put(&out, UINT64_MAX, 8);
    put_zeros(&out, 8);
    expect_refusal(&out, WEIR_ERR_FORMAT, "byte 24",
                   "a string that ends inside the file and is not over 1 GiB",
                   "a key of 18446744073709551615 bytes, 8 left");
}

static void bad_arrays_are_refused(void **state) {
    (void)state;
    static writer out;
    put_header(&out, 0, 1);
    put_array(&out, "k", ARRAY, 1);
    put_zeros(&out, 64);
    expect_refusal(&out, WEIR_ERR_FORMAT, "byte 37", "an array of numbers, bools or strings",
                   "an array of arrays (type 9)");

    put_header(&out, 0, 1);
    put_array(&out, "k", 13, 1);
    put_zeros(&out, 64);
    expect_refusal(&out, WEIR_ERR_FORMAT, "byte 37", "an array of numbers, bools or strings",
                   "type 13");

    static const char expected[] =
        "an array that ends inside the file and has at most 2^30 elements";
    put_header(&out, 0, 1);
    put_array(&out, "k", U32, 3);
    put_zeros(&out, 11);
    expect_refusal(&out, WEIR_ERR_FORMAT, "byte 41", expected,
                   "3 elements of type u32, 11 bytes left");

    put_header(&out, 0, 1);
    put_array(&out, "k", U64, (1ull << 61) + 1);
    put_zeros(&out, 8);
    expect_refusal(&out, WEIR_ERR_FORMAT, "byte 41", expected,
                   "2305843009213693953 elements of type u64, 8 bytes left");

    put_header(&out, 0, 1);
    put_array(&out, "k", STRING, UINT64_MAX);
    put_zeros(&out, 16);
    expect_refusal(&out, WEIR_ERR_FORMAT, "byte 41", expected,
                   "18446744073709551615 elements of type string, 16 bytes left");
}

static void bad_alignments_are_refused(void **state) {
    (void)state;
    static writer out;
    static const uint32_t values[] = {0, 7, 33, 0xffffffff};
    for (size_t i = 0; i < sizeof values / sizeof *values; i++) {
        put_header(&out, 0, 1);
        put_u32_pair(&out, "general.alignment", values[i]);
        char found[16];
        (void)snprintf(found, sizeof found, "%u", values[i]);
        expect_refusal(&out, WEIR_ERR_FORMAT, "byte 53", "general.alignment that is a power of two",
                       found);
    }
    static const char expected[] = "general.alignment of type u32";
    put_header(&out, 0, 1);
    put_pair(&out, "general.alignment", U64);
    put(&out, 32, 8);
    expect_refusal(&out, WEIR_ERR_FORMAT, "byte 24", expected, "u64");
    put_header(&out, 0, 1);
    put_text_pair(&out, "general.alignment", "32");
    expect_refusal(&out, WEIR_ERR_FORMAT, "byte 24", expected, "string");
    put_header(&out, 0, 1);
    put_array(&out, "general.alignment", U32, 1);
    put(&out, 32, 4);
    expect_refusal(&out, WEIR_ERR_FORMAT, "byte 24", expected, "an array");
}

typedef struct bad_info {
    const char *what;
    const char *name;
    uint32_t rank;
    uint64_t dims[5];
    uint32_t type;
    uint64_t offset;
    const char *at;
} bad_info;

static void bad_tensor_infos_are_refused(void **state) {
    (void)state;
    /* The info starts at byte 24: name 8 + len, rank 4, dims, type 4, offset 8. */
    static const bad_info cases[] = {
        {"name of 64",
         "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa",
         1,
         {1},
         TYPE_F32,
         0,
         "byte 24"},
        {"name not UTF-8", "\xff", 1, {1}, TYPE_F32, 0, "byte 24"},
        {"rank 5", "a", 5, {1, 1, 1, 1, 1}, TYPE_F32, 0, "byte 33"},
        {"negative", "a", 1, {UINT64_MAX}, TYPE_F32, 0, "byte 37"},
        {"at the limit", "a", 1, {INT64_MAX}, TYPE_F32, 0, "byte 37"},
        {"wraps to 0", "a", 2, {1ull << 32, 1ull << 32}, TYPE_F32, 0, "byte 45"},
        {"wraps behind a 0", "a", 3, {0, 1ull << 62, 4}, TYPE_F32, 0, "byte 53"},
        {"bytes wrap", "a", 1, {1ull << 62}, TYPE_F32, 0, "byte 45"},
        {"half a block", "a", 2, {16, 2}, TYPE_Q8_0, 0, "byte 53"},
        {"half a super block", "a", 1, {128}, TYPE_Q4_K, 0, "byte 45"},
        {"type 4", "a", 1, {32}, 4, 0, "byte 45"},
        {"type 31", "a", 1, {32}, 31, 0, "byte 45"},
        {"type 4294967295", "a", 1, {32}, UINT32_MAX, 0, "byte 45"},
        {"offset 32", "a", 1, {1}, TYPE_F32, 32, "byte 49"},
        {"offset -1", "a", 1, {1}, TYPE_F32, UINT64_MAX, "byte 49"},
        {"too long", "a", 1, {33}, TYPE_F32, 0, "byte 64"},
        {"much too long", "a", 1, {1ull << 40}, TYPE_F32, 0, "byte 64"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        const bad_info *row = &cases[i];
        static writer out;
        put_header(&out, 1, 0);
        put_info(&out, row->name, row->rank, row->dims, row->type, row->offset);
        put_padding(&out, 32);
        put_zeros(&out, 128);

        fixture *result = read_writer(&out);

        if (result->code != WEIR_ERR_FORMAT || strcmp(result->err.at, row->at) != 0) {
            char line[512];
            fail_msg("%s: %s", row->what, weir_error_format(&result->err, line, sizeof line));
        }
        assert_true(result->err.expected[0] && result->err.found[0]);
        assert_int_equal(result->model.tensors.count, 0);
        release(result);
    }
}

static void a_tensor_may_not_overlap_leave_a_gap_or_repeat_a_name(void **state) {
    (void)state;
    static const uint64_t dims[] = {16};
    static const uint64_t offsets[] = {0, 32, 60, 65, 128};
    static writer out;
    for (size_t i = 0; i < sizeof offsets / sizeof *offsets; i++) {
        put_header(&out, 2, 0);
        put_info(&out, "a", 1, dims, TYPE_F32, 0);
        put_info(&out, "b", 1, dims, TYPE_F32, offsets[i]);
        put_padding(&out, 32);
        put_zeros(&out, 256);
        char found[32];
        (void)snprintf(found, sizeof found, "%d in tensor b", (int)offsets[i]);
        expect_refusal(&out, WEIR_ERR_FORMAT, "byte 82",
                       "offset 64, the padded end of the tensor before", found);
    }
    put_header(&out, 2, 0);
    put_info(&out, "a", 1, dims, TYPE_F32, 0);
    put_info(&out, "a", 1, dims, TYPE_F32, 64);
    put_padding(&out, 32);
    put_zeros(&out, 128);
    expect_refusal(&out, WEIR_ERR_FORMAT, "byte 57", "each tensor name once", "a again");
}

static void sizes_whose_sum_wraps_are_refused(void **state) {
    (void)state;
    enum { TYPE_I64 = 27 };
    static const uint64_t half[] = {1ull << 60}; /* 2^63 bytes */
    static const uint64_t less[] = {(1ull << 60) - 4};
    static writer out;
    put_header(&out, 2, 0);
    put_info(&out, "a", 1, half, TYPE_I64, 0);
    put_info(&out, "b", 1, half, TYPE_I64, 1ull << 63);
    expect_refusal(&out, WEIR_ERR_FORMAT, "byte 82", "sizes whose sum is under 2^64",
                   "more, with tensor b");

    put_header(&out, 2, 0);
    put_info(&out, "a", 1, half, TYPE_I64, 0);
    put_info(&out, "b", 1, less, TYPE_I64, 1ull << 63);
    expect_refusal(&out, WEIR_ERR_FORMAT, "byte 90", "data that end before 2^64", "more");
}

static void a_file_cut_anywhere_is_malformed(void **state) {
    (void)state;
    static writer out;
    put_model(&out);
    for (size_t len = 0; len < out.len; len++) {
        fixture *result = read_bytes(out.bytes, len, NULL);

        assert_int_equal(result->code, WEIR_ERR_FORMAT);
        assert_int_equal(strncmp(result->err.at, "byte ", 5), 0);
        assert_int_equal(result->model.tensors.count, 0);
        release(result);
    }
}

static void changed_bytes_never_leave_a_tensor_outside_the_file(void **state) {
    (void)state;
    static writer out;
    put_model(&out);
    static const unsigned char flips[] = {0x01, 0x80, 0xff};
    for (size_t i = 0; i < out.len - 240; i++) {
        for (size_t flip = 0; flip < sizeof flips; flip++) {
            out.bytes[i] ^= flips[flip];

            fixture *result = read_writer(&out);

            for (size_t t = 0; t < result->model.tensors.count; t++) {
                const stored_tensor *tensor = &result->model.tensors.items[t];
                assert_true(tensor->offset <= out.len && tensor->bytes <= out.len - tensor->offset);
            }
            assert_true(result->code == WEIR_OK || result->err.found[0] != '\0');
            release(result);
            out.bytes[i] ^= flips[flip];
        }
    }
}

static void a_file_that_fails_leaves_earlier_tensors_alone(void **state) {
    (void)state;
    static writer out;
    put_model(&out);
    fixture *result = read_writer(&out);
    weir_source *source = NULL;
    assert_int_equal(weir_source_open_memory(&source, out.bytes, out.len - 1, "b.gguf", NULL),
                     WEIR_OK);

    assert_int_equal(read_into(result, source, 8, NULL), WEIR_ERR_FORMAT);

    assert_int_equal(result->model.tensors.count, 2);
    assert_int_equal(result->model.tensors.items[1].file, 7);
    weir_source_free(source);
    release(result);
}

static void a_file_that_fails_leaves_its_templates_and_no_vocabulary(void **state) {
    (void)state;
    static writer out;
    put_model(&out);

    fixture *result = read_bytes(out.bytes, out.len - 1, NULL);

    assert_int_equal(result->code, WEIR_ERR_FORMAT);
    assert_int_equal(result->model.template_count, 2);
    assert_int_equal(result->model.vocabulary.count, 0);
    assert_null(result->model.vocabulary.tokens);
    assert_null(result->model.vocabulary.file);
    release(result);
}

/* ---- the hostile corpus ---- */

static weir_verdict verdict_on(const char *path) {
    weir_source *source = NULL;
    weir_verdict verdict = WEIR_VERDICT_MALFORMED;
    fixture *result = calloc(1, sizeof *result);
    assert_int_equal(weir_findings_new(&result->findings, NULL), WEIR_OK);
    assert_int_equal(weir_source_open_file(&source, AT_FDCWD, path, "a.gguf", NULL), WEIR_OK);
    result->code = read_into(result, source, 0, NULL);
    if (result->code == WEIR_OK) {
        verdict = findings_verdict(result->findings, "a.gguf", WEIR_VERDICT_CLEAN);
        if (strstr(strrchr(path, '/'), "template") != NULL) {
            assert_int_equal(result->model.template_count, 1);
        }
    } else {
        assert_int_equal(result->code, WEIR_ERR_FORMAT);
        assert_int_equal(strncmp(result->err.at, "byte ", 5), 0);
    }
    weir_source_free(source);
    release(result);
    return verdict;
}

/* A hostile template is for the template scanner to find; as a file of this format it is clean. */
static weir_verdict verdict_expected(const char *label) {
    if (strcmp(label, "malformed") == 0) {
        return WEIR_VERDICT_MALFORMED;
    }
    return strcmp(label, "suspicious") == 0 ? WEIR_VERDICT_SUSPICIOUS : WEIR_VERDICT_CLEAN;
}

static void the_corpus_gets_the_verdicts_of_its_manifest(void **state) {
    (void)state;
    static const char root[] = SOURCE_ROOT "/../shared/corpus/hostile/";
    char path[1024];
    (void)snprintf(path, sizeof path, "%sMANIFEST.tsv", root);
    FILE *manifest = fopen(path, "r");
    if (!manifest) {
        print_message("skipped: no %s\n", path);
        skip();
    }
    char line[4096];
    size_t rows = 0;
    while (fgets(line, sizeof line, manifest)) {
        char name[256];
        char format[64];
        char label[64];
        if (sscanf(line, "%255[^\t]\t%*[^\t]\t%*[^\t]\t%63[^\t]\t%63[^\t]", name, format, label) !=
                3 ||
            strcmp(format, "gguf") != 0) {
            continue;
        }
        (void)snprintf(path, sizeof path, "%s%s", root, name);
        if (verdict_on(path) != verdict_expected(label)) {
            fail_msg("%s is not %s", name, label);
        }
        rows++;
    }
    (void)fclose(manifest);
    assert_true(rows > 0);
}

/* ---- names of split files ---- */

static void split_names_are_taken_apart(void **state) {
    (void)state;
    static const struct {
        const char *name;
        bool is_split;
        size_t prefix_len;
        uint32_t index;
        uint32_t count;
    } cases[] = {
        {"m-00001-of-00003.gguf", true, 1, 0, 3},
        {"dir/my-model-Q4_0-00012-of-00012.gguf", true, 17, 11, 12},
        {"m-00001-of-00001.gguf", true, 1, 0, 1},
        {"m-00000-of-00003.gguf", false, 0, 0, 0},
        {"m-00004-of-00003.gguf", false, 0, 0, 0},
        {"-00001-of-00003.gguf", false, 0, 0, 0},
        {"m-0001-of-0003.gguf", false, 0, 0, 0},
        {"m-00001-of-00003.ggufx", false, 0, 0, 0},
        {"m-0000a-of-00003.gguf", false, 0, 0, 0},
        {"m.00001-of-00003.gguf", false, 0, 0, 0},
        {"m-00001-to-00003.gguf", false, 0, 0, 0},
        {"m-00001-of-00003.safetensors", false, 0, 0, 0},
        {"model.gguf", false, 0, 0, 0},
        {"", false, 0, 0, 0},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        gguf_split_name name = {0};

        assert_int_equal(gguf_split_name_parse(&name, cases[i].name), cases[i].is_split);

        assert_int_equal(name.prefix_len, cases[i].prefix_len);
        assert_int_equal(name.index, cases[i].index);
        assert_int_equal(name.count, cases[i].count);
    }
}

static void split_names_are_formed(void **state) {
    (void)state;
    char name[24];

    assert_true(gguf_split_name_format(name, sizeof name, "m-x", 1, 1, 3));
    assert_string_equal(name, "m-00002-of-00003.gguf");
    assert_false(gguf_split_name_format(name, sizeof name, "model", 5, 1, 3));
    assert_false(gguf_split_name_format(name, sizeof name, "m", 1, 3, 3));
    assert_false(gguf_split_name_format(name, sizeof name, "m", 1, 0, 100000));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_model_gives_its_tensors_outermost_dimension_first),
        cmocka_unit_test(a_model_gives_its_shape),
        cmocka_unit_test(a_model_gives_its_vocabulary),
        cmocka_unit_test(token_strings_are_left_out_on_request),
        cmocka_unit_test(a_vocabulary_that_is_there_already_stays),
        cmocka_unit_test(chat_templates_are_named_and_placed),
        cmocka_unit_test(every_value_type_becomes_a_claim),
        cmocka_unit_test(arrays_of_every_type_are_summarised),
        cmocka_unit_test(short_empty_and_long_arrays_are_summarised),
        cmocka_unit_test(a_number_per_layer_counts_when_all_are_the_same),
        cmocka_unit_test(an_output_tensor_is_an_untied_head_and_an_encoder_has_none),
        cmocka_unit_test(the_place_in_a_split_is_read),
        cmocka_unit_test(version_2_and_an_empty_file_of_version_3_are_read),
        cmocka_unit_test(a_stated_alignment_places_the_data),
        cmocka_unit_test(a_zero_dimension_is_read_without_a_word),
        cmocka_unit_test(bytes_after_the_last_tensor_are_a_remark),
        cmocka_unit_test(a_bool_that_is_neither_0_nor_1_is_suspicious),
        cmocka_unit_test(a_tensor_without_dimensions_is_suspicious),
        cmocka_unit_test(a_block_type_without_dimensions_is_suspicious_and_left_out),
        cmocka_unit_test(a_nul_inside_a_key_is_suspicious_and_hides_nothing),
        cmocka_unit_test(a_template_over_the_limit_is_named_and_not_kept),
        cmocka_unit_test(a_token_over_the_limit_drops_the_vocabulary_alone),
        cmocka_unit_test(counts_that_no_one_writes_are_a_limit),
        cmocka_unit_test(more_tokens_than_the_limit_are_counted_and_not_kept),
        cmocka_unit_test(at_most_256_templates_are_kept),
        cmocka_unit_test(wrong_headers_are_refused),
        cmocka_unit_test(version_1_and_big_endian_files_are_unsupported),
        cmocka_unit_test(counts_that_lie_are_refused_before_memory_is_asked_for),
        cmocka_unit_test(bad_keys_and_values_are_refused),
        cmocka_unit_test(bad_arrays_are_refused),
        cmocka_unit_test(bad_alignments_are_refused),
        cmocka_unit_test(bad_tensor_infos_are_refused),
        cmocka_unit_test(a_tensor_may_not_overlap_leave_a_gap_or_repeat_a_name),
        cmocka_unit_test(sizes_whose_sum_wraps_are_refused),
        cmocka_unit_test(a_file_cut_anywhere_is_malformed),
        cmocka_unit_test(changed_bytes_never_leave_a_tensor_outside_the_file),
        cmocka_unit_test(a_file_that_fails_leaves_earlier_tensors_alone),
        cmocka_unit_test(a_file_that_fails_leaves_its_templates_and_no_vocabulary),
        cmocka_unit_test(the_corpus_gets_the_verdicts_of_its_manifest),
        cmocka_unit_test(split_names_are_taken_apart),
        cmocka_unit_test(split_names_are_formed),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
