# SPDX-License-Identifier: Apache-2.0
"""Write tests/data/names/ARCH.txt: the tensor names that each architecture really has.

A tiny model with random weights is made from transformers' own config class, saved as safetensors, and the
names and shapes of the saved file are listed. The GGUF side comes from gguf-py's TensorNameMap: each saved
name is looked up there, and the shapes follow what llama.cpp's converter does (experts stacked, deepseek's
kv_b split). The lines are:

    family NAME                     model_type of config.json
    gguf_family NAME                general.architecture of a GGUF file
    shape KEY NUMBER ...            what weir reads from either into `hyperparameters`
    hf NAME DIM,DIM                 a saved tensor
    gguf NAME DIM,DIM < HFNAME ...  a GGUF tensor and the saved tensors that it is made of
    unmapped HFNAME                 a saved tensor that the converter drops

Needs torch==2.13.0, transformers==5.23.0, gguf==0.19.0, safetensors==0.8.0. Run from anywhere:
    python tools/make_name_lists.py
"""

import json
import re
import tempfile
from pathlib import Path
from typing import Any

import gguf
import torch
import transformers
from safetensors import safe_open

OUT = Path(__file__).resolve().parent.parent / "tests" / "data" / "names"

BASE: dict[str, Any] = {
    "vocab_size": 96,
    "hidden_size": 32,
    "intermediate_size": 48,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "max_position_embeddings": 64,
    "pad_token_id": 0,
    "bos_token_id": 1,
    "eos_token_id": 2,
}
DEEPSEEK: dict[str, Any] = {
    "q_lora_rank": 16,
    "kv_lora_rank": 8,
    "qk_nope_head_dim": 8,
    "qk_rope_head_dim": 4,
    "v_head_dim": 8,
    "num_key_value_heads": 4,
    "n_routed_experts": 4,
    "n_shared_experts": 1,
    "moe_intermediate_size": 24,
    "first_k_dense_replace": 1,
    "num_experts_per_tok": 2,
    "n_group": 1,
    "topk_group": 1,
    "topk_method": "greedy",
}
NO_GROUPS = {k: v for k, v in BASE.items() if k != "num_key_value_heads"}
FALCON = {k: v for k, v in NO_GROUPS.items() if k != "intermediate_size"}

# name of the list: (config class, model class, settings, GGUF architecture)
ARCHITECTURES: dict[str, tuple[str, str, dict[str, Any], str]] = {
    "llama": ("LlamaConfig", "LlamaForCausalLM", BASE | {"attention_bias": True}, "llama"),
    "mistral": ("MistralConfig", "MistralForCausalLM", BASE | {"head_dim": 8}, "llama"),
    "mixtral": ("MixtralConfig", "MixtralForCausalLM", BASE | {"num_local_experts": 4}, "llama"),
    "qwen2": ("Qwen2Config", "Qwen2ForCausalLM", BASE, "qwen2"),
    "qwen2_moe": (
        "Qwen2MoeConfig",
        "Qwen2MoeForCausalLM",
        BASE
        | {
            "num_experts": 4,
            "num_experts_per_tok": 2,
            "moe_intermediate_size": 24,
            "shared_expert_intermediate_size": 40,
        },
        "qwen2moe",
    ),
    "qwen3": ("Qwen3Config", "Qwen3ForCausalLM", BASE | {"head_dim": 16}, "qwen3"),
    "qwen3_moe": (
        "Qwen3MoeConfig",
        "Qwen3MoeForCausalLM",
        BASE
        | {
            "head_dim": 16,
            "num_experts": 4,
            "num_experts_per_tok": 2,
            "moe_intermediate_size": 24,
        },
        "qwen3moe",
    ),
    "gemma": ("GemmaConfig", "GemmaForCausalLM", BASE | {"head_dim": 16}, "gemma"),
    "gemma2": ("Gemma2Config", "Gemma2ForCausalLM", BASE | {"head_dim": 16}, "gemma2"),
    "gemma3_text": ("Gemma3TextConfig", "Gemma3ForCausalLM", BASE | {"head_dim": 16}, "gemma3"),
    "gemma3": (
        "Gemma3Config",
        "Gemma3ForConditionalGeneration",
        {
            "text_config": BASE | {"head_dim": 16},
            "vision_config": {
                "hidden_size": 16,
                "intermediate_size": 16,
                "num_hidden_layers": 1,
                "num_attention_heads": 2,
                "image_size": 16,
                "patch_size": 4,
            },
            "mm_tokens_per_image": 4,
        },
        "gemma3",
    ),
    "phi3": ("Phi3Config", "Phi3ForCausalLM", BASE, "phi3"),
    "gpt2": (
        "GPT2Config",
        "GPT2LMHeadModel",
        {"vocab_size": 96, "n_embd": 32, "n_layer": 2, "n_head": 4, "n_positions": 64},
        "gpt2",
    ),
    "gpt_neox": ("GPTNeoXConfig", "GPTNeoXForCausalLM", NO_GROUPS, "gptneox"),
    "falcon_classic": (
        "FalconConfig",
        "FalconForCausalLM",
        FALCON | {"multi_query": False, "alibi": True, "parallel_attn": False, "bias": True},
        "falcon",
    ),
    "falcon_multi_query": (
        "FalconConfig",
        "FalconForCausalLM",
        FALCON | {"multi_query": True},
        "falcon",
    ),
    "falcon_grouped": (
        "FalconConfig",
        "FalconForCausalLM",
        FALCON | {"new_decoder_architecture": True, "num_kv_heads": 2},
        "falcon",
    ),
    "bert": ("BertConfig", "BertModel", NO_GROUPS, "bert"),
    "bert_mlm": ("BertConfig", "BertForPreTraining", NO_GROUPS, "bert"),
    "deepseek_v2": ("DeepseekV2Config", "DeepseekV2ForCausalLM", BASE | DEEPSEEK, "deepseek2"),
    "deepseek_v2_lite": (
        "DeepseekV2Config",
        "DeepseekV2ForCausalLM",
        BASE | DEEPSEEK | {"q_lora_rank": None},
        "deepseek2",
    ),
    "deepseek_v3": ("DeepseekV3Config", "DeepseekV3ForCausalLM", BASE | DEEPSEEK, "deepseek2"),
    "gpt_oss": (
        "GptOssConfig",
        "GptOssForCausalLM",
        BASE | {"head_dim": 16, "num_local_experts": 4, "num_experts_per_tok": 2},
        "gpt-oss",
    ),
}

