/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file model_walk.h  The models that lie beneath a folder.
 *
 * A folder that directly holds *.safetensors or *.safetensors.index.json is one model. Elsewhere
 * each *.gguf and *.weirfp is one, and the parts of a split GGUF (NAME-00001-of-00003.gguf) are one
 * together. Links to files count as files, as hub caches have them
 * (models--ORG--NAME/snapshots/REVISION/FILE); links to folders are not followed.
 */
#ifndef WEIR_CLI_MODEL_WALK_H
#define WEIR_CLI_MODEL_WALK_H

#include <stdbool.h>
#include <stddef.h>

#include <weir/error.h>

enum { WALK_DEPTH_MAX = 8 };

typedef struct model_place {
    char *path;
    const char *name;  /* the path relative to the operand, or the operand's last part; in `path` */
    weir_code problem; /* why it is no model that could be opened, or WEIR_OK */
} model_place;

/* Zero-initialise; release with model_list_release(). Paths alone: nothing is kept open. */
typedef struct model_list {
    model_place *items;
    size_t count;
    size_t capacity;
} model_list;

/**
 * Add the models of one operand, in the order of their paths. An operand without any is added
 * itself, so that opening it says what it is; a folder that is too deep (WEIR_ERR_LIMIT) or cannot
 * be listed (WEIR_ERR_IO) is added with its problem.
 *
 * @return false without memory
 */
bool model_list_add(model_list *list, const char *operand);

void model_list_release(model_list *list);

#endif
