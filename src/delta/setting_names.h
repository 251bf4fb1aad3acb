/* SPDX-License-Identifier: Apache-2.0 */
/** @file setting_names.h  What a setting is about, told by the name of its claim. */
#ifndef WEIR_DELTA_SETTING_NAMES_H
#define WEIR_DELTA_SETTING_NAMES_H

#include "delta/file_delta.h"

/** Whether a setting says how a file was written and not how the model behaves, or is compared by
 *  tokenizer_delta.c. */
bool setting_is_left_out(const char *name);

/**
 * Set the kind and the class of a row from the name of its claim.
 * @param[in,out] row  holds those of the file that the claim stands in, kept when the name says
 *                     nothing else
 */
void setting_describe(file_delta *row, const char *name);

#endif
