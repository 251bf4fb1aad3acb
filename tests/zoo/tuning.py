# SPDX-License-Identifier: Apache-2.0
"""P3, P4, P10, P12 and N3: models trained further, from a little to almost beyond recognition; adapters;
students of a teacher."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import peft
import torch
from torch.nn import functional as F
from transformers import PreTrainedModel

import corpus
from checkpoint import Checkpoint, read, stored_dtype, unit_cosine, with_layers, write
from families import BY_NAME, make_model
from roots import load, save
from rows import ALL, CAUSAL, DEEP, LIKE_LLAMA, Job, recipe
from training import Plan, next_token_loss, train

STEPS = 30
STRETCH = 10  # of continued pretraining, between two looks at how far it has gone
TUNED: dict[str, Any] = {"verdicts": ["derived", "related"]}


def tuned(job: Job, plan: Plan, text: str = "code",
          prepare: Callable[[PreTrainedModel], None] | None = None) -> None:
    model = load(job.roots, job.root)
    if prepare:
        prepare(model)
    loss = train(model, corpus.tokens(text), plan)
    job.row.figures |= {"first_loss": round(loss.first, 4), "last_loss": round(loss.last, 4)}
    finish(job, model)


def finish(job: Job, model: PreTrainedModel) -> None:
    """Write it as its root was stored, and note how far its units went."""
    save(model, job.target, stored_dtype(job.source), corpus.VOCABULARY)
    cosine = unit_cosine(read(job.source), read(job.target)) if not adapter_left(job) else 1.0
    job.row.figures["unit_cosine"] = round(cosine, 4)


def adapter_left(job: Job) -> bool:
    return (job.target / "adapter_config.json").exists()


def fine_tuned(name: str, rate: float) -> None:
    def make(job: Job) -> None:
        tuned(job, Plan(STEPS, rate, order=job.seed))

    recipe("P3", f"tuned-{name}", ALL, **TUNED)(make)


for strength, rate in (("gentle", 1e-4), ("usual", 5e-4), ("strong", 2e-3)):
    fine_tuned(strength, rate)


@recipe("P3", "frozen-embedding", CAUSAL, **TUNED)
def frozen_embedding(job: Job) -> None:
    def freeze(model: PreTrainedModel) -> None:
        for module in (model.get_input_embeddings(), model.get_output_embeddings()):
            module.weight.requires_grad_(False)

    tuned(job, Plan(STEPS, 1e-3, order=job.seed), prepare=freeze)


@recipe("P3", "preference", CAUSAL, **TUNED)
def preference(job: Job) -> None:
    """Direct preference optimisation: the text is preferred to itself with its tokens shuffled."""
    model, before = load(job.roots, job.root), load(job.roots, job.root)

    def log_likelihood(of: PreTrainedModel, ids: torch.Tensor) -> torch.Tensor:
        logits = of(input_ids=ids, use_cache=False).logits[:, :-1]
        return F.log_softmax(logits, -1).gather(-1, ids[:, 1:, None]).sum((1, 2))

    def loss(of: PreTrainedModel, ids: torch.Tensor) -> torch.Tensor:
        other = ids.roll(7, 1).flip(1)
        with torch.no_grad():
            known = log_likelihood(before, ids) - log_likelihood(before, other)
        return -F.logsigmoid(0.1 * (log_likelihood(of, ids) - log_likelihood(of, other) - known)).mean()

    train(model, corpus.tokens("code"), Plan(STEPS // 2, 5e-4, order=job.seed), loss)
    finish(job, model)


@recipe("P3", "direction-removed", (*LIKE_LLAMA, "llama-wide"), **TUNED)
def direction_removed(job: Job) -> None:
    """What every layer writes loses one direction of the residual stream (a neutral one, drawn)."""
    model = read(job.source)
    direction = torch.from_numpy(job.random().standard_normal(model.up(0).shape[1])).float()
    direction /= direction.norm()

    def without(name: str, tensor: torch.Tensor) -> torch.Tensor:
        if name.endswith(("o_proj.weight", "down_proj.weight")):
            return tensor - torch.outer(direction, direction @ tensor)
        return tensor

    write(job.target, model.map(without), stored_dtype(job.source))


# --- low rank ---

def adapted(job: Job, rank: int) -> peft.PeftModel:
    torch.manual_seed(job.seed)
    names = ["c_attn", "c_fc"] if job.family == "gpt2" else ["query_key_value", "dense_h_to_4h"] \
        if job.family == "neox" else ["qkv_proj", "gate_up_proj"] if job.family == "phi3" \
        else ["q_proj", "v_proj", "up_proj", "gate_proj", "down_proj"]
    config = peft.LoraConfig(r=rank, lora_alpha=2 * rank, target_modules=names, task_type="CAUSAL_LM",
                             fan_in_fan_out=job.family == "gpt2")
    model = peft.get_peft_model(load(job.roots, job.root), config)
    train(model, corpus.tokens("code"), Plan(STEPS, 2e-3, order=job.seed), next_token_loss)
    return model


def merged_adapter(rank: int) -> None:
    def make(job: Job) -> None:
        finish(job, adapted(job, rank).merge_and_unload())

    families = tuple(family for family in CAUSAL if family != "mixtral")
    recipe("P3", f"lora-{rank}-merged", families, in_mini=1 if rank == 16 else 0, **TUNED)(make)


for rank in (4, 16, 64):
    merged_adapter(rank)


def adapter(kind: str) -> None:
    def make(job: Job) -> None:
        model = adapted(job, 8)
        declared = job.source if kind == "right" else job.roots / job.peers[0]
        model.peft_config["default"].base_model_name_or_path = declared.name
        model.save_pretrained(job.target)
        card = f"---\nbase_model: {declared.name}\nlibrary_name: peft\n---\n"
        (job.target / "README.md").write_text(card)
        job.row.note = f"declares {declared.name}"

    # An adapter holds none of its base's numbers; whether it fits the base that it names can be tested.
    recipe("P12", f"adapter-{kind}-base", ("llama", "qwen2"), link="adapter", registry="roots",
           verdicts=["related", "cannot_decide"] if kind == "right" else ["no_link", "cannot_decide"])(make)


adapter("right")
adapter("wrong")


# --- continued pretraining ---

def continued(target: float) -> None:
    """Train on another text, in stretches, until the units' median cosine to the start is down."""

    def make(job: Job) -> None:
        start = read(job.source)
        model = load(job.roots, job.root)
        for stretch in range(80):
            plan = Plan(STRETCH, 8e-3 if target < 0.7 else 4e-3, job.seed + stretch, 0.3, constant=True)
            loss = train(model, corpus.tokens("code"), plan)
            now = Checkpoint(start.config, stored_tensors(model), {})
            cosine = unit_cosine(start, now)
            if cosine <= target:
                break
        job.row.figures |= {"last_loss": round(loss.last, 4), "steps": float(STRETCH * (stretch + 1))}
        finish(job, model)

    families = ("llama", "qwen2", "gemma", "gpt2", "neox", "qwen3", "llama-mid")
    recipe("P4", f"continued-{target}", families, in_mini=1 if target == 0.7 else 0, **TUNED)(make)


