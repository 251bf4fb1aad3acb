# SPDX-License-Identifier: Apache-2.0
"""Groups 6, 7 and 17: adapters, really trained by peft, merged or beside their base.

A merged adapter is scaled so that its change has the wanted size, which is what its alpha does as well.
"""

from __future__ import annotations

import json
from functools import lru_cache
from pathlib import Path
from typing import Any

import peft
import torch
from safetensors.torch import load_file, save_file
from transformers import PreTrainedModel

from changes.cases import Job, Values, change, layer
from changes.edits import roles_of
from changes.further import difference, further, loaded, relative_size, scaled_change, text_tokens
from checkpoint import Checkpoint, read
from training import Plan, next_token_loss, train

WIDE = ("llama-wide", "llama-mid", "smol", "llama-wide", "qwen2", "qwen3", "llama", "gemma", "phi3", "gpt2")
STEPS = 30
SEPARATE = {"qv": ["q_proj", "v_proj"], "mlp": ["gate_proj", "up_proj", "down_proj"],
            "all": ["q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj"],
            "attention": ["q_proj", "k_proj", "v_proj", "o_proj"], "o-down": ["o_proj", "down_proj"]}
FUSED = {"gpt2": {"qv": ["c_attn"], "mlp": ["c_fc", "mlp.c_proj"], "all": ["c_attn", "c_fc", "c_proj"],
                  "attention": ["c_attn", "attn.c_proj"], "o-down": ["c_proj"]},
         "phi3": {"qv": ["qkv_proj"], "mlp": ["gate_up_proj", "down_proj"],
                  "all": ["qkv_proj", "o_proj", "gate_up_proj", "down_proj"],
                  "attention": ["qkv_proj", "o_proj"], "o-down": ["o_proj", "down_proj"]}}
FLOOR = 3e-3  # in a type of 8 bits of mantissa a smaller change may be lost


def adapted(model: PreTrainedModel, kind: str, rank: int, modules: list[str], tokens: torch.Tensor,
            seed: int, **more: Any) -> peft.PeftModel:
    torch.manual_seed(seed)
    config = peft.LoraConfig(r=rank, lora_alpha=2 * rank, target_modules=modules, task_type="CAUSAL_LM",
                             fan_in_fan_out=kind == "gpt2", **more)
    wrapped = peft.get_peft_model(model, config)
    train(wrapped, tokens, Plan(STEPS, 2e-3, order=seed), next_token_loss)
    return wrapped


def modules_of(family: str, targets: str) -> list[str]:
    return FUSED.get(family, SEPARATE)[targets]


@lru_cache(maxsize=2)
def merged(source: Path, family: str, rank: int, targets: str, seed: int,
           more: tuple[tuple[str, Any], ...] = ()) -> Checkpoint:
    base = read(source)
    return further(base, lambda model: adapted(
        model, base.kind, rank, modules_of(family, targets), text_tokens(base, "code"), seed,
        **dict(more)).merge_and_unload())


def is_exact(job: Job) -> bool:
    return json.loads((job.source / "config.json").read_text())["dtype"] == "float32"


def tell_rank(job: Job, base: Checkpoint, model: Checkpoint, rank: int | None, size: float | None, *others: str,
              **more: Any) -> None:
    """The parts that changed and the size of the change, as they are."""
    deltas = difference(base, model)
    found = relative_size(base, deltas)
    small = found < FLOOR and not is_exact(job)
    job.truth(layer("low_rank", *others, rank=rank, modules=roles_of(list(deltas)), applied=True,
                    size=size or found), honest=small, trained=True, **more)
    job.case.figures["size"] = round(found, 5)


@change(6, "lora", WIDE, in_mini=4, together=("size",),
        rank=Values((8, 1, 4, 16, 64), (2, 3, 5, 6, 10, 12, 16, 24, 32, 48)),
        targets=Values(("all", "qv", "mlp"), ("all", "attention", "o-down", "mlp")),
        size=Values((1e-2, 1e-3, 3e-3, 3e-2), (1.2e-3, 2e-3, 3.5e-3, 5e-3, 7e-3, 1.5e-2, 2e-2, 4e-2)))
