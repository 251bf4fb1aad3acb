# SPDX-License-Identifier: Apache-2.0
"""P7, P11 and N9: merges by mergekit, chains and siblings.

First come the relatives, fine-tunes of one root that the registry knows (a, b, c) or does not (d).
Then merges of them. Shares are those of the recipe; of sparse methods, no exact share is claimed.
"""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

from mergekit.config import MergeConfiguration
from mergekit.merge import MergeOptions, run_merge

import corpus
from checkpoint import read, stored_dtype, with_layers, write
from gguf_file import write_gguf
from roots import load, save
from rows import Job, recipe
from training import Plan, train

MERGED = ("llama", "qwen2", "llama-mid")
COUNT = 10
FOUND: dict[str, Any] = {"verdicts": ["derived", "related"], "count": COUNT}
KNOWN: dict[str, Any] = FOUND | {"registry": "relatives", "missing_parent": False}
TEXTS = {"a": "code", "b": "prose", "c": "code", "d": "prose", "child": "code", "grandchild": "prose"}


def continue_from(job: Job, folder: Path, name: str, rate: float = 1e-3) -> None:
    text = corpus.tokens(TEXTS[name])
    # Each relative has a quarter of its text to itself.
    part = "abcd".find(name[0]) % 4
    piece = text[part * len(text) // 4:(part + 1) * len(text) // 4]
    model = load(folder.parent, folder.name)
    train(model, piece, Plan(30, rate, order=job.seed))
    save(model, job.target, stored_dtype(job.source), corpus.VOCABULARY)


def relative(name: str) -> None:
    def make(job: Job) -> None:
        continue_from(job, job.source, name)

    # How a tuned model and its root differ does not say which came first.
    recipe("P11" if name != "d" else "P7", f"relative-{name}", MERGED, count=COUNT,
           verdicts=["derived", "related"], registry="roots", registered=name != "d")(make)


for letter in "abcd":
    relative(letter)


# --- chains ---

@recipe("P11", "relative-child", MERGED, registered=True, registry="relatives", **FOUND)
def child(job: Job) -> None:
    """Root, then relative a, then this."""
    job.row.parents = [f"relative-a.{job.root}"]
    continue_from(job, job.relative("relative-a"), "child")


@recipe("P11", "grandchild", MERGED, registry="relatives", **FOUND)
def grandchild(job: Job) -> None:
    job.row.parents = [f"relative-child.{job.root}"]
    continue_from(job, job.relative("relative-child"), "grandchild")


@recipe("P11", "relative-child-quantised", MERGED, registry="relatives", suffix=".gguf",
        direction="from", count=COUNT, verdicts=["derived", "related"])
def child_quantised(job: Job) -> None:
    """The file of four models down the chain: its nearest parent is known to the registry."""
    job.row.parents = [f"relative-child.{job.root}"]
    write_gguf(job.target, read(job.relative("relative-child")), "Q8_0")


# --- merges ---

def run(job: Job, recipe_text: dict[str, Any]) -> None:
    shutil.rmtree(job.target, ignore_errors=True)
    options = MergeOptions(cuda=False, copy_tokenizer=False, lazy_unpickle=False, quiet=True,
                           random_seed=job.seed % 2**31, write_model_card=False, num_threads=1)
    run_merge(MergeConfiguration.model_validate(recipe_text), str(job.target), options)
    for name, text in read(job.source, None).tokenizer.items():
        (job.target / name).write_text(text)


def merge(job: Job, method: str, parents: dict[str, dict[str, Any]], base: bool = False,
          **options: Any) -> None:
    """parents: parameters by letter of the relative."""
    models: list[dict[str, Any]] = [{"model": str(job.relative(f"relative-{letter}")),
                                     "parameters": parameters} for letter, parameters in parents.items()]
    if method == "slerp" or base:
        models.insert(0, {"model": str(job.source)}) if base else None
    job.row.parents = [f"relative-{letter}.{job.root}" for letter in parents]
    if base:
        job.row.parents.append(job.root)
    text = {"merge_method": method, "models": models, "dtype": str(stored_dtype(job.source))[6:]} | options
    if base:
        text["base_model"] = str(job.source)
    run(job, text)


def linear(kind: str, weights: dict[str, float], truth: dict[str, Any]) -> None:
    def make(job: Job) -> None:
        merge(job, "linear", {letter: {"weight": weight} for letter, weight in weights.items()})
        job.row.shares = {f"relative-{letter}.{job.root}": weight for letter, weight in weights.items()}

    recipe("P7", kind, MERGED, **truth)(make)


LOST: dict[str, Any] = FOUND | {"registry": "relatives", "missing_parent": True}
linear("merge-linear-2", {"a": 0.5, "b": 0.5}, KNOWN)
linear("merge-linear-2-uneven", {"a": 0.7, "b": 0.3}, KNOWN)
linear("merge-linear-3", {"a": 0.5, "b": 0.3, "c": 0.2}, KNOWN)
linear("merge-linear-parent-lost", {"a": 0.5, "d": 0.5}, LOST)
linear("merge-linear-3-parent-lost", {"a": 0.4, "b": 0.3, "d": 0.3}, LOST)


@recipe("P7", "merge-linear-by-layer", MERGED, **KNOWN)
def by_layer(job: Job) -> None:
    """From a at the bottom to b at the top, in mergekit's gradient."""
    merge(job, "linear", {"a": {"weight": [1.0, 0.0]}, "b": {"weight": [0.0, 1.0]}})


@recipe("P7", "merge-slerp", MERGED, **KNOWN)
def slerp(job: Job) -> None:
    first, second = (str(job.relative(f"relative-{letter}")) for letter in "ab")
    job.row.parents = [f"relative-{letter}.{job.root}" for letter in "ab"]
    job.row.shares = dict.fromkeys(job.row.parents, 0.5)
    run(job, {"merge_method": "slerp", "base_model": first, "dtype": str(stored_dtype(job.source))[6:],
              "parameters": {"t": 0.5}, "models": [{"model": first}, {"model": second}]})


def on_base(kind: str, method: str, letters: str, **parameters: Any) -> None:
    """Methods that add task vectors to their common base."""

    def make(job: Job) -> None:
        text = {"merge_method": method, "base_model": str(job.source),
                "dtype": str(stored_dtype(job.source))[6:],
                "models": [{"model": str(job.relative(f"relative-{letter}")),
                            "parameters": {"weight": 1 / len(letters)} | parameters}
                           for letter in letters]}
        job.row.parents = [f"relative-{letter}.{job.root}" for letter in letters] + [job.root]
        run(job, text)

    recipe("P7", kind, MERGED, **KNOWN)(make)


on_base("merge-task-arithmetic", "task_arithmetic", "ab")
on_base("merge-task-arithmetic-3", "task_arithmetic", "abc")
on_base("merge-ties", "ties", "ab", density=0.5)
on_base("merge-dare-ties", "dare_ties", "ab", density=0.5)


@recipe("P7", "merge-passthrough", MERGED, **KNOWN)
def passthrough(job: Job) -> None:
    """The lower layers of a, the upper of b."""
    count = read(job.source, None).layer_count
    half = count // 2
    a, b = (str(job.relative(f"relative-{letter}")) for letter in "ab")
    job.row.parents = [f"relative-{letter}.{job.root}" for letter in "ab"]
    run(job, {"merge_method": "passthrough", "dtype": str(stored_dtype(job.source))[6:],
              "slices": [{"sources": [{"model": a, "layer_range": [0, half]}]},
                         {"sources": [{"model": b, "layer_range": [half, count]}]}]})


@recipe("P7", "frankenmerge-of-strangers", MERGED, count=COUNT, verdicts=["derived", "related"])
def of_strangers(job: Job) -> None:
    """Layers of two roots that have nothing in common: both are parents."""
    model, other = read(job.source), read(job.roots / job.peers[0])
    half = model.layer_count // 2
    mixed = with_layers(model, list(range(model.layer_count)))
    for layer in range(half, model.layer_count):
        for name in mixed.tensors:
            if name.startswith(model.layer(layer)):
                mixed.tensors[name] = other.tensors[name].clone()
    job.row.parents = [job.root, job.peers[0]]
    job.row.ancestors += [job.peers[0], f"start:{job.peers[0]}"]
    write(job.target, mixed, stored_dtype(job.source))


# --- N9 ---

def with_stranger(percent: int) -> None:
    def make(job: Job) -> None:
        stranger = job.peers[0]
        share = percent / 100
        run(job, {"merge_method": "linear", "dtype": str(stored_dtype(job.source))[6:],
                  "models": [{"model": str(job.source), "parameters": {"weight": 1 - share}},
                             {"model": str(job.roots / stranger), "parameters": {"weight": share}}]})
        # The stranger's numbers are there, but at this share nobody need find them.
        job.row.ancestors += [stranger, f"start:{stranger}"]
        job.row.shares = {job.root: 1 - share, stranger: share}

    recipe("N9", f"stranger-{percent}-percent", MERGED, count=COUNT,
           verdicts=["derived", "related"])(make)


with_stranger(1)
with_stranger(5)
