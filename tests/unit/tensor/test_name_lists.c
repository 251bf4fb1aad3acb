/* SPDX-License-Identifier: Apache-2.0 */
/* The names that transformers saves and gguf-py maps (tests/data/names): every one has a role, and
 * both containers give the same canonical tensors. */
#include "fixture.h"

#include "weir/finding.h"

/* One list: both containers, and what each GGUF tensor is made of. */
typedef struct name_list {
    fixture hf;
    fixture gguf;
    char *made_of[4096]; /* "GGUFNAME HFNAME ..." */
    size_t made_count;
} name_list;

static char *first_word(char *text, char **rest) {
    char *space = strchr(text, ' ');
    *rest = space ? space + 1 : text + strlen(text);
    if (space) {
        *space = '\0';
    }
    return text;
}

static void add_named(fixture *to, const char *name, const char *dims_text) {
    uint64_t dims[8];
    const size_t rank = fixture_dims(dims, dims_text);
    fixture_add(to, name, WEIR_DTYPE_BF16, dims, rank, NULL);
}

static void take_line(void *context, const char *kind, char *rest) {
    name_list *list = context;
    char *end;
    if (strcmp(kind, "family") == 0) {
        snprintf(list->hf.family, sizeof list->hf.family, "%s", rest);
    } else if (strcmp(kind, "gguf_family") == 0) {
        snprintf(list->gguf.family, sizeof list->gguf.family, "%s", rest);
    } else if (strcmp(kind, "shape") == 0) {
        fixture_shape(&list->hf.model.shape, rest);
        const char *architecture = list->gguf.model.shape.architecture;
        list->gguf.model.shape = list->hf.model.shape;
        list->gguf.model.shape.architecture = architecture;
    } else if (strcmp(kind, "hf") == 0) {
        const char *name = first_word(rest, &end);
        add_named(&list->hf, name, end);
    } else if (strcmp(kind, "gguf") == 0) {
        const char *name = first_word(rest, &end);
        char *dims = end;
        dims = first_word(dims, &end);
        add_named(&list->gguf, name, dims);
        assert_true(list->made_count < 4096);
        assert_true(asprintf(&list->made_of[list->made_count++], "%s %s", name, end + 2) > 0);
    }
}

static name_list *open_list(const char *name) {
    name_list *list = calloc(1, sizeof *list);
    char path[128];
    assert_non_null(list);
    fixture_open(&list->hf, "", "safetensors");
    fixture_open(&list->gguf, "", "gguf");
    snprintf(path, sizeof path, "names/%s.txt", name);
    fixture_lines(path, take_line, list);
    assert_true(list->hf.model.tensors.count > 10);
    assert_true(list->made_count > 10);
    return list;
}

static void close_list(name_list *list) {
    for (size_t i = 0; i < list->made_count; i++) {
        free(list->made_of[i]);
    }
    fixture_close(&list->hf);
    fixture_close(&list->gguf);
    free(list);
}

/* Tensors that the role table leaves out on purpose; docs/roles.md says why. */
static int is_exception(const char *stored_name) {
    return strncmp(stored_name, "vision_tower.", 13) == 0 ||
           strncmp(stored_name, "multi_modal_projector.", 22) == 0 ||
           strstr(stored_name, ".attn_k_b.") || strstr(stored_name, ".attn_v_b.");
}

static int check_roles(const weir_model *model) {
    int exceptions = 0;
    for (size_t i = 0; i < weir_model_tensor_count(model); i++) {
        const weir_tensor *tensor = weir_model_tensor(model, i);
        if (is_exception(tensor->stored_name)) {
            assert_int_equal(tensor->role, WEIR_ROLE_UNKNOWN);
            assert_string_equal(tensor->name, tensor->stored_name);
            exceptions++;
        } else if (tensor->role == WEIR_ROLE_UNKNOWN) {
            fail_msg("%s has no role", tensor->stored_name);
        }
    }
    assert_int_equal(weir_model_has_known_roles(model), exceptions == 0);
    return exceptions;
}

