/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Content decides wherever it can: a pickle is a pickle under every name. safetensors is tried
 * before all magics, because it begins with a length whose low bytes may look like any of them.
 *
 * Magics: GGUF, NumPy, HDF5, ZIP (APPNOTE 4.3.7), ELF, PE, Mach-O, 7z, RAR, gzip, xz, zstd, bzip2,
 * tar (POSIX ustar), PNG, JPEG, GIF, BMP, RIFF, PDF, TFLite (flatbuffer identifier TFL3), Parquet,
 * SQLite, as their specifications give them. Pickle: Python's pickletools, opcodes PROTO and
 * GLOBAL. ONNX and SentencePiece have no magic; what their protobuf messages begin with is tested.
 */
#include "format/detect.h"

#include <ctype.h>
#include <string.h>
#include <strings.h>

#include "base/fail.h"
#include "base/limits.h"
#include "base/text.h"
#include "format/document.h"

enum { HEAD_BYTES = 4096, TAIL_BYTES = 66000 };

/* The first bytes of a file. */
typedef struct head {
    const char *path;
    uint64_t size;
    size_t len;
    unsigned char bytes[HEAD_BYTES];
} head;

bool path_has_suffix(const char *path, const char *suffix) {
    const size_t len = strlen(path);
    const size_t suffix_len = strlen(suffix);
    return len >= suffix_len && strcasecmp(path + len - suffix_len, suffix) == 0;
}

const char *path_base(const char *path) {
    const char *slash = strrchr(path, '/');
    return slash ? slash + 1 : path;
}

static bool has_any_suffix(const char *path, const char *const *suffixes) {
    for (; *suffixes; suffixes++) {
        if (path_has_suffix(path, *suffixes)) {
            return true;
        }
    }
    return false;
}

static uint64_t little_endian(const unsigned char *bytes, size_t len) {
    uint64_t value = 0;
    for (size_t i = len; i > 0; i--) {
        value = value << 8 | bytes[i - 1];
    }
    return value;
}

/* A header length that fits the file, and a JSON object behind it. */
static bool is_safetensors(const head *top) {
    if (top->len < 10) {
        return false;
    }
    const uint64_t header_bytes = little_endian(top->bytes, 8);
    return header_bytes >= 2 && header_bytes <= SAFETENSORS_HEADER_BYTES_MAX &&
           header_bytes <= top->size - 8 && top->bytes[8] == '{';
}

typedef struct magic {
    size_t offset;
    size_t len;
    const char *bytes;
    const char *format;
} magic;

static const magic magics[] = {
    {0, 4, "GGUF", "gguf"},
    {0, 6, "\x93NUMPY", "npy"},
    {0, 8, "\x89HDF\r\n\x1a\n", "hdf5"},
    {4, 4, "TFL3", "tflite"},
    {0, 6, "7z\xBC\xAF\x27\x1C", "7z"},
    {0, 6, "Rar!\x1A\x07", "rar"},
    {0, 3, "\x1F\x8B\x08", "gzip"},
    {0, 6,
     "\xFD"
     "7zXZ\0",
     "xz"},
    {0, 4, "\x28\xB5\x2F\xFD", "zstd"},
    {0, 3, "BZh", "bzip2"},
    {257, 5, "ustar", "tar"},
    {0, 8, "\x89PNG\r\n\x1a\n", "image"},
    {0, 3, "\xFF\xD8\xFF", "image"},
    {0, 4, "GIF8", "image"},
    {8, 4, "WEBP", "image"},
    {8, 4, "WAVE", "audio"},
    {4, 4, "ftyp", "video"},
    {0, 5, "%PDF-", "pdf"},
    {0, 4, "PAR1", "parquet"},
    {0, 16, "SQLite format 3", "sqlite"},
    {0, 4, "\0asm", "wasm"},
};

static const char *find_magic(const head *top) {
    for (size_t i = 0; i < sizeof magics / sizeof *magics; i++) {
        const magic *row = &magics[i];
        if (top->len >= row->offset + row->len &&
            memcmp(top->bytes + row->offset, row->bytes, row->len) == 0) {
            return row->format;
        }
    }
    return NULL;
}

