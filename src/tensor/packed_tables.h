/* SPDX-License-Identifier: Apache-2.0 */
/** @file packed_tables.h  The small tables beside packed codes, read while a model is opened. */
#ifndef WEIR_TENSOR_PACKED_TABLES_H
#define WEIR_TENSOR_PACKED_TABLES_H

#include "tensor/packed.h"

/* The first three return false too when the tensor cannot be read, which `failure` says then. */

/** Read exactly `count` (at most 256) float32 of a tensor. @return false when they are not there,
 * or not finite. */
bool packed_read_values(float *out, size_t count, const packed_part *from, weir_error *failure);

/** Read a shape of two whole numbers. @return false when it is none. */
bool packed_read_shape(uint64_t *rows, uint64_t *cols, const packed_part *from,
                       weir_error *failure);

/** Whether the tensor is one byte that is 0. */
bool packed_is_zero_byte(const packed_part *from, weir_error *failure);

/** Whether 16 values are those of nf4 or fp4, but for rounding. */
bool packed_is_known_map(const float values[16], bool is_nf4);

/**
 * Read the groups of all inputs. An order that says what the blocks say is dropped, as is one that
 * was never set (all -1).
 * @param[out] why  set when a group is out of range
 * @return WEIR_OK; WEIR_ERR_IO; WEIR_ERR_NOMEM
 */
weir_code packed_check_order(packed_tensor *packed, const char **why, weir_error *err);

/** Read the groups of all inputs, each below packed->groups. Release with free(). */
weir_code packed_read_order(uint32_t **out, const packed_tensor *packed, weir_error *err);

/** Read bytes of a part, checked against its tensor. */
weir_code packed_read_bytes(const packed_part *from, uint64_t begin, unsigned char *out,
                            uint64_t bytes, weir_error *err);

#endif
