# SPDX-License-Identifier: Apache-2.0
"""The rows of the zoo: what each model is, and what a right answer about it would be.

A recipe makes one model of one root and says what is true of it. Whether two models share weights is
never written down pair by pair: each row names its `ancestors`, the trained roots and random starts
whose numbers are in it, and two models are linked exactly when these sets meet.
"""

from __future__ import annotations

import hashlib
import json
import shutil
import sys
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

LIKE_LLAMA = ("llama", "qwen2", "llama-mid", "qwen3")  # separate projections, RMS norms, gated
SPLIT = (*LIKE_LLAMA, "gemma")
CAUSAL = (*SPLIT, "gpt2", "mixtral", "phi3", "neox")
ALL = (*CAUSAL, "bert", "llama-wide")
DEEP = ("llama", "llama-mid", "gpt2", "qwen2", "gemma", "qwen3")  # three layers or more


@dataclass
class Row:
    """One model and the truth about it."""

    id: str
    case: str
    kind: str
    path: str
    parents: list[str]  # the nearest models it was made from
    ancestors: list[str]  # roots and random starts whose numbers it holds
    link: str = "yes"  # yes; no; either; only_embedding; adapter; undecidable (no answer is the right one)
    verdicts: list[str] = field(default_factory=lambda: ["identical", "derived", "related"])
    direction: str = "unknowable"  # from, when a reader of the files can know it
    layers: list[list[int]] | None = None  # [mine, theirs] of the first parent
    shares: dict[str, float] | None = None
    missing_parent: bool | None = None
    pass_two: bool = False  # the second pass, which needs both models, may be what finds it
    registry: str = "roots"  # roots, or relatives: with the registered fine-tunes too
    registered: bool = False  # belongs to the registry of relatives itself
    note: str = ""
    figures: dict[str, float] = field(default_factory=dict)
    seconds: float = 0.0
    made_by: str = ""


@dataclass
class Job:
    """What a recipe is given: a root to start from, a place to write to, and numbers to draw."""

    root: str
    family: str
    roots: Path
    models: Path
    row: Row
    peers: list[str]  # other trained roots of the family

    @property
    def source(self) -> Path:
        return self.roots / self.root

    @property
    def target(self) -> Path:
        return self.models / self.row.path

    @property
    def seed(self) -> int:
        return int(hashlib.sha256(self.row.id.encode()).hexdigest()[:8], 16)

    def random(self) -> np.random.Generator:
        return np.random.default_rng(self.seed)

    def relative(self, kind: str) -> Path:
        """A model of the same root that another recipe made before."""
        return self.models / f"{kind}.{self.root}"


class Unavailable(Exception):
    """A tool that a recipe needs cannot be had here; the row is left out and the judge says so."""


@dataclass(frozen=True)
class Recipe:
    case: str
    kind: str
    make: Callable[[Job], None]
    families: tuple[str, ...]
    count: int
    in_mini: int
    module: str
    truth: dict[str, Any]
    suffix: str


RECIPES: list[Recipe] = []


def recipe(case: str, kind: str, families: tuple[str, ...], *, count: int = 10, in_mini: int = 1,
           suffix: str = "", **truth: Any) -> Callable[[Callable[[Job], None]], Callable[[Job], None]]:
    """Register a maker for a row of the table of cases; `truth` presets fields of its rows."""

    def register(make: Callable[[Job], None]) -> Callable[[Job], None]:
        RECIPES.append(Recipe(case, kind, make, families, count, in_mini, make.__module__, truth, suffix))
        return make

    return register


def chosen_roots(which: Recipe, number: int, roots: dict[str, list[str]], mini: bool) -> list[str]:
    """As many different roots as the recipe asks for, from its families in turn."""
    families = [family for family in which.families if roots.get(family)]
    wanted = which.in_mini if mini else which.count
    chosen: list[str] = []
    start = 0 if "relative" in which.kind or which.truth.get("registry") == "relatives" else number
    longest = max((len(roots[family]) for family in families), default=0)
    for turn in range(len(families) * longest):
        family = families[(start + turn) % len(families)]
        at = (start + turn // len(families)) % len(roots[family])
        name = roots[family][at]
        if name not in chosen and len(chosen) < wanted:
            chosen.append(name)
    return chosen


def digest_of(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()[:16]


def make_row(which: Recipe, root: str, roots: Path, models: Path, peers: list[str]) -> Row | None:
    """Make the model unless it is there and its recipe's source is unchanged."""
    family = root.rsplit("-", 1)[0]
    name = f"{which.kind}.{root}"
    made_by = digest_of(Path(__file__).parent / f"{which.module}.py")
    described = models / f"{name}.row.json"
    if described.exists():
        kept = Row(**json.loads(described.read_text()))
        if kept.made_by == made_by:
            return kept
    row = Row(**({"id": name, "case": which.case, "kind": which.kind, "path": name + which.suffix,
                  "parents": [root], "ancestors": [root, f"start:{root}"]} | which.truth))
    target = models / row.path
    if target.is_dir():
        shutil.rmtree(target)
    began = time.process_time()
    try:
        which.make(Job(root, family, roots, models, row, [peer for peer in peers if peer != root]))
    except Unavailable as reason:
        print(f"{name}: left out: {reason}", file=sys.stderr)
        return None
    row.seconds, row.made_by = round(time.process_time() - began, 2), made_by
    described.write_text(json.dumps(asdict(row)))
    return row
