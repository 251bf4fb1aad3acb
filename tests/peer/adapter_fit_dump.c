/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What adapter_fit_test says of an adapter and some bases, for comparison with numpy:
 *
 *     adapter_fit_dump ADAPTER BASE...
 *     verdict <TAB> fitting <TAB> modules <TAB> p <TAB> columns <TAB> adapter rows <TAB> base rows
 * <TAB> first unfitting
 */
#include <stdio.h>

#include "align/adapter_fit.h"
#include "base/fail.h"
#include "base/findings.h"

static weir_code print_fit(const weir_model *from, const char *path, weir_findings *findings,
                           weir_error *err) {
    static const char *const verdicts[] = {"claimed", "fits", "contradicted"};
    WEIR_CLEANUP(weir_model_free) weir_model *base = NULL;
    adapter_fit fit;
    WEIR_TRY(weir_model_open(&base, path, NULL, findings, err));
    WEIR_TRY(adapter_fit_test(&fit, from, base, NULL, err));
    printf("%s\t%zu\t%zu\t%.4f\t%zu\t%zu\t%zu\t%s\n", verdicts[fit.verdict], fit.fitting,
           fit.modules, fit.p, fit.columns, fit.adapter_rows, fit.base_rows, fit.first_unfitting);
    return WEIR_OK;
}

int main(int argc, char **argv) {
    weir_error err = {0};
    WEIR_CLEANUP(weir_findings_free) weir_findings *findings = NULL;
    WEIR_CLEANUP(weir_model_free) weir_model *from = NULL;
    if (argc < 3) {
        return 2;
    }
    weir_code code = weir_findings_new(&findings, &err);
    if (code == WEIR_OK) {
        code = weir_model_open(&from, argv[1], NULL, findings, &err);
    }
    for (int i = 2; i < argc && code == WEIR_OK; i++) {
        code = print_fit(from, argv[i], findings, &err);
    }
    if (code != WEIR_OK) {
        char line[1024];
        (void)weir_error_format(&err, line, sizeof line);
        fprintf(stderr, "%s\n", line);
        return 3;
    }
    return 0;
}
