/* SPDX-License-Identifier: Apache-2.0 */
/* Merges that no replay can follow, told by what their numbers can be at all. */
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "base/fail.h"
#include "delta/merge_atoms.h"
#include "delta/merge_run.h"
#include "delta/rounding.h"
#include "delta/thresholds.h"

enum { ROW_SAMPLE = 1 << 15, TELLING_LEAST = 500 };
static const double source_least = 0.01;
static const double mask_least = 0.02; /* densities beyond are not written */
static const double della_slope = 0.1; /* a slope of 2 epsilon, .3 by default; dare has none */

/* What one row showed, kept in its work: `whole` holds what told and what hit. */
typedef struct shown {
    merge_atoms atoms;
    merge_mosaic mosaic;
} shown;

static weir_code look(shown *out, merge_run *run, const merge_work *work, weir_error *err) {
    WEIR_CLEANUP(merge_sample_release) merge_sample sample = {0};
    const int bits = rounding_mantissa_bits(run->effective);
    *out = (shown){.mosaic = {.telling = 0}};
    if (!merge_is_float(merge_model_dtype(run, work))) {
        return WEIR_OK;
    }
    WEIR_TRY(merge_sample_read(&sample, run->diff, work->row, run->chosen, run->chosen_count + 1,
                               ROW_SAMPLE, err));
    merge_mosaic_add(&out->mosaic, &sample, run->chosen_count + 1);
    return run->chosen_count <= ATOM_PARENTS_MAX
               ? merge_atoms_fit(&out->atoms, &sample, run->chosen_count, bits, err)
               : WEIR_OK;
}

/* Rows added up. */
typedef struct gathered {
    uint64_t telling, hit;
    uint64_t taken[ATOM_PARENTS_MAX];
    double parts[ATOM_PARENTS_MAX]; /* times telling */
    double slope[ATOM_PARENTS_MAX];
    double rest, change;
    merge_mosaic mosaic;
} gathered;

static void gather(gathered *into, const shown *row, size_t parents) {
    const merge_atoms *atoms = &row->atoms;
    into->telling += atoms->telling;
    into->hit += atoms->hit;
    into->rest += atoms->rest;
    into->change += atoms->change;
    for (size_t j = 0; j < atoms->parents; j++) {
        into->taken[j] += atoms->taken[j];
        into->parts[j] += atoms->parts[(size_t)1 << j][j] * (double)atoms->telling;
        into->slope[j] += atoms->slope[j] * (double)atoms->telling;
    }
    into->mosaic.telling += row->mosaic.telling;
    into->mosaic.hit += row->mosaic.hit;
    for (size_t j = 0; j <= parents; j++) {
        into->mosaic.of[j] += row->mosaic.of[j];
    }
}

static bool is_mosaic_row(const merge_mosaic *mosaic) {
    return mosaic->telling > 0 &&
           (double)mosaic->hit >= THRESHOLD_MERGE_FITS * (double)mosaic->telling;
}

static bool is_atom_row(const merge_atoms *atoms) {
    return atoms->telling > 0 &&
           (double)atoms->hit >= THRESHOLD_MERGE_FITS * (double)atoms->telling;
}

static size_t count_sources(const merge_mosaic *mosaic, size_t columns) {
    size_t count = 0;
    for (size_t j = 0; j < columns; j++) {
        count += (double)mosaic->of[j] >= source_least * (double)mosaic->telling;
    }
    return count;
}

static weir_code explain_rows(merge_run *run, const shown *rows, bool by_mosaic) {
    merge_finding *out = run->out;
    for (size_t i = 0; i < run->work_count; i++) {
        merge_row *row = &out->rows[run->works[i].row];
        row->is_fitted = true;
        row->is_explained =
            by_mosaic ? is_mosaic_row(&rows[i].mosaic) : is_atom_row(&rows[i].atoms);
        row->rest = by_mosaic ? 0 : rows[i].atoms.rest / rows[i].atoms.change;
        if (row->is_explained) {
            run->diff->tensors[run->works[i].row].change = WEIR_CHANGE_MERGED;
            out->tensors++;
        }
    }
    out->tensors_of = run->work_count;
    out->lambda = 1;
    out->computed = run->effective;
    out->grade = 2 * out->tensors > out->tensors_of ? WEIR_GRADE_STRONG : WEIR_GRADE_WEAK;
    return WEIR_OK;
}