static bool starts(const head *top, const char *bytes, size_t len) {
    return top->len >= len && memcmp(top->bytes, bytes, len) == 0;
}

/* "MZ" alone is two letters; the PE header that its field at 0x3C points to makes it a program. */
static bool is_pe(const head *top) {
    if (!starts(top, "MZ", 2) || top->len < 0x40) {
        return false;
    }
    const uint64_t at = little_endian(top->bytes + 0x3C, 4);
    return at + 4 <= top->len && memcmp(top->bytes + at, "PE\0\0", 4) == 0;
}

/* Thin files in both byte orders; fat files share their magic with Java, and hold few parts. */
static bool is_mach_o(const head *top) {
    static const char *const thin[] = {"\xFE\xED\xFA\xCE", "\xFE\xED\xFA\xCF", "\xCE\xFA\xED\xFE",
                                       "\xCF\xFA\xED\xFE"};
    for (size_t i = 0; i < sizeof thin / sizeof *thin; i++) {
        if (starts(top, thin[i], 4)) {
            return true;
        }
    }
    return starts(top, "\xCA\xFE\xBA\xBE\0\0\0", 7) && top->bytes[7] < 32;
}

static const char *find_program(const head *top) {
    if (starts(top,
               "\x7F"
               "ELF",
               4)) {
        return "elf";
    }
    if (starts(top, "MZqFpD", 6)) {
        return "ape"; /* an "actually portable executable", which is a shell script as well */
    }
    if (is_pe(top)) {
        return "pe";
    }
    return is_mach_o(top) ? "mach-o" : NULL;
}

/* A llamafile is a program with a zip at its end, one member of which is a GGUF. */
static weir_code find_llamafile(bool *out, weir_source *source, weir_error *err) {
    const uint64_t size = weir_source_size(source);
    const size_t len = size < TAIL_BYTES ? (size_t)size : TAIL_BYTES;
    WEIR_CLEANUP(free) unsigned char *tail = malloc(len ? len : 1);
    if (!tail) {
        return weir_fail_nomem(err);
    }
    WEIR_TRY(weir_source_read(source, size - len, tail, len, err));
    *out = memmem(tail, len, "PK\x05\x06", 4) && memmem(tail, len, "PK\x01\x02", 4) &&
           memmem(tail, len, ".gguf", 5);
    return WEIR_OK;
}

/* PROTO with a known version and an opcode behind it. */
static bool is_binary_pickle(const head *top) {
    if (top->len < 3 || top->bytes[0] != 0x80 || top->bytes[1] < 2 || top->bytes[1] > 5) {
        return false;
    }
    const unsigned char opcode = top->bytes[2];
    return (opcode >= 0x21 && opcode < 0x7F) || (opcode >= 0x81 && opcode <= 0x98);
}

/* A dotted Python name up to a newline. @return bytes with the newline, or 0. */
static size_t python_name(const unsigned char *bytes, size_t len) {
    for (size_t i = 0; i < len; i++) {
        const unsigned char byte = bytes[i];
        if (byte == '\n') {
            return i > 0 ? i + 1 : 0;
        }
        const bool is_digit = byte >= '0' && byte <= '9';
        if (!(isalpha(byte) || byte == '_' || byte == '.' || is_digit) || (i == 0 && is_digit)) {
            return 0;
        }
    }
    return 0;
}

/* Protocols 0 and 1 have no magic: GLOBAL "cMODULE\nNAME\n" at the start, and an opcode behind it.
 */
static bool is_text_pickle(const head *top) {
    size_t at = starts(top, "(", 1) ? 1 : 0;
    if (at >= top->len || top->bytes[at] != 'c') {
        return false;
    }
    at++;
    for (int i = 0; i < 2; i++) {
        const size_t used = python_name(top->bytes + at, top->len - at);
        if (used == 0) {
            return false;
        }
        at += used;
    }
    return at < top->len && strchr("(pq)]}NSVXr0.", top->bytes[at]) != NULL && top->bytes[at] != 0;
}

