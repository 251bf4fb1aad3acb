# SPDX-License-Identifier: Apache-2.0
"""Group 8: all weights trained further. Which objective did it cannot be read from them."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch.nn import functional as F
from transformers import PreTrainedModel

from changes.cases import Job, Values, change, layer
from changes.edits import roles_of
from changes.further import difference, further, loaded, relative_size, text_tokens
from checkpoint import Checkpoint
from training import Plan, train

FAMILIES = ("llama", "llama-wide", "qwen2", "smol", "llama-mid", "qwen3", "gemma", "gpt2", "mixtral", "phi3")
STEPS = 24
Prepare = Callable[[PreTrainedModel], None]


def trained_on(base: Checkpoint, plan: Plan, text: str = "code", prepare: Prepare | None = None,
               part: tuple[int, int] = (0, 1)) -> Checkpoint:
    """`part` (which, of how many) keeps several models of one root apart in what they see."""
    tokens = text_tokens(base, text)
    which, count = part
    piece = tokens[which * len(tokens) // count:(which + 1) * len(tokens) // count]

    def change_model(model: PreTrainedModel) -> PreTrainedModel:
        if prepare:
            prepare(model)
        train(model, piece, plan)
        return model.float()

    return further(base, change_model)


def tell(job: Job, base: Checkpoint, model: Checkpoint, *others: str) -> Checkpoint:
    deltas = difference(base, model)
    job.truth(layer("full_rank", *others, modules=roles_of(list(deltas))), trained=True)
    job.case.figures["size"] = round(relative_size(base, deltas), 5)
    return model


@change(8, "tuned", FAMILIES, each=5, in_mini=1,
        rate=Values((3e-4, 1e-4, 1e-3, 2e-3), (5e-5, 1.5e-4, 2e-4, 5e-4, 7e-4, 1.5e-3)))
def tuned(job: Job, rate: float) -> Checkpoint:
    base = job.base()
    return tell(job, base, trained_on(base, Plan(STEPS, rate, order=job.seed)))


@change(8, "tuned-in-bf16", ("llama", "llama-wide", "qwen2"), each=2, rate=Values((3e-4, 1e-3), (5e-4, 7e-4, 2e-3)))
def tuned_in_bf16(job: Job, rate: float) -> Checkpoint:
    """Weights and the optimiser's steps in bfloat16: small steps are lost."""
    base = job.base()
    model = trained_on(base, Plan(STEPS, rate, order=job.seed), prepare=lambda m: m.bfloat16())
    return tell(job, base, model)


@change(8, "continued", ("llama", "qwen2", "llama-mid", "llama-wide", "gpt2"), in_mini=1,
        rate=Values((1e-3, 3e-3), (8e-4, 1.5e-3, 2e-3)), decay=Values((0.1, 0.3), (0.05, 0.2, 0.4)))
def continued(job: Job, rate: float, decay: float) -> Checkpoint:
    """Long, at a constant rate, on another text, weights decaying."""
    base = job.base()
    return tell(job, base, trained_on(base, Plan(120, rate, job.seed, decay, constant=True)))


@change(8, "preference", FAMILIES, each=1, rate=Values((3e-4, 1e-3), (2e-4, 5e-4, 7e-4)))
def preference(job: Job, rate: float) -> Checkpoint:
    """Direct preference optimisation: the text is preferred to itself with its tokens shuffled."""
    base = job.base()
    before = loaded(base)

    def log_likelihood(of: PreTrainedModel, ids: torch.Tensor) -> torch.Tensor:
        logits = of(input_ids=ids, use_cache=False).logits[:, :-1]
        return F.log_softmax(logits, -1).gather(-1, ids[:, 1:, None]).sum((1, 2))

    def loss(of: PreTrainedModel, ids: torch.Tensor) -> torch.Tensor:
        other = ids.roll(7, 1).flip(1)
        with torch.no_grad():
            known = log_likelihood(before, ids) - log_likelihood(before, other)
        return -F.logsigmoid(0.1 * (log_likelihood(of, ids) - log_likelihood(of, other) - known)).mean()

    def change_model(model: PreTrainedModel) -> PreTrainedModel:
        train(model, text_tokens(base, "code"), Plan(STEPS // 2, rate, order=job.seed), loss)
        return model

    return tell(job, base, further(base, change_model))


def frozen_embeddings(model: PreTrainedModel) -> None:
    for module in (model.get_input_embeddings(), model.get_output_embeddings()):
        module.weight.requires_grad_(False)


def norms_alone(model: PreTrainedModel) -> None:
    for name, parameter in model.named_parameters():
        parameter.requires_grad_("norm" in name or "ln_" in name)


@change(8, "frozen-embeddings", FAMILIES, each=4, rate=Values((5e-4,), (3e-4, 1e-3)))
def with_frozen_embeddings(job: Job, rate: float) -> Checkpoint:
    base = job.base()
    return tell(job, base, trained_on(base, Plan(STEPS, rate, order=job.seed), prepare=frozen_embeddings))


@change(8, "norms-alone", FAMILIES, each=4, in_mini=1, rate=Values((2e-3,), (1e-3, 3e-3)))
def with_norms_alone(job: Job, rate: float) -> Checkpoint:
    """No matrix changes: where the change is says all that is to be said."""
    base = job.base()
    model = trained_on(base, Plan(STEPS, rate, order=job.seed), prepare=norms_alone)
    job.truth(layer("partial", "full_rank"), trained=True)
    return model
