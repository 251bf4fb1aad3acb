/* SPDX-License-Identifier: Apache-2.0 */
/** @file models.h  Small models for the fault tests, written into a folder of their own. */
#ifndef WEIR_TESTS_FAULTS_MODELS_H
#define WEIR_TESTS_FAULTS_MODELS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/** Where the models are: "base", "cast", "edited", "packed" and "fused" (folders of a llama or
 * gpt2), "adapter" (LoRA of base). Paths are relative to it. */
const char *models_folder(void);

/** Write all of them below a fresh temporary folder; it is removed at exit. */
void models_make(void);

/** "FOLDER/NAME" in a static buffer of which there are a few. */
const char *models_path(const char *name);

/** Write a file; ends the test if that fails. */
void models_write(const char *path, const void *bytes, size_t len);

#endif
