# SPDX-License-Identifier: Apache-2.0
"""Group 16: what fooled simpler tests. None of these is an ablation, whatever it looks like to an identity
between the change and the weights; several have no class of their own, and then "unknown" is right."""

from __future__ import annotations

import shutil

import torch
from torch.nn import functional as F
from transformers import PreTrainedModel

from changes.cases import Job, Values, change, layer
from changes.edits import (gaussian, is_linear, one_ulp, rows_scaled, scaled, spectrum_clipped, spectrum_cut,
                           top_shrunk, zero_dimension)
from changes.further import as_checkpoint, loaded, rounded, text_tokens
from checkpoint import Checkpoint, read, stored_dtype
from families import BY_NAME, make_model
from rows import Unavailable
from training import Plan, train

FAMILIES = ("llama", "llama-wide", "qwen2", "llama-mid", "smol", "gemma", "qwen3", "gpt2", "mixtral", "phi3")
STRANGE = layer("unknown", "full_rank")
UNRELATED = ["no_link", "cannot_decide"]


def generator(job: Job) -> torch.Generator:
    return torch.Generator().manual_seed(job.seed)


@change(16, "all-scaled", FAMILIES, each=3, in_mini=1, factor=Values((0.97, 1.1), (0.9, 0.95, 1.05, 1.2)))
def all_scaled(job: Job, factor: float) -> Checkpoint:
    job.truth(layer("scaled", axis="all"))
    return scaled(job.base(), factor)


@change(16, "rows-scaled", FAMILIES, each=3, in_mini=1, spread=Values((0.05, 0.2), (0.02, 0.1, 0.3)))
def with_rows_scaled(job: Job, spread: float) -> Checkpoint:
    job.truth(layer("scaled", axis="column" if job.family == "gpt2" else "row"))
    return rows_scaled(job.base(), spread, generator(job))


@change(16, "columns-scaled", FAMILIES, each=3, in_mini=1, spread=Values((0.05,), (0.02, 0.1, 0.2)))
def with_columns_scaled(job: Job, spread: float) -> Checkpoint:
    job.truth(layer("scaled", axis="row" if job.family == "gpt2" else "column"))
    return rows_scaled(job.base(), spread, generator(job), axis=1)


@change(16, "spectrum-clipped", FAMILIES, each=2, in_mini=1, share=Values((0.02, 0.1), (0.05, 0.2)))
def clipped(job: Job, share: float) -> Checkpoint:
    """The change has the rank of what was clipped: to call it low rank is true as well."""
    job.truth(layer("unknown", "low_rank", "full_rank"), honest=True)
    return spectrum_clipped(job.base(), share)


@change(16, "spectrum-cut", FAMILIES, each=2, in_mini=1, share=Values((0.5, 0.8), (0.6, 0.7, 0.9)))
def compressed(job: Job, share: float) -> Checkpoint:
    job.truth(layer("unknown", "low_rank", "full_rank"), honest=True)
    return spectrum_cut(job.base(), share)


@change(16, "top-shrunk", FAMILIES, each=2, in_mini=1, factor=Values((0.5, 0.0), (0.3, 0.7, 0.9)))
def top_shrunken(job: Job, factor: float) -> Checkpoint:
    """Rank one, along the matrix itself, by its own top singular vectors."""
    job.truth(layer("unknown", "low_rank"), honest=True)
    return top_shrunk(job.base(), factor)


@change(16, "dimension-zeroed", FAMILIES, each=2, in_mini=1, which=Values((3, 17), (5, 11, 30)))
def dimension_zeroed(job: Job, which: int) -> Checkpoint:
    """One coordinate of the residual stream is written by nobody."""
    job.truth(layer("unknown", "low_rank", "pruned", "scaled"), honest=True)
    return zero_dimension(job.base(), which)


@change(16, "ulp-noise", FAMILIES, each=4, in_mini=1)
def ulp_noise(job: Job) -> Checkpoint:
    """Every number moves by at most one step of its type."""
    job.truth(layer("perturbed"), honest=True)
    return one_ulp(job.base(), stored_dtype(job.source), generator(job))


@change(16, "gaussian-noise", FAMILIES, each=3, in_mini=1, size=Values((0.01, 0.1), (0.003, 0.03, 0.05)))
def gaussian_noise(job: Job, size: float) -> Checkpoint:
    job.truth(layer("perturbed", "full_rank"), honest=True)
    return gaussian(job.base(), size, generator(job))


