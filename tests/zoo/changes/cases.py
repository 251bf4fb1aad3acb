# SPDX-License-Identifier: Apache-2.0
"""The table of cases: a base, a model that was made of it, and what a right answer of `weir diff` says.

A recipe makes one model and writes down the truth: the onion of changes, outermost first. There are two
halves. The development half takes the values that a recipe names and roots of even numbers. The held-out
half is for the last table alone: what it draws (other roots, ranks, coefficients, strengths) follows from the
SHA-256 of the file that holds the thresholds of the decision, so that whoever changes a threshold is judged
by cases that nobody has seen.
"""

from __future__ import annotations

import hashlib
import itertools
import json
import random
import re
import shutil
import sys
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import torch

from checkpoint import Checkpoint, read, stored_dtype
from checkpoint import write as write_folder
from rows import Unavailable

Layer = dict[str, Any]
HALVES = ("development", "held_out")
ROOM = Path(__file__).resolve().parent
THRESHOLDS = ROOM.parents[2] / "src" / "delta" / "thresholds.h"


@dataclass(frozen=True)
class Values:
    """What the development half takes, and what the held-out half draws as many of. Without a pool both halves
    take the same: there are no others."""

    development: tuple[Any, ...]
    pool: tuple[Any, ...] = ()


@dataclass
class Case:
    """One pair and the truth about it."""

    id: str
    group: int  # 1 to 17, in the order of README.md
    kind: str
    half: str
    family: str
    base: str
    model: str
    parents: list[str] = field(default_factory=list)  # given as --parent, decoys too
    layers: list[Layer] = field(default_factory=list)  # outermost first: {class, or[], figures}
    beside: list[str] = field(default_factory=list)  # classes that may be said in addition
    honest: bool = False  # "unknown" is a right answer: the change is below the rounding, or has no class
    trained: bool = False
    relation: list[str] = field(default_factory=list)  # those that are right, when it matters
    values: dict[str, Any] = field(default_factory=dict)
    figures: dict[str, float] = field(default_factory=dict)
    seconds: float = 0.0
    made_by: str = ""


def layer(name: str, *others: str, **figures: Any) -> Layer:
    """A change of this class. `others` are classes that would be right as well."""
    return {"class": name, "or": list(others)} | figures


@dataclass
class Job:
    """What a recipe is given."""

    case: Case
    root: str
    roots: Path
    models: Path
    peers: list[str]  # other roots of the family that this half may use
    suffix: str = ""

    @property
    def source(self) -> Path:
        return self.root_path(self.root)

    @property
    def target(self) -> Path:
        return self.models / (self.case.id + self.suffix)

    @property
    def family(self) -> str:
        return self.case.family

    @property
    def seed(self) -> int:
        return seed_of(self.case.id)

    def root_path(self, root: str) -> Path:
        return self.models / root if root.startswith("smol") else self.roots / root

    def random(self) -> np.random.Generator:
        return np.random.default_rng(self.seed)

    def base(self) -> Checkpoint:
        return read(self.source)

    def truth(self, *layers: Layer, **more: Any) -> None:
        self.case.layers = list(layers)
        for name, value in more.items():
            setattr(self.case, name, value)


def seed_of(text: str) -> int:
    return int(hashlib.sha256(text.encode()).hexdigest()[:8], 16)


Make = Callable[..., Checkpoint | None]


@dataclass(frozen=True)
class Recipe:
    group: int
    kind: str
    make: Make
    families: tuple[str, ...]
    each: int  # roots for every combination of values
    in_mini: int  # combinations
    suffix: str
    values: dict[str, Values]
    together: tuple[str, ...]  # values for which the root stays the same
    module: str


RECIPES: list[Recipe] = []


def change(group: int, kind: str, families: tuple[str, ...], /, *, each: int = 1, in_mini: int = 0,
           suffix: str = "", together: tuple[str, ...] = (), **values: Values) -> Callable[[Make], Make]:
    """Register a maker. It returns the model, which is stored as its base is, or writes files itself."""

    def register(make: Make) -> Make:
        RECIPES.append(Recipe(group, kind, make, families, each, in_mini, suffix, values, together,
                              make.__module__))
        return make

    return register


# --- which cases there are ---

def held_out_seed() -> str:
    return hashlib.sha256(THRESHOLDS.read_bytes()).hexdigest() if THRESHOLDS.exists() else "no thresholds yet"


def chosen_values(recipe: Recipe, half: str, seed: str) -> list[dict[str, Any]]:
    """Every combination."""
    lists = []
    for name, values in recipe.values.items():
        if half == "held_out" and values.pool:
            draw = random.Random(f"{seed} {recipe.kind} {name}")
            lists.append(sorted(draw.sample(values.pool, min(len(values.development), len(values.pool)))))
        else:
            lists.append(list(values.development))
    return [dict(zip(recipe.values, combination, strict=True)) for combination in itertools.product(*lists)]


