# SPDX-License-Identifier: Apache-2.0
"""Whether an answer about one model of the zoo is right. Decided here alone, of nothing but the standard
library, so that the tests can use it too.

  a link         a candidate whose verdict is identical, derived or related
  a false link   a link between models whose ancestors do not meet, and whose random starts were not
                 drawn from one seed: families use the same seeds, and equal seeds give equal numbers
                 where shapes agree, whatever the architecture. Links of those are counted apart
  found          a link to some registered model whose ancestors meet the model's own
  nearest        the first candidate is one of the models it was made from, or equals one
  direction      answered when a candidate says from or to; right when that is how it was made
"""

from __future__ import annotations

import json
from collections import defaultdict
from pathlib import Path
from typing import Any

from traces import Answer, Weir, in_pairs

WORKERS = 2
SHARE_LEAST = 0.05  # a parent of less is not counted as named
Model = dict[str, Any]
ROOT_CASES = {"trained": ("N1", "trained roots"), "random": ("N2", "never-trained starts"),
              "real": ("N5", "a real model")}


class Truth:
    def __init__(self, path: Path) -> None:
        whole = json.loads(path.read_text())
        self.roots: list[Model] = whole["roots"]
        self.rows: list[Model] = whole["rows"]
        self.by_name = {Path(m["path"]).name: m for m in [*self.roots, *self.rows]}
        self.by_id = {m["id"]: m for m in [*self.roots, *self.rows]}

    def lineage(self, model: Model) -> set[str]:
        """Ids of all that a model was made from, parents of parents too."""
        found: set[str] = set()
        waiting = list(model.get("parents", []))
        while waiting:
            one = waiting.pop()
            if one not in found:
                found.add(one)
                waiting += self.by_id[one].get("parents", [])
        return found

    def is_true(self, model: Model, candidate: str) -> bool:
        mine, theirs = set(model["ancestors"]), set(self.by_name[candidate]["ancestors"])
        return bool(mine & theirs)

    def seeds(self, model: Model) -> set[int]:
        """Of the random starts of all its ancestors."""
        names = {origin.partition(":")[2] or origin for origin in model["ancestors"]}
        seeds = (self.by_id.get(name, {}).get("seed") for name in names)
        return {seed for seed in seeds if seed is not None}

    def is_same_seed(self, model: Model, candidate: str) -> bool:
        return bool(self.seeds(model) & self.seeds(self.by_name[candidate]))

    def is_embedding_alone(self, model: Model, candidate: str) -> bool:
        others = set(self.by_name[candidate]["ancestors"])
        return any(f"embedding:{origin}" in model["ancestors"] for origin in others)


# --- one model ---

def judge_direction(truth: Truth, model: Model, candidate: Model) -> str | None:
    """right, wrong or None when it was left open. "identical" needs none."""
    said = candidate["direction"]
    if said == "unknown" or candidate["verdict"] == "identical":
        return None
    other = truth.by_name[candidate["model"]["name"]]
    is_from = other["id"] in truth.lineage(model)
    is_to = model["id"] in truth.lineage(other)
    return "right" if (said == "from" and is_from) or (said == "to" and is_to) else "wrong"


def judge_layers(model: Model, candidates: list[Model], parents: set[str]) -> tuple[int, int] | None:
    """(right, asked) layers of the map to the first parent that was found."""
    if not model.get("layers"):
        return None
    for candidate in candidates:
        if candidate["model"]["name"] in parents:
            said: dict[int, set[int]] = defaultdict(set)
            for layer in candidate["layers"]:
                said[layer["mine"]].add(layer["theirs"])
            right = sum(said[mine] == {theirs} for mine, theirs in model["layers"])
            return right, len(model["layers"])
    return None


def judge_parents(truth: Truth, model: Model, answer: Answer, known: set[str]) -> Model | None:
    """Of merges: which parents were named, how far their shares are off, whether one is missed."""
    if model.get("missing_parent") is None:
        return None
    wanted = {name for name, one in truth.by_name.items() if one["id"] in model["parents"]}
    root = {name for name in wanted if truth.by_name[name].get("kind") == "trained"}
    named = {one["model"]["name"]: one["share"] for one in answer.linked()
             if one["share"] is not None and one["share"] >= SHARE_LEAST}
    if not named and answer.linked():
        named = {answer.linked()[0]["model"]["name"]: None}
    # The common base of a task-vector merge may be named or not: both are fair.
    tuned, said = (wanted & known) - root, set(named) - root
    hits = len(tuned & said)
    score = 2 * hits / (len(tuned) + len(said)) if tuned or said else 1.0
    errors = [abs(named[name] - model["shares"][truth.by_name[name]["id"]]) for name in tuned & said
              if model.get("shares") and named[name] is not None]
    return {"f1": score, "whole_set": tuned == said, "share_errors": errors,
            "missing_said": bool(answer.whole.get("missing_parent")), "missing": model["missing_parent"]}


