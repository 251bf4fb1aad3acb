# SPDX-License-Identifier: Apache-2.0
"""Groups 10 and 11: merges and layer surgery, by mergekit.

The parents are fine-tunes a, b and c of one root, each on a quarter of the text of its own. Given on the command
line are those that were merged, and in every second case c besides, which was not.
"""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import torch
import transformers
from mergekit.config import MergeConfiguration
from mergekit.merge import MergeOptions, run_merge
from mergekit.moe.config import MoEMergeConfig
from mergekit.scripts.moe import build as build_moe

from changes.cases import Job, Layer, Values, change, layer
from changes.tuned import trained_on
from checkpoint import read, stored_dtype, write
from training import Plan

FAMILIES = ("llama", "llama-wide", "qwen2", "llama-mid", "smol", "qwen3")
RATES = {"small": 1e-4, "usual": 5e-4}
TEXTS = {"a": "code", "b": "prose", "c": "code"}


def relative(job: Job, letter: str, size: str = "usual") -> Path:
    """A fine-tune of the root, made once."""
    folder = job.models / "relatives" / f"{letter}-{size}.{job.root}"
    if not (folder / "config.json").exists():
        base = job.base()
        plan = Plan(24, RATES[size], order=ord(letter))
        model = trained_on(base, plan, TEXTS[letter], part=("abcd".index(letter), 4))
        part = folder.with_name(folder.name + ".part")
        write(part, model, stored_dtype(job.source))
        part.rename(folder)
    return folder


def dtype_name(job: Job) -> str:
    return str(stored_dtype(job.source)).removeprefix("torch.")


def run(job: Job, text: dict[str, Any]) -> None:
    shutil.rmtree(job.target, ignore_errors=True)
    options = MergeOptions(cuda=False, copy_tokenizer=False, lazy_unpickle=False, quiet=True,
                           random_seed=job.seed % 2**31, write_model_card=False, num_threads=1)
    run_merge(MergeConfiguration.model_validate({"dtype": dtype_name(job)} | text), str(job.target), options)
    for name, content in read(job.source, None).tokenizer.items():
        (job.target / name).write_text(content)


def parents_given(job: Job, letters: str, size: str) -> None:
    given = letters + ("c" if job.seed % 2 and "c" not in letters else "")
    job.case.parents = [str(relative(job, letter, size)) for letter in given]


def merged(methods: tuple[str, ...], weights: dict[str, float] | None, letters: str, **figures: Any) -> Layer:
    """`methods` that tell the same; weights on the task vectors, None where they are no figure."""
    return layer("merged", methods=list(methods), weights=weights, parents=list(letters), **figures)


def given(job: Job, letters: str, size: str, **parameters: Any) -> list[dict[str, Any]]:
    """Parameters of a list are one value for each model."""
    return [{"model": str(relative(job, letter, size)),
             "parameters": {name: value[i] if isinstance(value, list) else value
                            for name, value in parameters.items()}}
            for i, letter in enumerate(letters)]


SIZES = Values(("usual", "small"))
ALIKE = ("linear", "slerp", "nuslerp", "task_arithmetic")  # of fine-tunes of one base: not told apart by weights


@change(10, "linear", FAMILIES, each=2, in_mini=1, size=SIZES,
        weight=Values((0.5, 0.7), (0.2, 0.35, 0.4, 0.6, 0.65, 0.8)))
def linear(job: Job, size: str, weight: float) -> None:
    weights = {"a": weight, "b": round(1 - weight, 4)}
    parents_given(job, "ab", size)
    job.truth(merged(ALIKE, weights, "ab", replay=True), trained=True)
    run(job, {"merge_method": "linear", "models": given(job, "ab", size, weight=list(weights.values()))})


@change(10, "slerp", FAMILIES, each=2, in_mini=1, size=SIZES, t=Values((0.5, 0.3), (0.2, 0.4, 0.6, 0.75)))
def slerp(job: Job, size: str, t: float) -> None:
    a, b = (str(relative(job, letter, size)) for letter in "ab")
    parents_given(job, "ab", size)
    job.truth(merged(ALIKE, {"a": round(1 - t, 4), "b": t}, "ab", replay=True), trained=True)
    run(job, {"merge_method": "slerp", "base_model": a, "parameters": {"t": t},
              "models": [{"model": a}, {"model": b}]})


@change(10, "slerp-by-layer", FAMILIES, each=2, ends=Values(((0.0, 1.0), (0.2, 0.8)), ((0.1, 0.9), (1.0, 0.3))))
def slerp_by_layer(job: Job, ends: tuple[float, float]) -> None:
    """A list of t is a gradient over the layers; attention and feed-forward have lists of their own."""
    a, b = (str(relative(job, letter)) for letter in "ab")
    parents_given(job, "ab", "usual")
    job.truth(merged(ALIKE, None, "ab", replay=True), trained=True)
    count = read(job.source, None).layer_count
    run(job, {"merge_method": "slerp", "base_model": a, "slices": [{"sources": [
        {"model": a, "layer_range": [0, count]}, {"model": b, "layer_range": [0, count]}]}],
        "parameters": {"t": [{"filter": "self_attn", "value": list(ends)},
                             {"filter": "mlp", "value": list(reversed(ends))}, {"value": 0.5}]}})


