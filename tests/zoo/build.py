# SPDX-License-Identifier: Apache-2.0
"""Builds the zoo in the user's cache, as far as it is not there, and writes what is true of it.

usage: build.py [--mini] [--only CASE,...] [--real GGUF] [--families NAME...]
Prints the path of truth.json: {roots[{id, family, kind, path, ancestors, ...}],
rows[{id, case, kind, path, ancestors, ...}]}
"""

from __future__ import annotations

import argparse
import json
import sys
import time
import warnings
from dataclasses import asdict
from pathlib import Path

import evasion  # noqa: F401  (each of these registers its recipes, in the order in which they are needed)
import merging  # noqa: F401
import negatives  # noqa: F401
import quantised  # noqa: F401
import real_model
import rows
import surgery  # noqa: F401
import tuning  # noqa: F401
import wrapping  # noqa: F401
from roots import Root, cache_folder, load_or_make, planned

SHARED = ("corpus.py", "families.py", "training.py", "roots.py", "checkpoint.py")


def truth_of_root(root: Root, folder: Path) -> dict[str, object]:
    """A twin has its root's random start; everything else has its own."""
    start = root.id.removesuffix("-twin")
    return asdict(root) | {"path": str(folder / root.id), "ancestors": [root.id, f"start:{start}"]}


def build(mini: bool, cases: set[str], families: tuple[str, ...] = (),
          real: Path | None = None) -> Path:
    folder, roots = load_or_make(mini, families)
    models = cache_folder("mini-zoo-models" if mini else "zoo-models", SHARED)
    models.mkdir(parents=True, exist_ok=True)
    trained: dict[str, list[str]] = {}
    for root in planned(mini):
        if root.kind == "trained":
            trained.setdefault(root.family, []).append(root.id)
    made: list[dict[str, object]] = []
    for number, which in enumerate(rows.RECIPES):
        began = time.monotonic()
        chosen = rows.chosen_roots(which, number, trained, mini)
        if cases and which.case not in cases:
            continue
        for name in chosen:
            family = name.rsplit("-", 1)[0]
            if families and family not in families:
                continue
            row = rows.make_row(which, name, folder, models, trained[family])
            if row:
                made.append(asdict(row) | {"path": str(models / row.path)})
        if time.monotonic() - began > 1:
            print(f"{which.case} {which.kind}: {len(chosen)} in {time.monotonic() - began:.0f} s",
                  file=sys.stderr, flush=True)
    described = [truth_of_root(root, folder) for root in roots]
    truth: dict[str, list[dict[str, object]]] = {"roots": described, "rows": made}
    if real:
        real_model.add(truth, real, models / "real")
    path = models / "truth.json"
    path.write_text(json.dumps(truth, indent=1))
    return path


def main() -> None:
    warnings.filterwarnings("ignore")
    parser = argparse.ArgumentParser(description="build the zoo")
    parser.add_argument("--mini", action="store_true", help="a subset that is built in a minute")
    parser.add_argument("--only", default="", help="cases, as in P1,N6")
    parser.add_argument("--real", type=Path, help="SmolLM2-135M-Instruct as GGUF, to add rows of")
    parser.add_argument("--families", nargs="*", default=[], help="models of these roots alone")
    options = parser.parse_args()
    cases = set(filter(None, options.only.split(",")))
    print(build(options.mini, cases, tuple(options.families), options.real))


if __name__ == "__main__":
    main()