@change(16, "half-a-stranger", FAMILIES, each=2, in_mini=1, share=Values((0.5, 0.2), (0.3, 0.4)),
        known=Values((True, False)))
def half_a_stranger(job: Job, share: float, known: bool) -> Checkpoint:
    """Mixed with a root that has nothing in common with it, which is given as a parent or is not."""
    if not job.peers:
        raise Unavailable("no other root")
    stranger = job.root_path(job.peers[job.seed % len(job.peers)])
    other = read(stranger)
    if known:
        job.case.parents = [str(stranger)]
        job.truth(layer("merged", methods=["linear", "slerp", "nuslerp", "task_arithmetic"],
                        weights=None, parents=[], replay=True), trained=True)
    else:
        job.truth(STRANGE, honest=True, trained=True)
    return job.base().map(lambda name, t: (1 - share) * t + share * other.tensors[name])


@change(16, "another-seed", FAMILIES, each=10, in_mini=1)
def another_seed(job: Job) -> None:
    """Another root of the family: same shapes, text and order, nothing else in common."""
    if not job.peers or job.family == "smol":
        raise Unavailable("no other root")
    job.truth(layer("unknown"), relation=UNRELATED, honest=True, trained=True)
    shutil.copytree(job.root_path(job.peers[job.seed % len(job.peers)]), job.target)


@change(16, "same-start-other-text", ("llama", "qwen2", "gemma", "gpt2"), each=4)
def same_start(job: Job) -> None:
    """The root's own random start, trained on another text: no descent, but the same numbers underneath."""
    twin = job.roots / f"{job.root}-twin"
    if not twin.exists():
        raise Unavailable("no twin of this root")
    job.truth(STRANGE, honest=True, trained=True)
    shutil.copytree(twin, job.target)


@change(16, "never-trained", FAMILIES, each=5)
def never_trained(job: Job) -> Checkpoint:
    if job.family == "smol":
        raise Unavailable("a real model")
    job.truth(layer("unknown"), relation=UNRELATED, honest=True)
    base = job.base()
    return as_checkpoint(make_model(BY_NAME[job.family], job.seed, **job_layers(job, base)), base)


def job_layers(job: Job, base: Checkpoint) -> dict[str, int]:
    return {"n_layer" if job.family == "gpt2" else "num_hidden_layers": base.layer_count}


@change(16, "distilled", ("llama", "qwen2", "gemma", "gpt2"), each=4)
def distilled(job: Job) -> Checkpoint:
    """A student of the base from a random start: its answers, none of its numbers."""
    base = job.base()
    teacher = loaded(base).eval()

    def loss(of: PreTrainedModel, ids: torch.Tensor) -> torch.Tensor:
        with torch.no_grad():
            wanted = F.softmax(teacher(input_ids=ids, use_cache=False).logits, -1)
        return F.cross_entropy(of(input_ids=ids, use_cache=False).logits.flatten(0, 1), wanted.flatten(0, 1))

    student = make_model(BY_NAME[job.family], job.seed, **job_layers(job, base))
    train(student, text_tokens(base, "prose"), Plan(40, 3e-3, order=job.seed), loss)
    job.truth(layer("unknown"), relation=UNRELATED, honest=True, trained=True)
    return as_checkpoint(student, base)


@change(16, "through-f16", ("llama", "llama-wide", "qwen2", "smol"), each=2)
def through_f16(job: Job) -> Checkpoint:
    """bfloat16 to float16 and back: only numbers too small for float16 change."""
    base = job.base()
    model = rounded(base, torch.float16)
    job.truth(layer("cast", "identical", to="f16"), honest=True)
    return model


@change(16, "signs-turned", FAMILIES, each=2, share=Values((0.01,), (0.003, 0.03)))
def signs_turned(job: Job, share: float) -> Checkpoint:
    """A few numbers change their sign: damage, or a mark."""
    random = generator(job)
    job.truth(layer("unknown", "full_rank", "perturbed"), honest=True)
    return job.base().map(lambda name, t: torch.where(
        torch.rand(t.shape, generator=random) < share, -t, t) if is_linear(name) else t)
