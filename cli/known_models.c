/* SPDX-License-Identifier: Apache-2.0 */
#include "known_models.h"

#include <sys/stat.h>

#include <weir/registry.h>

#include "base_folder.h"

enum { LISTED_BYTES_MAX = 32 << 20 };

exit_status known_models_find(known_models *out, const invocation *call) {
    base_folder_find(out->base_folder);
    return registry_place_find(&out->place, call, /* make_folder= */ false);
}

/* NULL for a large registry. What is wrong with one the search itself will tell. */
static weir_registry_listing *list_known(const registry_place *place) {
    struct stat info;
    weir_registry *registry = NULL;
    weir_registry_listing *listing = NULL;
    if (stat(place->path, &info) != 0 || info.st_size > LISTED_BYTES_MAX ||
        weir_registry_open(&registry, place->path, NULL, NULL) != WEIR_OK) {
        return NULL;
    }
    (void)weir_registry_list(&listing, registry, NULL);
    weir_registry_free(registry);
    return listing;
}

static void allow_known(session_places *places, const char **inputs,
                        const weir_registry_listing *listing) {
    const size_t count = listing ? weir_registry_listing_count(listing) : 0;
    for (size_t i = 0; i < count && i < KNOWN_MODELS_MAX; i++) {
        const weir_registry_entry *const entry = weir_registry_listing_get(listing, i);
        if (entry->location && entry->removed == 0) {
            inputs[places->input_count++] = entry->location;
        }
    }
}

exit_status known_models_begin(cli_session *session, const invocation *call,
                               const known_models *known, const char *const *paths, size_t count) {
    static const char *inputs[KNOWN_INPUTS_MAX]; /* large: not on the stack */
    session_places places = {.inputs = inputs};
    for (size_t i = 0; i < count; i++) {
        inputs[places.input_count++] = paths[i];
    }
    if (known->base_folder[0]) {
        inputs[places.input_count++] = known->base_folder;
    }
    weir_registry_listing *const listing = list_known(&known->place);
    allow_known(&places, inputs, listing);
    registry_place_allow(&places, &known->place);
    const exit_status status = session_begin_in(session, call, &places);
    weir_registry_listing_free(listing);
    return status;
}