def lora(job: Job, rank: int, targets: str, size: float) -> Checkpoint:
    base = job.base()
    rank = min(rank, base.up(0).shape[1] // 4)
    tuned = merged(job.source, job.family, rank, targets, 7)
    model = scaled_change(base, tuned, size)
    tell_rank(job, base, model, rank, size)
    return model


VARIANTS: dict[str, dict[str, Any]] = {"dora": {"use_dora": True}, "rslora": {"use_rslora": True},
                                       "pissa": {"init_lora_weights": "pissa"},
                                       "olora": {"init_lora_weights": "olora"}}


@change(7, "variant", ("llama-wide", "llama-mid", "smol", "llama", "qwen2", "qwen3"), each=3, in_mini=4,
        method=Values(("dora", "rslora", "pissa", "olora")), rank=Values((8,), (4, 6, 12, 16)))
def variant(job: Job, method: str, rank: int) -> Checkpoint:
    """DoRA scales rows besides. PiSSA and OLoRA take their start out of the base, so that the change has twice
    the rank at most: none is asked for."""
    base = job.base()
    model = merged(job.source, job.family, rank, "all", 8, tuple(VARIANTS[method].items()))
    doubled = method in ("pissa", "olora")
    tell_rank(job, base, model, None if doubled else rank, None,
              beside=["scaled"] if method == "dora" else [])
    job.case.layers[0]["rank_most"] = 2 * rank if doubled else None
    return model


@change(7, "lora-and-embeddings", ("llama-wide", "llama", "qwen2", "smol"), each=3, rank=Values((8,), (4, 6, 16)))
def lora_and_embeddings(job: Job, rank: int) -> Checkpoint:
    """The embedding is trained whole beside the adapter."""
    base = job.base()
    model = merged(job.source, job.family, rank, "all", 9, (("modules_to_save", ("embed_tokens",)),))
    tell_rank(job, base, model, rank, None, beside=["full_rank"])
    job.case.layers[0]["modules"].remove("embedding")
    return model


# --- 17: adapter files ---

def kohya(name: str) -> str:
    """base_model.model.model.layers.0.self_attn.q_proj.lora_A.weight, as kohya's scripts would write it."""
    module, _, end = name.removeprefix("base_model.model.").rpartition(".lora_")
    return f"lora_te_{module.replace('.', '_')}.lora_{'down' if end.startswith('A') else 'up'}.weight"


def diffusers(name: str) -> str:
    return name.replace("base_model.model.", "text_encoder.").replace("lora_A", "lora_linear_layer.down").replace(
        "lora_B", "lora_linear_layer.up")


def lycoris(tensors: dict[str, torch.Tensor], rank: int) -> dict[str, torch.Tensor]:
    """LoHa: two pairs of factors, whose products are multiplied."""
    result = {}
    for name, tensor in tensors.items():
        module = kohya(name).rsplit(".lora_", 1)[0]
        if "lora_A" in name:
            result |= {f"{module}.hada_w1_b": tensor.clone(), f"{module}.hada_w2_b": torch.ones_like(tensor)}
        else:
            result |= {f"{module}.hada_w1_a": tensor.clone(),
                       f"{module}.hada_w2_a": torch.full_like(tensor, 1 / rank)}
    return result


NOTES = {"ss_network_module": "networks.lora", "ss_base_model_version": "", "ss_num_train_images": "0",
         "modelspec.architecture": "zoo", "ss_sd_model_name": "zoo.safetensors"}


@change(17, "adapter-file", ("llama-wide", "llama", "qwen2"), each=2, in_mini=2, together=("names", "noted"),
        names=Values(("peft", "kohya", "diffusers", "lycoris")), noted=Values((True, False)),
        rank=Values((8,), (4, 6, 12, 16)))
def adapter_file(job: Job, names: str, noted: bool, rank: int) -> None:
    """An adapter beside its base. Only peft's names say which of the base's tensors they belong to."""
    base = job.base()
    wrapped = adapted(loaded(base), base.kind, rank, ["q_proj", "v_proj"], text_tokens(base, "code"), 3)
    wrapped.peft_config["default"].base_model_name_or_path = job.root
    wrapped.save_pretrained(job.target)
    job.truth(layer("low_rank", rank=rank, modules=["q", "v"], applied=False), trained=True,
              honest=names != "peft")
    file = job.target / "adapter_model.safetensors"
    tensors = load_file(file)
    if names != "peft":
        for other in job.target.iterdir():
            other.unlink()
        renamed = lycoris(tensors, rank) if names == "lycoris" else {
            (kohya if names == "kohya" else diffusers)(name): tensor for name, tensor in tensors.items()}
        alphas = {f"{name.rsplit('.lora_down', 1)[0]}.alpha": torch.tensor(float(rank))
                  for name in renamed if ".lora_down." in name}
        save_file(renamed | alphas, file, metadata=NOTES if noted else None)
    elif not noted:
        save_file(tensors, file)