def spoken(value: Any) -> str:
    return "+".join(map(str, value)) if isinstance(value, tuple) else str(value)


@dataclass(frozen=True)
class Planned:
    recipe: Recipe
    values: dict[str, Any]
    root: str
    half: str

    @property
    def id(self) -> str:
        said = "-".join([self.recipe.kind, *map(spoken, self.values.values())])
        return f"{said}.{self.root}"


def roots_of_half(roots: dict[str, list[str]], half: str, mini: bool) -> dict[str, list[str]]:
    """Even numbers are for development; the small set has no other half."""
    odd = half == "held_out"
    return {family: [name for name in names if mini or int(name.rsplit("-", 1)[1]) % 2 == odd]
            for family, names in roots.items()}


def planned_cases(roots: dict[str, list[str]], half: str, mini: bool) -> list[Planned]:
    seed = held_out_seed() if half == "held_out" else half
    usable = roots_of_half(roots, half, mini)
    planned: list[Planned] = []
    for recipe in RECIPES:
        families = [family for family in recipe.families if usable.get(family)]
        combinations = chosen_values(recipe, half, seed)
        if mini:
            combinations = combinations[:recipe.in_mini]
        places: dict[str, int] = {}  # of those values that choose the root
        for values in combinations:
            apart = json.dumps({key: v for key, v in values.items() if key not in recipe.together})
            place = places.setdefault(apart, len(places))
            for copy in range(1 if mini else recipe.each):
                if not families:
                    continue
                family = families[(place * recipe.each + copy) % len(families)]
                pool = usable[family]
                first = seed_of(f"{seed} {recipe.kind}") + (place * recipe.each + copy) // len(families)
                one = Planned(recipe, values, pool[first % len(pool)], half)
                if one.id not in {other.id for other in planned[-300:]}:
                    planned.append(one)
    return planned


# --- making one ---

@cache
def digest_of_sources(module: str) -> str:
    """Of a module of this room and of those that it uses, all the way down."""
    waiting, seen = [module], set()
    while waiting:
        name = waiting.pop()
        if name not in seen:
            seen.add(name)
            waiting += re.findall(r"^from changes\.(\w+) import", (ROOM / f"{name}.py").read_text(), re.MULTILINE)
    return hashlib.sha256(b"".join((ROOM / f"{name}.py").read_bytes() for name in sorted(seen))).hexdigest()[:16]


def save(job: Job, model: Checkpoint, dtype: torch.dtype | None = None, shards: int = 1) -> Path:
    """As its base is stored unless `dtype` says otherwise, with the settings of generation beside it."""
    folder = write_folder(job.target, model, dtype or stored_dtype(job.source), shards)
    settings = job.source / "generation_config.json"
    if settings.exists():
        shutil.copy(settings, folder)
    return folder


def make_case(planned: Planned, roots: Path, models: Path, peers: list[str]) -> Case | None:
    """Make the model unless it is there and its recipe's source is unchanged."""
    recipe = planned.recipe
    made_by = digest_of_sources(recipe.module.rsplit(".", 1)[-1])
    described = models / f"{planned.id}.case.json"
    if described.exists():
        kept = Case(**json.loads(described.read_text()))
        if kept.made_by == made_by:
            kept.half = planned.half
            return kept
    family = planned.root.rsplit("-", 1)[0]
    case = Case(planned.id, recipe.group, recipe.kind, planned.half, family, "", "",
                values=planned.values)
    job = Job(case, planned.root, roots, models, [peer for peer in peers if peer != planned.root],
              recipe.suffix)
    case.base, case.model = str(job.source), str(job.target)
    if job.target.is_dir():
        shutil.rmtree(job.target)
    began = time.process_time()
    try:
        model = recipe.make(job, **planned.values)
        if model is not None:
            save(job, model)
    except Unavailable as reason:
        print(f"{case.id}: left out: {reason}", file=sys.stderr)
        return None
    case.seconds, case.made_by = round(time.process_time() - began, 2), made_by
    described.write_text(json.dumps(asdict(case)))
    return case


def forget_others(models: Path, made: list[Case], halves: list[str]) -> None:
    """Remove what an earlier table or, for the held-out half, an earlier hash had asked for."""
    kept = {case.id for case in made}
    for described in models.glob("*.case.json"):
        case = Case(**json.loads(described.read_text()))
        if case.half in halves and case.id not in kept:
            for path in (Path(case.model), models / f"{case.id}.base"):
                shutil.rmtree(path) if path.is_dir() else path.unlink(missing_ok=True)
            described.unlink()
