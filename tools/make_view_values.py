# SPDX-License-Identifier: Apache-2.0
"""Write tests/data/views/CASE.txt: stored arrays and what they mean, worked out by torch and numpy.

    family NAME          model_type or general.architecture
    format NAME          "safetensors" or "gguf"
    shape KEY NUMBER ...
    stored NAME DIMS VALUES...       as in the file, row-major
    canonical NAME ROWS,COLS VALUES...

Where transformers has a module that takes a fused tensor apart, that module is run to get the canonical arrays
(falcon's _split_heads, Conv1D); the rest is index arithmetic in numpy after the description of each layout.
All numbers are small integers, which every float format holds exactly.

Needs torch==2.13.0 and transformers==5.23.0: python tools/make_view_values.py
"""

from pathlib import Path

import numpy as np
import torch
import transformers

OUT = Path(__file__).resolve().parent.parent / "tests" / "data" / "views"
Arrays = dict[str, np.ndarray]
RNG = np.random.default_rng(7)


def numbers(*dims: int) -> np.ndarray:
    return RNG.integers(-999, 1000, dims).astype(np.float32)


def write(case: str, family: str, container: str, shape: dict[str, int], stored: Arrays, canonical: Arrays) -> None:
    lines = [
        "# Made by tools/make_view_values.py; do not edit.",
        f"family {family}",
        f"format {container}",
        "shape " + " ".join(f"{k} {v}" for k, v in shape.items()),
    ]
    for kind, arrays in (("stored", stored), ("canonical", canonical)):
        for name, array in arrays.items():
            dims = array.shape if kind == "stored" else np.atleast_2d(array).shape
            values = " ".join(f"{v:g}" for v in array.flatten())
            lines.append(f"{kind} {name} {','.join(map(str, dims))} {values}")
    (OUT / f"{case}.txt").write_text("\n".join(lines) + "\n")


