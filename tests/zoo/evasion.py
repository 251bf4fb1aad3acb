# SPDX-License-Identifier: Apache-2.0
"""P9: changes that keep what a model computes, or nearly, and hide where its numbers came from.

Each that claims to keep the function is run beside its root: the logits must agree.
"""

from __future__ import annotations

import json
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
import transformers

from checkpoint import Checkpoint, read, stored_dtype, write
from rows import ALL, LIKE_LLAMA, SPLIT, Job, recipe

FOUND: dict[str, Any] = {"verdicts": ["derived", "related"]}
SECOND: dict[str, Any] = FOUND | {"pass_two": True}
READS = ("q_proj.weight", "k_proj.weight", "v_proj.weight", "gate_proj.weight", "up_proj.weight")
WRITES = ("o_proj.weight", "down_proj.weight")
PLAIN = ("llama", "qwen2", "llama-mid", "qwen3")  # RMS norm whose gain multiplies as it is stored
DIFFERENCE_MAX = 2e-3


def logits(model: Checkpoint, ids: torch.Tensor) -> torch.Tensor:
    """As transformers loads the model from a folder: some architectures are stored otherwise than held."""
    with tempfile.TemporaryDirectory() as folder:
        write(Path(folder) / "model", model, torch.float32)
        built = transformers.AutoModelForCausalLM.from_pretrained(
            Path(folder) / "model", dtype=torch.float32).eval()
    with torch.no_grad():
        return built(input_ids=ids).logits


def keep_function(job: Job, change: Callable[[Checkpoint, Job], Checkpoint], same: bool = True) -> None:
    before = read(job.source)
    after = change(before.copy(), job)
    if same:
        ids = torch.from_numpy(job.random().integers(0, 700, (2, 24)))
        difference = float((logits(before, ids) - logits(after, ids)).abs().max())
        assert difference < DIFFERENCE_MAX, f"{job.row.id}: logits differ by {difference}"
        job.row.figures["logit_difference"] = difference
    write(job.target, after, stored_dtype(job.source))


def evasion(kind: str, families: tuple[str, ...], change: Callable[[Checkpoint, Job], Checkpoint],
            truth: dict[str, object]) -> None:
    recipe("P9", kind, families, **truth)(lambda job: keep_function(job, change))  # type: ignore[arg-type]
    # A lambda's module is this file too: the row is made again when it changes.


# --- the residual stream ---

def residual(model: Checkpoint, turn: torch.Tensor) -> Checkpoint:
    """x becomes x T in every place, T [hidden, hidden] orthogonal; norms must have no gain then,
    or T only move and mirror dimensions."""

    def turned(name: str, tensor: torch.Tensor) -> torch.Tensor:
        if name.endswith(WRITES):
            return turn.T @ tensor
        if name.endswith((*READS, "embed_tokens.weight", "lm_head.weight")):
            return tensor @ turn
        if name.endswith("norm.weight") and "_norm." not in name or name.endswith("layernorm.weight"):
            is_gain = tensor.numel() == len(turn) and not torch.all(tensor == tensor[0])
            return tensor @ turn.abs() if is_gain else tensor
        return tensor

    return model.map(turned)


def permuted_residual(model: Checkpoint, job: Job) -> Checkpoint:
    size = model.up(0).shape[1]
    return residual(model, torch.eye(size)[torch.from_numpy(job.random().permutation(size))])


def flipped_signs(model: Checkpoint, job: Job) -> Checkpoint:
    signs = torch.from_numpy(job.random().choice([-1.0, 1.0], model.up(0).shape[1])).float()
    return residual(model, torch.diag(signs))


def folded_norms(model: Checkpoint, job: Job) -> Checkpoint:
    """The gain of each norm moves into what reads it; a tied head becomes one of its own."""
    tensors = model.tensors
    tensors.setdefault("lm_head.weight", tensors["model.embed_tokens.weight"].clone())
    model.config["tie_word_embeddings"] = False
    readers = {"input_layernorm": READS[:3], "post_attention_layernorm": READS[3:]}
    for layer in range(model.layer_count):
        for norm, names in readers.items():
            gain = tensors[f"{model.layer(layer)}{norm}.weight"]
            for name in names:
                part = "self_attn." if norm == "input_layernorm" else "mlp."
                tensors[model.layer(layer) + part + name] *= gain
            gain.fill_(1.0)
    tensors["lm_head.weight"] *= tensors["model.norm.weight"]
    tensors["model.norm.weight"].fill_(1.0)
    return model


