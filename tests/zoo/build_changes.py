# SPDX-License-Identifier: Apache-2.0
"""Builds the zoo of modifications in the user's cache, as far as it is not there, and writes what is true of it.

usage: build_changes.py [--mini] [--half development|held_out]... [--only GROUP|KIND,...] [--real GGUF]
Prints the path of changes.json: {seed, roots, root_names[], cases[{id, group, base, model, parents, layers, ...}]}
"""

from __future__ import annotations

import argparse
import json
import logging
import sys
import time
import traceback
import warnings
from dataclasses import asdict
from pathlib import Path

import changes.adapters
import changes.chains
import changes.directions
import changes.merges
import changes.packages
import changes.shapes
import changes.strangers
import changes.templates
import changes.tuned  # noqa: F401  (each of these registers its recipes)
from changes import real_slice
from changes.cases import HALVES, Case, forget_others, held_out_seed, make_case, planned_cases
from roots import cache_folder, load_or_make, planned

SHARED = ("corpus.py", "families.py", "training.py", "roots.py", "checkpoint.py", "changes/real_slice.py")


def roots_by_family(mini: bool, real: bool) -> dict[str, list[str]]:
    roots: dict[str, list[str]] = {}
    for root in planned(mini):
        if root.kind == "trained":
            roots.setdefault(root.family, []).append(root.id)
    if real:
        roots["smol"] = list(real_slice.LAYERS)
    return roots


def build(mini: bool, halves: list[str], only: set[str], real: Path | None) -> Path:
    folder, _ = load_or_make(mini)
    models = cache_folder("mini-zoo-changes" if mini else "zoo-changes", SHARED)
    models.mkdir(parents=True, exist_ok=True)
    if real:
        real_slice.make_roots(real, models)
    roots = roots_by_family(mini, real is not None)
    made: list[Case] = []
    failed: list[str] = []
    for half in halves:
        began, kind, count = time.monotonic(), "", 0
        for one in planned_cases(roots, half, mini):
            if only and not only & {str(one.recipe.group), one.recipe.kind}:
                continue
            if one.recipe.kind != kind:
                if time.monotonic() - began > 5:
                    print(f"{half} {kind}: {count} in {time.monotonic() - began:.0f} s", file=sys.stderr, flush=True)
                began, kind, count = time.monotonic(), one.recipe.kind, 0
            try:
                case = make_case(one, folder, models, roots[one.root.rsplit("-", 1)[0]])
            except Exception:  # the others are wanted all the same; the end says that it failed
                traceback.print_exc()
                failed.append(one.id)
                continue
            count += 1
            if case:
                made.append(case)
    if failed:
        raise SystemExit(f"could not be made: {', '.join(failed)}")
    if not only:
        forget_others(models, made, halves)
    path = models / "changes.json"
    names = [name for family, some in roots.items() if family != "smol" for name in some]
    path.write_text(json.dumps({"seed": held_out_seed(), "roots": str(folder), "root_names": names,
                                "cases": [asdict(case) for case in made]}, indent=1))
    return path


def main() -> None:
    warnings.filterwarnings("ignore")
    logging.disable(logging.WARNING)
    parser = argparse.ArgumentParser(description="build the zoo of modifications")
    parser.add_argument("--mini", action="store_true", help="a subset that is built in a minute")
    parser.add_argument("--half", action="append", choices=HALVES, help="both if none is named")
    parser.add_argument("--only", default="", help="groups and kinds, as in 6,dora")
    parser.add_argument("--real", type=Path, help="SmolLM2-135M-Instruct as GGUF, to build on as well")
    options = parser.parse_args()
    halves = ["development"] if options.mini else options.half or list(HALVES)
    print(build(options.mini, halves, set(filter(None, options.only.split(","))), options.real))


if __name__ == "__main__":
    main()
