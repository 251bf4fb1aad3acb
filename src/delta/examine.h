/* SPDX-License-Identifier: Apache-2.0 */
/** @file examine.h  Parts of the second look that have a file of their own. */
#ifndef WEIR_DELTA_EXAMINE_H
#define WEIR_DELTA_EXAMINE_H

#include "delta/diff.h"

/**
 * Merge every named adapter into the base again; rows that come out number by number become
 * LOW_RANK, proved. After the rows have been looked at.
 *
 * @return WEIR_OK, also when none fits; WEIR_ERR_IO; WEIR_ERR_CANCELLED; WEIR_ERR_NOMEM
 */
weir_code diff_examine_adapters(weir_diff *diff, const weir_diff_options *options, weir_error *err);

/** Give rows that do not tell their class, or only by chance, that of their company. After all rows
 * have been looked at. */
void diff_follow_company(weir_diff *diff);

#endif
