# SPDX-License-Identifier: Apache-2.0
"""Train small llama models and derive others from one of them: pairs of known truth for bench_trace_peers.py.

A llama of 6 layers (hidden 256, feed-forward 688, a byte-level vocabulary of 4096) learns to predict the text
of this Python's own library; then
    base         the ancestor
    tuned        base, trained on with other text at a lower rate
    independent  the same config, tokenizer and text; another seed of weights and batches
    untrained    the same config and tokenizer; weights as they are initialised
    permuted     base with its residual dimensions, heads and feed-forward units in another order: the same function
    shortened    base without its third layer
    Q4_0.gguf    base, quantised
Everything is seeded; needs torch, transformers and gguf. Models that are there already are kept.

usage: make_trace_pairs.py FOLDER [--steps 600] [--threads 2]
"""

from __future__ import annotations

import argparse
import sysconfig
from pathlib import Path

import gguf
import torch
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast

HIDDEN, FEED_FORWARD, LAYERS, HEADS, VOCABULARY, LENGTH, BATCH = 256, 688, 6, 8, 4096, 128, 8
Weights = dict[str, torch.Tensor]


def texts() -> tuple[str, str]:
    """Two texts of a few megabytes that are on every machine: to train on, and to tune on."""
    files = sorted(Path(sysconfig.get_path("stdlib")).glob("*.py"))
    halves = ["\n".join(path.read_text(errors="replace") for path in files[part::2]) for part in (0, 1)]
    return halves[0], halves[1]


def make_tokenizer(text: str) -> PreTrainedTokenizerFast:
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    trainer = trainers.BpeTrainer(vocab_size=VOCABULARY, special_tokens=["<s>", "</s>"], initial_alphabet=alphabet)
    tokenizer.train_from_iterator(text.splitlines(keepends=True), trainer)
    return PreTrainedTokenizerFast(tokenizer_object=tokenizer, bos_token="<s>", eos_token="</s>")


def new_model(seed: int, layers: int = LAYERS) -> LlamaForCausalLM:
    torch.manual_seed(seed)
    config = LlamaConfig(
        vocab_size=VOCABULARY, hidden_size=HIDDEN, intermediate_size=FEED_FORWARD, num_hidden_layers=layers,
        num_attention_heads=HEADS, num_key_value_heads=HEADS, max_position_embeddings=512, bos_token_id=0,
        eos_token_id=1,
    )  # fmt: skip
    return LlamaForCausalLM(config)


def train(model: LlamaForCausalLM, tokens: torch.Tensor, seed: int, steps: int, rate: float) -> None:
    batches = torch.Generator().manual_seed(seed)
    optimiser = torch.optim.AdamW(model.parameters(), lr=rate, weight_decay=0.1)
    model.train()
    for step in range(steps):
        starts = torch.randint(len(tokens) - LENGTH, (BATCH,), generator=batches)
        ids = torch.stack([tokens[start : start + LENGTH] for start in starts.tolist()])
        for group in optimiser.param_groups:
            group["lr"] = rate * min(1.0, (step + 1) / 50) * (1 - step / steps)
        loss = model(input_ids=ids, labels=ids).loss
        optimiser.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimiser.step()
        if step % 100 == 0 or step == steps - 1:
            print(f"  step {step}: loss {loss.item():.3f}", flush=True)


def load(folder: Path) -> LlamaForCausalLM:
    return LlamaForCausalLM.from_pretrained(folder, dtype=torch.float32)


def permuted(base: LlamaForCausalLM) -> LlamaForCausalLM:
    """Every order that the model's function does not depend on, shuffled."""
    random = torch.Generator().manual_seed(11)
    residual = torch.randperm(HIDDEN, generator=random)
    weights: Weights = dict(base.state_dict())
    head = HIDDEN // HEADS
    for layer in range(LAYERS):
        prefix = f"model.layers.{layer}."
        units = torch.randperm(FEED_FORWARD, generator=random)
        heads = torch.randperm(HEADS, generator=random)
        rows = (heads[:, None] * head + torch.arange(head)).reshape(-1)
        for name in ("mlp.gate_proj", "mlp.up_proj"):
            weights[f"{prefix}{name}.weight"] = weights[f"{prefix}{name}.weight"][units][:, residual]
        weights[f"{prefix}mlp.down_proj.weight"] = weights[f"{prefix}mlp.down_proj.weight"][residual][:, units]
        for name in ("q_proj", "k_proj", "v_proj"):
            key = f"{prefix}self_attn.{name}.weight"
            weights[key] = weights[key][rows][:, residual]
        key = f"{prefix}self_attn.o_proj.weight"
        weights[key] = weights[key][residual][:, rows]
        for name in ("input_layernorm", "post_attention_layernorm"):
            weights[f"{prefix}{name}.weight"] = weights[f"{prefix}{name}.weight"][residual]
    for name in ("model.embed_tokens.weight", "lm_head.weight"):
        weights[name] = weights[name][:, residual]
    weights["model.norm.weight"] = weights["model.norm.weight"][residual]
    out = new_model(0)
    out.load_state_dict(weights)
    ids = torch.arange(32)[None]
    with torch.no_grad():
        assert torch.allclose(out(input_ids=ids).logits, base(input_ids=ids).logits, atol=1e-3)
    return out


