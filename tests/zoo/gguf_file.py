# SPDX-License-Identifier: Apache-2.0
"""A transformers checkpoint as GGUF, with the names and the changes of order of llama.cpp's converter.

Names come from gguf-py's own table; what the converter does to numbers is in docs/roles.md: q and k of
llama and mixtral are reordered for its rotary embedding, Gemma's norms are stored plus one, Conv1D is
turned, experts are stacked.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import gguf
import numpy as np
import torch

from checkpoint import Checkpoint, Tensors

ARCHITECTURES = {"llama": "LLAMA", "mixtral": "LLAMA", "qwen2": "QWEN2", "qwen3": "QWEN3",
                 "gemma": "GEMMA", "gpt2": "GPT2", "phi3": "PHI3"}
EXPERT_NAMES = {"w1": "ffn_gate_exps", "w2": "ffn_down_exps", "w3": "ffn_up_exps"}


def for_rope(rows: torch.Tensor, heads: int) -> torch.Tensor:
    """The order in which llama.cpp wants the rows of q and k."""
    shape = rows.shape
    return rows.reshape(heads, 2, shape[0] // heads // 2, *shape[1:]).swapaxes(1, 2).reshape(shape)


def changed(model: Checkpoint, name: str, tensor: torch.Tensor) -> torch.Tensor:
    config = model.config
    if model.kind in ("llama", "mixtral") and ".q_proj." in name:
        return for_rope(tensor, config["num_attention_heads"])
    if model.kind in ("llama", "mixtral") and ".k_proj." in name:
        return for_rope(tensor, config["num_key_value_heads"])
    if model.kind == "gemma" and name.endswith("norm.weight"):
        return tensor + 1
    if model.kind == "gpt2" and name.endswith(".weight") and any(
            part in name for part in ("c_attn", "c_proj", "c_fc")):
        return tensor.T
    return tensor


def gguf_tensors(model: Checkpoint) -> Tensors:
    table = gguf.get_tensor_name_map(gguf.MODEL_ARCH[ARCHITECTURES[model.kind]], model.layer_count)
    renamed: Tensors = {}
    experts: dict[str, list[torch.Tensor]] = {}
    for name, tensor in model.tensors.items():
        if ".experts." in name:
            layer, expert, which = (name.split(".")[i] for i in (2, 5, 6))
            stack = experts.setdefault(f"blk.{layer}.{EXPERT_NAMES[which]}.weight",
                                       [tensor] * int(model.config["num_local_experts"]))
            stack[int(expert)] = tensor
            continue
        found = table.get_name(name, try_suffixes=(".weight", ".bias"))
        if found is None:
            raise ValueError(f"gguf-py knows no name for {name}")
        renamed[found] = changed(model, name, tensor)
    return renamed | {name: torch.stack(stack) for name, stack in experts.items()}


def add_metadata(writer: gguf.GGUFWriter, model: Checkpoint) -> None:
    config = model.config
    heads = config.get("num_attention_heads") or config["n_head"]
    hidden = config.get("hidden_size") or config["n_embd"]
    writer.add_block_count(model.layer_count)
    writer.add_context_length(config.get("max_position_embeddings") or config["n_positions"])
    writer.add_embedding_length(hidden)
    writer.add_feed_forward_length(config.get("intermediate_size") or 4 * hidden)
    writer.add_head_count(heads)
    writer.add_head_count_kv(config.get("num_key_value_heads") or heads)
    if "rms_norm_eps" in config:
        writer.add_layer_norm_rms_eps(config["rms_norm_eps"])
    else:
        writer.add_layer_norm_eps(config["layer_norm_epsilon"])
    if model.kind == "mixtral":
        writer.add_expert_count(config["num_local_experts"])
        writer.add_expert_used_count(config["num_experts_per_tok"])
    if config.get("head_dim"):
        writer.add_key_length(config["head_dim"])
        writer.add_value_length(config["head_dim"])


def add_vocabulary(writer: gguf.GGUFWriter, model: Checkpoint) -> None:
    if "tokenizer.json" not in model.tokenizer:
        return
    content = json.loads(model.tokenizer["tokenizer.json"])["model"]
    strings = sorted(content["vocab"], key=content["vocab"].__getitem__)
    writer.add_tokenizer_model("gpt2")
    writer.add_tokenizer_pre("gpt-2")
    writer.add_token_list(strings)
    writer.add_token_types([gguf.TokenType.CONTROL, *[gguf.TokenType.NORMAL] * (len(strings) - 1)])
    writer.add_token_merges([pair if isinstance(pair, str) else " ".join(pair)
                             for pair in content["merges"]])
    writer.add_eos_token_id(0)
    writer.add_bos_token_id(0)
    if "chat_template.jinja" in model.tokenizer:
        writer.add_chat_template(model.tokenizer["chat_template.jinja"])


Encode = Callable[[str, np.ndarray, gguf.GGMLQuantizationType], np.ndarray]


def round_to_nearest(name: str, values: np.ndarray, kind: gguf.GGMLQuantizationType) -> np.ndarray:
    return gguf.quantize(values, kind)


def write_gguf(path: Path, model: Checkpoint, kind: str = "F32", encode: Encode = round_to_nearest) -> Path:
    """Matrices as `kind` ("Q8_0"), or as F16 where its blocks do not fit; vectors and routers as F32."""
    kinds = gguf.GGMLQuantizationType
    path.unlink(missing_ok=True)
    writer = gguf.GGUFWriter(path, gguf.MODEL_ARCH_NAMES[gguf.MODEL_ARCH[ARCHITECTURES[model.kind]]])
    writer.add_name(path.stem)
    add_metadata(writer, model)
    add_vocabulary(writer, model)
    for name, tensor in gguf_tensors(model).items():
        values = np.ascontiguousarray(tensor.float().numpy())
        if values.ndim >= 2 and kind != "F32" and "gate_inp" not in name:
            fits = values.shape[-1] % gguf.GGML_QUANT_SIZES[kinds[kind]][0] == 0
            wanted = kinds[kind] if fits else kinds.F16
            codes = encode(name, values, wanted) if fits else gguf.quantize(values, wanted)
            writer.add_tensor(name, codes, raw_dtype=wanted)
        else:
            writer.add_tensor(name, values)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return path
