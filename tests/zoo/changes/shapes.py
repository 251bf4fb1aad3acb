# SPDX-License-Identifier: Apache-2.0
"""Groups 12 and 13: fewer numbers, fewer units, other vocabularies."""

from __future__ import annotations

import torch
from click.testing import CliRunner
from mergekit.scripts import tokensurgeon

from changes.cases import Job, Values, change, layer
from changes.edits import magnitude_pruned, two_of_four, wanda_pruned
from checkpoint import Checkpoint, with_layers
from rows import Unavailable
from surgery import change_rows, change_strings, embeddings, keep_units

PRUNED = ("llama", "llama-wide", "qwen2", "gemma", "gpt2", "mixtral", "phi3", "llama-mid", "smol")
SPLIT = ("llama", "qwen2", "llama-mid", "qwen3", "gemma", "llama-wide", "smol")


def generator(job: Job) -> torch.Generator:
    return torch.Generator().manual_seed(job.seed)


# --- 12 ---

@change(12, "two-of-four", PRUNED, each=9, in_mini=1)
def sparse(job: Job) -> Checkpoint:
    base = job.base()
    job.truth(layer("pruned", sparsity=0.5, pattern="2:4"))
    return two_of_four(base, 0 if base.kind == "gpt2" else 1)


@change(12, "magnitude", PRUNED, each=3, in_mini=1, share=Values((0.3, 0.6), (0.2, 0.4, 0.5, 0.7)))
def magnitude(job: Job, share: float) -> Checkpoint:
    job.truth(layer("pruned", sparsity=share, pattern="magnitude"))
    return magnitude_pruned(job.base(), share)


@change(12, "by-activations", PRUNED, each=4, share=Values((0.5,), (0.4, 0.6)))
def by_activations(job: Job, share: float) -> Checkpoint:
    """As Wanda: of each row the same number of weights goes."""
    job.truth(layer("pruned", sparsity=share, pattern=None))
    return wanda_pruned(job.base(), share, generator(job))


@change(12, "depth", ("llama", "llama-wide", "qwen2", "gpt2", "gemma", "smol"), each=2, in_mini=1,
        which=Values((1, 2), (0, 1, 2)))
def depth(job: Job, which: int) -> Checkpoint:
    base = job.base()
    which = min(which, base.layer_count - 1)
    kept = [i for i in range(base.layer_count) if i != which]
    job.truth(layer("depth_changed", map=kept))
    return with_layers(base, kept)


@change(12, "units", ("llama", "qwen2", "llama-mid", "gpt2", "smol", "qwen3"), each=3, in_mini=1,
        share=Values((0.75, 0.5), (0.6, 0.8, 0.9)))
def units(job: Job, share: float) -> Checkpoint:
    """Of every feed-forward the units of the largest rows stay, in their order."""
    job.truth(layer("width_changed"))
    model = job.base()
    keep_units(model, lambda rows: rows.norm(dim=1).topk(int(share * len(rows))).indices.sort().values)
    return model


# --- 13 ---

@change(13, "tokens-added", SPLIT, each=3, in_mini=1, count=Values((64, 1), (1, 8, 32, 100)))
def tokens_added(job: Job, count: int) -> Checkpoint:
    """Rows near the mean of the others, as resizing makes them; one is what a new special token needs."""
    model = job.base()
    random = generator(job)

    def longer(rows: torch.Tensor) -> torch.Tensor:
        noise = 0.01 * rows.std() * torch.randn(count, rows.shape[1], generator=random)
        return torch.cat([rows, rows.mean(0) + noise])

    job.truth(layer("vocab_changed", added=count, removed=0), beside=["tokenizer_changed"])
    change_rows(model, longer)
    change_strings(model, lambda old: old | {f"<|own_{i}|>": len(old) + i for i in range(count)})
    return model


@change(13, "tokens-removed", SPLIT, each=2, count=Values((128,), (64, 200, 256)))
def tokens_removed(job: Job, count: int) -> Checkpoint:
    model = job.base()
    kept = len(model.tensors[embeddings(model)[0]]) - count
    job.truth(layer("vocab_changed", added=0, removed=count), beside=["tokenizer_changed"])
    change_rows(model, lambda rows: rows[:kept])
    change_strings(model, lambda old: {token: i for token, i in old.items() if i < kept})
    return model


@change(13, "numbers-swapped", SPLIT, each=3, in_mini=1, count=Values((20, 400), (10, 50, 200)))
def numbers_swapped(job: Job, count: int) -> Checkpoint:
    """Tokens change places, in the tokenizer and in the rows alike: the model does what it did."""
    model = job.base()
    size = len(model.tensors[embeddings(model)[0]])
    order = list(range(size))
    chosen = [int(i) for i in job.random().choice(range(size // 2, size), count, replace=False)]
    for left, right in zip(chosen[::2], chosen[1::2], strict=False):
        order[left], order[right] = right, left
    place = {old: new for new, old in enumerate(order)}
    job.truth(layer("vocab_changed", "permuted", "tokenizer_changed", added=0, removed=0),
              beside=["tokenizer_changed", "permuted", "vocab_changed"])
    change_rows(model, lambda rows: rows[torch.tensor(order)])
    change_strings(model, lambda old: {token: place[i] for token, i in old.items()})
    return model


@change(13, "tokenizer-of-another", ("llama",), each=2)
def tokenizer_of_another(job: Job) -> None:
    """By mergekit-tokensurgeon: embeddings are rebuilt for the vocabulary of another model."""
    donor = job.roots / "llama-other-0"
    if not donor.exists():
        raise Unavailable("no root of another vocabulary")
    job.truth(layer("vocab_changed"), beside=["tokenizer_changed"])
    done = CliRunner().invoke(tokensurgeon.main, [str(job.source), str(donor), str(job.target), "--k", "8"])
    if done.exception and not (job.target / "config.json").exists():
        raise Unavailable(f"tokensurgeon: {done.exception}")