@change(10, "linear-by-layer", FAMILIES, each=2, ends=Values(((1.0, 0.0), (0.8, 0.4)), ((0.0, 1.0), (0.3, 0.9))))
def linear_by_layer(job: Job, ends: tuple[float, float]) -> None:
    parents_given(job, "ab", "usual")
    job.truth(merged(ALIKE, None, "ab", replay=True), trained=True)
    lists = [list(ends), [round(1 - end, 4) for end in ends]]
    run(job, {"merge_method": "linear", "models": [
        {"model": str(relative(job, letter)), "parameters": {"weight": one}}
        for letter, one in zip("ab", lists, strict=True)]})


@change(10, "task-arithmetic", FAMILIES, each=2, in_mini=1, size=SIZES,
        weights=Values(((0.6, 0.35), (0.9, 0.5)), ((0.45, 0.8), (0.7, 0.7), (1.1, 0.3), (0.25, 0.55))))
def task_arithmetic(job: Job, size: str, weights: tuple[float, float]) -> None:
    parents_given(job, "ab", size)
    job.truth(merged(("task_arithmetic", "linear"), dict(zip("ab", weights, strict=True)), "ab", replay=True),
              trained=True)
    run(job, {"merge_method": "task_arithmetic", "base_model": str(job.source),
              "models": given(job, "ab", size, weight=list(weights))})


@change(10, "task-arithmetic-three", FAMILIES, each=2,
        weights=Values(((0.5, 0.3, 0.2),), ((0.4, 0.4, 0.3), (0.25, 0.55, 0.15))))
def task_arithmetic_three(job: Job, weights: tuple[float, ...]) -> None:
    parents_given(job, "abc", "usual")
    job.truth(merged(("task_arithmetic", "linear"), dict(zip("abc", weights, strict=True)), "abc", replay=True),
              trained=True)
    run(job, {"merge_method": "task_arithmetic", "base_model": str(job.source),
              "models": given(job, "abc", "usual", weight=list(weights))})


@change(10, "one-parent-scaled", FAMILIES, each=2, weight=Values((0.5, 1.3), (0.3, 0.7, 0.8, 1.2)))
def one_parent_scaled(job: Job, weight: float) -> None:
    """A task vector by itself, shortened or stretched."""
    parents_given(job, "a", "usual")
    job.truth(merged(("task_arithmetic", "linear", *ALIKE), {"a": weight}, "a", replay=True), trained=True)
    run(job, {"merge_method": "task_arithmetic", "base_model": str(job.source),
              "models": given(job, "a", "usual", weight=weight)})


def one_of(*methods: str) -> tuple[str, ...]:
    return methods


# method: (whether it needs the base, whether a replay of it is exact, names that are as right)
METHODS: dict[str, tuple[bool, bool, tuple[str, ...]]] = {
    "ties": (True, True, one_of("ties")),
    "nuslerp": (False, False, ALIKE),
    "dare_linear": (True, False, one_of("dare_linear", "dare_ties", "dare", "della_linear")),
    "dare_ties": (True, False, one_of("dare_ties", "dare", "dare_linear", "della")),
    "della": (True, False, one_of("della", "della_linear", "dare_ties", "dare")),
    "della_linear": (True, False, one_of("della_linear", "della", "dare_linear", "dare")),
    "breadcrumbs": (True, True, one_of("breadcrumbs", "breadcrumbs_ties")),
    "breadcrumbs_ties": (True, True, one_of("breadcrumbs_ties", "breadcrumbs")),
    "model_stock": (True, True, one_of("model_stock", *ALIKE)),
    "sce": (True, True, one_of("sce")),
    "karcher": (False, False, one_of("karcher", *ALIKE)),
    "multislerp": (False, False, one_of("multislerp", *ALIKE)),
    "arcee_fusion": (True, True, one_of("arcee_fusion", "mosaic")),
    "nearswap": (True, True, one_of("nearswap", "mosaic")),
    "ram": (True, True, one_of("ram")),
    "ramplus_tl": (True, True, one_of("ramplus_tl", "ram")),
}
WEIGHTED = ("nuslerp", "ties", "dare_linear", "dare_ties", "della", "della_linear", "breadcrumbs",
            "breadcrumbs_ties", "multislerp")
DENSE = ("ties", "dare_linear", "dare_ties", "della", "della_linear", "breadcrumbs", "breadcrumbs_ties")
MIXES = Values(((0.5, 0.5, 0.5), (0.7, 0.4, 0.6)),
               ((0.4, 0.6, 0.7), (0.55, 0.3, 0.4), (0.8, 0.5, 0.8), (0.35, 0.65, 0.3)))


