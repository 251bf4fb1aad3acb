/* SPDX-License-Identifier: Apache-2.0 */
#include "models.h"

#include <ftw.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { WIDTH = 32, LAYERS = 2, WORDS = 24, PATHS = 8, HEADER_BYTES = 16384, DATA_BYTES = 1 << 18 };

static char root[64];

static void require(bool holds, const char *what) {
    if (!holds) {
        perror(what);
        exit(EXIT_FAILURE);
    }
}

static int remove_entry(const char *path, const struct stat *info, int kind, struct FTW *where) {
    (void)info;
    (void)kind;
    (void)where;
    return remove(path);
}

static void remove_all(void) {
    (void)nftw(root, remove_entry, 16, FTW_DEPTH | FTW_PHYS);
}

const char *models_folder(void) {
    return root;
}

const char *models_path(const char *name) {
    static char paths[PATHS][256];
    static unsigned next;
    char *path = paths[next++ % PATHS];
    (void)snprintf(path, sizeof paths[0], "%s/%s", root, name);
    return path;
}

void models_write(const char *path, const void *bytes, size_t len) {
    FILE *file = fopen(path, "wb");
    require(file != NULL, path);
    require(fwrite(bytes, 1, len, file) == len, path);
    require(fclose(file) == 0, path);
}

/* A safetensors file in the making: format specification of the safetensors library. */
typedef struct weights {
    char header[HEADER_BYTES];
    size_t header_len;
    unsigned char data[DATA_BYTES];
    size_t data_len;
    bool is_bf16;
    unsigned seed;
} weights;

__attribute__((format(printf, 2, 3))) static void add_header(weights *out, const char *format,
                                                             ...) {
    va_list args;
    va_start(args, format);
    const int len =
        vsnprintf(out->header + out->header_len, HEADER_BYTES - out->header_len, format, args);
    va_end(args);
    require(len > 0 && out->header_len + (size_t)len < HEADER_BYTES, "header");
    out->header_len += (size_t)len;
}

/* The numbers depend on the name alone, and are exact in bfloat16. */
static float number_of(const weights *out, const char *name, size_t index) {
    unsigned hash = 2166136261u + out->seed;
    for (; *name; name++) {
        hash = (hash ^ (unsigned char)*name) * 16777619u;
    }
    hash = (hash ^ (unsigned)index) * 16777619u;
    return (float)((int)(hash >> 16 & 127) - 63) / 64.0F;
}

static void add_tensor(weights *out, const char *name, size_t rows, size_t cols) {
    const size_t count = (rows ? rows : 1) * cols;
    const size_t bytes = count * (out->is_bf16 ? 2 : 4);
    char shape[48];
    require(out->data_len + bytes <= DATA_BYTES, "data");
    (void)snprintf(shape, sizeof shape, rows ? "%zu,%zu" : "%.0zu%zu", rows, cols);
    add_header(out, "%s\"%s\":{\"dtype\":\"%s\",\"shape\":[%s],\"data_offsets\":[%zu,%zu]}",
               out->header_len ? "," : "{", name, out->is_bf16 ? "BF16" : "F32", shape,
               out->data_len, out->data_len + bytes);
    for (size_t i = 0; i < count; i++) {
        const float number = number_of(out, name, i);
        uint32_t bits;
        memcpy(&bits, &number, sizeof bits);
        bits = out->is_bf16 ? bits >> 16 : bits;
        for (size_t j = 0; j < (out->is_bf16 ? 2u : 4u); j++) {
            out->data[out->data_len++] = (unsigned char)(bits >> (8 * j));
        }
    }
}

static void write_weights(weights *in, const char *path) {
    FILE *file = fopen(path, "wb");
    require(file != NULL, path);
    add_header(in, "}");
    for (size_t j = 0; j < 8; j++) {
        (void)fputc((int)(in->header_len >> (8 * j) & 255), file);
    }
    (void)fwrite(in->header, 1, in->header_len, file);
    (void)fwrite(in->data, 1, in->data_len, file);
    require(fclose(file) == 0, path);
    free(in);
}

static weights *new_weights(bool is_bf16, unsigned seed) {
    weights *out = calloc(1, sizeof *out);
    require(out != NULL, "memory");
    out->is_bf16 = is_bf16;
    out->seed = seed;
    return out;
}

static void add_layer_tensor(weights *out, const char *prefix, int layer, const char *rest,
                             size_t rows, size_t cols) {
    char name[96];
    (void)snprintf(name, sizeof name, "%s.%d.%s", prefix, layer, rest);
    add_tensor(out, name, rows, cols);
}

