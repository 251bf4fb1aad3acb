# SPDX-License-Identifier: Apache-2.0
"""What training makes of the matrices that write to the residual stream, alone and around an ablation.

Low-rank adapters that start at singular vectors, or at all; training of these matrices only; strong weight
decay. And an ablation before or after training, which the share of the change need not show.

    ZOO_PYTHON tests/zoo/ablating_trained.py --build build --roots ROOTS --out FILE.jsonl
"""

from __future__ import annotations

import argparse
import json
import shutil
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import peft
import torch
from transformers import PreTrainedModel

import corpus
from ablating import Judge, Model, ablate, drawn, store, uniform, writes_of
from checkpoint import read, stored_dtype
from roots import load, save
from training import Plan, train

STEPS = 30
WRITERS = ["o_proj", "down_proj"]


def adapted(rate: float = 2e-3, **config: Any) -> Callable[[PreTrainedModel, int], PreTrainedModel]:
    def make(model: PreTrainedModel, seed: int) -> PreTrainedModel:
        torch.manual_seed(seed)
        adapter = peft.LoraConfig(target_modules=WRITERS, task_type="CAUSAL_LM", **config)
        wrapped = peft.get_peft_model(model, adapter)
        train(wrapped, corpus.tokens("code"), Plan(STEPS, rate, order=seed))
        return wrapped.merge_and_unload()

    return make


def tuned(rate: float, decay: float = 0.01, steps: int = STEPS,
          only: tuple[str, ...] = ()) -> Callable[[PreTrainedModel, int], PreTrainedModel]:
    def make(model: PreTrainedModel, seed: int) -> PreTrainedModel:
        for name, parameter in model.named_parameters():
            parameter.requires_grad_(not only or any(part in name for part in only))
        train(model, corpus.tokens("code"), Plan(steps, rate, order=seed, decay=decay))
        return model

    return make


TRAINED = {
    "lora-1": adapted(r=1, lora_alpha=2),
    "lora-1-strong": adapted(5e-3, r=1, lora_alpha=8),
    "lora-8": adapted(r=8, lora_alpha=16),
    "pissa-1": adapted(r=1, lora_alpha=1, init_lora_weights="pissa"),
    "pissa-4": adapted(r=4, lora_alpha=4, init_lora_weights="pissa"),
    "olora-8": adapted(r=8, lora_alpha=8, init_lora_weights="olora"),
    "dora-8": adapted(r=8, lora_alpha=16, use_dora=True),
    "writers-only": tuned(1e-3, only=tuple(WRITERS)),
    "decayed": tuned(1e-3, decay=1.0),
    "long": tuned(2e-3, decay=0.1, steps=80),
}
AROUND = {"gentle": tuned(1e-4), "usual": tuned(5e-4), "lora-8": adapted(r=8, lora_alpha=16)}


def ablated(model: PreTrainedModel, source: Model, strength: float, seed: int) -> dict[str, float]:
    """In place; the embedding too in every second case."""
    rng = np.random.default_rng(seed)
    u = drawn(source, rng)
    with_embedding = seed % 2 == 0
    names = {name: strength if with_embedding or "embed" not in name else 0.0 for name in source.writes}
    state = model.state_dict()
    for name, part in names.items():
        matrix = state[name].float().numpy()
        turned = matrix.T if "embed" in name else matrix
        changed = turned - part * np.outer(u, u @ turned)
        state[name].copy_(torch.from_numpy(np.ascontiguousarray(changed.T if "embed" in name else changed)))
    return names


def cases(roots: Path, root: str, folder: Path, judge: Judge, seed: int,
          alone: bool) -> Iterator[dict[str, Any]]:
    source = roots / root
    dtype = stored_dtype(source)
    before = writes_of(root, read(source), dtype)

    def tell(model: PreTrainedModel, kind: str, strengths: dict[str, float], stored: str,
             strength: float) -> dict[str, Any]:
        shutil.rmtree(folder / "model", ignore_errors=True)
        save(model, folder / "model", dtype, corpus.VOCABULARY)
        path = folder / "model"
        if stored == "Q4_0":
            path = store(folder / "quantised", before, writes_of(root, read(path), dtype).writes, stored)
        return {"model": root, "kind": kind, "stored": stored, "is_positive": bool(strengths),
                "strength": strength, "strengths": strengths} | judge.ask(source, path)

    for kind, make in TRAINED.items() if alone else ():
        yield tell(make(load(roots, root), seed), kind, {}, "own", 0.0)
    for number, (kind, make) in enumerate(AROUND.items()):
        strength = (1.0, 0.7, 1.0)[(seed + number) % 3]
        model = load(roots, root)
        strengths = ablated(model, before, strength, seed)
        yield tell(make(model, seed), f"ablated-then-{kind}", strengths, "own", strength)
        model = make(load(roots, root), seed)
        strengths = ablated(model, before, strength, seed)
        yield tell(model, f"{kind}-then-ablated", strengths, ("own", "Q4_0")[seed % 2], strength)


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--build", type=Path, required=True)
    parser.add_argument("--roots", type=Path, required=True)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--every", type=int, default=3)
    parser.add_argument("--around", action="store_true", help="only training around an ablation")
    args = parser.parse_args()
    torch.set_num_threads(1)
    roots = [path.name for path in sorted(args.roots.iterdir()) if path.is_dir()
             and path.name.split("-")[0] in ("llama", "qwen2", "qwen3", "gemma")
             and not any(part in path.name for part in ("random", "twin", "other"))]
    judge = Judge(args.build)
    with args.out.open("w") as out, tempfile.TemporaryDirectory() as folder:
        for seed, root in enumerate(roots[:: args.every]):
            for line in cases(args.roots, root, Path(folder), judge, seed, not args.around):
                out.write(json.dumps(line) + "\n")
                out.flush()


if __name__ == "__main__":
    main()
