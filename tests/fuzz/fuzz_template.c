/* SPDX-License-Identifier: Apache-2.0 */
/* Chat templates: the lexer and every hazard rule. */
#include <stddef.h>
#include <stdint.h>

#include "base/findings.h"
#include "template/hazard.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    WEIR_CLEANUP(weir_findings_free) weir_findings *findings = NULL;
    if (weir_findings_new(&findings, NULL) == WEIR_OK) {
        (void)template_scan((const char *)data, size, "template", "", findings, NULL);
    }
    return 0;
}
