# SPDX-License-Identifier: Apache-2.0
"""Group 15: one change on top of another. Every step stores its model, as tools do."""

from __future__ import annotations

import torch

from changes.adapters import merged as merged_adapter
from changes.cases import Job, Layer, Values, change, layer, save
from changes.directions import edited
from changes.edits import magnitude_pruned, two_of_four
from changes.further import rounded, scaled_change
from changes.merges import ALIKE, merged, parents_given, relative
from changes.packages import as_llama_cpp, write_packed
from changes.shapes import tokens_added
from changes.tuned import trained_on
from checkpoint import Checkpoint, read, stored_dtype
from gguf_file import write_gguf
from training import Plan

FAMILIES = ("llama-wide", "llama", "smol", "qwen2", "llama-mid")
PACKAGED = ["repackaged", "cast"]


def stored(job: Job, model: Checkpoint) -> Checkpoint:
    return rounded(model, stored_dtype(job.source))


def adapted(job: Job, rank: int, size: float) -> Checkpoint:
    base = job.base()
    return stored(job, scaled_change(base, merged_adapter(job.source, job.family, rank, "all", 21), size))


def tuned(job: Job, rate: float = 5e-4) -> Checkpoint:
    return stored(job, trained_on(job.base(), Plan(24, rate, order=job.seed)))


def average(job: Job, weight: float) -> Checkpoint:
    """Of the fine-tunes a and b, computed as linear merges are."""
    a, b = (read(relative(job, letter)) for letter in "ab")
    return stored(job, a.map(lambda name, t: weight * t + (1 - weight) * b.tensors[name]))


def average_layer(weight: float) -> Layer:
    return merged(ALIKE, {"a": weight, "b": round(1 - weight, 4)}, "ab")


RANKS = Values((8,), (4, 12, 16))
SIZES = Values((1e-2, 3e-2), (8e-3, 1.5e-2, 2e-2, 4e-2))
WEIGHTS = Values((0.6,), (0.35, 0.45, 0.7))


@change(15, "lora-then-q8", FAMILIES, each=2, suffix=".gguf", in_mini=1, rank=RANKS, size=SIZES)
def lora_then_q8(job: Job, rank: int, size: float) -> None:
    job.truth(layer("quantised", type="Q8_0"), layer("low_rank", rank=rank, size=size), beside=PACKAGED,
              trained=True)
    write_gguf(job.target, adapted(job, rank, size), "Q8_0")


@change(15, "lora-then-q4-k", ("llama-wide", "smol"), each=2, suffix=".gguf", rank=RANKS, size=SIZES)
def lora_then_q4_k(job: Job, rank: int, size: float) -> None:
    job.truth(layer("quantised", type="Q4_K_M"), layer("low_rank", "unknown", rank=rank, size=size),
              beside=PACKAGED, trained=True)
    as_llama_cpp(job, adapted(job, rank, size), "Q4_K_M")


@change(15, "merge-then-q8", FAMILIES, each=3, suffix=".gguf", weight=WEIGHTS)
def merge_then_q8(job: Job, weight: float) -> None:
    parents_given(job, "ab", "usual")
    job.truth(layer("quantised", type="Q8_0"), average_layer(weight), beside=PACKAGED, trained=True)
    write_gguf(job.target, average(job, weight), "Q8_0")


@change(15, "merge-then-q4", FAMILIES, each=2, suffix=".gguf", weight=WEIGHTS)
def merge_then_q4(job: Job, weight: float) -> None:
    parents_given(job, "ab", "usual")
    job.truth(layer("quantised", type="Q4_0"), average_layer(weight), beside=PACKAGED, trained=True)
    write_gguf(job.target, average(job, weight), "Q4_0")


@change(15, "direction-then-lora", FAMILIES, each=2, strength=Values((1.0, 0.7), (0.8, 0.9, 1.1)), rank=RANKS)
def direction_then_lora(job: Job, strength: float, rank: int) -> Checkpoint:
    base = job.base()
    without = stored(job, edited(job, base, "everywhere", strength))
    (truth,) = job.case.layers
    adapter = merged_adapter(job.source, job.family, rank, "all", 22)
    model = without.map(lambda name, t: t + 0.1 * (adapter.tensors[name] - base.tensors[name]))
    job.truth(layer("low_rank", rank=rank), truth, trained=True)
    return model


