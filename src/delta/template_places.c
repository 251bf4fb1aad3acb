/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The places of one model where a chat template of one name stands, and which one counts:
 *
 *   a tokenizer loaded by transformers   chat_template.jinja and additional_chat_templates/ [1];
 *                                        where there is either, tokenizer_config.json is not asked
 *   a processor loaded by transformers   chat_template.json before chat_template.jinja [2]
 *   the converter to GGUF                tokenizer_config.json before the files [3]
 *   llama.cpp                            tokenizer.chat_template of the GGUF file [4]
 *
 * Texts are compared as Jinja reads them: every line end is "\n", and one at the very end is
 * dropped [5]. A disagreement that the base has too, with the same texts in the same places, was
 * inherited and is no difference.
 *
 * [1] transformers 5.24, tokenization_utils_base.py, _from_pretrained, "independent chat template
 *     file(s)". [2] The same, processing_utils.py, get_processor_dict, "the legacy path".
 * [3] gguf 0.19, vocab.py, SpecialVocab._try_load_from_tokenizer_json.
 * [4] llama.cpp, src/llama-model.cpp, llama_model_chat_template.
 * [5] Jinja 3.1, lexer.py, Lexer.tokeniter: newline_re, keep_trailing_newline.
 */
#include <stdio.h>
#include <string.h>

#include "base/fail.h"
#include "delta/file_delta.h"
#include "format/detect.h"

enum { SENTENCE_BYTES = 400, READERS_BYTES = 240 };

typedef enum place_kind {
    PLACE_FILE,      /* chat_template.jinja, additional_chat_templates/NAME.jinja */
    PLACE_TOKENIZER, /* tokenizer_config.json */
    PLACE_PROCESSOR, /* chat_template.json */
    PLACE_GGUF,
    PLACE_OTHER, /* nobody looks there */
} place_kind;

static place_kind find_place(const checkpoint_template *template) {
    static const char folder[] = "additional_chat_templates/";
    const char *path = template->file;
    const char *last = strrchr(path, '/');
    if (path_has_suffix(path, ".gguf")) {
        return last ? PLACE_OTHER : PLACE_GGUF;
    }
    const bool is_additional = strncmp(path, folder, sizeof folder - 1) == 0 &&
                               last == path + sizeof folder - 2 && path_has_suffix(path, ".jinja");
    if (is_additional || strcmp(path, "chat_template.jinja") == 0) {
        return PLACE_FILE;
    }
    return strcmp(path, "tokenizer_config.json") == 0 ? PLACE_TOKENIZER
           : strcmp(path, "chat_template.json") == 0  ? PLACE_PROCESSOR
                                                      : PLACE_OTHER;
}

/* A template's text, a line end at a time as "\n". */
typedef struct template_reader {
    const char *text;
    size_t len;
    size_t at;
} template_reader;

static template_reader read_from(const checkpoint_template *template) {
    template_reader reader = {.text = template->text, .len = template->len};
    if (reader.len > 0 && reader.text[reader.len - 1] == '\n') {
        reader.len--;
        reader.len -= reader.len > 0 && reader.text[reader.len - 1] == '\r';
    } else if (reader.len > 0 && reader.text[reader.len - 1] == '\r') {
        reader.len--;
    }
    return reader;
}

static int next_byte(template_reader *reader) {
    if (reader->at == reader->len) {
        return -1;
    }
    const char byte = reader->text[reader->at++];
    if (byte == '\r') {
        reader->at += reader->at < reader->len && reader->text[reader->at] == '\n';
        return '\n';
    }
    return (unsigned char)byte;
}

/* The first byte, counted as Jinja sees the texts, from which two differ; SIZE_MAX: they are equal.
 */
static size_t find_difference(const checkpoint_template *a, const checkpoint_template *b) {
    template_reader left = read_from(a);
    template_reader right = read_from(b);
    for (size_t at = 0;; at++) {
        const int byte = next_byte(&left);
        if (byte != next_byte(&right)) {
            return at;
        }
        if (byte < 0) {
            return SIZE_MAX;
        }
    }
}

