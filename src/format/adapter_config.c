/* SPDX-License-Identifier: Apache-2.0 */
/* adapter_config.json as PEFT writes it (peft/config.py, tuners/lora/config.py). */
#include <string.h>

#include "base/limits.h"
#include "format/claim_tree.h"
#include "format/parts.h"

static double find_number(const claims *list, const char *name) {
    const char *value = claims_find(list, name);
    if (!value) {
        return 0;
    }
    const json_token token = {.kind = JSON_NUMBER, .text = value, .len = strlen(value)};
    double number;
    return json_token_double(&token, &number) ? number : 0;
}

static bool is_true(const claims *list, const char *name) {
    const char *value = claims_find(list, name);
    return value && strcmp(value, "true") == 0;
}

/* A copy of a claimed text; NULL where the claim is absent or null. */
static weir_code copy_claim(const char **out, checkpoint *model, const char *name,
                            weir_error *err) {
    const char *value = claims_find(&model->claims, name);
    *out = NULL;
    if (!value || strcmp(value, "null") == 0) {
        return WEIR_OK;
    }
    *out = arena_copy_text(&model->memory, value, strlen(value));
    return *out ? WEIR_OK : weir_fail_nomem(err);
}

weir_code adapter_read(const part *in, weir_error *err) {
    WEIR_CLEANUP(document_close) document source = {0};
    WEIR_TRY(document_open_json(&source, in->source, SMALL_JSON_BYTES_MAX, err));
    checkpoint *model = in->model;
    const claims *list = &model->claims;
    const claim_tree tree = {
        .target = &model->claims, .source = &source, .findings = in->findings, .prefix = "adapter"};
    WEIR_TRY(claim_tree_read(&tree, err));
    adapter_claim adapter = {.present = true,
                             .rank = find_number(list, "adapter.r"),
                             .alpha = find_number(list, "adapter.lora_alpha"),
                             .use_rslora = is_true(list, "adapter.use_rslora"),
                             .use_dora = is_true(list, "adapter.use_dora"),
                             .fan_in_fan_out = is_true(list, "adapter.fan_in_fan_out")};
    WEIR_TRY(copy_claim(&adapter.type, model, "adapter.peft_type", err));
    WEIR_TRY(copy_claim(&adapter.base, model, "adapter.base_model_name_or_path", err));
    model->adapter = adapter;
    return WEIR_OK;
}