/* ZIP by its first member: torch keeps "NAME/data.pkl", numpy "NAME.npy". */
static const char *name_zip(const head *top) {
    static const char *const torch[] = {".pt", ".pth", ".bin", ".ckpt", NULL};
    char member[128] = "";
    if (top->len >= 30) {
        const size_t stated = (size_t)little_endian(top->bytes + 26, 2);
        const size_t room = top->len - 30 < sizeof member - 1 ? top->len - 30 : sizeof member - 1;
        memcpy(member, top->bytes + 30, stated < room ? stated : room);
    }
    if (path_has_suffix(member, "data.pkl") || has_any_suffix(top->path, torch)) {
        return "torch-zip";
    }
    if (path_has_suffix(member, ".npy") || path_has_suffix(top->path, ".npz")) {
        return "npz";
    }
    return path_has_suffix(top->path, ".keras") ? "keras" : "zip";
}

/* ModelProto of ONNX: ir_version (field 1, varint), then producer_name (field 2, text). */
static bool is_onnx(const head *top) {
    return top->len > 4 && top->bytes[0] == 0x08 && top->bytes[1] >= 1 && top->bytes[1] <= 32 &&
           top->bytes[2] == 0x12 && top->bytes[3] < 64;
}

/* ModelProto of SentencePiece: pieces (field 1) of a text (field 1) and a float score (field 2). */
static bool is_sentencepiece(const head *top) {
    if (top->len < 8 || top->bytes[0] != 0x0A || top->bytes[2] != 0x0A) {
        return false;
    }
    const size_t score = 4 + (size_t)top->bytes[3];
    return top->bytes[1] < 0x80 && top->bytes[3] < 0x70 && score < top->len &&
           top->bytes[score] == 0x15;
}

static const char *find_content(const head *top) {
    if (is_safetensors(top)) {
        return "safetensors";
    }
    const char *program = find_program(top);
    if (program) {
        return program;
    }
    if (starts(top, "PK\x03\x04", 4) || starts(top, "PK\x05\x06", 4)) {
        return name_zip(top);
    }
    const char *known = find_magic(top);
    if (known) {
        return known;
    }
    if (is_binary_pickle(top) || is_text_pickle(top)) {
        return "pickle";
    }
    if (is_onnx(top)) {
        return "onnx";
    }
    return is_sentencepiece(top) ? "sentencepiece" : NULL;
}

typedef struct name_rule {
    const char
        *pattern; /* with a leading '*' a suffix of the path, else the whole last component */
    const char *format;
} name_rule;

static const name_rule name_rules[] = {
    {"config.json", "config"},
    {"generation_config.json", "generation_config"},
    {"model_index.json", "model_index"},
    {"Modelfile", "modelfile"},
    {"preprocessor_config.json", "preprocessor_config"},
    {"processor_config.json", "preprocessor_config"},
    {"quantize_config.json", "quantize_config"},
    {"tokenizer.json", "tokenizer"},
    {"tokenizer_config.json", "tokenizer_config"},
    {"special_tokens_map.json", "special_tokens"},
    {"added_tokens.json", "added_tokens"},
    {"vocab.json", "vocabulary"},
    {"vocab.txt", "vocabulary-list"},
    {"merges.txt", "merges"},
    {"chat_template.json", "chat_template"},
    {"adapter_config.json", "adapter_config"},
    {"trainer_state.json", "trainer_state"},
    {"mergekit_config.yml", "mergekit_config"},
    {"mergekit_config.yaml", "mergekit_config"},
    {"README.md", "card"},
    {"saved_model.pb", "tensorflow"},
    {"*.safetensors.index.json", "safetensors-index"},
    {"*.index.json", "torch-index"},
    {"*.safetensors", "safetensors"},
    {"*.gguf", "gguf"},
    {"*.jinja", "chat_template"},
    {"*.jinja2", "chat_template"},
    {"*.j2", "chat_template"},
    {"*.template", "chat_template"},
    {"*.pkl", "pickle"},
    {"*.pickle", "pickle"},
    {"*.joblib", "pickle"},
    {"*.dill", "pickle"},
    {"*.pt", "torch"},
    {"*.pth", "torch"},
    {"*.ckpt", "torch"},
    {"*.npy", "npy"},
    {"*.h5", "hdf5"},
    {"*.hdf5", "hdf5"},
    {"*.onnx", "onnx"},
    {"*.tflite", "tflite"},
    {"*.pb", "tensorflow"},
    {"*.msgpack", "flax-msgpack"},
    {"*.py", "python"},
    {"*.sh", "shell"},
    {"*.yaml", "yaml"},
    {"*.yml", "yaml"},
    {"*.json", "json"},
};

