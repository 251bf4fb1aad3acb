# SPDX-License-Identifier: Apache-2.0
"""P2: fewer bits a number. GGUF's block types come from gguf-py and from llama.cpp itself; GPTQ, AWQ,
bitsandbytes NF4 and block FP8 are packed here as their loaders read them (see packed.py)."""

from __future__ import annotations

from typing import Any

import llama_library
import packed
from checkpoint import read
from gguf_file import write_gguf
from rows import LIKE_LLAMA, Job, recipe

GGUF_FAMILIES = (*LIKE_LLAMA, "gemma", "gpt2", "mixtral", "phi3")
FOUND: dict[str, Any] = {"verdicts": ["derived", "related", "identical"], "direction": "from"}


def as_blocks(kind: str) -> None:
    def make(job: Job) -> None:
        write_gguf(job.target, read(job.source), kind)

    recipe("P2", f"gguf-{kind.lower()}", GGUF_FAMILIES, suffix=".gguf",
           in_mini=1 if kind in ("Q8_0", "Q4_0") else 0, **FOUND)(make)


for block in ("Q8_0", "Q5_1", "Q5_0", "Q4_1", "Q4_0"):
    as_blocks(block)


def as_llama_cpp(kind: str) -> None:
    """By llama.cpp's quantiser; its super-blocks need rows of 256 numbers."""

    def make(job: Job) -> None:
        whole = job.target.with_suffix(".f32")
        try:
            llama_library.quantise(write_gguf(whole, read(job.source)), job.target, kind)
        finally:
            whole.unlink(missing_ok=True)

    recipe("P2", f"gguf-{kind.lower()}", ("llama-wide",), count=10, in_mini=0, suffix=".gguf",
           **FOUND)(make)


for super_block in llama_library.FILE_TYPES:
    as_llama_cpp(super_block)


def as_packed(kind: str) -> None:
    def make(job: Job) -> None:
        packed.write(job.target, read(job.source), kind)

    # Which numbers they were packed from cannot be replayed: each packer chooses its own scales.
    recipe("P2", kind, ("llama", "qwen2", "llama-mid"),
           **(FOUND | {"direction": "unknowable"}))(make)


for packer in packed.PACKERS:
    as_packed(packer)