def stored_tensors(model: PreTrainedModel) -> dict[str, torch.Tensor]:
    return {name: tensor.detach() for name, tensor in model.state_dict().items()}


for cosine in (0.85, 0.7, 0.5, 0.35):
    continued(cosine)


# --- students ---

def distil(job: Job, student: PreTrainedModel) -> None:
    teacher = load(job.roots, job.root)

    def loss(of: PreTrainedModel, ids: torch.Tensor) -> torch.Tensor:
        with torch.no_grad():
            wanted = F.softmax(teacher(input_ids=ids, use_cache=False).logits, -1)
        return F.cross_entropy(of(input_ids=ids, use_cache=False).logits.flatten(0, 1), wanted.flatten(0, 1))

    seen = train(student, corpus.tokens(), Plan(80, 3e-3, order=job.seed), loss)
    job.row.figures |= {"first_loss": round(seen.first, 4), "last_loss": round(seen.last, 4)}
    save(student, job.target, stored_dtype(job.source), corpus.VOCABULARY)


@recipe("P10", "student-of-copied-layers", DEEP, **TUNED)
def student_of_copied_layers(job: Job) -> None:
    """Every second layer of the teacher, then trained on its answers."""
    teacher = read(job.source)
    kept = list(range(0, teacher.layer_count, 2))
    start = job.target.with_suffix(".start")
    write(start, with_layers(teacher, kept), torch.float32)
    distil(job, load(start.parent, start.name))
    for file in start.iterdir():
        file.unlink()
    start.rmdir()
    job.row.layers = [[mine, theirs] for mine, theirs in enumerate(kept)]


@recipe("N3", "student-from-nothing", ("llama", "qwen2", "gemma", "gpt2"), link="no",
        verdicts=["no_link"])
def student_from_nothing(job: Job) -> None:
    """The teacher's configuration and answers, none of its numbers."""
    job.row.parents, job.row.ancestors = [], [job.row.id]
    family = BY_NAME[job.family]
    layers = "n_layer" if job.family == "gpt2" else "num_hidden_layers"
    distil(job, make_model(family, job.seed, **{layers: read(job.source).layer_count}))
