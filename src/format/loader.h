/* SPDX-License-Identifier: Apache-2.0 */
/** @file loader.h  A checkpoint while it is being opened: shared by checkpoint.c and weights.c. */
#ifndef WEIR_FORMAT_LOADER_H
#define WEIR_FORMAT_LOADER_H

#include "format/parts.h"

/** What is known of a file beside what the checkpoint tells. */
typedef struct loader_file {
    const char *raw_path; /**< as the file system spells it; NULL: never opened */
    bool is_tried;        /**< its weights were read, or refused */
} loader_file;

typedef struct loader {
    checkpoint *model;
    const checkpoint_options *options;
    weir_findings *findings;
    int directory;      /**< that paths are relative to; -1 when nothing beside the source exists */
    loader_file *files; /**< as many as the model's */
    size_t capacity;    /**< of both arrays */
} loader;

/** Add a file with the verdict not_analysed. @param[out] index  may be NULL */
weir_code loader_add_file(loader *state, size_t *index, const char *raw_path, weir_error *err);

/** Open a listed file under its printable name. */
weir_code loader_open(const loader *state, weir_source **out, size_t index, weir_error *err);

/**
 * Turn the failure of one part into a finding on its file.
 * @return WEIR_OK, so that the rest is still read; WEIR_ERR_NOMEM is passed on
 */
weir_code loader_settle(loader *state, size_t index, const char *id, weir_code code,
                        const weir_error *failure, weir_error *err);

/** Set a file's verdict from the findings since `first_finding`; `is_read` when a reader took it
 * whole. */
void loader_judge(loader *state, size_t index, size_t first_finding, bool is_read);

/** Add a remark or an accusation on one file. */
__attribute__((format(printf, 4, 5))) void
loader_report(loader *state, size_t index, const weir_finding *what, const char *message, ...);

/** Move the templates of a scratch checkpoint, and release the rest of it. */
weir_code loader_take_scratch(loader *state, checkpoint *scratch, weir_error *err);

/** Choose the model's weights among the files of a folder, read them, and check the other ones. */
weir_code weights_read_folder(loader *state, weir_error *err);

/** Read the weights of a checkpoint of one file, which is files[0] with `source` open; with what it
 * names. */
weir_code weights_read_file(loader *state, weir_source *source, weir_error *err);

/** Read one listed file of weights into the model; what is wrong with it is a finding. */
weir_code weights_keep_file(loader *state, size_t index, weir_error *err);

/** Read the parts of a diffusers pipeline, whose model_index.json was read. */
weir_code pipeline_read(loader *state, weir_error *err);

/** @return whether weights.c reads this format: safetensors, its index, gguf. */
bool weights_has_reader(const char *format);

#endif
