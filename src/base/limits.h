/* SPDX-License-Identifier: Apache-2.0 */
/** @file limits.h  Every limit on what a file may ask of weir, in one place. */
#ifndef WEIR_BASE_LIMITS_H
#define WEIR_BASE_LIMITS_H

enum {
    SAFETENSORS_HEADER_BYTES_MAX = 100000000, /* the reference parser's limit */
    TENSOR_COUNT_MAX = 1 << 20,
    TENSOR_RANK_MAX = 16,
    EXPERT_COUNT_MAX = 4096, /* stacked in one tensor */
    TENSOR_NAME_BYTES_MAX = 1024,
    GGUF_NAME_BYTES_MAX = 64, /* GGML_MAX_NAME, terminator included */
    GGUF_RANK_MAX = 4,
    GGUF_STRING_BYTES_MAX = 1 << 30,
    GGUF_ARRAY_COUNT_MAX = 1 << 30,
    GGUF_KEY_BYTES_MAX = 65535,       /* the specification's limit */
    GGUF_KEY_COUNT_MAX = 1 << 13,     /* real files have under a hundred */
    GGUF_ELEMENTS_MAX = 1 << 25,      /* of arrays, looked at one by one, in one file */
    VOCABULARY_BYTES_MAX = 128 << 20, /* of all token strings together */
    JSON_DEPTH_MAX = 64,
    SAFETENSORS_JSON_DEPTH_MAX = 8,
    SAFETENSORS_METADATA_BYTES_MAX = 16 << 20,
    SMALL_JSON_BYTES_MAX = 8 << 20,  /* config, adapter, generation: held whole */
    TOKENIZER_BYTES_MAX = 512 << 20, /* streamed */
    VOCABULARY_COUNT_MAX = 1 << 22,
    TEMPLATE_BYTES_MAX = 1 << 20,
    TEMPLATE_NODES_MAX = 1 << 18,        /* parts of a template's tree */
    TEMPLATE_DEPTH_MAX = 200,            /* of that tree, and of calls while it is parsed */
    RENDER_STEPS_MAX = 4000000,          /* of one conversation; real templates take thousands */
    RENDER_OUTPUT_BYTES_MAX = 4 << 20,   /* of text, parts that are thrown away included */
    RENDER_MEMORY_BYTES_MAX = 32 << 20,  /* of values */
    RENDER_DEPTH_MAX = 600,              /* evaluations inside one another */
    TEMPLATE_DELTA_STEPS_MAX = 40000000, /* of all renderings of one comparison of templates */
    CARD_BYTES_MAX = 1 << 20,
    YAML_DEPTH_MAX = 32,
    SHARD_COUNT_MAX = 4096,
    FOLDER_FILES_MAX = 100000,
    FOLDER_DEPTH_MAX = 16,
    CLAIM_VALUE_BYTES_MAX = 4096, /* longer values are cut, and the claim says so */
};

#endif