SHAPE_KEYS = {
    "layers": ("num_hidden_layers", "n_layer"),
    "hidden": ("hidden_size", "n_embd"),
    "heads": ("num_attention_heads", "n_head"),
    "kv_heads": ("num_key_value_heads", "num_kv_heads"),
    "head_dim": ("head_dim",),
    "feed_forward": ("intermediate_size", "n_inner", "ffn_hidden_size"),
    "experts": ("num_local_experts", "num_experts", "n_routed_experts"),
    "vocabulary": ("vocab_size",),
}
DIMS = tuple[int, ...]


def saved_tensors(model: torch.nn.Module) -> tuple[dict[str, DIMS], dict[str, Any]]:
    """Names and shapes in the saved file, and its config."""
    with tempfile.TemporaryDirectory() as folder:
        model.save_pretrained(folder)
        config = json.loads((Path(folder) / "config.json").read_text())
        with safe_open(Path(folder) / "model.safetensors", "pt") as file:
            names = {name: tuple(file.get_slice(name).get_shape()) for name in file.keys()}
    return names, config


def shape_line(config: dict[str, Any]) -> str:
    """The numbers of `hyperparameters`, with the same defaults as weir's readers."""
    config = config | config.get("text_config", {}) | {"model_type": config["model_type"]}
    numbers: dict[str, int] = {}
    for key, spellings in SHAPE_KEYS.items():
        found = [config[s] for s in spellings if config.get(s) is not None]
        numbers[key] = found[0] if found else 0
    numbers["kv_heads"] = numbers["kv_heads"] or numbers["heads"]
    numbers["head_dim"] = numbers["head_dim"] or numbers["hidden"] // numbers["heads"]
    numbers["new_decoder"] = int(config.get("new_decoder_architecture", False))
    numbers["multi_query"] = int(config.get("multi_query", False))
    if config["model_type"] == "falcon" and not numbers["new_decoder"]:
        numbers["kv_heads"] = 1 if numbers["multi_query"] else numbers["heads"]
    tied = config.get("tie_word_embeddings")
    numbers["tied"] = 0 if tied is None else 1 + int(tied)
    return "shape " + " ".join(f"{k} {v}" for k, v in numbers.items())