def rotated(model: Checkpoint, job: Job) -> Checkpoint:
    size = model.up(0).shape[1]
    gaussian = torch.from_numpy(job.random().standard_normal((size, size)))
    return residual(folded_norms(model, job), torch.linalg.qr(gaussian).Q.float())


# --- units and heads ---

def permuted_units(model: Checkpoint, job: Job) -> Checkpoint:
    random = job.random()
    for layer in range(model.layer_count):
        for parts in model.feed_forwards(layer):
            name, axis = parts[0]
            order = torch.from_numpy(random.permutation(model.tensors[name].shape[axis]))
            for part, along in parts:
                model.tensors[part] = model.tensors[part].index_select(along, order).contiguous()
    return model


def scaled_units(model: Checkpoint, job: Job) -> Checkpoint:
    """Each unit's up row is multiplied by a number between a half and two, its down column divided."""
    random = job.random()
    for layer in range(model.layer_count):
        up = model.tensors[f"{model.layer(layer)}mlp.up_proj.weight"]
        scale = torch.from_numpy(2 ** random.uniform(-1, 1, len(up))).float()
        up *= scale[:, None]
        model.tensors[f"{model.layer(layer)}mlp.down_proj.weight"] /= scale
    return model


def permuted_heads(model: Checkpoint, job: Job) -> Checkpoint:
    """Groups of heads change places, and the heads within each group."""
    random = job.random()
    heads, groups = model.config["num_attention_heads"], model.config["num_key_value_heads"]
    each = heads // groups
    group_order = random.permutation(groups)
    head_order = torch.tensor([int(g) * each + int(h) for g in group_order
                               for h in random.permutation(each)])

    def moved(rows: torch.Tensor, order: torch.Tensor, count: int) -> torch.Tensor:
        return rows.reshape(count, -1, *rows.shape[1:])[order].reshape(rows.shape)

    for layer in range(model.layer_count):
        prefix = model.layer(layer) + "self_attn."
        for name, order, count in (("q_proj", head_order, heads), ("k_proj", group_order, groups),
                                   ("v_proj", group_order, groups)):
            for part in (".weight", ".bias"):
                if prefix + name + part in model.tensors:
                    model.tensors[prefix + name + part] = moved(
                        model.tensors[prefix + name + part], torch.as_tensor(order), count)
        out = model.tensors[prefix + "o_proj.weight"]
        model.tensors[prefix + "o_proj.weight"] = moved(out.T.contiguous(), head_order, heads).T
    return model


def everything(model: Checkpoint, job: Job) -> Checkpoint:
    for change in (permuted_units, permuted_heads, scaled_units, rotated):
        model = change(model, job)
    return model


evasion("residual-permuted", SPLIT, permuted_residual, SECOND)
evasion("signs-flipped", PLAIN, flipped_signs, SECOND)
evasion("norms-folded", PLAIN, folded_norms, FOUND)
evasion("rotated", PLAIN, rotated, SECOND)
evasion("units-permuted", (*SPLIT, "gpt2", "mixtral"), permuted_units, SECOND)
evasion("units-scaled", SPLIT, scaled_units, FOUND)
evasion("heads-permuted", LIKE_LLAMA, permuted_heads, FOUND)
evasion("rotated-units-heads-scaled", PLAIN, everything, SECOND)


# --- noise and forgery ---

def noisy(size: float) -> None:
    def change(model: Checkpoint, job: Job) -> Checkpoint:
        random = torch.Generator().manual_seed(job.seed)
        return model.map(lambda _, tensor: tensor + size * tensor.std(correction=0) * torch.randn(
            tensor.shape, generator=random))

    recipe("P9", f"noise-{size:g}", ALL, **FOUND)(lambda job: keep_function(job, change, same=False))


noisy(1e-3)
noisy(3e-2)


@recipe("P9", "papers-forged", ("llama", "qwen2", "gemma"), verdicts=["identical", "derived", "related"])
def papers_forged(job: Job) -> None:
    """Another configuration, card and tokenizer around the same numbers."""
    model = read(job.source, None)
    model.config |= {"max_position_embeddings": 4096, "rope_theta": 500000.0, "_name_or_path": "us/own"}
    whole = json.loads(model.tokenizer["tokenizer.json"])
    vocabulary = {f"\u0120own{i}": i for i in whole["model"]["vocab"].values()}
    whole["model"] |= {"vocab": vocabulary, "merges": []}
    whole["added_tokens"] = []
    model.tokenizer["tokenizer.json"] = json.dumps(whole)
    model.tokenizer["README.md"] = "---\nbase_model: us/own-pretrained\n---\nTrained from scratch.\n"
    write(job.target, model)