@change(10, "method", FAMILIES, in_mini=1, method=Values(tuple(METHODS)), mix=MIXES, together=("mix",))
def method(job: Job, method: str, mix: tuple[float, float, float]) -> None:
    """mix: the weights of both and the density. Methods that need two models take the base as the first."""
    on_base, is_exact, names = METHODS[method]
    first, second, density = mix
    letters = "a" if method in ("arcee_fusion", "nearswap") else "ab"
    parameters: dict[str, Any] = {"weight": [first, second]} if method in WEIGHTED else {}
    if method in DENSE:
        parameters |= {"density": density}
    if method.startswith("della"):
        parameters |= {"epsilon": 0.1}
    text: dict[str, Any] = {"merge_method": method, "models": given(job, letters, "usual", **parameters)}
    if on_base:
        text["base_model"] = str(job.source)
    if method in ("arcee_fusion", "nearswap"):
        text["models"].insert(0, {"model": str(job.source)})
    if method == "sce":
        text["parameters"] = {"select_topk": density}
    if method == "nearswap":
        text["parameters"] = {"t": 1e-3}
    parents_given(job, letters, "usual")
    # Fusion by Arcee stores float32 whatever is asked for.
    job.truth(merged(names, None, letters, replay=is_exact), trained=True,
              beside=["cast"] if method == "arcee_fusion" else [])
    run(job, text)


@change(10, "filtered", FAMILIES, each=3, filter=Values(("self_attn", "mlp")))
def filtered(job: Job, filter: str) -> None:
    """Only what the filter names is taken from a; the rest is the base's."""
    parents_given(job, "a", "usual")
    job.truth(merged((*ALIKE, "mosaic", "passthrough"), None, "a", replay=True), trained=True)
    run(job, {"merge_method": "task_arithmetic", "base_model": str(job.source), "models": [
        {"model": str(relative(job, "a")),
         "parameters": {"weight": [{"filter": filter, "value": 0.6}, {"value": 0.0}]}}]})


# --- 11: layers ---

DEEP = ("llama", "llama-wide", "llama-mid", "smol", "qwen2", "qwen3")
SURGERIES = {"doubled": [[0, 3], [1, 4]], "last-again": [[0, 4], [3, 4]], "dropped": [[0, 1], [2, 4]],
             "turned": [[0, 1], [2, 3], [1, 2], [3, 4]], "cut": [[0, 2]]}


def slices(job: Job, source: str, ranges: list[list[int]]) -> list[int]:
    run(job, {"merge_method": "passthrough", "slices": [
        {"sources": [{"model": source, "layer_range": one}]} for one in ranges]})
    return [i for first, last in ranges for i in range(first, last)]


@change(11, "layers", ("llama", "llama-wide", "llama-mid", "smol"), each=2, surgery=Values(tuple(SURGERIES)))
def layers(job: Job, surgery: str) -> None:
    order = slices(job, str(job.source), SURGERIES[surgery])
    names = ["depth_changed", "layers_duplicated"]
    if len(set(order)) < len(order):
        names.reverse()
    job.truth(layer(names[0], names[1], map=order))


@change(11, "two-lower-upper", DEEP, each=2, in_mini=1, split=Values((2,), (1, 3)))
def lower_and_upper(job: Job, split: int) -> None:
    """The lower layers of a, the upper of b."""
    count = read(job.source, None).layer_count
    split = min(split, count - 1)
    a, b = (str(relative(job, letter)) for letter in "ab")
    parents_given(job, "ab", "usual")
    job.truth(merged(("passthrough", "mosaic"), None, "ab", replay=True), trained=True)
    run(job, {"merge_method": "passthrough", "slices": [
        {"sources": [{"model": a, "layer_range": [0, split]}]},
        {"sources": [{"model": b, "layer_range": [split, count]}]}]})


@change(11, "layers-shuffled-of-two", DEEP, each=2)
def shuffled(job: Job) -> None:
    """Every layer from one of the two, at random: what mergekit-layershuffle writes into its recipe, which the
    pinned version of it cannot."""
    count = read(job.source, None).layer_count
    parents_given(job, "ab", "usual")
    job.truth(merged(("passthrough", "mosaic"), None, "ab", replay=True), trained=True)
    chosen = ["a", "b", *(str(letter) for letter in job.random().choice(["a", "b"], count - 2))]
    run(job, {"merge_method": "passthrough", "slices": [
        {"sources": [{"model": str(relative(job, letter)), "layer_range": [i, i + 1]}]}
        for i, letter in enumerate(job.random().permutation(chosen))]})


@change(11, "mixture", ("llama", "llama-mid"), each=3)
def mixture(job: Job) -> None:
    """By mergekit-moe: a's and b's feed-forwards behind a router that is drawn."""
    letters = "ab"
    parents_given(job, letters, "usual")
    job.truth(layer("experts_changed", "merged"), trained=True)
    text = {"base_model": str(job.source), "gate_mode": "random", "dtype": dtype_name(job),
            "experts": [{"source_model": str(relative(job, letter)), "positive_prompts": [letter]}
                        for letter in letters]}
    for folder in [job.source, *(relative(job, letter) for letter in letters)]:
        assert (folder / "tokenizer.json").exists()
    transformers.set_seed(job.seed % 2**31)
    torch.manual_seed(job.seed)
    build_moe(MoEMergeConfig.model_validate(text), str(job.target),
              MergeOptions(copy_tokenizer=False, quiet=True, write_model_card=False, num_threads=1))
