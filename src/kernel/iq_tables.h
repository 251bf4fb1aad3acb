/* SPDX-License-Identifier: Apache-2.0 */
/** @file iq_tables.h  The grids of ggml's IQ types, packed; see iq_tables.c. */
#ifndef WEIR_KERNEL_IQ_TABLES_H
#define WEIR_KERNEL_IQ_TABLES_H

#include <stdint.h>

extern const uint16_t iq1_s_grid[2048];
extern const uint16_t iq2_xxs_grid[256];
extern const uint16_t iq2_xs_grid[512];
extern const uint16_t iq2_s_grid[1024];
extern const uint16_t iq3_xxs_grid[256];
extern const uint16_t iq3_s_grid[512];

#endif
