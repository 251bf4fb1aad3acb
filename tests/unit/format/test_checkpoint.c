/* SPDX-License-Identifier: Apache-2.0 */
#include "opened.h"

#include <ftw.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

/* Each test works in a folder of its own, which is gone afterwards. */
static int make_place(void **state) {
    static char path[64];
    (void)snprintf(path, sizeof path, "/tmp/weir-checkpoint-XXXXXX");
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

static void write_bytes(const char *path, const void *data, size_t len) {
    FILE *file = fopen(path, "wb");
    assert_non_null(file);
    assert_int_equal(fwrite(data, 1, len, file), len);
    assert_int_equal(fclose(file), 0);
}

static void write_text(const char *path, const char *text) {
    write_bytes(path, text, strlen(text));
}

/* A safetensors file of F32 tensors of one number each. */
static void write_safetensors(const char *path, const char *const *names, size_t count) {
    char bytes[2048] = {0};
    size_t len = 8;
    for (size_t i = 0; i < count; i++) {
        len += (size_t)sprintf(
            bytes + len, "%c\"%s\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[%zu,%zu]}",
            i ? ',' : '{', names[i], 4 * i, 4 * i + 4);
    }
    bytes[len++] = '}';
    for (size_t i = 0; i < 8; i++) {
        bytes[i] = (char)((len - 8) >> (8 * i));
    }
    memset(bytes + len, 0, 4 * count);
    write_bytes(path, bytes, len + 4 * count);
}

static void write_one(const char *path, const char *name) {
    write_safetensors(path, &name, 1);
}

/* The smallest GGUF: version 3, `tensors` tensors (0 or 1) and split keys if count > 0. */
static void write_gguf(const char *path, const char *tensor, uint16_t part, uint16_t count,
                       int32_t tensors) {
    char bytes[512] = "GGUF\3\0\0\0\1\0\0\0\0\0\0\0";
    size_t len = 16;
    bytes[len] = count ? 3 : 0;
    len += 8;
    static const char *const keys[] = {"split.no", "split.count", "split.tensors.count"};
    const uint32_t values[] = {part, count, (uint32_t)tensors};
    for (size_t i = 0; count && i < 3; i++) {
        const uint64_t key_len = strlen(keys[i]);
        const uint32_t type = i < 2 ? 2 : 5; /* u16, i32 */
        memcpy(bytes + len, &key_len, 8);
        memcpy(bytes + len + 8, keys[i], key_len);
        memcpy(bytes + len + 8 + key_len, &type, 4);
        memcpy(bytes + len + 12 + key_len, &values[i], i < 2 ? 2 : 4);
        len += 12 + key_len + (i < 2 ? 2 : 4);
    }
    const uint64_t name_len = strlen(tensor);
    memcpy(bytes + len, &name_len, 8);
    memcpy(bytes + len + 8, tensor, name_len);
    len += 8 + name_len;
    bytes[len] = 1;     /* dimensions */
    bytes[len + 4] = 8; /* elements; the type, F32, and the offset are 0 */
    len += 4 + 8 + 4 + 8;
    len = (len + 31) / 32 * 32 + 32;
    write_bytes(path, bytes, len);
}

static opened open_path(const char *path) {
    opened out = {0};
    weir_error err = {0};
    assert_int_equal(weir_findings_new(&out.findings, NULL), WEIR_OK);
    if (checkpoint_open(&out.model, path, NULL, out.findings, &err) != WEIR_OK) {
        fail_msg("%s: %s %s", path, err.at, err.found);
    }
    return out;
}

static const checkpoint_file *file_of(const opened *folder, const char *path) {
    for (size_t i = 0; i < folder->model->file_count; i++) {
        if (strcmp(folder->model->files[i].path, path) == 0) {
            return &folder->model->files[i];
        }
    }
    fail_msg("%s is not listed", path);
    return NULL;
}

static void assert_verdict(const opened *folder, const char *path, weir_verdict verdict) {
    assert_string_equal(weir_verdict_name(file_of(folder, path)->verdict),
                        weir_verdict_name(verdict));
}

static void assert_found_in(const opened *folder, const char *id, const char *path) {
    const weir_finding *finding = find_finding(folder, id);
    assert_non_null(finding);
    assert_string_equal(finding->file, path);
}

static void a_plain_folder_is_read_whole(void **state) {
    write_text("config.json", "{\"model_type\": \"llama\"}");
    write_text("README.md", "---\nlicense: mit\n---\n");
    write_one("model.safetensors", "w");
    write_text("notes.txt", "x");

    WEIR_CLEANUP(opened_release) opened folder = open_path(".");

    assert_true(folder.model->is_folder);
    assert_string_equal(folder.model->name, strrchr(*state, '/') + 1);
    assert_string_equal(folder.model->format, "safetensors");
    assert_int_equal(folder.model->tensors.count, 1);
    assert_int_equal(folder.model->tensors.items[0].file, 2);
    assert_non_null(folder.model->files[2].source);
    assert_string_equal(folder.model->shape.architecture, "llama");
    assert_claim(&folder, "card.license", "mit");
    assert_verdict(&folder, "model.safetensors", WEIR_VERDICT_CLEAN);
    assert_verdict(&folder, "config.json", WEIR_VERDICT_CLEAN);
    assert_verdict(&folder, "notes.txt", WEIR_VERDICT_NOT_ANALYSED);
    assert_int_equal(weir_findings_count(folder.findings), 0);
}

static void shards_are_read_through_their_index(void **state) {
    (void)state;
    write_one("m-1.safetensors", "a");
    write_one("m-2.safetensors", "b");
    write_one("other.safetensors", "c");
    write_text("model.safetensors.index.json",
               "{\"weight_map\": {\"b\": \"m-2.safetensors\", \"a\": \"m-1.safetensors\"}}");

    WEIR_CLEANUP(opened_release) opened folder = open_path(".");
    WEIR_CLEANUP(opened_release) opened file = open_path("model.safetensors.index.json");
    WEIR_CLEANUP(opened_release) opened shard = open_path("./m-1.safetensors");

    assert_int_equal(folder.model->tensors.count, 2);
    assert_found_in(&folder, "not-in-model", "other.safetensors");
    assert_int_equal(weir_findings_count(folder.findings), 1);
    assert_int_equal(file.model->tensors.count, 2);
    assert_int_equal(file.model->file_count, 3);
    assert_false(file.model->is_folder);
    assert_verdict(&file, "model.safetensors.index.json", WEIR_VERDICT_CLEAN);
    assert_verdict(&file, "m-2.safetensors", WEIR_VERDICT_CLEAN);
    assert_int_equal(shard.model->file_count, 1);
    assert_string_equal(shard.model->name, "m-1.safetensors");
}

static void a_missing_shard_is_named_and_the_rest_is_read(void **state) {
    (void)state;
    write_one("m-1.safetensors", "a");
    write_text("model.safetensors.index.json",
               "{\"weight_map\": {\"b\": \"m-2.safetensors\", \"a\": \"m-1.safetensors\"}}");

    WEIR_CLEANUP(opened_release) opened folder = open_path(".");

    assert_found_in(&folder, "index-shard-missing", "model.safetensors.index.json");
    assert_string_equal(find_finding(&folder, "index-shard-missing")->at, "file m-2.safetensors");
    assert_verdict(&folder, "model.safetensors.index.json", WEIR_VERDICT_MALFORMED);
    assert_verdict(&folder, "m-1.safetensors", WEIR_VERDICT_CLEAN);
    assert_int_equal(folder.model->tensors.count, 1);
}

static void an_index_that_lies_is_told_where(void **state) {
    (void)state;
    static const char *const both[] = {"b", "extra"};
    write_one("m-1.safetensors", "a");
    write_safetensors("m-2.safetensors", both, 2);
    write_text("model.safetensors.index.json",
               "{\"weight_map\": {\"a\": \"m-2.safetensors\", \"b\": \"m-2.safetensors\","
               "\"lost\": \"m-1.safetensors\"}}");

    WEIR_CLEANUP(opened_release) opened folder = open_path(".");

    assert_string_equal(find_finding(&folder, "index-tensor-missing")->at, "tensor lost");
    assert_string_equal(find_finding(&folder, "index-wrong-shard")->at, "tensor a");
    assert_string_equal(find_finding(&folder, "index-tensor-unlisted")->at, "tensor extra");
    assert_verdict(&folder, "model.safetensors.index.json", WEIR_VERDICT_MALFORMED);
}

static void a_shard_outside_is_malicious_and_never_opened(void **state) {
    (void)state;
    assert_int_equal(mkdir("inner", 0700), 0);
    write_one("outside.safetensors", "a");
    write_text("inner/model.safetensors.index.json",
               "{\"weight_map\": {\"a\": \"../outside.safetensors\"}}");

    WEIR_CLEANUP(opened_release) opened folder = open_path("inner");
    WEIR_CLEANUP(opened_release) opened file = open_path("inner/model.safetensors.index.json");

    assert_verdict(&folder, "model.safetensors.index.json", WEIR_VERDICT_MALICIOUS);
    assert_verdict(&file, "model.safetensors.index.json", WEIR_VERDICT_MALICIOUS);
    assert_int_equal(file.model->file_count, 1);
    assert_int_equal(folder.model->tensors.count, 0);
}

static void one_malformed_part_leaves_the_rest(void **state) {
    (void)state;
    write_text("config.json", "{\"model_type\": ");
    write_text("tokenizer.json", "{");
    write_text("README.md", "---\nlicense: mit\n---\n");
    write_one("model.safetensors", "w");
    write_text("x.safetensors", "no");

    WEIR_CLEANUP(opened_release) opened folder = open_path(".");

    assert_verdict(&folder, "config.json", WEIR_VERDICT_MALFORMED);
    assert_verdict(&folder, "tokenizer.json", WEIR_VERDICT_MALFORMED);
    assert_verdict(&folder, "x.safetensors", WEIR_VERDICT_MALFORMED);
    assert_verdict(&folder, "model.safetensors", WEIR_VERDICT_CLEAN);
    assert_claim(&folder, "card.license", "mit");
    assert_int_equal(folder.model->tensors.count, 1);
}

static void safetensors_without_an_index_are_one_model(void **state) {
    (void)state;
    write_one("a.safetensors", "a");
    write_one("b.safetensors", "b");

    WEIR_CLEANUP(opened_release) opened folder = open_path(".");

    assert_int_equal(folder.model->tensors.count, 2);
    assert_string_equal(folder.model->format, "safetensors");
}

static void rivals_are_not_chosen_between(void **state) {
    (void)state;
    write_one("v1.safetensors", "w");
    write_one("v2.safetensors", "w");

    WEIR_CLEANUP(opened_release) opened folder = open_path(".");

    assert_non_null(find_finding(&folder, "several-models"));
    assert_string_equal(folder.model->format, "none");
    assert_int_equal(folder.model->tensors.count, 0);
}

static void several_ggufs_are_not_chosen_between(void **state) {
    (void)state;
    write_gguf("m-Q4_K_M.gguf", "w", 0, 0, 0);
    write_gguf("m-Q8_0.gguf", "w", 0, 0, 0);

    WEIR_CLEANUP(opened_release) opened folder = open_path(".");
    WEIR_CLEANUP(opened_release) opened file = open_path("m-Q8_0.gguf");

    assert_non_null(find_finding(&folder, "several-models"));
    assert_string_equal(folder.model->format, "none");
    assert_verdict(&folder, "m-Q8_0.gguf", WEIR_VERDICT_CLEAN);
    assert_string_equal(file.model->format, "gguf");
    assert_int_equal(file.model->tensors.count, 1);
}

static void one_gguf_beside_a_projector_is_the_model(void **state) {
    (void)state;
    write_gguf("m-Q8_0.gguf", "w", 0, 0, 0);
    write_gguf("mmproj-f16.gguf", "v", 0, 0, 0);

    WEIR_CLEANUP(opened_release) opened folder = open_path(".");

    assert_string_equal(folder.model->format, "gguf");
    assert_int_equal(folder.model->tensors.count, 1);
    assert_found_in(&folder, "not-in-model", "mmproj-f16.gguf");
}

static void safetensors_come_before_gguf(void **state) {
    (void)state;
    write_one("model.safetensors", "w");
    write_gguf("m.gguf", "w", 0, 0, 0);

    WEIR_CLEANUP(opened_release) opened folder = open_path(".");

    assert_string_equal(folder.model->format, "safetensors");
    assert_int_equal(folder.model->tensors.count, 1);
    assert_found_in(&folder, "not-in-model", "m.gguf");
}

static void the_parts_of_a_split_are_one_model(void **state) {
    (void)state;
    write_gguf("m-00001-of-00002.gguf", "a", 0, 2, 2);
    write_gguf("m-00002-of-00002.gguf", "b", 1, 2, 2);

    WEIR_CLEANUP(opened_release) opened folder = open_path(".");
    WEIR_CLEANUP(opened_release) opened second = open_path("m-00002-of-00002.gguf");

    assert_int_equal(folder.model->tensors.count, 2);
    assert_int_equal(weir_findings_count(folder.findings), 0);
    assert_int_equal(second.model->tensors.count, 2);
    assert_int_equal(second.model->file_count, 2);
    assert_string_equal(second.model->tensors.items[0].name, "a");
}

static void a_missing_part_of_a_split_is_named(void **state) {
    (void)state;
    write_gguf("m-00001-of-00002.gguf", "a", 0, 2, 2);

    WEIR_CLEANUP(opened_release) opened folder = open_path(".");

    assert_found_in(&folder, "split-part-missing", "m-00001-of-00002.gguf");
    assert_verdict(&folder, "m-00001-of-00002.gguf", WEIR_VERDICT_MALFORMED);
    assert_int_equal(folder.model->tensors.count, 1);
}

static void parts_that_disagree_with_their_names_are_malformed(void **state) {
    (void)state;
    write_gguf("m-00001-of-00002.gguf", "a", 0, 3, 2);
    write_gguf("m-00002-of-00002.gguf", "b", 1, 3, 2);
    write_gguf("alone.gguf", "c", 0, 2, 2);

    WEIR_CLEANUP(opened_release) opened split = open_path("m-00001-of-00002.gguf");
    WEIR_CLEANUP(opened_release) opened alone = open_path("alone.gguf");

    assert_non_null(find_finding(&split, "split-count"));
    assert_non_null(find_finding(&alone, "split-part-missing"));
}

static void an_adapter_is_read_with_its_config(void **state) {
    (void)state;
    write_text("adapter_config.json", "{\"peft_type\": \"LORA\", \"r\": 8}");
    write_one("adapter_model.safetensors", "base_model.model.q.lora_A.weight");
    write_one("extra.safetensors", "x");

    WEIR_CLEANUP(opened_release) opened folder = open_path(".");

    assert_true(folder.model->adapter.present);
    assert_int_equal(folder.model->tensors.count, 1);
    assert_found_in(&folder, "not-in-model", "extra.safetensors");
}

static void parts_below_the_top_give_templates_and_no_claims(void **state) {
    (void)state;
    assert_int_equal(mkdir("a", 0700), 0);
    assert_int_equal(mkdir("additional_chat_templates", 0700), 0);
    write_text("a/config.json", "{\"model_type\": \"other\"}");
    write_text("a/tokenizer_config.json", "{\"chat_template\": \"T\", \"x\": 1}");
    write_one("a/model.safetensors", "w");
    write_text("additional_chat_templates/rag.jinja", "R");
    write_text("config.json", "{\"model_type\": \"mine\"}");

    WEIR_CLEANUP(opened_release) opened folder = open_path(".");

    assert_string_equal(folder.model->shape.architecture, "mine");
    assert_int_equal(folder.model->claims.count, 1);
    assert_int_equal(folder.model->template_count, 2);
    assert_string_equal(folder.model->templates[1].name, "rag");
    assert_int_equal(folder.model->tensors.count, 0);
    assert_string_equal(folder.model->format, "none");
    assert_verdict(&folder, "a/model.safetensors", WEIR_VERDICT_CLEAN);
}

static void the_whole_tokenizer_comes_before_its_halves(void **state) {
    (void)state;
    write_text("merges.txt", "a b\n");
    write_text("tokenizer.json", "{\"model\": {\"type\": \"BPE\", \"vocab\": {\"whole\": 0}}}");
    write_text("vocab.json", "{\"half\": 0}");

    WEIR_CLEANUP(opened_release) opened folder = open_path(".");

    assert_string_equal(folder.model->vocabulary.tokens[0], "whole");
    assert_int_equal(folder.model->vocabulary.merges, 0);
    assert_verdict(&folder, "vocab.json", WEIR_VERDICT_CLEAN);
}

static void two_halves_make_a_tokenizer(void **state) {
    (void)state;
    write_text("added_tokens.json", "{\"<s>\": 1}");
    write_text("merges.txt", "a b\n");
    write_text("vocab.json", "{\"a\": 0}");

    WEIR_CLEANUP(opened_release) opened folder = open_path(".");

    assert_int_equal(folder.model->vocabulary.count, 2);
    assert_string_equal(folder.model->vocabulary.tokens[1], "<s>");
    assert_int_equal(folder.model->vocabulary.merges, 1);
    assert_string_equal(folder.model->vocabulary.model, "BPE");
}

static void strange_files_are_listed_and_not_opened(void **state) {
    (void)state;
    assert_int_equal(mkfifo("config.json", 0600), 0);
    assert_int_equal(symlink("model.safetensors", "model.safetensors"), 0);
    write_text("\xff\x1b.json", "{}");

    WEIR_CLEANUP(opened_release) opened folder = open_path(".");

    assert_int_equal(folder.model->file_count, 3);
    assert_verdict(&folder, "config.json", WEIR_VERDICT_NOT_ANALYSED);
    assert_verdict(&folder, "model.safetensors", WEIR_VERDICT_NOT_ANALYSED);
    assert_verdict(&folder, "\\xFF\\x1B.json", WEIR_VERDICT_NOT_ANALYSED);
    assert_string_equal(folder.model->files[2].path, "\\xFF\\x1B.json");
    assert_string_equal(folder.model->files[2].format, "json");
}

static void an_unreadable_file_is_not_analysed(void **state) {
    (void)state;
    enum { NOBODY = 65534 }; /* nothing is closed to root, so root becomes someone else */
    const uid_t self = geteuid();
    write_text("config.json", "{}");
    assert_int_equal(chmod("config.json", 0), 0);
    assert_int_equal(chmod(".", 0755), 0);
    assert_int_equal(self == 0 ? seteuid(NOBODY) : 0, 0);

    WEIR_CLEANUP(opened_release) opened folder = open_path(".");

    assert_int_equal(self == 0 ? seteuid(0) : 0, 0);
    assert_verdict(&folder, "config.json", WEIR_VERDICT_NOT_ANALYSED);
    assert_found_in(&folder, "file-unreadable", "config.json");
}

static void a_path_too_long_to_name_is_not_opened(void **state) {
    (void)state;
    char path[600];
    memset(path, 'd', sizeof path);
    path[200] = '\0';
    assert_int_equal(mkdir(path, 0700), 0);
    path[200] = '/';
    strcpy(path + 400, ".json");
    write_text(path, "{}");

    WEIR_CLEANUP(opened_release) opened folder = open_path(".");

    assert_int_equal(folder.model->file_count, 1);
    assert_int_equal(folder.model->files[0].verdict, WEIR_VERDICT_NOT_ANALYSED);
    assert_non_null(find_finding(&folder, "not-opened"));
}

static void an_empty_folder_has_no_weights(void **state) {
    (void)state;
    WEIR_CLEANUP(opened_release) opened folder = open_path(".");

    assert_int_equal(folder.model->file_count, 0);
    assert_string_equal(folder.model->format, "none");
}

static void what_is_not_there_is_an_error(void **state) {
    (void)state;
    WEIR_CLEANUP(weir_findings_free) weir_findings *findings = NULL;
    assert_int_equal(weir_findings_new(&findings, NULL), WEIR_OK);
    assert_int_equal(mkfifo("pipe", 0600), 0);
    checkpoint *model = NULL;
    weir_error err = {0};

    assert_int_equal(checkpoint_open(&model, "nowhere", NULL, findings, &err), WEIR_ERR_IO);
    assert_string_equal(err.file, "nowhere");
    assert_int_equal(checkpoint_open(&model, "pipe", NULL, findings, &err), WEIR_ERR_UNSUPPORTED);
    assert_null(model);
}

static void an_index_alone_in_memory_is_not_accused(void **state) {
    (void)state;
    WEIR_CLEANUP(opened_release)
    opened file = open_text("model.safetensors.index.json", "{\"weight_map\": {\"a\": \"b.st\"}}");

    assert_file(&file, "safetensors-index", WEIR_VERDICT_NOT_ANALYSED);
}

#define in_a_place(test) cmocka_unit_test_setup_teardown(test, make_place, remove_place)

int main(void) {
    const struct CMUnitTest tests[] = {
        in_a_place(a_plain_folder_is_read_whole),
        in_a_place(shards_are_read_through_their_index),
        in_a_place(a_missing_shard_is_named_and_the_rest_is_read),
        in_a_place(an_index_that_lies_is_told_where),
        in_a_place(a_shard_outside_is_malicious_and_never_opened),
        in_a_place(one_malformed_part_leaves_the_rest),
        in_a_place(safetensors_without_an_index_are_one_model),
        in_a_place(rivals_are_not_chosen_between),
        in_a_place(several_ggufs_are_not_chosen_between),
        in_a_place(one_gguf_beside_a_projector_is_the_model),
        in_a_place(safetensors_come_before_gguf),
        in_a_place(the_parts_of_a_split_are_one_model),
        in_a_place(a_missing_part_of_a_split_is_named),
        in_a_place(parts_that_disagree_with_their_names_are_malformed),
        in_a_place(an_adapter_is_read_with_its_config),
        in_a_place(parts_below_the_top_give_templates_and_no_claims),
        in_a_place(the_whole_tokenizer_comes_before_its_halves),
        in_a_place(two_halves_make_a_tokenizer),
        in_a_place(strange_files_are_listed_and_not_opened),
        in_a_place(an_unreadable_file_is_not_analysed),
        in_a_place(a_path_too_long_to_name_is_not_opened),
        in_a_place(an_empty_folder_has_no_weights),
        in_a_place(what_is_not_there_is_an_error),
        cmocka_unit_test(an_index_alone_in_memory_is_not_accused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
