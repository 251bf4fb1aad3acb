# SPDX-License-Identifier: Apache-2.0
"""P5, P6 and P8: vocabularies, depths, widths and experts changed by hand."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import torch

from checkpoint import Checkpoint, read, stored_dtype, with_layers, write
from rows import ALL, DEEP, LIKE_LLAMA, SPLIT, Job, recipe

FOUND: dict[str, Any] = {"verdicts": ["derived", "related"]}
MATRICES = ("_proj.weight", "c_fc.weight", "c_proj.weight", "c_attn.weight", "dense_h_to_4h.weight",
            "dense_4h_to_h.weight", "intermediate.dense.weight")


def save(job: Job, model: Checkpoint) -> None:
    write(job.target, model, stored_dtype(job.source))


# --- vocabularies ---

def embeddings(model: Checkpoint) -> list[str]:
    return [name for name in model.tensors if name.endswith(
        ("embed_tokens.weight", "lm_head.weight", "wte.weight", "embed_in.weight", "embed_out.weight"))]


def change_rows(model: Checkpoint, change: Callable[[torch.Tensor], torch.Tensor]) -> None:
    for name in embeddings(model):
        model.tensors[name] = change(model.tensors[name]).contiguous()
    model.config["vocab_size"] = len(model.tensors[embeddings(model)[0]])


def change_strings(model: Checkpoint, change: Callable[[dict[str, int]], dict[str, int]]) -> None:
    """The tokenizer's strings and their numbers; merges whose result is gone go too."""
    whole = json.loads(model.tokenizer["tokenizer.json"])
    inner = whole["model"]
    inner["vocab"] = change(inner["vocab"])
    pairs = [pair if isinstance(pair, list) else pair.split(" ") for pair in inner["merges"]]
    inner["merges"] = [pair for pair in pairs if "".join(pair) in inner["vocab"]]
    for added in whole["added_tokens"]:
        added["id"] = inner["vocab"].get(added["content"], added["id"])
    model.tokenizer["tokenizer.json"] = json.dumps(whole, ensure_ascii=False)


@recipe("P5", "vocabulary-extended", (*SPLIT, "gpt2"), **FOUND)
def vocabulary_extended(job: Job) -> None:
    """64 rows more, each the mean of the others and a little noise, as resizing does."""
    model = read(job.source)
    random = torch.Generator().manual_seed(job.seed)

    def longer(rows: torch.Tensor) -> torch.Tensor:
        noise = 0.01 * rows.std() * torch.randn(64, rows.shape[1], generator=random)
        return torch.cat([rows, rows.mean(0) + noise])

    change_rows(model, longer)
    change_strings(model, lambda old: old | {f"<|extra_{i}|>": len(old) + i for i in range(64)})
    save(job, model)


@recipe("P5", "vocabulary-trimmed", (*SPLIT, "gpt2"), **FOUND)
def vocabulary_trimmed(job: Job) -> None:
    model = read(job.source)
    kept = 768
    change_rows(model, lambda rows: rows[:kept])
    change_strings(model, lambda old: {token: i for token, i in old.items() if i < kept})
    save(job, model)


@recipe("P5", "vocabulary-reordered", (*SPLIT, "gpt2"), **FOUND)
def vocabulary_reordered(job: Job) -> None:
    model = read(job.source)
    size = int(model.config["vocab_size"])
    order = torch.from_numpy(job.random().permutation(size))  # new row i is old row order[i]
    place = {int(old): new for new, old in enumerate(order)}
    change_rows(model, lambda rows: rows[order])
    change_strings(model, lambda old: {token: place[i] for token, i in old.items()})
    save(job, model)