def shortened(base: LlamaForCausalLM, removed: int = 2) -> LlamaForCausalLM:
    weights = {}
    for name, tensor in base.state_dict().items():
        parts = name.split(".")
        if parts[1] == "layers":
            if int(parts[2]) == removed:
                continue
            parts[2] = str(int(parts[2]) - (int(parts[2]) > removed))
        weights[".".join(parts)] = tensor
    out = new_model(0, LAYERS - 1)
    out.load_state_dict(weights)
    return out


GGUF_NAMES = {
    "self_attn.q_proj": "attn_q", "self_attn.k_proj": "attn_k", "self_attn.v_proj": "attn_v",
    "self_attn.o_proj": "attn_output", "mlp.gate_proj": "ffn_gate", "mlp.up_proj": "ffn_up",
    "mlp.down_proj": "ffn_down", "input_layernorm": "attn_norm", "post_attention_layernorm": "ffn_norm",
    "embed_tokens": "token_embd", "norm": "output_norm", "lm_head": "output",
}  # fmt: skip


def gguf_name(name: str) -> str:
    parts = name.removesuffix(".weight").removeprefix("model.").split(".", 2)
    if parts[0] == "layers":
        return f"blk.{parts[1]}.{GGUF_NAMES[parts[2]]}.weight"
    return f"{GGUF_NAMES[parts[0]]}.weight"


def quantise(path: Path, base: LlamaForCausalLM, tokenizer: PreTrainedTokenizerFast) -> None:
    """As llama.cpp's converter lays a llama out: q and k rows of a head interleaved, matrices in blocks."""
    writer = gguf.GGUFWriter(path, "llama")
    writer.add_block_count(LAYERS)
    writer.add_context_length(512)
    writer.add_embedding_length(HIDDEN)
    writer.add_feed_forward_length(FEED_FORWARD)
    writer.add_head_count(HEADS)
    writer.add_head_count_kv(HEADS)
    writer.add_layer_norm_rms_eps(1e-6)
    writer.add_tokenizer_model("gpt2")
    vocabulary = tokenizer.get_vocab()
    writer.add_token_list(sorted(vocabulary, key=vocabulary.__getitem__))
    writer.add_token_types([3, 3, *[1] * (len(vocabulary) - 2)])
    for name, tensor in base.state_dict().items():
        values = tensor.float()
        if name.endswith(("q_proj.weight", "k_proj.weight")):
            values = values.reshape(HEADS, 2, HIDDEN // HEADS // 2, HIDDEN).swapaxes(1, 2).reshape(HIDDEN, HIDDEN)
        array = values.contiguous().numpy()
        if values.dim() == 2 and values.shape[1] % 32 == 0:
            kind = gguf.GGMLQuantizationType.Q4_0
            writer.add_tensor(gguf_name(name), gguf.quantize(array, kind), raw_dtype=kind)
        else:
            writer.add_tensor(gguf_name(name), array)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


def make(folder: Path, steps: int) -> None:
    text, other = texts()
    tokenizer = make_tokenizer(text)

    def save(name: str, model: LlamaForCausalLM) -> None:
        model.to(torch.bfloat16).save_pretrained(folder / name)
        tokenizer.save_pretrained(folder / name)

    def trained(name: str, model: LlamaForCausalLM, words: str, seed: int, count: int, rate: float) -> None:
        print(name, flush=True)
        tokens = torch.tensor(tokenizer.backend_tokenizer.encode(words).ids)
        train(model, tokens, seed, count, rate)
        save(name, model)

    if not (folder / "base" / "config.json").exists():
        trained("base", new_model(1), text, 101, steps, 1e-3)
    if not (folder / "tuned" / "config.json").exists():
        trained("tuned", load(folder / "base"), other, 102, max(1, steps // 4), 2e-4)
    if not (folder / "independent" / "config.json").exists():
        trained("independent", new_model(2), text, 103, steps, 1e-3)
    save("untrained", new_model(3))
    save("permuted", permuted(load(folder / "base")))
    save("shortened", shortened(load(folder / "base")))
    quantise(folder / "Q4_0.gguf", load(folder / "base"), tokenizer)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--steps", type=int, default=600)
    parser.add_argument("--threads", type=int, default=2)
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    make(options.folder, options.steps)


if __name__ == "__main__":
    main()
