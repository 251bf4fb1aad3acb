/* SPDX-License-Identifier: Apache-2.0 */
/* The first byte chooses a name, so that one target reaches every reader and the detection between.
 */
#include "open_as.h"

static const char *const NAMES[] = {"a",
                                    "adapter_config.json",
                                    "tokenizer_config.json",
                                    "chat_template.jinja",
                                    "a.json",
                                    "a.yaml",
                                    "mergekit_config.yml",
                                    "trainer_state.json",
                                    "vocab.json",
                                    "vocab.txt",
                                    "merges.txt",
                                    "model.safetensors",
                                    "model.safetensors.index.json",
                                    "model.gguf",
                                    "pytorch_model.bin",
                                    "a.zip"};

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    if (size > 0) {
        open_as(NAMES[data[0] % (sizeof NAMES / sizeof *NAMES)], data + 1, size - 1);
    }
    return 0;
}