@recipe("P5", "vocabulary-rebuilt", (*SPLIT, "gpt2"), **FOUND)
def vocabulary_rebuilt(job: Job) -> None:
    """Half of the tokens are replaced by new ones with rows of their own."""
    model = read(job.source)
    random = job.random()
    size = int(model.config["vocab_size"])
    new = torch.from_numpy(random.choice(size, size // 2, replace=False))
    generator = torch.Generator().manual_seed(job.seed)

    def replaced(rows: torch.Tensor) -> torch.Tensor:
        rows = rows.clone()
        rows[new] = rows.std() * torch.randn(len(new), rows.shape[1], generator=generator)
        return rows

    renamed = set(new.tolist())
    change_rows(model, replaced)
    change_strings(model, lambda old: {f"~{token}" if i in renamed else token: i
                                       for token, i in old.items()})
    save(job, model)


@recipe("P5", "head-tied", ("llama", "qwen2"), **FOUND)
def head_tied(job: Job) -> None:
    model = read(job.source)
    del model.tensors["lm_head.weight"]
    model.config["tie_word_embeddings"] = True
    save(job, model)


@recipe("P5", "head-untied", ("llama-mid", "qwen3", "gemma"), **FOUND)
def head_untied(job: Job) -> None:
    model = read(job.source)
    model.tensors["lm_head.weight"] = model.tensors["model.embed_tokens.weight"].clone()
    model.config["tie_word_embeddings"] = False
    save(job, model)


# --- depth ---

def reordered(kind: str, order: Callable[[int, Job], list[int]]) -> None:
    def make(job: Job) -> None:
        model = read(job.source)
        wanted = order(model.layer_count, job)
        job.row.layers = [[mine, theirs] for mine, theirs in enumerate(wanted)]
        save(job, with_layers(model, wanted))

    recipe("P6", kind, (*DEEP, "neox", "phi3", "bert"), **FOUND)(make)


def shuffled(count: int, job: Job) -> list[int]:
    return [(i + 1) % count for i in range(count)] if count == 2 else \
        [int(i) for i in job.random().permutation(count)]


def upscaled(count: int, job: Job) -> list[int]:
    """All but the last layer, then all but the first; of two layers, both twice."""
    return [0, 1, 0, 1] if count == 2 else [*range(count - 1), *range(1, count)]


reordered("depth-pruned", lambda count, job: [i for i in range(count) if i != count // 2])
reordered("depth-upscaled", upscaled)
reordered("layers-shuffled", shuffled)


# --- width and sparsity ---

def keep_units(model: Checkpoint, kept: Callable[[torch.Tensor], torch.Tensor]) -> None:
    """In every feed-forward only the units whose numbers `kept` gives for its up rows."""
    size = 0
    for layer in range(model.layer_count):
        for parts in model.feed_forwards(layer):
            name, axis = parts[0]
            rows = model.tensors[name] if axis == 0 else model.tensors[name].T
            which = kept(rows)
            for part, along in parts:
                model.tensors[part] = model.tensors[part].index_select(along, which).contiguous()
            size = len(which)
    model.config["n_inner" if model.kind == "gpt2" else "intermediate_size"] = size


@recipe("P6", "units-dropped", (*SPLIT, "gpt2", "neox", "bert", "mixtral"), **FOUND)
def units_dropped(job: Job) -> None:
    """The smaller quarter of the units goes; the rest keep their order."""
    model = read(job.source)
    keep_units(model, lambda rows: rows.norm(dim=1).topk(len(rows) * 3 // 4).indices.sort().values)
    save(job, model)


@recipe("P6", "width-dropped", LIKE_LLAMA, pass_two=True, **FOUND)
def width_dropped(job: Job) -> None:
    """A quarter of the residual stream goes, those dimensions that the embedding uses least."""
    model = read(job.source)
    size = model.up(0).shape[1]
    norms = model.tensors["model.embed_tokens.weight"].norm(dim=0)
    kept = norms.topk(size * 3 // 4).indices.sort().values

    def narrower(name: str, tensor: torch.Tensor) -> torch.Tensor:
        if name.endswith(("o_proj.weight", "down_proj.weight")):
            return tensor[kept].contiguous()
        if "q_norm" in name or "k_norm" in name or name.endswith(".bias"):
            return tensor.clone()
        return (tensor[kept] if tensor.ndim == 1 else tensor[:, kept]).contiguous()

    config = model.config
    heads = config.get("head_dim") or size // config["num_attention_heads"]
    model = model.map(narrower)
    model.config |= {"hidden_size": len(kept), "head_dim": heads}
    save(job, model)


@recipe("P6", "sparse-2-of-4", ALL, **FOUND)
def sparse(job: Job) -> None:
    """Of each four numbers of a row the two smaller become zero."""

    def thinned(name: str, tensor: torch.Tensor) -> torch.Tensor:
        if not name.endswith((*MATRICES, "w1.weight", "w2.weight", "w3.weight")):
            return tensor
        four = tensor.reshape(-1, 4)
        largest = four.abs().topk(2, dim=1).indices
        return (four * torch.zeros_like(four).scatter(1, largest, 1.0)).reshape(tensor.shape)

    save(job, read(job.source).map(thinned))


# --- experts and other parts ---

@recipe("P8", "upcycled", ("llama",), **FOUND)
def upcycled(job: Job) -> None:
    """Four experts, each a copy of the dense feed-forward and a little noise, behind a new router."""
    model = read(job.source)
    random = torch.Generator().manual_seed(job.seed)
    names = {"gate_proj": "w1", "up_proj": "w3", "down_proj": "w2"}
    tensors = {}
    for name, tensor in model.tensors.items():
        if ".mlp." not in name:
            tensors[name] = tensor
            continue
        prefix, part = name.split(".mlp.")
        for expert in range(4):
            noise = 0.02 * tensor.std() * torch.randn(tensor.shape, generator=random)
            tensors[f"{prefix}.block_sparse_moe.experts.{expert}.{names[part.split('.')[0]]}.weight"] = \
                tensor + noise
        tensors[f"{prefix}.block_sparse_moe.gate.weight"] = \
            0.02 * torch.randn(4, model.up(0).shape[1], generator=random)
    config = model.config | {"model_type": "mixtral", "architectures": ["MixtralForCausalLM"],
                             "num_local_experts": 4, "num_experts_per_tok": 2}
    job.row.layers = [[i, i] for i in range(model.layer_count)]
    save(job, Checkpoint(config, tensors, model.tokenizer))


@recipe("P8", "expert-into-dense", ("mixtral",), **FOUND)
def expert_into_dense(job: Job) -> None:
    """A dense model whose feed-forward is the mixture's third expert."""
    model = read(job.source)
    names = {"w1": "gate_proj", "w3": "up_proj", "w2": "down_proj"}
    tensors = {}
    for name, tensor in model.tensors.items():
        if ".block_sparse_moe." not in name:
            tensors[name] = tensor
        elif ".experts.2." in name:
            prefix, part = name.split(".block_sparse_moe.experts.2.")
            tensors[f"{prefix}.mlp.{names[part.split('.')[0]]}.weight"] = tensor
    config = model.config | {"model_type": "llama", "architectures": ["LlamaForCausalLM"]}
    save(job, Checkpoint(config, tensors, model.tokenizer))


@recipe("P8", "with-vision", ("llama", "qwen2"), **FOUND)
def with_vision(job: Job) -> None:
    """The language part of a model that also sees; its vision tower is new."""
    model = read(job.source)
    random = torch.Generator().manual_seed(job.seed)
    tensors = {f"language_model.{name}": tensor for name, tensor in model.tensors.items()}
    for layer in range(2):
        prefix = f"vision_tower.vision_model.encoder.layers.{layer}.mlp."
        tensors |= {f"{prefix}fc1.weight": 0.02 * torch.randn(96, 48, generator=random),
                    f"{prefix}fc2.weight": 0.02 * torch.randn(48, 96, generator=random)}
    tensors["multi_modal_projector.linear_1.weight"] = \
        0.02 * torch.randn(model.up(0).shape[1], 48, generator=random)
    config = {"model_type": "llava", "architectures": ["LlavaForConditionalGeneration"],
              "text_config": model.config, "vision_config": {"model_type": "clip_vision_model"},
              "dtype": model.config["dtype"]}
    save(job, Checkpoint(config, tensors, model.tokenizer))
