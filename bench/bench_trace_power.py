# SPDX-License-Identifier: Apache-2.0
"""How likely `weir trace` is to find a link at the likeness that it states as its power, through whole programs.

Ancestors of several widths and depths (small_models.py) go into one registry. Strangers of each kind are traced
first: any link of theirs is false, and their answers state the power, a cosine. Then children whose rows have that
cosine with their ancestor's, or AROUND more or less, are traced; a child counts as found when the best candidate is
its ancestor and the verdict says that they are linked. Seeds are fixed. bench_link_power looks closer, at the test alone.

usage: bench_trace_power.py BUILD-FOLDER [--trials 50] [--ancestors 25] > result.json
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
from measure import machine
from small_models import Tensors, relative, stranger, write_model

WIDTHS, DEPTHS, AROUND = (256, 1024), (2, 6, 16, 32), (-0.04, 0.0, 0.04)
LINKED = {"identical", "derived", "related"}
Kind = tuple[int, int]


def seeded(*numbers: int) -> np.random.Generator:
    return np.random.default_rng([20, *numbers])


def ancestor(kind: Kind, number: int) -> Tensors:
    return stranger(seeded(*kind, number), *kind)


def weir(program: Path, *arguments: str) -> dict:
    done = subprocess.run([str(program), *arguments, "--json"], capture_output=True, text=True)
    if done.returncode:
        raise SystemExit(f"weir {' '.join(arguments)}: exit {done.returncode}\n{done.stderr}{done.stdout}")
    return json.loads(done.stdout)


class Bench:
    def __init__(self, program: Path, folder: Path, ancestors: int, trials: int) -> None:
        self.program, self.folder, self.ancestors, self.trials = program, folder, ancestors, trials
        self.registry = folder / "registry.db"

    def fill(self) -> None:
        for kind in [(width, depth) for width in WIDTHS for depth in DEPTHS]:
            models = [write_model(self.folder / "a" / f"{kind[0]}-{kind[1]}-{number}", ancestor(kind, number))
                      for number in range(self.ancestors)]  # fmt: skip
            weir(self.program, "registry", "add", "--registry", str(self.registry), *map(str, models))

    def trace(self, tensors: Tensors) -> dict:
        child = write_model(self.folder / "child", tensors)
        return weir(self.program, "trace", str(child), "--registry", str(self.registry))

    def rate(self, kind: Kind, cosine: float) -> float:
        found = 0
        for trial in range(self.trials):
            number = trial % self.ancestors
            random = seeded(*kind, number, trial, round(cosine * 1000))
            answer = self.trace(relative(random, ancestor(kind, number), cosine))
            best = answer["candidates"][0] if answer["candidates"] else {"model": {}}
            right = best["model"].get("name") == f"{kind[0]}-{kind[1]}-{number}"
            found += answer["verdict"] in LINKED and right
        return found / self.trials

    def measure(self, kind: Kind) -> dict:
        answers = [self.trace(stranger(seeded(*kind, 7, trial, 999_999), *kind)) for trial in range(self.trials)]
        stated = answers[0]["power"]["cosine"]
        found = {f"{cosine:.4f}": self.rate(kind, cosine) for cosine in (stated + more for more in AROUND)}
        print(f"width {kind[0]}, {kind[1]} layers: {found}", file=sys.stderr)
        return {
            "width": kind[0], "layers": kind[1], "stated_cosine": stated, "found": found,
            "strangers_linked": sum(answer["verdict"] in LINKED for answer in answers),
            "strangers_least_log10_p": min(answer["searched"]["best_log10_p"] for answer in answers),
        }  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("build", type=Path)
    parser.add_argument("--trials", type=int, default=50)
    parser.add_argument("--ancestors", type=int, default=25)
    options = parser.parse_args()
    kinds = [(width, depth) for width in WIDTHS for depth in DEPTHS]
    with tempfile.TemporaryDirectory() as folder:
        bench = Bench(options.build / "weir", Path(folder), options.ancestors, options.trials)
        bench.fill()
        result = {
            "machine": machine(), "entries": options.ancestors * len(kinds), "trials": options.trials,
            "kinds": [bench.measure(kind) for kind in kinds],
        }  # fmt: skip
    print(json.dumps(result, indent=1))


if __name__ == "__main__":
    main()