@change(15, "tuned-then-direction", FAMILIES, each=2, strength=Values((1.0, 0.7), (0.8, 0.9, 1.1)))
def tuned_then_direction(job: Job, strength: float) -> Checkpoint:
    model = edited(job, tuned(job), "everywhere", strength)
    (truth,) = job.case.layers
    job.truth(truth, layer("full_rank"), trained=True)
    return model


@change(15, "direction-then-tuned", FAMILIES, each=2, strength=Values((1.0,), (0.8, 0.9, 1.1)))
def direction_then_tuned(job: Job, strength: float) -> Checkpoint:
    model = stored(job, edited(job, job.base(), "everywhere", strength))
    (truth,) = job.case.layers
    job.truth(layer("full_rank"), truth, trained=True)
    return trained_on(model, Plan(24, 3e-4, order=job.seed))


@change(15, "merge-then-direction", FAMILIES, each=3, strength=Values((1.0,), (0.7, 0.8, 1.2)), weight=WEIGHTS)
def merge_then_direction(job: Job, strength: float, weight: float) -> Checkpoint:
    model = edited(job, average(job, weight), "everywhere", strength)
    (truth,) = job.case.layers
    parents_given(job, "ab", "usual")
    job.truth(truth, average_layer(weight), trained=True)
    return model


@change(15, "tuned-pruned-q4", FAMILIES, each=2, suffix=".gguf", pattern=Values(("2:4", "magnitude")))
def tuned_pruned_q4(job: Job, pattern: str) -> None:
    """Three steps: zeros stay zero in Q4_0, whose levels have one."""
    model = tuned(job)
    model = stored(job, two_of_four(model) if pattern == "2:4" else magnitude_pruned(model, 0.3))
    job.truth(layer("quantised", type="Q4_0"),
              layer("pruned", sparsity=0.5 if pattern == "2:4" else 0.3, pattern=pattern), layer("full_rank"),
              beside=PACKAGED, trained=True)
    write_gguf(job.target, model, "Q4_0")


@change(15, "tuned-then-pruned", FAMILIES, each=2, in_mini=1, share=Values((0.5,), (0.3, 0.4)))
def tuned_then_pruned(job: Job, share: float) -> Checkpoint:
    model = magnitude_pruned(tuned(job), share)
    job.truth(layer("pruned", sparsity=share), layer("full_rank"), trained=True)
    return model


@change(15, "tuned-then-packed", FAMILIES, each=2, layout=Values(("gptq", "awq")))
def tuned_then_packed(job: Job, layout: str) -> None:
    job.truth(layer("quantised", type=layout), layer("full_rank", "unknown"), beside=PACKAGED, trained=True)
    write_packed(job, tuned(job), layout)


@change(15, "tuned-then-blocks", FAMILIES, each=3, suffix=".gguf", in_mini=1, type=Values(("Q8_0", "Q4_0")))
def tuned_then_blocks(job: Job, type: str) -> None:
    job.truth(layer("quantised", type=type), layer("full_rank"), beside=PACKAGED, trained=True)
    write_gguf(job.target, tuned(job), type)


@change(15, "tuned-then-cast", ("llama-mid", "qwen3", "gemma", "gpt2"), each=4, to=Values(("bf16",)))
def tuned_then_cast(job: Job, to: str) -> None:
    """A fine-tune of a model in float32 that is published in bfloat16."""
    job.truth(layer("cast", to=to), layer("full_rank"), trained=True)
    save(job, tuned(job), torch.bfloat16)


@change(15, "tokens-added-then-tuned", ("llama", "qwen2", "llama-wide"), each=2, count=Values((8,), (2, 16, 32)))
def tokens_added_then_tuned(job: Job, count: int) -> Checkpoint:
    base = tokens_added(job, count)
    assert base is not None
    (truth,) = job.case.layers
    small = job.base()
    tuned_model = trained_on(small, Plan(24, 5e-4, order=job.seed))
    for name, tensor in tuned_model.tensors.items():
        grown = base.tensors[name]
        base.tensors[name] = tensor if grown.shape == tensor.shape else torch.cat([tensor, grown[len(tensor):]])
    job.truth(layer("vocab_changed", "full_rank", added=count), layer("full_rank", "vocab_changed"),
              beside=["tokenizer_changed"], trained=True)
    return base
