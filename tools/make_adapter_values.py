# SPDX-License-Identifier: Apache-2.0
"""Write tests/data/adapters/CASE.txt: a tiny base, a LoRA adapter as PEFT saves it, and what merging changes.

    family, shape        of the base
    alpha NUMBER         lora_alpha of adapter_config.json; rslora 0|1
    base NAME DIMS       tensors of the base, without values
    stored NAME DIMS VALUES...
    change NAME ROWS,COLS VALUES...   merged minus base, of the canonical tensor

The change is PEFT's own: merge_and_unload() on a base of zeros. Weights of the adapter are random halves, so
that float32 holds every product exactly.

Needs torch==2.13.0, transformers==5.23.0, peft==0.21.2, safetensors==0.8.0: python tools/make_adapter_values.py
"""

import json
import tempfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import peft
import torch
import transformers
from safetensors.numpy import load_file

OUT = Path(__file__).resolve().parent.parent / "tests" / "data" / "adapters"
RNG = np.random.default_rng(11)
Arrays = dict[str, np.ndarray]


def qkv(name: str, turned: bool) -> Callable[[Arrays], Arrays]:
    """Rows of a fused weight as q, k, v of 8 rows each."""

    def split(merged: Arrays) -> Arrays:
        fused = merged[name].T if turned else merged[name]
        return {f"layers.0.{part}": rows for part, rows in zip("qkv", np.split(fused, 3))}

    return split


def rows_of(names: dict[str, str], turned: bool = False) -> Callable[[Arrays], Arrays]:
    def pick(merged: Arrays) -> Arrays:
        return {c: merged[s].T if turned else merged[s] for s, c in names.items()}

    return pick


def write(
    case: str,
    model: torch.nn.Module,
    config: peft.LoraConfig,
    shape: dict[str, int],
    canonical: list[Callable[[Arrays], Arrays]],
) -> None:
    for parameter in model.parameters():
        parameter.data.zero_()
    family = model.config.model_type
    with tempfile.TemporaryDirectory() as folder:
        model.save_pretrained(folder + "/base")
        wrapped = peft.get_peft_model(model, config)
        for name, parameter in wrapped.named_parameters():
            if "lora_" in name:
                values = RNG.integers(-8, 9, tuple(parameter.shape)) / 2
                parameter.data = torch.from_numpy(values.astype(np.float32))
        wrapped.save_pretrained(folder + "/adapter")
        wrapped.merge_and_unload().save_pretrained(folder + "/merged")
        base = load_file(folder + "/base/model.safetensors")
        stored = load_file(folder + "/adapter/adapter_model.safetensors")
        merged = load_file(folder + "/merged/model.safetensors")
        claims = json.loads(Path(folder + "/adapter/adapter_config.json").read_text())
    lines = [
        "# Made by tools/make_adapter_values.py; do not edit.",
        f"family {family}",
        "shape " + " ".join(f"{k} {v}" for k, v in shape.items()),
        f"alpha {claims['lora_alpha']}",
        f"rslora {int(claims['use_rslora'])}",
    ]
    lines += [f"base {n} {','.join(map(str, a.shape))}" for n, a in base.items()]
    changes: Arrays = {}
    for pick in canonical:
        changes |= pick(merged)
    for kind, arrays in (("stored", stored), ("change", changes)):
        for name, array in arrays.items():
            values = " ".join(f"{v:.9g}" for v in array.flatten())
            lines.append(f"{kind} {name} {','.join(map(str, array.shape))} {values}")
    OUT.mkdir(parents=True, exist_ok=True)
    (OUT / f"{case}.txt").write_text("\n".join(lines) + "\n")


def main() -> None:
    small = {
        "vocab_size": 10,
        "hidden_size": 8,
        "intermediate_size": 12,
        "num_hidden_layers": 1,
        "num_attention_heads": 2,
        "num_key_value_heads": 2,
        "pad_token_id": 0,
        "bos_token_id": 1,
        "eos_token_id": 2,
    }
    shape = {"layers": 1, "hidden": 8, "heads": 2, "kv_heads": 2, "head_dim": 4}
    layer = "model.layers.0."
    write(
        "llama_linear_and_embedding",
        transformers.LlamaForCausalLM(transformers.LlamaConfig(**small)),
        peft.LoraConfig(r=4, lora_alpha=8, target_modules=["q_proj", "down_proj", "embed_tokens"]),
        shape,
        [
            rows_of(
                {
                    layer + "self_attn.q_proj.weight": "layers.0.q",
                    layer + "mlp.down_proj.weight": "layers.0.down",
                    "model.embed_tokens.weight": "embedding",
                }
            )
        ],
    )
    write(
        "phi3_fused_rslora",
        transformers.Phi3ForCausalLM(transformers.Phi3Config(**small)),
        peft.LoraConfig(r=4, lora_alpha=6, use_rslora=True, target_modules=["qkv_proj"]),
        shape,
        [qkv(layer + "self_attn.qkv_proj.weight", turned=False)],
    )
    tiny = transformers.GPT2Config(n_embd=8, n_head=2, n_layer=1, vocab_size=10, n_positions=8)
    write(
        "gpt2_conv1d",
        transformers.GPT2LMHeadModel(tiny),
        peft.LoraConfig(r=2, lora_alpha=2, fan_in_fan_out=True, target_modules=["c_attn", "c_fc"]),
        shape,
        [
            qkv("transformer.h.0.attn.c_attn.weight", turned=True),
            rows_of({"transformer.h.0.mlp.c_fc.weight": "layers.0.up"}, turned=True),
        ],
    )


if __name__ == "__main__":
    main()
