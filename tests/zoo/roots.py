# SPDX-License-Identifier: Apache-2.0
"""The roots of the zoo: models trained from their own random start, and what negatives need beside them.

usage: roots.py [--mini] [FAMILY...]      trains what the cache lacks; prints the cache's folder

Every root of a family sees the same text in the same order with the same vocabulary: only the seed
differs, the hardest kind of unrelated pair. Beside them stand models that were never trained, and twins:
a root's own random start, trained on another text.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import shutil
import sys
import time
from dataclasses import asdict, dataclass
from pathlib import Path

import torch
import transformers
from transformers import PreTrainedModel

import corpus
from families import FAMILIES, Family, make_model
from training import Plan, train

HERE = Path(__file__).parent
MINI = {"llama": 3, "qwen2": 2, "gpt2": 2, "mixtral": 1, "gemma": 2}  # roots of two layers a family
MINI_STEPS = 80
RANDOM_SEEDS, TWIN_SEEDS = 6, 2  # of each family
FIRST_RANDOM_SEED = 1000


@dataclass(frozen=True)
class Root:
    """One model that came from no other. kind: trained, random or twin."""

    id: str
    family: str
    kind: str
    seed: int
    text: str
    first_loss: float | None = None
    last_loss: float | None = None
    seconds: float | None = None


def cache_folder(name: str, sources: tuple[str, ...]) -> Path:
    """A folder in the user's cache that is named after the sources that fill it."""
    digest = hashlib.sha256(f"torch {torch.__version__} transformers {transformers.__version__}".encode())
    for source in sources:
        digest.update((HERE / source).read_bytes())
    base = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    return base / "weir" / f"{name}-{digest.hexdigest()[:12]}"


def roots_folder(mini: bool) -> Path:
    sources = ("corpus.py", "families.py", "training.py", "roots.py")
    return cache_folder("mini-zoo-roots" if mini else "zoo-roots", sources)


def planned(mini: bool) -> list[Root]:
    roots = []
    for place, family in enumerate(FAMILIES):
        # Families of the large zoo share their seeds; the small one has too few pairs to lose any.
        first = 100 * place if mini else 0
        count = MINI.get(family.name, 0) if mini else family.seeds
        other = "code" if family.text == "prose" else "prose"
        twins, untrained = (0, 0) if not count else (1, 1) if mini else (TWIN_SEEDS, RANDOM_SEEDS)
        if mini and family.name != "llama":
            twins = untrained = 0
        roots += [Root(f"{family.name}-{seed}", family.name, "trained", first + seed, family.text)
                  for seed in range(count)]
        roots += [Root(f"{family.name}-{seed}-twin", family.name, "twin", first + seed, other)
                  for seed in range(twins)]
        roots += [Root(f"{family.name}-random-{seed}", family.name, "random",
                       FIRST_RANDOM_SEED + seed, "") for seed in range(untrained)]
    return roots


def save(model: PreTrainedModel, folder: Path, dtype: torch.dtype, vocabulary: int) -> None:
    """Written whole or not at all, with its vocabulary."""
    part = folder.with_name(folder.name + ".part")
    shutil.rmtree(part, ignore_errors=True)
    model.to(dtype).save_pretrained(part)
    corpus.tokenizer(vocabulary).save_pretrained(part)
    part.rename(folder)


def make_root(root: Root, family: Family, folder: Path, mini: bool) -> Root:
    began = time.process_time()
    layers = "n_layer" if family.name == "gpt2" else "num_hidden_layers"
    model = make_model(family, root.seed, **({layers: 2} if mini else {}))
    values = asdict(root)
    if root.kind != "random":
        # A fixed order for all: what differs is the start.
        plan = Plan(MINI_STEPS if mini else family.steps, family.rate, order=1)
        loss = train(model, corpus.tokens(root.text, family.vocabulary), plan)
        values |= {"first_loss": round(loss.first, 4), "last_loss": round(loss.last, 4)}
    values["seconds"] = round(time.process_time() - began, 2)
    save(model, folder / root.id, family.stored, family.vocabulary)
    (folder / f"{root.id}.json").write_text(json.dumps(values))
    return Root(**values)


def load_or_make(mini: bool = False, families: tuple[str, ...] = ()) -> tuple[Path, list[Root]]:
    torch.set_num_threads(1)
    transformers.utils.logging.disable_progress_bar()
    folder = roots_folder(mini)
    folder.mkdir(parents=True, exist_ok=True)
    by_name = {family.name: family for family in FAMILIES}
    roots = []
    for root in planned(mini):
        if families and root.family not in families:
            continue
        made = folder / f"{root.id}.json"
        if made.exists():
            roots.append(Root(**json.loads(made.read_text())))
            continue
        roots.append(make_root(root, by_name[root.family], folder, mini))
        print(f"{root.id}: loss {roots[-1].first_loss} to {roots[-1].last_loss}, "
              f"{roots[-1].seconds} s", file=sys.stderr, flush=True)
    return folder, roots


def load(folder: Path, root: str) -> PreTrainedModel:
    """A root as float32, ready to be trained on."""
    kind = json.loads((folder / root / "config.json").read_text())["architectures"][0]
    return getattr(transformers, kind).from_pretrained(folder / root, dtype=torch.float32)


def main() -> None:
    parser = argparse.ArgumentParser(description="train the roots of the zoo")
    parser.add_argument("--mini", action="store_true")
    parser.add_argument("families", nargs="*")
    options = parser.parse_args()
    print(load_or_make(options.mini, tuple(options.families))[0])


if __name__ == "__main__":
    main()
