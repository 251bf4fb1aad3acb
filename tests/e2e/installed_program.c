/* SPDX-License-Identifier: Apache-2.0 */
/* What a program that uses the installed library looks like. */
#include <stdio.h>
#include <weir/weir.h>

int main(int argc, char **argv) {
    weir_error err = {0};
    weir_inspection *inspection = NULL;
    if (argc != 2) {
        return 2;
    }
    if (weir_inspect(&inspection, argv[1], NULL, &err) != WEIR_OK) {
        char line[512];
        (void)fprintf(stderr, "%s\n", weir_error_format(&err, line, sizeof line));
        return 1;
    }
    (void)printf("%s %s\n", weir_version(), weir_verdict_name(weir_inspection_verdict(inspection)));
    weir_inspection_free(inspection);
    return 0;
}
