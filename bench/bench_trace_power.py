# SPDX-License-Identifier: Apache-2.0
"""At which likeness `weir trace` finds a link: the measured power beside the one that weir prints.

Ancestors of several widths and depths (small_models.py) go into one registry. For a cosine c, children whose rows
have cosine c with their ancestor's are traced; a child counts as found when the best candidate is its ancestor
and the verdict says that they are linked. c is halved down, in steps of STEP, to the smallest at which at least
95 of 100 are found. Strangers of each kind are traced too: any link of theirs is false. Seeds are fixed.

usage: bench_trace_power.py BUILD-FOLDER [--trials 100] [--ancestors 25] > result.json
"""

from __future__ import annotations

import argparse
import json
import math
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
from measure import machine
from small_models import Tensors, relative, stranger, write_model

WIDTHS, DEPTHS, STEP, WANTED = (256, 1024), (2, 6, 16, 32), 0.02, 0.95
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

    def smallest(self, kind: Kind) -> dict:
        """Bisection over the steps; the rate rises with the cosine."""
        low, high = 0, round(1 / STEP)
        rates: dict[float, float] = {}
        while high - low > 1:
            middle = (low + high) // 2
            cosine = round(middle * STEP, 4)
            rates[cosine] = self.rate(kind, cosine)
            if rates[cosine] >= WANTED:
                high = middle
            else:
                low = middle
            print(f"width {kind[0]}, {kind[1]} layers, cosine {cosine}: {rates[cosine]}", file=sys.stderr)
        return {"smallest_cosine": round(high * STEP, 4), "rates": {str(c): rates[c] for c in sorted(rates)}}

    def strangers(self, kind: Kind) -> dict:
        answers = [self.trace(stranger(seeded(*kind, 7, trial, 999_999), *kind)) for trial in range(self.trials)]
        linked = sum(answer["verdict"] in LINKED for answer in answers)
        least = min((c["log10_p"] for a in answers for c in a["candidates"]), default=math.nan)
        return {"traced": len(answers), "linked": linked, "least_log10_p": least, "power": answers[0]["power"]}


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("build", type=Path)
    parser.add_argument("--trials", type=int, default=100)
    parser.add_argument("--ancestors", type=int, default=25)
    options = parser.parse_args()
    kinds = [(width, depth) for width in WIDTHS for depth in DEPTHS]
    with tempfile.TemporaryDirectory() as folder:
        bench = Bench(options.build / "weir", Path(folder), options.ancestors, options.trials)
        bench.fill()
        result = {
            "machine": machine(), "entries": options.ancestors * len(kinds), "trials": options.trials, "step": STEP,
            "kinds": [{"width": kind[0], "layers": kind[1]} | bench.smallest(kind) | bench.strangers(kind)
                      for kind in kinds],
        }  # fmt: skip
    print(json.dumps(result, indent=1))


if __name__ == "__main__":
    main()