static const char *find_name(const char *path) {
    for (size_t i = 0; i < sizeof name_rules / sizeof *name_rules; i++) {
        const name_rule *row = &name_rules[i];
        const bool matches = row->pattern[0] == '*' ? path_has_suffix(path, row->pattern + 1)
                                                    : !strcmp(path_base(path), row->pattern);
        if (matches) {
            return row->format;
        }
    }
    return NULL;
}

static bool is_one_of(const char *format, const char *const *formats) {
    for (; *formats; formats++) {
        if (strcmp(format, *formats) == 0) {
            return true;
        }
    }
    return false;
}

static bool is_archive_or_code(const char *format) {
    static const char *const formats[] = {
        "pickle", "torch-zip", "npz", "keras", "zip", "7z",     "rar",       "gzip", "xz", "zstd",
        "bzip2",  "tar",       "elf", "ape",   "pe",  "mach-o", "llamafile", "wasm", NULL};
    return is_one_of(format, formats);
}

/* What a name promises, and which archives or code keep the promise (NULL: none). */
typedef struct promise {
    const char *suffix;
    const char *text;
    const char *kept_by[8];
} promise;

static const promise promises[] = {
    {".safetensors", "a .safetensors file", {NULL}},
    {".gguf", "a .gguf file", {NULL}},
    {".json", "a .json file", {NULL}},
    {".yaml", "a .yaml file", {NULL}},
    {".yml", "a .yml file", {NULL}},
    {".jinja", "a chat template", {NULL}},
    {".txt", "a text", {NULL}},
    {".md", "a text", {NULL}},
    {".png", "an image", {NULL}},
    {".jpg", "an image", {NULL}},
    {".jpeg", "an image", {NULL}},
    {".gif", "an image", {NULL}},
    {".webp", "an image", {NULL}},
    {".pdf", "a .pdf file", {NULL}},
    {".onnx", "an .onnx file", {NULL}},
    {".npy", "a .npy file", {NULL}},
    {".h5", "an .h5 file", {NULL}},
    {".tflite", "a .tflite file", {NULL}},
    {".msgpack", "a .msgpack file", {NULL}},
    {".npz", "a .npz file", {"npz", "zip", NULL}},
    {".pt", "a PyTorch file", {"pickle", "torch-zip", "zip", "tar", NULL}},
    {".pth", "a PyTorch file", {"pickle", "torch-zip", "zip", "tar", NULL}},
    {".ckpt", "a checkpoint", {"pickle", "torch-zip", "zip", "tar", NULL}},
    {".bin", "a file of weights", {"pickle", "torch-zip", "zip", "tar", "gzip", NULL}},
};

/* Scripts are texts and may have a text's name. */
static const char *find_broken_promise(const char *path, const char *format) {
    if (!is_archive_or_code(format)) {
        return NULL;
    }
    for (size_t i = 0; i < sizeof promises / sizeof *promises; i++) {
        if (path_has_suffix(path, promises[i].suffix)) {
            return is_one_of(format, promises[i].kept_by) ? NULL : promises[i].text;
        }
    }
    return NULL;
}

/* A document that no name explains is explained by the keys at its top. */
static const char *key_formats[][2] = {
    {"chat_template", "chat_template"},
    {"merge_method", "mergekit_config"},
};

static weir_code find_key(const char **out, document *source, weir_error *err) {
    json_token token;
    WEIR_TRY(document_next(source, &token, err));
    if (token.kind != JSON_OBJECT_BEGIN) {
        return WEIR_OK;
    }
    for (;;) {
        WEIR_TRY(document_next(source, &token, err));
        if (token.kind != JSON_KEY) {
            return WEIR_OK;
        }
        for (size_t i = 0; i < sizeof key_formats / sizeof *key_formats; i++) {
            if (json_token_is(&token, key_formats[i][0])) {
                *out = key_formats[i][1];
                return WEIR_OK;
            }
        }
        WEIR_TRY(document_skip(source, &token, err));
    }
}