static void write_llama(const char *path, bool is_bf16, unsigned seed) {
    weights *out = new_weights(is_bf16, seed);
    add_tensor(out, "model.embed_tokens.weight", WORDS, WIDTH);
    for (int i = 0; i < LAYERS; i++) {
        add_layer_tensor(out, "model.layers", i, "input_layernorm.weight", 0, WIDTH);
        add_layer_tensor(out, "model.layers", i, "self_attn.q_proj.weight", WIDTH, WIDTH);
        add_layer_tensor(out, "model.layers", i, "self_attn.k_proj.weight", WIDTH / 2, WIDTH);
        add_layer_tensor(out, "model.layers", i, "self_attn.v_proj.weight", WIDTH / 2, WIDTH);
        add_layer_tensor(out, "model.layers", i, "self_attn.o_proj.weight", WIDTH, WIDTH);
        add_layer_tensor(out, "model.layers", i, "mlp.down_proj.weight", WIDTH, 2 * WIDTH);
    }
    add_tensor(out, "model.norm.weight", 0, WIDTH);
    write_weights(out, path);
}

static void write_gpt2(const char *path) {
    weights *out = new_weights(false, 0);
    add_tensor(out, "wte.weight", WORDS, WIDTH);
    for (int i = 0; i < LAYERS; i++) {
        add_layer_tensor(out, "h", i, "attn.c_attn.weight", WIDTH, 3 * WIDTH);
        add_layer_tensor(out, "h", i, "attn.c_attn.bias", 0, 3 * WIDTH);
        add_layer_tensor(out, "h", i, "mlp.c_fc.weight", WIDTH, 4 * WIDTH);
    }
    write_weights(out, path);
}

static void write_adapter(const char *path) {
    weights *out = new_weights(false, 0);
    for (int i = 0; i < LAYERS; i++) {
        add_layer_tensor(out, "base_model.model.model.layers", i, "self_attn.q_proj.lora_A.weight",
                         4, WIDTH);
        add_layer_tensor(out, "base_model.model.model.layers", i, "self_attn.q_proj.lora_B.weight",
                         WIDTH, 4);
    }
    add_tensor(out, "base_model.model.elsewhere.lora_A.weight", 4, WIDTH);
    add_tensor(out, "base_model.model.elsewhere.lora_B.weight", WIDTH, 4);
    write_weights(out, path);
}

static void add_bytes(weights *out, const char *name, const char *dtype, size_t count,
                      const void *bytes, size_t len) {
    require(out->data_len + len <= DATA_BYTES, "data");
    add_header(out, "%s\"%s\":{\"dtype\":\"%s\",\"shape\":[%zu],\"data_offsets\":[%zu,%zu]}",
               out->header_len ? "," : "{", name, dtype, count, out->data_len, out->data_len + len);
    memcpy(out->data + out->data_len, bytes, len);
    out->data_len += len;
}

/* [rows, cols] words or halves: small numbers either way. */
static void add_codes(weights *out, const char *name, const char *dtype, size_t rows, size_t cols) {
    unsigned char bytes[1024];
    const size_t len = rows * cols * (dtype[0] == 'I' ? 4 : dtype[0] == 'F' ? 2 : 1);
    require(len <= sizeof bytes && out->data_len + len <= DATA_BYTES, "codes");
    for (size_t i = 0; i < len; i++) {
        bytes[i] = (unsigned char)(i * 37 & 63);
    }
    add_header(out, "%s\"%s\":{\"dtype\":\"%s\",\"shape\":[%zu,%zu],\"data_offsets\":[%zu,%zu]}",
               out->header_len ? "," : "{", name, dtype, rows, cols, out->data_len,
               out->data_len + len);
    memcpy(out->data + out->data_len, bytes, len);
    out->data_len += len;
}

/* One layer of GPTQ whose groups are in an order of their own, one of nf4 with nested scales. */
static void write_packed(const char *path) {
    static const char state[] = "{\"quant_type\":\"nf4\",\"blocksize\":64,\"shape\":[32,32],"
                                "\"nested_blocksize\":256,\"nested_offset\":0.5}";
    static const float book[16] = {
        -1.0F,        -0.69619280F, -0.52507305F, -0.39491749F, -0.28444138F, -0.18477343F,
        -0.09105004F, 0.0F,         0.07958030F,  0.16093020F,  0.24611230F,  0.33791524F,
        0.44070983F,  0.56261700F,  0.72295684F,  1.0F,
    };
    float scales[256];
    uint32_t order[WIDTH];
    weights *out = new_weights(false, 0);
    for (size_t i = 0; i < 256; i++) {
        scales[i] = (float)i / 256.0F;
    }
    for (size_t i = 0; i < WIDTH; i++) {
        order[i] = i & 1;
    }
#define Q "model.layers.0.self_attn.q_proj."
#define O "model.layers.0.self_attn.o_proj."
    add_codes(out, Q "qweight", "I32", 4, 32);
    add_codes(out, Q "qzeros", "I32", 2, 4);
    add_codes(out, Q "scales", "F16", 2, 32);
    add_bytes(out, Q "g_idx", "I32", WIDTH, order, sizeof order);
    add_codes(out, O "weight", "U8", 512, 1);
    add_bytes(out, O "weight.absmax", "U8", 16, state, 16);
    add_bytes(out, O "weight.quant_map", "F32", 16, book, sizeof book);
    add_bytes(out, O "weight.nested_absmax", "F32", 1, scales + 1, sizeof *scales);
    add_bytes(out, O "weight.nested_quant_map", "F32", 256, scales, sizeof scales);
    add_bytes(out, O "weight.quant_state.bitsandbytes__nf4", "U8", sizeof state - 1, state,
              sizeof state - 1);
#undef Q
#undef O
    write_weights(out, path);
}