def rope_rows(array: np.ndarray, heads: int) -> np.ndarray:
    """Rows j and j + half of a head become neighbours."""
    head = array.shape[0] // heads
    out = np.empty_like(array)
    for h in range(heads):
        for j in range(head // 2):
            for p in range(2):
                out[h * head + 2 * j + p] = array[h * head + p * head // 2 + j]
    return out


def llama() -> None:
    q, k, v = numbers(24, 5), numbers(12, 5), numbers(12, 5)
    q_bias, k_bias = numbers(24), numbers(12)
    canonical = {
        "layers.0.q": q,
        "layers.0.q.bias": q_bias,
        "layers.0.k": k,
        "layers.0.k.bias": k_bias,
        "layers.0.v": v,
    }
    shape = {"layers": 1, "hidden": 5, "heads": 4, "kv_heads": 2, "head_dim": 6}
    prefix = "model.layers.0.self_attn."
    stored = {
        prefix + "q_proj.weight": q,
        prefix + "q_proj.bias": q_bias,
        prefix + "k_proj.weight": k,
        prefix + "k_proj.bias": k_bias,
        prefix + "v_proj.weight": v,
    }
    write("llama_hf", "llama", "safetensors", shape, stored, canonical)
    stored = {
        "blk.0.attn_q.weight": rope_rows(q, 4),
        "blk.0.attn_q.bias": rope_rows(q_bias, 4),
        "blk.0.attn_k.weight": rope_rows(k, 2),
        "blk.0.attn_k.bias": rope_rows(k_bias, 2),
        "blk.0.attn_v.weight": v,
    }
    write("llama_gguf", "llama", "gguf", shape, stored, canonical)


def linear_rows(module: torch.nn.Module, inputs: int) -> tuple[np.ndarray, np.ndarray]:
    """[outputs, inputs] and the bias of anything affine, found by feeding it unit vectors."""
    with torch.no_grad():
        bias = module(torch.zeros(1, inputs))[0]
        return (module(torch.eye(inputs)) - bias).T.numpy(), bias.numpy()


def gpt2() -> None:
    hidden, ff = 8, 12
    config = transformers.GPT2Config(n_embd=hidden, n_head=2, n_layer=1, n_inner=ff, vocab_size=9)
    block = transformers.models.gpt2.modeling_gpt2.GPT2Block(config, layer_idx=0)
    modules = {
        "attn.c_attn": block.attn.c_attn,
        "attn.c_proj": block.attn.c_proj,
        "mlp.c_fc": block.mlp.c_fc,
        "mlp.c_proj": block.mlp.c_proj,
    }
    stored: Arrays = {}
    rows: Arrays = {}
    for name, module in modules.items():
        module.weight.data = torch.from_numpy(numbers(*module.weight.shape))
        module.bias.data = torch.from_numpy(numbers(*module.bias.shape))
        stored[f"h.0.{name}.weight"] = module.weight.data.numpy()
        stored[f"h.0.{name}.bias"] = module.bias.data.numpy()
        rows[name], rows[name + ".bias"] = linear_rows(module, module.weight.shape[0])
    canonical: Arrays = {}
    for suffix in ("", ".bias"):
        for part, array in zip("qkv", np.split(rows["attn.c_attn" + suffix], 3)):
            canonical[f"layers.0.{part}{suffix}"] = array
        canonical[f"layers.0.o{suffix}"] = rows["attn.c_proj" + suffix]
        canonical[f"layers.0.up{suffix}"] = rows["mlp.c_fc" + suffix]
        canonical[f"layers.0.down{suffix}"] = rows["mlp.c_proj" + suffix]
    shape = {"layers": 1, "hidden": hidden, "heads": 2, "kv_heads": 2, "head_dim": 4}
    write("gpt2_hf", "gpt2", "safetensors", shape, stored, canonical)
    turned = {
        "blk.0.attn_qkv.weight": rows["attn.c_attn"],
        "blk.0.attn_qkv.bias": rows["attn.c_attn.bias"],
        "blk.0.attn_output.weight": rows["attn.c_proj"],
        "blk.0.attn_output.bias": rows["attn.c_proj.bias"],
        "blk.0.ffn_up.weight": rows["mlp.c_fc"],
        "blk.0.ffn_up.bias": rows["mlp.c_fc.bias"],
        "blk.0.ffn_down.weight": rows["mlp.c_proj"],
        "blk.0.ffn_down.bias": rows["mlp.c_proj.bias"],
    }
    write("gpt2_gguf", "gpt2", "gguf", shape, turned, canonical)


def gpt_neox() -> None:
    """GPTNeoXAttention views the fused output as [heads, 3 * head] and chunks the last axis."""
    heads, head, hidden = 3, 4, 12
    weight, bias = numbers(3 * hidden, hidden), numbers(3 * hidden)
    stored = {
        "gpt_neox.layers.0.attention.query_key_value.weight": weight,
        "gpt_neox.layers.0.attention.query_key_value.bias": bias,
    }
    canonical: Arrays = {}
    for suffix, array in (("", weight), (".bias", bias)):
        fused = torch.from_numpy(array.reshape(heads, 3 * head, -1))
        for part, rows in zip("qkv", fused.chunk(3, dim=1)):
            canonical[f"layers.0.{part}{suffix}"] = rows.reshape(-1, *array.shape[1:]).numpy()
    shape = {"layers": 1, "hidden": hidden, "heads": heads, "kv_heads": heads, "head_dim": head}
    write("gpt_neox_hf", "gpt_neox", "safetensors", shape, stored, canonical)


def falcon(case: str, kv_heads: int, **settings: bool) -> None:
    heads, head = 4, 4
    config = transformers.FalconConfig(
        hidden_size=16, num_attention_heads=heads, num_kv_heads=kv_heads, num_hidden_layers=1, vocab_size=9, **settings
    )
    attention = transformers.models.falcon.modeling_falcon.FalconAttention(config, layer_idx=0)
    weight = numbers(*attention.query_key_value.weight.shape)
    # Each input's column of the fused weight is one "token" of a sequence of 16.
    fused = torch.from_numpy(weight.T.copy())[None]
    parts = attention._split_heads(fused)
    shape = {
        "layers": 1,
        "hidden": 16,
        "heads": heads,
        "kv_heads": kv_heads,
        "head_dim": head,
        "new_decoder": int(config.new_decoder_architecture),
        "multi_query": int(config.multi_query),
    }
    canonical: Arrays = {}
    for part, array in zip("qkv", parts):
        rows = array[0].permute(1, 2, 0)  # heads, head, inputs
        if part != "q" and rows.shape[0] != kv_heads:
            rows = rows[:: rows.shape[0] // kv_heads]  # repeated for every head of a group
        canonical[f"layers.0.{part}"] = rows.reshape(-1, 16).numpy()
    name = "transformer.h.0.self_attention.query_key_value.weight"
    write(case, "falcon", "safetensors", shape, {name: weight}, canonical)
    joined = np.concatenate(list(canonical.values()))
    write(case + "_gguf", "falcon", "gguf", shape, {"blk.0.attn_qkv.weight": joined}, canonical)


def phi3() -> None:
    qkv, gate_up = numbers(16, 6), numbers(20, 6)
    canonical = {
        "layers.0.q": qkv[:8],
        "layers.0.k": qkv[8:12],
        "layers.0.v": qkv[12:],
        "layers.0.gate": gate_up[:10],
        "layers.0.up": gate_up[10:],
    }
    shape = {"layers": 1, "hidden": 6, "heads": 4, "kv_heads": 2, "head_dim": 2}
    prefix = "model.layers.0."
    stored = {prefix + "self_attn.qkv_proj.weight": qkv, prefix + "mlp.gate_up_proj.weight": gate_up}
    write("phi3_hf", "phi3", "safetensors", shape, stored, canonical)
    stored = {"blk.0.attn_qkv.weight": qkv, "blk.0.ffn_up.weight": gate_up}
    write("phi3_gguf", "phi3", "gguf", shape, stored, canonical)


def experts() -> None:
    gate, up, down = numbers(3, 4, 6), numbers(3, 4, 6), numbers(3, 6, 4)
    gate_bias, up_bias, down_bias = numbers(3, 4), numbers(3, 4), numbers(3, 6)
    canonical: Arrays = {}
    biases: Arrays = {}
    for e in range(3):
        for part, array, bias in (("gate", gate, gate_bias), ("up", up, up_bias), ("down", down, down_bias)):
            canonical[f"layers.1.experts.{e}.{part}"] = array[e]
            biases[f"layers.1.experts.{e}.{part}.bias"] = bias[e]
    shape = {"layers": 2, "hidden": 6, "heads": 2, "kv_heads": 2, "head_dim": 3, "experts": 3}
    stacked = {
        "blk.1.ffn_gate_exps.weight": gate,
        "blk.1.ffn_up_exps.weight": up,
        "blk.1.ffn_down_exps.weight": down,
    }
    write("mixtral_gguf", "llama", "gguf", shape, stacked, canonical)
    prefix = "model.layers.1.mlp.experts."
    fused = {prefix + "gate_up_proj": np.concatenate([gate, up], axis=1), prefix + "down_proj": down}
    write("qwen3_moe_fused", "qwen3_moe", "safetensors", shape, fused, canonical)
    # GptOssExperts: gate = x[..., ::2], up = x[..., 1::2] of token @ gate_up_proj.
    pairs, pair_bias = np.empty((3, 6, 8), np.float32), np.empty((3, 8), np.float32)
    pairs[..., ::2], pairs[..., 1::2] = gate.transpose(0, 2, 1), up.transpose(0, 2, 1)
    pair_bias[:, ::2], pair_bias[:, 1::2] = gate_bias, up_bias
    stored = {
        prefix + "gate_up_proj": pairs,
        prefix + "gate_up_proj_bias": pair_bias,
        prefix + "down_proj": down.transpose(0, 2, 1),
        prefix + "down_proj_bias": down_bias,
    }
    write("gpt_oss_hf", "gpt_oss", "safetensors", shape, stored, canonical | biases)
    stacked |= {
        "blk.1.ffn_gate_exps.bias": gate_bias,
        "blk.1.ffn_up_exps.bias": up_bias,
        "blk.1.ffn_down_exps.bias": down_bias,
    }
    write("gpt_oss_gguf", "gpt-oss", "gguf", shape, stacked, canonical | biases)


def gemma() -> None:
    names = {
        "output_norm.weight": "final_norm",
        "blk.0.attn_norm.weight": "layers.0.attention_norm",
        "blk.0.post_attention_norm.weight": "layers.0.attention_post_norm",
        "blk.0.ffn_norm.weight": "layers.0.feed_forward_norm",
        "blk.0.post_ffw_norm.weight": "layers.0.feed_forward_post_norm",
        "blk.0.attn_q_norm.weight": "layers.0.q_norm",
    }
    canonical = {name: numbers(6) for name in names.values()}
    stored = {name: canonical[role] + 1 for name, role in names.items()}
    shape = {"layers": 1, "hidden": 6, "heads": 2, "kv_heads": 2, "head_dim": 3}
    write("gemma3_gguf", "gemma3", "gguf", shape, stored, canonical)


def main() -> None:
    OUT.mkdir(parents=True, exist_ok=True)
    llama()
    gpt2()
    gpt_neox()
    falcon("falcon_classic", 4, multi_query=False)
    falcon("falcon_multi_query", 1, multi_query=True)
    falcon("falcon_grouped", 2, new_decoder_architecture=True)
    phi3()
    experts()
    gemma()


if __name__ == "__main__":
    main()
