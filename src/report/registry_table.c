/* SPDX-License-Identifier: Apache-2.0 */
#include <inttypes.h>
#include <libsmartcols.h>
#include <limits.h>
#include <string.h>

#include "registry/registry.h"
#include "report/tables.h"

/* --- words --- */

static const char *claim_of(const weir_registry_entry *entry, const char *const *names,
                            size_t count) {
    for (size_t i = 0; i < count; i++) {
        for (size_t j = 0; j < entry->claim_count; j++) {
            if (strcmp(entry->claims[j].name, names[i]) == 0) {
                return entry->claims[j].value;
            }
        }
    }
    return NULL;
}

#define CLAIM_OF(entry, names) claim_of(entry, names, sizeof(names) / sizeof *(names))

static const char *const architecture_claims[] = {"config.model_type", "gguf.general.architecture"};
static const char *const upstream_claims[] = {
    "card.base_model",
    "adapter.base_model_name_or_path",
    "gguf.general.base_model.0.name",
};
static const char *const licence_claims[] = {"card.license", "gguf.general.license"};

static void describe_entry(text_buffer *text, const weir_registry_entry *entry) {
    char parameters[32];
    const char *architecture = CLAIM_OF(entry, architecture_claims);
    text_buffer_format(
        text, "%s%s%s parameters in %" PRIu32 " tensors; %" PRIu32 " layers of width %" PRIu32,
        architecture ? architecture : "", architecture ? ", " : "",
        format_count(parameters, sizeof parameters, entry->parameters), entry->tensors,
        entry->layers, entry->hidden);
    text_buffer_format(text, ", feed-forward %" PRIu32 ", vocabulary %" PRIu32, entry->feed_forward,
                       entry->vocabulary);
}

/* --- list --- */

static struct libscols_table *new_table(const paint *out) {
    static const struct {
        const char *name;
        double width;
        int flags;
    } columns[] = {
        {"#", 2, SCOLS_FL_RIGHT},
        {"NAME", 0.4, SCOLS_FL_TRUNC},
        {"PARAMETERS", 10, SCOLS_FL_RIGHT},
        {"LAYERS", 6, SCOLS_FL_RIGHT},
        {"WIDTH", 5, SCOLS_FL_RIGHT},
        {"UPSTREAM CLAIMED", 0.3, SCOLS_FL_TRUNC},
        {"LICENCE CLAIMED", 8, SCOLS_FL_TRUNC},
    };
    struct libscols_table *table = scols_new_table();
    if (!table) {
        return NULL;
    }
    scols_table_set_stream(table, out->stream);
    if (!out->style.unicode) {
        scols_table_enable_ascii(table, 1);
    }
    scols_table_set_termwidth(table, (size_t)(out->style.width > 0 ? out->style.width : 80));
    scols_table_set_termforce(table, SCOLS_TERMFORCE_ALWAYS);
    for (size_t i = 0; i < sizeof columns / sizeof *columns; i++) {
        if (!scols_table_new_column(table, columns[i].name, columns[i].width, columns[i].flags)) {
            scols_unref_table(table);
            return NULL;
        }
    }
    return table;
}

static bool add_line(struct libscols_table *table, const weir_registry_entry *entry) {
    char row[24];
    char parameters[32];
    char layers[16];
    char width[16];
    const char *upstream = CLAIM_OF(entry, upstream_claims);
    const char *licence = CLAIM_OF(entry, licence_claims);
    struct libscols_line *line = scols_table_new_line(table, NULL);
    if (!line) {
        return false;
    }
    (void)snprintf(row, sizeof row, "%" PRIu64, entry->row);
    (void)snprintf(layers, sizeof layers, "%" PRIu32, entry->layers);
    (void)snprintf(width, sizeof width, "%" PRIu32, entry->hidden);
    return scols_line_set_data(line, 0, row) == 0 &&
           scols_line_set_data(line, 1, entry->name) == 0 &&
           scols_line_set_data(
               line, 2, format_count(parameters, sizeof parameters, entry->parameters)) == 0 &&
           scols_line_set_data(line, 3, layers) == 0 && scols_line_set_data(line, 4, width) == 0 &&
           scols_line_set_data(line, 5, upstream ? upstream : "-") == 0 &&
           scols_line_set_data(line, 6, licence ? licence : "-") == 0;
}