static void write_text(const char *folder, const char *name, const char *text) {
    char path[256];
    (void)snprintf(path, sizeof path, "%s/%s", folder, name);
    models_write(path, text, strlen(text));
}

static const char CONFIG[] =
    "{\"architectures\":[\"LlamaForCausalLM\"],\"model_type\":\"llama\",\"hidden_size\":32,"
    "\"intermediate_size\":64,\"num_attention_heads\":4,\"num_key_value_heads\":2,\"num_hidden_"
    "layers\":2,"
    "\"vocab_size\":24,\"rms_norm_eps\":%s,\"tie_word_embeddings\":true,\"auto_map\":{"
    "\"AutoModel\":\"m.M\"}}";

/* The parts beside the weights; `tag` makes those of one model differ from another's. */
static void write_parts(const char *folder, const char *tag, const char *eps) {
    char text[2048];
    (void)snprintf(text, sizeof text, CONFIG, eps);
    write_text(folder, "config.json", text);
    (void)snprintf(
        text, sizeof text,
        "{\"added_tokens\":[{\"id\":4,\"content\":\"<%s>\",\"special\":true}],\"model\":{\"type\":"
        "\"BPE\",\"vocab\":{\"a\":0,\"b\":1,\"%s\":2,\"ab\":3},\"merges\":[\"a b\",\"b %s\"]}}",
        tag, tag, tag);
    write_text(folder, "tokenizer.json", text);
    (void)snprintf(text, sizeof text,
                   "{\"chat_template\":[{\"name\":\"default\",\"template\":\"{%% for m in messages "
                   "%%}{{ m.content }}"
                   "%s{%% endfor %%}\"},{\"name\":\"%s\",\"template\":\"{{ x.__class__ "
                   "}}\"}],\"eos_token\":\"b\"}",
                   tag, tag);
    write_text(folder, "tokenizer_config.json", text);
    (void)snprintf(text, sizeof text,
                   "---\nlicense: mit\nbase_model:\n- some/%s\ntags:\n- t\n---\n# Card\n", tag);
    write_text(folder, "README.md", text);
    write_text(folder, "generation_config.json", "{\"do_sample\":true,\"temperature\":0.5}");
    (void)snprintf(text, sizeof text, "import os # %s\n", tag);
    write_text(folder, "m.py", text);
    write_text(folder, "data.pkl", "\x80\x04]\x94.");
}

static const char *new_folder(const char *name) {
    const char *path = models_path(name);
    require(mkdir(path, 0700) == 0, path);
    return path;
}

void models_make(void) {
    (void)snprintf(root, sizeof root, "/tmp/weir-faults-XXXXXX");
    require(mkdtemp(root) != NULL, root);
    require(atexit(remove_all) == 0, "atexit");
    write_parts(new_folder("base"), "x", "1e-5");
    write_llama(models_path("base/model.safetensors"), false, 0);
    write_parts(new_folder("cast"), "other", "1e-6");
    write_llama(models_path("cast/model.safetensors"), true, 0);
    write_parts(new_folder("edited"), "x", "1e-5");
    write_llama(models_path("edited/model.safetensors"), false, 1);
    write_parts(new_folder("packed"), "x", "1e-5");
    write_packed(models_path("packed/model.safetensors"));
    const char *fused = new_folder("fused");
    write_text(fused, "config.json",
               "{\"model_type\":\"gpt2\",\"n_embd\":32,\"n_head\":4,\"n_layer\":2}");
    write_gpt2(models_path("fused/model.safetensors"));
    const char *adapter = new_folder("adapter");
    write_text(
        adapter, "adapter_config.json",
        "{\"peft_type\":\"LORA\",\"r\":4,\"lora_alpha\":8,\"base_model_name_or_path\":\"some/x\","
        "\"target_modules\":[\"q_proj\"]}");
    write_adapter(models_path("adapter/adapter_model.safetensors"));
}
