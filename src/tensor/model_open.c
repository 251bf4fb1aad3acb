/* SPDX-License-Identifier: Apache-2.0 */
/** @file model_open.c  From a path to a model: read what lies there, then give it roles. */
#include "base/fail.h"
#include "tensor/model.h"

weir_code weir_model_open(weir_model **out, const char *path, const weir_model_options *options,
                          weir_findings *findings, weir_error *err) {
    const checkpoint_options how = {.lenient = options && options->lenient};
    checkpoint *from = NULL;
    WEIR_TRY(checkpoint_open(&from, path, &how, findings, err));
    return model_from_checkpoint(out, from, checkpoint_free, options, findings, err);
}
