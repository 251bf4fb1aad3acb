/* SPDX-License-Identifier: Apache-2.0 */
/** @file model_open.c  From a path to a model: read what lies there, then give it roles. */
#include <string.h>

#include "base/fail.h"
#include "base/findings.h"
#include "tensor/model.h"

weir_code weir_model_open(weir_model **out, const char *path, const weir_model_options *options,
                          weir_findings *findings, weir_error *err) {
    const checkpoint_options how = {.lenient = options && options->lenient};
    checkpoint *from = NULL;
    WEIR_TRY(checkpoint_open(&from, path, &how, findings, err));
    return model_from_checkpoint(out, from, checkpoint_free, options, findings, err);
}

/* The first finding that says malformed weights is the error. */
static weir_code check_weights(const weir_model *model, const weir_findings *findings,
                               weir_error *err) {
    for (size_t i = 0; i < weir_findings_count(findings); i++) {
        const weir_finding *finding = weir_findings_get(findings, i);
        const bool is_weights = strstr(finding->id, "safetensors") || strstr(finding->id, "gguf") ||
                                strstr(finding->id, "index-");
        if (finding->verdict == WEIR_VERDICT_MALFORMED && is_weights) {
            return weir_fail(err, WEIR_ERR_FORMAT, finding->file, finding->at, NULL, "%s",
                             finding->message);
        }
    }
    if (weir_model_tensor_count(model) == 0) {
        return weir_fail(err, WEIR_ERR_UNSUPPORTED, weir_model_name(model), NULL,
                         "a model with safetensors or GGUF weights", "none that weir can read");
    }
    return WEIR_OK;
}

weir_code model_open_weights(weir_model **model, weir_findings **findings, const char *path,
                             const weir_model_options *options, weir_error *err) {
    WEIR_TRY(weir_findings_new(findings, err));
    WEIR_TRY(weir_model_open(model, path, options, *findings, err));
    if (findings_failed(*findings)) { /* it may have been the one that matters */
        return weir_fail_nomem(err);
    }
    return check_weights(*model, *findings, err);
}
