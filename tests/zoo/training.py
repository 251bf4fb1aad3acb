# SPDX-License-Identifier: Apache-2.0
"""Training, as short as it can be and still be training: AdamW, a warm-up, a cosine, next tokens."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass

import torch
from torch.nn import functional as F
from transformers import PreTrainedModel

ROWS, LENGTH = 8, 48  # of a batch


@dataclass(frozen=True)
class Plan:
    steps: int
    rate: float
    order: int = 0  # seed of the order in which the text is seen
    decay: float = 0.01
    constant: bool = False  # no cosine: the rate stays


@dataclass(frozen=True)
class Loss:
    first: float
    last: float  # mean of the last ten


def batches(tokens: torch.Tensor, steps: int, order: int) -> Iterable[torch.Tensor]:
    random = torch.Generator().manual_seed(order)
    for _ in range(steps):
        starts = torch.randint(len(tokens) - LENGTH, (ROWS,), generator=random)
        yield torch.stack([tokens[start:start + LENGTH] for start in starts.tolist()])


def next_token_loss(model: PreTrainedModel, ids: torch.Tensor) -> torch.Tensor:
    logits = model(input_ids=ids, use_cache=False).logits
    return F.cross_entropy(logits[:, :-1].flatten(0, 1), ids[:, 1:].flatten())


def masked_loss(model: PreTrainedModel, ids: torch.Tensor) -> torch.Tensor:
    """Every sixth token, beginning where the batch's first number says, is hidden and asked for."""
    hidden = (torch.arange(ids.numel()).reshape(ids.shape) + int(ids[0, 0])) % 6 == 0
    logits = model(input_ids=ids.masked_fill(hidden, 0)).logits
    return F.cross_entropy(logits[hidden], ids[hidden])


def loss_of(model: PreTrainedModel) -> Callable[[PreTrainedModel, torch.Tensor], torch.Tensor]:
    return masked_loss if model.config.model_type == "bert" else next_token_loss


def rate_at(plan: Plan, step: int) -> float:
    warm = min(1.0, (step + 1) / max(1, plan.steps // 20))
    return plan.rate * warm * (1.0 if plan.constant else
                               0.55 + 0.45 * math.cos(math.pi * step / plan.steps))


def train(model: PreTrainedModel, tokens: torch.Tensor, plan: Plan,
          loss: Callable[[PreTrainedModel, torch.Tensor], torch.Tensor] | None = None) -> Loss:
    """Change the parameters that ask for a gradient; returns how the loss went."""
    loss = loss or loss_of(model)
    trained = [p for p in model.parameters() if p.requires_grad]
    optimizer = torch.optim.AdamW(trained, lr=plan.rate, weight_decay=plan.decay, betas=(0.9, 0.95))
    seen = []
    model.train()
    for step, ids in enumerate(batches(tokens, plan.steps, plan.order)):
        for group in optimizer.param_groups:
            group["lr"] = rate_at(plan, step)
        value = loss(model, ids)
        optimizer.zero_grad(set_to_none=True)
        value.backward()
        torch.nn.utils.clip_grad_norm_(trained, 1.0)
        optimizer.step()
        seen.append(value.item())
    model.eval()
    return Loss(seen[0], sum(seen[-10:]) / len(seen[-10:]))