/* The first template of a name in a place, which is all that is compared of a place. */
static const checkpoint_template *find_first(const checkpoint *files, place_kind where,
                                             const char *name) {
    for (size_t i = 0; i < files->template_count; i++) {
        if (find_place(&files->templates[i]) == where &&
            strcmp(files->templates[i].name, name) == 0) {
            return &files->templates[i];
        }
    }
    return NULL;
}

static bool is_kept(const checkpoint *base, const checkpoint_template *is) {
    const checkpoint_template *was = find_first(base, find_place(is), is->name);
    return was && find_difference(was, is) == SIZE_MAX;
}

static void add_reader(char *out, size_t size, const char *reader,
                       const checkpoint_template *template) {
    const size_t len = strlen(out);
    (void)snprintf(out + len, size - len, "%s%s %.40s", len > 0 ? ", " : "", reader,
                   template->file);
}

/* Who reads which of two places, in words. */
static void describe_readers(char *out, size_t size, const checkpoint_template *a,
                             const checkpoint_template *b) {
    const checkpoint_template *at[PLACE_OTHER + 1] = {NULL};
    at[find_place(a)] = a;
    at[find_place(b)] = b;
    if (at[PLACE_FILE] || at[PLACE_TOKENIZER]) {
        add_reader(out, size, "transformers' tokenizer uses",
                   at[PLACE_FILE] ? at[PLACE_FILE] : at[PLACE_TOKENIZER]);
    }
    if (at[PLACE_PROCESSOR]) {
        add_reader(out, size, "its processor uses", at[PLACE_PROCESSOR]);
    }
    if (at[PLACE_TOKENIZER] && at[PLACE_FILE]) {
        add_reader(out, size, "the GGUF converter takes", at[PLACE_TOKENIZER]);
    }
    if (at[PLACE_GGUF]) {
        add_reader(out, size, "llama.cpp uses", at[PLACE_GGUF]);
    }
}

static weir_code compare_two(const file_pair *pair, const checkpoint_template *a,
                             const checkpoint_template *b, weir_error *err) {
    const size_t at = find_difference(a, b);
    if (at == SIZE_MAX || (is_kept(pair->base.files, a) && is_kept(pair->base.files, b))) {
        return WEIR_OK;
    }
    char readers[READERS_BYTES] = "";
    char what[SENTENCE_BYTES];
    char sizes[96];
    describe_readers(readers, sizeof readers, a, b);
    (void)snprintf(what, sizeof what, "%.40s and %.40s hold different %.24s chat templates%s%s",
                   a->file, b->file, a->name, readers[0] ? ": " : "", readers);
    (void)snprintf(sizes, sizeof sizes, "%zu and %zu bytes, different from byte %zu on", a->len,
                   b->len, at);
    const file_delta row = {.change = WEIR_CHANGE_TEMPLATE,
                            .kind = FILE_KIND_CHAT_TEMPLATE_PLACES,
                            .grade = WEIR_GRADE_PROVED,
                            .what = what,
                            .model = sizes,
                            .file = a->file};
    return file_delta_add(pair->diff, &row, err);
}

/* The first template of a name in any place stands for the name, so that each is taken once. */
static bool is_first_of_name(const checkpoint *files, size_t index) {
    for (size_t i = 0; i < index; i++) {
        if (find_place(&files->templates[i]) != PLACE_OTHER &&
            strcmp(files->templates[i].name, files->templates[index].name) == 0) {
            return false;
        }
    }
    return find_place(&files->templates[index]) != PLACE_OTHER;
}

weir_code compare_template_places(const file_pair *pair, weir_error *err) {
    const checkpoint *model = pair->model.files;
    for (size_t i = 0; i < model->template_count; i++) {
        if (!is_first_of_name(model, i)) {
            continue;
        }
        for (int left = 0; left < PLACE_OTHER; left++) {
            for (int right = left + 1; right < PLACE_OTHER; right++) {
                const char *name = model->templates[i].name;
                const checkpoint_template *a = find_first(model, (place_kind)left, name);
                const checkpoint_template *b = find_first(model, (place_kind)right, name);
                if (a && b) {
                    WEIR_TRY(compare_two(pair, a, b, err));
                }
            }
        }
    }
    return WEIR_OK;
}