def judge_one(truth: Truth, model: Model, answer: Answer, known: set[str]) -> Model:
    linked = answer.linked()
    names = [one["model"]["name"] for one in linked]
    true = [name for name in names if truth.is_true(model, name)]
    parents = {Path(truth.by_id[one]["path"]).name for one in model.get("parents", [])} & known
    embedding = [name for name in names if name not in true and truth.is_embedding_alone(model, name)]
    known_kin = [name for name in known if truth.is_true(model, name)]
    same_seed = [name for name in known if name not in known_kin and truth.is_same_seed(model, name)]
    directions = [judge_direction(truth, model, one) for one in linked
                  if one["model"]["name"] in true]
    nearest_is_parent = bool(names) and (
        names[0] in parents or linked[0]["verdict"] == "identical" and names[0] in true)
    return {
        "id": model["id"], "link": model.get("link", "yes"), "pass_two": model.get("pass_two", False),
        "verdict": answer.verdict, "code": answer.code, "error": answer.error,
        "expected_kin": len(known_kin), "found": bool(true), "found_all_kin": set(known_kin) <= set(names),
        "derived": any(one["verdict"] in ("derived", "identical") for one in linked
                       if one["model"]["name"] in true),
        "nearest": nearest_is_parent, "parents_known": bool(parents),
        "false": [name for name in names
                  if name not in true and name not in embedding and name not in same_seed],
        "same_seed_links": [name for name in names if name in same_seed], "same_seed": len(same_seed),
        "embedding_links": embedding, "strangers": len(known) - len(known_kin) - len(same_seed),
        "directions": [one for one in directions if one], "direction_asked": len(directions),
        "layers": judge_layers(model, linked, parents),
        "merge": judge_parents(truth, model, answer, known),
        "log10_p": linked[0]["log10_p"] if linked else None,
        "cosine": linked[0]["cosine"] if linked else None,
        "reason": linked[0]["reason"] if linked else None,
        "null": linked[0]["null"] if linked else None,
        "adapter": (answer.whole.get("adapter") or {}).get("verdict"),
        "bytes_read": answer.whole.get("bytes_read"), "seconds": round(answer.seconds, 3),
        "verdict_allowed": answer.verdict in model.get("verdicts", [answer.verdict]),
    }


# --- all models ---

def trace_all(truth: Truth, weir: Weir, folder: Path) -> tuple[dict[str, list[Model]], dict[str, int]]:
    """Every row against its registry, every root against the rest."""
    roots = [m for m in truth.roots if m["kind"] != "twin"]
    registered = [m for m in truth.rows if m["registered"]]
    registries = {name: folder / f"{name}.db" for name in ("roots", "relatives")}
    known = {"roots": weir.add(registries["roots"], [m["path"] for m in roots])}
    known["relatives"] = weir.add(registries["relatives"], [m["path"] for m in [*roots, *registered]])

    jobs, about = [], []
    for root in roots:
        name = Path(root["path"]).name
        if name in known["roots"]:
            jobs.append((weir.trace_without_itself, name, root["path"], registries["roots"], folder))
            about.append((*ROOT_CASES[root["kind"]], root, known["roots"] - {name}))
    for twin in truth.roots:
        if twin["kind"] == "twin":
            jobs.append((weir.trace, twin["id"], twin["path"], registries["roots"]))
            about.append(("N4", "same start, other text", twin, known["roots"]))
    for row in truth.rows:
        name = Path(row["path"]).name
        if row["registered"] and name in known["relatives"]:
            jobs.append((weir.trace_without_itself, name, row["path"], registries["relatives"], folder))
        else:
            jobs.append((weir.trace, row["id"], row["path"], registries[row["registry"]]))
        chosen = "relatives" if row["registered"] else row["registry"]
        about.append((row["case"], row["kind"], row, known[chosen] - {name}))
    answers = in_pairs(WORKERS, jobs, "traced")
    judged: dict[str, list[Model]] = defaultdict(list)
    for (case, kind, model, names), answer in zip(about, answers, strict=True):
        judged[f"{case} {kind}"].append(judge_one(truth, model, answer, names))
    return judged, {name: len(names) for name, names in known.items()}