static weir_code tell_mosaic(merge_run *run, const shown *rows, const gathered *all,
                             weir_error *err) {
    char sentence[200];
    (void)explain_rows(run, rows, /* by_mosaic= */ true);
    run->out->method = MERGE_MOSAIC;
    run->out->rest = 0;
    for (size_t j = 0; j <= run->chosen_count; j++) {
        const double share = (double)all->mosaic.of[j] / (double)all->mosaic.telling;
        if (share >= source_least) {
            merge_parent *parent = &run->out->parents[merge_place_of(run->out, run->chosen[j])];
            parent->weight = share;
            parent->error = 1.96 * sqrt(share * (1 - share) / (double)all->mosaic.telling);
        }
    }
    (void)snprintf(sentence, sizeof sentence,
                   "of %" PRIu64 " sampled numbers where the sources differ, %" PRIu64
                   " are one source's own; weights are the shares of numbers",
                   all->mosaic.telling, all->mosaic.hit);
    return merge_tell(run, sentence, err);
}

static weir_code tell_atoms(merge_run *run, const shown *rows, const gathered *all,
                            weir_error *err) {
    char sentence[300];
    double slope = 0;
    (void)explain_rows(run, rows, /* by_mosaic= */ false);
    run->out->method = MERGE_DARE;
    run->out->rest = all->change > 0 ? all->rest / all->change : (double)NAN;
    const double telling = (double)all->telling;
    for (size_t j = 0; j < run->chosen_count; j++) {
        merge_parent *parent = &run->out->parents[merge_place_of(run->out, run->chosen[j])];
        parent->density = (double)all->taken[j] / telling;
        parent->weight = all->parts[j] / telling;
        parent->error = 1.96 * sqrt(parent->density * (1 - parent->density) / telling);
        slope += all->slope[j] / telling / (double)run->chosen_count;
    }
    (void)snprintf(sentence, sizeof sentence,
                   "numbers left out at random (%s): of %" PRIu64
                   " sampled ones that tell, %" PRIu64
                   " are the base and some of the changes; weights are those of kept changes,"
                   " errors those of the densities",
                   slope > della_slope ? "della: large changes are kept more often"
                                       : "dare: whatever their size",
                   all->telling, all->hit);
    return merge_tell(run, sentence, err);
}

/* Whether masks explain the numbers, and are masks: what is one parent but for few numbers is that
 * parent, edited. */
static bool is_atom_merge(const gathered *all, size_t parents) {
    const double telling = (double)all->telling;
    bool are_masks = true;
    for (size_t j = 0; j < parents; j++) {
        const double density = (double)all->taken[j] / telling;
        are_masks = are_masks && density >= mask_least && density <= 1 - mask_least;
    }
    return all->telling >= TELLING_LEAST && are_masks &&
           (double)all->hit >= THRESHOLD_MERGE_FITS * telling &&
           all->rest <= THRESHOLD_MERGE_REST * all->change;
}

weir_code merge_try_random(bool *is_found, merge_run *run, weir_error *err) {
    WEIR_CLEANUP(free) shown *rows = calloc(run->work_count + 1, sizeof *rows);
    if (!rows) {
        return weir_fail_nomem(err);
    }
    gathered all = {.telling = 0};
    for (size_t i = 0; i < run->work_count; i++) {
        WEIR_TRY(look(&rows[i], run, &run->works[i], err));
        gather(&all, &rows[i], run->chosen_count);
    }
    const bool is_mosaic = all.mosaic.telling >= TELLING_LEAST && is_mosaic_row(&all.mosaic) &&
                           count_sources(&all.mosaic, run->chosen_count + 1) > 1;
    const bool is_atoms = is_atom_merge(&all, run->chosen_count);
    *is_found = is_mosaic || is_atoms;
    if (is_mosaic) {
        return tell_mosaic(run, rows, &all, err);
    }
    return is_atoms ? tell_atoms(run, rows, &all, err) : WEIR_OK;
}
