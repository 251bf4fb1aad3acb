/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What unit_map_find says of two models, for comparison with numpy:
 *
 *     unit_map_dump MINE THEIRS
 *     layer <TAB> mine <TAB> theirs <TAB> agree <TAB> of <TAB> in_order <TAB> cosine     a line a
 * layer map <TAB> log10_p <TAB> units_permuted <TAB> basis_changed <TAB> bytes_read
 */
#include <inttypes.h>
#include <stdio.h>

#include "align/unit_map.h"
#include "base/findings.h"

static int fail(const weir_error *err) {
    char line[1024];
    (void)weir_error_format(err, line, sizeof line);
    fprintf(stderr, "%s\n", line);
    return 3;
}

int main(int argc, char **argv) {
    weir_error err = {0};
    WEIR_CLEANUP(weir_findings_free) weir_findings *findings = NULL;
    WEIR_CLEANUP(weir_model_free) weir_model *mine = NULL;
    WEIR_CLEANUP(weir_model_free) weir_model *theirs = NULL;
    unit_map map;
    if (argc != 3) {
        return 2;
    }
    if (weir_findings_new(&findings, &err) != WEIR_OK ||
        weir_model_open(&mine, argv[1], NULL, findings, &err) != WEIR_OK ||
        weir_model_open(&theirs, argv[2], NULL, findings, &err) != WEIR_OK ||
        unit_map_find(&map, mine, theirs, NULL, &err) != WEIR_OK) {
        return fail(&err);
    }
    for (size_t i = 0; i < map.layer_count; i++) {
        const unit_map_layer *layer = &map.layers[i];
        printf("layer\t%d\t%d\t%u\t%u\t%d\t%.4f\n", layer->mine, layer->theirs, layer->agree,
               layer->of, layer->in_order, layer->cosine);
    }
    printf("map\t%.3f\t%d\t%d\t%" PRIu64 "\n", map.log10_p, map.units_permuted, map.basis_changed,
           map.bytes_read);
    return 0;
}
