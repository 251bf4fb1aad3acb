# SPDX-License-Identifier: Apache-2.0
"""The architectures of the zoo, each as a configuration of transformers small enough to train in seconds.

All are byte for byte what transformers writes for the real ones: fused and split projections, Conv1D,
gated and plain feed-forwards, experts, tied and untied heads. Most share one width, so that unrelated
architectures can be compared unit by unit as well.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
import transformers
from transformers import PretrainedConfig, PreTrainedModel

from corpus import VOCABULARY


@dataclass(frozen=True)
class Family:
    """Roots of one configuration; they differ in their seed alone."""

    name: str
    config: Callable[..., PretrainedConfig]
    sizes: dict[str, Any]
    seeds: int
    steps: int = 120
    rate: float = 4e-3
    stored: torch.dtype = torch.float32
    vocabulary: int = VOCABULARY
    text: str = "prose"

    def make_config(self, **changes: Any) -> PretrainedConfig:
        return self.config(**({"vocab_size": self.vocabulary, "bos_token_id": 0, "eos_token_id": 0}
                              | self.sizes | changes))

    @property
    def gated(self) -> bool:
        return self.name.split("-")[0] not in ("gpt2", "neox", "bert")


def gated(layers: int, hidden: int = 64, feed_forward: int = 192, **more: Any) -> dict[str, Any]:
    return {"hidden_size": hidden, "intermediate_size": feed_forward, "num_hidden_layers": layers,
            "num_attention_heads": 4, "num_key_value_heads": 2, "max_position_embeddings": 256,
            "tie_word_embeddings": False} | more


HALF = torch.bfloat16
FAMILIES = (
    Family("llama", transformers.LlamaConfig, gated(4), 26, steps=240, stored=HALF),
    Family("llama-wide", transformers.LlamaConfig, gated(4, 256, 512, num_attention_heads=8), 10,
           steps=60, rate=2e-3, stored=HALF),
    Family("llama-mid", transformers.LlamaConfig, gated(4, 128, 320, tie_word_embeddings=True), 10,
           steps=240, rate=3e-3),
    Family("qwen2", transformers.Qwen2Config, gated(3, feed_forward=160), 16, stored=HALF),
    Family("qwen3", transformers.Qwen3Config,
           gated(3, feed_forward=192, head_dim=16, tie_word_embeddings=True), 12),
    Family("gemma", transformers.GemmaConfig,
           gated(3, feed_forward=256, head_dim=16, tie_word_embeddings=True), 14),
    Family("phi3", transformers.Phi3Config, gated(3, pad_token_id=0), 11, stored=torch.float16),
    Family("mixtral", transformers.MixtralConfig,
           gated(2, feed_forward=96, num_local_experts=4, num_experts_per_tok=2), 11, stored=HALF),
    Family("gpt2", transformers.GPT2Config,
           {"n_embd": 64, "n_layer": 4, "n_head": 4, "n_positions": 256, "resid_pdrop": 0.0,
            "embd_pdrop": 0.0, "attn_pdrop": 0.0}, 16),
    Family("neox", transformers.GPTNeoXConfig,
           gated(3, feed_forward=256), 12, stored=torch.float16),
    Family("bert", transformers.BertConfig,
           gated(3, feed_forward=256, hidden_dropout_prob=0.0, attention_probs_dropout_prob=0.0), 11),
    # Another maker's vocabulary and text, in a known architecture.
    Family("llama-other", transformers.LlamaConfig, gated(4, vocab_size=768), 10, vocabulary=768,
           text="code"),
)
BY_NAME = {family.name: family for family in FAMILIES}


def make_model(family: Family, seed: int, **changes: Any) -> PreTrainedModel:
    """A model with the random start that this seed gives, as float32."""
    torch.manual_seed(seed)
    config = family.make_config(**changes)
    if family.name == "bert":
        return transformers.BertForMaskedLM(config).float()
    return transformers.AutoModelForCausalLM.from_config(config, attn_implementation="sdpa").float()