static void print_live(const paint *out, const weir_registry_listing *listing) {
    struct libscols_table *table = new_table(out);
    bool is_whole = table != NULL;
    for (size_t i = 0; is_whole && i < listing->count; i++) {
        is_whole = listing->entries[i].removed || add_line(table, &listing->entries[i]);
    }
    *out->is_short = *out->is_short || !is_whole;
    if (table) {
        (void)fputc('\n', out->stream);
        scols_print_table(table);
        scols_unref_table(table);
    }
}

static void print_removed(const paint *out, const weir_registry_listing *listing, size_t count) {
    if (out->style.verbosity < 1) {
        (void)fprintf(out->stream, "%zu removed %s: see --verbose\n", count,
                      count == 1 ? "entry" : "entries");
        return;
    }
    for (size_t i = 0; i < listing->count; i++) {
        const weir_registry_entry *entry = &listing->entries[i];
        if (entry->removed) {
            WEIR_CLEANUP(text_buffer_release) text_buffer line = {0};
            text_buffer_format(&line, "#%" PRIu64 " %s: %s", entry->row, entry->name,
                               entry->reason);
            paint_gathered_field(out, "removed", &line);
        }
    }
}

static size_t count_removed(const weir_registry_listing *listing) {
    size_t count = 0;
    for (size_t i = 0; i < listing->count; i++) {
        count += listing->entries[i].removed > 0;
    }
    return count;
}

static void print_list(const paint *out, const weir_registry_listing *listing) {
    const size_t removed = count_removed(listing);
    const size_t live = listing->count - removed;
    if (!listing->exists) {
        paint_paragraph(out, "There is no registry yet: weir registry add MODEL makes one.");
        return;
    }
    if (live == 0) {
        paint_paragraph(out,
                        "The registry is empty: weir registry add MODEL puts a model into it.");
    } else {
        paint_text(out, INK_BOLD, "%zu %s", live, live == 1 ? "model" : "models");
        (void)fprintf(out->stream, " in the registry, at generation %" PRIu64 "\n",
                      listing->generation);
    }
    if (out->style.verbosity >= 0 && live > 0) {
        print_live(out, listing);
    }
    if (out->style.verbosity >= 0 && removed > 0) {
        print_removed(out, listing, removed);
    }
}

/* --- one model --- */

static void print_claims(const paint *out, const weir_registry_entry *entry) {
    for (size_t i = 0; i < entry->claim_count; i++) {
        const weir_claim *claim = &entry->claims[i];
        WEIR_CLEANUP(text_buffer_release) text_buffer line = {0};
        text_buffer_format(&line, "%s = %s (%s)", claim->name, claim->value, claim->file);
        paint_gathered_field(out, "claims", &line);
    }
}

static void print_fingerprint(const paint *out, const weir_registry_entry *entry,
                              const fingerprint *sketch) {
    char bytes[32];
    WEIR_CLEANUP(text_buffer_release) text_buffer line = {0};
    text_buffer_format(&line, "%s, %" PRIu32 " feed-forward blocks%s; SHA-256 %s",
                       format_bytes(bytes, sizeof bytes, entry->fingerprint_bytes), entry->blocks,
                       sketch->has_tokens ? ", with a frame of token embeddings"
                                          : ", without token embeddings",
                       entry->fingerprint_id);
    paint_gathered_field(out, "fingerprint", &line);
}

/* A path is any bytes. */
static void print_location(const paint *out, const char *location) {
    char printable[PATH_MAX];
    text_escape(printable, sizeof printable, location ? location : "",
                location ? strlen(location) : 0);
    paint_field(out, "location", location ? printable : "none: an imported fingerprint");
}

