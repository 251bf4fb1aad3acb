# SPDX-License-Identifier: Apache-2.0
"""Runs `weir registry` and `weir trace` over the zoo, as a user would, and keeps what they answer."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

BATCH = 100  # models an `add`
LINKED = ("identical", "derived", "related")


@dataclass
class Answer:
    """What one trace said, or why it said nothing."""

    id: str
    code: int
    seconds: float
    verdict: str  # refused when there is no result
    candidates: list[dict[str, Any]] = field(default_factory=list)
    whole: dict[str, Any] = field(default_factory=dict)
    error: str = ""

    def linked(self) -> list[dict[str, Any]]:
        return [one for one in self.candidates if one["verdict"] in LINKED]


@dataclass(frozen=True)
class Weir:
    program: Path
    sanitizer_options: str = "detect_leaks=0"

    def run(self, *words: object) -> tuple[int, str, str]:
        kept = {key: value for key, value in os.environ.items() if key in ("PATH", "HOME", "TMPDIR")}
        done = subprocess.run([self.program, *map(str, words)], capture_output=True, text=True, check=False,
                              env=kept | {"LC_ALL": "C.UTF-8", "ASAN_OPTIONS": self.sanitizer_options})
        return done.returncode, done.stdout, done.stderr

    def add(self, registry: Path, models: Iterable[str]) -> set[str]:
        """Put models into a registry; returns the names that it then holds."""
        paths = list(models)
        for begin in range(0, len(paths), BATCH):
            code, _, errors = self.run("registry", "add", "--quiet", "--registry", registry,
                                       *paths[begin:begin + BATCH])
            if code not in (0, 3):
                raise RuntimeError(f"registry add ended with {code}: {errors}")
        code, out, errors = self.run("registry", "list", "--registry", registry, "--json")
        if code:
            raise RuntimeError(f"registry list ended with {code}: {errors}")
        return {model["name"] for model in json.loads(out)["models"]}

    def without(self, registry: Path, name: str, folder: Path) -> Path:
        """A copy of a registry that lacks one model."""
        copy = folder / f"without-{name}.db"
        shutil.copyfile(registry, copy)
        code, _, errors = self.run("registry", "remove", "--quiet", "--registry", copy, "--reason", "judged",
                                   name)
        if code:
            raise RuntimeError(f"registry remove ended with {code}: {errors}")
        return copy

    def trace(self, identity: str, model: str, registry: Path) -> Answer:
        began = time.monotonic()
        code, out, errors = self.run("trace", "--jobs", 1, "--registry", registry, "--json", model)
        seconds = time.monotonic() - began
        try:
            result = json.loads(out)
        except json.JSONDecodeError:
            result = {}
        if result.get("schema") != "weir.trace/1":
            return Answer(identity, code, seconds, "refused" if code == 3 else "failed", whole=result,
                          error=errors[-500:])
        return Answer(identity, code, seconds, result["verdict"], result["candidates"], result, errors[-500:])

    def trace_without_itself(self, name: str, model: str, registry: Path, folder: Path) -> Answer:
        copy = self.without(registry, name, folder)
        try:
            return self.trace(name, model, copy)
        finally:
            for file in folder.glob(f"without-{name}.db*"):
                file.unlink()


def in_pairs(workers: int, jobs: list[tuple[Any, ...]], what: str) -> list[Any]:
    """Call each (function, arguments...), `workers` at a time; the order is kept."""
    began = time.monotonic()
    with ThreadPoolExecutor(workers) as pool:
        done = [pool.submit(function, *arguments) for function, *arguments in jobs]
        results = [one.result() for one in done]
    print(f"{what}: {len(jobs)} in {time.monotonic() - began:.0f} s", file=sys.stderr, flush=True)
    return results
