/* SPDX-License-Identifier: Apache-2.0 */
/* Whatever stands where bitsandbytes stores its JSON, it is a sane state or is refused. */
#include "open_as.h"

#include "tensor/packed.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    WEIR_CLEANUP(weir_source_free) weir_source *source = NULL;
    if (weir_source_open_memory(&source, data, size, "model.safetensors", NULL) != WEIR_OK) {
        return 0;
    }
    const uint64_t dims[] = {size};
    const stored_tensor stored = {
        .name = "a", .dims = dims, .bytes = size, .rank = 1, .dtype = WEIR_DTYPE_U8};
    const packed_part part = {.stored = &stored, .source = source};
    quant_state state = {0};
    if (quant_state_read(&state, &part, NULL) == WEIR_OK) {
        require(state.block > 0 && state.block <= 1 << 24 && state.nested_block <= 1 << 24);
    } else {
        require(state.block == 0);
    }
    return 0;
}