/* A broken document keeps the plain format: what is wrong with it is nobody's finding. */
static weir_code refine_document(const char **format, weir_source *source, weir_error *err) {
    const bool is_yaml = strcmp(*format, "yaml") == 0;
    const uint64_t size_max = is_yaml ? CARD_BYTES_MAX : SMALL_JSON_BYTES_MAX;
    if (weir_source_size(source) > size_max) {
        return WEIR_OK;
    }
    WEIR_CLEANUP(document_close) document text = {0};
    weir_error own = {0};
    weir_code code = is_yaml ? document_open_yaml_source(&text, source, &own)
                             : document_open_json(&text, source, size_max, &own);
    if (code == WEIR_OK) {
        code = find_key(format, &text, &own);
    }
    if (code == WEIR_ERR_NOMEM || code == WEIR_ERR_IO) {
        if (err) {
            *err = own;
        }
        return code;
    }
    if (code != WEIR_OK && !is_yaml && !path_has_suffix(weir_source_name(source), ".json")) {
        *format = "text"; /* it began with a brace, as a template may */
    }
    return WEIR_OK;
}

static bool is_text(const head *top) {
    const char *bytes = (const char *)top->bytes;
    if (top->len == 0 || memchr(bytes, '\0', top->len)) {
        return false;
    }
    /* The head of a longer file may end inside a character, which is at most 4 bytes long. */
    const size_t cut_max = top->size > top->len ? 3 : 0;
    for (size_t cut = 0; cut <= cut_max; cut++) {
        if (text_is_utf8(bytes, top->len - cut)) {
            return true;
        }
    }
    return false;
}

static const char *name_text(const head *top) {
    if (starts(top, "version https://git-lfs.github.com/spec/", 40)) {
        return "git-lfs-pointer";
    }
    if (starts(top, "#!", 2)) {
        const size_t window = top->len < 128 ? top->len : 128;
        return memmem(top->bytes, window, "python", 6) ? "python" : "shell";
    }
    size_t i = 0;
    while (i < top->len && strchr(" \t\r\n", top->bytes[i])) {
        i++;
    }
    return i < top->len && (top->bytes[i] == '{' || top->bytes[i] == '[') ? "json" : "text";
}

/* A text under a name that stands for binary data is what it is; the two with parsers are refused
 * there. */
static const char *choose_text(const char *text_format, const char *named) {
    static const char *const binary[] = {"npy",   "hdf5",   "onnx",         "tflite",
                                         "torch", "pickle", "flax-msgpack", NULL};
    const bool is_special = strcmp(text_format, "git-lfs-pointer") == 0;
    if (!named || is_special || (is_one_of(named, binary) && strcmp(text_format, "text") != 0)) {
        return text_format;
    }
    return named;
}

static weir_code name_program(detection *out, weir_source *source, weir_error *err) {
    static const char *const programs[] = {"elf", "ape", "pe", "mach-o", NULL};
    if (!is_one_of(out->format, programs)) {
        return WEIR_OK;
    }
    bool is_llamafile = false;
    WEIR_TRY(find_llamafile(&is_llamafile, source, err));
    if (is_llamafile) {
        out->format = "llamafile";
    }
    out->is_program = !is_llamafile;
    return WEIR_OK;
}

weir_code detect_format(detection *out, weir_source *source, weir_error *err) {
    head top = {.path = weir_source_name(source), .size = weir_source_size(source)};
    top.len = top.size < sizeof top.bytes ? (size_t)top.size : sizeof top.bytes;
    WEIR_TRY(weir_source_read(source, 0, top.bytes, top.len, err));

    detection found = {.format = find_content(&top)};
    const char *named = find_name(top.path);
    if (!found.format) {
        found.format = is_text(&top) ? choose_text(name_text(&top), named) : named;
    }
    if (!found.format) {
        found.format = "unknown";
    }
    if (strcmp(found.format, "json") == 0 || strcmp(found.format, "yaml") == 0) {
        WEIR_TRY(refine_document(&found.format, source, err));
    }
    WEIR_TRY(name_program(&found, source, err));
    found.pretends = find_broken_promise(top.path, found.format);
    *out = found;
    return WEIR_OK;
}
