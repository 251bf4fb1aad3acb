# SPDX-License-Identifier: Apache-2.0
"""Training a checkpoint further, and how far a change has gone."""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from pathlib import Path

import torch
import transformers
from transformers import PreTrainedModel

import corpus
from changes.real_slice import real_tokens
from checkpoint import Checkpoint, read, write
from training import batches


def text_tokens(model: Checkpoint, text: str) -> torch.Tensor:
    """A text in the tokens of the model."""
    if int(model.config["vocab_size"]) == corpus.VOCABULARY:
        return corpus.tokens(text)
    return real_tokens(model, text)


def loaded(model: Checkpoint) -> PreTrainedModel:
    """Ready to be trained, as float32."""
    with tempfile.TemporaryDirectory() as folder:
        write(Path(folder) / "model", model, torch.float32)
        return transformers.AutoModelForCausalLM.from_pretrained(  # type: ignore[no-any-return]
            Path(folder) / "model", dtype=torch.float32)


def as_checkpoint(trained: PreTrainedModel, like: Checkpoint) -> Checkpoint:
    """Under the names in which transformers stores it."""
    with tempfile.TemporaryDirectory() as folder:
        trained.save_pretrained(folder)
        tensors = read(Path(folder)).tensors
    return Checkpoint(dict(like.config), tensors, dict(like.tokenizer))


def further(model: Checkpoint, change: Callable[[PreTrainedModel], PreTrainedModel]) -> Checkpoint:
    torch.manual_seed(0)
    return as_checkpoint(change(loaded(model)), model)


def inputs_of_linears(model: Checkpoint) -> dict[str, torch.Tensor]:
    """What every linear layer is fed on a little of both texts, [tokens, inputs]."""
    built = loaded(model).eval()
    seen: dict[str, list[torch.Tensor]] = {}

    def watch(name: str) -> Callable[..., None]:
        return lambda module, arguments, _: seen.setdefault(name, []).append(arguments[0].flatten(0, -2))

    for name, module in built.named_modules():
        if isinstance(module, torch.nn.Linear):
            module.register_forward_hook(watch(name))
    with torch.no_grad():
        for text in ("prose", "code"):
            for ids in batches(text_tokens(model, text), 2, order=11):
                built(input_ids=ids, use_cache=False)
    return {name: torch.cat(parts) for name, parts in seen.items()}


def difference(base: Checkpoint, model: Checkpoint) -> dict[str, torch.Tensor]:
    """Of the tensors that changed."""
    found = {name: model.tensors[name] - tensor for name, tensor in base.tensors.items()
             if name in model.tensors and model.tensors[name].shape == tensor.shape}
    return {name: delta for name, delta in found.items() if bool((delta != 0).any())}


def relative_size(base: Checkpoint, deltas: dict[str, torch.Tensor]) -> float:
    """Norm of the change over the norm of what changed, matrices alone if there are any."""
    names = [name for name in deltas if deltas[name].ndim > 1] or list(deltas)
    moved = sum(float(deltas[name].double().square().sum()) for name in names)
    whole = sum(float(base.tensors[name].double().square().sum()) for name in names)
    return (moved / whole) ** 0.5 if whole else 0.0


def scaled_change(base: Checkpoint, model: Checkpoint, size: float) -> Checkpoint:
    """The same change, as large as `size` of what it changes."""
    deltas = difference(base, model)
    factor = size / relative_size(base, deltas)
    result = base.copy()
    for name, delta in deltas.items():
        result.tensors[name] = base.tensors[name] + factor * delta
    return result


def rounded(model: Checkpoint, dtype: torch.dtype) -> Checkpoint:
    """As the next tool in a chain reads it back from its file."""
    return model.map(lambda _, tensor: tensor.to(dtype).float() if tensor.is_floating_point() else tensor)