def converter_names(name: str) -> list[str]:
    """The names that llama.cpp's converter looks up for one saved tensor."""
    name = name.removeprefix("bert.").replace("language_model.model.", "model.")
    name = name.replace("model.language_model.", "model.").removeprefix("language_model.")
    name = re.sub(r"block_sparse_moe\.experts\.\d+\.", "block_sparse_moe.experts.", name)
    mixtral = re.fullmatch(r"model\.layers\.(\d+)\.block_sparse_moe\.experts\.(w\d)\.weight", name)
    if mixtral:
        return [f"layers.{mixtral[1]}.feed_forward.experts.{mixtral[2]}.weight"]
    name = re.sub(r"mlp\.experts\.\d+\.", "mlp.experts.", name)
    if name.endswith("kv_b_proj.weight"):
        return [name.replace("kv_b_proj", "k_b_proj"), name.replace("kv_b_proj", "v_b_proj")]
    if "experts.gate_up_proj" in name:
        suffix = "bias" if name.endswith("_bias") else "weight"
        head = name.split("gate_up_proj")[0]
        return [f"{head}gate_proj.{suffix}", f"{head}up_proj.{suffix}"]
    if re.search(r"experts\.down_proj(_bias)?$", name):
        return [name.replace("_bias", ".bias") if "_bias" in name else name + ".weight"]
    return [name + ".weight" if name.endswith("sinks") else name]


def converter_dims(name: str, target: str, dims: DIMS, config: dict[str, Any]) -> DIMS:
    """The shape that the converter writes, outermost first."""
    experts = next((config[k] for k in SHAPE_KEYS["experts"] if config.get(k)), 0)
    if re.search(r"experts\.\d+\.", name):
        return (experts, *dims)
    if target.endswith(("attn_k_b.weight", "attn_v_b.weight")):
        heads, lora = config["num_attention_heads"], dims[1]
        if target.endswith("k_b.weight"):
            return (heads, lora, config["qk_nope_head_dim"])
        return (heads, config["v_head_dim"], lora)
    if "experts.gate_up_proj_bias" in name:
        return (dims[0], dims[1] // 2)
    if "experts.gate_up_proj" in name:
        return (dims[0], dims[2] // 2, dims[1])
    if name.endswith("experts.down_proj"):
        return (dims[0], dims[2], dims[1])
    if re.search(r"\.(c_attn|c_proj|c_fc)\.weight$", name):
        return dims[::-1]
    return dims


def gguf_lines(names: dict[str, DIMS], config: dict[str, Any], arch: str) -> list[str]:
    config = config | config.get("text_config", {})
    number = {v: k for k, v in gguf.MODEL_ARCH_NAMES.items()}[arch]
    table = gguf.get_tensor_name_map(number, config.get("num_hidden_layers", config.get("n_layer")))
    made: dict[str, tuple[DIMS, list[str]]] = {}
    dropped: list[str] = []
    for name, dims in names.items():
        targets = [
            table.get_name(n, try_suffixes=(".weight", ".bias")) for n in converter_names(name)
        ]
        if targets == [None] and name.endswith("e_score_correction_bias"):
            key = name.replace("e_score_correction_bias", "e_score_correction.bias")
            targets = [table.get_name(key, try_suffixes=(".weight", ".bias"))]
        if None in targets:
            dropped.append(name)
            continue
        for target in targets:
            shape = converter_dims(name, target, dims, config)
            made.setdefault(target, (shape, []))[1].append(name)
    lines = [
        f"gguf {target} {','.join(map(str, dims))} < {' '.join(sources)}"
        for target, (dims, sources) in made.items()
    ]
    return lines + [f"unmapped {name}" for name in dropped]


def main() -> None:
    OUT.mkdir(parents=True, exist_ok=True)
    for label, (config_class, model_class, settings, arch) in ARCHITECTURES.items():
        torch.manual_seed(0)
        config = getattr(transformers, config_class)(**settings)
        names, saved = saved_tensors(getattr(transformers, model_class)(config))
        lines = [
            "# Made by tools/make_name_lists.py; do not edit.",
            f"family {saved['model_type']}",
            f"gguf_family {arch}",
            shape_line(saved),
            *(f"hf {name} {','.join(map(str, dims))}" for name, dims in names.items()),
            *gguf_lines(names, saved, arch),
        ]
        (OUT / f"{label}.txt").write_text("\n".join(lines) + "\n")
        print(label, len(names))


if __name__ == "__main__":
    main()
