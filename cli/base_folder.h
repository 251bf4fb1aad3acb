/* SPDX-License-Identifier: Apache-2.0 */
/** @file base_folder.h  The fingerprints that come with weir. */
#ifndef WEIR_CLI_BASE_FOLDER_H
#define WEIR_CLI_BASE_FOLDER_H

#include <limits.h>
#include <stdbool.h>

/**
 * Find them beside the program: ../share/weir/fingerprints where it is installed,
 * ../share/fingerprints where it was built.
 *
 * @param[out] out  the folder, or "" when there is none
 */
void base_folder_find(char out[PATH_MAX]);

#endif
