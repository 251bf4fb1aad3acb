/* SPDX-License-Identifier: Apache-2.0 */
#include "topics.h"

#include <string.h>

static const topic_entry exit_codes[] = {
    {NULL,
     "Findings alone never change the exit code: a gate has to be asked for, with --fail-on or "
     "--exit-code. An answer and a failure never share a code."},
    {NULL, "With --fail-on TIER the tier is an interval from low to high: 1 when low reaches TIER, "
           "0 when "
           "high stays under it, 4 when TIER lies between."},
    {NULL,
     "A folder with one malformed part gives all output that is possible, then 3. A closed pipe is "
     "quiet and leaves the code as it is."},
    {NULL, NULL},
};

static const topic_entry formats[] = {
    {NULL, "What weir reads. Nothing is executed, and files are never mapped into memory."},
    {"safetensors",
     "Single files, and folders with an index of shards. Strict by default; --lenient "
     "accepts what the reference library accepts."},
    {"GGUF", "Versions 2 and 3, single or split, with every block type that ggml stores."},
    {"folders",
     "config, generation config, tokenizer, chat template, adapter, model card and merge recipe "
     "are read as claims: what a file says, not what is so."},
    {".weirfp", "A fingerprint that weir registry export wrote."},
    {"other files",
     "Identified by their content, listed and marked not analysed; never called clean."},
    {NULL, "What weir writes."},
    {"table", "For a person: the verdict first, then tables and heat strips."},
    {"html", "Of weir diff: a page in one file, with pictures and without script."},
    {"jsonl", "Of weir trace: one line of JSON for each of many models."},
    {"bundle", "Of weir trace: weir.bundle/1, from which others can compute the verdict again."},
    {"json",
     "weir.inspect/1, weir.diff/1, weir.assess/1, weir.trace/1, weir.replay/1, weir.registry/1, "
     "weir.doctor/1 and, when a call fails, weir.error/1. Their JSON Schemas are installed in "
     "share/weir/schema. A reader ignores fields "
     "that it does not know."},
    {NULL, NULL},
};

static const topic_entry evidence[] = {
    {NULL, "Every statement carries how sure it is."},
    {"proved",
     "Replayed bit for bit from the given base, or a test whose error rate holds for finite "
     "samples."},
    {"strong", "Measured, with an error that is small and known."},
    {"weak", "Measured; another cause would look the same."},
    {"claimed", "A card, a config or a name says so. Claims never decide what the weights say."},
    {"unknown",
     "Not examined, or examined without an answer. It is never read as no, and never as zero."},
    {NULL, "A tier goes from 0 to 4. It is an interval when facts are missing: what is not known "
           "widens it. "
           "\"Cannot decide\" is an answer."},
    {NULL, NULL},
};

static const cli_topic topics[] = {
    {"exit-codes", "what weir's exit codes mean", exit_codes},
    {"formats", "what weir reads and writes", formats},
    {"evidence", "how sure a statement is", evidence},
};

const cli_topic *topic_at(size_t index) {
    return index < sizeof topics / sizeof *topics ? &topics[index] : NULL;
}

const cli_topic *topic_find(const char *name) {
    for (size_t i = 0; i < sizeof topics / sizeof *topics; i++) {
        if (strcmp(topics[i].name, name) == 0) {
            return &topics[i];
        }
    }
    return NULL;
}
