# SPDX-License-Identifier: Apache-2.0
"""P1: the same numbers in other packages. Nothing was trained; wrapping must not fool a reader."""

from __future__ import annotations

import shutil

import torch

from checkpoint import read, stored_dtype, write
from gguf_file import write_gguf
from rows import ALL, CAUSAL, LIKE_LLAMA, Job, recipe

SAME = ["identical", "derived", "related"]


@recipe("P1", "copied", ALL, verdicts=["identical"])
def copied(job: Job) -> None:
    shutil.copytree(job.source, job.target, dirs_exist_ok=True)


@recipe("P1", "resharded", ALL, verdicts=["identical"])
def resharded(job: Job) -> None:
    write(job.target, read(job.source, None), shards=3)


@recipe("P1", "renamed", CAUSAL, verdicts=SAME)
def renamed(job: Job) -> None:
    """Tensor names without their first part, as some repackers leave them; another model name."""
    model = read(job.source, None)
    model.tensors = {name.removeprefix("model.").removeprefix("transformer.").removeprefix("gpt_neox."):
                     tensor for name, tensor in model.tensors.items()}
    model.config["_name_or_path"] = "somebody/else"
    write(job.target, model)


def cast(job: Job, dtype: torch.dtype) -> None:
    narrower = dtype != torch.float32 and stored_dtype(job.source) == torch.float32
    job.row.direction = "from" if narrower else "unknowable"
    if stored_dtype(job.source) == dtype:
        job.row.verdicts = ["identical"]
    write(job.target, read(job.source), dtype)


@recipe("P1", "float32", ALL, verdicts=SAME)
def as_float32(job: Job) -> None:
    cast(job, torch.float32)


@recipe("P1", "bfloat16", ALL, verdicts=SAME)
def as_bfloat16(job: Job) -> None:
    cast(job, torch.bfloat16)


@recipe("P1", "float16", ALL, verdicts=SAME)
def as_float16(job: Job) -> None:
    cast(job, torch.float16)


@recipe("P1", "gguf-f16", (*LIKE_LLAMA, "gemma", "gpt2", "mixtral", "phi3"), verdicts=SAME, suffix=".gguf")
def as_gguf(job: Job) -> None:
    write_gguf(job.target, read(job.source), "F16")