/* Whether the words of `text` after the first hold this one. */
static int has_word(const char *text, const char *word) {
    const size_t len = strlen(word);
    for (const char *at = strchr(text, ' '); at; at = strchr(at + 1, ' ')) {
        if (strncmp(at + 1, word, len) == 0 && (at[1 + len] == ' ' || at[1 + len] == '\0')) {
            return 1;
        }
    }
    return 0;
}

/* Each view of a GGUF tensor is, by name, role and shape, a view of one of the tensors it is made
 * of. */
static size_t check_pair(const weir_model *gguf, const weir_model *hf, const char *made_of) {
    size_t views = 0;
    const size_t len = strcspn(made_of, " ");
    for (size_t i = 0; i < weir_model_tensor_count(gguf); i++) {
        const weir_tensor *mine = weir_model_tensor(gguf, i);
        size_t index;
        if (strncmp(mine->stored_name, made_of, len) != 0 || mine->stored_name[len] != '\0' ||
            is_exception(mine->stored_name)) {
            continue;
        }
        if (!model_find(hf, mine->name, &index)) {
            fail_msg("%s is %s, which the folder does not have", mine->stored_name, mine->name);
        }
        const weir_tensor *theirs = weir_model_tensor(hf, index);
        if (!has_word(made_of, theirs->stored_name)) {
            fail_msg("%s is %s, and so is %s", mine->stored_name, mine->name, theirs->stored_name);
        }
        assert_int_equal(mine->role, theirs->role);
        assert_int_equal(mine->layer, theirs->layer);
        assert_int_equal(mine->expert, theirs->expert);
        assert_int_equal(mine->is_bias, theirs->is_bias);
        assert_int_equal(mine->rows, theirs->rows);
        assert_int_equal(mine->cols, theirs->cols);
        views++;
    }
    return views;
}

static void check_list(const char *name) {
    name_list *list = open_list(name);
    weir_findings *findings = NULL;
    assert_int_equal(weir_findings_new(&findings, NULL), WEIR_OK);
    weir_model *hf = fixture_model(&list->hf, findings);
    weir_model *gguf = fixture_model(&list->gguf, findings);

    size_t views = 0;
    const int hf_exceptions = check_roles(hf);
    const int gguf_exceptions = check_roles(gguf);
    for (size_t i = 0; i < list->made_count; i++) {
        views += check_pair(gguf, hf, list->made_of[i]);
    }

    assert_int_equal(weir_findings_count(findings), 0);
    assert_int_equal(views + gguf_exceptions, weir_model_tensor_count(gguf));
    assert_int_equal(hf_exceptions > 0, strcmp(name, "gemma3") == 0);
    assert_int_equal(gguf_exceptions > 0, strncmp(name, "deepseek", 8) == 0);
    weir_model_free(hf);
    weir_model_free(gguf);
    weir_findings_free(findings);
    close_list(list);
}

static void names_of_both_containers_agree(void **state) {
    check_list(*state);
}

#define LIST(name)                                                                                 \
    { "names_of_" name, names_of_both_containers_agree, NULL, NULL, (void *)name }

int main(void) {
    const struct CMUnitTest tests[] = {
        LIST("bert"),           LIST("bert_mlm"),
        LIST("deepseek_v2"),    LIST("deepseek_v2_lite"),
        LIST("deepseek_v3"),    LIST("falcon_classic"),
        LIST("falcon_grouped"), LIST("falcon_multi_query"),
        LIST("gemma"),          LIST("gemma2"),
        LIST("gemma3"),         LIST("gemma3_text"),
        LIST("gpt2"),           LIST("gpt_neox"),
        LIST("gpt_oss"),        LIST("llama"),
        LIST("mistral"),        LIST("mixtral"),
        LIST("phi3"),           LIST("qwen2"),
        LIST("qwen2_moe"),      LIST("qwen3"),
        LIST("qwen3_moe"),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