static void print_entry(const paint *out, const weir_registry_entry *entry,
                        const fingerprint *sketch) {
    WEIR_CLEANUP(text_buffer_release) text_buffer what = {0};
    WEIR_CLEANUP(text_buffer_release) text_buffer removed = {0};
    paint_text(out, INK_BOLD, "%s", entry->name);
    (void)fprintf(out->stream, ": entry #%" PRIu64 ", added at generation %" PRIu64 "%s\n",
                  entry->row, entry->added, entry->removed ? "; removed, not searched" : "");
    if (out->style.verbosity < 0) {
        return;
    }
    (void)fputc('\n', out->stream);
    if (entry->removed) {
        text_buffer_format(&removed, "at generation %" PRIu64 ": %s", entry->removed,
                           entry->reason);
        paint_gathered_field(out, "removed", &removed);
    }
    describe_entry(&what, entry);
    paint_gathered_field(out, "what it is", &what);
    print_claims(out, entry);
    paint_field(out, "id", entry->id ? entry->id : "unknown (its files were not read whole)");
    if (entry->payload_id) {
        paint_field(out, "payload id", entry->payload_id);
    }
    print_location(out, entry->location);
    print_fingerprint(out, entry, sketch);
}

static void print_done(const paint *out, const weir_registry_listing *listing, size_t index) {
    char bytes[32];
    const weir_registry_entry *entry = &listing->entries[index];
    paint_text(out, INK_BOLD, "%s", entry->name);
    if (listing->action == WEIR_REGISTRY_ADD) {
        (void)fprintf(out->stream, ": %s #%" PRIu64 "\n",
                      listing->choices[index].is_new ? "added as entry" : "already there, entry",
                      entry->row);
    } else if (listing->action == WEIR_REGISTRY_REMOVE) {
        (void)fprintf(out->stream, ": removed, entry #%" PRIu64 " is searched no more (%s)\n",
                      entry->row, entry->reason ? entry->reason : "");
    } else {
        (void)fprintf(out->stream, ": fingerprint of %s written\n",
                      format_bytes(bytes, sizeof bytes, entry->fingerprint_bytes));
    }
}

/* --- damage --- */

static void print_verdict(const paint *out, const weir_registry_listing *listing) {
    if (listing->problem_count == 0) {
        paint_text(out, INK_GOOD, "%s\n",
                   listing->exists ? "The registry is whole" : "There is no registry yet");
        return;
    }
    paint_text(out, INK_BAD, "The registry is damaged: %zu %s\n", listing->problem_count,
               listing->problem_count == 1 ? "problem" : "problems");
    for (size_t i = 0; out->style.verbosity >= 0 && i < listing->problem_count; i++) {
        const weir_error *problem = &listing->problems[i];
        WEIR_CLEANUP(text_buffer_release) text_buffer line = {0};
        text_buffer_format(&line, "%s: expected %s, found %s", problem->at, problem->expected,
                           problem->found);
        paint_gathered_field(out, "problem", &line);
    }
}

void registry_print(const paint *out, const weir_registry_listing *listing) {
    switch (listing->action) {
    case WEIR_REGISTRY_LIST:
        print_list(out, listing);
        return;
    case WEIR_REGISTRY_VERIFY:
        print_verdict(out, listing);
        return;
    case WEIR_REGISTRY_SHOW:
        for (size_t i = 0; i < listing->count; i++) {
            (void)fputs(i > 0 ? "\n" : "", out->stream);
            print_entry(out, &listing->entries[i], listing->sketches[i]);
        }
        return;
    case WEIR_REGISTRY_ADD:
    case WEIR_REGISTRY_REMOVE:
    case WEIR_REGISTRY_EXPORT:
        for (size_t i = 0; i < listing->count; i++) {
            print_done(out, listing, i);
        }
        return;
    }
}
